"""Read what somebody asks for: one reader for each kind of argument, whatever is asked.

Stash's tasks, its pages and the command line all send JSON, in which a switch or a number may be
text. None, "" and what is left out say nothing. What cannot be read raises SettingsError: nothing
is done because of a word that was not understood.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar

from stash_sense_plugin.errors import SettingsError

PAGE: Final = 50
MOST_IN_A_PAGE: Final = 500
"""Rows of a list."""
PAGE_BYTES: Final = 900_000
"""A page ends before it is longer, so that a reply stays below a megabyte."""
LONGEST_ID: Final = 18
"""Digits of an id: Stash's own are 64 bits wide."""
LONGEST_NAME: Final = 1000
"""Letters of a name."""
LONGEST_PLACE: Final = 10_000
"""Letters of a place in a list, which holds names."""
LONGEST_PATH: Final = 32_767
"""Letters of a path; no system takes more."""
MOST_ITEMS: Final = 5000
"""Things that one call may name."""

Args = Mapping[str, object]
Row = TypeVar("Row", bound=Mapping[str, object])

_LONGEST_NUMBER: Final = 20
_SHOWN: Final = 80
_ON: Final = ("true", "1", "yes")
_OFF: Final = ("false", "0", "no")


def given(args: Args, name: str) -> object:
    """Return what is said under a name; None where nothing is."""
    value = args.get(name)
    return None if isinstance(value, str) and not value else value


def switched_on(args: Args, name: str) -> bool:
    """Read a yes or no; nothing is no."""
    value = given(args, name)
    word = _told(value).casefold()
    if value is not None and word not in (*_ON, *_OFF):
        raise SettingsError(f"{name} is {shown(value)}", "say true or false, or leave it out")
    return word in _ON


def whole_number(
    args: Args, name: str, default: int, least: int = 0, most: int = 2**62, *, unit: str = ""
) -> int:
    """Read a count, behind which its unit may stand."""
    value = given(args, name)
    if value is None:
        return default
    text = "" if isinstance(value, bool) else _told(value).strip().removesuffix(unit)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < _LONGEST_NUMBER):
        raise SettingsError(
            f"{name} is {shown(value)}, not a whole number", f"say one from {least} to {most}"
        )
    if not least <= int(text) <= most:
        raise SettingsError(f"{name} is {text}, not between {least} and {most}")
    return int(text)


def row_after(args: Args, least: int = 0) -> int | None:
    """Read the number of the row at which the page before ended; None for the first page."""
    return None if given(args, "after") is None else whole_number(args, "after", 0, least)


def share(args: Args, name: str) -> float:
    """Read a share from 0 to 1, which must be named."""
    value = args.get(name)
    try:
        number = float(value) if isinstance(value, int | float) or _is_plain(value) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise SettingsError(f"{name} is {shown(value)}", "give a confidence from 0 to 1")
    return number


def _is_plain(value: object) -> TypeGuard[str]:
    """Whether it is a text of which a number is read as everybody reads it."""
    return isinstance(value, str) and value.isascii() and "_" not in value


def word(args: Args, name: str, words: Iterable[str], default: str = "") -> str:
    """Read one of some words."""
    value = given(args, name)
    if value is None:
        return default
    known = tuple(words)
    if not isinstance(value, str) or value not in known:
        raise SettingsError(
            f"{name} is {shown(value)}", f"say {', '.join(filter(None, known))}, or leave it out"
        )
    return str(value)


def text(args: Args, name: str, longest: int = LONGEST_NAME) -> str:
    """Read a name without blanks around it; empty where there is none."""
    value = given(args, name)
    return "" if value is None else _text(value, name, longest)


def texts(args: Args, name: str) -> list[str]:
    """Read a list of names."""
    return [_text(each, name, LONGEST_NAME) for each in listed(args, name)]


def _text(value: object, name: str, longest: int) -> str:
    # A number is the name of many a tag, and one of Stash's own arguments may be one.
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SettingsError(f"{name} is {shown(value)}, not a text", "give its name")
    told = _told(value)
    if len(told) > longest or (not told and value != told):
        raise SettingsError(f"{name} is longer than {longest} letters", "give its name as it is")
    if "\0" in told or not _is_unicode(told):
        raise SettingsError(
            f"{name} is {shown(told)}, which is no text", "give its name as Stash shows it"
        )
    return told.strip()


