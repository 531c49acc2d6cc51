"""The demo's parts: its clips, its judge, its page, and the zip that it installs."""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from demo.clips import (
    FPS,
    TALL,
    WIDE,
    Clip,
    Expected,
    boxed,
    build_library,
    dimmed,
    grey,
    one_after_another,
    pan,
    picture,
    sample_library,
    title,
    write_clip,
)
from demo.judging import Verdict, judge, recall
from demo.report import write_page
from demo.stash.plugin_files import Plugin, find_plugins
from stash_sense_plugin.errors import MediaUnreadable
from stash_sense_plugin.media.video import probe_video, read_keyframes
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.start.cold import TASKS
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.tasks import MODES
from stash_sense_plugin.vocabulary import load_vocabulary
from tools.build_zip import PLUGIN_ID, build

ROOT = Path(__file__).resolve().parent.parent
BLACK = title("")


# --- Clips --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "seconds"), [(WIDE, 1.0), (TALL, 2.5)], ids=["wide", "tall and longer"]
)
def test_a_clip_is_as_long_and_as_large_as_it_says(
    tmp_path: Path, size: tuple[int, int], seconds: float
) -> None:
    made = write_clip(Clip("one.mp4", seconds, size, pan(picture("coffee.png"), size)), tmp_path)
    facts = probe_video(made)
    assert (facts.width, facts.height) == size
    assert facts.duration_s == pytest.approx(seconds, abs=1 / FPS)
    with av.open(str(made)) as container:
        assert sum(1 for _ in container.decode(video=0)) == round(seconds * FPS)


def test_a_spoiled_clip_keeps_its_header_and_has_no_picture(tmp_path: Path) -> None:
    made = write_clip(Clip("bad.mp4", 1, WIDE, BLACK, spoiled=True), tmp_path)
    with av.open(str(made)) as container:
        assert container.streams.video[0].width == WIDE[0]
    with pytest.raises(MediaUnreadable):
        list(read_keyframes(made, [0.0], 100, "x"))


def test_what_is_there_of_the_library_is_not_written_again(tmp_path: Path) -> None:
    for clip in sample_library():
        (tmp_path / clip.name).write_bytes(b"there already")
    assert [clip.name for clip in build_library(tmp_path)] == [c.name for c in sample_library()]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"there already"}


def test_painters_show_what_they_are_called_after() -> None:
    base = pan(picture("coffee.png"), WIDE)
    assert np.ptp(np.asarray(grey(base)(1)), axis=2).max() == 0
    assert np.asarray(dimmed(base)(1)).mean() < 0.15 * np.asarray(base(1)).mean()
    framed = np.asarray(boxed(base)(1))
    assert framed[:40].max() == framed[-40:].max() == 0
    row = one_after_another((2, grey(base)), (1, base))
    assert np.array_equal(np.asarray(row(2.5)), np.asarray(base(0.5)))
    assert np.array_equal(np.asarray(row(1.5)), np.asarray(grey(base)(1.5)))


def test_what_is_expected_can_be_found_at_all() -> None:
    words = load_vocabulary(ROOT / "models" / "vocabulary.yaml", None)
    tags = {label.tag for label in words.labels.values()}
    for clip in sample_library():
        for each in clip.expected:
            assert each.kind in ("tag", "studio", "text")
            assert each.needs in ("embedded", "clip", "objects")
            assert each.kind != "tag" or each.name in tags
            assert each.end_s is None or 0 <= (each.start_s or 0) < each.end_s <= clip.duration_s
    assert {clip.ends_as for clip in sample_library()} == {"Tagged", "Errored"}


# --- Judging ------------------------------------------------------------------------------------

FIRST_HALF = Expected("tag", "Dark", 0, 5)
STUDIO = Expected("studio", "Northlight")
TEXT = Expected("text", "THE END", 5, 10)
CAT = Expected("tag", "Cat", 0, 10, needs="objects")


def ranged(name: str, *spans: tuple[float, float]) -> dict[str, Any]:
    return {"name": name, "ranges": [{"start_s": start, "end_s": end} for start, end in spans]}


def read(text: str, start_s: float, end_s: float) -> dict[str, Any]:
    return {"text": text, "start_s": start_s, "end_s": end_s, "score": 0.9}


