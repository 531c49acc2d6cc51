"""The store as a whole: how large it is, room in it, and moving what it knows elsewhere."""

import contextlib
import gzip
import os
import re
import secrets
import stat
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from stash_sense_plugin.errors import SettingsError, StoreError
from stash_sense_plugin.library.arriving import LONGEST_LINE, checked, take_over
from stash_sense_plugin.library.backup import backups_of
from stash_sense_plugin.library.moving import lines
from stash_sense_plugin.library.space import Space, Unused
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.tasks.asked import shown, switched_on, whole_path
from stash_sense_plugin.tasks.engine import MEGABYTE, Call, Engine
from stash_sense_plugin.tasks.sighting import SWITCHED_OFF

EXPORT_NOTE = "export.part"
"""Where an export notes what it writes to until it is whole."""
EXPORTED = re.compile(r"\.stash-sense-[0-9a-f]{16}\.part")

COUNTED = {
    "analysis": "looks",
    "verdict": "verdicts",
    "result": "results of scenes",
    "prompt": "prompts",
    "fit": "curves",
    "threshold": "thresholds",
    "older": "lines that were here already, or newer",
    "of another library": "results of another Stash's scenes, passed over",
}
"""What an import calls its lines."""


# --- How large it is ----------------------------------------------------------------------------


