"""Whose scene it is, by the text on screen: read text against the user's studios (pure).

A watermark stays in one place over many frames and a title card names little else; a name in a
sentence that was read once proves nothing. So the match is weighed with repetition, place and how
much of the text it is.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rapidfuzz import fuzz, process

from stash_sense_plugin.records import (
    Box,
    Decision,
    Evidence,
    Observation,
    ReadText,
    Suggestion,
    TimeRange,
)

ASK = 0.5
"""The confidence from which a studio is shown to the user."""

APPLY = 0.9
"""The confidence from which it is written, unless the user says otherwise."""

MARGIN = 0.1
"""A runner-up with a confidence this near makes it a question."""

LIKE_PERCENT = 86.0
"""How alike a name and a part of the text must be (rapidfuzz ratio, without spaces)."""

SHORT_NAME = 4
"""Names of fewer letters must stand in the text as whole words, letter for letter."""

FUZZY_NAME = 6
"""Names of at least this many letters may be misread; shorter ones are too near to other words."""

INSIDE_NAME = 9
"""Names of at least this many letters are found inside a longer run of letters, too."""

LONGEST_TEXT = 200
"""Letters of a text that are looked at: more is a wall of text, which names no studio."""

MOST_TEXTS = 400
"""Different texts that are looked at, the most repeated first."""

MOST_WORDS = 6
"""Words of a text that are taken together as a name."""

MOST_SPANS = 6000
"""Parts of all texts that are compared, the most repeated texts' first."""

SAME_PLACE = 0.05
"""Boxes whose middles differ by less than this part of the picture are in one place."""

MAIN_SHARE = 0.5
"""A name is applied only where it was at least this much of a text: subtitles repeat words too."""

MOST_STUDIOS = 5
"""Studios that are suggested for one scene."""

EQUAL_WEIGHT = 0.02
"""Two names that fit a text equally but for this share it; a worse one has no part in it."""

MOST_EVIDENCE = 5
"""Frames that are shown to the user for one studio."""

WEB_ENDS = frozenset(
    {
        "com",
        "net",
        "org",
        "tv",
        "xxx",
        "io",
        "co",
        "uk",
        "de",
        "fr",
        "eu",
        "us",
        "info",
        "biz",
        "porn",
        "sex",
        "video",
    }
)
"""Ends of web addresses that are no part of a name."""

WEB_STARTS = frozenset({"www", "m", "members", "tour", "join", "new"})
"""Beginnings of web addresses, likewise."""

COMMON = frozenset(
    {
        "studio",
        "studios",
        "video",
        "videos",
        "film",
        "films",
        "movie",
        "movies",
        "production",
        "productions",
        "entertainment",
        "media",
        "picture",
        "pictures",
        "network",
        "official",
        "presents",
        "the",
        "a",
        "com",
        "channel",
        "tv",
    }
)
"""Words that many studios' names and many title cards have: alone they name no one."""


