"""Undo: take back what the ledger says is ours and still there; list what can be undone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from stash_sense_plugin.errors import Cancelled, SettingsError, StashError
from stash_sense_plugin.library.ledger import RunLeft
from stash_sense_plugin.library.verdicts import Verdicts
from stash_sense_plugin.records import TAKING_BACK, Action, LedgerEntry, Reporter
from stash_sense_plugin.stash import putting
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.judging import with_parents
from stash_sense_plugin.stash.wishes import Ending, Written
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.asked import (
    MOST_IN_A_PAGE,
    PAGE,
    row_after,
    scene_id,
    switched_on,
    text,
    whole_number,
    word,
)
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.merging import follow_all
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.tally import counted

EVERYTHING: Final = "everything"
"""The word that a person types before all that was ever written is taken back."""
TOGETHER: Final = 100
"""Scenes that are undone in one go."""
NOT_LAST: Final = frozenset({"undo", "set_up"})
"""Kinds of runs that are not what a person means by the last run."""
REASONS_SHOWN: Final = 5

Ended = Literal["done", "failed", "cancelled"]


class What(StrEnum):
    """What is to be undone."""

    LAST = "last"
    RUN = "run"
    TAG = "tag"
    SCENE = "scene"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked to be undone."""

    what: What
    which: str = ""
    """The run's id, the tag's name or the scene's number."""
    dry_run: bool = False

    @classmethod
    def asked(cls, args: Mapping[str, object]) -> "Wanted":
        """Read the arguments. Raises SettingsError where they name nothing to undo."""
        what = What(word(args, "what", What, What.LAST))
        dry_run = switched_on(args, "dry_run")
        if what is What.EVERYTHING and not dry_run and args.get("confirm") != EVERYTHING:
            raise SettingsError(
                "Everything that Stash Sense ever wrote would be taken back",
                f"say so with args.confirm = {EVERYTHING!r}",
            )
        if what is What.SCENE:
            return cls(what, scene_id(args, "scene"), dry_run)
        which = text(args, what.value) if what in (What.RUN, What.TAG) else ""
        if what in (What.RUN, What.TAG) and not which:
            raise SettingsError(f"No {what} is named", f"give args.{what}")
        return cls(what, which, dry_run)

    def __str__(self) -> str:
        """Return it in words that follow "of"."""
        return f"{self.what} {self.which}" if self.which else self.what.value


@dataclass(frozen=True, slots=True)
class Target:
    """What is undone, once it is known which run is meant."""

    wanted: Wanted
    run: RunLeft | None = None

    @property
    def run_id(self) -> str | None:
        """The run that is undone, where it is one."""
        return None if self.run is None else self.run.run_id


