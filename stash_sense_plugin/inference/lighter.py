"""Lighter variants of a network: made once, tried, and picked when it opens.

`X.int8.onnx` runs on a CPU and `X.fp16.onnx` on a graphics card in place of `X.onnx`. A record
(`X.int8.json`) says of which file each was made and how far it agrees with it; a variant whose
record does not fit is not used, and is made anew when it is asked for again. They lie beside the
files that came here; what is made of a file of the user's own lies in our folder: a `base` is the
name beside which they lie, the file's own where none is given (`Models.base`).
"""

import hashlib
import importlib.util
import json
import logging
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from stash_sense_plugin.errors import MemoryShort, ModelBroken
from stash_sense_plugin.inference import onnx_file, rounding
from stash_sense_plugin.inference.catalogue import ModelCard, PackageFile, Task
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.drawn import pictures
from stash_sense_plugin.inference.providers import CARDS, Place
from stash_sense_plugin.inference.recorded import sha256_of, write_private
from stash_sense_plugin.inference.resident import return_memory
from stash_sense_plugin.inference.session import Network, open_network, version
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import environment

log = logging.getLogger(__name__)

Array = NDArray[Any]
Precision = Literal["int8", "fp16"]

FORMAT = 1
"""Another way of making or trying them makes every variant be made anew."""
MOSTLY = 0.5
"""The least share of a network's weights that must go into matrix products: others gain nothing."""
LEAST_COSINE = 0.99
"""Between what both say of a picture, for each picture."""
MOST_SCORE = 0.05
"""How far a tagger's score may move: a third of what lies between where a label begins and where
it ends (0.5 and 0.35, unless the vocabulary says otherwise), so that it neither appears nor
flickers by rounding alone."""
PICTURES = 12
PACKAGE = "onnx"
POLL_S = 0.2
SIDE_PX = 224
"""The side of a picture where neither the graph nor the row names one."""

