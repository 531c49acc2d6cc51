"""Every question that we ask Stash, and a function for each.

A document is a constant in capitals; the tests check each one against Stash's own schema.
What is not to change is left out of a mutation's input: Stash takes null for "clear it".
"""

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from stash_sense_plugin.errors import StashError, StashRefused
from stash_sense_plugin.records import Fingerprint, Scene
from stash_sense_plugin.stash.client import StashClient

HUNDRED: Final = 100
"""How many scenes a question or a write names at most."""

Mode = Literal["ADD", "REMOVE"]
"""How we change a list. SET is not ours to use: it would replace what others wrote."""

SHORTEST_KEEP_S: Final = 1.0
"""How often, at most, a cookie is kept alive."""

Thing = TypeVar("Thing")


# --- Values -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StashTag:
    """A tag as Stash has it."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    parent_ids: tuple[str, ...] = ()
    ignore_auto_tag: bool = False


@dataclass(frozen=True, slots=True)
class StashStudio:
    """A studio as Stash has it."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StashMarker:
    """A marker as Stash has it."""

    id: str
    primary_tag_id: str
    start_s: float
    end_s: float | None
    title: str
    tag_ids: frozenset[str] = frozenset()
    """Tags that it has besides its primary one."""


@dataclass(frozen=True, slots=True)
class TagUse:
    """A tag with all that would be lost with it."""

    tag: StashTag
    counts: Mapping[str, int]
    """How many things have it, by what they are: `scenes`, `markers`, `children` and the like."""
    has_more: bool
    """It has a picture, a description, a mark as favourite or ids of a stash-box."""


@dataclass(frozen=True, slots=True)
class SceneState:
    """What may change on a scene, read just before a write."""

    id: str
    fingerprint: Fingerprint | None
    tag_ids: frozenset[str]
    studio_id: str | None
    markers: tuple[StashMarker, ...]
    changed_at: datetime | None
    """By Stash's clock."""
    other_files: tuple[Fingerprint, ...] = ()
    """Of files that are not the primary one: copies, and those of scenes merged into it."""


@dataclass(frozen=True, slots=True)
class WorkflowCounts:
    """How many scenes there are, and how many carry each workflow tag."""

    scenes: int
    to_do: int
    tagged: int
    errored: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A scene after a write of ours, in Stash's answer to it."""

    tag_ids: frozenset[str]
    studio_id: str | None
    changed_at: datetime | None
    """By Stash's clock, in whole seconds; every write to a scene moves it, none to a marker."""


@dataclass(frozen=True, slots=True)
class StashSystem:
    """Which Stash this is."""

    version: str
    status: str
    """`OK`, `SETUP` or `NEEDS_MIGRATION`."""
    database_path: str
    config_path: str


@dataclass(frozen=True, slots=True)
class StashJob:
    """A job in Stash's queue, which does one at a time."""

    id: str
    status: str
    """`READY` (it waits), `RUNNING`, `STOPPING`; ended ones are not in the queue."""
    description: str


# --- Scenes -------------------------------------------------------------------------------------

_FILE: Final = "path size duration width height fingerprints { type value }"
_SCENE: Final = f"""
id title tags {{ id }} studio {{ id }} paths {{ sprite vtt }} files {{ {_FILE} }}
"""
_STATE: Final = """
id updated_at tags { id } studio { id } files { size fingerprints { type value } }
scene_markers { id title seconds end_seconds primary_tag { id } tags { id } }
"""

FIND_SCENES: Final = f"""
query FindScenes($filter: FindFilterType, $scene_filter: SceneFilterType) {{
  findScenes(filter: $filter, scene_filter: $scene_filter) {{ scenes {{ {_SCENE} }} }}
}}"""

COUNT_SCENES: Final = """
query CountScenes($filter: FindFilterType, $scene_filter: SceneFilterType) {
  findScenes(filter: $filter, scene_filter: $scene_filter) { count }
}"""

