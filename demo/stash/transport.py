"""GraphQL over HTTP: status, types and error shapes are Stash's."""

import asyncio
import json
import re
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
)
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from demo.stash.database import RefusedError
from demo.stash.faults import FileFault
from demo.stash.registry import PathError
from demo.stash.schema import checked, schema
from demo.stash.state import Call
from demo.stash.values import go_json
from demo.stash.variables import VariableError, checked_variables, why_not_json

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"


WORDS = (
    (r"'([^']*)'", r'"\1"'),
    (r"^Syntax Error: (.*)\.$", r"\1"),
    (
        r'^Expected value of type "(\w+)" not to include unknown field "(\w+)".*',
        r'Field "\2" is not defined by type "\1".',
    ),
    (r'^Argument "\w+\.(\w+)\((\w+):\)" of type', r'Field "\1" argument "\2" of type'),
)
"""What graphql-core says, and what Stash's GraphQL server says instead."""


class CutResponse(Response):
    """The connection closed without an answer: ASGI has no word for it, so the transport must."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close it, and wait until that is known."""
        cycle = getattr(receive, "__self__", None)
        if cycle is None:
            raise RuntimeError("this server's connections cannot be cut")
        cycle.transport.abort()
        await receive()


class FaultyFile(Response):
    """A file as a fault wants it: bytes that no server would send are written past ASGI."""

    def __init__(self, fault: FileFault) -> None:
        super().__init__()
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it, and close the connection."""
        cycle = getattr(receive, "__self__", None)
        if cycle is None:
            raise RuntimeError("this server's connections cannot be written to")
        cycle.transport.write(self._bytes())
        while self._fault.drip_s and not cycle.transport.is_closing():
            await asyncio.sleep(self._fault.drip_s)
            cycle.transport.write(b".")
        if self._fault.cut:
            # What was written arrives before the connection breaks.
            await asyncio.sleep(0)
            cycle.transport.abort()
        cycle.transport.close()
        await receive()

    def _bytes(self) -> bytes:
        fault = self._fault
        said = len(fault.body) if fault.said_bytes is None else fault.said_bytes
        told = {"Content-Length": str(said), "Connection": "close", **fault.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        return f"HTTP/1.1 {fault.status} Ordered\r\n{lines}\r\n".encode() + fault.body


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asks."""

    text: str
    variables: dict[str, Any]
    operation: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A question that can be answered."""

    document: DocumentNode
    operation: OperationDefinitionNode
    query: Query


class BadQueryError(Exception):
    """A question that cannot be answered."""

    def __init__(self, status: int, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.status = status
        self.errors = errors

    @property
    def body(self) -> dict[str, Any]:
        """The answer to it."""
        return {"errors": self.errors, "data": None}


async def answer(request: Request, call: Call, workers: Executor) -> Response:
    """Answer a request to /graphql."""
    accept = request.headers.get("accept", JSON)
    media_type = GRAPHQL_JSON if accept in ("*/*", GRAPHQL_JSON) else JSON
    try:
        prepared = prepare(await _read(request))
        if request.method == "GET" and prepared.operation.operation is not OperationType.QUERY:
            why = "GET requests only allow query operations"
            raise BadQueryError(406, [{"message": why}])
    except BadQueryError as error:
        status = 400 if error.status == 422 and media_type == GRAPHQL_JSON else error.status
        return _response(error.body, status, media_type)
    body = await _work(request, call, prepared, workers)
    if call.drop:
        return CutResponse()
    if call.status:
        return Response(status_code=call.status)
    answered = _response(body, 200, media_type)
    if not call.halve:
        answered.background = BackgroundTasks([BackgroundTask(told) for told in call.at_reply])
        return answered
    half = bytes(answered.body)[: len(answered.body) // 2]
    return Response(half, 200, media_type=media_type)


def _response(body: dict[str, Any], status: int, media_type: str) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Type": media_type,
        "Vary": "Origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(go_json(body), status, headers)


async def _read(request: Request) -> Query:
    if request.method == "GET":
        parameters = request.query_params
        variables = json.loads(parameters.get("variables") or "{}")
        return Query(parameters.get("query", ""), variables, parameters.get("operationName"))
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON:
        raise BadQueryError(400, [{"message": "transport not supported"}])
    text = (await request.body()).decode("utf-8", "replace")
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        why = f"json request body could not be decoded: {why_not_json(text)} body:{text}"
        raise BadQueryError(400, [{"message": why}])
    return Query(
        values.get("query") or "", values.get("variables") or {}, values.get("operationName")
    )


def prepare(query: Query) -> Prepared:
    """Parse and check a question. Raises BadQueryError."""
    if not query.text.strip():
        shown = _coded({"message": "no operation provided"}, "GRAPHQL_VALIDATION_FAILED")
        raise BadQueryError(422, [shown])
    document, errors, code = checked(query.text)
    if errors or document is None:
        raise BadQueryError(422, [_checked_error(error, code) for error in errors])
    operation = get_operation_ast(document, query.operation)
    if operation is None:
        why = f"operation {query.operation or ''} not found"
        raise BadQueryError(422, [_coded({"message": why}, "GRAPHQL_VALIDATION_FAILED")])
    try:
        variables = checked_variables(schema(), operation, query.variables)
    except VariableError as error:
        shown = {"message": str(error), "path": error.path}
        raise BadQueryError(422, [_coded(shown, "GRAPHQL_VALIDATION_FAILED")]) from error
    return Prepared(document, operation, replace(query, variables=variables))


def _checked_error(error: GraphQLError, code: str) -> dict[str, Any]:
    message = error.message
    for ours, theirs in WORDS:
        message = re.sub(ours, theirs, message)
    shown: dict[str, Any] = {"message": message}
    if error.locations:
        place = error.locations[-1]
        shown["locations"] = [{"line": place.line, "column": place.column}]
    return _coded(shown, code)


def _coded(error: dict[str, Any], code: str) -> dict[str, Any]:
    return {**error, "extensions": {"code": code}}


async def _work(
    request: Request, call: Call, prepared: Prepared, workers: Executor
) -> dict[str, Any]:
    """Answer in a thread of its own; a client that hangs up ends what runs for it."""
    loop = asyncio.get_running_loop()
    work = loop.run_in_executor(workers, run, prepared, call)
    watch = asyncio.ensure_future(_gone(request))
    waited: set[asyncio.Future[Any]] = {work, watch}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        call.hang_up()
    watch.cancel()
    return await work


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def run(prepared: Prepared, call: Call) -> dict[str, Any]:
    """The body of the answer."""
    result = execute(
        schema(),
        prepared.document,
        context_value=call,
        variable_values=prepared.query.variables,
        operation_name=prepared.query.operation,
    )
    assert isinstance(result, ExecutionResult)
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body = {"errors": [_shown(error) for error in result.errors], **body}
    return body


def _shown(error: GraphQLError) -> dict[str, Any]:
    path = list(error.path or ())
    cause = error.original_error
    if isinstance(cause, PathError):
        path += cause.path
    message = error.message
    if cause is not None and not isinstance(cause, RefusedError | GraphQLError):
        message = f"Internal system error. Error <{type(cause).__name__}: {cause}>"
    return {"message": message, "path": path}