_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudioName:
    """A studio of the user's, and all that it is called."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    """One name of a studio, ready to compare."""

    studio: int
    joined: str
    """Its words without spaces: recognition drops and adds spaces freely."""
    whole: bool = False
    """It names the studio only where it is all that the text says."""
    worth: float = 1.0


@dataclass(frozen=True, slots=True)
class _Match:
    """A studio named by a text."""

    studio: int
    like: float
    """How alike name and text are, 0..1."""
    share: float
    """How much of the text is the name, 0..1."""
    letters: int

    @property
    def weight(self) -> float:
        return self.like * (0.5 + 0.5 * self.share)


@dataclass(frozen=True, slots=True)
class _Case:
    """All that speaks for one studio: where it was named, one observation per frame."""

    studio: StudioName
    match: _Match
    frames: tuple[Observation, ...]
    confidence: float
    ranges: tuple[TimeRange, ...]


def match_studios(
    texts: Sequence[Observation],
    studios: Sequence[StudioName],
    times_s: Sequence[float],
    duration_s: float | None,
    read: Sequence[ReadText] = (),
    ask: float = ASK,
    apply: float = APPLY,
) -> tuple[Suggestion, ...]:
    """Suggest the studios that the text on screen names, the most certain first.

    `times_s` are all times at which text was looked for; `read` (of timeline.read_texts) says over
    which time a text stood, which becomes the suggestion's ranges. A scene has one studio, so at
    most one is applied, and none where a runner-up is near or the name was read in one frame only.
    """
    said = _said(texts)
    stood = _stood(read, duration_s)
    found = _matches(dict.fromkeys([*said, *stood]), _names(studios))
    named: defaultdict[int, list[tuple[_Words, _Match]]] = defaultdict(list)
    for text, matches in found.items():
        for match in matches:
            named[match.studio].append((text, match))
    looks = max(1, len(set(times_s)))
    cases = [
        case
        for index, by in named.items()
        if (case := _case(studios[index], by, said, stood, looks)) is not None
    ]
    return _decided(cases, ask, apply)


# --- Words --------------------------------------------------------------------------------------


def _said(texts: Iterable[Observation]) -> dict[_Words, list[Observation]]:
    """Observations by their words, the most repeated text first."""
    said: defaultdict[_Words, list[Observation]] = defaultdict(list)
    for one in texts:
        if one.text and math.isfinite(one.time_s) and (words := _words(one.text)):
            said[words].append(one)
    often = sorted(said, key=lambda words: (-len(said[words]), words))
    return {words: said[words] for words in often[:MOST_TEXTS]}


def _words(text: str) -> _Words:
    """Words without case, accents and punctuation; of a web address only the name."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text[:LONGEST_TEXT]))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    words: list[str] = []
    for token in plain.split():
        words.extend(re.findall(r"[^\W_]+", _host(token)))
    return tuple(words)


def _host(token: str) -> str:
    """The name in a web address (`www.northlight.co.uk/join`), or the token as it is."""
    address = re.match(r"(?:https?://)?((?:[\w-]+\.)+[a-z]{2,6})(?:[/:?].*)?$", token)
    if address is None:
        return token
    parts = address[1].split(".")
    while len(parts) > 1 and parts[-1] in WEB_ENDS:
        parts.pop()
    while len(parts) > 1 and parts[0] in WEB_STARTS:
        parts.pop(0)
    return " ".join(parts)


def _names(studios: Sequence[StudioName]) -> list[_Name]:
    names: dict[tuple[int, str], _Name] = {}
    for index, studio in enumerate(studios):
        for written in (studio.name, *studio.aliases):
            for name in _forms(index, _words(written)):
                names.setdefault((index, name.joined), name)
    return list(names.values())


def _forms(index: int, words: _Words) -> Iterator[_Name]:
    """A name as written, and without the words that many studios have."""
    if not words:
        return
    own = [word for word in words if word not in COMMON]
    yield _Name(index, "".join(words), whole=not own)
    core = "".join(own)
    if len(own) < len(words) and len(core) >= FUZZY_NAME - 1:
        yield _Name(index, core, whole=True, worth=0.95)


# --- Text against names -------------------------------------------------------------------------


def _matches(texts: Iterable[_Words], names: Sequence[_Name]) -> dict[_Words, list[_Match]]:
    """The studios that each text names, none clearly worse than the text's best."""
    spans = {text: _spans(text) for text in texts}
    alike = _alike(spans.values(), names)
    inside = [name for name in names if len(name.joined) >= INSIDE_NAME and not name.whole]
    found = {}
    for text, parts in spans.items():
        letters = "".join(text)
        matches = [
            _Match(name.studio, like * name.worth, len(part) / len(letters), len(name.joined))
            for part in parts
            for name, like in alike.get(part, ())
            if part == letters or not name.whole
        ]
        matches += [
            _Match(name.studio, 1.0, len(name.joined) / len(letters), len(name.joined))
            for name in inside
            if name.joined in letters
        ]
        if matches:
            found[text] = _best(matches)
    return found


