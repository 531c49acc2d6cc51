from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stash_sense_plugin.detectors.objects import (
    Letterbox,
    ObjectDetector,
    letterboxed,
    suppress,
    to_fractions,
)
from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import (
    Catalogue,
    LocalFile,
    ModelCard,
    load_catalogue,
)
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Box, Frame, FrameSource, Observation, Pixels
from tests.real_models import write_overlay
from tests.small_networks import Side, answering

OURS = Path(__file__).resolve().parent.parent / "models" / "catalogue.yaml"
NAMES = "{0: 'cat', 1: 'dog', 2: 'cow'}"


def frame(pixels: Pixels, index: int = 0, scene: str = "s") -> Frame:
    return Frame(scene, index, index * 2.0, pixels, FrameSource.VIDEO)


def grey(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), 90, np.uint8)


def detector_of(tmp_path: Path, path: Path, **facts: object) -> ObjectDetector:
    told = {
        "name": "net",
        "task": "objects",
        "about": "Told answers",
        "licence": "MIT",
        "commercial": True,
        "words": "pets",
        "files": {"network": LocalFile(path=str(path))},
        "overlaid": True,
    }
    card = ModelCard.model_validate(told | facts)
    models = Models(tmp_path / "models", Catalogue({"net": card}))
    return ObjectDetector(Shelf(models, 1 << 30, threads=1), card)


def ours(tmp_path: Path, name: str, overlay: Path | None = None) -> ObjectDetector:
    catalogue = load_catalogue(OURS, overlay)
    models = Models(tmp_path / "models", catalogue)
    return ObjectDetector(Shelf(models, 1 << 30), catalogue.card(name))


def raw(rows: Sequence[Sequence[float]], n: int = 20) -> NDArray[np.float32]:
    """Ultralytics' answer [1, 4 + classes, n] with these columns: cx, cy, w, h, scores."""
    answer = np.zeros((1, len(rows[0]), n), np.float32)
    answer[0, :, : len(rows)] = np.array(rows, np.float32).T
    return answer


def near(box: Box | None, x: float, y: float, w: float, h: float) -> bool:
    return box is not None and np.allclose([box.x, box.y, box.w, box.h], [x, y, w, h], atol=0.02)


# A 640 x 320 picture lies in 640 x 640 with 160 lines of grey above and below.
WIDE = grey(320, 640)


def test_ultralytics_boxes_are_told_as_fractions_of_the_frame(tmp_path: Path) -> None:
    answer = raw([(160, 320, 320, 320, 0.1, 0.9, 0.2), (320, 320, 9000, 9000, 0.3, 0, 0)])
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=NAMES, task="detect")
    dog, cat = list(detector_of(tmp_path, path).detect([frame(WIDE, 3)]))
    assert (dog.label, dog.frame_index, dog.time_s, dog.detector) == ("pets/dog", 3, 6.0, "objects")
    assert dog.score == pytest.approx(0.9)
    assert near(dog.box, 0.0, 0.0, 0.5, 1.0)
    assert cat.label == "pets/cat"
    assert near(cat.box, 0.0, 0.0, 1.0, 1.0)
    assert dog.model.startswith("net@")


def test_boxes_of_one_class_that_overlap_are_one_thing(tmp_path: Path) -> None:
    answer = raw(
        [
            (320, 320, 200, 200, 0.8, 0, 0),
            (330, 325, 200, 200, 0.9, 0, 0),
            (320, 320, 200, 200, 0, 0.7, 0),
            (320, 320, 200, 200, 0, 0, 0.1),
        ]
    )
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=NAMES)
    seen = [(o.label, round(o.score, 2)) for o in detector_of(tmp_path, path).detect([frame(WIDE)])]
    assert seen == [("pets/cat", 0.9), ("pets/dog", 0.7)]


def test_an_export_that_needs_no_suppression_is_read(tmp_path: Path) -> None:
    answer = np.zeros((1, 300, 6), np.float32)
    answer[0, 0] = (0, 160, 320, 480, 0.9, 2)
    answer[0, 1] = (0, 160, 320, 480, 0.8, 7)
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=NAMES)
    (cow,) = detector_of(tmp_path, path).detect([frame(WIDE)])
    assert cow.label == "pets/cow"
    assert near(cow.box, 0.0, 0.0, 0.5, 1.0)


