"""Stash stores what was typed: what of it is used, and what is said of the rest."""

import re
from dataclasses import fields

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.settings import (
    CHOICES,
    RANGES,
    TAGS,
    Settings,
    named_settings,
    read_settings,
)
from tests.conftest import ROOT
from tools.settings_page import PAGE, page, table

KEYS = [field.name for field in fields(Settings)]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN)


@pytest.mark.parametrize(
    ("name", "stored", "used"),
    [
        pytest.param("tagme_tag", "Look at me", "Look at me", id="text"),
        pytest.param("tagme_tag", "", "TagMe", id="empty text is the default"),
        pytest.param("tagme_tag", "  ", "TagMe", id="blanks are the default"),
        pytest.param("markers", True, True, id="switch"),
        pytest.param("frames", 12, 12, id="number"),
        pytest.param("frames", 12.0, 12, id="number as Stash hands it on"),
        pytest.param("frames", 0, 60, id="0 is the default"),
        pytest.param("frames", "", 60, id="nothing typed"),
        pytest.param("frames", None, 60, id="null"),
        pytest.param("frames", " 12 ", 12, id="number written as text"),
        pytest.param("Frames", 12, 12, id="other letters"),
        pytest.param("tagme_tag", "  Look  at me ", "Look  at me", id="blanks inside are kept"),
        pytest.param("preset", " Balanced", "balanced", id="word in other letters"),
        pytest.param("device", "", "auto", id="no word is auto"),
        pytest.param("text_engine", "PaddleOCR", "paddleocr", id="program in other letters"),
        pytest.param("tagger_model", "None", "none", id="no tagger"),
        pytest.param("clip_model", " clip-vit-b32 ", "clip-vit-b32", id="a model"),
        pytest.param("tagme_tag", "n" * 255, "n" * 255, id="as long as a tag may be"),
        pytest.param("tagme_tag", "👩‍🎤 do", "👩‍🎤 do", id="emoji"),
    ],
)
def test_what_is_used(name: str, stored: object, used: object) -> None:
    settings, complaints = read_settings({name: stored})
    assert getattr(settings, name.lower()) == used
    assert not complaints


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        pytest.param({"frames": -3}, "frames: -3 is not between 2 and 2000; 60", id="too small"),
        pytest.param({"frames": 2.5}, "2.5 is not a whole number", id="fraction"),
        pytest.param({"frames": float("nan")}, "is not a whole number", id="not a number"),
        pytest.param({"frames": float("inf")}, "is not a whole number", id="endless"),
        pytest.param({"frames": "many"}, "'many' is not a whole number", id="word for number"),
        pytest.param({"markers": "yes"}, "'yes' is neither true nor false", id="word for switch"),
        pytest.param({"never": 5}, "5 is not text", id="number for text"),
        pytest.param(
            {"preset": "best"},
            "preset: 'best' is none of auto, fast, balanced and accurate; 'auto' is used",
            id="unknown word",
        ),
        pytest.param({"preset": "p" * 9999}, "is none of auto, fast", id="endless word"),
        pytest.param({"device": "gpu\x00"}, "holds characters that", id="control in a word"),
        pytest.param({"device": 5}, "5 is not text", id="number for a word"),
        pytest.param({"text_engine": "tesseract"}, "none of rapidocr and", id="unknown program"),
        pytest.param({"also_models": ["a"]}, "['a'] is not text", id="list for names"),
        pytest.param({"full_precision": "no"}, "neither true nor false", id="word for a switch"),
        pytest.param({"accept_licences": "a\x07"}, "holds characters", id="a bell"),
        pytest.param({"colour": "red"}, "'colour' is not one of ours", id="stale key"),
        pytest.param({"frames": "9" * 5000}, "is not a whole number", id="endless number"),
        pytest.param({"frames": True}, "True is not a whole number", id="switch for number"),
        pytest.param({"frames": [1, 2]}, "[1, 2] is not a whole number", id="list"),
        pytest.param({"markers": {"a": 1}}, "{'a': 1} is neither true nor false", id="object"),
        pytest.param({"markers": 1}, "1 is neither true nor false", id="number for switch"),
        pytest.param({"tagme_tag": ["TagMe"]}, "['TagMe'] is not text", id="list for text"),
        pytest.param({"tagme_tag": "tagged"}, "must differ from each other", id="one tag twice"),
        pytest.param({"tagme_tag": " STASH sense "}, "must differ", id="a tag below itself"),
        pytest.param({"parent_tag": "Errored"}, "must differ", id="a parent that moves"),
        pytest.param({"tagme_tag": "n" * 256}, "is longer than 255 characters", id="long tag"),
        pytest.param({"never": "n" * 100_001}, "is longer than 100000", id="long text"),
        pytest.param({"tagged_tag": "a\nb"}, "'a\\nb' holds characters that", id="two lines"),
        pytest.param({"tagged_tag": "a\x00b"}, "holds characters that", id="control character"),
        pytest.param({"tagged_tag": "a\ud800"}, "holds characters that", id="half a character"),
        pytest.param({"\x01p\x020.5" * 999: 1}, "is not one of ours", id="hostile key"),
    ],
)
def test_what_cannot_be_used_is_named_once_and_the_default_holds(
    stored: dict[str, object], words: str
) -> None:
    settings, complaints = read_settings(stored)
    assert settings == Settings()
    assert len(complaints) == 1
    assert words in complaints[0]
    assert len(complaints[0]) < 300
    assert complaints[0].isprintable()
    complaints[0].encode()


