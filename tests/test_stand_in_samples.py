"""What a running Stash was seen to answer, asked of the stand-in."""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.stash import StandIn, fake_file
from tests.clips import write_clip
from tests.stand_in_client import Client

SAY_YML = """\
name: Probe
exec: [python, "-S", "{pluginDir}/say.py"]
errLog: warning
tasks:
  - name: Dump
    defaultArgs: {mode: dump}
    execArgs: ["--flag", "{pluginDir}/x"]
  - name: T
hooks:
  - name: All
    triggeredBy: [Scene.Update.Post, Tag.Create.Post, Scene.Destroy.Post]
    defaultArgs: {mode: hook}
"""
SAY_PY = """\
import json, os, sys
document = json.load(sys.stdin)
args = document["args"]
if args.get("mode") == "hook":
    with open(os.path.join(os.path.dirname(__file__), "hooks.jsonl"), "a") as file:
        file.write(json.dumps(args["hookContext"]) + "\\n")
elif args.get("mode") == "dump":
    json.dump({"output": [document, sys.argv[1:]]}, sys.stdout)
else:
    sys.stderr.write(args.get("log", ""))
    sys.stdout.write(args["text"])
    sys.stdout.flush()
    os._exit(args.get("status", 0))
"""
COOKIE = (
    "Name Value Quoted Path Domain Expires RawExpires MaxAge Secure HttpOnly SameSite "
    "Partitioned Raw Unparsed"
)
SCENE_UPDATE = (
    "clientMutationId id title code details director url urls date rating100 o_counter "
    "organized studio_id gallery_ids performer_ids movies groups tag_ids cover_image "
    "stash_ids resume_time play_duration play_count primary_file_id"
)
OPERATION = "mutation($id: ID!, $args: Map) { runPluginOperation(plugin_id: $id, args: $args) }"
TASK = """mutation($name: String, $args: Map) {
  runPluginTask(plugin_id: "probe", task_name: $name, args_map: $args) }"""


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    folder = tmp_path_factory.mktemp("stash")
    probe = folder / "plugins" / "probe"
    probe.mkdir(parents=True)
    (probe / "probe.yml").write_text(SAY_YML, encoding="utf-8")
    (probe / "say.py").write_text(SAY_PY, encoding="utf-8")
    (probe / "idle.yml").write_text("name: Idle\n", encoding="utf-8")
    (probe / "stiff.yml").write_text("exec: [run.sh]\n", encoding="utf-8")
    (probe / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    with StandIn(folder, python_path=sys.executable) as running:
        yield running


@pytest.fixture
def client(stash: StandIn) -> Client:
    return Client(stash)


def output(text: str) -> str:
    return f'{{"data":{{"runPluginOperation":{text}}}}}'


def error(message: str) -> str:
    shown = f'{{"message":"{message}","path":["runPluginOperation"]}}'
    return f'{{"errors":[{shown}],"data":{{"runPluginOperation":null}}}}'


@pytest.mark.parametrize(
    ("printed", "status", "body"),
    [
        ('{"output": {"a": 1}}\n\n', 0, output('{"a":1}')),
        ('{"output": 1}\nbye\n', 0, output('"{\\"output\\": 1}\\nbye\\n"')),
        ('hello\n{"output": 1}', 0, output('"hello\\n{\\"output\\": 1}"')),
        ('{"output": 1}{"output": 2}', 0, output('"{\\"output\\": 1}{\\"output\\": 2}"')),
        ('{"output": NaN}', 0, output('"{\\"output\\": NaN}"')),
        ("[1,2]", 0, output('"[1,2]"')),
        ("5", 0, output('"5"')),
        ('"x"', 0, output('"\\"x\\""')),
        ("", 0, output('""')),
        ("null", 0, output("null")),
        ('{"foo": 1}', 0, output("null")),
        ('{"error": null, "output": 3}', 0, output("3")),
        ('{"error": "bad thing", "output": {"x":1}}', 0, error("bad thing")),
        ('{"error": ""}', 0, error("")),
        ('{"error": 5}', 0, error("")),
        ('{"error": {"code":1}}', 0, error("")),
        ('{"ERROR": "caps", "OUTPUT": 1}', 0, error("caps")),
        ('{"output": 1}', 3, error("exit status 3")),
        ('{"error": "mine"}', 3, error("mine")),
        ('{"output": 9007199254740993}', 0, output("9007199254740992")),
        ('{"output": 1.0}', 0, output("1")),
        ('{"output": 12345678901234567890}', 0, output("12345678901234567000")),
        ('{"output": "\\ud800"}', 0, output('"\ufffd"')),
        ('{"output": "<&>"}', 0, output('"\\u003c\\u0026\\u003e"')),
    ],
)
def test_stdout_becomes_the_body(client: Client, printed: str, status: int, body: str) -> None:
    came = client.body(OPERATION, id="probe", args={"text": printed, "status": status})
    assert came == body


NIL = "runtime error: invalid memory address or nil pointer dereference"


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("none", f"Internal system error. Error <{NIL}>"),
        ("PROBE", f"Internal system error. Error <{NIL}>"),
        ("idle", "empty exec value"),
        ("stiff", "error running plugin: fork/exec {}/run.sh: permission denied"),
    ],
)
def test_an_operation_that_cannot_run(client: Client, plugin: str, message: str) -> None:
    answer = client.post(OPERATION, {"id": plugin}).json()
    folder = client.stash.settings.plugins_path / "probe"
    assert answer["errors"][0]["message"] == message.replace("{}", str(folder))


