"""Scenes that become one, as a running Stash was seen to do it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.stash import Fault, Hold, StandIn, fake_file
from tests.stand_in_client import Client

NIL = (
    "Internal system error. "
    "Error <runtime error: invalid memory address or nil pointer dereference>"
)
NO_NUMBER = 'strconv.Atoi: parsing "x": invalid syntax'
NO_BOOL = "Internal system error. Error <null value not allowed in optional bool>"
SHOWN = (
    "id title organized studio { id } tags { name } files { id } scene_markers { id } paths { vtt }"
)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """Three tags, a studio, four scenes with a file each and a fifth without one."""
    with StandIn(tmp_path / "stash") as stash:
        tags = [stash.add_tag(name) for name in "ABC"]
        stash.add_studio("S")
        for number, own in enumerate((tags[:2], tags[2:], [], []), 1):
            file = fake_file(f"/lib/{number}.mp4", oshash=f"{number:016x}", phash="f0f0")
            stash.add_scene(tags=own, file=file)
        stash.set_studio(1, 1)
        stash.add_scene("No file")
        client = Client(stash)
        for scene, tag in ((1, 1), (2, 3)):
            client.write(
                "sceneMarkerCreate", title="", seconds=1, scene_id=scene, primary_tag_id=tag
            )
        yield client


def merge(client: Client, source: list[Any], destination: object, **values: Any) -> dict[str, Any]:
    more = {"values": {"id": "2", **values}} if values else {}
    found: dict[str, Any] = client.write(
        "sceneMerge", SHOWN, source=source, destination=destination, **more
    )
    return found


def assign(client: Client, scene: int, file: int) -> dict[str, Any]:
    query = "mutation($input: AssignSceneFileInput!) { sceneAssignFile(input: $input) }"
    answer: dict[str, Any] = client.post(
        query, {"input": {"scene_id": scene, "file_id": file}}
    ).json()
    return answer


def ids(rows: list[dict[str, str]]) -> list[str]:
    return [row["id"] for row in rows]


def test_files_and_markers_move_and_all_else_goes(client: Client) -> None:
    merged = merge(client, [1], 2)
    assert ids(merged["files"]) == ["2", "1"]
    assert ids(merged["scene_markers"]) == ["1", "2"]
    assert [tag["name"] for tag in merged["tags"]] == ["C"]
    assert (merged["title"], merged["studio"]) == ("", None)
    assert merged["paths"]["vtt"].endswith("/scene/0000000000000002_thumbs.vtt")
    assert client.data("{ findScene(id: 1) { id } }")["findScene"] is None
    assert client.stash.scene_by_file("1.mp4") == 2


def test_what_is_named_is_written_to_the_destination_and_its_primary_file_stays(
    client: Client,
) -> None:
    merged = merge(
        client, ["3", "3", 4], 2, tag_ids=[1, 2], title="Merged", studio_id=1, primary_file_id=4
    )
    assert ids(merged["files"]) == ["2", "3", "4"]
    assert [tag["name"] for tag in merged["tags"]] == ["A", "B"]
    assert (merged["title"], merged["studio"]) == ("Merged", {"id": "1"})


def test_another_id_in_the_values_means_nothing(client: Client) -> None:
    assert merge(client, [3], 2, id=4, organized=True)["organized"]
    assert not client.stash.scene_row(4)["organized"]


def test_a_scene_without_a_file_takes_the_first_that_comes(client: Client) -> None:
    merged = merge(client, [4, 3], 5)
    assert sorted(ids(merged["files"])) == ["3", "4"]
    assert ids(merged["files"])[0] == "4"
    assert ids(merge(client, [5], 1)["files"]) == ["1", "3", "4"]


@pytest.mark.parametrize(
    ("source", "destination", "values", "message"),
    [
        ([1], 1, {}, "destination scene cannot be in source list"),
        ([999], 1, {}, "finding source scenes: scene with id 999 not found"),
        ([1], 999, {}, NIL),
        ([3], 999, {}, NIL),
        (["x"], 1, {}, f"converting source ids: {NO_NUMBER}"),
        ([1], "x", {}, f"converting destination id: {NO_NUMBER}"),
        ([3], 2, {"id": 2, "organized": None}, NO_BOOL),
    ],
    ids=["into itself", "no source", "no target", "nor marker", "no id", "no id here", "null"],
)
def test_refused(
    client: Client, source: list[Any], destination: object, values: dict[str, Any], message: str
) -> None:
    more = {"values": values} if values else {}
    told = client.refusal("sceneMerge", source=source, destination=destination, **more)
    assert told == message
    assert client.stash.scene_ids() == [1, 2, 3, 4, 5]
    assert [client.stash.scene_files(scene) for scene in (1, 2)] == [[1], [2]]


def test_an_unknown_tag_leaves_all_as_it_was(client: Client) -> None:
    values = {"id": 2, "tag_ids": ["777"]}
    told = client.refusal("sceneMerge", source=[1], destination=2, values=values)
    assert told.startswith("updating scene: error executing `INSERT INTO scenes_tags")
    assert told.endswith("FOREIGN KEY constraint failed")
    assert client.stash.scene_files(1) == [1]
    assert client.stash.scene_tags(2) == {"C"}


def test_nothing_to_merge_is_no_fault(client: Client) -> None:
    assert ids(merge(client, [], 2)["files"]) == ["2"]


def test_the_primary_file_is_chosen_among_a_scenes_own(client: Client) -> None:
    merge(client, [1, 3], 2)
    client.write("sceneUpdate", id=2, primary_file_id=3)
    assert client.stash.scene_files(2) == [3, 1, 2]
    told = client.refusal("sceneUpdate", id=2, primary_file_id=4)
    assert told == "file with id 4 not associated with scene"


def test_a_file_changes_its_scene_unless_it_is_the_primary_one(client: Client) -> None:
    extra = client.stash.add_file(1, fake_file("/lib/extra.mp4", oshash="e" * 16))
    assert assign(client, 3, extra) == {"data": {"sceneAssignFile": True}}
    assert (client.stash.scene_files(1), client.stash.scene_files(3)) == ([1], [3, extra])
    (error,) = assign(client, 3, 1)["errors"]
    assert error["message"] == "assigning file to scene: cannot reassign primary file"


def test_a_seeded_file_shows_both_its_fingerprints(client: Client) -> None:
    shown = client.data("{ findScene(id: 1) { files { fingerprints { type value } } } }")
    (file,) = shown["findScene"]["files"]
    prints = {one["type"]: one["value"] for one in file["fingerprints"]}
    assert prints == {"oshash": "0" * 15 + "1", "phash": "f0f0"}


@pytest.mark.parametrize(("where", "tags"), [("before", set()), ("after", {"A"})])
def test_a_call_is_held_before_it_is_made_or_answered(
    client: Client, where: str, tags: set[str]
) -> None:
    hold = Hold()
    client.stash.fault("bulkSceneUpdate", Fault(**{where: hold}))  # type: ignore[arg-type]
    answers: list[Any] = []
    change = {"ids": [1], "mode": "ADD"}
    asking = threading.Thread(
        target=lambda: answers.append(client.write("bulkSceneUpdate", ids=[4], tag_ids=change))
    )
    asking.start()
    assert hold.wait_reached()
    assert client.stash.scene_tags(4) == tags
    assert not answers
    hold.let_go()
    asking.join()
    assert client.stash.scene_tags(4) == {"A"}
    assert answers == [[{"id": "4"}]]