COUNT_WORKFLOW: Final = """
query CountWorkflow(
  $filter: FindFilterType, $no_to_do: Boolean!, $no_tagged: Boolean!, $no_errored: Boolean!,
  $to_do: SceneFilterType, $tagged: SceneFilterType, $errored: SceneFilterType
) {
  all: findScenes(filter: $filter) { count }
  to_do: findScenes(filter: $filter, scene_filter: $to_do) @skip(if: $no_to_do) { count }
  tagged: findScenes(filter: $filter, scene_filter: $tagged) @skip(if: $no_tagged) { count }
  errored: findScenes(filter: $filter, scene_filter: $errored) @skip(if: $no_errored) { count }
}"""

SCENES_BY_IDS: Final = f"""
query ScenesByIds($ids: [ID!]) {{ findScenes(ids: $ids) {{ scenes {{ {_SCENE} }} }} }}"""

SCENE_BY_ID: Final = f"""
query SceneById($id: ID!) {{ findScene(id: $id) {{ {_SCENE} }} }}"""

STATES_BY_IDS: Final = f"""
query SceneStates($ids: [ID!]) {{ findScenes(ids: $ids) {{ scenes {{ {_STATE} }} }} }}"""

STATE_BY_ID: Final = f"""
query SceneState($id: ID!) {{ findScene(id: $id) {{ {_STATE} }} }}"""


def scenes_with_tag(client: StashClient, tag_id: str, after: str = "0") -> Iterator[Scene]:
    """All scenes that carry the tag, by id; those after `after`, however many there are.

    A page at a time is held. Scenes may lose the tag while we go: each page begins behind the
    last id of the one before.
    """
    return _keyset(client, {"tags": _criterion([tag_id], "INCLUDES")}, after)


def scenes_without_tag(client: StashClient, tag_id: str, after: str = "0") -> Iterator[Scene]:
    """All scenes that do not carry the tag, by id, as `scenes_with_tag`."""
    return _keyset(client, {"tags": _criterion([tag_id], "EXCLUDES")}, after)


def scenes_with_copies(client: StashClient) -> Iterator[Scene]:
    """All scenes that have several files, by id: copies, or scenes that were merged."""
    return _keyset(client, {"file_count": {"value": 1, "modifier": "GREATER_THAN"}}, "0")


def scenes_with_any_tag(client: StashClient) -> Iterator[Scene]:
    """All scenes that carry a tag, by id."""
    return _keyset(client, {"tag_count": {"value": 0, "modifier": "GREATER_THAN"}}, "0")


def count_workflow(
    client: StashClient, to_do: str | None, tagged: str | None, errored: str | None
) -> WorkflowCounts:
    """How many scenes there are, and how many carry each of these tags: none for no tag."""
    ids = {"to_do": to_do, "tagged": tagged, "errored": errored}
    wanted: dict[str, Any] = {"filter": {"per_page": 0}}
    for name, tag_id in ids.items():
        wanted[f"no_{name}"] = tag_id is None
        if tag_id is not None:
            wanted[name] = {"tags": _criterion([tag_id], "INCLUDES")}
    raw = client.call(COUNT_WORKFLOW, wanted)
    counts = {name: int(raw[name]["count"]) if name in raw else 0 for name in ids}
    return WorkflowCounts(int(raw["all"]["count"]), **counts)


def count_with_tag(client: StashClient, tag_id: str, after: str = "0") -> int:
    """How many scenes with a higher id than `after` carry the tag."""
    return _count(client, {"tags": _criterion([tag_id], "INCLUDES"), **_behind(after)})


def count_without_tag(client: StashClient, tag_id: str, after: str = "0") -> int:
    """How many scenes with a higher id than `after` do not carry the tag."""
    return _count(client, {"tags": _criterion([tag_id], "EXCLUDES"), **_behind(after)})


