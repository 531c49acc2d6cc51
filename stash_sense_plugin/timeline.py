"""Joins what was seen in single frames into stretches of time: pure, no clock, disk or network.

A sample stands for the time to the midpoints with its neighbours, clipped to the scene; a range is
a union of these.
"""

import functools
import itertools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from rapidfuzz import fuzz, process

from stash_sense_plugin.records import Observation, ReadText, Sample, TimeRange
from stash_sense_plugin.vocabulary import Label

STEPS_BRIDGED = 1.5
"""A hole of this many local sampling steps is always joined: one frame missed, never two."""

DEFAULT_CAP_S = 30.0
"""The longest hole that a label's own gap may join, unless the user says otherwise."""

SAME_TEXT_PERCENT = 85.0
"""Two readings at least this alike (rapidfuzz ratio, without spaces) are one text misread."""

SHORT_TEXT = 4
"""Readings of fewer letters than this are the same text only when they are equal."""

LONGEST_TEXT = 200
"""Letters of a reading that are compared: more is noise, and would cost quadratic time."""

READ_AT_ALL = 1e-6
"""The least score of a reading: the detector's own floor has already decided."""

TEXT_GAP_S = 10.0
"""A text that is not read for so long still stands there: a busy picture hides a watermark."""

LEAST_SURE = 0.8
"""The least score of a text's best reading. What recognition makes of fur, grass and lattices
scores 0.5 to 0.8; letters, however small, have a frame in which they are read at 0.9 or more."""

MOST_TEXTS = 1000
"""Different readings told apart in one scene; rarer ones beyond them are left out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How samples of one label become ranges; thresholds are on the detector's own score."""

    enter: float
    """A range begins with a sample of at least this."""
    stay: float
    """It goes on, to both sides, while samples are at least this."""
    gap_s: float = 0.0
    """Two ranges this near to each other become one."""
    grow: float = 0.0
    """Seconds of gap that each second of the longer of the two ranges adds."""
    cap_s: float = DEFAULT_CAP_S
    """The gap, however grown, is never above this; only the sampling step is."""
    shortest_s: float = 0.0
    """Ranges shorter than this are dropped; never more than half of the scene is asked for."""
    shortest_fraction: float = 0.0
    """All ranges are dropped when together they hold for less than this part of the scene."""

    def __post_init__(self) -> None:
        if not self.stay <= self.enter:
            raise ValueError(f"stay {self.stay} is above enter {self.enter}")
        rest = (self.gap_s, self.grow, self.cap_s, self.shortest_s, self.shortest_fraction)
        if not all(value >= 0 for value in rest):
            raise ValueError(f"gap, growth, cap and shortest are 0 or more, not {rest}")


def rule_for(label: Label, cap_s: float = DEFAULT_CAP_S) -> Rule:
    """The vocabulary's thresholds and gaps of a label, as a rule."""
    return Rule(
        enter=label.enter,
        stay=label.stay,
        gap_s=label.gap_s,
        grow=label.grow,
        cap_s=cap_s,
        shortest_s=label.shortest_s,
        shortest_fraction=label.shortest_percent / 100,
    )


# --- Observations to samples --------------------------------------------------------------------


def by_word(observations: Iterable[Observation]) -> dict[str, list[Observation]]:
    """Sort observations by the detector's word, so that each label reads only its own."""
    found: defaultdict[str, list[Observation]] = defaultdict(list)
    for observation in observations:
        found[observation.label].append(observation)
    return dict(found)


def sample_scores(
    times_s: Sequence[float], observations: Iterable[Observation], label: Label
) -> tuple[Sample, ...]:
    """How strongly a label was seen at each sampled time, in order of time; 0 where it was not.

    `times_s` are the times of the frames that were looked at, by one detector in one sampling.
    An observation belongs to the nearest of them, so that a time that went through the store, or
    the asked-for time of a keyframe, still finds its frame.
    """
    times = sorted({t for t in times_s if math.isfinite(t)})
    seen: list[list[float]] = [[] for _ in times]
    for observation in observations:
        if times and _counts(observation, label):
            seen[_nearest(times, observation.time_s)].append(observation.score)
    return tuple(
        Sample(time, _count_score(scores, label)) for time, scores in zip(times, seen, strict=True)
    )


