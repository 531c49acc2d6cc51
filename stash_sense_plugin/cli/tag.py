"""`tag`: say what is in files."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk
from stash_sense_plugin.cli.showing import show_result
from stash_sense_plugin.cli.stated import add_settings, settings_of
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.records import Failure, SceneResult


def add(commands: Any) -> None:
    """Add the command's words."""
    sub = commands.add_parser(
        "tag", help="say what is in files", description="Say what is in files."
    )
    sub.set_defaults(command=tag)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    add_settings(sub)
    sub.add_argument("files", nargs="+", metavar="FILE", type=Path)


def tag(asked: argparse.Namespace, desk: Desk) -> int:
    """Look at each file; its result is printed as soon as it is there."""
    failed, settings = False, settings_of(asked)
    for file in asked.files:
        result = _look(file.absolute(), settings, desk)
        failed = failed or result["error"] is not None
        if asked.json:
            desk.print_json(result)
        else:
            show_result(desk.console, result)
    return SOME_FAILED if failed else DONE


def _look(file: Path, settings: Mapping[str, object], desk: Desk) -> Mapping[str, Any]:
    """Return what is said of a file; one that breaks the worker keeps no other from its turn."""
    try:
        result: Mapping[str, Any] = desk.ask("tag_file", {"path": str(file), **settings})
    except StashSenseError as error:
        failure = Failure(error.kind, error.message, error.remedy)
        return SceneResult(str(file), None, {}, error=failure).as_json()
    return result
