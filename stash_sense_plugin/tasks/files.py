"""Tagging a file that no Stash knows: looked at, told, and written nowhere."""

from pathlib import Path

from stash_sense_plugin.errors import MediaError, SettingsError
from stash_sense_plugin.pipeline import failed
from stash_sense_plugin.records import Reporter, Scene
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.looking import Looker, scene_of_file


def tag_file(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Look at the file named by `path` and return its result; a file that fails has its error."""
    path = call.args.get("path")
    if not isinstance(path, str) or not path:
        raise SettingsError("No file is named", "give args.path")
    file = Path(path)
    try:
        return Looker(engine, reporter).look(scene_of_file(file)).as_json()
    except MediaError as error:
        return failed(Scene("", file.name, path, None, None), error).as_json()
