"""The demo's page: each clip with its pictures, what was found and when, and what was missed."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import av

from demo.judging import Verdict

STRIP = 6
"""Pictures shown of each clip."""
THUMB_PX = 160

STYLE = Path(__file__).with_name("report.css")


def write_page(path: Path, verdicts: Sequence[Verdict], media: Path, recall: float) -> Path:
    """Write the page and return its path; all that was read or found is text in it, not markup."""
    cards = "".join(_card(verdict, media) for verdict in verdicts)
    path.write_text(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Stash Sense: sample library</title><style>{STYLE.read_text()}</style>"
        "</head><body><main>"
        "<h1>What Stash Sense saw in the sample library</h1>"
        "<p class='soft'>Green was written to Stash at once, amber waits for a yes, grey is text"
        " that was read on screen.</p>"
        f"{_figures(verdicts, recall)}{cards}</main></body></html>",
        encoding="utf-8",
    )
    return path


def _figures(verdicts: Sequence[Verdict], recall: float) -> str:
    figures = {
        "clips": len(verdicts),
        "expected and found": sum(len(verdict.found) for verdict in verdicts),
        "missed": sum(len(verdict.missed) for verdict in verdicts),
        "wrong": sum(len(verdict.wrong) for verdict in verdicts),
        "recall of what is built in": f"{recall:.0%}",
    }
    boxes = "".join(
        f"<div class='figure'><b>{escape(str(value))}</b>{escape(name)}</div>"
        for name, value in figures.items()
    )
    return f"<div class='figures'>{boxes}</div>"


def _card(verdict: Verdict, media: Path) -> str:
    result = verdict.result
    state = verdict.workflow or "nothing"
    css = "state errored" if state == "Errored" else "state"
    length = verdict.clip.duration_s
    rows = "".join(
        _row(
            each["name"], each["kind"], each["confidence"], each["ranges"], length, each["decision"]
        )
        for each in result.get("suggestions", ())
        if each["decision"] != "HIDE"
    )
    texts = "".join(
        _row(each["text"], "text", each["score"], [each], length, "text")
        for each in result.get("texts", ())
    )
    return (
        f"<article><header><h2>{escape(verdict.clip.name)}</h2>"
        f"<span class='{css}'>{escape(state)}</span></header>"
        f"{_strip(media / verdict.clip.name)}{rows}{texts}{_notes(verdict)}</article>"
    )


def _row(
    name: str,
    kind: str,
    sure: float,
    ranges: Iterable[Mapping[str, Any]],
    length_s: float,
    decision: str,
) -> str:
    bars = "".join(
        f"<span class='bar' style='left:{100 * part['start_s'] / length_s:.2f}%;"
        f"width:{100 * (part['end_s'] - part['start_s']) / length_s:.2f}%'"
        f" title='{part['start_s']:.1f}-{part['end_s']:.1f} s'></span>"
        for part in ranges
    )
    return (
        f"<div class='row {escape(decision.lower())}'><span class='name'>{escape(name)}"
        f" <span class='kind'>{escape(kind)}</span></span><span>{sure:.0%}</span>"
        f"<span class='track'>{bars}</span></div>"
    )


def _notes(verdict: Verdict) -> str:
    notes = [f"<li class='miss'>Missed: {escape(each)}</li>" for each in verdict.missed]
    notes += [f"<li class='miss'>Wrong: {escape(each)}</li>" for each in verdict.wrong]
    notes += [
        f"<li class='later'>Not looked for yet: {escape(each)}</li>" for each in verdict.later
    ]
    error = verdict.result.get("error")
    if error:
        notes.append(
            f"<li class='later'>{escape(error['message'])}; {escape(error['remedy'])}</li>"
        )
    return f"<ul>{''.join(notes)}</ul>" if notes else ""


def _strip(path: Path) -> str:
    """Return a few pictures of a clip as data URLs; none where it cannot be read."""
    try:
        pictures = _pictures(path)
    except (av.error.FFmpegError, OSError):
        return ""
    shown = "".join(f"<img alt='' src='data:image/jpeg;base64,{each}'>" for each in pictures)
    return f"<div class='strip'>{shown}</div>"


def _pictures(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    step = max(1, len(frames) // STRIP)
    pictures = []
    for frame in frames[step // 2 :: step][:STRIP]:
        image = frame.to_image()
        image.thumbnail((THUMB_PX, THUMB_PX))
        held = io.BytesIO()
        image.save(held, "JPEG", quality=80)
        pictures.append(base64.b64encode(held.getvalue()).decode())
    return pictures
