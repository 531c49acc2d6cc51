"""Writes what the pages' form of settings shows: `python -m tools.settings_form`.

The plugin's own checks made the sentences in the table of cases, so that the form refuses what the
plugin would, in the same words.
"""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stash_sense_plugin.settings import (
    CHOICES,
    LISTS,
    LONGEST_TAG,
    LONGEST_TEXT,
    NO_MODEL,
    RANGES,
    SHOWN,
    TAGS,
    Settings,
    check_setting,
    read_settings,
)
from stash_sense_plugin.tasks.presets import ALSO_TASKS, MODEL_SETTINGS
from tools.settings_page import MEANS

ROOT = Path(__file__).resolve().parent.parent
FORM = Path("ui") / "src" / "settings" / "form.json"
CASES = Path("ui") / "test" / "settings_cases.json"


class Group(NamedTuple):
    """Settings under one heading."""

    key: str
    name: str
    says: str
    keys: tuple[str, ...]
    advanced: bool = False


GROUPS = (
    Group(
        "preset",
        "Preset and hardware",
        "How much is looked at, and what does the work.",
        ("preset", "device"),
    ),
    Group(
        "written",
        "What is written",
        "What goes into Stash by itself, and what waits for you.",
        ("suggest_only", "markers", "apply_percent", "skip_studio", "never"),
    ),
    Group(
        "looked",
        "What is looked for",
        "What is switched off takes no time and needs no model.",
        ("skip_labels", "skip_acts", "skip_objects", "skip_text", "skip_facts", "skip_quality"),
    ),
    Group(
        "models",
        "Models",
        "You need to choose none: the preset does.",
        (
            "clip_model",
            "object_model",
            "tagger_model",
            "similarity_model",
            "also_models",
            "text_language",
            "text_engine",
            "accept_licences",
        ),
    ),
    Group(
        "tags",
        "Workflow tags",
        "The tags that say what is to do and what is done. All four names must differ.",
        TAGS,
    ),
    Group(
        "time",
        "Time and memory",
        "How thoroughly videos are read, and what that may take.",
        ("frames", "text_frames", "memory_budget_mb", "idle_minutes", "slice_minutes"),
    ),
    Group(
        "advanced",
        "Advanced",
        "Seldom worth a change.",
        ("max_gap_s", "floor_percent", "full_precision"),
        advanced=True,
    ),
)

TURNED = (
    "skip_labels",
    "skip_acts",
    "skip_objects",
    "skip_text",
    "skip_facts",
    "skip_quality",
    "skip_studio",
)
"""Switches that are on for people where what is stored is off."""

WORDED = {
    "skip_labels": (
        "Look for places, acts and clothes",
        "Look for what a scene shows as a whole, such as places, acts and clothes.",
    ),
    "skip_acts": (
        "Use the model for acts",
        "Use the model that names acts, positions, clothing and bodies picture by picture.",
    ),
    "skip_objects": ("Look for objects", "Look for things and parts of the body."),
    "skip_text": ("Read text", "Read text on screen; a studio is also found by its watermark."),
    "skip_facts": (
        "Look for facts of the picture",
        "Look for vertical, black and white, dark, letterboxed or still scenes.",
    ),
    "skip_quality": (
        "Look for faults of the picture",
        "Look for blurred, badly lit, badly compressed or enlarged pictures.",
    ),
    "skip_studio": ("Name the studio", "Suggest the studio, and write it where it is certain."),
    "preset": (
        "Preset",
        "The more accurate, the larger the download and the longer it takes. A model that you"
        " choose below is used instead of the preset's.",
    ),
    "device": (
        "Where the models run",
        "What cannot be used here is said in Stash's log, and the processor is used.",
    ),
    "clip_model": (
        "Places, acts and clothes",
        "Finds the tags for a scene as a whole.",
    ),
    "object_model": ("Objects", "Finds the tags for things."),
    "tagger_model": (
        "Acts and clothing",
        "Names acts, positions, clothing and bodies in single pictures.",
    ),
    "similarity_model": ("Likeness", "Tells how alike two pictures are."),
    "also_models": (
        "Run these too",
        "More models for objects, acts or kinds of picture. Each takes its own time.",
    ),
    "text_language": ("Language of text", "Reads text in another language."),
    "text_engine": ("Program that reads text", "What finds and reads text on screen."),
    "accept_licences": (
        "Licences that you accept",
        "Some licences do not allow every use. Models under such a licence are fetched only where"
        " you accept it here.",
    ),
    "never": ("Never suggest", "Labels or tags that are never suggested."),
    "tagme_tag": ("To do", "Scenes with this tag are tagged by the task Tag scenes."),
    "tagged_tag": ("Done", "Scenes that were looked at get this tag."),
    "errored_tag": ("Failed", "Scenes whose content could not be read get this tag."),
}
"""Names and sentences where a heading and a control say more than Stash's own list can."""