def scenes_by_ids(client: StashClient, ids: Sequence[str]) -> list[Scene]:
    """These scenes, each once and in this order; those that Stash does not have are left out."""
    raw = _by_ids(client, ids, SCENES_BY_IDS, SCENE_BY_ID)
    return [_scene(values) for values in raw]


def some_scenes(client: StashClient, count: int, seed: int = 1) -> list[Scene]:
    """Scenes from anywhere in the library; `seed` chooses which."""
    page = {"per_page": count, "page": 1, "sort": f"random_{seed}", "direction": "ASC"}
    raw = client.call(FIND_SCENES, {"filter": page})["findScenes"]["scenes"]
    return [_scene(values) for values in raw]


def scene_states(client: StashClient, ids: Sequence[str]) -> dict[str, SceneState]:
    """What may change on these scenes, by id; those that Stash does not have are left out."""
    raw = _by_ids(client, ids, STATES_BY_IDS, STATE_BY_ID)
    return {state.id: state for state in map(_state, raw)}


def _keyset(client: StashClient, wanted: Mapping[str, Any], after: str) -> Iterator[Scene]:
    page = {"per_page": HUNDRED, "page": 1, "sort": "id", "direction": "ASC"}
    while True:
        variables = {"filter": page, "scene_filter": {**wanted, **_behind(after)}}
        raw = client.call(FIND_SCENES, variables)["findScenes"]["scenes"]
        yield from map(_scene, raw)
        if len(raw) < HUNDRED:
            return
        after = raw[-1]["id"]


def _behind(scene_id: str) -> dict[str, Any]:
    return {"id": {"value": int(scene_id), "modifier": "GREATER_THAN"}}


def _count(client: StashClient, wanted: Mapping[str, Any]) -> int:
    variables = {"filter": {"per_page": 0}, "scene_filter": wanted}
    return int(client.call(COUNT_SCENES, variables)["findScenes"]["count"])


def _criterion(ids: Sequence[str], modifier: str) -> dict[str, Any]:
    return {"value": list(ids), "modifier": modifier, "depth": 0}


def _by_ids(
    client: StashClient, ids: Sequence[str], many: str, one: str
) -> Iterator[dict[str, Any]]:
    """Ask in hundreds; one missing id fails a hundred, which is then asked for one by one."""
    for group in in_groups(tuple(dict.fromkeys(ids))):
        try:
            yield from client.call(many, {"ids": list(group)})["findScenes"]["scenes"]
        except StashRefused as error:
            if not any("not found" in message for message in error.messages):
                raise
            found = (client.call(one, {"id": scene_id})["findScene"] for scene_id in group)
            yield from (values for values in found if values is not None)


def in_groups(things: Sequence[Thing], size: int = HUNDRED) -> Iterator[Sequence[Thing]]:
    """Cut a sequence into pieces of at most `size`."""
    return (things[start : start + size] for start in range(0, len(things), size))


def _scene(values: Mapping[str, Any]) -> Scene:
    file = next(iter(values["files"]), None)
    paths = values["paths"] if file is not None else {}
    return Scene(
        id=values["id"],
        title=values["title"] or "",
        path=file["path"] if file else "",
        fingerprint=_fingerprint(file),
        duration_s=float(file["duration"]) if file else None,
        width=file["width"] if file else 0,
        height=file["height"] if file else 0,
        sprite_path=_server_path(paths.get("sprite")),
        vtt_path=_server_path(paths.get("vtt")),
        tag_ids=frozenset(tag["id"] for tag in values["tags"]),
        studio_id=(values["studio"] or {}).get("id"),
        other_files=_other_files(values["files"]),
        phashes=_phashes(values["files"]),
    )


def _state(values: Mapping[str, Any]) -> SceneState:
    return SceneState(
        id=values["id"],
        fingerprint=_fingerprint(next(iter(values["files"]), None)),
        tag_ids=frozenset(tag["id"] for tag in values["tags"]),
        studio_id=(values["studio"] or {}).get("id"),
        markers=tuple(map(_marker, values["scene_markers"])),
        changed_at=_time(values["updated_at"]),
        other_files=_other_files(values["files"]),
    )


