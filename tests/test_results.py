from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.store import Moves, Store
from stash_sense_plugin.library.suggested import SuggestionList
from stash_sense_plugin.library.verdicts import Saying, Verdicts
from stash_sense_plugin.records import (
    Decision,
    Fingerprint,
    FrameSource,
    Ran,
    Said,
    Scene,
    Suggestion,
)

FILE = Fingerprint("0123456789abcdef", 5_000)
OTHER = Fingerprint("fedcba9876543210", 6_000)
DOG = Suggestion("tag", "Dog", "dog", 0.9, Decision.APPLY)
CAT = Suggestion("tag", "Cat", "cat", 0.6, Decision.ASK)
FAINT = Suggestion("tag", "Bird", "bird", 0.1, Decision.HIDE)
DIGEST = b"0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as store:
        yield store


def outcome(error: str | None = None) -> dict[str, Any]:
    said = error and {"kind": "unreadable", "message": error, "remedy": ""}
    return {"source": "/media/clip.mp4", "suggestions": [], "error": said}


def keep(store: Store, scene: str, *said: Suggestion, file: Fingerprint = FILE, **more: Any) -> str:
    run = store.begin_run("tag", {})
    store.save_result(run, scene, file, outcome(), suggestions=said, decided=DIGEST, **more)
    return run


def names(store: Store, scene: str = "7") -> dict[str, Decision]:
    return {each.name: each.decision for each in SuggestionList(store).by_scene(scene_id=scene)}


def undo(store: Store, scene: str, key: str) -> None:
    with store.write() as db:
        db.execute("UPDATE suggestions SET undone = 1 WHERE scene_id = ? AND key = ?", (scene, key))


# --- What is suggested now ----------------------------------------------------------------------


def test_the_list_has_what_the_newest_result_asks_and_applies(store: Store) -> None:
    keep(store, "7", DOG, FAINT)
    keep(store, "7", CAT, FAINT)
    assert names(store) == {"Cat": Decision.ASK}


def test_a_result_without_suggestions_leaves_the_list_as_it_is(store: Store) -> None:
    run = keep(store, "7", DOG)
    store.save_result(run, "7", FILE, outcome("cannot be read"))
    assert names(store) == {"Dog": Decision.APPLY}


def test_what_the_user_refused_stays_in_the_list_as_hidden(store: Store) -> None:
    scene = Scene("7", "", "", FILE, None)
    keep(store, "7", DOG)
    Verdicts(store).say([Saying(scene, "tag", "Dog", "3", Said.REFUSED)])
    keep(store, "7", replace(DOG, decision=Decision.HIDE), FAINT)
    assert [each.name for each in SuggestionList(store).by_scene(Decision.HIDE)] == ["Dog"]


@pytest.mark.parametrize(("kept", "shown"), [(True, Decision.ASK), (False, Decision.APPLY)])
def test_what_was_undone_is_asked_about_until_the_scene_is_tagged_anew(
    store: Store, kept: bool, shown: Decision
) -> None:
    keep(store, "7", DOG)
    undo(store, "7", "dog")
    keep(store, "7", DOG, CAT, keep_undone=kept)
    assert names(store) == {"Dog": shown, "Cat": Decision.ASK}


def test_nothing_is_kept_of_a_result_that_cannot_be(store: Store) -> None:
    run = keep(store, "7", DOG)
    with pytest.raises(StoreError):
        store.save_result(run, "7", FILE, {"score": float("nan")}, suggestions=(), tags=("1",))
    assert names(store) == {"Dog": Decision.APPLY}
    assert store.last_tags(["7"]) == {}


def test_a_scene_that_is_forgotten_takes_its_suggestions_along(store: Store) -> None:
    keep(store, "7", DOG)
    keep(store, "8", DOG)
    store.forget_scene("7")
    assert (names(store, "7"), names(store, "8")) == ({}, {"Dog": Decision.APPLY})


# --- The tags that a scene had ------------------------------------------------------------------


