"""`make demo-ui` told to end, while it is at whatever: it ends, and nothing of it is left."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.plugin_folder import PATIENCE_S, ended, wait_until
from tests.sweep_kit import ROOT

SERVE = """
from demo.clips import sample_library
from demo.serve import main
main(lambda: tuple(clip for clip in sample_library() if clip.name in {clips}))
"""
FEW, MANY = ("slide.mp4",), ("interview.mp4", "cat_with_titles.mp4", "medley.mp4")
Serving = subprocess.Popen[bytes]


def running(folder: Path) -> list[psutil.Process]:
    """The processes that were begun with something of a folder."""
    found = []
    for process in psutil.process_iter():
        if any(str(folder) in word for word in words(process)) and not ended(process):
            found.append(process)
    return found


def words(process: psutil.Process) -> list[str]:
    """What a process was begun with; nothing where it has ended."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[tuple[str, ...]], Serving]]:
    """Serve some clips in the test's folder; whatever still runs at the end is killed."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<html></html>")

    def begin(clips: tuple[str, ...]) -> Serving:
        own = ("--page", pages, "--media", tmp_path / "media", "--scan", "--tag", "--until-eof")
        return subprocess.Popen(
            [sys.executable, "-c", SERVE.format(clips=clips), *map(str, own)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    yield begin
    for process in running(tmp_path):
        with suppress(psutil.Error):
            process.kill()


def draws(folder: Path) -> bool:
    return any(folder.glob("drawing-*/*.mp4"))


def begins_worker(folder: Path) -> bool:
    """Whether the worker's process is there; it answers nobody yet."""
    return any("--home" in words(process) for process in running(folder))


def scans(folder: Path) -> bool:
    """Whether the stand-in is up."""
    return any(folder.glob("run-*/stash/stash-go.sqlite"))


def terminate(serving: Serving) -> None:
    serving.send_signal(signal.SIGTERM)


def interrupt(serving: Serving) -> None:
    # Whoever is impatient presses it twice.
    serving.send_signal(signal.SIGINT)
    serving.send_signal(signal.SIGINT)


def close(serving: Serving) -> None:
    assert serving.stdin is not None
    serving.stdin.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("clips", "state", "end"),
    [
        pytest.param(MANY, draws, terminate, id="terminated while it draws"),
        pytest.param(FEW, begins_worker, interrupt, id="interrupted while the worker starts"),
        pytest.param(FEW, scans, close, id="left while it scans"),
    ],
)
def test_it_ends_at_any_time_and_leaves_nothing(
    serve: Callable[[tuple[str, ...]], Serving],
    tmp_path: Path,
    clips: tuple[str, ...],
    state: Callable[[Path], bool],
    end: Callable[[Serving], None],
) -> None:
    with serve(clips) as serving:
        wait_until(lambda: state(tmp_path), "it does not come so far")
        end(serving)
        assert serving.wait(PATIENCE_S) == 0
        assert running(tmp_path) == []
        assert list(tmp_path.glob("*-*")) == []
