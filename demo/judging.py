"""Holds what Stash Sense wrote against what is in the clips."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.clips import Clip, Expected

ENOUGH = 0.5
"""Intersection over union from which a time range is the one that was meant."""

MADE_BY_US = frozenset({"TagMe", "Tagged", "Errored"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """One clip: what Stash holds of it now, and how that fits."""

    clip: Clip
    workflow: str | None
    """The workflow tag that the scene carries; several only if something went wrong."""
    result: Mapping[str, Any]
    found: tuple[str, ...]
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    """Tags and studios that were written and are not in the clip."""
    later: tuple[str, ...]
    """What needs a network that is not here."""


def judge(
    clip: Clip,
    tags: frozenset[str],
    studio: str | None,
    result: Mapping[str, Any],
    able: frozenset[str],
) -> Verdict:
    """Compare one scene of Stash, and the result behind it, with the truth.

    `able` names what can see here: `embedded`, `clip`, `objects`.
    """
    seen = [each for each in clip.expected if each.needs in able]
    found: list[str] = []
    missed: list[str] = []
    for each in seen:
        (found if _is_found(each, tags, studio, result) else missed).append(each.name)
    workflow = ", ".join(sorted(tags & MADE_BY_US)) or None
    (found if workflow == clip.ends_as else missed).append(clip.ends_as)
    truth = {each.name for each in clip.expected}
    written = (tags - MADE_BY_US) | ({studio} if studio else set())
    return Verdict(
        clip,
        workflow,
        result,
        tuple(found),
        tuple(missed),
        tuple(sorted(written - truth)),
        tuple(each.name for each in clip.expected if each.needs not in able),
    )


def recall(verdicts: list[Verdict]) -> float:
    """Return the share of what could be seen that was found."""
    found = sum(len(verdict.found) for verdict in verdicts)
    return found / max(1, found + sum(len(verdict.missed) for verdict in verdicts))


def _is_found(
    expected: Expected, tags: frozenset[str], studio: str | None, result: Mapping[str, Any]
) -> bool:
    if expected.kind == "studio":
        return studio == expected.name
    if expected.kind == "text":
        return any(
            _same_text(each["text"], expected.name) and _fits(expected, [each])
            for each in result.get("texts", ())
        )
    return expected.name in tags and any(
        each["name"] == expected.name and _fits(expected, each["ranges"])
        for each in result.get("suggestions", ())
    )


def _same_text(read: str, meant: str) -> bool:
    return "".join(read.split()).casefold() == "".join(meant.split()).casefold()


def _fits(expected: Expected, ranges: list[Mapping[str, Any]]) -> bool:
    """Whether the ranges, taken together, are when it was meant to be."""
    if expected.start_s is None or expected.end_s is None:
        return True
    length = sum(part["end_s"] - part["start_s"] for part in ranges)
    shared = sum(
        max(0.0, min(part["end_s"], expected.end_s) - max(part["start_s"], expected.start_s))
        for part in ranges
    )
    union = length + (expected.end_s - expected.start_s) - shared
    return bool(shared >= ENOUGH * union)
