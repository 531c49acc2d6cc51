"""The files of the networks: where they lie, whether they are whole, and how they come here."""

import importlib.metadata
import importlib.util
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256 as sha256_over
from pathlib import Path
from typing import Literal

from stash_sense_plugin.errors import ModelBroken, ModelError, ModelMissing, SettingsError
from stash_sense_plugin.inference.catalogue import (
    WEIGHTS,
    Catalogue,
    HubFile,
    LocalFile,
    MadeFile,
    ModelCard,
    PackageFile,
    UrlFile,
    host_of,
)
from stash_sense_plugin.inference.fetching import (
    MOST_BYTES,
    Meter,
    Wanted,
    Web,
    ask_hub,
    bytes_of,
    fetch_twice,
    open_web,
    part_of,
    writing,
)
from stash_sense_plugin.inference.recorded import Record, Recorded, sha256_of
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import lock
from stash_sense_plugin.start.fault import StartError

File = HubFile | UrlFile | PackageFile | LocalFile | MadeFile
Remote = HubFile | UrlFile

Trust = Literal["record", "process", "nothing"]
"""What makes a file be read again: a size or date that differs from its record; the first opening
in a process, or a change since; or always."""

HUB = "https://huggingface.co"
LOCK_S = 0.5
"""How long to wait at a time for another process that fetches the same network."""

LIGHTER = "lighter"
"""The folder below a network's own for what is made of a file that lies elsewhere."""

_VERSION = re.compile(r"[0-9a-f]{8}")
"""The folders below a network's own, by the versions that it had."""


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


@dataclass(frozen=True, slots=True)
class Removed:
    """What was deleted of a network."""

    files: tuple[str, ...]
    """Relative to the folder of the networks."""
    bytes: int
    left: tuple[str, ...] = ()
    """What lies there too and is not ours to delete."""


