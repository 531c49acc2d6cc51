"""Everything that can be asked of Stash Sense, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from stash_sense_plugin.records import Reporter
from stash_sense_plugin.tasks.deciding import decide
from stash_sense_plugin.tasks.doctor import doctor
from stash_sense_plugin.tasks.engine import Call, Engine, open_engine
from stash_sense_plugin.tasks.evaluated import evaluation
from stash_sense_plugin.tasks.evaluating import run_evaluate
from stash_sense_plugin.tasks.fetching import download_models, pull_models
from stash_sense_plugin.tasks.files import tag_file
from stash_sense_plugin.tasks.models import list_models, remove_models, verify_models
from stash_sense_plugin.tasks.overview import overview
from stash_sense_plugin.tasks.pictures import pictures
from stash_sense_plugin.tasks.scene_page import scene
from stash_sense_plugin.tasks.similar import similar
from stash_sense_plugin.tasks.storing import (
    store_export,
    store_import,
    store_stats,
    store_vacuum,
)
from stash_sense_plugin.tasks.suggesting import counts, suggestions
from stash_sense_plugin.tasks.sweep import read_tag_scene, tag_scene, tag_scenes
from stash_sense_plugin.tasks.undoing import list_runs, undo
from stash_sense_plugin.tasks.upkeep import list_errors, scene_result, set_up
from stash_sense_plugin.tasks.verdicts import accept, refuse, unsay, verdicts
from stash_sense_plugin.tasks.vocabulary import check_vocabulary, list_vocabulary

__all__ = ["MODES", "Call", "Engine", "Mode", "open_engine"]


@dataclass(frozen=True, slots=True)
class Mode:
    """One thing that can be asked for."""

    run: Callable[[Engine, Call, Reporter], Mapping[str, object]]
    kind: Literal["task", "job", "operation"]
    """A task holds its door until it ends, a job answers with its id at once, an operation runs
    beside both."""
    read: Callable[[Mapping[str, object]], Mapping[str, object]] | None = None
    """Reads what is asked for before it waits, so that the same work is one job however it is
    said. Raises SettingsError."""


MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "tag_scenes": Mode(tag_scenes, "task"),
        "decide": Mode(decide, "task"),
        "set_up": Mode(set_up, "task"),
        "download_models": Mode(download_models, "task"),
        "doctor": Mode(doctor, "operation"),
        "evaluate": Mode(run_evaluate, "task"),
        "tag_file": Mode(tag_file, "task"),
        "pull_models": Mode(pull_models, "task"),
        "remove_models": Mode(remove_models, "task"),
        "tag_scene": Mode(tag_scene, "job", read_tag_scene),
        "errors": Mode(list_errors, "operation"),
        "models": Mode(list_models, "operation"),
        "verify_models": Mode(verify_models, "operation"),
        "vocabulary": Mode(list_vocabulary, "operation"),
        "check_vocabulary": Mode(check_vocabulary, "operation"),
        "result": Mode(scene_result, "operation"),
        "undo": Mode(undo, "task"),
        "runs": Mode(list_runs, "operation"),
        "suggestions": Mode(suggestions, "operation"),
        "counts": Mode(counts, "operation"),
        "scene": Mode(scene, "operation"),
        "overview": Mode(overview, "operation"),
        "evaluation": Mode(evaluation, "operation"),
        "accept": Mode(accept, "operation"),
        "refuse": Mode(refuse, "operation"),
        "unsay": Mode(unsay, "operation"),
        "verdicts": Mode(verdicts, "operation"),
        "pictures": Mode(pictures, "operation"),
        "similar": Mode(similar, "operation"),
        "store_stats": Mode(store_stats, "operation"),
        "store_vacuum": Mode(store_vacuum, "task"),
        "store_export": Mode(store_export, "task"),
        "store_import": Mode(store_import, "task"),
    }
)