_ROLE: Mapping[Task, str] = {
    "clip": "visual",
    "tagger": "network",
    "classifier": "network",
    "similarity": "network",
    "objects": "network",
}
"""The networks that look at every frame. A text tower runs once for each prompt: rounding it would
move every score, and save nothing."""
_SCORED: frozenset[Task] = frozenset({"tagger", "classifier"})


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two variants say the same, at their worst."""

    cosine: float
    score: float | None = None
    """The greatest difference of a score, where the network gives scores."""

    @property
    def holds(self) -> bool:
        """Whether the lighter one may stand for the other."""
        return self.cosine >= LEAST_COSINE and (self.score or 0.0) <= MOST_SCORE

    @property
    def told(self) -> str:
        """It in words."""
        scores = "" if self.score is None else f", greatest difference of a score {self.score:.3f}"
        return f"least cosine {self.cosine:.4f}{scores} over {PICTURES} drawn pictures"


@dataclass(frozen=True, slots=True)
class Record:
    """What became of making a variant of one file."""

    precision: str
    kept: bool
    sentence: str
    source_sha256: str
    made_sha256: str
    """Empty where it was not kept."""
    cosine: float
    score: float | None
    onnxruntime: str
    processor: str
    """Of int8, what it was tried on: processors round differently."""
    format: int = FORMAT

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what was written; None where nothing was, or nothing that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read, and its variant is not used: %s", path, error)
            return None

    def fits(self, source: Path, base: Path | None = None) -> bool:
        """Say whether it is about these very files, with this onnxruntime on this processor."""
        if (self.format, self.source_sha256) != (FORMAT, whole_sha256(source)):
            return False
        here = (version(), _processor())
        if self.precision == "int8" and (self.onnxruntime, self.processor) != here:
            return False
        made = variant_path(base or source, self.precision)
        return not self.kept or (made.is_file() and sha256_of(made) == self.made_sha256)


def whole_sha256(source: Path) -> str:
    """Return the SHA-256 of a network, over the files of its weights too where it has any."""
    beside = onnx_file.read(source).beside
    told = [sha256_of(path) for path in (source, *(source.parent / name for name in beside))]
    return told[0] if len(told) == 1 else hashlib.sha256("".join(told).encode()).hexdigest()


def variant_path(base: Path, precision: str) -> Path:
    """Return where a variant of `X.onnx` lies: `X.int8.onnx`, `X.fp16.onnx`."""
    return base.with_name(f"{base.stem}.{precision}.onnx")


def record_path(base: Path, precision: str) -> Path:
    """Return where the record of a variant lies: `X.int8.json`."""
    return base.with_name(f"{base.stem}.{precision}.json")


def variant(
    path: Path, place: Place, full_precision: bool = False, base: Path | None = None
) -> Path:
    """Return what is opened for `path` where networks run: a variant that fits, or `path`."""
    precision = "fp16" if place in CARDS else "int8" if place == "cpu" else None
    if full_precision or precision is None:
        return path
    base = base or path
    try:
        record = Record.read(record_path(base, precision))
        if record is not None and record.kept and record.fits(path, base):
            return variant_path(base, precision)
    except OSError as error:
        log.warning("%s: its %s variant cannot be read: %s", path, precision, error)
    return path


def adopt(
    source: Path,
    made: Path,
    precision: Precision,
    agreement: Agreement,
    sentence: str,
    base: Path | None = None,
) -> Path:
    """Take in a variant of `source` that was made and tried; `made` lies on the same disk.

    Its record is written last: a kill between leaves a variant that is not used. Raises OSError.
    """
    base = base or source
    place = variant_path(base, precision)
    record_path(base, precision).unlink(missing_ok=True)
    made.chmod(0o600)
    sha256 = sha256_of(made)
    made.replace(place)
    _write(base, _recorded(source, precision, agreement, sentence, sha256))
    return place


def lighten(models: Models, card: ModelCard, reporter: Reporter) -> str | None:
    """Make the int8 variant of the network of a card that looks at frames; say what became of it.

    It takes a minute for a large one, and happens when it is asked for, never while tagging. The
    answer is one sentence, also where nothing was made; None where no network of the card is ours
    to run. Raises ModelMissing or ModelBroken for the card's own file, and Cancelled.
    """
    role = _ROLE.get(card.task)
    if role is None:
        return None
    source, base = models.path(card, role), models.base(card, role)
    record = Record.read(record_path(base, "int8"))
    if record is not None and record.fits(source, base):
        return _named(card, record.sentence)
    why = _unfit(card, role, source)
    if not why:
        try:
            for folder in (models.folder, base.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            why = _make(source, base, card, reporter)
        except OSError as error:
            why = _full(f"{base.parent} cannot be written ({error.strerror or error})")
    return _named(card, why)


def told(models: Models, card: ModelCard) -> str | None:
    """Say what became of the int8 variant of a card's network, without making one.

    None where no network of the card is ours to run. Raises ModelMissing or ModelBroken.
    """
    role = _ROLE.get(card.task)
    if role is None:
        return None
    source, base = models.path(card, role), models.base(card, role)
    record = Record.read(record_path(base, "int8"))
    if record is not None and record.fits(source, base):
        return _named(card, record.sentence)
    why = (
        _unfit(card, role, source)
        or _full(
            "none was made yet"
            if record is None
            else "the one that was made is of another file, onnxruntime or processor"
        )
        + f": `python -m stash_sense_plugin models pull {card.name}` makes it"
    )
    return _named(card, why)


# --- Whether ---------------------------------------------------------------------------------


def _unfit(card: ModelCard, role: str, source: Path) -> str:
    """Return the sentence for a network that is not even tried; empty where it is."""
    facts = onnx_file.read(source)
    share = facts.share_in_products
    if facts.precision != "fp32":
        return f"it comes in {facts.precision}, and is left so"
    if share < MOSTLY:
        return _full(
            f"{share:.0%} of its weights go into matrix products, and convolutions gain nothing"
        )
    if card.task == "objects":
        return _full("boxes and their scores of an object detector are not compared here")
    if isinstance(card.files[role], PackageFile):
        return _full("its file belongs to a Python package")
    if facts.weight_bytes > rounding.LARGEST_BYTES:
        return _full(f"its weights are {facts.weight_bytes / 1e9:.1f} GB, and 2 GB are the most")
    if importlib.util.find_spec(PACKAGE) is None:
        return _full(environment.why_no_onnx())
    return ""


def _full(why: str) -> str:
    return f"kept at full precision because {why}"


def _named(card: ModelCard, sentence: str) -> str:
    return f"{card.name}: {sentence}"


# --- Making ----------------------------------------------------------------------------------


def _make(source: Path, base: Path, card: ModelCard, reporter: Reporter) -> str:
    """Try one way of rounding after the other; keep the first that agrees."""
    closest = Agreement(-1.0)
    reporter.log("info", f"{card.name}: making it lighter (int8)")
    with tempfile.TemporaryDirectory(prefix=f".{base.stem}-", dir=base.parent) as folder:
        for bits in (rounding.FULL_RANGE, rounding.SEVEN_BITS):
            made = Path(folder) / f"{bits}.onnx"
            if fault := _rounded(source, made, bits, reporter):
                return _full(fault)
            try:
                agreement = agree(source, made, card)
            except MemoryShort as error:
                return _full(f"it could not be tried: {error.message}")
            except ModelBroken as error:
                return _refused(source, base, closest, f"it does not run so ({error.message})")
            finally:
                return_memory()
            reporter.check()
            if agreement.holds:
                sentence = _kept_sentence(source, made, agreement)
                adopt(source, made, "int8", agreement, sentence, base)
                return sentence
            closest = max(closest, agreement, key=lambda each: each.cosine)
    return _refused(source, base, closest, f"rounded weights do not agree with it ({closest.told})")


def _refused(source: Path, base: Path, agreement: Agreement, why: str) -> str:
    """Remember that the network cannot be made lighter: trying it again would end alike."""
    sentence = _full(why)
    variant_path(base, "int8").unlink(missing_ok=True)
    _write(base, _recorded(source, "int8", agreement, sentence, ""))
    return sentence


def _rounded(source: Path, made: Path, bits: str, reporter: Reporter) -> str:
    """Round the weights in a process of its own; return why it failed, empty where it went well."""
    words = rounding.command(source, made, bits)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            while _runs(process):
                reporter.check()
        finally:
            # Also where the user stopped it: nobody waits for what it would write.
            process.kill()
            process.wait()
        if process.returncode == 0 and made.is_file():
            return ""
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    last = lines[-1][:300] if lines else f"it ended with {process.returncode}"
    return f"rounding its weights failed ({last})"


def _runs(process: subprocess.Popen[bytes]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(POLL_S)
        return False
    return True


def _kept_sentence(source: Path, made: Path, agreement: Agreement) -> str:
    before, after = (onnx_file.read(path).bytes / 1e6 for path in (source, made))
    return f"int8 on a CPU, {after:.0f} MB in place of {before:.0f}: {agreement.told}"


def _recorded(
    source: Path, precision: str, agreement: Agreement, sentence: str, made_sha256: str
) -> Record:
    return Record(
        precision,
        bool(made_sha256),
        sentence,
        whole_sha256(source),
        made_sha256,
        round(agreement.cosine, 6),
        None if agreement.score is None else round(agreement.score, 6),
        version(),
        _processor(),
    )


def _write(base: Path, record: Record) -> None:
    told = json.dumps(asdict(record), indent=1, ensure_ascii=False)
    write_private(record_path(base, record.precision), told.encode())


@cache
def _processor() -> str:
    """Return what the system calls the processor; two that round differently are told apart."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


