"""`store`: how large it is, room in it, and moving what it knows elsewhere."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, Desk
from stash_sense_plugin.cli.showing import cells, shown

STREAM = "-"
"""In place of a file's name: standard output, or standard input."""


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "measure, tidy or move what Stash Sense knows"
    sub = commands.add_parser("store", help=about, description=about.capitalize() + ".")
    words = sub.add_subparsers(required=True, metavar="ACTION")
    stats = words.add_parser("stats", help="say what takes how much room")
    stats.set_defaults(command=show_stats)
    vacuum = words.add_parser(
        "vacuum", help="drop what models no longer in use saw, and give room back to the disk"
    )
    vacuum.set_defaults(command=make_room)
    vacuum.add_argument("--dry-run", action="store_true", help="only say what would be dropped")
    export = words.add_parser("export", help="write what moves to another machine, as JSON lines")
    export.set_defaults(command=export_to)
    export.add_argument("file", help="a new file, compressed where it ends in .gz; - prints it")
    arrive = words.add_parser("import", help="take over what another machine exported")
    arrive.set_defaults(command=import_from)
    arrive.add_argument("file", help="what `store export` wrote; - reads standard input")
    for each in (stats, vacuum, export, arrive):
        each.add_argument("--json", action="store_true", help="print JSON and nothing else")


def show_stats(asked: argparse.Namespace, desk: Desk) -> int:
    """Say what takes how much room."""
    stats = desk.ask("store_stats", {})
    if asked.json:
        desk.print_json(stats)
    else:
        _show_stats(desk.console, stats)
    return DONE


def make_room(asked: argparse.Namespace, desk: Desk) -> int:
    """Drop what is of no use any more; what it does is said while it does it."""
    done = desk.ask("store_vacuum", {"dry_run": asked.dry_run})
    if asked.json:
        desk.print_json(done)
    return DONE


def export_to(asked: argparse.Namespace, desk: Desk) -> int:
    """Write a file, or print it where the name is `-`."""
    if asked.file != STREAM:
        done = desk.ask("store_export", {"path": _whole(asked.file)})
    else:
        with _between(desk) as folder:
            path = Path(folder) / "standard-output"
            # Nothing but the lines may come out, and the worker cannot write to our output.
            done = desk.ask("store_export", {"path": str(path)}, told=False)
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
    if asked.json and asked.file != STREAM:
        desk.print_json(done)
    return DONE


def import_from(asked: argparse.Namespace, desk: Desk) -> int:
    """Take a file over, or standard input where the name is `-`."""
    if asked.file != STREAM:
        done = desk.ask("store_import", {"path": _whole(asked.file)})
    else:
        with _between(desk) as folder:
            path = Path(folder) / "standard-input"
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            done = desk.ask("store_import", {"path": str(path)})
    if asked.json:
        desk.print_json(done)
    return DONE


def _whole(name: str) -> str:
    # The worker has a folder of its own to start from.
    return str(Path(name).absolute())


def _between(desk: Desk) -> tempfile.TemporaryDirectory[str]:
    """A folder that only this user reads, on the disk where the store has its room."""
    desk.home.make()
    return tempfile.TemporaryDirectory(dir=desk.home.folder, prefix="moving-")


def _show_stats(console: Console, stats: Mapping[str, Any]) -> None:
    size, empty = _size(stats["bytes_on_disk"]), _size(stats["bytes_empty"])
    console.print(shown(f"{stats['path']}: {size}, {empty} of it empty", "bold"), soft_wrap=True)
    if stats["bytes_per_file"] is not None:
        per_file = _size(stats["bytes_per_file"])
        console.print(shown(f"{stats['files']} files, {per_file} each; {stats['scenes']} scenes"))
    seen = Table("Detector", "Model", "Files", "Looks", "Observations", "Vectors")
    for row in stats["detectors"]:
        numbers = (row["files"], row["analyses"], row["observations"])
        vectors = _size(row["vector_bytes"])
        seen.add_row(*cells(row["detector"], row["model"], *map(str, numbers), vectors))
    console.print(seen)
    tables = Table("Table", "Rows", "Size")
    for row in sorted(stats["tables"], key=lambda row: -(row["bytes"] or 0)):
        tables.add_row(*cells(row["name"], str(row["rows"]), _size(row["bytes"])))
    console.print(tables)
    for row in stats["backups"]:
        kept = f"Kept from before an update: {row['path']} ({_size(row['bytes'])})"
        console.print(shown(kept), soft_wrap=True)


def _size(count: int | None) -> str:
    if count is None:
        return ""
    for unit, least in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} bytes"