def _counts(observation: Observation, label: Label) -> bool:
    """Whether an observation is one of the label's words, and large enough."""
    if observation.label not in label.words or not math.isfinite(observation.time_s):
        return False
    box = observation.box
    return box is None or box.w * box.h >= label.min_share


def _count_score(scores: list[float], label: Label) -> float:
    """How sure it is that at least `min_count` and at most `max_count` were seen.

    At least n is as sure as the n-th best; at most m is as unsure as the one after the m-th.
    """
    if not scores:
        return 0.0
    ranked = sorted((_unit(score) for score in scores), reverse=True)
    if len(ranked) < label.min_count:
        return 0.0
    score = ranked[label.min_count - 1]
    if label.max_count is not None and len(ranked) > label.max_count:
        score = min(score, 1.0 - ranked[label.max_count])
    return score


def _unit(score: float) -> float:
    return min(1.0, max(0.0, score)) if math.isfinite(score) else 0.0


def _nearest(times: Sequence[float], time_s: float) -> int:
    """Index of the nearest of sorted times; the earlier of two equally near."""
    low, high = 0, len(times) - 1
    while low < high:
        middle = (low + high) // 2
        if times[middle + 1] - time_s < time_s - times[middle]:
            low = middle + 1
        else:
            high = middle
    return low


# --- Phrases --------------------------------------------------------------------------------------


def showing(label: Label, found: Iterable[Observation]) -> list[Observation]:
    """Return those of a label's observations in which it is: of texts, those with its phrases.

    Recognition drops and adds spaces and stops freely, so they do not count, nor does case: a
    phrase is whole words in a row whose letters, put together, are its own. One in a script that
    puts no spaces between words is found anywhere; one that begins with a dot needs it.
    """
    if not label.reads:
        return list(found)
    return [each for each in found if each.text and _reads(label.reads, each.text)]


def _reads(phrases: Iterable[str], text: str) -> bool:
    return any(_is_read(phrase, text) for phrase in phrases)


def _is_read(phrase: str, text: str) -> bool:
    key, _ = _bare(phrase)
    bare, words = _bare(text)
    if not key:
        # All signs, such as a heart: they are what is looked for.
        return _letters(phrase) in _letters(text)
    if unicodedata.east_asian_width(key[0]) == "W" or _UNSPACED.match(key):
        return key in bare
    if phrase.startswith("."):
        plain = unicodedata.normalize("NFKC", text).casefold()
        return re.search(rf"\.\s*{re.escape(key)}(?![^\W_])", plain) is not None
    return any(
        "".join(words[first:last]) == key
        for first in range(len(words))
        for last in range(first + 1, min(len(words), first + len(key)) + 1)
    )


_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Thai, Lao, Burmese and Khmer letters: these scripts too part no words."""


@functools.lru_cache(maxsize=4096)
def _bare(text: str) -> tuple[str, tuple[str, ...]]:
    """A text's letters and digits alone, in one piece and as words; case does not matter."""
    words = tuple(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))
    return "".join(words), words


# --- Samples to ranges --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of samples, by index, and the time that they stand for."""

    first: int
    last: int
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


def time_ranges(
    label: str, samples: Iterable[Sample], duration_s: float | None, rule: Rule
) -> tuple[TimeRange, ...]:
    """The stretches of a scene where a label holds: sorted, disjoint and within the scene.

    Samples may come in any order; the best counts where a time comes twice. A picture, or a scene
    of unknown length, has no ranges.
    """
    held = list(samples)
    frames = Frames.at([sample.time_s for sample in held], duration_s)
    return frames.ranges(label, frames.scores([sample.score for sample in held]), rule)


