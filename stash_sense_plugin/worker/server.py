"""The warm process: answers doors, runs their jobs, and leaves when it is not needed."""

import argparse
import asyncio
import contextlib
import faulthandler
import json
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.start import wire, worker
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.paths import Home, sweep_parts
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.start.worker import BROKEN, CHANGED, LIVES
from stash_sense_plugin.worker.doorstep import WAITING_DOORS, Doorstep, Lost, take
from stash_sense_plugin.worker.jobs import (
    Job,
    Jobs,
    Listener,
    Output,
    Telling,
    Work,
    encode,
)
from stash_sense_plugin.worker.log import RotatingLog, log_to
from stash_sense_plugin.worker.watch import Watch

if TYPE_CHECKING:
    from stash_sense_plugin.library.jobs import Job as Row
    from stash_sense_plugin.library.jobs import JobTable

logger = logging.getLogger(__name__)

LEAVES_S = 60.0
"""How long a batch in hand may take when the worker is to leave."""
LAST_WORDS_S = 5
"""How long doors have to read their last reply."""
MENDED_EVERY_S = 2.0
"""How often to look whether the socket is still there."""
WAITS_S = 150.0
"""How long to wait for a worker that leaves."""

LINES_AHEAD = 2000
"""Lines that a door has not read; more are dropped, its reply never is."""
LARGEST_BODY = 16 * 1024 * 1024

JOBS_TOLD, MOST_JOBS = 50, 500

BUILT_IN = ("job", "jobs", "cancel_job")
"""Modes that the worker answers itself, at once."""


class Engine(Protocol):
    """The part of the engine that the worker looks after."""

    @property
    def jobs(self) -> "JobTable": ...
    @property
    def idle_minutes(self) -> float: ...
    def unload_idle(self, older_than_s: float) -> object: ...
    def let_go(self) -> None: ...
    def close(self) -> None: ...


E = TypeVar("E", bound=Engine)
C = TypeVar("C")


class Mode(Protocol):
    """One thing that can be asked for."""

    @property
    def run(self) -> Callable[[Any, Any, Any], Mapping[str, object]]: ...
    @property
    def kind(self) -> str: ...
    @property
    def read(self) -> Callable[[Mapping[str, object]], Mapping[str, object]] | None: ...


@dataclass(frozen=True)
class Parts(Generic[E, C]):
    """What the worker runs: the modes, and how their engine and calls are made."""

    modes: Mapping[str, Mode]
    open_engine: Callable[[Path, Path], E]
    call: Callable[[Mapping[str, object], Mapping[str, object] | None], C]