def _marker(values: Mapping[str, Any]) -> StashMarker:
    return StashMarker(
        id=values["id"],
        primary_tag_id=values["primary_tag"]["id"],
        start_s=float(values["seconds"]),
        end_s=None if values["end_seconds"] is None else float(values["end_seconds"]),
        title=values["title"],
        tag_ids=frozenset(tag["id"] for tag in values.get("tags", ())),
    )


def _fingerprint(file: Mapping[str, Any] | None) -> Fingerprint | None:
    """The primary file's (Stash lists it first); None without a file or before it is hashed."""
    if file is None:
        return None
    hashes = {entry["type"]: entry["value"] for entry in file["fingerprints"]}
    return Fingerprint(hashes["oshash"], int(file["size"])) if "oshash" in hashes else None


def _other_files(files: Sequence[Mapping[str, Any]]) -> tuple[Fingerprint, ...]:
    """Those behind the primary one that are hashed."""
    found = (_fingerprint(file) for file in files[1:])
    return tuple(fingerprint for fingerprint in found if fingerprint is not None)


def _phashes(files: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    entries = (entry for file in files for entry in file["fingerprints"])
    return tuple(entry["value"] for entry in entries if entry["type"] == "phash")


def _server_path(url: str | None) -> str:
    """The path on Stash's server: host and prefix are those that Stash takes itself to have."""
    path = urlsplit(url or "").path
    start = path.rfind("/scene/")
    return path[start:] if start >= 0 else ""


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text or "")
    except ValueError:
        return None


# --- Writes to scenes ---------------------------------------------------------------------------

_CHANGED: Final = "id updated_at tags { id } studio { id }"

CHANGE_TAGS: Final = f"""
mutation ChangeTags($input: BulkSceneUpdateInput!) {{
  bulkSceneUpdate(input: $input) {{ {_CHANGED} }}
}}"""

SET_STUDIO: Final = f"""
mutation SetStudio($input: SceneUpdateInput!) {{
  sceneUpdate(input: $input) {{ {_CHANGED} }}
}}"""

CREATE_MARKER: Final = """
mutation CreateMarker($input: SceneMarkerCreateInput!) {
  sceneMarkerCreate(input: $input) { id title seconds end_seconds primary_tag { id } }
}"""

DESTROY_MARKERS: Final = """
mutation DestroyMarkers($ids: [ID!]!) { sceneMarkersDestroy(ids: $ids) }"""


def change_tags(
    client: StashClient, scene_ids: Sequence[str], tag_id: str, mode: Mode
) -> dict[str, Changed]:
    """Add one tag to scenes or take it away; each scene afterwards.

    One unknown id fails all. May be repeated without harm, so a lost answer is asked for again.
    """
    change = {"ids": list(scene_ids), "tag_ids": {"ids": [tag_id], "mode": mode}}
    raw = client.call(CHANGE_TAGS, {"input": change}, repeatable=True)["bulkSceneUpdate"] or []
    return {scene["id"]: _changed(scene) for scene in raw}


def set_studio(client: StashClient, scene_id: str, studio_id: str) -> Changed | None:
    """Write the studio of a scene; the scene afterwards."""
    change = {"id": scene_id, "studio_id": studio_id}
    raw = client.call(SET_STUDIO, {"input": change})["sceneUpdate"]
    return None if raw is None else _changed(raw)


def clear_studio(client: StashClient, scene_id: str) -> Changed | None:
    """Leave a scene without a studio; the scene afterwards."""
    change = {"id": scene_id, "studio_id": None}
    raw = client.call(SET_STUDIO, {"input": change})["sceneUpdate"]
    return None if raw is None else _changed(raw)


