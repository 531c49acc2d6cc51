"""The plugin in a stand-in Stash whose pages are up: `make demo-ui`.

Prints the address as one line, and serves until it is told to end.
"""

import argparse
import os
import shutil
import sys
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
from demo.ending import hear, serve_on
from demo.stash import StandIn
from tools.build_zip import PLUGIN_ID
from tools.build_zip import build as build_zip

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "pages"
QUICK = {"preset": "fast", "frames": 12, "text_frames": 4}
"""The same models on every machine, and no more frames than the small clips need."""

LEAVES_S = 5.0
"""For how long the worker may end what it has in hand, before it is killed."""
GOES_S = 30.0
"""How long a killed process may take to go; one that a dead mount holds takes for ever."""


def main(library: Callable[[], tuple[Clip, ...]] = page_library) -> NoReturn:
    """Serve until SIGTERM, SIGINT, or the end of the standard input where that was asked for."""
    given = options()
    hear(input_too=given.until_eof)
    if not (given.page / "index.html").is_file():
        sys.exit(f"{given.page} holds no pages: run `npm run page` in ui/")
    build(given.media, library())
    with served(given) as stash:
        if given.scan:
            stash.scan(covers=True, sprites=True)
        settings = {**QUICK, "suggest_only": given.suggest_only}
        stash.configure_plugin(PLUGIN_ID, **settings)
        if given.tag:
            stash.run_task(PLUGIN_ID, "Tag all scenes not yet Tagged")
        serve_on(stash.url)


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
    _end_each(folder, psutil.Process.terminate, LEAVES_S)
    _end_each(folder, psutil.Process.kill, GOES_S)


def _end_each(folder: str, end: Callable[[psutil.Process], None], patience_s: float) -> None:
    """End each process of a folder, also one that comes meanwhile, and wait until none is left."""
    told: set[psutil.Process] = set()
    deadline = time.monotonic() + patience_s
    while left := set(_processes(folder)):
        for process in left - told:
            with suppress(psutil.Error):
                end(process)
        told |= left
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


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


if __name__ == "__main__":
    main()
