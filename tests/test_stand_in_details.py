"""Smaller habits of a running Stash, seen by asking it and the stand-in the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stash import StandIn, fake_file
from demo.stash.hook_inputs import sent, whole
from demo.stash.media import MediaError, oshash
from tests.stand_in_client import Client

NO_BOOL = "Internal system error. Error <null value not allowed in optional bool>"
NO_DATE = (
    'converting date: failed to parse date "bad": [ParseDateStringAsTime failed: dateString <bad> '
    'parsing time "bad" as "2006-01": cannot parse "bad" as "2006" '
    'parsing time "bad" as "2006": cannot parse "bad" as "2006"]'
)
NO_NUMBER = 'strconv.Atoi: parsing "abc": invalid syntax'


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """One tag, a scene without a file, and one with."""
    with StandIn(tmp_path / "stash") as stash:
        stash.add_tag("Tag", aliases=["kid", "Kiddo"])
        stash.add_scene("No file")
        stash.add_scene(file=fake_file("/lib/short.mp4"))
        yield Client(stash)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("sceneUpdate", {"id": 1, "organized": None}, NO_BOOL),
        ("bulkSceneUpdate", {"ids": [1], "organized": None}, NO_BOOL),
        ("tagUpdate", {"id": 1, "favorite": None}, NO_BOOL),
        ("tagUpdate", {"id": 1, "name": None}, "tag name must not be blank"),
        ("sceneUpdate", {"id": 1, "date": "bad"}, NO_DATE),
        ("sceneUpdate", {"id": 1, "tag_ids": ["abc"]}, f"converting tag ids: {NO_NUMBER}"),
        (
            "bulkSceneUpdate",
            {"ids": [1], "tag_ids": {"ids": ["abc"], "mode": "ADD"}},
            f"converting tag ids: converting ids [[abc]]: {NO_NUMBER}",
        ),
        ("bulkSceneUpdate", {"ids": ["abc"]}, f"converting ids: {NO_NUMBER}"),
        ("tagDestroy", {"id": "abc"}, f"converting id: {NO_NUMBER}"),
        ("tagCreate", {"name": "n", "aliases": [" kid "]}, "name 'kid' is used as alias for 'Tag'"),
        (
            "performerCreate",
            {"name": "P", "alias_list": ["a", "A"]},
            "performer contains duplicate alias 'A'",
        ),
        (
            "sceneCreate",
            {"title": "x", "file_ids": ["1"]},
            "assigning file 1 to new scene: cannot reassign primary file",
        ),
        ("bulkSceneMarkerUpdate", {"ids": [9], "title": "x"}, "sql: no rows in result set"),
    ],
)
def test_refused(client: Client, name: str, values: dict[str, Any], message: str) -> None:
    assert client.refusal(name, **values) == message


def test_what_a_bulk_update_may_do_and_a_single_one_may_not(client: Client) -> None:
    refusal = client.refusal("sceneUpdate", id=1, title=None)
    assert refusal == "title must be set if scene has no files"
    assert client.write("bulkSceneUpdate", "title", ids=[1], title=None) == [{"title": ""}]


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"title": {"value": "x", "modifier": "EXCLUDES"}}, ["1"]),
        ({"title": {"value": "x", "modifier": "NOT_EQUALS"}}, ["1"]),
        ({"title": {"value": "x", "modifier": "NOT_MATCHES_REGEX"}}, ["1", "2"]),
        ({"tags": {"value": ["1"], "modifier": "BETWEEN"}}, ["1", "2"]),
        ({"created_at": {"value": "nonsense", "modifier": "GREATER_THAN"}}, []),
    ],
    ids=["no title is not found", "nor here", "but here", "unknown modifier", "no time"],
)
def test_filters(client: Client, criteria: dict[str, Any], found: list[str]) -> None:
    query = """query($f: SceneFilterType) { findScenes(scene_filter: $f, filter: {sort: "id"}) {
      scenes { id } } }"""
    page = client.data(query, f=criteria)["findScenes"]["scenes"]
    assert [scene["id"] for scene in page] == found


@pytest.mark.parametrize(
    ("words", "count"),
    [("short | file", 2), ("short or file", 2), ("short file", 0), ("-short", 1)],
)
def test_words(client: Client, words: str, count: int) -> None:
    query = "query($q: String) { findScenes(filter: {q: $q}) { count } }"
    assert client.data(query, q=words)["findScenes"]["count"] == count


@pytest.mark.parametrize(
    ("page", "status", "message"),
    [
        ({"page": "1", "q": 5}, 200, ""),
        ({"page": "x"}, 422, "cannot use string as Int"),
        ({"page": 1.5}, 422, "cannot use string as Int"),
        (5, 422, "must be a FindFilterType, not a string"),
    ],
    ids=["a number and its text are the same", "no number", "no whole number", "no object"],
)
def test_variables(client: Client, page: Any, status: int, message: str) -> None:
    query = "query($p: FindFilterType) { findScenes(filter: $p) { count } }"
    answer = client.post(query, {"p": page})
    assert answer.status_code == status
    assert answer.json().get("errors", [{"message": ""}])[0]["message"] == message


def test_aliases_are_sorted_and_urls_are_not(client: Client) -> None:
    tag = client.data("{ findTag(id: 1) { aliases } }")["findTag"]
    assert tag["aliases"] == ["Kiddo", "kid"]
    scene = client.write("sceneUpdate", "urls", id=1, urls=["http://b", " http://a "])
    assert scene["urls"] == ["http://b", "http://a"]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/scene/abc/screenshot", 400, "Bad Request\n"),
        ("/scene/99/vtt/sprite", 404, "Not Found\n"),
        ("/scene/1/vtt/sprite", 404, "404 page not found\n"),
        ("/scene/1/preview", 404, "404 page not found\n"),
        ("/plugin/none/javascript", 404, "Not Found\n"),
    ],
)
def test_addresses(client: Client, path: str, status: int, text: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (status, text)


def test_the_hash_of_a_small_file_is_of_whole_words_at_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(bytes(range(1, 20)))
    head, tail = bytes(range(1, 17)), bytes(range(4, 20))
    words = [int.from_bytes(part[at : at + 8], "little") for part in (head, tail) for at in (0, 8)]
    assert oshash(path) == f"{(19 + sum(words)) % 2**64:016x}"
    path.write_bytes(b"hello")
    with pytest.raises(MediaError, match="size < 8"):
        oshash(path)


def test_what_hooks_are_shown() -> None:
    assert sent({"name": "x", "aliases": [], "description": None}) == {"name": "x"}
    studio = whole("StudioUpdateInput", {"id": "1", "details": "d"})
    assert (studio["details"], studio["parent_id"]) == ("d", None)
    performer = whole("PerformerUpdateInput", {"id": "1"})
    assert performer["custom_fields"] == {"full": None, "partial": None, "remove": None}
