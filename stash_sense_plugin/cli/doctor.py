"""`doctor`: say what runs here and what is missing."""

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk
from stash_sense_plugin.cli.showing import shown
from stash_sense_plugin.start import report


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "say what runs here and what is missing"
    sub = commands.add_parser("doctor", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=doctor)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    sub.add_argument(
        "--thorough", action="store_true", help="read the whole store, however long it takes"
    )


def doctor(asked: argparse.Namespace, desk: Desk) -> int:
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
