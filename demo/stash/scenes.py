"""Scenes: found, written, and what they show."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from demo.stash.belongings import age, files_of
from demo.stash.database import PRIMARY_FIRST, Database, RefusedError
from demo.stash.finding import KINDS, Found, find, find_one, need, read_id, read_ids
from demo.stash.hook_inputs import sent, whole
from demo.stash.registry import field, mutation, query
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id, things_by_ids
from demo.stash.writing import Input, insert, remove, update, without_null_lists


@query
def findScene(  # noqa: N802
    call: Call,
    id: str | None = None,  # noqa: A002
    checksum: str | None = None,
) -> Thing | None:
    if id is not None:
        return find_one(call.database, "scene", id)
    return _by_hash(call.database, checksum)


@query
def findSceneByHash(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    return _by_hash(call.database, input.get("oshash") or input.get("checksum"))


def _by_hash(database: Database, value: str | None) -> Thing | None:
    sql = "SELECT scene_id FROM scenes_files JOIN fingerprints USING (file_id) WHERE value = ?"
    number = database.value(sql, value)
    return None if number is None else thing_by_id(database, "scene", number)


@query
def findScenes(  # noqa: N802
    call: Call,
    scene_filter: Input | None = None,
    scene_ids: list[int] | None = None,
    ids: list[str] | None = None,
    filter: Input | None = None,  # noqa: A002
) -> dict[str, Any]:
    found = find(call.database, "scene", scene_filter, filter, ids or scene_ids)
    return {
        "count": found.count,
        "duration": lambda: _sum(found, "duration"),
        "filesize": lambda: _sum(found, "filesize"),
        "scenes": found.page,
    }


def _sum(found: Found, of: str) -> float:
    return found.total(KINDS["scene"].sorts[of])


@query
def sceneStreams(call: Call, id: str) -> list[dict[str, Any]]:  # noqa: A002, N802
    return _streams(need(call.database, "scene", id), call)


@field("Scene")
def paths(scene: Thing, call: Call) -> dict[str, str]:
    place = f"{call.base_url}/scene/{scene.id}"
    by_hash = f"{call.base_url}/scene/{_hash(scene, call)}"
    return {
        "screenshot": f"{place}/screenshot?t={age(scene)}",
        "preview": f"{place}/preview",
        "stream": _stream(scene, call),
        "webp": f"{place}/webp",
        "vtt": f"{by_hash}_thumbs.vtt",
        "sprite": f"{by_hash}_sprite.jpg",
        "funscript": f"{place}/funscript",
        "interactive_heatmap": f"{place}/interactive_heatmap",
        "caption": f"{place}/caption",
    }


def _stream(scene: Thing, call: Call) -> str:
    key = call.state.settings.api_key
    secret = f"?{urlencode({'apikey': key})}" if key else ""
    return f"{call.base_url}/scene/{scene.id}/stream{secret}"


def _hash(scene: Thing, call: Call) -> str:
    """The primary file's oshash; nothing without a file."""

    def load(ids: list[int]) -> dict[int, str]:
        sql = f"""SELECT scene_id, value FROM scenes_files JOIN files ON files.id = file_id
          JOIN fingerprints USING (file_id) WHERE type = 'oshash'
          AND scene_id IN (SELECT value FROM json_each(?)) ORDER BY {PRIMARY_FIRST}"""
        rows = call.database.rows(sql, json.dumps(ids))
        return {row["scene_id"]: row["value"] for row in reversed(rows)}

    return scene.shared("hash", load) or ""


@field("Scene", "sceneStreams")
def _streams(scene: Thing, call: Call) -> list[dict[str, Any]]:
    files = files_of(call.database, "scenes_files", "scene_id", scene.id)
    if not files:
        return []
    kind = f"video/{files[0].values['format']}"
    return [{"url": _stream(scene, call), "mime_type": kind, "label": "Direct stream"}]


for _name, _value in (
    ("o_counter", 0),
    ("resume_time", 0),
    ("play_duration", 0),
    ("interactive", False),
    ("interactive_speed", None),
    ("last_played_at", None),
    ("play_count", 0),
):
    field("Scene", _name)(lambda scene, call, value=_value: value)
for _name in ("play_history", "o_history"):
    field("Scene", _name)(lambda scene, call: [])


@mutation
def sceneCreate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    files = input.get("file_ids") or []
    if not input.get("title") and not files:
        raise RefusedError("title must be set if scene has no files")
    with call.database.transaction():
        number = _create(call.database, input)
        for file in files:
            _give(call.database, number, file)
    call.fire("Scene.Create.Post", number)
    return thing_by_id(call.database, "scene", number)


def _create(database: Database, values: Input) -> int:
    try:
        return insert(database, "scene", values)
    except RefusedError as error:
        if "constraint failed" not in str(error):
            raise
        raise RefusedError(f"creating new scene: {error}") from error


