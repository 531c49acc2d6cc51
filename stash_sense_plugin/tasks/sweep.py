"""Tag scenes: look at each, write what was decided, and move the workflow tags."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal

from stash_sense_plugin.errors import (
    Cancelled,
    HandedOver,
    InternalFault,
    MediaError,
    MediaMissing,
    MediaSilent,
    MemoryShort,
    ModelBroken,
    SettingsError,
    StashError,
    StashRefused,
    StashSenseError,
    WorkerDied,
)
from stash_sense_plugin.library.results import Death
from stash_sense_plugin.pipeline.parts import failed
from stash_sense_plugin.records import FrameSource, Reporter, Scene, SceneResult
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import library_folders, studios
from stash_sense_plugin.tasks.asked import (
    MOST_ITEMS,
    given,
    scene_id,
    scene_ids,
    switched_on,
    text,
    word,
)
from stash_sense_plugin.tasks.choosing import Choice, Course, Which
from stash_sense_plugin.tasks.differing import NOBODY, Words, decided_by, unmarked, without
from stash_sense_plugin.tasks.engine import Call, Engine, plugin_id
from stash_sense_plugin.tasks.looking import Looker, studio_names
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.roots import Away, Roots
from stash_sense_plugin.tasks.slices import GOING_ON, TAG, TAG_ALL, Slices
from stash_sense_plugin.tasks.standing import Standing
from stash_sense_plugin.tasks.tally import ERRORS_SHOWN, Tally, counted
from stash_sense_plugin.tasks.writing import HOW_TO_ANSWER, Answer, Looked, Writing

WRITTEN_TOGETHER = 20
"""Scenes that are written to Stash in one go."""
WRITTEN_AFTER_S = 5.0
"""Or however many there are after this time, so that the user sees them come."""
PARKED_AT = 2
"""A scene at which the worker died so often is Errored, and left until the user asks for it."""
BROKEN_IN_A_ROW = 3
"""After so many scenes at which a network broke, or writes that Stash refused, it is not theirs."""
LONGEST_TITLE = 120
"""Characters of a title in a line of the log."""
CONNECT = "connect its drive, or mount it at this path"

Ended = Literal["done", "failed", "cancelled"]


def tag_scenes(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Tag the scenes with TagMe, those in `ids`, or with `all` every one that is not Tagged.

    With `run_id`, go on with a run that let another job of Stash go first. With `dry_run`, look,
    keep what is seen, and write nothing to Stash.
    """
    with engine.stash(call, reporter) as client:
        if switched_on(call.args, "dry_run"):
            return _rehearse(engine, call, client, reporter)
        return _tag(engine, call, _slices(engine, call, client), client, reporter)


