"""Stash stores what was typed: what of it is used, and what is said of the rest."""

from dataclasses import fields

import pytest
import yaml

from stash_sense_plugin.settings import RANGES, Settings, read_settings
from tests.conftest import ROOT


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
    ],
)
def test_what_is_used(name: str, stored: object, used: object) -> None:
    settings, complaints = read_settings({name: stored})
    assert getattr(settings, name) == used
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
        pytest.param({"colour": "red"}, "'colour' is not one of ours", id="stale key"),
        pytest.param({"tagme_tag": "tagged"}, "must differ from each other", id="one tag twice"),
    ],
)
def test_what_cannot_be_used_is_named_once_and_the_default_holds(
    stored: dict[str, object], words: str
) -> None:
    settings, complaints = read_settings(stored)
    assert settings == Settings()
    assert len(complaints) == 1
    assert words in complaints[0]


def test_names_never_suggested_are_compared_without_case() -> None:
    settings, _ = read_settings({"never": " Dog, ,CAR "})
    assert settings.never_names == {"dog", "car"}


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
