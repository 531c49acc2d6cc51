"""A plugin's process: started, read, and killed, as Stash does it."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from demo.stash.values import go_json, go_loads

LAST_LINES_S = 10.0
"""How long the last lines on stderr are waited for."""

LONGEST_LINE = 65_536
"""Bytes of a line on stderr, its end included; a longer one ends the reading for good."""
PREFIXES = {
    "t": "Trace",
    "d": "Debug",
    "i": "Info",
    "w": "Warning",
    "e": "Error",
    "p": "Progress",
}

Tell = Callable[[str, str], None]
"""Takes the level ("" if the line does not say) and the text of a line on stderr."""


class StartError(Exception):
    """The process could not be started."""


class CancelledError(Exception):
    """The process was killed before it had answered."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a plugin answered; an error wins over a value."""

    value: Any = None
    error: str | None = None


class PluginProcess:
    """One run of a plugin."""

    def __init__(
        self,
        command: Sequence[str],
        document: dict[str, Any],
        tell: Tell,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._process = _start(command, environment)
        self._settled = threading.Event()
        self._output: Output | None = None
        self._document = go_json(document)
        threading.Thread(target=self._feed, daemon=True).start()
        self._listening = threading.Thread(target=self._listen, args=[tell], daemon=True)
        self._listening.start()
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self) -> Output:
        """What it answered, once its stdout has ended. Raises CancelledError when killed."""
        self._settled.wait()
        if self._output is None:
            raise CancelledError("operation cancelled")
        return self._output

    def kill(self) -> None:
        """Kill the process, and it alone; who waits goes on at once."""
        self._process.kill()
        self._process.wait()
        self._settled.set()

    def _feed(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it may leave without reading
            self._process.stdin.write(self._document)
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            output = decoded(stdout.read().decode("utf-8", "replace"))
        status = self._process.wait()
        # Stash may lose the last lines; who reads our log after a run finds them there. A child
        # that keeps stderr holds up nobody.
        self._listening.join(LAST_LINES_S)
        if status and output.error is None:
            signal = "signal: killed" if status == -9 else f"signal: {-status}"
            output = Output(error=f"exit status {status}" if status > 0 else signal)
        if not self._settled.is_set():
            self._output = output
            self._settled.set()

    def _listen(self, tell: Tell) -> None:
        assert self._process.stderr is not None
        waiting = b""
        with self._process.stderr as stderr:
            while chunk := os.read(stderr.fileno(), LONGEST_LINE):
                *lines, waiting = (waiting + chunk).split(b"\n")
                for line in lines:
                    if len(line) >= LONGEST_LINE:
                        return
                    _hear(line, tell)
                if len(waiting) >= LONGEST_LINE:
                    return
        _hear(waiting, tell)


def _start(command: Sequence[str], environment: dict[str, str] | None) -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise StartError(f"error running plugin: fork/exec {command[0]}: {why}") from error


def _hear(line: bytes, tell: Tell) -> None:
    text = line.removesuffix(b"\r").decode("utf-8", "replace")
    if len(line) >= 4 and text[0] == "\x01" and text[2] == "\x02" and text[1] in PREFIXES:
        tell(PREFIXES[text[1]], text[3:].strip())
    elif text:
        tell("", text)


def decoded(stdout: str) -> Output:
    """The answer in what a plugin printed: one object with `output` or `error`, else the text."""
    try:
        answer = go_loads(stdout)
    except ValueError:
        return Output(stdout)
    if answer is None:
        return Output()
    if not isinstance(answer, dict):
        return Output(stdout)
    keys = {key.lower(): value for key, value in answer.items()}
    error = keys.get("error")
    if error is not None and not isinstance(error, str):
        return Output(error="")
    return Output(keys.get("output"), error)
