"""`errors`: list the scenes that could not be looked at."""

import argparse
from typing import Any

from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, Desk
from stash_sense_plugin.cli.showing import cells


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "list the scenes that could not be looked at"
    sub = commands.add_parser("errors", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=show_errors)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")


def show_errors(asked: argparse.Namespace, desk: Desk) -> int:
    """List the scenes whose last look failed, a page at a time until there are no more."""
    table = Table("Scene", "File", "What happened", "What to do", title="Scenes that failed")
    after = None
    while True:
        page = desk.ask("errors", {} if after is None else {"after": after})
        for row in page["errors"]:
            if asked.json:
                desk.print_json(row)
            table.add_row(*cells(row["scene_id"], row["source"], row["message"], row["remedy"]))
        after = page["next"]
        if after is None:
            break
    if not asked.json:
        desk.console.print(table if table.row_count else "No scene failed.")
    return DONE
