"""The rows of catalogue.yaml: which networks there are, where they come from, how they are fed."""

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from stash_sense_plugin.errors import CatalogueError

Task = Literal["clip", "objects", "tagger", "classifier", "similarity", "text"]
Preset = Literal["fast", "balanced", "accurate"]
Triple = tuple[float, float, float]

_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_SHA256 = r"^[0-9a-f]{64}$"
_WORD = r"^[a-z0-9][a-z0-9._-]{0,63}/[^\x00-\x1f]{1,200}$"
_PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of weights that may be pickles: such a file can run code, so its hash must be pinned."""


@dataclass(frozen=True, slots=True)
class _Roles:
    """The files that a row of one task must have, and those that it may have."""

    needed: frozenset[str]
    optional: frozenset[str] = frozenset()


_ROLES: Mapping[Task, _Roles] = {
    "clip": _Roles(frozenset({"visual", "textual", "tokenizer"})),
    "objects": _Roles(frozenset({"network"}), frozenset({"labels"})),
    "tagger": _Roles(frozenset({"network"}), frozenset({"labels"})),
    "classifier": _Roles(frozenset({"network"}), frozenset({"labels"})),
    "similarity": _Roles(frozenset({"network"})),
    "text": _Roles(frozenset({"rec"}), frozenset({"det", "cls", "letters"})),
}
WORDED: frozenset[Task] = frozenset({"objects", "tagger", "classifier"})
"""Tasks whose networks speak words of a list."""
WEIGHTS = "weights"
"""The role of what the others are made from, where a row is exported."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _inside(path: str) -> str:
    """Return `path` when it is a plain relative path that stays where it is put."""
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path != PurePosixPath(path).as_posix()
        or PurePosixPath(path).is_absolute()
        or PureWindowsPath(path).drive
        or "\\" in path
        or ".." in parts
        or any(ord(letter) < 32 for letter in path)
    ):
        raise ValueError(f"{path!r} is not a plain path below its folder")
    return path


class _Checked(_Row):
    sha256: Annotated[str, Field(pattern=_SHA256)] | None = None
    """None where it is not known: the first download records it and it is checked ever after."""
    bytes: Annotated[int, Field(gt=0)] | None = None


class HubFile(_Checked):
    """A file in a repository on the Hugging Face hub."""

    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
    path: str

    _path = field_validator("path")(_inside)

    @property
    def version(self) -> str:
        """The first eight digits of the revision."""
        return self.revision[:8]

    @property
    def source(self) -> str:
        """Where it comes from, in one word."""
        return f"{self.repo}@{self.revision}:{self.path}"


class UrlFile(_Checked):
    """A file at a pinned address."""

    url: str

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str) -> str:
        parts = urlsplit(url)
        # The address is not repeated: it may hold a password, and this is logged.
        if parts.scheme not in {"https", "http"} or not parts.hostname or not _leaf(url):
            raise ValueError("this is not the https address of a file")
        if parts.username is not None:
            raise ValueError("a user name or password may not stand in an address: leave it out")
        if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError(f"{shown_address(url)} is not encrypted: write https")
        return url

    @property
    def path(self) -> str:
        """The file's own name."""
        return _leaf(self.url)

    @property
    def version(self) -> str:
        """The first eight digits of its hash, or of its address where no hash is known."""
        return (self.sha256 or hashlib.sha256(self.url.encode()).hexdigest())[:8]

    @property
    def source(self) -> str:
        """Where it comes from, in one word."""
        return self.url


def shown_address(url: str) -> str:
    """Return what may be logged of an address: no name, no password, nothing that it is asked."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{host_of(url)}{parts.path}"


def host_of(url: str) -> str:
    """Return the host of an address with its port, and without whose name it is reached in."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _leaf(url: str) -> str:
    name = PurePosixPath(urlsplit(url).path).name
    return name if name not in {"", ".", ".."} and "\\" not in name else ""


class PackageFile(_Checked):
    """A file inside an installed Python package."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
    path: str

    _path = field_validator("path")(_inside)

    @property
    def source(self) -> str:
        """Where it comes from, in one word."""
        return f"{self.package}:{self.path}"


class LocalFile(_Checked):
    """A file of the user's own; a relative path starts at the catalogue that names it."""

    path: Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]

    @property
    def source(self) -> str:
        """Where it comes from, in one word."""
        return self.path


class MadeFile(_Checked):
    """A file that is made here, once, from the row's weights: see `Export`."""

    made: str

    _made = field_validator("made")(_inside)

    @property
    def path(self) -> str:
        """The file's own name."""
        return self.made

    @property
    def source(self) -> str:
        """Where it comes from, in one word."""
        return f"made:{self.made}"


