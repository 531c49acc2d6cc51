"""`models`: list, fetch or check the models."""

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells, shown

ACTIONS = {"list": "models", "pull": "pull_models", "verify": "verify_models"}
"""What `models` may be told to do, and the mode that does it."""


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "list, fetch or check the models"
    sub = commands.add_parser("models", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=show_models)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    about_actions = "pull fetches NAMEs; verify reads NAMEs, or all that are here, whole"
    sub.add_argument(
        "action", nargs="?", choices=tuple(ACTIONS), default="list", help=about_actions
    )
    sub.add_argument("names", nargs="*", metavar="NAME")


def show_models(asked: argparse.Namespace, desk: Desk) -> int:
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
        table.add_row(*cells(row["name"], row["task"], size, here, licence, about))
    return table
