"""Take back what the user said last: Stash follows first, then the verdict is forgotten.

So what is killed in between is still said, and can be taken back once more.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.verdicts import LastSaid, Unsaid
from stash_sense_plugin.records import Action, LedgerEntry, Reporter, Said, Scene, folded
from stash_sense_plugin.stash import judging
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.judging import with_parents
from stash_sense_plugin.stash.named import Named
from stash_sense_plugin.stash.operations import scenes_by_ids
from stash_sense_plugin.stash.putting import put_again
from stash_sense_plugin.stash.wishes import Ending, Written
from stash_sense_plugin.stash.writer import Writer
from stash_sense_plugin.tasks.asked import within
from stash_sense_plugin.tasks.carrying import (
    FAILED_SHOWN,
    MARKER,
    NAMED_BYTES,
    Carrying,
    Item,
    is_about,
    is_marker,
    kind_of,
    why_it_stays,
)
from stash_sense_plugin.tasks.engine import Engine


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said last of an item."""

    item: Item
    scene: Scene
    ids: frozenset[str]
    """Stash's ids of the tag or studio."""
    last: LastSaid


class Unsaying(Carrying):
    """Takes back what acceptances wrote, and writes again what refusals took back."""

    kind = "unsay"

    def __init__(
        self,
        engine: Engine,
        client: StashClient,
        reporter: Reporter,
        *,
        dry_run: bool,
        meant: Mapping[Item, Said],
    ) -> None:
        """`meant` names what alone is to be taken back of some items."""
        # What is being taken back must keep nothing from being written again.
        self._ledger = StoreLedger(engine.store)
        beside = engine.aside()
        beside.ledger = self._ledger
        super().__init__(beside, client, reporter, dry_run=dry_run)
        self._meant = meant
        self._left: list[dict[str, str]] = []

    def _report(self) -> dict[str, object]:
        return {**super()._report(), "left": within(self._left, NAMED_BYTES)}

    def _names(self) -> Sequence[str]:
        return ("unsaid", "taken_back", "written", "markers")

    def _say(self, items: Sequence[tuple[Item, Scene]]) -> None:
        said = list(self._said(items))
        doing = _Doing()
        self._put([each for each in said if each.last.said is Said.REFUSED], doing)
        self._take([each for each in said if each.last.said is Said.ACCEPTED], doing)
        done = [each for each in said if each.item not in doing.failed]
        self._counts["unsaid"] += len(done)
        if done and not self._dry_run:
            self._engine.verdicts.unsay(
                [
                    Unsaid(
                        each.scene.id, each.last, doing.is_asked(each), doing.heirs.get(each, "")
                    )
                    for each in done
                ]
            )

    def _said(self, items: Iterable[tuple[Item, Scene]]) -> Iterator[_Said]:
        met: set[frozenset[int]] = set()
        for item, scene in items:
            known = {item.target_id, self._known_tag(item.name) if item.is_of_tag else ""}
            last = self._engine.verdicts.last_said(scene, item.kind, item.name, known)
            if last is None or self._meant.get(item, last.said) is not last.said:
                said = f"see what you said: suggestions verdicts --scene {scene.id}"
                self._fail(item, _not_said(self._meant.get(item)), said)
            elif last.scene_id not in ("", scene.id):
                remedy = f"take it back of scene {last.scene_id}"
                self._fail(item, "you said it of another scene with the same file", remedy)
            elif last.ids not in met:
                met.add(last.ids)
                yield _Said(item, scene, frozenset(known | last.target_ids) - {""}, last)

    # --- What refusals took back

    def _put(self, said: Sequence[_Said], doing: "_Doing") -> None:
        self._ledger.unsaid = frozenset(number for each in said for number in each.last.ids)
        taken = _by_scene(self._ledger.taken(each.scene.id for each in said))
        entries: dict[int | None, LedgerEntry] = {}
        for each in said:
            # What was refused in another library was taken from scenes of its own.
            own = taken[each.scene.id] if each.last.scene_id else []
            about = [entry for entry in own if self._is_of(entry, each)]
            for entry in self._still_said(each, about):
                if entry.fingerprint == each.scene.fingerprint:
                    doing.mean(entry, each)
                    entries[entry.row] = entry
                else:
                    self._leave(each.item, "it is not written again: the scene has another file")
            if not about:
                self._tell_moved(each)
        put = list(self._with_tags(entries.values(), doing))
        if put:
            written = put_again(self._hand, put, self._ledger.destroyed())
            self._note(written, doing, _why_not_again)

    def _still_said(self, said: _Said, about: Sequence[LedgerEntry]) -> Iterator[LedgerEntry]:
        """Yield all but markers that an acceptance had written which is taken back by now."""
        runs = self._ledger.accepted_in(filter(is_marker, about))
        spoken = frozenset[str]()
        if runs:
            spoken = self._engine.verdicts.runs_of(said.scene, said.item.name, said.ids)
        for entry in about:
            if runs.get(entry.row, "") in {"", *spoken}:
                yield entry
            else:
                self._leave(said.item, "it is not written again: you took back what had set it")

    def _with_tags(
        self, entries: Collection[LedgerEntry], doing: "_Doing"
    ) -> Iterator[LedgerEntry]:
        """Yield all but markers of tags that their scenes have not, and get not again either."""
        put = {
            (entry.scene_id, entry.target_id)
            for entry in entries
            if entry.action is Action.REMOVE_TAG
        }
        for entry in entries:
            meant = doing.meant[_word(entry)]
            place = (entry.scene_id, entry.about_id)
            [one, *_] = meant
            has_tag = one.scene.tag_ids & {place[1], *one.ids}
            if not is_marker(entry) or has_tag or place in put:
                yield entry
                continue
            for each in meant:
                refused = self._ledger.refused(each.scene)
                if refused & {("tag", place[1]), ("tag", folded(entry.target_name))}:
                    doing.heirs[each] = "tag"
                self._leave(each.item, "it is not written again: its tag is not on the scene")

    def _tell_moved(self, said: _Said) -> None:
        """Say where things were taken from a scene whose file is this one's now."""
        if not (said.last.scene_id and said.last.run_ids):
            return
        found = self._ledger.taken_elsewhere(said.scene, said.last.run_ids)
        homes = list(dict.fromkeys(e.scene_id for e in found if self._is_of(e, said)))
        there = {scene.id for scene in scenes_by_ids(self._client, homes)} if homes else set()
        if gone := [scene_id for scene_id in homes if scene_id not in there]:
            where = f"scene {gone[-1]}, which is no longer in Stash"
            self._leave(said.item, f"it is not written again: it was taken from {where}")

    def _is_of(self, entry: LedgerEntry, said: _Said) -> bool:
        return is_about(entry, said.item, {*said.ids}) and self._followed(entry, said)

    # --- What acceptances wrote

    def _take(self, said: Sequence[_Said], doing: "_Doing") -> None:
        ours = _by_scene(self._ledger.ours(dict.fromkeys(each.scene.id for each in said)))
        entries: dict[int | None, LedgerEntry] = {}
        for each in said:
            about = [entry for entry in ours[each.scene.id] if self._is_of(entry, each)]
            if not self._goes_with_it(each, about):
                # They go with what was accepted of them, by whichever word they came.
                about = [*filter(_is_no_marker, about)]
                doing.heirs[each] = MARKER
            for entry in about:
                doing.mean(entry, each)
                entries[entry.row] = entry
        if entries:
            taken = self._hand.take_back(list(entries.values()))
            known = Named(self._client)
            self._note(taken, doing, lambda each: _why_it_stays(each, known))
        self._take_made([each for each in said if each.item.kind == "tag"])

    def _goes_with_it(self, said: _Said, about: Iterable[LedgerEntry]) -> bool:
        """Whether markers go with their tag's acceptance: they stay where they have their own."""
        if said.item.kind != "tag" or any(map(_is_no_marker, about)):
            return True
        if not said.ids & said.scene.tag_ids:
            return True
        own = self._engine.verdicts.last_said(said.scene, MARKER, said.item.name, said.ids)
        return own is None or own.said is not Said.ACCEPTED

    def _take_made(self, said: Sequence[_Said]) -> None:
        """Destroy the tags that were made for what is said no longer, where nothing has them."""
        runs = {run_id for each in said for run_id in each.last.run_ids}
        made = [
            entry
            for entry in self._ledger.ours([""] if runs else [])
            if entry.action is Action.CREATE_TAG and entry.run_id in runs
        ]
        ids = {tag_id for each in said for tag_id in each.ids}
        if gone := with_parents(made, ids):
            self._hand.take_back(gone)

    def _followed(self, entry: LedgerEntry, said: _Said) -> bool:
        """Whether a row was written because of what was said: in its run, or written later."""
        run_id, last = entry.of_run or entry.run_id, said.last
        if run_id in last.run_ids:
            return True
        if entry.detail.get("undo") or (last.said is Said.ACCEPTED and last.was_apply):
            return False
        # What an undo or this did again for another run is as old as that.
        is_later = entry.row is not None and entry.row > last.after_row and not entry.of_run
        return bool(last.run_ids) and is_later

    # --- What came of it

    @property
    def _hand(self) -> Writer:
        if self._dry_run:
            return Writer(self._client, self._ledger, "", kinds=self._kinds, dry_run=True)
        return self._writer

    def _note(
        self, written: Iterable[Written], doing: "_Doing", why_not: Callable[[Written], str]
    ) -> None:
        for each in sorted(written, key=is_marker):
            meant = doing.meant[_word(each)]
            item = next(iter(meant)).item
            if each.ending is Ending.TAKEN_BACK:
                self._counts["markers" if is_marker(each) else "taken_back"] += 1
                doing.gone |= set() if is_marker(each) else {(each.scene_id, each.target_id)}
            elif each.ending is Ending.WRITTEN:
                self._counts["markers" if is_marker(each) else "written"] += 1
            elif each.ending is Ending.FAILED:
                for one in meant:
                    doing.failed.add(one.item)
                    self._fail(one.item, each.reason, "take back once more what you said")
            elif why := why_not(each):
                self._leave(item, why)
            if each.ending is Ending.REFUSED and is_marker(each):
                doing.heirs |= {one: MARKER if one.item.kind == "tag" else "tag" for one in meant}

    def _leave(self, item: Item, message: str) -> None:
        """Name once what is not as it was before something was said of it."""
        told = asdict(item)
        if len(self._left) < FAILED_SHOWN and not any(
            told.items() <= e.items() for e in self._left
        ):
            remedy = "change it in Stash, where you want it otherwise"
            self._left.append({**told, "message": message, "remedy": remedy})