# --- Agreement -------------------------------------------------------------------------------


def agree(source: Path, made: Path, card: ModelCard) -> Agreement:
    """Compare what two variants say of the drawn pictures, on a CPU."""
    full = open_network(source, device="cpu")
    batch = _fed(full, card)
    expected = _answers(full, batch)
    del full
    return compared(expected, _answers(open_network(made, device="cpu"), batch), card)


def compared(expected: Array, given: Array, card: ModelCard) -> Agreement:
    """Return how far two answers [pictures, numbers] agree at their worst."""
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(given, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        return Agreement(-1.0)
    cosine = float(((expected * given).sum(axis=1) / lengths).min())
    if card.task not in _SCORED:
        return Agreement(cosine)
    makes = _scorer(expected, card)
    apart = np.abs(_scores(expected, makes) - _scores(given, makes))
    return Agreement(cosine, float(apart.max()))


def _fed(network: Network, card: ModelCard) -> Array:
    """Return the drawn pictures as the card feeds them: [b, 3, side, side], or its nhwc."""
    shape = network.inputs[0].shape
    if len(network.inputs) != 1 or len(shape) != 4:
        raise ModelBroken(f"{card.name} takes something else than a batch of pictures")
    sides = shape[1:3] if card.order == "nhwc" else shape[2:]
    side = sides[0] or sides[1] or card.size or SIDE_PX
    batch = np.stack(pictures(PICTURES, side)).astype(np.float32)
    if card.colour == "bgr":
        batch = batch[..., ::-1]
    mean, std = (np.array(each, np.float32) for each in (card.mean, card.std))
    fed = (batch / card.scale - mean) / std
    return np.ascontiguousarray(fed if card.order == "nhwc" else fed.transpose(0, 3, 1, 2))


def _answers(network: Network, batch: Array) -> NDArray[np.float64]:
    """Return the first output, the one that detectors read, as [pictures, numbers]."""
    # One at a time: a batch of large pictures takes gigabytes.
    name = network.inputs[0].name
    rows = [network.run({name: batch[at : at + 1]})[0] for at in range(len(batch))]
    return np.concatenate(rows).reshape(len(batch), -1).astype(np.float64)


def _scorer(numbers: Array, card: ModelCard) -> str:
    if card.scores != "auto":
        return card.scores
    if numbers.min() >= -0.01 and numbers.max() <= 1.01:
        return "plain"
    return "softmax" if card.task == "classifier" else "sigmoid"


def _scores(numbers: Array, makes: str) -> Array:
    if makes == "plain":
        return numbers
    if makes == "sigmoid":
        return np.asarray(1 / (1 + np.exp(np.clip(-numbers, -80, 80))))
    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
