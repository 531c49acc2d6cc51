"""What tests do to the stand-in: fill it, break it, let its sessions age, start it again."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from demo.stash import LOCKED, Fault, FileFault, StandIn, fake_file
from tests.stand_in_client import TIMEOUT_S, Client

ROOT = Path(__file__).resolve().parent.parent
ADD = "mutation($i: BulkSceneUpdateInput!) { bulkSceneUpdate(input: $i) { id } }"


@pytest.fixture
def stash(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path / "stash") as running:
        yield running


def adding(stash: StandIn) -> tuple[int, dict[str, object]]:
    """A scene, and the input that gives it a tag."""
    tag, scene = stash.add_tag("Tag"), stash.add_scene("Scene")
    return scene, {"ids": [scene], "tag_ids": {"ids": [tag], "mode": "ADD"}}


def test_a_locked_database_is_told_once_and_writes_nothing(stash: StandIn) -> None:
    scene, values = adding(stash)
    client = Client(stash)
    stash.fault("bulkSceneUpdate", Fault(error=LOCKED))
    answer = client.post(ADD, {"i": values})
    shown = {"message": LOCKED, "path": ["bulkSceneUpdate"]}
    assert answer.status_code == 200
    assert answer.json() == {"errors": [shown], "data": {"bulkSceneUpdate": None}}
    assert stash.scene_tags(scene) == set()
    client.data(ADD, i=values)
    assert stash.scene_tags(scene) == {"Tag"}
    assert stash.calls["bulkSceneUpdate"] == 2


@pytest.mark.parametrize(("when", "tags"), [("before", set()), ("after", {"Tag"})])
def test_a_cut_connection(stash: StandIn, when: str, tags: set[str]) -> None:
    scene, values = adding(stash)
    stash.fault("bulkSceneUpdate", Fault(drop=when))
    with pytest.raises(requests.ConnectionError):
        Client(stash).post(ADD, {"i": values})
    assert stash.scene_tags(scene) == tags
    assert Client(stash).data("{ version { hash } }")


def test_a_status_instead_of_an_answer(stash: StandIn) -> None:
    stash.fault("*", Fault(status=502, times=2, skip=1))
    client = Client(stash)
    came = [client.post("{ version { hash } }").status_code for _ in range(4)]
    assert came == [200, 502, 502, 200]
    stash.fault("version", Fault(error="never met"))
    stash.clear_faults()
    assert client.data("{ version { hash } }")


def test_a_foreign_writer_is_waited_for_no_longer_than_stash_does(
    stash: StandIn, tmp_path: Path
) -> None:
    scene, values = adding(stash)
    foreign = sqlite3.connect(tmp_path / "stash" / "stash-go.sqlite", isolation_level=None)
    try:
        foreign.execute("BEGIN IMMEDIATE")
        answer = Client(stash).post(ADD, {"i": values}).json()
        assert answer["errors"][0]["message"] == LOCKED
        assert Client(stash).data("{ findScenes { count } }")["findScenes"]["count"] == 1
    finally:
        foreign.close()
    Client(stash).data(ADD, i=values)
    assert stash.scene_tags(scene) == {"Tag"}


def test_fifty_thousand_scenes_are_paged_by_key(stash: StandIn) -> None:
    tag = stash.add_tag("TagMe")
    scenes = stash.add_scenes(50_000, tags=[tag])
    query = """query($last: Int!, $tag: ID!) { findScenes(
      filter: {per_page: 3, sort: "id"},
      scene_filter: {id: {value: $last, modifier: GREATER_THAN},
        tags: {value: [$tag], modifier: INCLUDES, depth: -1}}) { count scenes { id tags { name } } }
    }"""
    page = Client(stash).data(query, last=scenes[-3], tag=tag)["findScenes"]
    assert page["count"] == 2
    assert [scene["id"] for scene in page["scenes"]] == [str(one) for one in scenes[-2:]]
    assert page["scenes"][0]["tags"] == [{"name": "TagMe"}]


def test_the_library_is_read_as_it_was_filled(stash: StandIn) -> None:
    parent = stash.add_tag("Parent")
    tag = stash.add_tag("Tag", aliases=["T"], parents=[parent], ignore_auto_tag=True)
    studio, performer = stash.add_studio("Studio"), stash.add_performer("Person")
    file = fake_file("/lib/a.mp4")
    scene = stash.add_scene("A", tags=[tag], performers=[performer], studio=studio, file=file)
    row = stash.tag_row(tag)
    assert (row["aliases"], row["parents"], row["ignore_auto_tag"]) == (["T"], [parent], 1)
    assert stash.scene_by_file("a.mp4") == scene
    assert stash.scene_studio(scene) == "Studio"
    assert stash.scene_performers(scene) == {"Person"}
    stash.untag_scene(scene, tag)
    stash.tag_scene(scene, parent)
    assert stash.scene_tags(scene) == {"Parent"}
    stash.set_studio(scene, None)
    assert stash.scene_row(scene)["studio_id"] is None
    stash.remove_scene(scene)
    assert stash.scene_ids() == []


def test_a_filter_that_is_not_known_is_refused_by_name(stash: StandIn) -> None:
    query = "{ findScenes(scene_filter: {interactive: true}) { count } }"
    message = Client(stash).post(query).json()["errors"][0]["message"]
    assert message == "the stand-in does not filter by interactive of a scene"


def test_lists_inside_and_or_not_share_the_outer_join(stash: StandIn) -> None:
    first, second = stash.add_tag("A"), stash.add_tag("B")
    only, both = stash.add_scene("only A", tags=[first]), stash.add_scene("x", tags=[first, second])
    stash.add_scene("only B", tags=[second])
    query = """query($f: SceneFilterType) { findScenes(scene_filter: $f,
      filter: {sort: "id"}) { scenes { id } } }"""

    def found(**more: object) -> list[int]:
        wanted = {"tags": {"value": [first], "modifier": "INCLUDES"}, **more}
        page = Client(stash).data(query, f=wanted)["findScenes"]["scenes"]
        return [int(scene["id"]) for scene in page]

    inner = {"tags": {"value": [second], "modifier": "INCLUDES"}}
    assert found(AND=inner) == found(OR=inner) == [only, both]
    assert found(NOT=inner) == []
    assert found(AND={"tags": {"value": [second], "modifier": "EXCLUDES"}}) == [only]


class Clock:
    """A time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_cookie_dies_of_age_and_a_refreshed_one_lives_on(tmp_path: Path) -> None:
    clock = Clock()
    options = {"credentials": ("admin", "pw"), "max_session_age_s": 60, "clock": clock}
    with StandIn(tmp_path / "stash", **options) as stash:  # type: ignore[arg-type]
        form = {"username": "admin", "password": "pw"}
        first = requests.post(f"{stash.url}/login", form, timeout=30).cookies["session"]
        clock.now += 50
        query = "{ version { hash } }"
        second = Client(stash, Cookie=f"session={first}").post(query).cookies["session"]
        clock.now += 50
        assert Client(stash, Cookie=f"session={first}").post(query).status_code == 401
        assert Client(stash, Cookie=f"session={second}").post(query).status_code == 200
        first_wins = Client(stash, Cookie=f"session={first}; session={second}").post(query)
        assert first_wins.status_code == 401


