"""Scenes and files through the real detectors that come inside packages."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from demo.clips import WIDE, Clip, grey, pan, picture, with_text, write_clip
from stash_sense_plugin.errors import MediaMissing, MediaUnreadable, SettingsError
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.records import Decision, FrameSource, Scene, SceneResult
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.engine import Call, Engine, open_engine
from stash_sense_plugin.tasks.files import tag_file
from stash_sense_plugin.tasks.looking import Looker, scene_of_file
from tests.small_networks import mean_colour, sum_of_words
from tests.sweep_kit import small

PACKAGE = Path(__file__).resolve().parent.parent / "stash_sense_plugin"
QUICK = Settings(
    frames=4, text_frames=2, object_model="nudenet-320n", skip_labels=True, skip_quality=True
)
FACTS = replace(QUICK, skip_objects=True, skip_text=True)
STUDIO = [StudioName("7", "Northlight Studio", ())]

CATALOGUE = """\
models:
  own-bodies:
    task: objects
    about: NudeNet from a file of one's own
    licence: AGPL-3.0
    commercial: true
    words: nudenet
    files:
      network: {path: weights/320n.onnx}
  colours:
    task: clip
    about: Three colours
    licence: none
    commercial: false
    mean: [0.0, 0.0, 0.0]
    std: [1.0, 1.0, 1.0]
    logit_scale: 10
    files:
      visual: {path: weights/visual.onnx}
      textual: {path: weights/textual.onnx}
      tokenizer: {path: weights/tokenizer.json}
"""
VOCABULARY = """\
labels:
  grey picture:
    {group: camera, tag: Grey, prompts: [grey], negatives: [red], shortest_percent: 0}
"""


class Job:
    """A job that nobody stops."""

    def log(self, level: str, message: str) -> None: ...
    def progress(self, fraction: float) -> None: ...
    def check(self) -> None: ...


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "home", PACKAGE, small)
    opened.settings = QUICK
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of a face in black and white, with a studio's name on it."""
    portrait = picture("astronaut.png").crop((80, 25, 380, 194))
    paint = with_text(grey(pan(portrait, WIDE, 1.05)), "NORTHLIGHT STUDIO", (0.22, 0.08), 24)
    return write_clip(Clip("face.mp4", 6, WIDE, paint), tmp_path_factory.mktemp("clips"))


@pytest.fixture
def clip(face: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may take away."""
    return Path(shutil.copy(face, tmp_path / "face.mp4"))


def scene_of(path: Path) -> Scene:
    """The file as Stash tells of it."""
    return replace(scene_of_file(path), id="12")


def tags(result: SceneResult) -> dict[str, Decision]:
    return {each.name: each.decision for each in result.suggestions}


# --- Analyse once, decide forever ---------------------------------------------------------------


def write_weights(home: Path) -> Path:
    """Lay networks of the user's own into the data folder, with rows and a label for them."""
    weights = home / "weights"
    weights.mkdir(parents=True)
    shutil.copy(str(files("nudenet") / "320n.onnx"), weights / "320n.onnx")
    mean_colour(weights / "visual.onnx")
    words = {"[pad]": 0, "red": 1, "grey": 2, "[other]": 3}
    vectors = np.array([[0, 0, 0], [9, 0, 0], [9, 9, 9], [0, 0, 0]], np.float32)
    sum_of_words(weights / "textual.onnx", vectors)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[other]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(weights / "tokenizer.json"))
    (home / "catalogue.yaml").write_text(CATALOGUE, "utf-8")
    (home / "vocabulary.yaml").write_text(VOCABULARY, "utf-8")
    return weights


def test_a_second_look_needs_neither_weights_nor_video(tmp_path: Path, clip: Path) -> None:
    """Design: analyse once, decide forever. Weights and video are taken away first."""
    home, scene = tmp_path / "home", scene_of(clip)
    weights = write_weights(home)
    seeing = replace(QUICK, skip_labels=False, skip_quality=False)
    settings = replace(seeing, clip_model="colours", object_model="own-bodies")

    engine = open_engine(home, PACKAGE, small)
    engine.settings = settings
    first = Looker(engine, Job(), studios=STUDIO).look(scene)
    engine.close()
    assert {"Black and White", "Face Close-up", "Grey", "Northlight Studio"} <= tags(first).keys()
    assert len(first.ran) == 6
    assert all(ran.seconds > 0 for ran in first.ran)

    clip.unlink()
    shutil.rmtree(weights)
    engine = open_engine(home, PACKAGE, small)
    engine.settings = settings
    second = Looker(engine, Job(), studios=STUDIO).look(scene)
    assert second.suggestions == first.suggestions
    assert second.texts == first.texts
    assert second.frames == first.frames
    assert second.skipped == ()
    assert [ran.model for ran in second.ran] == [ran.model for ran in first.ran]
    assert {ran.seconds for ran in second.ran} == {0.0}

    strict = VOCABULARY + "  black and white: {apply: never}\n  face close-up: {remove: true}\n"
    (home / "vocabulary.yaml").write_text(strict, "utf-8")
    third = tags(Looker(engine, Job(), studios=STUDIO).look(scene))
    engine.close()
    assert (tags(first)["Black and White"], third["Black and White"]) == (
        Decision.APPLY,
        Decision.ASK,
    )
    assert "Face Close-up" not in third


