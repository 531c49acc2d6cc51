"""The list of networks in plain words, from the rows that the mode `models` answers with."""

from collections.abc import Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]

FOR_WHAT: Mapping[str, str] = {
    "clip": "Scenes as a whole, by words",
    "tagger": "Acts, clothing and bodies: many words for each picture",
    "objects": "Things with their places in the picture",
    "classifier": "Kinds of picture: one word for each",
    "similarity": "How alike pictures are",
    "text": "Text in other languages",
}
"""What the rows of a task are for, in the order of the list."""

PERMISSIVE = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0"})
SHARING = ("agpl-", "gpl-", "lgpl-", "mpl-")
"""How licences begin that allow any use and ask that changes be shared."""


def lines(report: Row) -> Iterator[str]:
    """Say the list in lines that a log can show."""
    yield f"Models: {report['why']}"
    yield from report.get("complaints", ())
    for task, what in FOR_WHAT.items():
        rows = [row for row in report["models"] if row["task"] == task]
        if rows:
            yield f"{what} ({task})"
        for row in rows:
            yield f"- {row['name']}: {'; '.join(told(row))}. {row['about']}"
    yield from meanings(report)


def meanings(report: Row) -> Iterator[str]:
    """Say what the short notes of a list mean, as far as it has them."""
    rows = report["models"]
    if any(row["untried"] for row in rows):
        yield "Untried: none of us ran these weights; they check themselves at first use."
    if any(row["made"] and not row["here"] for row in rows):
        yield "With the extras: made here, once, from weights that torch reads: run Set up extras."


def told(row: Row) -> Iterator[str]:
    """Say of one row where it is, whether it runs and why, and what it asks for."""
    yield f"{size_of(row)}, {'here' if row['here'] else 'not here'}"
    if row["chosen"]:
        yield f"chosen: {row['chosen']}"
    if runs := runs_on(row):
        yield f"runs on {runs}"
    yield licence_of(row)
    yield from notes(row)


def size_of(row: Row) -> str:
    """Return how large it is, and what it takes on this disk where that is another size."""
    size, disk = row["megabytes"], row["disk_megabytes"]
    if size is None and not disk:
        return "size unknown"
    if size is None or (row["here"] and abs(disk - size) >= 1):
        return f"{disk:.0f} MB on the disk"
    return f"{size:.0f} MB"


def licence_of(row: Row) -> str:
    """Return its licence, what it asks, and whether it wants the user's yes."""
    return f"{row['licence']} ({_terms(row)})"


def _terms(row: Row) -> str:
    if not row["commercial"]:
        return f"not for every use{', accepted' if row['accepted'] else ''}"
    licence = row["licence"].casefold()
    if licence in PERMISSIVE:
        return "free for any use"
    return "any use; share changes" if licence.startswith(SHARING) else "any use, under its terms"


def runs_on(row: Row) -> str:
    """Return where it runs now and in which numbers; empty where it is not open."""
    return ", ".join(dict.fromkeys(f"{each['device']} {each['precision']}" for each in row["runs"]))


def notes(row: Row) -> Iterator[str]:
    """Say what else is to be known before it is chosen."""
    if row["lacks"]:
        yield row["lacks"]
    if row["suits"] == "gpu":
        yield "wants a GPU"
    if row["made"] and not row["here"]:
        yield "with the extras"
    if row["lighter"]:
        yield f"{' and '.join(row['lighter'])} made"
    if row["untried"]:
        yield "untried"
    if row["language"]:
        yield f"reads {row['language']}"
    if row["own"]:
        yield "your own row"
