"""Networks of a user's own: a row, an ONNX file and a list of words, and suggestions come out.

The rows are those that docs/models.md shows.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from demo.stash import StandIn
from stash_sense_plugin.inference.catalogue import load_catalogue
from tests.real_models import write_overlay
from tests.small_networks import answering, colour_words, mean_colour, sum_of_words
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, open_engine

PAGE = ROOT / "docs" / "models.md"
OURS = ROOT / "models" / "catalogue.yaml"
ROWS = {
    name: row
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for name, row in yaml.safe_load(block).get("models", {}).items()
}
"""The rows that the page shows, by name."""
EVERYTHING_OFF = {
    "skip_labels": True,
    "skip_acts": True,
    "skip_objects": True,
    "skip_text": True,
    "skip_facts": True,
    "skip_quality": True,
}
PICTURES = {"red": (200, 0, 0), "blue": (0, 0, 200)}
SURE = 40.0
"""How strongly the small networks say a word: its channel alone lifts it above the rest."""


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=[]) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    with open_engine(tmp_path / "home") as engine:
        for name, colour in PICTURES.items():
            Image.new("RGB", (96, 64), colour).save(tmp_path / f"{name}.png")
        yield Room(stash, tmp_path, tmp_path, engine=engine)


def own(room: Room, name: str) -> Path:
    """Write the page's row into the user's catalogue; return the folder where its files belong."""
    told = yaml.safe_dump({"models": {name: ROWS[name]}})
    room.engine.own_catalogue.write_text(told, "utf-8")
    return room.engine.own_catalogue.parent


def seen(room: Room, picture: str | Path, **settings: object) -> dict[str, dict[str, Any]]:
    """Tag a picture with these settings; return the suggestions that are shown, by name."""
    room.stash.configure_plugin("plugin", **{**EVERYTHING_OFF, **settings})
    path = picture if isinstance(picture, Path) else room.folder / f"{picture}.png"
    result = room.run("tag_file", path=str(path))
    assert result["error"] is None, result["error"]
    shown = (each for each in result["suggestions"] if each["decision"] != "HIDE")
    return {each["name"]: each for each in shown}


def lifted(*channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of a network whose words each look at one channel."""
    weights = np.zeros((3, len(channels)), np.float32)
    weights[list(channels), range(len(channels))] = SURE
    return weights, np.full(len(channels), -SURE / 2, np.float32)


def test_the_page_shows_a_row_of_each_kind_and_all_are_read(tmp_path: Path) -> None:
    overlay = tmp_path / "catalogue.yaml"
    (tmp_path / "pets.txt").write_text("cat\ndog\n")
    overlay.write_text(yaml.safe_dump({"models": ROWS}), "utf-8")
    catalogue = load_catalogue(OURS, overlay)
    tasks = {catalogue.card(name).task for name in ROWS}
    assert tasks == {"objects", "classifier", "tagger", "clip"}
    assert all(catalogue.card(name).overlaid for name in ROWS)


def test_an_object_detector_of_ones_own(room: Room) -> None:
    folder = own(room, "my-pets")
    (folder / "pets.txt").write_text("cat\ndog\n")
    boxes = np.zeros((1, 6, 8400), np.float32)
    boxes[0, :, 0] = (320, 320, 200, 200, 0.0, 0.9)
    answering(folder / "pets.onnx", (1, 3, 640, 640), boxes)
    found = seen(room, "red", skip_objects=False, object_model="my-pets")
    assert list(found) == ["Dog"]
    (evidence,) = found["Dog"]["evidence"]
    assert evidence["model"].startswith("my-pets@")
    assert evidence["box"] is not None


@pytest.mark.parametrize("setting", ["tagger_model", "also_models"])
def test_an_image_classifier_of_ones_own(room: Room, setting: str) -> None:
    folder = own(room, "my-rooms")
    (folder / "rooms.labels.txt").write_text("red room\nblue room\n")
    weights, bias = lifted(0, 2)
    colour_words(folder / "rooms.onnx", weights, bias, last="Softmax")
    wanted = {"skip_acts": False, "tagger_model": "none", setting: "my-rooms"}
    red, blue = (seen(room, name, **wanted) for name in ("red", "blue"))
    assert [name.casefold() for name in red] == ["red room"]
    assert [name.casefold() for name in blue] == ["blue room"]
    (told,) = red.values()
    assert told["decision"] == "ASK"
    assert told["evidence"][0]["model"].startswith("my-rooms@")


