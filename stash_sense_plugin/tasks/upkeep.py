"""Set up, and what a user asks of earlier runs."""

from collections.abc import Sequence
from dataclasses import asdict

from stash_sense_plugin.errors import StashError, StashSenseError
from stash_sense_plugin.library.store import SceneError
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scene_states, system
from stash_sense_plugin.tasks.api import ErrorRow, ErrorsTold
from stash_sense_plugin.tasks.asked import (
    MOST_IN_A_PAGE,
    PAGE,
    row_after,
    scene_id,
    whole_number,
    within,
)
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.fetching import Fetched, fetch_wanted
from stash_sense_plugin.tasks.writing import open_writing

# --- Set up -----------------------------------------------------------------------------------


def set_up(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Create the workflow tags and fetch the networks that the settings name.

    A network that does not arrive is said and stops nothing.
    """
    tags: list[str] = []
    settings = engine.defaults
    if call.server is not None:
        with engine.stash(call, reporter) as client:
            settings = engine.settings
            tags = create_workflow_tags(engine, client)
            reporter.log("info", f"Workflow tags: {', '.join(tags)}")
    fetched = fetch_wanted(engine, settings, reporter)
    reporter.log("info", _set_up_says(fetched, settings.tagme_tag))
    return {"workflow_tags": tags, "models": fetched.by_name()}


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


def _set_up_says(fetched: Fetched, tagme: str) -> str:
    ready = f"give scenes the {tagme} tag and run the task Tag scenes"
    missing = [*fetched.failed, *fetched.refused]
    if not missing:
        return f"Ready: {ready}"
    again = "; run Download models to fetch them" if fetched.failed else ""
    return f"Ready, without {', '.join(missing)}{again}. What is here works: {ready}"


# --- What is known ----------------------------------------------------------------------------


def list_errors(engine: Engine, call: Call, reporter: Reporter) -> ErrorsTold:
    """Return scenes whose last look failed, newest first; `after` is the last page's `next`."""
    limit = whole_number(call.args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    rows = engine.store.errors(limit, row_after(call.args))
    here = _still_there(engine, call, reporter, [row.scene_id for row in rows])
    shown = within([_error_row(row) for row in rows])
    more = len(rows) == limit or len(shown) < len(rows)
    return {
        "errors": [row for row in shown if row["scene_id"] in here],
        "next": str(rows[len(shown) - 1].row) if more else None,
    }


def _error_row(row: SceneError) -> ErrorRow:
    return {
        "scene_id": row.scene_id,
        "source": row.source,
        "run_id": row.run_id,
        "kind": row.error.kind,
        "message": row.error.message,
        "remedy": row.error.remedy,
        "failed_at_s": row.failed_at_s,
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
    return {"result": engine.store.latest_result(scene_id(call.args))}