def store_stats(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return what takes how much room, and which copies of the store lie beside it."""
    room = Space(engine.store).room()
    return {
        "path": str(engine.store.path),
        **asdict(room),
        "bytes_per_file": room.bytes_per_file,
        "counts": asdict(engine.store.stats()),
        "backups": [
            {"path": str(each), "bytes": each.stat().st_size}
            for each in backups_of(engine.store.path)
        ],
    }


# --- Making room --------------------------------------------------------------------------------


def store_vacuum(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Drop what models no longer in use saw and give empty room back to the disk.

    With `dry_run` only say what would go. Which models are in use is what the settings say in
    Stash. Raises StoreError where the disk has no room to write the file anew: what was dropped
    stays dropped, and its room is used again.
    """
    current = _models_in_use(engine, call, reporter)
    space = Space(engine.store)
    if switched_on(call.args, "dry_run"):
        unused, gained = space.unused(current), 0
        reporter.log("info", f"Would drop {_dropped(unused)}")
    else:
        unused = space.drop_unused(current, reporter.check)
        reporter.log("info", f"Dropped {_dropped(unused)}")
        gained = space.give_back()
        size = engine.store.size_bytes() / MEGABYTE
        reporter.log(
            "info", f"The disk has {gained / MEGABYTE:.1f} MB back; the store takes {size:.1f} MB"
        )
    return {"dropped": asdict(unused), "gained_bytes": gained}


def _models_in_use(engine: Engine, call: Call, reporter: Reporter) -> dict[str, frozenset[str]]:
    """Return by detector the models that the settings name; only where all of them are known."""
    if call.server is not None:
        with engine.stash(call, reporter):
            settings = engine.settings
    elif engine.store.library_identity() is None:
        settings = engine.settings
    else:
        raise SettingsError(
            "Which models are in use is said in the settings in Stash",
            "name its address with --stash http://127.0.0.1:9999",
        )
    sight = engine.sight(settings)
    found: dict[str, frozenset[str]] = {}
    for detector in sight.detectors:
        found[detector.name] = found.get(detector.name, frozenset()) | {detector.model}
    for each in sight.skipped:
        if each.reason != SWITCHED_OFF:
            # One of its models cannot be named, and may be the one that saw all this.
            found.pop(each.detector.partition(" ")[0], None)
    return found


def _dropped(unused: Unused) -> str:
    models = ", ".join(f"{count} of {model}" for model, count in sorted(unused.by_model.items()))
    named = f" ({models})" if models else ""
    return (
        f"{unused.analyses} looks that newer ones have replaced{named}, {unused.prompts} prompts"
        f" and {unused.files} files of which nothing is known"
    )


# --- Moving it ----------------------------------------------------------------------------------


def store_export(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Write all that can move to `path`, compressed where it ends in .gz; nothing is overwritten.

    Raises SettingsError for a path that will not do, StoreError where it cannot be written.
    """
    path = _path(engine, call)
    if _kind_of(path) is not None:
        raise SettingsError(f"{path} is there already", "name a file that is not")
    unfinished = _unfinished(engine, path)

    def told(fraction: float) -> None:
        reporter.check()
        reporter.progress(fraction)

    try:
        with _writing(unfinished, compressed=path.suffix == ".gz") as file:
            count = 0
            for count, line in enumerate(lines(engine.store, VERSION, told), 1):  # noqa: B007
                file.write(line.encode("ascii"))
        size = unfinished.stat().st_size
        # Fails where somebody made the file meanwhile, which a renaming would overwrite.
        _put(unfinished, path)
    except OSError as error:
        raise StoreError(
            f"{path} could not be written ({error.strerror or error})",
            "check that its folder is there, may be written to and has room",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    reporter.log("info", f"Wrote {count} lines to {path} ({size / MEGABYTE:.1f} MB)")
    return {"path": str(path), "lines": count, "bytes": size}


def store_import(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Take over what `store_export` wrote to `path`; what is newer here stays.

    The file is read twice: first to see that all of it is whole. Raises SettingsError for a path
    that will not do, StoreError for a file that is not whole; then nothing was taken over.
    """
    path = _path(engine, call)
    kind = _kind_of(path)
    if kind is not None and not stat.S_ISREG(kind):
        raise SettingsError(f"{path} is no file", "name what `store export` wrote")
    checked(_read(path, reporter, 0.0, 0.5), path.name)
    counts = take_over(
        engine.store, _read(path, reporter, 0.5, 0.5), path.name, lambda: reporter.check()
    )
    reporter.log("info", f"Took over {_told(counts)} from {path.name}")
    return {"path": str(path), "counts": dict(counts)}


def _told(counts: Counter[str]) -> str:
    parts = [f"{counts[name]} {word}" for name, word in COUNTED.items() if counts[name]]
    return ", ".join(parts) or "nothing"


def _path(engine: Engine, call: Call) -> Path:
    """Read where the file lies. Raises SettingsError."""
    path = whole_path(call.args, "path")
    try:
        whole = path.resolve()
    except (OSError, RuntimeError) as error:
        raise _unusable(path, error) from error
    if whole.is_relative_to(engine.root.resolve()):
        raise SettingsError(
            f"{path} lies in the plugin's folder, which Stash serves and an update wipes",
            "name a file elsewhere",
        )
    return path


def _kind_of(path: Path) -> int | None:
    """Return the mode of what lies there, behind links; None for nothing. Raises SettingsError."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError | RuntimeError) -> SettingsError:
    why = error.strerror if isinstance(error, OSError) else "its links go in a circle"
    return SettingsError(f"{shown(str(path))} cannot be used ({why})", "name another file")


def _unfinished(engine: Engine, path: Path) -> Path:
    """Return a new name beside the file, and remove what an export that was killed left.

    The name is noted before it is used: what another program wrote is never taken for ours.
    """
    note = engine.home / EXPORT_NOTE
    with contextlib.suppress(OSError):
        left = Path(os.fsdecode(note.read_bytes()))
        if EXPORTED.fullmatch(left.name) and left.is_absolute():
            left.unlink(missing_ok=True)
    fresh = path.with_name(f".stash-sense-{secrets.token_hex(8)}.part")
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(os.fsencode(fresh))
        file.flush()
        os.fsync(file.fileno())
    return fresh


@contextlib.contextmanager
def _writing(path: Path, *, compressed: bool) -> Iterator[BinaryIO]:
    """Open a file that only this user reads, and bring it to the disk at the end."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
        if compressed:
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                yield file  # type: ignore[misc]
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())


def _put(unfinished: Path, path: Path) -> None:
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise
    except OSError:
        # A disk without links to files (exFAT, some mounts).
        unfinished.rename(path)


def _read(path: Path, reporter: Reporter, start: float, share: float) -> Iterator[bytes]:
    """Yield the lines of a file, which may be compressed, and say how far it is."""
    try:
        size = path.stat().st_size or 1
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: BinaryIO = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw  # type: ignore[assignment]
            with file:
                while line := file.readline(LONGEST_LINE + 1):
                    reporter.check()
                    reporter.progress(min(1.0, start + share * raw.tell() / size))
                    yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(
            f"{path} is cut off or damaged ({error})", "copy or export it again"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path} could not be read ({error.strerror or error})",
            "check that it is there and that the user that runs Stash may read it",
        ) from error