class Export(_Row):
    """How a row's networks are made from weights that only torch reads."""

    by: Literal["open_clip", "ultralytics", "timm"]
    model: str = ""
    """The architecture, as the library calls it; Ultralytics' weights know their own."""
    opset: Annotated[int, Field(ge=17, le=23)] = 18
    arguments: Mapping[str, bool | int | float | str] = Field(default_factory=dict)
    """What the library's constructor is told besides: `{num_classes: 0}`."""


class Gate(_Row):
    """What must be seen at the same time for a network's words to mean anything."""

    words: tuple[Annotated[str, Field(pattern=_WORD)], ...]
    """Any of these will do; they are another network's words."""
    at_least: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The score that one of them must have."""


def _kind(value: object) -> str:
    keys = value.keys() if isinstance(value, dict) else getattr(value, "__dict__", {}).keys()
    for key, kind in (("repo", "hub"), ("url", "url"), ("package", "package"), ("made", "made")):
        if key in keys:
            return kind
    return "local"


ModelFile = Annotated[
    Annotated[HubFile, Tag("hub")]
    | Annotated[UrlFile, Tag("url")]
    | Annotated[PackageFile, Tag("package")]
    | Annotated[MadeFile, Tag("made")]
    | Annotated[LocalFile, Tag("local")],
    Discriminator(_kind),
]


class ModelCard(_Row):
    """One network: a row of the catalogue."""

    name: Annotated[str, Field(pattern=_NAME)]
    task: Task
    about: str
    licence: str
    commercial: bool
    """Whether its licence allows commercial use: the settings' defaults name such rows alone."""
    untried: bool = False
    """Nobody here has run these weights: results of the first run are to be looked at."""
    presets: tuple[Preset, ...] = ()
    """The presets that choose it, where no setting names another of its task."""
    suits: Literal["any", "gpu"] = "any"
    """Where it is worth its time: some need a GPU."""
    files: Mapping[str, ModelFile]
    export: Export | None = None
    """How its `made` files come about."""
    size: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Side of the square input in pixels; None: the network's own word."""
    layout: Literal["ultralytics", "yolox"] = "ultralytics"
    order: Literal["nchw", "nhwc"] = "nchw"
    """Whether channels come before height and width, or after."""
    colour: Literal["rgb", "bgr"] = "rgb"
    fit: Literal["crop", "squash", "pad"] = "crop"
    """The short side scaled and the middle cut out; both sides scaled; or laid on a square."""
    ground: Annotated[int, Field(ge=0, le=255)] = 255
    """What a padded square is filled with, in all three channels."""
    filter: Literal["bicubic", "bilinear", "area", "lanczos"] = "bicubic"
    """How a picture is scaled."""
    scale: Annotated[float, Field(gt=0, le=255)] = 255.0
    """What the 0..255 of a channel are divided by before mean and std; 1 leaves them."""
    mean: Triple = (0.48145466, 0.4578275, 0.40821073)
    std: Triple = (0.26862954, 0.26130258, 0.27577711)
    logit_scale: Annotated[float, Field(gt=0, le=1000)] = 100.0
    """What cosines are multiplied by before softmax or sigmoid."""
    tokens: Literal["clip", "siglip"] = "clip"
    """How texts become tokens: CLIP's ends and zeros, or SigLIP's one end and padding by it."""
    scores: Literal["auto", "plain", "sigmoid", "softmax"] = "auto"
    """What makes scores 0..1 of the output; auto: a sigmoid, where a number lies outside 0..1."""
    words: Annotated[str, Field(pattern=_NAME)] | None = None
    """Name of its word list: the first part of its labels."""
    classes: tuple[str, ...] = ()
    """Its words in order; read from `WORDS.txt` beside the catalogue when the row has none."""
    floors: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """The least score that counts, by the category of a word in its list; 1 leaves them out."""
    leave_out: tuple[str, ...] = ()
    """Words that are neither told nor kept."""
    gate: Gate | None = None
    """Outside of it, what the network says means nothing."""
    suggest_all: bool = False
    """Every word of it that no label names becomes a label of its own, which is asked about."""
    language: str = ""
    """Of a text row: the scripts that it reads, for people."""
    overlaid: bool = False
    """The row is the user's own."""

    @model_validator(mode="after")
    def _complete(self) -> "ModelCard":
        self._check_files()
        if self.task in WORDED and not self.words:
            raise ValueError("words is missing: the name of its word list")
        if self.task in {"tagger", "classifier"} and not (self.classes or "labels" in self.files):
            raise ValueError(
                f"its words are missing: write classes, {self.words}.txt beside the catalogue,"
                " or a file `labels`"
            )
        return self

    def _check_files(self) -> None:
        roles = _ROLES[self.task]
        optional = roles.optional | ({WEIGHTS} if self.export else frozenset())
        named = set(self.files)
        if not roles.needed <= named <= roles.needed | optional:
            may = f" (and may name {', '.join(sorted(optional))})" if optional else ""
            raise ValueError(
                f"files must name {', '.join(sorted(roles.needed))}{may} for the task {self.task}, "
                f"not {', '.join(sorted(named)) or 'nothing'}"
            )
        made = any(isinstance(file, MadeFile) for file in self.files.values())
        if made != (self.export is not None) or made != (WEIGHTS in self.files):
            raise ValueError("a `made` file needs `export` and the file `weights`, and they it")
        if made:
            self._check_weights(self.files[WEIGHTS])

    def _check_weights(self, weights: ModelFile) -> None:
        if isinstance(weights, MadeFile):
            raise ValueError("weights cannot be made: they are what the others are made from")
        if weights.path.endswith(_PICKLES) and not weights.sha256:
            raise ValueError(
                f"{weights.path} may be a pickle, which can run code: its sha256 must be written"
            )

    @property
    def bytes(self) -> int | None:
        """What all its files weigh that come from elsewhere, or None where one is not known."""
        sizes = [file.bytes for file in self.files.values() if not isinstance(file, MadeFile)]
        return None if None in sizes else sum(size for size in sizes if size)

    @property
    def facts(self) -> str:
        """Four digits that change with the way the network is fed, or its files are made."""
        told = (
            *(self.size, self.layout, self.colour, self.mean, self.std, self.words, self.classes),
            *(self.order, self.fit, self.ground, self.filter, self.scale, self.tokens, self.scores),
            *(self.leave_out, sorted(self.floors.items()), repr(self.export)),
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()[:4]


class Catalogue:
    """The networks that there are, by name."""

    def __init__(self, cards: Mapping[str, ModelCard]) -> None:
        self._cards = dict(cards)

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._cards.values())

    def __contains__(self, name: str) -> bool:
        return name in self._cards

    def card(self, name: str) -> ModelCard:
        """Return the row called `name`; raises CatalogueError that names the near ones."""
        try:
            return self._cards[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._cards, n=3, cutoff=0.4)
            raise CatalogueError(
                f"There is no model called {name!r}",
                f"choose one of {', '.join(near)}" if near else "the task Models lists them all",
            ) from None


