"""`undo`: take back what was written to a Stash, or list what can be."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells
from stash_sense_plugin.cli.tag_scenes import scene_id

EVERYTHING = "everything"
"""The word that has to be typed before all is taken back."""


def add(commands: Any) -> None:
    """Add the command's words."""
    sub = commands.add_parser(
        "undo",
        help="take back what was written to a Stash and is still there",
        description="Take back what Stash Sense wrote to a Stash and what is still there of it."
        " What you wrote, or changed since, stays.",
    )
    sub.set_defaults(command=undo)
    parts = sub.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = parts.add_parser("runs", help="list the runs of which something can be undone")
    listed.add_argument("--json", action="store_true", help="print JSON and nothing else")
    listed.set_defaults(command=show_runs)
    _add_what(parts, "last", "the newest run that can be undone")
    _add_what(parts, "run", "one run").add_argument("which", metavar="ID")
    _add_what(parts, "tag", "one tag, in all scenes").add_argument("which", metavar="NAME")
    _add_what(parts, "scene", "one scene").add_argument("which", metavar="ID", type=scene_id)
    everything = _add_what(parts, EVERYTHING, "all that was ever written")
    everything.add_argument(
        "--confirm", metavar="WORD", help=f"the word {EVERYTHING!r}, where nobody can type it"
    )


def _add_what(parts: Any, name: str, about: str) -> argparse.ArgumentParser:
    part: argparse.ArgumentParser = parts.add_parser(name, help=about)
    part.add_argument("--json", action="store_true", help="print JSON and nothing else")
    part.add_argument("--dry-run", action="store_true", help="only say what would be taken back")
    return part


def undo(asked: argparse.Namespace, desk: Desk) -> int:
    """Run the task Undo."""
    desk.need_stash()
    args: dict[str, object] = {"what": asked.what, "dry_run": asked.dry_run}
    if asked.what == EVERYTHING and not asked.dry_run:
        args["confirm"] = _confirmed(asked.confirm)
    elif asked.what in ("run", "tag", "scene"):
        args[asked.what] = asked.which
    done = desk.ask("undo", args)
    if asked.json:
        desk.print_json(done)
    return SOME_FAILED if done["failed"] else DONE


RUN_LETTERS = 23
"""How long a run's id is."""
COUNTED = {
    "tags": "tags",
    "markers": "markers",
    "studios": "studios",
    "created_tags": "new tags",
    "taken_back": "taken back",
    "verdicts": "verdicts",
}
"""What a run is said to have done, and how it is called."""


def _confirmed(word: str | None) -> str:
    """Return the word that was given, or is typed now. Raises WrongUsage for any other."""
    if word is None:
        if not sys.stdin.isatty():
            raise WrongUsage(
                "Everything that Stash Sense ever wrote would be taken back: say --confirm"
                f" {EVERYTHING}, or see with --dry-run what that would be"
            )
        sys.stderr.write(
            "Everything that Stash Sense ever wrote to this Stash is taken back.\n"
            f"Type the word {EVERYTHING} to go on: "
        )
        sys.stderr.flush()
        word = sys.stdin.readline()
    if word.strip() != EVERYTHING:
        raise WrongUsage(f"Nothing was undone: {word.strip()!r} is not the word {EVERYTHING!r}")
    return EVERYTHING


def show_runs(asked: argparse.Namespace, desk: Desk) -> int:
    """List the runs of which something is still ours, a page at a time until there are no more."""
    desk.need_stash()
    table = Table(title="What can be undone, the newest run first")
    # Whole, whatever the width: it is typed or copied after `undo run`.
    table.add_column("Run", no_wrap=True, overflow="ignore", min_width=RUN_LETTERS)
    table.add_column("When", no_wrap=True)
    table.add_column("Kind")
    table.add_column("What is there of it")
    after = None
    while True:
        page = desk.ask("runs", {} if after is None else {"after": after})
        for run in page["runs"]:
            if asked.json:
                desk.print_json(run)
            table.add_row(*_cells(run))
        after = page["next"]
        if after is None:
            break
    if not asked.json:
        desk.console.print(table if table.row_count else "Nothing to undo.")
    return DONE


def _cells(run: dict[str, Any]) -> list[Any]:
    when = datetime.fromtimestamp(run["begun_at_s"], UTC).astimezone()
    parts = [f"{run[key]} {name}" for key, name in COUNTED.items() if run[key]]
    told = "undone" if run["undone"] else ", ".join(parts)
    kind = run["kind"].replace("_", " ")
    return cells(run["run_id"], f"{when:%d %b %H:%M}", kind, told)
