"""Draw the media that the pages are tried on: python -m demo.clips_for FOLDER.

The sample library, and many small clips whose pictures alone tell several tags each.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from demo.clips import (
    WIDE,
    Canvas,
    Clip,
    Expected,
    Painter,
    boxed,
    build,
    dimmed,
    grey,
    pan,
    picture,
    sample_library,
    with_text,
)

SHORT_S = 5
SMALL = (320, 180)
UPRIGHT = (180, 320)
LIGHT = 0.25
"""Dark, and with enough between its darkest and brightest to tell grey from coloured."""
PICTURES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
FACTS = {
    "vertical": "Vertical",
    "grey": "Black and White",
    "dark": "Dark",
    "boxed": "Letterboxed",
    "still": "Still Picture",
}
HOSTILE = (
    '<img src=x onerror="window.hacked=1">.mp4',
    '\'; rm -rf "$HOME"; #.mp4',
    "\N{RIGHT-TO-LEFT OVERRIDE}4pm.gnitsirb <b>\N{ARABIC LETTER MEEM}\N{ARABIC LETTER RREH}.mp4",
)
"""Names of files that are text and nothing else, wherever they are shown."""


def page_library() -> tuple[Clip, ...]:
    """Return the sample library, and what fills the queue of suggestions."""
    return (*sample_library(), *_many(), *_hostile())


def hostile_library() -> tuple[Clip, ...]:
    """Return a few small clips whose names, and the letters in one of them, are hostile."""
    titled = pan(picture("coffee.png"), WIDE, seconds=SHORT_S)
    for text, top in (("NORTHLIGHT STUDIO", 0.2), ("<B>WINDOW.HACKED=1</B>", 0.6)):
        titled = with_text(titled, text, (0.5, top), 40)
    damaged = _clip("<b onmouseover=alert(1)>damaged.mp4", picture("coffee.png"), ("grey",))
    return (
        *_hostile(),
        Clip("titles.mp4", SHORT_S, WIDE, titled),
        replace(damaged, spoiled=True, ends_as="Errored"),
    )


def _many() -> Iterator[Clip]:
    for number, name in enumerate(PICTURES):
        source = picture(name)
        threes = list(combinations(FACTS, 3))
        some = [threes[(number + step) % len(threes)] for step in range(0, len(threes), 2)]
        for facts in [tuple(FACTS), *combinations(FACTS, 4), *some]:
            yield _clip(f"{Path(name).stem}-{'-'.join(facts)}.mp4", source, facts)


def _hostile() -> Iterator[Clip]:
    # Stash takes files that are alike for one scene.
    for name, source in zip(HOSTILE, PICTURES, strict=False):
        yield _clip(name, picture(source), ("grey", "dark", "still"))


def _clip(name: str, source: Canvas, facts: tuple[str, ...]) -> Clip:
    size = UPRIGHT if "vertical" in facts else SMALL
    expected = tuple(Expected("tag", FACTS[fact], 0, SHORT_S) for fact in facts)
    return Clip(name, SHORT_S, size, _painter(source, size, facts), expected)


def _painter(source: Canvas, size: tuple[int, int], facts: tuple[str, ...]) -> Painter:
    painter = pan(source, size, zoom=1.5, seconds=SHORT_S)
    if "grey" in facts:
        painter = grey(painter)
    if "dark" in facts:
        painter = dimmed(painter, LIGHT)
    if "boxed" in facts:
        painter = boxed(painter)
    if "still" not in facts:
        return painter
    drawn = painter(0)
    return lambda _time_s: drawn


def main() -> int:
    """Draw what is not there yet, and say where."""
    asked = argparse.ArgumentParser(prog="python -m demo.clips_for", description=__doc__)
    asked.add_argument("folder", type=Path)
    folder = asked.parse_args().folder.absolute()
    clips = build(folder, page_library())
    sys.stdout.write(f"{len(clips)} clips in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
