"""What scenes, tags, studios, performers, markers and images can be filtered by."""

from typing import Any

from demo.stash.criteria import (
    ALWAYS,
    NEVER,
    Clause,
    Condition,
    Criterion,
    Link,
    day,
    flag,
    joined,
    linked,
    moment,
    number,
    refuse_modifier,
    text,
)
from demo.stash.database import Database, RefusedError
from demo.stash.things import TABLES

IN_LIST = "IN (SELECT value FROM json_each(?))"
CHILD_TAGS = f"SELECT child_id FROM tags_relations WHERE parent_id {IN_LIST}"
PARENT_TAGS = f"SELECT parent_id FROM tags_relations WHERE child_id {IN_LIST}"
CHILD_STUDIOS = f"SELECT id FROM studios WHERE parent_id {IN_LIST}"


def through(table: str, owner: str, other: str, tree: str = "") -> Link:
    """Rows joined by a table of pairs."""
    some = f"SELECT {owner} FROM {table}"
    count = f"(SELECT count(*) FROM {table} WHERE {owner} = id)"
    return Link(f"{some} WHERE {other} {IN_LIST}", some, tree, count)


def by_column(table: str, column: str, tree: str = "") -> Link:
    """Rows that name the other in a column."""
    some = f"SELECT id FROM {table} WHERE {column}"
    return Link(f"{some} {IN_LIST}", f"{some} IS NOT NULL", tree)


def on_file(table: str, owner: str, condition: Condition) -> Condition:
    """A condition on the files of a row."""

    def on(database: Database, criterion: Any) -> Clause:
        inner = condition(database, criterion)
        pairs = f"SELECT {owner} FROM {table} JOIN files ON files.id = file_id"
        return Clause(f"id IN ({pairs} WHERE {inner.sql})", inner.values)

    return on


def file_text(table: str, owner: str, column: str) -> Condition:
    """A text of a row's files."""
    pairs = f"SELECT {owner} FROM {table} JOIN files ON files.id = file_id"
    return text(column, f"id IN ({pairs} WHERE {{}})")


def fingerprint(table: str, owner: str, kind: str) -> Condition:
    """A fingerprint of a row's files."""
    pairs = f"SELECT {owner} FROM {table} JOIN fingerprints USING (file_id)"
    return text("value", f"id IN ({pairs} WHERE type = '{kind}' AND {{}})")


def own_text(table: str, owner: str) -> Condition:
    """A text in a table of texts: aliases, URLs."""
    return text("text", f"id IN (SELECT {owner} FROM {table} WHERE {{}})")


def inner(pairs: str, kind: str) -> Condition:
    """A filter on rows of another kind; `pairs` selects the owners of the ids in {}."""

    def condition(database: Database, values: dict[str, Any]) -> Clause:
        found = clause_of(database, kind, values)
        others = f"SELECT id FROM {TABLES[kind]} WHERE {found.sql}"
        return Clause(f"id IN ({pairs.format(others)})", found.values)

    return condition


def count(table: str, owner: str, owner_table: str) -> Condition:
    """How many rows of a table of pairs belong to a row."""
    return number(f"(SELECT count(*) FROM {table} WHERE {owner} = {owner_table}.id)")


def stash_id(table: str, owner: str) -> Condition:
    """A StashIDCriterionInput."""

    def condition(_: Database, criterion: Criterion) -> Clause:
        named = {key: criterion.get(key) for key in ("endpoint", "stash_id")}
        parts = [Clause(f"{key} = ?", (value,)) for key, value in named.items() if value]
        if criterion["modifier"] in ("IS_NULL", "NOT_NULL"):
            parts = parts[:1] if named["endpoint"] else []
        where = joined("AND", parts)
        found = Clause(f"id IN (SELECT {owner} FROM {table} WHERE {where.sql})", where.values)
        if criterion["modifier"] in ("EQUALS", "NOT_NULL"):
            return found
        if criterion["modifier"] in ("NOT_EQUALS", "IS_NULL"):
            return ~found
        raise refuse_modifier(criterion)

    return condition


