"""`vocabulary`: check what may become a tag, or list it."""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells, shown
from stash_sense_plugin.cli.stated import add_settings, settings_of

TITLES = {
    "no-such-label": "Names of nothing",
    "unseen": "What nothing here can see",
    "unknown-word": "Words that their network does not say",
    "unmapped": "Networks without labels",
    "no-effect": "Without effect",
    "faint": "Seen before they are asked about",
    "same-tag": "One name for several",
}
NAMED = 8
"""Of labels that the same is wrong with so many are named."""


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "check what may become a tag, or list it"
    sub = commands.add_parser("vocabulary", help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=vocabulary)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    sub.add_argument("action", nargs="?", choices=("check", "list"), default="check")
    sub.add_argument("--group", metavar="GROUP", help="list this group alone")
    add_settings(sub)


def vocabulary(asked: argparse.Namespace, desk: Desk) -> int:
    """Say what in the vocabulary has no effect here, or list its labels."""
    if asked.group and asked.action != "list":
        raise WrongUsage("--group is for `vocabulary list`")
    if asked.settings and asked.action != "check":
        raise WrongUsage("--set is for `vocabulary check`")
    if asked.action == "list":
        found = desk.ask("vocabulary", {"group": asked.group} if asked.group else {})
    else:
        found = desk.ask("check_vocabulary", settings_of(asked))
    if asked.json:
        desk.print_json(found)
    elif asked.action == "list":
        desk.console.print(_labels(found["labels"]))
    else:
        _show_findings(desk.console, found)
    return DONE


def _labels(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("Group", "Label", "Tag", "Seen by", "Weight", "Enter", "Stay", "Ask", "Apply")
    for row in rows:
        apply = "never" if row["apply"] is None else f"{row['apply']:g}"
        numbers = (f"{row[key]:g}" for key in ("weight", "enter", "stay", "ask"))
        table.add_row(
            *cells(row["group"], row["label"], row["tag"], row["source"], *numbers, apply)
        )
    return table


def _show_findings(console: Console, found: Mapping[str, Any]) -> None:
    own = f", with {found['overlay']} over them" if found["overlay"] else ""
    seen = found["labels"] - found["unseen"]
    console.print(shown(f"{found['labels']} labels{own}: {seen} can be seen here"), soft_wrap=True)
    if not found["findings"]:
        return
    table = Table("", "What", "Says", "What to do")
    alike: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in found["findings"]:
        alike[each["kind"], each["says"], each["remedy"]].append(each["subject"])
    for (kind, says, remedy), subjects in alike.items():
        more = f" and {len(subjects) - NAMED} more" if len(subjects) > NAMED else ""
        table.add_row(*cells(TITLES[kind], ", ".join(subjects[:NAMED]) + more, says, remedy))
    console.print(table)
