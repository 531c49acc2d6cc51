"""The fourth law: what the user took away stays away, and what a backup lacks is no refusal.

Stash's database is put back, its clock is set, and users take things away, in any order: what
cannot be told apart is asked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demo.stash import StandIn
from stash_sense_plugin.errors import TagGone
from stash_sense_plugin.records import Action, LedgerEntry, Outcome, Scene
from stash_sense_plugin.stash.wishes import MarkerWanted, Missing
from tests.stash_kit import Kit, open_kit

WAITS_S = (0, 1, 30, 100, 90_000)
STEPS_S = (-86_413, -3_601, -50, 3_607)
"""How Stash's clock may be set; no sum with waits comes back to the very second."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def kit(server: StandIn, tmp_path: Path) -> Iterator[Kit]:
    with open_kit(server, tmp_path) as opened:
        yield opened


@dataclass
class Library:
    """A scene that gets a tag, a marker or both, and what the test knows of each."""

    kit: Kit
    tag: bool
    marker: bool
    made: bool
    """The tag is one that we create; else it is the user's."""
    ahead_s: float = 0
    known: dict[str, str] = field(default_factory=dict)
    """tag or marker -> ours, removed, lost (with a backup) or, where two are true, either."""

    def __post_init__(self) -> None:
        wanted = {"tag": self.tag, "marker": self.marker}
        self.known = dict.fromkeys((name for name, is_so in wanted.items() if is_so), "absent")
        if not self.made:
            self.kit.tag("Beach")
        tags = ["TagMe", "Tagged before"]
        if not self.tag:
            # The tag is the user's there: of what we write, only the marker tells.
            tags.append("Beach")
        self.scene = self.kit.scene(*tags)
        self.kit.tag("Stash Sense")
        self.backup = self.kit.stash.back_up()

    # --- What happens

    def wait(self, seconds: float) -> None:
        self.ahead_s += seconds
        self.kit.stash.set_clock(self.ahead_s)

    def edit(self) -> None:
        """Change the scene in a way that is none of ours."""
        self.kit.stash.tag_scene(int(self.scene.id), int(self.kit.tag("Holiday")[0]))

    def again(self, swap: bool) -> None:
        """Give the scene TagMe, beside Tagged or in its place."""
        number = int(self.scene.id)
        if swap:
            self.kit.stash.untag_scene(number, int(self.kit.tag("Tagged")[0]))
        self.kit.stash.tag_scene(number, int(self.kit.tag("TagMe")[0]))

    def back_up(self) -> None:
        self.backup.close()
        self.backup = self.kit.stash.back_up()

    def remove(self, what: str) -> None:
        if what not in self.present():
            return
        if what == "tag":
            self.kit.stash.untag_scene(int(self.scene.id), int(self.kit.tag("Beach")[0]))
        for marker in self.markers() if what == "marker" else []:
            self.kit.stash.remove_marker(marker)
        self.known[what] = "removed"

    def put_back(self) -> None:
        self.kit.stash.put_back(self.backup)
        there = self.present()
        for what, was in self.known.items():
            if what in there:
                self.known[what] = "ours"
            elif was == "ours":
                self.known[what] = "lost"
            elif was == "removed" and what not in self.refused():
                # Nobody but the user knows of it any more.
                self.known[what] = "either"

    def run(self) -> Missing | None:
        """Visit the scene and write to it, as a run does."""
        writer = self.kit.writer()
        asked = writer.notice_removed([self.scene])
        if asked is None or asked.tag_gone:
            self.write(asked)
        for what in self.present():
            assert self.known[what] != "removed", "what the user took away was written again"
            self.known[what] = "ours"
        for what in self.refused():
            assert self.known[what] != "lost", "what a backup lacks was taken for a refusal"
        return asked

    def write(self, asked: Missing | None) -> None:
        writer = self.kit.writer()
        try:
            tag_id = writer.ensure_tag("Beach") if asked is None else ""
        except TagGone:
            tag_id = ""
        if tag_id and self.tag:
            writer.add_tags([self.scene], {self.scene.id: [(tag_id, "Beach")]})
        if tag_id and self.marker:
            writer.create_markers(self.scene, [MarkerWanted(tag_id, "Beach", 1.0, 4.0)])
        self.kit.finish(self.scene)

    # --- What is there

    def present(self) -> set[str]:
        tagged = self.tag and "Beach" in self.kit.tags_of(self.scene)
        return ({"tag"} if tagged else set()) | ({"marker"} if self.markers() else set())

    def markers(self) -> list[int]:
        return [each["id"] for each in self.kit.stash.scene_markers(int(self.scene.id))]

    def refused(self) -> set[str]:
        return {kind for kind, _ in self.kit.ledger.refused(self.scene)} & set(self.known)


