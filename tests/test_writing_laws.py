"""The laws of writing, whatever the user does meanwhile, whatever fails, and whenever we die.

A search by a machine: our writes, decisions that change, verdicts and undo, between them a user who
tags, marks, renames, merges and deletes. The test keeps its own account of what is whose.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from demo.stash import Fault, StandIn, fake_file
from stash_sense_plugin.errors import StashUnreachable, TagUnusable
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.verdicts import Saying, Verdicts
from stash_sense_plugin.records import Action, LedgerEntry, Outcome, Said, Scene
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.stash.wishes import MarkerWanted
from stash_sense_plugin.stash.workflow import Workflow, WorkflowNames
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks import merging
from tests.conftest import TORTURE
from tests.stand_in_client import Client
from tests.stash_kit import Killed, empty
from tests.sweep_kit import open_engine

Rounds = Callable[[int, int], int]
Record = Callable[[str, int], None]
Cell = tuple[int, int]
"""A scene's and a tag's id."""

SCENES = 3
OURS = ("Beach", "Dog", "Night")
"""What we would write; the user has the first two as tags from the start."""
THEIRS = ("Beach", "Dog", "Holiday")
WORKFLOW = ("TagMe", "Tagged", "Errored")
TIMES = ((0.0, 5.0), (7.5, 9.25))
DROPS = ("drop before", "drop after")
DEATHS = ("die before", "die after")
"""Right before a call of the ledger, or right after it."""

MERGE_TAGS = "mutation M($input: TagsMergeInput!) { tagsMerge(input: $input) { id } }"
MERGE_SCENES = "mutation M($input: SceneMergeInput!) { sceneMerge(input: $input) { id } }"
RENAME_TAG = "mutation M($input: TagUpdateInput!) { tagUpdate(input: $input) { id } }"
MAKE_MARKER = (
    "mutation M($input: SceneMarkerCreateInput!) { sceneMarkerCreate(input: $input) {id} }"
)
EDIT_MARKER = (
    "mutation M($input: SceneMarkerUpdateInput!) { sceneMarkerUpdate(input: $input) {id} }"
)


# --- Bad luck -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """What befalls one row of writes, and at the which call."""

    kind: str = ""
    nth: int = 1


TROUBLE = st.one_of(
    st.just(Trouble()),
    st.builds(Trouble, st.sampled_from(DROPS + DEATHS), st.integers(1, 5)),
)


class MortalLedger(StoreLedger):
    """A ledger whose process dies at its n-th write."""

    def __init__(self, ledger: StoreLedger, trouble: Trouble) -> None:
        super().__init__(ledger._store)
        self._trouble = trouble
        self._calls = 0

    @contextlib.contextmanager
    def _mortally(self) -> Iterator[None]:
        self._calls += 1
        dies = self._trouble.kind if self._calls == self._trouble.nth else ""
        if dies == "die before":
            raise Killed
        yield
        if dies == "die after":
            raise Killed

    def intend(self, entries: Sequence[LedgerEntry]) -> list[int]:
        with self._mortally():
            return super().intend(entries)

    def settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        with self._mortally():
            super().settle(outcomes, learnt)

    def refuse(self, entries: Sequence[LedgerEntry]) -> None:
        with self._mortally():
            super().refuse(entries)


# --- Whose is what ------------------------------------------------------------------------------


@dataclass
class Account:
    """What is whose, by what was done; ids are Stash's."""

    theirs: set[Cell] = field(default_factory=set)
    """The user put it there and has not taken it away."""
    taken: set[Cell] = field(default_factory=set)
    """Ours, surely, and the user took it away."""
    unclear: set[Cell] = field(default_factory=set)
    """Nobody can tell any more who put it there: Stash keeps no history."""
    left: set[Cell] = field(default_factory=set)
    """Ours, and left alone from now on: its tag or its scene's file is another one now."""
    their_markers: set[int] = field(default_factory=set)
    left_markers: set[int] = field(default_factory=set)
    their_studio: dict[int, int | None] = field(default_factory=dict)
    """Scenes whose studio the user chose; None where that was to have none."""
    unclear_studio: set[int] = field(default_factory=set)
    made: set[int] = field(default_factory=set)
    """Tags that the user made, renamed or merged others into."""

    def forget_scene(self, scene: int) -> None:
        for cells in (self.theirs, self.taken, self.unclear, self.left):
            cells -= {cell for cell in cells if cell[0] == scene}

    def forget_tag(self, tag: int) -> None:
        for cells in (self.theirs, self.taken, self.unclear, self.left):
            cells -= {cell for cell in cells if cell[1] == tag}