def test_a_transposed_answer_and_numbers_behind_the_classes_are_read(tmp_path: Path) -> None:
    answer = raw([(160, 320, 320, 320, 0.1, 0.9, 0.2)])
    turned = answering(
        tmp_path / "t.onnx", (1, 3, 640, 640), answer.transpose(0, 2, 1), names=NAMES
    )
    masks = np.concatenate([answer, np.full((1, 32, 20), 99, np.float32)], axis=1)
    masks = np.pad(masks, ((0, 0), (0, 0), (0, 80)))
    segmenting = answering(
        tmp_path / "s.onnx", (1, 3, 640, 640), masks, names=NAMES, task="segment"
    )
    for path in (turned, segmenting):
        (dog,) = detector_of(tmp_path, path).detect([frame(WIDE)])
        assert dog.label == "pets/dog"


END_TO_END = [
    pytest.param({"end2end": "True"}, id="by its head"),
    pytest.param({"end2end": "False", "args": "{'nms': True}"}, id="by suppression inside"),
    pytest.param({}, id="not said"),
]


def finished(rows: Sequence[Sequence[float]], n: int = 300) -> NDArray[np.float32]:
    """Return an answer [1, n, 6 or more]: corners, score, class, masks or joints."""
    answer = np.zeros((1, n, len(rows[0])), np.float32)
    answer[0, : len(rows)] = rows
    return answer


@pytest.mark.parametrize("told", END_TO_END)
@pytest.mark.parametrize("names", ["{0: 'cat', 1: 'dog'}", NAMES])
def test_finished_boxes_are_told_apart_from_boxes_of_two_classes(
    tmp_path: Path, told: dict[str, str], names: str
) -> None:
    answer = finished([(0, 160, 320, 480, 0.7, 1), (10, 160, 320, 480, 0.9, 1)])
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=names, **told)
    seen = list(detector_of(tmp_path, path).detect([frame(WIDE)]))
    # What overlaps was left so by the network: it is two things, the surest first.
    assert [(o.label, round(o.score, 2)) for o in seen] == [("pets/dog", 0.9), ("pets/dog", 0.7)]
    assert near(seen[1].box, 0.0, 0.0, 0.5, 1.0)


@pytest.mark.parametrize("told", [{}, {"end2end": "False", "args": "{'nms': False}"}])
@pytest.mark.parametrize("turned", [False, True])
def test_boxes_of_two_classes_are_suppressed_either_way_round(
    tmp_path: Path, told: dict[str, str], turned: bool
) -> None:
    answer = raw([(160, 320, 320, 320, 0.01, 0.9), (165, 320, 320, 320, 0.02, 0.8)], 100)
    if turned:
        answer = np.ascontiguousarray(answer.transpose(0, 2, 1))
    names = "{0: 'cat', 1: 'dog'}"
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=names, **told)
    (dog,) = detector_of(tmp_path, path).detect([frame(WIDE)])
    assert dog.label == "pets/dog"
    assert near(dog.box, 0.0, 0.0, 0.5, 1.0)


@pytest.mark.parametrize("told", END_TO_END)
@pytest.mark.parametrize(("task", "more"), [("segment", 32), ("pose", 51)])
def test_masks_and_joints_behind_finished_boxes_are_passed_over(
    tmp_path: Path, told: dict[str, str], task: str, more: int
) -> None:
    answer = finished([(0, 160, 320, 480, 0.9, 2, *[7.5] * more)])
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=NAMES, task=task, **told)
    (cow,) = detector_of(tmp_path, path).detect([frame(WIDE)])
    assert cow.label == "pets/cow"
    assert near(cow.box, 0.0, 0.0, 0.5, 1.0)


def test_a_list_of_its_own_names_the_classes(tmp_path: Path) -> None:
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), raw([(160, 320, 320, 320, 0, 0.9)]))
    (tmp_path / "own.txt").write_text("mug\nspoon\n")
    files = {
        "network": LocalFile(path=str(path)),
        "labels": LocalFile(path=str(tmp_path / "own.txt")),
    }
    (spoon,) = detector_of(tmp_path, path, files=files).detect([frame(WIDE)])
    assert spoon.label == "pets/spoon"


