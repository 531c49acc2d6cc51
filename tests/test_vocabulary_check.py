"""`vocabulary check` and `vocabulary list`: what is said of words that have no effect here."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stash_sense_plugin.errors import SettingsError, VocabularyError
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.vocabulary import check_vocabulary, example, list_vocabulary
from stash_sense_plugin.vocabulary import load_vocabulary
from tests.sweep_kit import ROOT, Told, open_engine
from tests.test_cli import Shell, shell  # noqa: F401

DOCS = (ROOT / "docs" / "vocabulary.md").read_text("utf-8")
OURS = ROOT / "models" / "vocabulary.yaml"

ROW = """\
models:
  my-tagger:
    task: tagger
    about: Two words
    licence: mine
    commercial: true
    words: mine
    classes: [red_car, "old, house"]
    files:
      network: {path: mine.onnx}
"""


ROW_TWO = """\
  two:
    task: classifier
    about: Two more words
    licence: mine
    commercial: true
    words: two
    classes: [key, lock]
    files:
      network: {path: two.onnx}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(tmp_path / "home") as opened:
        yield opened


def own(engine: Engine, text: str) -> None:
    engine.own_vocabulary.write_text(text, "utf-8")


def with_tagger(engine: Engine, row: str = ROW) -> None:
    """Let a network of the user's own look."""
    engine.own_catalogue.write_text(row, "utf-8")
    (engine.home / "mine.onnx").write_bytes(b"weights")
    engine.settings = replace(engine.settings, tagger_model="my-tagger")


def checked(engine: Engine, kind: str) -> dict[str, dict[str, Any]]:
    """Check, and return what is found of one kind, by its subject."""
    told: Any = check_vocabulary(engine, Call({}), Told())
    return {each["subject"]: each for each in told["findings"] if each["kind"] == kind}


def test_what_nothing_here_can_see_is_said_with_what_would(engine: Engine) -> None:
    engine.settings = Settings(
        clip_model="clip-vit-b32", object_model="yolox-s", tagger_model="none"
    )
    unseen = checked(engine, "unseen")
    assert "models pull clip-vit-b32" in unseen["kitchen"]["remedy"]
    assert "models pull yolox-s" in unseen["dog"]["remedy"]
    assert "set tagger_model to joytag" in unseen["blowjob"]["remedy"]
    assert {"clip", "danbooru"} <= set(re.findall(r"\w+", unseen["kissing"]["says"]))
    # One of its sources comes with the packages.
    assert not {"nudity", "vertical", "website on screen", "face close-up"} & set(unseen)


def test_what_is_to_be_done_can_all_be_done_together(engine: Engine) -> None:
    engine.own_catalogue.write_text(ROW + ROW_TWO, "utf-8")
    for name in ("mine.onnx", "two.onnx"):
        (engine.home / name).write_bytes(b"weights")
    own(
        engine,
        "labels:\n"
        "  car: {group: vehicle, tag: A Red Car, classes: [mine/red_car]}\n"
        "  key: {group: thing, tag: Key, classes: [two/key]}\n",
    )
    engine.settings = Settings(tagger_model="none")
    unseen = checked(engine, "unseen")
    told = {name: unseen[name]["remedy"] for name in ("blowjob", "car", "key")}
    # One place, and the list of most labels has it.
    assert told["blowjob"].startswith("set tagger_model to joytag")
    assert told["car"] == "add my-tagger to also_models"
    assert told["key"] == "add two to also_models"
    engine.settings = Settings(tagger_model="my-tagger")
    unseen = checked(engine, "unseen")
    assert "car" not in unseen
    assert unseen["blowjob"]["remedy"].startswith("add joytag to also_models")
    (engine.home / "two.onnx").unlink()
    key = checked(engine, "unseen")["key"]["remedy"]
    assert key.startswith("add two to also_models and put its file here: ")
    assert key.endswith("two.onnx")


