"""Open networks: opened on first use, kept within a memory budget, closed when idle."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from stash_sense_plugin.inference import lighter, onnx_file
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.providers import CARDS, Device
from stash_sense_plugin.inference.resident import resident_bytes, return_memory
from stash_sense_plugin.inference.session import Door, Network, here

ENGINES = ".engines"
"""Where TensorRT's engines lie, below the folder of the networks; no network's name begins so."""


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
        full_precision: bool = False,
        clock: Callable[[], float] = time.monotonic,
        door: Door | None = None,
    ) -> None:
        self.models = models
        self._budget_bytes = budget_bytes
        self._threads = threads
        self._device: Device = device
        self._full_precision = full_precision
        self._clock = clock
        self._door = door
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
        if idle:
            return_memory()
        return len(idle)

    def close(self) -> None:
        """Let every network go."""
        with self._lock:
            held = bool(self._kept)
            self._kept.clear()
        if held:
            return_memory()

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
        weight = onnx_file.read(path).bytes
        self._make_room(weight)
        before = resident_bytes()
        network = self._opened(path, self.models.base(card, role))
        # Opening takes the file twice over for a moment, and the C library keeps what was freed.
        return_memory()
        weight = onnx_file.read(network.path).bytes
        measured = max(weight, min(resident_bytes() - before, 4 * weight))
        with self._lock:
            self._kept[key] = _Kept(network, measured, self._clock())
        self._make_room(0, spare=key)
        return network

    def _opened(self, path: Path, base: Path) -> Network:
        """Open a network, or what was made of it for where networks run here."""
        place = (self._door or here()).resolve(self._device).place
        chosen = lighter.variant(path, place, self._full_precision, base)
        network = self._open_file(chosen, self._device)
        if network.device in CARDS or place not in CARDS or chosen == path:
            return network
        # The card has no room for it, and what was made for a card is slow elsewhere.
        del network
        chosen = lighter.variant(path, "cpu", self._full_precision, base)
        return self._open_file(chosen, "cpu")

    def _open_file(self, path: Path, device: Device) -> Network:
        return (self._door or here()).open(
            path,
            self._threads,
            device,
            self.models.folder / ENGINES,
            full_precision=self._full_precision,
        )

    def _make_room(self, bytes_: int, spare: tuple[str, str] | None = None) -> None:
        """Close the longest unused that are not running, until the rest fits the budget."""
        if self._close_longest_unused(bytes_, spare):
            return_memory()

    def _close_longest_unused(self, bytes_: int, spare: tuple[str, str] | None) -> bool:
        closed = False
        with self._lock:
            held = sum(kept.bytes for kept in self._kept.values()) + bytes_
            for key, kept in list(self._kept.items()):
                if held <= self._budget_bytes:
                    break
                if key != spare and not kept.network.busy:
                    held -= kept.bytes
                    del self._kept[key]
                    closed = True
        return closed
