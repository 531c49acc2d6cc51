"""The command line: the same work for a person or cron, through the worker."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_data_path
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.records import Failure, SceneResult
from stash_sense_plugin.start import address, checkup, report, worker
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.lines import printable
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.stash.client import Connection, StashClient
from stash_sense_plugin.stash.operations import system

PACKAGE = Path(__file__).resolve().parent

READING = ("errors", "models", "verify_models", "result", "doctor", "job", "jobs")
"""Modes that only read: a sweep that runs in another copy of Stash Sense need not stop for them."""

ACTIONS = {"list": "models", "pull": "pull_models", "verify": "verify_models"}
"""What `models` may be told to do, and the mode that does it."""

DONE, SOME_FAILED, WRONG_USAGE = 0, 1, 2


def main(argv: Sequence[str]) -> int:
    """Run one command; 0 when all went well, 1 when something failed, 2 for wrong usage."""
    try:
        asked = _parser().parse_args(argv)
    except SystemExit as ended:
        return WRONG_USAGE if ended.code else DONE
    command: Callable[[argparse.Namespace, _Desk], int] = asked.command
    try:
        return command(asked, _Desk(asked))
    except WrongUsage as error:
        return _complain(error, WRONG_USAGE)
    except (StartError, StashSenseError) as error:
        return _complain(error, SOME_FAILED)
    except BrokenPipeError:
        # Whoever read our output has enough of it; what is still held back must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except KeyboardInterrupt:
        return SOME_FAILED


class WrongUsage(Exception):
    """The words of a command do not go together."""


class WorkerGone(StashSenseError):
    """The worker ended before it had an answer."""


def _complain(error: Exception, status: int) -> int:
    Console(stderr=True).print(shown(str(error), "red"), soft_wrap=True)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stash_sense_plugin", description="Say what is in videos and pictures."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--stash",
        metavar="URL",
        default=os.environ.get("STASH_URL"),
        help="the Stash to work with (or STASH_URL; its key in STASH_API_KEY)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "tag", tag, "say what is in files", files=True)
    _add(commands, "tag-scenes", tag_scenes, "tag the scenes of a Stash that carry TagMe")
    _add(commands, "errors", show_errors, "list the scenes that could not be looked at")
    _add(commands, "models", show_models, "list, fetch or check the models", names=True)
    _add(commands, "doctor", doctor, "say what runs here and what is missing")
    return parser


def _add(
    commands: Any,
    name: str,
    command: Callable[[argparse.Namespace, "_Desk"], int],
    about: str,
    *,
    files: bool = False,
    names: bool = False,
) -> None:
    sub = commands.add_parser(name, help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=command)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    if files:
        sub.add_argument("files", nargs="+", metavar="FILE", type=Path)
    if names:
        about_actions = "pull fetches NAMEs; verify reads NAMEs, or all that are here, whole"
        sub.add_argument(
            "action", nargs="?", choices=tuple(ACTIONS), default="list", help=about_actions
        )
        sub.add_argument("names", nargs="*", metavar="NAME")
    if name == "doctor":
        sub.add_argument(
            "--thorough", action="store_true", help="read the whole store, however long it takes"
        )
    if name == "tag-scenes":
        choice = sub.add_mutually_exclusive_group()
        choice.add_argument(
            "--ids", nargs="+", metavar="ID", type=_scene_id, help="these scenes, tagged or not"
        )
        choice.add_argument("--all", action="store_true", help="every scene not yet Tagged")
        _add_answers(sub)


def _add_answers(sub: argparse.ArgumentParser) -> None:
    answer = sub.add_mutually_exclusive_group()
    answer.add_argument(
        "--removed-on-purpose",
        dest="missing",
        action="store_const",
        const="removed",
        help="what is gone of our tags was taken away by you: remember it as refused",
    )
    answer.add_argument(
        "--restored-backup",
        dest="missing",
        action="store_const",
        const="restored",
        help="it is gone because a backup of Stash's database was put back: write it again",
    )


def _scene_id(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a scene")
    return text


# --- Commands -----------------------------------------------------------------------------------


def tag(asked: argparse.Namespace, desk: "_Desk") -> int:
    """Look at each file; its result is printed as soon as it is there."""
    failed = False
    for file in asked.files:
        result = _look(file.absolute(), desk)
        failed = failed or result["error"] is not None
        if asked.json:
            desk.print_json(result)
        else:
            show_result(desk.console, result)
    return SOME_FAILED if failed else DONE


def _look(file: Path, desk: "_Desk") -> Mapping[str, Any]:
    """Return what is said of a file; one that breaks the worker keeps no other from its turn."""
    try:
        result: Mapping[str, Any] = desk.ask("tag_file", {"path": str(file)})
    except StashSenseError as error:
        failure = Failure(error.kind, error.message, error.remedy)
        return SceneResult(str(file), None, {}, error=failure).as_json()
    return result


def tag_scenes(asked: argparse.Namespace, desk: "_Desk") -> int:
    """Run the task Tag scenes."""
    if not asked.stash:
        raise WrongUsage("Name the Stash: --stash http://127.0.0.1:9999, before the command")
    args: dict[str, object] = {"all": asked.all}
    if asked.missing:
        args["missing"] = asked.missing
    if asked.ids:
        args["ids"] = asked.ids
    done = desk.ask("tag_scenes", args)
    if asked.json:
        desk.print_json(done)
    return SOME_FAILED if done["failed"] or done["left"] else DONE


def show_errors(asked: argparse.Namespace, desk: "_Desk") -> int:
    """List the scenes whose last look failed, a page at a time until there are no more."""
    table = Table("Scene", "File", "What happened", "What to do", title="Scenes that failed")
    after = None
    while True:
        page = desk.ask("errors", {} if after is None else {"after": after})
        for row in page["errors"]:
            if asked.json:
                desk.print_json(row)
            table.add_row(*_cells(row["scene_id"], row["source"], row["message"], row["remedy"]))
        after = page["next"]
        if after is None:
            break
    if not asked.json:
        desk.console.print(table if table.row_count else "No scene failed.")
    return DONE


def show_models(asked: argparse.Namespace, desk: "_Desk") -> int:
    """List the catalogue, fetch rows of it, or check what was fetched."""
    if asked.action != "verify" and (asked.action == "pull") != bool(asked.names):
        raise WrongUsage("Say `models`, `models pull NAME...` or `models verify [NAME...]`")
    listed = desk.ask(ACTIONS[asked.action], {"names": asked.names})
    if asked.json:
        desk.print_json(listed)
    elif asked.action == "verify":
        _show_verified(desk.console, listed["models"])
    else:
        desk.console.print(_catalogue(listed["models"]))
    return SOME_FAILED if any(row.get("error") for row in listed["models"]) else DONE


def _show_verified(console: Console, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        error = row["error"]
        told = f"{error['message']}: {error['remedy']}" if error else "whole"
        console.print(shown(f"{row['name']}: {told}", "red" if error else ""), soft_wrap=True)


def _catalogue(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("Model", "For", "MB", "Here", "Licence", "About")
    for row in rows:
        licence = row["licence"] + ("" if row["commercial"] else " (not for commercial use)")
        about = row["about"] + (" (never run by us)" if row["untried"] else "")
        size = "" if row["megabytes"] is None else str(row["megabytes"])
        here = "yes" if row["here"] else ""
        table.add_row(*_cells(row["name"], row["task"], size, here, licence, about))
    return table


def doctor(asked: argparse.Namespace, desk: "_Desk") -> int:
    """Say what runs here, as a table; without a worker, what can be said without one."""
    found = desk.examine(thorough=asked.thorough)
    if asked.json:
        desk.print_json(found)
    else:
        _show_report(desk.console, found)
    return DONE if found["well"] else SOME_FAILED


def _show_report(console: Console, found: Mapping[str, Any]) -> None:
    styles = {report.PROBLEM: "red", report.NOTE: "yellow", report.OK: ""}
    facts = [report.Fact(**fact) for fact in found["facts"]]
    for level, row in report.rows(facts, found["made"]):
        console.print(shown(row, styles[level]), soft_wrap=True)


# --- Showing ------------------------------------------------------------------------------------


def show_result(console: Console, result: Mapping[str, Any]) -> None:
    """Print one file's result as a table; all that was read in it is text, never markup."""
    length = "" if result["duration_s"] is None else f", {clock(result['duration_s'])}"
    console.print(shown(f"{result['source']}{length}", "bold"), soft_wrap=True)
    if result["error"] is not None:
        console.print(shown(f"  {result['error']['message']}", "red"), soft_wrap=True)
        if result["error"]["remedy"]:
            console.print(shown(f"  {result['error']['remedy']}"), soft_wrap=True)
        return
    rows = [row for row in result["suggestions"] if row["decision"] != "HIDE"]
    console.print(_suggestions(rows) if rows else "  Nothing to suggest.")
    for text in result["texts"]:
        when = "" if result["duration_s"] is None else f" {_span(text)}"
        console.print(shown(f'  read{when}: "{text["text"]}"'))
    for row in result["skipped"]:
        console.print(shown(f"  without {row['detector']}: {row['reason']}; {row['remedy']}"))


