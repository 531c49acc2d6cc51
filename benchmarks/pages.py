"""What the pages wait for: the round trip of each operation through Stash, with a warm worker.

    python -m benchmarks.pages [--scenes 10000] [--rounds 30] [--folder DIR]

A stand-in Stash has the plugin installed, and its store holds so many scenes with eight
suggestions each. A call goes as the pages' own does: GraphQL's runPluginOperation, for which Stash
starts a door, which asks the worker. Prints the least, the median and the 95th percentile in
milliseconds, and the median beside that of a call that finds next to nothing to do. Where a 95th
percentile is above the limit, it says of which and ends with 1. Doctor is not among them: it is a
check-up, which reads the store through and tries files.
"""

import argparse
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Final

import requests

from benchmarks.machine import machine_line
from demo.planted import plant, plant_stash, tag_name, things_of
from demo.stash import StandIn
from stash_sense_plugin.library.store import Store
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from tools.build_zip import PLUGIN_ID, build

ROOT = Path(__file__).resolve().parent.parent
LIMIT_MS = 200.0
TIMEOUT_S = 60.0
OPERATION = """mutation Operate($plugin: ID!, $args: Map) {
  runPluginOperation(plugin_id: $plugin, args: $args)
}"""
EMPTY: Final[Mapping[str, object]] = {"mode": "jobs", "limit": 1}
"""A call to which the worker itself has an answer."""


# --- Calls ----------------------------------------------------------------------------------------


class Page:
    """A page of Stash's, with the plugin installed and its worker warm."""

    def __init__(self, stash: StandIn) -> None:
        self._address = f"{stash.url}/graphql"
        self._session = requests.Session()

    def begin(self, scene: str) -> str:
        """Begin a job, which ends at once: the scene has no file."""
        told = self._ask({"mode": "tag_scene", "scene_id": scene})
        return str(told.json()["data"]["runPluginOperation"]["job_id"])

    def operate(self, args: Mapping[str, object]) -> tuple[float, int]:
        """Ask once; return the milliseconds, and the bytes of the answer."""
        begun = perf_counter()
        answer = self._ask(args)
        return (perf_counter() - begun) * 1000, len(answer.content)

    def _ask(self, args: Mapping[str, object]) -> requests.Response:
        variables = {"plugin": PLUGIN_ID, "args": dict(args)}
        answer = self._session.post(
            self._address, json={"query": OPERATION, "variables": variables}, timeout=TIMEOUT_S
        )
        told = answer.json()
        output = None if told.get("errors") else told["data"]["runPluginOperation"]
        if output is None or output.get("failed"):
            raise SystemExit(f"{args}: {answer.text[:1000]}")
        return answer


def questions(scenes: int, count: int) -> dict[str, Sequence[Mapping[str, object]]]:
    """Return what is asked, by what it is called: several that differ, so that none is warmer.

    What the user says is said once of a suggestion, of so many.
    """
    some = [str(1 + number * 37 % scenes) for number in range(20)]
    said = [
        {"items": [{"scene_id": str(each), "name": tag_name(things_of(each)[1][0])}]}
        for each in (1 + number % scenes for number in range(count))
    ]
    return {
        "jobs, 1": [EMPTY],
        "job": [{"mode": "job"}],
        "scene": [{"mode": "scene", "scene_id": each} for each in some],
        "suggestions of a scene": [
            {"mode": "suggestions", "by": "scene", "scene_id": each} for each in some
        ],
        "suggestions of a tag": [
            {"mode": "suggestions", "by": "tag", "tag": tag_name(each), "decision": "ask"}
            for each in range(20)
        ],
        "suggestions, all": [{"mode": "suggestions"}],
        "counts": [{"mode": "counts", "limit": 500}],
        "overview": [{"mode": "overview"}],
        "pictures": [
            {"mode": "pictures", "scene_id": each, "times_s": [5.0, 95.0, 185.0]} for each in some
        ],
        "accept": [{"mode": "accept", **each} for each in said],
        "unsay, accepted": [{"mode": "unsay", **each} for each in said],
        "refuse": [{"mode": "refuse", **each} for each in said],
        "unsay, refused": [{"mode": "unsay", **each} for each in said],
        "errors": [{"mode": "errors"}],
        "runs": [{"mode": "runs"}],
        "models": [{"mode": "models"}],
        "evaluation": [{"mode": "evaluation"}],
    }