# --- What the settings do -----------------------------------------------------------------------


def test_the_settings_say_how_many_frames_are_read(engine: Engine, clip: Path) -> None:
    engine.settings = replace(QUICK, frames=5, text_frames=3, skip_facts=True)
    result = Looker(engine, Job()).look(scene_of(clip))
    assert {ran.detector: ran.frames for ran in result.ran} == {"objects": 5, "text": 3}
    assert result.frames[FrameSource.VIDEO] == 8


def test_a_studio_is_found_unless_it_is_skipped(engine: Engine, clip: Path) -> None:
    engine.settings = replace(QUICK, skip_objects=True, skip_facts=True)
    found = Looker(engine, Job(), studios=STUDIO).look(scene_of(clip))
    studios = [each.target_id for each in found.suggestions if each.kind == "studio"]
    assert studios == ["7"]
    engine.settings = replace(engine.settings, skip_studio=True)
    skipped = Looker(engine, Job(), studios=STUDIO).look(scene_of(clip))
    assert all(each.kind == "tag" for each in skipped.suggestions)
    assert [text.text.replace(" ", "") for text in skipped.texts] == ["NORTHLIGHTSTUDIO"]


@pytest.mark.parametrize(
    ("changed", "decision"),
    [
        pytest.param({}, Decision.APPLY, id="as shipped"),
        pytest.param({"suggest_only": True}, Decision.ASK, id="suggest only"),
        pytest.param({"apply_percent": 100}, Decision.ASK, id="only when certain"),
        pytest.param({"never": "dark, BLACK AND WHITE"}, Decision.HIDE, id="never"),
    ],
)
def test_the_settings_bound_what_is_decided(
    engine: Engine, clip: Path, changed: dict[str, object], decision: Decision
) -> None:
    engine.settings = replace(FACTS, **changed)  # type: ignore[arg-type]
    assert tags(Looker(engine, Job()).look(scene_of(clip)))["Black and White"] is decision


def test_what_was_refused_for_a_scene_is_hidden(engine: Engine) -> None:
    refused = frozenset({("tag", "12")})
    engine.settings = replace(FACTS, max_gap_s=7)
    told = Looker(engine, Job()).options(refused)
    assert (told.refused, told.max_gap_s, told.apply) == (refused, 7, None)


# --- Files --------------------------------------------------------------------------------------


def test_a_scene_that_stash_did_not_hash_is_hashed_here(engine: Engine, clip: Path) -> None:
    engine.settings = FACTS
    Looker(engine, Job()).look(replace(scene_of(clip), fingerprint=None))
    assert engine.store.latest_analysis(oshash(clip), "picture") is not None
    with pytest.raises(MediaMissing, match="has no file"):
        Looker(engine, Job()).look(Scene("3", "", "", None, 10.0))


def test_a_file_is_described_by_its_content(clip: Path, tmp_path: Path) -> None:
    video = scene_of_file(clip)
    assert (video.id, video.width, video.height) == ("", *WIDE)
    assert video.duration_s == pytest.approx(6.0, abs=0.1)
    Image.new("RGB", (640, 480), "red").save(tmp_path / "misnamed.mp4", "PNG")
    assert scene_of_file(tmp_path / "misnamed.mp4").duration_s is None


def test_tagging_a_file_tells_its_result(engine: Engine, clip: Path) -> None:
    engine.defaults = FACTS
    told = tag_file(engine, Call({"path": str(clip)}), Job())
    assert told["source"] == str(clip)
    assert told["error"] is None
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_a_file_without_a_stash_is_looked_at_by_the_defaults(engine: Engine, clip: Path) -> None:
    assert engine.defaults.skip_facts is False
    engine.defaults = FACTS
    # What the Stash that called last has said.
    engine.settings = replace(FACTS, skip_facts=True, never="Black and White", idle_minutes=3)
    told = tag_file(engine, Call({"path": str(clip)}), Job())
    assert told["error"] is None
    assert "Black and White" in json.dumps(told["suggestions"])
    assert engine.idle_minutes == 3


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(None, "missing", id="not there"),
        pytest.param(b"", "unreadable", id="empty"),
        pytest.param(b"not a video" * 9000, "unreadable", id="something else"),
    ],
)
def test_a_file_that_cannot_be_tagged_says_why(
    engine: Engine, tmp_path: Path, content: bytes | None, kind: str
) -> None:
    engine.defaults = FACTS
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    told = tag_file(engine, Call({"path": str(path)}), Job())
    assert isinstance(told["error"], dict)
    assert told["error"]["kind"] == kind
    assert str(path) in told["error"]["message"]
    assert (told["suggestions"], told["ran"]) == ([], [])


@pytest.mark.parametrize("path", [None, "", 7, ["a.mp4"]])
def test_a_call_that_names_no_file_is_refused(engine: Engine, path: object) -> None:
    with pytest.raises(SettingsError, match=r"args\.path"):
        tag_file(engine, Call({"path": path}), Job())


def test_a_folder_is_no_file(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises((MediaUnreadable, MediaMissing)):
        scene_of_file(tmp_path)
