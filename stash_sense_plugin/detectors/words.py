"""The words that a network speaks: from its metadata, its list, or its row of the catalogue."""

import ast
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference.catalogue import ModelCard

MOST_BYTES = 16 << 20
"""A longer list of words is none: the longest known has some 10,000 words in 300 kB."""
MOST_LETTERS = 200
"""Longer words are cut."""
CATEGORIES: Mapping[str, str] = {
    "0": "general",
    "1": "artist",
    "3": "copyright",
    "4": "character",
    "5": "meta",
    "9": "rating",
}
"""What the numbers mean in lists that keep Danbooru's categories."""


OF_AGE = re.compile(
    r"""
    # Children, and what is theirs; no lingerie of that name.
    child | school | kindergar[td]en |
    (?<![a-z]) (?: toddler | loli(?!pop) | shota | adolescen | juvenil | (?:pre-?)?pubescen
        | puberty | infant | under_?age | newborn | mesugaki | randoseru | jail_?bait
        | barely_legal | minigirl | miniboy
        ) |
    (?<![a-z]) (?: kid(?:s|do|die|dies)? | bab(?:y|ies)(?!_?doll) | baby(?:face|faced|ish)
        | (?:pre-?)?teen(?:s|y|ie|age|aged|ager|agers)? | tweens? | minors? | cribs? | diapers?
        | diapered | pacifiers? | nursery | playpens? | imouto
        # What pupils wear.
        | serafuku | gakuran | buruma | gym_uniform | sailor_(?:suit|uniform)
        # Ages, those of others beside them, and builds that stand for one.
        | young(?:er|est)? | older | oldest | elderly | aged? | ages | years?_old | mature
        | old_(?:man|men|woman|women|lady|ladies) | [mgd]ilfs? | grann(?:y|ies) | petite
        | flat_chest(?:ed)?
        # Families.
        | famil(?:y|ies)(?!_room) | incest\w* | twins | triplets | cousins? | nieces? | nephews?
        | (?:step|half|grand)?_?(?:sister|brother|sibling|daughter|son|mother|father|parent)s?
        ) (?![a-z]) |
    ^old$
    """,
    re.VERBOSE,
)
"""In a folded word: what tells how old people look, or who is whose child. Nobody tags by that."""


@dataclass(frozen=True, slots=True)
class Words:
    """A network's words in its order, each with its category, or with ``."""

    names: tuple[str, ...]
    categories: tuple[str, ...] = ()
    """As the list writes them; empty where it has none."""

    def in_category(self, index: int) -> frozenset[str]:
        """Return what the category of a word is called, as written and in words."""
        if not self.categories:
            return frozenset()
        written = self.categories[index]
        return frozenset({written, CATEGORIES.get(written, written)})


def folded_word(word: str) -> str:
    """Return a word as words are compared: lists write blanks in both ways."""
    return word.strip().casefold().replace(" ", "_")


def is_left_out(word: str, card: ModelCard) -> bool:
    """Whether a network's word is never told: by its row, or for the age that it speaks of."""
    plain = folded_word(word)
    return bool(OF_AGE.search(plain)) or plain in map(folded_word, card.leave_out)


def own_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words that a network carries, as Ultralytics writes them; () for none."""
    names = literal(metadata.get("names", ""))
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if isinstance(names, list | tuple):
        return named(str(name) for name in names)
    return ()


def literal(text: str) -> object:
    """Read a Python literal, as Ultralytics writes its metadata; nothing in it is run."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value


def read_words(file: Path, card: ModelCard) -> Words:
    """Read a list of words: one a line, or a CSV with the columns name and category.

    Raises ModelBroken for a file that is neither.
    """
    text = _text(file, card)
    if file.suffix.lower() == ".csv":
        return _table(text, file, card)
    return Words(named(line for line in text.split("\n") if line.strip()))


def _text(file: Path, card: ModelCard) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _no_list(file, card, f"it has more than {MOST_BYTES >> 20} MB")
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_list(file, card, str(error)) from error


def _table(text: str, file: Path, card: ModelCard) -> Words:
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise _no_list(file, card, str(error)) from error
    if not rows or "name" not in rows[0]:
        columns = ", ".join(map(str, rows[0])) if rows else "none"
        raise _no_list(file, card, f"it has no column name (its columns: {columns[:200]})")
    categories = tuple((row.get("category") or "").strip() for row in rows)
    return Words(named(row["name"] or "" for row in rows), categories if any(categories) else ())


def _no_list(file: Path, card: ModelCard, why: str) -> ModelBroken:
    return ModelBroken(
        f"{file.name} of {card.name} is no list of words: {why}",
        "fetch the model again; a list of your own is UTF-8 text, one word a line",
    )


def named(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words fit for labels: cleaned, cut, none empty and none twice.

    The place of a word is what the network means by it, so none is left out.
    """
    seen: Counter[str] = Counter()
    found = []
    for number, word in enumerate(words, start=1):
        plain = _plain(word) or f"word {number}"
        seen[plain] += 1
        # The second of two may read like a third word; counting on ends that.
        while seen[plain] > 1:
            plain = f"{plain} ({number})"
            seen[plain] += 1
        found.append(plain)
    return tuple(found)


def _plain(word: str) -> str:
    """Return a word without what cannot be seen, in one line, cut where it is too long."""
    shown = (" " if letter.isspace() else letter for letter in word)
    seen = "".join(letter for letter in shown if unicodedata.category(letter)[0] != "C")
    return " ".join(seen.split())[:MOST_LETTERS].strip()
