"""Who may ask: key, cookie, login. The outermost part of the server."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qs, quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.stash.sessions import COOKIE, Caller
from demo.stash.state import State

OPEN_PATHS = ("/healthz", "/login", "/logout")
CLOSED = {"Www-Authenticate": "FormBased"}
LOGIN_PAGE = """<!doctype html><title>Stash</title><form method="post">
<input name="username"><input name="password" type="password"><button>Log in</button></form>"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Who came in; `by_cookie` sessions are refreshed."""

    caller: Caller
    by_cookie: bool = False


class Gate:
    """Lets requests in, sends them to the login, or refuses them; refreshes cookies."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        entry = self._entry(connection)
        if entry is None:
            await self._refuse(connection)(scope, receive, send)
            return
        scope["caller"] = entry.caller
        await self._app(scope, receive, self._refreshing(send, entry))

    def _entry(self, connection: HTTPConnection) -> Entry | None:
        settings = self._state.settings
        if connection.url.path in OPEN_PATHS:
            return Entry(Caller())
        key = connection.headers.get("apikey") or connection.query_params.get("apikey")
        token = _first_cookie(connection.headers.get("cookie", ""))
        session = self._state.sessions.read(token) if token else None
        if key:
            known = bool(settings.api_key) and _same(key, settings.api_key)
            visited = session.visited if session else ()
            return Entry(Caller(settings.username, visited)) if known else None
        if not settings.has_credentials:
            return Entry(session or Caller())
        if session is None or session.user != settings.username:
            return None
        return Entry(session, by_cookie=True)

    def _refuse(self, connection: HTTPConnection) -> Response:
        path = connection.url.path
        has_key = connection.headers.get("apikey") or connection.query_params.get("apikey")
        if has_key:
            return Response(status_code=401)
        if path.startswith("/graphql") or PurePosixPath(path).suffix:
            return Response(status_code=401, headers=CLOSED)
        where = f"/login?returnURL={quote(path, safe='')}"
        return RedirectResponse(where, 302, {"Content-Type": "text/html; charset=utf-8"})

    def _refreshing(self, send: Send, entry: Entry) -> Send:
        if not entry.by_cookie:
            return send

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                fresh = self._state.sessions.header(entry.caller)
                MutableHeaders(scope=message).append("Set-Cookie", fresh)
            await send(message)

        return send_with_cookie


def _first_cookie(line: str) -> str:
    """The session's value; of two that are sent Go takes the first."""
    pairs = (part.strip().partition("=") for part in line.split(";"))
    return _first(value for name, _, value in pairs if name == COOKIE)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def login_page(request: Request) -> Response:
    """Ask for the name and the password; who needs none is sent to the front page."""
    if not request.app.state.stash.settings.has_credentials:
        return RedirectResponse("/", 302)
    return HTMLResponse(LOGIN_PAGE)


async def log_in(request: Request) -> Response:
    """Check them, and open a session."""
    state: State = request.app.state.stash
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    given = [_first(form.get(name, ())) for name in ("username", "password")]
    settings = state.settings
    right = (settings.username, settings.password)
    if not settings.has_credentials or not all(map(_same, given, right)):
        return PlainTextResponse("Username or password is invalid\n", 401)
    cookie = state.sessions.header(Caller(settings.username))
    return Response(status_code=200, headers={"Set-Cookie": cookie})


def log_out(_: Request) -> Response:
    """Forget the session."""
    gone = f"{COOKIE}=; Path=/; Max-Age=0; SameSite=Lax"
    return RedirectResponse("/login", 302, {"Set-Cookie": gone})


def _first(values: Iterable[str]) -> str:
    return next(iter(values), "")
