import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stash_sense_plugin.errors import (
    MediaMissing,
    MediaUnreadable,
    SettingsError,
    StashError,
    StashRefused,
    StashUnauthorised,
    StashUncertain,
    StashUnreachable,
)
from stash_sense_plugin.stash.client import Connection, Limits, StashClient

QUERY = "query Name { version { hash } }"
WRITE = "mutation Write { sceneUpdate(input: {id: 1}) { id } }"
GOOD = {"data": {"ok": True}}
LOCKED = {
    "errors": [{"message": "beginning transaction: database is locked", "path": ["x"]}],
    "data": {"x": None},
}


@dataclass
class Reply:
    """What the server says: a status, a body, and headers; or it hangs up."""

    body: Any = field(default_factory=lambda: GOOD)
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    hang_up: bool = False
    kind: str = "application/json"


@dataclass
class Door:
    """A real server on this machine that says what it was told to say."""

    url: str
    replies: list[Reply]
    seen: list[dict[str, Any]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.door = Door(f"http://127.0.0.1:{self.server_address[1]}", [], [])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        assert isinstance(self.server, _Server)
        door = self.server.door
        seen = {"path": self.path, "body": json.loads(body) if body else None}
        headers = {name.lower(): value for name, value in self.headers.items()}
        door.seen.append({**seen, "headers": headers, "from": self.client_address})
        reply = door.replies.pop(0) if door.replies else Reply()
        if reply.hang_up:
            self.close_connection = True
            return
        raw = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


def serve(server: _Server) -> Iterator[Door]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.door
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def door() -> Iterator[Door]:
    yield from serve(_Server())


Make = Callable[..., StashClient]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(door: Door, waits: list[float]) -> Iterator[Make]:
    made: list[StashClient] = []

    def make(url: str = "", api_key: str = "", cookie: str = "", **limits: Any) -> StashClient:
        connection = Connection.from_url(url or door.url, api_key, cookie)
        made.append(StashClient(connection, limits=Limits(**limits), sleep=waits.append))
        return made[-1]

    yield make
    for each in made:
        each.close()


# --- The connection -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "url"),
    [
        pytest.param({"Host": "0.0.0.0", "Port": 9999}, "http://127.0.0.1:9999", id="any address"),
        pytest.param({"Host": "::", "Port": 9999}, "http://[::1]:9999", id="any address of IPv6"),
        pytest.param({"Host": "", "Port": 1}, "http://127.0.0.1:1", id="no host"),
        pytest.param({"Host": "fd00::5", "Port": 80}, "http://[fd00::5]:80", id="IPv6"),
        pytest.param(
            {"Scheme": "https", "Host": "nas", "Port": 443, "SessionCookie": None},
            "https://nas:443",
            id="cookie that could not be made",
        ),
    ],
)
def test_stdin_names_the_server(given: dict[str, Any], url: str) -> None:
    connection = Connection.from_plugin(given)
    assert connection.base_url == url
    assert connection.cookie == ""
    assert connection.api_key == ""


def test_stdin_carries_the_cookie_which_is_never_shown() -> None:
    cookie = {"Name": "session", "Value": "MTc2-secret=", "Path": ""}
    given = {"Scheme": "http", "Host": "h", "Port": 9999, "SessionCookie": cookie}
    connection = Connection.from_plugin(given)
    assert connection.cookie == "MTc2-secret="
    assert "secret" not in repr(connection)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("localhost:9999/", "http://localhost:9999"),
        ("https://home.example/stash/graphql", "https://home.example/stash"),
    ],
)
def test_an_address_as_people_write_it(typed: str, url: str) -> None:
    assert Connection.from_url(typed).base_url == url