def test_the_document_of_a_task_and_of_an_operation(client: Client) -> None:
    args = {"n": 5, "f": 1.5, "b": True, "z": None, "l": [1, {"a": "b"}]}
    document, argv = client.data(OPERATION, id="probe", args={**args, "mode": "dump"})[
        "runPluginOperation"
    ]
    assert argv == []
    assert document["args"] == {**args, "mode": "dump"}
    folder = client.stash.settings.folder
    connection = document["server_connection"]
    cookie = connection.pop("SessionCookie")
    assert connection == {
        "Scheme": "http",
        "Host": "127.0.0.1",
        "Port": client.stash.settings.port,
        "Dir": str(folder),
        "PluginDir": str(folder / "plugins" / "probe"),
    }
    assert " ".join(cookie) == COOKIE
    assert cookie["Expires"] == "0001-01-01T00:00:00Z"


def test_a_task_that_fails_is_finished_and_only_the_log_knows(stash: StandIn) -> None:
    job = stash.run_task("probe", "T", {"text": '{"error": "bad thing"}', "log": "plain\n"})
    assert (job.status, job.error) == ("FINISHED", None)
    lines = {(line.level, line.message) for line in stash.log}
    assert ("Error", "Plugin returned error: bad thing") in lines
    assert ("Warning", "[Plugin / Probe] plain") in lines


@pytest.mark.parametrize(
    ("plugin", "task", "why"),
    [
        ("probe", "Nope", "Error creating plugin task: no task with name Nope in plugin Probe"),
        ("nope", "T", "Error creating plugin task: no plugin with ID nope"),
        ("idle", None, "Error running plugin task: empty exec value"),
    ],
)
def test_a_job_that_cannot_start(stash: StandIn, plugin: str, task: str | None, why: str) -> None:
    job = stash.run_task(plugin, task)
    assert (job.status, job.error) == ("FAILED", why)


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        pytest.param(
            "{ findScene(id: 1) { nope } }",
            422,
            {"message": 'Cannot query field "nope" on type "Scene".', "column": 22},
            id="unknown field",
        ),
        pytest.param(
            '{ findScene(id: "abc") { id } }',
            200,
            '{"errors":[{"message":"strconv.Atoi: parsing \\"abc\\": invalid syntax",'
            '"path":["findScene"]}],"data":{"findScene":null}}',
            id="no number",
        ),
        pytest.param("{ findScene(id: 9999) { id } }", 200, '{"data":{"findScene":null}}', id="no"),
        pytest.param(
            "{ findScenes(ids: [9999]) { count } }",
            200,
            '{"errors":[{"message":"scene with id 9999 not found","path":["findScenes"]}],'
            '"data":null}',
            id="unknown id",
        ),
        pytest.param(
            '{ findScenes(filter: {sort: "nope"}) { count } }',
            200,
            '{"errors":[{"message":"invalid sort: nope","path":["findScenes"]}],"data":null}',
            id="unknown sort",
        ),
    ],
)
def test_answers(client: Client, query: str, status: int, body: Any) -> None:
    answer = client.post(query)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if isinstance(body, str):
        assert answer.text == body
        return
    (shown,) = answer.json()["errors"]
    assert shown["message"].startswith(body["message"])
    assert shown["locations"] == [{"line": 1, "column": body["column"]}]
    assert shown["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert answer.json()["data"] is None


def test_a_body_that_is_not_json(client: Client) -> None:
    url, headers = f"{client.stash.url}/graphql", {"Content-Type": "application/json"}
    answer = requests.post(url, b"not json", headers=headers, timeout=30)
    why = "invalid character 'o' in literal null (expecting 'u') body:not json"
    message = f"json request body could not be decoded: {why}"
    assert (answer.status_code, answer.json()) == (
        400,
        {"errors": [{"message": message}], "data": None},
    )


def test_args_that_are_no_map(client: Client) -> None:
    assert client.body(OPERATION, id="probe", args=[1]) == (
        '{"errors":[{"message":"[]interface {} is not a map",'
        '"path":["runPluginOperation","args"]}],"data":{"runPluginOperation":null}}'
    )


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Client]:
    """A library of its own, for what writes."""
    with StandIn(tmp_path / "stash") as running:
        yield Client(running)


