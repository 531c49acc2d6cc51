"""The command line: the same work for a person or cron, through the worker."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from rich.console import Console

from stash_sense_plugin.cli import (
    decide,
    doctor,
    errors,
    evaluate,
    models,
    similar,
    store,
    suggestions,
    tag,
    tag_scenes,
    undo,
    vocabulary,
)
from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, WRONG_USAGE, Desk, WrongUsage
from stash_sense_plugin.cli.showing import shown
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.start.fault import StartError
from stash_sense_plugin.start.version import VERSION

COMMANDS: tuple[ModuleType, ...] = (
    tag,
    tag_scenes,
    decide,
    suggestions,
    undo,
    evaluate,
    errors,
    similar,
    models,
    vocabulary,
    store,
    doctor,
)
"""In the order in which the help lists them; each has `add`."""


def main(argv: Sequence[str]) -> int:
    """Run one command; 0 when all went well, 1 when something failed, 2 for wrong usage."""
    try:
        asked = _parser().parse_args(argv)
    except SystemExit as ended:
        return WRONG_USAGE if ended.code else DONE
    command: Callable[[argparse.Namespace, Desk], int] = asked.command
    try:
        return command(asked, Desk(asked))
    except WrongUsage as error:
        return _complain(error, WRONG_USAGE)
    except (StartError, StashSenseError) as error:
        return _complain(error, SOME_FAILED)
    except BrokenPipeError:
        # Whoever read our output has enough of it; what is still held back must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except KeyboardInterrupt:
        return SOME_FAILED


def _complain(error: Exception, status: int) -> int:
    Console(stderr=True).print(shown(str(error), "red"), soft_wrap=True)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stash_sense_plugin", description="Say what is in videos and pictures."
    )
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument(
        "--stash",
        metavar="URL",
        default=os.environ.get("STASH_URL"),
        help="the Stash to work with (or STASH_URL; its key in STASH_API_KEY)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
