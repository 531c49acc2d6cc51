"""A small file server on this machine that behaves as badly as it is told to."""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT_SHA1 = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
OTHER = b"another" * 1000


@dataclass
class Site:
    """What the server does and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    drops: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    statuses: list[int] = field(default_factory=list)
    """What the next answers are instead of the file."""
    contents: list[bytes] = field(default_factory=list)
    """What the next answers hold instead of `content`."""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/octet-stream"
    redirect: str = ""
    lengthless: bool = False
    endless: bool = False
    """The content is sent again and again, without a length, until the other side hangs up."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            site.asked.append(("HEAD", self.path, self.headers.get("Authorization")))
            self.answer(200, len(site.content))

        def do_GET(self) -> None:
            site.asked.append(("GET", self.path, self.headers.get("Range")))
            if site.statuses:
                return self.answer(site.statuses.pop(0), 0)
            if site.redirect and not self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", site.redirect)
                self.send_header("Content-Length", "0")
                return self.end_headers()
            content = site.contents.pop(0) if site.contents else site.content
            start = 0
            if site.ranges and (asked := self.headers.get("Range")):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self.answer(416, 0)
            self.answer(206 if start else 200, len(content) - start, start, len(content))
            stop = site.drops.pop(0) if site.drops else len(content)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may hang up
                self.wfile.write(content[start : start + stop])
                while site.endless:
                    self.wfile.write(content)
            if stop < len(content) - start:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
            return None

        def answer(self, status: int, length: int, start: int = 0, whole: int = 0) -> None:
            self.send_response(status)
            self.send_header("Content-Type", site.kind)
            if site.lengthless or site.endless:
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(length))
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.end_headers()

    return Handler


@contextmanager
def open_site() -> Iterator[Site]:
    """Serve until the end."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