def undo(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Take back what `what` names: `last`, `run`, `tag`, `scene` or `everything`.

    The last needs `confirm`, the word "everything". With `dry_run` it says what would be. Stopped,
    and asked for again, it goes on.
    """
    wanted = Wanted.asked(call.args)
    with engine.stash(call, reporter) as client:
        recognition = Recognition(engine, client)
        _check_library(recognition)
        with engine.writing:
            recovered = 0 if wanted.dry_run else Writer(client, engine.ledger, "").recover()
        if recovered:
            reporter.log("info", f"Settled {recovered} writes that were cut short before")
        if not wanted.dry_run:
            follow_all(engine, client, reporter)
        target = _target(engine, wanted)
        if target is None:
            reporter.log("info", "Nothing to undo: nothing that Stash Sense wrote is left to undo")
            return {"run_id": None, "undone_run": None, **Undone().report()}
        return _undo(engine, client, target, reporter)


def _check_library(recognition: Recognition) -> None:
    """Raise StashError where Stash holds another library than the one that was written to."""
    if recognition.is_this_library():
        return
    raise StashError(
        "Stash holds another library than the one that Stash Sense wrote to (or much of it differs"
        " from what was tagged), so nothing is taken back",
        "start Stash with the database that was tagged and undo there, or run Tag scenes first"
        " where this is that library with other files",
    )


def _target(engine: Engine, wanted: Wanted) -> Target | None:
    """Find what is meant; None where nothing is left to undo. Raises SettingsError."""
    if wanted.what is What.LAST:
        run = _last_run(engine)
        return None if run is None else Target(wanted, run)
    if wanted.what is not What.RUN:
        return Target(wanted)
    for run in engine.ledger.runs_left(1, run_id=wanted.which):
        return Target(wanted, run)
    if engine.store.run(wanted.which) is None and not engine.ledger.entries(wanted.which, limit=1):
        raise SettingsError(
            f"Stash Sense knows no run {wanted.which}", "`undo runs` lists those there are"
        )
    return None


def _last_run(engine: Engine) -> RunLeft | None:
    undone = engine.ledger.undone_runs()
    after = None
    while page := engine.ledger.runs_left(PAGE, after):
        for run in page:
            if run.kind not in NOT_LAST and run.newest_row > undone.get(run.run_id, 0):
                return run
        after = page[-1].newest_row
    return None


def _undo(
    engine: Engine, client: StashClient, target: Target, reporter: Reporter
) -> dict[str, object]:
    if target.wanted.dry_run:
        undoing = Undoing(engine, client, target, "dry run", reporter)
        undoing.run()
        return {"run_id": None, **undoing.report()}
    run_id = engine.store.begin_run("undo", asdict(engine.settings))
    undoing = Undoing(engine, client, target, run_id, reporter)
    ended: Ended = "failed"
    try:
        undoing.run()
        ended = "done"
    except Cancelled:
        ended = "cancelled"
        raise
    finally:
        engine.store.end_run(run_id, ended, undoing.report())
    return {"run_id": run_id, **undoing.report()}


# --- Counting -----------------------------------------------------------------------------------

_WORDS: Final = {
    Action.REMOVE_TAG: "tag",
    Action.DESTROY_MARKER: "marker",
    Action.CLEAR_STUDIO: "studio",
    Action.DESTROY_TAG: "created tag",
}
_PUT: Final = {
    Action.ADD_TAG: "tag",
    Action.CREATE_MARKER: "marker",
    Action.SET_STUDIO: "studio",
}


class Undone:
    """What came of an undo."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter(dict.fromkeys(_WORDS.values(), 0))
        self.put: Counter[str] = Counter(dict.fromkeys(_PUT.values(), 0))
        self.moved = 0
        """Scenes whose workflow tags were put back."""
        self.tags: Counter[str] = Counter()
        """How often each tag was taken back, by name."""
        self.stays: Counter[str] = Counter()
        """What was left as it is, by why."""
        self.failed: Counter[str] = Counter()
        self.scenes = 0

    def note(self, written: Iterable[Written]) -> None:
        """Count how some of it ended."""
        for each in written:
            if each.ending is Ending.TAKEN_BACK and each.action is Action.MOVE_WORKFLOW:
                self.moved += 1
            elif each.ending is Ending.TAKEN_BACK:
                self.taken[_WORDS[each.action]] += 1
                self.tags.update([each.name] if each.action is Action.REMOVE_TAG else [])
            elif each.ending is Ending.WRITTEN:
                self.put[_PUT[each.action]] += 1
            elif each.ending is Ending.FAILED:
                self.failed[f"{each.name} at scene {each.scene_id}: {each.reason}"] += 1
            else:
                self.stays[each.reason or "it is refused, or there already"] += 1

    def report(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "scenes": self.scenes,
            "taken_back": {f"{word}s".replace(" ", "_"): n for word, n in self.taken.items()},
            "put_again": {f"{word}s": count for word, count in self.put.items()},
            "workflow_put_back": self.moved,
            "tags": dict(self.tags.most_common()),
            "left": dict(self.stays.most_common()),
            "failed": sum(self.failed.values()),
        }

    def closing(self, *, dry_run: bool) -> list[str]:
        """Return the lines that are shown last."""
        take, write = ("Would take", "write") if dry_run else ("Took", "wrote")
        parts = [f"{take} back {_listed(self.taken)}"]
        if any(self.put.values()):
            parts.append(f"{write} again {_listed(self.put)}")
        if self.moved:
            parts.append(f"put back the workflow tags of {counted(self.moved, 'scene')}")
        failed = [f"Not undone: {line}" for line in list(self.failed)[:REASONS_SHOWN]]
        return [*failed, f"{', '.join(parts)}; {self._left()}"]

    def _left(self) -> str:
        count = sum(self.stays.values())
        if not count:
            return "nothing was left because you changed it"
        most = self.stays.most_common(REASONS_SHOWN)
        reasons = "; ".join(f"{number} because {why}" for why, number in most)
        return f"left {count} as they are: {reasons}"


def _listed(counts: Mapping[str, int]) -> str:
    parts = [counted(count, word) for word, count in counts.items() if count]
    return ", ".join(parts) or "nothing"


# --- Undoing ------------------------------------------------------------------------------------


class Undoing:
    """One undo, some scenes at a time."""

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        target: Target,
        run_id: str,
        reporter: Reporter,
    ) -> None:
        self._engine, self._ledger, self._reporter = engine, engine.ledger, reporter
        self._target = target
        self._dry = target.wanted.dry_run
        parent = engine.settings.parent_tag
        self._writer = Writer(client, engine.ledger, run_id, parent, dry_run=self._dry)
        self.undone = Undone()
        self._touched: set[str] = set()
        """Ids of tags that were taken from scenes."""

    def run(self) -> None:
        """Undo it all. Raises StashSenseError where it cannot go on; it goes on when run again."""
        if self._target.run is not None and self._target.run.status == "waiting":
            self._reporter.log(
                "warning",
                f"The run {self._target.run_id} is not at its end: what it writes when it goes on"
                " is not undone. Stop its task in Stash's queue to end it",
            )
        scene_ids = self._scene_ids()
        taken = self._taken()
        try:
            self._all(scene_ids, taken)
        except Cancelled:
            for line in self.undone.closing(dry_run=self._dry):
                self._reporter.log("info", f"Stopped: {line}; undo again to go on")
            raise
        if not scene_ids and not sum(self.undone.taken.values()):
            self._reporter.log("info", f"Nothing to undo of {self._target.wanted}")
            return
        for line in self.undone.closing(dry_run=self._dry):
            self._reporter.log("info", line)

    def report(self) -> dict[str, object]:
        """Return what was undone, and up to where."""
        run = self._target.run
        # Where something failed, the run is still the last one: undone once more, it goes on.
        whole = not self.undone.failed
        return {
            "what": self._target.wanted.what.value,
            "undone_run": None if run is None else run.run_id,
            "undone_up_to": run.newest_row if run is not None and whole else 0,
            "dry_run": self._dry,
            **self.undone.report(),
        }

    def _all(self, scene_ids: Sequence[str], taken: Mapping[str, Sequence[LedgerEntry]]) -> None:
        for start in range(0, len(scene_ids), TOGETHER):
            self._reporter.progress(start / len(scene_ids))
            self._reporter.check()
            with self._engine.writing:
                self._some(scene_ids[start : start + TOGETHER], taken)
        self._reporter.check()
        with self._engine.writing:
            self.undone.note(self._writer.take_back(self._made()))
        self._reporter.progress(1.0)

    def _some(self, scene_ids: Sequence[str], taken: Mapping[str, Sequence[LedgerEntry]]) -> None:
        run_id = self._target.run_id
        if run_id is not None and not self._dry:
            # What was said in a run that is undone holds no longer; what it wrote goes with it.
            Verdicts(self._engine.store).withdraw_run(run_id, scene_ids)
        written = self._writer.take_back(self._ours(scene_ids), undo=True)
        again = [entry for scene_id in scene_ids for entry in taken.get(scene_id, ())]
        written += putting.put_again(self._writer, again)
        if self._target.wanted.what is not What.TAG:
            written += putting.move_back(self._writer, self._moves(scene_ids))
        self._touched |= {each.target_id for each in written if each.action is Action.REMOVE_TAG}
        self.undone.scenes += len(scene_ids)
        self.undone.note(written)

    # --- Which rows

    def _scene_ids(self) -> list[str]:
        wanted = self._target.wanted
        if wanted.what is What.SCENE:
            return [str(int(wanted.which))]
        name = wanted.which if wanted.what is What.TAG else None
        return self._ledger.scenes_left(self._target.run_id, name)

    def _taken(self) -> dict[str, list[LedgerEntry]]:
        """What the run took away that others had written, by scene."""
        found: dict[str, list[LedgerEntry]] = {}
        if self._target.run_id is not None:
            for entry in self._ledger.taken_by(self._target.run_id):
                found.setdefault(entry.scene_id, []).append(entry)
        return found

    def _ours(self, scene_ids: Sequence[str]) -> list[LedgerEntry]:
        """The rows of these scenes that are to be taken back.

        Where a later run wrote a thing anew, it is that run's and no longer this one's.
        """
        found = self._ledger.ours(scene_ids)
        newest = {(each.scene_id, each.action, each.target_id): each for each in found}
        return [entry for entry in newest.values() if self._is_meant(entry)]

    def _is_meant(self, entry: LedgerEntry) -> bool:
        wanted = self._target.wanted
        if self._target.run_id is not None:
            return entry.run_id == self._target.run_id
        if wanted.what is What.TAG:
            is_of_tag = entry.action in (Action.ADD_TAG, Action.CREATE_MARKER)
            return is_of_tag and entry.target_name.casefold() == wanted.which.casefold()
        return True

    def _moves(self, scene_ids: Sequence[str]) -> list[LedgerEntry]:
        moves = self._ledger.moves(scene_ids)
        run_id = self._target.run_id
        if run_id is not None:
            return [move for move in moves if move.run_id == run_id]
        return [move for move in moves if move.takes_back is None]

    def _made(self) -> list[LedgerEntry]:
        """The tags that we created and that go too where nothing has them."""
        made = [each for each in self._ledger.ours([""]) if each.action is Action.CREATE_TAG]
        wanted, run_id = self._target.wanted, self._target.run_id
        if wanted.what is What.EVERYTHING:
            return made
        if run_id is not None:
            # Those of runs that are undone already stayed because this one used them.
            over = {*self._ledger.undone_runs(), run_id}
            return [each for each in made if each.run_id in over]
        named = {each.target_id for each in made if self._is_called(each)}
        return with_parents(made, named | self._touched)

    def _is_called(self, entry: LedgerEntry) -> bool:
        wanted = self._target.wanted
        return wanted.what is What.TAG and entry.target_name.casefold() == wanted.which.casefold()


# --- The list -----------------------------------------------------------------------------------


def list_runs(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return runs with what of each is still ours, the newest first, a page at a time."""
    args = call.args
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    after = row_after(args)
    found = engine.ledger.runs_left(limit + 1, after)
    undone = engine.ledger.undone_runs()
    page = found[:limit]
    return {
        "runs": [_run_json(run, undone.get(run.run_id, 0)) for run in page],
        "next": page[-1].newest_row if len(found) > limit else None,
    }


def _run_json(run: RunLeft, undone_up_to: int) -> dict[str, Any]:
    counts = run.counts
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "status": run.status,
        "begun_at_s": run.begun_at_s,
        "tags": counts.get(Action.ADD_TAG, 0),
        "markers": counts.get(Action.CREATE_MARKER, 0),
        "studios": counts.get(Action.SET_STUDIO, 0),
        "created_tags": counts.get(Action.CREATE_TAG, 0),
        "workflow_moves": counts.get(Action.MOVE_WORKFLOW, 0),
        "taken_back": sum(counts.get(action, 0) for action in TAKING_BACK),
        "undone": run.newest_row <= undone_up_to,
    }