def _changed(values: Mapping[str, Any]) -> Changed:
    return Changed(
        tag_ids=frozenset(tag["id"] for tag in values["tags"]),
        studio_id=(values["studio"] or {}).get("id"),
        changed_at=_time(values["updated_at"]),
    )


def create_marker(
    client: StashClient,
    scene_id: str,
    tag_id: str,
    start_s: float,
    end_s: float | None,
    title: str,
) -> StashMarker:
    """Create a marker. Stash checks nothing but the end, and creates a second one if asked to."""
    wanted: dict[str, Any] = {
        "scene_id": scene_id,
        "primary_tag_id": tag_id,
        "seconds": start_s,
        "title": title,
    }
    if end_s is not None:
        wanted["end_seconds"] = end_s
    return _marker(client.call(CREATE_MARKER, {"input": wanted})["sceneMarkerCreate"])


def destroy_markers(client: StashClient, marker_ids: Sequence[str]) -> None:
    """Destroy markers, all or none: one that Stash does not have fails the others too."""
    client.call(DESTROY_MARKERS, {"ids": list(marker_ids)})


# --- Tags ---------------------------------------------------------------------------------------

_TAG: Final = "id name aliases ignore_auto_tag parents { id }"

ALL_TAGS: Final = f"""
query AllTags($filter: FindFilterType) {{ findTags(filter: $filter) {{ tags {{ {_TAG} }} }} }}"""

FIND_TAG: Final = f"""
query FindTagByName($name: TagFilterType, $alias: TagFilterType, $q: FindFilterType) {{
  by_name: findTags(tag_filter: $name, filter: {{ per_page: -1 }}) {{ tags {{ {_TAG} }} }}
  by_alias: findTags(tag_filter: $alias, filter: {{ per_page: -1 }}) {{ tags {{ {_TAG} }} }}
  by_words: findTags(filter: $q) {{ tags {{ {_TAG} }} }}
}}"""

FIND_TAGS: Final = f"""
query FindTagsByNames($called: TagFilterType) {{
  findTags(tag_filter: $called, filter: {{ per_page: -1 }}) {{ tags {{ {_TAG} }} }}
}}"""

TAG_BY_ID: Final = f"""
query TagById($id: ID!) {{ findTag(id: $id) {{ {_TAG} }} }}"""

TAGS_BY_IDS: Final = f"""
query TagsByIds($ids: [ID!]) {{ findTags(ids: $ids) {{ tags {{ {_TAG} }} }} }}"""

NEWEST_TAG: Final = """
query NewestTag {
  findTags(filter: { per_page: 1, sort: "id", direction: DESC }) { tags { id } }
}"""

_COUNTS: Final = {
    "scene_count": "scenes",
    "scene_marker_count": "markers",
    "image_count": "images",
    "gallery_count": "galleries",
    "performer_count": "performers",
    "studio_count": "studios",
    "group_count": "groups",
    "child_count": "children",
}

TAG_USE: Final = f"""
query TagUse($id: ID!) {{
  findTag(id: $id) {{
    {_TAG} {" ".join(_COUNTS)}
    description favorite image_path stash_ids {{ stash_id }}
  }}
}}"""

DESTROY_TAG: Final = """
mutation DestroyTag($ids: [ID!]!) { tagsDestroy(ids: $ids) }"""

CREATE_TAG: Final = f"""
mutation CreateTag($input: TagCreateInput!) {{ tagCreate(input: $input) {{ {_TAG} }} }}"""


def find_tag(client: StashClient, name: str) -> StashTag | None:
    """The tag of this name or alias: exactly so, else in any case; a name goes before an alias.

    Stash's EQUALS is LIKE and knows names only, so we ask widely and compare here.
    """
    wanted = name.strip()
    if not wanted:
        return None
    equals = {"value": wanted, "modifier": "EQUALS"}
    words = {"q": '"{}"'.format(wanted.replace('"', " ")), "per_page": HUNDRED}
    found = client.call(
        FIND_TAG, {"name": {"name": equals}, "alias": {"aliases": equals}, "q": words}
    )
    return _likest([_tag(raw) for part in found.values() for raw in part["tags"]], wanted)


