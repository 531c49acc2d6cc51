"""The flow as a whole, with detectors that can be computed in one's head."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stash_sense_plugin.detectors.clip import ZeroShot
from stash_sense_plugin.detectors.text import clean
from stash_sense_plugin.errors import (
    Cancelled,
    MediaError,
    MediaMissing,
    MediaUnreadable,
    ModelBroken,
    ModelMissing,
)
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.inference.catalogue import Catalogue, HubFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.pipeline.looking import MOST_BATCH_BYTES, look_at
from stash_sense_plugin.pipeline.parts import Parts, failed
from stash_sense_plugin.records import (
    Box,
    Decision,
    Detector,
    Fingerprint,
    Frame,
    FrameSource,
    Level,
    Observation,
    Scene,
    SceneResult,
    Skipped,
    Wants,
)
from stash_sense_plugin.suggestions import DecideOptions
from stash_sense_plugin.vocabulary import Label, Vocabulary
from tests.clips import number_of, numbered, write_clip
from tests.test_sprites import png, sheet_of, vtt_of

TILE = (160, 96)
PRINT = Fingerprint("0123456789abcdef", 4711)
SHEET, VTT = "/scene/1_sprite.jpg", "/scene/1_thumbs.vtt"
LATE = Label("late", "Late", "toy", classes=("toy/late",), stay=0.5, shortest_s=0.0)
WORDS = Vocabulary({"late": LATE})


# --- Small real parts ---------------------------------------------------------------------------


class Late:
    """Sees that a numbered frame is of the clip's second half."""

    name: ClassVar[str] = "objects"
    wants: ClassVar[Wants] = Wants.LABELS
    min_side_px: ClassVar[int] = 0
    device: ClassVar[str] = "cpu"
    precision: ClassVar[str] = "fp32"

    def __init__(self, model: str = "late@1", batch: int = 8, middle: int = 50) -> None:
        self.model = model
        self.batch = batch
        self.frames: list[Frame] = []
        self._middle = middle

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        for frame in frames:
            self.frames.append(frame)
            if number_of(frame.pixels) >= self._middle:
                yield self._seen(frame, "toy/late")

    def _seen(self, frame: Frame, label: str, score: float = 0.9) -> Observation:
        where = (frame.scene_key, frame.index, frame.time_s)
        return Observation(*where, self.name, self.model, label, score, Box(0, 0, 1, 1))


class LateInDetail(Late):
    name: ClassVar[str] = "detail"
    wants: ClassVar[Wants] = Wants.DETAIL


class Reader(Late):
    """Reads the same lines from every frame, of a size that letters can be read in."""

    name: ClassVar[str] = "text"
    wants: ClassVar[Wants] = Wants.MOMENTS
    min_side_px: ClassVar[int] = 320

    def __init__(self, *lines: str) -> None:
        super().__init__("reader@1", batch=1)
        self._lines = lines

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        for frame in frames:
            self.frames.append(frame)
            for line in self._lines:
                yield replace(self._seen(frame, "text"), text=clean(line))


class Embedder(Late):
    """Gives every frame the same vector, as a network of pictures would."""

    name: ClassVar[str] = "clip"

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        for frame in frames:
            self.frames.append(frame)
            yield replace(
                self._seen(frame, "frame"), box=None, vector=np.array([1, 0, 0], np.float32)
            )


class Breaking(Late):
    """Its network runs once."""

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        if self.frames:
            raise ModelBroken("late.onnx failed on the second batch", "fetch it again")
        return super().detect(frames)


class Nameless(Late):
    """Its package is not installed, so that it cannot say its version."""

    model = property(lambda self: self._absent(), lambda self, model: None)

    def _absent(self) -> str:
        raise ModelMissing("Text recognition needs the package rapidocr", "run the task Set up")


