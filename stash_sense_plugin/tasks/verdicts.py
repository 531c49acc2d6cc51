"""Accept and refuse suggestions, take that back, and list what was said of them."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import cast

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.library.suggested import Place, SuggestionList
from stash_sense_plugin.library.verdicts import Verdict
from stash_sense_plugin.records import Decision, Reporter, Said
from stash_sense_plugin.tasks.api import AcceptTold, RefuseTold, UnsayTold
from stash_sense_plugin.tasks.asked import (
    MOST_IN_A_PAGE,
    PAGE,
    given,
    listed,
    row_after,
    scene_id,
    share,
    shown,
    switched_on,
    text,
    whole_number,
    within,
    word,
)
from stash_sense_plugin.tasks.carrying import MARKER, Accepting, Carrying, Item, Refusing
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.unsaying import Unsaying

KINDS = ("tag", "studio", "performer")
"""What is suggested."""
THINGS = (*KINDS, MARKER)
"""What can be spoken of: the markers of a tag too, by its name."""


def accept(engine: Engine, call: Call, reporter: Reporter) -> AcceptTold:
    """Accept suggestions, and write them to Stash.

    `items` names them, of kind `marker` the markers of a tag that the scene has, or that is
    accepted with them; or `tag` (of one `kind` where that is given), of those that are asked about
    all that are at least as certain as `above` (0..1). With `dry_run`, only say what would come of
    it.
    """
    items = list(_items(engine, call.args, frozenset({Decision.ASK})))
    return cast("AcceptTold", _carry_out(Accepting, engine, call, items, reporter))


def refuse(engine: Engine, call: Call, reporter: Reporter) -> RefuseTold:
    """Refuse suggestions, and take back what Stash Sense wrote of them; as `accept`.

    Of a `tag`, those that are written are refused too. Where markers are refused, their tag stays.
    """
    items = list(_items(engine, call.args, frozenset({Decision.ASK, Decision.APPLY})))
    return cast("RefuseTold", _carry_out(Refusing, engine, call, items, reporter))


def unsay(engine: Engine, call: Call, reporter: Reporter) -> UnsayTold:
    """Take back what was said last of the suggestions in `items`, and what came of it in Stash.

    What an acceptance wrote is taken back, what a refusal took back is written again. Where an
    item has `said`, that alone is taken back: asked for twice, it leaves what was said before it.
    With `dry_run`, only say what would come of it.
    """
    if given(call.args, "items") is None:
        raise SettingsError("No suggestion is named", "give items")
    items = list(_items(engine, call.args, frozenset()))
    meant = {
        _item(raw): Said(said)
        for raw in listed(call.args, "items")
        if (said := word(raw, "said", Said))
    }
    way = partial(Unsaying, meant=meant)
    return cast("UnsayTold", _carry_out(way, engine, call, items, reporter))


def _carry_out(
    way: Callable[..., Carrying], engine: Engine, call: Call, items: list[Item], reporter: Reporter
) -> dict[str, object]:
    aside = engine.aside()
    with aside.stash(call, reporter) as client:
        carrying = way(aside, client, reporter, dry_run=switched_on(call.args, "dry_run"))
        return carrying.carry_out(items)


# --- What is named ------------------------------------------------------------------------------


def _items(
    engine: Engine, args: Mapping[str, object], decisions: frozenset[Decision]
) -> Iterator[Item]:
    """Read what the user speaks of. Raises SettingsError."""
    if given(args, "items") is not None:
        items = listed(args, "items")
        if not items:
            raise SettingsError("items is an empty list", "give the scene_id and name of each")
        yield from dict.fromkeys(map(_item, items))
        return
    tag = text(args, "tag")
    if not tag or given(args, "above") is None:
        raise SettingsError(
            "No suggestion is named", "give items, or tag and above (a confidence from 0 to 1)"
        )
    kind = word(args, "kind", KINDS)
    for item in _above(engine, tag, decisions, share(args, "above")):
        if kind in ("", item.kind):
            yield item


def _item(raw: object) -> Item:
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{shown(raw)} is no suggestion", "give its scene_id and name")
    name = text(raw, "name")
    if not name:
        raise SettingsError("A suggestion has no name", "give the scene_id and name of each")
    return Item(scene_id(raw), word(raw, "kind", THINGS, "tag"), name, text(raw, "target_id"))


def _above(
    engine: Engine, tag: str, decisions: frozenset[Decision], above: float
) -> Iterator[Item]:
    known = SuggestionList(engine.store)
    after: Place | None = None
    while rows := known.by_name(tag, None, above, after, MOST_IN_A_PAGE):
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
    if given(args, "forget") is not None:
        return {"forgotten": _forget(engine, whole_number(args, "forget", 0, 1))}
    limit = whole_number(args, "limit", PAGE, 1, MOST_IN_A_PAGE)
    wanted = word(args, "said", Said)
    scene = None if given(args, "scene_id") is None else scene_id(args)
    rows = engine.verdicts.listing(row_after(args), limit, Said(wanted) if wanted else None, scene)
    page = within([_row(row) for row in rows])
    more = len(rows) == limit or len(page) < len(rows)
    return {"verdicts": page, "next": str(page[-1]["id"]) if more else None}


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
