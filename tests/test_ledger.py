import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stash_sense_plugin.errors import StoreError
from stash_sense_plugin.library.health import check
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import (
    Action,
    Fingerprint,
    Ledger,
    LedgerEntry,
    Outcome,
    Scene,
)

ROOT = Path(__file__).resolve().parent.parent
FILE = Fingerprint("0123456789abcdef", 5_000_000_000)
OTHER_FILE = Fingerprint("fedcba9876543210", 5_000_000_000)
SCENE = Scene("7", "", "/media/a.mp4", FILE, 60.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as store:
        yield store


@pytest.fixture
def ledger(store: Store) -> StoreLedger:
    return StoreLedger(store)


def added(scene_id: str = "7", **changes: Any) -> LedgerEntry:
    entry = LedgerEntry("run 1", Action.ADD_TAG, scene_id, FILE, "31", "Kitchen")
    return replace(entry, **changes)


def write(ledger: Ledger, *entries: LedgerEntry, outcome: Outcome = Outcome.OURS) -> list[int]:
    rows = ledger.intend(entries)
    ledger.settle(dict.fromkeys(rows, (outcome, "")))
    return rows


def test_law_2_a_before_row_comes_back_as_it_was_meant(ledger: StoreLedger) -> None:
    marker = LedgerEntry(
        "run 1",
        Action.CREATE_MARKER,
        "7",
        FILE,
        "",
        "Küche 🍳",
        {"tuple": ["7", "31", 1.5, 9.25], "there": ["4", "5"], "mode": None},
    )
    tag = LedgerEntry("run 1", Action.CREATE_TAG, "", None, "", "Kitchen")
    rows = ledger.intend([marker, tag])
    assert ledger.unsettled() == [replace(marker, row=rows[0]), replace(tag, row=rows[1])]


def test_law_2_an_after_row_says_how_it_ended_and_the_new_id(ledger: StoreLedger) -> None:
    there, new = ledger.intend([added(), added(action=Action.CREATE_MARKER, target_id="")])
    ledger.settle({there: (Outcome.WAS_THERE, ""), new: (Outcome.OURS, "99")})
    first, second = ledger.entries()
    assert (first.outcome, first.target_id) == (Outcome.WAS_THERE, "31")
    assert (second.outcome, second.target_id) == (Outcome.OURS, "99")
    assert ledger.unsettled() == []


def test_settling_again_alike_does_nothing(ledger: StoreLedger) -> None:
    (row,) = ledger.intend([added(target_id="")])
    ledger.settle({row: (Outcome.OURS, "99")})
    before = ledger.entries()
    ledger.settle({row: (Outcome.OURS, "99")})
    ledger.settle({row: (Outcome.OURS, "")})
    assert ledger.entries() == before


@pytest.mark.parametrize(
    ("again", "why"),
    [
        pytest.param((Outcome.FAILED, "99"), "settled as ours", id="another outcome"),
        pytest.param((Outcome.OURS, "98"), "settled as ours", id="another id"),
        pytest.param((Outcome.INTENDED, "99"), "merely intended", id="back to intended"),
    ],
)
def test_a_settled_row_stays(ledger: StoreLedger, again: tuple[Outcome, str], why: str) -> None:
    (row,) = ledger.intend([added(target_id="")])
    ledger.settle({row: (Outcome.OURS, "99")})
    with pytest.raises(StoreError, match=why):
        ledger.settle({row: again})
    assert ledger.entries()[0].outcome is Outcome.OURS


def test_one_unknown_row_settles_none(ledger: StoreLedger) -> None:
    (row,) = ledger.intend([added()])
    with pytest.raises(StoreError, match="no row 4711"):
        ledger.settle({row: (Outcome.OURS, ""), 4711: (Outcome.OURS, "")})
    assert [entry.row for entry in ledger.unsettled()] == [row]


def test_a_detail_that_is_no_json_writes_no_row(ledger: StoreLedger) -> None:
    with pytest.raises(StoreError, match="plain JSON"):
        ledger.intend([added(), added(detail={"start_s": float("nan")})])
    assert ledger.entries() == []


def test_nothing_to_write_is_nothing_written(ledger: StoreLedger) -> None:
    assert ledger.intend([]) == []
    ledger.settle({})
    ledger.refuse([])
    assert ledger.entries() == []


def test_law_1_ours_is_only_what_we_put_there(ledger: StoreLedger) -> None:
    write(ledger, added(target_id="1"))
    write(ledger, added(target_id="2"), outcome=Outcome.WAS_THERE)
    write(ledger, added(target_id="3"), outcome=Outcome.FAILED)
    write(ledger, added(target_id="4", action=Action.MOVE_WORKFLOW))
    ledger.intend([added(target_id="5")])
    write(ledger, added("8", target_id="6"))
    assert [entry.target_id for entry in ledger.ours(["7"])] == ["1"]
    assert [entry.target_id for entry in ledger.ours(["8", "7", "8"])] == ["1", "6"]
    assert ledger.ours([]) == []


def test_ours_asks_for_as_many_scenes_as_there_are(ledger: StoreLedger) -> None:
    write(ledger, *(added(str(scene)) for scene in range(0, 3000, 100)))
    assert len(ledger.ours(str(scene) for scene in range(3000))) == 30


def test_the_newest_of_ours_are_of_distinct_scenes(ledger: StoreLedger) -> None:
    for scene in ("1", "2", "3", "2"):
        write(ledger, added(scene), added(scene, target_id="32"))
    write(ledger, added("4"), outcome=Outcome.WAS_THERE)
    write(ledger, added("5", action=Action.MOVE_WORKFLOW))
    write(ledger, added("", action=Action.CREATE_TAG, fingerprint=None))
    assert sorted(entry.scene_id for entry in ledger.newest_ours(2)) == ["2"] * 4 + ["3"] * 2
    assert {entry.scene_id for entry in ledger.newest_ours(50)} == {"1", "2", "3"}
    ledger.refuse(ledger.ours(["2"]))
    assert {entry.scene_id for entry in ledger.newest_ours(2)} == {"1", "3"}


def test_what_we_took_back_is_no_longer_ours_and_no_refusal(ledger: StoreLedger) -> None:
    rows = write(ledger, added())
    ledger.withdraw(rows)
    assert ledger.ours(["7"]) == []
    assert ledger.refused(SCENE) == frozenset()
    write(ledger, added())
    assert len(ledger.ours(["7"])) == 1


def test_law_4_a_refusal_is_remembered_by_id_and_by_name(ledger: StoreLedger) -> None:
    write(ledger, added(target_name=" Straße "))
    ledger.refuse(ledger.ours(["7"]))
    assert ledger.refused(SCENE) == {("tag", "31"), ("tag", "strasse")}
    assert ledger.ours(["7"]) == []


@pytest.mark.parametrize(
    ("scene", "holds"),
    [
        pytest.param(SCENE, True, id="the scene"),
        pytest.param(replace(SCENE, id="8"), True, id="its file under another scene"),
        pytest.param(replace(SCENE, id=""), True, id="its file from the command line"),
        pytest.param(replace(SCENE, fingerprint=OTHER_FILE), True, id="the scene with a new file"),
        pytest.param(replace(SCENE, fingerprint=None), True, id="the scene, its file unknown"),
        pytest.param(replace(SCENE, id="8", fingerprint=OTHER_FILE), False, id="another scene"),
        pytest.param(replace(SCENE, id="", fingerprint=None), False, id="nothing known"),
    ],
)
def test_law_4_a_refusal_follows_the_scene_and_its_file(
    ledger: StoreLedger, scene: Scene, holds: bool
) -> None:
    ledger.refuse([added()])
    ledger.refuse([added("9", fingerprint=None, target_id="32")])
    assert bool(ledger.refused(scene)) is holds


def test_a_refusal_without_a_file_does_not_spread(ledger: StoreLedger) -> None:
    ledger.refuse([added(fingerprint=None)])
    assert ledger.refused(replace(SCENE, id="8", fingerprint=None)) == frozenset()
    assert ledger.refused(replace(SCENE, id="", fingerprint=None)) == frozenset()


def test_kinds_are_refused_each_for_itself(ledger: StoreLedger) -> None:
    ledger.refuse(
        [
            added(action=Action.SET_STUDIO, target_id="2", target_name="Acme"),
            added(
                action=Action.CREATE_MARKER,
                target_id="9",
                target_name="Sofa",
                detail={"exact": ["5", 1.0, 2.0, ""]},
            ),
            added(action=Action.MOVE_WORKFLOW, target_id="6", target_name="TagMe"),
            added("", action=Action.CREATE_TAG, fingerprint=None),
        ]
    )
    assert ledger.refused(SCENE) == {
        ("studio", "2"),
        ("studio", "acme"),
        ("marker", "5"),
        ("marker", "sofa"),
    }


def test_a_refusal_of_no_scene_and_no_file_is_an_error(ledger: StoreLedger) -> None:
    with pytest.raises(StoreError, match="needs a scene or a file"):
        ledger.refuse([added("", fingerprint=None)])


def test_refusing_takes_every_row_of_the_same_thing(ledger: StoreLedger, store: Store) -> None:
    write(ledger, added(run_id="run 1"), added(run_id="run 2"), added(target_id="32"))
    ledger.refuse(ledger.ours(["7"])[:1])
    ledger.refuse([added()])
    assert [entry.target_id for entry in ledger.ours(["7"])] == ["32"]
    assert store.stats().refusals == 1


def test_rows_are_paged_in_order_for_a_run_or_all(ledger: StoreLedger) -> None:
    for turn in range(9):
        write(ledger, added(run_id=f"run {turn % 2}", target_id=str(turn)))
    page = ledger.entries("run 1", limit=3)
    last = page[-1].row
    assert last is not None
    rest = ledger.entries("run 1", after=last, limit=3)
    assert [entry.target_id for entry in page + rest] == ["1", "3", "5", "7"]
    assert len(ledger.entries()) == 9


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    plain | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=6
)
entries = st.builds(
    LedgerEntry,
    run_id=st.text(),
    action=st.sampled_from(Action),
    scene_id=st.text(),
    fingerprint=st.none() | st.builds(Fingerprint, st.text(), st.integers(0, 2**62)),
    target_id=st.text(),
    target_name=st.text(),
    detail=st.dictionaries(st.text(), json_values),
)


