"""What the files of the networks were when they were last read whole: recorded.json."""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from stash_sense_plugin.start import lock
from stash_sense_plugin.start.fault import StartError

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long another process may take to write its record."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a file was when it was last read whole."""

    source: str
    sha256: str
    bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, source: str, sha256: str, path: Path) -> "Record":
        """Return the record of a file as it lies there now."""
        stat = path.stat()
        return cls(source, sha256, stat.st_size, stat.st_mtime_ns)

    def fits(self, source: str, path: Path) -> bool:
        """Say whether the file still looks as it did then."""
        return self == Record.of(source, self.sha256, path)


class Recorded:
    """The records of one folder of networks; several processes may write them."""

    _writing = threading.Lock()
    """Held while they are read and written anew: one process may have several of these."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "recorded.json"
        self._stamp: tuple[int, int] | None = None
        self._records: dict[str, Record] = {}
        self._unsaved: dict[str, Record] = {}
        """What the disk refused to keep; it holds for this process."""

    def get(self, key: str) -> Record | None:
        """Return what is known of a file: its network's name and its role, joined by `/`."""
        if key in self._unsaved:
            return self._unsaved[key]
        stamp = self._stamped()
        if stamp != self._stamp:
            self._records, self._stamp = _read(self._path), stamp
        return self._records.get(key)

    def put(self, key: str, record: Record) -> None:
        """Remember a file as it was read."""
        if not self._change({key: record}, ()):
            self._unsaved[key] = record

    def drop(self, keys: Iterable[str]) -> None:
        """Forget files."""
        gone = frozenset(keys)
        for key in gone & self._unsaved.keys():
            del self._unsaved[key]
        if gone:
            self._change({}, gone)

    def _stamped(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_ino)

    def _change(self, new: Mapping[str, Record], gone: Iterable[str]) -> bool:
        """Write the records anew; False where the disk refuses."""
        try:
            with self._writing, _alone(self._path):
                records = {**_read(self._path), **new}
                for key in gone:
                    records.pop(key, None)
                told = {key: asdict(record) for key, record in records.items()}
                write_private(self._path, json.dumps(told, indent=1).encode())
        except (OSError, StartError) as error:
            log.warning("%s cannot be written: files are read again later: %s", self._path, error)
            return False
        return True


def _read(path: Path) -> dict[str, Record]:
    try:
        told = json.loads(path.read_bytes())
        return {name: Record(**one) for name, one in told.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read and is written anew: %s", path, error)
        return {}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing; one that never lets go is not waited for."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = lock.hold_if_it_can_be(str(path.with_suffix(".lock")), PATIENCE_S)
    try:
        yield
    finally:
        if held is not None:
            held.release()


# --- Files read and written whole ---------------------------------------------------------------

_Seen = tuple[int, int, int, int, int]
_READ: dict[Path, tuple[_Seen, str]] = {}
"""What this process read whole, and what each file looked like then."""


def digest(path: Path, hasher: Any) -> str:
    """Return the digest of a file's content in hexadecimal."""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return str(hasher.hexdigest())


def sha256_of(path: Path, *, again: bool = False) -> str:
    """Return the SHA-256 of a file; one that this process read and nobody touched is not reread.

    A size and a date can be the same by chance or by a copy that keeps dates. The time of the
    last change to the file itself (ctime) cannot be set, so that a swapped file is read anew.
    """
    seen = _seen(path)
    known = _READ.get(path)
    if known is not None and known[0] == seen and not again:
        return known[1]
    sha256 = digest(path, hashlib.sha256())
    _READ[path] = (seen, sha256)
    return sha256


def _seen(path: Path) -> _Seen:
    stat = path.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def write_private(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, for this user alone; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    with private_file(part, "wb") as file:
        file.write(content)
        flush(file)
    part.replace(path)


@contextmanager
def private_file(path: Path, mode: Literal["ab", "wb"]) -> Iterator[BinaryIO]:
    """Open a file that only this user may read."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600), mode) as file:
        yield file


def flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