class Job:
    """Listens to what is said, and stops at the given check."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.checks = 0
        self._stop_at = stop_at

    def log(self, level: Level, message: str) -> None:
        self.lines.append(f"{level}: {message}")

    def progress(self, fraction: float) -> None:
        assert 0 <= fraction <= 1

    def check(self) -> None:
        self.checks += 1
        if self.checks == self._stop_at:
            raise Cancelled("Stopped")


class Server:
    """Stash's sprite sheets, at their paths."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get(self, path: str) -> bytes:
        if path not in self.files:
            raise MediaMissing(f"{path} is not on the server (404)")
        return self.files[path]

    def size(self, path: str) -> int:
        return len(self.get(path))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("drawn") / "clip.mp4", gop=2, size=(640, 384))


@pytest.fixture
def clip(drawn: Path, tmp_path: Path) -> Path:
    """Ten seconds, a hundred numbered frames of 640 pixels, in a file of the test's own."""
    return Path(shutil.copy(drawn, tmp_path / "clip.mp4"))


def sprites() -> dict[str, bytes]:
    """A sheet of 5 x 4 tiles, one each half second, numbered as the clip's frames are."""
    tiles = [numbered(5 * i, *TILE) for i in range(20)]
    rows = [np.concatenate(tiles[i : i + 5], axis=1) for i in range(0, 20, 5)]
    return {SHEET: png(np.concatenate(rows)), VTT: vtt_of(5, 4, 0.5, TILE).encode()}


def scene_of(path: Path | str, duration_s: float | None = 10.0) -> Scene:
    return Scene("1", "A scene", str(path), PRINT, duration_s, 0, 0, SHEET, VTT)


def look(
    store: Store,
    path: Path | str,
    *detectors: Detector,
    server: Server | None = None,
    duration_s: float | None = 10.0,
    frames: int = 20,
    job: Job | None = None,
    **parts: object,
) -> SceneResult:
    scene = scene_of(path, duration_s)
    files = server or Server({})
    media = SceneMedia(scene, files.get, files.size, frames=frames, text_frames=4)
    joined = replace(Parts(store, WORDS, detectors), **parts)  # type: ignore[arg-type]
    return look_at(scene, PRINT, media, joined, job or Job())


def seconds(result: SceneResult) -> list[float]:
    return [ran.seconds for ran in result.ran]


# --- Looking ------------------------------------------------------------------------------------


def test_a_scene_becomes_a_suggestion_with_its_time(store: Store, clip: Path) -> None:
    result = look(store, clip, Late())
    (late,) = result.suggestions
    assert (late.kind, late.name, late.label, late.decision) == (
        "tag",
        "Late",
        "late",
        Decision.APPLY,
    )
    ((start_s, end_s),) = [(each.start_s, each.end_s) for each in late.ranges]
    assert start_s == pytest.approx(5.0, abs=0.5)
    assert end_s == 10.0
    assert all(each.time_s >= 5.0 and each.box == Box(0, 0, 1, 1) for each in late.evidence)
    assert result.error is None
    assert result.duration_s == 10.0


def test_a_detector_without_its_network_is_named_and_the_others_go_on(
    store: Store, clip: Path
) -> None:
    absent = ModelMissing("The files of big are not here", "run `models pull big`")
    blind, seeing = Late("big@1"), LateInDetail("small@1")
    result = look(store, clip, blind, seeing, missing={"big@1": absent})
    assert result.skipped == (Skipped("objects (big@1)", absent.message, absent.remedy),)
    assert [ran.model for ran in result.ran] == ["small@1"]
    assert [each.name for each in result.suggestions] == ["Late"]
    assert blind.frames == []


def test_a_detector_that_cannot_say_its_version_is_skipped_too(store: Store, clip: Path) -> None:
    result = look(store, clip, Nameless(), LateInDetail())
    (skipped,) = result.skipped
    assert (skipped.detector, skipped.remedy) == ("objects", "run the task Set up")
    assert len(result.ran) == 1


def test_a_network_that_breaks_ends_its_own_turn_only(store: Store, clip: Path) -> None:
    result = look(store, clip, Breaking("breaks@1"), Late("works@1"))
    assert [ran.model for ran in result.ran] == ["works@1"]
    assert result.ran[0].frames == 20
    (skipped,) = result.skipped
    assert (skipped.detector, skipped.remedy) == ("objects (breaks@1)", "fetch it again")
    assert store.latest_analysis(PRINT, "objects", "breaks@1") is None