def _best(matches: Iterable[_Match]) -> list[_Match]:
    """Each studio's best match, without those clearly worse than the best of all."""
    best: dict[int, _Match] = {}
    for match in matches:
        if match.studio not in best or match.weight > best[match.studio].weight:
            best[match.studio] = match
    top = max(match.weight for match in best.values())
    return [match for match in best.values() if match.weight >= top - EQUAL_WEIGHT]


def _spans(words: _Words) -> list[str]:
    """Every run of some words of a text, without spaces; the whole text whatever its length."""
    runs = (
        "".join(words[start:end])
        for start in range(len(words))
        for end in range(start + 1, min(len(words), start + MOST_WORDS) + 1)
    )
    return list(dict.fromkeys(["".join(words), *runs]))


def _alike(
    texts: Iterable[Iterable[str]], names: Sequence[_Name]
) -> dict[str, list[tuple[_Name, float]]]:
    """The names that each part of a text is like, and how much, 0..1."""
    parts = list(dict.fromkeys(part for text in texts for part in text))[:MOST_SPANS]
    exact: defaultdict[str, list[_Name]] = defaultdict(list)
    for name in names:
        exact[name.joined].append(name)
    found = {part: [(name, 1.0) for name in exact[part]] for part in parts if part in exact}
    fuzzy = [part for part in parts if len(part) >= FUZZY_NAME - 1]
    long = [joined for joined in exact if len(joined) >= FUZZY_NAME]
    for part, joined, like in _near(fuzzy, long):
        if part != joined:
            found.setdefault(part, []).extend((name, like) for name in exact[joined])
    return found


