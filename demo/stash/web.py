"""The server as one ASGI application."""

from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from demo.stash import auth, pages, routes, subscriptions, transport
from demo.stash.database import RefusedError
from demo.stash.state import Call, State
from demo.stash.values import CLOCK

WORKERS = 128
"""Requests that are answered at the same time; operations and hooks may wait for each other."""


def application(state: State, workers: ThreadPoolExecutor) -> ASGIApp:
    """The application of a server."""

    async def graphql(request: Request) -> Response:
        return await transport.answer(request, _call(request, state), workers)

    async def subscribe(socket: WebSocket) -> None:
        await subscriptions.serve(socket, _call(socket, state))

    app = Starlette(
        routes=[
            Route("/graphql", graphql, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", subscribe),
            *_routes(),
        ],
        exception_handlers={RefusedError: _bad},
    )
    app.state.stash = state
    return _dated(auth.Gate(_faulty(app, state), state))


def _dated(app: ASGIApp) -> ASGIApp:
    """Tell the time in every answer, by the clock that rows are written by."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(CLOCK.time_s(), usegmt=True).encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
            await send(message)

        await app(scope, receive, told if scope["type"] == "http" else send)

    return served


def _faulty(app: ASGIApp, state: State) -> ASGIApp:
    """Let a file that is asked for go wrong where that was ordered."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        fault = state.faults.meet_file(scope["path"]) if scope["type"] == "http" else None
        await (transport.FaultyFile(fault) if fault else app)(scope, receive, send)

    return served


def _routes() -> list[Route]:
    get: dict[str, Any] = {"methods": ["GET", "HEAD"]}
    return [
        Route("/healthz", routes.health, **get),
        Route("/login", auth.login_page, **get),
        Route("/login", auth.log_in, methods=["POST"]),
        Route("/logout", auth.log_out, **get),
        Route("/scene/{scene}/screenshot", routes.screenshot, **get),
        Route("/scene/{scene}/stream", routes.stream, **get),
        Route("/scene/{scene}/vtt/{what}", routes.sprite_by_id, **get),
        Route("/scene/{name}", routes.sprite_by_hash, **get),
        Route("/scene/{scene}/{what}", routes.absent, **get),
        Route("/image/{number}/image", routes.image, **get),
        Route("/image/{number}/thumbnail", routes.image, **get),
        Route("/{kind}/{number}/image", routes.picture, **get),
        Route("/plugin/{plugin}/{what}", routes.bundle, **get),
        Route("/plugin/{plugin}/assets/{path:path}", routes.asset, **get),
        Route("/{rest:path}", pages.page, **get),
    ]


def _bad(_: Request, __: Exception) -> Response:
    """An address with a word where an id belongs."""
    return PlainTextResponse("Bad Request\n", 400)


def _call(connection: HTTPConnection, state: State) -> Call:
    """The call behind a request: the addresses in its answer are those that the client used."""
    headers = connection.headers
    scheme = headers.get("x-forwarded-proto") or "http"
    prefix = headers.get("x-forwarded-prefix", "").rstrip("/")
    return Call(state, f"{scheme}://{headers.get('host', '')}{prefix}", connection.scope["caller"])
