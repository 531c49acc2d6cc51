"""How a door and the worker talk: one HTTP request, and an answer that is a row of frames.

A frame is a tag byte, eight hexadecimal digits of length, and the payload: `e` is for stderr,
ready as Stash wants it, and `o` is the reply, the one JSON object for stdout, which ends the row.
A warm door imports this, so it needs nothing that `os` has not loaded already.
"""

import os

from stash_sense_plugin.start import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Connection(Protocol):
        """The part of a socket that a call needs."""

        def sendall(self, data: bytes, /) -> None: ...
        def recv(self, size: int, /) -> bytes: ...
        def settimeout(self, seconds: "float | None", /) -> None: ...
        def close(self) -> object: ...


HEAD_S = 15.0
"""A worker that takes longer than this to begin its answer is stuck. A door asks twice."""

PROTOCOL = "1"
"""Changes when a reply or a reading mode is no longer what another version expects."""

OK = 200
UNKNOWN_TOKEN = 401
OTHER_VERSION = 409
LEAVING = 503
NO_ANSWER = 0

LONGEST_HEAD = 65536


class Answer:
    """What came back; `reply` is None when the worker ended before it was done."""

    def __init__(self, status: int, kind: str, reply: "bytes | None") -> None:
        self.status = status
        self.kind = kind
        self.reply = reply


def knock(home: str) -> "Connection | None":
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


def frame(tag: bytes, payload: bytes) -> bytes:
    """Return one frame of an answer."""
    return b"%s%08x%s" % (tag, len(payload), payload)


def request(
    verb: str, path: str, body: bytes, stamp: str, token: str = "", protocol: str = ""
) -> bytes:
    """Return the bytes of a request; with `protocol`, a busy worker of another version will do."""
    head = (
        "{} {} HTTP/1.0\r\nHost: worker\r\nContent-Type: application/json\r\n"
        "Content-Length: {}\r\nX-Stash-Sense: {}\r\nX-Stash-Sense-Protocol: {}\r\n"
        "Authorization: Bearer {}\r\n\r\n"
    )
    return head.format(verb, path, len(body), stamp, protocol, token).encode("ascii") + body


def ask(connection: "Connection", sent: bytes, relay: "Callable[[bytes], None]") -> Answer:
    """Send a request, hand each `e` frame to `relay` as it comes, and return the answer.

    Raises OSError when the worker does not begin its answer in time.
    """
    connection.settimeout(HEAD_S)
    try:
        connection.sendall(sent)
        status, kind, rest = _head(connection)
    except ConnectionError:
        return Answer(NO_ANSWER, "", None)
    connection.settimeout(None)
    if status == OK:
        return Answer(status, kind, _frames(connection, rest, relay))
    if status == NO_ANSWER:
        return Answer(status, kind, None)
    return Answer(status, kind, _rest(connection, rest))


def _head(connection: "Connection") -> "tuple[int, str, bytes]":
    """Read up to the empty line; return the status, the kind of the mode and what follows."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < LONGEST_HEAD:
        more = connection.recv(65536)
        if not more:
            return NO_ANSWER, "", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else NO_ANSWER
    kind = b""
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"x-stash-sense-kind":
            kind = value.strip()
    return status, kind.decode("ascii", "replace"), rest


def _frames(
    connection: "Connection", rest: bytes, relay: "Callable[[bytes], None]"
) -> "bytes | None":
    """Relay frames up to the reply and return that; None when there is none, or no frame."""
    buffer = bytearray(rest)
    while True:
        while len(buffer) >= 9:
            try:
                end = 9 + int(bytes(buffer[1:9]), 16)
            except ValueError:
                return None
            if len(buffer) < end:
                break
            tag, payload = buffer[:1], bytes(buffer[9:end])
            del buffer[:end]
            if tag == b"o":
                return payload
            relay(payload)
        more = _receive(connection)
        if not more:
            return None
        buffer += more


def _rest(connection: "Connection", rest: bytes) -> bytes:
    parts = [rest]
    while parts[-1] or len(parts) == 1:
        parts.append(_receive(connection))
    return b"".join(parts)


def _receive(connection: "Connection") -> bytes:
    """Return what comes next; nothing when the other side is gone, however it went."""
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""