def _near(parts: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Pairs that are alike; in blocks, so that thousands by thousands never lie in memory."""
    for start in range(0, len(parts), 500):
        block = parts[start : start + 500]
        likes = process.cdist(
            block, names, scorer=fuzz.ratio, score_cutoff=LIKE_PERCENT, dtype=np.float32
        )
        for row, column in np.argwhere(likes > 0):
            yield block[row], names[column], float(likes[row, column]) / 100


# --- Evidence -----------------------------------------------------------------------------------


def _case(
    studio: StudioName,
    named: Sequence[tuple[_Words, _Match]],
    said: dict[_Words, list[Observation]],
    stood: dict[_Words, list[TimeRange]],
    looks: int,
) -> _Case | None:
    """Weigh all that names one studio; None where no frame does."""
    best: dict[float, tuple[tuple[float, ...], Observation]] = {}
    for text, match in named:
        for one in said.get(text, ()):
            rank = (match.weight * one.score, *_corner(one.box))
            if one.time_s not in best or rank > best[one.time_s][0]:
                best[one.time_s] = (rank, one)
    if not best:
        return None
    frames = tuple(best[time][1] for time in sorted(best))
    match = max((m for text, m in named if text in said), key=lambda m: m.weight)
    confidence = _confidence(match, frames, looks)
    return _Case(studio, match, frames, confidence, _joined(named, stood))


def _confidence(match: _Match, frames: Sequence[Observation], looks: int) -> float:
    """Add up what speaks for a name, as log-odds; weights set by hand until verdicts fit them.

    A perfect title card in one frame comes to 0.62, twice in one place to 0.95.
    """
    logit = 0.5 - 20 * (1 - match.like) - 3 * (1 - match.share)
    logit -= 1.5 if match.letters < SHORT_NAME else 0.5 if match.letters < FUZZY_NAME else 0.0
    logit += 1.3 * math.log2(min(len(frames), 8))
    if len(frames) > 1:
        logit += 0.8 * min(1.0, len(frames) / looks)
        logit += 1.2 if _in_one_place(frames) > 1 else 0.0
    return 1 / (1 + math.exp(-max(-50.0, logit)))


def _in_one_place(frames: Sequence[Observation]) -> int:
    """How many frames have the name in the place where most have it."""
    boxes = [one.box for one in frames if one.box is not None][:500]
    return max((sum(_same_place(box, other) for other in boxes) for box in boxes), default=0)


def _same_place(box: Box, other: Box) -> bool:
    across = abs(box.x + box.w / 2 - other.x - other.w / 2)
    down = abs(box.y + box.h / 2 - other.y - other.h / 2)
    return across < SAME_PLACE and down < SAME_PLACE


def _corner(box: Box | None) -> tuple[float, ...]:
    """Where a box is, so that equals are chosen alike in whatever order they come."""
    return () if box is None else (box.x, box.y, box.w, box.h)


def _stood(read: Iterable[ReadText], duration_s: float | None) -> dict[_Words, list[TimeRange]]:
    """Where each text stood, clipped to the scene; a picture has no times."""
    stood: defaultdict[_Words, list[TimeRange]] = defaultdict(list)
    if duration_s is None:
        return stood
    for one in read:
        start_s, end_s = max(0.0, one.start_s), min(duration_s, one.end_s)
        if start_s < end_s and (words := _words(one.text)):
            stood[words].append(TimeRange(one.text, start_s, end_s, one.score))
    return stood


def _joined(
    named: Iterable[tuple[_Words, _Match]], stood: dict[_Words, list[TimeRange]]
) -> tuple[TimeRange, ...]:
    """Where any text that names the studio stood: sorted and disjoint."""
    parts = [part for text, _ in named for part in stood.get(text, ())]
    joined: list[TimeRange] = []
    for part in sorted(parts, key=lambda r: (r.start_s, r.end_s, r.label)):
        if joined and part.start_s <= joined[-1].end_s:
            end_s, score = max(joined[-1].end_s, part.end_s), max(joined[-1].score, part.score)
            joined[-1] = replace(joined[-1], end_s=end_s, score=score)
        else:
            joined.append(part)
    return tuple(joined)


def _decided(cases: Iterable[_Case], ask: float, apply: float) -> tuple[Suggestion, ...]:
    """The first may be applied, where nothing comes near it; a scene has one studio."""
    order = sorted(cases, key=lambda c: (-c.confidence, c.studio.name, c.studio.id))
    found = []
    for place, case in enumerate(order[:MOST_STUDIOS]):
        decision = Decision.ASK if case.confidence >= ask else Decision.HIDE
        alone = len(order) == 1 or order[1].confidence <= order[0].confidence - MARGIN
        if place == 0 and alone and case.confidence >= apply and _stays(case):
            decision = Decision.APPLY
        found.append(_suggestion(case, decision))
    return tuple(sorted(found, key=lambda s: -s.decision))


def _stays(case: _Case) -> bool:
    """Whether the name was read more than once, and as more than a word among others."""
    return len(case.frames) > 1 and case.match.share >= MAIN_SHARE


def _suggestion(case: _Case, decision: Decision) -> Suggestion:
    surest = max(case.frames, key=lambda one: (one.score, -one.time_s))
    return Suggestion(
        kind="studio",
        name=case.studio.name,
        label=" ".join((surest.text or "").split())[:LONGEST_TEXT],
        confidence=case.confidence,
        decision=decision,
        ranges=case.ranges,
        evidence=tuple(_shown(one) for one in _spread(case.frames)),
        target_id=case.studio.id,
    )


def _spread(frames: Sequence[Observation]) -> list[Observation]:
    """A few of the frames, the first and last among them, evenly between."""
    count = min(MOST_EVIDENCE, len(frames))
    if count == 1:
        return list(frames[:1])
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def _shown(one: Observation) -> Evidence:
    return Evidence(one.time_s, one.score, one.detector, one.model, one.box, one.text)
