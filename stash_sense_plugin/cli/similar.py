"""`similar`: which scenes look most like one."""

import argparse
from pathlib import Path, PurePath
from typing import Any

from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, Desk
from stash_sense_plugin.cli.showing import cells
from stash_sense_plugin.cli.stated import add_settings, settings_of
from stash_sense_plugin.cli.suggestions import count


def add(commands: Any) -> None:
    """Add the command's words."""
    sub = commands.add_parser(
        "similar",
        help="list the scenes that look most like one",
        description="List the scenes that look most like a scene or a file, of all that were"
        " looked at. No video is read.",
    )
    sub.set_defaults(command=similar)
    sub.add_argument("what", metavar="SCENE_OR_FILE", help="a scene's number, or a file")
    sub.add_argument("--limit", type=count, metavar="N", help="so many at most (else 10)")
    add_settings(sub)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")


def similar(asked: argparse.Namespace, desk: Desk) -> int:
    """Ask which they are, and show them."""
    number = asked.what.isascii() and asked.what.isdigit()
    named = {"scene_id": asked.what} if number else {"path": str(Path(asked.what).absolute())}
    limit = {"limit": asked.limit} if asked.limit else {}
    done = desk.ask("similar", {**named, **limit, **settings_of(asked)})
    if asked.json:
        desk.print_json(done)
        return DONE
    table = Table("Scene", "Title", "Alike")
    for row in done["similar"]:
        title = row["title"] or PurePath(row["source"]).name
        table.add_row(*cells(row["scene_id"] or "", title, f"{row['cosine']:.3f}"))
    desk.console.print(table if table.row_count else "No other scene was looked at.")
    return DONE