def find_tags(client: StashClient, names: Iterable[str]) -> dict[str, StashTag]:
    """The tags of these names or aliases, as `find_tag` finds each; asked for together."""
    found: dict[str, StashTag] = {}
    for group in in_groups(tuple(dict.fromkeys(filter(None, map(str.strip, names))))):
        pattern = f"(?i)^({'|'.join(map(re.escape, group))})$"
        one_of = {"value": pattern, "modifier": "MATCHES_REGEX"}
        called = {"name": one_of, "OR": {"aliases": one_of}}
        raw = client.call(FIND_TAGS, {"called": called})["findTags"]["tags"]
        tags = [_tag(values) for values in raw]
        for name in group:
            alike = [tag for tag in tags if _is_equal(tag, name)]
            found |= {} if (tag := _likest(alike, name)) is None else {name: tag}
    return found


def all_tags(client: StashClient) -> list[StashTag]:
    """All tags, each once, by id."""
    found: dict[str, StashTag] = {}
    page = 1
    while True:
        wanted = {"per_page": 10 * HUNDRED, "page": page, "sort": "id", "direction": "ASC"}
        raw = client.call(ALL_TAGS, {"filter": wanted})["findTags"]["tags"]
        found |= {tag.id: tag for tag in map(_tag, raw)}
        if len(raw) < 10 * HUNDRED:
            return list(found.values())
        page += 1


def is_called(thing: StashTag | StashStudio, name: str) -> bool:
    """Whether this is its name or an alias of it, in any case."""
    folded = name.strip().casefold()
    return folded in {each.casefold() for each in (thing.name, *thing.aliases)}


def tag_by_id(client: StashClient, tag_id: str) -> StashTag | None:
    """The tag, or None where Stash has it no longer."""
    raw = client.call(TAG_BY_ID, {"id": tag_id})["findTag"]
    return None if raw is None else _tag(raw)


def tags_by_ids(client: StashClient, ids: Sequence[str]) -> dict[str, StashTag]:
    """These tags by id; those that Stash does not have are left out."""
    found: dict[str, StashTag] = {}
    for group in in_groups(tuple(dict.fromkeys(ids))):
        try:
            raw = client.call(TAGS_BY_IDS, {"ids": list(group)})["findTags"]["tags"]
            found |= {values["id"]: _tag(values) for values in raw}
        except StashRefused as error:
            # One that is missing fails them all.
            if not any("not found" in message for message in error.messages):
                raise
            each = (tag_by_id(client, tag_id) for tag_id in group)
            found |= {tag.id: tag for tag in each if tag is not None}
    return found


def newest_tag_id(client: StashClient) -> int:
    """The highest id of any tag, 0 where there is none; Stash's ids only grow."""
    raw = client.call(NEWEST_TAG)["findTags"]["tags"]
    return int(raw[0]["id"]) if raw else 0


def create_tag(client: StashClient, name: str, parent_ids: Collection[str] = ()) -> StashTag:
    """Create a tag that Stash's own Auto Tag leaves alone, below others."""
    wanted: dict[str, Any] = {"name": name, "ignore_auto_tag": True}
    if parent_ids:
        wanted["parent_ids"] = list(parent_ids)
    return _tag(client.call(CREATE_TAG, {"input": wanted})["tagCreate"])


def tag_use(client: StashClient, tag_id: str) -> TagUse | None:
    """Return what would be lost with a tag; None where Stash has it no longer."""
    raw = client.call(TAG_USE, {"id": tag_id})["findTag"]
    if raw is None:
        return None
    picture = raw["image_path"] or ""
    has_picture = bool(picture) and not picture.endswith("default=true")
    more = (raw["description"], raw["favorite"], raw["stash_ids"], has_picture)
    counts = {word: int(raw[field]) for field, word in _COUNTS.items()}
    return TagUse(_tag(raw), counts, any(map(bool, more)))


