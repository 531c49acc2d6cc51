"""What each label scores in scenes that were looked at, from the store alone."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stash_sense_plugin.detectors.clip import ZeroShot
from stash_sense_plugin.errors import ModelError, StoreError
from stash_sense_plugin.library.looks import EMBEDS, Wanted, file_ids, kept_looks, read_looks
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.pipeline.deciding import in_words
from stash_sense_plugin.pipeline.gating import Gates, WordsOf, through_gates
from stash_sense_plugin.pipeline.parts import NAMELESS, Look, recalled, source_of
from stash_sense_plugin.records import Detector, Fingerprint
from stash_sense_plugin.suggestions import hold, robust_score
from stash_sense_plugin.timeline import Frames, by_word, rule_for, sample_scores, showing
from stash_sense_plugin.vocabulary import Label, Vocabulary

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Score:
    """How strongly a label was seen in a scene."""

    score: float
    """0..1, as the detector's scale has it: what a curve makes a probability."""
    holds: bool
    """Whether it was there for long enough to be suggested."""


class Scorer:
    """Scores the labels of one vocabulary as deciding would, those that do not hold as well."""

    def __init__(
        self,
        store: Store,
        vocabulary: Vocabulary,
        detectors: Sequence[Detector],
        zero_shot: ZeroShot | None,
        words_of: WordsOf,
        gates: Gates,
        max_gap_s: float,
        floor: float,
        check: Check,
    ) -> None:
        """`words_of` names the word list of each network that has one, `gates` what opens it.

        `floor` is the score below which nothing counts that is neither a vector nor a text.
        """
        self._store = store
        self._zero_shot = zero_shot
        self._words_of = words_of
        self._gates = gates
        self._max_gap_s = max_gap_s
        self._floor = floor
        self._check = check
        self.unusable: dict[str, ModelError] = {}
        """Why a detector's labels are not scored, by its name."""
        self.damaged: list[StoreError] = []
        """What was kept of files and cannot be read."""
        self._wanted = [self._want(each) for each in detectors if each.name not in NAMELESS]
        self._prompted = vocabulary.zero_shot
        self._worded = [label for label in vocabulary.labels.values() if not label.prompts]

    def scores(self, files: Sequence[Fingerprint], duration_s: float | None) -> dict[str, Score]:
        """Return by name the scores of the labels that somebody looked for: of each source.

        The first file counts of which a look is kept. A detector that cannot be used scores
        nothing, and is named in `unusable`. Networks of one source are one score, as deciding has
        it (`suggestions.weighed`).
        """
        self._check()
        looks, _ = through_gates(self._looks(files), self._gates, self._words_of)
        measured = [look.duration_s for look in looks if look.duration_s]
        length_s = max(measured) if measured else duration_s
        found: defaultdict[str, list[Score]] = defaultdict(list)
        stays: dict[str, float] = {}
        for label, score in self._scored(looks, length_s):
            found[label.name].append(score)
            stays[label.name] = label.stay
        return {name: _together(each, stays[name]) for name, each in found.items()}

    def _want(self, detector: Detector) -> Wanted:
        try:
            return detector.name, detector.model
        except ModelError as error:
            if detector.name == EMBEDS:
                self.unusable[detector.name] = error
            return detector.name, None

    def _looks(self, files: Sequence[Fingerprint]) -> list[Look]:
        """What deciding goes by (see `kept_looks`), of the first file that can be read."""
        for file_id in file_ids(self._store, files):
            found = kept_looks(self._store, [file_id], self._wanted, self._words_of)
            kept = found.get(file_id)
            if kept is None:
                continue
            read = read_looks(self._store, [kept])[file_id]
            if not isinstance(read, StoreError):
                return [recalled(each, self._floor) for each in read]
            self.damaged.append(read)
        return []

    def _scored(
        self, looks: Sequence[Look], length_s: float | None
    ) -> Iterator[tuple[Label, Score]]:
        for look in looks:
            if look.ran.detector == "clip":
                try:
                    yield from self._by_prompts(look, length_s)
                except ModelError as error:
                    # It would say so of each scene: the prompts are the same for all.
                    self.unusable["clip"], self._zero_shot = error, None
            else:
                yield from self._by_words(look, length_s)

    def _by_words(self, look: Look, length_s: float | None) -> Iterator[tuple[Label, Score]]:
        words = by_word(look.observations)
        source = source_of(look.ran, self._words_of)
        frames = Frames.at(look.times_s, length_s)
        for label in self._worded:
            # Of a network that is in no catalogue any more, what it saw tells its words.
            if label.source == source or not words.keys().isdisjoint(label.words):
                said = (each for word in label.words for each in words.get(word, ()))
                found = showing(label, said)
                samples = sample_scores(look.times_s, found, label)
                yield label, self._score(label, look, frames, [each.score for each in samples])

    def _by_prompts(self, look: Look, length_s: float | None) -> Iterator[tuple[Label, Score]]:
        embedded = look.embedded
        if self._zero_shot is None or embedded is None or not self._prompted:
            return
        frames = Frames.at(embedded.times_s, length_s)
        asked = [in_words(label) for label in self._prompted]
        told = self._zero_shot.scores(embedded.vectors, asked, self._check)
        for label in self._prompted:
            # A score that is not a number counts as not seen.
            within = np.clip(np.nan_to_num(told[label.name], posinf=0.0), 0.0, 1.0)
            yield label, self._score(label, look, frames, frames.best(within.tolist()))

    def _score(self, label: Label, look: Look, frames: Frames, scores: Sequence[float]) -> Score:
        """What deciding goes by; where it decides nothing, the best few frames."""
        ranges = frames.ranges(label.thing, scores, rule_for(label, self._max_gap_s))
        model, times_s, length_s = look.ran.model, frames.times_s, frames.duration_s
        held = hold(label, look.ran.detector, model, times_s, scores, ranges, length_s)
        if held is not None:
            return Score(robust_score(held.scores, held.looks, label.stay), holds=True)
        return Score(robust_score(scores, len(scores), 0.0), holds=False)


def _together(scores: Sequence[Score], stay: float) -> Score:
    """What networks of one source score: the mean, where one holds, else the best."""
    if not any(each.holds for each in scores):
        return max(scores, key=lambda each: each.score)
    told = [each.score if each.holds else stay for each in scores]
    return Score(math.fsum(told) / len(told), holds=True)
