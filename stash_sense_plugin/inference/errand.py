"""Work in a process of its own: ordered in a line of JSON, told of as it goes, ended by us."""

import json
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import environment, machine, private, steps

POLL_S = 0.1
ENDS_S = 10.0
"""How long a process may take to end once it has told its end."""
LONGEST_LINE = 8_192
MOST_BYTES_TOLD = 4 << 20
"""More than this is no telling of progress."""
KEPT_BYTES = 4_096
"""Of what libraries print, the last of it, where the reason stands when a process dies."""

PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); sys.dont_write_bytecode = True;"
    "from stash_sense_plugin.extras.{} import main; sys.exit(main())"
)
ROOT = Path(__file__).resolve().parents[2]

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # A checkpoint of Ultralytics may name its own classes alone.
    "ULTRALYTICS_SAFE_LOAD": "1",
    # It is made on the processor: a card's memory belongs to the networks that run.
    "CUDA_VISIBLE_DEVICES": "",
}
OWN_FOLDERS = (
    *("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TMPDIR", "TEMP", "TMP"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME"),
)
"""Where libraries leave things behind: all of it goes with the errand's folder."""
_SECRET = re.compile(r"(?i)token|secret|passw|api_?key|credential|proxy$|^aws_|^ssh_")


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be done, and within which bounds."""

    python: str
    program: str
    """The module of the room `extras` whose `main` does it."""
    order: Mapping[str, Any]
    folder: Path
    """It writes there, and nowhere else."""
    limit_s: float
    most_bytes: int
    """No file that it writes may grow beyond this."""


def run(errand: Errand, reporter: Reporter, move: Callable[[float], None]) -> str:
    """Do it; return why it failed, and nothing where it went well.

    `move` hears how far it is, 0..1. Whatever ends this call (the errand's own end, its limit,
    Cancelled from the reporter) ends the process too, and all that it started.
    """
    deadline = time.monotonic() + errand.limit_s
    said = errand.folder / "said.txt"
    try:
        with _process(errand, said) as process:
            why = _follow(process, reporter, move, deadline)
            if why is None:
                why = _end_of(process, said)
    except OSError as error:
        return f"{errand.python} cannot be run ({error.strerror or error})"
    return why


@contextmanager
def _process(errand: Errand, said: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with said.open("wb") as log:
        process = subprocess.Popen(
            [errand.python, "-I", "-B", "-c", PROGRAM.format(errand.program), str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=errand.folder,
            env=variables(errand.folder),
            # A group of its own, so that what it starts can be ended with it.
            **machine.apart(platform.system()),
        )
    told = {**errand.order, "parent": os.getpid(), "most_bytes": errand.most_bytes}
    try:
        # Its input stays open while we live: its end is how it learns of ours.
        with suppress(BrokenPipeError):
            assert process.stdin is not None
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        yield process
    finally:
        _end(process)


def variables(folder: Path) -> dict[str, str]:
    """Return the variables of such a process: nothing to reach out with, and nowhere to write."""
    kept = {
        name: value
        for name, value in environment.clean_variables().items()
        if not _SECRET.search(name)
    }
    return {**kept, **dict.fromkeys(OWN_FOLDERS, str(folder)), **private.folders(str(folder)),
            **OFFLINE}  # fmt: skip


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            # Also where it has ended itself: what it started may live on.
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _kill(process)
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENDS_S)
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):
            if stream is not None:
                stream.close()


def _follow(
    process: "subprocess.Popen[bytes]",
    reporter: Reporter,
    move: Callable[[float], None],
    deadline: float,
) -> str | None:
    """Hear what it tells until it says that it is done; None where it falls silent before."""
    begun = time.monotonic()
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    assert process.stdout is not None
    threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
    while True:
        reporter.check()
        if time.monotonic() > deadline:
            return f"it was not done within {deadline - begun:.0f} s"
        try:
            line = lines.get(timeout=POLL_S)
        except queue.Empty:
            if process.poll() is None:
                continue
            _kill(process)
            line = _last(lines)
        if line is None:
            return None
        told = _event(line)
        if "error" in told:
            return str(told["error"])
        if told.get("done") is True:
            return ""
        if isinstance(share := told.get("progress"), int | float):
            move(min(max(float(share), 0.0), 1.0))
        if text := told.get("text"):
            reporter.log("debug", str(text))


def _last(lines: "queue.SimpleQueue[bytes | None]") -> bytes | None:
    """Return the next line of a process that has ended; None after the last.

    What it told may still be on its way through the pipe, which a child that escaped us may hold
    open for ever.
    """
    with suppress(queue.Empty):
        return lines.get(timeout=ENDS_S)
    return None


def _listen(stream: BinaryIO, lines: "queue.SimpleQueue[bytes | None]") -> None:
    left = MOST_BYTES_TOLD
    with suppress(OSError, ValueError):
        while left > 0 and (line := stream.readline(LONGEST_LINE)):
            left -= len(line)
            lines.put(line)
    if left <= 0:
        lines.put(json.dumps({"error": "it tells more than there is to tell"}).encode())
    lines.put(None)


def _event(line: bytes) -> Mapping[str, Any]:
    """Return what a line tells; what is no line of ours tells nothing."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _end_of(process: "subprocess.Popen[bytes]", said: Path) -> str:
    """Say how a process ended that never told its end."""
    try:
        status = process.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        return "it fell silent and did not end"
    if status == 0:
        return "it ended without a word of being done"
    return f"its process {steps.ended(status, _last_lines(said))}"


def _last_lines(said: Path) -> list[str]:
    with suppress(OSError), said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - KEPT_BYTES))
        rows = file.read().decode("utf-8", "replace").splitlines()
        return [row.strip()[:200] for row in rows if row.strip()][-1:]
    return []