def _told(value: object) -> str:
    """Return a text or a whole number as text, and nothing for all else."""
    if isinstance(value, str):
        return value
    # Python itself refuses to write out numbers of more than some thousand digits.
    return str(value) if isinstance(value, int) and abs(value) < 10**LONGEST_NAME else ""


def _is_unicode(told: str) -> bool:
    try:
        told.encode()
    except UnicodeEncodeError:
        return False
    return True


def listed(args: Args, name: str) -> Sequence[Any]:
    """Read a list of whatever it holds; nothing is an empty one."""
    value = given(args, name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{name} is {shown(value)}, which is no list", "give a list")
    if len(value) > MOST_ITEMS:
        raise SettingsError(
            f"{name} names {len(value)} things, more than {MOST_ITEMS}", "give them in parts"
        )
    return value


# --- Scenes ---------------------------------------------------------------------------------------


def scene_id(args: Args, name: str = "scene_id") -> str:
    """Read the id of one scene, which must be named."""
    value = given(args, name)
    if value is None:
        raise SettingsError("No scene is named", f"give args.{name}")
    return _scene_id(value)


def scene_ids(args: Args, name: str) -> list[str] | None:
    """Read ids: one, a list, or text with commas as a task's argument may be; None for none.

    A list without scenes is refused: it must not mean all of them.
    """
    value = args.get(name)
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    each = parts if isinstance(parts, list) else [parts]
    ids = [part for part in each if not (isinstance(part, str) and not part.strip())]
    if not ids:
        raise SettingsError("The list of scene ids is empty", "name scenes, or leave it out")
    return list(dict.fromkeys(map(_scene_id, ids)))


def _scene_id(value: object) -> str:
    digits = _told(value).strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_ID):
        raise SettingsError(f"{shown(value)} is no scene id", "scene ids are whole numbers")
    return str(int(digits))


# --- Files and places -----------------------------------------------------------------------------


def whole_path(args: Args, name: str) -> Path:
    """Read where a file lies, from the root of the disk on; bytes that are no text may be in it."""
    value = given(args, name)
    if value is None:
        raise SettingsError("No file is named", f"give args.{name}")
    if not isinstance(value, str) or "\0" in value or not _has_bytes(value):
        raise SettingsError(f"{shown(value)} is no path of a file", f"give args.{name}")
    if len(value) > LONGEST_PATH:
        raise SettingsError(f"{name} is longer than {LONGEST_PATH} letters", "name another file")
    path = Path(value)
    if not path.is_absolute():
        raise SettingsError(
            f"{shown(value)} is no whole path of a file",
            "name one that begins at the root of the disk",
        )
    return path


def _has_bytes(told: str) -> bool:
    try:
        os.fsencode(told)
    except UnicodeEncodeError:
        return False
    return True


def place(args: Args, kinds: Sequence[type], name: str = "after") -> tuple[Any, ...] | None:
    """Read where the page before ended, as its `next` said it; None for the first page."""
    value = given(args, name)
    if value is None:
        return None
    try:
        short = isinstance(value, str) and len(value) <= LONGEST_PLACE
        parts = json.loads(value) if short else None  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise SettingsError(
            f"{name} is {shown(value)}", "give the `next` of the page before, as it is"
        )
    return tuple(parts)


def within(rows: Sequence[Row], most_bytes: int = PAGE_BYTES) -> list[Row]:
    """Return the first rows, as many as a reply holds: one at least."""
    page: list[Row] = []
    length = 0
    for row in rows:
        length += len(json.dumps(row))
        if page and length > most_bytes:
            break
        page.append(row)
    return page


def shown(value: object) -> str:
    """Return what was said for a sentence: short, and nothing that a line cannot hold."""
    cut = value[:_SHOWN] if isinstance(value, str) else value
    try:
        told = repr(cut)
    except (ValueError, RecursionError):
        # A number of thousands of digits, or lists in lists as deep.
        return f"a {type(value).__name__} of no use"
    told = told if told.isprintable() else ascii(cut)
    return told if cut == value and len(told) <= _SHOWN else f"{told[: _SHOWN - 1]}…"
