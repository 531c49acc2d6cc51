"""What each label scores in scenes that were looked at, from the store alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stash_sense_plugin.detectors.clip import ZeroShot, ZeroShotLabel
from stash_sense_plugin.library.store import Store, StoredAnalysis
from stash_sense_plugin.records import Detector, Fingerprint, Sample
from stash_sense_plugin.suggestions import Seen, holding, robust_score
from stash_sense_plugin.timeline import (
    by_word,
    rule_for,
    sample_scores,
    samples_of,
    time_ranges,
)
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
        words_of: Mapping[str, str],
        max_gap_s: float,
        check: Check,
    ) -> None:
        """`words_of` names the word list of each object network, by the model's name."""
        self._store = store
        self._zero_shot = zero_shot
        self._detectors = detectors
        self._words_of = words_of
        self._max_gap_s = max_gap_s
        self._check = check
        self._prompted = vocabulary.zero_shot
        self._worded = [label for label in vocabulary.labels.values() if not label.prompts]

    def scores(self, files: Sequence[Fingerprint], duration_s: float | None) -> dict[str, Score]:
        """Return by name the scores of the labels that somebody looked for.

        The first file counts of which a look is kept. Raises ModelError where the prompts cannot be
        read.
        """
        self._check()
        looks = self._looks(files)
        measured = [look.duration_s for look in looks if look.duration_s]
        length_s = max(measured) if measured else duration_s
        found: dict[str, Score] = {}
        for seen in self._seen(looks, length_s):
            score = _score(seen, length_s)
            before = found.get(seen.label.name)
            if before is None or (before.holds, before.score) < (score.holds, score.score):
                found[seen.label.name] = score
        return found

    def _looks(self, files: Sequence[Fingerprint]) -> list[StoredAnalysis]:
        """The newest looks of the detectors that are switched on.

        What an older model saw counts as well, but for CLIP's, whose prompts are of one model.
        """
        for file in files:
            looks = []
            for detector in self._detectors:
                model = detector.model if detector.name in ("clip", "objects") else None
                look = self._store.latest_analysis(file, detector.name, model)
                if look is not None:
                    looks.append(look)
            if looks:
                return looks
        return []

    def _seen(self, looks: Sequence[StoredAnalysis], length_s: float | None) -> Iterator[Seen]:
        for look in looks:
            if look.ran.detector == "clip":
                yield from self._by_prompts(look, length_s)
            else:
                yield from self._by_words(look, length_s)

    def _by_words(self, look: StoredAnalysis, length_s: float | None) -> Iterator[Seen]:
        words = by_word(look.observations)
        scale = self._scale(look)
        for label in self._worded:
            if label.scale != scale:
                continue
            found = [each for word in label.words for each in words.get(word, ())]
            samples = sample_scores(look.times_s, found, label)
            yield self._with_ranges(label, look, samples, length_s)

    def _by_prompts(self, look: StoredAnalysis, length_s: float | None) -> Iterator[Seen]:
        frames = [each for each in look.observations if each.vector is not None]
        if self._zero_shot is None or not frames or not self._prompted:
            return
        vectors = np.stack([each.vector for each in frames if each.vector is not None])
        times_s = [each.time_s for each in frames]
        asked = [_asked(label) for label in self._prompted]
        told = self._zero_shot.scores(vectors, asked, self._check)
        for label in self._prompted:
            samples = samples_of(times_s, told[label.name].tolist())
            yield self._with_ranges(label, look, samples, length_s)

    def _with_ranges(
        self,
        label: Label,
        look: StoredAnalysis,
        samples: tuple[Sample, ...],
        length_s: float | None,
    ) -> Seen:
        rule = rule_for(label, self._max_gap_s)
        ranges = time_ranges(label.name, samples, length_s, rule)
        return Seen(label, look.ran.detector, look.ran.model, samples, ranges)

    def _scale(self, look: StoredAnalysis) -> str:
        """Whose words a look is in: an object network's word list, else the detector's name."""
        if look.ran.detector != "objects":
            return look.ran.detector
        return self._words_of.get(look.ran.model.partition("@")[0], "")


def _score(seen: Seen, length_s: float | None) -> Score:
    """What deciding goes by; where it decides nothing, the best few frames."""
    held = holding(seen, length_s)
    if held is not None:
        return Score(robust_score(held.scores, held.looks, held.label.stay), holds=True)
    best = robust_score([sample.score for sample in seen.samples], len(seen.samples), 0.0)
    return Score(best, holds=False)


def _asked(label: Label) -> ZeroShotLabel:
    return ZeroShotLabel(
        label.name, label.prompts, label.negatives, label.exclusive, label.templates
    )
