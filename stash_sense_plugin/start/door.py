"""What the door does once it knows what Stash wants; everything cold is imported late."""

import os
import sys

from stash_sense_plugin.start import address, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER_WARM = ("set_up",)
"""Modes that look at the environment themselves before the worker is asked."""


class Request:
    """What Stash wants, as it came on stdin."""

    def __init__(self, document: "dict[str, Any]", raw: bytes, package: str, home: str) -> None:
        self.args = document["args"]
        self.server = document.get("server_connection")
        self.mode = self.args["mode"]
        self.raw = raw
        self.package = package
        self.home = home


def answer(document: object, raw: bytes, package: str) -> bytes:
    """Return the reply to one request: the worker's, or why there is none."""
    request = read(document, raw, package)
    if isinstance(request, str):
        return error_reply(request)
    _keep_bytecode(request.home)
    came = None if request.mode in NEVER_WARM else _warm(request)
    if came is not None and came.status == wire.OK and came.reply is not None:
        return came.reply
    from stash_sense_plugin.start import cold

    return cold.answer(request, came)


def read(document: object, raw: bytes, package: str) -> "Request | str":
    """Return the request in a document, or what is wrong with it."""
    if not isinstance(document, dict):
        return "What came on the input is not one JSON object: run this from Stash"
    args, server = document.get("args"), document.get("server_connection")
    if not isinstance(args, dict) or not isinstance(args.get("mode"), str):
        return "The arguments name no mode: give args.mode, such as 'doctor'"
    if server is not None and not isinstance(server, dict):
        return "server_connection is no object: run this from Stash"
    home = address.home_of(server)
    if home is None:
        return "server_connection.Dir is missing: run this from Stash, or set STASH_SENSE_HOME"
    return Request(document, raw, package, home)


def error_reply(text: str) -> bytes:
    """Return the reply that shows an error."""
    import json

    return json.dumps({"error": text}).encode()


def show(data: bytes) -> None:
    """Write lines that are ready for Stash to stderr, if anyone reads them."""
    try:  # noqa: SIM105 - a warm door does without contextlib
        os.write(2, data)
    except OSError:
        pass


def _warm(request: Request) -> "wire.Answer | None":
    """Ask the worker that answers at the usual place; None where there is none."""
    connection = knock(request.home)
    if connection is None:
        return None
    stamp = address.stamp(request.package)
    try:
        sent = wire.request("POST", "/v1/call", request.raw, stamp)
        return wire.ask(connection, sent, show)
    except OSError:
        return None
    finally:
        connection.close()


def knock(home: str) -> "wire.Connection | None":
    """Return a connection to the worker's socket; None where nobody listens."""
    import _socket

    path = address.socket_path(home)
    if not hasattr(_socket, "AF_UNIX") or not address.private(os.path.dirname(path)):
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def _keep_bytecode(home: str) -> None:
    """Let what is imported from here on be compiled once, in the home if there is one."""
    folder = os.path.join(home, "pycache")
    if os.path.isdir(folder):
        sys.pycache_prefix = folder
        sys.dont_write_bytecode = False