def test_the_texts_of_refused_tags(library: Client) -> None:
    library.write("tagCreate", name="Scene Tags", aliases=["ST alias"])
    for values, wanted in (
        ({"name": "scene tags"}, "tag with name 'scene tags' already exists"),
        ({"name": "x", "aliases": ["scene tags"]}, "tag with name 'scene tags' already exists"),
        ({"name": "st alias"}, "name 'st alias' is used as alias for 'Scene Tags'"),
        ({"name": "  "}, "tag name must not be blank"),
    ):
        assert library.refusal("tagCreate", **values) == wanted
    ids: list[str] = []
    for name in ("Root", "Child", "Grandchild"):
        ids.append(library.write("tagCreate", name=name, parent_ids=ids[-1:])["id"])
    loop = library.post(
        "mutation($i: TagUpdateInput!) { tagUpdate(input: $i) { id } }",
        {"i": {"id": ids[0], "parent_ids": [ids[2]]}},
    ).text
    assert (
        'cannot apply tag \\"Grandchild\\" as a parent of \\"Root\\" as it is already a '
        "descendant (Root-\\u003eChild-\\u003eGrandchild)"
    ) in loop


def test_the_texts_of_refused_writes(library: Client) -> None:
    stash = library.stash
    tag, scene = stash.add_tag("Tag"), stash.add_scene("Scene")
    insert = (
        "error executing `INSERT INTO scenes_tags (scene_id, tag_id) VALUES (?, ?) "
        "ON CONFLICT (scene_id, tag_id) DO NOTHING` [[9999 1]]: FOREIGN KEY constraint failed"
    )
    added = {"ids": [tag], "mode": "ADD"}
    assert library.refusal("bulkSceneUpdate", ids=[9999], tag_ids=added) == insert
    missing = "scene with id 99999 not found"
    assert library.refusal("sceneUpdate", id=99999, title="x") == missing
    marker = {"title": "", "scene_id": scene, "primary_tag_id": tag}
    refusal = library.refusal("sceneMarkerCreate", seconds=5, end_seconds=4, **marker)
    assert refusal == "end_seconds (4.000000) must be greater than or equal to seconds (5.000000)"
    destroy = "mutation($ids: [ID!]!) { sceneMarkersDestroy(ids: $ids) }"
    answer = library.post(destroy, {"ids": ["777"]}).json()
    assert answer["errors"][0]["message"] == "scene marker with id 777 not found"
    stash.add_studio("Northlight Studio")
    refusal = library.refusal("studioCreate", name="northlight studio")
    assert refusal == "studio with name 'northlight studio' already exists"
    performer = stash.add_performer("Penny")
    refusal = library.refusal("performerCreate", name="penny")
    assert refusal == "performer with name 'penny' already exists"
    fields = {"partial": {"l": [1]}}
    refusal = library.refusal("performerUpdate", id=performer, custom_fields=fields)
    why = "unsupported custom field value type: []interface {}"
    assert refusal == f'getting SQL value for field "l": {why}'


def test_what_good_writes_answer(library: Client) -> None:
    fields = "id name aliases ignore_auto_tag parents { id } sort_name"
    made = library.write(
        "tagCreate", fields, name="Scene Tags", aliases=["ST alias"], ignore_auto_tag=True
    )
    assert made == {
        "id": "1",
        "name": "Scene Tags",
        "aliases": ["ST alias"],
        "ignore_auto_tag": True,
        "parents": [],
        "sort_name": "",
    }
    scene, tag = library.stash.add_scene("Scene"), library.stash.add_tag("Other")
    values = {"title": "", "seconds": 1.5, "end_seconds": 4.25, "scene_id": scene}
    more = {"primary_tag_id": made["id"], "tag_ids": [made["id"], tag]}
    fields = "id title seconds end_seconds primary_tag { id } tags { id } created_at"
    marker = library.write("sceneMarkerCreate", fields, **values, **more)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", marker.pop("created_at"))
    assert marker == {
        "id": "1",
        "title": "",
        "seconds": 1.5,
        "end_seconds": 4.25,
        "primary_tag": {"id": "1"},
        "tags": [{"id": str(tag)}],
    }
    given = "{alpha: 0.35, own: {a: [1, 2]}}"
    configure = f'mutation {{ configurePlugin(plugin_id: "p", input: {given}) }}'
    assert library.body(configure) == (
        '{"data":{"configurePlugin":{"alpha":0.35,"own":{"a":[1,2]}}}}'
    )
    query = '{ configuration { plugins(include: ["never"]) } }'
    assert library.body(query) == '{"data":{"configuration":{"plugins":{}}}}'


