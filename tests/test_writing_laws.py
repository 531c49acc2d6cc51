"""The laws of writing under any sequence of our writes, the user's edits, outages and kills."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.stash import Fault, StandIn
from stash_sense_plugin.errors import StashUnreachable
from stash_sense_plugin.records import Action, Scene
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.wishes import MarkerWanted
from tests.stash_kit import Killed, Kit, open_kit

TAGS = ("Beach", "Dog", "TagMe", "Tagged", "Errored")
OURS = ("Beach", "Dog")
TIMES = ((0.0, 5.0), (7.5, 9.25))
TROUBLES = ("", "before the write", "after the write", "drop before", "drop after")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@dataclass
class World:
    """A library, and what in it is the user's by this test's own account."""

    kit: Kit
    scenes: list[Scene]
    studio: int
    other_studio: int
    theirs: dict[int, set[str]] = field(default_factory=dict)
    their_markers: dict[int, list[str]] = field(default_factory=dict)
    their_studio: dict[int, bool] = field(default_factory=dict)
    doubtful: set[tuple[int, str]] = field(default_factory=set)
    """Where a write of ours was cut short: until recovery, who added a tag cannot be told."""
    tried: set[tuple[int, str]] = field(default_factory=set)
    """Where we ever tried to add a tag."""

    # --- What we do

    def ours(self, trouble: str, does: Callable[[str], object]) -> None:
        """Let one of our writes run into trouble; a killed process's successor recovers."""
        if trouble.startswith("drop"):
            fault = Fault(drop=trouble.removeprefix("drop "), times=3)
            for name in ("bulkSceneUpdate", "sceneMarkerCreate", "sceneUpdate"):
                self.kit.stash.fault(name, fault)
        with contextlib.suppress(Killed, StashUnreachable):
            does("" if trouble.startswith("drop") else trouble)
        self.kit.stash.clear_faults()

    def add_tag(self, place: int, name: str, trouble: str) -> None:
        scene, tag = self.scenes[place], self.kit.tag(name)
        if name not in self.theirs[place]:
            self.tried.add((place, name))
        if trouble:
            self.doubtful.add((place, name))
        self.ours(
            trouble,
            lambda dies: self.kit.writer(dies, 2).add_tags([scene], {scene.id: [tag]}),
        )

    def add_marker(self, place: int, which: int, trouble: str) -> None:
        wish = MarkerWanted(*self.kit.tag("Beach"), *TIMES[which])
        self.ours(
            trouble,
            lambda dies: self.kit.writer(dies, 2).create_markers(self.scenes[place], [wish]),
        )

    def set_studio(self, place: int, trouble: str) -> None:
        ours = str(self.studio)
        self.ours(
            trouble,
            lambda dies: self.kit.writer(dies, 2).set_studio(self.scenes[place], ours, "Ours"),
        )

    def move(self, place: int, well: bool, trouble: str) -> None:
        scene = self.scenes[place]
        self.ours(
            trouble,
            lambda dies: (
                self.kit.workflow(dies, 2).finish([scene])
                if well
                else self.kit.workflow(dies, 2).fail(scene, "damaged")
            ),
        )
        self.theirs[place] -= {"TagMe", "Tagged", "Errored"}

    def recover(self) -> None:
        self.kit.writer().recover()
        self.doubtful.clear()

    def notice(self) -> None:
        self.kit.writer().notice_removed(self.scenes)

    # --- What the user does

    def user_adds(self, place: int, name: str) -> None:
        number = int(self.scenes[place].id)
        if (place, name) in self.doubtful or name in self.kit.stash.scene_tags(number):
            return
        self.kit.stash.tag_scene(number, int(self.kit.tag(name)[0]))
        self.theirs[place].add(name)

    def user_removes(self, place: int, name: str) -> None:
        self.kit.stash.untag_scene(int(self.scenes[place].id), int(self.kit.tag(name)[0]))
        self.theirs[place].discard(name)

    def user_marks(self, place: int) -> None:
        beach = self.kit.tag("Beach")[0]
        scene_id = self.scenes[place].id
        made = operations.create_marker(self.kit.client, scene_id, beach, 3.0, None, "mine")
        self.their_markers[place].append(made.id)

    def user_sets_studio(self, place: int) -> None:
        self.kit.stash.set_studio(int(self.scenes[place].id), self.other_studio)
        self.their_studio[place] = True

    # --- What must hold

    def check(self) -> None:
        for place, scene in enumerate(self.scenes):
            number = int(scene.id)
            assert self.theirs[place] <= self.kit.stash.scene_tags(number)
            assert self.kit.stash.scene_performers(number) == {"Penny"}
            markers = self.kit.stash.scene_markers(number)
            assert {str(each["id"]) for each in markers} >= set(self.their_markers[place])
            ours = Counter(each["seconds"] for each in markers if each["title"] != "mine")
            assert set(ours.values()) <= {1}
            if self.their_studio[place]:
                assert self.kit.stash.scene_studio(number) == "Theirs"

    def check_ledger(self) -> None:
        """After recovery nothing is open, and what the user added is not called ours."""
        assert self.kit.ledger.unsettled() == []
        for place, scene in enumerate(self.scenes):
            entries = self.kit.ledger.ours([scene.id])
            here = {str(each["id"]) for each in self.kit.stash.scene_markers(int(scene.id))}
            made = [each.target_id for each in entries if each.action is Action.CREATE_MARKER]
            assert sorted(made) == sorted(here - set(self.their_markers[place]))
            claimed = {each.target_name for each in entries if each.action is Action.ADD_TAG}
            untried = {name for name in self.theirs[place] if (place, name) not in self.tried}
            assert not claimed & untried


PLACES = st.integers(0, 1)
TROUBLE = st.sampled_from(TROUBLES)
STEPS = st.one_of(
    st.tuples(st.just("add_tag"), PLACES, st.sampled_from(OURS), TROUBLE),
    st.tuples(st.just("add_marker"), PLACES, st.integers(0, 1), TROUBLE),
    st.tuples(st.just("set_studio"), PLACES, TROUBLE),
    st.tuples(st.just("move"), PLACES, st.booleans(), TROUBLE),
    st.tuples(st.just("recover")),
    st.tuples(st.just("notice")),
    st.tuples(st.just("user_adds"), PLACES, st.sampled_from(TAGS)),
    st.tuples(st.just("user_removes"), PLACES, st.sampled_from(TAGS)),
    st.tuples(st.just("user_marks"), PLACES),
    st.tuples(st.just("user_sets_studio"), PLACES),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_laws_1_to_3_hold_whatever_happens(
    server: StandIn, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    with open_kit(server, tmp_path_factory.mktemp("run")) as kit:
        world = a_world(kit)
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
            world.check()
        world.recover()
        world.check()
        world.check_ledger()


def a_world(kit: Kit) -> World:
    for name in TAGS:
        kit.tag(name)
    kit.tag("Stash Sense")
    penny = kit.stash.add_performer("Penny")
    world = World(
        kit,
        [kit.scene("Holiday", "TagMe") for _ in range(2)],
        kit.stash.add_studio("Ours"),
        kit.stash.add_studio("Theirs"),
    )
    for place, scene in enumerate(world.scenes):
        pair = "INSERT INTO performers_scenes (performer_id, scene_id) VALUES (?, ?)"
        kit.stash.database.run(pair, penny, int(scene.id))
        world.theirs[place] = {"Holiday", "TagMe"}
        world.their_markers[place] = []
        world.their_studio[place] = False
    return world
