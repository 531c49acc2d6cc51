"""torch compiles, onnxruntime runs: the networks of a row are made here, once, from its weights.

A process of the extras reads the weights, which may be pickles and then can run code: it is started
only for a hash that the row pins, reaches nobody, and writes into a folder of its own. What it
made is read here like any file of a stranger, has to answer as torch did, and is adopted only then.
"""

import gzip
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import MemoryShort, ModelBroken, ModelError, ModelMissing
from stash_sense_plugin.inference import errand, lighter, onnx_file
from stash_sense_plugin.inference.catalogue import WEIGHTS, Export, ModelCard, Task
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.errand import Errand
from stash_sense_plugin.inference.providers import CARDS, asked_of
from stash_sense_plugin.inference.session import Network, offered, open_network
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import lock, machine, steps
from stash_sense_plugin.start.fault import StartError

Array = NDArray[Any]

LIMIT_S = 1800.0
"""The largest here takes two minutes on two slow processors: this one hangs."""
HALVING_LIMIT_S = 600.0
CLOSE = 1e-3
"""How far onnxruntime's answers may be from torch's."""
CLOSE_SHARE = 1e-5
"""As much again for each number, by its size: corners of boxes are hundreds of pixels."""
MOST_SAMPLES_BYTES = 1 << 29
MOST_WORDS_BYTES = 1 << 25
LEAST_WORDS = 40_000
"""Lines of CLIP's list of merges that its tokenizer reads, and some more that it does not."""
PIECE_BYTES = 1 << 20
WAIT_S = 0.5

_FOLDERS = ".making-"
_SAFE = ".safetensors"
"""The only form of weights that no code can hide in."""
_NETWORKS = frozenset({"visual", "textual", "network"})
_HALVED = frozenset({"visual", "network"})
"""What looks at every frame; a text tower runs once for each prompt."""


def export(
    models: Models,
    card: ModelCard,
    reporter: Reporter,
    python: str,
    *,
    half: bool | None = None,
    limit_s: float = LIMIT_S,
) -> None:
    """Make what is missing of a card's networks; its weights must be here.

    `python` is the Python of the extras (`environment.extras_python`). With `half` a variant of
    half precision is made too, for graphics cards; None: where onnxruntime is built for one. That
    may fail without harm, and is told. Raises ModelMissing where the weights or the extras are
    not here, ModelBroken where the weights are not what the row names or no network that answers
    as torch does comes of them, MemoryShort, and Cancelled; nothing is adopted then.
    """
    making, roles = card.export, models.unmade(card)
    if making is None or not roles:
        return
    refuse(models, card, python)
    weights = models.path(card, WEIGHTS)
    with _workplace(models.folder, reporter) as folder:
        reporter.log("info", f"{card.name}: making its networks from {weights.name}, by torch")
        made = {role: folder / f"{role}{Path(card.files[role].path).suffix}" for role in roles}
        safe = _safe_to_read(card, weights, folder)
        with _plainly(card, "made"):
            _make(card, making, safe, made, python, reporter, limit_s)
            _check(card, made, reporter)
        reporter.check()
        for role, place in made.items():
            models.adopt(card, role, place)
        if half if half is not None else asked_of("auto", offered()) in CARDS:
            _halve_all(models, card, made, reporter)
        reporter.progress(1.0)


# --- Whether ---------------------------------------------------------------------------------


def refuse(models: Models, card: ModelCard, python: str, kind: str = "") -> None:
    """Raise ModelMissing where nothing can be exported here, with what to do instead.

    `kind` is the kind of this machine, see `start.machine`; it is looked at when not given.
    """
    if (kind or machine.kind()) == machine.MUSL:
        ready = ", ".join(_ready(models.catalogue, card.task)) or "none yet"
        raise ModelMissing(
            f"{card.name} is made from weights by torch, which there is none of for Alpine Linux",
            f"choose a model of its kind that comes ready ({ready}), or run Stash on Debian or"
            " Ubuntu",
        )
    if not python or not os.access(python, os.X_OK):
        raise ModelMissing(
            f"{card.name} is made here, once, from weights that torch reads, and the extras that"
            " bring torch are not set up",
            "run the task Set up extras, then Download models again",
        )


def _ready(cards: Iterable[ModelCard], task: Task) -> list[str]:
    return [card.name for card in cards if card.task == task and card.export is None]


def _safe_to_read(card: ModelCard, weights: Path, folder: Path) -> Path:
    """Return the weights as they may be read by torch; raises ModelBroken.

    What may be a pickle is copied while its hash is reckoned: what was checked is what is read,
    whoever changes the file meanwhile.
    """
    if weights.suffix == _SAFE:
        return weights
    pinned = card.files[WEIGHTS].sha256
    if pinned is None:
        raise ModelBroken(
            f"{card.name}: {weights.name} may be a pickle, which can run code, and its sha256 is"
            " not pinned",
            "write the sha256 of its weights into its row, or use weights in safetensors",
        )
    copy = folder / f"weights{weights.suffix}"
    found = _copied(weights, copy)
    if found != pinned:
        copy.unlink()
        raise ModelBroken(
            f"{weights} may be a pickle, which can run code, and is not the file that {card.name}"
            f" pins: its sha256 is {found[:12]}… and should be {pinned[:12]}…; it was not opened",
            f"delete it, and run `python -m stash_sense_plugin models pull {card.name}`",
        )
    return copy


