"""Libraries in the states that the pages have to stand: `python -m demo.states STATE`.

    sample   the clips of the pages, not scanned yet
    new      no scene, and no network but the one that comes in a package; the other that is wanted
             comes from a server on this machine, which becomes slow at the half
    many     fifty thousand scenes that were looked at, with eight suggestions each
    hostile  clips, words of the vocabulary and a studio whose names are markup, or reach far

Prints the address as one line, and serves until its input ends. Two more plugins are installed.
"""

import argparse
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import requests
import yaml

from demo import neighbours
from demo.clips import Clip, build
from demo.clips_for import hostile_library, page_library
from demo.ending import hear, serve_on
from demo.planted import plant, plant_stash
from demo.serve import FOLDER, QUICK, ROOT, served
from demo.stash import StandIn
from stash_sense_plugin.library.store import Store
from tools.build_zip import PLUGIN_ID

MANY = 50_000
WHOLE = 500
"""Of so many scenes the store knows the frames; the rest are rows alone."""
PIECE_BYTES = 1 << 16
PIECE_S = 5.0
"""Between two pieces behind the half: six megabytes take eight minutes."""

HOSTILE_WORDS = {
    "black and white": '<img src=x onerror="window.hacked=1">',
    "dark": "Averyveryvery" + "long" * 46 + "!",
    "still picture": "\"'`${window.hacked=1}</style></script>\N{FIRE}\N{ARABIC LETTER MEEM} & co",
}
"""What the user's vocabulary calls these: as long, and as strange, as it may be."""
HOSTILE_STUDIO = "\N{RIGHT-TO-LEFT OVERRIDE}<script>window.hacked=1</script>\N{SOFT HYPHEN} & Sons"


def main() -> NoReturn:
    """Serve one of them."""
    given = options()
    hear(input_too=True)
    with ExitStack() as open_now:
        stash = STATES[given.state](given, open_now)
        serve_on(stash.url)


def options() -> argparse.Namespace:
    """What the command line says."""
    asked = argparse.ArgumentParser(prog="python -m demo.states")
    asked.add_argument("state", choices=STATES)
    asked.add_argument("--ui", type=Path, help="the plugin's pages, built elsewhere")
    asked.add_argument("--page", type=Path, default=ROOT / "ui" / "page" / "dist")
    asked.add_argument("--scenes", type=int, default=MANY, help="of the state `many`")
    return asked.parse_args()


# --- The states -----------------------------------------------------------------------------------


def sample(given: argparse.Namespace, open_now: ExitStack) -> StandIn:
    """What a user has who has scanned nothing yet."""
    return _stash(given, open_now, "media", page_library())


def new(given: argparse.Namespace, open_now: ExitStack) -> StandIn:
    """What a user has right after Set up, whose downloads did not come."""
    stash = _stash(given, open_now, "no-media", ())
    path = Path(str(files("nudenet") / "320n.onnx"))
    address = open_now.enter_context(slow_site(path.read_bytes()))
    row = {
        "task": "objects",
        "about": "Faces and other body parts, from a server on this machine",
        "licence": "AGPL-3.0",
        "commercial": True,
        "presets": ["fast", "balanced"],
        "words": "nudenet",
        "files": {
            "network": {
                "url": f"{address}/{path.name}",
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "bytes": path.stat().st_size,
            }
        },
    }
    _write(home_of(stash) / "catalogue.yaml", {"models": {"yolox-s": row}})
    stash.configure_plugin(PLUGIN_ID, **QUICK, skip_labels=True)
    return stash


def many(given: argparse.Namespace, open_now: ExitStack) -> StandIn:
    """A library of a size that few have."""
    stash = _stash(given, open_now, "no-media", ())
    # A process of its own: the two take about as long.
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        planted = beside.submit(plant_home, home_of(stash), given.scenes)
        plant_stash(stash, given.scenes)
        planted.result()
    return stash


def plant_home(home: Path, scenes: int) -> None:
    """Fill the store of a home in which no worker runs yet."""
    with Store(home / "store.sqlite") as store:
        plant(store, scenes, whole=min(WHOLE, scenes))


def hostile(given: argparse.Namespace, open_now: ExitStack) -> StandIn:
    """Names that are text and nothing else: of files, tags and a studio; and words in a picture."""
    stash = _stash(given, open_now, "hostile", hostile_library())
    labels = {label: {"tag": name} for label, name in HOSTILE_WORDS.items()}
    _write(home_of(stash) / "vocabulary.yaml", {"labels": labels})
    stash.add_studio(HOSTILE_STUDIO, aliases=["Northlight Studio"])
    stash.scan(covers=True)
    stash.run_task(PLUGIN_ID, "Tag all scenes not yet Tagged")
    return stash


STATES: Mapping[str, Callable[[argparse.Namespace, ExitStack], StandIn]] = {
    "sample": sample,
    "new": new,
    "many": many,
    "hostile": hostile,
}


def home_of(stash: StandIn) -> Path:
    """Where the plugin keeps its own, made as it makes it."""
    home = stash.settings.folder / "stash-sense"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def _stash(
    given: argparse.Namespace, open_now: ExitStack, folder: str, clips: tuple[Clip, ...]
) -> StandIn:
    """Serve a fresh stand-in whose media are these clips, with the plugin and its neighbours."""
    media = FOLDER / folder
    build(media, clips)
    asked = argparse.Namespace(media=media, page=given.page, ui=given.ui, port=0)
    stash = open_now.enter_context(served(asked))
    neighbours.install(stash.settings.plugins_path)
    body = {"query": "mutation { reloadPlugins }"}
    requests.post(f"{stash.url}/graphql", json=body, timeout=60).raise_for_status()
    stash.configure_plugin(PLUGIN_ID, **QUICK, suggest_only=True)
    return stash


def _write(path: Path, told: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")


# --- A server that becomes slow -------------------------------------------------------------------


@contextmanager
def slow_site(content: bytes) -> Iterator[str]:
    """Hand out one file under any name; its second half drops in, unless that alone is asked for.

    Yields the address. What is gone on with, by a range, comes at once.
    """

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") :].rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                end = len(content)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
            self.end_headers()
            # Who asks may hang up.
            with contextlib.suppress(OSError):
                for piece in _pieces(content, start):
                    self.wfile.write(piece)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _pieces(content: bytes, start: int) -> Iterator[bytes]:
    for at in range(start, len(content), PIECE_BYTES):
        if not start and at > len(content) // 2:
            time.sleep(PIECE_S)
        yield content[at : at + PIECE_BYTES]


if __name__ == "__main__":
    main()
