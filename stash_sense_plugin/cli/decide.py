"""`decide`: decide again what to suggest for every scene that was looked at."""

import argparse
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk
from stash_sense_plugin.cli.showing import cells


def add(commands: Any) -> None:
    """Add the command's words."""
    sub = commands.add_parser(
        "decide",
        help="decide again for every scene that was looked at, without reading a video",
        description="Apply changed settings, words, thresholds and answers to every scene of a"
        " Stash that was looked at, from what was kept of the look. What is new is written, and"
        " what Stash Sense wrote and no longer holds is taken back. With the setting 'Suggest only'"
        " on, nothing in Stash changes.",
    )
    sub.set_defaults(command=decide)
    sub.add_argument("--dry-run", action="store_true", help="only say what would change")
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")


def decide(asked: argparse.Namespace, desk: Desk) -> int:
    """Run the task Decide again."""
    desk.need_stash()
    done = desk.ask("decide", {"dry_run": asked.dry_run})
    if asked.json:
        desk.print_json(done)
    else:
        _show(done, desk)
    return SOME_FAILED if done["left"] else DONE


def _show(done: Mapping[str, Any], desk: Desk) -> None:
    added, taken = ("Would add", "Would withdraw") if done["dry_run"] else ("Added", "Withdrawn")
    table = Table("", "", added, taken, box=None, padding=(0, 2))
    for row in done["changes"]:
        counts = (str(row["added"]), str(row["withdrawn"]))
        table.add_row(*cells(row["name"], row["kind"], *counts))
    if done["suggest_only"]:
        kept = "the suggestions would change" if done["dry_run"] else "the suggestions are kept"
        desk.console.print(f"Suggest only is on: nothing in Stash changes, {kept} alone.")
    else:
        desk.console.print(table if table.row_count else "Nothing in Stash differs.")
    scenes = f"{done['scenes']} scene{'' if done['scenes'] == 1 else 's'}"
    told = f"{scenes} decided again, {done['changed']} changed"
    desk.console.print(f"{told}, {done['left']} left as they were.")