WORDS = {
    "preset": {
        "auto": "What suits your hardware",
        "fast": "Scenes and objects",
        "balanced": "Also acts, clothing and bodies",
        "accurate": "Larger models, where they can be had",
    },
    "device": {
        "auto": "A graphics card, else the processor",
        "cpu": "The processor",
        "cuda": "An NVIDIA card",
        "tensorrt": "An NVIDIA card, by TensorRT",
        "openvino": "Intel, by OpenVINO",
    },
    "text_engine": {
        "rapidocr": "Comes with Set up",
        "paddleocr": "Needs the task Set up extras",
    },
}
"""What each word of a choice means."""

UNITS = {
    "_percent": "%",
    "_s": "s",
    "_minutes": "min",
    "_mb": "MB",
    "frames": "pictures",
}
"""What a number counts, by how its key ends."""

WORDS_ONLY = re.compile(r'\[\s+("\w+"(?:,\s+"\w+")*)\s+\]')
UNIT_IN_NAME = re.compile(r" \((?:%|s|min|MB)\)$")


def form(root: Path) -> dict[str, Any]:
    """Return what the form shows."""
    declared = yaml.safe_load((root / "plugin.yml").read_text("utf-8"))
    shown = declared["settings"]
    return {
        "version": declared["version"],
        "longest_tag": LONGEST_TAG,
        "longest_text": LONGEST_TEXT,
        "shown": SHOWN,
        "no_model": NO_MODEL,
        "groups": [
            {
                "key": group.key,
                "name": group.name,
                "says": group.says,
                "advanced": group.advanced,
                "rows": [_row(key, shown[key]) for key in group.keys],
            }
            for group in GROUPS
        ],
    }


def _row(key: str, declared: dict[str, Any]) -> dict[str, Any]:
    said = MEANS.match(declared["description"])
    says = said["does"] if said else declared["description"]
    row: dict[str, Any] = {
        "key": key,
        "name": UNIT_IN_NAME.sub("", declared["displayName"]),
        "says": says,
        "kind": _kind(key),
        "default": getattr(Settings(), key),
        "default_says": said["default"] if said else "",
    }
    if key in WORDED:
        row["name"], row["says"] = WORDED[key]
    if key in TURNED:
        row["turned"] = True
    if key in RANGES:
        row["least"], row["most"] = RANGES[key]
        row["unit"] = next(unit for end, unit in UNITS.items() if key.endswith(end))
    if key in CHOICES:
        row["choices"] = [{"word": each, "says": WORDS[key][each]} for each in CHOICES[key]]
    return row | _of_models(key)


def _kind(key: str) -> str:
    kinds = {
        "number": RANGES,
        "choice": CHOICES,
        "list": LISTS,
        "tag": TAGS,
        "model": MODEL_SETTINGS,
    }
    default = "switch" if isinstance(getattr(Settings(), key), bool) else "text"
    return next((kind for kind, keys in kinds.items() if key in keys), default)


def _of_models(key: str) -> dict[str, Any]:
    """Say which models a setting may name."""
    if key == "also_models":
        return {"tasks": list(ALSO_TASKS)}
    if key not in MODEL_SETTINGS:
        return {}
    none = {"may_be_none": True} if key == "tagger_model" else {}
    return {"tasks": list(MODEL_SETTINGS[key])} | none


