"""The plugin in a stand-in Stash whose pages are up: `make demo-ui`.

Prints the address as one line, and serves until it is told to end.
"""

import _thread
import argparse
import os
import shutil
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import psutil

from demo.clips import Clip, build
from demo.clips_for import page_library
from demo.stash import StandIn
from tools.build_zip import PLUGIN_ID
from tools.build_zip import build as build_zip

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "pages"
QUICK = {"preset": "fast", "frames": 12, "text_frames": 4}
"""The same models on every machine, and no more frames than the small clips need."""


ENDS = (signal.SIGTERM, signal.SIGINT)
LEAVES_S = 5.0
"""For how long the worker may end what it has in hand, before it is killed."""


def main(library: Callable[[], tuple[Clip, ...]] = page_library) -> int:
    """Serve until SIGTERM, SIGINT, or the end of the standard input where that was asked for."""
    given = options()
    for number in ENDS:
        signal.signal(number, _end)
    if given.until_eof:
        main_thread = threading.get_ident()
        threading.Thread(target=_wait_for_end, args=(main_thread,), daemon=True).start()
    if not (given.page / "index.html").is_file():
        return _refuse(f"{given.page} holds no pages: run `npm run page` in ui/")
    build(given.media, library())
    with served(given) as stash:
        if given.scan:
            stash.scan(covers=True, sprites=True)
        settings = {**QUICK, "suggest_only": given.suggest_only}
        stash.configure_plugin(PLUGIN_ID, **settings)
        if given.tag:
            stash.run_task(PLUGIN_ID, "Tag all scenes not yet Tagged")
        sys.stdout.write(f"{stash.url}\n")
        sys.stdout.flush()
        while True:
            time.sleep(60)


def _end(*_: object) -> NoReturn:
    """End wherever we are, and be told no more: what was begun is put away meanwhile."""
    for number in ENDS:
        signal.signal(number, lambda *_: None)
    raise SystemExit


def options() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(prog="python -m demo.serve", description=__doc__)
    asked.add_argument("--port", type=int, default=0, help="a free one is taken otherwise")
    asked.add_argument("--page", type=Path, default=ROOT / "ui" / "page" / "dist")
    asked.add_argument("--ui", type=Path, help="the plugin's pages, built elsewhere")
    asked.add_argument("--media", type=Path, default=FOLDER / "media")
    asked.add_argument("--scan", action="store_true", help="scan the clips, with sprite sheets")
    asked.add_argument("--tag", action="store_true", help="look at all scenes first")
    asked.add_argument("--suggest-only", action="store_true", help="leave all as suggestions")
    asked.add_argument("--until-eof", action="store_true", help="end with the standard input")
    return asked.parse_args()


@contextmanager
def served(given: argparse.Namespace) -> Iterator[StandIn]:
    """A fresh stand-in with the packed plugin and its pages; nothing of it is left at the end."""
    # The packages of this environment serve the plugin too: nothing is installed twice.
    os.environ["STASH_SENSE_PYTHON"] = sys.executable
    os.environ.pop("STASH_SENSE_HOME", None)
    beside = given.media.absolute().parent
    with TemporaryDirectory(dir=beside, prefix="run-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        plugin = folder / "plugins" / PLUGIN_ID
        _install(plugin, folder / "dist", given.ui)
        stash = StandIn(
            folder / "stash",
            media=given.media.absolute(),
            plugins=plugin.parent,
            page=given.page.absolute(),
            port=given.port,
            python_path=sys.executable,
        )
        try:
            with stash:
                try:
                    yield stash
                finally:
                    stash.state.jobs.stop_all()
        finally:
            _end_processes(place)


def _end_processes(folder: str) -> None:
    """End what runs in a folder: the worker, which may be starting only now."""
    for process in (left := _processes(folder)):
        with suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + LEAVES_S
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = _processes(folder)
    for process in left:
        with suppress(psutil.Error):
            process.kill()


def _processes(folder: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(folder in word for word in process.info["cmdline"] or ())
    ]


def _install(plugin: Path, out: Path, ui: Path | None) -> None:
    """Unpack the package; pages that were built elsewhere take the place of its own."""
    with zipfile.ZipFile(build_zip(ROOT, out)) as bundle:
        bundle.extractall(plugin)
    if ui is not None:
        shutil.copytree(ui, plugin / "ui" / "dist", dirs_exist_ok=True)


def _wait_for_end(main_thread: int) -> None:
    # Not of sys.stdin, whose lock Python asks for when it ends.
    while os.read(0, 65536):
        pass
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(main_thread, signal.SIGTERM)


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
