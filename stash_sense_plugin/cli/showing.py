"""What commands print: tables and lines, in which nothing that was read is ever markup."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stash_sense_plugin.start.lines import printable


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
        table.add_row(*cells(row["decision"].lower(), _named(row), sure, when, seen_by))
    return table


def _named(row: Mapping[str, Any]) -> str:
    return row["name"] if row["kind"] == "tag" else f"{row['name']} ({row['kind']})"


def _span(part: Mapping[str, Any]) -> str:
    return f"{clock(part['start_s'])}-{clock(part['end_s'])}"


def cells(*values: str) -> list[Text]:
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
