"""The compiled code of the package: kept in the home, and thrown away when the package changes.

Python trusts it by the time and size of each source, and an update may change neither.
A cold door imports this first, so it needs nothing that `os` has not loaded already.
"""

import os

STAMP = "stamp"
"""Names, beside the compiled code, the package that it was made of."""


def folder_of(prefix: str, package: str) -> str:
    """Return where Python keeps the compiled code of a package, below its `pycache_prefix`."""
    path = os.path.abspath(package)
    return os.path.join(prefix, (path[2:] if path[1:2] == ":" else path).lstrip("/\\"))


def renew(prefix: str, package: str, stamp: str) -> bool:
    """Take away what was compiled of another package than `stamp` says.

    Returns whether what lies there now can be trusted; an empty stamp trusts nothing. Only the
    package's own folder goes: what libraries and Python itself have there changes with their times.
    """
    folder = folder_of(prefix, package)
    marker = os.path.join(folder, STAMP)
    try:
        if not stamp or _read(marker) != stamp:
            _remove(folder)
            os.makedirs(folder, 0o700, exist_ok=True)
            _write(marker, stamp)
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _remove(folder: str) -> None:
    """Give the folder another name first: who looks for it at that moment finds nothing."""
    old = "{}.old-{}".format(folder, os.getpid())
    try:
        os.rename(folder, old)
    except FileNotFoundError:
        return
    from shutil import rmtree

    rmtree(old, ignore_errors=True)
