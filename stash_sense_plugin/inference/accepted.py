"""The licences that the user accepted by their names: accepted.json beside the networks."""

import json
import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stash_sense_plugin.errors import ModelMissing, SettingsError
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.recorded import write_private

log = logging.getLogger(__name__)

_WRITING = threading.Lock()


class Accepted:
    """What was accepted for the networks of one folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "accepted.json"

    def licences(self) -> frozenset[str]:
        """Return the names of the licences; none where the file cannot be read."""
        return frozenset(self._told())

    def accept(self, card: ModelCard, name: str) -> None:
        """Remember that the user accepts the card's licence, whose name must be the very one.

        It holds for every network under it. Raises SettingsError where it is another,
        ModelMissing where the disk refuses it.
        """
        check_name(card, name)
        with _WRITING:
            told = self._told()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            told.setdefault(name, {"accepted_at": now, "for": card.name})
            try:
                write_private(self._path, json.dumps(told, indent=1).encode())
            except OSError as error:
                raise ModelMissing(
                    f"{self._path} cannot be written: {error.strerror or error}",
                    "make room on the disk, or mend who may write there",
                ) from error

    def refusal(self, card: ModelCard, besides: frozenset[str] = frozenset()) -> str:
        """Say why a network may not be fetched before its licence is accepted; empty if it may.

        `besides` are licences that the user accepts in the settings, casefolded.
        """
        if card.commercial or card.licence.casefold() in besides:
            return ""
        if card.licence in self.licences():
            return ""
        return (
            f"{card.name} is not fetched: its licence ({card.licence}) does not allow every use."
            f" Read it, and if it allows yours, accept it by its name: {how_to_accept(card)}"
        )

    def _told(self) -> dict[str, Any]:
        try:
            told = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read: no licence counts as accepted: %s", self._path, error)
            return {}
        return dict(told) if isinstance(told, Mapping) else {}


def check_name(card: ModelCard, name: str) -> None:
    """Raise SettingsError where the card's licence has another name."""
    if name != card.licence:
        raise SettingsError(
            f"The licence of {card.name} is {card.licence!r}, not {name!r}",
            "type its name exactly so, once you have read it",
        )


def how_to_accept(card: ModelCard) -> str:
    """Return what the user types."""
    return (
        f'`python -m stash_sense_plugin models pull {card.name} --accept "{card.licence}"`,'
        f" or write {card.licence} into the setting 'Licences that you accept'"
    )