@settings(max_examples=40)
@given(wanted=st.lists(entries, max_size=5))
def test_any_entry_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[LedgerEntry]
) -> None:
    with Store(tmp_path_factory.mktemp("ledger") / "s.sqlite") as store:
        ledger = StoreLedger(store)
        rows = ledger.intend(wanted)
        expected = [replace(entry, row=row) for entry, row in zip(wanted, rows, strict=True)]
        assert ledger.unsettled() == ledger.entries() == expected


# --- Killed between the mutation and its after-row -----------------------------------------------

WRITER = """
import sys
from pathlib import Path
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.records import Action, Fingerprint, LedgerEntry, Outcome

with Store(Path(sys.argv[1])) as store:
    ledger = StoreLedger(store)
    entries = [
        LedgerEntry("run 1", Action.CREATE_MARKER, str(scene), Fingerprint("aa", 1), "", "Kitchen",
                    {"start_s": 1.5, "there": ["4"]})
        for scene in range(3)
    ]
    rows = ledger.intend(entries)
    ledger.settle({rows[0]: (Outcome.OURS, "90")})
    print(*rows, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_law_2_a_kill_between_before_and_after_leaves_the_before_rows(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout is not None
        rows = [int(each) for each in writer.stdout.readline().split()]
        os.kill(writer.pid, signal.SIGKILL)
    with Store(path) as store:
        ledger = StoreLedger(store)
        left = ledger.unsettled()
        assert [(entry.row, entry.scene_id) for entry in left] == [(rows[1], "1"), (rows[2], "2")]
        assert left[0].detail == {"start_s": 1.5, "there": ["4"]}
        ledger.settle({rows[1]: (Outcome.OURS, "91"), rows[2]: (Outcome.FAILED, "")})
        assert [entry.target_id for entry in ledger.ours(["0", "1", "2"])] == ["90", "91"]
        assert check(store, None) == ("whole", "")


@pytest.mark.parametrize(
    "write_row",
    [
        pytest.param(lambda ledger, row: ledger.intend([added()]), id="intend"),
        pytest.param(lambda ledger, row: ledger.settle({row: (Outcome.OURS, "")}), id="settle"),
        pytest.param(lambda ledger, row: ledger.refuse([added()]), id="refuse"),
        pytest.param(lambda ledger, row: ledger.withdraw([row]), id="withdraw"),
    ],
)
def test_law_2_a_row_is_on_the_disk_when_its_call_returns(
    store: Store, ledger: StoreLedger, write_row: Callable[[StoreLedger, int], object]
) -> None:
    (row,) = ledger.intend([added()])
    told: list[str] = []
    with store.read() as db:
        db.set_trace_callback(told.append)
    write_row(ledger, row)
    sync = told.index("PRAGMA synchronous = FULL")
    assert sync < told.index("COMMIT", sync) < told.index("PRAGMA synchronous = NORMAL")
