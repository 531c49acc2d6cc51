"""The user's choices, checked by name.

Stash stores what was typed and knows neither defaults nor ranges: text, whole numbers and
switches. So every switch is worded so that off is the default, 0 or empty means ours, and a value
that cannot be used is named once and replaced by the default.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from stash_sense_plugin.inference.providers import Device

TextEngine = Literal["rapidocr", "paddleocr"]
"""The programs that read text."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose; each field is the key in plugin.yml."""

    tagme_tag: str = "TagMe"
    tagged_tag: str = "Tagged"
    errored_tag: str = "Errored"
    parent_tag: str = "Stash Sense"
    markers: bool = False
    suggest_only: bool = False
    skip_labels: bool = False
    skip_acts: bool = False
    """No tagger, which names acts, positions and clothing."""
    skip_objects: bool = False
    skip_text: bool = False
    skip_facts: bool = False
    skip_quality: bool = False
    skip_studio: bool = False
    apply_percent: int = 0
    """0 leaves each label's own threshold in force."""
    max_gap_s: int = 30
    frames: int = 60
    text_frames: int = 12
    preset: str = "auto"
    """Which networks run where none is named: one of CHOICES."""
    device: Device = "auto"
    """Where they run: one of CHOICES."""
    full_precision: bool = False
    """No network runs with rounded weights (int8, fp16)."""
    clip_model: str = ""
    """A row of the catalogue, as the four that follow; empty: the preset's."""
    object_model: str = ""
    tagger_model: str = ""
    """NO_MODEL for none."""
    similarity_model: str = ""
    """Empty: none, and the vectors of `clip_model` serve."""
    text_language: str = ""
    """Empty: what comes with rapidocr."""
    text_engine: TextEngine = "rapidocr"
    also_models: str = ""
    """Rows that run besides, separated by commas."""
    accept_licences: str = ""
    """Licences that the user accepts, separated by commas."""
    never: str = ""
    idle_minutes: int = 10
    memory_budget_mb: int = 3000
    slice_minutes: int = 15
    """After so long a sweep lets another waiting job of Stash go first."""
    floor_percent: int = 20
    """What is seen with a lower score is not stored."""

    @property
    def never_names(self) -> frozenset[str]:
        """Labels and tags that are never suggested, casefolded."""
        return frozenset(name.casefold() for name in _listed(self.never))

    @property
    def also_names(self) -> tuple[str, ...]:
        """The models that run besides, as they were written."""
        return _listed(self.also_models)

    @property
    def accepted_licences(self) -> frozenset[str]:
        """The licences that the user accepts, casefolded."""
        return frozenset(name.casefold() for name in _listed(self.accept_licences))

    @property
    def apply(self) -> float | None:
        """The confidence from which suggestions are written, 0..1; None for each label's own."""
        return self.apply_percent / 100 if self.apply_percent else None

    @property
    def floor(self) -> float:
        """The least score that is stored of what is seen, 0..1."""
        return self.floor_percent / 100


NO_MODEL = "none"
"""What `tagger_model` is where none shall run."""

CHOICES = {
    "preset": ("auto", "fast", "balanced", "accurate"),
    "device": get_args(Device),
    "text_engine": get_args(TextEngine),
}
"""The words that a setting may have, which are compared without case."""

LISTS = ("never", "also_models", "accept_licences")
"""The settings that hold names separated by commas."""

RANGES = {
    "apply_percent": (1, 100),
    "max_gap_s": (1, 3600),
    "frames": (2, 2000),
    "text_frames": (1, 500),
    "idle_minutes": (1, 10_000),
    "memory_budget_mb": (200, 1_000_000),
    "slice_minutes": (1, 1440),
    "floor_percent": (1, 50),
}
"""The least and the greatest value of each number."""


TAGS = ("tagme_tag", "tagged_tag", "errored_tag", "parent_tag")
"""The settings that name tags: one name for two would undo each other's moves, or put a tag
below itself."""

LONGEST_TAG = 255
"""Characters of a tag's name; Stash declares as many."""
LONGEST_TEXT = 100_000
"""Characters of any other text."""
SHOWN = 60
"""Characters of a value in a complaint."""