@pytest.mark.parametrize(
    ("expected", "tags", "studio", "result", "found", "missed", "wrong"),
    [
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {"suggestions": [ranged("Dark", (0, 5))]},
            ["Dark"], [], [], id="a tag at its time",
        ),
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {"suggestions": [ranged("Dark", (0, 2), (2.5, 5))]},
            ["Dark"], [], [], id="in two parts",
        ),
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {"suggestions": [ranged("Dark", (0, 10))]},
            ["Dark"], [], [], id="twice as long is just enough",
        ),
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {"suggestions": [ranged("Dark", (5, 10))]},
            [], ["Dark"], [], id="at another time",
        ),
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {"suggestions": [ranged("Dark", (0, 2.4))]},
            [], ["Dark"], [], id="too short",
        ),
        pytest.param(
            FIRST_HALF, set(), None, {"suggestions": [ranged("Dark", (0, 5))]},
            [], ["Dark"], [], id="seen and not written",
        ),
        pytest.param(
            FIRST_HALF, {"Dark"}, None, {}, [], ["Dark"], [], id="written without a reason",
        ),
        pytest.param(
            STUDIO, set(), "Northlight", {}, ["Northlight"], [], [], id="the studio",
        ),
        pytest.param(
            STUDIO, {"Boat"}, "Southside", {}, [], ["Northlight"], ["Boat", "Southside"],
            id="another studio and a tag that nobody sees",
        ),
        pytest.param(
            TEXT, set(), None, {"texts": [read("the  End", 5, 10)]},
            ["THE END"], [], [], id="text in any case and spacing",
        ),
        pytest.param(
            TEXT, set(), None, {"texts": [read("THE EN", 5, 10)]},
            [], ["THE END"], [], id="text misread",
        ),
        pytest.param(
            CAT, {"Cat"}, None, {}, [], [], [], id="what cannot be seen here is not wrong",
        ),
    ],
)  # fmt: skip
def test_judging(
    expected: Expected,
    tags: set[str],
    studio: str | None,
    result: Mapping[str, Any],
    found: list[str],
    missed: list[str],
    wrong: list[str],
) -> None:
    clip = Clip("one.mp4", 10, WIDE, BLACK, (expected,))
    able = frozenset({"embedded"})
    verdict = judge(clip, frozenset({"Tagged", *tags}), studio, result, able)
    assert list(verdict.found) == [*found, "Tagged"]
    assert (list(verdict.missed), list(verdict.wrong)) == (missed, wrong)
    assert verdict.later == (("Cat",) if expected is CAT else ())


@pytest.mark.parametrize(
    ("tags", "workflow", "missed"),
    [
        ({"Tagged"}, "Tagged", []),
        ({"Errored"}, "Errored", ["Tagged"]),
        ({"TagMe"}, "TagMe", ["Tagged"]),
        ({"TagMe", "Tagged"}, "TagMe, Tagged", ["Tagged"]),
        ({"Errored", "Tagged"}, "Errored, Tagged", ["Tagged"]),
        (set(), None, ["Tagged"]),
    ],
    ids=["done", "failed", "to do", "half moved", "both", "none"],
)
def test_a_clip_must_end_with_exactly_its_workflow_tag(
    tags: set[str], workflow: str | None, missed: list[str]
) -> None:
    clip = Clip("one.mp4", 10, WIDE, BLACK)
    verdict = judge(clip, frozenset(tags), None, {}, frozenset())
    assert (verdict.workflow, list(verdict.missed)) == (workflow, missed)


def test_two_things_of_one_name_are_judged_apart() -> None:
    both = (Expected("studio", "NORTH"), Expected("text", "NORTH", 0, 10))
    clip = Clip("one.mp4", 10, WIDE, BLACK, both)
    judged = judge(clip, frozenset({"Tagged"}), "NORTH", {}, frozenset({"embedded"}))
    assert (judged.found, judged.missed) == (("NORTH", "Tagged"), ("NORTH",))


def test_recall_counts_over_all_clips() -> None:
    assert recall([verdict(found=3, missed=1), verdict(found=0, missed=1)]) == 0.6
    assert recall([]) == 0


def verdict(found: int, missed: int) -> Verdict:
    clip = Clip("unwritten.mp4", 10, WIDE, BLACK)
    return Verdict(clip, "Tagged", {}, ("x",) * found, ("y",) * missed, (), ())


# --- The page -----------------------------------------------------------------------------------

HOSTILE = "<script>alert('x')</script>\"' & </h2>"