def test_the_same_is_said_once_though_two_sources_were_tried(store: Store, tmp_path: Path) -> None:
    absent = ModelMissing("The files of big are not here", "run `models pull big`")
    blind, seeing = LateInDetail("big@1"), LateInDetail("small@1")
    result = look(
        store, tmp_path / "gone.mp4", blind, seeing, missing={"big@1": absent},
        server=Server(sprites()),
    )  # fmt: skip
    assert [each.detector for each in result.skipped] == ["detail (big@1)"]
    assert [ran.model for ran in result.ran] == ["small@1"]


def test_nothing_that_can_run_is_a_missing_model(store: Store, clip: Path) -> None:
    absent = ModelMissing("The files of big are not here", "run `models pull big`")
    with pytest.raises(ModelMissing, match="models pull big"):
        look(store, clip, Late("big@1"), missing={"big@1": absent})


class Shy(Late):
    """Breaks on the first picture that it sees."""

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        raise ModelBroken("late.onnx failed on a picture of 96 x 160")


@pytest.mark.parametrize("missing_first", [True, False])
def test_a_network_that_breaks_on_this_scene_alone_is_not_a_missing_one(
    store: Store, clip: Path, missing_first: bool
) -> None:
    absent = ModelMissing("The files of big are not here", "run `models pull big`")
    detectors = [Late("big@1"), Shy("shy@1")][:: 1 if missing_first else -1]
    with pytest.raises(ModelBroken, match="96 x 160"):
        look(store, clip, *detectors, missing={"big@1": absent})
    with pytest.raises(ModelBroken) as caught:
        look(store, clip, Shy("shy@1"))
    assert caught.value.fault == "world"


def test_no_detector_at_all_says_which_settings_did_it(store: Store, clip: Path) -> None:
    off = Skipped("clip", "switched off", "change the setting skip_labels")
    with pytest.raises(ModelMissing, match=r"clip: switched off.*skip_labels"):
        look(store, clip, skipped=(off,))


def test_a_scene_that_cannot_be_read_is_its_own_fault_before_the_models(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"not a video at all" * 100)
    absent = ModelMissing("The files of big are not here", "run `models pull big`")
    with pytest.raises(MediaUnreadable) as caught:
        look(store, tmp_path / "bad.mp4", LateInDetail("big@1"), Late(), missing={"big@1": absent})
    assert caught.value.fault == "scene"
    told = failed(scene_of(tmp_path / "bad.mp4"), caught.value)
    assert told.error is not None
    assert told.error.kind == "unreadable"
    assert json.dumps(told.as_json(), allow_nan=False)


