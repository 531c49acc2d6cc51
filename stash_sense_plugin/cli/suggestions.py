"""`suggestions`: list them, accept or refuse them, and see what was said."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from rich.console import Console
from rich.table import Table

from stash_sense_plugin.cli.desk import DONE, SOME_FAILED, Desk, WrongUsage
from stash_sense_plugin.cli.showing import cells, clock, shown
from stash_sense_plugin.cli.tag_scenes import scene_id

PAGE = 500
"""How many rows are asked for at a time."""
THINGS = ("tag", "studio", "performer", "marker")
OF_MARKERS = "of what kind TAG is (tag); marker means the markers of that tag"


def add(commands: Any) -> None:
    """Add the command's words."""
    about = "list what is suggested, accept or refuse it, and see what was said"
    sub = commands.add_parser("suggestions", help=about, description=about.capitalize() + ".")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    _add_list(actions)
    _add_saying(actions, "accept", "write suggestions to Stash, and keep them whatever comes")
    _add_saying(actions, "refuse", "take back what was written of suggestions, for good")
    _add_unsay(actions)
    _add_verdicts(actions)
    _add_forget(actions)


def _parser(actions: Any, name: str, about: str, command: Callable[..., int]) -> Any:
    sub = actions.add_parser(name, help=about, description=about.capitalize() + ".")
    sub.set_defaults(command=command)
    sub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    return sub


def _add_list(actions: Any) -> None:
    sub = _parser(actions, "list", "list what is suggested", show_suggestions)
    which = sub.add_mutually_exclusive_group()
    which.add_argument("--tag", metavar="NAME", help="of this tag, the most certain first")
    which.add_argument("--scene", metavar="ID", type=scene_id, help="of this scene")
    which.add_argument("--counts", action="store_true", help="how often each thing is suggested")
    sub.add_argument(
        "--decision",
        choices=("ask", "apply", "refused"),
        help="what waits for your word, what is written, or what you refused (else the first two)",
    )
    sub.add_argument("--limit", type=count, metavar="N", help="so many at most")


def _add_saying(actions: Any, name: str, about: str) -> None:
    sub = _parser(actions, name, about, say)
    sub.set_defaults(mode=name)
    sub.add_argument("scene", nargs="?", metavar="SCENE", type=scene_id)
    sub.add_argument("names", nargs="*", metavar="TAG", help="what was suggested for the scene")
    sub.add_argument("--kind", choices=THINGS, help=OF_MARKERS)
    sub.add_argument("--tag", metavar="NAME", help="in every scene for which it is suggested")
    sub.add_argument(
        "--above", metavar="PERCENT", type=percent, help="with --tag: at least so certain"
    )
    sub.add_argument("--dry-run", action="store_true", help="only say how many it would be")


def _add_unsay(actions: Any) -> None:
    about = "take back what you said last of suggestions, and what came of it in Stash"
    sub = _parser(actions, "unsay", about, say)
    sub.set_defaults(mode="unsay", tag=None, above=None)
    sub.add_argument("scene", metavar="SCENE", type=scene_id)
    sub.add_argument("names", nargs="+", metavar="TAG", help="of what you said it")
    sub.add_argument("--kind", choices=THINGS, help=OF_MARKERS)
    sub.add_argument("--dry-run", action="store_true", help="only say how many it would be")


def _add_verdicts(actions: Any) -> None:
    sub = _parser(actions, "verdicts", "list what was accepted and refused", show_verdicts)
    sub.add_argument("--scene", metavar="ID", type=scene_id, help="of this scene")
    sub.add_argument("--said", choices=("accepted", "refused"))
    sub.add_argument("--limit", type=count, metavar="N", help="so many at most")


def _add_forget(actions: Any) -> None:
    sub = _parser(actions, "forget", "forget a verdict, as if it had never been said", forget)
    sub.add_argument("id", type=count, metavar="ID", help="its number in `suggestions verdicts`")


def count(text: str) -> int:
    """Read a whole number above zero."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def percent(text: str) -> float:
    """Read a percentage; return it as a share."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 to 100")
    return share


# --- Lists --------------------------------------------------------------------------------------


def show_suggestions(asked: argparse.Namespace, desk: Desk) -> int:
    """List suggestions, or how often each thing is suggested."""
    if asked.counts:
        return _show_counts(asked, desk)
    by = "tag" if asked.tag else "scene" if asked.scene else ""
    args = {"by": by, "tag": asked.tag, "scene_id": asked.scene, "decision": asked.decision}
    table = Table("Scene", "Title", "", "Suggestion", "Sure", "When", "You said")
    for row in _rows(desk, "suggestions", "suggestions", args, asked.limit):
        if asked.json:
            desk.print_json(row)
        table.add_row(*_cells(row))
    if not asked.json:
        desk.console.print(table if table.row_count else "Nothing is suggested.")
    return DONE