def test_library_settings_and_sessions_survive_a_restart_but_jobs_start_at_one(
    tmp_path: Path,
) -> None:
    with StandIn(tmp_path / "stash", credentials=("admin", "pw")) as stash:
        stash.add_tag("Kept")
        stash.configure_plugin("p", zeal=3)
        cookie = f"session={stash.connection['SessionCookie']['Value']}"
        assert stash.run_task("none", None).id == 1
    with StandIn(tmp_path / "stash", credentials=("admin", "pw")) as stash:
        assert stash.tags() == {"Kept": 1}
        assert stash.plugin_settings("p") == {"zeal": 3}
        assert Client(stash, Cookie=cookie).data("{ version { hash } }")
        assert stash.run_task("none", None).id == 1


LOOP_YML = """\
exec: [python, "-S", "{pluginDir}/loop.py"]
hooks:
  - name: Loop
    triggeredBy: [Tag.Update.Post]
"""
LOOP_PY = """\
import json, sys, http.client
document = json.load(sys.stdin)
connection = document["server_connection"]
with open(connection["PluginDir"] + "/runs", "a") as file:
    file.write(".")
tag = document["args"]["hookContext"]["id"]
query = 'mutation { tagUpdate(input: {id: %d, description: "x"}) { id } }' % tag
server = http.client.HTTPConnection(connection["Host"], connection["Port"])
headers = {"Content-Type": "application/json"}
headers["Cookie"] = "session=" + connection["SessionCookie"]["Value"]
server.request("POST", "/graphql", json.dumps({"query": query}), headers)
server.getresponse().read()
"""


def test_a_hook_that_leads_to_itself_runs_ten_times(tmp_path: Path) -> None:
    plugin = tmp_path / "stash" / "plugins" / "loop"
    plugin.mkdir(parents=True)
    (plugin / "loop.yml").write_text(LOOP_YML, encoding="utf-8")
    (plugin / "loop.py").write_text(LOOP_PY, encoding="utf-8")
    with StandIn(tmp_path / "stash", python_path=sys.executable) as stash:
        tag = stash.add_tag("Tag")
        Client(stash).write("tagUpdate", id=tag, description="y")
    assert (plugin / "runs").read_text(encoding="utf-8") == "." * 10


def test_on_its_own_it_prints_its_address_and_ends_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.stash", "--folder", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            assert requests.get(f"{url}/healthz", timeout=30).text == "."
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_file_goes_wrong_by_its_address_alone(stash: StandIn) -> None:
    page = FileFault(502, {"X-Said": "so"}, b"oops")
    stash.file_fault("/scene/.*_sprite.jpg", page)
    client = Client(stash)
    answer = client.get("/scene/0123_sprite.jpg")
    assert (answer.status_code, answer.headers["X-Said"], answer.content) == (502, "so", b"oops")
    assert client.get("/scene/0123_thumbs.vtt").status_code == 404
    assert client.data("{ version { hash } }")
    stash.clear_faults()
    assert client.get("/scene/0123_sprite.jpg").status_code == 404


@pytest.mark.parametrize(
    "fault",
    [
        FileFault(body=b"x", said_bytes=9),
        FileFault(body=b"x", said_bytes=9, cut=True),
        FileFault(200, {"Transfer-Encoding": "chunked"}, b"zz\r\n"),
    ],
    ids=["less than was said", "cut", "broken pieces"],
)
def test_a_file_that_breaks_off(stash: StandIn, fault: FileFault) -> None:
    stash.file_fault("/scene/0123_sprite.jpg", fault)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        Client(stash).get("/scene/0123_sprite.jpg")


def test_a_file_without_end_comes_until_the_client_hangs_up(stash: StandIn) -> None:
    stash.file_fault("/scene/0123_sprite.jpg", FileFault(said_bytes=10**9, drip_s=0.001))
    url = f"{stash.url}/scene/0123_sprite.jpg"
    with requests.get(url, stream=True, timeout=TIMEOUT_S) as answer:
        assert next(answer.iter_content(20)) == b"." * 20
