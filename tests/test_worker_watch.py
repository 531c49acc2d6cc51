"""When the worker leaves: a clock and a Stash in hand, nothing waited for."""

import pytest

from stash_sense_plugin.worker.watch import Stash, Watch, answers, stash_of
from tests.plugin_folder import free_port, small_stash


class Scene:
    """A watch with a clock and a Stash that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alive = True
        self.watch = Watch(60, 10, answers=lambda _stash: self.alive, clock=lambda: self.now)

    def after(self, seconds: int, *, idle_s: float = 0, needed: bool = False) -> str | None:
        """Let time go by with a look every ten seconds; return why it would leave at the end."""
        for step in range(0, seconds, 10):
            self.now += min(10, seconds - step)
            self.watch.look()
        return self.watch.reason_to_leave(idle_s=idle_s, limit_s=600, needed=needed)

    def sleep(self, seconds: float) -> str | None:
        """Let the machine sleep, and look once when it wakes."""
        self.now += seconds
        self.watch.look()
        return self.watch.reason_to_leave(idle_s=0, limit_s=600, needed=False)


SERVER = {"Scheme": "http", "Host": "0.0.0.0", "Port": 9999}


def test_it_stays_while_stash_answers() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    assert all(scene.after(50) is None for _ in range(10))


def test_it_leaves_a_minute_after_stash() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    assert scene.after(60) is None
    assert scene.after(1) == "Stash has gone"


def test_a_stash_that_comes_back_is_forgiven() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    assert scene.after(50) is None
    scene.alive = True
    assert scene.after(5) is None
    scene.alive = False
    assert scene.after(50) is None


def test_a_call_is_a_sign_of_life() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    scene.after(50)
    scene.watch.saw(SERVER)
    assert scene.after(50) is None


def test_work_for_the_command_line_keeps_it() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    assert scene.after(100, needed=True) is None
    assert scene.after(0) == "Stash has gone"


def test_after_a_sleep_it_looks_again_before_it_leaves() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    assert scene.sleep(8 * 3600) is None
    assert scene.after(40) is None
    scene.alive = True
    assert scene.after(10) is None
    scene.alive = False
    assert scene.sleep(8 * 3600) is None
    assert scene.after(50) == "Stash has gone"


def test_a_clock_that_went_back_makes_it_no_younger() -> None:
    scene = Scene()
    scene.watch.saw(SERVER)
    scene.alive = False
    assert scene.sleep(-8 * 3600) is None
    assert scene.after(70) == "Stash has gone"


def test_without_a_stash_it_leaves_when_idle_only() -> None:
    scene = Scene()
    scene.alive = False
    assert scene.after(10_000, idle_s=600) is None
    assert scene.after(1, idle_s=601) == "nothing was asked for 10 minutes"


@pytest.mark.parametrize(
    ("server", "stash"),
    [
        (SERVER, Stash("http", "127.0.0.1", 9999)),
        ({"Scheme": "https", "Host": "", "Port": 1}, Stash("https", "127.0.0.1", 1)),
        ({"Scheme": "http", "Host": "::", "Port": 1}, Stash("http", "::1", 1)),
        ({"Scheme": "http", "Host": "nas", "Port": 1}, Stash("http", "nas", 1)),
        ({"Scheme": "http", "Host": "nas"}, None),
        ({"Port": "9999"}, None),
    ],
)
def test_where_a_stash_answers(server: dict[str, object], stash: Stash | None) -> None:
    assert stash_of(server) == stash


def test_a_stash_answers_or_does_not() -> None:
    with small_stash() as port:
        assert answers(Stash("http", "127.0.0.1", port))
    assert not answers(Stash("http", "127.0.0.1", free_port()))


@pytest.mark.parametrize("host", ["..", "a" * 70, "a b", "a\nb", "\udcff"])
def test_a_host_that_is_none_does_not_answer(host: str) -> None:
    assert not answers(Stash("http", host, 1))


@pytest.mark.logs_errors
def test_a_look_that_fails_is_said_once_and_keeps_no_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(stash: Stash) -> bool:
        raise RuntimeError("Broken")

    now = [0.0]
    watch = Watch(60, 10, answers=broken, clock=lambda: now[0])
    watch.saw(SERVER)
    for second in range(10, 80, 10):
        now[0] = float(second)
        watch.look()
    assert watch.reason_to_leave(idle_s=0, limit_s=600, needed=False) == "Stash has gone"
    assert len(caplog.records) == 1