def test_labels_that_begin_below_what_is_asked_are_told_once_for_a_group(engine: Engine) -> None:
    labels = "".join(
        f"  thing {number}: {{group: own, tag: Thing {number}, classes: [mine/t{number}],"
        " enter: 0.4, ask: 0.6}\n"
        for number in range(9)
    )
    own(engine, f"labels:\n{labels}")
    found = checked(engine, "faint")
    assert (
        "and 4 more by mine: enter 0.4 means 0.39 at first, and ask is 0.6"
        in (found["own"]["says"])
    )


def test_words_of_a_list_that_are_tags_already_are_told_once(engine: Engine) -> None:
    words = ROW.replace('[red_car, "old, house"]', "[kitchen, dog, red_car]")
    with_tagger(engine, words + "    suggest_all: true\n")
    found = checked(engine, "same-tag")
    assert {"Dog, Kitchen", "Kitchen, Dog"} & set(found)
    assert len(found) == 1


def test_what_is_switched_off_is_said_so(engine: Engine) -> None:
    engine.settings = replace(engine.settings, skip_labels=True, skip_facts=True, skip_acts=True)
    unseen = checked(engine, "unseen")
    assert unseen["kitchen"]["remedy"].startswith("change the setting skip_labels")
    assert unseen["vertical"]["remedy"] == "change the setting skip_facts"
    assert unseen["blowjob"]["remedy"].startswith("change the setting skip_acts")


def test_words_of_a_list_that_nobody_has_are_unseen(engine: Engine) -> None:
    own(engine, "labels:\n  robot: {group: thing, tag: Robot, classes: [robots/robot]}\n")
    assert "no row of the catalogue" in checked(engine, "unseen")["robot"]["remedy"]


def test_a_word_that_its_network_does_not_say_is_named(engine: Engine) -> None:
    with_tagger(engine)
    own(
        engine,
        "labels:\n"
        "  car: {classes: [coco/car, mine/red_car]}\n"
        "  bike: {group: vehicle, tag: Bike, classes: [mine/bike]}\n",
    )
    found = checked(engine, "unknown-word")
    assert list(found) == ["bike"]
    assert "mine/bike" in found["bike"]["says"]


def test_a_network_without_labels_comes_with_some_to_paste(engine: Engine, tmp_path: Path) -> None:
    with_tagger(engine)
    found = checked(engine, "unmapped")["mine"]
    _, _, pasted = found["remedy"].partition("vocabulary.yaml:\n")
    own(engine, pasted)
    assert not checked(engine, "unmapped")
    labels = engine.vocabulary().labels
    assert labels["red car"].classes == ("mine/red_car",)
    assert labels["old, house"].tag == "Old, House"


def test_a_network_of_which_all_words_are_wanted_needs_no_labels(engine: Engine) -> None:
    with_tagger(engine, ROW + "    suggest_all: true\n    leave_out: [RED_CAR]\n")
    assert not checked(engine, "unmapped")
    own_labels = [each for each in engine.vocabulary().labels.values() if each.group == "own"]
    assert [(each.name, each.tag) for each in own_labels] == [("old, house", "Old, House")]


def test_an_example_is_yaml_whatever_the_words() -> None:
    words = ['a "quoted" one', "colon: here", "#", "no", "ünïcode"]
    labels = yaml.safe_load(example("mine", words))["labels"]
    assert len(labels) == len(words)


def test_labels_without_effect_are_named(engine: Engine) -> None:
    own(engine, "labels:\n  blowjob: {ask: 0.98}\n  dog: {enter: 0.05, stay: 0.05}\n")
    found = checked(engine, "no-effect")
    assert "0.98" in found["blowjob"]["says"]
    assert "floor" in found["dog"]["says"]
    assert set(found) == {"blowjob", "dog"}


