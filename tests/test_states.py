"""The libraries that the pages are tried on: the words, the server and the plugins in them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from demo import neighbours
from demo.clips_for import HOSTILE, hostile_library
from demo.stash import StandIn
from demo.states import HOSTILE_WORDS, MANY, PIECE_BYTES, plant_home, slow_site
from stash_sense_plugin.library.counts import LibraryCounts
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.vocabulary import load_vocabulary
from tests.stand_in_client import Client

ROOT = Path(__file__).resolve().parent.parent
CONTENT = bytes(range(256)) * (4 * PIECE_BYTES // 256)


@pytest.fixture
def site() -> Iterator[str]:
    with slow_site(CONTENT) as address:
        yield address


def test_the_first_half_of_a_file_comes_at_once(site: str) -> None:
    with requests.get(f"{site}/file", stream=True, timeout=10) as answer:
        assert int(answer.headers["Content-Length"]) == len(CONTENT)
        half = answer.raw.read(len(CONTENT) // 2)
    assert half == CONTENT[: len(CONTENT) // 2]


def test_what_is_gone_on_with_comes_whole(site: str) -> None:
    start = PIECE_BYTES + 1
    answer = requests.get(f"{site}/file", headers={"Range": f"bytes={start}-"}, timeout=10)
    end = len(CONTENT)
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{end}"
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(CONTENT[start:]).digest()


def test_the_vocabulary_takes_the_hostile_words_as_they_are(tmp_path: Path) -> None:
    own = tmp_path / "vocabulary.yaml"
    labels = {label: {"tag": name} for label, name in HOSTILE_WORDS.items()}
    own.write_text(yaml.safe_dump({"labels": labels}, allow_unicode=True), encoding="utf-8")
    vocabulary = load_vocabulary(ROOT / "models" / "vocabulary.yaml", own)
    assert set(HOSTILE_WORDS.values()) <= {label.tag for label in vocabulary.labels.values()}


def test_the_hostile_clips_are_files_that_differ() -> None:
    names = [clip.name for clip in hostile_library()]
    assert set(HOSTILE) < set(names)
    assert len(names) == len(set(names))
    assert not any("/" in name for name in names)


def test_a_planted_store_holds_as_many_scenes_as_were_asked_for(tmp_path: Path) -> None:
    assert MANY == 50_000
    plant_home(tmp_path, 30)
    with Store(tmp_path / "store.sqlite") as store:
        assert LibraryCounts(store).scenes()[0] == 30


def test_the_neighbours_are_loaded_before_ours_and_behind(tmp_path: Path) -> None:
    neighbours.install(tmp_path / "plugins")
    ours = tmp_path / "plugins" / "stash-sense"
    ours.mkdir()
    (ours / "stash-sense.yml").write_text("name: Stash Sense\n")
    with StandIn(tmp_path / "stash", plugins=tmp_path / "plugins") as stash:
        plugins = Client(stash).data(
            "{ plugins { id settings { name type } paths { javascript } } }"
        )
    first, *others = plugins["plugins"]
    assert [first["id"], *(each["id"] for each in others)] == [
        "neighbour",
        "stash-sense",
        "the-other-neighbour",
    ]
    assert {each["type"] for each in first["settings"]} == {"BOOLEAN", "NUMBER", "STRING"}
    assert len(first["paths"]["javascript"]) == 1
