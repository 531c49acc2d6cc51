"""The folders and files of a home, and how they are made so that only their owner reads them."""

import contextlib
import json
import os
import re
import tempfile
import time
from typing import List, Optional

from stash_sense_plugin.start import address
from stash_sense_plugin.start.fault import StartError

PART = ".part-"
"""How files begin that are being written."""


class Home:
    """What lies where under one library's home."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.environment = os.path.join(folder, "env")
        self.ready = os.path.join(self.environment, "ready.json")
        self.bytecode = os.path.join(folder, "pycache")
        self.worker_log = os.path.join(folder, "worker.log")
        self.worker_lock = os.path.join(folder, "worker.lock")
        self.start_lock = os.path.join(folder, "start.lock")
        self.worker_card = os.path.join(folder, "worker.json")
        self.setup_log = os.path.join(folder, "setup.log")
        self.setup_lock = os.path.join(folder, "setup.lock")
        self.setup_events = os.path.join(folder, "setup.jsonl")
        self.extras = os.path.join(folder, "extras")

    def make(self) -> None:
        """Make the home, closed to others; StartError where it is another user's."""
        os.umask(0o077)
        self.refuse_strangers()
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            if os.name != "nt" and os.stat(self.folder).st_mode & 0o077:
                _close_to_others(self.folder)
        except OSError as error:
            raise StartError(
                "Cannot make the folder {} ({})".format(self.folder, error.strerror),
                "let the user that runs Stash write there, or name another in STASH_SENSE_HOME",
            ) from error

    def refuse_strangers(self) -> None:
        """Raise StartError where the home is another user's: each would lock the other out."""
        owner = _owner(self.folder)
        if owner is None or owner == address.user() or _gives_all_to(owner, self.folder):
            return
        raise StartError(
            "The folder {} belongs to {}, and Stash Sense runs as {}".format(
                self.folder, user_name(owner), user_name(address.user())
            ),
            "run it as that user, or give the folder away (as root: chown -R {} '{}'),"
            " or name another in STASH_SENSE_HOME".format(address.user(), self.folder),
        )


def user_name(number: int) -> str:
    """Return what a user is called, with the number."""
    try:
        import pwd

        return "{} (user {})".format(pwd.getpwuid(number).pw_name, number)
    except (ImportError, KeyError):
        return "user {}".format(number)


def _owner(folder: str) -> "Optional[int]":
    """Return the number of the user that a folder belongs to; None where there is no such thing."""
    if os.name == "nt":
        return None
    try:
        return os.stat(folder).st_uid
    except OSError:
        return None


def _gives_all_to(owner: int, folder: str) -> bool:
    """Tell whether all that is made here belongs to `owner`, as on mounts without Unix rights."""
    try:
        descriptor, part = tempfile.mkstemp(dir=folder, prefix=PART)
    except OSError:
        return False
    try:
        return os.fstat(descriptor).st_uid == owner
    finally:
        os.close(descriptor)
        remove(part)


def _close_to_others(folder: str) -> None:
    # A mount without Unix rights (exFAT, SMB) refuses, and has nothing to close.
    with contextlib.suppress(PermissionError):
        os.chmod(folder, 0o700)


def sweep_parts(folder: str) -> None:
    """Remove what a kill left of files that were being written; nobody writes one for an hour."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PART) and abs(time.time() - entry.stat().st_mtime) > 3600:
                remove(entry.path)


def make_socket_folder(home: str, tries: int = 3) -> str:
    """Make the folder of the worker's socket and return it.

    Raises StartError when something that is not ours alone lies in its place.
    """
    folder = os.path.dirname(address.socket_path(home))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        if tries > 1 and isinstance(error, FileNotFoundError):
            # A cleaner, or the end of a log-in, took away what it was to lie in.
            return make_socket_folder(home, tries - 1)
        raise StartError(
            "Cannot make the folder {} ({})".format(folder, error.strerror),
            "name a folder of this user in XDG_RUNTIME_DIR",
        ) from error
    if not address.private(folder):
        if tries > 1 and not os.path.lexists(folder):
            return make_socket_folder(home, tries - 1)
        raise StartError(
            "The folder {} {}, and Stash Sense runs as {}".format(
                folder, _fault_of(folder), user_name(address.user())
            ),
            "remove it, or name a folder of this user in XDG_RUNTIME_DIR",
        )
    return folder


def _fault_of(folder: str) -> str:
    """Say why a folder is not ours alone."""
    owner = _owner(folder)
    if os.path.islink(folder) or not os.path.isdir(folder):
        return "is a link or no folder"
    if owner is not None and owner != address.user():
        return "belongs to another user, {}".format(user_name(owner))
    return "is open to others"


def write_json(path: str, value: "dict[str, object]") -> None:
    """Write a small file whole or not at all, readable by its owner alone."""
    write_text(path, json.dumps(value))


def write_text(path: str, text: str) -> None:
    """Write a small file whole or not at all, readable by its owner alone."""
    descriptor, part = tempfile.mkstemp(dir=os.path.dirname(path), prefix=PART)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except BaseException:
        remove(part)
        raise


def read_json(path: str) -> "dict[str, object] | None":
    """Return the object in a small file; None when it is absent or no such object."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_text(path: str) -> str:
    """Return what a small file says, such as one of the kernel's; empty where it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def last_lines(path: str, count: int = 3) -> str:
    """Return the last lines of a log that say something, joined for one line of Stash's."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join(_telling([row.strip() for row in text.splitlines() if row.strip()])[-count:])


FATAL = ("Fatal Python error:", "Windows fatal exception:")
NEXT = re.compile(r"Traceback |\d{4}-\d\d-\d\d ")
"""How what comes after a crash begins: an entry of our log, or a Python that fails."""


def _telling(rows: "List[str]") -> "List[str]":
    """Leave out what follows the name of a native crash: stacks, and a list of all modules."""
    crashes = [number for number, row in enumerate(rows) if row.startswith(FATAL)]
    if crashes and not any(NEXT.match(row) for row in rows[crashes[-1] :]):
        return rows[: crashes[-1] + 1]
    return rows