TRIED: dict[str, tuple[object, ...]] = {
    "frames": (
        *(0, 1, 2, 60, 2000, 2001, -3, 2.5, 12.0, "", " ", " 12 ", "12", "1", "-0", "+5"),
        *("many", "it's", "both' and \"", "9" * 18, "-" + "9" * 18, "9" * 19, "1_000"),
        *("12\n", "\x1c12", True, None),
        *([], ["a", 1], {"a": None}, {"b": [True, 2.5]}),
    ),
    "apply_percent": (0, 1, 100, 101, "0", "80"),
    "memory_budget_mb": (199, 200, 1_000_000, 1_000_001, "1e3"),
    "markers": (True, False, None, "yes", "", 0, 1),
    "skip_objects": (True, "on"),
    "tagme_tag": (
        *("Look at me", "", "  ", "  Look  at me ", "n" * 255, "n" * 256, "👩‍🎤" * 85, "a\nb"),
        *("bell\x07", "tab\there", "line\u2028end", "back\\slash", "b\\\x00", 5, True, None, 1.5),
        *("é" * 255, "😀" * 256, "\u200bzero\x01", "caf\u00e9\x01", "soft\u00ad\x02", "😀\x03"),
        *("\ue000private\x04", "n" * 300 + "'", '"' * 260, "'" * 260, "\u00a0\x05"),
    ),
    "preset": ("auto", " Balanced", "FAST", "best", "", "p" * 99, "gpu\x00", "it's", 5, ["fast"]),
    "text_engine": ("PaddleOCR", "tesseract"),
    "tagger_model": ("None", "joytag", "", 7),
    "never": ("a, b", "a\nb\r\nc", "a\tb", "bell\x07", 5, " , "),
    "also_models": (["a"], "a,b", {"a": 1}),
    "accept_licences": ("AGPL-3.0", "a\x07", 0.5),
}
"""Values to try, of what Stash may hold or a person may type."""

TRIED_TAGS: tuple[dict[str, object], ...] = (
    {},
    {"tagme_tag": "Tagged"},
    {"tagme_tag": "ToDo", "errored_tag": "todo"},
    {"parent_tag": "STRASSE", "tagged_tag": "straße"},
    {"tagme_tag": "it's", "parent_tag": "IT'S"},
    {"tagme_tag": "n" * 100, "tagged_tag": "N" * 100},
    {"tagme_tag": "", "tagged_tag": "tagme"},
    {"tagme_tag": "A", "tagged_tag": "B", "errored_tag": "C", "parent_tag": "D"},
)


def cases() -> dict[str, Any]:
    """Return what the plugin says of each value in JSON: why it is refused, else what is used."""
    values = [_case(key, value) for key, tried in TRIED.items() for value in tried]
    tags = [
        {"json": json.dumps(stored), "says": "".join(read_settings(stored)[1])}
        for stored in TRIED_TAGS
    ]
    return {"values": values, "tags": tags}


def _case(key: str, value: object) -> dict[str, Any]:
    try:
        used = check_setting(key, value, getattr(Settings(), key))
    except ValueError as error:
        return {"key": key, "json": json.dumps(value), "refused": str(error)}
    return {"key": key, "json": json.dumps(value), "used": used}


def text(made: dict[str, Any]) -> str:
    """Return a document as it lies in the tree, short lists in one line."""
    spread = json.dumps(made, indent=2, ensure_ascii=True) + "\n"
    return WORDS_ONLY.sub(lambda found: f"[{' '.join(found[1].split())}]", spread)


def grouped() -> list[str]:
    """Return the settings that have a place in the form, in its order."""
    return [key for group in GROUPS for key in group.keys]


def missing() -> set[str]:
    """Return the settings that the form lacks."""
    return {field.name for field in fields(Settings)} - set(grouped())


def files(root: Path) -> dict[Path, str]:
    """Return each file with what should be in it."""
    return {FORM: text(form(root)), CASES: text(cases())}


if __name__ == "__main__":
    for path, wanted in files(ROOT).items():
        (ROOT / path).write_text(wanted, "utf-8")
