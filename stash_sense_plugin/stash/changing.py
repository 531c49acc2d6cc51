"""Tags of many scenes at once: before-rows, bulk ADD or REMOVE in hundreds, after-rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from stash_sense_plugin.errors import StashRefused
from stash_sense_plugin.records import TAKING_BACK, Ledger, LedgerEntry, Outcome
from stash_sense_plugin.stash import judging, operations
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import Changed, Mode
from stash_sense_plugin.stash.wishes import Ending, Written


class TagChanges:
    """Adds tags to scenes and takes them away, by the ledger."""

    def __init__(
        self,
        client: StashClient,
        ledger: Ledger,
        forget: Callable[[str], None],
        *,
        dry_run: bool = False,
    ) -> None:
        """`forget` is told the id of a tag that Stash turns out not to have."""
        self._client = client
        self._ledger = ledger
        self._forget = forget
        self._dry_run = dry_run
        self.fewer: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By tag, how much of its use a dry run would have taken away: of scenes, of markers."""

    def change(self, entries: Sequence[LedgerEntry], mode: Mode) -> list[Written]:
        """Write before-rows, change the tags one after another in hundreds, write after-rows.

        When Stash fails on the way, what is not known keeps its before-row alone.
        """
        if self._dry_run:
            for entry in entries:
                self.fewer[entry.target_id]["scenes"] += 1 if mode == "REMOVE" else -1
            return [judging.would_be(entry) for entry in entries]
        rows = self._ledger.intend(entries) if entries else []
        by_tag: dict[str, list[tuple[int, LedgerEntry]]] = defaultdict(list)
        for row, entry in zip(rows, entries, strict=True):
            by_tag[entry.target_id].append((row, entry))
        written: list[Written] = []
        outcomes: dict[int, tuple[Outcome, str]] = {}
        learnt: dict[int, Mapping[str, object]] = {}
        try:
            for tag_id, pairs in by_tag.items():
                came = self._bulk(tag_id, mode, [entry.scene_id for _, entry in pairs])
                for row, entry in pairs:
                    answer = came.get(entry.scene_id)
                    done = judging.judged(entry, mode, answer)
                    learnt[row] = judging.left(answer)
                    outcomes[row] = (_outcome(entry, done), tag_id)
                    written.append(done)
        finally:
            if outcomes:
                self._ledger.settle(outcomes, learnt)
        return written

    def _bulk(
        self, tag_id: str, mode: Mode, scene_ids: Sequence[str]
    ) -> dict[str, Changed | StashRefused]:
        """Each scene afterwards, or why that scene could not be changed."""
        came: dict[str, Changed | StashRefused] = {}
        for group in operations.in_groups(scene_ids):
            changed = self._bisected(tag_id, mode, group)
            refused = [each for each in changed.values() if judging.is_for_now(each)]
            if len(refused) == len(group) > 1:
                # Not a matter of one scene or the other.
                raise refused[0]
            came.update(changed)
        return came

    def _bisected(
        self, tag_id: str, mode: Mode, scene_ids: Sequence[str], tag_known: bool = False
    ) -> Mapping[str, Changed | StashRefused]:
        """Change them at once; where one fails all, in halves, so that it fails alone."""
        try:
            return operations.change_tags(self._client, scene_ids, tag_id, mode)
        except StashRefused as error:
            if judging.is_locked(error):
                # The client has waited long enough, and it is the same for each scene.
                raise
            unknown = judging.about_a_missing_id(error)
            lost = unknown and not (tag_known or self._has_tag(tag_id))
            if len(scene_ids) == 1 or lost:
                return dict.fromkeys(scene_ids, error)
        half = len(scene_ids) // 2
        known = tag_known or unknown
        first = self._bisected(tag_id, mode, scene_ids[:half], tag_known=known)
        return {**first, **self._bisected(tag_id, mode, scene_ids[half:], tag_known=known)}

    def _has_tag(self, tag_id: str) -> bool:
        if operations.tag_by_id(self._client, tag_id) is not None:
            return True
        self._forget(tag_id)
        return False


def _outcome(entry: LedgerEntry, done: Written) -> Outcome:
    if done.ending is Ending.FAILED:
        return Outcome.FAILED
    return Outcome.DONE if entry.action in TAKING_BACK else Outcome.OURS