class Models:
    """The files of a catalogue's networks in one folder; safe to call from several threads."""

    def __init__(
        self,
        folder: Path,
        catalogue: Catalogue,
        hub: str = HUB,
        pause_s: float = 0.5,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.folder = folder
        self.catalogue = catalogue
        self._hub = hub
        self._pause_s = pause_s
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._pulling = threading.Lock()
        self._recorded = Recorded(folder)

    def path(self, card: ModelCard, role: str) -> Path:
        """Return where a file of the card lies, whole: it may be opened.

        What came from elsewhere or was made here is read once in the life of a process, and again
        when it changed since. Raises ModelMissing when it is not here, ModelBroken when it is not
        what it was.
        """
        file = card.files[role]
        place = self._place(card, file)
        if not place.is_file():
            raise _missing(card, place, file)
        self._settle(card, role, place, "process")
        return place

    def place(self, card: ModelCard, role: str) -> Path | None:
        """Return where a file of the card lies, whole or not; None where it is not here."""
        try:
            place = self._place(card, card.files[role])
        except ModelMissing:
            return None
        return place if place.is_file() else None

    def base(self, card: ModelCard, role: str) -> Path:
        """Return the name beside which lies what is made of a network: its own, if it came here.

        Beside a file of the user's own, or of a package, nothing is written. Raises ModelMissing
        where its package is not here.
        """
        file = card.files[role]
        place = self._place(card, file)
        if _is_elsewhere(file):
            return self.folder / card.name / LIGHTER / role / place.name
        return place

    def has(self, card: ModelCard) -> bool:
        """Say whether all files that run are here, by name and size."""
        try:
            return all(self._there(card, role) for role in _running(card))
        except ModelMissing:
            return False

    def lack(self, card: ModelCard) -> str:
        """Say what to do for a card whose Python package is not here; empty where all are."""
        try:
            for file in card.files.values():
                self._place(card, file)
        except ModelMissing as error:
            return str(error)
        return ""

    def sound(self, card: ModelCard) -> bool:
        """Say whether all files that run are here and are what they should be."""
        return all(self._is_sound(card, role) for role in _running(card))

    def unmade(self, card: ModelCard) -> tuple[str, ...]:
        """Return the roles whose files are to be made here, from the card's weights."""
        return tuple(role for role in _made(card) if not self._is_sound(card, role))

    def disk_bytes(self, card: ModelCard) -> int:
        """Return what the card takes on this disk: its files, what was made of them, and pieces."""
        own = [self.place(card, role) for role, file in card.files.items() if _is_elsewhere(file)]
        return sum(bytes_of(path) for path in own if path) + sum(
            _size(path) for path in self._kept(card)
        )

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
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made.chmod(0o600)
            made.replace(place)
            sha256 = sha256_of(place)
            self._recorded.put(_key(card, role), Record.of(file.source, sha256, place))
        return place

    def verify(self, card: ModelCard) -> None:
        """Read every file of the card whole; raises ModelMissing or ModelBroken.

        Weights of which everything was made are no longer needed, and may be gone.
        """
        for role, file in card.files.items():
            place = self._place(card, file)
            if place.is_file():
                self._settle(card, role, place, "nothing")
            elif role != WEIGHTS or self.unmade(card):
                raise _missing(card, place, file)

    def order(self, card: ModelCard, reporter: Reporter) -> Order:
        """Return what `pull` would fetch; the hub is named and asked for sizes, nothing comes.

        Raises ModelMissing where the hub does not answer.
        """
        with open_web(reporter) as web:
            wanted = [
                (self._wanted(card, role, file, web), part_of(self._place(card, file)))
                for role, file in self._remote(card).items()
                if not self._is_sound(card, role)
            ]
        sizes = [one.bytes for one, _ in wanted]
        return Order(
            card,
            tuple(dict.fromkeys(host_of(one.url) for one, _ in wanted)),
            None if None in sizes else sum(size for size in sizes if size),
            sum(bytes_of(part) for one, part in wanted if one.known),
        )

    def pull(self, card: ModelCard, reporter: Reporter) -> None:
        """Fetch what is missing or broken; names every host before it is reached.

        A stopped download goes on where it stopped, and another process that fetches the same is
        waited for. What is to be made here is not: see `unmade`. Raises ModelMissing when a file
        cannot be had, ModelBroken when what came is twice not what was promised.
        """
        with self._pulling, self._alone(card, reporter):
            self._clear_broken(card, reporter)
            remote = self._remote(card)
            meter = Meter({role: file.bytes for role, file in remote.items()}, reporter)
            for role, file in card.files.items():
                if role in remote:
                    self._bring(card, role, remote[role], reporter, meter)
                    meter.done(role)
                elif _is_elsewhere(file):
                    self.path(card, role)
            if not remote:
                reporter.progress(1.0)

    def remove(self, card: ModelCard, reporter: Reporter) -> Removed:
        """Delete what was fetched and made for a card, of all its versions, and their records.

        Who fetches it at this moment is waited for, as `pull` does.
        A file of the user's own or of a package is never touched, nor what a link leads to.
        Raises SettingsError where there are no other files of the card, ModelMissing where the disk
        refuses it.
        """
        self.check_removable(card)
        with self._pulling, self._alone(card, reporter):
            return self._remove(card)

    def _remove(self, card: ModelCard) -> Removed:
        root = self.folder / card.name
        kept, own = self._kept(card), self._own_files()
        gone = [path for path in kept if os.path.realpath(path) not in own]
        size = sum(map(_size, gone))
        try:
            for path in gone:
                path.unlink(missing_ok=True)
            _drop_empty(root)
        except OSError as error:
            raise ModelMissing(
                f"{error.filename} cannot be deleted: {error.strerror or error}",
                "close what uses it, or mend who may write there",
            ) from error
        self._recorded.drop(_key(card, role) for role in card.files)
        left = sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
        names = (
            tuple(str(path.relative_to(self.folder)) for path in each) for each in (gone, left)
        )
        return Removed(next(names), size, next(names))

    def check_removable(self, card: ModelCard) -> None:
        """Raise SettingsError where nothing of the card is ours to delete."""
        if all(_is_elsewhere(file) for file in card.files.values()) and not self._kept(card):
            raise SettingsError(*_not_ours(card))
        root = self.folder / card.name
        if root.is_symlink():
            raise SettingsError(
                f"{root} is a link, and what it leads to is not ours to delete",
                "delete both yourself",
            )

    @contextmanager
    def _alone(self, card: ModelCard, reporter: Reporter) -> Iterator[None]:
        """Keep other processes from fetching the same network."""
        if all(_is_elsewhere(file) for file in card.files.values()):
            yield
            return
        held, told = None, False
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while (held := self._try_lock(card)) is None:
            if not told:
                reporter.log("info", f"Another process fetches {card.name}: waiting for it")
            told = True
            reporter.check()
        try:
            yield
        finally:
            held.release()

    def _try_lock(self, card: ModelCard) -> lock.Lock | None:
        try:
            return lock.hold_if_it_can_be(str(self.folder / f".{card.name}.lock"), LOCK_S)
        except StartError as error:
            raise ModelMissing(error.message, error.remedy) from error

    def _clear_broken(self, card: ModelCard, reporter: Reporter) -> None:
        """Delete what was made here and is no longer what it was: it is made again."""
        for role in _made(card):
            place = self._place(card, card.files[role])
            try:
                if place.is_file():
                    self._settle(card, role, place, "nothing")
            except ModelBroken as error:
                reporter.log("warning", f"{error.message}: it is made again")
                place.unlink()

    def _remote(self, card: ModelCard) -> dict[str, Remote]:
        """Return the files to have from elsewhere; weights serve only while something is unmade."""
        return {
            role: file
            for role, file in card.files.items()
            if isinstance(file, HubFile | UrlFile) and (role != WEIGHTS or self.unmade(card))
        }

    def _bring(
        self, card: ModelCard, role: str, file: Remote, reporter: Reporter, meter: Meter
    ) -> None:
        place = self._place(card, file)
        if place.is_file():
            try:
                self._settle(card, role, place, "nothing")
                return
            except ModelBroken as error:
                reporter.log("warning", f"{error.message}: it is fetched again")
                place.unlink()
        with writing(place), open_web(reporter) as web:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            wanted = self._wanted(card, role, file, web)
            reporter.log("info", f"{card.name}: fetching {place.name}{_megabytes(wanted.bytes)}")
            fetch_twice(wanted, place, web, self._pause_s, lambda share: meter.at(role, share))
            self._settle(card, role, place, "nothing")

    def _wanted(self, card: ModelCard, role: str, file: Remote, web: Web) -> Wanted:
        recorded = self._record(card, role)
        sha256 = file.sha256 or (recorded.sha256 if recorded else None)
        if isinstance(file, UrlFile):
            return Wanted(file.url, sha256, None, file.bytes, self._most_bytes)
        url, etag, size = ask_hub(self._hub, file, web)
        git_sha1 = etag if len(etag) == 40 else None
        sha256 = sha256 or (etag if len(etag) == 64 else None)
        return Wanted(url, sha256, git_sha1, size, self._most_bytes)

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
            if (record := self._record(card, role)) is not None:
                return record.sha256[:8]
            raise _missing(card, Path(file.path), file)
        return self._settle(card, role, Path(file.path), "record")[:8]

    def _settle(self, card: ModelCard, role: str, place: Path, trust: Trust) -> str:
        """Return the file's hash, from the record where that is trusted; raises ModelBroken."""
        file = card.files[role]
        with self._lock:
            record = self._record(card, role)
            pinned = file.sha256 or not _is_elsewhere(file)
            if trust == "process" and not pinned:
                trust = "record"
            if trust == "record" and record is not None and record.fits(file.source, place):
                return record.sha256
            known = file.sha256 or (record.sha256 if record else None)
            self._check_size(card, role, place)
            sha256 = sha256_of(place, again=trust == "nothing")
            # The user's own file may change, and its version with it; what came from elsewhere
            # is trusted the first time and never changes.
            if pinned and known not in {None, sha256}:
                raise _broken(
                    card, place, f"its sha256 is {sha256[:12]}… and should be {str(known)[:12]}…"
                )
            if record is None or not record.fits(file.source, place) or record.sha256 != sha256:
                self._recorded.put(_key(card, role), Record.of(file.source, sha256, place))
            return sha256

    def _check_size(self, card: ModelCard, role: str, place: Path) -> None:
        size, wanted = place.stat().st_size, self._bytes(card, role)
        if wanted not in {None, size}:
            raise _broken(card, place, f"it has {size} bytes and should have {wanted}")

    def _bytes(self, card: ModelCard, role: str) -> int | None:
        """Return how large a file must be, where that is known."""
        file, record = card.files[role], self._record(card, role)
        return file.bytes or (record.bytes if record and not _is_elsewhere(file) else None)

    def _record(self, card: ModelCard, role: str) -> Record | None:
        record = self._recorded.get(_key(card, role))
        return record if record and record.source == card.files[role].source else None

    # --- What is here

    def _there(self, card: ModelCard, role: str) -> bool:
        place = self._place(card, card.files[role])
        return place.is_file() and self._bytes(card, role) in {None, place.stat().st_size}

    def _is_sound(self, card: ModelCard, role: str) -> bool:
        try:
            self.path(card, role)
        except ModelError:
            return False
        return True

    def _kept(self, card: ModelCard) -> list[Path]:
        """Return the files of all versions of a card in its own folder; links are not followed."""
        root = self.folder / card.name
        if root.is_symlink() or not root.is_dir():
            return []
        versions = {self._place(card, file).relative_to(root).parts[0] for file in _ours(card)}
        return [
            Path(folder, name)
            for version in sorted(root.iterdir())
            if version.name in versions | {LIGHTER} or _VERSION.fullmatch(version.name)
            for folder, name in _walked(version)
        ]

    def _own_files(self) -> frozenset[str]:
        """Return where the user's own files really lie, whichever row names them."""
        return frozenset(
            os.path.realpath(file.path)
            for card in self.catalogue
            for file in card.files.values()
            if isinstance(file, LocalFile)
        )


def _key(card: ModelCard, role: str) -> str:
    return f"{card.name}/{role}"


def _is_elsewhere(file: File) -> bool:
    """Say whether a file lies outside our folder: the user's own, or a package's."""
    return isinstance(file, LocalFile | PackageFile)


def _ours(card: ModelCard) -> Iterator[File]:
    return (file for file in card.files.values() if not _is_elsewhere(file))


def _running(card: ModelCard) -> Iterator[str]:
    return (role for role in card.files if role != WEIGHTS)


def _made(card: ModelCard) -> Iterator[str]:
    return (role for role, file in card.files.items() if isinstance(file, MadeFile))


def _walked(top: Path) -> Iterator[tuple[str, str]]:
    """Yield each file and each link below a folder; one that is a link itself holds nothing."""
    if top.is_symlink():
        return
    for folder, folders, names in os.walk(top, followlinks=False):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from ((folder, name) for name in (*names, *links))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _drop_empty(root: Path) -> None:
    """Delete the folders below and including `root` in which nothing is left."""
    if root.is_symlink() or not root.is_dir():
        return
    for folder, _, _ in os.walk(root, topdown=False, followlinks=False):
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def _not_ours(card: ModelCard) -> tuple[str, str]:
    """Say why nothing of a card can be removed, and what to do instead."""
    if any(isinstance(file, PackageFile) for file in card.files.values()):
        return (
            f"{card.name} lies inside a Python package and takes no room of its own",
            "name another model in the settings, or switch off what it looks for",
        )
    return (
        f"The files of {card.name} are your own and are not touched",
        f"delete them yourself, and the row {card.name} in your catalogue.yaml",
    )


def _broken(card: ModelCard, place: Path, why: str) -> ModelBroken:
    message = f"{place} is not the file that {card.name} names: {why}"
    fetched = any(isinstance(file, HubFile | UrlFile) for file in card.files.values())
    mend = f"mend the file, or the row {card.name} in your catalogue.yaml"
    return ModelBroken(message, _how_to_get(card) if fetched else mend)


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
    return sha256_over(text.encode()).hexdigest()[:8]
