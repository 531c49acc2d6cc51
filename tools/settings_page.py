"""Writes the table of settings into docs/settings.md: `python -m tools.settings_page`."""

import re
from pathlib import Path
from typing import Any

import yaml

from stash_sense_plugin.settings import CHOICES, LONGEST_TAG, RANGES, TAGS, Settings

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs") / "settings.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
HEADS = ("Shown as", "Key", "What it does", "Default", "Range")
MEANS = re.compile(r"^(?P<does>.*?)\s+(?:Empty|0) means (?P<default>.+)\.$")
"""How a description ends that says what holds where nothing was typed."""


def table(root: Path) -> str:
    """Return the table, in the order in which Stash shows the settings."""
    declared = yaml.safe_load((root / "plugin.yml").read_text("utf-8"))["settings"]
    rows = [HEADS, ("---",) * len(HEADS), *(_row(key, declared[key]) for key in sorted(declared))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(key: str, setting: dict[str, Any]) -> tuple[str, ...]:
    does, default = setting["description"], "off"
    if setting["type"] != "BOOLEAN":
        said = MEANS.match(does)
        does, default = (said["does"], said["default"]) if said else (does, "empty")
    return setting["displayName"], f"`{key}`", does, default, _range(key)


def _range(key: str) -> str:
    if key in RANGES:
        least, most = RANGES[key]
        return f"{least} to {most}"
    if isinstance(getattr(Settings(), key), bool):
        return "off or on"
    if key in CHOICES:
        return ", ".join(CHOICES[key])
    if key in TAGS:
        return f"a tag's name, up to {LONGEST_TAG} characters"
    return "text"


def page(root: Path) -> str:
    """Return the whole page as it should be, with the prose that stands in it."""
    before, _, rest = (root / PAGE).read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(root)}{END}{after}"


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page(ROOT), "utf-8")
