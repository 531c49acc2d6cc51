"""Plots as SVG elements: text in, text out, and nothing fetched from anywhere."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

SIDE = 240
"""Of the plotting area, in the picture's own units."""
LEFT, BELOW, EDGE = 54, 36, 18
"""Room for numbers and words at the left, below, and elsewhere."""
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
BINS_GAP = 2


def reliability(bins: Sequence[Mapping[str, Any]], title: str) -> str:
    """Draw how often each confidence is right, with its interval, beside the diagonal."""
    parts = [_line(_at(0, 0), _at(1, 1), "even")]
    for each in bins:
        if not each["claims"]:
            continue
        low, high = each["interval"]
        across = each["confidence"]
        told = (
            f"{_percent(each['low'])} to {_percent(each['high'])} sure: {each['right_claims']} of"
            f" {each['claims']} right ({_percent(each['right'])})"
        )
        x, y = _at(across, each["right"])
        parts.append(_line(_at(across, low), _at(across, high), "whisker"))
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(told)}</title>'
            "</circle>"
        )
    dots = [_at(each["confidence"], each["right"]) for each in bins if each["claims"]]
    parts.insert(1, _path(dots, "curve"))
    return _plot(parts, title, "how sure it was", "how often it was right", (TICKS, TICKS))


def histogram(bins: Sequence[Mapping[str, Any]], title: str) -> str:
    """Draw how many claims there are of each confidence: right ones below, wrong ones on top."""
    most = max((each["claims"] for each in bins), default=0) or 1
    parts = []
    for each in bins:
        right, wrong = each["right_claims"], each["claims"] - each["right_claims"]
        told = (
            f"{_percent(each['low'])} to {_percent(each['high'])} sure: {right} right,"
            f" {wrong} wrong"
        )
        parts.append(_bar(each, 0, right / most, "right", told))
        parts.append(_bar(each, right / most, each["claims"] / most, "wrong", told))
    marks = sorted({0, most // 2, most})
    ticks = [(mark / most, str(mark)) for mark in marks]
    return _plot(parts, title, "how sure it was", "claims", (TICKS, ticks))


def precision_recall(tag: Mapping[str, Any], title: str) -> str:
    """Draw what each threshold would give; dots are what is written and what is shown now."""
    parts = []
    points = [_at(each["recall"], each["precision"]) for each in tag["curve"]]
    if points:
        parts.append(_path(_stepped(points), "curve"))
    for name in ("shown", "written"):
        counts = tag[name]
        if counts["precision"] is not None and counts["recall"] is not None:
            x, y = _at(counts["recall"], counts["precision"])
            told = (
                f"{name}: precision {_percent(counts['precision'])}, recall"
                f" {_percent(counts['recall'])}"
            )
            parts.append(
                f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="5">'
                f"<title>{escape(told)}</title></circle>"
            )
    return _plot(parts, title, "recall", "precision", (TICKS, TICKS))


# --- Elements -------------------------------------------------------------------------------------

Place = tuple[float, float]
Ticks = Sequence[float] | Sequence[tuple[float, str]]


def _plot(
    parts: Iterable[str], title: str, across: str, up: str, ticks: tuple[Ticks, Ticks]
) -> str:
    width, height = LEFT + SIDE + EDGE, EDGE + SIDE + BELOW
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        + _grid(*ticks)
        + "".join(parts)
        + f'<text class="axis" x="{LEFT + SIDE / 2}" y="{height - 4}">{escape(across)}</text>'
        + f'<text class="axis" transform="translate(10 {EDGE + SIDE / 2}) rotate(-90)">'
        + f"{escape(up)}</text></svg>"
    )


def _grid(across: Ticks, up: Ticks) -> str:
    parts = [f'<rect class="field" x="{LEFT}" y="{EDGE}" width="{SIDE}" height="{SIDE}"/>']
    for at, label in map(_tick, across):
        x = _at(at, 0)[0]
        parts.append(_line(_at(at, 0), _at(at, 1), "grid"))
        parts.append(f'<text class="tick" x="{x:.1f}" y="{EDGE + SIDE + 14}">{label}</text>')
    for at, label in map(_tick, up):
        y = _at(0, at)[1]
        parts.append(_line(_at(0, at), _at(1, at), "grid"))
        parts.append(f'<text class="tick up" x="{LEFT - 5}" y="{y + 3.5:.1f}">{label}</text>')
    return "".join(parts)


def _tick(tick: float | tuple[float, str]) -> tuple[float, str]:
    return tick if isinstance(tick, tuple) else (tick, f"{tick:.0%}")


def _at(across: float, up: float) -> Place:
    return LEFT + SIDE * across, EDGE + SIDE * (1 - up)


def _line(start: Place, end: Place, kind: str) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _path(points: Sequence[Place], kind: str) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{drawn}"/>' if points else ""


def _stepped(points: Sequence[Place]) -> list[Place]:
    """Between two thresholds the lower one's precision holds: nothing is interpolated."""
    drawn = [(float(LEFT), points[0][1])]
    for before, after in itertools.pairwise(points):
        drawn += [before, (before[0], after[1])]
    return [*drawn, points[-1]]


def _bar(each: Mapping[str, Any], low: float, high: float, kind: str, told: str) -> str:
    if high <= low:
        return ""
    x, y = _at(each["low"], high)
    width = SIDE * (each["high"] - each["low"]) - BINS_GAP
    return (
        f'<rect class="{kind}" x="{x + BINS_GAP / 2:.1f}" y="{y:.1f}" width="{width:.1f}"'
        f' height="{SIDE * (high - low):.1f}"><title>{escape(told)}</title></rect>'
    )


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"
