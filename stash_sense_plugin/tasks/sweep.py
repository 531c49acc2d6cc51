"""Tag scenes: look at each, write what was decided, and move the workflow tags."""

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from stash_sense_plugin.errors import (
    Cancelled,
    InternalFault,
    MediaError,
    MediaMissing,
    ModelBroken,
    SettingsError,
    StashSenseError,
    WorkerDied,
)
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
from stash_sense_plugin.tasks.engine import SWITCHED_OFF, Call, Engine
from stash_sense_plugin.tasks.looking import Looker, studio_names
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.roots import Away, Roots
from stash_sense_plugin.tasks.writing import Writing

WRITTEN_TOGETHER = 20
"""Scenes that are written to Stash in one go."""
WRITTEN_AFTER_S = 5.0
"""Or however many there are after this time, so that the user sees them come."""
PARKED_AT = 2
"""A scene at which the worker died so often is left out, unless it is asked for by name."""
BROKEN_IN_A_ROW = 3
"""After so many scenes at which a network broke, it is not the scenes' doing."""
CONNECT = "connect its drive, or mount it at this path"
ERRORS_SHOWN = 10
"""Failed scenes that the run's closing lines name."""
LONGEST_ID = 18
"""Digits of a scene id: Stash's own are 64 bits wide."""


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
    ids = scene_ids(call.args.get("scene_id"))
    if ids is None or len(ids) != 1:
        raise SettingsError("No scene is named", "give args.scene_id")
    report = tag_scenes(engine, Call({"ids": ids}, call.server), reporter)
    return report | {"result": engine.store.result(str(report["run_id"]), ids[0])}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The scenes of a run, and what is said when there are none."""

    count: int
    scenes: Iterable[Scene]
    nothing: str


class Sweep:
    """One run over scenes of a Stash."""

    def __init__(
        self, engine: Engine, client: StashClient, run_id: str, reporter: Reporter
    ) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._client = client
        self._run_id = run_id
        self._reporter = reporter
        self._writing = Writing(engine, client, run_id, reporter)
        self._recognition = Recognition(engine, client)
        self._pending: list[tuple[Scene, SceneResult]] = []
        self._written_s = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._errors: list[tuple[str, str]] = []
        self._roots = Roots((), reporter.check)
        self._told_away: set[str] = set()
        self._asked = False
        self._learns = True
        self._named_ids = False
        self._broken = 0
        self._without: dict[str, str] = {}

    def run(self, args: Mapping[str, object]) -> None:
        """Look at every chosen scene. Raises StashSenseError when the run cannot go on."""
        self._writing.recover()
        on_purpose = _yes(args.get("removed_on_purpose"))
        self._learns = self._recognition.settle(self._reporter) or on_purpose
        if self._learns:
            self._writing.survey(on_purpose)
        chosen = self._choose(args)
        if chosen.count:
            self._sweep(chosen, on_purpose)
        for line in self._closing(chosen):
            self._reporter.log("info", line)

    def report(self) -> dict[str, object]:
        """Return what the run did."""
        counts = self._counts
        return {
            "run_id": self._run_id,
            "tagged": counts["tagged"],
            "failed": counts["failed"],
            "left": counts["left"],
            "asks": counts["asks"],
            "written": self._writing.counts(),
            "errors": [
                {"scene_id": scene_id, "message": message} for scene_id, message in self._errors
            ],
            "without": dict(self._without),
        }

    # --- Which scenes

    def _choose(self, args: Mapping[str, object]) -> Chosen:
        ids = scene_ids(args.get("ids"))
        self._named_ids = ids is not None
        if ids is not None:
            return self._named(ids)
        if _yes(args.get("all")):
            return self._not_done()
        return self._to_do()

    def _named(self, ids: list[str]) -> Chosen:
        found = scenes_by_ids(self._client, ids)
        known = {scene.id for scene in found}
        for gone in (each for each in ids if each not in known):
            self._reporter.log("warning", f"Stash has no scene {gone}")
            self._engine.store.forget_scene(gone)
        # Those at which the worker died go last, so that the others are done whatever happens.
        found.sort(key=lambda scene: self._engine.store.deaths(scene.id))
        return Chosen(len(found), found, "Stash has none of these scenes")

    def _not_done(self) -> Chosen:
        name = self._settings.tagged_tag
        tagged = self._writing.workflow.create_tags()[name]
        return Chosen(
            count_without_tag(self._client, tagged),
            scenes_without_tag(self._client, tagged),
            f"every scene carries the tag {name}",
        )

    def _to_do(self) -> Chosen:
        name = self._settings.tagme_tag
        tagme = self._writing.workflow.todo_id()
        if tagme is None:
            return Chosen(
                0, (), f"there is no tag {name} in Stash: run the task Set up, which creates it"
            )
        return Chosen(
            count_with_tag(self._client, tagme),
            scenes_with_tag(self._client, tagme),
            f"no scene carries the tag {name}",
        )

    # --- One scene after another

    def _sweep(self, chosen: Chosen, on_purpose: bool) -> None:
        names = studio_names(studios(self._client))
        looker = Looker(self._engine, self._reporter, self._client, names, self._settings)
        if self._client.connection.loopback:
            self._roots = Roots(library_folders(self._client), self._reporter.check)
        try:
            for number, scene in enumerate(self._visited(chosen.scenes, on_purpose)):
                self._reporter.progress(number / max(chosen.count, number + 1))
                self._reporter.check()
                self._look(looker, scene)
                if self._due():
                    self._write()
        except (Cancelled, ModelBroken):
            self._write()
            raise
        self._write()
        self._reporter.progress(1.0)

    def _visited(self, scenes: Iterable[Scene], on_purpose: bool) -> Iterator[Scene]:
        """Yield the scenes that may be written to; first learn what the user took from each."""
        remaining = iter(scenes)
        while group := list(itertools.islice(remaining, WRITTEN_TOGETHER)):
            missing = self._writing.visit(group, on_purpose) if self._learns else None
            held_up = frozenset(missing.scene_ids) if missing else frozenset()
            self._counts["left"] += len(held_up)
            if missing and not self._asked:
                self._asked = True
                answer = f"if it was on purpose, run once: {self._command('--removed-on-purpose')}"
                self._reporter.log("warning", f"{missing.message}; {missing.remedy} ({answer})")
            yield from (scene for scene in group if scene.id not in held_up)

    def _command(self, words: str) -> str:
        """What a user types to run this task once more in some other way."""
        url = self._client.connection.base_url
        return f"python -m stash_sense_plugin --stash {url} tag-scenes {words}"

    def _look(self, looker: Looker, scene: Scene) -> None:
        """Look at one scene; only what stops every scene alike is raised."""
        if (away := self._roots.away(scene)) is not None:
            self._leave(scene, MediaMissing(f"{away.folder} {away.reason}", CONNECT))
            self._tell_away(away)
        elif self._is_parked(scene):
            again = f"to try it once more: {self._command(f'--ids {scene.id}')}"
            self._leave_named(
                scene, WorkerDied("Stash Sense ended twice while it looked at it", again)
            )
        else:
            self._attempt(looker, scene)

    def _is_parked(self, scene: Scene) -> bool:
        """Whether to leave out a scene that killed the worker; what is in hand is written first."""
        deaths = self._engine.store.deaths(scene.id)
        if deaths and self._pending:
            self._write()
        return deaths >= PARKED_AT and not self._named_ids

    def _attempt(self, looker: Looker, scene: Scene) -> None:
        self._engine.store.begin_look(scene.id)
        try:
            self._pending.append((scene, looker.look(scene)))
            self._broken = 0
        except MediaError as error:
            if error.fault == "scene":
                self._pending.append((scene, failed(scene, error)))
            else:
                self._leave_missing(scene, error)
        except ModelBroken as error:
            self._leave_named(scene, error)
            self._broken += 1
            if self._broken >= BROKEN_IN_A_ROW:
                raise
        except InternalFault as error:
            # A fault of ours in one scene must not keep the others from being tagged.
            self._leave_named(scene, error)
        finally:
            self._engine.store.end_look(scene.id)

    def _leave_missing(self, scene: Scene, error: MediaError) -> None:
        """Leave a scene whose pictures cannot be had: its drive went meanwhile, or its file."""
        if (away := self._roots.away(scene)) is not None:
            self._leave(scene, error)
            self._tell_away(away)
        elif scene.path and self._roots.is_gone(scene):
            gone = f"{scene.path} is no longer there"
            self._leave_named(scene, MediaMissing(gone, "scan or clean the library in Stash"))
        else:
            self._leave_named(scene, error)

    def _leave(self, scene: Scene, error: StashSenseError) -> None:
        """Keep what is known of a scene whose workflow tags stay: the fault is not its own."""
        self._save(scene, failed(scene, error))
        self._counts["left"] += 1

    def _leave_named(self, scene: Scene, error: StashSenseError) -> None:
        self._leave(scene, error)
        self._name(scene, str(error))

    def _tell_away(self, away: Away) -> None:
        """Say once per folder of the library why its scenes stay as they are."""
        if away.folder in self._told_away or len(self._told_away) >= ERRORS_SHOWN:
            return
        self._told_away.add(away.folder)
        self._reporter.log(
            "warning",
            f"Scenes in {away.folder} keep their workflow tags: it {away.reason}; {CONNECT}",
        )

    # --- Writing

    def _due(self) -> bool:
        waited_s = time.monotonic() - self._written_s
        return len(self._pending) >= WRITTEN_TOGETHER or waited_s >= WRITTEN_AFTER_S

    def _write(self) -> None:
        """Keep and write the results in hand, then move the workflow tags."""
        results, self._pending = self._pending, []
        for scene, result in results:
            self._save(scene, result)
        not_moved = self._writing.write(results)
        self._recognition.learn(scene for scene, _ in results)
        for scene, result in results:
            self._count(scene, result, moved=scene.id not in not_moved)
        self._written_s = time.monotonic()

    def _save(self, scene: Scene, result: SceneResult) -> None:
        self._engine.store.save_result(self._run_id, scene.id, scene.fingerprint, result.as_json())

    def _count(self, scene: Scene, result: SceneResult, *, moved: bool) -> None:
        if not moved:
            self._counts["left"] += 1
        elif result.error:
            self._counts["failed"] += 1
            self._name(scene, result.error.message)
        else:
            self._counts["tagged"] += 1
        self._counts["asks"] += sum(each.decision is Decision.ASK for each in result.suggestions)
        for skipped in result.skipped:
            if skipped.reason != SWITCHED_OFF:
                self._without.setdefault(skipped.detector, f"{skipped.reason}; {skipped.remedy}")

    # --- Closing

    def _name(self, scene: Scene, message: str) -> None:
        """Name a scene in the closing lines, as long as there are few."""
        self._counts["named"] += 1
        if len(self._errors) < ERRORS_SHOWN:
            told = message if scene.source in message else f"{scene.source}: {message}"
            self._errors.append((scene.id, told))

    def _closing(self, chosen: Chosen) -> Iterator[str]:
        """Yield what the run did, in lines that Stash shows last."""
        if not chosen.count:
            yield f"Nothing to do: {chosen.nothing}"
            return
        for detector, reason in self._without.items():
            yield f"Without {detector}: {reason}"
        for scene_id, message in self._errors:
            yield f"Scene {scene_id}: {message}"
        if (more := self._counts["named"] - len(self._errors)) > 0:
            yield f"{more} more failed: the command `errors` lists all"
        yield "; ".join(self._sums(chosen.count))

    def _sums(self, total: int) -> Iterator[str]:
        counts = self._counts
        yield (
            f"{counts['tagged']} of {counted(total, 'scene')} tagged, {counts['failed']} failed,"
            f" {counts['left']} left as they were"
        )
        wrote = [counted(count, what[:-1]) for what, count in self._writing.counts().items()]
        yield f"written: {', '.join(wrote)}"
        if asks := counts["asks"]:
            yield f"{counted(asks, 'suggestion')} {'waits' if asks == 1 else 'wait'} for you"


def counted(count: int, noun: str) -> str:
    """Return how many there are of something, in words that fit the number."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def scene_ids(value: object) -> list[str] | None:
    """Read scene ids: one, a list, or text with commas as a task's argument may be; None for None.

    Raises SettingsError where something else is named, or nothing: no list must mean all scenes.
    """
    if value is None:
        return None
    given = value if isinstance(value, list) else str(value).split(",")
    parts = [str(part).strip() for part in given]
    ids = [part for part in parts if part]
    if not ids:
        raise SettingsError("The list of scene ids is empty", "name scenes, or leave it out")
    for part in ids:
        if not (part.isascii() and part.isdigit() and len(part) <= LONGEST_ID):
            raise SettingsError(f"{part!r} is no scene id", "scene ids are whole numbers")
    return list(dict.fromkeys(str(int(part)) for part in ids))


def _yes(value: object) -> bool:
    """Read a switch that may come as text, as Stash's task arguments do."""
    return str(value).casefold() in ("true", "1", "yes")
