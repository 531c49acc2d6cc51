"""The files of the networks: where they lie, whether they are whole, and how they come here."""

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import urljoin, urlsplit

from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import (
    WEIGHTS,
    Catalogue,
    HubFile,
    LocalFile,
    MadeFile,
    ModelCard,
    PackageFile,
    UrlFile,
)
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import private

log = logging.getLogger(__name__)

File = HubFile | UrlFile | PackageFile | LocalFile | MadeFile
Remote = HubFile | UrlFile

HUB = "https://huggingface.co"
TRIES = 4
"""How often a connection may break without bringing a byte before a download gives up."""
TIMEOUT_S = (10.0, 30.0)
"""To connect, and between two pieces."""
PIECE_BYTES = 1 << 16
"""What is written at a time: a connection that breaks loses no more."""
STEP = 0.005
"""The least progress that is worth telling."""
SPARE_BYTES = 64 << 20
"""What a download leaves free on the disk."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What a file was when it was last read whole."""

    source: str
    sha256: str
    bytes: int
    mtime_ns: int

    def fits(self, source: str, path: Path) -> bool:
        """Say whether the file still looks as it did then."""
        stat = path.stat()
        told = (self.source, self.bytes, self.mtime_ns)
        return told == (source, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One file to fetch and what is known of it beforehand."""

    url: str
    sha256: str | None
    git_sha1: str | None
    bytes: int | None

    @property
    def known(self) -> bool:
        """Whether pieces of an earlier try can be trusted to belong together."""
        return bool(self.sha256 or self.git_sha1)


@dataclass(frozen=True, slots=True)
class Order:
    """What of a card is to be fetched, as it is said beforehand."""

    card: ModelCard
    hosts: tuple[str, ...]
    """Where we ask; each may send us on to another, which is named before it is reached."""
    bytes: int | None
    """None where a server does not say."""
    here_bytes: int
    """How much of it an earlier, stopped download left."""


_RECORDING = threading.Lock()
"""Held while the records are read and written anew: one process may have several `Models`."""


class _Interrupted(Exception):
    """The connection broke; the pieces that came are kept."""


class Models:
    """The files of a catalogue's networks in one folder; safe to call from several threads."""

    def __init__(
        self, folder: Path, catalogue: Catalogue, hub: str = HUB, pause_s: float = 0.5
    ) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self._hub = hub
        self._pause_s = pause_s
        self._lock = threading.RLock()
        self._pulling = threading.Lock()
        self._records: dict[str, _Record] | None = None

    def path(self, card: ModelCard, role: str) -> Path:
        """Return where a file of the card lies, whole.

        Raises ModelMissing when it is not here, ModelBroken when it is not what it was.
        """
        file = card.files[role]
        place = self._place(card, file)
        if not place.is_file():
            raise _missing(card, place, file)
        self._settle(card, role, place)
        return place

    def has(self, card: ModelCard) -> bool:
        """Say whether all files that run are here, by name and size."""
        try:
            return all(
                _there(self._place(card, file), file)
                for role, file in card.files.items()
                if role != WEIGHTS
            )
        except ModelMissing:
            return False

    def version(self, card: ModelCard) -> str:
        """Return what the card's results are stored under; known before the weights are here.

        A row of the user's own carries four digits more, for the way that it is fed. Raises
        ModelMissing for a file of the user's own that was never seen.
        """
        parts = [self._version(card, role) for role in sorted(card.files) if role != WEIGHTS]
        told = parts[0] if len(set(parts)) == 1 else _short("".join(parts))
        return f"{told}-{card.facts}" if card.overlaid else told

    def label(self, card: ModelCard) -> str:
        """Return the card's name and version, joined by `@`."""
        return f"{card.name}@{self.version(card)}"

    def adopt(self, card: ModelCard, role: str, made: Path) -> Path:
        """Take in a file that was made here for this role: moved into place, its hash recorded.

        `made` must lie on the same disk, best inside `folder`. Raises ModelMissing where the disk
        refuses it.
        """
        file = card.files[role]
        place = self._place(card, file)
        with _writing(place):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made.chmod(0o600)
            sha256 = _digest(made, hashlib.sha256())
            made.replace(place)
            stat = place.stat()
        self._write_record(
            f"{card.name}/{role}", _Record(file.source, sha256, stat.st_size, stat.st_mtime_ns)
        )
        return place

    def verify(self, card: ModelCard) -> None:
        """Read every file of the card whole; raises ModelMissing or ModelBroken."""
        for role, file in card.files.items():
            place = self._place(card, file)
            if not place.is_file():
                raise _missing(card, place, file)
            self._settle(card, role, place, whole=True)

    def order(self, card: ModelCard, reporter: Reporter) -> Order:
        """Return what `pull` would fetch; the hub is named and asked for sizes, nothing comes.

        Raises ModelMissing where the hub does not answer.
        """
        with _web(reporter) as web:
            wanted = [
                (self._wanted(card, role, file, web), _part_of(self._place(card, file)))
                for role, file in card.files.items()
                if isinstance(file, HubFile | UrlFile) and not _there(self._place(card, file), file)
            ]
        sizes = [one.bytes for one, _ in wanted]
        return Order(
            card,
            tuple(dict.fromkeys(urlsplit(one.url).netloc for one, _ in wanted)),
            None if None in sizes else sum(size for size in sizes if size),
            sum(_bytes_of(part) for one, part in wanted if one.known),
        )

    def pull(self, card: ModelCard, reporter: Reporter) -> None:
        """Fetch what is missing or broken; names every host before it is reached.

        A stopped download goes on where it stopped. Raises ModelMissing when a file cannot be
        had, ModelBroken when what came is twice not what was promised.
        """
        with self._pulling:
            meter = _Meter(card, reporter)
            for role, file in card.files.items():
                if isinstance(file, HubFile | UrlFile):
                    self._bring(card, role, file, reporter, meter)
                elif not isinstance(file, MadeFile):
                    self.path(card, role)
                meter.done(role)

    def _bring(
        self, card: ModelCard, role: str, file: Remote, reporter: Reporter, meter: "_Meter"
    ) -> None:
        place = self._place(card, file)
        if place.is_file():
            try:
                self._settle(card, role, place, whole=True)
                return
            except ModelBroken as error:
                reporter.log("warning", f"{error.message}: it is fetched again")
                place.unlink()
        with _writing(place), _web(reporter) as web:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            wanted = self._wanted(card, role, file, web)
            reporter.log("info", f"{card.name}: fetching {place.name}{_megabytes(wanted.bytes)}")
            _fetch_twice(wanted, place, web, self._pause_s, lambda share: meter.at(role, share))
            self._settle(card, role, place, whole=True)

    def _wanted(self, card: ModelCard, role: str, file: Remote, web: "_Web") -> _Wanted:
        recorded = self._recorded(card, role)
        sha256 = file.sha256 or (recorded.sha256 if recorded else None)
        if isinstance(file, UrlFile):
            return _Wanted(file.url, sha256, None, file.bytes)
        url, etag, size = _ask_hub(self._hub, file, web)
        git_sha1 = etag if len(etag) == 40 else None
        return _Wanted(url, sha256 or (etag if len(etag) == 64 else None), git_sha1, size)

    def _place(self, card: ModelCard, file: File) -> Path:
        if isinstance(file, LocalFile):
            return Path(file.path)
        if isinstance(file, PackageFile):
            return _package_folder(card, file.package) / file.path
        version = _made_of(card) if isinstance(file, MadeFile) else file.version
        return self.folder / card.name / version / file.path

    def _version(self, card: ModelCard, role: str) -> str:
        file = card.files[role]
        if isinstance(file, PackageFile):
            return _package_version(card, file.package)
        if isinstance(file, MadeFile):
            return _made_of(card)
        if isinstance(file, HubFile | UrlFile):
            return file.version
        if file.sha256:
            return file.sha256[:8]
        if not Path(file.path).is_file():
            if (record := self._recorded(card, role)) is not None:
                return record.sha256[:8]
            raise _missing(card, Path(file.path), file)
        return self._settle(card, role, Path(file.path))[:8]

    def _settle(self, card: ModelCard, role: str, place: Path, whole: bool = False) -> str:
        """Return the file's hash, from the record where it still fits; raises ModelBroken."""
        file = card.files[role]
        with self._lock:
            record = self._recorded(card, role)
            if record is not None and not whole and record.fits(file.source, place):
                return record.sha256
            sha256 = _digest(place, hashlib.sha256())
            known = file.sha256 or (record.sha256 if record else None)
            # The user's own file may change, and its version with it; what came from elsewhere
            # is trusted the first time and never changes.
            if known not in {None, sha256} and not (
                isinstance(file, LocalFile | PackageFile) and not file.sha256
            ):
                raise ModelBroken(
                    f"{place} is not the file that {card.name} names: its sha256 is "
                    f"{sha256[:12]}… and should be {str(known)[:12]}…",
                    _how_to_get(card),
                )
            stat = place.stat()
            self._write_record(
                f"{card.name}/{role}",
                _Record(file.source, sha256, stat.st_size, stat.st_mtime_ns),
            )
            return sha256

    def _recorded(self, card: ModelCard, role: str) -> _Record | None:
        with self._lock:
            if self._records is None:
                self._records = _read_records(self._records_path)
            record = self._records.get(f"{card.name}/{role}")
            return record if record and record.source == card.files[role].source else None

    @property
    def _records_path(self) -> Path:
        return self.folder / "recorded.json"

    def _write_record(self, key: str, record: _Record) -> None:
        with _RECORDING:
            self._record(key, record)

    def _record(self, key: str, record: _Record) -> None:
        known = _read_records(self._records_path)
        self._records = {**(self._records or {}), **known, key: record}
        told = json.dumps({name: asdict(one) for name, one in self._records.items()}, indent=1)
        part = self._records_path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _private(part, "wb") as file:
                file.write(told.encode())
                _flush(file)
            part.replace(self._records_path)
        except OSError as error:
            log.warning("%s cannot be written: files are read again next time: %s", part, error)


def _read_records(path: Path) -> dict[str, _Record]:
    try:
        told = json.loads(path.read_bytes())
        return {name: _Record(**one) for name, one in told.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read and is written anew: %s", path, error)
        return {}


# --- What is here ------------------------------------------------------------------------------


def _there(place: Path, file: File) -> bool:
    if not place.is_file():
        return False
    return file.bytes is None or place.stat().st_size == file.bytes


def _package_folder(card: ModelCard, package: str) -> Path:
    # The package itself is not imported: only its folder is wanted.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissing(
            f"{card.name} lies in the Python package {package}, which is not installed",
            "run the task Set up",
        )
    return Path(spec.submodule_search_locations[0])


def _package_version(card: ModelCard, package: str) -> str:
    try:
        return _installed(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ModelMissing(
            f"{card.name} lies in the Python package {package}, which is not installed",
            "run the task Set up",
        ) from error


@cache
def _installed(package: str) -> str:
    return importlib.metadata.version(package)


def _made_of(card: ModelCard) -> str:
    """Return eight digits that change with the weights and with how files are made of them."""
    weights = card.files[WEIGHTS]
    return _short(f"{weights.source} {weights.sha256} {card.export!r}")


def _missing(card: ModelCard, place: Path, file: File) -> ModelMissing:
    remedy = f"put it there, or mend the row {card.name} in your catalogue.yaml"
    if isinstance(file, HubFile | UrlFile | MadeFile):
        remedy = _how_to_get(card)
    if isinstance(file, PackageFile):
        remedy = "run the task Set up"
    return ModelMissing(f"{card.name} needs {place}{_megabytes(file.bytes)}", remedy)


def _how_to_get(card: ModelCard) -> str:
    by_hand = f"python -m stash_sense_plugin models pull {card.name}"
    return f"run the task Download models, or `{by_hand}`"


def _megabytes(count: int | None) -> str:
    return f" ({count / 1e6:.0f} MB)" if count else ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _digest(path: Path, hasher: Any) -> str:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return str(hasher.hexdigest())


# --- How it comes here -------------------------------------------------------------------------


class _Meter:
    """Joins the progress of a card's files into one fraction."""

    def __init__(self, card: ModelCard, reporter: Reporter) -> None:
        weights = {role: file.bytes for role, file in card.files.items()}
        even = None in weights.values()
        self._weights = {role: 1 if even else weight or 1 for role, weight in weights.items()}
        self._shares = dict.fromkeys(weights, 0.0)
        self._reporter = reporter
        self._told = -1.0

    def at(self, role: str, share: float) -> None:
        """Tell how much of one file is here, 0..1, and learn whether to stop."""
        self._shares[role] = min(1.0, share)
        whole = sum(self._weights.values())
        here = sum(self._shares[name] * weight for name, weight in self._weights.items()) / whole
        if here >= self._told + STEP or here == 1.0:
            self._told = here
            self._reporter.progress(here)
        self._reporter.check()

    def done(self, role: str) -> None:
        """Tell that one file is here."""
        self.at(role, 1.0)


class _Web:
    """A session that names each host before it reaches it and carries no one's password."""

    def __init__(self, session: Any, reporter: Reporter) -> None:
        self._session = session
        self._reporter = reporter
        self._named: set[str] = set()

    def name(self, url: str) -> None:
        """Log the address's host, once."""
        host = urlsplit(url).netloc
        if host not in self._named:
            self._named.add(host)
            self._reporter.log("info", f"Connecting to {host}")

    def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Return an open streaming response, redirects followed one by one."""
        for _ in range(10):
            self.name(url)
            response = self._session.get(
                url, headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False
            )
            if not response.is_redirect:
                return response
            onward = urljoin(url, response.headers["Location"])
            response.close()
            if urlsplit(url).scheme == "https" and urlsplit(onward).scheme != "https":
                raise ModelMissing(f"{url} leads to an address that is not encrypted: {onward}")
            url = onward
        raise ModelMissing(f"{url} leads round in circles", "try again later")


@contextmanager
def _web(reporter: Reporter) -> Iterator[_Web]:
    import requests

    with requests.Session() as session:
        # Without this requests would send what stands in the user's .netrc.
        session.auth = lambda request: request
        session.headers["Accept-Encoding"] = "identity"
        try:
            yield _Web(session, reporter)
        except requests.RequestException as error:
            raise ModelMissing(
                f"A download failed: {error}", "check the network and try again"
            ) from error


def _ask_hub(hub: str, file: HubFile, web: _Web) -> tuple[str, str, int | None]:
    """Return the file's address, its digest as the hub tells it, and its bytes."""
    private.keep()
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=hub)
    web.name(url)
    try:
        told = get_hf_file_metadata(url, token=False, endpoint=hub, timeout=TIMEOUT_S[0])
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelMissing(
            f"Cannot fetch {file.repo}/{file.path} at {file.revision[:8]}: {reason}",
            "check the network and try again",
        ) from error
    return url, told.etag or "", told.size


def _fetch_twice(
    wanted: _Wanted, place: Path, web: _Web, pause_s: float, tell: Callable[[float], None]
) -> None:
    """Fetch a file; what came and is not what was promised is cleared and fetched once more."""
    part = _part_of(place)
    if not wanted.known:
        part.unlink(missing_ok=True)
    for last in (False, True):
        _fetch(wanted, part, web, pause_s, tell)
        if (problem := _unlike(wanted, part)) is None:
            break
        part.unlink()
        if last:
            raise ModelBroken(
                f"{wanted.url} sent something else twice: {problem}",
                "try again later; the file may have been changed at its source",
            )
    part.replace(place)


def _fetch(
    wanted: _Wanted, part: Path, web: _Web, pause_s: float, tell: Callable[[float], None]
) -> None:
    """Bring a file to `part`, going on where a broken connection left it."""
    tries, had, reason = 0, -1, ""
    while (have := _bytes_of(part)) != wanted.bytes or not have:
        tries = 0 if have > had else tries + 1
        had = max(had, have)
        if tries >= TRIES:
            raise ModelMissing(
                f"{wanted.url} did not come ({have} bytes are here): {reason}",
                "check the network and try again: it goes on where it stopped",
            )
        try:
            _receive(wanted, part, have, web, tell)
            return
        except _Interrupted as error:
            reason = str(error)
            time.sleep(pause_s * 2**tries)


def _part_of(place: Path) -> Path:
    """Return where a file lies until it is whole."""
    return place.with_name(place.name + ".part")


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _receive(
    wanted: _Wanted, part: Path, have: int, web: _Web, tell: Callable[[float], None]
) -> None:
    import requests

    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with web.get(wanted.url, headers) as response:
            start = _starts_at(response, have, wanted, part)
            size = _size(response, start) or wanted.bytes
            _check_room(part, (size or 0) - start)
            with _private(part, "ab" if start else "wb") as file:
                for piece in response.iter_content(PIECE_BYTES):
                    file.write(piece)
                    tell(file.tell() / size if size else 0.0)
                _flush(file)
    except requests.RequestException as error:
        raise _Interrupted(_cause(error)) from error
    if size and part.stat().st_size < size:
        raise _Interrupted(f"ended after {part.stat().st_size} of {size} bytes")


def _cause(error: BaseException) -> str:
    """Return what really happened: requests wraps it three times and repeats the address."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _starts_at(response: Any, have: int, wanted: _Wanted, part: Path) -> int:
    """Return the byte that the answer begins with; raises when it is no answer."""
    status = response.status_code
    if status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return have
    if status == 200:
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/html"):
            raise ModelMissing(
                f"{wanted.url} answered with a web page instead of a file",
                "check whether the network asks for a login",
            )
        return 0
    if status in {206, 416}:
        part.unlink(missing_ok=True)
        raise _Interrupted(f"the answer {status} does not go on at byte {have}")
    if status in {408, 425, 429} or status >= 500:
        raise _Interrupted(f"HTTP {status}")
    raise ModelMissing(
        f"{wanted.url} answered HTTP {status}", "the file is gone or closed: choose another model"
    )


def _size(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _check_room(part: Path, bytes_: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if bytes_ + SPARE_BYTES > free:
        raise ModelMissing(
            f"{part.parent} has {free / 1e6:.0f} MB free and {bytes_ / 1e6:.0f} MB are to come",
            "make room on the disk",
        )


def _unlike(wanted: _Wanted, part: Path) -> str | None:
    """Say in what a file differs from what was promised, or None."""
    size = part.stat().st_size
    if wanted.bytes is not None and size != wanted.bytes:
        return f"{size} bytes instead of {wanted.bytes}"
    if wanted.sha256 and (came := _digest(part, hashlib.sha256())) != wanted.sha256:
        return f"sha256 {came[:12]}… instead of {wanted.sha256[:12]}…"
    if wanted.git_sha1:
        # Git names a file by the SHA-1 of a header and its content.
        header = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        if (came := _digest(part, header)) != wanted.git_sha1:
            return f"git object {came[:12]}… instead of {wanted.git_sha1[:12]}…"
    return None if size else "an empty file"


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into a plain sentence."""
    try:
        yield
    except OSError as error:
        raise ModelMissing(
            f"{place} cannot be written: {error.strerror or error}",
            "make room on the disk, or mend who may write there",
        ) from error


@contextmanager
def _private(path: Path, mode: Literal["ab", "wb"]) -> Iterator[BinaryIO]:
    """Open a file that only this user may read."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600), mode) as file:
        yield file


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