def test_a_key_in_other_letters_gives_way_to_the_right_one() -> None:
    for stored in ({"Frames": 5, "frames": 7}, {"frames": 7, "Frames": 5}):
        settings, complaints = read_settings(stored)
        assert settings.frames == 7
        assert complaints == ["Setting 'Frames' is not one of ours and is ignored."]


@given(st.dictionaries(st.sampled_from([*KEYS, "Frames", "x"]) | st.text(), ANYTHING))
def test_whatever_is_stored_our_settings_are_usable(stored: dict[str, object]) -> None:
    settings, complaints = read_settings(stored)
    plain = Settings()
    for name in KEYS:
        value = getattr(settings, name)
        assert type(value) is type(getattr(plain, name))
        assert value in CHOICES.get(name, (value,))
        if name in RANGES and value != getattr(plain, name):
            assert RANGES[name][0] <= value <= RANGES[name][1]
    assert len({getattr(settings, name).casefold() for name in TAGS}) == len(TAGS)
    for complaint in complaints:
        complaint.encode()
    assert read_settings({name: getattr(settings, name) for name in KEYS}) == (settings, [])


def test_names_never_suggested_are_compared_without_case() -> None:
    settings, complaints = read_settings({"never": " Dog, ,CAR \r\nBlack and white"})
    assert settings.never_names == {"dog", "car", "black and white"}
    assert not complaints


def test_names_in_lists_come_apart_at_commas_and_lines() -> None:
    stored = {
        "also_models": "nsfwjs, yolov8n,\r\n ,mine",
        "accept_licences": "CC-BY-NC-4.0\nGPL-3.0",
    }
    settings, complaints = read_settings(stored)
    assert settings.also_names == ("nsfwjs", "yolov8n", "mine")
    assert settings.accepted_licences == {"cc-by-nc-4.0", "gpl-3.0"}
    assert not complaints


def test_what_the_user_named_is_known_from_what_holds_by_default() -> None:
    stored = {"clip_model": "clip-vit-b32", "Frames": 60, "never": "", "markers": False, "x": 1}
    assert named_settings(stored) == {"clip_model", "frames"}


def test_plugin_yml_declares_exactly_our_settings_with_their_types() -> None:
    declared = yaml.safe_load((ROOT / "plugin.yml").read_text())["settings"]
    kinds = {bool: "BOOLEAN", int: "NUMBER", str: "STRING"}
    ours = {f.name: kinds[type(getattr(Settings(), f.name))] for f in fields(Settings)}
    assert {name: row["type"] for name, row in declared.items()} == ours
    assert set(RANGES) == {name for name, kind in ours.items() if kind == "NUMBER"}


def test_descriptions_say_the_default_that_holds() -> None:
    declared = yaml.safe_load((ROOT / "plugin.yml").read_text())["settings"]
    for field in fields(Settings):
        default = getattr(Settings(), field.name)
        if isinstance(default, bool) or not default:
            continue
        assert str(default) in declared[field.name]["description"], field.name


def test_the_page_of_settings_is_what_the_code_says() -> None:
    """Written anew by `python -m tools.settings_page`."""
    assert (ROOT / PAGE).read_text("utf-8") == page(ROOT)
    for field in fields(Settings):
        assert f"| `{field.name}` |" in table(ROOT)
    for default in ("30", "TagMe", "each label's own threshold", "off"):
        assert f"| {default} |" in table(ROOT)


def test_every_switch_is_off_by_default_and_says_what_on_does() -> None:
    declared = yaml.safe_load((ROOT / "plugin.yml").read_text())["settings"]
    for name, row in declared.items():
        assert (row["type"] == "BOOLEAN") == isinstance(getattr(Settings(), name), bool)
        assert getattr(Settings(), name) is False or row["type"] != "BOOLEAN"
        assert row["description"].endswith(".")
        assert not re.search(r"\b(worker|CLIP|zero-shot)\b", row["displayName"]), name
        assert "worker" not in row["description"], name
