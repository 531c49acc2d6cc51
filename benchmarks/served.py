"""A stand-in Stash in a process of its own, so that its memory is not counted as ours.

The process reads a JSON object a line: first what to serve, answered with `server_connection`,
then nothing but empty ones, each answered with what was asked of it so far. It ends with stdin.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from benchmarks.sheets import GRID, STEP_S, sheet, vtt

ROOT = Path(__file__).resolve().parent.parent
SHEETS = 12
"""So many are different; the scenes share them."""
GREY_EACH = 3
"""Of so many scenes one is black and white."""


class Served:
    """A Stash whose scenes carry TagMe and have sprite sheets, and no file at their path."""

    def __init__(self, process: "Popen[str]", wanted: Mapping[str, object]) -> None:
        self._process = process
        self.connection: dict[str, Any] = self._ask(wanted)

    def requests(self) -> int:
        """Return how many requests came so far, of GraphQL and of files."""
        return int(self._ask({})["requests"])

    def fields(self) -> dict[str, int]:
        """Return how often each field of GraphQL was asked for so far."""
        fields: dict[str, int] = self._ask({})["fields"]
        return fields

    def _ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the stand-in Stash has ended: see what it wrote to stderr")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def served(
    folder: Path, scenes: int, tile: tuple[int, int], plugin: str, settings: Mapping[str, object]
) -> Iterator[Served]:
    """Serve so many scenes, whose tiles have that width and height, from an empty folder."""
    wanted = {
        "folder": str(folder),
        "scenes": scenes,
        "tile": tile,
        "plugin": plugin,
        "settings": dict(settings),
    }
    command = [sys.executable, "-m", "benchmarks.served"]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield Served(process, wanted)
        assert process.stdin is not None
        process.stdin.close()


# --- The process --------------------------------------------------------------------------------


def main() -> None:
    """Serve until stdin ends."""
    from demo.stash import StandIn

    wanted = json.loads(sys.stdin.readline())
    folder = Path(wanted["folder"])
    (folder / "library").mkdir(parents=True)
    (folder / "library" / "here").touch()
    with StandIn(folder / "stash", media=folder / "library") as stash:
        _fill(stash, wanted["scenes"], tuple(wanted["tile"]))
        stash.configure_plugin(wanted["plugin"], **wanted["settings"])
        _say(stash.connection)
        for _ in sys.stdin:
            assert stash._server is not None
            came = stash._server.server_state.total_requests
            _say({"requests": came, "fields": dict(stash.calls)})


def _say(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def _fill(stash: Any, scenes: int, tile: tuple[int, int]) -> None:
    from demo.stash import fake_file

    generated = stash.settings.generated / "vtt"
    generated.mkdir(parents=True, exist_ok=True)
    sheets = [generated / f"of-{number}" for number in range(SHEETS)]
    for number, path in enumerate(sheets):
        path.write_bytes(sheet(number, tile, grey=number % GREY_EACH == 0))
    cues = generated / "cues"
    cues.write_bytes(vtt(tile))
    tagme = stash.tag_id("TagMe") or stash.add_tag("TagMe")
    for number in range(scenes):
        hash_ = f"{number + 1:016x}"
        path = stash.settings.media[0] / f"{number}.mp4"
        duration_s = GRID * GRID * STEP_S
        file = fake_file(str(path), oshash=hash_, size=1 + number, duration_s=duration_s)
        stash.add_scene(f"Scene {number}", tags=[tagme], file=file)
        os.link(sheets[number % SHEETS], generated / f"{hash_}_sprite.jpg")
        os.link(cues, generated / f"{hash_}_thumbs.vtt")


if __name__ == "__main__":
    main()
