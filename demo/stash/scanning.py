"""Jobs over the library: scanning its folders, generating covers and sprites."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.stash.belongings import files_of
from demo.stash.database import Database, Record
from demo.stash.finding import need
from demo.stash.jobs import JobControl, Work
from demo.stash.media import (
    IMAGES,
    VIDEOS,
    MediaError,
    format_of,
    image_size,
    md5,
    oshash,
    video_facts,
)
from demo.stash.registry import mutation
from demo.stash.sessions import Caller
from demo.stash.sprites import cover, make_sprite, sprite_files
from demo.stash.state import Call, State
from demo.stash.values import now, stamp
from demo.stash.writing import Input, insert, put_picture, touch

OWNERS = {"VideoFile": ("scenes_files", "scene_id"), "ImageFile": ("images_files", "image_id")}
KINDS = {"VideoFile": "scene", "ImageFile": "image"}


@mutation
def metadataScan(call: Call, input: Input) -> int:  # noqa: A002, N802
    return call.state.jobs.add("Scanning...", scan(call.state, input, call.caller))


@mutation
def metadataGenerate(call: Call, input: Input) -> int:  # noqa: A002, N802
    return call.state.jobs.add("Generating...", generate(call.state, input))


def scan(state: State, options: Input, caller: Caller) -> Work:
    """The job that takes up new and changed files."""
    roots = [Path(path) for path in options.get("paths") or state.settings.media]
    wanted = {
        "covers": options.get("scanGenerateCovers"),
        "sprites": options.get("scanGenerateSprites"),
    }

    def work(control: JobControl) -> None:
        paths = [path for root in roots for path in _media_below(root)]
        for number, path in enumerate(paths):
            if control.stopped.is_set():
                return
            control.doing(f"Scanning {path}")
            _scan_one(state, path, bool(options.get("rescan")), wanted, caller)
            control.progress((number + 1) / len(paths))
        for tell in list(state.scan_listeners):
            tell()

    return work


def _media_below(root: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            known = path.suffix.lower() in VIDEOS + IMAGES
            if known and path.stat().st_size:
                yield path


def _scan_one(state: State, path: Path, rescan: bool, wanted: Input, caller: Caller) -> None:
    call = Call(state, "", caller)
    before = state.database.row("SELECT * FROM files WHERE path = ?", str(path))
    changed = before is None or before["mod_time"] != stamp(path.stat().st_mtime) or rescan
    try:
        if changed:
            _take_up(call, path, before)
    except MediaError as error:
        state.log.write("Error", f"error scanning {path}: {error}")
        return
    sql = "SELECT scene_id FROM scenes_files JOIN files ON files.id = file_id WHERE path = ?"
    scene = state.database.value(sql, str(path))
    if scene is not None:
        _generate_one(state, scene, wanted)


def _take_up(call: Call, path: Path, before: Record | None) -> None:
    """Add a file with its scene or image, or what has changed of it."""
    database = call.database
    values, prints = _described(path)
    kind = KINDS[values["kind"]]
    with database.transaction():
        same = before or _moved(database, prints)
        file = _write_file(database, values, prints, same)
        owner, is_new = _owner_of(database, kind, file, prints)
        touch(database, kind, [owner])
    action = "Create" if is_new else "Update"
    call.fire(f"{kind.capitalize()}.{action}.Post", owner)


def _moved(database: Database, prints: dict[str, str]) -> Record | None:
    """The known file with the same content whose path is gone."""
    kind, value = next(iter(prints.items()))
    sql = """SELECT files.* FROM files JOIN fingerprints ON file_id = files.id
      WHERE type = ? AND value = ?"""
    found = database.rows(sql, kind, value)
    return next((file for file in found if not Path(file["path"]).exists()), None)


def _described(path: Path) -> tuple[Record, dict[str, str]]:
    status = path.stat()
    values: Record = {
        "path": str(path),
        "basename": path.name,
        "size": status.st_size,
        "mod_time": stamp(status.st_mtime),
        "format": format_of(path),
        "created_at": now(),
        "updated_at": now(),
    }
    if path.suffix.lower() in IMAGES:
        width, height = image_size(path)
        values |= {"kind": "ImageFile", "width": width, "height": height}
        return values, {"md5": md5(path)}
    facts = video_facts(path)
    values |= {
        "kind": "VideoFile",
        "width": facts.width,
        "height": facts.height,
        "duration": facts.duration_s,
        "frame_rate": facts.frame_rate,
        "bit_rate": facts.bit_rate,
        "video_codec": facts.video_codec,
        "audio_codec": facts.audio_codec,
    }
    return values, {"oshash": oshash(path)}


def _write_file(
    database: Database, values: Record, prints: dict[str, str], before: Record | None
) -> int:
    if before is None:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO files ({', '.join(values)}) VALUES ({marks})"
        number = database.run(sql, *values.values())
    else:
        number = before["id"]
        kept = {name: value for name, value in values.items() if name != "created_at"}
        sets = ", ".join(f"{name} = ?" for name in kept)
        database.run(f"UPDATE files SET {sets} WHERE id = ?", *kept.values(), number)
    for kind, value in prints.items():
        sql = "INSERT OR REPLACE INTO fingerprints (file_id, type, value) VALUES (?, ?, ?)"
        database.run(sql, number, kind, value)
    return number


def _owner_of(database: Database, kind: str, file: int, prints: dict[str, str]) -> tuple[int, bool]:
    """The scene or image of a file, and whether it is new; a copy joins the one it is of."""
    table, owner = OWNERS["VideoFile" if kind == "scene" else "ImageFile"]
    known = database.value(f"SELECT {owner} FROM {table} WHERE file_id = ?", file)
    if known is not None:
        return known, False
    print_type, value = next(iter(prints.items()))
    sql = f"SELECT {owner} FROM {table} JOIN fingerprints USING (file_id) WHERE type=? AND value=?"
    same = database.value(sql, print_type, value)
    number = insert(database, kind, {}) if same is None else same
    pair = f"INSERT INTO {table} ({owner}, file_id) VALUES (?, ?)"
    database.run(pair, number, file)
    return number, same is None


def generate(state: State, options: Input) -> Work:
    """The job that makes covers and sprites, of the scenes named or of all."""

    def work(control: JobControl) -> None:
        sql = "SELECT id FROM scenes ORDER BY id"
        named = options.get("sceneIDs") or []
        nothing = not named and options.get("markerIDs")
        scenes = [need(state.database, "scene", one).id for one in named]
        scenes = scenes or ([] if nothing else state.database.column(sql))
        for number, scene in enumerate(scenes):
            if control.stopped.is_set():
                return
            control.doing(f"Generating sprites for scene {scene}")
            _generate_one(state, scene, options)
            control.progress((number + 1) / len(scenes))

    return work


def _generate_one(state: State, scene: int, wanted: dict[str, Any]) -> None:
    for file in files_of(state.database, "scenes_files", "scene_id", scene)[:1]:
        path = Path(file.values["path"])
        overwrite = bool(wanted.get("overwrite"))
        try:
            if wanted.get("covers"):
                _make_cover(state, scene, path, overwrite)
            if wanted.get("sprites"):
                _make_sprite(state, file.id, path, overwrite)
        except MediaError as error:
            state.log.write("Error", f"[generator] error generating for {path}: {error}")


def _make_cover(state: State, scene: int, path: Path, overwrite: bool) -> None:
    sql = "SELECT 1 FROM pictures WHERE kind = 'scene' AND id = ?"
    if state.database.value(sql, scene) and not overwrite:
        return
    picture = io.BytesIO()
    cover(path, video_facts(path)).save(picture, "JPEG", quality=90)
    with state.database.transaction():
        put_picture(state.database, "scene", scene, "image/jpeg", picture.getvalue())
        touch(state.database, "scene", [scene])


def _make_sprite(state: State, file: int, path: Path, overwrite: bool) -> None:
    sql = "SELECT value FROM fingerprints WHERE file_id = ? AND type = 'oshash'"
    files = sprite_files(state.settings.generated, state.database.value(sql, file))
    if not files.ready or overwrite:
        make_sprite(path, video_facts(path), files)