@pytest.mark.parametrize("typed", ["ftp://x", "http://", "http://h:99999", "http://h/?a=1", ""])
def test_an_address_that_is_none_is_named(typed: str) -> None:
    with pytest.raises(SettingsError, match="address of Stash"):
        Connection.from_url(typed)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("http://me:secret@h:9999", "http://...@h:9999"),
        ("me:secret@h", "http://...@h"),
        ("http://me:secr@et@h", "http://...@h"),
        ("http://h/?apikey=secret", "http://h/?..."),
    ],
)
def test_a_password_in_an_address_is_not_repeated(typed: str, shown: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Connection.from_url(typed)
    assert f"{shown!r} is not an address" in caught.value.message
    assert "secr" not in str(caught.value)


def test_a_key_that_would_break_the_header_is_refused() -> None:
    with pytest.raises(SettingsError, match="API key"):
        Connection.from_url("http://h", api_key="a\r\nX: y")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:1", True),
        ("https://127.3.2.1:1", True),
        ("https://[::1]:1", True),
        ("https://localhost.example:1", False),
        ("https://192.168.1.2:1", False),
    ],
)
def test_loopback_is_this_machine_alone(url: str, here: bool) -> None:
    assert Connection.from_url(url).loopback is here


# --- One question -------------------------------------------------------------------------------


def test_making_a_client_asks_nothing(client: Make, door: Door) -> None:
    client()
    assert door.seen == []


def test_an_answer_is_its_data(client: Make, door: Door) -> None:
    assert client().call(QUERY, {"a": 1}) == {"ok": True}
    assert door.seen[0]["path"] == "/graphql"
    assert door.seen[0]["body"] == {"query": QUERY, "variables": {"a": 1}}
    assert door.seen[0]["headers"]["accept"] == "application/json"


def test_a_prefix_is_kept(client: Make, door: Door) -> None:
    client(door.url + "/stash").call(QUERY)
    assert door.seen[0]["path"] == "/stash/graphql"


@pytest.mark.parametrize("status", [200, 422, 400])
def test_errors_are_raised_even_beside_data(client: Make, door: Door, status: int) -> None:
    errors = [{"message": "scene with id 9 not found"}, {"message": "and more"}]
    door.replies.append(Reply({"errors": errors, "data": {"x": 1}}, status))
    with pytest.raises(StashRefused, match="Stash refused Write: scene with id 9") as caught:
        client().call(WRITE)
    assert caught.value.messages == ("scene with id 9 not found", "and more")
    assert len(door.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(b"", 401), id="no login"),
        pytest.param(Reply(b"", 403), id="locked out"),
        pytest.param(Reply(b"", 302, (("Location", "/login?returnURL=%2F"),)), id="to the login"),
        pytest.param(Reply(b"<html>", 200, kind="text/html; charset=utf-8"), id="a login page"),
    ],
)
def test_who_is_not_let_in_is_told_so(client: Make, door: Door, reply: Reply) -> None:
    door.replies.append(reply)
    with pytest.raises(StashUnauthorised, match="API key"):
        client().call(QUERY)
    assert len(door.seen) == 1


def test_a_redirect_is_not_followed(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"", 307, (("Location", door.url + "/elsewhere"),)))
    with pytest.raises(StashRefused, match="sends us elsewhere"):
        client().call(QUERY)
    assert [each["path"] for each in door.seen] == ["/graphql"]


@pytest.mark.parametrize("body", [b"404 page not found", b"[1]", b'{"data": null}'])
def test_what_is_no_answer_is_no_data(client: Make, door: Door, body: bytes) -> None:
    door.replies.append(Reply(body))
    with pytest.raises(StashRefused):
        client().call(QUERY)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_sent(client: Make, door: Door, number: float) -> None:
    with pytest.raises(StashError, match="Write holds a number that is not finite"):
        client().call(WRITE, {"x": number})
    assert door.seen == []


@pytest.mark.parametrize(
    "variables",
    [
        {"ids": []},
        {"input": {"ids": [], "title": "x"}},
        {"input": {"ids": ["1"], "tag_ids": {"ids": [], "mode": "ADD"}}},
        {"scene_filter": {"tags": {"value": [], "modifier": "INCLUDES"}}},
        {"scene_filter": {"tags": {"modifier": "EXCLUDES"}}},
        {"scene_filter": {"AND": {"tags": {"value": [], "modifier": "INCLUDES_ALL"}}}},
    ],
)
def test_an_empty_filter_is_refused_before_it_means_everything(
    client: Make, door: Door, variables: dict[str, Any]
) -> None:
    with pytest.raises(StashError, match="whole library"):
        client().call(QUERY, variables)
    assert door.seen == []


