"""A server that behaves as Stash does, in a thread of the caller's process.

with StandIn(folder, media=media, plugins=plugins) as stash:
    stash.scan(sprites=True)
    tag = stash.add_tag("TagMe")
    ...  # ask stash.url
    assert stash.scene_tags(1) == {"TagMe"}
"""

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from demo.stash.database import Database
from demo.stash.faults import Fault, Faults, FileFault
from demo.stash.jobs import Jobs, JobState
from demo.stash.log import Log, LogLine
from demo.stash.running import Plugins
from demo.stash.scanning import generate, scan
from demo.stash.seeding import Library
from demo.stash.sessions import Caller, Sessions
from demo.stash.settings import SESSION_AGE_S, Settings
from demo.stash.state import State
from demo.stash.web import WORKERS, application

START_S = 30.0
TICK_S = 0.1
JOB_S = 600.0


class _Server(uvicorn.Server):
    """Uvicorn, but told to leave it does so at once instead of at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leave: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Tick until told to leave."""
        self._leave, self._loop = asyncio.Event(), asyncio.get_running_loop()
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leave.wait(), TICK_S)

    def leave(self) -> None:
        """Stop serving."""
        self.should_exit = self.force_exit = True
        if self._leave is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._leave.set)


class StandIn(Library):
    """One server, from `with` to its end.

    `folder` keeps the database and all else, and may be used again; `media` is scanned on
    demand; `plugins` is the folder of plugins (below `folder` if not given); `page` is where
    the built pages lie; `clock` is what sessions age by.
    """

    def __init__(
        self,
        folder: Path,
        *,
        media: Path | Sequence[Path] = (),
        plugins: Path | None = None,
        credentials: tuple[str, str] | None = None,
        api_key: str = "",
        max_session_age_s: int = SESSION_AGE_S,
        python_path: str = "",
        log_level: str = "Info",
        page: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder = Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        roots = (media,) if isinstance(media, Path) else tuple(media)
        user, password = credentials or ("", "")
        self.settings = Settings(
            folder=folder,
            media=tuple(root.absolute() for root in roots),
            plugins_path=(plugins or folder / "plugins").absolute(),
            host=host,
            port=port,
            username=user,
            password=password,
            api_key=api_key,
            max_session_age_s=max_session_age_s,
            python_path=python_path,
            log_level=log_level,
            page=page,
        )
        self._clock = clock
        self._server: _Server | None = None
        self._state: State | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen, and answer from a thread of its own."""
        self.settings.load()
        self.settings.session_key = self.settings.session_key or secrets.token_hex(32)
        self.settings.plugins_path.mkdir(parents=True, exist_ok=True)
        self._socket = _listening(self.settings.host, self.settings.port)
        self.settings.port = self._socket.getsockname()[1]
        self.settings.save()
        self._state = _assembled(self.settings, self._clock)
        self._workers = ThreadPoolExecutor(WORKERS, "stand-in")
        self._server = _Server(
            uvicorn.Config(
                application(self._state, self._workers),
                lifespan="off",
                log_config=None,
                log_level="critical",
                date_header=False,
                ws="websockets-sansio",
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        assert self._server is not None
        self._server.run(sockets=[self._socket])

    def close(self) -> None:
        """Stop, kill what runs, and let go of the folder."""
        if self._server is None or self._state is None:
            return
        self._state.faults.clear()
        self._state.plugins.close()
        self._server.leave()
        self._thread.join(START_S)
        self._state.close()
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._socket.close()
        self._server = self._state = None

    @property
    def state(self) -> State:
        """The parts of the running server."""
        if self._state is None:
            raise RuntimeError("the stand-in is not running: use it in a with statement")
        return self._state

    @property
    def database(self) -> Database:
        """The library's tables."""
        return self.state.database

    @property
    def url(self) -> str:
        """Where it listens, as http://host:port."""
        return f"http://{self.settings.host}:{self.settings.port}"

    @property
    def connection(self) -> dict[str, Any]:
        """`server_connection` as a plugin gets it, for the user of the credentials."""
        token = self.state.sessions.token(Caller(self.settings.username))
        return {
            "Scheme": "http",
            "Host": self.settings.host,
            "Port": self.settings.port,
            "SessionCookie": {"Name": "session", "Value": token},
            "Dir": str(self.settings.folder),
            "PluginDir": str(self.settings.plugins_path),
        }

    @property
    def calls(self) -> Counter[str]:
        """How often each root field of queries and mutations has been called."""
        return self.state.faults.calls

    @property
    def log(self) -> list[LogLine]:
        """All lines of the log, oldest first."""
        return self.state.log.last(2**31)[::-1]

    def plugin_settings(self, plugin: str) -> dict[str, Any]:
        """What is stored for a plugin."""
        return deepcopy(self.settings.plugin_settings.get(plugin, {}))

    def configure_plugin(self, plugin: str, **values: Any) -> None:
        """Replace what is stored for a plugin."""
        self.settings.configure_plugin(plugin, values)

    def fault(self, field: str, fault: Fault) -> None:
        """Let something go wrong at the next calls of a root field ("*" for every field)."""
        self.state.faults.order(field, fault)

    def file_fault(self, address: str, fault: FileFault) -> None:
        """Let something go wrong with every file whose address matches a pattern."""
        self.state.faults.order_file(address, fault)

    def clear_faults(self) -> None:
        """Take back what has not gone wrong yet."""
        self.state.faults.clear()

    def scan(self, *, covers: bool = False, sprites: bool = False) -> JobState:
        """Take up the files of the media folders; hooks fire. Ends when the job has."""
        options = {"scanGenerateCovers": covers, "scanGenerateSprites": sprites}
        work = scan(self.state, options, Caller(self.settings.username))
        return self._do("Scanning...", work)

    def generate(self, scenes: Iterable[int] = (), *, covers: bool = False) -> JobState:
        """Make the sprites of some scenes, or of all. Ends when the job has."""
        options = {"sprites": True, "covers": covers, "sceneIDs": [str(one) for one in scenes]}
        return self._do("Generating...", generate(self.state, options))

    def run_task(
        self, plugin: str, task: str | None, args: dict[str, Any] | None = None
    ) -> JobState:
        """Run a plugin's task as the user would. Ends when the job has."""
        work = self.state.plugins.task(plugin, task, args or {}, Caller(self.settings.username))
        return self._do(f"Running plugin task: {task or plugin}", work)

    def _do(self, description: str, work: Any) -> JobState:
        number = self.state.jobs.add(description, work)
        if not self.state.jobs.wait_until_idle(JOB_S):
            raise TimeoutError(f"{description} has not ended after {JOB_S} s")
        ended = self.state.jobs.find(number)
        if ended is None:
            raise RuntimeError(f"{description}: more than ten jobs have ended since")
        return ended


def _listening(host: str, port: int) -> socket.socket:
    # Named so, because asyncio sets TCP_NODELAY on no other: answers would wait for an ACK.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _assembled(settings: Settings, clock: Callable[[], float]) -> State:
    log = Log(settings.log_level)
    sessions = Sessions(settings.session_key, settings.max_session_age_s, clock)
    return State(
        settings=settings,
        database=Database(settings.folder / "stash-go.sqlite"),
        log=log,
        sessions=sessions,
        plugins=Plugins(settings, sessions, log),
        jobs=Jobs(),
        faults=Faults(),
    )
