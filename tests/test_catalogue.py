import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as some

from stash_sense_plugin.errors import CatalogueError
from stash_sense_plugin.inference.catalogue import HubFile, LocalFile, UrlFile, load_catalogue

OURS = Path(__file__).resolve().parent.parent / "models" / "catalogue.yaml"

ROW = """
models:
  mine:
    task: objects
    about: My own
    licence: MIT
    commercial: true
    words: things
    files:
      network: {network}
"""


def overlay(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "catalogue.yaml"
    file.write_text(text, "utf-8")
    return file


def row(network: str) -> str:
    return ROW.replace("{network}", network)


FREE = frozenset({"MIT", "Apache-2.0", "AGPL-3.0", "BSD-3-Clause", "CC-BY-4.0"})
"""Licences of rows that may be used for anything, by their SPDX names."""


def rows_of(preset: str) -> dict[str, set[str]]:
    """The rows of a preset by their task."""
    found: dict[str, set[str]] = {}
    for card in load_catalogue(OURS):
        if preset in card.presets:
            found.setdefault(card.task, set()).add(card.name)
    return found


def test_each_preset_has_the_rows_that_it_is_for() -> None:
    small = {"clip": {"clip-vit-b32"}, "objects": {"yolox-s"}}
    assert rows_of("fast") == small
    assert rows_of("balanced") == small | {"tagger": {"joytag"}}
    accurate = rows_of("accurate")
    assert accurate["tagger"] == {"joytag"}
    assert accurate["clip"]
    assert not accurate["clip"] & small["clip"]
    assert accurate.keys() <= {"clip", "objects", "tagger"}
    assert not accurate.get("objects", set()) & small["objects"]


def test_no_preset_has_a_row_that_is_not_free_for_every_use() -> None:
    for card in load_catalogue(OURS):
        assert card.commercial == (card.licence in FREE), card.name
        assert card.commercial or not card.presets, card.name


def test_what_fast_and_balanced_choose_needs_neither_gpu_nor_extras() -> None:
    for card in load_catalogue(OURS):
        if {"fast", "balanced"} & set(card.presets):
            assert (card.suits, card.export) == ("any", None)


def test_our_rows_are_pinned() -> None:
    for card in load_catalogue(OURS):
        assert card.about
        assert not card.about.endswith(".")
        for file in card.files.values():
            assert not isinstance(file, LocalFile)
            if isinstance(file, HubFile):
                assert len(file.revision) == 40
            if isinstance(file, UrlFile):
                assert file.sha256
                # rapidocr's own list, from which the language packs are, names no sizes.
                assert file.bytes or card.task == "text"


def test_what_nobody_here_ran_is_marked_so() -> None:
    ran = {card.name for card in load_catalogue(OURS) if not card.untried}
    assert ran == {"nudenet-320n"}


def test_our_word_list_has_its_eighty_words_once() -> None:
    classes = load_catalogue(OURS).card("yolox-s").classes
    assert len(set(classes)) == len(classes) == 80
    assert (classes[0], classes[57], classes[79]) == ("person", "couch", "toothbrush")


def test_an_unknown_name_is_answered_with_the_near_ones() -> None:
    with pytest.raises(CatalogueError, match=r"no model called 'clip-vit-b23'.*clip-vit-b32"):
        load_catalogue(OURS).card("clip-vit-b23")


def test_the_users_row_lies_over_ours_and_starts_at_its_own_file(tmp_path: Path) -> None:
    mine = overlay(tmp_path, row("{path: nets/mine.onnx}").replace("mine:", "yolox-s:"))
    catalogue = load_catalogue(OURS, mine)
    card = catalogue.card("yolox-s")
    file = card.files["network"]
    assert card.about == "My own"
    assert card.overlaid
    assert isinstance(file, LocalFile)
    assert file.path == str(tmp_path.resolve() / "nets" / "mine.onnx")
    assert "nudenet-320n" in catalogue


def test_no_overlay_is_no_fault(tmp_path: Path) -> None:
    names = [card.name for card in load_catalogue(OURS, tmp_path / "catalogue.yaml")]
    assert names == [card.name for card in load_catalogue(OURS)]


def test_words_are_read_beside_the_users_catalogue_then_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "things.txt").write_text("chair\n\nlamp \n", "utf-8")
    mine = overlay(tmp_path, row("{path: mine.onnx}"))
    assert load_catalogue(OURS, mine).card("mine").classes == ("chair", "lamp")
    mine = overlay(tmp_path, row("{path: mine.onnx}").replace("things", "coco"))
    assert len(load_catalogue(OURS, mine).card("mine").classes) == 80


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(row("{path: a.onnx}") + "    colour_order: x\n", "colour_order: unknown key"),
        pytest.param(row("{path: a.onnx, speed: 3}"), "files.network.local.speed: unknown key"),
        pytest.param(row("{path: a.onnx}").replace("MIT", "[]"), "licence: "),
        pytest.param(row("{path: a.onnx}").replace("network:", "net:"), "files must name network"),
        pytest.param(row("{path: a.onnx}").replace("    words: things\n", ""), "words is missing"),
        pytest.param(row("{url: 'http://example.com/a.onnx'}"), "write https"),
        pytest.param(row("{url: 'https://example.com/'}"), "not the https address of a file"),
        pytest.param(row("{url: 'https://example.com/..'}"), "not the https address of a file"),
        pytest.param(row("{url: 'https://me:x@example.com/a'}"), "may not stand in an address"),
        pytest.param(row("{repo: a/b, revision: main, path: ../a.onnx}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: main, path: /a.onnx}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: main, path: 'C:a.onnx'}"), "not a plain path"),
        pytest.param(row(r"{repo: a/b, revision: main, path: 'a\b.onnx'}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: ../x, path: a.onnx}"), "revision"),
        pytest.param(row("{package: os.path, path: a.onnx}"), "package"),
        pytest.param(row("{url: 'https://e.com/a', sha256: abc}"), "sha256"),
        pytest.param(row("{path: a.onnx}").replace("mine:", "../mine:"), "name"),
        pytest.param(row("{path: a.onnx}") + "    default: true\n", "default: unknown key"),
        pytest.param(row("{path: a.onnx}").replace("objects", "movies"), "task: "),
        pytest.param(row("{path: a.onnx}") + "    overlaid: true\n", "overlaid may not be written"),
        pytest.param("models: [a]\n", "only `models:`"),
        pytest.param("networks: {}\n", "only `models:`"),
        pytest.param("models:\n  mine: 3\n", "a row has keys and values"),
        pytest.param("models: {", "Cannot read"),
        pytest.param(row("{path: a.onnx}") + "  mine: {}\n", "mine stands there twice"),
        pytest.param(row("a.onnx"), "model mine: files.network.local: write keys and values"),
        pytest.param(row("[a.onnx]"), "model mine: files.network.local: write keys and values"),
        pytest.param(row("{path: a.onnx, path: b.onnx}"), "model mine: path stands there twice"),
        pytest.param(row("{? [a, b] : c}"), "model mine: the key in line"),
        pytest.param(row('{path: "a\\0b"}'), "model mine: files.network.local.path: "),
        pytest.param(row("{path: a}").replace("MIT", "2024-13-45"), "model mine: month must be"),
        pytest.param(row("{path: a}").replace("MIT", "!!int x"), "model mine: "),
        pytest.param(row("{path: a}").replace("MIT", "!!python/name:os.system"), "model mine: "),
        pytest.param(row("{path: a}").replace("My own", "&a [*a]"), "model mine: "),
        pytest.param("models:\n  ? [a, b]\n  : {}\n", "the key in line 2 is not one word"),
        pytest.param("models: {a: " + "[" * 100_000 + "\n", ":1: nested deeper than"),
        pytest.param("[" * 100_000, ":1: nested deeper than"),
        pytest.param('models: {a: "\\U00110000"}', "Cannot read"),
    ],
)
def test_a_wrong_row_is_named_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    mine = overlay(tmp_path, text)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(OURS, mine)
    assert told in str(caught.value)
    assert str(mine) in str(caught.value)