@pytest.mark.parametrize(
    "criterion",
    [
        {"modifier": "IS_NULL"},
        {"value": [], "excludes": ["3"], "modifier": "INCLUDES"},
        {"value": 0, "modifier": "GREATER_THAN"},
    ],
)
def test_a_filter_that_means_something_is_asked(client: Make, criterion: dict[str, Any]) -> None:
    assert client().call(QUERY, {"scene_filter": {"tags": criterion}}) == {"ok": True}


# --- Who we are ---------------------------------------------------------------------------------


def test_without_key_and_cookie_neither_is_sent(client: Make, door: Door) -> None:
    client(api_key="  ").call(QUERY)
    assert not {"apikey", "cookie", "authorization"} & door.seen[0]["headers"].keys()


def test_a_key_is_sent_alone(client: Make, door: Door) -> None:
    client(api_key="k", cookie="c").call(QUERY)
    assert door.seen[0]["headers"]["apikey"] == "k"
    assert "cookie" not in door.seen[0]["headers"]


def test_the_renewed_cookie_takes_the_place_of_the_old(client: Make, door: Door) -> None:
    renewed = "session=new=|x; Path=/; Expires=Fri, 20 Nov 2026 21:06:17 GMT; SameSite=Lax"
    door.replies.append(Reply(headers=(("Set-Cookie", "other=1"), ("Set-Cookie", renewed))))
    ours = client(cookie="old")
    ours.call(QUERY)
    ours.call(QUERY)
    ours.get("/scene/a_sprite.jpg")
    sent = [each["headers"]["cookie"] for each in door.seen]
    assert sent == ["session=old", "session=new=|x", "session=new=|x"]


def test_another_thread_sends_the_renewed_cookie_on_its_own_connection(
    client: Make, door: Door
) -> None:
    door.replies.append(Reply(headers=(("Set-Cookie", "session=new; Path=/"),)))
    ours = client(cookie="old")
    ours.call(QUERY)
    thread = threading.Thread(target=ours.call, args=(QUERY,))
    thread.start()
    thread.join()
    assert [each["headers"]["cookie"] for each in door.seen] == ["session=old", "session=new"]
    assert door.seen[0]["from"] != door.seen[1]["from"]


def test_a_dead_cookie_gives_way_to_the_key_that_was_kept(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"", 401))
    ours = client(cookie="dead")
    ours.remember_key("kept")
    assert ours.call(WRITE) == {"ok": True}
    ours.call(QUERY)
    assert [each["headers"].get("apikey") for each in door.seen] == [None, "kept", "kept"]
    assert "cookie" not in door.seen[1]["headers"]


def test_a_dead_cookie_without_a_key_is_said(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"", 401))
    with pytest.raises(StashUnauthorised):
        client(cookie="dead").call(QUERY)


def test_the_environment_has_no_say_on_this_machine(
    client: Make, door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client().call(QUERY)
    assert "authorization" not in door.seen[0]["headers"]


# --- Patience -----------------------------------------------------------------------------------


def test_a_query_is_asked_again_with_growing_waits(
    client: Make, door: Door, waits: list[float]
) -> None:
    door.replies.extend([Reply(hang_up=True), Reply(b"", 502), Reply(b"", 503)])
    assert client().call(QUERY) == {"ok": True}
    assert waits == [0.2, 0.4, 0.8]


def test_a_query_is_given_up_after_the_last_attempt(client: Make, door: Door) -> None:
    door.replies.extend(Reply(hang_up=True) for _ in range(9))
    with pytest.raises(StashUnreachable):
        client(attempts=3).call(QUERY)
    assert len(door.seen) == 3


def test_a_mutation_whose_answer_was_lost_is_not_repeated(client: Make, door: Door) -> None:
    door.replies.append(Reply(hang_up=True))
    with pytest.raises(StashUncertain):
        client().call(WRITE)
    assert len(door.seen) == 1


def test_a_repeatable_mutation_is_asked_again(client: Make, door: Door) -> None:
    door.replies.append(Reply(hang_up=True))
    assert client().call(WRITE, repeatable=True) == {"ok": True}


def test_a_locked_database_is_waited_for_by_mutations_too(
    client: Make, door: Door, waits: list[float]
) -> None:
    door.replies.extend([Reply(LOCKED), Reply(LOCKED)])
    assert client().call(WRITE) == {"ok": True}
    assert waits == [0.2, 0.4]


def test_a_database_that_stays_locked_is_said(client: Make, door: Door) -> None:
    door.replies.extend(Reply(LOCKED) for _ in range(5))
    with pytest.raises(StashRefused, match="no other program writes"):
        client().call(WRITE)


def test_a_slow_answer_is_not_waited_for_without_end(client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StashUncertain, match="timed out"):
            client(url, read_s=0.05, attempts=1).call(QUERY)


def test_a_question_that_never_left_is_repeated_even_for_a_mutation(
    client: Make, waits: list[float]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StashUnreachable, match="Cannot reach Stash") as caught:
        client(f"http://127.0.0.1:{port}").call(WRITE)
    assert not isinstance(caught.value, StashUncertain)
    assert len(waits) == 4


# --- Files --------------------------------------------------------------------------------------


def test_a_file_comes_whole(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"\xff\xd8" * 1000, kind="image/jpeg"))
    assert client(api_key="k").get("/scene/ab_sprite.jpg") == b"\xff\xd8" * 1000
    assert door.seen[0]["path"] == "/scene/ab_sprite.jpg"
    assert door.seen[0]["headers"]["apikey"] == "k"