def destroy_tag(client: StashClient, tag_id: str) -> None:
    """Destroy a tag; Stash takes it from all that has it, and refuses a marker's primary tag."""
    client.call(DESTROY_TAG, {"ids": [tag_id]})


def _tag(values: Mapping[str, Any]) -> StashTag:
    return StashTag(
        id=values["id"],
        name=values["name"],
        aliases=tuple(values["aliases"]),
        parent_ids=tuple(parent["id"] for parent in values["parents"]),
        ignore_auto_tag=values["ignore_auto_tag"],
    )


def _likest(tags: Iterable[StashTag], wanted: str) -> StashTag | None:
    """The tag that is called so, a name before an alias; None where none is."""
    return min(
        (tag for tag in tags if _likeness(tag, wanted) is not None),
        key=lambda tag: (_likeness(tag, wanted), int(tag.id)),
        default=None,
    )


def _is_equal(tag: StashTag, name: str) -> bool:
    """Whether Stash's EQUALS finds it: unlike its expressions, it knows no case beyond ASCII."""
    same = re.compile(re.escape(name), re.IGNORECASE | re.ASCII)
    return any(map(same.fullmatch, (tag.name, *tag.aliases)))


def _likeness(tag: StashTag, wanted: str) -> int | None:
    """0 for the very name, then the name in another case, an alias, one in another case."""
    folded = wanted.casefold()
    checks = (
        tag.name == wanted,
        tag.name.casefold() == folded,
        wanted in tag.aliases,
        folded in {alias.casefold() for alias in tag.aliases},
    )
    return checks.index(True) if any(checks) else None


# --- Studios ------------------------------------------------------------------------------------

FIND_STUDIOS: Final = """
query FindStudios($filter: FindFilterType) {
  findStudios(filter: $filter) { studios { id name aliases } }
}"""

STUDIO_BY_ID: Final = """
query StudioById($id: ID!) { findStudio(id: $id) { id name aliases } }"""


def studios(client: StashClient) -> Iterator[StashStudio]:
    """All studios, each once, by id."""
    seen: set[str] = set()
    page = 1
    while True:
        wanted = {"per_page": 5 * HUNDRED, "page": page, "sort": "id", "direction": "ASC"}
        raw = client.call(FIND_STUDIOS, {"filter": wanted})["findStudios"]["studios"]
        yield from (_studio(values) for values in raw if values["id"] not in seen)
        seen.update(values["id"] for values in raw)
        if len(raw) < 5 * HUNDRED:
            return
        page += 1


def studio_by_id(client: StashClient, studio_id: str) -> StashStudio | None:
    """The studio, or None where Stash has it no longer."""
    raw = client.call(STUDIO_BY_ID, {"id": studio_id})["findStudio"]
    return None if raw is None else _studio(raw)


def _studio(values: Mapping[str, Any]) -> StashStudio:
    return StashStudio(values["id"], values["name"], tuple(values["aliases"]))


# --- Stash itself -------------------------------------------------------------------------------

PLUGIN_SETTINGS: Final = """
query PluginSettings($ids: [ID!]) { configuration { plugins(include: $ids) } }"""

PLUGINS: Final = """
query Plugins { plugins { id name } }"""

SYSTEM: Final = """
query System {
  version { version hash }
  systemStatus { status databasePath configPath }
}"""

LIBRARY_FOLDERS: Final = """
query LibraryFolders { configuration { general { stashes { path } } } }"""

SIGN_IN: Final = """
query SignIn { configuration { general { apiKey maxSessionAge } } }"""

ACCESS: Final = """
query Access { configuration { general { username } } }"""

STATUS: Final = """
query Status { systemStatus { status } }"""

TYPE_FIELDS: Final = """
query TypeFields($name: String!) {
  __type(name: $name) { fields { name } inputFields { name } }
}"""


