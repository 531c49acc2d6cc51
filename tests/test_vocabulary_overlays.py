"""What a user's file may change: names, aliases, parents, what is never or only suggested."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.errors import VocabularyError
from stash_sense_plugin.vocabulary import Vocabulary, load_vocabulary

OURS = """\
groups:
  place: {exclusive: true, negatives: [a face]}
  thing: {ask: 0.5, apply: 0.8, parents: [Things]}
  own: {ask: 0.5, apply: 0.9}
labels:
  kitchen: {group: place, tag: Kitchen, prompts: [a kitchen, a stove]}
  office: {group: place, tag: Office, prompts: [an office]}
  dog: {group: thing, tag: Dog, aliases: [Hound, Dogs], classes: [coco/dog]}
  puppy: {group: thing, tag: Dog, classes: [mine/puppy]}
  dark: {group: thing, tag: Dark, facts: [picture/dark], parents: [Light, Looks]}
"""


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return write(tmp_path / "ours.yaml", OURS)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def overlaid(ours: Path, text: str) -> Vocabulary:
    return load_vocabulary(ours, write(ours.parent / "mine.yaml", text))


# --- Names --------------------------------------------------------------------------------------


def test_a_tag_has_its_aliases_and_the_parents_of_its_group(ours: Path) -> None:
    labels = load_vocabulary(ours).labels
    assert labels["dog"].aliases == ("Hound", "Dogs")
    assert labels["dog"].parents == ("Things",)
    assert labels["dark"].parents == ("Light", "Looks")
    assert labels["kitchen"].parents == ()


def test_another_name_leaves_the_aliases_of_the_old_one_behind(ours: Path) -> None:
    """Who calls it Pet does not want it to be written as Hound."""
    assert overlaid(ours, "labels:\n  dog: {tag: Pet}\n").labels["dog"].aliases == ()
    again = "labels:\n  dog: {tag: Pet, aliases: [Beast]}\n"
    assert overlaid(ours, again).labels["dog"].aliases == ("Beast",)
    cased = overlaid(ours, "labels:\n  dog: {tag: DOG}\n").labels["dog"]
    assert (cased.tag, cased.aliases) == ("DOG", ("Hound", "Dogs"))


def test_the_label_that_is_the_groups_parent_lies_not_below_itself(ours: Path) -> None:
    mine = "labels:\n  things: {group: thing, tag: things, classes: [mine/thing]}\n"
    assert overlaid(ours, mine).labels["things"].parents == ()


# --- Never and only -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dog", "DOG", "hound", " Dogs "])
def test_what_is_never_wanted_is_no_label(ours: Path, name: str) -> None:
    vocabulary = overlaid(ours, f"never: ['{name}']\n")
    assert "dog" not in vocabulary.labels
    assert not vocabulary.idle


def test_of_two_labels_of_a_tag_one_may_stay(ours: Path) -> None:
    vocabulary = overlaid(ours, "never: [hound]\n")
    assert [label.tag for label in vocabulary.labels.values()] == [
        *("Kitchen", "Office", "Dog", "Dark")
    ]
    assert "dog" not in vocabulary.hidden
    both = overlaid(ours, "never: [Dog]\n")
    assert not {"dog", "puppy"} & set(both.labels)
    assert {"dog", "hound", "puppy"} <= both.hidden


def test_a_group_may_be_named(ours: Path) -> None:
    assert set(overlaid(ours, "never: [thing]\n").labels) == {"kitchen", "office"}
    assert set(overlaid(ours, "only:\n  - place\n  - Dark\n").labels) == {
        *("kitchen", "office", "dark")
    }


def test_what_is_not_among_the_only_ones_is_hidden(ours: Path) -> None:
    vocabulary = overlaid(ours, "only: [Dog, kitchen]\nnever: [puppy]\n")
    assert set(vocabulary.labels) == {"kitchen", "dog"}
    assert {"office", "dark", "puppy"} <= vocabulary.hidden
    assert not {"kitchen", "dog"} & vocabulary.hidden


def test_a_place_that_is_not_wanted_still_wins_its_pictures(ours: Path) -> None:
    """Otherwise each kitchen would be suggested as an office."""
    left = overlaid(ours, "never: [Kitchen]\n").labels["office"]
    assert left.negatives == ("a face", "a kitchen", "a stove")


def test_names_of_nothing_are_kept_for_later_and_told(ours: Path) -> None:
    """A label that we take out of ours some day must not break the file of who never wanted it."""
    vocabulary = overlaid(ours, "never:\n  - Kitchen\n  - Wolf\nonly: [thing, Dgo]\n")
    assert len(vocabulary.idle) == 2
    assert re.search(r"mine\.yaml:3: never names 'Wolf'", vocabulary.idle[0])
    assert re.search(r"mine\.yaml:4: only names 'Dgo'.*'dog'", vocabulary.idle[1])
    assert "wolf" in vocabulary.hidden


def test_what_the_setting_names_is_meant_by_any_of_its_names(ours: Path) -> None:
    vocabulary = overlaid(ours, "never: [Kitchen]\n")
    assert vocabulary.never(["Hound", "Someone's studio"]) == {
        *("hound", "dog", "dogs", "someone's studio", "kitchen")
    }


# --- All words of a network ---------------------------------------------------------------------


def test_each_word_that_no_label_names_becomes_one_that_is_asked_about(ours: Path) -> None:
    words = {"mine": ["puppy", "red_car", "dog", "  ", "a\x07b", "x" * 300]}
    labels = load_vocabulary(ours, all_of=words).labels
    made = {name: label for name, label in labels.items() if label.group == "own"}
    assert {name: label.tag for name, label in made.items()} == {
        "red car": "Red Car",
        "dog (mine)": "Dog",
    }
    car = labels["red car"]
    assert (car.classes, car.ask, car.apply, car.thing) == (("mine/red_car",), 0.5, 0.9, "red car")
    assert load_vocabulary(ours, all_of=words).labels["dog (mine)"].thing == "dog (mine)"


def test_the_users_bounds_hold_for_such_words_too(ours: Path) -> None:
    mine = write(ours.parent / "mine.yaml", "groups:\n  own: {ask: 0.7}\nnever: [Red Car]\n")
    vocabulary = load_vocabulary(ours, mine, all_of={"mine": ["red_car", "bus"]})
    assert "red car" not in vocabulary.labels
    assert vocabulary.labels["bus"].ask == 0.7


# --- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("never: Dog\n", 1, "a list", id="no list"),
        pytest.param("never:\n  - Dog\n  - [a]\n", 3, "text", id="a list in it"),
        pytest.param("never: [no]\n", 1, "quotes", id="a name that YAML reads"),
        pytest.param("only: []\n", 1, "nothing would be suggested", id="only nothing"),
        pytest.param("labels:\n  dog:\n    aliases: [dog]\n", 3, "own tag", id="its own alias"),
        pytest.param("labels:\n  dog: {aliases: [a, a]}\n", 2, "twice", id="an alias twice"),
        pytest.param("labels:\n  dog: {parents: [DOG]}\n", 2, "below its own", id="its own parent"),
        pytest.param(
            "labels:\n  dog: {parents: [hound]}\n", 2, "below its own", id="an alias its parent"
        ),
        pytest.param(
            "labels:\n  dog: {parents: [Dark]}\n  dark: {parents: [Dog]}\n",
            3,
            "circle",
            id="a circle",
        ),
        pytest.param("groups:\n  thing: {aliases: [a]}\n", 2, "'aliases'", id="aliases of a group"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(ours: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(VocabularyError) as caught:
        overlaid(ours, text)
    assert str(caught.value).startswith(f"{ours.parent / 'mine.yaml'}:{line}: ")
    assert re.search(words, str(caught.value)), str(caught.value)


# --- Laws of overlaying -------------------------------------------------------------------------

SHARE = st.sampled_from([0.1, 0.2, 0.5, 0.9])
STATED = st.fixed_dictionaries(
    {},
    optional={
        "tag": st.sampled_from(["Dog", "Pet", "Beast", "pet"]),
        "aliases": st.lists(st.sampled_from(["Wolf", "Fox"]), unique=True),
        "parents": st.lists(st.sampled_from(["Animals", "Life"]), unique=True),
        "enter": st.one_of(SHARE, st.fixed_dictionaries({"coco": SHARE})),
        "apply": st.one_of(SHARE, st.just("never")),
        "gap_s": st.sampled_from([0, 3]),
    },
)
ADDED = st.dictionaries(
    st.sampled_from(["cat", "fox"]),
    STATED.map(lambda stated: {"group": "thing", "tag": "Fox", "classes": ["coco/cat"], **stated}),
)
FILES = st.fixed_dictionaries(
    {"labels": st.builds(lambda dog, more: {"dog": dog, **more}, STATED, ADDED)},
    optional={
        "never": st.lists(st.sampled_from(["Dog", "office", "fox", "x"]), unique=True),
        "only": st.lists(st.sampled_from(["thing", "office"]), unique=True, min_size=1),
        "groups": st.fixed_dictionaries({"thing": st.fixed_dictionaries({"stay": SHARE})}),
    },
)


def shuffled(value: Any, seed: int) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    random.Random(seed).shuffle(keys)
    return {key: shuffled(value[key], seed) for key in keys}


def loaded(ours: Path, *files: Any) -> Any:
    """What the files come to: labels, or that they are refused. Lines of sentences are left out."""
    paths = [
        write(ours.parent / f"{number}.yaml", yaml.safe_dump(file, sort_keys=False))
        for number, file in enumerate(files)
    ]
    try:
        found = load_vocabulary(ours, *paths)
    except VocabularyError:
        return "refused"
    return found.labels, found.groups, found.hidden, len(found.idle)


@given(file=FILES, seed=st.integers(0, 9))
def test_the_order_of_keys_changes_nothing(ours: Path, file: Any, seed: int) -> None:
    assert loaded(ours, shuffled(file, seed)) == loaded(ours, file)


@given(file=FILES)
def test_a_file_laid_over_twice_is_as_once(ours: Path, file: Any) -> None:
    assert loaded(ours, file, file) == loaded(ours, file)
