"""Scenes that become one, and files that change their scene."""

from demo.stash.belongings import files_of
from demo.stash.database import Database, RefusedError
from demo.stash.finding import read_id, read_ids
from demo.stash.markers import NIL
from demo.stash.registry import mutation
from demo.stash.scenes import choose_primary
from demo.stash.state import Call
from demo.stash.things import Thing, thing_by_id
from demo.stash.writing import Input, remove, update


@mutation
def sceneMerge(call: Call, input: Input) -> Thing | None:  # noqa: A002, N802
    """The sources' files and markers become the destination's, their tags and all else go.

    No hook fires.
    """
    sources = list(dict.fromkeys(read_ids(input["source"], "source ids")))
    destination = read_id(input["destination"], "destination id")
    if destination in sources:
        raise RefusedError("destination scene cannot be in source list")
    with call.database.transaction():
        _check_there(call.database, destination, sources)
        _merge(call.database, destination, sources, input.get("values") or {})
    return thing_by_id(call.database, "scene", destination)


def _check_there(database: Database, destination: int, sources: list[int]) -> None:
    for source in sources:
        if thing_by_id(database, "scene", source) is None:
            raise RefusedError(f"finding source scenes: scene with id {source} not found")
    if thing_by_id(database, "scene", destination) is None:
        raise RefusedError(f"Internal system error. Error <{NIL}>")


def _merge(database: Database, destination: int, sources: list[int], values: Input) -> None:
    files = [file.id for one in sources for file in _files(database, one)]
    for source in sources:
        sql = "UPDATE scene_markers SET scene_id = ? WHERE scene_id = ?"
        database.run(sql, destination, source)
    if files:
        # What is primary stays so, whatever the input names.
        primary = _primary(database, destination)
        values = {**values, "primary_file_id": files[0] if primary is None else primary}
    for file in files:
        _move(database, file, destination)
    try:
        choose_primary(database, destination, values)
        update(database, "scene", destination, values)
    except RefusedError as error:
        if str(error).startswith("Internal"):
            raise
        raise RefusedError(f"updating scene: {error}") from error
    remove(database, "scene", sources)


@mutation
def sceneAssignFile(call: Call, input: Input) -> bool:  # noqa: A002, N802
    """Give a scene a file that is another's, but for that one's primary file."""
    database = call.database
    scene = read_id(input["scene_id"], "scene id")
    file = read_id(input["file_id"], "file id")
    sql = "SELECT scene_id FROM scenes_files WHERE file_id = ?"
    with database.transaction():
        owner = database.value(sql, file)
        if owner is not None and _primary(database, owner) == file:
            raise RefusedError("assigning file to scene: cannot reassign primary file")
        primary = _primary(database, scene)
        _move(database, file, scene)
        choose_primary(database, scene, {"primary_file_id": file if primary is None else primary})
    return True


def _files(database: Database, scene: int) -> list[Thing]:
    return files_of(database, "scenes_files", "scene_id", scene)


def _primary(database: Database, scene: int) -> int | None:
    return next((file.id for file in _files(database, scene)), None)


def _move(database: Database, file: int, scene: int) -> None:
    database.run("DELETE FROM primary_files WHERE file_id = ?", file)
    database.run("DELETE FROM scenes_files WHERE file_id = ?", file)
    database.run("INSERT INTO scenes_files (scene_id, file_id) VALUES (?, ?)", scene, file)
