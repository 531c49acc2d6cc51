"""The user's choices, checked by name.

Stash stores what was typed and knows neither defaults nor ranges: text, whole numbers and
switches. So every switch is worded so that off is the default, 0 or empty means ours, and a value
that cannot be used is named once and replaced by the default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


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
    skip_objects: bool = False
    skip_text: bool = False
    skip_facts: bool = False
    skip_studio: bool = False
    apply_percent: int = 0
    """0 leaves each label's own threshold in force."""
    max_gap_s: int = 30
    frames: int = 60
    text_frames: int = 12
    clip_model: str = "clip-vit-b32"
    object_model: str = "yolox-s"
    never: str = ""
    idle_minutes: int = 10
    memory_budget_mb: int = 3000
    slice_minutes: int = 15
    """After so long a sweep lets another waiting job of Stash go first."""

    @property
    def never_names(self) -> frozenset[str]:
        """Labels and tags that are never suggested, casefolded."""
        return frozenset(
            name for part in self.never.split(",") if (name := part.strip().casefold())
        )

    @property
    def apply(self) -> float | None:
        """The confidence from which suggestions are written, 0..1; None for each label's own."""
        return self.apply_percent / 100 if self.apply_percent else None


RANGES = {
    "apply_percent": (1, 100),
    "max_gap_s": (1, 3600),
    "frames": (2, 2000),
    "text_frames": (1, 500),
    "idle_minutes": (1, 10_000),
    "memory_budget_mb": (200, 1_000_000),
    "slice_minutes": (1, 1440),
}
"""The least and the greatest value of each number."""


def read_settings(stored: Mapping[str, object]) -> tuple[Settings, list[str]]:
    """Read what Stash stores for us; also one sentence for each value that cannot be used."""
    plain = Settings()
    chosen: dict[str, Any] = {}
    complaints = []
    known = {field.name for field in fields(Settings)}
    for name, value in stored.items():
        if name not in known:
            complaints.append(f"Setting {name!r} is not one of ours and is ignored.")
            continue
        default = getattr(plain, name)
        try:
            chosen[name] = check_setting(name, value, default)
        except ValueError as error:
            complaints.append(f"Setting {name}: {error}; {default!r} is used.")
    return _distinct_workflow_tags(Settings(**chosen), complaints), complaints


def check_setting(name: str, value: object, default: bool | int | str) -> bool | int | str:
    """Return the value to use; absent, empty and 0 mean the default. Raises ValueError."""
    if value is None:
        return default
    if isinstance(default, bool):
        return _check_switch(value)
    if isinstance(default, int):
        return _check_number(name, value) or default
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value.strip() or default


def _check_switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} is neither true nor false")


def _check_number(name: str, value: object) -> int:
    """Read a whole number; Stash's own form writes text where nothing was typed."""
    if value == "":
        return 0
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a whole number")
    least, most = RANGES[name]
    if value != 0 and not least <= value <= most:
        raise ValueError(f"{value!r} is not between {least} and {most}")
    return int(value)


def _distinct_workflow_tags(settings: Settings, complaints: list[str]) -> Settings:
    """Keep the three workflow tags apart: one name for two would undo each other's moves."""
    names = [settings.tagme_tag, settings.tagged_tag, settings.errored_tag]
    if len({name.casefold() for name in names}) == len(names):
        return settings
    complaints.append(
        f"The workflow tags {', '.join(names)} must differ from each other; "
        "TagMe, Tagged and Errored are used."
    )
    plain = Settings()
    return replace(
        settings,
        tagme_tag=plain.tagme_tag,
        tagged_tag=plain.tagged_tag,
        errored_tag=plain.errored_tag,
    )