def measure(page: Page, scenes: int, rounds: int) -> list[tuple[str, list[float], int]]:
    """Return the milliseconds of each operation's rounds, and its longest answer."""
    job = page.begin("1")
    wanted = {
        name: [{**each, "job_id": job} if each["mode"] == "job" else each for each in args]
        for name, args in questions(scenes, rounds + 1).items()
    }
    for args in wanted.values():
        page.operate(args[-1])
    told: dict[str, list[tuple[float, int]]] = {name: [] for name in wanted}
    # Taken in turns, so that a slow moment of the machine meets them all.
    for number in range(rounds):
        for name, args in wanted.items():
            told[name].append(page.operate(args[number % len(args)]))
    return [
        (name, [spent_ms for spent_ms, _ in each], max(length for _, length in each))
        for name, each in told.items()
    ]


# --- One run --------------------------------------------------------------------------------------


def serve(folder: Path, scenes: int, open_now: ExitStack) -> Page:
    """Install the plugin into a Stash of its own, whose home holds the planted store."""
    home = Home(str(folder / "stash-sense"))
    Path(home.folder).mkdir(mode=0o700)
    os.environ["STASH_SENSE_HOME"] = home.folder
    os.environ["STASH_SENSE_PYTHON"] = sys.executable
    with Store(Path(home.folder) / "store.sqlite") as store:
        plant(store, scenes)
    plugin = folder / "plugins" / PLUGIN_ID
    with zipfile.ZipFile(build(ROOT, folder / "dist")) as bundle:
        bundle.extractall(plugin)
    stash = open_now.enter_context(
        StandIn(folder / "stash", plugins=plugin.parent, python_path=sys.executable)
    )
    plant_stash(stash, scenes)
    open_now.callback(worker.hand_over, home, str(plugin / "stash_sense_plugin"))
    return Page(stash)


def lines(told: Sequence[tuple[str, list[float], int]]) -> Iterator[str]:
    """Yield a row for each operation."""
    empty_ms = median(told[0][1])
    yield f"{'operation':24} {'min':>8} {'median':>8} {'p95':>8}  {'over empty':>10} {'kB':>7}"
    for name, spent_ms, length in told:
        middle_ms = median(spent_ms)
        yield (
            f"{name:24} {min(spent_ms):8.1f} {middle_ms:8.1f} {late(spent_ms):8.1f}"
            f"  {middle_ms / empty_ms:10.2f} {length / 1000:7.1f}"
        )


def late(spent_ms: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(spent_ms, n=20, method="inclusive")[-1]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenes", type=int, default=10_000, help="in the store and in Stash")
    parser.add_argument("--rounds", type=int, default=30, help="calls of each operation")
    parser.add_argument("--folder", type=Path, help="where the store lies meanwhile")
    asked = parser.parse_args()
    print(machine_line())
    with ExitStack() as open_now:
        folder = open_now.enter_context(tempfile.TemporaryDirectory(prefix="ss-", dir=asked.folder))
        page = serve(Path(folder), asked.scenes, open_now)
        told = measure(page, asked.scenes, asked.rounds)
    for each in lines(told):
        print(each)
    slow = [f"{name} ({late(each):.0f} ms)" for name, each, _ in told if late(each) > LIMIT_MS]
    if slow:
        print(f"Missed: the 95th percentile is above {LIMIT_MS:.0f} ms for {', '.join(slow)}")
        return 1
    print(f"Met: no 95th percentile is above {LIMIT_MS:.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