@pytest.mark.parametrize(
    ("shape", "told", "width"),
    [
        pytest.param((1, 3, 320, 640), {}, 640, id="fixed, wide"),
        pytest.param((1, 3, 640, 320), {}, 320, id="fixed, tall"),
        pytest.param((1, 3, "h", 320), {}, 320, id="one side free"),
        pytest.param((1, 3, "h", "w"), {"imgsz": "[320, 640]"}, 640, id="free, taught wide"),
        pytest.param((1, 3, "h", "w"), {"imgsz": "320"}, 320, id="free"),
    ],
)
def test_boxes_lie_right_in_inputs_of_any_shape(
    tmp_path: Path, shape: tuple[Side, ...], told: dict[str, str], width: int
) -> None:
    # The left half of a picture twice as wide as high, in the middle of whatever it lies on.
    height = shape[2] if isinstance(shape[2], int) else width // 2
    answer = raw([(width / 4, height / 2, width / 2, width / 2, 0.9, 0, 0)])
    path = answering(tmp_path / "n.onnx", shape, answer, names=NAMES, **told)
    (cat,) = detector_of(tmp_path, path).detect([frame(WIDE)])
    assert near(cat.box, 0.0, 0.0, 0.5, 1.0)


def test_yoloxs_grid_is_decoded(tmp_path: Path) -> None:
    answer = np.zeros((1, 8 * 8 + 4 * 4 + 2 * 2, 8), np.float32)
    # Cell (1, 1) of the coarsest of three grids on 64 x 64: middle at 32 + 0, side 32 * exp(0).
    answer[0, -1] = (-0.5, -0.5, 0, 0, 0.8, 0, 0.5, 1)
    path = answering(tmp_path / "n.onnx", (1, 3, 64, 64), answer)
    detector = detector_of(tmp_path, path, layout="yolox", classes=("cat", "dog", "cow"))
    (cow,) = detector.detect([frame(grey(64, 32))])
    assert cow.label == "pets/cow"
    assert cow.score == pytest.approx(0.8)
    # The middle of the box, 16 px, is half of the frame's 32 px: what hangs over is cut off.
    assert near(cow.box, 0.0, 0.0, 1.0, 0.5)


def test_frames_of_many_scenes_and_shapes_keep_their_order(tmp_path: Path) -> None:
    answer = raw([(320, 320, 600, 100, 0.9, 0, 0)])
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), answer, names=NAMES)
    frames = [frame(grey(100 + i, 200), i, f"s{i % 2}") for i in range(11)]
    seen = [(o.scene_key, o.frame_index) for o in detector_of(tmp_path, path).detect(frames)]
    assert seen == [(f"s{i % 2}", i) for i in range(11)]


def test_weights_that_none_has_run_try_themselves_first(tmp_path: Path) -> None:
    quiet = answering(
        tmp_path / "q.onnx", (1, 3, 640, 640), raw([(1,) * 4 + (0,) * 3]), names=NAMES
    )
    assert not list(detector_of(tmp_path, quiet, untried=True).detect([frame(WIDE)]))
    loud = raw([(320, 320, 600, 100, 0.9, 0, 0)])
    path = answering(tmp_path / "n.onnx", (1, 3, 640, 640), loud, names=NAMES)
    with pytest.raises(ModelBroken, match="on a plain grey picture"):
        list(detector_of(tmp_path, path, untried=True).detect([frame(WIDE)]))


@pytest.mark.real
@pytest.mark.parametrize("name", ["yolov8n", "yolox-nano", "nudenet-320n"])
def test_real_networks_see_nothing_on_grey(real: Path, tmp_path: Path, name: str) -> None:
    catalogue = load_catalogue(OURS, write_overlay(tmp_path / "data", real))
    card = catalogue.card(name).model_copy(update={"untried": True})
    shelf = Shelf(Models(tmp_path / "models", catalogue), 1 << 30)
    list(ObjectDetector(shelf, card).detect([frame(WIDE)]))


def test_nothing_to_look_at_opens_nothing(tmp_path: Path) -> None:
    assert not list(detector_of(tmp_path, tmp_path / "gone.onnx").detect([]))


def test_missing_weights_are_said_before_a_frame_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="models pull yolox-s"):
        list(ours(tmp_path, "yolox-s").detect([frame(WIDE)]))