def tag_scene(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Tag the scene in `scene_id`, or those in `scene_ids`, whatever their workflow tags.

    Of a single scene its result is returned too.
    """
    ids = _asked_for(call.args)
    with engine.stash(call, reporter) as client:
        # It has no place in Stash's queue: where it is stopped, the worker takes it up again.
        slices = Slices(client, None, engine.settings.slice_minutes, engine.clock)
        asked = Call({"ids": ids}, call.server)
        report = _tag(engine, asked, slices, client, reporter, tells_each=True)
    if len(ids) > 1:
        return report
    return report | {"result": engine.store.result(str(report["run_id"]), ids[0])}


def read_tag_scene(args: Mapping[str, object]) -> dict[str, object]:
    """Return what `tag_scene` is asked for in the one form that it has for these scenes.

    Raises SettingsError.
    """
    ids = sorted(_asked_for(args), key=int)
    scenes: dict[str, object] = {"scene_id": ids[0]} if len(ids) == 1 else {"scene_ids": ids}
    return {name: args[name] for name in ("mode", "hookContext") if name in args} | scenes


def _asked_for(args: Mapping[str, object]) -> list[str]:
    if args.get("scene_ids") is None:
        return [scene_id(args)]
    if given(args, "scene_id") is not None:
        raise SettingsError("Both scene_id and scene_ids are given", "give one of them")
    ids = scene_ids(args, "scene_ids") or []
    if len(ids) > MOST_ITEMS:
        raise SettingsError(
            f"scene_ids names {len(ids)} scenes, more than {MOST_ITEMS}", "give them in parts"
        )
    return ids


def _tag(
    engine: Engine,
    call: Call,
    slices: Slices,
    client: StashClient,
    reporter: Reporter,
    *,
    tells_each: bool = False,
) -> dict[str, object]:
    begun = _begun(engine, call, slices)
    if begun is None:
        return _nothing(engine, text(call.args, "run_id"), reporter)
    run_id, state = begun
    sweep: Sweep | None = None
    ended: Ended = "failed"
    try:
        sweep = Sweep(engine, client, Standing.kept(run_id, state), slices, reporter)
        sweep.tells_each = tells_each
        sweep.run()
        ended = "done"
    except Cancelled:
        ended = "cancelled"
        raise
    finally:
        if sweep is None or not sweep.goes_on:
            engine.store.end_run(run_id, ended, {} if sweep is None else sweep.report())
    return sweep.report()


def _rehearse(
    engine: Engine, call: Call, client: StashClient, reporter: Reporter
) -> dict[str, object]:
    """Say what a run would do. What was seen is kept, so that the run itself is quick."""
    slices = Slices(client, None, engine.settings.slice_minutes, engine.clock)
    standing = Standing("", Course.asked(call.args), Tally(), _answer(call.args))
    sweep = Sweep(engine, client, standing, slices, reporter, dry_run=True)
    sweep.run()
    return sweep.report() | {"run_id": None, "dry_run": True}


# --- Beginning, and going on --------------------------------------------------------------------


def _slices(engine: Engine, call: Call, client: StashClient) -> Slices:
    """Return the run's turns: only Stash itself names the folder that its plugin lies in."""
    folder = (call.server or {}).get("PluginDir")
    plugin = plugin_id(Path(str(folder))) if folder else None
    return Slices(client, plugin, engine.settings.slice_minutes, engine.clock)


def _begun(engine: Engine, call: Call, slices: Slices) -> tuple[str, dict[str, Any]] | None:
    """Return a new run and its state, or one that goes on; None where that cannot be."""
    # An empty one is no run of ours, and nobody who names one asks for a new sweep.
    if call.args.get("run_id") is not None:
        run_id = text(call.args, "run_id")
        state = engine.store.take_up(run_id)
        return None if state is None else (run_id, {**state, "resumed": True})
    state = {
        "course": Course.asked(call.args).as_json(),
        "answer": _answer(call.args).value,
    }
    _give_up_waiting(engine, slices)
    return engine.store.begin_run("tag_scenes", asdict(engine.settings)), state


def _answer(args: Mapping[str, object]) -> Answer:
    """Read what the user says of that which is missing in Stash. Raises SettingsError."""
    return Answer(word(args, "missing", Answer))


def _give_up_waiting(engine: Engine, slices: Slices) -> None:
    """Close runs whose task is no longer in Stash's queue: stopped there, or Stash restarted."""
    for run in engine.store.waiting_runs():
        if slices.has(str(run.summary.get("goes_on_as"))) is False:
            engine.store.end_run(run.id, "cancelled", run.summary)


def _nothing(engine: Engine, run_id: str, reporter: Reporter) -> dict[str, object]:
    """Say why a run does not go on; what it left is found by the next one."""
    run = engine.store.run(run_id)
    if run is None:
        why = f"Stash Sense knows no run {run_id}"
    elif run.status == "running":
        why = f"the run {run_id} goes on already"
    else:
        why = f"the run {run_id} has ended"
    reporter.log("info", f"Nothing to do: {why}; the task {TAG} begins a new one")
    return {"run_id": run_id, **Tally().report(), "goes_on": False}


class Sweep:
    """One slice of a run over scenes of a Stash; most runs have but one."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        standing: Standing,
        slices: Slices,
        reporter: Reporter,
        *,
        dry_run: bool = False,
    ) -> None:
        self._dry_run = dry_run
        self._engine, self._client, self._reporter = engine, client, reporter
        self._standing, self._slices = standing, slices
        self._tally = standing.tally
        self._calls_before = self._tally.calls
        run_id, course, settings = standing.run_id, standing.course, engine.settings
        self._settings = settings
        changes = self._tally.changes
        self._writing = Writing(engine, client, run_id, reporter, changes, dry_run=dry_run)
        self._recognition = Recognition(engine, client)
        workflow = self._writing.workflow
        self._choice = Choice(course, client, engine.store, run_id, workflow, settings)
        self._choice.rehearses = dry_run
        self._task = TAG_ALL if course.which is Which.NOT_DONE else TAG
        standing.library = standing.library or self._recognition.path
        self._answer = standing.answer
        self._pending: list[Callable[[], Looked]] = []
        """What was looked at, to be weighed by what the user has said when it is written."""
        self._written_s = engine.clock()
        self._roots = Roots((), reporter.check)
        self._learns = True
        self._broken = self._refused = 0
        self._short: MemoryShort | None = None
        """Why scenes were left, where it was for want of memory."""
        self._told_of_queue = False
        self.goes_on = False
        """Whether the rest of the run waits in Stash's queue."""
        self.tells_each = False
        """Whether somebody watches: each scene is named, and how far the look at it is."""

    def run(self) -> None:
        """Look at every chosen scene. Raises StashSenseError when the run cannot go on."""
        try:
            self._run()
        except HandedOver:
            if not self._goes_on_elsewhere():
                raise

    def _run(self) -> None:
        self._writing.recover()
        if self._dry_run and not self._recognition.is_this_library():
            self._reporter.log(
                "info", "Nothing to rehearse: this library differs from the one tagged before"
            )
            return
        self._learns = (
            self._dry_run or self._recognition.settle(self._reporter) or bool(self._answer)
        )
        standing = self._standing
        if standing.resumed and self._recognition.is_elsewhere(standing.library):
            line = f"Nothing to do: the run {standing.run_id} was for another library"
            self._reporter.log("info", f"{line}; the task {TAG} begins a new one")
            return
        if self._learns:
            self._writing.survey(self._answer)
            # What the user takes away from now on, the answer does not speak of.
            standing.answer = Answer.NONE
        total = self._choice.count(self._reporter)
        if total:
            self._sweep()
        if self._short is not None:
            self._reporter.log("warning", f"Scenes keep their workflow tags: {self._short}")
        if not self.goes_on:
            self._close(total)

    def _close(self, total: int) -> None:
        lines = self._tally.closing(self._choice.course.whole)
        before = "Nothing was written; this would be: " if self._dry_run else ""
        for line in lines if total else [f"Nothing to do: {self._choice.nothing}"]:
            self._reporter.log("info", f"{before}{line}")

    def report(self) -> dict[str, object]:
        """Return what the run did."""
        self._tally.calls = self._calls_before + self._client.calls
        return {
            "run_id": self._standing.run_id,
            **self._tally.report(),
            "goes_on": self.goes_on,
        }

    def _keep(self) -> None:
        """Keep what the run needs to go on, in this worker or another."""
        self._tally.calls = self._calls_before + self._client.calls
        if self._dry_run:
            return
        self._choice.forget_met()
        self._engine.store.keep_state(self._standing.run_id, self._standing.as_json())

    # --- Letting others go first

    def _let_go_first(self) -> bool:
        """Where another job waits in Stash, let it go first, and go on behind it."""
        waits = self._slices.waiting(self._task)
        if waits is None:
            return False
        self._write()
        course = self._choice.course
        # The next scene is known, even where none was counted: it came meanwhile.
        course.total = max(course.total, course.met + 1)
        try:
            self._go_on_later()
        except StashError as error:
            self._go_on_now(error)
            return False
        self._tell_going_on(f"Lets {waits.strip('. ')} go first")
        return True

    def _goes_on_elsewhere(self) -> bool:
        """Let the rest of a run that Stash's queue began be done by the version that takes over."""
        if not self._slices.is_from_queue():
            return False
        self._keep()
        try:
            self._go_on_later()
        except StashError as error:
            self._reporter.log("warning", f"The rest cannot wait in Stash's queue: {error}")
            return False
        self._tell_going_on("Stash Sense was updated")
        return True

    def _go_on_later(self) -> None:
        """Put the rest into Stash's queue. Raises StashError where that cannot be."""
        course, run_id = self._choice.course, self._standing.run_id
        name = f"{self._task}{GOING_ON}{course.met + 1} of {max(course.whole, course.met + 1)} on"
        self._engine.store.let_wait(run_id, self.report() | {"goes_on_as": name})
        self._slices.go_on_later(run_id, "tag_scenes", name)
        self.goes_on = True

    def _tell_going_on(self, why: str) -> None:
        course = self._choice.course
        done = f"{course.met} of {counted(course.whole, 'scene')} done, " if course.whole else ""
        self._reporter.log("info", f"{why}: {done}goes on by itself")

    def _go_on_now(self, error: StashError) -> None:
        """Take the run up again, for Stash does not take its rest into the queue."""
        self._engine.store.take_up(self._standing.run_id)
        self._slices.begin()
        if not self._told_of_queue:
            self._told_of_queue = True
            self._reporter.log(
                "warning", f"Goes on although another task waits, for it cannot wait too: {error}"
            )

    # --- One scene after another

    def _sweep(self) -> None:
        if not self._standing.resumed:
            self._engine.tell_choice(self._reporter)
        names = studio_names(studios(self._client))
        looker = Looker(
            self._engine, self._reporter, self._client, names, self._settings, self._tell_part
        )
        if not self._standing.resumed:
            looker.tell_device()
        connection = self._client.connection
        self._roots = Roots(
            library_folders(self._client),
            self._reporter.check,
            are_here=connection.loopback or connection.told_by_stash,
        )
        try:
            ended = self._one_after_another(looker)
        except (Cancelled, MemoryShort, ModelBroken):
            self._write()
            raise
        if ended:
            self._write()
            self._reporter.progress(1.0)

    def _one_after_another(self, looker: Looker) -> bool:
        """Look at the scenes; False where the rest waits in Stash's queue."""
        scenes = self._visited()
        scene = next(scenes, None)
        while scene is not None:
            self._tell(scene)
            self._reporter.check()
            self._look(looker, scene)
            self._choice.meet(scene)
            if self._due():
                self._write()
            # Numbers do not tell whether there is another one: scenes come and go meanwhile.
            scene = next(scenes, None)
            if scene is not None and self._let_go_first():
                return False
        return True

    def _tell(self, scene: Scene) -> None:
        course = self._choice.course
        self._reporter.progress(course.fraction)
        if self.tells_each:
            where = f" ({course.met + 1} of {course.whole})" if course.whole > 1 else ""
            self._reporter.log("info", f"Looking at {_called(scene)}{where}")

    def _tell_part(self, part: float) -> None:
        """Tell how far it is with one scene of those that somebody waits for."""
        course = self._choice.course
        if self.tells_each:
            self._reporter.progress((course.met + part) / max(course.whole, course.met + 1))

    def _visited(self) -> Iterator[Scene]:
        """Yield the scenes that may be written to; first learn what the user took from each."""
        for group in self._choice.groups(WRITTEN_TOGETHER, before_second=self._write):
            missing = self._writing.visit(group, self._answer) if self._learns else None
            held_up = frozenset(missing.scene_ids) if missing else frozenset()
            if missing:
                self._ask(f"{missing.message}; {missing.remedy}")
                error = StashError(missing.message, missing.remedy)
                for scene in (each for each in group if each.id in held_up):
                    self._leave(scene, error)
                    self._choice.course.met += 1
            yield from (scene for scene in group if scene.id not in held_up)

    def _ask(self, question: str) -> None:
        """Ask the user once, and say how to answer."""
        if not self._standing.asked:
            self._standing.asked = True
            self._reporter.log(
                "warning",
                f"{question}. {HOW_TO_ANSWER} (or {self._command('--restored-backup')}, or"
                " --removed-on-purpose)",
            )

    def _command(self, words: str) -> str:
        """What a user types to run this task once more in some other way."""
        url = self._client.connection.base_url
        return f"python -m stash_sense_plugin --stash {url} tag-scenes {words}"

    def _look(self, looker: Looker, scene: Scene) -> None:
        """Look at one scene; only what stops every scene alike is raised."""
        if (away := self._roots.away(scene)) is not None:
            self._leave(scene, MediaMissing(f"{away.folder} {away.reason}", CONNECT))
            self._tell_away(away)
            return
        death = self._engine.store.death(scene.id)
        if death is not None and self._pending:
            self._write()
        if death is not None and death.count >= PARKED_AT and not self._is_wanted(death):
            again = f"give it {self._settings.tagme_tag} again to try once more"
            error = WorkerDied(_died(death), again)
            self._pending.append(partial(Looked, scene, failed(scene, error)))
            return
        if death is not None:
            self._reporter.log("warning", f"Stash Sense ended {death}: it is tried once more")
        self._attempt(looker, scene)

    def _is_wanted(self, death: Death) -> bool:
        """Whether the user wants it tried all the same: by name, or TagMe was given anew."""
        which = self._choice.course.which
        return which is Which.NAMED or (which is Which.TO_DO and death.parked)

    def _attempt(self, looker: Looker, scene: Scene) -> None:
        self._engine.store.begin_look(scene.id)
        by_itself = False
        try:
            by_itself = self._looked(looker, scene)
        finally:
            self._engine.store.end_look(scene.id, by_itself=by_itself)

    def _looked(self, looker: Looker, scene: Scene) -> bool:
        """Look at a scene, whatever comes of it; False where the look was cut short."""
        undone = self._undone(scene)
        try:
            result = looker.look(scene)
        except MediaError as error:
            if error.fault != "scene":
                self._leave_missing(scene, error)
                return False
            self._pending.append(partial(Looked, scene, failed(scene, error)))
        except ModelBroken as error:
            self._leave_named(scene, error)
            self._broken += 1
            if self._broken >= BROKEN_IN_A_ROW:
                raise
        except MemoryShort as error:
            self._leave_short(scene, error)
            return False
        except InternalFault as error:
            # A fault of ours in one scene must not keep the others from being tagged.
            self._leave_named(scene, error)
        else:
            self._pending.append(partial(self._weigh, looker, scene, result, undone))
            self._broken = 0
            if result.frames.get(FrameSource.VIDEO):
                self._roots.note_answer(scene)
        return True

    def _weigh(self, looker: Looker, scene: Scene, result: SceneResult, before: Words) -> Looked:
        """Decide of a look by what the user has said and undone by now."""
        weighed, covered = looker.weighed(scene, result)
        undone = self._undone(scene) - before
        return Looked(scene, without(weighed, undone), covered, unmarked(undone), undone)

    def _undone(self, scene: Scene) -> Words:
        return self._engine.store.undone([scene.id]).get(scene.id, NOBODY)

    def _leave_short(self, scene: Scene, error: MemoryShort) -> None:
        """Leave a scene for which there is no memory; others may fit, and get what can be had."""
        self._engine.unload_idle(0)
        self._leave(scene, error)
        self._broken += 1
        if self._broken >= BROKEN_IN_A_ROW:
            raise error
        self._short = error

    def _leave_missing(self, scene: Scene, error: MediaError) -> None:
        """Leave a scene whose pictures cannot be had: its drive went meanwhile, or its file."""
        if isinstance(error, MediaSilent):
            self._roots.note_silence(scene)
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
        self._tally.leave()

    def _leave_named(self, scene: Scene, error: StashSenseError) -> None:
        self._leave(scene, error)
        self._tally.name(scene, str(error))

    def _tell_away(self, away: Away) -> None:
        """Say once per folder of the library why its scenes stay as they are."""
        told = self._standing.told_away
        if away.folder in told or len(told) >= ERRORS_SHOWN:
            return
        told.add(away.folder)
        self._reporter.log(
            "warning",
            f"Scenes in {away.folder} keep their workflow tags: it {away.reason}; {CONNECT}",
        )

    # --- Writing

    def _due(self) -> bool:
        waited_s = self._engine.clock() - self._written_s
        return len(self._pending) >= WRITTEN_TOGETHER or waited_s >= WRITTEN_AFTER_S

    def _write(self) -> None:
        """Keep and write the results in hand, then move the workflow tags."""
        pending, self._pending = self._pending, []
        # What the user says meanwhile is heard wholly before this or wholly after it.
        with self._engine.writing:
            looked = [weigh() for weigh in pending]
            for each in looked:
                self._save(each.scene, each.result, each.undone)
            not_moved = self._written(looked)
        if not self._dry_run:
            self._recognition.learn(each.scene for each in looked)
        for each in looked:
            scene, result = each.scene, each.result
            moved = scene.id not in not_moved
            self._tally.note(scene, result, moved=moved)
            if self._dry_run:
                continue
            if moved and result.error is not None and result.error.kind == WorkerDied.kind:
                self._engine.store.park(scene.id)
        self._keep()
        self._written_s = self._engine.clock()

    def _written(self, looked: list[Looked]) -> frozenset[str]:
        """Write what is decided; return who keeps its tags. Raises StashRefused when all do."""
        try:
            kept = self._writing.write(looked)
            refusal = dict(self._writing.held)
        except StashRefused as error:
            refusal = {each.scene.id: str(error) for each in looked}
            kept = frozenset(refusal)
            self._writing.tell(f"{counted(len(kept), 'scene')} keep their workflow tags: {error}")
        if looked:
            self._refused = self._refused + 1 if len(refusal) == len(looked) else 0
        if self._refused >= BROKEN_IN_A_ROW:
            raise StashRefused(
                f"Stash took nothing of the last scenes: {next(iter(refusal.values()))}",
                "see Stash's log for the cause, and run the task again",
            )
        return kept

    def _save(self, scene: Scene, result: SceneResult, undone: Words = NOBODY) -> None:
        if self._dry_run:
            return
        store, settings = self._engine.store, self._settings
        args = (self._standing.run_id, scene.id, scene.fingerprint, result.as_json())
        if result.error is not None:
            store.save_result(*args)
            return
        store.save_result(
            *args,
            suggestions=result.suggestions,
            decided=decided_by(result, settings),
            tags=scene.tag_ids,
            keep_undone=undone,
        )


def _called(scene: Scene) -> str:
    """What a person knows a scene by, on one line."""
    title = " ".join(scene.title.split()) or PurePath(scene.path).name or scene.source
    return (
        title
        if len(title) <= LONGEST_TITLE
        else f"{title[: LONGEST_TITLE - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def _died(death: Death) -> str:
    where = f", the last time at: {death.stage}" if death.stage else ""
    return f"Stash Sense ended {_times(death.count)} while it looked at it{where}"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"
