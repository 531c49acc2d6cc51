"""Tag scenes: look at each, write what was decided, and move the workflow tags."""

import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import Literal

from stash_sense_plugin.errors import (
    Cancelled,
    MediaError,
    ModelMissing,
    SettingsError,
    StashSenseError,
)
from stash_sense_plugin.identity.studio import StudioName
from stash_sense_plugin.pipeline import failed
from stash_sense_plugin.records import Decision, Reporter, Scene, SceneResult
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import (
    count_with_tag,
    count_without_tag,
    library_folders,
    scenes_by_ids,
    scenes_with_tag,
    scenes_without_tag,
    studios,
)
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.looking import Looker
from stash_sense_plugin.tasks.writing import Writing

logger = logging.getLogger(__name__)

WRITTEN_TOGETHER = 20
"""Scenes that are written to Stash in one go."""
WRITTEN_AFTER_S = 5.0
"""Or however many there are after this time, so that the user sees them come."""
ANSWER = "if it was on purpose: `tag-scenes --removed-on-purpose`, once"
"""How a user answers when much of ours is gone."""
ERRORS_SHOWN = 10
"""Failed scenes that the run's closing lines name."""


def tag_scenes(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Tag the scenes with TagMe, those in `ids`, or with `all` every one that is not Tagged."""
    with engine.stash(call, reporter) as client:
        run_id = engine.store.begin_run("tag_scenes", asdict(engine.settings))
        status: Literal["done", "failed", "cancelled"] = "failed"
        sweep = Sweep(engine, client, run_id, reporter)
        try:
            sweep.run(call.args)
            status = "done"
        except Cancelled:
            status = "cancelled"
            raise
        finally:
            engine.store.end_run(run_id, status, sweep.report())
        return sweep.report()


def tag_scene(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Tag the one scene in `scene_id`, whatever its workflow tags, and return its result."""
    scene_id = call.args.get("scene_id")
    if not isinstance(scene_id, str | int):
        raise SettingsError("No scene is named", "give args.scene_id")
    one = Call({"ids": [str(scene_id)]}, call.server)
    report = tag_scenes(engine, one, reporter)
    return report | {"result": engine.store.latest_result(str(scene_id))}


class Sweep:
    """One run over scenes of a Stash."""

    def __init__(
        self, engine: Engine, client: StashClient, run_id: str, reporter: Reporter
    ) -> None:
        self._engine = engine
        self._client = client
        self._run_id = run_id
        self._reporter = reporter
        self._writing = Writing(engine, client, run_id, reporter)
        self._pending: list[tuple[Scene, SceneResult]] = []
        self._written_s = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._errors: list[tuple[str, str]] = []
        self._roots: tuple[str, ...] = ()
        self._told: set[str] = set()
        self._asks = 0
        self._without: dict[str, str] = {}

    def run(self, args: Mapping[str, object]) -> None:
        """Look at every chosen scene. Raises StashSenseError when the run cannot go on."""
        self._writing.recover()
        total, scenes = self._choose(args)
        if total:
            self._sweep(total, scenes, _yes(args.get("removed_on_purpose")))
        self._close(total)

    def report(self) -> dict[str, object]:
        """Return what the run did."""
        counts = self._counts
        return {
            "run_id": self._run_id,
            "tagged": counts["tagged"],
            "failed": counts["failed"],
            "left": counts["left"],
            "asks": self._asks,
            "written": self._writing.counts(),
            "errors": [
                {"scene_id": scene_id, "message": message}
                for scene_id, message in self._errors[:ERRORS_SHOWN]
            ],
            "without": self._without,
        }

    # --- Which scenes

    def _choose(self, args: Mapping[str, object]) -> tuple[int, Iterable[Scene]]:
        ids = _ids(args.get("ids"))
        if ids:
            found = scenes_by_ids(self._client, ids)
            for gone in sorted(set(ids) - {scene.id for scene in found}):
                self._reporter.log("warning", f"Stash has no scene {gone}")
            return len(found), found
        if _yes(args.get("all")):
            tagged = self._writing.workflow.create_tags()[self._engine.settings.tagged_tag]
            return (
                count_without_tag(self._client, tagged),
                scenes_without_tag(self._client, tagged),
            )
        tagme = self._writing.workflow.todo_id()
        if tagme is None:
            name = self._engine.settings.tagme_tag
            self._reporter.log(
                "warning", f"There is no tag {name} in Stash: run the task Set up, which creates it"
            )
            return 0, ()
        return count_with_tag(self._client, tagme), scenes_with_tag(self._client, tagme)

    # --- One scene after another

    def _sweep(self, total: int, scenes: Iterable[Scene], on_purpose: bool) -> None:
        names = [StudioName(each.id, each.name, each.aliases) for each in studios(self._client)]
        looker = Looker(self._engine, self._reporter, self._client, names)
        self._roots = library_folders(self._client)
        try:
            for number, scene in enumerate(self._visited(scenes, on_purpose)):
                self._reporter.progress(number / max(total, number + 1))
                self._reporter.check()
                self._look(looker, scene)
                if self._due():
                    self._write()
        except Cancelled:
            self._write()
            raise
        self._write()
        self._reporter.progress(1.0)

    def _visited(self, scenes: Iterable[Scene], on_purpose: bool) -> Iterator[Scene]:
        """Yield the scenes that may be written to; first learn what the user took from each."""
        remaining = iter(scenes)
        while group := list(itertools.islice(remaining, WRITTEN_TOGETHER)):
            missing = self._writing.visit(group, on_purpose)
            held_up = frozenset(missing.scene_ids) if missing else frozenset()
            if missing:
                self._reporter.log("warning", f"{missing.message}; {missing.remedy} ({ANSWER})")
            for scene in group:
                if scene.id not in held_up:
                    yield scene
            self._counts["left"] += len(held_up)

    def _look(self, looker: Looker, scene: Scene) -> None:
        """Look at one scene; only what stops every scene alike is raised."""
        try:
            result = looker.look(scene)
        except (Cancelled, ModelMissing):
            raise
        except MediaError as error:
            result = failed(scene, error)
            if error.fault == "world":
                self._leave(scene, result)
                return
        except StashSenseError:
            raise
        except Exception as error:
            # A fault of ours in one scene must not keep the others from being tagged.
            logger.exception("Scene %s", scene.id)
            inside = StashSenseError(
                f"Stash Sense failed on this scene ({type(error).__name__}: {error})",
                "see the worker's log; the scene keeps its TagMe",
            )
            self._leave(scene, failed(scene, inside))
            return
        self._pending.append((scene, result))

    def _leave(self, scene: Scene, result: SceneResult) -> None:
        """Keep TagMe where the fault is not the scene's; say so once per folder of the library."""
        self._save(scene, result)
        self._counts["left"] += 1
        message = result.error.message if result.error else ""
        self._errors.append((scene.id, message))
        root = self._root(scene.path)
        if root not in self._told:
            self._told.add(root)
            remedy = result.error.remedy if result.error else ""
            self._reporter.log(
                "warning", f"Scenes in {root} keep their workflow tags: {message}; {remedy}"
            )

    def _root(self, path: str) -> str:
        inside = [root for root in self._roots if PurePath(path).is_relative_to(root)]
        return max(inside, key=len, default=str(PurePath(path).parent))

    # --- Writing

    def _due(self) -> bool:
        waited_s = time.monotonic() - self._written_s
        return len(self._pending) >= WRITTEN_TOGETHER or waited_s >= WRITTEN_AFTER_S

    def _write(self) -> None:
        """Keep and write the results in hand, then move the workflow tags."""
        results, self._pending = self._pending, []
        for scene, result in results:
            self._save(scene, result)
        self._writing.write(results)
        for scene, result in results:
            self._count(scene, result)
        self._written_s = time.monotonic()

    def _save(self, scene: Scene, result: SceneResult) -> None:
        self._engine.store.save_result(self._run_id, scene.id, scene.fingerprint, result.as_json())

    def _count(self, scene: Scene, result: SceneResult) -> None:
        self._counts["failed" if result.error else "tagged"] += 1
        if result.error:
            self._errors.append((scene.id, f"{result.source}: {result.error.message}"))
        self._asks += sum(each.decision is Decision.ASK for each in result.suggestions)
        for skipped in result.skipped:
            self._without.setdefault(skipped.detector, f"{skipped.reason}; {skipped.remedy}")

    def _close(self, total: int) -> None:
        """Say what the run did, in lines that Stash shows last."""
        for line in self._closing(total):
            self._reporter.log("info", line)

    def _closing(self, total: int) -> Iterator[str]:
        for detector, reason in self._without.items():
            yield f"Without {detector}: {reason}"
        for scene_id, message in self._errors[:ERRORS_SHOWN]:
            yield f"Scene {scene_id}: {message}"
        if len(self._errors) > ERRORS_SHOWN:
            yield f"{len(self._errors) - ERRORS_SHOWN} more failed: the command `errors` lists all"
        counts = self._counts
        wrote = ", ".join(f"{count} {what}" for what, count in self._writing.counts().items())
        yield (
            f"{counts['tagged']} of {total} scenes tagged, {counts['failed']} failed,"
            f" {counts['left']} left as they were; written: {wrote};"
            f" {self._asks} suggestions wait for you"
        )


def _yes(value: object) -> bool:
    """Read a switch that may come as text, as Stash's task arguments do."""
    return str(value).casefold() in ("true", "1", "yes")


def _ids(value: object) -> list[str]:
    """Read scene ids: a list, or text with commas as a task's argument may be."""
    if value is None:
        return []
    parts = value if isinstance(value, list) else str(value).split(",")
    ids = [str(part).strip() for part in parts if str(part).strip()]
    wrong = [part for part in ids if not part.isascii() or not part.isdigit()]
    if wrong:
        raise SettingsError(f"{wrong[0]!r} is no scene id", "scene ids are whole numbers")
    return list(dict.fromkeys(ids))