def test_a_multi_label_tagger_of_ones_own(room: Room) -> None:
    folder = own(room, "my-tagger")
    (folder / "colours.csv").write_text(
        "name,category\nscarlet,0\ncrimson,0\nnavy,0\ngrey,0\nexplicit,9\n"
    )
    weights, bias = lifted(0, 0, 2, 0, 0)
    colour_words(folder / "colours.onnx", weights, bias)
    found = seen(room, "red", skip_acts=False, tagger_model="my-tagger")
    # What is left out and the category with a floor of 1 are not told.
    assert {name.casefold() for name in found} == {"scarlet", "crimson"}
    assert {each["decision"] for each in found.values()} == {"ASK"}


def test_a_clip_pair_of_ones_own(room: Room) -> None:
    folder = own(room, "my-clip")
    words = ("pad", "red", "green", "blue", "grey")
    vectors = np.zeros((len(words), 3), np.float32)
    vectors[1:4] = np.eye(3)
    vectors[4] = 1.0
    mean_colour(folder / "visual.onnx")
    sum_of_words(folder / "textual.onnx", vectors)
    level = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="pad")
    tokenizer = Tokenizer(level)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    room.engine.own_vocabulary.write_text(
        "groups:\n"
        "  wall: {exclusive: true, templates: ['a {} wall'], negatives: [grey],"
        " enter: 0.5, ask: 0.3}\n"
        "labels:\n"
        "  red wall: {group: wall, tag: Red Wall, prompts: [red]}\n"
        "  blue wall: {group: wall, tag: Blue Wall, prompts: [blue]}\n",
        "utf-8",
    )
    for name, tag in (("red", "Red Wall"), ("blue", "Blue Wall")):
        found = seen(room, name, skip_labels=False, clip_model="my-clip")
        assert tag in found
        assert not {"Red Wall", "Blue Wall"} - {tag} & found.keys()


def test_a_file_that_is_gone_is_a_sentence_and_the_rest_runs(room: Room) -> None:
    folder = own(room, "my-rooms")
    (folder / "rooms.labels.txt").write_text("red room\nblue room\n")
    weights, bias = lifted(0, 2)
    colour_words(folder / "rooms.onnx", weights, bias, last="Softmax")
    assert seen(room, "red", skip_acts=False, tagger_model="my-rooms")
    (folder / "rooms.onnx").unlink()
    assert seen(room, "red", skip_acts=False, tagger_model="my-rooms"), "it was seen before"
    wanted = EVERYTHING_OFF | {"skip_acts": False, "skip_facts": False}
    room.stash.configure_plugin("plugin", **wanted, tagger_model="my-rooms")
    result = room.run("tag_file", path=str(room.folder / "blue.png"))
    assert any("my-rooms" in each["reason"] + each["remedy"] for each in result["skipped"])
    assert [each["detector"] for each in result["ran"]] == ["picture"]


# --- Real networks ------------------------------------------------------------------------------


@pytest.mark.real
def test_a_places_network_names_rooms(room: Room, real: Path) -> None:
    write_overlay(room.engine.home, real)
    pictures = sorted((real / "images" / "scenes" / "bedroom").iterdir())[:8]
    wanted = {"skip_acts": False, "tagger_model": "places365"}
    told = [{name.casefold() for name in seen(room, picture, **wanted)} for picture in pictures]
    # Half of what it says of a picture is below what is asked about.
    assert sum(bool(found & {"bedroom", "bedchamber", "hotel room"}) for found in told) >= 3


@pytest.mark.real
def test_a_five_class_network_finds_neutral_pictures_neutral(room: Room, real: Path) -> None:
    write_overlay(room.engine.home, real)
    pictures = sorted((real / "images" / "objects" / "coco" / "images").iterdir())[:8]
    wanted = {"skip_acts": False, "also_models": "nsfwjs", "tagger_model": "none"}
    told = [{name.casefold() for name in seen(room, picture, **wanted)} for picture in pictures]
    assert sum("neutral" in found for found in told) >= 5
    assert not any("porn" in found for found in told)


@pytest.mark.real
def test_a_coco_network_and_a_clip_pair_work_side_by_side(room: Room, real: Path) -> None:
    write_overlay(room.engine.home, real)
    wanted = {"object_model": "yolov8n", "clip_model": "clipshaped"}
    on = {"skip_objects": False, "skip_labels": False}
    found = seen(room, real / "images" / "objects" / "bus.jpg", **on, **wanted)
    assert found["Bus"]["evidence"][0]["model"].startswith("yolov8n@")
    rooms = sorted((real / "images" / "scenes" / "bathroom").iterdir())[:6]
    told = [seen(room, picture, **on, **wanted) for picture in rooms]
    bathrooms = [found["Bathroom"] for found in told if "Bathroom" in found]
    assert bathrooms
    assert bathrooms[0]["evidence"][0]["model"].startswith("clipshaped@")
