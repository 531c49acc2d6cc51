"""Reads that never end: whoever waits hears a stop, gives up, and leaves no reader that moves."""

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from stash_sense_plugin.errors import Cancelled, MediaMissing
from stash_sense_plugin.media.patience import Beat, answered, streamed

AT_ONCE_S = 0.0


@pytest.fixture
def gone() -> Iterator[threading.Event]:
    """A drive that answers when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def readers() -> set[threading.Thread]:
    """The readers there are; one of a test before may be about to end."""
    return {thread for thread in threading.enumerate() if thread.name == "reader"}


def never() -> None:
    """Hear of no wish to stop."""


def test_what_is_read_comes_in_order_and_the_reader_ends() -> None:
    before = readers()
    assert list(streamed(lambda _beat: iter(range(100)), never, "it")) == list(range(100))
    assert list(streamed(lambda _beat: iter(()), never, "it")) == []
    assert answered(lambda _beat: 7, never, "it") == 7
    assert readers() <= before


def test_what_reading_raises_is_raised_behind_what_came() -> None:
    def read(_beat: Beat) -> Iterator[int]:
        yield 1
        raise OSError("the cable")

    items = streamed(read, never, "it")
    assert next(items) == 1
    with pytest.raises(OSError, match="the cable"):
        next(items)


def test_where_nothing_answers_it_is_given_up(gone: threading.Event) -> None:
    with pytest.raises(MediaMissing, match="/mnt/nas has not answered for 0 seconds: check"):
        answered(lambda _beat: gone.wait(), never, "/mnt/nas", AT_ONCE_S)


def test_a_stop_is_heard_while_nothing_answers(gone: threading.Event) -> None:
    checks = []

    def check() -> None:
        checks.append(1)
        if len(checks) == 2:
            raise Cancelled("Stopped")

    def read(_beat: Beat) -> Iterator[int]:
        yield 1
        gone.wait()

    items = streamed(read, check, "it")
    assert next(items) == 1
    with pytest.raises(Cancelled):
        next(items)


def every_look_a_second_later() -> Callable[[], float]:
    """A clock by which every wait takes a second."""
    return itertools.count().__next__


def test_a_reader_that_is_slow_and_moves_is_waited_for() -> None:
    may_step, stepped = threading.Semaphore(0), threading.Semaphore(0)

    def check() -> None:
        may_step.release()
        stepped.acquire()

    def read(beat: Beat) -> Iterator[int]:
        for _ in range(5):
            may_step.acquire()
            beat()
            stepped.release()
        yield 1

    found = streamed(read, check, "it", silent_s=2.5, clock=every_look_a_second_later())
    assert list(found) == [1]


def test_one_that_does_not_move_is_given_up_after_that_much_waiting(gone: threading.Event) -> None:
    checks: list[int] = []
    with pytest.raises(MediaMissing):
        answered(
            lambda _beat: gone.wait(),
            lambda: checks.append(1),
            "it",
            silent_s=2.5,
            clock=every_look_a_second_later(),
        )
    assert len(checks) == 2


def test_the_time_of_a_more_urgent_job_is_no_silence_of_the_drive() -> None:
    now_s, urgent, read_meanwhile = [0.0], threading.Event(), threading.Event()

    def check() -> None:
        urgent.set()
        assert read_meanwhile.wait(20)
        now_s[0] += 300.0

    def ask(_beat: Beat) -> int:
        urgent.wait()
        read_meanwhile.set()
        return 7

    assert answered(ask, check, "it", silent_s=30.0, clock=lambda: now_s[0]) == 7


def test_the_sleep_of_this_machine_is_no_silence_of_the_drive(gone: threading.Event) -> None:
    def check() -> None:
        gone.set()

    asleep = itertools.count(step=3600.0).__next__
    assert answered(lambda _beat: gone.wait(), check, "it", silent_s=30.0, clock=asleep)


def test_a_reader_that_nobody_wants_ends_and_closes_its_file() -> None:
    closed = threading.Event()

    def read(beat: Beat) -> Iterator[int]:
        try:
            while True:
                beat()
                yield 1
        finally:
            closed.set()

    before = readers()
    items = streamed(read, never, "it")
    assert next(items) == 1
    items.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert readers() <= before


def test_one_item_is_read_ahead_and_no_more() -> None:
    taken: list[int] = []

    def read(_beat: Beat) -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    for number in streamed(read, never, "it"):
        assert len(taken) <= number + 2
