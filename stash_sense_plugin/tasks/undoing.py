"""Undo: take back what the ledger says is ours and still there; list what can be undone."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from stash_sense_plugin.errors import Cancelled, SettingsError, StashError
from stash_sense_plugin.library.ledger import RunLeft, StoreLedger
from stash_sense_plugin.records import TAKING_BACK, Action, LedgerEntry, Reporter, folded
from stash_sense_plugin.stash import putting
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.judging import with_parents
from stash_sense_plugin.stash.operations import StashTag, find_tag
from stash_sense_plugin.stash.wishes import Ending, Written
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.api import RunRow, RunsTold
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
from stash_sense_plugin.tasks.kinds import tag_kinds
from stash_sense_plugin.tasks.merging import follow_all
from stash_sense_plugin.tasks.recognising import Recognition
from stash_sense_plugin.tasks.tally import counted

EVERYTHING: Final = "everything"
"""The word that a person types before all that was ever written is taken back."""
TOGETHER: Final = 100
"""Scenes that are undone in one go."""
NOT_LAST: Final = frozenset({"undo", "unsay", "set_up"})
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
    tag: StashTag | None = None
    """The tag that has the name, where one is undone that Stash still has."""
    goes_on: str | None = None
    """The undo that was cut short and is brought to its end."""

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
        target = _target(engine, client, wanted)
        if target is None:
            reporter.log("info", "Nothing to undo: nothing that Stash Sense wrote is left to undo")
            nothing = Undoing(engine, client, Target(wanted), "", reporter)
            return {"run_id": None, **nothing.report()}
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


def _target(engine: Engine, client: StashClient, wanted: Wanted) -> Target | None:
    """Find what is meant; None where nothing is left to undo. Raises SettingsError."""
    if wanted.what is What.LAST:
        return _last_run(engine, wanted)
    if wanted.what is What.TAG:
        return Target(wanted, tag=find_tag(client, wanted.which))
    if wanted.what is not What.RUN:
        return Target(wanted)
    if (run := engine.ledger.run_left(wanted.which)) is not None:
        return Target(wanted, run)
    if engine.store.run(wanted.which) is None and not engine.ledger.entries(wanted.which, limit=1):
        raise SettingsError(
            f"Stash Sense knows no run {wanted.which}", "`undo runs` lists those there are"
        )
    return None


def _last_run(engine: Engine, wanted: Wanted) -> Target | None:
    """The newest run that did something; before it, an undo of the last run that was cut short."""
    newest = _newest_run(engine)
    unfinished = engine.store.unfinished("undo")
    if unfinished is not None:
        undo_run, state = unfinished
        # Whatever was done after it is what a person means by now.
        if newest is None or newest.place < undo_run.row:
            run = _as_it_was(engine, state)
            return None if run is None else Target(wanted, run, goes_on=undo_run.id)
    return None if newest is None else Target(wanted, newest)


def _newest_run(engine: Engine) -> RunLeft | None:
    undone = engine.ledger.undone_runs()
    after = None
    while page := engine.ledger.runs_left(PAGE, after):
        for run in page:
            is_undone = run.newest_row <= undone.get(run.run_id, -1) and not run.verdicts
            if run.kind not in NOT_LAST and not is_undone:
                return run
        after = page[-1].place
    return None


def _as_it_was(engine: Engine, state: Mapping[str, Any]) -> RunLeft | None:
    """The run that an undo began to undo: nothing of it may be left but to say so."""
    run_id = str(state.get("undone_run"))
    if (left := engine.ledger.run_left(run_id)) is not None:
        return left
    run = engine.store.run(run_id)
    if run is None:
        return None
    up_to = int(state.get("undone_up_to", 0))
    return RunLeft(run.id, run.kind, run.status, run.begun_at_s, up_to, {}, place=run.row)


def _undo(
    engine: Engine, client: StashClient, target: Target, reporter: Reporter
) -> dict[str, object]:
    if target.wanted.dry_run:
        undoing = Undoing(engine, client, target, "dry run", reporter)
        undoing.run()
        return {"run_id": None, **undoing.report()}
    run_id = _begin(engine, target)
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
    if target.run is None and undoing.undone.is_nothing():
        engine.store.drop_run(run_id)
        return {"run_id": None, **undoing.report()}
    return {"run_id": run_id, **undoing.report()}


def _begin(engine: Engine, target: Target) -> str:
    """Open the run of an undo, or the one that was cut short, and return its id."""
    if target.goes_on is not None and engine.store.take_up(target.goes_on) is not None:
        return target.goes_on
    run_id = engine.store.begin_run("undo", asdict(engine.settings))
    run = target.run
    if run is not None and target.wanted.what is What.LAST:
        state = {"undone_run": run.run_id, "undone_up_to": run.newest_row}
        engine.store.keep_state(run_id, state)
    return run_id


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
        self.verdicts = 0
        """How much of what the user said is forgotten."""

    def is_nothing(self) -> bool:
        """Whether nothing was undone, and nothing tried."""
        done = (*self.taken.values(), *self.put.values(), self.moved, self.verdicts)
        return not any(done) and not self.failed

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

    def forgot(
        self,
        forgotten: Mapping[tuple[str, str, str], Collection[int]],
        written: Iterable[Written],
    ) -> None:
        """Count what was said of what was taken back."""
        taken = [each for each in written if each.ending is Ending.TAKEN_BACK]
        places = ((each.scene_id, _WORDS[each.action], each.target_id) for each in taken)
        self.verdicts += len({each for place in places for each in forgotten.get(place, ())})

    def report(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "scenes": self.scenes,
            "taken_back": {f"{word}s".replace(" ", "_"): n for word, n in self.taken.items()},
            "put_again": {f"{word}s": count for word, count in self.put.items()},
            "workflow_put_back": self.moved,
            "verdicts": self.verdicts,
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
        if self.verdicts:
            forget = "forget" if dry_run else "forgot"
            parts.append(f"{forget} what you said of {counted(self.verdicts, 'suggestion')}")
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
        self._run_id = run_id
        parent = engine.settings.parent_tag
        # A dry run takes what was said in the run for withdrawn, as it is where it is no dry one.
        ledger = StoreLedger(engine.store, target.run_id or "") if self._dry else engine.ledger
        kinds = tag_kinds(engine)
        self._writer = Writer(client, ledger, run_id, parent, kinds=kinds, dry_run=self._dry)
        self._rows = frozenset[int]()
        """Of the run that is undone, the rows that can be."""
        self._names = frozenset[str]()
        """Of the tag that is undone, the folded names that it has or was written under."""
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
        self._find_rows()
        scene_ids = self._scene_ids()
        taken = self._taken()
        self._unsay()
        try:
            self._all(scene_ids, taken)
        except Cancelled:
            for line in self.undone.closing(dry_run=self._dry):
                self._reporter.log("info", f"Stopped: {line}; undo again to go on")
            raise
        if not scene_ids and self.undone.is_nothing():
            left = f"Nothing to undo of {self._target.wanted}"
            if self._target.goes_on:
                left = f"All of the run {self._target.run_id} was undone already"
            self._reporter.log("info", left)
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

    def _find_rows(self) -> None:
        run_id, wanted = self._target.run_id, self._target.wanted
        if run_id is not None:
            self._rows = self._ledger.rows_of(run_id)
        elif wanted.what is What.TAG:
            names, tag = {folded(wanted.which)}, self._target.tag
            if tag is not None:
                names |= {folded(name) for name in (tag.name, *tag.aliases)}
                names |= self._ledger.names_of(tag.id)
            self._names = frozenset(names)

    def _unsay(self) -> None:
        """Withdraw what was said in a run that is undone: what it wrote goes with it."""
        run = self._target.run
        if run is None:
            return
        if self._dry:
            self.undone.verdicts = run.verdicts
        elif run.verdicts:
            with self._engine.writing:
                self.undone.verdicts = self._engine.verdicts.withdraw_run(run.run_id)

    def _some(self, scene_ids: Sequence[str], taken: Mapping[str, Sequence[LedgerEntry]]) -> None:
        ours, run_id = self._ours(scene_ids), self._target.run_id
        forgotten = self._ledger.forgotten(ours, run_id)
        written = self._writer.take_back(ours, undo=True, of_run=run_id is not None)
        self.undone.forgot(forgotten, written)
        again = [entry for scene_id in scene_ids for entry in taken.get(scene_id, ())]
        if again:
            written += putting.put_again(self._writer, again, self._ledger.destroyed())
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
        tag = self._target.tag
        return self._ledger.scenes_left(self._target.run_id, self._names, tag.id if tag else "")

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
            return entry.row in self._rows
        if wanted.what is What.TAG:
            is_of_tag = entry.action in (Action.ADD_TAG, Action.CREATE_MARKER)
            return is_of_tag and self._is_called(entry)
        return True

    def _is_called(self, entry: LedgerEntry) -> bool:
        """Whether a row is of the tag that is undone: by its names, or its number."""
        tag = self._target.tag
        is_it = tag is not None and entry.target_id == tag.id
        return folded(entry.target_name) in self._names or (
            is_it and entry.action in (Action.ADD_TAG, Action.CREATE_TAG)
        )

    def _moves(self, scene_ids: Sequence[str]) -> list[LedgerEntry]:
        moves = self._ledger.moves(scene_ids)
        if self._target.run_id is not None:
            return [move for move in moves if move.row in self._rows]
        # A move that puts workflow tags back is an undo already, unless it does one again.
        return [move for move in moves if move.takes_back is None or move.of_run]

    def _made(self) -> list[LedgerEntry]:
        """The tags that we created and that go too where nothing has them."""
        made = [each for each in self._ledger.ours([""]) if each.action is Action.CREATE_TAG]
        wanted, run_id = self._target.wanted, self._target.run_id
        if wanted.what is What.EVERYTHING:
            return made
        if run_id is not None:
            # Those of runs that are undone already stayed because this one used them; those that
            # an undo made were for what it did again.
            undos = self._engine.store.runs_of("undo") - {self._run_id}
            over = {*self._ledger.undone_runs(), *undos, run_id}
            return [each for each in made if each.run_id in over]
        named = {each.target_id for each in made if self._is_called(each)}
        return with_parents(made, named | self._touched)


# --- The list -----------------------------------------------------------------------------------


def list_runs(engine: Engine, call: Call, reporter: Reporter) -> RunsTold:
    """Return runs with what of each is still ours, the newest first, a page at a time."""
    args = call.args
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    least = -(2**62)
    after = row_after(args, least)
    found = engine.ledger.runs_left(limit + 1, after)
    undone = engine.ledger.undone_runs()
    page = found[:limit]
    return {
        "runs": [_run_json(run, undone.get(run.run_id, -1)) for run in page],
        "next": str(page[-1].place) if len(found) > limit else None,
    }


def _run_json(run: RunLeft, undone_up_to: int) -> RunRow:
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
        "verdicts": run.verdicts,
        "undone": run.newest_row <= undone_up_to and not run.verdicts,
    }
