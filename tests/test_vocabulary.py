"""The vocabulary's files: ours is sound, the user's overlays it, and errors name their line."""

import re
from pathlib import Path

import numpy as np
import pytest

from stash_sense_plugin.calibration import SHIPPED
from stash_sense_plugin.detectors.clip import ClipDetector, ZeroShot, ZeroShotLabel
from stash_sense_plugin.errors import VocabularyError
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.media.images import read_image
from stash_sense_plugin.records import (
    Decision,
    Frame,
    FrameSource,
    Sample,
    TimeRange,
    Vectors,
    folded,
)
from stash_sense_plugin.suggestions import DecideOptions, Seen, decide
from stash_sense_plugin.vocabulary import OWN, Label, Vocabulary, load_vocabulary
from tests.real_models import write_overlay

OURS = Path(__file__).resolve().parent.parent / "models" / "vocabulary.yaml"

SMALL = """\
groups:
  place:
    exclusive: true
    templates: ["a photo of {}.", "{}"]
    negatives: [a face]
    enter: 0.6
    stay: 0.4
  thing: {ask: 0.5, apply: 0.8}
labels:
  kitchen: {group: place, tag: Kitchen, prompts: [a kitchen]}
  dog: {group: thing, tag: Dog, classes: [coco/dog], min_share: 0.01}
  dark: {group: thing, tag: Dark, facts: [picture/dark]}
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return write(tmp_path / "ours.yaml", SMALL)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def overlaid(ours: Path, text: str) -> Vocabulary:
    return load_vocabulary(ours, write(ours.parent / "mine.yaml", text))


# --- Ours ---------------------------------------------------------------------------------------


def test_ours_loads_and_has_the_places_and_scales() -> None:
    vocabulary = load_vocabulary(OURS)
    assert len({label.thing for label in vocabulary.labels.values()}) >= 250
    assert {"kitchen", "bedroom", "bathroom", "house front", "street"} <= set(vocabulary.labels)
    assert {label.scale for label in vocabulary.labels.values()} <= SHIPPED.keys()
    assert {group.name for group in vocabulary.groups.values()} == {
        *(label.group for label in vocabulary.labels.values()),
        OWN,
    }


def test_every_tagger_that_ships_speaks_words_of_ours() -> None:
    """Whichever of them somebody chooses, it gives tags."""
    spoken = {label.source for label in load_vocabulary(OURS).labels.values()}
    rows = [card for card in load_catalogue(OURS.parent / "catalogue.yaml") if card.words]
    taggers = [card for card in rows if card.task == "tagger"]
    assert len(taggers) > 1
    assert {card.words for card in taggers} <= spoken


def test_no_mere_class_becomes_a_tag() -> None:
    """COCO knows persons and ties; nobody wants either as a tag."""
    tags = {label.tag.casefold() for label in load_vocabulary(OURS).labels.values()}
    assert not tags & {"person", "people", "tie", "sink", "fork", "man", "woman", "male", "female"}


def test_faces_tell_no_gender() -> None:
    for label in load_vocabulary(OURS).labels.values():
        faces = {word for word in label.classes if word.startswith("nudenet/FACE_")}
        assert faces in (set(), {"nudenet/FACE_FEMALE", "nudenet/FACE_MALE"})


MEASURED = {"coco", "clip-exclusive", "picture", "quality"}
"""The scales that were held against pictures, or that compute what they say."""

UNASKED = {"face close-up"}
"""Written though its network was not measured: its own lines in the vocabulary say why."""


def surely(label: Label) -> Seen:
    """A scene of which every frame has the label with a full score, by this source alone."""
    samples = tuple(Sample(each + 0.5, 1.0) for each in range(10))
    held = (TimeRange(label.name, 0.0, 10.0, 1.0),)
    return Seen(label, "detector", "model@1", samples, held)


@pytest.mark.parametrize("options", [DecideOptions(), DecideOptions(apply=0.5)])
def test_what_nobody_measured_is_asked_about(options: DecideOptions) -> None:
    """Not even the surest score writes it, whatever the setting for all labels is."""
    labels = load_vocabulary(OURS, all_of={"theirs": ("a word",)}).labels.values()
    unsure = [each for each in labels if each.scale not in MEASURED or each.group == "light"]
    assert {each.scale for each in unsure} >= {"danbooru", "clip-free", "nudenet", "text", "theirs"}
    for label in unsure:
        (found,) = decide([surely(label)], 10.0, options)
        wanted = Decision.APPLY if label.thing in UNASKED else Decision.ASK
        assert found.decision is wanted, label.name


def test_a_place_for_which_a_weak_source_speaks_alone_is_asked_about() -> None:
    labels = load_vocabulary(OURS).labels
    alone, both = [labels["bed (danbooru)"]], [labels["bed"], labels["bed (danbooru)"]]
    options = DecideOptions(apply=0.5)
    (asked,) = decide(map(surely, alone), 10.0, options)
    (written,) = decide(map(surely, both), 10.0, options)
    assert (asked.decision, written.decision) == (Decision.ASK, Decision.APPLY)


def test_the_users_file_says_that_it_is_written(tmp_path: Path) -> None:
    mine = write(
        tmp_path / "mine.yaml",
        "groups:\n  acts: {apply: 0.7}\n  bodies: {asked: false}\n",
    )
    labels = load_vocabulary(OURS, mine).labels
    kissing, tattoo = labels["kissing"], labels["tattoo"]
    assert (kissing.stated, kissing.apply, tattoo.asked) == (True, 0.7, False)
    for label, options in ((kissing, DecideOptions()), (tattoo, DecideOptions(apply=0.7))):
        (found,) = decide([surely(label)], 10.0, options)
        assert found.decision is Decision.APPLY


def test_a_number_of_people_holds_for_most_of_a_scene() -> None:
    """Of two people one is alone on view now and then: no cut makes a scene one of one person."""
    labels = [each for each in load_vocabulary(OURS).labels.values() if each.group == "people"]
    exact = [each for each in labels if each.max_count is not None]
    assert len(exact) == 3
    assert all(each.shortest_percent > 50 for each in exact)


def test_the_words_of_age_are_not_among_ours() -> None:
    words = re.compile(r"loli|shota|child|teen|young|school|kid\b|minor|baby\b|underage", re.I)
    for label in load_vocabulary(OURS).labels.values():
        said = (label.name, label.tag, *label.aliases, *label.words, *label.prompts)
        assert not [each for each in said if words.search(each)]


def test_a_tags_other_names_are_nobody_elses() -> None:
    things = [label for label in load_vocabulary(OURS).labels.values() if not label.of]
    names = [folded(name) for label in things for name in (label.tag, *label.aliases)]
    assert len(names) == len(set(names))


def test_a_tag_is_not_two_spellings() -> None:
    tags = {label.tag for label in load_vocabulary(OURS).labels.values()}
    assert len(tags) == len({tag.casefold() for tag in tags})


# --- Reading ------------------------------------------------------------------------------------


def test_a_label_takes_from_its_group_and_the_defaults(ours: Path) -> None:
    kitchen = load_vocabulary(ours).labels["kitchen"]
    assert kitchen == Label(
        name="kitchen",
        tag="Kitchen",
        group="place",
        prompts=("a kitchen",),
        negatives=("a face",),
        templates=("a photo of {}.", "{}"),
        exclusive="place",
        enter=0.6,
        stay=0.4,
    )


def test_labels_are_found_by_what_sees_them(ours: Path) -> None:
    vocabulary = load_vocabulary(ours)
    assert [label.name for label in vocabulary.zero_shot] == ["kitchen"]
    assert [vocabulary.labels[name].scale for name in ("kitchen", "dog", "dark")] == [
        "clip-exclusive",
        "coco",
        "picture",
    ]


def test_an_absent_overlay_is_none(ours: Path) -> None:
    assert load_vocabulary(ours, ours.parent / "none.yaml") == load_vocabulary(ours)


def test_an_empty_overlay_changes_nothing(ours: Path) -> None:
    assert overlaid(ours, "# nothing yet\n") == load_vocabulary(ours)


def test_an_overlay_changes_only_what_it_states(ours: Path) -> None:
    dog = overlaid(ours, "labels:\n  Dog: {tag: Hund, shortest_percent: 20}\n").labels["dog"]
    assert (dog.tag, dog.shortest_percent, dog.classes, dog.apply) == (
        "Hund",
        20,
        ("coco/dog",),
        0.8,
    )


def test_an_overlay_removes_and_adds(ours: Path) -> None:
    mine = "labels:\n  dog: {remove: true}\n  cat: {group: thing, tag: Cat, classes: [coco/cat]}\n"
    assert set(overlaid(ours, mine).labels) == {"kitchen", "dark", "cat"}


def test_a_threshold_of_the_users_own_is_known_as_his(ours: Path) -> None:
    text = "labels:\n  dog: {apply: 0.7}\n  kitchen: {gap_s: 9}\n"
    labels = overlaid(ours, text).labels
    assert [name for name, label in labels.items() if label.stated] == ["dog"]
    of_group = overlaid(ours, "groups:\n  thing: {apply: never}\n").labels
    assert [name for name, label in of_group.items() if label.stated] == ["dog", "dark"]


def test_an_overlay_of_a_group_reaches_its_labels(ours: Path) -> None:
    mine = "groups:\n  thing: {apply: never}\nlabels:\n  dog: {apply: 0.7}\n"
    labels = overlaid(ours, mine).labels
    assert (labels["dog"].apply, labels["dark"].apply) == (0.7, None)


def test_a_source_is_added_and_an_empty_one_taken_away(ours: Path) -> None:
    """What sees a label by several sources is several labels, which are one thing."""
    added = "labels:\n  dog: {prompts: [a dog], negatives: [a cat], weights: {clip: 0.5}}\n"
    labels = overlaid(ours, added).labels
    plain, clip = labels["dog"], labels["dog (clip)"]
    assert (plain.source, plain.weight, plain.prompts) == ("coco", 1.0, ())
    assert (clip.source, clip.scale, clip.weight) == ("clip", "clip-free", 0.5)
    assert (clip.prompts, clip.negatives, clip.min_share) == (("a dog",), ("a cat",), 0)
    assert plain.thing == clip.thing == "dog"
    only = overlaid(ours, added.replace("prompts", "classes: [], prompts")).labels
    assert only["dog"].source == "clip"
    assert "dog (clip)" not in only


def test_thresholds_may_differ_by_source(ours: Path) -> None:
    mine = "labels:\n  dog: {classes: [coco/dog, mine/dog], enter: {mine: 0.8}, stay: 0.3}\n"
    labels = overlaid(ours, mine).labels
    assert (labels["dog"].enter, labels["dog"].stay) == (0.5, 0.3)
    assert (labels["dog (mine)"].enter, labels["dog (mine)"].stay) == (0.8, 0.3)


def test_phrases_read_on_screen(ours: Path) -> None:
    mine = "labels:\n  interview: {group: thing, tag: Interview, reads: [interview with]}\n"
    label = overlaid(ours, mine).labels["interview"]
    assert (label.reads, label.words, label.scale) == (("interview with",), ("text",), "text")


def test_a_lower_threshold_takes_the_other_along(ours: Path) -> None:
    """Who wants a label earlier states one number, not two."""
    labels = overlaid(ours, "labels:\n  kitchen: {enter: 0.3}\n  dog: {apply: 0.4}\n").labels
    assert (labels["kitchen"].enter, labels["kitchen"].stay) == (0.3, 0.3)
    assert (labels["dog"].apply, labels["dog"].ask) == (0.4, 0.4)


def test_words_of_the_users_own_networks_are_free(ours: Path) -> None:
    mine = "labels:\n  robot: {group: thing, tag: Robot, classes: [mine/robot]}\n"
    assert overlaid(ours, mine).labels["robot"].scale == "mine"


def test_counts(ours: Path) -> None:
    mine = """\