def test_a_missing_file_is_the_worlds_fault(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        look(store, tmp_path / "gone.mp4", Late(), LateInDetail())
    assert caught.value.fault == "world"


# --- What the store knows -----------------------------------------------------------------------


def test_a_second_look_reads_the_store(store: Store, clip: Path) -> None:
    first = look(store, clip, Late(), LateInDetail())
    again = (Late(), LateInDetail())
    second = look(store, clip, *again)
    assert second.suggestions == first.suggestions
    assert second.frames == first.frames
    assert [each.frames for each in again] == [[], []]
    assert seconds(second) == [0.0, 0.0]
    assert min(seconds(first)) > 0


def test_only_a_new_model_looks_anew(store: Store, clip: Path) -> None:
    look(store, clip, Late("one@1"))
    old, new = Late("one@1"), Late("two@1")
    result = look(store, clip, old, new)
    assert (len(old.frames), len(new.frames)) == (0, 20)
    assert [ran.model for ran in result.ran] == ["one@1", "two@1"]


@pytest.mark.parametrize("frames", [20, 7], ids=["as before", "with another number of frames"])
def test_a_video_that_is_away_is_recalled(store: Store, clip: Path, frames: int) -> None:
    first = look(store, clip, Late(), LateInDetail())
    clip.unlink()
    second = look(store, clip, Late(), LateInDetail(), frames=frames)
    assert second.suggestions == first.suggestions
    assert seconds(second) == [0.0, 0.0]
    assert second.skipped == ()


def test_networks_and_video_that_are_away_are_recalled(store: Store, clip: Path) -> None:
    first = look(store, clip, Late(), LateInDetail())
    clip.unlink()
    absent = ModelMissing("The files of late are not here", "run `models pull late`")
    second = look(store, clip, Late(), LateInDetail(), missing={"late@1": absent}, frames=7)
    assert second.suggestions == first.suggestions
    assert second.skipped == ()


def test_what_was_never_seen_is_skipped_with_the_medias_reason(store: Store, clip: Path) -> None:
    look(store, clip, Late("one@1"))
    clip.unlink()
    result = look(store, clip, Late("one@1"), Late("two@1"))
    assert [ran.model for ran in result.ran] == ["one@1"]
    (skipped,) = result.skipped
    assert skipped.detector == "objects (two@1)"
    assert "clip.mp4" in skipped.reason


def test_other_words_and_thresholds_decide_anew_without_a_frame(store: Store, clip: Path) -> None:
    look(store, clip, Late())
    clip.unlink()
    strict = Vocabulary({"late": replace(LATE, enter=0.95)})
    renamed = Vocabulary({"late": replace(LATE, tag="Afterwards")})
    assert look(store, clip, Late(), vocabulary=strict).suggestions == ()
    (found,) = look(store, clip, Late(), vocabulary=renamed).suggestions
    assert found.name == "Afterwards"
    never = DecideOptions(never=frozenset({"late"}))
    (hidden,) = look(store, clip, Late(), options=never).suggestions
    assert hidden.decision is Decision.HIDE


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4])
def test_a_stop_between_batches_leaves_nothing_half_stored(
    store: Store, clip: Path, stop_at: int
) -> None:
    with pytest.raises(Cancelled):
        look(store, clip, Late("one@1"), Late("two@1"), job=Job(stop_at))
    assert (store.stats().analyses, store.stats().observations) == (0, 0)
    done = look(store, clip, Late("one@1"), Late("two@1"))
    assert [ran.frames for ran in done.ran] == [20, 20]


def test_a_stop_is_heard_before_a_batch_is_full(store: Store, clip: Path) -> None:
    late = Late(batch=64)
    with pytest.raises(Cancelled):
        # A check for each frame of 2 and of 4 and one for each of these batches, then six of 8.
        look(store, clip, late, job=Job(stop_at=3 + 5 + 6))
    assert len(late.frames) == 6


def test_a_stop_after_the_last_frame_decides_nothing(store: Store, clip: Path) -> None:
    job = Job()
    look(store, clip, Late(), job=job)
    with pytest.raises(Cancelled):
        look(store, clip, Late(), job=Job(stop_at=1))
    assert job.checks > 1


# --- Frames -------------------------------------------------------------------------------------


def test_frames_are_counted_once_per_sampling(store: Store, clip: Path) -> None:
    detectors = (Late("one@1"), Late("two@1"), LateInDetail(), Reader("Hello"))
    result = look(store, clip, *detectors, server=Server(sprites()))
    assert result.frames == {FrameSource.SPRITE: 20, FrameSource.VIDEO: 24, FrameSource.IMAGE: 0}
    assert [ran.frames for ran in result.ran] == [20, 20, 20, 4]
    assert {frame.source for frame in detectors[0].frames} == {FrameSource.SPRITE}
    assert {max(frame.pixels.shape) for frame in detectors[2].frames} == {640}


@pytest.mark.parametrize("batches", [(8, 8), (1, 64), (64, 3)])
def test_every_detector_sees_every_frame_once(
    store: Store, clip: Path, batches: tuple[int, int]
) -> None:
    detectors = [Late(f"m{i}@1", batch) for i, batch in enumerate(batches)]
    look(store, clip, *detectors)
    for each in detectors:
        assert [frame.index for frame in each.frames] == list(range(20))


def test_batches_begin_small_and_grow_to_what_a_detector_takes(store: Store, clip: Path) -> None:
    sizes: list[int] = []

    class Counting(Late):
        def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
            sizes.append(len(frames))
            return super().detect(frames)

    look(store, clip, Counting(batch=8))
    assert sizes == [2, 4, 8, 6]


