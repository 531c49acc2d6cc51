"""Pythons that note every way out of their process: an audit hook for what Python does, and
strace, where there is one, for what native libraries do behind its back."""

import json
import shutil
import site
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STARTS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.")
"""How Python's audit hooks name the start of a program."""

HOOK = '''\
import json, os, sys

REACHES = ("socket.connect", "socket.getaddr", "socket.gethostby", "socket.getname", "socket.send",
           *{starts!r})


def watch(event, args, target={target!r}, seen=[]):
    """Write down what goes out; a look-up or a connection at a time, whole lines."""
    if not event.startswith(REACHES) or seen:
        return
    seen.append(event)  # what writing does is not watched again
    try:
        told = [os.getpid(), event, [repr(each) for each in args[-1:]]]
        if event == "socket.getaddrinfo":
            told = [os.getpid(), event, [repr(args[0]), repr(args[1])]]
        if event.startswith({starts!r}):
            told = [os.getpid(), event, [repr(each) for each in args[:2]]]
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, json.dumps(told).encode() + b"\\n")
        os.close(file)
    finally:
        seen.clear()


sys.addaudithook(watch)
'''

DOOR = """\
import os, runpy, sys
sys.path[0] = {folder!r}
import sense_watch
del sys.argv[0]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """One way out that was taken."""

    pid: int
    event: str
    where: str


@dataclass(frozen=True, slots=True)
class Watched:
    """Two programs that stand for a Python, and what they noted."""

    door: Path
    """For Stash: it is called with `-S` and the door."""
    worker: Path
    """For STASH_SENSE_PYTHON: it has the packages that this Python has."""
    noted: Path
    traces: Path
    """A folder with strace's words, a file for each process; empty where there is no strace."""

    def reached(self) -> list[Reached]:
        """Return whom Python asked or connected to."""
        return [each for each in self._noted() if not each.event.startswith(STARTS)]

    def started(self) -> list[Reached]:
        """Return the programs that Python started."""
        return [each for each in self._noted() if each.event.startswith(STARTS)]

    def _noted(self) -> list[Reached]:
        rows = self.noted.read_text("utf-8").splitlines() if self.noted.is_file() else []
        return [Reached(row[0], row[1], ", ".join(row[2])) for row in map(json.loads, rows)]

    def traced(self) -> list[str]:
        """Return what the kernel was asked for: connections and datagrams, a line each."""
        return [
            line
            for file in sorted(self.traces.iterdir())
            for line in file.read_text("utf-8", "replace").splitlines()
            if "connect(" in line or "sendto(" in line or "sendmsg(" in line
        ]


def watched(folder: Path, **variables: str) -> Watched:
    """Make both programs in a folder; the variables are what Stash's environment has besides."""
    made = Watched(folder / "door", folder / "worker", folder / "noted", folder / "traces")
    made.traces.mkdir(parents=True)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    packages = next((folder / "env").glob("lib/python*/site-packages"))
    (packages / "sense_watch.py").write_text(
        HOOK.format(target=str(made.noted), starts=STARTS), "utf-8"
    )
    rows = [*site.getsitepackages(), "import sense_watch"]
    (packages / "sense_watch.pth").write_text("".join(f"{row}\n" for row in rows), "utf-8")
    (folder / "door.py").write_text(DOOR.format(folder=str(packages)), "utf-8")
    # A door's output is a pipe that must end with it: it is followed alone. The worker is traced
    # by a process of its own, so that its number stays the one that its starter knows.
    strace = tracer()
    trace = (
        f"{strace} -qq -e trace=connect,sendto,sendmsg,sendmmsg -e signal=none" if strace else ""
    )
    to = f"-o {made.traces}"
    door = f"{trace} {to}/door.$$ {sys.executable}" if trace else sys.executable
    worker = f"{trace} --seccomp-bpf -D -ff {to}/worker" if trace else ""
    exports = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    _script(made.door, f'{exports}shift\nexec {door} -S {folder / "door.py"} "$@"')
    _script(made.worker, f'exec {worker} {folder / "env" / "bin" / "python"} "$@"')
    return made


def tracer() -> str | None:
    """Return where strace is, if it is allowed to trace here."""
    found = shutil.which("strace")
    if found is None:
        return None
    tried = subprocess.run(
        [found, "-D", "-f", "--seccomp-bpf", "-e", "trace=connect", "true"],
        capture_output=True,
        check=False,
        timeout=30,
    )
    return found if tried.returncode == 0 and b"ptrace" not in tried.stderr else None


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o700)


@dataclass(slots=True)
class Canary:
    """A server that nobody should ever come to."""

    address: str
    came: list[bytes]
    """The first words of whoever came."""


@contextmanager
def canary() -> Iterator[Canary]:
    """Listen on this machine, note who comes, and answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        told = Canary(f"{host}:{port}", [])
        thread = threading.Thread(target=_note, args=(listening, told.came))
        thread.start()
        try:
            yield told
        finally:
            with socket.create_connection((host, port)) as last:
                last.sendall(b"END")
            thread.join()


def _note(listening: socket.socket, came: list[bytes]) -> None:
    while True:
        visitor, _ = listening.accept()
        with visitor:
            visitor.settimeout(5)
            try:
                said = visitor.recv(4096)
            except OSError:
                said = b""
        if said == b"END":
            return
        came.append(said)