WAIT = st.tuples(st.just("wait"), st.sampled_from(WAITS_S))
EVENTS = st.one_of(
    WAIT,
    st.tuples(st.just("wait"), st.sampled_from(STEPS_S)),
    st.tuples(st.just("edit")),
    st.tuples(st.just("again"), st.booleans()),
    st.tuples(st.just("remove"), st.sampled_from(["tag", "marker"])),
    st.tuples(st.just("put_back")),
    st.tuples(st.just("run")),
)
WHAT = st.sampled_from([(True, False), (False, True), (True, True)])


@settings(max_examples=60)
@example(  # The tag of the edit gets the id that Tagged had.
    what=(True, False), made=False, before=[], late=False, events=[("put_back",), ("edit",)]
)
@given(
    what=WHAT,
    made=st.booleans(),
    before=st.lists(st.one_of(WAIT, st.tuples(st.just("edit"))), max_size=3),
    late=st.booleans(),
    events=st.lists(EVENTS, min_size=1, max_size=7),
)
def test_law_4_a_removal_is_not_written_again_and_a_restored_backup_is_no_refusal(
    server: StandIn,
    tmp_path_factory: pytest.TempPathFactory,
    what: tuple[bool, bool],
    made: bool,
    before: list[tuple[str, float]],
    late: bool,
    events: list[tuple[str, object]],
) -> None:
    with open_kit(server, tmp_path_factory.mktemp("run")) as kit:
        library = Library(kit, *what, made=made and what[0])
        for name, *earlier in before:
            getattr(library, name)(*earlier)
        assert library.run() is None
        if late:
            library.back_up()
        for event, *values in (*events, ("run",)):
            getattr(library, str(event))(*values)


# --- The cases that must not be asked -----------------------------------------------------------

ALL = pytest.mark.parametrize("what", [(True, False), (False, True), (True, True)])


@ALL
@pytest.mark.parametrize("wait_s", [0, 1, 30, 100, 90_000])
def test_law_4_what_a_user_takes_away_is_refused_however_soon(
    kit: Kit, what: tuple[bool, bool], wait_s: int
) -> None:
    library = Library(kit, *what, made=False)
    library.run()
    library.wait(wait_s)
    for each in library.known:
        library.remove(each)
    library.again(swap=False)
    assert library.run() is None
    assert library.refused() == set(library.known)
    assert library.present() == set()


@ALL
@pytest.mark.parametrize("wait_s", [1, 30, 100, 90_000])
def test_law_4_what_a_backup_lacks_is_written_again_however_soon_after_the_last_change(
    kit: Kit, what: tuple[bool, bool], wait_s: int
) -> None:
    library = Library(kit, *what, made=what == (True, False))
    library.wait(wait_s)
    library.run()
    library.wait(wait_s)
    library.put_back()
    assert library.run() is None
    assert library.present() == set(library.known)
    assert library.refused() == set()


# --- The cases that must be asked ---------------------------------------------------------------


def changed_since(library: Library) -> None:
    library.wait(30)
    library.put_back()
    library.again(swap=False)


def taken_with_tagged(library: Library) -> None:
    library.wait(30)
    for each in library.known:
        library.remove(each)
    library.again(swap=True)


def taken_after_the_clock_stepped_back(library: Library) -> None:
    library.wait(-3_601)
    for each in library.known:
        library.remove(each)
    library.again(swap=True)


def from_an_older_backup(library: Library) -> None:
    library.put_back()


def by_an_older_version(library: Library) -> None:
    library.kit.stash.database.run("DELETE FROM scene_markers")
    library.remove("tag")
    library.known = dict.fromkeys(library.known, "either")
    forget_times(library.kit)


def forget_times(kit: Kit) -> None:
    """Let the ledger's rows be those of a version that kept no times of scenes."""
    entries = kit.ledger.entries()
    kit.ledger.withdraw_everything()
    for old in entries:
        bare = {key: value for key, value in old.detail.items() if not key.endswith("_at")}
        entry = LedgerEntry(
            old.run_id,
            old.action,
            old.scene_id,
            old.fingerprint,
            old.target_id,
            old.target_name,
            bare,
        )
        [row] = kit.ledger.intend([entry])
        kit.ledger.settle({row: (old.outcome, "")})


@ALL
@pytest.mark.parametrize(
    "happens",
    [
        changed_since,
        taken_with_tagged,
        taken_after_the_clock_stepped_back,
        from_an_older_backup,
        by_an_older_version,
    ],
)
def test_law_4_what_may_be_either_is_asked_and_left(
    kit: Kit, what: tuple[bool, bool], happens: Callable[[Library], None]
) -> None:
    library = Library(kit, *what, made=False)
    library.wait(100)
    library.edit()
    library.wait(5)
    library.run()
    happens(library)
    there = library.present()
    asked = library.run()
    assert asked is not None
    assert "missing from scene" in asked.message
    assert (asked.scene_ids, asked.tag_gone) == ((library.scene.id,), False)
    assert (library.present(), library.refused()) == (there, set())
    assert library.run() is not None
    library.known = dict.fromkeys(library.known, "lost")
    writer = kit.writer()
    assert writer.notice_removed([library.scene], restored=True) is None
    assert library.run() is None
    assert library.present() == set(library.known)


