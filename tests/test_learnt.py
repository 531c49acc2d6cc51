"""What was learnt is kept: curves, thresholds and reports."""

import logging
from pathlib import Path

import pytest

from stash_sense_plugin.calibration import Isotonic, Platt
from stash_sense_plugin.library.learnt import REPORTS_KEPT, Learnt, LearntCurve, LearntThreshold
from stash_sense_plugin.library.store import Store

DOG = LearntCurve("coco", "dog", Platt(6.0, -2.0), 40, 35)
KITCHEN = LearntCurve("clip-exclusive", "kitchen", Isotonic((0.2, 0.8), (0.1, 0.9)), 300, 400)
FROM = LearntThreshold("dog", 0.8125, 0.91, 40)


def test_what_was_learnt_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        Learnt(store).use([DOG, KITCHEN], [FROM])
    with Store(path) as store:
        learnt = Learnt(store)
        assert learnt.fits() == {
            ("coco", "dog"): DOG.curve,
            ("clip-exclusive", "kitchen"): KITCHEN.curve,
        }
        assert learnt.thresholds() == {"dog": 0.8125}


def test_what_is_learnt_later_goes_before(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        learnt = Learnt(store)
        learnt.use([DOG, KITCHEN], [FROM])
        learnt.use([LearntCurve("coco", "dog", Platt(3.0, -1.0), 50, 50)], [])
        assert learnt.fits()["coco", "dog"] == Platt(3.0, -1.0)
        assert learnt.fits()["clip-exclusive", "kitchen"] == KITCHEN.curve
        assert learnt.forget() == 2
        assert learnt.fits() == {}
        assert learnt.thresholds() == {}


def test_a_threshold_goes_with_the_curve_that_it_was_found_by(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        learnt = Learnt(store)
        of_kitchen = LearntThreshold("kitchen", 0.6, 0.9, 300)
        learnt.use([DOG, KITCHEN], [FROM, of_kitchen])
        learnt.use([LearntCurve("coco", "dog", Platt(3.0, -1.0), 50, 50)], [])
        assert learnt.thresholds() == {"kitchen": 0.6}
        learnt.use([], [FROM])
        assert learnt.thresholds() == {"dog": 0.8125, "kitchen": 0.6}


def test_a_curve_of_another_version_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        learnt = Learnt(store)
        learnt.use([DOG, KITCHEN], [])
        with store.write() as db:
            db.execute("UPDATE fits SET curve = '{\"kind\":\"spline\"}' WHERE label = 'dog'")
        with caplog.at_level(logging.WARNING):
            assert learnt.fits() == {("clip-exclusive", "kitchen"): KITCHEN.curve}
    assert "dog" in caplog.text


def test_the_newest_reports_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        learnt = Learnt(store)
        assert learnt.last_report() is None
        for number in range(REPORTS_KEPT + 5):
            learnt.keep_report({"number": number})
        assert learnt.last_report() == {"number": REPORTS_KEPT + 4}
        with store.read() as db:
            assert db.execute("SELECT count(*) FROM evaluations").fetchone()[0] == REPORTS_KEPT