def test_a_batch_of_large_frames_is_small(store: Store) -> None:
    held: list[int] = []

    class Weighing(Late):
        def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
            held.append(sum(frame.pixels.nbytes for frame in frames))
            return super().detect(frames)

    tile = (1600, 1200)
    files = {
        SHEET: png(np.zeros((3 * tile[1], 4 * tile[0], 3), np.uint8)),
        VTT: vtt_of(4, 3, 0.8, tile).encode(),
    }
    detector = Weighing(batch=64)
    look(store, "", detector, server=Server(files))
    assert len(detector.frames) == 12
    assert max(held) <= MOST_BATCH_BYTES
    assert len(held) == 4


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="there is none"),
        pytest.param({SHEET: b"\xff\xd8 no picture", VTT: sprites()[VTT]}, id="no picture"),
        pytest.param({SHEET: sprites()[SHEET], VTT: b"<html>login</html>"}, id="no cues"),
        pytest.param({VTT: sprites()[VTT]}, id="the sheet is gone"),
        pytest.param({SHEET: sheet_of(1, 1), VTT: sprites()[VTT]}, id="another's sheet"),
    ],
)
def test_without_a_good_sprite_sheet_the_video_is_read(
    store: Store, clip: Path, files: dict[str, bytes]
) -> None:
    detector, job = Late(), Job()
    result = look(store, clip, detector, server=Server(files), job=job)
    assert {frame.source for frame in detector.frames} == {FrameSource.VIDEO}
    assert len(result.suggestions) == 1
    assert any(
        line.startswith("debug") and "the video was read instead" in line for line in job.lines
    )


def test_without_the_video_the_sprite_sheet_is_read(store: Store, tmp_path: Path) -> None:
    detector = LateInDetail()
    result = look(store, tmp_path / "gone.mp4", detector, server=Server(sprites()))
    assert result.frames[FrameSource.SPRITE] == 20
    assert [each.name for each in result.suggestions] == ["Late"]


def test_frames_that_are_too_small_are_said_so(store: Store, tmp_path: Path) -> None:
    reader = Reader("Hello")
    result = look(store, tmp_path / "gone.mp4", Late(), reader, server=Server(sprites()))
    (skipped,) = result.skipped
    assert skipped.detector == "text (reader@1)"
    assert "160 px are too small for it (320 px)" in skipped.reason
    assert "gone.mp4" in skipped.reason
    assert (reader.frames, result.texts) == ([], ())


def test_what_was_read_from_the_video_outlives_it(store: Store, clip: Path) -> None:
    server = Server(sprites())
    first = look(store, clip, Reader("Hello"), server=server)
    clip.unlink()
    result = look(store, clip, Reader("Hello"), server=server, frames=9)
    assert result.texts == first.texts
    assert result.skipped == ()