def test_the_contexts_of_hooks(client: Client, stash: StandIn) -> None:
    scene = stash.add_scene("x", file=fake_file("/lib/clip_0002.mp4", oshash="62260a1ed9cbab13"))
    client.write("sceneUpdate", id=scene, title="y", tag_ids=None)
    client.write("bulkSceneUpdate", ids=[scene], rating100=50)
    tag = client.write("tagCreate", name="hooktag")["id"]
    client.write("sceneDestroy", id=scene, delete_file=False)
    notes = stash.settings.plugins_path / "probe" / "hooks.jsonl"
    lines = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    updated, bulk, tagged, destroyed = lines
    assert updated["inputFields"] == ["id", "title", "tag_ids"]
    assert set(updated["input"]) == set(SCENE_UPDATE.split())
    assert bulk == {
        "id": scene,
        "type": "Scene.Update.Post",
        "input": {"ids": [str(scene)], "rating100": 50},
        "inputFields": ["ids", "rating100"],
    }
    assert tagged == {"id": int(tag), "type": "Tag.Create.Post", "input": {"name": "hooktag"}}
    assert destroyed["input"] == {
        "id": str(scene),
        "delete_file": False,
        "delete_generated": None,
        "checksum": "",
        "oshash": "62260a1ed9cbab13",
        "path": "/lib/clip_0002.mp4",
    }


def test_the_paths_of_a_scene(library: Client) -> None:
    stash = library.stash
    scene = stash.add_scene(file=fake_file("/lib/a.mp4", oshash="942a60ba12bfea39"))
    bare = stash.add_scene("bare")
    shown = "paths { vtt sprite stream } sceneStreams { url }"
    query = f"query($id: ID!) {{ findScene(id: $id) {{ {shown} }} }}"
    found = library.data(query, id=scene)["findScene"]
    assert found["paths"] == {
        "vtt": f"{stash.url}/scene/942a60ba12bfea39_thumbs.vtt",
        "sprite": f"{stash.url}/scene/942a60ba12bfea39_sprite.jpg",
        "stream": f"{stash.url}/scene/{scene}/stream",
    }
    found = library.data(query, id=bare)["findScene"]
    assert found["paths"]["vtt"] == f"{stash.url}/scene/_thumbs.vtt"
    assert found["sceneStreams"] == []


@pytest.mark.parametrize(
    ("count", "fps", "size", "tile", "last"),
    [
        # 174 frames: two a tile, whole frames; the video's last tile shows 80/81 of 14.5 s.
        pytest.param(174, 12, (160, 90), (160, 90), "00:00:13.500", id="by time, early"),
        pytest.param(90, 30, (160, 90), (160, 90), "00:00:02.966", id="by frame number"),
        pytest.param(3, 30, (160, 90), (160, 90), "00:00:00.066", id="fewer frames than tiles"),
        pytest.param(90, 30, (180, 320), (160, 284), "00:00:02.966", id="upright"),
        pytest.param(90, 30, (192, 80), (160, 66), "00:00:02.966", id="wide"),
    ],
)
def test_sprites_and_their_cues(
    tmp_path: Path,
    count: int,
    fps: int,
    size: tuple[int, int],
    tile: tuple[int, int],
    last: str,
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    write_clip(media / "a.mp4", count=count, fps=fps, size=size)
    with StandIn(tmp_path / "stash", media=media) as stash:
        stash.scan(sprites=True)
        vtt = Client(stash).get("/scene/1/vtt/thumbs").text
    lines = vtt.split("\n")
    hash_ = lines[3].partition("_sprite.jpg")[0]
    assert lines[0] == "WEBVTT"
    assert lines[3] == f"{hash_}_sprite.jpg#xywh=0,0,{tile[0]},{tile[1]}"
    assert len(lines) == 2 + 3 * 81
    assert lines[-3].endswith(f"--> {last}")
    assert lines[-2].endswith(f"#xywh={8 * tile[0]},{8 * tile[1]},{tile[0]},{tile[1]}")


def test_jobs_are_told_with_nanoseconds(stash: StandIn) -> None:
    before = time.time()
    job = stash.run_task("probe", "Nope")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z", job.addTime)
    assert job.startTime is not None
    assert job.startTime >= job.addTime > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before))
