"""The main job on a built-in sample library: `make demo`.

Builds the clips, starts the stand-in Stash with the packed plugin in it, gives every scene TagMe,
runs the plugin's own task through its door, and holds what came out against what is in the clips.
"""

import argparse
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Column, Table

from demo.clips import Clip, build_library
from demo.judging import Verdict, judge, recall
from demo.report import write_page
from demo.stash import StandIn
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from tools.build_zip import PLUGIN_ID, build

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "demo"

NEEDED_RECALL = 0.9
"""Of what the built-in networks can see; below this the demo fails."""

OPERATION = (
    """mutation Run($id: ID!, $args: Map) { runPluginOperation(plugin_id: $id, args: $args) }"""
)


def main() -> int:
    """Run the demo; 0 when enough was found."""
    asked = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    asked.add_argument(
        "--fetch",
        action="store_true",
        help="first run Set up, which fetches the networks for labels and objects (640 MB)",
    )
    fetch = asked.parse_args().fetch
    console = Console()
    started_s = time.monotonic()
    console.print("Drawing the sample library ...")
    clips = build_library(FOLDER / "media")
    with sample_stash() as stash:
        # The same models on every machine.
        stash.configure_plugin(PLUGIN_ID, preset="fast")
        if fetch:
            show_task(console, stash, "Set up")
        stash.add_studio("Northlight Studio", aliases=["NL Studios"])
        stash.add_studio("Southside Pictures")
        console.print("Scanning it, with sprite sheets ...")
        stash.scan(sprites=True)
        tag = stash.tag_id("TagMe") or stash.add_tag("TagMe")
        for scene in stash.scene_ids():
            stash.tag_scene(scene, tag)
        show_task(console, stash, "Tag scenes")
        verdicts = [verdict_of(stash, clip) for clip in clips]
    share = recall(verdicts)
    show(console, verdicts)
    page = write_page(FOLDER / "report.html", verdicts, FOLDER / "media", share)
    console.print(
        f"Found {share:.0%} of what the built-in networks can see"
        f" (needed: {NEEDED_RECALL:.0%}), in {time.monotonic() - started_s:.0f} s."
    )
    console.print(f"The page with pictures and timelines: {page}", soft_wrap=True)
    return 0 if share >= NEEDED_RECALL else 1


@contextmanager
def sample_stash() -> Iterator[StandIn]:
    """A fresh stand-in Stash with the packed plugin, whose worker is gone at the end."""
    plugin = FOLDER / "plugins" / PLUGIN_ID
    home = FOLDER / "stash" / "stash-sense"
    _clear(plugin, home)
    with zipfile.ZipFile(build(ROOT, FOLDER / "dist")) as bundle:
        bundle.extractall(plugin)
    # The packages of .venv serve the plugin too: nothing is installed twice.
    os.environ["STASH_SENSE_PYTHON"] = sys.executable
    os.environ.pop("STASH_SENSE_HOME", None)
    with StandIn(
        FOLDER / "stash",
        media=FOLDER / "media",
        plugins=FOLDER / "plugins",
        python_path=sys.executable,
    ) as stash:
        try:
            yield stash
        finally:
            worker.hand_over(Home(str(home)), str(plugin / "stash_sense_plugin"))


def _clear(plugin: Path, home: Path) -> None:
    """Begin anew, but for networks that were fetched before."""
    models, kept = home / "models", FOLDER / "models"
    if models.is_dir():
        shutil.rmtree(kept, ignore_errors=True)
        models.rename(kept)
    shutil.rmtree(FOLDER / "stash", ignore_errors=True)
    shutil.rmtree(plugin.parent, ignore_errors=True)
    if kept.is_dir():
        home.mkdir(parents=True, mode=0o700)
        kept.rename(models)


def show_task(console: Console, stash: StandIn, task: str) -> None:
    """Run one of the plugin's tasks as its button does, and show what it logged."""
    console.print(f"Running the task {task} ...")
    seen = len(stash.log)
    stash.run_task(PLUGIN_ID, task)
    for line in stash.log[seen:]:
        if line.level in ("Info", "Warning", "Error"):
            console.print(f"  {line.level.lower():8}{line.message}", markup=False, soft_wrap=True)


def verdict_of(stash: StandIn, clip: Clip) -> Verdict:
    """Read one scene back and judge it."""
    scene = stash.scene_by_file(clip.name)
    result = result_of(stash, scene)
    ran = result.get("ran", ())
    able = {"embedded"} | {each["detector"] for each in ran if each["detector"] == "clip"}
    if any(each["model"].startswith("yolo") for each in ran):
        able.add("objects")
    tags = frozenset(stash.scene_tags(scene))
    return judge(clip, tags, stash.scene_studio(scene), result, frozenset(able))


def result_of(stash: StandIn, scene: int) -> dict[str, Any]:
    """Ask the plugin what it said of a scene, as its pages will; empty where it said nothing."""
    args = {"mode": "result", "scene_id": str(scene)}
    body = {"query": OPERATION, "variables": {"id": PLUGIN_ID, "args": args}}
    answer = requests.post(f"{stash.url}/graphql", json=body, timeout=60).json()
    if "errors" in answer:
        raise RuntimeError(answer["errors"][0]["message"])
    result: dict[str, Any] | None = answer["data"]["runPluginOperation"]["result"]
    return result or {}


def show(console: Console, verdicts: list[Verdict]) -> None:
    """Print a row for each clip."""
    table = Table(
        Column("Clip", no_wrap=True),
        "Expected",
        "Found",
        "Missed",
        "Wrong",
        "Not looked for",
    )
    for verdict in verdicts:
        table.add_row(
            verdict.clip.name,
            str(len(verdict.found) + len(verdict.missed)),
            "\n".join(verdict.found),
            "\n".join(verdict.missed),
            "\n".join(verdict.wrong),
            "\n".join(verdict.later),
        )
    console.print(table)
    skipped = [row for verdict in verdicts for row in verdict.result.get("skipped", ())]
    for detector in dict.fromkeys(row["detector"] for row in skipped):
        console.print(
            f"Skipped {detector}: `.venv/bin/python -m demo --fetch` brings its network",
            markup=False,
            soft_wrap=True,
        )


if __name__ == "__main__":
    sys.exit(main())
