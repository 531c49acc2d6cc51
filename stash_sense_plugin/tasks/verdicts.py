"""Accept and refuse suggestions, and list what was said of them."""

from collections.abc import Iterator, Mapping

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.library.suggested import Place, SuggestionList
from stash_sense_plugin.library.verdicts import Verdict
from stash_sense_plugin.records import Decision, Reporter, Said
from stash_sense_plugin.tasks.carrying import Accepting, Carrying, Item, Refusing
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.suggesting import scene_named
from stash_sense_plugin.tasks.upkeep import MOST_IN_A_PAGE, PAGE, whole_number

KINDS = ("tag", "studio", "performer")


def accept(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Accept suggestions, and write them to Stash.

    `items` names them; or `tag`, of those that are asked about all that are at least as certain
    as `above` (0..1). With `dry_run`, only say what would come of it.
    """
    items = list(_items(engine, call.args, frozenset({Decision.ASK})))
    return _carry_out(Accepting, engine, call, items, reporter)


def refuse(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Refuse suggestions, and take back what Stash Sense wrote of them; as `accept`.

    Of a `tag`, those that are written are refused too.
    """
    items = list(_items(engine, call.args, frozenset({Decision.ASK, Decision.APPLY})))
    return _carry_out(Refusing, engine, call, items, reporter)


def _carry_out(
    way: type[Carrying], engine: Engine, call: Call, items: list[Item], reporter: Reporter
) -> dict[str, object]:
    aside = engine.aside()
    with aside.stash(call, reporter) as client:
        carrying = way(aside, client, reporter, dry_run=is_true(call.args.get("dry_run")))
        return carrying.carry_out(items)


def is_true(value: object) -> bool:
    """Read a yes or no that may come as text, as Stash's arguments do."""
    return str(value).casefold() in ("true", "1", "yes")


# --- What is named ------------------------------------------------------------------------------


def _items(
    engine: Engine, args: Mapping[str, object], decisions: frozenset[Decision]
) -> Iterator[Item]:
    """Read what the user speaks of. Raises SettingsError."""
    if (items := args.get("items")) is not None:
        if not isinstance(items, list | tuple) or not items:
            raise SettingsError(
                "items is no list of suggestions", "give the scene_id and name of each"
            )
        yield from dict.fromkeys(map(_item, items))
        return
    tag = str(args.get("tag") or "").strip()
    if not tag:
        raise SettingsError(
            "No suggestion is named", "give items, or tag and above (a confidence from 0 to 1)"
        )
    yield from _above(engine, tag, decisions, _confidence(args))


def _item(raw: object) -> Item:
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{raw!r} is no suggestion", "give its scene_id and name")
    kind, name = str(raw.get("kind") or "tag"), str(raw.get("name") or "").strip()
    if kind not in KINDS:
        raise SettingsError(f"{kind!r} is no kind of suggestion", f"say {', '.join(KINDS)}")
    if not name:
        raise SettingsError("A suggestion has no name", "give the scene_id and name of each")
    return Item(scene_named(raw), kind, name, str(raw.get("target_id") or ""))


def _confidence(args: Mapping[str, object]) -> float:
    try:
        above = float(str(args.get("above", 0)))
    except ValueError:
        above = -1.0
    if not 0 <= above <= 1:
        raise SettingsError(f"above is {args['above']!r}", "give a confidence from 0 to 1")
    return above


def _above(
    engine: Engine, tag: str, decisions: frozenset[Decision], above: float
) -> Iterator[Item]:
    listed = SuggestionList(engine.store)
    after: Place | None = None
    while rows := listed.by_name(tag, None, above, after, MOST_IN_A_PAGE):
        for row in rows:
            if row.decision in decisions:
                yield Item(row.scene_id, row.kind, row.name, row.target_id)
        after = rows[-1].place_by_name


# --- What was said ------------------------------------------------------------------------------


def verdicts(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return what was said of suggestions, newest first, or forget one of it.

    `after` is the last page's `next`; `said` (accepted or refused) and `scene_id` choose.
    `forget` is the number of a verdict: it is as if it had never been said.
    """
    args = call.args
    if args.get("forget") is not None:
        return {"forgotten": _forget(engine, whole_number(args, "forget", 0, 1))}
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    after = None if args.get("after") is None else whole_number(args, "after", 0)
    scene_id = scene_named(args) if args.get("scene_id") else None
    rows = engine.verdicts.listing(after, limit, _said(args), scene_id)
    return {
        "verdicts": [_row(row) for row in rows],
        "next": str(rows[-1].id) if len(rows) == limit else None,
    }


def _said(args: Mapping[str, object]) -> Said | None:
    wanted = str(args.get("said") or "")
    try:
        return Said(wanted) if wanted else None
    except ValueError:
        raise SettingsError(
            f"said is {wanted!r}", f"say {', '.join(Said)}, or leave it out"
        ) from None


def _forget(engine: Engine, number: int) -> dict[str, object]:
    verdict = engine.verdicts.withdraw(number)
    if verdict is None:
        raise SettingsError(
            f"There is no verdict {number}", "list them with `suggestions verdicts`"
        )
    return _row(verdict)


def _row(verdict: Verdict) -> dict[str, object]:
    return {
        "id": verdict.id,
        "said": verdict.said.value,
        "source": verdict.source,
        "kind": verdict.kind,
        "name": verdict.name,
        "target_id": verdict.target_id or None,
        "scene_id": verdict.scene_id or None,
        "said_at_s": verdict.said_at_s,
    }