def test_a_video_that_breaks_off_gives_what_it_has(store: Store, tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", gop=2, size=(640, 384)).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 7 // 10])
    detector = LateInDetail()
    result = look(store, cut, detector)
    assert 0 < result.ran[0].frames <= 20
    assert max(frame.time_s for frame in detector.frames) < 8.0
    assert [each.name for each in result.suggestions] == ["Late"]


def test_a_source_that_fails_half_way_leaves_nothing_of_itself(
    store: Store, clip: Path, tmp_path: Path
) -> None:
    scene = scene_of(clip)
    server = Server(sprites())

    class Unplugged(SceneMedia):
        """Its drive goes away while the video is read."""

        def sampling(self, wants: Wants):  # type: ignore[no-untyped-def]
            whole = super().sampling(wants)

            def frames() -> Iterator[Frame]:
                for frame, _ in zip(whole.frames(), range(10), strict=False):
                    yield frame
                raise MediaMissing("Cannot open clip.mp4 (the drive is gone)")

            return replace(whole, frames=frames)

    media = Unplugged(scene, server.get, server.size, frames=20)
    detector = LateInDetail()
    result = look_at(scene, PRINT, media, Parts(store, WORDS, (detector,)), Job())
    assert result.frames == {FrameSource.SPRITE: 20, FrameSource.VIDEO: 0, FrameSource.IMAGE: 0}
    assert [frame.index for frame in detector.frames][-20:] == list(range(20))
    assert detector.frames[0].source is FrameSource.VIDEO
    stored = store.latest_analysis(PRINT, "detail")
    assert stored is not None
    assert len(stored.observations) == 10


class Unsure(Late):
    """Sees less and less, reads, and has a vector for every frame."""

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        for frame in frames:
            self.frames.append(frame)
            yield self._seen(frame, "toy/late", 1.0 - frame.index / 20)
            yield replace(self._seen(frame, "text", 0.01), text="faint")
            yield replace(self._seen(frame, "frame", 0.0), vector=np.ones(2, np.float32))


def test_what_is_below_the_floor_is_not_kept(store: Store, clip: Path) -> None:
    result = look(store, clip, Unsure(), floor=0.6)
    kept = store.latest_analysis(PRINT, "objects")
    assert kept is not None
    assert kept.floor == 0.6
    assert sorted({each.score for each in kept.observations}) == pytest.approx(
        [0.0, 0.01, *(0.6 + 0.05 * i for i in range(9))]
    )
    assert [each.label for each in kept.observations].count("frame") == 20
    assert [each.label for each in kept.observations].count("text") == 20
    (late,) = result.suggestions
    assert late.ranges[0].end_s < 6


def test_a_look_that_kept_less_than_is_wanted_does_not_answer(store: Store, clip: Path) -> None:
    look(store, clip, Unsure(), floor=0.6)
    higher, lower = Unsure(), Unsure()
    first = look(store, clip, higher, floor=0.8)
    assert higher.frames == []
    assert min(each.score for each in first.suggestions[0].evidence) >= 0.8
    again = look(store, clip, lower, floor=0.2)
    assert len(lower.frames) == 20
    assert again.suggestions[0].ranges[0].end_s > first.suggestions[0].ranges[0].end_s


def test_a_look_that_kept_less_serves_where_nothing_can_be_read(store: Store, clip: Path) -> None:
    first = look(store, clip, Unsure(), floor=0.6)
    clip.unlink()
    assert look(store, clip, Unsure(), floor=0.2).suggestions == first.suggestions


def test_a_picture_has_suggestions_and_no_time(store: Store, tmp_path: Path) -> None:
    Image.fromarray(numbered(60, 640, 384)).save(tmp_path / "picture.png")
    result = look(
        store, tmp_path / "picture.png", Late(), LateInDetail(), Reader("Hello"), duration_s=None
    )
    (late,) = result.suggestions
    assert (late.ranges, late.evidence[0].time_s) == ((), 0.0)
    assert [(text.text, text.start_s, text.end_s) for text in result.texts] == [("Hello", 0.0, 0.0)]
    assert result.frames[FrameSource.IMAGE] == 1
    assert result.as_json()["duration_s"] is None


def test_a_video_of_unknown_length_says_its_own(store: Store, clip: Path) -> None:
    result = look(store, clip, Late(), duration_s=None)
    assert result.duration_s == pytest.approx(10.0, abs=0.2)
    assert len(result.suggestions[0].ranges) == 1


# --- Words and texts ----------------------------------------------------------------------------


class Prompts:
    """Knows the vector of every text, and keeps which were asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def get(self, model: str, text: str) -> NDArray[np.float32] | None:
        self.asked.add(text)
        return np.array([1, 0, 0] if "kitchen" in text else [0, 1, 0], np.float32)

    def put(self, model: str, text: str, vector: NDArray[np.float32]) -> None:
        raise AssertionError(f"{text} was known")


def zero_shot(tmp_path: Path, prompts: Prompts) -> ZeroShot:
    """CLIP whose weights are nowhere: its prompts are remembered."""
    file = HubFile(repo="a/b", revision="0123456789", path="model.onnx")
    files = dict.fromkeys(("visual", "textual", "tokenizer"), file)
    card = ModelCard(name="far", task="clip", about="", licence="MIT", commercial=True, files=files)
    shelf = Shelf(Models(tmp_path / "models", Catalogue({"far": card})), 1 << 20)
    return ZeroShot(shelf, card, prompts)


def test_prompts_are_put_into_the_vocabularys_own_templates(
    store: Store, clip: Path, tmp_path: Path
) -> None:
    prompts = Prompts()
    kitchen = Label(
        "kitchen", "Kitchen", "place", prompts=("a kitchen",), negatives=("a wall",),
        templates=("a room like {}.",), exclusive="place",
    )  # fmt: skip
    words = Vocabulary({"kitchen": kitchen})
    network = zero_shot(tmp_path, prompts)
    result = look(store, clip, Embedder("far@01234567"), vocabulary=words, zero_shot=network)
    assert prompts.asked == {"a room like a kitchen.", "a room like a wall."}
    (found,) = result.suggestions
    ((start_s, end_s),) = [(each.start_s, each.end_s) for each in found.ranges]
    assert (found.name, start_s, end_s) == ("Kitchen", 0.0, 10.0)


class NoPrompts(Prompts):
    """Knows no text, so that the text network would have to run."""

    def get(self, model: str, text: str) -> None:
        self.asked.add(text)


def test_a_stop_is_heard_before_words_are_encoded(store: Store, clip: Path, tmp_path: Path) -> None:
    label = Label("kitchen", "Kitchen", "place", prompts=("a kitchen",), templates=("{}",))
    words, network = Vocabulary({"kitchen": label}), zero_shot(tmp_path, NoPrompts())
    job = Job()
    result = look(
        store, clip, Embedder("far@01234567"), vocabulary=words, zero_shot=network, job=job
    )
    (skipped,) = result.skipped
    assert (skipped.detector, result.suggestions) == ("clip (far@01234567)", ())
    assert "models pull far" in skipped.remedy
    # The same again from the store: a check after looking, then one before the words.
    with pytest.raises(Cancelled):
        look(
            store, clip, Embedder("far@01234567"), vocabulary=words, zero_shot=network,
            job=Job(stop_at=2),
        )  # fmt: skip


HOSTILE = (
    "'; DROP TABLE observations; --",
    "line\nbreak\x00\x1b[31mred",
    "\u202eright to left",
    "\ud800",
    "x" * 5000,
    "<script>alert(1)</script>",
    '{"decision": "APPLY"}',
    "٣٤٥ 日本語 🎬",
)


def test_hostile_text_is_only_text(store: Store, clip: Path) -> None:
    studios = [StudioName("1", "%s OR 1=1", (".*", "\x00")), StudioName("2", "", ())]
    first = look(store, clip, Reader(*HOSTILE), studios=studios)
    clip.unlink()
    second = look(store, clip, Reader(*HOSTILE), studios=studios)
    assert second.texts == first.texts
    assert json.loads(json.dumps(second.as_json(), allow_nan=False)) == second.as_json()
    told = {text.text for text in first.texts}
    assert "'; DROP TABLE observations; --" in told
    assert all(text.isprintable() and len(text) <= 200 for text in told)
    assert [each for each in first.suggestions if each.decision is Decision.APPLY] == []


def test_a_studio_is_known_by_the_text_on_screen(store: Store, clip: Path) -> None:
    studios = [StudioName("7", "Northlight Studio", ())]
    result = look(store, clip, Reader("NORTHLIGHTSTUDIO"), studios=studios)
    (studio,) = [each for each in result.suggestions if each.kind == "studio"]
    assert (studio.name, studio.target_id) == ("Northlight Studio", "7")
    refused = DecideOptions(refused=frozenset({("studio", "7")}))
    again = look(store, clip, Reader("NORTHLIGHTSTUDIO"), studios=studios, options=refused)
    assert again.suggestions[0].decision is Decision.HIDE


@pytest.mark.parametrize(
    ("apply", "decision"),
    [
        pytest.param(None, Decision.APPLY, id="our own threshold"),
        pytest.param(1.0, Decision.ASK, id="the user's, above what was read"),
    ],
)
def test_the_confidence_to_write_holds_for_studios_too(
    store: Store, clip: Path, apply: float | None, decision: Decision
) -> None:
    studios = [StudioName("7", "Northlight Studio", ())]
    options = DecideOptions(apply=apply)
    result = look(store, clip, Reader("NORTHLIGHT STUDI0"), studios=studios, options=options)
    (found,) = [each for each in result.suggestions if each.kind == "studio"]
    assert found.decision is decision
