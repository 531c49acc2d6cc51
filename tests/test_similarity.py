from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stash_sense_plugin.detectors.similarity import SimilarityDetector
from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Frame, FrameSource, Pixels, Wants
from tests.small_networks import answering, colour_words, patch_tokens

ANY = ("batch", 3, 28, 28)


def plain(*colour: int) -> Pixels:
    return np.full((30, 40, 3), colour, np.uint8)


def detector_of(path: Path, **facts: Any) -> SimilarityDetector:
    told = {
        "name": "net",
        "task": "similarity",
        "about": "Three colours",
        "licence": "MIT",
        "commercial": True,
        "files": {"network": LocalFile(path=str(path))},
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "overlaid": True,
    }
    card = ModelCard.model_validate(told | facts)
    models = Models(path.parent / "models", Catalogue({"net": card}))
    return SimilarityDetector(Shelf(models, 1 << 30, threads=1), card, batch=2)


def vectors_of(detector: SimilarityDetector, *pictures: Pixels) -> list[NDArray[np.float32]]:
    frames = [Frame("s", i, i * 2.0, one, FrameSource.SPRITE) for i, one in enumerate(pictures)]
    told = list(detector.detect(frames))
    assert [(one.label, one.frame_index, one.detector) for one in told] == [
        ("frame", i, "similarity") for i in range(len(pictures))
    ]
    return [one.vector for one in told if one.vector is not None]


def test_the_vector_is_the_first_tokens(tmp_path: Path) -> None:
    detector = detector_of(patch_tokens(tmp_path / "net.onnx", ANY, 14), untried=True)
    red, mixed, blue = vectors_of(detector, plain(255, 0, 0), plain(0, 153, 204), plain(0, 0, 9))
    np.testing.assert_allclose(red, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(mixed, [0, 0.6, 0.8], atol=1e-6)
    np.testing.assert_allclose(blue, [0, 0, 1], atol=1e-6)
    assert red.dtype == np.float32
    assert detector.model.startswith("net@")
    assert (detector.device, detector.precision) == ("cpu", "fp32")
    assert detector.wants is Wants.LABELS


def test_a_network_of_one_vector_a_picture_is_read(tmp_path: Path) -> None:
    path = colour_words(tmp_path / "net.onnx", np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    (vector,) = vectors_of(detector_of(path), plain(0, 255, 0))
    np.testing.assert_allclose(vector, [0, 1, 0], atol=1e-6)


def test_a_batch_that_is_fixed_and_no_frames_are_no_fault(tmp_path: Path) -> None:
    detector = detector_of(patch_tokens(tmp_path / "net.onnx", (1, 3, 28, 28), 14))
    assert len(vectors_of(detector, *[plain(9, 9, 9)] * 5)) == 5
    assert vectors_of(detector) == []


def test_what_is_no_vector_is_refused(tmp_path: Path) -> None:
    maps = answering(tmp_path / "m.onnx", (1, 3, 28, 28), np.ones((1, 8, 7, 7), np.float32))
    with pytest.raises(ModelBroken, match=r"answers with shape \(1, 8, 7, 7\) instead of a vector"):
        vectors_of(detector_of(maps), plain(1, 1, 1))
    blind = answering(tmp_path / "b.onnx", (1, 3, 28, 28), np.ones((1, 8), np.float32))
    with pytest.raises(ModelBroken, match="gives three different pictures one vector"):
        vectors_of(detector_of(blind, untried=True), plain(1, 1, 1))


def test_a_network_of_any_size_needs_one_in_its_row(tmp_path: Path) -> None:
    path = patch_tokens(tmp_path / "net.onnx", ("batch", 3, "h", "w"), 14)
    with pytest.raises(ModelBroken, match="write size into its row"):
        vectors_of(detector_of(path), plain(1, 1, 1))
    assert len(vectors_of(detector_of(path, size=28), plain(1, 1, 1))) == 1
