"""Subscriptions over a WebSocket: jobs, log lines, ended scans."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from graphql import FieldNode, GraphQLError, OperationType, execute
from starlette.websockets import WebSocket, WebSocketDisconnect

from demo.stash.jobs import JobState
from demo.stash.log import LogLine
from demo.stash.schema import schema
from demo.stash.state import Call, State
from demo.stash.transport import BadQueryError, Prepared, Query, prepare
from demo.stash.values import go_json

PROTOCOL = "graphql-transport-ws"

Put = Callable[[Any], None]


async def serve(socket: WebSocket, call: Call) -> None:
    """Speak with one client until it goes."""
    await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
    running: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await _hear(socket, call, json.loads(await socket.receive_text()), running)
    except WebSocketDisconnect:
        pass
    finally:
        for task in running.values():
            task.cancel()


async def _hear(
    socket: WebSocket,
    call: Call,
    message: dict[str, Any],
    running: dict[str, asyncio.Task[None]],
) -> None:
    kind, number = message.get("type"), message.get("id", "")
    if kind == "connection_init":
        await _say(socket, {"type": "connection_ack"})
    elif kind == "ping":
        await _say(socket, {"type": "pong"})
    elif kind == "subscribe":
        payload = message.get("payload") or {}
        question = Query(
            payload.get("query") or "",
            payload.get("variables") or {},
            payload.get("operationName"),
        )
        running[number] = asyncio.ensure_future(_subscribe(socket, call, number, question))
    elif kind == "complete" and number in running:
        running.pop(number).cancel()


async def _say(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(go_json(message).decode())


async def _subscribe(socket: WebSocket, call: Call, number: str, query: Query) -> None:
    try:
        prepared = prepare(query)
    except BadQueryError as error:
        await _say(socket, {"payload": error.errors, "id": number, "type": "error"})
        return
    if prepared.operation.operation is not OperationType.SUBSCRIPTION:
        why = [{"message": "only subscriptions are served over a WebSocket"}]
        await _say(socket, {"payload": why, "id": number, "type": "error"})
        return
    events: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(event: Any) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    end = _listen(call.state, _field(prepared), put)
    try:
        while True:
            body = _shape(prepared, call, await events.get())
            await _say(socket, {"payload": body, "id": number, "type": "next"})
    finally:
        end()


def _field(prepared: Prepared) -> str:
    """The root field that is subscribed to."""
    first = prepared.operation.selection_set.selections[0]
    if not isinstance(first, FieldNode):
        raise GraphQLError("a subscription starts with a field")
    return first.name.value


def _listen(state: State, name: str, put: Put) -> Callable[[], None]:
    """Put every event of a field somewhere; the result ends that."""
    if name == "jobsSubscribe":

        def job(kind: str, job: JobState) -> None:
            put({name: {"type": kind, "job": job}})

        return state.jobs.listen(job)
    if name == "loggingSubscribe":

        def line(entry: LogLine) -> None:
            put({name: [entry]})

        return state.log.listen(line)

    def scanned() -> None:
        put({name: True})

    state.scan_listeners.append(scanned)
    return partial(state.scan_listeners.remove, scanned)


def _shape(prepared: Prepared, call: Call, event: dict[str, Any]) -> dict[str, Any]:
    """What the client asked to see of an event."""
    result: Any = execute(
        schema(),
        prepared.document,
        root_value=event,
        context_value=call,
        variable_values=prepared.query.variables,
        operation_name=prepared.query.operation,
    )
    return {"data": result.data}
