"""The folders and files of a home, and how they are made so that only their owner reads them."""

import contextlib
import json
import os
import tempfile

from stash_sense_plugin.start import address
from stash_sense_plugin.start.fault import StartError


class Home:
    """What lies where under one library's home."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.environment = os.path.join(folder, "env")
        self.ready = os.path.join(self.environment, "ready.json")
        self.bytecode = os.path.join(folder, "pycache")
        self.worker_log = os.path.join(folder, "worker.log")
        self.worker_lock = os.path.join(folder, "worker.lock")
        self.worker_card = os.path.join(folder, "worker.json")
        self.setup_log = os.path.join(folder, "setup.log")
        self.setup_lock = os.path.join(folder, "setup.lock")
        self.setup_events = os.path.join(folder, "setup.jsonl")
        self.extras = os.path.join(folder, "extras")

    def make(self) -> None:
        """Make the home, closed to others."""
        os.umask(0o077)
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            if os.name != "nt" and os.stat(self.folder).st_mode & 0o077:
                os.chmod(self.folder, 0o700)
        except OSError as error:
            raise StartError(
                "Cannot make the folder {} ({})".format(self.folder, error.strerror),
                "let the user that runs Stash write there, or name another in STASH_SENSE_HOME",
            ) from error


def make_socket_folder(home: str) -> str:
    """Make the folder of the worker's socket and return it.

    Raises StartError when something that is not ours alone lies in its place.
    """
    folder = os.path.dirname(address.socket_path(home))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise StartError(
            "Cannot make the folder {} ({})".format(folder, error.strerror),
            "name a folder of this user in XDG_RUNTIME_DIR",
        ) from error
    if not address.private(folder):
        raise StartError(
            "The folder {} is a link, belongs to another user or is open to others".format(folder),
            "remove it, or name a folder of this user in XDG_RUNTIME_DIR",
        )
    return folder


def write_json(path: str, value: "dict[str, object]") -> None:
    """Write a small file whole or not at all, readable by its owner alone."""
    write_text(path, json.dumps(value))


def write_text(path: str, text: str) -> None:
    """Write a small file whole or not at all, readable by its owner alone."""
    descriptor, part = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".part-")
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


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def last_lines(path: str, count: int = 3) -> str:
    """Return the last lines of a log that say something, joined for one line of Stash's."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join([row.strip() for row in text.splitlines() if row.strip()][-count:])
