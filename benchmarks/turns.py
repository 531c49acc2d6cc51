"""Processes that take turns at one work, so that a busy machine is busy for all of them alike."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


def best_of(work: Callable[[], object], seconds: float) -> float:
    """Return the shortest time in seconds of some work, done again and again for so long."""
    begun, best = perf_counter(), float("inf")
    while perf_counter() - begun < seconds:
        start = perf_counter()
        work()
        best = min(best, perf_counter() - start)
    return best


def take_turns(first: object, turn: Callable[[], object]) -> None:
    """Answer `first`, then a turn's answer for each line that comes; a process's whole life."""
    _answer(first)
    for _ in sys.stdin:
        _answer(turn())


def _answer(told: object) -> None:
    sys.stdout.write("\n" + json.dumps(told) + "\n")
    sys.stdout.flush()


class Player:
    """One process that takes turns; closed with `with`."""

    def __init__(self, name: str, words: Sequence[str], order: object = None) -> None:
        self._name = name
        self._process = subprocess.Popen(
            list(words), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if order is not None:
            self._say(json.dumps(order))
        self.first: dict[str, Any] = self._hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def turn(self) -> dict[str, Any]:
        """Let it work once; return its answer."""
        self._say("turn")
        return self._hear()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise SystemExit(f"{self._name} ended with {self._process.wait()}")