@dataclass(frozen=True, slots=True)
class Frames:
    """The times at which frames of one scene were looked at, laid out once for all labels."""

    times_s: tuple[float, ...]
    """Different ones, in order."""
    duration_s: float | None
    """None for a picture, and where the length is not known."""
    places: tuple[int, ...] | None
    """For each frame the place of its time, -1 where it has none; None where all are in order."""
    inside: "Frames | None"
    """The same in the scene: a time outside it moves to its nearer end. None where none is."""
    edges_s: tuple[float, ...] = ()
    """Where the times meet: a frame stands for edges_s[i] to edges_s[i + 1]."""

    @classmethod
    def at(cls, times_s: Sequence[float], duration_s: float | None) -> Self:
        """Lay out frames that may come in any order, and some at one time."""
        times, places = _distinct(times_s)
        if duration_s is None or not 0 < duration_s < math.inf:
            return cls(times, None, places, None)
        inside = None
        # Stash rounds durations, so the last frame may lie a little behind the end.
        if times and (times[0] < 0.0 or times[-1] > duration_s):
            inside = cls.at([min(max(time, 0.0), duration_s) for time in times], duration_s)
        middles = [a + (b - a) / 2 for a, b in itertools.pairwise(times)]
        return cls(times, duration_s, places, inside, (0.0, *middles, duration_s))

    def scores(self, scores: Iterable[float]) -> list[float]:
        """Return one score per time from one per frame: the best, where a time comes twice.

        A score that is not a number counts as not seen.
        """
        return self.best([_unit(score) for score in scores])

    def best(self, scores: list[float]) -> list[float]:
        """Return the same of scores that are known to be within 0..1."""
        if self.places is None:
            return scores
        best = [0.0] * len(self.times_s)
        for place, score in zip(self.places, scores, strict=True):
            if place >= 0:
                best[place] = max(best[place], score)
        return best

    def ranges(self, label: str, scores: Sequence[float], rule: Rule) -> tuple[TimeRange, ...]:
        """Return where a label holds: see `time_ranges`; `scores` has one for each time."""
        if self.duration_s is None:
            return ()
        if self.inside is not None:
            return self.inside.ranges(label, self.inside.best(list(scores)), rule)
        runs = _joined(_runs(scores, self.edges_s, rule), self.times_s, rule)
        return tuple(
            TimeRange(label, run.start_s, run.end_s, max(scores[run.first : run.last + 1]))
            for run in _long_enough(runs, self.duration_s, rule)
        )


def _distinct(times_s: Sequence[float]) -> tuple[tuple[float, ...], tuple[int, ...] | None]:
    """Return the different times in order, and the place of each one given."""
    if all(a < b for a, b in itertools.pairwise(times_s)) and all(map(math.isfinite, times_s)):
        return tuple(times_s), None
    times = sorted({time for time in times_s if math.isfinite(time)})
    place = {time: index for index, time in enumerate(times)}
    return tuple(times), tuple(place.get(time, -1) for time in times_s)


def _runs(scores: Sequence[float], edges: Sequence[float], rule: Rule) -> list[_Run]:
    """Unbroken stretches at `stay` or above that reach `enter` somewhere."""
    runs = []
    first: int | None = None
    for index, score in enumerate([*scores, -math.inf]):
        if score >= rule.stay:
            first = index if first is None else first
        elif first is not None:
            if max(scores[first:index]) >= rule.enter:
                runs.append(_Run(first, index - 1, edges[first], edges[index]))
            first = None
    return runs


def _joined(runs: Iterable[_Run], times: Sequence[float], rule: Rule) -> list[_Run]:
    """Join neighbours until no gap may be bridged any more.

    A longer range bridges more, so joining can make room for more joining, to the left too; as it
    never makes less possible, the end is the same in whatever order it is done.
    """
    done: list[_Run] = []
    for run in runs:
        done.append(run)
        while len(done) > 1 and _bridged(done[-2], done[-1], times, rule):
            right, left = done.pop(), done.pop()
            done.append(_Run(left.first, right.last, left.start_s, right.end_s))
    return done


def _bridged(left: _Run, right: _Run, times: Sequence[float], rule: Rule) -> bool:
    """Whether the hole between two runs is within the gap.

    The local step is the mean one between the samples on both sides of the hole: one missed
    sample leaves a hole of exactly a step, however unevenly it lies, and two leave more than 1.5.
    """
    step_s = (times[right.first] - times[left.last]) / (right.first - left.last)
    grown_s = rule.gap_s + rule.grow * max(left.length_s, right.length_s)
    allowed_s = max(STEPS_BRIDGED * step_s, min(grown_s, rule.cap_s))
    return right.start_s - left.end_s <= allowed_s