class Worker:
    """Serves the doors of one library."""

    def __init__(
        self,
        parts: Parts[Any, Any],
        engine: Engine,
        doorstep: Doorstep,
        watch: Watch,
        stamp: str,
        home: Home,
        mended_every_s: float = MENDED_EVERY_S,
    ) -> None:
        self._parts, self._engine, self._doorstep = parts, engine, doorstep
        self._watch, self._stamp = watch, stamp
        self._mended_every_s = mended_every_s
        self._complaint = ""
        self._leaving = threading.Event()
        self._servers: list[uvicorn.Server] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._closing = False
        self._resumed = False
        self.jobs = Jobs(engine.jobs, home.worker_log)

    async def serve(self, listening: socket.socket) -> None:
        """Answer doors until it is time to leave."""
        self._config = uvicorn.Config(
            self.app(),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            # Out of files, every place in the queue is tried, and complained of, before it rests.
            backlog=WAITING_DOORS,
            timeout_graceful_shutdown=LAST_WORDS_S,
        )
        self._heed_signals()
        self.jobs.start()
        self._open(listening)
        keeping = [asyncio.create_task(keep()) for keep in (self._keep_watch, self._keep_door)]
        while self._serving:
            await asyncio.wait(self._serving)
        for each in keeping:
            each.cancel()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self.leave, "it was told to end")
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: self.leave("it was told to end"))

    def _open(self, listening: socket.socket) -> None:
        """Let doors in by one more socket; they all close together."""
        server = _Server(self._config)
        server.should_exit = self._closing
        self._servers.append(server)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def app(self) -> FastAPI:
        """Return the application: three paths, and no pages about them."""
        app = FastAPI(openapi_url=None)
        app.add_api_route("/v1/ping", self._ping, methods=["GET"])
        app.add_api_route("/v1/handover", self._hand_over, methods=["POST"])
        app.add_api_route("/v1/call", self._call, methods=["POST"])
        return app

    def leave(self, reason: str, *, handed_over: bool = False) -> None:
        """Finish the batch in hand, tell the doors, and go; further calls change nothing."""
        if self._leaving.is_set():
            return
        self._leaving.set()
        logger.info("Leaving: %s", reason)
        self._doorstep.close()
        finish = partial(self._finish, handed_over=handed_over)
        threading.Thread(target=finish, name="leave", daemon=True).start()

    def _finish(self, *, handed_over: bool) -> None:
        self.jobs.leave(handed_over=handed_over)
        if not self.jobs.join(LEAVES_S):
            # Whoever waits for the lock must not wait for a batch that hangs.
            logger.warning("The batch in hand did not end in %.0f s: ending it", LEAVES_S)
            self._engine.let_go()
            os._exit(1)
        self._closing = True
        for server in self._servers:
            server.should_exit = True

    # --- What doors ask -----------------------------------------------------------------------

    async def _ping(self, request: Request) -> Response:
        refused = self._refuse(request)
        return refused or _reply({"output": {"stamp": self._stamp, "pid": os.getpid()}})

    async def _hand_over(self, request: Request) -> Response:
        refused = self._refuse(request)
        if refused is None:
            self.leave("another version takes over", handed_over=True)
        return refused or _reply({"output": {"leaving": True}})

    async def _call(self, request: Request) -> Response:
        refused = self._refuse(request)
        if refused is not None:
            return refused
        if not await self._serves(request):
            return Response(self._stamp, wire.OTHER_VERSION)
        if self._leaving.is_set():
            return Response(b"leaving", wire.LEAVING)
        body = await _body(request)
        if body is None:
            return _reply({"error": f"The input is larger than {LARGEST_BODY} bytes"})
        try:
            return await self._answer(body)
        except StashSenseError as error:
            return _reply({"error": str(error)})

    async def _serves(self, request: Request) -> bool:
        """Tell whether a call is for this version, or only reads while something is under way."""
        if request.headers.get("x-stash-sense") == self._stamp:
            return True
        reads = request.headers.get("x-stash-sense-protocol") == wire.PROTOCOL
        return reads and await asyncio.to_thread(lambda: self.jobs.busy)

    def _refuse(self, request: Request) -> Response | None:
        """Return the refusal of a door that does not show the token."""
        token = self._doorstep.token
        shown = request.headers.get("authorization", "")
        if not token or secrets.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            return None
        return Response(b"wrong token", wire.UNKNOWN_TOKEN)

    async def _answer(self, body: bytes) -> Response:
        """Answer a call; whatever may wait for the store waits on a thread, and no other door."""
        self.jobs.touch()
        args, server = read_call(body)
        name = str(args["mode"])
        if server is not None:
            self._watch.saw(server)
            await asyncio.to_thread(self._take_up, server, hurried=name not in BUILT_IN)
        if name in BUILT_IN:
            told = await asyncio.to_thread(self._built_in, name, args)
            return _reply({"output": told}, "operation")
        if name not in self._parts.modes:
            known = ", ".join(sorted((*self._parts.modes, *BUILT_IN)))
            raise StashSenseError(f"There is no mode {name!r}", f"choose one of {known}")
        mode = self._parts.modes[name]
        work = self._work(name, args if mode.read is None else mode.read(args), server)
        if mode.kind == "job":
            job = await asyncio.to_thread(self.jobs.own, work)
            return _reply({"output": {"job_id": job.id}}, "job")
        begin = self.jobs.attach if mode.kind == "task" else self.jobs.operate
        return FrameStream(partial(begin, work), self.jobs.detach, mode.kind)

    def _built_in(self, name: str, args: Mapping[str, object]) -> object:
        if name == "jobs":
            return {"jobs": self.jobs.listing(_limit(args.get("limit")))}
        job_id = args.get("job_id")
        if not isinstance(job_id, str):
            raise StashSenseError("job_id is missing", "give the id that the job was started with")
        if name == "job":
            return self.jobs.describe(job_id)
        return {"cancelled": self.jobs.cancel(job_id)}

    def _work(
        self, name: str, args: Mapping[str, object], server: Mapping[str, object] | None
    ) -> Work:
        run, call = self._parts.modes[name].run, self._parts.call(args, server)

        def carry_out(telling: Telling) -> Output:
            return run(self._engine, call, telling)

        return Work(name, args, carry_out, from_stash=server is not None)

    def _take_up(self, server: Mapping[str, object], *, hurried: bool) -> None:
        """Let old jobs go on with the session of the Stash that calls, and those it left."""
        if not self._resumed or self.jobs.put_off:
            self.jobs.resume(partial(self._work_again, server), hurried=hurried)
            self._resumed = True

    def _work_again(self, server: Mapping[str, object], row: "Row") -> Work | None:
        if row.kind not in self._parts.modes:
            return None
        return self._work(row.kind, row.args, server)

    async def _keep_watch(self) -> None:
        while not self._leaving.is_set():
            await asyncio.sleep(self._watch.every_s)
            await asyncio.to_thread(self._watch.look)
            await asyncio.to_thread(self.jobs.remind)
            await asyncio.to_thread(self._retry)
            limit_s = self._engine.idle_minutes * 60
            await asyncio.to_thread(self._unload, limit_s)
            reason = await asyncio.to_thread(self._reason_to_leave, limit_s)
            if reason is not None:
                self.leave(reason)

    def _reason_to_leave(self, limit_s: float) -> str | None:
        return self._watch.reason_to_leave(
            idle_s=self.jobs.idle_s, limit_s=limit_s, needed=self.jobs.serves_command_line
        )

    async def _keep_door(self) -> None:
        """See to it that doors find us, whatever cleans temporary folders."""
        while not self._leaving.is_set():
            await asyncio.sleep(self._mended_every_s)
            try:
                listening = await asyncio.to_thread(self._doorstep.mend)
            except Lost as error:
                self.leave(str(error))
            except (StartError, OSError) as error:
                self._cannot_mend(error)
            else:
                if listening is not None:
                    self._open(listening)

    def _cannot_mend(self, error: Exception) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("No door may find this worker: %s", error)

    def _retry(self) -> None:
        try:
            self.jobs.retry()
        except Exception:  # the watch must go on, or the worker would never leave
            logger.exception("Cannot try again what was put off")

    def _unload(self, older_than_s: float) -> None:
        try:
            self._engine.unload_idle(older_than_s)
        except Exception:  # the watch must go on, or the worker would never leave
            logger.exception("Cannot unload what is idle")


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: ours let the batch in hand end first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class FrameStream(Response):
    """The frames of one job as they come; a door that goes is noticed and detached."""

    def __init__(
        self,
        begin: Callable[[Listener], Job],
        end: Callable[[Job, Listener], None],
        kind: str,
    ) -> None:
        super().__init__(headers={"x-stash-sense-kind": kind})
        del self.headers["content-length"]
        self._begin, self._end = begin, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the job tells until its reply, or until the door has gone."""
        frames: asyncio.Queue[bytes] = asyncio.Queue()
        listener = _listener(asyncio.get_running_loop(), frames)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            job = await asyncio.to_thread(self._begin, listener)
        except StashSenseError as error:
            body = wire.frame(b"o", encode({"error": str(error)}))
            await send({"type": "http.response.body", "body": body})
            return
        try:
            async for data in _until_gone(frames, receive):
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await asyncio.to_thread(self._end, job, listener)


def _listener(loop: asyncio.AbstractEventLoop, frames: asyncio.Queue[bytes]) -> Listener:
    def put(data: bytes) -> None:
        if data.startswith(b"o") or frames.qsize() < LINES_AHEAD:
            frames.put_nowait(data)

    def listen(data: bytes) -> None:
        # The loop may have ended with a door that was given its last chance.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(put, data)

    return listen


async def _until_gone(frames: asyncio.Queue[bytes], receive: Receive) -> AsyncIterator[bytes]:
    """Yield frames up to the reply; ends early when the other side is gone."""
    gone = asyncio.create_task(_gone(receive))
    try:
        while True:
            waiting = asyncio.create_task(frames.get())
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                return
            yield waiting.result()
            if waiting.result().startswith(b"o"):
                return
    finally:
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def read_call(body: bytes) -> tuple[dict[str, object], dict[str, object] | None]:
    """Return the arguments of a call and the Stash that it came from, if any.

    Raises StashSenseError when the document is none of ours.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StashSenseError(f"The input is not JSON ({error})", "run this from Stash") from error
    args = document.get("args") if isinstance(document, dict) else None
    if not isinstance(args, dict) or not isinstance(args.get("mode"), str):
        raise StashSenseError("The arguments name no mode", "give args.mode, such as 'doctor'")
    server = document.get("server_connection")
    return args, server if isinstance(server, dict) else None