def read_settings(stored: Mapping[str, object]) -> tuple[Settings, list[str]]:
    """Read what Stash stores for us; also one sentence for each value that cannot be used."""
    plain = Settings()
    chosen: dict[str, Any] = {}
    complaints = []
    for key, name, value in _by_name(stored):
        if name is None:
            complaints.append(f"Setting {shown(key)} is not one of ours and is ignored.")
            continue
        default = getattr(plain, name)
        try:
            chosen[name] = check_setting(name, value, default)
        except ValueError as error:
            complaints.append(f"Setting {name}: {error}; {default!r} is used.")
    return _distinct_tags(Settings(**chosen), complaints), complaints


def named_settings(stored: Mapping[str, object]) -> frozenset[str]:
    """Return the settings in which the user wrote something himself, be it the default."""
    empty = (None, "", 0, False)
    return frozenset(name for _, name, value in _by_name(stored) if name and value not in empty)


def _by_name(stored: Mapping[str, object]) -> Iterator[tuple[str, str | None, object]]:
    """Yield each stored key with the setting that it means, None where it means none of ours.

    A key in other letters, as people write them into Stash's file, counts where the right one is
    absent.
    """
    ours = {field.name for field in fields(Settings)}
    taken = ours & stored.keys()
    for key, value in stored.items():
        name = key if key in ours else key.casefold()
        if name != key and name in taken:
            yield key, None, value
            continue
        taken.add(name)
        yield key, name if name in ours else None, value


def shown(value: object) -> str:
    """Return a stored value for a sentence: short, and nothing that a line cannot hold."""
    told = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return told if len(told) <= SHOWN else f"{told[: SHOWN - 1]}…"


def check_setting(name: str, value: object, default: bool | int | str) -> bool | int | str:
    """Return the value to use; absent, empty and 0 mean the default. Raises ValueError."""
    if value is None:
        return default
    if isinstance(default, bool):
        return _check_switch(value)
    if isinstance(default, int):
        return _check_number(name, value) or default
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not text")
    # A list may have been pasted with its line ends.
    text = " ".join(value.split()) if name in LISTS else value.strip()
    _check_text(text, LONGEST_TAG if name in TAGS else LONGEST_TEXT)
    if text and name in CHOICES:
        return _check_choice(text, CHOICES[name])
    if name == "tagger_model" and text.casefold() == NO_MODEL:
        return NO_MODEL
    return value.strip() or default


def _check_choice(text: str, words: Sequence[str]) -> str:
    if text.casefold() in words:
        return text.casefold()
    *some, last = words
    raise ValueError(f"{shown(text)} is none of {', '.join(some)} and {last}")


def _listed(text: str) -> tuple[str, ...]:
    """Return the names of a list, which may have been pasted with its line ends."""
    return tuple(name for part in re.split(r"[,\r\n]", text) if (name := part.strip()))


def _check_text(text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueError(f"{shown(text)} is longer than {longest} characters")
    # Control characters, line ends, and halves of characters that no answer to Stash can hold.
    if any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in text):
        raise ValueError(f"{shown(text)} holds characters that cannot be shown")


def _check_switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{shown(value)} is neither true nor false")


def _check_number(name: str, value: object) -> int:
    """Read a whole number; Stash's own form writes text where nothing was typed."""
    if isinstance(value, str) and re.fullmatch(r"\s*(-?[0-9]{1,18})?\s*", value):
        value = int(value.strip() or 0)
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a whole number")
    least, most = RANGES[name]
    if value != 0 and not least <= value <= most:
        raise ValueError(f"{shown(value)} is not between {least} and {most}")
    return int(value)


def _distinct_tags(settings: Settings, complaints: list[str]) -> Settings:
    """Keep the tags of the settings apart."""
    names = [getattr(settings, key) for key in TAGS]
    if len({name.casefold() for name in names}) == len(names):
        return settings
    plain = {key: getattr(Settings(), key) for key in TAGS}
    complaints.append(
        f"The workflow tags and the parent of new tags ({', '.join(map(shown, names))}) must"
        f" differ from each other; {', '.join(plain.values())} are used."
    )
    return replace(settings, **plain)
