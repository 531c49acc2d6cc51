"""What the least score that is kept costs in the store, in bytes for each scene.

    python -m benchmarks.floors FOLDER [--catalogue catalogue.yaml] [--model yolox-s]

Every video and picture below the folder is looked at for objects and facts of the picture with each
floor, into a store of its own; what the store then takes on the disk, without what an empty one
takes, is divided by the number of files. Vectors and text that was read have no floor, and are left
out. The networks are those of the settings, or of a catalogue of your own with `--catalogue` and
`--model`; those that are not here are said.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine_line
from stash_sense_plugin.errors import MediaError
from stash_sense_plugin.records import Level, Reporter, Skipped
from stash_sense_plugin.settings import RANGES, Settings
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.looking import Looker, scene_of_file
from stash_sense_plugin.tasks.sighting import SWITCHED_OFF

PACKAGE = Path(__file__).resolve().parent.parent / "stash_sense_plugin"
FLOORS = (50, 35, 20, 10, 5, 1)
"""In percent, within what the setting allows."""
ENDINGS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a store holds of some scenes."""

    scenes: int
    observations: int
    bytes_added: int
    skipped: frozenset[str]


class _Quiet(Reporter):
    """Shows nothing, and never stops."""

    def log(self, level: Level, message: str) -> None:
        """Show nothing."""

    def progress(self, fraction: float) -> None:
        """Show nothing."""

    def check(self) -> None:
        """Go on."""


def main() -> int:
    """Measure and print; 2 where there is nothing to look at."""
    options = _options()
    files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        print(f"No video or picture lies below {options.folder}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        print(machine_line(Path(folder)))
        _measure(Path(folder), files, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the videos and pictures lie")
    parser.add_argument("--catalogue", type=Path, default=None, help="a catalogue of your own")
    parser.add_argument("--model", default="yolox-s", help="what sees objects")
    parser.add_argument("--floors", type=int, nargs="+", default=FLOORS, help="in percent")
    return parser.parse_args()


def _measure(folder: Path, files: Sequence[Path], options: argparse.Namespace) -> None:
    skipped: set[str] = set()
    least, most = RANGES["floor_percent"]
    print(f"{len(files)} files, objects by {options.model}, and facts of the picture")
    print("floor   observations   bytes a scene")
    for percent in options.floors:
        if not least <= percent <= most:
            raise SystemExit(f"--floors: {percent} is not between {least} and {most}")
        home = folder / str(percent)
        home.mkdir()
        if options.catalogue is not None:
            shutil.copyfile(options.catalogue, home / "catalogue.yaml")
        kept = _keep(home, files, _settings(percent, options.model))
        skipped |= kept.skipped
        per_scene = kept.bytes_added / max(1, kept.scenes)
        print(f"{percent:4} %   {kept.observations:12,}   {per_scene:13,.0f}")
    for line in sorted(skipped):
        print(f"not measured: {line}")


def _settings(percent: int, model: str) -> Settings:
    return Settings(
        floor_percent=percent,
        object_model=model,
        skip_labels=True,
        skip_acts=True,
        skip_quality=True,
        skip_text=True,
    )


def _keep(home: Path, files: Sequence[Path], settings: Settings) -> Kept:
    """Look at files with these settings into a store of their own."""
    engine = Engine(home, PACKAGE)
    skipped: set[str] = set()
    try:
        empty = _bytes(engine)
        looker, scenes = Looker(engine, _Quiet(), settings=settings), 0
        for path in files:
            try:
                result = looker.look(scene_of_file(path))
            except MediaError as error:
                skipped.add(str(error))
                continue
            scenes += 1
            skipped |= {_shown(each) for each in result.skipped if each.reason != SWITCHED_OFF}
        with engine.store.read() as db:
            count = int(db.execute("SELECT count(*) FROM observations").fetchone()[0])
        return Kept(scenes, count, _bytes(engine) - empty, frozenset(skipped))
    finally:
        engine.close()


def _shown(skipped: Skipped) -> str:
    return f"{skipped.detector}: {skipped.reason}"


def _bytes(engine: Engine) -> int:
    """Return what the store's pages hold, without those that are free."""
    with engine.store.read() as db:
        pages, free, size = (
            int(db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


if __name__ == "__main__":
    sys.exit(main())