class _Doing:
    """What is under way for some scenes."""

    def __init__(self) -> None:
        self.meant: dict[tuple[str, str, str], dict[_Said, None]] = {}
        """By scene, kind and folded name what the user speaks of: a tag, its markers, or both."""
        self.heirs: dict[_Said, str] = {}
        """Of what is not written again, or not taken back, the kind of what is said still."""
        self.failed: set[Item] = set()
        self.gone: set[tuple[str, str]] = set()
        """Scenes with the tags and studios that were taken from them."""

    def mean(self, entry: LedgerEntry, said: _Said) -> None:
        """Remember of what the user speaks where a row is done again or taken back."""
        self.meant.setdefault(_word(entry), {})[said] = None

    def is_asked(self, said: _Said) -> bool:
        """Whether a suggestion waits for a word: it is not in Stash, by our hand or the user's."""
        if said.item.kind == MARKER:
            return False
        if said.last.said is Said.REFUSED and said.last.source == "asked":
            return False
        scene = said.scene
        there = scene.tag_ids if said.item.kind == "tag" else {scene.studio_id}
        return not any((scene.id, each) not in self.gone for each in said.ids & there)


def _not_said(meant: Said | None) -> str:
    return f"it is not {meant.value}" if meant else "you said nothing of it"


def _by_scene(entries: Iterable[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    found: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        found[entry.scene_id].append(entry)
    return found


def _word(one: LedgerEntry | Written) -> tuple[str, str, str]:
    """By what a row and what came of it are known: a marker made again has another number."""
    name = one.name if isinstance(one, Written) else one.target_name
    return one.scene_id, kind_of(one.action), folded(name)


def _is_no_marker(entry: LedgerEntry) -> bool:
    return not is_marker(entry)


def _why_not_again(one: Written) -> str:
    """Say why what was taken back is not written again; empty where it is there already."""
    if one.ending is Ending.REFUSED and is_marker(one):
        return "its markers are not written again: they are refused, or their tag is"
    if one.ending is Ending.REFUSED:
        return "it is not written again: it is refused by another word too"
    return f"it is not written again: {one.reason}" if one.reason else ""


def _why_it_stays(one: Written, known: Named) -> str:
    """Say why what was written is not taken back; empty where the user did that himself."""
    return "" if one.reason == judging.ABSENT else why_it_stays(one, known)