class Library(RuleBasedStateMachine):
    """We and the user at work on one library."""

    def __init__(self, stash: StandIn, home: Path, counts: Counter[str]) -> None:
        super().__init__()
        self.stash, self.counts = stash, counts
        empty(stash)
        # Small numbers again, which tags, scenes, markers and studios share.
        stash.database.run("DELETE FROM sqlite_sequence")
        self._open = contextlib.ExitStack()
        engine = self._open.enter_context(open_engine(home))
        self.engine, self.ledger, self.store = engine, engine.ledger, engine.store
        self.client = self._open.enter_context(self._client(3))
        self.files = iter(range(1, 1000))
        self.account = Account()
        self.penny = self.stash.add_performer("Penny")
        self.studios = [self.stash.add_studio(name) for name in ("Ours", "Theirs")]
        for name in (*THEIRS, *WORKFLOW):
            self.account.made.add(self.stash.add_tag(name))
        for _ in range(SCENES):
            self._add_scene()
        self.run = 0
        self.ahead_s = 0.0
        self.changed_at = self._changed_at()
        """When scenes had changed when we were last at work."""

    def teardown(self) -> None:
        try:
            if self.stash.scene_ids():
                self.undo_everything()
        finally:
            self.stash.set_clock(0)
            self._open.close()

    def _client(self, attempts: int) -> StashClient:
        connection = Connection.from_url(self.stash.url)
        return StashClient(connection, limits=Limits(first_wait_s=0, attempts=attempts))

    def _add_scene(self) -> int:
        holiday, todo = self.tag("Holiday"), self.tag("TagMe")
        scene = self.stash.add_scene("A scene", tags=[holiday, todo], file=self._new_file())
        pair = "INSERT INTO performers_scenes (performer_id, scene_id) VALUES (?, ?)"
        self.stash.database.run(pair, self.penny, scene)
        self.account.theirs |= {(scene, holiday)}
        return scene

    def _new_file(self) -> Any:
        number = next(self.files)
        return fake_file(f"/lib/{number}.mp4", oshash=f"{number:016x}", size=1000 + number)

    # --- Looking

    def called(self, name: str) -> int | None:
        """The tag of that name or alias."""
        aliased = "SELECT tag_id FROM tag_aliases WHERE text = ?"
        return self.stash.tag_id(name) or self.stash.database.value(aliased, name)

    def tag(self, name: str) -> int:
        found = self.called(name)
        if found is None:
            found = self.stash.add_tag(name)
            self.account.made.add(found)
        return found

    def scene(self, place: int) -> int:
        there = self.stash.scene_ids()
        return int(there[place % len(there)])

    def tags_of(self, scene: int) -> set[int]:
        sql = "SELECT tag_id FROM scenes_tags WHERE scene_id = ?"
        return set(self.stash.database.column(sql, scene))

    def cells(self) -> set[Cell]:
        """All tags of scenes but the workflow's."""
        workflow = {self.stash.tag_id(name) for name in WORKFLOW}
        rows = self.stash.database.rows("SELECT scene_id, tag_id FROM scenes_tags")
        return {(row["scene_id"], row["tag_id"]) for row in rows if row["tag_id"] not in workflow}

    def markers(self) -> dict[int, int]:
        rows = self.stash.database.rows("SELECT id, scene_id FROM scene_markers")
        return {row["id"]: row["scene_id"] for row in rows}

    def markers_of(self, *tags: int) -> set[int]:
        rows = self.stash.database.rows("SELECT id, primary_tag_id FROM scene_markers")
        return {row["id"] for row in rows if row["primary_tag_id"] in tags}

    def entries(self, *actions: Action) -> list[LedgerEntry]:
        """What the ledger calls ours."""
        scenes = ["", *(str(scene) for scene in self.stash.scene_ids())]
        return [each for each in self.ledger.ours(scenes) if each.action in actions]

    def ours(self) -> set[Cell]:
        return {(int(e.scene_id), int(e.target_id)) for e in self.entries(Action.ADD_TAG)}

    # --- What we do

    def _writing(self, trouble: Trouble) -> Writer:
        self.run += 1
        client = self._open.enter_context(self._client(2))
        return Writer(client, MortalLedger(self.ledger, trouble), f"run {self.run}")

    def _amid(self, trouble: Trouble, work: Callable[[Writer], None]) -> None:
        """Work as a run does: settle what was cut short, then meet with trouble."""
        self.recover()
        if trouble.kind in DROPS:
            fault = Fault(drop=trouble.kind.removeprefix("drop "), times=2, skip=trouble.nth - 1)
            for name in ("bulkSceneUpdate", "sceneMarkerCreate", "sceneUpdate", "tagCreate"):
                self.stash.fault(name, fault)
        before = self.cells()
        try:
            work(self._writing(trouble))
        except (Killed, StashUnreachable) as error:
            self.counts[f"{trouble.kind} ({type(error).__name__})"] += 1
        finally:
            self.stash.clear_faults()
        self._not_ours(before)
        self.changed_at = self._changed_at()

    def _changed_at(self) -> dict[int, str]:
        rows = self.stash.database.rows("SELECT id, updated_at FROM scenes")
        return {row["id"]: row["updated_at"] for row in rows}

    def _not_ours(self, before: set[Cell]) -> None:
        """Nothing of the user's went, whatever happened."""
        gone = before - self.cells()
        assert not gone & (self.account.theirs - self.account.unclear)

    def _visited(self, writer: Writer, scenes: list[Scene]) -> list[Scene]:
        """The scenes that may be written to, as a sweep finds them."""
        merging.follow(self.engine, self.client, scenes)
        missing = writer.notice_removed(scenes)
        held = set() if missing is None or missing.tag_gone else set(missing.scene_ids)
        return [scene for scene in scenes if scene.id not in held]

    def read(self, places: Sequence[int]) -> list[Scene]:
        ids = sorted({self.scene(place) for place in places})
        return scenes_by_ids(self.client, [str(each) for each in ids])

    @rule(
        places=st.lists(st.integers(0, 9), min_size=1, max_size=3),
        names=st.sets(st.sampled_from(OURS), min_size=1),
        marked=st.booleans(),
        studio=st.booleans(),
        well=st.booleans(),
        trouble=TROUBLE,
    )
    def tags_scenes(
        self,
        places: list[int],
        names: set[str],
        marked: bool,
        studio: bool,
        well: bool,
        trouble: Trouble,
    ) -> None:
        self.tag_scenes(places, names, marked, studio, well, trouble)

    def tag_scenes(
        self,
        places: list[int],
        names: set[str],
        marked: bool,
        studio: bool,
        well: bool,
        trouble: Trouble,
    ) -> None:
        def work(writer: Writer) -> None:
            scenes = self._visited(writer, self.read(places))
            tags = []
            for name in sorted(names):
                with contextlib.suppress(TagUnusable):
                    tags.append((writer.ensure_tag(name), name))
            writer.add_tags(scenes, {scene.id: tags for scene in scenes})
            for scene in scenes if studio else []:
                writer.set_studio(scene, str(self.studios[0]), "Ours")
            for scene in scenes if marked else []:
                wishes = [MarkerWanted(tag_id, name, *TIMES[0]) for tag_id, name in tags]
                writer.create_markers(scene, wishes)
            workflow = Workflow(writer.client, writer, WorkflowNames())
            if well:
                workflow.finish(scenes)
            for scene in [] if well else scenes:
                workflow.fail(scene, "damaged")

        self._amid(trouble, work)

    @rule(
        place=st.integers(0, 9),
        name=st.sampled_from(OURS),
        kind=st.sampled_from(DROPS + DEATHS),
        nth=st.integers(1, 6),
    )
    def tag_amid_trouble(self, place: int, name: str, kind: str, nth: int) -> None:
        """The same with markers, cut short, so that the search comes by it more often."""
        self.tag_scenes([place], {name, "Beach"}, True, False, True, Trouble(kind, nth))

    @rule(place=st.integers(0, 9), name=st.sampled_from(OURS), trouble=TROUBLE)
    def decide_otherwise(self, place: int, name: str, trouble: Trouble) -> None:
        """What is ours and no longer decided is taken back."""

        def work(writer: Writer) -> None:
            scenes = self._visited(writer, self.read([place]))
            ids = [scene.id for scene in scenes]
            writer.take_back([e for e in self.ledger.ours(ids) if e.target_name == name])

        self._amid(trouble, work)

    @rule(place=st.integers(0, 9), name=st.sampled_from(OURS), trouble=TROUBLE)
    def refuse(self, place: int, name: str, trouble: Trouble) -> None:
        """The user refuses in so many words: the verdict is kept first, then ours is taken back."""
        [scene] = self.read([place])

        def work(writer: Writer) -> None:
            merging.follow(self.engine, self.client, [scene])
            tag = self.called(name)
            target = "" if tag is None else str(tag)
            Verdicts(self.store).say([Saying(scene, "tag", name, target, Said.REFUSED)])
            rows = [e for e in self.ledger.ours([scene.id]) if e.target_name == name]
            writer.take_back(rows)

        self._amid(trouble, work)

    @rule()
    def recover(self) -> None:
        """What the next run does first."""
        cut_short = {each.row for each in self.ledger.unsettled()}
        Writer(self.client, self.ledger, "recovery").recover()
        assert self.ledger.unsettled() == []
        now = self._changed_at()
        for entry in self.ledger.entries(limit=100_000):
            if entry.row in cut_short and entry.outcome is Outcome.WAS_THERE and entry.scene_id:
                # The scene changed since: it may have been the user who did it.
                scene = int(entry.scene_id)
                assert now[scene] != self.changed_at[scene]
                self.account.unclear.add((scene, int(entry.target_id)))
                self.account.unclear_studio.add(scene)

    # --- What the user does

    @rule(place=st.integers(0, 9), name=st.sampled_from((*THEIRS, *OURS)))
    def adds_a_tag(self, place: int, name: str) -> None:
        scene, tag = self.scene(place), self.tag(name)
        cell = (scene, tag)
        if tag in self.tags_of(scene):
            return
        self.stash.tag_scene(scene, tag)
        self.account.theirs.add(cell)
        if cell in self.ours():
            # Taken away and given again before we came by.
            self.account.unclear.add(cell)
        self.account.taken.discard(cell)

    @rule(place=st.integers(0, 9), name=st.sampled_from((*THEIRS, *OURS)))
    def takes_a_tag(self, place: int, name: str) -> None:
        scene, tag = self.scene(place), self.called(name)
        if tag is None or tag not in self.tags_of(scene):
            return
        cell = (scene, tag)
        if cell in self.ours() and cell not in self.account.theirs | self.account.left:
            self.account.taken.add(cell)
        self.stash.untag_scene(scene, tag)
        self.account.theirs.discard(cell)
        self.account.unclear.discard(cell)

    @rule(place=st.integers(0, 9))
    def gives_todo_again(self, place: int) -> None:
        self.stash.tag_scene(self.scene(place), self.tag("TagMe"))

    @rule(place=st.integers(0, 9), name=st.sampled_from((*THEIRS, *OURS)))
    def marks(self, place: int, name: str) -> None:
        """A marker just where ours would lie."""
        scene, tag = self.scene(place), self.tag(name)
        where = {"seconds": TIMES[1][0], "end_seconds": TIMES[1][1], "title": "mine"}
        given = {"scene_id": str(scene), "primary_tag_id": str(tag), **where}
        made = Client(self.stash).data(MAKE_MARKER, input=given)["sceneMarkerCreate"]["id"]
        self.account.their_markers.add(int(made))

    @precondition(lambda self: bool(self.markers()))
    @rule(which=st.integers(0, 9), removes=st.booleans())
    def changes_a_marker(self, which: int, removes: bool) -> None:
        """Theirs or ours is taken away, or moved: what was moved is the user's."""
        there = sorted(self.markers())
        marker = there[which % len(there)]
        if removes:
            self.stash.remove_marker(marker)
            self.account.their_markers.discard(marker)
            return
        Client(self.stash).data(EDIT_MARKER, input={"id": str(marker), "seconds": 1.25})
        self.account.their_markers.add(marker)

    @rule(place=st.integers(0, 9), chosen=st.sampled_from((None, 0, 1)))
    def sets_the_studio(self, place: int, chosen: int | None) -> None:
        scene = self.scene(place)
        studio = None if chosen is None else self.studios[chosen]
        same = self.stash.scene_row(scene)["studio_id"] == studio
        if same:
            return
        self.stash.set_studio(scene, studio)
        self.account.their_studio[scene] = studio
        if chosen == 0:
            # The one that we write too: it may have been ours before.
            self.account.unclear_studio.add(scene)

    @rule(name=st.sampled_from((*THEIRS, *OURS)))
    def renames_a_tag(self, name: str) -> None:
        tag = self.called(name)
        if tag is None or self.stash.tag_id(f"{name} and more") is not None:
            return
        given = {"id": str(tag), "name": f"{name} and more"}
        Client(self.stash).data(RENAME_TAG, input=given)
        self.account.made.add(tag)
        self.account.left |= {cell for cell in self.cells() if cell[1] == tag}
        self.account.left_markers |= self.markers_of(tag)

    @rule(source=st.sampled_from((*THEIRS, *OURS)), into=st.sampled_from((*THEIRS, *OURS)))
    def merges_tags(self, source: str, into: str) -> None:
        one, other = self.called(source), self.called(into)
        if one is None or other is None or one == other:
            return
        had = {cell for cell in self.cells() if cell[1] == one}
        self.account.left_markers |= self.markers_of(one)
        Client(self.stash).data(MERGE_TAGS, input={"source": [str(one)], "destination": str(other)})
        for scene, _ in had:
            cell = (scene, other)
            # It is the user's now; where it was ours before, nothing tells so.
            if cell in self.ours() or cell not in self.account.theirs:
                self.account.unclear.add(cell)
            if (scene, one) in self.account.theirs:
                self.account.theirs.add(cell)
            self.account.taken.discard(cell)
        self.account.forget_tag(one)
        self.account.made.add(other)

    @rule(name=st.sampled_from((*THEIRS, *OURS)))
    def deletes_a_tag(self, name: str) -> None:
        tag = self.called(name)
        used = "SELECT count(*) FROM scene_markers WHERE primary_tag_id = ?"
        if tag is None or self.stash.database.value(used, tag):
            return
        self.stash.remove_tag(tag)
        self.account.forget_tag(tag)

    @precondition(lambda self: len(self.stash.scene_ids()) > 1)
    @rule(place=st.integers(0, 9))
    def deletes_a_scene(self, place: int) -> None:
        scene = self.scene(place)
        gone = {marker for marker, where in self.markers().items() if where == scene}
        self.account.their_markers -= gone
        self.stash.remove_scene(scene)
        self.account.forget_scene(scene)

    @precondition(lambda self: len(self.stash.scene_ids()) > 1)
    @rule(place=st.integers(0, 9), other=st.integers(0, 9), with_tags=st.booleans())
    def merges_scenes(self, place: int, other: int, with_tags: bool) -> None:
        source, into = self.scene(place), self.scene(other)
        if source == into:
            return
        carried = self.tags_of(source) - self.tags_of(into) if with_tags else set()
        moved = {marker for marker, scene in self.markers().items() if scene == source}
        values: dict[str, Any] = {"id": str(into)}
        if with_tags:
            both = sorted(self.tags_of(source) | self.tags_of(into))
            values["tag_ids"] = [str(each) for each in both]
        given = {"source": [str(source)], "destination": str(into), "values": values}
        Client(self.stash).data(MERGE_SCENES, input=given)
        for tag in carried:
            # The user's act; what of it was ours is told by our records, or not at all.
            self.account.taken.discard((into, tag))
            self.account.unclear.add((into, tag))
            if (source, tag) in self.account.theirs:
                self.account.theirs.add((into, tag))
        both_had = {cell for cell in self.cells() if cell[0] == into}
        self.account.unclear |= {c for c in both_had if (source, c[1]) in self.account.theirs}
        self.account.theirs |= {c for c in both_had if (source, c[1]) in self.account.theirs}
        self.account.left_markers |= moved
        self.account.unclear_studio.add(into)
        self.account.forget_scene(source)

    @rule(place=st.integers(0, 9))
    def replaces_the_file(self, place: int) -> None:
        """Another file lies where the scene's was: nothing that we knew of it holds."""
        scene = self.scene(place)
        database = self.stash.database
        for file in self.stash.scene_files(scene):
            database.run("DELETE FROM files WHERE id = ?", file)
        self.stash.add_file(scene, self._new_file())
        self.account.left |= {cell for cell in self.cells() if cell[0] == scene}
        self.account.taken -= {cell for cell in self.account.taken if cell[0] == scene}
        here = {marker for marker, where in self.markers().items() if where == scene}
        self.account.left_markers |= here
        self.account.unclear_studio.add(scene)

    # --- What must hold

    @invariant()
    def time_passes(self) -> None:
        """Between any two things that are done; Stash tells times in whole seconds."""
        self.ahead_s += 300
        self.stash.set_clock(self.ahead_s)

    @invariant()
    def what_the_user_made_is_there(self) -> None:
        """Law 1."""
        sure = self.account.theirs - self.account.unclear
        assert sure <= self.cells()
        assert self.account.their_markers <= self.markers().keys()
        for scene in self.stash.scene_ids():
            assert self.stash.scene_performers(scene) == {"Penny"}
            self._has_their_studio(scene)

    def _has_their_studio(self, scene: int) -> None:
        wanted = self.account.their_studio.get(scene)
        if wanted is not None and scene not in self.account.unclear_studio:
            assert self.stash.scene_row(scene)["studio_id"] == wanted

    @invariant()
    def what_the_user_took_away_stays_away(self) -> None:
        """Law 4."""
        assert not (self.account.taken - self.account.unclear) & self.cells()

    @invariant()
    def nothing_is_doubled(self) -> None:
        """Law 2: a marker of ours is there once."""
        sql = """SELECT count(*) AS number FROM scene_markers WHERE title = ''
          GROUP BY scene_id, primary_tag_id, seconds, end_seconds"""
        if not self.account.left_markers:
            assert set(self.stash.database.column(sql)) <= {1}

    @invariant()
    def what_is_the_users_alone_is_not_called_ours(self) -> None:
        """Law 2."""
        assert not self.ours() & (self.account.theirs - self.account.unclear)

    def undo_everything(self) -> None:
        """What is left is what the user made, and what cannot be told from it."""
        self.recover()
        writer = Writer(self.client, self.ledger, "undo")
        merging.follow(self.engine, self.client, self.read(range(9)))
        kinds = (Action.ADD_TAG, Action.CREATE_MARKER, Action.SET_STUDIO)
        writer.take_back(self.entries(*kinds), undo=True)
        writer.take_back(self.entries(Action.CREATE_TAG), undo=True)
        self.what_the_user_made_is_there()
        spared = self.account.unclear | self.account.left
        assert self.cells() - self.account.theirs <= spared
        lasting = self.account.their_markers | self.account.left_markers
        assert self.markers().keys() <= lasting
        for scene in self.stash.scene_ids():
            theirs = self.account.their_studio.get(scene)
            if scene not in self.account.unclear_studio:
                assert self.stash.scene_row(scene)["studio_id"] == theirs
        self.counts["libraries undone"] += 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.mark.torture
def test_the_laws_of_writing_hold_whatever_happens(
    server: StandIn,
    tmp_path_factory: pytest.TempPathFactory,
    rounds: Rounds,
    record_count: Record,
) -> None:
    counts: Counter[str] = Counter()

    class Here(Library):
        def __init__(self) -> None:
            super().__init__(server, tmp_path_factory.mktemp("home"), counts)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=rounds(15, 1000),
            stateful_step_count=40 if TORTURE in os.environ else 20,
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, count in counts.items():
        record_count(f"laws: {name}", count)