def missing(kind: str, ways: dict[str, str]) -> Condition:
    """`is_missing`: a name and the condition that it stands for."""

    def condition(_: Database, name: str) -> Clause:
        if name not in ways:
            raise RefusedError(f"the stand-in does not know is_missing {name!r} of a {kind}")
        return Clause(ways[name])

    return condition


def has_markers(_: Database, value: str) -> Clause:
    """`has_markers`: "true" or anything else."""
    found = Clause("id IN (SELECT scene_id FROM scene_markers)")
    return found if value == "true" else ~found


def gender(_: Database, criterion: Criterion) -> Clause:
    """A GenderCriterionInput."""
    if criterion["modifier"] in ("IS_NULL", "NOT_NULL"):
        return Clause(f"gender {'IS' if criterion['modifier'] == 'IS_NULL' else 'IS NOT'} NULL")
    wanted = criterion.get("value_list") or [criterion.get("value")]
    found = joined("OR", [Clause("gender = ?", (one,)) for one in wanted])
    return found if criterion["modifier"] in ("EQUALS", "INCLUDES") else ~found


def custom_fields(_: Database, criteria: list[Criterion]) -> Clause:
    """A list of CustomFieldCriterionInput, which all hold."""
    return joined("AND", [_custom_field(criterion) for criterion in criteria])


def _custom_field(criterion: Criterion) -> Clause:
    modifier, values = criterion["modifier"], criterion.get("value") or []
    negative = modifier in ("NOT_EQUALS", "IS_NULL", "EXCLUDES")
    one = {"EQUALS": "value = ?", "NOT_EQUALS": "value = ?", "GREATER_THAN": "value > ?"}
    one |= {"LESS_THAN": "value < ?", "INCLUDES": "value = ?", "EXCLUDES": "value = ?"}
    parts = [Clause("field = ?", (criterion["field"],))]
    if modifier in one:
        parts.append(joined("OR", [Clause(one[modifier], (value,)) for value in values]))
    elif modifier not in ("IS_NULL", "NOT_NULL"):
        raise refuse_modifier(criterion)
    where = joined("AND", parts)
    owners = f"SELECT performer_id FROM performer_custom_fields WHERE {where.sql}"
    found = Clause(f"id IN ({owners})", where.values)
    return ~found if negative else found


COMMON: dict[str, Condition] = {
    "created_at": moment("created_at"),
    "updated_at": moment("updated_at"),
}
MEDIA: dict[str, Condition] = {
    **COMMON,
    "id": number("id"),
    "title": text("title"),
    "code": text("code"),
    "details": text("details"),
    "rating100": number("rating100"),
    "organized": flag("organized"),
    "date": day("date"),
}
SCENE_FILES = ("scenes_files", "scene_id")
IMAGE_FILES = ("images_files", "image_id")
ON_PERFORMERS = "SELECT {0} FROM {1} JOIN performers_tags USING (performer_id)"


def performer_tags(table: str, owner: str) -> Condition:
    """The tags of a row's performers."""
    some = ON_PERFORMERS.format(owner, table)
    return linked(Link(f"{some} WHERE tag_id {IN_LIST}", some, CHILD_TAGS))


MARKED = f"""SELECT id FROM scene_markers WHERE primary_tag_id {IN_LIST}
  UNION SELECT scene_marker_id FROM scene_markers_tags WHERE tag_id {IN_LIST}"""
SECONDARY = "(SELECT count(*) FROM scene_markers_tags WHERE scene_marker_id = id)"
_marker_tags = linked(
    Link(MARKED, "SELECT scene_marker_id FROM scene_markers_tags", CHILD_TAGS, f"1 + {SECONDARY}")
)


def marker_tags(database: Database, criterion: Criterion) -> Clause:
    """A marker's tags, the primary one among them; Stash does not look at EXCLUDES' value."""
    if criterion["modifier"] == "EXCLUDES":
        criterion = {**criterion, "value": []}
    return _marker_tags(database, criterion)


