"""Tagging a file by its path: looked at, told, and written nowhere."""

from pathlib import Path

from stash_sense_plugin.errors import InternalFault, MediaError, ModelError
from stash_sense_plugin.pipeline.parts import failed
from stash_sense_plugin.records import Reporter, Scene, SceneResult
from stash_sense_plugin.stash.operations import studios
from stash_sense_plugin.tasks.asked import whole_path
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.looking import Looker, scene_of_file, studio_names
from stash_sense_plugin.tasks.stated import engine_of


def tag_file(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Look at the file named by `path` and return its result; a file that fails has its error.

    With a Stash, its settings hold and its studios are known; nothing is written to it. Without
    one the defaults hold, whichever Stash called before, or what `settings` holds for this call.
    """
    path = whole_path(call.args, "path")
    own = engine_of(engine, call)
    if own is not None:
        # The budget of memory is for all networks that are open.
        engine.unload_idle(0.0)
        try:
            return _told(Looker(own, reporter), path).as_json()
        finally:
            own.shelf().close()
    if call.server is None:
        looker = Looker(engine, reporter, settings=engine.defaults)
        return _told(looker, path).as_json()
    with engine.stash(call, reporter) as client:
        names = studio_names(studios(client))
        return _told(Looker(engine, reporter, studios=names), path).as_json()


def _told(looker: Looker, file: Path) -> SceneResult:
    looker.tell_device()
    try:
        return looker.look(scene_of_file(file))
    except (MediaError, ModelError, InternalFault) as error:
        return failed(Scene("", file.name, str(file), None, None), error)