def _cells(row: Mapping[str, Any]) -> Any:
    when = ", ".join(f"{clock(p['start_s'])}-{clock(p['end_s'])}" for p in row["ranges"][:5])
    more = ", ..." if len(row["ranges"]) > 5 else ""
    name = row["name"] if row["kind"] == "tag" else f"{row['name']} ({row['kind']})"
    decision = "" if row["decision"] == "HIDE" else row["decision"].lower()
    title = row["title"] or PurePath(row["source"]).name
    sure, said = f"{row['confidence']:.0%}", row["said"] or ""
    return cells(row["scene_id"], title, decision, name, sure, when + more, said)


def _show_counts(asked: argparse.Namespace, desk: Desk) -> int:
    table = Table("", "Suggestion", "Asked", "Applied", "Refused")
    for row in _rows(desk, "counts", "tags", {}, asked.limit):
        if asked.json:
            desk.print_json(row)
        numbers = (str(row[part]) for part in ("ask", "apply", "refused"))
        table.add_row(*cells(row["kind"], row["name"], *numbers))
    if not asked.json:
        desk.console.print(table if table.row_count else "Nothing is suggested.")
    return DONE


def show_verdicts(asked: argparse.Namespace, desk: Desk) -> int:
    """List what was said, the newest first."""
    table = Table("Number", "You said", "", "Of", "Scene", "How")
    args = {"scene_id": asked.scene, "said": asked.said}
    for row in _rows(desk, "verdicts", "verdicts", args, asked.limit):
        if asked.json:
            desk.print_json(row)
        how = "removed in Stash" if row["source"] == "noticed" else ""
        where = row["scene_id"] or ""
        table.add_row(*cells(str(row["id"]), row["said"], row["kind"], row["name"], where, how))
    if not asked.json:
        desk.console.print(table if table.row_count else "Nothing was said yet.")
    return DONE


def _rows(
    desk: Desk, mode: str, key: str, args: Mapping[str, object], limit: int | None
) -> Iterator[Mapping[str, Any]]:
    """Ask for page after page, until there are no more or enough."""
    given = {name: value for name, value in args.items() if value not in (None, "")}
    left, after = limit, None
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        more: dict[str, object] = {} if after is None else {"after": after}
        page = desk.ask(mode, {**given, **more, "limit": size}, told=after is None)
        yield from page[key]
        left = None if left is None else left - len(page[key])
        after = page["next"]
        if after is None:
            return


# --- Saying -------------------------------------------------------------------------------------


def say(asked: argparse.Namespace, desk: Desk) -> int:
    """Accept or refuse what is named, or all of a tag; or take that back."""
    desk.need_stash()
    done = desk.ask(asked.mode, {**_named(asked), "dry_run": asked.dry_run})
    if asked.json:
        desk.print_json(done)
    else:
        _show_done(desk.console, asked.mode, done)
    return SOME_FAILED if done["failed"] else DONE


def _named(asked: argparse.Namespace) -> dict[str, object]:
    words = f"suggestions {asked.mode}"
    if asked.tag is not None and asked.scene is None and asked.above is not None:
        if asked.kind == "marker":
            # Without this word the tags themselves would be meant, in the whole library.
            one = f"Say `{words} --kind marker SCENE TAG...`"
            raise WrongUsage(f"Markers are spoken of scene by scene. {one}")
        return {"tag": asked.tag, "above": asked.above, "kind": asked.kind or ""}
    if asked.tag is None and asked.names and asked.above is None:
        kind = asked.kind or "tag"
        return {
            "items": [{"scene_id": asked.scene, "kind": kind, "name": name} for name in asked.names]
        }
    raise WrongUsage(f"Say `{words} SCENE TAG...` or `{words} --tag NAME --above PERCENT`")


_SAID = {
    "accept": "accepted: {accepted} (written {written}, there already {there}, markers {markers})",
    "refuse": (
        "refused: {refused} (taken back {taken_back}, markers {markers},"
        " not ours and left {not_ours})"
    ),
    "unsay": (
        "said no longer: {unsaid} (taken back {taken_back}, written again {written},"
        " markers {markers})"
    ),
}


def _show_done(console: Console, mode: str, done: Mapping[str, Any]) -> None:
    would = "Would be " if done["dry_run"] else ""
    told = _SAID[mode].format_map(done)
    console.print(shown(would + told if would else told.capitalize()), soft_wrap=True)
    for row in (*done["failures"], *done.get("left", ())):
        told = f"  scene {row['scene_id']}, {row['name']}: {row['message']}"
        console.print(shown(f"{told}; {row['remedy']}" if row["remedy"] else told), soft_wrap=True)
    left_out = done["failed"] - len(done["failures"])
    if left_out:
        console.print(f"  and {left_out} more", soft_wrap=True)


def forget(asked: argparse.Namespace, desk: Desk) -> int:
    """Forget one verdict."""
    done = desk.ask("verdicts", {"forget": asked.id})["forgotten"]
    if asked.json:
        desk.print_json(done)
    else:
        told = f"Forgotten: {done['name']} was {done['said']}"
        again = "Decide again to see it among the suggestions"
        desk.console.print(shown(f"{told}. {again}."), soft_wrap=True)
    return DONE
