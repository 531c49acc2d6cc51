"""`tag-scenes`: tag the scenes of a Stash."""

import argparse
from typing import Any

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk


def add(commands: Any) -> None:
    """Add the command's words."""
    sub = commands.add_parser(
        "tag-scenes",
        help="tag the scenes of a Stash that carry TagMe",
        description="Tag the scenes of a Stash that carry TagMe.",
    )
    sub.set_defaults(command=tag_scenes)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    choice = sub.add_mutually_exclusive_group()
    choice.add_argument(
        "--ids", nargs="+", metavar="ID", type=scene_id, help="these scenes, tagged or not"
    )
    choice.add_argument("--all", action="store_true", help="every scene not yet Tagged")
    sub.add_argument(
        "--dry-run", action="store_true", help="look, and write nothing to Stash but say what"
    )
    _add_answers(sub)


def _add_answers(sub: argparse.ArgumentParser) -> None:
    answer = sub.add_mutually_exclusive_group()
    answer.add_argument(
        "--removed-on-purpose",
        dest="missing",
        action="store_const",
        const="removed",
        help="what is gone of our tags was taken away by you: remember it as refused",
    )
    answer.add_argument(
        "--restored-backup",
        dest="missing",
        action="store_const",
        const="restored",
        help="it is gone because a backup of Stash's database was put back: write it again",
    )


def scene_id(text: str) -> str:
    """Read the number of a scene."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a scene")
    return text


def tag_scenes(asked: argparse.Namespace, desk: Desk) -> int:
    """Run the task Tag scenes."""
    desk.need_stash()
    args: dict[str, object] = {"all": asked.all}
    if asked.dry_run:
        args["dry_run"] = True
    if asked.missing:
        args["missing"] = asked.missing
    if asked.ids:
        args["ids"] = asked.ids
    done = desk.ask("tag_scenes", args)
    if asked.json:
        desk.print_json(done)
    return SOME_FAILED if done["failed"] or done["left"] else DONE