def _long_enough(runs: Iterable[_Run], duration_s: float, rule: Rule) -> list[_Run]:
    shortest_s = min(rule.shortest_s, duration_s / 2)
    kept = [run for run in runs if run.length_s > 0 and run.length_s >= shortest_s]
    whole_s = math.fsum(run.length_s for run in kept)
    return kept if whole_s >= rule.shortest_fraction * duration_s else []


# --- Text ---------------------------------------------------------------------------------------


def read_texts(
    observations: Iterable[Observation],
    times_s: Sequence[float],
    duration_s: float | None,
    cap_s: float = DEFAULT_CAP_S,
) -> tuple[ReadText, ...]:
    """What stood on the screen and when, in order of time; misreadings of one text are one.

    A text that was nowhere read with some certainty (LEAST_SURE) is none.

    `times_s` are all times at which text was looked for. In a picture, times are 0. What hides a
    text for TEXT_GAP_S, or for `cap_s` where that is less, does not part its time.
    """
    texts = [o for o in observations if o.text and math.isfinite(o.time_s)]
    times = sorted({t for t in times_s if math.isfinite(t)}) or sorted({o.time_s for o in texts})
    found: list[ReadText] = []
    for readings in _same_texts(texts):
        if max(_unit(reading.score) for reading in readings) < LEAST_SURE:
            continue
        found.extend(_standing(_best_reading(readings), readings, times, duration_s, cap_s))
    return tuple(sorted(found, key=lambda t: (t.start_s, t.end_s, -t.score, t.text)))


def _standing(
    text: str,
    readings: Sequence[Observation],
    times: Sequence[float],
    duration_s: float | None,
    cap_s: float,
) -> Iterator[ReadText]:
    """One text over each stretch of time that it stood there; once, at 0, in a picture."""
    best = dict.fromkeys(times, 0.0)
    for reading in readings:
        time = times[_nearest(times, reading.time_s)]
        best[time] = max(best[time], _unit(reading.score))
    if duration_s is None or not 0 < duration_s < math.inf:
        yield ReadText(text, 0.0, 0.0, max(best.values()))
        return
    rule = Rule(enter=READ_AT_ALL, stay=READ_AT_ALL, gap_s=TEXT_GAP_S, cap_s=cap_s)
    samples = [Sample(time, score) for time, score in best.items()]
    for found in time_ranges(text, samples, duration_s, rule):
        yield ReadText(text, found.start_s, found.end_s, found.score)


def _same_texts(texts: Iterable[Observation]) -> list[list[Observation]]:
    """Put readings of one text together, each with the most read text that it resembles."""
    readings: defaultdict[str, list[Observation]] = defaultdict(list)
    for text in texts:
        readings[_letters(text.text or "")].append(text)
    often = sorted(
        (key for key in readings if key),
        key=lambda key: (-len(readings[key]), -max(o.score for o in readings[key]), key),
    )
    groups: dict[str, list[Observation]] = {}
    for key in often[:MOST_TEXTS]:
        groups.setdefault(_resembled(key, groups) or key, []).extend(readings[key])
    return list(groups.values())


def _resembled(key: str, leaders: Iterable[str]) -> str | None:
    """The leader that a reading is most like, if it is like enough to be the same text.

    Numbers are never misread into each other here: part 1 and part 2 are two texts.
    """
    if len(key) < SHORT_TEXT:
        return None
    numbers = _numbers(key)
    long = [each for each in leaders if len(each) >= SHORT_TEXT and _numbers(each) == numbers]
    found = process.extractOne(key, long, scorer=fuzz.ratio, score_cutoff=SAME_TEXT_PERCENT)
    return None if found is None else str(found[0])


def _numbers(key: str) -> list[str]:
    """Runs of digits, but for those that letters O and l are misread into."""
    return [run for run in re.findall(r"\d+", key) if run.strip("01")]


def _letters(text: str) -> str:
    """A reading without case and spaces: recognition drops and adds spaces freely."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())[:LONGEST_TEXT]


def _best_reading(readings: Iterable[Observation]) -> str:
    """The reading to show: the one most often read, then the surest, then the longest."""
    votes: defaultdict[str, list[float]] = defaultdict(list)
    for reading in readings:
        votes[" ".join((reading.text or "").split())].append(_unit(reading.score))
    return max(votes, key=lambda text: (len(votes[text]), max(votes[text]), len(text), text))
