from pathlib import Path

import pytest

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


def test_our_rows_are_pinned_and_free_to_use_where_they_are_defaults() -> None:
    catalogue = load_catalogue(OURS)
    assert {card.name for card in catalogue.defaults()} == {"yolox-s", "clip-vit-b32"}
    for card in catalogue:
        assert card.about
        assert card.licence
        for file in card.files.values():
            if isinstance(file, HubFile):
                assert len(file.revision) == 40
            if isinstance(file, UrlFile):
                assert file.sha256
                assert file.bytes


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
        pytest.param(row("{repo: a/b, revision: main, path: ../a.onnx}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: main, path: /a.onnx}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: main, path: 'C:a.onnx'}"), "not a plain path"),
        pytest.param(row(r"{repo: a/b, revision: main, path: 'a\b.onnx'}"), "not a plain path"),
        pytest.param(row("{repo: a/b, revision: ../x, path: a.onnx}"), "revision"),
        pytest.param(row("{package: os.path, path: a.onnx}"), "package"),
        pytest.param(row("{url: 'https://e.com/a', sha256: abc}"), "sha256"),
        pytest.param(row("{path: a.onnx}").replace("mine:", "../mine:"), "name"),
        pytest.param(row("{path: a.onnx}").replace("commercial: true", "default: true"), "commerc"),
        pytest.param(row("{path: a.onnx}") + "    overlaid: true\n", "overlaid may not be written"),
        pytest.param("models: [a]\n", "only `models:`"),
        pytest.param("networks: {}\n", "only `models:`"),
        pytest.param("models:\n  mine: 3\n", "a row has keys and values"),
        pytest.param("models: {", "Cannot read"),
        pytest.param(row("{path: a.onnx}") + "  mine: {}\n", "mine stands there twice"),
    ],
)
def test_a_wrong_row_is_named_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    mine = overlay(tmp_path, text)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(OURS, mine)
    assert told in str(caught.value)
    assert str(mine) in str(caught.value)


def test_an_empty_catalogue_of_the_users_is_no_fault(tmp_path: Path) -> None:
    assert "yolox-s" in load_catalogue(OURS, overlay(tmp_path, "# nothing yet\n"))


def test_only_the_user_may_name_files_of_this_machine(tmp_path: Path) -> None:
    ours = overlay(tmp_path, row("{path: mine.onnx}"))
    with pytest.raises(CatalogueError, match="network has no repo, url or package"):
        load_catalogue(ours)
