"""Decide again: the whole library from what was kept of every look, and only the difference."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from stash_sense_plugin.errors import Cancelled, StashError
from stash_sense_plugin.library.scenes import Decidable
from stash_sense_plugin.library.suggested import SuggestionList
from stash_sense_plugin.pipeline.deciding import decide_all
from stash_sense_plugin.pipeline.parts import DecideScene
from stash_sense_plugin.records import Reporter, Scene, SceneResult
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import scenes_by_ids, scenes_with_copies, studios
from stash_sense_plugin.suggestions import restrain
from stash_sense_plugin.tasks.asked import switched_on
from stash_sense_plugin.tasks.differing import NOBODY, Covered, Words, decided_by, unmarked, without
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.looking import Looker, studio_names
from stash_sense_plugin.tasks.merging import follow_all
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.tally import counted, listed
from stash_sense_plugin.tasks.writing import HOW_TO_ANSWER, Answer, Counts, Looked, Writing

PAGE: Final = 500
"""Scenes that are listed at a time."""
TOGETHER: Final = 1000
"""Scenes that are written together: the more, the fewer questions each tag needs."""
TOLD_EVERY: Final = 100
"""Scenes between two words of how far it is."""
LINES_SHOWN: Final = 20
"""Tags that the log names; the reply has all."""

Ended = Literal["done", "failed", "cancelled"]


def decide(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Decide the whole library again, and write to Stash what differs.

    With `dry_run`, only say what would be written and withdrawn, tag by tag. Stopped, and asked for
    again, it goes on: what is done is found as decided. Raises StashError where Stash has another
    library or is away; what was written by then is kept.
    """
    dry_run = switched_on(call.args, "dry_run")
    with engine.stash(call, reporter) as client:
        _check_library(Recognition(engine, client))
        if dry_run:
            deciding = Deciding(engine, client, "", reporter, dry_run=True)
            deciding.run()
            return deciding.report()
        return _decide(engine, client, reporter)


def _decide(engine: Engine, client: StashClient, reporter: Reporter) -> dict[str, object]:
    run_id = engine.store.begin_run("decide", asdict(engine.settings))
    deciding: Deciding | None = None
    ended: Ended = "failed"
    try:
        deciding = Deciding(engine, client, run_id, reporter)
        deciding.run()
        ended = "done"
    except Cancelled:
        ended = "cancelled"
        raise
    finally:
        engine.store.end_run(run_id, ended, {} if deciding is None else deciding.report())
    return deciding.report()


def _check_library(recognition: Recognition) -> None:
    """Raise StashError where Stash holds another library than the one that was looked at."""
    if recognition.is_this_library():
        return
    raise StashError(
        "Stash holds another library than the one that Stash Sense looked at (or much of it"
        " differs), so nothing is decided again",
        "start Stash with the database that was tagged, or run Tag scenes first where this is that"
        " library with other files",
    )


@dataclass(frozen=True, slots=True)
class _Changed:
    """A scene of which something else is decided than before."""

    known: Decidable
    result: SceneResult
    decided: bytes
    accepted: Words
    refused: Words


