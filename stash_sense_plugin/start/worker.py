"""Reaching the worker, and starting one where there is none."""

import contextlib
import os
import platform
import re
import socket
import subprocess
import time
from typing import Callable, List, Optional, Tuple

from stash_sense_plugin.start import address, bytecode, environment, machine, wire
from stash_sense_plugin.start.fault import EnvironmentBroken, StartError
from stash_sense_plugin.start.lines import Say
from stash_sense_plugin.start.lock import Lock, held, hold_if_it_can_be
from stash_sense_plugin.start.paths import Home, last_lines, make_socket_folder, read_json

BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
try:
    from stash_sense_plugin.worker.server import main
except Exception as error:
    import contextlib, os, traceback
    with contextlib.suppress(OSError):
        full = os.path.exists(sys.argv[2]) and os.path.getsize(sys.argv[2]) > {log_bytes}
        with open(sys.argv[2], "w" if full else "a") as log:
            traceback.print_exc(file=log)
    ours = (getattr(error, "name", "") or "").startswith("stash_sense_plugin")
    sys.exit({broken} if isinstance(error, ImportError) and not ours else 1)
sys.exit(main(sys.argv[3:]))
"""
LOG_BYTES = 1_000_000
"""A log that is longer begins anew."""

UNABLE = 1
"""The worker's exit status when it cannot run; its log says why."""
LIVES = 75
"""Its exit status when another one serves this library."""
BROKEN = 70
"""Its exit status when what it needs does not import."""
CHANGED = 76
"""Its exit status when its package was replaced while it was loading."""
NO_PYTHON = 103
"""The exit status of an environment's launcher on Windows whose Python has gone."""
OF_OURS = re.compile(r"\d{4}-\d\d-\d\d \S+ ERROR ")
"""An error that the worker understood, such as a damaged store: no package is to blame."""

STARTS_S = 180.0
"""A new worker first waits for the batch that an older one finishes."""
UPDATES_S = 60.0
"""How long Stash may take to put an update in place."""
LOOK_S = 0.03
REAPED_S = 5.0
"""How long a killed process may take to go; one that a dead mount holds takes for ever."""
TOLD_S = 10.0


def ask(
    home: Home,
    package: str,
    python: str,
    body: bytes,
    relay: Callable[[bytes], None],
    say: Say,
    *,
    reading: bool = False,
) -> wire.Answer:
    """Send one call to the worker of this home, started if need be, and return its answer.

    A worker of another version hands over first; but where the call only reads, one that is busy
    answers it. The answer's reply is None when the worker died on it. Raises StartError, with the
    worker's own last words, when none comes to answer.
    """
    sent = Call(package, "/v1/call", body, protocol=wire.PROTOCOL if reading else "")
    starter = Starter(home, package, python, say)
    try:
        while True:
            answer = _try(home, sent, relay, starter.close) if starter.whole() else None
            if answer is not None and answer.status == wire.OK:
                return answer
            if answer is not None:
                _mind(answer, home, package, say)
            starter.step()
    finally:
        starter.close()


def _mind(answer: wire.Answer, home: Home, package: str, say: Say) -> None:
    """Do what an answer that is none asks for; StartError where nothing will change it."""
    if answer.status == wire.OTHER_VERSION:
        say("info", "Another version of Stash Sense is running: it ends what is in hand first")
        hand_over(home, package)
    elif answer.status not in (wire.NO_ANSWER, wire.LEAVING):
        raise _refused(answer)


def _refused(answer: wire.Answer) -> StartError:
    text = (answer.reply or b"").decode("utf-8", "replace")
    return StartError(
        "The background process of Stash Sense refused the call ({}: {})".format(
            answer.status, text
        )
    )


