"""Whether what has an id in Stash is still what the ledger calls it."""

from collections.abc import Iterable

from stash_sense_plugin.records import Action, LedgerEntry
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import StashStudio, StashTag

STUDIOS = frozenset({Action.SET_STUDIO, Action.CLEAR_STUDIO})


class Named:
    """What Stash has under some ids, each asked for once."""

    def __init__(self, client: StashClient) -> None:
        self._client = client
        self._tags: dict[str, StashTag | None] = {}
        self._studios: dict[str, StashStudio | None] = {}

    def learn_tags(self, tag_ids: Iterable[str]) -> None:
        """Ask for many tags at once, before each is looked for."""
        unknown = [each for each in dict.fromkeys(tag_ids) if each not in self._tags]
        found = operations.tags_by_ids(self._client, unknown)
        self._tags |= {tag_id: found.get(tag_id) for tag_id in unknown}

    def tag(self, tag_id: str) -> StashTag | None:
        """Return the tag, or None where Stash has it no longer."""
        if tag_id not in self._tags:
            self._tags[tag_id] = operations.tag_by_id(self._client, tag_id)
        return self._tags[tag_id]

    def studio(self, studio_id: str) -> StashStudio | None:
        """Return the studio, or None where Stash has it no longer."""
        if studio_id not in self._studios:
            self._studios[studio_id] = operations.studio_by_id(self._client, studio_id)
        return self._studios[studio_id]

    def is_itself(self, entry: LedgerEntry, tag_id: str = "") -> bool:
        """Whether the tag or studio of a row is what the row calls it; a marker has no name.

        Another name was given by the user, or the id in a restored database. `tag_id` names the
        tag where the row's target is something else.
        """
        if entry.action is Action.CREATE_MARKER and not tag_id:
            return True
        thing: StashTag | StashStudio | None
        if entry.action in STUDIOS:
            thing = self.studio(entry.target_id)
        else:
            thing = self.tag(tag_id or entry.target_id)
        return thing is not None and operations.is_called(thing, entry.target_name)