@pytest.mark.parametrize(
    ("shape", "answer", "facts", "told"),
    [
        pytest.param((1, 3, 64, 64), np.zeros((1, 9, 20)), {}, "answers with shape", id="classes"),
        pytest.param((1, 3, 64, 64), np.zeros((1, 20)), {}, "answers with shape", id="flat"),
        pytest.param((1, 64), np.zeros((1, 7, 20)), {}, "2 dimensions", id="no picture"),
        pytest.param((1, 3, 64, 64), np.full((1, 7, 20), np.nan), {}, "are none", id="not numbers"),
        pytest.param(
            (1, 3, 64, 64), np.zeros((1, 9, 9)), {"layout": "yolox"}, "not the yolox", id="layout"
        ),
        pytest.param(
            (1, 3, 64, 64), np.zeros((1, 9, 8)), {"layout": "yolox"}, "84 cells", id="size"
        ),
    ],
)
def test_a_network_that_does_something_else_is_broken(
    tmp_path: Path,
    shape: Sequence[Side],
    answer: NDArray[np.float64],
    facts: dict[str, object],
    told: str,
) -> None:
    path = answering(tmp_path / "n.onnx", shape, answer.astype(np.float32), names=NAMES)
    detector = detector_of(tmp_path, path, **facts)
    with pytest.raises(ModelBroken, match=told):
        list(detector.detect([frame(WIDE)]))


@pytest.mark.parametrize(
    ("task", "remedy"), [("classify", "write task: classifier"), ("obb", "turned boxes")]
)
def test_a_network_of_another_task_is_broken(tmp_path: Path, task: str, remedy: str) -> None:
    path = answering(tmp_path / "n.onnx", (1, 3, 64, 64), raw([(1,) * 7]), names=NAMES, task=task)
    with pytest.raises(ModelBroken, match=f"its task is {task}.*{remedy}"):
        list(detector_of(tmp_path, path).detect([frame(WIDE)]))


@pytest.mark.parametrize("names", ["", "__import__('os').getcwd()", "{5: 'cat'}", "{0: ", "7"])
def test_metadata_is_read_and_never_run(tmp_path: Path, names: str) -> None:
    path = answering(tmp_path / "n.onnx", (1, 3, 64, 64), raw([(1,) * 7]), names=names)
    with pytest.raises(ModelBroken, match=r"write them into pets\.txt"):
        list(detector_of(tmp_path, path).detect([frame(WIDE)]))


CORNERS = hnp.arrays(np.float32, (30, 4), elements=st.floats(-500, 1500, width=32))


@given(CORNERS, hnp.arrays(np.float32, 30, elements=st.floats(0, 1, width=32)))
def test_suppression_keeps_the_best_and_invents_nothing(
    corners: NDArray[np.float32], scores: NDArray[np.float32]
) -> None:
    classes = np.arange(30, dtype=np.intp) % 3
    kept, left, which = suppress(corners, scores, classes)
    assert list(left) == sorted(left, reverse=True)
    assert set(zip(left.tolist(), which.tolist(), strict=True)) <= set(
        zip(scores.tolist(), classes.tolist(), strict=True)
    )
    assert left[0] == scores.max()
    again, _, _ = suppress(kept, left, which)
    assert len(again) == len(kept)


@given(
    CORNERS,
    st.integers(1, 2000),
    st.integers(1, 2000),
    st.booleans(),
)
def test_places_lie_in_the_frame(
    corners: NDArray[np.float32], height: int, width: int, centred: bool
) -> None:
    scale = min(320 / height, 320 / width)
    small = np.zeros((height, width, 3), np.uint8)
    picture, letterbox = letterboxed(small, 320, 320, scale, centred=centred)
    fractions = to_fractions(corners, letterbox, (height, width))
    assert picture.shape == (320, 320, 3)
    assert np.isfinite(fractions).all()
    assert ((fractions >= 0) & (fractions <= 1)).all()


def test_a_place_finds_its_way_back() -> None:
    _, letterbox = letterboxed(grey(720, 1280), 640, 640, 0.5, centred=True)
    assert letterbox == Letterbox(0.5, 0.5, 0, 140, 640, 640)
    there = np.array([[160, 230, 480, 410]], np.float32)
    np.testing.assert_allclose(
        to_fractions(there, letterbox, (720, 1280)), [[0.25, 0.25, 0.75, 0.75]]
    )


# --- NudeNet's network is always there ----------------------------------------------------------