def test_a_word_list_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "things.txt").write_bytes(b"chair\nl\xe4mp\n")
    with pytest.raises(CatalogueError, match=r"things\.txt.*save it as UTF-8"):
        load_catalogue(OURS, overlay(tmp_path, row("{path: mine.onnx}")))


def test_a_catalogue_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "catalogue.yaml"
    mine.write_bytes(row("{path: m\u00fcde.onnx}").encode("latin-1"))
    with pytest.raises(CatalogueError, match=r"catalogue\.yaml"):
        load_catalogue(OURS, mine)


WORDS = some.sampled_from(
    [
        *("models", "mine", "task", "objects", "clip", "about", "licence", "commercial", "words"),
        *("files", "network", "visual", "path", "url", "repo", "package", "revision", "sha256"),
        *("size", "mean", "classes", "<<", "a/b", "https://[", "../x", "a.onnx", "things", ""),
    ]
)
SCALARS = some.one_of(
    WORDS,
    some.text(max_size=4),
    some.none(),
    some.booleans(),
    some.integers(),
    some.floats(),
    some.dates(),
    some.datetimes(),
    some.binary(max_size=3),
)
TREES: some.SearchStrategy[Any] = some.recursive(
    SCALARS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(SCALARS, inner, max_size=6),
    max_leaves=12,
)
ROWS = some.fixed_dictionaries(
    {"task": some.just("objects"), "about": some.just("x"), "licence": some.just("MIT")},
    optional={
        "commercial": some.just(True) | TREES,
        "words": WORDS | TREES,
        "files": some.fixed_dictionaries({"network": TREES}) | TREES,
        "size": TREES,
        "mean": TREES,
        "classes": TREES,
    },
)
LETTERS = some.text("models: {}[]&*!|>-?'\"\\\n\tab<0:2\x00\x85\ufeff", max_size=60)


@settings(max_examples=150)
@given(
    text=some.builds(yaml.safe_dump, some.fixed_dictionaries({"models": TREES}) | TREES)
    | some.builds(lambda row: yaml.safe_dump({"models": {"mine": row}}), ROWS)
    | LETTERS
    | LETTERS.map("models: ".__add__)
    | LETTERS.map("models: {mine: ".__add__)
)
def test_whatever_stands_there_is_a_catalogue_or_refused(tmp_path: Path, text: str) -> None:
    with contextlib.suppress(CatalogueError):
        for card in load_catalogue(OURS, overlay(tmp_path, text)):
            assert card.facts


def test_an_empty_catalogue_of_the_users_is_no_fault(tmp_path: Path) -> None:
    assert "yolox-s" in load_catalogue(OURS, overlay(tmp_path, "# nothing yet\n"))


def test_only_the_user_may_name_files_of_this_machine(tmp_path: Path) -> None:
    ours = overlay(tmp_path, row("{path: mine.onnx}"))
    with pytest.raises(CatalogueError, match="network has no repo, url or package"):
        load_catalogue(ours)
