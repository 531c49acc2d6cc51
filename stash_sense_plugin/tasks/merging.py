"""Scenes that the user merged in Stash: what we know of the ones that are gone follows their files.

The scene that is gone leaves its files to another one, with its markers under their own numbers;
its tags are there only where the user took them over.
"""

from collections.abc import Iterable

from stash_sense_plugin.library.merges import Followed, Merge, Merges
from stash_sense_plugin.records import Action, LedgerEntry, Reporter, Scene
from stash_sense_plugin.stash import judging
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import (
    SceneState,
    in_groups,
    scene_states,
    scenes_with_copies,
)
from stash_sense_plugin.tasks.engine import Engine


def follow(engine: Engine, client: StashClient, scenes: Iterable[Scene]) -> int:
    """Learn which of these scenes have the files of scenes that are gone; return of how many.

    To be called before what is ours there is judged. Stash is asked only where the store knows a
    file of theirs under another scene. Of what we wrote, only that follows which is there and
    surely ours; of what the user said, all does.
    """
    homes = {file: scene.id for scene in scenes for file in scene.files}
    merges = Merges(engine.store)
    strays = merges.strays(homes)
    if not strays:
        return 0
    there = scene_states(client, list(strays))
    gone = {scene_id: files for scene_id, files in strays.items() if scene_id not in there}
    by_home = {home for files in gone.values() for home in (homes[file] for file in files)}
    states = scene_states(client, sorted(by_home))
    for scene_id, files in gone.items():
        followed = []
        for home in sorted({homes[file] for file in files} & states.keys()):
            moved = frozenset(file for file in files if homes[file] == home)
            merge = Merge(scene_id, home, moved, states[home].fingerprint)
            followed.append(_followed(engine, merges, merge, states[home]))
        if followed:
            merges.follow(scene_id, followed)
    return len(gone)


def follow_all(engine: Engine, client: StashClient, reporter: Reporter) -> int:
    """Learn of all merged scenes of the library, as `follow`: for what visits no scenes.

    A question for each hundred scenes that have several files.
    """
    count = 0
    for group in in_groups(list(scenes_with_copies(client))):
        reporter.check()
        with engine.writing:
            count += follow(engine, client, group)
    return count


def _followed(engine: Engine, merges: Merges, merge: Merge, state: SceneState) -> Followed:
    ours = {scene: engine.ledger.ours([scene]) for scene in (merge.gone, merge.home)}
    moving = [entry for entry in ours[merge.gone] if entry.fingerprint in merge.files]
    last = engine.store.last_tags([merge.gone])
    brought = last.get(merge.gone, frozenset()) - _tags(ours[merge.gone])
    had = merges.tags_at_look(merge.home, judging.bare_scene(state).files)
    known = None if had is None else had | brought | _tags(ours[merge.home])
    rows = [
        entry for entry in moving if judging.stands(entry, state) and _is_surely_ours(entry, known)
    ]
    return Followed(
        merge,
        {entry.row: _known_now(entry, state) for entry in rows if entry.row is not None},
        [entry.row for entry in ours[merge.home] if entry.row and _tags([entry]) & brought],
        brought,
    )


def _tags(entries: Iterable[LedgerEntry]) -> frozenset[str]:
    """The tags that rows gave to a scene."""
    return frozenset(each.target_id for each in entries if each.action is Action.ADD_TAG)


def _known_now(entry: LedgerEntry, state: SceneState) -> dict[str, object]:
    """What the row is to know of the scene that is left: when it had changed, and its tags.

    The times of the scene that is gone say nothing of it.
    """
    now = "" if state.changed_at is None else state.changed_at.isoformat()
    before = entry.detail.get("had")
    had = {*map(str, before if isinstance(before, list) else ()), *state.tag_ids}
    others = sorted(had - {entry.target_id}, key=int)
    return {"changed_at": now, "left_at": now, "had": others}


def _is_surely_ours(entry: LedgerEntry, known: frozenset[str] | None) -> bool:
    """Whether what stands on the scene that is left came there with the one that is gone.

    A marker keeps its number. A tag is ours where the other scene had it neither from the user
    nor from us; unknown where we never looked at that one.
    """
    if entry.action is Action.CREATE_MARKER:
        return True
    return entry.action is Action.ADD_TAG and known is not None and entry.target_id not in known
