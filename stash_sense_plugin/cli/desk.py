"""The way to the worker: asks it, and shows what it says meanwhile."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_data_path
from rich.console import Console

from stash_sense_plugin.cli.showing import shown
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.start import address, checkup, worker
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.stash.operations import system

PACKAGE = Path(__file__).resolve().parent.parent

READING = (
    "errors",
    "models",
    "runs",
    "verify_models",
    "result",
    "doctor",
    "job",
    "jobs",
    "store_stats",
    "suggestions",
    "similar",
    "vocabulary",
    "check_vocabulary",
)
"""Modes that only read: a sweep that runs in another copy of Stash Sense need not stop for them."""

DONE, SOME_FAILED, WRONG_USAGE = 0, 1, 2
"""What a command ends with."""


class WrongUsage(Exception):
    """The words of a command do not go together."""


class WorkerGone(StashSenseError):
    """The worker ended before it had an answer."""


class Desk:
    """Asks the worker, starting it with this very Python, and shows what it says meanwhile."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.console = Console()
        self._errors = Console(stderr=True)
        self._server = server_at(asked.stash) if asked.stash else None
        self.home = home_for(self._server)

    def need_stash(self) -> None:
        """Raise WrongUsage where no Stash is named."""
        if self._server is None:
            raise WrongUsage("Name the Stash: --stash http://127.0.0.1:9999, before the command")

    def examine(self, *, thorough: bool) -> Any:
        """Return Doctor's report; what keeps a worker from answering is a part of it."""
        try:
            return self.ask("doctor", {"thorough": thorough}, told=False)
        except (StartError, WorkerGone) as error:
            fault = StartError(error.message, error.remedy)
            return checkup.examine(self.home, str(PACKAGE), fault, lambda level, text: None)

    def ask(self, mode: str, args: Mapping[str, object], *, told: bool = True) -> Any:
        """Return what one mode answers; raises StashSenseError with its error.

        What it says meanwhile is shown, unless its answer holds all of that (`told`).
        """
        document = {"server_connection": self._server, "args": {"mode": mode, **args}}
        with self._errors.status("Looking", spinner="dots") as status:
            answer = worker.ask(
                self.home,
                str(PACKAGE),
                sys.executable,
                json.dumps(document).encode(),
                lambda data: self._relay(data, status.update, told),
                self._say,
                reading=mode in READING,
            )
        if answer.reply is None:
            raise WorkerGone(
                "The background process of Stash Sense ended before it had an answer",
                f"see {self.home.worker_log}",
            )
        reply = json.loads(answer.reply)
        if reply.get("error") is not None:
            raise StashSenseError(reply["error"])
        return reply["output"]

    def print_json(self, value: object) -> None:
        """Print one line of JSON, as it is."""
        # ASCII alone: whatever bytes a file's name has, and whatever the locale.
        sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
        sys.stdout.flush()

    def _relay(self, data: bytes, update: Callable[[str], None], told: bool) -> None:
        for level, text in _said(data):
            if level == "progress":
                update(f"{float(text):.0%}")
            elif told:
                self._say(level, text)

    def _say(self, level: str, text: str) -> None:
        if level not in ("trace", "debug"):
            style = {"warning": "yellow", "error": "red"}.get(level, "")
            self._errors.print(shown(text, style), soft_wrap=True)


_LEVELS = {"t": "trace", "d": "debug", "i": "info", "w": "warning", "e": "error", "p": "progress"}


def _said(data: bytes) -> Iterator[tuple[str, str]]:
    """Read lines that are made for Stash's log: a level and a text each."""
    for line in data.decode("utf-8", "replace").splitlines():
        if line[:1] == "\x01" and line[2:3] == "\x02" and line[1] in _LEVELS:
            yield _LEVELS[line[1]], line[3:]


def server_at(url: str) -> dict[str, object]:
    """Return what Stash itself would say of where it is, and of its folder if that is here.

    With that folder, the command line and the plugin share one worker and one ledger. The paths
    of a Stash elsewhere, or in a container, name nothing here, or what belongs to another one.
    """
    connection = Connection.from_url(url, os.environ.get("STASH_API_KEY", ""))
    with StashClient(connection) as client:
        stash = system(client)
    folder = Path(stash.config_path).parent
    here = connection.loopback and folder.is_absolute() and _is_file(Path(stash.database_path))
    parts = urlsplit(connection.base_url)
    return ({"Dir": str(folder)} if here else {}) | {
        "Scheme": parts.scheme,
        "Host": parts.hostname,
        "Port": parts.port or {"http": 80, "https": 443}[parts.scheme],
        "Url": connection.base_url,
        "ApiKey": connection.api_key,
    }


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder on the way, such as another user's, may not be looked into
        return False


def home_for(server: Mapping[str, object] | None) -> Home:
    """Return where everything is kept; a Stash that lies elsewhere has a folder of its own."""
    folder = address.home_of(None if server is None else dict(server))
    if folder is None:
        own = user_data_path("stash-sense", False)
        folder = str(own if server is None else own / address.digest(str(server["Url"])))
    return Home(folder)
