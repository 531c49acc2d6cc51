"""A ledger for a run that writes nothing: it reads the real one and remembers only here."""

from collections.abc import Iterable, Mapping, Sequence

from stash_sense_plugin.records import Action, Ledger, LedgerEntry, Outcome, Scene, folded

_KINDS = {
    Action.ADD_TAG: "tag",
    Action.CREATE_MARKER: "marker",
    Action.SET_STUDIO: "studio",
}


class RehearsedLedger:
    """What the ledger would say if the run were real; nothing of it is kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._gone: set[int] = set()
        """Rows that would be ours no longer."""
        self._refused: dict[str, set[tuple[str, str]]] = {}
        """By scene id."""

    def intend(self, entries: Sequence[LedgerEntry]) -> list[int]:
        """Write nothing; the numbers mean nothing."""
        return [-1 - index for index in range(len(entries))]

    def settle(
        self,
        outcomes: Mapping[int, tuple[Outcome, str]],
        learnt: Mapping[int, Mapping[str, object]] | None = None,
    ) -> None:
        """Write nothing."""

    def unsettled(self) -> list[LedgerEntry]:
        """Return what a kill left open: it stays so."""
        return self._ledger.unsettled()

    def ours(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Return what would still be ours of these scenes."""
        return [each for each in self._ledger.ours(scene_ids) if each.row not in self._gone]

    def moves(self, scene_ids: Iterable[str]) -> list[LedgerEntry]:
        """Return our moves of these scenes' workflow tags."""
        return self._ledger.moves(scene_ids)

    def refuse(self, entries: Sequence[LedgerEntry]) -> None:
        """Remember for this run alone that these would be taken for refused."""
        for entry in entries:
            self.withdraw([entry.row] if entry.row is not None else [])
            if kind := _KINDS.get(entry.action):
                names = map(folded, (entry.target_name, *entry.asked_as))
                words = {(kind, word) for word in (entry.about_id, *names)}
                self._refused.setdefault(entry.scene_id, set()).update(words)

    def refused(self, scene: Scene) -> frozenset[tuple[str, str]]:
        """Return what is refused for the scene, and what would be."""
        return self._ledger.refused(scene) | self._refused.get(scene.id, set())

    def withdraw(self, rows: Iterable[int]) -> None:
        """Remember for this run alone that these would be ours no longer."""
        self._gone.update(rows)