class Deciding:
    """Decides all scenes again, and brings those that changed to Stash some at a time."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        run_id: str,
        reporter: Reporter,
        *,
        dry_run: bool = False,
    ) -> None:
        self._engine, self._store, self._client = engine, engine.store, client
        self._run_id, self._reporter, self._dry_run = run_id, reporter, dry_run
        self._settings = engine.settings
        names = studio_names(studios(client))
        self._looker = Looker(engine, reporter, None, names, self._settings)
        self.counts = Counts()
        self._writing = Writing(
            engine, client, run_id, reporter, self.counts, dry_run=dry_run, together=TOGETHER
        )
        self._scenes: Counter[str] = Counter()
        self._changed: list[_Changed] = []
        self._copies: dict[str, Scene] = {}
        """Scenes with several files."""
        self._asked = False

    def run(self) -> None:
        """Decide. Raises StashSenseError where it cannot go on."""
        self._writing.recover()
        if not self._dry_run:
            follow_all(self._engine, self._client, self._reporter)
        self._writing.survey(Answer.NONE)
        total = self._store.count_decidable()
        try:
            self._decide_all(total)
        except Cancelled:
            for line in self._closing():
                self._reporter.log("info", f"Stopped: {line}")
            raise
        self._reporter.progress(1.0)
        self._scenes["passed"] += total - self._scenes["met"]
        if not total:
            self._reporter.log("info", "Nothing to decide: no scene was tagged yet")
            return
        for line in self._closing():
            self._reporter.log("info", line)

    def report(self) -> dict[str, object]:
        """Return what was decided, with every tag, marker's tag and studio that changed."""
        return {
            "run_id": self._run_id or None,
            "dry_run": self._dry_run,
            "suggest_only": self._settings.suggest_only,
            "scenes": self._scenes["met"],
            "changed": self._scenes["changed"],
            "left": self._scenes["left"],
            "passed": self._scenes["passed"],
            "written": dict(self.counts.written),
            "withdrawn": dict(self.counts.withdrawn),
            "changes": self._changes(),
            "calls": self._client.calls,
        }

    # --- One scene after another

    def _decide_all(self, total: int) -> None:
        open_before = self._networks()
        parts = self._looker.parts()
        for scene, result, _ in decide_all(self._store, self._known(), parts, self._reporter):
            if not self._scenes["met"]:
                self._tell_networks(open_before)
            if self._scenes["met"] % TOLD_EVERY == 0:
                self._reporter.progress(self._scenes["met"] / max(total, 1))
            self._scenes["met"] += 1
            self._consider(scene, result)
            if len(self._changed) >= TOGETHER:
                self._bring()
        self._bring()

    def _known(self) -> Iterator[DecideScene]:
        scenes, files = self._engine.verdicts.spoken_of()
        if files:
            self._copies = {scene.id: scene for scene in scenes_with_copies(self._client)}
        after = ""
        while page := self._store.decidable(after, PAGE):
            for known in page:
                said: tuple[Words, Words] = (NOBODY, NOBODY)
                scene = self._scene(known)
                if scene.id in scenes or not files.isdisjoint(scene.files):
                    said = self._engine.verdicts.said_of(scene)
                yield DecideScene(known, *said)
            after = page[-1].scene_id

    def _scene(self, known: Decidable) -> Scene:
        """Return the scene with all its files: the store knows one of them."""
        bare = Scene(known.scene_id, "", known.source, known.fingerprint, None)
        return self._copies.get(known.scene_id, bare)

    def _networks(self) -> set[str]:
        return {f"{each.label} ({each.role})" for each in self._engine.open_networks()}

    def _tell_networks(self, before: set[str]) -> None:
        if new := sorted(self._networks() - before):
            self._reporter.log("info", f"Read the words that are new, with {', '.join(new)}")

    def _consider(self, scene: DecideScene, result: SceneResult) -> None:
        """Keep in hand what is decided otherwise than before."""
        known = scene.known
        covering = self._looker.covering
        if not covering.is_whole(result):
            before = self._store.last_said(known.scene_id, known.fingerprint)
            said = self._looker.options(scene.refused, scene.accepted)
            shown = SuggestionList(self._store)
            # What was undone is left out of what is written, and stays as it was decided.
            by_now = shown.decisions(known.scene_id, as_shown=False)
            result = covering.kept_from(result, before or {}, said, by_now)
        decided = decided_by(result, self._settings)
        if decided != known.decided:
            args = (known, result, decided, scene.accepted, scene.refused)
            self._changed.append(_Changed(*args))

    # --- To Stash

    def _bring(self) -> None:
        """Bring to Stash what changed of the scenes in hand, then keep what was decided."""
        changed, self._changed = self._changed, []
        if not changed:
            return
        self._reporter.check()
        with self._engine.writing:
            changed = self._still(changed)
            self._scenes["changed"] += len(changed)
            if self._settings.suggest_only:
                for each in self._as_said_now(changed, [self._scene(c.known) for c in changed]):
                    self._keep(each)
                return
            found = {each.id: each for each in self._present(changed)}
            there = [each for each in changed if each.known.scene_id in found]
            self._write(there, found)

    def _still(self, changed: Sequence[_Changed]) -> list[_Changed]:
        """Leave out what another job decided since it was listed: that is the newer decision."""
        now = self._store.result_rows(each.known.scene_id for each in changed)
        return [each for each in changed if now.get(each.known.scene_id) == each.known.result_row]

    def _present(self, changed: Sequence[_Changed]) -> list[Scene]:
        """Return the scenes that are still there with their files, and nothing of ours in doubt."""
        files = {each.known.scene_id: each.known.fingerprint for each in changed}
        found = scenes_by_ids(self._client, list(files))
        same = [scene for scene in found if scene.fingerprint == files[scene.id]]
        if not self._dry_run:
            # One whose file was replaced has nothing to decide by until it is looked at.
            self._store.see_files(found)
        missing = self._writing.visit(same, Answer.NONE)
        doubtful = frozenset(missing.scene_ids) if missing else frozenset()
        if missing and not self._asked:
            self._asked = True
            self._reporter.log("warning", f"{missing.message}; {missing.remedy}. {HOW_TO_ANSWER}")
        self._scenes["left"] += len(changed) - len(same) + len(doubtful)
        return [scene for scene in same if scene.id not in doubtful]

    def _write(self, changed: Sequence[_Changed], scenes: Mapping[str, Scene]) -> None:
        now = self._as_said_now(changed, scenes.values())
        undone = self._store.undone(scenes)
        self._writing.apply(
            [
                Looked(
                    scenes[each.known.scene_id],
                    without(each.result, undone.get(each.known.scene_id, NOBODY)),
                    self._covered(each),
                    unmarked(undone.get(each.known.scene_id, NOBODY)),
                )
                for each in now
            ]
        )
        for each in now:
            reason = self._writing.held.get(each.known.scene_id)
            if reason is None:
                self._keep(each)
            else:
                self._scenes["left"] += 1
                self._writing.tell(f"Scene {each.known.scene_id} is left for later: {reason}")

    def _covered(self, each: _Changed) -> Covered:
        return self._looker.covering.covered(each.result, each.accepted, each.refused)

    def _as_said_now(self, changed: Sequence[_Changed], scenes: Iterable[Scene]) -> list[_Changed]:
        said = self._engine.verdicts.said_of_many(scenes)
        return [self._as_said(each, said.get(each.known.scene_id)) for each in changed]

    def _as_said(self, each: _Changed, said: tuple[Words, Words] | None) -> _Changed:
        """Decide by what the user said last: the visit may have noticed that a tag was taken."""
        accepted, refused = said or (NOBODY, NOBODY)
        if (accepted, refused) == (each.accepted, each.refused):
            return each
        bounds = self._looker.options(refused, accepted)
        result = replace(each.result, suggestions=restrain(each.result.suggestions, bounds))
        decided = decided_by(result, self._settings)
        return _Changed(each.known, result, decided, accepted, refused)

    def _keep(self, each: _Changed) -> None:
        if self._dry_run:
            return
        self._store.save_result(
            self._run_id,
            each.known.scene_id,
            each.known.fingerprint,
            each.result.as_json(),
            suggestions=each.result.suggestions,
            decided=each.decided,
            keep_undone=True,
        )

    # --- What is said of it

    def _changes(self) -> list[dict[str, object]]:
        """Return how often each thing is added and withdrawn, the most often changed first."""
        added, withdrawn = self.counts.added_of, self.counts.withdrawn_of
        things = sorted(
            {*added, *withdrawn}, key=lambda each: (-added[each] - withdrawn[each], each)
        )
        return [
            {
                "kind": kind[:-1],
                "name": name,
                "added": added[kind, name],
                "withdrawn": withdrawn[kind, name],
            }
            for kind, name in things
        ]

    def _closing(self) -> Iterator[str]:
        changes = self._changes()
        for each in changes[:LINES_SHOWN]:
            yield f"{_named(each)}: {each['added']} added, {each['withdrawn']} withdrawn"
        if (more := len(changes) - LINES_SHOWN) > 0:
            yield f"{counted(more, 'more name')} changed: the command `decide --dry-run` lists all"
        yield "; ".join(self._sums())

    def _sums(self) -> Iterator[str]:
        scenes = self._scenes
        yield f"{counted(scenes['met'], 'scene')} decided again, {scenes['changed']} changed"
        if self._settings.suggest_only:
            yield "nothing in Stash is changed, for Suggest only is on"
        else:
            would = "would be " if self._dry_run else ""
            yield f"{would}written: {listed(self.counts.written)}"
            yield f"{would}withdrawn: {listed(self.counts.withdrawn)}"
        if left := scenes["left"]:
            yield f"{counted(left, 'scene')} left as they were"


def _named(change: Mapping[str, object]) -> str:
    return str(
        change["name"] if change["kind"] == "tag" else f"{change['name']} ({change['kind']})"
    )