def test_nudenet_runs_on_any_shape_and_stays_quiet_on_a_drawing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    detector = ours(tmp_path, "nudenet-320n")
    picture = Image.new("RGB", (640, 360), (40, 90, 160))
    ImageDraw.Draw(picture).rectangle((100, 100, 300, 200), fill=(200, 180, 40))
    pixels = np.asarray(picture)
    frames = [frame(pixels), frame(pixels[:, :90], 1), frame(pixels[::4, ::4], 2), frame(WIDE, 3)]
    assert not [o for o in detector.detect(frames) if o.score > 0.5]
    assert detector.model == "nudenet-320n@" + detector.model.partition("@")[2]
    assert detector.device in {"cpu", "cuda"}
    assert detector.precision == "fp32"
    assert capfd.readouterr() == ("", "")


# --- Real networks on real pictures -------------------------------------------------------------


def look(detector: ObjectDetector, picture: Path) -> list[Observation]:
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    return list(detector.detect([frame(pixels)]))


@pytest.mark.real
@pytest.mark.parametrize("name", ["yolov8n", "yolox-nano"])
def test_a_bus_and_three_people_are_seen_where_they_stand(
    real: Path, tmp_path: Path, name: str
) -> None:
    detector = ours(tmp_path, name, write_overlay(tmp_path / "data", real))
    seen = look(detector, real / "images/objects/bus.jpg")
    (bus,) = [o for o in seen if o.label == "coco/bus" and o.score > 0.5]
    people = [o for o in seen if o.label == "coco/person" and o.score > 0.5]
    assert bus.score > 0.8
    assert near_enough(bus.box, 0.03, 0.21, 0.95, 0.48)
    for place in [(0.06, 0.37, 0.22, 0.47), (0.27, 0.38, 0.15, 0.42), (0.83, 0.38, 0.17, 0.43)]:
        assert any(near_enough(person.box, *place) for person in people)
    assert len(people) == 3


@pytest.mark.real
@pytest.mark.parametrize("name", ["yolov8n", "yolox-nano"])
def test_two_people_and_a_tie_are_seen(real: Path, tmp_path: Path, name: str) -> None:
    detector = ours(tmp_path, name, write_overlay(tmp_path / "data", real))
    seen = look(detector, real / "images/objects/zidane.jpg")
    labels = [o.label for o in seen if o.score > 0.45]
    assert labels.count("coco/person") == 2
    assert labels.count("coco/tie") == 1


@pytest.mark.real
def test_yolov8n_gives_its_canonical_box(real: Path, tmp_path: Path) -> None:
    """The published network's own best box on bus.jpg, read once from its bare output."""
    detector = ours(tmp_path, "yolov8n", write_overlay(tmp_path / "data", real))
    best = look(detector, real / "images/objects/bus.jpg")[0]
    assert best.label == "coco/person"
    assert best.score == pytest.approx(0.925, abs=0.01)
    assert best.box is not None
    np.testing.assert_allclose(
        [best.box.x, best.box.y, best.box.w, best.box.h], [0.829, 0.347, 0.171, 0.465], atol=0.01
    )


@pytest.mark.real
def test_nudenet_sees_faces_as_its_own_package_does(real: Path, tmp_path: Path) -> None:
    from nudenet import NudeDetector

    detector, reference = ours(tmp_path, "nudenet-320n"), NudeDetector()
    pictures = [
        sorted(folder.iterdir())[0] for folder in sorted((real / "images/people").iterdir())
    ]
    agreed = 0
    for picture in pictures:
        (theirs,) = [o for o in reference.detect(str(picture)) if o["class"].startswith("FACE")]
        faces = [o for o in look(detector, picture) if o.label.startswith("nudenet/FACE")]
        assert faces, picture.name
        agreed += abs(faces[0].score - theirs["score"]) < 0.1
    assert agreed >= len(pictures) - 2


def near_enough(box: Box | None, x: float, y: float, w: float, h: float) -> bool:
    """Whether two boxes share more than 0.7 of their union."""
    assert box is not None
    low = np.maximum([box.x, box.y], [x, y])
    high = np.minimum([box.x + box.w, box.y + box.h], [x + w, y + h])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / (box.w * box.h + w * h - shared) > 0.7


@pytest.mark.parametrize("long", [1, 5000, 1_000_000])
def test_a_line_of_pixels_holds_no_thing(tmp_path: Path, long: int) -> None:
    detector = ours(tmp_path, "nudenet-320n")
    for pixels in (grey(1, long), grey(long, 1), grey(2, long)):
        assert not list(detector.detect([frame(pixels)]))