class Parsed(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_hostile_words_as_text(tmp_path: Path) -> None:
    span = {"start_s": 0.0, "end_s": 5.0, "score": 0.9}
    suggestion = {
        "name": HOSTILE, "kind": "tag", "confidence": 0.9, "ranges": [span], "decision": "ASK",
    }  # fmt: skip
    result = {
        "suggestions": [suggestion, suggestion | {"decision": "HIDE", "name": "Hidden"}],
        "texts": [{"text": HOSTILE, **span}],
        "error": {"kind": "x", "message": HOSTILE, "remedy": HOSTILE},
    }
    clip = Clip(HOSTILE.replace("/", ""), 10, WIDE, BLACK)
    words = (HOSTILE,)
    bad = Verdict(clip, HOSTILE, result, words, words, words, words)
    page = write_page(tmp_path / "page.html", [bad], tmp_path, 0.5).read_text()
    parsed = Parsed(page)
    assert "script" not in parsed.elements
    assert not [name for name in parsed.attributes if name.startswith("on")]
    assert parsed.text.count(HOSTILE) == 8
    assert "Hidden" not in parsed.text
    assert "50%" in parsed.text


def test_the_page_shows_pictures_of_clips_that_have_some(tmp_path: Path) -> None:
    clip = Clip("one.mp4", 1, WIDE, pan(picture("coffee.png"), WIDE))
    write_clip(clip, tmp_path)
    good = replace(verdict(1, 0), clip=clip)
    page = write_page(tmp_path / "page.html", [good, verdict(0, 0)], tmp_path, 1.0)
    assert Parsed(page.read_text()).elements.count("img") == 6


# --- The zip and plugin.yml ---------------------------------------------------------------------


def test_the_zip_holds_what_stash_needs_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(ROOT, tmp_path)) as bundle:
        names = bundle.namelist()
    assert [name for name in names if name.endswith((".yml", ".yaml"))] == [
        "stash-sense.yml",
        "models/catalogue.yaml",
        "models/vocabulary.yaml",
    ]
    assert {"requirements.txt", "LICENSE", "stash_sense_plugin/__main__.py"} <= set(names)
    assert {name.split("/")[0] for name in names if "/" in name} <= {
        "stash_sense_plugin",
        "models",
        "ui",
    }
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".onnx"))]
    assert len(set(names)) == len(names)


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    first, second = build(ROOT, tmp_path / "one"), build(ROOT, tmp_path / "two")
    assert first.read_bytes() == second.read_bytes()


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Plugin:
    """What a Stash makes of the zip; it reads its keys as strictly as Stash."""
    folder = tmp_path_factory.mktemp("plugins")
    with zipfile.ZipFile(build(ROOT, folder / "dist")) as bundle:
        bundle.extractall(folder / PLUGIN_ID)
    (found,) = find_plugins(folder / PLUGIN_ID)
    assert isinstance(found, Plugin), found
    return found


def test_plugin_yml_loads_with_the_version_of_the_package(plugin: Plugin) -> None:
    assert (plugin.id, plugin.name, plugin.file.version) == (PLUGIN_ID, "Stash Sense", VERSION)
    command = plugin.command(plugin.file.tasks[0])
    assert command[0] == "python"
    assert Path(command[-1]).is_file()


def test_every_task_is_one_of_ours_and_may_set_up(plugin: Plugin) -> None:
    modes = {(task.defaultArgs or {})["mode"] for task in plugin.file.tasks}
    assert modes == set(TASKS)
    # A job would answer with its id at once, and the task would end.
    assert all(MODES[mode].kind != "job" for mode in modes - {"set_up_extras"})
    assert "set_up_extras" not in MODES  # the door does it, without the worker


def test_every_setting_is_shown_with_its_type(plugin: Plugin) -> None:
    shown = {name: setting.type for name, setting in (plugin.file.settings or {}).items()}
    types = {bool: "BOOLEAN", int: "NUMBER", str: "STRING"}
    plain = Settings()
    assert shown == {name: types[type(getattr(plain, name))] for name in plain.__slots__}


def test_what_is_said_of_defaults_is_so(plugin: Plugin) -> None:
    plain = Settings()
    for name, setting in (plugin.file.settings or {}).items():
        default = getattr(plain, name)
        if default:
            assert setting.description.endswith(f" means {default}."), name