def test_one_name_for_several_is_named(engine: Engine) -> None:
    own(
        engine,
        "labels:\n"
        "  puppy: {group: animal, tag: dog, classes: [mine/puppy]}\n"
        "  hound: {group: animal, tag: Hound, aliases: [Cat], classes: [mine/hound]}\n",
    )
    found = checked(engine, "same-tag")
    assert "dog, puppy" in found["dog"]["says"]
    assert "Hound, Cat" in found["cat"]["says"]


def test_names_of_nothing_are_said_with_their_line(engine: Engine) -> None:
    own(engine, "never:\n  - Kitchen\n  - Kitchn\n")
    found = checked(engine, "no-such-label")
    assert list(found) == ["Kitchn"]
    assert f"{engine.own_vocabulary}:3" in found["Kitchn"]["says"]
    assert "'kitchen'" in found["Kitchn"]["says"]


def test_ours_alone_has_nothing_to_complain_of_but_what_is_unseen(engine: Engine) -> None:
    told: Any = check_vocabulary(engine, Call({}), Told())
    assert {each["kind"] for each in told["findings"]} <= {"unseen", "faint"}
    assert told["labels"] >= 250
    assert told["overlay"] is None


def test_a_broken_file_is_refused_by_its_line(engine: Engine) -> None:
    own(engine, "labels:\n  dog: {enter: 2}\n")
    for ask in (check_vocabulary, list_vocabulary):
        with pytest.raises(VocabularyError, match=r"vocabulary\.yaml:2: "):
            ask(engine, Call({}), Told())


def test_the_list_says_what_holds(engine: Engine) -> None:
    own(engine, "never: [dog]\nlabels:\n  cat: {tag: Katze, apply: 0.6}\n")
    told: Any = list_vocabulary(engine, Call({"group": "ANIMAL"}), Told())
    rows = {each["label"]: each for each in told["labels"]}
    assert "dog" not in rows
    assert "dog" in told["hidden"]
    cat = rows["cat"]
    assert (cat["tag"], cat["source"], cat["apply"], cat["yours"]) == ("Katze", "coco", 0.6, True)
    assert cat["looks_for"] == ["coco/cat"]
    assert {each["group"] for each in told["labels"]} == {"animal"}
    with pytest.raises(SettingsError, match="no group 'animals'"):
        list_vocabulary(engine, Call({"group": "animals"}), Told())


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL), ids=lambda text: text.split("\n")[1]
)
def test_the_examples_of_the_page_load(block: str, tmp_path: Path) -> None:
    mine = tmp_path / "vocabulary.yaml"
    mine.write_text(block, "utf-8")
    vocabulary = load_vocabulary(OURS, mine, all_of={"mine": ["old house"]})
    assert vocabulary != load_vocabulary(OURS, all_of={"mine": ["old house"]})
    assert not vocabulary.idle


def test_the_page_names_every_key() -> None:
    keys = {"tag", "aliases", "parents", "prompts", "negatives", "classes", "facts", "reads"}
    keys |= {"weights", "enter", "stay", "ask", "apply", "gap_s", "grow", "shortest_s"}
    keys |= {"shortest_percent", "count", "min_share", "never", "only", "remove"}
    assert not {key for key in keys if f"`{key}" not in DOCS and f"{key}:" not in DOCS}


# --- From a shell -------------------------------------------------------------------------------


def test_the_command_shows_and_prints_json(shell: Shell) -> None:  # noqa: F811
    shown = shell.run("vocabulary", "check")
    assert shown.returncode == 0, shown.stderr
    assert "can be seen here" in shown.stdout
    assert "What nothing here can see" in shown.stdout
    (told,) = shell.json("vocabulary", "list", "--group", "weather", "--json")
    assert {each["tag"] for each in told["labels"]} >= {"Rain", "Snow"}
    listed = shell.run("vocabulary", "list", "--group", "weather")
    assert "Rainbow" in listed.stdout
    wrong = shell.run("vocabulary", "check", "--group", "weather")
    assert wrong.returncode == 2
