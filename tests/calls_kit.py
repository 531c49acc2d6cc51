"""What a process asks of the system for its files, one call after another, and a kill before one.

The kernel stops the process at each such call and tells this test of it, which lets it go on or
kills it there (seccomp's user notification, Linux 5.5). Run as a program, this file puts itself
under that watch and becomes the command behind its first word.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import shlex
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NUMBERS = {
    "x86_64": {
        "pwrite64": 18,
        "fsync": 74,
        "fdatasync": 75,
        "ftruncate": 77,
        "rename": 82,
        "link": 86,
        "unlink": 87,
    },
    "aarch64": {"pwrite64": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46, "unlinkat": 35},
}
"""The kernel's numbers of the calls that change files, by machine."""
SECCOMP = {"x86_64": 317, "aarch64": 277}
BY_NAME = frozenset({"rename", "link", "unlink"})
"""Calls whose first argument is a path, and not an open file."""
NEW_LISTENER = 8
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTICE = struct.Struct("<QIIiIQ6Q")
ANSWER = struct.Struct("<QqiI")
GO_ON = 1


@dataclass(frozen=True)
class FileCall:
    """One call that changes a file."""

    what: str
    file: str
    """The file's name, without its folder."""
    pid: int


@dataclass
class Watch:
    """Hears of every call of the processes under watch, until it ends."""

    python: Path
    """A Python that is under watch."""
    heard: Callable[[FileCall], bool] = lambda call: False
    """Whether the process is killed just before this call."""
    killed: threading.Event = field(default_factory=threading.Event)

    def follow(self, listener: int) -> None:
        names = {number: name for name, number in NUMBERS[platform.machine()].items()}
        while True:
            poll = select.poll()
            poll.register(listener, select.POLLIN)
            [(_, state)] = poll.poll()
            if not state & select.POLLIN:
                break
            notice = bytearray(NOTICE.size)
            try:
                fcntl.ioctl(listener, RECEIVE, notice)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue
                break
            number, pid, _, call, _, _, first, *_ = NOTICE.unpack(notice)
            self._answer(
                listener, number, FileCall(names[call], _file(pid, names[call], first), pid)
            )
        os.close(listener)

    def _answer(self, listener: int, number: int, call: FileCall) -> None:
        if not self.killed.is_set() and self.heard(call):
            os.kill(_process_of(call.pid), signal.SIGKILL)
            self.killed.set()
            return
        with suppress(OSError):
            fcntl.ioctl(listener, SEND, ANSWER.pack(number, 0, 0, GO_ON))


def _process_of(thread: int) -> int:
    for line in Path(f"/proc/{thread}/status").read_text().splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    raise ProcessLookupError(thread)


def _file(pid: int, call: str, first: int) -> str:
    try:
        if call not in BY_NAME:
            return Path(f"/proc/{pid}/fd/{first}").readlink().name
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            memory.seek(first)
            return Path(os.fsdecode(memory.read(512).split(b"\0")[0])).name
    except OSError:
        return ""


def can_watch() -> bool:
    """Whether this machine lets processes be watched so."""
    if platform.machine() not in NUMBERS or not Path("/proc/sys/kernel/seccomp").is_dir():
        return False
    known = Path("/proc/sys/kernel/seccomp/actions_avail").read_text()
    return "user_notif" in known.split()


@contextmanager
def watching(folder: Path) -> Iterator[Watch]:
    """Yield a watch over all that its Python runs."""
    folder.mkdir()
    door = socket.socket(socket.AF_UNIX)
    # Its name is no file, so that a long folder does not matter.
    name = f"watch-{os.getpid()}-{id(door)}"
    door.bind(f"\0{name}")
    door.listen()
    python = folder / "python"
    words = shlex.join([sys.executable, "-S", __file__, name, sys.executable])
    python.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    python.chmod(0o755)
    watch = Watch(python)
    threading.Thread(target=_take_all, args=(door, watch), daemon=True).start()
    try:
        yield watch
    finally:
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        door.close()


def _take_all(door: socket.socket, watch: Watch) -> None:
    while True:
        try:
            talk, _ = door.accept()
        except OSError:
            return
        with talk:
            _, [listener], _, _ = socket.recv_fds(talk, 1, 1)
            talk.sendall(b"k")
        threading.Thread(target=watch.follow, args=(listener,), daemon=True).start()


# --- The process under watch --------------------------------------------------------------------


def come_under_watch() -> int:
    """Let every call of this process that changes files be told; returns who hears of them."""
    machine = platform.machine()
    load, equals, give = 0x20, 0x15, 0x06
    numbers = sorted(NUMBERS[machine].values())
    rows = [(load, 0, 0, 0)]
    rows += [(equals, len(numbers) - place, 0, each) for place, each in enumerate(numbers)]
    rows += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x7FC00000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener: int = libc.syscall(SECCOMP[machine], 1, NEW_LISTENER, program)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def main(words: list[str]) -> None:
    """Hand the one who hears to the test, and become the command."""
    listener = come_under_watch()
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(f"\0{words[0]}")
        socket.send_fds(talk, [b"w"], [listener])
        talk.recv(1)
    os.close(listener)
    os.execv(words[1], words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
