"""Open networks: opened on first use, kept within a memory budget, closed when idle."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.session import Device, Network, open_network


@dataclass(slots=True)
class _Kept:
    network: Network
    bytes: int
    used_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """A network that is open."""

    label: str
    role: str
    device: str
    precision: str
    bytes: int


class Shelf:
    """Keeps networks open for those who run them; safe to call from several threads."""

    def __init__(
        self,
        models: Models,
        budget_bytes: int,
        threads: int | None = None,
        device: Device = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.models = models
        self._budget_bytes = budget_bytes
        self._threads = threads
        self._device = device
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._opening = threading.Lock()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def held_bytes(self) -> int:
        """What the open networks weigh."""
        with self._lock:
            return sum(kept.bytes for kept in self._kept.values())

    def held(self) -> tuple[Held, ...]:
        """Return what is open, the longest unused first."""
        with self._lock:
            return tuple(
                Held(label, role, kept.network.device, kept.network.precision, kept.bytes)
                for (label, role), kept in self._kept.items()
            )

    def network(self, card: ModelCard, role: str) -> Network:
        """Return an open network; opens it on first use and makes room for it.

        Ask again for each batch and hold on to none: what the shelf lets go is freed when its
        last user drops it. Raises ModelMissing or ModelBroken.
        """
        key = (self.label(card), role)
        if (network := self._hit(key)) is not None:
            return network
        with self._opening:
            return self._hit(key) or self._open(key, card, role)

    def label(self, card: ModelCard) -> str:
        """Return the card's name and version, joined by `@`."""
        return f"{card.name}@{self.models.version(card)}"

    def unload_idle(self, older_than_s: float) -> int:
        """Close what has not been used for that long and is not running; return how many."""
        limit_s = self._clock() - older_than_s
        with self._lock:
            idle = [
                key
                for key, kept in self._kept.items()
                if kept.used_s <= limit_s and not kept.network.busy
            ]
            for key in idle:
                del self._kept[key]
        return len(idle)

    def close(self) -> None:
        """Let every network go."""
        with self._lock:
            self._kept.clear()

    def _hit(self, key: tuple[str, str]) -> Network | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            kept.used_s = self._clock()
            self._kept.move_to_end(key)
            return kept.network

    def _open(self, key: tuple[str, str], card: ModelCard, role: str) -> Network:
        path = self.models.path(card, role)
        weight = path.stat().st_size
        self._make_room(weight)
        before = _resident_bytes()
        network = open_network(path, self._threads, self._device)
        measured = max(weight, min(_resident_bytes() - before, 4 * weight))
        with self._lock:
            self._kept[key] = _Kept(network, measured, self._clock())
        self._make_room(0, spare=key)
        return network

    def _make_room(self, bytes_: int, spare: tuple[str, str] | None = None) -> None:
        """Close the longest unused that are not running, until the rest fits the budget."""
        with self._lock:
            held = sum(kept.bytes for kept in self._kept.values()) + bytes_
            for key, kept in list(self._kept.items()):
                if held <= self._budget_bytes:
                    return
                if key != spare and not kept.network.busy:
                    held -= kept.bytes
                    del self._kept[key]


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