def _give(database: Database, scene: int, file: object) -> None:
    """Give a new scene a file, which may be no other scene's only one."""
    number = read_id(file, "file ids")
    if database.value("SELECT 1 FROM scenes_files WHERE file_id = ?", number):
        why = "cannot reassign primary file"
        raise RefusedError(f"assigning file {number} to new scene: {why}")
    sql = "INSERT INTO scenes_files (scene_id, file_id) VALUES (?, ?)"
    database.run(sql, scene, number)


@mutation
def sceneUpdate(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    return _update_all(call, [input], many=False)[0]


@mutation
def scenesUpdate(call: Call, input: list[Input]) -> list[Thing] | None:  # noqa: A002, N802
    return _update_all(call, input, many=True) or None


def _update_all(call: Call, inputs: list[Input], *, many: bool) -> list[Thing]:
    database = call.database
    with database.transaction():
        numbers = [need(database, "scene", values["id"]).id for values in inputs]
        for number, values in zip(numbers, inputs, strict=True):
            choose_primary(database, number, values)
            update(database, "scene", number, values)
            _keep_title(database, number)
    shown = [whole("SceneUpdateInput", values) for values in inputs]
    for number, values in zip(numbers, inputs, strict=True):
        input_shown = shown if many else shown[0]
        call.fire("Scene.Update.Post", number, input_shown, list(values))
    return things_by_ids(database, "scene", numbers)


def choose_primary(database: Database, scene: int, values: Input) -> None:
    """Make the file that is named the scene's primary one; it must be the scene's own."""
    file = values.get("primary_file_id")
    if file is None:
        return
    sql = "SELECT 1 FROM scenes_files WHERE scene_id = ? AND file_id = ?"
    number = read_id(file, "primary file id")
    if not database.value(sql, scene, number):
        raise RefusedError(f"file with id {file} not associated with scene")
    database.run("INSERT OR REPLACE INTO primary_files VALUES (?, ?)", scene, number)


def _keep_title(database: Database, number: int) -> None:
    sql = """SELECT 1 FROM scenes WHERE id = ? AND title = ''
      AND id NOT IN (SELECT scene_id FROM scenes_files)"""
    if database.value(sql, number):
        raise RefusedError("title must be set if scene has no files")


@mutation
def bulkSceneUpdate(call: Call, input: Input) -> list[Thing] | None:  # noqa: A002, N802
    database = call.database
    numbers = read_ids(input.get("ids"))
    values = without_null_lists(input)
    with database.transaction():
        for number in numbers:
            update(database, "scene", number, values)
            if thing_by_id(database, "scene", number) is None:
                raise RefusedError("sql: no rows in result set")
    for number in numbers:
        call.fire("Scene.Update.Post", number, sent(input), list(input))
    return things_by_ids(database, "scene", numbers) or None


@mutation
def sceneDestroy(call: Call, input: Input) -> bool:  # noqa: A002, N802
    return _destroy(call, [input["id"]], input, lambda number: {"id": number})


@mutation
def scenesDestroy(call: Call, input: Input) -> bool:  # noqa: A002, N802
    return _destroy(call, input["ids"], input, lambda number: {"ids": input["ids"]})


def _destroy(call: Call, ids: list[str], values: Input, named: Any) -> bool:
    database = call.database
    flags = {name: values.get(name) for name in ("delete_file", "delete_generated")}
    contexts: dict[int, Input] = {}
    files: list[Thing] = []
    with database.transaction():
        for one in ids:
            scene = need(database, "scene", one)
            own = files_of(database, "scenes_files", "scene_id", scene.id)
            contexts[scene.id] = {**named(one), **flags, **_names(database, own)}
            files += own
        remove(database, "scene", contexts)
        remove_files(database, files)
    if values.get("delete_file"):
        for file in files:
            Path(file.values["path"]).unlink(missing_ok=True)
    for number, context in contexts.items():
        call.fire("Scene.Destroy.Post", number, context)
    return True


def _names(database: Database, files: list[Thing]) -> dict[str, str]:
    """What a destroyed scene's hook is told of its file."""
    if not files:
        return {"checksum": "", "oshash": "", "path": ""}
    sql = "SELECT value FROM fingerprints WHERE file_id = ? AND type = ?"
    prints = {kind: database.value(sql, files[0].id, kind) or "" for kind in ("md5", "oshash")}
    return {"checksum": prints["md5"], "oshash": prints["oshash"], "path": files[0].values["path"]}


def remove_files(database: Database, files: list[Thing]) -> None:
    """Forget files that nothing has any more."""
    for file in files:
        sql = "DELETE FROM files WHERE id = ? AND id NOT IN (SELECT file_id FROM scenes_files)"
        database.run(sql, file.id)