def _limit(value: object) -> int:
    if value is None:
        return JOBS_TOLD
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_JOBS:
        return value
    raise StashSenseError(f"limit is {value!r:.80}", f"say a number from 1 to {MOST_JOBS}")


async def _body(request: Request) -> bytes | None:
    """Return the body; None when it is larger than any call of ours."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > LARGEST_BODY:
            return None
    return bytes(data)


def _reply(reply: Mapping[str, object], kind: str = "operation") -> Response:
    return Response(wire.frame(b"o", encode(reply)), headers={"x-stash-sense-kind": kind})


# --- The process ------------------------------------------------------------------------------


def main(argv: Sequence[str], parts: Parts[Any, Any] | None = None) -> int:
    """Run the worker of one home; the exit status says why none runs now.

    `parts` are the plugin's own unless they are handed in.
    """
    options = _options(argv)
    home = Home(options.home)
    try:
        home.make()
    except StartError:
        return 1  # A home where we may write nothing, no log either: its door says the same.
    log = log_to(home.worker_log)
    if isinstance(log, RotatingLog):
        faulthandler.enable(log.crashes)
    try:
        return _hold_and_run(options, home, parts)
    finally:
        faulthandler.disable()
        logging.getLogger().removeHandler(log)
        log.close()


def _hold_and_run(options: argparse.Namespace, home: Home, parts: Parts[Any, Any] | None) -> int:
    """Run as the one worker of this home; what keeps it from that is the log's last line."""
    try:
        parts = parts or _own_parts()
        doorstep = take(home, lambda: worker.alive(home, options.package), WAITS_S)
        if doorstep is None:
            return LIVES
        try:
            # All our code is loaded: what comes to lie in its place from here on does not matter.
            stamp = worker.stamp_of(options.package)
            if options.stamp not in ("", stamp):
                logger.info("%s was replaced while it was loading", options.package)
                return CHANGED
            sweep_parts(home.folder)
            return _run(options, home, doorstep, parts, stamp)
        finally:
            doorstep.release()
    except (StashSenseError, StartError, TimeoutError) as error:
        logger.error("%s", error)
    except ImportError as error:
        logger.exception("The worker failed")
        # A name of our own that is missing is our fault, and no set-up mends it.
        return 1 if (error.name or "").startswith("stash_sense_plugin") else BROKEN
    except Exception:
        logger.exception("The worker failed")
    return 1


