"""What a network says counts only where its gate is open: where another saw what it is about.

Applied when deciding, so that one store serves whatever gates there are.
"""

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from stash_sense_plugin.inference.catalogue import Catalogue
from stash_sense_plugin.pipeline.parts import Gate, Look, network_of, source_of
from stash_sense_plugin.records import Observation, Skipped

Gates = Mapping[str, Gate]
"""By the network's name."""

WordsOf = Mapping[str, str]
"""The word list of each network that has one, by its name."""


def gates_of(catalogue: Catalogue) -> dict[str, Gate]:
    """Return the gates of the networks that have one, by their names."""
    return {
        card.name: Gate(card.gate.words, card.gate.at_least)
        for card in catalogue
        if card.gate is not None
    }


def through_gates(
    looks: Sequence[Look], gates: Gates, words_of: WordsOf
) -> tuple[list[Look], list[Skipped]]:
    """Return the looks with what they saw while their gates were open.

    A frame that was looked at and found closed shows nothing: what the network is about is not
    there. Where nobody looked for what opens a gate, the look behind it is left out, and told of.
    """
    passed: list[Look] = []
    skipped: list[Skipped] = []
    for look in looks:
        gate = gates.get(network_of(look.ran))
        if gate is None:
            passed.append(look)
        elif keepers := [_Keeper(gate, each) for each in _openers(gate, look, looks, words_of)]:
            seen = tuple(_let_through(look.observations, keepers))
            passed.append(replace(look, observations=seen))
        else:
            skipped.append(_unguarded(look, gate, words_of))
    return passed, skipped


def _openers(gate: Gate, look: Look, looks: Sequence[Look], words_of: WordsOf) -> list[Look]:
    """Return the looks that speak the gate's words; no network opens its own gate."""
    return [
        other
        for other in looks
        if other is not look and other.times_s and source_of(other.ran, words_of) in gate.sources
    ]


def _let_through(
    seen: Sequence[Observation], keepers: Sequence["_Keeper"]
) -> Iterator[Observation]:
    for each in seen:
        if any(keeper.is_open(each.time_s) for keeper in keepers):
            yield each


class _Keeper:
    """One look that opens a gate, and when it does."""

    def __init__(self, gate: Gate, look: Look) -> None:
        self._times_s = sorted(set(look.times_s))
        words = frozenset(gate.words)
        self._open = {
            self._nearest(each.time_s)
            for each in look.observations
            if each.label in words and each.score >= gate.at_least
        }

    def is_open(self, time_s: float) -> bool:
        """Whether it was at the frame nearest to a time, if that is not more than a step away."""
        place = self._nearest(time_s)
        return place in self._open and self._is_near(place, time_s)

    def _nearest(self, time_s: float) -> int:
        times = self._times_s
        after = min(bisect.bisect_left(times, time_s), len(times) - 1)
        return min((max(0, after - 1), after), key=lambda at: abs(times[at] - time_s))

    def _is_near(self, place: int, time_s: float) -> bool:
        """A frame alone stands for its whole scene, or is a picture."""
        times = self._times_s
        sides = (place - 1, place + 1)
        steps = [abs(times[at] - times[place]) for at in sides if 0 <= at < len(times)]
        return not steps or abs(times[place] - time_s) <= max(steps)


def _unguarded(look: Look, gate: Gate, words_of: WordsOf) -> Skipped:
    able = sorted(name for name, words in words_of.items() if words in gate.sources)
    return Skipped(
        f"{look.ran.detector} ({look.ran.model})",
        f"What it sees means nothing without {' or '.join(gate.words)}, and no network looked for"
        " that here",
        f"let the scene be tagged with one of {', '.join(able)}"
        if able
        else f"no network of the catalogue has the words {' or '.join(sorted(gate.sources))}: mend"
        f" the gate of {network_of(look.ran)}",
    )
