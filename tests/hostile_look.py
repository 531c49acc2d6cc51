"""Looks at hostile inputs in a process of its own, which they may kill; tells of each in a line.

python -m tests.hostile_look INPUTS    (a pickled list of inputs, each with what it is read for)
"""

import json
import logging
import pickle
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stash_sense_plugin.errors import MediaError, MediaMissing
from stash_sense_plugin.media.sampling import SceneMedia
from stash_sense_plugin.records import Scene, Wants
from tests.hostile import Hostile

VTT, SHEET = "/scene/1_thumbs.vtt", "/scene/1_sprite.jpg"
MOST_MEMORY_BYTES = 8 * 2**30
"""Beyond this the process is refused memory, so that a test that fails harms no machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of reading an input for one purpose."""

    name: str
    wants: str
    frames: int = 0
    largest_bytes: int = 0
    last_s: float = 0.0
    error: str = ""
    """The class of what was raised; empty where frames came."""
    fault: str = ""
    message: str = ""
    remedy: str = ""
    checks: int = 0
    peak_mb: int = 0


class Counting:
    """Hears how often it is asked whether to stop."""

    def __init__(self, act: Callable[[int], None] = lambda count: None) -> None:
        self.count = 0
        self._act = act

    def __call__(self) -> None:
        self.count += 1
        self._act(self.count)


def scene_of(one: Hostile) -> Scene:
    sprites = one.vtt is not None
    return Scene(
        id="1",
        title=one.name,
        path=one.path,
        fingerprint=None,
        duration_s=one.duration_s,
        sprite_path=SHEET if sprites else "",
        vtt_path=VTT if sprites else "",
    )


def fetcher(one: Hostile) -> Callable[[str], bytes]:
    def fetch(path: str) -> bytes:
        data = {VTT: one.vtt, SHEET: one.sheet}[path]
        if data is None:
            raise MediaMissing(f"Stash has no {path}", "generate sprites")
        return data

    return fetch


def read(one: Hostile, purposes: Sequence[Wants]) -> Iterator[Outcome]:
    """Read an input for each purpose, from one source after another, as the flow does."""
    check = Counting()
    media = SceneMedia(scene_of(one), fetch=fetcher(one), check=check)
    for wants in purposes:
        forget_peak()
        came = Outcome(one.name, wants.value)
        try:
            for so_far in _read_best(media, wants, came):
                came = so_far
        except MediaError as error:
            told = type(error).__name__, error.fault, error.message, error.remedy
            came = replace(came, error=told[0], fault=told[1], message=told[2], remedy=told[3])
        except Exception as error:
            came = replace(came, error=type(error).__name__, message=str(error), fault="ours")
        yield replace(came, checks=check.count, peak_mb=peak_mb())


def _read_best(media: SceneMedia, wants: Wants, nothing: Outcome) -> Iterator[Outcome]:
    """Yield what has come so far after every frame, from one source after another."""
    sampling = media.sampling(wants)
    while True:
        came = nothing
        try:
            for frame in sampling.frames():
                came = replace(
                    came,
                    frames=came.frames + 1,
                    largest_bytes=max(came.largest_bytes, frame.pixels.nbytes),
                    last_s=max(came.last_s, frame.time_s),
                )
                yield came
        except MediaError as error:
            sampling = media.instead(wants, sampling, error)
        else:
            return


def forget_peak() -> None:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> int:
    if sys.platform != "linux":
        return 0
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    """Read every input; only what this process and the test's own folder hold is unpickled."""
    inputs: list[tuple[Hostile, Sequence[Wants]]] = pickle.loads(Path(sys.argv[1]).read_bytes())
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    logging.disable(logging.CRITICAL)
    for one, purposes in inputs:
        tell({"begun": one.name})
        for outcome in read(one, purposes):
            tell(asdict(outcome))


def tell(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
