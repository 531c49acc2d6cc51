"""What Stash wants, and how it is told: read from stdin, answered on stdout and stderr.

A warm door imports this, so it needs nothing that `os` has not loaded already.
"""

import os

from stash_sense_plugin.start import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Request:
    """What Stash wants, as it came on stdin."""

    def __init__(self, document: "dict[str, Any]", raw: bytes, package: str, home: str) -> None:
        self.args = document["args"]
        self.server = document.get("server_connection")
        self.mode = self.args["mode"]
        self.raw = raw
        self.package = package
        self.home = home


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