def _suggestions(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("", "Suggestion", "Sure", "When", "Seen by", box=None, padding=(0, 2))
    for row in rows:
        when = ", ".join(map(_span, row["ranges"]))
        seen_by = ", ".join(dict.fromkeys(each["model"] for each in row["evidence"]))
        sure = f"{row['confidence']:.0%}"
        table.add_row(*_cells(row["decision"].lower(), _named(row), sure, when, seen_by))
    return table


def _named(row: Mapping[str, Any]) -> str:
    return row["name"] if row["kind"] == "tag" else f"{row['name']} ({row['kind']})"


def _span(part: Mapping[str, Any]) -> str:
    return f"{clock(part['start_s'])}-{clock(part['end_s'])}"


def _cells(*values: str) -> list[Text]:
    return [shown(value) for value in values]


def shown(text: str, style: str = "") -> Text:
    """Return text to print as it is: no markup, no emoji codes, nothing a terminal obeys."""
    return Text(printable(text), style)


def clock(seconds: float) -> str:
    """Return a time as people write it: 1:05, 1:02:03."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# --- The way to the worker ----------------------------------------------------------------------


class _Desk:
    """Asks the worker, starting it with this very Python, and shows what it says meanwhile."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.console = Console()
        self._errors = Console(stderr=True)
        self._server = server_at(asked.stash) if asked.stash else None
        self._home = home_for(self._server)

    def examine(self, *, thorough: bool) -> Any:
        """Return Doctor's report; what keeps a worker from answering is a part of it."""
        try:
            return self.ask("doctor", {"thorough": thorough}, told=False)
        except (StartError, WorkerGone) as error:
            fault = StartError(error.message, error.remedy)
            return checkup.examine(self._home, str(PACKAGE), fault, lambda level, text: None)

    def ask(self, mode: str, args: Mapping[str, object], *, told: bool = True) -> Any:
        """Return what one mode answers; raises StashSenseError with its error.

        What it says meanwhile is shown, unless its answer holds all of that (`told`).
        """
        document = {"server_connection": self._server, "args": {"mode": mode, **args}}
        with self._errors.status("Looking", spinner="dots") as status:
            answer = worker.ask(
                self._home,
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
                f"see {self._home.worker_log}",
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
