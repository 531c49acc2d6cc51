"""Whole pictures as vectors that tell how alike they look: DINOv2 and its like."""

import threading
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.detectors.feeding import feed, finite, input_side, trial_pictures
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.session import Network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, Observation, Pixels, Vectors, Wants

SAME = 0.9999
"""Two vectors with a cosine above are one: the network did not look."""
POOLED = ("image_embeds", "pooler_output", "embedding", "embeddings")
"""What the output is called that is one vector for a picture, where a network has several."""


class SimilarityDetector:
    """Gives every frame a vector."""

    name: ClassVar[str] = "similarity"
    wants: ClassVar[Wants] = Wants.LABELS
    min_side_px: ClassVar[int] = 0

    def __init__(self, shelf: Shelf, card: ModelCard, batch: int = 16) -> None:
        self._shelf = shelf
        self._card = card
        self.batch = batch
        self.device = ""
        """Where it ran, once it has."""
        self.precision = ""
        self._tried = not card.untried
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """Name and version, joined by `@`."""
        return self._shelf.label(self._card)

    def detect(self, frames: Sequence[Frame]) -> Iterator[Observation]:
        """Yield one observation `frame` with a vector of length 1 for every frame.

        Raises ModelMissing or ModelBroken.
        """
        for start in range(0, len(frames), self.batch):
            part = frames[start : start + self.batch]
            network = self._shelf.network(self._card, "network")
            self.device, self.precision = network.device, network.precision
            self._try_once(network)
            vectors = _vectors(network, [frame.pixels for frame in part], self._card)
            model = self.model
            for frame, vector in zip(part, vectors, strict=True):
                yield Observation(
                    scene_key=frame.scene_key,
                    frame_index=frame.index,
                    time_s=frame.time_s,
                    detector=self.name,
                    model=model,
                    label="frame",
                    score=1.0,
                    vector=vector,
                )

    def _try_once(self, network: Network) -> None:
        """Look once at three made pictures with weights that none of us has run."""
        with self._lock:
            if self._tried:
                return
            vectors = _vectors(network, trial_pictures(), self._card)
            if float((vectors[1:] @ vectors[0]).min()) > SAME:
                raise ModelBroken(
                    f"{self._card.name} gives three different pictures one vector: its weights "
                    "are not what its row says",
                    "choose another model, or check its row in the catalogue",
                )
            self._tried = True


def _vectors(network: Network, pictures: Sequence[Pixels], card: ModelCard) -> Vectors:
    """Return a vector of length 1 for each picture, float32 [pictures, dimensions]."""
    batch = feed(pictures, card, input_side(network, card))
    outputs = network.run({network.inputs[0].name: batch})
    names = [port.name for port in network.outputs]
    output = outputs[_output(names, outputs)]
    if output.ndim == 3:
        # One vector for each piece of the picture; the first stands for the whole (CLS).
        output = output[:, 0]
    rows = output.reshape(len(output), -1).astype(np.float32)
    if output.ndim not in {2, 4} or max(output.shape[2:], default=1) > 1 or len(rows) != len(batch):
        raise ModelBroken(
            f"{card.name} answers with shape {output.shape} instead of a vector for each picture",
            "check the files of its row in the catalogue",
        )
    lengths = np.linalg.norm(finite(rows, card), axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def _output(names: Sequence[str], outputs: Sequence[NDArray[np.floating]]) -> int:
    """Return which output is taken: one named as pooled, else the first of two dimensions."""
    for index, name in enumerate(names):
        if name in POOLED:
            return index
    flat = [index for index, output in enumerate(outputs) if output.ndim == 2]
    return flat[0] if flat else 0
