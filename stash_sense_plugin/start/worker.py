"""Reaching the worker, and starting one where there is none."""

import os
import socket
import subprocess
import time
from typing import Callable, Optional, Tuple

from stash_sense_plugin.start import address, environment, wire
from stash_sense_plugin.start.fault import EnvironmentBroken, StartError
from stash_sense_plugin.start.lines import Say
from stash_sense_plugin.start.lock import held
from stash_sense_plugin.start.paths import Home, last_lines, make_socket_folder, read_json

BOOT = """
import sys
sys.path.insert(0, sys.argv[1])
try:
    from stash_sense_plugin.worker.server import main
except ImportError as error:
    import traceback
    with open(sys.argv[2], "a") as log:
        traceback.print_exc(file=log)
    sys.exit(1 if (error.name or "").startswith("stash_sense_plugin") else {broken})
sys.exit(main(sys.argv[3:]))
"""

LIVES = 75
"""The worker's exit status when another one serves this library."""
BROKEN = 70
"""Its exit status when what it needs does not import."""

STARTS_S = 180.0
"""A new worker first waits for the batch that an older one finishes."""
LOOK_S = 0.03
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
    while True:
        answer = _try(home, sent, relay)
        if answer is not None and answer.status == wire.OK:
            return answer
        if answer is not None and answer.status == wire.OTHER_VERSION:
            say(
                "info",
                "Another version of Stash Sense is running: it ends what is in hand first",
            )
            hand_over(home, package)
        elif answer is not None and answer.status not in (wire.NO_ANSWER, wire.LEAVING):
            text = (answer.reply or b"").decode("utf-8", "replace")
            raise StartError(
                "The background process of Stash Sense refused the call ({}: {})".format(
                    answer.status, text
                )
            )
        starter.step()


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
        self._parts: Tuple[str, str, bytes, str] = (verb, path, body, address.stamp(package))
        self._protocol = protocol

    def bytes(self, token: str) -> bytes:
        """Return the request for a worker that asks for `token`."""
        return wire.request(*self._parts, token, self._protocol)


class Starter:
    """Starts a worker, and is asked again and again how that goes."""

    def __init__(self, home: Home, package: str, python: str, say: Say) -> None:
        self._home, self._package, self._python = home, package, python
        self._say = say
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._begun = self._told = time.monotonic()

    def step(self) -> None:
        """Start one if none is starting, and wait a little; StartError when it cannot be."""
        now = time.monotonic()
        if self._child is None:
            self._child = self._start()
        elif self._child.poll() is not None:
            self._ended(self._child.returncode)
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

    def _start(self) -> "subprocess.Popen[bytes]":
        self._home.make()
        make_socket_folder(self._home.folder)
        home, root = self._home, os.path.dirname(self._package)
        try:
            return subprocess.Popen(
                [
                    *(self._python, "-I", "-X", "pycache_prefix=" + home.bytecode, "-c"),
                    *(BOOT.format(broken=BROKEN), root, home.worker_log),
                    *("--home", home.folder, "--package", self._package),
                ],
                # A stream of ours that it kept would hold Stash's task open.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=home.folder,
                start_new_session=True,
                env=environment.clean_variables(),
            )
        except OSError as error:
            raise EnvironmentBroken(
                "Cannot run {} ({})".format(self._python, error.strerror),
                "run the task Set up",
            ) from error

    def _ended(self, status: int) -> None:
        if status == LIVES:
            self._child = None
            time.sleep(0.2)
            return
        said = last_lines(self._home.worker_log, 1)
        if status == BROKEN:
            raise EnvironmentBroken(
                "The environment lacks something ({})".format(said), "run the task Set up"
            )
        raise StartError(
            "The background process of Stash Sense did not start (status {}: {})".format(
                status, said
            ),
            "see {}".format(self._home.worker_log),
        )


def _try(home: Home, call: Call, relay: Callable[[bytes], None]) -> "Optional[wire.Answer]":
    """Send a call to whoever serves this home; None where nobody does."""
    connection, token = _reach(home)
    if connection is None:
        return None
    try:
        return wire.ask(connection, call.bytes(token), relay)
    except OSError as error:
        raise StartError(
            "The background process of Stash Sense does not answer ({})".format(error),
            "wait, or end the process named in {}".format(home.worker_card),
        ) from error
    finally:
        connection.close()


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