OF_SCENES = "SELECT id FROM scene_markers WHERE scene_id IN ({})"

FILTERS: dict[str, dict[str, Condition]] = {
    "scene": {
        **MEDIA,
        "director": text("director"),
        "path": file_text(*SCENE_FILES, "path"),
        "oshash": fingerprint(*SCENE_FILES, "oshash"),
        "checksum": fingerprint(*SCENE_FILES, "md5"),
        "phash": fingerprint(*SCENE_FILES, "phash"),
        "duration": on_file(*SCENE_FILES, number("cast(duration AS INTEGER)")),
        "framerate": on_file(*SCENE_FILES, number("cast(round(frame_rate) AS INTEGER)")),
        "bitrate": on_file(*SCENE_FILES, number("bit_rate")),
        "video_codec": file_text(*SCENE_FILES, "video_codec"),
        "audio_codec": file_text(*SCENE_FILES, "audio_codec"),
        "file_count": count("scenes_files", "scene_id", "scenes"),
        "tag_count": count("scenes_tags", "scene_id", "scenes"),
        "performer_count": count("performers_scenes", "scene_id", "scenes"),
        "tags": linked(through("scenes_tags", "scene_id", "tag_id", CHILD_TAGS)),
        "performers": linked(through("performers_scenes", "scene_id", "performer_id")),
        "performer_tags": performer_tags("performers_scenes", "scene_id"),
        "studios": linked(by_column("scenes", "studio_id", CHILD_STUDIOS)),
        "url": own_text("scene_urls", "scene_id"),
        "stash_id_endpoint": stash_id("scene_stash_ids", "scene_id"),
        "has_markers": has_markers,
        "is_missing": missing(
            "scene",
            {
                "title": "title = ''",
                "code": "code = ''",
                "details": "details = ''",
                "director": "director = ''",
                "date": "date IS NULL",
                "rating": "rating100 IS NULL",
                "studio": "studio_id IS NULL",
                "tags": "id NOT IN (SELECT scene_id FROM scenes_tags)",
                "performers": "id NOT IN (SELECT scene_id FROM performers_scenes)",
                "url": "id NOT IN (SELECT scene_id FROM scene_urls)",
                "stash_id": "id NOT IN (SELECT scene_id FROM scene_stash_ids)",
                "cover": "id NOT IN (SELECT id FROM pictures WHERE kind = 'scene')",
                "phash": "id NOT IN (SELECT scene_id FROM scenes_files JOIN fingerprints "
                "USING (file_id) WHERE type = 'phash')",
                "galleries": "1",
                "movie": "1",
                "group": "1",
            },
        ),
        "performers_filter": inner(
            "SELECT scene_id FROM performers_scenes WHERE performer_id IN ({})", "performer"
        ),
        "tags_filter": inner("SELECT scene_id FROM scenes_tags WHERE tag_id IN ({})", "tag"),
        "studios_filter": inner("SELECT id FROM scenes WHERE studio_id IN ({})", "studio"),
        "markers_filter": inner(
            "SELECT scene_id FROM scene_markers WHERE id IN ({})", "scene marker"
        ),
        "files_filter": inner("SELECT scene_id FROM scenes_files WHERE file_id IN ({})", "file"),
    },
    "tag": {
        **COMMON,
        "name": text("name"),
        "sort_name": text("sort_name"),
        "description": text("description"),
        "aliases": own_text("tag_aliases", "tag_id"),
        "favorite": flag("favorite"),
        "ignore_auto_tag": flag("ignore_auto_tag"),
        "parents": linked(through("tags_relations", "child_id", "parent_id", CHILD_TAGS)),
        "children": linked(through("tags_relations", "parent_id", "child_id", PARENT_TAGS)),
        "parent_count": count("tags_relations", "child_id", "tags"),
        "child_count": count("tags_relations", "parent_id", "tags"),
        "scene_count": count("scenes_tags", "tag_id", "tags"),
        "image_count": count("images_tags", "tag_id", "tags"),
        "performer_count": count("performers_tags", "tag_id", "tags"),
        "studio_count": count("studios_tags", "tag_id", "tags"),
        "stash_id_endpoint": stash_id("tag_stash_ids", "tag_id"),
        "is_missing": missing(
            "tag", {"image": "id NOT IN (SELECT id FROM pictures WHERE kind = 'tag')"}
        ),
        "scenes_filter": inner("SELECT tag_id FROM scenes_tags WHERE scene_id IN ({})", "scene"),
        "images_filter": inner("SELECT tag_id FROM images_tags WHERE image_id IN ({})", "image"),
    },
    "studio": {
        **COMMON,
        "name": text("name"),
        "details": text("details"),
        "aliases": own_text("studio_aliases", "studio_id"),
        "url": own_text("studio_urls", "studio_id"),
        "rating100": number("rating100"),
        "favorite": flag("favorite"),
        "ignore_auto_tag": flag("ignore_auto_tag"),
        "parents": linked(by_column("studios", "parent_id")),
        "tags": linked(through("studios_tags", "studio_id", "tag_id", CHILD_TAGS)),
        "tag_count": count("studios_tags", "studio_id", "studios"),
        "scene_count": count("scenes", "studio_id", "studios"),
        "image_count": count("images", "studio_id", "studios"),
        "stash_id_endpoint": stash_id("studio_stash_ids", "studio_id"),
        "is_missing": missing(
            "studio",
            {
                "image": "id NOT IN (SELECT id FROM pictures WHERE kind = 'studio')",
                "url": "id NOT IN (SELECT studio_id FROM studio_urls)",
                "stash_id": "id NOT IN (SELECT studio_id FROM studio_stash_ids)",
            },
        ),
        "scenes_filter": inner("SELECT studio_id FROM scenes WHERE id IN ({})", "scene"),
    },
    "performer": {
        **COMMON,
        **{
            name: text(name)
            for name in (
                *("name", "disambiguation", "details", "ethnicity", "country", "eye_color"),
                *("hair_color", "measurements", "fake_tits", "career_length", "tattoos"),
                "piercings",
            )
        },
        "aliases": own_text("performer_aliases", "performer_id"),
        "url": own_text("performer_urls", "performer_id"),
        "gender": gender,
        "filter_favorites": flag("favorite"),
        "ignore_auto_tag": flag("ignore_auto_tag"),
        "rating100": number("rating100"),
        "height_cm": number("height_cm"),
        "weight": number("weight"),
        "birthdate": day("birthdate"),
        "death_date": day("death_date"),
        "tags": linked(through("performers_tags", "performer_id", "tag_id", CHILD_TAGS)),
        "tag_count": count("performers_tags", "performer_id", "performers"),
        "scene_count": count("performers_scenes", "performer_id", "performers"),
        "image_count": count("performers_images", "performer_id", "performers"),
        "stash_id_endpoint": stash_id("performer_stash_ids", "performer_id"),
        "custom_fields": custom_fields,
        "is_missing": missing(
            "performer",
            {
                "image": "id NOT IN (SELECT id FROM pictures WHERE kind = 'performer')",
                "url": "id NOT IN (SELECT performer_id FROM performer_urls)",
                "aliases": "id NOT IN (SELECT performer_id FROM performer_aliases)",
                "stash_id": "id NOT IN (SELECT performer_id FROM performer_stash_ids)",
                "scenes": "id NOT IN (SELECT performer_id FROM performers_scenes)",
                "gender": "gender IS NULL",
                "birthdate": "birthdate IS NULL",
            },
        ),
        "scenes_filter": inner(
            "SELECT performer_id FROM performers_scenes WHERE scene_id IN ({})", "scene"
        ),
        "tags_filter": inner(
            "SELECT performer_id FROM performers_tags WHERE tag_id IN ({})", "tag"
        ),
    },
    "scene marker": {
        **COMMON,
        "duration": number("(end_seconds - seconds)"),
        "tags": marker_tags,
        "scene_tags": linked(
            Link(
                OF_SCENES.format(f"SELECT scene_id FROM scenes_tags WHERE tag_id {IN_LIST}"),
                OF_SCENES.format("SELECT scene_id FROM scenes_tags"),
                CHILD_TAGS,
            )
        ),
        "performers": linked(
            Link(
                OF_SCENES.format(
                    f"SELECT scene_id FROM performers_scenes WHERE performer_id {IN_LIST}"
                ),
                OF_SCENES.format("SELECT scene_id FROM performers_scenes"),
            )
        ),
        "scenes": linked(by_column("scene_markers", "scene_id")),
        "scene_filter": inner(OF_SCENES, "scene"),
    },
    "image": {
        **MEDIA,
        "photographer": text("photographer"),
        "path": file_text(*IMAGE_FILES, "path"),
        "checksum": fingerprint(*IMAGE_FILES, "md5"),
        "file_count": count("images_files", "image_id", "images"),
        "tag_count": count("images_tags", "image_id", "images"),
        "performer_count": count("performers_images", "image_id", "images"),
        "tags": linked(through("images_tags", "image_id", "tag_id", CHILD_TAGS)),
        "performers": linked(through("performers_images", "image_id", "performer_id")),
        "performer_tags": performer_tags("performers_images", "image_id"),
        "studios": linked(by_column("images", "studio_id", CHILD_STUDIOS)),
        "url": own_text("image_urls", "image_id"),
        "is_missing": missing(
            "image",
            {
                "studio": "studio_id IS NULL",
                "tags": "id NOT IN (SELECT image_id FROM images_tags)",
                "performers": "id NOT IN (SELECT image_id FROM performers_images)",
                "galleries": "1",
            },
        ),
    },
    "file": {
        **COMMON,
        "path": text("path"),
        "basename": text("basename"),
        "mod_time": moment("mod_time"),
    },
}
"""Kind -> key of its filter -> what that key means."""

