"""`evaluate`: say how good it is on this library, and use what would make it better."""

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.prompt import Confirm
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells, shown
from stash_sense_plugin.learning.report import percent, with_sources

MOST_ROWS = 40
"""Tags in a table on a terminal; the page has all."""


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "say how good it is on your library, by the tags that you gave by hand"
    sub = commands.add_parser("evaluate", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=evaluate)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    sub.add_argument(
        "--precision",
        metavar="PERCENT",
        type=_percent,
        default=90,
        help="how much of what is written is to be right, for suggested thresholds (90)",
    )
    sub.add_argument(
        "--look",
        metavar="N",
        type=_count,
        default=0,
        help="first look at up to N scenes with tags of yours; nothing is written to Stash",
    )
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument(
        "--use", action="store_true", help="use what it suggests; on a terminal it asks first"
    )
    choice.add_argument(
        "--forget", action="store_true", help="go back to what ships: forget all that is used"
    )
    sub.add_argument("--dry-run", action="store_true", help="look at nothing and write nothing")


def _percent(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 100")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of scenes")
    return int(text)


def evaluate(asked: argparse.Namespace, desk: Desk) -> int:
    """Judge, show, and use what is suggested where that is wanted."""
    desk.need_stash()
    if asked.look and asked.dry_run:
        raise WrongUsage("--look keeps what it sees, and --dry-run keeps nothing: leave one out")
    args = {"precision": asked.precision, "dry_run": asked.dry_run}
    if asked.forget:
        return _forget(asked, desk, args)
    asks = asked.use and not asked.json and not asked.dry_run and sys.stdin.isatty()
    first = {**args, "look": asked.look, "use": asked.use and not asks}
    told = desk.ask("evaluate", first)
    if asked.json:
        desk.print_json(told)
    else:
        _show(desk.console, told["report"])
    offered = told["report"]["thresholds"] or told["report"]["curves"]
    if asks and offered and Confirm.ask("Use this from now on?", console=desk.console):
        desk.ask("evaluate", {**args, "use": True})
    return DONE if told["report"]["tags"] else SOME_FAILED


def _forget(asked: argparse.Namespace, desk: Desk, args: Mapping[str, object]) -> int:
    told = desk.ask("evaluate", {**args, "forget": True})
    if asked.json:
        desk.print_json(told)
    return DONE


# --- Tables ---------------------------------------------------------------------------------------


def _show(console: Console, report: Mapping[str, Any]) -> None:
    if report["tags"]:
        console.print(_summary(report))
        console.print(_tags(report["tags"]))
    if report["thresholds"]:
        console.print(_thresholds(report))
    unknown = report["unknown"][:MOST_ROWS]
    if unknown:
        names = ", ".join(f"{each['name']} ({each['scenes']})" for each in unknown)
        console.print(shown(f"No detector knows these tags of yours: {names}"), soft_wrap=True)


def _summary(report: Mapping[str, Any]) -> Table:
    table = Table("", "Precision", "Recall", "F1", "F1 by tag", "F1 with tags above")
    rows = {"written": "Written", "shown": "Written or asked"}
    if report["thresholds"] or report["curves"]:
        rows["written_after"] = "Written, as suggested"
    for key, name in rows.items():
        micro, macro, tree = (report[key][part] for part in ("micro", "macro", "hierarchical"))
        told = (micro["precision"], micro["recall"], micro["f1"], macro["f1"], tree["f1"])
        table.add_row(*cells(name, *map(percent, told)))
    return table


def _tags(tags: list[Mapping[str, Any]]) -> Table:
    ordered = sorted(tags, key=lambda tag: (-tag["positives"], tag["name"]))
    more = f" (the {MOST_ROWS} most frequent)" if len(tags) > MOST_ROWS else ""
    title = f"Written or asked, tag by tag{more}"
    table = Table(
        "Tag", "Scenes", "Precision", "Recall", "F1", "AP", "Wrong", "Missed", title=title
    )
    for tag in ordered[:MOST_ROWS]:
        said = tag["shown"]
        table.add_row(
            *cells(
                tag["name"],
                str(tag["positives"]),
                _within(said["precision"], tag["precision_interval"]),
                _within(said["recall"], tag["recall_interval"]),
                percent(said["f1"]),
                "-" if tag["average_precision"] is None else f"{tag['average_precision']:.3f}",
                str(said["wrong"]),
                str(said["missed"]),
            ),
            style="" if tag["enough"] else "dim",
        )
    return table


def _within(share: float | None, interval: list[float]) -> str:
    if share is None:
        return "-"
    low, high = interval
    return f"{percent(share)} ({100 * low:.0f} to {100 * high:.0f})"


def _thresholds(report: Mapping[str, Any]) -> Table:
    wanted = percent(report["wanted_precision"])
    table = Table(
        "Label", "Now from", "Then from", "Precision", "Recall",
        title=f"Suggested, for a precision of {wanted}",
    )  # fmt: skip
    for each in report["thresholds"]:
        table.add_row(
            *cells(
                with_sources(each),
                percent(each["before"]),
                percent(each["apply"]),
                _within(each["precision"], each["precision_interval"]),
                f"{percent(each['recall_before'])} to {percent(each['recall'])}",
            )
        )
    return table