def load_catalogue(ours: Path, overlay: Path | None = None) -> Catalogue:
    """Read our catalogue and lay the user's own over it; raises CatalogueError by file and row.

    A row of the overlay replaces ours of the same name. A missing overlay is no overlay.
    """
    cards = dict(_read_ours(ours, _stamps(ours)))
    if overlay is not None and overlay.is_file():
        cards |= _read(overlay, overlaid=True, words_from=(overlay.parent, ours.parent))
    return Catalogue(cards)


# --- Files to rows ------------------------------------------------------------------------------

DEEPEST = 20
"""How deep a file may be nested; ours needs four."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Rows = dict[str, yaml.Node]


def _stamps(ours: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when our catalogue or a word list beside it does."""
    files = (ours, *sorted(ours.parent.glob("*.txt")))
    found = ((file.name, file.stat()) for file in files if file.is_file())
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


@lru_cache(maxsize=2)
def _read_ours(ours: Path, stamps: tuple[tuple[str, int, int], ...]) -> dict[str, ModelCard]:
    # Each call of Stash's asks for it, and it changes with the package alone.
    return _read(ours, overlaid=False, words_from=(ours.parent,))


def _read(path: Path, *, overlaid: bool, words_from: tuple[Path, ...]) -> dict[str, ModelCard]:
    rows = _made_rows(path, _written(path))
    return {
        name: _card(path, name, row, overlaid=overlaid, words_from=words_from)
        for name, row in rows.items()
    }


# Whoever is given this changes nothing in it: it is made once for each text.
@lru_cache(maxsize=4)
def _made_rows(path: Path, text: str) -> Mapping[str, Any]:
    """Return what the rows of a file say by name, not checked yet."""
    rows = _rows(path, text)
    return {name: _made(node, f"{path}: model {name}") for name, node in rows.items()}