SHARED_JOINS = {"tags": "same", "performer_tags": "same", "studios": "same", "performers": "none"}
"""List criteria that one inside AND, OR or NOT shares a join with: it sees the outer one's rows."""


def clause_of(database: Database, kind: str, values: dict[str, Any] | None) -> Clause:
    """A filter as one condition; a key that the stand-in does not know is refused by name."""
    clauses = []
    given = {key: value for key, value in (values or {}).items() if value is not None}
    for key, value in given.items():
        if key in ("AND", "OR", "NOT"):
            continue
        if key not in FILTERS[kind]:
            raise RefusedError(f"the stand-in does not filter by {key} of a {kind}")
        clauses.append(FILTERS[kind][key](database, value))
    outer = joined("AND", clauses)
    for word in ("AND", "OR", "NOT"):
        if word in given:
            outer = _combined(word, outer, _inside(database, kind, given, given[word]))
    return outer


def _combined(word: str, outer: Clause, inside: Clause) -> Clause:
    if word == "NOT":
        return joined("AND", [outer, ~inside])
    return joined(word, [outer, inside])


def _inside(database: Database, kind: str, outer: dict[str, Any], values: dict[str, Any]) -> Clause:
    """The inner filter; of a list that the outer one also asks for it sees only the outer's."""
    clauses = []
    rest = dict(values)
    for key, fate in SHARED_JOINS.items():
        shared = outer.get(key) and rest.get(key)
        if shared and rest[key]["modifier"] in ("INCLUDES", "INCLUDES_ALL"):
            del rest[key]
            same = FILTERS[kind][key](database, outer[key])
            clauses.append(same if fate == "same" else NEVER)
    clauses.append(clause_of(database, kind, rest) if rest else ALWAYS)
    return joined("AND", clauses)
