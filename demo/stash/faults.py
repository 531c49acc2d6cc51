"""Faults to order: what goes wrong at the next calls of a field, or with a file asked for."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

LOCKED = "beginning transaction: database is locked"

Reached = Literal["asked", "applied", "replied"]
"""How far a call is: nothing of it is done, all of it is done, its answer has left."""
Told = Callable[[str, Reached, Mapping[str, Any]], None]
"""Hears of a call by its field, how far it is, and its arguments."""
HELD_S = 60.0
"""A call that nobody lets go goes on after so long."""


class Hold:
    """A point at which calls stop until they are let go."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._gone = threading.Event()

    def wait_reached(self, within_s: float = HELD_S) -> bool:
        """Wait until a call stands there; False when none came."""
        return self._reached.wait(within_s)

    def let_go(self) -> None:
        """Let who stands there go on, and who comes later pass."""
        self._gone.set()

    def stand(self) -> None:
        """Stop until let go."""
        self._reached.set()
        self._gone.wait(HELD_S)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at a call of a query's or mutation's root field."""

    error: str = ""
    """The call is not made; this is its error's message."""
    status: int = 0
    """The call is not made; the whole request is answered with this status and no body."""
    drop: str = ""
    """The connection is cut: "before" the call is made, or "after"; or, "within", half of the
    answer comes as if it were all."""
    delay_s: float = 0.0
    """The call waits so long first."""
    before: Hold | None = None
    """The call waits there before anything is done."""
    after: Hold | None = None
    """The call waits there when all is done and nothing is answered."""
    times: int = 1
    """At how many calls."""
    skip: int = 0
    """How many calls go well before."""
    told: Told | None = None
    """Hears how far the call is. Until it returns the call goes no further, and it may raise
    RefusedError at "asked": then the call is not made."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is answered to whoever asks for a file by its address, from now on."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    said_bytes: int | None = None
    """The Content-Length that is told, whatever comes; None tells the truth."""
    cut: bool = False
    """The connection is cut where the body ends."""
    drip_s: float = 0.0
    """Behind the body a byte more comes after each such pause, until the client hangs up."""


class Faults:
    """What is ordered and what has been called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[tuple[str, Fault]] = []
        self._files: list[tuple[re.Pattern[str], FileFault]] = []
        self._holds: list[Hold] = []
        self.calls: Counter[str] = Counter()
        """How often each root field has been called."""

    def order(self, field: str, fault: Fault) -> None:
        """Let it happen to the field; "*" stands for every field."""
        with self._lock:
            self._ordered.append((field, fault))
            self._holds += [hold for hold in (fault.before, fault.after) if hold is not None]

    def clear(self) -> None:
        """Take back what has not happened yet, and let go who is held."""
        with self._lock:
            self._let_go()
            self._ordered.clear()
            self._files.clear()

    def _let_go(self) -> None:
        for hold in self._holds:
            hold.let_go()
        self._holds.clear()

    def order_file(self, address: str, fault: FileFault) -> None:
        """Let it happen to every request for an address that the pattern wholly matches."""
        with self._lock:
            self._files.append((re.compile(address), fault))

    def meet_file(self, address: str) -> FileFault | None:
        """What goes wrong with a file, if something does; the first that was ordered."""
        with self._lock:
            return next((fault for named, fault in self._files if named.fullmatch(address)), None)

    def meet(self, field: str) -> Fault | None:
        """Count a call; what goes wrong with it, if something does."""
        with self._lock:
            self.calls[field] += 1
            for place, (named, fault) in enumerate(self._ordered):
                if named not in (field, "*"):
                    continue
                if fault.skip:
                    self._ordered[place] = (named, replace(fault, skip=fault.skip - 1))
                    continue
                self._use(place, named, fault)
                return fault
        return None

    def _use(self, place: int, named: str, fault: Fault) -> None:
        if fault.times > 1:
            self._ordered[place] = (named, replace(fault, times=fault.times - 1))
        else:
            del self._ordered[place]