@pytest.mark.parametrize("ask", [StashClient.get, StashClient.size])
def test_an_absent_file_is_missing(
    client: Make, door: Door, ask: Callable[[StashClient, str], object]
) -> None:
    door.replies.append(Reply(b"404 page not found\n", 404, kind="text/plain"))
    with pytest.raises(MediaMissing, match=r"/scene/ab_sprite\.jpg"):
        ask(client(), "/scene/ab_sprite.jpg")


def test_a_file_beyond_the_limit_is_not_read(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"x" * 2000, kind="image/jpeg"))
    with pytest.raises(MediaUnreadable, match="larger than 1000 bytes"):
        client(file_bytes=1000).get("/scene/ab_sprite.jpg")


@pytest.mark.parametrize("path", ["//evil.example/x", "http://evil.example/x", "x"])
def test_only_a_path_on_the_server_is_fetched(client: Make, door: Door, path: str) -> None:
    with pytest.raises(StashError, match="not a path"):
        client().get(path)
    assert door.seen == []


@pytest.mark.parametrize(
    ("reply", "size"),
    [
        pytest.param(
            Reply(b"x", 206, (("Content-Range", "bytes 0-0/4711"),)), 4711, id="first byte"
        ),
        pytest.param(Reply(b"x" * 30, 200), 30, id="whole file"),
        pytest.param(Reply(b"", 416, (("Content-Range", "bytes */0"),)), 0, id="empty file"),
    ],
)
def test_the_size_of_a_file(client: Make, door: Door, reply: Reply, size: int) -> None:
    door.replies.append(reply)
    assert client().size("/scene/ab_sprite.jpg") == size
    assert door.seen[0]["headers"]["range"] == "bytes=0-0"


# --- Certificates -------------------------------------------------------------------------------


def test_a_certificate_made_at_home_is_taken_on_this_machine(client: Make, tmp_path: Path) -> None:
    server = _Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_certificate(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    secured = serve(server)
    here = next(secured).url.replace("http:", "https:")
    with client(here) as ours:
        assert ours.call(QUERY) == {"ok": True}
    for _ in secured:
        pass


def _certificate(folder: Path) -> tuple[Path, Path]:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program, *words.split(), *files], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(b'{"data": {"ok": tr'), id="broken off"),
        pytest.param(Reply(b""), id="nothing at all"),
        pytest.param(Reply(b"", 500), id="a failure without words"),
        pytest.param(Reply(b"<html>500</html>", 500, kind="text/html"), id="a proxy's failure"),
    ],
)
def test_an_answer_that_says_nothing_of_what_was_done_is_uncertain(
    client: Make, door: Door, reply: Reply
) -> None:
    door.replies.extend([reply, reply])
    with pytest.raises(StashUncertain, match="Write"):
        client().call(WRITE)
    assert len(door.seen) == 1
    assert client().call(QUERY) == {"ok": True}


def test_every_attempt_is_counted(client: Make, door: Door) -> None:
    door.replies.append(Reply(b"", 503))
    asked = client()
    assert asked.calls == 0
    asked.call(QUERY)
    asked.call(QUERY)
    assert asked.calls == len(door.seen) == 3