def _run(
    options: argparse.Namespace,
    home: Home,
    doorstep: Doorstep,
    parts: Parts[Any, Any],
    stamp: str,
) -> int:
    watch = Watch(options.gone_after_s, options.watch_every_s)
    engine = parts.open_engine(Path(home.folder), Path(options.package))
    try:
        serving = Worker(parts, engine, doorstep, watch, stamp, home, options.mended_every_s)
        listening = doorstep.listen(stamp, loopback=options.loopback)
        logger.info("Serving %s as %d, version %s", home.folder, os.getpid(), VERSION)
        asyncio.run(serving.serve(listening))
    finally:
        doorstep.close()
        engine.close()
    logger.info("Left")
    return 0


def _own_parts() -> Parts[Any, Any]:
    from stash_sense_plugin import tasks

    return Parts(tasks.MODES, tasks.open_engine, tasks.Call)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="stash-sense-worker", allow_abbrev=False)
    parser.add_argument("--home", required=True, help="folder that holds all we keep")
    parser.add_argument("--package", required=True, help="folder of the package that runs")
    parser.add_argument(
        "--stamp", default="", help="the package as the door that starts us sees it"
    )
    parser.add_argument("--loopback", action="store_true", help="no Unix socket, but a token")
    parser.add_argument("--gone-after-s", type=float, default=60.0, help="Stash silent so long")
    parser.add_argument("--watch-every-s", type=float, default=10.0, help="between two looks")
    parser.add_argument(
        "--mended-every-s", type=float, default=MENDED_EVERY_S, help="is our socket there"
    )
    return parser.parse_args(argv)
