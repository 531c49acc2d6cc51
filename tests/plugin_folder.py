"""A plugin folder of its own for a test: the real door, start and worker, with small modes."""

import contextlib
import copy
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 120.0

COPIED = ("__init__.py", "__main__.py", "errors.py", "records.py", "start", "worker", "library")


def wait_until(what: Callable[[], object], why: str) -> None:
    """Wait until something holds; fails with `why` when it does not in any good time."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def ended(process: psutil.Process) -> bool:
    """Tell whether a process is over: reaped, which may be at any moment, or still a zombie."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def lines(stderr: bytes) -> list[tuple[str, str]]:
    """Return Stash's log lines: level letter and text."""
    rows = [row for row in stderr.split(b"\n") if row]
    assert all(row[:1] == b"\x01" and row[2:3] == b"\x02" for row in rows), rows
    return [(row[1:2].decode(), row[3:].decode()) for row in rows]


class PluginFolder:
    """One plugin, one Stash configuration folder, and the doors that a test opens."""

    def __init__(self, folder: Path, bytecode: Path) -> None:
        self.folder = folder
        self.package = folder / "plugins" / "stash-sense" / "stash_sense_plugin"
        self.config = folder / "config"
        self.home = self.config / "stash-sense"
        self.runtime = folder / "run"
        self.variables = {
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(self.runtime),
            "STASH_SENSE_PYTHON": sys.executable,
        }
        self.prefix: list[str] = []
        """What comes before a door's own command."""
        self._bytecode = bytecode
        self._started: list[subprocess.Popen[bytes]] = []
        self.runtime.mkdir(mode=0o700)
        self._configure()
        self.unpack()

    def _configure(self) -> None:
        self.config.mkdir()
        self.home.mkdir(mode=0o700)
        (self.home / "pycache").symlink_to(self._bytecode)

    def another(self) -> "PluginFolder":
        """Return another Stash beside this one: its own configuration, the same plugin."""
        beside = copy.copy(self)
        beside.config = self.folder / "another"
        beside.home = beside.config / "stash-sense"
        beside._configure()
        return beside

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a word in the plugin's own copy of a file."""
        path = self.package / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new))

    def remove(self) -> None:
        """Take the plugin's folder away, as Stash does before it unpacks an update."""
        shutil.rmtree(self.package.parent)

    def unpack(self, version: str = "") -> None:
        """Put the plugin in place."""
        self.package.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / "stash_sense_plugin" / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, self.package / name, ignore=ignored)
            else:
                shutil.copy(source, self.package / name)
        shutil.copy(ROOT / "tests" / "worker_modes.py", self.package / "tasks.py")
        shutil.copy(ROOT / "requirements.txt", self.package.parent / "requirements.txt")
        if version:
            (self.package / "start" / "version.py").write_text(f'VERSION = "{version}"\n')

    # --- Doors --------------------------------------------------------------------------------

    def document(self, mode: str, **args: object) -> bytes:
        """Return what Stash writes to a door."""
        server = {
            "Scheme": "http",
            "Host": "0.0.0.0",
            "Port": self.stash_port,
            "Dir": str(self.config),
            "PluginDir": str(self.package.parent),
        }
        return json.dumps({"server_connection": server, "args": {"mode": mode, **args}}).encode()

    stash_port = 9

    def open(self, stdin: bytes, python: str = sys.executable) -> subprocess.Popen[bytes]:
        """Start a door and give it its input."""
        door = subprocess.Popen(
            [*self.prefix, python, "-S", str(self.package / "__main__.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.variables,
        )
        self._started.append(door)
        assert door.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            door.stdin.write(stdin)
            door.stdin.close()
        door.stdin = None
        return door

    def end(self, door: subprocess.Popen[bytes]) -> tuple[Any, list[tuple[str, str]]]:
        """Wait for a door's end; return the one JSON object it printed and its log lines."""
        stdout, stderr = door.communicate(timeout=PATIENCE_S)
        assert door.returncode == 0, stderr.decode(errors="replace")
        return json.loads(stdout), lines(stderr)

    def call(
        self, mode: str, python: str = sys.executable, **args: Any
    ) -> tuple[Any, list[tuple[str, str]]]:
        """Go through a door and return its reply and log lines."""
        return self.end(self.open(self.document(mode, **args), python))

    def output(self, mode: str, **args: Any) -> Any:
        """Go through a door and return its output."""
        reply, _ = self.call(mode, **args)
        assert "output" in reply, reply
        return reply["output"]

    # --- The worker ---------------------------------------------------------------------------

    def worker(self, *options: str) -> "subprocess.Popen[bytes]":
        """Start the worker as a door does, with options that a door does not give."""
        from stash_sense_plugin.start.paths import Home
        from stash_sense_plugin.start.worker import command

        process = subprocess.Popen(
            [*command(sys.executable, Home(str(self.home)), str(self.package)), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.variables,
        )
        self._started.append(process)
        wait_until(lambda: self.card() or process.poll() is not None, "the worker does not start")
        return process

    def card(self) -> Mapping[str, Any] | None:
        """Return what the worker says of itself; None where none runs."""
        try:
            card: Mapping[str, Any] = json.loads((self.home / "worker.json").read_text())
        except FileNotFoundError:
            return None
        return card

    def pid(self) -> int:
        """Return the worker's process number."""
        card = self.card()
        assert card is not None
        return int(card["pid"])

    def trace(self) -> list[str]:
        """Return what the modes noted."""
        file = self.home / "trace"
        return file.read_text().splitlines() if file.exists() else []

    def wait_for(self, note: str) -> None:
        """Wait until a mode has noted something."""
        wait_until(lambda: note in self.trace(), f"no {note!r} in {self.trace()}")

    def log(self) -> str:
        """Return the worker's log."""
        return (self.home / "worker.log").read_text()

    def serving(self) -> list[int]:
        """Return the workers of this home, starting ones too, that have not ended."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and "--home" in words and str(self.home) in words:
                    found.append(process.pid)
        return found

    def processes(self) -> list[psutil.Process]:
        """Return the processes that name this folder: doors, workers, set-ups."""
        found = []
        for process in psutil.process_iter():
            try:
                named = any(str(self.folder) in word for word in process.cmdline())
            except psutil.Error:
                continue
            if named and process.pid != os.getpid():
                found.append(process)
        return found

    def close(self) -> None:
        """End whatever still runs."""
        for started in self._started:
            started.kill()
            started.wait()
            for stream in (started.stdout, started.stderr):
                if stream is not None:
                    stream.close()
        wait_until(self._all_killed, "processes are left")

    def _all_killed(self) -> bool:
        left = [process for process in self.processes() if not ended(process)]
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        return not left


@contextmanager
def plugin_folder(bytecode: Path) -> Iterator[PluginFolder]:
    """Make a plugin folder at a short path, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="ss-"))
    plugin = PluginFolder(folder, bytecode)
    try:
        yield plugin
    finally:
        plugin.close()
        shutil.rmtree(folder)


@contextmanager
def small_stash() -> Iterator[int]:
    """Answer `/healthz` on a port of its own, as a Stash does; yields the port."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port
