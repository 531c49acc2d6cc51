"""What the user said is kept: whatever names, ids and files become of it since."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.library.verdicts import Saying, Verdicts
from stash_sense_plugin.records import Action, Fingerprint, LedgerEntry, Said, Scene

FILE, OTHER = Fingerprint("a" * 16, 100), Fingerprint("b" * 16, 200)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


def scene(number: str = "1", file: Fingerprint | None = FILE, *others: Fingerprint) -> Scene:
    return Scene(number, "", f"/lib/{number}.mp4", file, 60.0, other_files=others)


def say(
    verdicts: Verdicts,
    said: Said,
    name: str = "Beach",
    target_id: str = "5",
    of: Scene | None = None,
) -> None:
    verdicts.say([Saying(of or scene(), "tag", name, target_id, said)])


def refuse(verdicts: Verdicts, name: str = "Beach", target_id: str = "5") -> None:
    say(verdicts, Said.REFUSED, name, target_id)


def accept(verdicts: Verdicts, name: str = "Beach", target_id: str = "5") -> None:
    say(verdicts, Said.ACCEPTED, name, target_id)


def words(*each: str) -> frozenset[tuple[str, str]]:
    return frozenset(("tag", word) for word in each)


# --- What is kept -------------------------------------------------------------------------------


def test_a_later_verdict_takes_the_place_of_an_earlier_one(store: Store) -> None:
    verdicts = Verdicts(store)
    refuse(verdicts)
    assert verdicts.said_of(scene()) == (words(), words("5", "beach"))
    accept(verdicts, "BEACH")
    assert verdicts.said_of(scene()) == (words("5", "beach"), words())
    refuse(verdicts, " beach ")
    assert verdicts.said_of(scene()) == (words(), words("5", "beach"))
    assert [each.said for each in verdicts.listing()] == [Said.REFUSED]


@pytest.mark.parametrize(
    ("name", "target_id"),
    [
        pytest.param("Strand", "5", id="renamed"),
        pytest.param("Beach", "9", id="made anew"),
        pytest.param("Beach", "", id="gone"),
    ],
)
def test_a_thing_is_known_by_its_id_or_by_its_name(store: Store, name: str, target_id: str) -> None:
    verdicts = Verdicts(store)
    refuse(verdicts)
    _, refused = verdicts.said_of(scene())
    assert refused & words(name.casefold(), target_id)


def test_what_is_refused_under_its_other_word_stays_refused(store: Store) -> None:
    """The tag was renamed, a new one was made under its name, and that one is accepted."""
    verdicts = Verdicts(store)
    refuse(verdicts, "Beach", "5")
    accept(verdicts, "Beach", "9")
    assert verdicts.said_of(scene()) == (words("9", "beach"), words("5"))
    accept(verdicts, "Strand", "5")
    assert verdicts.said_of(scene()) == (words("9", "beach", "5", "strand"), words())


def test_a_second_refusal_forgets_nothing_of_the_first(store: Store) -> None:
    verdicts = Verdicts(store)
    refuse(verdicts, "Beach", "5")
    refuse(verdicts, "Beach", "9")
    refuse(verdicts, "Strand", "5")
    assert verdicts.said_of(scene())[1] == words("5", "9", "beach", "strand")


def test_a_verdict_follows_the_file_and_stays_with_the_scene(store: Store) -> None:
    verdicts = Verdicts(store)
    refuse(verdicts)
    moved, replaced = scene("2", FILE), scene("1", OTHER)
    merged, stranger = scene("3", OTHER, FILE), scene("4", OTHER)
    for each in (moved, replaced, merged):
        assert verdicts.said_of(each)[1] == words("5", "beach")
    assert verdicts.said_of(stranger) == (words(), words())


def test_where_merged_files_disagree_the_refusal_holds_until_the_next_word(store: Store) -> None:
    verdicts = Verdicts(store)
    say(verdicts, Said.REFUSED, of=scene("1", FILE))
    say(verdicts, Said.ACCEPTED, of=scene("2", OTHER))
    merged = scene("2", OTHER, FILE)
    assert verdicts.said_of(merged) == (words(), words("5", "beach"))
    say(verdicts, Said.ACCEPTED, of=merged)
    assert verdicts.said_of(merged) == (words("5", "beach"), words())


def test_kinds_are_apart(store: Store) -> None:
    verdicts = Verdicts(store)
    verdicts.say([Saying(scene(), "studio", "Beach", "5", Said.REFUSED)])
    accept(verdicts)
    studio = frozenset({("studio", "5"), ("studio", "beach")})
    assert verdicts.said_of(scene()) == (words("5", "beach"), studio)


def test_a_tag_that_was_taken_away_in_stash_is_refused_although_it_was_accepted(
    store: Store,
) -> None:
    verdicts, ledger = Verdicts(store), StoreLedger(store)
    accept(verdicts)
    ledger.refuse([LedgerEntry("run", Action.ADD_TAG, "1", FILE, "5", "Beach", {})])
    assert verdicts.said_of(scene()) == (words(), words("5", "beach"))
    [verdict] = verdicts.listing()
    assert (verdict.source, verdict.name) == ("noticed", "Beach")


def test_markers_that_were_taken_away_are_refused_as_their_tag_s(store: Store) -> None:
    verdicts, ledger = Verdicts(store), StoreLedger(store)
    for number in "78":
        exact = {"exact": ["5", float(number), None, ""]}
        ledger.refuse([LedgerEntry("run", Action.CREATE_MARKER, "1", FILE, number, "Beach", exact)])
    accept(verdicts)
    [verdict] = verdicts.listing(said=Said.REFUSED)
    assert (verdict.kind, verdict.target_id) == ("marker", "5")
    assert ledger.refused(scene()) == {("marker", "5"), ("marker", "beach")}
    assert verdicts.unmarked(scene()) == frozenset()


def test_what_an_older_version_noticed_of_markers_is_their_tag_s_too(store: Store) -> None:
    verdicts = Verdicts(store)
    refuse_marker = Saying(scene(), "marker", "Beach", "7", Said.REFUSED, "noticed",
                           {"exact": ["5", 7.0, None, ""]})  # fmt: skip
    verdicts.say([refuse_marker])
    words = frozenset({("marker", "5"), ("marker", "beach")})
    assert verdicts.said_of(scene())[1] == words
    assert verdicts.unmarked(scene()) == frozenset()
    last = verdicts.last_said(scene(), "marker", "Strand", ["5"])
    assert last is not None
    assert last.target_ids == {"5"}
    verdicts.say([Saying(scene(), "marker", "Beach", "5", Said.REFUSED)])
    assert verdicts.unmarked(scene()) == words
    verdicts.say([Saying(scene(), "marker", "Beach", "5", Said.ACCEPTED)])
    assert verdicts.said_of(scene()) == (words, frozenset())


def test_many_scenes_at_once_say_the_same_as_one_by_one(store: Store) -> None:
    verdicts = Verdicts(store)
    scenes = [scene(str(n), Fingerprint(f"{n:016x}", n)) for n in range(1, 700)]
    verdicts.say([Saying(each, "tag", "Beach", "5", Said.REFUSED) for each in scenes[::7]])
    found = verdicts.said_of_many(scenes)
    assert found == {each.id: verdicts.said_of(each) for each in scenes[::7]}


# --- Lists, and taking a word back ------------------------------------------------------------


def test_verdicts_are_listed_in_pages_the_newest_first(store: Store) -> None:
    verdicts = Verdicts(store)
    for name in ("One", "Two", "Three"):
        refuse(verdicts, name, "")
    accept(verdicts, "Four", "")
    first = verdicts.listing(limit=2)
    rest = verdicts.listing(after=first[-1].id, limit=2)
    assert [each.name for each in (*first, *rest)] == ["Four", "Three", "Two", "One"]
    assert [each.name for each in verdicts.listing(said=Said.ACCEPTED)] == ["Four"]
    assert verdicts.listing(scene_id="2") == []


def test_a_verdict_that_is_withdrawn_is_as_if_it_had_never_been(store: Store) -> None:
    verdicts = Verdicts(store)
    refuse(verdicts)
    [verdict] = verdicts.listing()
    assert verdicts.withdraw(verdict.id) == verdict
    assert verdicts.withdraw(verdict.id) is None
    assert verdicts.said_of(scene()) == (words(), words())


def test_what_an_undone_run_said_is_withdrawn(store: Store) -> None:
    verdicts = Verdicts(store)
    for run_id, name in (("run-a", "One"), ("run-b", "Two"), ("run-b", "Three")):
        of, detail = scene("2" if name == "Three" else "1"), {"run_id": run_id}
        verdicts.say([Saying(of, "tag", name, "", Said.ACCEPTED, "asked", detail)])
    assert verdicts.withdraw_run("run-b") == 2
    assert [each.name for each in verdicts.listing()] == ["One"]


# --- Any order ----------------------------------------------------------------------------------

IDS, NAMES = ["", "5", "9"], ["Beach", "Strand"]
SAYINGS = st.tuples(
    st.sampled_from(list(Said)),
    st.sampled_from(NAMES),
    st.sampled_from(IDS),
    st.sampled_from(["1", "2"]),
)


@settings(max_examples=60)
@given(said=st.lists(SAYINGS, max_size=8), merged=st.booleans())
def test_what_was_refused_stays_refused_until_just_that_is_accepted(
    tmp_path_factory: pytest.TempPathFactory,
    said: list[tuple[Said, str, str, str]],
    merged: bool,
) -> None:
    """In whatever order: said of one scene, or of two whose files come to lie under one."""
    files = {"1": FILE, "2": OTHER}
    with Store(tmp_path_factory.mktemp("any") / "store.sqlite") as store:
        verdicts = Verdicts(store)
        refused: dict[str, set[str]] = {"1": set(), "2": set()}
        accepted: dict[str, list[set[str]]] = {"1": [], "2": []}
        for what, name, target_id, number in said:
            said_words = {name.casefold(), target_id} - {""}
            say(verdicts, what, name, target_id, scene(number, files[number]))
            kept = [each for each in accepted[number] if not each & said_words]
            if what is Said.REFUSED:
                refused[number] |= said_words
                accepted[number] = kept
            else:
                refused[number] -= said_words
                accepted[number] = [*kept, said_words]
        if merged:
            where, numbers = scene("1", FILE, OTHER), ["1", "2"]
        else:
            where, numbers = scene("1", FILE), ["1"]
        no = set().union(*(refused[number] for number in numbers))
        yes = [each for number in numbers for each in accepted[number] if not each & no]
        expected = words(*(word for each in yes for word in each)), words(*no)
        assert verdicts.said_of(where) == expected