# --- Scenes tell of each other ------------------------------------------------------------------


def test_law_4_where_one_scene_is_surely_from_a_backup_an_older_one_is_too(kit: Kit) -> None:
    scenes = [kit.scene("TagMe"), kit.scene("TagMe")]
    beach = kit.tag("Beach")
    backup = kit.stash.back_up()
    kit.stash.set_clock(40)
    kit.stash.tag_scene(int(scenes[1].id), int(kit.tag("Holiday")[0]))
    kit.stash.set_clock(50)
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    kit.stash.put_back(backup)
    assert kit.writer().notice_removed(scenes[1:]) is not None
    writer = kit.writer()
    assert writer.notice_removed(scenes) is None
    assert writer.restored == {scene.id for scene in scenes}
    assert kit.ours(*scenes) == []


# --- Tags of ours -------------------------------------------------------------------------------


def test_law_4_a_backup_of_one_scene_brings_no_tag_back_that_the_user_deleted(kit: Kit) -> None:
    kit.writer().ensure_tag("Vertical")
    library = Library(kit, tag=True, marker=False, made=True)
    kit.writer().add_tags([library.scene], {library.scene.id: [kit.tag("Vertical")]})
    kit.stash.remove_tag(int(kit.tag("Vertical")[0]))
    kit.writer().notice_removed([library.scene])
    other = Library(kit, tag=True, marker=False, made=True)
    other.wait(5)
    other.run()
    other.put_back()
    other.wait(20)
    assert other.run() is None
    assert other.present() == {"tag"}
    with pytest.raises(TagGone):
        kit.writer().ensure_tag("Vertical")
    made = [entry.target_name for entry in kit.ledger.ours([""])]
    assert made.count("Vertical") == 1


def test_law_4_a_tag_whose_id_went_to_another_in_a_restored_database_is_made_again(
    kit: Kit,
) -> None:
    library = Library(kit, tag=True, marker=False, made=True)
    library.wait(5)
    library.run()
    ours = kit.stash.tag_id("Beach")
    library.put_back()
    library.wait(20)
    names = [f"Another {number}" for number in range(5)]
    assert ours in [kit.stash.add_tag(name) for name in names]
    assert library.run() is None
    assert library.present() == {"tag"}


def test_law_4_each_tag_is_looked_for_once(kit: Kit) -> None:
    library = Library(kit, tag=True, marker=False, made=True)
    scenes = [library.scene, *(kit.scene("TagMe") for _ in range(3))]
    backup = kit.stash.back_up()
    library.wait(5)
    beach = (kit.writer().ensure_tag("Beach"), "Beach")
    kit.writer().add_tags(scenes, {scene.id: [beach] for scene in scenes})
    kit.finish(*scenes)
    kit.stash.put_back(backup)
    writer = kit.writer()
    kit.stash.calls.clear()
    for scene in scenes:
        assert writer.notice_removed([scene]) is None
    assert kit.stash.calls["findTag"] == 1


# --- What a row keeps ---------------------------------------------------------------------------


def test_law_2_rows_keep_when_the_scene_had_changed_before_the_write_and_after_it(
    kit: Kit,
) -> None:
    library = Library(kit, tag=True, marker=True, made=False)
    library.wait(5)
    library.run()
    rows = [row for row in kit.ledger.entries() if row.outcome is Outcome.OURS]
    tag, marker, *moves = rows
    assert tag.detail["changed_at"] != tag.detail["left_at"]
    assert (marker.action, marker.detail["changed_at"]) == (
        Action.CREATE_MARKER,
        tag.detail["left_at"],
    )
    moved = [move for move in moves if move.action is Action.MOVE_WORKFLOW]
    assert [move.detail["mode"] for move in moved if "left_at" in move.detail] == ["ADD", "REMOVE"]


def test_law_2_what_an_answer_tells_is_kept_once(kit: Kit) -> None:
    scene: Scene = kit.scene()
    entry = LedgerEntry("run", Action.ADD_TAG, scene.id, scene.fingerprint, "1", "Beach", {"a": 1})
    [row] = kit.ledger.intend([entry])
    kit.ledger.settle({row: (Outcome.OURS, "")}, {row: {"b": 2}})
    kit.ledger.settle({row: (Outcome.OURS, "")}, {row: {"b": 3}})
    assert kit.ledger.entries()[0].detail == {"a": 1, "b": 2}
