"""The second half of the flow: what was seen -> time ranges -> suggestions."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stash_sense_plugin.detectors.clip import ZeroShot, ZeroShotLabel
from stash_sense_plugin.errors import ModelError
from stash_sense_plugin.identity import studio
from stash_sense_plugin.pipeline.parts import Look, Parts
from stash_sense_plugin.records import (
    FrameSource,
    ReadText,
    Reporter,
    Scene,
    SceneResult,
    Skipped,
    Suggestion,
)
from stash_sense_plugin.suggestions import DecideOptions, Seen, decide, restrain
from stash_sense_plugin.timeline import (
    by_word,
    read_texts,
    rule_for,
    sample_scores,
    samples_of,
    time_ranges,
)
from stash_sense_plugin.vocabulary import Label


def conclude(
    scene: Scene,
    looks: Sequence[Look],
    skipped: Sequence[Skipped],
    parts: Parts,
    reporter: Reporter,
) -> SceneResult:
    """Decide from what was seen alone; no frame is read and no image network run."""
    duration_s = _duration(scene, looks)
    seen, more_skipped = _labels_seen(looks, duration_s, parts, reporter)
    readers = [look for look in looks if look.ran.detector == "text"]
    texts = tuple(_texts(readers, duration_s, parts.options))
    tags = decide(seen, duration_s, parts.options)
    studios = _studios(readers, texts, duration_s, parts)
    return SceneResult(
        source=scene.source,
        duration_s=duration_s,
        frames=_frame_counts(looks),
        suggestions=restrain((*tags, *studios), parts.options),
        texts=texts,
        ran=tuple(look.ran for look in looks),
        skipped=(*skipped, *more_skipped),
    )


def _texts(
    looks: Sequence[Look], duration_s: float | None, options: DecideOptions
) -> Iterator[ReadText]:
    for look in looks:
        yield from read_texts(look.observations, look.times_s, duration_s, options.max_gap_s)


def _duration(scene: Scene, looks: Sequence[Look]) -> float | None:
    """Return the scene's length as the frames' own source knows it, else as Stash says."""
    measured = [look.duration_s for look in looks if look.duration_s]
    return max(measured) if measured else scene.duration_s


def _frame_counts(looks: Sequence[Look]) -> dict[FrameSource, int]:
    """Count each sampling's frames once, however many detectors saw them."""
    counts = {(look.source, look.sampling_key): len(look.times_s) for look in looks}
    total = dict.fromkeys(FrameSource, 0)
    for (source, _), count in counts.items():
        total[source] += count
    return total


def _labels_seen(
    looks: Sequence[Look], duration_s: float | None, parts: Parts, reporter: Reporter
) -> tuple[list[Seen], list[Skipped]]:
    seen: list[Seen] = []
    skipped: list[Skipped] = []
    for look in looks:
        if look.ran.detector != "clip":
            seen += _words_seen(look, duration_s, parts)
        elif parts.zero_shot is not None:
            try:
                seen += _prompts_seen(look, duration_s, parts, parts.zero_shot, reporter)
            except ModelError as error:
                name = f"{look.ran.detector} ({look.ran.model})"
                skipped.append(Skipped(name, error.message, error.remedy))
    return seen, skipped


def _words_seen(look: Look, duration_s: float | None, parts: Parts) -> Iterator[Seen]:
    """Yield the vocabulary's labels whose words this detector uses."""
    words = by_word(look.observations)
    for label in parts.vocabulary.labels.values():
        found = [each for word in label.words for each in words.get(word, ())]
        if not found:
            continue
        samples = sample_scores(look.times_s, found, label)
        rule = rule_for(label, parts.options.max_gap_s)
        ranges = time_ranges(label.name, samples, duration_s, rule)
        yield Seen(label, look.ran.detector, look.ran.model, samples, ranges, tuple(found))


def _prompts_seen(
    look: Look, duration_s: float | None, parts: Parts, zero_shot: ZeroShot, reporter: Reporter
) -> Iterator[Seen]:
    """Yield the labels that are scored by their prompts against the frames' embeddings."""
    frames = [each for each in look.observations if each.vector is not None]
    labels = parts.vocabulary.zero_shot
    if not frames or not labels:
        return
    vectors = np.stack([each.vector for each in frames if each.vector is not None])
    times_s = [each.time_s for each in frames]
    asked = [_asked(each) for each in labels]
    scores: Mapping[str, np.ndarray] = zero_shot.scores(vectors, asked, reporter.check)
    for label in labels:
        samples = samples_of(times_s, scores[label.name].tolist())
        rule = rule_for(label, parts.options.max_gap_s)
        ranges = time_ranges(label.name, samples, duration_s, rule)
        yield Seen(label, look.ran.detector, look.ran.model, samples, ranges)


def _asked(label: Label) -> ZeroShotLabel:
    return ZeroShotLabel(
        label.name, label.prompts, label.negatives, label.exclusive, label.templates
    )


def _studios(
    looks: Sequence[Look], read: Sequence[ReadText], duration_s: float | None, parts: Parts
) -> Iterator[Suggestion]:
    apply = studio.APPLY if parts.options.apply is None else parts.options.apply
    for look in looks:
        yield from studio.match_studios(
            look.observations, parts.studios, look.times_s, duration_s, read, apply=apply
        )
