"""What Doctor found, as values, and how it is told: a table, JSON, and a few lines of the log."""

import json
import os
import time
import unicodedata
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from stash_sense_plugin.start import lines
from stash_sense_plugin.start.paths import write_text
from stash_sense_plugin.start.version import VERSION

OK = "ok"
NOTE = "note"
"""Worth knowing: nothing fails because of it."""
PROBLEM = "problem"

GROUPS = (
    "Stash Sense",
    "Machine",
    "Environment",
    "Models",
    "Data folder",
    "Store",
    "Worker",
    "Stash",
    "Library",
)
"""In the order in which they are told."""

MOST_LINES = 20
"""Lines of Stash's log, whatever the library."""
LONGEST_TEXT = 600
"""Characters of one thing that was found: names may be of any length."""
LONGEST_ROW = 260
"""Characters of a line of the log that sums a group up."""
WIDTH = 100
"""Columns of the table."""
NAMES = 21
"""Columns of the names of things."""
MARKS = {OK: "", NOTE: "?", PROBLEM: "!!"}

TABLE = "doctor.txt"
DOCUMENT = "doctor.json"


class Fact(NamedTuple):
    """One thing that was found."""

    group: str
    what: str
    found: str
    level: str = OK
    remedy: str = ""

    def plain(self) -> "Fact":
        """Return it without what a terminal obeys, and no longer than is of use."""
        return Fact(
            self.group, short(self.what, 60), short(self.found), self.level, short(self.remedy)
        )


def short(text: str, most: int = LONGEST_TEXT) -> str:
    """Return text as one line; the middle of what is too long is left out."""
    flat = " ".join(lines.printable(text).split())
    if len(flat) <= most:
        return flat
    end = (most - 3) // 3
    return flat[: most - 3 - end] + "..." + flat[-end:]


# --- Told as JSON -----------------------------------------------------------------------------


def document(facts: Sequence[Fact], path: str) -> Dict[str, Any]:
    """Return the whole report as one object; `path` names its table, empty where there is none."""
    return {
        "version": VERSION,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "well": not _count(facts, PROBLEM),
        "problems": _count(facts, PROBLEM),
        "notes": _count(facts, NOTE),
        "report": path,
        "facts": [dict(fact._asdict()) for fact in facts],
    }


def _count(facts: Iterable[Fact], level: str) -> int:
    return sum(fact.level == level for fact in facts)


def in_order(facts: Iterable[Fact]) -> List[Fact]:
    """Return the facts by their groups, clean; within a group they stay as they came."""
    return sorted((fact.plain() for fact in facts), key=lambda fact: GROUPS.index(fact.group))


# --- Told as a table --------------------------------------------------------------------------


def rows(facts: Sequence[Fact], made: str) -> "List[Tuple[str, str]]":
    """Return the table's lines, each with the level that it speaks of."""
    told = [
        (OK, f"Stash Sense {VERSION}, Doctor's report of {made.replace('T', ' ')}"),
        (OK, _sum(facts)),
    ]
    group = ""
    for fact in facts:
        if fact.group != group:
            group = fact.group
            told += [(OK, ""), (OK, group.upper())]
        told += [(fact.level, row) for row in _rows_of(fact)]
    return told


def _sum(facts: Sequence[Fact]) -> str:
    problems, notes = _count(facts, PROBLEM), _count(facts, NOTE)
    if not problems and not notes:
        return "All is well."
    parts = []
    if problems:
        parts.append(f"{_number(problems, 'problem')} (marked {MARKS[PROBLEM]})")
    if notes:
        parts.append(f"{_number(notes, 'note')} (marked {MARKS[NOTE]})")
    return ", ".join(parts)


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _rows_of(fact: Fact) -> Iterable[str]:
    left, room = 4 + NAMES, WIDTH - 4 - NAMES
    names = wrapped(fact.what, NAMES - 1)
    values = wrapped(fact.found, room)
    for number in range(max(len(names), len(values))):
        mark = MARKS[fact.level] if number == 0 else ""
        name = names[number] if number < len(names) else ""
        value = values[number] if number < len(values) else ""
        yield f"{mark:>3} {name}{' ' * (NAMES - columns(name))}{value}".rstrip()
    if fact.remedy:
        for number, part in enumerate(wrapped(fact.remedy, room - 3)):
            yield " " * left + ("-> " if number == 0 else "   ") + part


def wrapped(text: str, width: int) -> List[str]:
    """Break a line at its spaces; a word that is wider than the line is cut."""
    found, row = [], ""
    for word in text.split():
        while columns(word) > width or columns(row) + bool(row) + columns(word) > width:
            if row:
                found.append(row)
                row = ""
                continue
            head = _head(word, width)
            found.append(head)
            word = word[len(head) :]
        row = f"{row} {word}" if row else word
    return [*found, row] if row or not found else found