def command(python: str, home: Home, package: str, compiled: bool = True) -> "List[str]":
    """Return how the worker of a home is run; `compiled` lets it use the home's compiled code."""
    kept = ("-X", "pycache_prefix=" + home.bytecode) if compiled else ("-B",)
    boot = BOOT.format(broken=BROKEN, log_bytes=LOG_BYTES)
    return [
        *(python, "-I", *kept, "-c", boot),
        *(os.path.dirname(package), home.worker_log),
        *("--home", home.folder, "--package", package),
    ]


def hand_over(home: Home, package: str) -> bool:
    """Ask the worker of this home to finish its batch and leave; False where there is none."""
    answer = _try(home, Call(package, "/v1/handover", b"{}"), _drop)
    return answer is not None and answer.status == wire.OK


def alive(home: Home, package: str) -> bool:
    """Tell whether a worker answers for this home."""
    answer = _try(home, Call(package, "/v1/ping", b"", "GET"), _drop)
    return answer is not None and answer.status == wire.OK


class Call:
    """A request that may be sent more than once."""

    def __init__(
        self, package: str, path: str, body: bytes, verb: str = "POST", protocol: str = ""
    ) -> None:
        self._parts: Tuple[str, str, bytes] = (verb, path, body)
        self._package, self._protocol = package, protocol

    def bytes(self, token: str) -> bytes:
        """Return the request for a worker that asks for `token`.

        It names the package as it is now: an update may come while we wait.
        """
        return wire.request(*self._parts, stamp_of(self._package), token, self._protocol)


def stamp_of(package: str) -> str:
    """Return what tells one installed package from another; empty while it is being replaced."""
    try:
        return address.stamp(package)
    except OSError:
        return ""


class Starter:
    """Starts a worker, and is asked again and again how that goes."""

    def __init__(self, home: Home, package: str, python: str, say: Say) -> None:
        self._home, self._package, self._python = home, package, python
        self._say = say
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._turn: Optional[Lock] = None
        self._stamp = stamp_of(package)
        self._begun = self._told = time.monotonic()
        self._torn: Optional[float] = None

    def whole(self) -> bool:
        """Tell whether the package lies there: while Stash replaces it, nothing can be started.

        Raises StartError when it stays away.
        """
        now = time.monotonic()
        if stamp_of(self._package):
            self._torn = None
            return True
        if self._torn is None:
            self._torn = now
            self._say("info", "Stash Sense is being updated: waiting for the new version")
        if now - self._torn > UPDATES_S:
            raise StartError(
                "The folder {} is gone or not whole".format(self._package),
                "install Stash Sense anew in Stash's settings, under Plugins",
            )
        return False

    def close(self) -> None:
        """Let others start one, and leave no process behind that only found another at work.

        It would stay as a zombie where Stash is the first process of a container: that reaps none.
        `step` begins anew.
        """
        child = self._child
        if child is not None and os.name != "nt" and child.poll() is None:
            serving = (read_json(self._home.worker_card) or {}).get("pid", child.pid)
            if serving != child.pid:
                child.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(REAPED_S)
                self._child = None
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    def step(self) -> None:
        """Start one if none is starting, and wait a little; StartError when it cannot be."""
        now = time.monotonic()
        if self._child is not None and self._child.poll() is not None:
            self._ended(self._child.returncode)
        elif self._child is None and self._has_turn() and self.whole():
            self._stamp = stamp_of(self._package)
            self._child = self._start()
        if now - self._begun > STARTS_S:
            raise StartError(
                "The background process of Stash Sense did not answer for {:.0f} s".format(
                    STARTS_S
                ),
                "see {}; if it hangs, end it: it is started again by itself".format(
                    self._home.worker_log
                ),
            )
        if now - self._told > TOLD_S:
            self._told = now
            self._say("info", "Waiting for the background process of Stash Sense to start")
        time.sleep(LOOK_S)

    def _has_turn(self) -> bool:
        """Tell whether we are to start it: of many doors at once one does, the others look on."""
        if self._turn is None:
            self._home.make()
            make_socket_folder(self._home.folder)
            self._turn = hold_if_it_can_be(self._home.start_lock)
        return self._turn is not None

    def _start(self) -> "subprocess.Popen[bytes]":
        compiled = bytecode.renew(self._home.bytecode, self._package, self._stamp)
        argv = command(self._python, self._home, self._package, compiled)
        try:
            return subprocess.Popen(
                [*argv, "--stamp", self._stamp],
                # A stream of ours that it kept would hold Stash's task open.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._home.folder,
                env=environment.clean_variables(),
                **machine.apart(platform.system()),
            )
        except OSError as error:
            raise EnvironmentBroken(
                "Cannot run {} ({})".format(self._python, error.strerror),
                "run the task Set up",
            ) from error

    def _ended(self, status: int) -> None:
        if status in (LIVES, CHANGED) or stamp_of(self._package) != self._stamp:
            self._child = None
            time.sleep(0.2)
            return
        said = last_lines(self._home.worker_log, 1) or "it could not write its log"
        if status == NO_PYTHON:
            raise EnvironmentBroken("The environment's Python has gone", "run the task Set up")
        understood = status == UNABLE and OF_OURS.match(said)
        if status == BROKEN or not (understood or self._sound()):
            raise EnvironmentBroken(
                "The environment lacks something, or does not fit this system any more ({})".format(
                    said
                ),
                "run the task Set up",
            )
        raise StartError(
            "The background process of Stash Sense did not start (status {}: {})".format(
                status, said
            ),
            "see {}".format(self._home.worker_log),
        )

    def _sound(self) -> bool:
        """Tell whether the environment is not to blame: what it has may no longer fit the system.

        That takes seconds, and is asked after a failure only.
        """
        from stash_sense_plugin.start import install

        own = self._python == environment.python_of(self._home)
        return not own or install.sound(self._home)


