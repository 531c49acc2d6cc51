"""`models`: list, fetch, remove or check the models."""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells, shown
from stash_sense_plugin.cli.stated import add_settings, settings_of
from stash_sense_plugin.inference.listing import FOR_WHAT, meanings, notes, runs_on

ACTIONS = {
    "list": "models",
    "pull": "pull_models",
    "remove": "remove_models",
    "verify": "verify_models",
}
"""What `models` may be told to do, and the mode that does it."""

USAGE = "Say `models`, `models pull NAME...`, `models remove NAME...` or `models verify [NAME...]`"


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "list, fetch, remove or check the models"
    sub = commands.add_parser("models", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=show_models)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    sub.add_argument(
        "--accept",
        metavar="LICENCE",
        default="",
        help="with pull: accept a licence that does not allow every use, by its very name",
    )
    add_settings(sub)
    about_actions = (
        "pull fetches NAMEs; remove deletes what was fetched of them; verify reads NAMEs, or all"
        " that are here, whole"
    )
    sub.add_argument(
        "action", nargs="?", choices=tuple(ACTIONS), default="list", help=about_actions
    )
    sub.add_argument("names", nargs="*", metavar="NAME")


def show_models(asked: argparse.Namespace, desk: Desk) -> int:
    """List the catalogue, fetch or delete rows of it, or check what was fetched."""
    _check(asked)
    settings = settings_of(asked)
    args = {"names": asked.names} | ({"accept": asked.accept} if asked.accept else {})
    listed = desk.ask(ACTIONS[asked.action], settings if asked.action == "list" else args)
    if asked.json:
        desk.print_json(listed)
    elif asked.action == "verify":
        _show_verified(desk.console, listed["models"])
    elif asked.action == "remove":
        _show_removed(desk.console, listed["models"])
    else:
        _show_listed(desk.console, listed)
    return SOME_FAILED if any(row.get("error") for row in listed["models"]) else DONE


def _check(asked: argparse.Namespace) -> None:
    needs_names = asked.action in {"pull", "remove"}
    if asked.action != "verify" and needs_names != bool(asked.names):
        raise WrongUsage(USAGE)
    if asked.accept and asked.action != "pull":
        raise WrongUsage("--accept goes with `models pull NAME`")
    if asked.settings and asked.action != "list":
        raise WrongUsage("--set goes with `models list`")


def _show_verified(console: Console, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        error = row["error"]
        told = f"{error['message']}: {error['remedy']}" if error else "whole"
        console.print(shown(f"{row['name']}: {told}", "red" if error else ""), soft_wrap=True)


def _show_removed(console: Console, rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        told = f"{row['megabytes']:g} MB removed" if row["files"] else "nothing of it was here"
        left = f"; left, for it is not ours: {', '.join(row['left'])}" if row["left"] else ""
        console.print(shown(f"{row['name']}: {told}{left}"), soft_wrap=True)


def _show_listed(console: Console, listed: Mapping[str, Any]) -> None:
    """Print a table for each thing that models are for."""
    if listed.get("why"):
        console.print(shown(f"Models: {listed['why']}"))
    for complaint in listed.get("complaints", ()):
        console.print(shown(complaint), soft_wrap=True)
    for task, what in FOR_WHAT.items():
        rows = [row for row in listed["models"] if row["task"] == task]
        if rows:
            console.print(shown(f"\n{what} ({task})", "bold"))
            console.print(_table(rows))
    console.print(shown("\n" + "\n".join(meanings(listed)), "dim"))


def _table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    table.add_column("")
    table.add_column("Model", no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("Here", no_wrap=True)
    table.add_column("Licence", max_width=16)
    table.add_column("What it sees, and what to know", ratio=1)
    for row in rows:
        mark = "*" if row["chosen"] else ""
        licence = row["licence"] + ("" if row["commercial"] else " (not for every use)")
        about = ". ".join((row["about"].rstrip("."), *_told(row)))
        table.add_row(*cells(mark, row["name"], _size(row), _here(row), licence, about))
    return table


def _size(row: Mapping[str, Any]) -> str:
    size = row["disk_megabytes"] if row["here"] else row["megabytes"]
    return "?" if size is None else f"{size:.0f}"


def _here(row: Mapping[str, Any]) -> str:
    return runs_on(row) or "yes" if row["here"] else ""


def _told(row: Mapping[str, Any]) -> Iterator[str]:
    if row["chosen"]:
        yield f"Chosen: {row['chosen']}"
    for note in notes(row):
        yield note[:1].upper() + note[1:]
    if not row["commercial"] and row["accepted"]:
        yield "Licence accepted"