def _rows(path: Path, text: str) -> _Rows:
    """Return the rows of a file by name, not read yet."""
    document = _composed(path, text)
    if document is None:
        return {}
    top = _pairs(document, str(path)) if isinstance(document, yaml.MappingNode) else {}
    models = top.get("models")
    if set(top) != {"models"} or (models and not _holds_rows(models)):
        raise CatalogueError(f"{path}: only `models:` with a row for each name may stand here")
    return _pairs(models, str(path)) if isinstance(models, yaml.MappingNode) else {}


def _holds_rows(models: yaml.Node) -> bool:
    return isinstance(models, yaml.MappingNode) or models.tag == "tag:yaml.org,2002:null"


def _written(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise CatalogueError(f"Cannot read {path}: {error}", "mend the file") from error


def _composed(path: Path, text: str) -> yaml.Node | None:
    try:
        _check_depth(text, path)
        document: yaml.Node | None = yaml.compose(text, _Loader)
    # Without libyaml, a number that is no character's leaves the scanner as it is.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise CatalogueError(f"Cannot read {path}: {error}", "mend the file") from error
    return document


def _check_depth(text: str, path: Path) -> None:
    """Refuse what is nested so deep that composing it would overrun the interpreter's stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise CatalogueError(f"{path}:{line}: nested deeper than anything here is")


def _pairs(node: yaml.MappingNode, where: str) -> _Rows:
    """Return a mapping's keys and nodes; refuses a key that is no text, or written twice."""
    found: _Rows = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise CatalogueError(f"{where}: the key in line {line} is not one word")
        if key.value in found:
            message = f"{where}: {key.value} stands there twice, again in line {line}"
            raise CatalogueError(message, "keep one of them")
        found[key.value] = value
    return found


class _Maker(yaml.constructor.SafeConstructor):
    """Makes values of nodes; refuses a key that is no text, or written twice."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping; raises CatalogueError for its keys."""
        _pairs(node, self._where)
        return super().construct_mapping(node, deep)


def _made(node: yaml.Node, where: str) -> Any:
    try:
        return _Maker(where).construct_object(node, deep=True)
    except CatalogueError:
        raise
    # What is no date, number or base64 leaves PyYAML as whatever its conversion raised.
    except Exception as error:
        raise CatalogueError(f"{where}: {error}", "mend the row") from error


def _card(
    path: Path, name: str, row: Any, *, overlaid: bool, words_from: tuple[Path, ...]
) -> ModelCard:
    where = f"{path}: model {name}"
    if not isinstance(row, dict):
        raise CatalogueError(f"{where}: a row has keys and values")
    if forbidden := {"name", "overlaid"} & row.keys():
        raise CatalogueError(f"{where}: {', '.join(sorted(forbidden))} may not be written here")
    if not row.get("classes") and isinstance(row.get("words"), str):
        row = row | {"classes": _words(row["words"], words_from)}
    try:
        card = ModelCard.model_validate(row | {"name": name, "overlaid": overlaid})
    except ValidationError as error:
        raise CatalogueError(f"{where}: {_told(error)}", "mend the row") from error
    return _placed(card, where, path.parent if overlaid else None)


def _words(words: str, folders: tuple[Path, ...]) -> tuple[str, ...]:
    if not re.fullmatch(_NAME, words):
        return ()
    for folder in folders:
        file = folder / f"{words}.txt"
        if file.is_file():
            return _lines(file)
    return ()


def _lines(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"Cannot read {file}: {error}", "save it as UTF-8 text") from error
    return tuple(line.strip() for line in lines if line.strip())


def _placed(card: ModelCard, where: str, folder: Path | None) -> ModelCard:
    """Return the card with its local paths made absolute; only the user's rows may have any."""
    files: dict[str, Any] = dict(card.files)
    for role, file in files.items():
        if isinstance(file, LocalFile):
            if folder is None:
                raise CatalogueError(f"{where}: {role} has no repo, url or package")
            # Not resolved: a link that leads to itself would raise here, and is only missing later.
            place = (folder / file.path).absolute()
            files[role] = file.model_copy(update={"path": str(place)})
    return card.model_copy(update={"files": files})


_IN_PLAIN_WORDS = {
    "extra_forbidden": "unknown key",
    "model_type": "write keys and values, such as {path: x.onnx}",
}


def _told(error: ValidationError) -> str:
    """Say each thing that is wrong with a row: the key and pydantic's words."""
    told = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        words = _IN_PLAIN_WORDS.get(problem["type"], problem["msg"])
        told.append(f"{key}: {words}" if key else words)
    return "; ".join(told)
