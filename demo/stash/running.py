"""Plugins at work: tasks in the queue, operations beside it, hooks after a change."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from demo.stash.database import RefusedError
from demo.stash.jobs import JobControl
from demo.stash.log import Log
from demo.stash.plugin_files import Operation, Plugin, PluginFileError, find_plugins
from demo.stash.processes import CancelledError, Output, PluginProcess, StartError, Tell
from demo.stash.sessions import COOKIE, Caller, Sessions
from demo.stash.settings import Settings

MOST_VISITS = 10
"""A hook that leads to itself is left out after so many visits."""
NIL = "runtime error: invalid memory address or nil pointer dereference"
ERROR_LEVELS = {
    "trace": "Trace",
    "debug": "Debug",
    "info": "Info",
    "warning": "Warning",
    "progress": "Progress",
    "none": "",
}

Watch = Callable[[PluginProcess], None]
"""Told of a process as soon as it runs, so that it can be killed."""


class Plugins:
    """The plugins below the folder, and what runs of them."""

    def __init__(self, settings: Settings, sessions: Sessions, log: Log) -> None:
        self._settings = settings
        self._sessions = sessions
        self._log = log
        self._running: set[PluginProcess] = set()
        self._lock = threading.Lock()
        self.all: list[Plugin] = []
        self.reload()

    def reload(self) -> None:
        """Read every yml again."""
        found = []
        for plugin in find_plugins(self._settings.plugins_path):
            if isinstance(plugin, PluginFileError):
                self._log.write("Error", str(plugin))
            else:
                found.append(plugin)
        self.all = found

    def enabled(self) -> list[Plugin]:
        """Those that are switched on."""
        return [plugin for plugin in self.all if not self.is_disabled(plugin.id)]

    def is_disabled(self, plugin: str) -> bool:
        """Whether it was switched off."""
        return plugin in self._settings.disabled_plugins

    def find(self, number: str) -> Plugin | None:
        """The plugin with exactly that id."""
        return next((plugin for plugin in self.all if plugin.id == number), None)

    def task(
        self, number: str, name: str | None, args: dict[str, Any], caller: Caller
    ) -> Callable[[JobControl], None]:
        """The work of a job; what is wrong with it shows when it starts."""

        def work(control: JobControl) -> None:
            plugin, operation = self._to_run(number, name)
            try:
                process = self._start(plugin, operation, args, caller, control.progress)
            except StartError as error:
                raise RefusedError(f"Error running plugin task: {error}") from error
            control.on_stop(process.kill)
            self._report(process)

        return work

    def _to_run(self, number: str, name: str | None) -> tuple[Plugin, Operation | None]:
        start = "Error creating plugin task:"
        if self.is_disabled(number):
            raise RefusedError(f"{start} plugin {number} is disabled")
        plugin = self.find(number)
        if plugin is None:
            raise RefusedError(f"{start} no plugin with ID {number}")
        operation = None if name is None else plugin.task(name)
        if operation is None and name is not None:
            raise RefusedError(f"{start} no task with name {name} in plugin {plugin.name}")
        return plugin, operation

    def _report(self, process: PluginProcess) -> None:
        try:
            output = self._wait(process)
        except CancelledError:
            return
        if output.error is not None:
            self._log.write("Error", f"Plugin returned error: {output.error}")
        elif output.value is not None:
            self._log.write("Debug", f"Plugin returned: {output.value}")

    def operate(self, number: str, args: dict[str, Any], caller: Caller, watch: Watch) -> Any:
        """Run an operation to its end; its output, or RefusedError with its error."""
        if self.is_disabled(number):
            raise RefusedError(f"plugin {number} is disabled")
        plugin = self.find(number)
        if plugin is None:
            raise RefusedError(f"Internal system error. Error <{NIL}>")
        try:
            process = self._start(plugin, None, args, caller)
            watch(process)
            output = self._wait(process)
        except (StartError, CancelledError) as error:
            raise RefusedError(str(error)) from error
        if output.error is not None:
            raise RefusedError(output.error)
        return output.value

    def fire(self, event: str, context: dict[str, Any], caller: Caller, watch: Watch) -> None:
        """Run all hooks of an event, one after the other; a failing one is only logged."""
        try:
            for plugin in self.enabled():
                self._fire_plugin(plugin, event, context, caller, watch)
        except (StartError, CancelledError) as error:
            self._log.write("Error", f"error executing post hooks: {error}")

    def _fire_plugin(
        self, plugin: Plugin, event: str, context: dict[str, Any], caller: Caller, watch: Watch
    ) -> None:
        hooks = plugin.hooks(event)
        if hooks and caller.visited.count((plugin.id, event)) >= MOST_VISITS:
            why = f"cyclic loop detected: plugin ID '{plugin.id}' hook {event}, not re-triggering"
            self._log.write("Debug", why)
            return
        for hook in hooks:
            args = {"hookContext": context}
            process = self._start(plugin, hook, args, caller.through(plugin.id, event))
            watch(process)
            output = self._wait(process)
            if output.error is not None:
                text = f"{event} [{plugin.name}]: returned error: {output.error}"
                self._log.write("Error", text)

    def close(self) -> None:
        """Kill what runs."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.kill()

    def _start(
        self,
        plugin: Plugin,
        operation: Operation | None,
        args: dict[str, Any],
        caller: Caller,
        progress: Callable[[float], None] | None = None,
    ) -> PluginProcess:
        command = plugin.command(operation)
        if not command:
            raise StartError("empty exec value")
        document = {
            "server_connection": self._connection(plugin, caller),
            "args": {**((operation and operation.defaultArgs) or {}), **args},
        }
        environment = None
        if plugin.is_python:
            command[0] = self._python(command[0])
            environment = _python_environment(plugin.folder.parent)
        process = PluginProcess(command, document, self._tell(plugin, progress), environment)
        with self._lock:
            self._running.add(process)
        return process

    def _wait(self, process: PluginProcess) -> Output:
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def _python(self, named: str) -> str:
        configured = Path(self._settings.python_path or "-")
        if configured.is_file():
            return str(configured)
        return shutil.which("python3") or shutil.which("python") or named

    def _tell(self, plugin: Plugin, progress: Callable[[float], None] | None) -> Tell:
        plain = ERROR_LEVELS.get(plugin.file.errLog, "Error")

        def tell(level: str, text: str) -> None:
            if level == "Progress":
                self._tell_progress(text, progress)
            elif level or plain:
                self._log.write(level or plain, f"[Plugin / {plugin.name}] {text}")

        return tell

    def _tell_progress(self, text: str, progress: Callable[[float], None] | None) -> None:
        try:
            done = float(text)
        except ValueError:
            self._log.write("Error", f"Error parsing progress value '{text}'")
            return
        if progress is not None:
            progress(done)

    def _connection(self, plugin: Plugin, caller: Caller) -> dict[str, Any]:
        return {
            "Scheme": "http",
            "Host": self._settings.host,
            "Port": self._settings.port,
            "SessionCookie": _go_cookie(self._sessions.token(caller)),
            "Dir": str(self._settings.folder),
            "PluginDir": str(plugin.folder),
        }


def _go_cookie(token: str) -> dict[str, Any]:
    """A cookie as Go's encoder shows http.Cookie."""
    return {
        "Name": COOKIE,
        "Value": token,
        "Quoted": False,
        "Path": "",
        "Domain": "",
        "Expires": "0001-01-01T00:00:00Z",
        "RawExpires": "",
        "MaxAge": 0,
        "Secure": False,
        "HttpOnly": False,
        "SameSite": 0,
        "Partitioned": False,
        "Raw": "",
        "Unparsed": None,
    }


def _python_environment(folder: Path) -> dict[str, str]:
    """Our environment, with the folder above the plugin's at the end of PYTHONPATH."""
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, (before, str(folder))))
    return {**os.environ, "PYTHONPATH": path}
