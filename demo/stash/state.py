"""All parts of one server, and what a resolver knows of the call that it answers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo.stash.database import Database
from demo.stash.faults import Faults
from demo.stash.jobs import Jobs
from demo.stash.log import Log
from demo.stash.processes import PluginProcess
from demo.stash.running import Plugins
from demo.stash.sessions import Caller, Sessions
from demo.stash.settings import Settings


@dataclass(frozen=True, slots=True)
class State:
    """The parts of a server."""

    settings: Settings
    database: Database
    log: Log
    sessions: Sessions
    plugins: Plugins
    jobs: Jobs
    faults: Faults
    scan_listeners: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Kill what runs, and let go of the files."""
        self.plugins.close()
        self.jobs.close()
        self.plugins.close()
        self.database.close()


@dataclass(slots=True)
class Call:
    """One request: who asks, under which address, and whether the client is still there."""

    state: State
    base_url: str
    caller: Caller
    drop: bool = False
    """Cut the connection instead of answering."""
    halve: bool = False
    """Answer with the first half of the answer."""
    status: int = 0
    """Answer with this status and no body."""
    at_reply: list[Callable[[], None]] = field(default_factory=list)
    """Told when the answer has left."""
    _processes: list[PluginProcess] = field(default_factory=list)
    _gone: threading.Event = field(default_factory=threading.Event)

    @property
    def database(self) -> Database:
        """The library."""
        return self.state.database

    def watch(self, process: PluginProcess) -> None:
        """Kill the process when the client hangs up."""
        self._processes.append(process)
        if self._gone.is_set():
            process.kill()

    def hang_up(self) -> None:
        """The client has gone: kill what runs for it."""
        self._gone.set()
        for process in list(self._processes):
            process.kill()

    def fire(
        self, event: str, number: int, values: Any = None, fields: list[str] | None = None
    ) -> None:
        """Run the hooks of a change, and wait for them."""
        context = {"id": number, "type": event, "input": values}
        if fields is not None:
            context["inputFields"] = fields
        self.state.plugins.fire(event, context, self.caller, self.watch)
