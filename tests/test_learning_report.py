"""The page and its figures: whole, loading nothing, the same in whatever order scenes come."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from stash_sense_plugin.calibration import Platt
from stash_sense_plugin.learning import page, report
from stash_sense_plugin.learning.evaluation import (
    MOST_POINTS,
    Evaluation,
    Findings,
    LabelColumn,
    SceneRow,
    TagColumn,
    evaluate,
)

NASTY = "Dog </svg><script>alert('&\")</script>"
SCENES = 200


def findings(seed: int = 5) -> Findings:
    """Three tags: one told well, one badly, and one with a name that means mischief."""
    random = np.random.default_rng(seed)
    truth = (random.random((SCENES, 3)) < (0.4, 0.3, 0.05)).astype(np.int8)
    noise = random.normal(0, (0.12, 0.3, 0.2), (SCENES, 3))
    scores = np.clip(0.3 + 0.35 * truth + noise, 0, 1)
    tags = [TagColumn("10", "Kitchen"), TagColumn("11", "Beach"), TagColumn("12", NASTY)]
    labels = [
        LabelColumn("kitchen", 0, "coco", 0.5, 0.85),
        LabelColumn("beach", 1, "coco", 0.5, 0.85),
        LabelColumn("dog", 2, "coco", 0.5, None),
    ]
    scenes = [
        SceneRow(str(at), f"{NASTY} {at}", at, frozenset({"99"} | _tags_of(truth[at])))
        for at in range(SCENES)
    ]
    return Findings(scenes, labels, tags, scores, scores > 0.3, truth)


def _tags_of(row: Any) -> set[str]:
    return {str(10 + place) for place in np.flatnonzero(row).tolist()}


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(findings(), {"99": NASTY})


@pytest.fixture(scope="module")
def told(found: Evaluation) -> dict[str, Any]:
    return report.as_json(found) | {"coverage": {"not_looked": 3}}


def test_the_order_of_scenes_changes_nothing() -> None:
    given = findings()
    turned = np.random.default_rng(2).permutation(SCENES)
    other = replace(
        given,
        scenes=[given.scenes[at] for at in turned.tolist()],
        scores=given.scores[turned],
        holds=given.holds[turned],
        truth=given.truth[turned],
    )
    one, two = (evaluate(each, {}) for each in (given, other))
    assert one.written == two.written
    assert one.shown == two.shown
    assert [tag.average_precision for tag in one.tags] == pytest.approx(
        [tag.average_precision for tag in two.tags]
    )
    assert [each.found for each in one.thresholds] == [each.found for each in two.thresholds]
    assert one.calibration.error == pytest.approx(two.calibration.error)


def test_a_label_that_is_never_written_gets_no_threshold(found: Evaluation) -> None:
    assert "dog" not in {each.label for each in found.thresholds}
    assert found.tags[2].written.said == 0


def test_what_nobody_looked_at_is_neither_right_nor_missed() -> None:
    given = findings()
    blind = given.scores.copy()
    blind[:50, 0] = np.nan
    holds = given.holds.copy()
    holds[:50, 0] = False
    found = evaluate(replace(given, scores=blind, holds=holds), {})
    assert found.tags[0].scenes == SCENES - 50
    assert found.tags[1].scenes == SCENES
    whole = evaluate(given, {})
    assert found.tags[0].positives == whole.tags[0].positives - int(given.truth[:50, 0].sum())


def test_two_labels_of_one_tag_speak_for_it_together() -> None:
    given = findings()
    labels = [*given.labels, LabelColumn("kitchen by text", 0, "text", 0.5, 0.85)]
    sure = np.full((SCENES, 1), np.nan)
    sure[:10] = 0.95
    holds = np.hstack([given.holds, sure > 0])
    scores = np.hstack([given.scores, sure])
    found = evaluate(replace(given, labels=labels, scores=scores, holds=holds), {})
    before = evaluate(given, {})
    assert found.tags[0].written.said >= max(10, before.tags[0].written.said)


def test_a_curve_in_force_is_what_is_judged() -> None:
    given = findings()
    timid = replace(given, fitted={("coco", "kitchen"): Platt(1.0, -9.0)})
    assert evaluate(timid, {}).tags[0].shown.said == 0
    assert evaluate(given, {}).tags[0].shown.said > 0


# --- JSON -----------------------------------------------------------------------------------------


def test_the_figures_are_plain_json(told: dict[str, Any]) -> None:
    assert json.loads(report.text(told)) == told
    assert all("curve" not in tag for tag in report.without_points(told)["tags"])
    assert all(len(tag["curve"]) <= MOST_POINTS for tag in told["tags"])


def test_the_lines_name_the_worst(found: Evaluation) -> None:
    lines = list(report.lines(found))
    assert any(line.startswith("What is written: precision") for line in lines)
    worst = max(found.tags, key=lambda tag: tag.shown.wrong)
    [wrong] = [line for line in lines if line.startswith("Most often wrong")]
    assert f"{worst.name} ({worst.shown.wrong})" in wrong


# --- The page -------------------------------------------------------------------------------------

ALONE = {"meta", "input", "br"}


class _Tree(HTMLParser):
    """Reads a page, and sees that each element is closed in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(told: dict[str, Any]) -> None:
    text = page.page(told)
    tree = _Tree()
    tree.feed(text)
    tree.close()
    assert tree.open == []
    assert not tree.seen & {"script", "link", "iframe", "img", "object", "embed", "base"}
    names = {name for name, _ in tree.attributes}
    assert not names & {"src", "href", "action", "srcset"}
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_each_plot_is_a_picture_with_a_name(told: dict[str, Any]) -> None:
    plots = re.findall(r"<svg.*?</svg>", page.page(told), re.DOTALL)
    assert len(plots) == 3 + len(told["tags"])
    for plot in plots:
        root = ET.fromstring(plot)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]
        for point in root.iter("circle"):
            assert 0 <= float(point.attrib["cx"]) <= 330
            assert 0 <= float(point.attrib["cy"]) <= 300


def test_the_table_can_be_ordered_by_each_column(told: dict[str, Any]) -> None:
    text = page.page(told)
    for key in page.ORDERS:
        assert f'id="by-{key}"' in text
        places = sorted(map(int, re.findall(rf"--by-{key}:(\d+)", text)))
        assert places == list(range(len(told["tags"])))


def test_a_page_about_nothing_is_a_page(told: dict[str, Any]) -> None:
    empty = np.zeros((0, 0))
    nothing = Findings([], [], [], empty, empty > 0, empty.astype(np.int8))
    bare = report.as_json(evaluate(nothing, {})) | {"coverage": {"not_looked": 0}}
    tree = _Tree()
    tree.feed(page.page(bare))
    assert tree.open == []
    assert list(report.lines(evaluate(nothing, {}))) == []
