"""The second half of the flow: what was seen -> time ranges -> suggestions.

One scene and a whole library go through the same lines, so that nothing is decided otherwise.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice, repeat

import numpy as np

from stash_sense_plugin.detectors.clip import Columns, ZeroShotLabel
from stash_sense_plugin.errors import ModelError, StoreError
from stash_sense_plugin.identity import studio
from stash_sense_plugin.library.analyses import Embedded, StoredAnalysis
from stash_sense_plugin.library.looks import Kept, Wanted, kept_looks, read_looks
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.pipeline.gating import through_gates
from stash_sense_plugin.pipeline.parts import (
    NAMELESS,
    DecideScene,
    Look,
    Parts,
    recalled,
    source_of,
)
from stash_sense_plugin.records import (
    Decision,
    Detector,
    FrameSource,
    ReadText,
    Reporter,
    Scene,
    SceneResult,
    Skipped,
    Suggestion,
)
from stash_sense_plugin.suggestions import (
    DecideOptions,
    Held,
    Learnt,
    Seen,
    decide_held,
    hold,
    holding,
    restrain,
)
from stash_sense_plugin.timeline import (
    Frames,
    by_word,
    read_texts,
    rule_for,
    sample_scores,
    showing,
)
from stash_sense_plugin.vocabulary import Label

PAGE = 256
"""Scenes whose kept looks are listed at a time."""

MOST_BLOCK_BYTES = 16_000_000
"""Vectors in memory for each of the blocks that are under way, two at a time, as float32; one scene
may have more."""

MOST_BLOCK = 128
"""Scenes in a block, at most: they may have no vectors, and much else."""

NEARLY = np.float32(1e-5)
"""How far float32 may be from what a threshold is compared with in the end."""

Looks = list[StoredAnalysis] | StoreError
_Block = list[tuple[DecideScene, Kept]]


def conclude(
    scene: Scene,
    looks: Sequence[Look],
    skipped: Sequence[Skipped],
    parts: Parts,
    reporter: Reporter,
) -> SceneResult:
    """Decide from what was seen alone; no frame is read and no image network run."""
    decider = Decider(parts, reporter.check)
    return decider.conclude(scene.source, scene.duration_s, looks, skipped, parts.options)


def decide_all(
    store: Store, scenes: Iterable[DecideScene], parts: Parts, reporter: Reporter
) -> Iterator[tuple[DecideScene, SceneResult, bytes]]:
    """Decide scenes from the store, in their order: each with its result and the result's digest.

    What the detectors of `parts` saw counts (see `kept_looks`). A scene of which nothing is kept,
    or of which what is kept is damaged, is left out, the latter with a warning. Memory holds two
    blocks of vectors, whatever the number of scenes. Raises Cancelled between scenes.
    """
    decider = Decider(parts, reporter.check)
    for scene, found in _looked(store, scenes, parts):
        reporter.check()
        if isinstance(found, StoreError):
            reporter.log("warning", f"{scene.known.source} is left as it is: {found.message}")
            continue
        looks = [recalled(each, parts.floor) for each in found]
        options = replace(parts.options, accepted=scene.accepted, refused=scene.refused)
        known = scene.known
        result = decider.conclude(known.source, known.duration_s, looks, parts.skipped, options)
        yield scene, result, digest(result)


def digest(result: SceneResult) -> bytes:
    """Return 16 bytes that change when anything changes that a user sees decided.

    That is each suggestion which is not hidden, in whatever order: what it is, how sure, what
    becomes of it, when it was there, and which detectors say so.
    """
    facts = sorted(
        (
            each.kind,
            each.name,
            each.target_id or "",
            each.label,
            round(each.confidence * 10_000),
            int(each.decision),
            [(round(part.start_s * 1000), round(part.end_s * 1000)) for part in each.ranges],
            sorted({(shown.detector, shown.model) for shown in each.evidence}),
        )
        for each in result.suggestions
        if each.decision is not Decision.HIDE
    )
    return hashlib.blake2b(repr(facts).encode("utf-8", "replace"), digest_size=16).digest()


# --- Reading ahead ------------------------------------------------------------------------------


def _words(parts: Parts) -> frozenset[str]:
    """Return the words that deciding asks for; studios and texts are in what is read."""
    labels = (word for label in parts.vocabulary.labels.values() for word in label.words)
    return frozenset({"text", *labels, *(w for gate in parts.gates.values() for w in gate.words)})


def _looked(
    store: Store, scenes: Iterable[DecideScene], parts: Parts
) -> Iterator[tuple[DecideScene, Looks]]:
    """Yield scenes with what is kept of them; while one block is decided, the next is read."""
    words = _words(parts)
    wanted = [_wanted(each) for each in parts.detectors if each.name not in NAMELESS]
    blocks = _blocks(store, scenes, wanted, parts.words_of)
    with ThreadPoolExecutor(1, thread_name_prefix="stash-sense-store") as reader:
        under_way: tuple[_Block, Future[dict[int, Looks]]] | None = None
        for block in blocks:
            ahead = reader.submit(read_looks, store, [kept for _, kept in block], words)
            if under_way is not None:
                yield from _joined(*under_way)
            under_way = block, ahead
        if under_way is not None:
            yield from _joined(*under_way)


def _joined(block: _Block, read: Future[dict[int, Looks]]) -> Iterator[tuple[DecideScene, Looks]]:
    found = read.result()
    for scene, kept in block:
        yield scene, found[kept.file_id]


def _blocks(
    store: Store,
    scenes: Iterable[DecideScene],
    wanted: Sequence[Wanted],
    words_of: Mapping[str, str],
) -> Iterator[_Block]:
    """Part the scenes of which something is kept, so that the vectors of a part fit in memory."""
    rest = iter(scenes)
    while page := list(islice(rest, PAGE)):
        kept = kept_looks(store, [each.known.file_id for each in page], wanted, words_of)
        block: _Block = []
        held = 0
        for scene in page:
            looks = kept.get(scene.known.file_id)
            if looks is None:
                continue
            held += 2 * looks.vector_bytes
            if block and (held > MOST_BLOCK_BYTES or len(block) == MOST_BLOCK):
                yield block
                block, held = [], 2 * looks.vector_bytes
            block.append((scene, looks))
        if block:
            yield block


def _wanted(detector: Detector) -> Wanted:
    try:
        return detector.name, detector.model
    except ModelError:
        return detector.name, None


# --- Deciding -----------------------------------------------------------------------------------


class Decider:
    """Decides scenes by one vocabulary; what all scenes share is laid out once."""

    def __init__(self, parts: Parts, check: Callable[[], None]) -> None:
        """`check` is called before texts are read by a network, and may raise to stop."""
        self._parts = parts
        self._check = check
        self._learnt = Learnt(parts.fitted, parts.thresholds)
        labels = parts.vocabulary.labels.values()
        self._rules = {label.name: rule_for(label, parts.options.max_gap_s) for label in labels}
        self._by_word: defaultdict[str, list[Label]] = defaultdict(list)
        self._sources: defaultdict[str, list[Label]] = defaultdict(list)
        for label in labels:
            self._sources[label.thing].append(label)
            for word in label.words:
                self._by_word[word].append(label)
        self._zero_shot = parts.vocabulary.zero_shot
        self._prompts: _Prompts | None = None

    def conclude(
        self,
        source: str,
        duration_s: float | None,
        looks: Sequence[Look],
        skipped: Sequence[Skipped],
        options: DecideOptions,
    ) -> SceneResult:
        """Decide one scene from what was seen of it."""
        length_s = _duration(duration_s, looks)
        open_looks, gated = through_gates(looks, self._parts.gates, self._parts.words_of)
        held, silent, more_skipped = self._held(open_looks, length_s)
        readers = [look for look in looks if look.ran.detector == "text"]
        texts = tuple(_texts(readers, length_s, options))
        tags = decide_held(held, length_s, options, self._learnt, silent)
        studios = self._studios(readers, texts, length_s, options)
        return SceneResult(
            source=source,
            duration_s=length_s,
            frames=_frame_counts(looks),
            suggestions=restrain((*tags, *studios), options),
            texts=texts,
            ran=tuple(look.ran for look in looks),
            skipped=(*skipped, *gated, *more_skipped),
        )

    def _held(
        self, looks: Sequence[Look], duration_s: float | None
    ) -> tuple[list[Held], list[Label], list[Skipped]]:
        """Return what was there, the sources of it that looked and saw too little, and what failed.

        A source comes as often as networks of it did so.
        """
        held: list[Held] = []
        skipped: list[Skipped] = []
        looked: Counter[str] = Counter()
        for look in looks:
            try:
                seen = self._seen(look, duration_s)
            except ModelError as error:
                name = f"{look.ran.detector} ({look.ran.model})"
                skipped.append(Skipped(name, error.message, error.remedy))
                continue
            if seen is not None:
                held += seen
                looked[source_of(look.ran, self._parts.words_of)] += 1
        return held, list(self._silent(held, looked)), skipped

    def _seen(self, look: Look, duration_s: float | None) -> Iterable[Held] | None:
        """Return the labels that were there by one look; None where it cannot tell."""
        if look.ran.detector != "clip":
            return self._by_words(look, duration_s) if look.times_s else None
        if self._parts.zero_shot is None or not self._zero_shot:
            return None
        embedded = look.embedded or _embedded(look)
        # All of it here: what breaks in it is this look's.
        return None if embedded is None else list(self._by_prompts(look, embedded, duration_s))

    def _silent(self, held: Iterable[Held], looked: Mapping[str, int]) -> Iterator[Label]:
        """Yield the sources of what was there that looked and saw too little of it."""
        saw = Counter(one.label.name for one in held)
        for thing in dict.fromkeys(one.label.thing for one in held):
            for label in self._sources[thing]:
                yield from repeat(label, looked.get(label.source, 0) - saw[label.name])

    def _by_words(self, look: Look, duration_s: float | None) -> Iterator[Held]:
        """Yield the labels that were there by the words of this detector."""
        words = by_word(look.observations)
        labels = {each.name: each for word in words for each in self._by_word.get(word, ())}
        frames = Frames.at(look.times_s, duration_s)
        for label in labels.values():
            found = showing(label, (each for word in label.words for each in words.get(word, ())))
            # A range begins with a frame of `enter`, and no frame has more than its best.
            if all(each.score < label.enter for each in found):
                continue
            samples = sample_scores(look.times_s, found, label)
            scores = [sample.score for sample in samples]
            ranges = frames.ranges(label.thing, scores, self._rules[label.name])
            seen = Seen(label, look.ran.detector, look.ran.model, samples, ranges, tuple(found))
            if (held := holding(seen, duration_s)) is not None:
                yield held

    def _by_prompts(
        self, look: Look, embedded: Embedded, duration_s: float | None
    ) -> Iterator[Held]:
        """Yield the labels that were there by their prompts against the frames' vectors."""
        frames = Frames.at(embedded.times_s, duration_s)
        for label, per_frame in self._prompted().near(embedded):
            scores = frames.best(per_frame)
            ranges = frames.ranges(label.thing, scores, self._rules[label.name])
            detector, model, times = look.ran.detector, look.ran.model, frames.times_s
            held = hold(label, detector, model, times, scores, ranges, duration_s)
            if held is not None:
                yield held

    def _prompted(self) -> "_Prompts":
        if self._prompts is None:
            assert self._parts.zero_shot is not None
            asked = [in_words(each) for each in self._zero_shot]
            columns = self._parts.zero_shot.columns(asked, self._check)
            self._prompts = _Prompts(columns, self._zero_shot)
        return self._prompts

    def _studios(
        self,
        looks: Sequence[Look],
        read: Sequence[ReadText],
        duration_s: float | None,
        options: DecideOptions,
    ) -> Iterator[Suggestion]:
        apply = studio.APPLY if options.apply is None else options.apply
        for look in looks:
            yield from studio.match_studios(
                look.observations, self._parts.studios, look.times_s, duration_s, read, apply=apply
            )


