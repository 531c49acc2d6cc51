"""Where things are: the home folder, the worker's socket and lock, and which package asks.

A warm door imports this, so it needs nothing that `os` has not loaded already.
"""

import os
import stat

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's own limit is 104 to 108."""


def home_of(server: "dict[str, object] | None") -> "str | None":
    """Return the folder that holds all we keep for this library, or None where nothing names it."""
    given = os.environ.get("STASH_SENSE_HOME")
    if given:
        return os.path.abspath(given)
    folder = (server or {}).get("Dir")
    return os.path.join(folder, "stash-sense") if isinstance(folder, str) and folder else None


def digest(text: str) -> str:
    """Return 24 hexadecimal digits that stand for `text`."""
    try:
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def user() -> int:
    """Return the number of the user that runs us; 0 where users have none."""
    return os.getuid() if hasattr(os, "getuid") else 0


def stamp(package: str) -> str:
    """Return what tells one installed package from another: its place and its folders' times.

    Builds of one version differ too, and an update takes files away and puts others: that shows
    in the times of the folders, which are few. Only what lies there counts, never what this
    process has loaded: a door may wait while its own package is replaced.

    Who unpacks may set the times of files and folders as the archive has them, so the time of
    their last change counts as well, which nobody sets, and what the version's file holds.
    """
    version = os.path.join(package, "start", "version.py")
    with os.scandir(package) as entries:
        folders = sorted(entry.path for entry in entries if entry.is_dir())
    known = [os.path.realpath(package), *map(_times, (package, version, *folders))]
    with open(version, encoding="utf-8", errors="replace") as file:
        known.append(file.read())
    return digest("\0".join(known))


def _times(path: str) -> str:
    found = os.stat(path)
    return "{} {}".format(found.st_mtime_ns, found.st_ctime_ns)


def folders() -> "list[str]":
    """Return where the folder of sockets may lie, the best first."""
    name = "stash-sense-{}".format(user())
    bases = [os.environ.get("XDG_RUNTIME_DIR"), "/run/user/{}".format(user())]
    bases += [os.environ.get("TMPDIR"), "/tmp"]
    usable = [os.path.join(base, name) for base in bases if base and _usable(base, name)]
    return usable or [os.path.join("/tmp", name)]


def _usable(base: str, name: str) -> bool:
    """Tell whether our folder lies here or may be made: a log-in's own folder goes with it."""
    if not os.path.isabs(base):
        return False
    writable = os.path.isdir(base) and os.access(base, os.W_OK | os.X_OK)
    return writable or os.path.isdir(os.path.join(base, name))


def socket_path(home: str) -> str:
    """Return the path of the worker's socket for this home and user."""
    name = digest("{}\0{}".format(os.path.realpath(home), user())) + ".sock"
    paths = [os.path.join(folder, name) for folder in folders()]
    short = [path for path in paths if len(os.fsencode(path)) < LONGEST_SOCKET_PATH]
    return short[0] if short else paths[-1]


def private(folder: str) -> bool:
    """Tell whether a folder is ours alone: no link, owned by us, closed to all others."""
    try:
        found = os.lstat(folder)
    except OSError:
        return False
    if os.name == "nt":
        return stat.S_ISDIR(found.st_mode)
    ours = found.st_uid == user() and not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and ours
