"""Things with a place in the picture: Ultralytics' and YOLOX's networks."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.words import literal, own_names, read_words
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Box, Frame, FrameSource, Observation, Pixels, Wants

Floats = NDArray[np.float32]

FLOOR = 0.2
"""Scores below are not reported: the vocabulary's thresholds lie above."""
NMS_IOU = 0.5
"""Two boxes of one class that share more than this part of their union are one thing."""
CANDIDATES = 1000
"""At most this many boxes go into suppression, the best first."""
MOST = 300
"""At most this many things are told per picture."""
MOST_ON_GREY = 5
"""More things than this on plain grey mean that the answers are read wrongly."""
GREY = 114
"""What both families of networks were taught to see beside a picture."""
_STRIDES = (8, 16, 32)
_TASKS = frozenset({"detect", "segment", "pose"})
_REMEDIES = {
    "classify": "write task: classifier into its row of the catalogue",
    "obb": "turned boxes are not read: choose the same network for upright ones",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """How a network wants its pictures and what its classes are called."""

    sides: tuple[int | None, int | None]
    """Height and width that the graph insists on, in pixels."""
    size: int
    stride: int
    classes: tuple[str, ...]
    more: bool
    """Masks' or joints' numbers stand behind the classes' scores."""
    finished: bool | None
    """Its boxes need no suppression; None where it does not say."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture lies in a network's input: scaled, then moved right and down."""

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int
    """The input's sides in pixels."""


class ObjectDetector:
    """Finds the things that a network has words for."""

    name: ClassVar[str] = "objects"
    wants: ClassVar[Wants] = Wants.DETAIL
    min_side_px: ClassVar[int] = 0

    def __init__(self, shelf: Shelf, card: ModelCard, floor: float = FLOOR, batch: int = 8) -> None:
        self._shelf = shelf
        self._card = card
        self._floor = floor
        self.batch = batch
        self.device = ""
        """Where it ran, once it has."""
        self.precision = ""
        self._tried = not card.untried
        self._listed: tuple[str, ...] | None = None

    @property
    def model(self) -> str:
        """Name and version, joined by `@`."""
        return self._shelf.label(self._card)

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield each thing seen, the surest of a frame first.

        Labels are `WORDS/CLASS` in the words of the network's own list, boxes are fractions of
        the frame. Raises ModelMissing or ModelBroken.
        """
        for start in range(0, len(frames), self.batch):
            network = self._shelf.network(self._card, "network")
            self.device, self.precision = network.device, network.precision
            facts = network_facts(network, self._card, self._words())
            self._try_once(network, facts)
            part = frames[start : start + self.batch]
            boxed = [(frame, *_boxed(frame.pixels, facts, self._card)) for frame in part]
            # A graph of free size takes pictures of one shape at a time.
            for _, alike in itertools.groupby(boxed, key=lambda one: one[1].shape):
                yield from self._look(network, facts, list(alike))

    def _words(self) -> tuple[str, ...]:
        """Return the classes as the card's list or the card itself has them."""
        if self._listed is None:
            card = self._card
            labels = self._shelf.models.path(card, "labels") if "labels" in card.files else None
            self._listed = read_words(labels, card).names if labels else card.classes
        return self._listed

    def _try_once(self, network: Network, facts: Facts) -> None:
        """Look once at plain grey with weights that none of us has run: nothing is there."""
        if self._tried:
            return
        grey = np.full((facts.size, facts.size, 3), GREY, np.uint8)
        frame = Frame("", 0, 0.0, grey, FrameSource.IMAGE)
        seen = list(self._look(network, facts, [(frame, *_boxed(grey, facts, self._card))]))
        if len(seen) > MOST_ON_GREY or any(one.score > 0.5 for one in seen):
            raise ModelBroken(
                f"{self._card.name} sees {len(seen)} things on a plain grey picture: its weights "
                "are not what its row says",
                "check layout, colour and size of its row in the catalogue",
            )
        self._tried = True

    def _look(
        self, network: Network, facts: Facts, boxed: Sequence[tuple[Frame, Pixels, Letterbox]]
    ) -> Iterator[Observation]:
        pictures = np.stack([picture for _, picture, _ in boxed])
        feeds = {network.inputs[0].name: network_input(pictures, self._card)}
        outputs = network.run(feeds)[0]
        _check_finite(outputs, self._card)
        model = self.model
        for (frame, _, letterbox), output in zip(boxed, outputs, strict=True):
            found = decode(output, facts, letterbox, self._card, self._floor)
            yield from self._told(model, frame, facts, letterbox, *found)

    def _told(
        self,
        model: str,
        frame: Frame,
        facts: Facts,
        letterbox: Letterbox,
        corners: Floats,
        scores: Floats,
        classes: NDArray[np.intp],
    ) -> Iterator[Observation]:
        fractions = to_fractions(corners, letterbox, frame.pixels.shape[:2])
        for (x, y, right, bottom), score, which in zip(fractions, scores, classes, strict=True):
            if right <= x or bottom <= y:
                continue
            yield Observation(
                scene_key=frame.scene_key,
                frame_index=frame.index,
                time_s=frame.time_s,
                detector=self.name,
                model=model,
                label=f"{self._card.words}/{facts.classes[which]}",
                score=float(score),
                box=Box(float(x), float(y), float(right - x), float(bottom - y)),
            )


# --- What the network says of itself ------------------------------------------------------------


def network_facts(network: Network, card: ModelCard, words: tuple[str, ...] = ()) -> Facts:
    """Read input size and classes from graph, metadata, card and its words, in this order.

    Raises ModelBroken for a network that does something else.
    """
    shape, metadata = network.inputs[0].shape, network.metadata
    task = metadata.get("task", "detect")
    if len(shape) != 4 or task not in _TASKS:
        raise ModelBroken(
            f"{card.name} does not find things in pictures: its task is {task}, "
            f"its input has {len(shape)} dimensions",
            _REMEDIES.get(task, "choose a detection network"),
        )
    sides = (shape[2], shape[3])
    return Facts(
        sides,
        size=sides[0] or sides[1] or card.size or _metadata_size(metadata) or 640,
        stride=_metadata_stride(metadata),
        classes=_classes(network, card, words),
        more=task != "detect",
        finished=_metadata_finished(metadata),
    )


def _classes(network: Network, card: ModelCard, words: tuple[str, ...]) -> tuple[str, ...]:
    if classes := own_names(network.metadata) or words:
        return classes
    raise ModelBroken(
        f"{card.name} does not say what its classes are called",
        f"write them into {card.words}.txt beside the catalogue, one a line",
    )


def _metadata_size(metadata: Mapping[str, str]) -> int | None:
    size = literal(metadata.get("imgsz", ""))
    sides = size if isinstance(size, list | tuple) else [size]
    found = [side for side in sides if isinstance(side, int) and 32 <= side <= 4096]
    return max(found, default=None)


def _metadata_stride(metadata: Mapping[str, str]) -> int:
    stride = literal(metadata.get("stride", ""))
    return stride if isinstance(stride, int) and 1 <= stride <= 256 else 32


def _metadata_finished(metadata: Mapping[str, str]) -> bool | None:
    """Say whether the export has suppression in it, or a head that needs none."""
    if "end2end" not in metadata:
        return None
    told = literal(metadata.get("args", ""))
    return metadata["end2end"] == "True" or (isinstance(told, dict) and bool(told.get("nms")))


# --- Into the network ---------------------------------------------------------------------------


def _boxed(pixels: Pixels, facts: Facts, card: ModelCard) -> tuple[Pixels, Letterbox]:
    height, width = pixels.shape[:2]
    scale = facts.size / max(height, width)
    if facts.sides[0] is not None and facts.sides[1] is not None:
        scale = min(facts.sides[0] / height, facts.sides[1] / width)
    return letterboxed(
        pixels,
        facts.sides[0] or _up(height * scale, facts.stride),
        facts.sides[1] or _up(width * scale, facts.stride),
        scale,
        centred=card.layout == "ultralytics",
    )


def _up(length: float, stride: int) -> int:
    return max(1, -(-round(length) // stride)) * stride


def letterboxed(
    pixels: Pixels, height: int, width: int, scale: float, *, centred: bool
) -> tuple[Pixels, Letterbox]:
    """Scale a picture and lay it on grey: uint8 [height, width, 3], colours as they came."""
    import cv2

    inner_w = min(width, max(1, round(pixels.shape[1] * scale)))
    inner_h = min(height, max(1, round(pixels.shape[0] * scale)))
    left = (width - inner_w) // 2 if centred else 0
    top = (height - inner_h) // 2 if centred else 0
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
        pixels, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR
    )
    scale_x, scale_y = inner_w / pixels.shape[1], inner_h / pixels.shape[0]
    return canvas, Letterbox(scale_x, scale_y, left, top, width, height)


def network_input(pictures: Pixels, card: ModelCard) -> Floats:
    """Turn RGB uint8 [b, h, w, 3] into float32 [b, 3, h, w], as the card's layout wants it.

    Ultralytics takes 0..1, YOLOX 0..255; the card says which colour comes first.
    """
    ordered = pictures[..., ::-1] if card.colour == "bgr" else pictures
    floats = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
    return floats if card.layout == "yolox" else np.divide(floats, 255.0, out=floats)


# --- Out of the network -------------------------------------------------------------------------


def decode(
    output: NDArray[np.floating],
    facts: Facts,
    letterbox: Letterbox,
    card: ModelCard,
    floor: float,
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Read one picture's output: corners [n, 4] in input pixels, scores [n], classes [n].

    The surest come first, and one thing is there once. Knows Ultralytics' [4 + classes, n], its
    transpose, its [n, 6] that needs no suppression, each with masks' or joints' numbers behind,
    and YOLOX's [n, 5 + classes]. Raises ModelBroken for any other shape.
    """
    count = len(facts.classes)
    if output.ndim == 2 and card.layout == "yolox" and output.shape[1] == 5 + count:
        return suppress(*_above(*_yolox(output, letterbox), floor))
    if output.ndim == 2 and card.layout == "ultralytics":
        if _is_finished(output, facts):
            return _finished(output, count, floor)
        if _holds(output.shape[0], facts) and output.shape[0] <= output.shape[1]:
            output = output.T
        if _holds(output.shape[1], facts):
            found = _centred(output[:, :4], output[:, 4 : 4 + count])
            return suppress(*_above(*found, floor))
    raise ModelBroken(
        f"{card.name} answers with shape {output.shape}, which is not the {card.layout} layout "
        f"for {count} classes",
        "check layout and classes of its row in the catalogue",
    )


def _is_finished(output: NDArray[np.floating], facts: Facts) -> bool:
    """Say whether a row is two corners, a score and a class, and not a box with all scores."""
    columns = output.shape[1]
    if columns < 6 or (columns > 6) != facts.more:
        return False
    if facts.finished is not None:
        return facts.finished
    if columns == 6 and len(facts.classes) != 2:
        return True
    # Where both may be meant: classes are whole numbers, and corners stand in their order.
    whole = output[:, 5] == np.floor(output[:, 5])
    return bool(whole.all() and (output[:, 2:4] >= output[:, :2]).all())


def _holds(numbers: int, facts: Facts) -> bool:
    exact = 4 + len(facts.classes)
    return numbers > exact if facts.more else numbers == exact


Found = tuple[Floats, Floats]
"""Corners [n, 4] in input pixels and scores [n, classes]."""


def _centred(boxes: NDArray[np.floating], scores: NDArray[np.floating]) -> Found:
    middle, half = boxes[:, :2], boxes[:, 2:4] / 2
    corners = np.concatenate([middle - half, middle + half], axis=1)
    return corners.astype(np.float32), np.asarray(scores, np.float32)


def _yolox(output: NDArray[np.floating], letterbox: Letterbox) -> Found:
    """Decode YOLOX's grid: centre = (offset + cell) * stride, side = exp(side) * stride."""
    cells, strides = _grid(letterbox.height, letterbox.width)
    if len(cells) != len(output):
        raise ModelBroken(
            f"YOLOX's grid has {len(cells)} cells and the network answers for {len(output)}",
            "check the size of its row in the catalogue",
        )
    middles = (output[:, :2] + cells) * strides
    # A wild number would overflow here; exp(12) cells are wider than any picture.
    sides = np.exp(np.minimum(output[:, 2:4], 12.0)) * strides
    return _centred(np.concatenate([middles, sides], axis=1), output[:, 4:5] * output[:, 5:])


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _finished(
    output: NDArray[np.floating], count: int, floor: float
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    which = output[:, 5].astype(np.intp)
    kept = (output[:, 4] >= floor) & (which >= 0) & (which < count)
    rows, which = output[kept].astype(np.float32), which[kept]
    surest = np.argsort(-rows[:, 4], kind="stable")[:MOST]
    return rows[surest, :4], np.minimum(rows[surest, 4], 1.0), which[surest]


def _above(
    corners: Floats, scores: Floats, floor: float
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Keep each box's best class where it reaches the floor."""
    which = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), which]
    kept = np.flatnonzero(best >= floor)
    return corners[kept], np.minimum(best[kept], 1.0), which[kept]


def suppress(
    corners: Floats, scores: Floats, classes: NDArray[np.intp], iou: float = NMS_IOU
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Keep the best of boxes of one class that overlap: greedy non-maximum suppression.

    Corners [n, 4], scores [n], classes [n] in; the same for what is kept, the best first.
    """
    waiting = np.argsort(-scores, kind="stable")[:CANDIDATES]
    kept: list[int] = []
    while len(waiting) and len(kept) < MOST:
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        same = classes[rest] == classes[best]
        waiting = rest[~(same & (_overlap(corners[best], corners[rest]) > iou))]
    return corners[kept], scores[kept], classes[kept]


def _overlap(one: Floats, others: Floats) -> Floats:
    """Return the intersection over union of one box with each of the others."""
    low = np.maximum(one[:2], others[:, :2])
    high = np.minimum(one[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(np.clip(others[:, 2:] - others[:, :2], 0, None), axis=1)
    area = np.prod(np.clip(one[2:] - one[:2], 0, None))
    return np.asarray(shared / np.maximum(area + areas - shared, 1e-9), np.float32)


def to_fractions(corners: Floats, letterbox: Letterbox, shape: tuple[int, int]) -> Floats:
    """Map corners [n, 4] in input pixels to fractions of the frame, clipped to 0..1."""
    height, width = shape
    offset = np.array([letterbox.left, letterbox.top] * 2, np.float32)
    scale = np.array([letterbox.scale_x * width, letterbox.scale_y * height] * 2, np.float32)
    return np.asarray(np.clip((corners - offset) / scale, 0.0, 1.0), np.float32)


def _check_finite(outputs: NDArray[np.floating], card: ModelCard) -> None:
    if not np.isfinite(outputs).all():
        raise ModelBroken(
            f"{card.name} answers with numbers that are none", "fetch the model again"
        )