def _try(
    home: Home,
    call: Call,
    relay: Callable[[bytes], None],
    reached: "Optional[Callable[[], None]]" = None,
) -> "Optional[wire.Answer]":
    """Send a call to whoever serves this home; None where nobody does."""
    connection, token = _reach(home)
    if connection is None:
        return None
    if reached is not None:
        reached()
    try:
        return wire.ask(connection, call.bytes(token), relay)
    except OSError as error:
        raise StartError(
            "The background process of Stash Sense{} does not answer ({})".format(
                _numbered(home), error
            ),
            "wait if this machine is busy or just woke up; else end that process (its number is in"
            " {}): it is started again by itself".format(home.worker_card),
        ) from error
    finally:
        connection.close()


def _numbered(home: Home) -> str:
    pid = (read_json(home.worker_card) or {}).get("pid")
    return " (process {})".format(pid) if isinstance(pid, int) else ""


def _reach(home: Home) -> "Tuple[Optional[wire.Connection], str]":
    """Return a connection to the worker, and the token that it asks for.

    The usual socket comes first; then what the worker's own card says, because a login of this
    user and Stash may see different run-time folders, and some machines have no such sockets.
    """
    connection = wire.knock(home.folder)
    if connection is not None:
        return connection, ""
    card = read_json(home.worker_card) or {}
    path, port, token = card.get("socket"), card.get("port"), card.get("token")
    if isinstance(path, str) and path and address.private(os.path.dirname(path)):
        return _connect(getattr(socket, "AF_UNIX", socket.AF_INET), path), ""
    # Whoever took the port of a worker that died must not be handed the token.
    if isinstance(port, int) and isinstance(token, str) and held(home.worker_lock):
        return _connect(socket.AF_INET, ("127.0.0.1", port)), token
    return None, ""


def _connect(family: int, where: "object") -> "Optional[socket.socket]":
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.connect(where)  # type: ignore[arg-type]
    except OSError:
        connection.close()
        return None
    return connection


def _drop(_line: bytes) -> None:
    """Take a line that nobody is to see."""
