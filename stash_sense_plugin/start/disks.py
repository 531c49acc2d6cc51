"""What lies under a path: its file system, whether it answers, and whose the files are."""

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from stash_sense_plugin.start import address

MOUNTS = "/proc/self/mountinfo"

NETWORK = (
    *("afs", "beegfs", "ceph", "cifs", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs"),
    *("nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "sshfs", "rclone", "s3fs"),
    *("afpfs", "webdav"),
)
"""File systems on other machines; of `fuse.sshfs` the second word counts."""

OF_THE_HOST = ("9p", "virtiofs", "vboxsf", "vmhgfs", "vmhgfs-fuse", "prl_fs", "grpcfuse", "osxfs")
"""A folder of the machine that holds this virtual one: near, and with habits of its own."""

WITHOUT_RIGHTS = (
    "vfat",
    "exfat",
    "msdos",
    "ntfs",
    "ntfs3",
    "fuseblk",
    "cifs",
    "smb3",
    *OF_THE_HOST,
)
"""Where owners and modes are made up by the mount."""


# --- File systems -----------------------------------------------------------------------------


class Mount(NamedTuple):
    """A file system and where it is mounted."""

    point: str
    kind: str
    """`ext4`, `nfs4`, `fuse.sshfs`."""
    source: str

    @property
    def name(self) -> str:
        """Its kind in one word: `sshfs`."""
        return self.kind.rpartition("fuse.")[2]

    @property
    def network(self) -> bool:
        """Whether it is on another machine."""
        return self.name in NETWORK

    @property
    def of_the_host(self) -> bool:
        """Whether a virtual machine's host lends it."""
        return self.name in OF_THE_HOST

    @property
    def keeps_rights(self) -> bool:
        """Whether owners and modes mean anything there."""
        return self.name not in WITHOUT_RIGHTS


def mount_of(path: str, table: str = MOUNTS) -> "Optional[Mount]":
    """Return the mount that holds a path; None where the system does not tell."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as file:
            known = [mount for row in file for mount in _mounts_in(row)]
    except OSError:
        return None
    return holding(os.path.realpath(path), known)


def holding(path: str, known: "Sequence[Mount]") -> "Optional[Mount]":
    """Return the mount of those known that holds a path; None where none does."""
    found = [mount for mount in known if _holds(mount.point, path)]
    # Of two on one point, the later hides the earlier.
    found.sort(key=lambda mount: len(mount.point))
    return found[-1] if found else None


def _mounts_in(row: str) -> "Iterator[Mount]":
    """Read a line of mountinfo: the fields behind ` - ` are the kind and the source."""
    before, dash, behind = row.partition(" - ")
    fields, kinds = before.split(" "), behind.split(" ")
    if dash and len(fields) > 4 and len(kinds) > 1:
        yield Mount(_unescaped(fields[4]), _unescaped(kinds[0]), _unescaped(kinds[1].strip()))


def _unescaped(field: str) -> str:
    """Undo the kernel's octal escapes of spaces, tabs, newlines and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def _holds(point: str, path: str) -> bool:
    """Tell whether a path lies on a mount; Windows' have a drive's letter and backslashes."""
    if point[1:2] == ":":
        point, path = (each.lower().replace("\\", "/") for each in (point, path))
    return path == point or path.startswith(point if point.endswith("/") else point + "/")


# --- Whether paths answer ---------------------------------------------------------------------

FOLDER = "folder"
EMPTY = "empty"
FILE = "file"
MISSING = "missing"
DENIED = "denied"
SILENT = "silent"
"""It does not answer in time, as a mount whose server is away."""

LOOK_S = 8.0

LOOK = """
import json, os, stat, sys, threading
def look(path):
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                return "empty" if next(entries, None) is None else "folder"
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                file.read(1)
            return "file"
        return "no file and no folder"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except PermissionError:
        return "denied"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", "") or str(error)
paths = list(enumerate(json.load(sys.stdin)))
def tell(number, path):
    os.write(1, (json.dumps([number, look(path)]) + "\\n").encode())
# Each has its own: a path that never answers holds up no other.
threads = [threading.Thread(target=tell, args=each, daemon=True) for each in paths]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
"""Looks at paths in a process of its own: who waits for a dead mount cannot be interrupted."""


def look_at(paths: Sequence[str], limit_s: float = LOOK_S, program: str = LOOK) -> List[str]:
    """Tell of each path what is there: FOLDER, EMPTY, FILE, MISSING, DENIED, SILENT or a reason."""
    found = [SILENT] * len(paths)
    if not paths:
        return found
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        return [f"not looked at ({error.strerror})"] * len(paths)
    asking = threading.Thread(target=_ask, args=(child, list(paths), found), daemon=True)
    asking.start()
    asking.join(limit_s)
    _end(child, asking)
    return list(found)


def _ask(child: "subprocess.Popen[bytes]", paths: List[str], found: List[str]) -> None:
    """Give the child the paths and note what it tells, until it ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with child.stdin:
            child.stdin.write(json.dumps(paths).encode())
        with child.stdout:
            for row in child.stdout:
                number, said = json.loads(row.decode())
                found[number] = said
    except (OSError, ValueError):
        return


def _end(child: "subprocess.Popen[bytes]", asking: threading.Thread) -> None:
    """End the child; one that hangs in the kernel is left to the kernel."""
    child.kill()
    try:
        child.wait(1.0)
    except subprocess.TimeoutExpired:
        return
    asking.join(1.0)


# --- Whose the files are ----------------------------------------------------------------------

SURVEY_S = 4.0
NAMED = 3
"""How many paths are named of those that are not ours."""


class Survey:
    """What lies in a folder: its weight by first name, and files that are not ours."""

    def __init__(self) -> None:
        self.bytes: Dict[str, int] = {}
        self.foreign: List[Tuple[str, int]] = []
        """The first ones and their owners' numbers."""
        self.foreign_count = 0
        self.shut_count = 0
        """Of those that are not ours, how many we cannot write."""
        self.open: List[str] = []
        """Files and folders just below it that others may read or write."""
        self.whole = True
        """False when the time was over first."""


def survey(folder: str, limit_s: float = SURVEY_S) -> Survey:
    """Look through a folder, without following links, as long as the time allows."""
    found = Survey()
    with contextlib.suppress(OSError):
        _note_owner(found, folder, os.stat(folder))
    deadline = time.monotonic() + limit_s
    waiting = [(folder, "")]
    while waiting:
        if time.monotonic() > deadline:
            found.whole = False
            break
        here, top = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    _note(found, entry, top or entry.name, not top)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, top or entry.name))
        except OSError:
            continue
    return found


def _note(found: Survey, entry: "os.DirEntry[str]", top: str, is_first: bool) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return
    found.bytes[top] = found.bytes.get(top, 0) + status.st_size
    if os.name == "nt" or stat.S_ISLNK(status.st_mode):
        return
    _note_owner(found, entry.path, status)
    if is_first and status.st_mode & 0o077:
        found.open.append(entry.path)


def _note_owner(found: Survey, path: str, status: os.stat_result) -> None:
    if os.name == "nt" or status.st_uid == address.user():
        return
    found.foreign_count += 1
    found.shut_count += not os.access(path, os.W_OK)
    if len(found.foreign) < NAMED:
        found.foreign.append((path, status.st_uid))