def _head(word: str, width: int) -> str:
    """Return the first letters that fit, at least one."""
    taken = 1
    while taken < len(word) and columns(word[: taken + 1]) <= width:
        taken += 1
    return word[:taken]


def columns(text: str) -> int:
    """Return how many columns a terminal gives to a text: letters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


# --- Told in Stash's log ----------------------------------------------------------------------


def log_rows(facts: Sequence[Fact], path: str) -> "List[Tuple[str, str]]":
    """Return at most MOST_LINES lines with their levels: problems, notes, a line for each group.

    Things of one kind are told once, with their number. The last line names the report.
    """
    well = [row for group in GROUPS for row in _group_row(group, facts)]
    room = MOST_LINES - 1 - len(well)
    problems = [_told(*each) for each in _alike(facts, PROBLEM)]
    notes = [_told(*each) for each in _alike(facts, NOTE)]
    told = [("warning", row) for row in _most(problems, room, "problems")]
    told += [("info", row) for row in _most(notes, room - len(told), "notes")]
    return [*told, *well, _last(facts, path)]


def _group_row(group: str, facts: Sequence[Fact]) -> "Iterable[Tuple[str, str]]":
    found = _alike([fact for fact in facts if fact.group == group], OK)
    if found:
        text = "; ".join(f"{_name(fact)}{fact.found}{_and(more)}" for fact, more in found)
        cut = text if len(text) <= LONGEST_ROW else text[: LONGEST_ROW - 3] + "..."
        yield "info", f"{group}: {cut}"


def _name(fact: Fact) -> str:
    return "" if fact.what == fact.group else f"{fact.what.lower()} "


def _alike(facts: Sequence[Fact], level: str) -> "List[Tuple[Fact, int]]":
    """Return the first of each kind of fact (name and remedy), and how many more there are."""
    kinds: Dict[Tuple[str, str], List[Fact]] = {}
    for fact in facts:
        if fact.level == level:
            kinds.setdefault((fact.what, fact.remedy), []).append(fact)
    return [(kind[0], len(kind) - 1) for kind in kinds.values()]


def _told(fact: Fact, more: int) -> str:
    remedy = f" -> {fact.remedy}" if fact.remedy else ""
    return f"{fact.what}: {short(fact.found, LONGEST_ROW)}{_and(more)}{remedy}"


def _and(more: int) -> str:
    return f" (and {more} more)" if more else ""


def _most(rows: Sequence[str], room: int, name: str) -> List[str]:
    if len(rows) <= room:
        return list(rows)
    kept = max(0, room - 1)
    return [*rows[:kept], f"... and {len(rows) - kept} more {name} in the report"][: max(0, room)]


def _last(facts: Sequence[Fact], path: str) -> "Tuple[str, str]":
    problems, notes = _count(facts, PROBLEM), _count(facts, NOTE)
    found = [_number(problems, "problem")] if problems else ["all well"]
    found += [_number(notes, "note")] if notes else []
    where = f"whole report: {path}" if path else "the report could not be written"
    return "warning" if problems else "info", f"Doctor: {', '.join(found)}; {where}"


# --- The end of every Doctor ------------------------------------------------------------------


def conclude(home: str, facts: Iterable[Fact], say: lines.Say) -> Dict[str, Any]:
    """Write the report into the home, tell it in the log, and return it as one object."""
    told = in_order(facts)
    path = os.path.join(home, TABLE)
    try:
        report = _written(home, told, path)
    except OSError as error:
        told = in_order([*told, *_unwritten(home, error, told)])
        path = ""
        report = document(told, path)
    for level, text in log_rows(told, path):
        say(level, text)
    return report


def _written(home: str, facts: Sequence[Fact], path: str) -> Dict[str, Any]:
    report = document(facts, path)
    write_text(os.path.join(home, DOCUMENT), json.dumps(report, indent=1) + "\n")
    table = [row for _, row in rows(facts, report["made"])]
    write_text(path, "\n".join(table) + "\n")
    return report


def _unwritten(home: str, error: OSError, facts: Sequence[Fact]) -> Iterable[Fact]:
    group = "Data folder"
    if any(fact.group == group and fact.level == PROBLEM for fact in facts):
        return  # which is why
    told = f"cannot be written into {home} ({error.strerror or error})"
    remedy = "make room there, or let the user that runs Stash write in it"
    yield Fact(group, "Report", told, PROBLEM, remedy)