def _copied(source: Path, target: Path) -> str:
    """Copy a file; return the SHA-256 of what was written."""
    hasher = hashlib.sha256()
    with _writing(target), source.open("rb") as read, target.open("wb") as write:
        while piece := read.read(PIECE_BYTES):
            hasher.update(piece)
            write.write(piece)
    return hasher.hexdigest()


# --- Where -----------------------------------------------------------------------------------


@contextmanager
def _workplace(models_folder: Path, reporter: Reporter) -> Iterator[Path]:
    """Return a folder of our own on the disk of the models; it is gone afterwards.

    Nobody else makes networks meanwhile, so that two do not share the memory that one needs; what
    a killed process left is swept.
    """
    with _writing(models_folder):
        models_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = _alone(models_folder, reporter)
    try:
        for left in models_folder.glob(f"{_FOLDERS}*"):
            shutil.rmtree(left, ignore_errors=True)
        with _writing(models_folder):
            folder = Path(tempfile.mkdtemp(prefix=_FOLDERS, dir=models_folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        held.release()


def _alone(models_folder: Path, reporter: Reporter) -> lock.Lock:
    told = False
    while (held := _try_lock(models_folder)) is None:
        if not told:
            reporter.log("info", "Waiting: another process makes a network")
            told = True
        reporter.check()
    return held


def _try_lock(models_folder: Path) -> lock.Lock | None:
    try:
        return lock.hold_if_it_can_be(str(models_folder / ".making.lock"), WAIT_S)
    except StartError as error:
        raise ModelMissing(error.message, error.remedy) from error


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = "mend who may write there, or name another folder in STASH_SENSE_HOME"
        raise ModelMissing(
            f"{place} cannot be written: {error.strerror or error}",
            steps.FULL[1] if steps.full(error) else remedy,
        ) from error


# --- Making ----------------------------------------------------------------------------------


class _Unusable(Exception):
    """Says why what was made is not taken."""


@contextmanager
def _plainly(card: ModelCard, what: str) -> Iterator[None]:
    """Make one sentence of all that can be wrong with weights or with what comes of them."""
    try:
        yield
    except (_Unusable, ModelError) as error:
        why = error.message if isinstance(error, ModelError) else str(error)
        MemoryShort.check(error, f"while the networks of {card.name} were {what}")
        raise ModelBroken(
            f"{card.name}: its networks could not be {what} ({why})",
            "choose another model; `python -m stash_sense_plugin models pull"
            f" {card.name}` tries again",
        ) from error


def _make(
    card: ModelCard,
    making: Export,
    weights: Path,
    made: Mapping[str, Path],
    python: str,
    reporter: Reporter,
    limit_s: float,
) -> None:
    folder = next(iter(made.values())).parent
    order = {
        "by": making.by,
        "model": making.model,
        "opset": making.opset,
        "arguments": dict(making.arguments),
        "weights": str(weights),
        "folder": str(folder),
        "roles": {role: place.name for role, place in made.items()},
    }
    job = Errand(python, "export_networks", order, folder, limit_s, _most_bytes(weights))
    if why := errand.run(job, reporter, partial(_share, reporter, 0.0, 0.8)):
        raise _Unusable(why)


def _share(reporter: Reporter, begin: float, end: float, fraction: float) -> None:
    reporter.progress(begin + fraction * (end - begin))


def _most_bytes(weights: Path) -> int:
    """Return what one file may weigh: weights of half precision double, and a graph is small."""
    return 4 * weights.stat().st_size + (256 << 20)


# --- Checking --------------------------------------------------------------------------------


def _check(card: ModelCard, made: Mapping[str, Path], reporter: Reporter) -> None:
    for at, (role, place) in enumerate(made.items()):
        reporter.check()
        _check_file(place)
        if role in _NETWORKS:
            compare(place, read_samples(place.with_suffix(".npz")))
        else:
            _check_words(place)
        reporter.progress(0.8 + 0.15 * (at + 1) / len(made))


def _check_file(place: Path) -> None:
    """Refuse what is not there, is no plain file, or leans on others."""
    try:
        found = place.lstat()
    except OSError as error:
        raise _Unusable(f"{place.name} was not made") from error
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        raise _Unusable(f"{place.name} is no file with something in it")
    if place.suffix == ".onnx" and (beside := onnx_file.read(place).beside):
        raise _Unusable(f"{place.name} leans on other files ({', '.join(beside)[:80]})")


def _check_words(place: Path) -> None:
    """Refuse what is no list of merges, as CLIP's is."""
    try:
        with gzip.open(place) as file:
            lines = file.read(MOST_WORDS_BYTES).decode("utf-8").count("\n")
    except (OSError, EOFError, ValueError) as error:
        raise _Unusable(f"{place.name} is no list of words ({error})") from error
    if lines < LEAST_WORDS:
        raise _Unusable(f"{place.name} holds {lines} words, where CLIP has some 49,000")


def read_samples(path: Path) -> dict[str, Array]:
    """Return the arrays of an npz file by name; nothing in it is ever unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_SAMPLES_BYTES:
                raise _Unusable(f"{path.name} is larger than samples are")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise _Unusable(f"{path.name} holds no samples ({error})") from error


def compare(network_file: Path, samples: Mapping[str, Array]) -> None:
    """Refuse a network that does not answer as torch did, for all samples and for the first."""
    network = open_network(network_file, device="cpu")
    feeds, expected = _split(network, samples)
    for count in (len(next(iter(feeds.values()))), 1):
        answers = network.run({name: each[:count] for name, each in feeds.items()})
        for answer, told in zip(answers, expected, strict=False):
            _compare_one(answer, told[:count], finished=_is_finished(network, told))


def _split(network: Network, samples: Mapping[str, Array]) -> tuple[dict[str, Array], list[Array]]:
    name = network.path.name
    feeds = {port.name: samples.get(f"in_{port.name}") for port in network.inputs}
    expected = [samples.get(f"out_{at}") for at in range(len(network.outputs))]
    there = {port: each for port, each in feeds.items() if each is not None and len(each) > 1}
    answered = [each for each in expected if each is not None and each.size]
    if len(there) != len(feeds) or not there or not answered:
        raise _Unusable(f"torch's answers to samples for {name} are missing")
    if any(port.shape[:1] != (None,) for port in network.inputs):
        raise _Unusable(f"{name} takes a fixed number of pictures at a time")
    return there, answered


def _is_finished(network: Network, told: Array) -> bool:
    """Say whether these are boxes that the network chose by itself: rows of six numbers."""
    ends = network.metadata.get("end2end", "").casefold() == "true"
    return ends and told.ndim == 3 and told.shape[2] == 6


def _compare_one(answer: Array, told: Array, *, finished: bool) -> None:
    if answer.shape != told.shape:
        raise _Unusable(f"onnxruntime answers {answer.shape} where torch answers {told.shape}")
    if not (np.isfinite(answer).all() and np.isfinite(told).all()):
        raise _Unusable("some of its answers are no numbers")
    apart = boxes_apart(answer, told) if finished else _apart(answer, told)
    if apart > CLOSE:
        raise _Unusable(f"onnxruntime's answers are {apart:.2g} away from torch's")


def _apart(answer: Array, told: Array) -> float:
    """Return the greatest difference, less what the size of a number allows."""
    return float((np.abs(answer - told) - CLOSE_SHARE * np.abs(told)).max())


def boxes_apart(answer: Array, told: Array) -> float:
    """Return the greatest difference of chosen boxes [b, n, 6], in whatever order they come.

    Which of several equal boxes is chosen is chance, and so is their order: all scores have to
    agree, and each box that is clearly above the last has to have its like.
    """
    scores = [np.sort(each[..., 4], axis=1) for each in (answer, told)]
    worst = _apart(*scores)
    for row, wanted in zip(answer, told, strict=True):
        for box in wanted[wanted[:, 4] > wanted[:, 4].min() + CLOSE]:
            like = (np.abs(row - box) - CLOSE_SHARE * np.abs(box)).max(axis=1)
            worst = max(worst, float(like.min()))
    return worst


# --- Half precision --------------------------------------------------------------------------


def _halve_all(
    models: Models, card: ModelCard, made: Mapping[str, Path], reporter: Reporter
) -> None:
    for role in sorted(_HALVED & made.keys()):
        folder = made[role].parent
        try:
            sentence = _halve(card, models.path(card, role), made[role].with_suffix(".npz"),
                              folder, reporter)  # fmt: skip
        except (_Unusable, ModelError, OSError) as error:
            sentence = f"not made, graphics cards run it at full precision ({error})"
        reporter.log("info", f"{card.name}: variant of half precision: {sentence}")


def _halve(card: ModelCard, whole: Path, samples: Path, folder: Path, reporter: Reporter) -> str:
    """Make the variant for graphics cards, try it on the samples, and take it in if it agrees."""
    made, answers = folder / "half.onnx", folder / "half.npz"
    order = {
        "whole": str(whole),
        "made": str(made),
        "samples": str(samples),
        "answers": str(answers),
    }
    job = Errand(sys.executable, "halving", order, folder, HALVING_LIMIT_S, _most_bytes(whole))
    if why := errand.run(job, reporter, lambda _: None):
        raise _Unusable(why)
    _check_file(made)
    told, given = (read_samples(each)["out_0"] for each in (samples, answers))
    if told.shape != given.shape:
        raise _Unusable(f"it answers {given.shape} where {told.shape} is right")
    agreement = lighter.compared(_rows(told), _rows(given), card)
    if not agreement.holds:
        raise _Unusable(f"it does not agree with the whole one: cosine {agreement.cosine:.4f}")
    sentence = f"fp16 on a graphics card: least cosine {agreement.cosine:.4f}"
    lighter.adopt(whole, made, "fp16", agreement, sentence)
    return sentence


def _rows(answers: Array) -> Array:
    return answers.reshape(len(answers), -1).astype(np.float64)