labels:
  two: {group: thing, tag: Two, classes: [coco/dog], count: {min: 2, max: 2}}
  pack: {group: thing, tag: Pack, classes: [coco/dog], count: {min: 3}}
"""
    labels = overlaid(ours, mine).labels
    assert (labels["two"].min_count, labels["two"].max_count) == (2, 2)
    assert (labels["pack"].min_count, labels["pack"].max_count) == (3, None)


# --- Errors -------------------------------------------------------------------------------------

CAT = "labels:\n  cat: {group: thing, tag: Cat, classes: [coco/cat]}\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("labels: {a]}\n", 1, "not YAML", id="broken"),
        pytest.param("- a\n", 1, "must be keys", id="a list"),
        pytest.param("labls: {}\n", 1, "'labels'", id="a section misspelt"),
        pytest.param(CAT + "  cat: {}\n", 3, "twice.*line 2", id="a label twice"),
        pytest.param(CAT + "  CAT: {}\n", 3, "twice", id="a label twice in another case"),
        pytest.param("labels:\n  dog:\n    ask: 1\n    ask: 1\n", 4, "twice", id="a key twice"),
        pytest.param("labels:\n  dog: {tags: D}\n", 2, "'tags'.*'tag'", id="a key misspelt"),
        pytest.param("labels:\n  dog:\n    enter: high\n", 3, "a number", id="no number"),
        pytest.param("labels:\n  dog: {enter: true}\n", 2, "a number", id="a switch"),
        pytest.param("labels:\n  dog: {enter: 1.5}\n", 2, "from 0 to 1", id="out of range"),
        pytest.param("labels:\n  dog: {enter: .nan}\n", 2, "from 0 to 1", id="not a number"),
        pytest.param("labels:\n  dog: {gap_s: -1}\n", 2, "from 0", id="a negative gap"),
        pytest.param("labels:\n  dog: {stay: 0.6, enter: 0.5}\n", 2, "above", id="stay above"),
        pytest.param("labels:\n  dog: {apply: always}\n", 2, "or never", id="apply a word"),
        pytest.param("labels:\n  dog: {tag: yes}\n", 2, "quotes", id="a tag that YAML reads"),
        pytest.param("labels:\n  dog: {tag: ' '}\n", 2, "1 to 200", id="an empty tag"),
        pytest.param("labels:\n  no: {}\n", 2, "quotes", id="a name that YAML reads"),
        pytest.param("labels:\n  dog: {classes: coco/dog}\n", 2, "a list", id="no list"),
        pytest.param("labels:\n  dog: {classes: [dog]}\n", 2, "word list", id="a bare class"),
        pytest.param(
            "labels:\n  dog: {classes: [coco/dgo]}\n", 2, "'dgo'.*'dog'", id="a class misspelt"
        ),
        pytest.param(
            "labels:\n  dog: {facts: [text], reads: [dog]}\n", 2, "any text", id="text twice"
        ),
        pytest.param(
            "labels:\n  dog: {enter: {cocoa: 0.4}}\n", 2, "'cocoa'.*'coco'", id="a source misspelt"
        ),
        pytest.param("labels:\n  dog: {weights: 2}\n", 2, "sources", id="one weight for all"),
        pytest.param("labels:\n  dog: {weights: {coco: 0}}\n", 2, "0.01", id="no weight"),
        pytest.param("labels:\n  dark: {facts: [picture/drak]}\n", 2, "picture/dark", id="no fact"),
        pytest.param("labels:\n  dark: {count: {min: 2}}\n", 2, "boxes", id="count of no boxes"),
        pytest.param("labels:\n  dog: {count: {min: 0}}\n", 2, "whole", id="a count of none"),
        pytest.param("labels:\n  dog: {count: {min: 3, max: 2}}\n", 2, "below", id="max below min"),
        pytest.param(
            "labels:\n  kitchen: {negatives: [a hall]}\n", 2, "exclusive", id="own negatives"
        ),
        pytest.param("labels:\n  cat: {group: thing, tag: C}\n", 2, "one of", id="no source"),
        pytest.param("labels:\n  cat: {tag: C, facts: [text]}\n", 2, "no group", id="no group"),
        pytest.param("labels:\n  cat: {group: thing, facts: [text]}\n", 2, "no tag", id="no tag"),
        pytest.param("labels:\n  dog: {group: thin}\n", 2, "'thing'", id="a group misspelt"),
        pytest.param("labels:\n  dgo: {remove: true}\n", 2, "'dog'", id="nothing to remove"),
        pytest.param("groups:\n  place: {templates: [a photo]}\n", 2, "{}", id="no place for it"),
        pytest.param("groups:\n  place: {remove: true}\n", 2, "'remove'", id="a group removed"),
        pytest.param("labels:\n  dog: {tag: [[a]]}\n", 2, "deeper", id="too deep"),
        pytest.param("labels: " + "[" * 200_000, 1, "deeper", id="bottomless"),
        pytest.param("labels:\n  dog: {tag: !!python/name:os.system ''}\n", 2, "read", id="code"),
        pytest.param("a: 1\n---\nb: 2\n", 2, "not YAML", id="two documents"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(ours: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(VocabularyError) as caught:
        overlaid(ours, text)
    assert str(caught.value).startswith(f"{ours.parent / 'mine.yaml'}:{line}: ")
    assert re.search(words, str(caught.value)), str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="cannot be read"):
        load_vocabulary(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"labels: {caf\xe9: {}}")
    with pytest.raises(VocabularyError, match="UTF-8"):
        load_vocabulary(tmp_path / "latin.yaml")


def test_a_bomb_of_aliases_is_refused(ours: Path) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(VocabularyError, match="no key"):
        overlaid(ours, bomb)


# --- Real pictures ------------------------------------------------------------------------------


class NoCache:
    """Remembers no prompt."""

    def get(self, model: str, text: str) -> None:
        return None

    def put(self, model: str, text: str, vector: object) -> None:
        pass


@pytest.mark.real
def test_places_are_told_apart_among_all_of_ours(real: Path, tmp_path: Path) -> None:
    """Rooms and house fronts win against every other place; 0.71 of all 180 pictures do."""
    truth = {"bathroom": "bathroom", "bedroom": "bedroom", "frontal": "house front"}
    truth["kitchen"] = "kitchen"
    pictures = [
        (truth[folder.name], path)
        for folder in sorted((real / "images" / "scenes").iterdir())
        for path in sorted(folder.iterdir())[:12]
    ]
    overlay = write_overlay(tmp_path, real)
    catalogue = load_catalogue(OURS.parent / "catalogue.yaml", overlay)
    card = catalogue.card("clipshaped")
    labels = [each for each in load_vocabulary(OURS).zero_shot if each.group == "place"]
    with Shelf(Models(tmp_path / "models", catalogue), 1 << 30) as shelf:
        frames = [
            Frame("s", i, 0.0, read_image(str(path)), FrameSource.IMAGE)
            for i, (_, path) in enumerate(pictures)
        ]
        seen = ClipDetector(shelf, card).detect(frames)
        vectors: Vectors = np.stack([each.vector for each in seen if each.vector is not None])
        asked = [
            ZeroShotLabel(each.name, each.prompts, each.negatives, each.exclusive, each.templates)
            for each in labels
        ]
        scores = ZeroShot(shelf, card, NoCache()).scores(vectors, asked)
    names = list(scores)
    winners = np.stack([scores[name] for name in names]).argmax(axis=0)
    right = [names[winner] == name for winner, (name, _) in zip(winners, pictures, strict=True)]
    assert sum(right) / len(right) > 0.6