class _Prompts:
    """The labels that are scored by prompts, and the scores from which they are looked into."""

    def __init__(self, columns: Columns, labels: Iterable[Label]) -> None:
        by_name = {label.name: label for label in labels}
        self._columns = columns
        self._labels = [by_name[name] for name in columns.names]
        self._enters = np.array([each.enter for each in self._labels], np.float32) - NEARLY

    def near(self, embedded: Embedded) -> Iterator[tuple[Label, list[float]]]:
        """Yield the labels that some frame may show, with the scores of all frames.

        A label's range begins with a frame of `enter` or more: without one it was not there.
        """
        leads = self._columns.leads(embedded.vectors)
        near = np.flatnonzero(leads.best() >= self._enters)
        scores = np.clip(np.nan_to_num(leads.of(near)), 0, 1)
        for column, per_frame in zip(near, scores.T.tolist(), strict=True):
            yield self._labels[column], per_frame


def _embedded(look: Look) -> Embedded | None:
    """Return the vectors among a look's observations, where there are any."""
    frames = [each for each in look.observations if each.vector is not None]
    if not frames:
        return None
    vectors = np.stack([each.vector for each in frames if each.vector is not None])
    return Embedded(tuple(each.time_s for each in frames), vectors)


def in_words(label: Label) -> ZeroShotLabel:
    """Return what CLIP is asked for a label."""
    return ZeroShotLabel(
        label.name, label.prompts, label.negatives, label.exclusive, label.templates
    )


def _texts(
    looks: Sequence[Look], duration_s: float | None, options: DecideOptions
) -> Iterator[ReadText]:
    for look in looks:
        yield from read_texts(look.observations, look.times_s, duration_s, options.max_gap_s)


def _duration(told_s: float | None, looks: Sequence[Look]) -> float | None:
    """Return the scene's length as the frames' own source knows it, else as it was told."""
    measured = [look.duration_s for look in looks if look.duration_s]
    return max(measured) if measured else told_s


def _frame_counts(looks: Sequence[Look]) -> dict[FrameSource, int]:
    """Count each sampling's frames once, however many detectors saw them."""
    counts = {(look.source, look.sampling_key): look.ran.frames for look in looks}
    total = dict.fromkeys(FrameSource, 0)
    for (source, _), count in counts.items():
        total[source] += count
    return total
