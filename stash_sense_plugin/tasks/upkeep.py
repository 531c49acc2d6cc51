"""Set up, models, and what a user asks of earlier runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from stash_sense_plugin.errors import ModelError, SettingsError, StashError, StashSenseError
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scene_states, system
from stash_sense_plugin.tasks.engine import ALWAYS_HERE, MEGABYTE, Call, Engine
from stash_sense_plugin.tasks.writing import open_writing

PAGE = 50
MOST_IN_A_PAGE = 500

DEFAULTS = frozenset({Settings().clip_model, Settings().object_model, ALWAYS_HERE})
"""The networks that run where the user names no others."""


# --- Set up and models ------------------------------------------------------------------------


def set_up(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Create the workflow tags and fetch the networks that the settings name.

    A network that does not arrive is said and stops nothing.
    """
    tags: list[str] = []
    if call.server is not None:
        with engine.stash(call, reporter) as client:
            tags = create_workflow_tags(engine, client)
            reporter.log("info", f"Workflow tags: {', '.join(tags)}")
    models = engine.shelf().models
    pulled = {name: _pulled(models, name, reporter) for name in _wanted(engine.settings)}
    missing = [name for name, error in pulled.items() if error]
    reporter.log("info", _set_up_says(missing))
    return {"workflow_tags": tags, "models": pulled}


def _wanted(settings: Settings) -> list[str]:
    """Name the networks of what is not switched off, each once."""
    choices = {
        settings.clip_model: settings.skip_labels,
        settings.object_model: settings.skip_objects,
    }
    return [name for name, is_off in choices.items() if not is_off]


def create_workflow_tags(engine: Engine, client: StashClient) -> list[str]:
    """Make sure that the three workflow tags are there; return their names."""
    run_id = engine.store.begin_run("set_up", asdict(engine.settings))
    try:
        _, workflow = open_writing(engine, client, run_id)
        workflow.create_tags()
    except StashSenseError as error:
        engine.store.end_run(run_id, "failed", {"error": str(error)})
        raise
    engine.store.end_run(run_id, "done", {})
    settings = engine.settings
    return [settings.tagme_tag, settings.tagged_tag, settings.errored_tag]


def _set_up_says(missing: list[str]) -> str:
    if not missing:
        return "Ready: give scenes the TagMe tag and run the task Tag scenes"
    return (
        f"Ready, without {', '.join(missing)}: tagging goes on with what is here;"
        " run Set up again to fetch them"
    )


def _pulled(models: Models, name: str, reporter: Reporter) -> str | None:
    """Fetch one network; None when it is here, else why it is not."""
    try:
        card = models.catalogue.card(name)
        if not models.has(card):
            models.pull(card, reporter)
    except (ModelError, SettingsError) as error:
        reporter.log("warning", str(error))
        return str(error)
    return None


def pull_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Fetch the networks named in `names`; raises ModelError for the first that does not come."""
    models = engine.shelf().models
    names = call.args.get("names")
    if not isinstance(names, list) or not names:
        raise SettingsError("No model is named", "see `models list`")
    for name in names:
        models.pull(models.catalogue.card(str(name)), reporter)
    return {"models": [_model_row(models, models.catalogue.card(str(name))) for name in names]}


def list_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return the catalogue: a row each."""
    models = engine.aside().shelf().models
    return {"models": [_model_row(models, card) for card in models.catalogue]}


def verify_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Read the files of the models in `names` whole, or of all that are here.

    A row's `error` says why that one cannot be used; null where nothing is wrong.
    """
    models = engine.aside().shelf().models
    names = call.args.get("names")
    if not isinstance(names, list):
        raise SettingsError(f"names is {names!r}, not a list", "see `models list`")
    named = [models.catalogue.card(str(name)) for name in names]
    rows = []
    for card in named or [card for card in models.catalogue if models.has(card)]:
        reporter.check()
        rows.append(_model_row(models, card) | {"error": _verified(models, card)})
    return {"models": rows}


def _verified(models: Models, card: ModelCard) -> dict[str, str] | None:
    try:
        models.verify(card)
    except ModelError as error:
        return {"message": error.message, "remedy": error.remedy}
    return None


def _model_row(models: Models, card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "task": card.task,
        "about": card.about,
        "licence": card.licence,
        "commercial": card.commercial,
        "megabytes": None if card.bytes is None else round(card.bytes / MEGABYTE, 1),
        "here": models.has(card),
        "untried": card.untried,
        "default": card.name in DEFAULTS,
    }


# --- What is known ----------------------------------------------------------------------------


def list_errors(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return scenes whose last look failed, newest first; `after` is the last page's `next`."""
    limit = _number(call.args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    after = call.args.get("after")
    rows = engine.store.errors(limit, None if after is None else _number(call.args, "after", 0))
    here = _still_there(engine, call, reporter, [row.scene_id for row in rows])
    return {
        "errors": [
            {"scene_id": row.scene_id, "source": row.source, "run_id": row.run_id}
            | asdict(row.error)
            | {"failed_at_s": row.failed_at_s}
            for row in rows
            if row.scene_id in here
        ],
        "next": str(rows[-1].row) if len(rows) == limit else None,
    }


def _still_there(
    engine: Engine, call: Call, reporter: Reporter, ids: Sequence[str]
) -> frozenset[str]:
    """Return which of these scenes Stash still has: all of them where it cannot be asked."""
    if call.server is None or not ids:
        return frozenset(ids)
    try:
        with engine.aside().stash(call, reporter) as client:
            there = frozenset(scene_states(client, ids))
            _forget(engine, client, frozenset(ids) - there)
            return there
    except StashError as error:
        reporter.log("warning", f"{error.message}: scenes that are gone may be listed too")
        return frozenset(ids)


def _forget(engine: Engine, client: StashClient, gone: frozenset[str]) -> None:
    """Forget scenes that are gone, where it is this very library that has them no more."""
    known = engine.store.library_identity()
    if gone and known is not None and known.database_path == system(client).database_path:
        for scene_id in gone:
            engine.store.forget_scene(scene_id)


def scene_result(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return what the last look at `scene_id` said; null where there was none."""
    scene_id = call.args.get("scene_id")
    if not isinstance(scene_id, str | int):
        raise SettingsError("No scene is named", "give args.scene_id")
    return {"result": engine.store.latest_result(str(scene_id))}


def _number(
    args: Mapping[str, object], name: str, default: int, least: int = 0, most: int = 2**62
) -> int:
    """Read a count that may come as text, as Stash's task arguments do."""
    value = args.get(name, default)
    try:
        number = int(str(value))
    except ValueError:
        raise SettingsError(f"{name} is {value!r}, not a whole number") from None
    if not least <= number <= most:
        raise SettingsError(f"{name} is {number}, not between {least} and {most}")
    return number
