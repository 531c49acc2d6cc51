"""What the pages' form shows of the settings, and that it is what the plugin knows of them."""

import pytest

from stash_sense_plugin.settings import CHOICES
from tests.conftest import ROOT
from tools.settings_form import TURNED, WORDS, files, form, grouped, missing

ROWS = {row["key"]: row for group in form(ROOT)["groups"] for row in group["rows"]}


def test_the_form_is_current() -> None:
    stale = [
        str(path)
        for path, wanted in files(ROOT).items()
        if (ROOT / path).read_text("utf-8") != wanted
    ]
    assert not stale, f"{', '.join(stale)}: run python -m tools.settings_form"


def test_every_setting_has_one_place() -> None:
    assert not missing()
    assert len(grouped()) == len(set(grouped()))


def test_a_switch_that_skips_is_worded_as_what_is_done() -> None:
    skips = {key for key in ROWS if key.startswith("skip_")}
    assert skips == set(TURNED)
    for key in skips:
        row = ROWS[key]
        assert (row["kind"], row["default"]) == ("switch", False)
        assert not row["says"].startswith("Do not")


@pytest.mark.parametrize("key", CHOICES)
def test_each_word_of_a_choice_is_explained(key: str) -> None:
    assert tuple(WORDS[key]) == CHOICES[key]


def test_a_sentence_does_not_say_twice_what_holds_by_itself() -> None:
    said = {row["key"]: row["says"] for row in ROWS.values() if row["kind"] != "switch"}
    assert not [key for key, says in said.items() if " means " in says]
    assert ROWS["apply_percent"]["default_says"] == "each label's own threshold"
    assert ROWS["clip_model"]["default_says"] == "the preset's"


def test_numbers_say_what_they_count_beside_the_field_alone() -> None:
    numbers = {key: row for key, row in ROWS.items() if row["kind"] == "number"}
    assert {row["unit"] for row in numbers.values()} == {"%", "s", "min", "MB", "pictures"}
    assert not [row["name"] for row in numbers.values() if "(" in row["name"]]
