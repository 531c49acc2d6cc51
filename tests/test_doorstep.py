"""Where doors find the worker, when cleaners and starters come between."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stash_sense_plugin.start.address import socket_path
from stash_sense_plugin.start.lock import Lock, held, hold
from stash_sense_plugin.start.paths import Home, make_socket_folder
from stash_sense_plugin.worker.doorstep import Doorstep, Lost, take

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "home").mkdir(mode=0o700)
    return Home(str(tmp_path / "home"))


Opened = Callable[[Doorstep | None], Doorstep]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens a doorstep, and closes it behind the test."""
    left: list[tuple[Doorstep, socket.socket]] = []

    def do(doorstep: Doorstep | None) -> Doorstep:
        assert doorstep is not None
        left.append((doorstep, doorstep.listen("stamp", loopback=False)))
        return doorstep

    yield do
    for doorstep, listening in left:
        doorstep.close()
        doorstep.release()
        listening.close()


def cleaned(path: str) -> None:
    for each in (path, path + ".lock"):
        Path(each).unlink()


def test_a_socket_taken_away_alone_is_made_again_at_once(home: Home, opened: Opened) -> None:
    doorstep = opened(take(home, lambda: False, 0))
    path = socket_path(home.folder)
    Path(path).unlink()
    again = doorstep.mend()
    assert again is not None
    with again:
        assert Path(path).is_socket()
        assert doorstep.mend() is None


def test_beside_a_lock_that_a_starter_made_anew_no_socket_is_bound(
    home: Home, opened: Opened
) -> None:
    doorstep = opened(take(home, lambda: False, 0))
    path = socket_path(home.folder)
    cleaned(path)
    starter = hold(path + ".lock")
    assert starter is not None
    assert doorstep.mend() is None
    assert not Path(path).exists()
    # It finds the home's lock held, gives its own back, and waits for a door to open.
    starter.release()
    again = doorstep.mend()
    assert again is not None
    with again:
        assert Path(path).is_socket()
        assert held(path + ".lock")


def test_where_the_home_has_no_locks_the_one_whose_place_is_taken_goes(
    home: Home, opened: Opened
) -> None:
    make_socket_folder(home.folder)
    path = socket_path(home.folder)

    def worker() -> Doorstep:
        lock = hold(path + ".lock")
        assert lock is not None
        os.close(os.open(home.worker_lock, os.O_CREAT | os.O_WRONLY, 0o600))
        return opened(Doorstep(home, [lock, Lock(-1)]))

    first = worker()
    cleaned(path)
    second = worker()
    with pytest.raises(Lost, match="another worker answers at"):
        first.mend()
    first.close()
    assert Path(path).is_socket()
    assert second.mend() is None
