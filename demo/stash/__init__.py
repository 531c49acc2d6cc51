"""The stand-in Stash: a server that behaves as Stash does, for the tests and the demo."""

from demo.stash.faults import LOCKED, Fault, FileFault, Hold
from demo.stash.seeding import fake_file
from demo.stash.stand_in import StandIn

__all__ = ["LOCKED", "Fault", "FileFault", "Hold", "StandIn", "fake_file"]
