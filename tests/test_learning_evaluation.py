"""Judging by hand-counted libraries: trees, verdicts, what nobody looked for, curves in force."""

from collections.abc import Sequence

import numpy as np
import pytest

from stash_sense_plugin.calibration import Curve, Platt
from stash_sense_plugin.errors import Cancelled
from stash_sense_plugin.learning.evaluation import (
    MOST_POINTS,
    Findings,
    LabelColumn,
    SceneRow,
    TagColumn,
    evaluate,
)
from stash_sense_plugin.learning.fitting import isotonic
from stash_sense_plugin.learning.metrics import Bools, Counts, Floats

A, B = "1", "2"


def two_tags(
    scenes: Sequence[tuple[frozenset[str], tuple[int, int]]], said: Sequence[Sequence[int]]
) -> Findings:
    """Scenes with (tags by hand, truth of A and B), and whether A and B are said."""
    rows = [SceneRow(str(at), "", at, by_hand) for at, (by_hand, _) in enumerate(scenes)]
    truth = np.array([truths for _, truths in scenes], np.int8)
    holds = np.array(said, np.bool_)
    labels = [LabelColumn(name, at, "picture", 0.3, 0.5) for at, name in enumerate("ab")]
    tags = [TagColumn(A, "A"), TagColumn(B, "B")]
    return Findings(rows, labels, tags, np.where(holds, 0.9, 0.1), holds, truth)


def one_tag(
    scores: Floats, true: Bools, curve: Curve | None = None, apply: float = 0.5
) -> Findings:
    """Scenes with a tag or another, with their label's scores, and the curve in force."""
    rows = [SceneRow(str(at), "", at, frozenset({A if yes else B})) for at, yes in enumerate(true)]
    fitted = {} if curve is None else {("picture", "a"): curve}
    return Findings(
        rows,
        [LabelColumn("a", 0, "picture", 0.1, apply)],
        [TagColumn(A, "A")],
        scores[:, None],
        ~np.isnan(scores[:, None]),
        true[:, None].astype(np.int8),
        fitted=fitted,
    )


# --- With tags above ------------------------------------------------------------------------------


def test_an_accepted_tag_is_true_with_the_tags_above_it_as_well() -> None:
    # Of the first scene A is the user's and B was accepted; the second is tagged B by hand.
    scenes = [(frozenset({A}), (1, 1)), (frozenset({B}), (0, 1))]
    found = evaluate(two_tags(scenes, [(1, 1), (0, 1)]), {}).written
    assert found.micro == Counts(3, 0, 0)
    assert found.hierarchical == Counts(3, 0, 0)


def test_a_refused_tag_is_wrong_with_the_tags_above_it_as_well() -> None:
    # The user refused B of this scene, though it carries it.
    found = evaluate(two_tags([(frozenset({A, B}), (1, 0))], [(1, 1)]), {}).written
    assert found.micro == Counts(1, 1, 0)
    assert found.hierarchical == Counts(1, 1, 0)


# --- What nobody looked for -----------------------------------------------------------------------


def test_a_threshold_counts_the_scenes_in_which_somebody_looked() -> None:
    """Of 80 scenes with the tag 20 were looked at for it: too few, and no recall of a quarter."""
    scores = np.where(np.arange(80) < 20, 0.9, np.nan)
    found = evaluate(one_tag(scores, np.ones(80, np.bool_), apply=0.99), {})
    assert found.tags[0].positives == 20
    assert found.thresholds == ()
    looked = np.where(np.arange(80) < 40, 0.9, np.nan)
    [offered] = evaluate(one_tag(looked, np.ones(80, np.bool_), apply=0.99), {}).thresholds
    assert (offered.found.positives, offered.found.recall) == (40, 1.0)


# --- Curves in force ------------------------------------------------------------------------------


def noise(count: int = 400) -> tuple[Floats, Bools]:
    """Scores that say nothing."""
    random = np.random.default_rng(1)
    return random.random(count), random.random(count) < 0.5


def test_a_learnt_curve_is_not_judged_by_the_scenes_that_it_learnt() -> None:
    """Steps that know each scene of a library by heart look right, where they tell nothing."""
    scores, true = noise()
    own = isotonic(scores, true)
    found = evaluate(one_tag(scores, true, own), {})
    by_heart = evaluate(one_tag(scores, true), {}).calibration_after
    assert found.calibration.error is not None
    assert by_heart.error is not None
    assert found.calibration.error > 0.5 * by_heart.error
    assert found.calibration.brier is not None
    # Always saying 50 % has 0.25, and nothing can tell more of these.
    assert found.calibration.brier > 0.25


def test_a_curve_that_was_used_is_not_offered_again() -> None:
    scores, true = noise()
    [offered] = evaluate(one_tag(scores, true), {}).curves
    again = evaluate(one_tag(scores, true, offered.curve), {})
    assert again.curves == ()
    assert again.calibration.brier == pytest.approx(
        evaluate(one_tag(scores, true), {}).calibration_after.brier
    )


def test_a_learnt_curve_that_is_wrong_of_new_scenes_is_replaced() -> None:
    scores, true = noise()
    [offered] = evaluate(one_tag(scores, true, Platt(1.0, -9.0)), {}).curves
    assert offered.loss < offered.loss_before


# --- Great libraries ------------------------------------------------------------------------------


def test_a_tags_curve_has_few_points_however_many_scenes() -> None:
    scores, true = noise(3000)
    [tag] = evaluate(one_tag(scores, true), {}).tags
    assert len(tag.curve) == MOST_POINTS
    assert tag.curve[0].threshold > tag.curve[-1].threshold
    assert tag.curve[-1].recall == 1.0


def test_it_can_be_stopped_at_each_tag() -> None:
    scenes = [(frozenset({A}), (1, 0)), (frozenset({B}), (0, 1))]
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 2:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        evaluate(two_tags(scenes, [(1, 1), (0, 1)]), {}, check=check)
