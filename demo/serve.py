"""The plugin in a stand-in Stash whose pages are up: `make demo-ui`.

Prints the address as one line, and serves until it is told to end.
"""

import argparse
import os
import shutil
import signal
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.clips import build
from demo.clips_for import page_library
from demo.stash import StandIn
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from tools.build_zip import PLUGIN_ID
from tools.build_zip import build as build_zip

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "pages"
QUICK = {"preset": "fast", "frames": 12, "text_frames": 4}
"""The same models on every machine, and no more frames than the small clips need."""


def main() -> int:
    """Serve until SIGTERM, SIGINT, or the end of the standard input where that was asked for."""
    given = options()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if given.until_eof:
        threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    if not (given.page / "index.html").is_file():
        return _refuse(f"{given.page} holds no pages: run `npm run page` in ui/")
    build(given.media, page_library())
    with served(given) as stash:
        if given.scan:
            stash.scan(covers=True, sprites=True)
        settings = {**QUICK, "suggest_only": given.suggest_only}
        stash.configure_plugin(PLUGIN_ID, **settings)
        if given.tag:
            stash.run_task(PLUGIN_ID, "Tag all scenes not yet Tagged")
        sys.stdout.write(f"{stash.url}\n")
        sys.stdout.flush()
        over.wait()
    return 0


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
    FOLDER.mkdir(parents=True, exist_ok=True)
    # The packages of this environment serve the plugin too: nothing is installed twice.
    os.environ["STASH_SENSE_PYTHON"] = sys.executable
    os.environ.pop("STASH_SENSE_HOME", None)
    with TemporaryDirectory(dir=FOLDER, prefix="run-", ignore_cleanup_errors=True) as place:
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
        with stash:
            try:
                yield stash
            finally:
                home = Home(str(folder / "stash" / "stash-sense"))
                worker.hand_over(home, str(plugin / "stash_sense_plugin"))


def _install(plugin: Path, out: Path, ui: Path | None) -> None:
    """Unpack the package; pages that were built elsewhere take the place of its own."""
    with zipfile.ZipFile(build_zip(ROOT, out)) as bundle:
        bundle.extractall(plugin)
    if ui is not None:
        shutil.copytree(ui, plugin / "ui" / "dist", dirs_exist_ok=True)


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.buffer.read()
    over.set()


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