def plugin_settings(client: StashClient, plugin_id: str) -> dict[str, Any]:
    """What the user set for this plugin; what was never set is not in it."""
    raw = client.call(PLUGIN_SETTINGS, {"ids": [plugin_id]})["configuration"]["plugins"] or {}
    return dict(raw.get(plugin_id) or {})


def plugin_called(client: StashClient, name: str) -> str | None:
    """The id of the plugin of this name, which is its file's; None where it is not installed."""
    raw = client.call(PLUGINS)["plugins"] or []
    return next((plugin["id"] for plugin in raw if plugin["name"] == name), None)


def system(client: StashClient) -> StashSystem:
    """Which Stash this is and where it keeps its library."""
    raw = client.call(SYSTEM)
    version, status = raw["version"], raw["systemStatus"]
    return StashSystem(
        version=version["version"] or version["hash"],
        status=status["status"],
        database_path=status["databasePath"] or "",
        config_path=status["configPath"] or "",
    )


def library_folders(client: StashClient) -> tuple[str, ...]:
    """The folders that Stash scans: whether a drive is unplugged shows here."""
    general = client.call(LIBRARY_FOLDERS)["configuration"]["general"]
    return tuple(entry["path"] for entry in general["stashes"])


def asks_for_login(client: StashClient) -> bool:
    """Whether this Stash has a user name, and so lets in only who is known."""
    return bool(client.call(ACCESS)["configuration"]["general"]["username"])


@contextmanager
def signed_in(client: StashClient) -> Iterator[None]:
    """Let the client outlive its cookie: by Stash's own API key, else by never falling silent.

    A cookie dies of age (an hour unless the user says otherwise), and each answer renews it; one
    long scene needs nothing of Stash for longer than that.
    """
    general = client.call(SIGN_IN)["configuration"]["general"]
    if general["apiKey"]:
        client.remember_key(general["apiKey"])
    if general["apiKey"] or not client.connection.cookie:
        yield
        return
    ended = threading.Event()
    every_s = max(SHORTEST_KEEP_S, general["maxSessionAge"] / 4)
    keeper = threading.Thread(target=_keep, args=(client, every_s, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(client: StashClient, every_s: float, ended: threading.Event) -> None:
    """Ask something small from time to time; what goes wrong is said to who really asks."""
    while not ended.wait(every_s):
        with suppress(StashError):
            client.call(STATUS)


def has_field(client: StashClient, type_name: str, field: str) -> bool:
    """Whether this Stash's type or input has the field: asked of Stash, not of its version."""
    raw = client.call(TYPE_FIELDS, {"name": type_name})["__type"] or {}
    found = [*(raw.get("fields") or []), *(raw.get("inputFields") or [])]
    return any(entry["name"] == field for entry in found)


# --- Stash's jobs -------------------------------------------------------------------------------

RUN_TASK: Final = """
mutation RunTask($plugin: ID!, $task: String, $description: String, $args: Map) {
  runPluginTask(plugin_id: $plugin, task_name: $task, description: $description, args_map: $args)
}"""

JOB_QUEUE: Final = """
query JobQueue { jobQueue { id status description } }"""


def run_task(
    client: StashClient,
    plugin_id: str,
    task: str | None,
    args: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> str:
    """Put a task of a plugin into Stash's queue; its job id. Never wait for it inside a task.

    Without a task the arguments must hold all that the task's own would.
    """
    variables = {
        "plugin": plugin_id,
        "task": task,
        "description": description,
        "args": dict(args or {}),
    }
    return str(client.call(RUN_TASK, variables)["runPluginTask"])


def job_queue(client: StashClient) -> list[StashJob]:
    """What runs in Stash and what waits, in the order in which it will be done."""
    raw = client.call(JOB_QUEUE)["jobQueue"] or []
    return [StashJob(each["id"], each["status"], each["description"]) for each in raw]