def test_the_tags_of_the_first_look_stay_and_those_of_the_last_change(store: Store) -> None:
    keep(store, "7", DOG)
    keep(store, "7", DOG, tags=frozenset({"2", "11"}))
    keep(store, "7", DOG, tags=frozenset({"2", "3"}))
    keep(store, "7", DOG)
    keep(store, "8", DOG, tags=())
    many = [str(number) for number in range(1200)]
    assert store.first_tags(many) == {"7": {"2", "11"}, "8": frozenset()}
    assert store.last_tags(["7", "9"]) == {"7": {"2", "3"}}


# --- What can be decided again ------------------------------------------------------------------


def test_scenes_whose_last_look_went_well_can_be_decided_again(store: Store) -> None:
    ran = Ran("clip", "b@1", "cpu", "fp32", 1, 1.0)
    store.save_analysis(FILE, "key", FrameSource.SPRITE, 61.5, (0.0,), "clip", "b@1", (), ran)
    for scene in ("7", "8", "10", "file:clip"):
        keep(store, scene, DOG)
    store.save_result(store.begin_run("tag", {}), "8", FILE, outcome("cannot be read"))
    first = store.decidable(limit=1)
    [ten], [seven] = first, store.decidable(after=first[-1].scene_id)
    assert (ten.scene_id, seven.scene_id) == ("10", "7")
    assert (seven.fingerprint, seven.duration_s, seven.decided) == (FILE, 61.5, DIGEST)
    assert seven.source == "/media/clip.mp4"
    assert store.decidable(after="7") == []


def test_what_an_older_version_decided_has_no_digest(store: Store) -> None:
    store.save_result(store.begin_run("tag", {}), "7", FILE, outcome())
    assert [each.decided for each in store.decidable()] == [None]


# --- Files that move and files that are replaced ------------------------------------------------


def seen(path: str, file: Fingerprint | None, *others: Fingerprint) -> Scene:
    return Scene("7", "", path, file, 6.0, other_files=others)


def test_a_file_that_moved_keeps_what_is_known_of_it(store: Store) -> None:
    keep(store, "7", DOG)
    assert store.see_files([seen("/new/clip.mp4", FILE)]) == Moves(moved=("7",))
    [still] = store.decidable()
    assert (still.source, still.decided) == ("/new/clip.mp4", DIGEST)
    assert names(store) == {"Dog": Decision.APPLY}
    assert store.see_files([seen("/new/clip.mp4", FILE)]) == Moves()


def test_a_file_that_was_replaced_loses_what_was_known_of_it(store: Store) -> None:
    keep(store, "7", DOG, tags=("2",))
    keep(store, "8", CAT)
    assert store.see_files([seen("/media/clip.mp4", OTHER)]) == Moves(replaced=("7",))
    assert store.latest_result("7") is None
    assert [each.scene_id for each in store.decidable()] == ["8"]
    assert (names(store), names(store, "8")) == ({}, {"Cat": Decision.ASK})
    assert store.first_tags(["7"]) == {"7": {"2"}}


def test_a_file_that_is_kept_beside_the_primary_one_is_not_replaced(store: Store) -> None:
    keep(store, "7", DOG)
    assert store.see_files([seen("/media/clip.mp4", OTHER, FILE)]) == Moves()
    assert names(store) == {"Dog": Decision.APPLY}


def test_a_scene_that_stash_has_not_hashed_tells_nothing(store: Store) -> None:
    keep(store, "7", DOG)
    assert store.see_files([seen("/media/clip.mp4", None), replace(seen("", FILE), id="9")]) == (
        Moves()
    )
    assert names(store) == {"Dog": Decision.APPLY}


def test_a_look_at_another_file_drops_the_results_of_the_old_one(store: Store) -> None:
    first = keep(store, "7", DOG)
    run = store.begin_run("tag", {})
    store.save_result(run, "7", OTHER, outcome("cannot be read"))
    assert store.result(first, "7") is None
    assert names(store) == {}
    store.save_result(run, "7", OTHER, outcome())
    assert [(each.fingerprint, each.decided) for each in store.decidable()] == [(OTHER, None)]


def test_a_failure_before_the_file_was_hashed_does_not_forget_the_file(store: Store) -> None:
    keep(store, "7", DOG)
    store.save_result(store.begin_run("tag", {}), "7", None, outcome("is away"))
    assert store.see_files([seen("/media/clip.mp4", OTHER)]) == Moves(replaced=("7",))
