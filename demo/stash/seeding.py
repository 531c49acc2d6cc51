"""Reading and filling the library directly, without a request."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from demo.stash.belongings import files_of
from demo.stash.database import Database, Record, RefusedError
from demo.stash.names import check_names
from demo.stash.values import CLOCK, now
from demo.stash.writing import insert, remove, update


class Library(ABC):
    """What tests and the demo do to a library beside the server's answers. No hook fires."""

    @property
    @abstractmethod
    def database(self) -> Database:
        """The library's tables."""

    def add_tag(
        self,
        name: str,
        *,
        aliases: Sequence[str] = (),
        parents: Iterable[int] = (),
        ignore_auto_tag: bool = False,
    ) -> int:
        """A new tag; its id."""
        values = {"name": name, "aliases": list(aliases), "parent_ids": list(parents)}
        return self._add_named("tag", {**values, "ignore_auto_tag": ignore_auto_tag})

    def add_studio(
        self, name: str, *, aliases: Sequence[str] = (), parent: int | None = None
    ) -> int:
        """A new studio; its id."""
        values = {"name": name, "aliases": list(aliases), "parent_id": parent}
        return self._add_named("studio", values)

    def _add_named(self, kind: str, values: dict[str, Any]) -> int:
        with self.database.transaction():
            check_names(self.database, kind, 0, values["name"], values["aliases"])
            return insert(self.database, kind, values)

    def add_performer(self, name: str, *, aliases: Sequence[str] = ()) -> int:
        """A new performer; its id."""
        with self.database.transaction():
            return insert(self.database, "performer", {"name": name, "alias_list": list(aliases)})

    def add_scene(
        self,
        title: str = "",
        *,
        tags: Iterable[int] = (),
        performers: Iterable[int] = (),
        studio: int | None = None,
        organized: bool = False,
        file: Record | None = None,
    ) -> int:
        """A new scene; its id. `file` gives it one that is not there, as `fake_file` makes it."""
        values = {"title": title, "tag_ids": list(tags), "performer_ids": list(performers)}
        with self.database.transaction():
            more = {"studio_id": studio, "organized": organized}
            number = insert(self.database, "scene", {**values, **more})
            if file is not None:
                self._add_file(number, file)
        return number

    def _add_file(self, scene: int, file: Record) -> int:
        prints = {kind: file[kind] for kind in ("oshash", "phash") if file.get(kind)}
        values = {key: value for key, value in file.items() if key not in ("oshash", "phash")}
        values |= {"kind": "VideoFile", "created_at": now(), "updated_at": now()}
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO files ({', '.join(values)}) VALUES ({marks})"
        number = self.database.run(sql, *values.values())
        pair = "INSERT INTO scenes_files (scene_id, file_id) VALUES (?, ?)"
        self.database.run(pair, scene, number)
        fingerprint = "INSERT INTO fingerprints (file_id, type, value) VALUES (?, ?, ?)"
        for kind, value in prints.items():
            self.database.run(fingerprint, number, kind, value)
        return number

    def add_file(self, scene: int, file: Record) -> int:
        """Give a scene one more file, behind those that it has; the file's id."""
        with self.database.transaction():
            return self._add_file(scene, file)

    def add_scenes(self, count: int, *, tags: Iterable[int] = ()) -> range:
        """Many scenes without files, quickly; their ids."""
        last = self.database.value("SELECT seq FROM sqlite_sequence WHERE name = 'scenes'") or 0
        numbers = range(last + 1, last + 1 + count)
        made = now()
        with self.database.transaction():
            self.database.run_many(
                "INSERT INTO scenes (id, title, created_at, updated_at) VALUES (?, ?, ?, ?)",
                ((number, f"Scene {number}", made, made) for number in numbers),
            )
            for tag in tags:
                pairs = ((number, tag) for number in numbers)
                self.database.run_many("INSERT INTO scenes_tags VALUES (?, ?)", pairs)
        return numbers

    def scene_files(self, scene: int) -> list[int]:
        """A scene's files, its primary one first."""
        return [file.id for file in files_of(self.database, "scenes_files", "scene_id", scene)]

    def remove_scene(self, scene: int) -> None:
        """Take a scene away."""
        self.database.run("DELETE FROM scenes WHERE id = ?", scene)

    def remove_tag(self, tag: int) -> None:
        """Take a tag away, as a user does; a marker's primary tag is refused."""
        self.database.run("DELETE FROM tags WHERE id = ?", tag)

    def tag_scene(self, scene: int, *tags: int) -> None:
        """Give a scene tags, as a user does."""
        self._change_tags(scene, tags, "ADD")

    def untag_scene(self, scene: int, *tags: int) -> None:
        """Take tags from a scene, as a user does."""
        self._change_tags(scene, tags, "REMOVE")

    def _change_tags(self, scene: int, tags: Iterable[int], mode: str) -> None:
        change = {"ids": list(tags), "mode": mode}
        with self.database.transaction():
            update(self.database, "scene", scene, {"tag_ids": change})

    def set_studio(self, scene: int, studio: int | None) -> None:
        """Give a scene its studio, or take it away, as a user does."""
        with self.database.transaction():
            update(self.database, "scene", scene, {"studio_id": studio})

    def remove_marker(self, marker: int) -> None:
        """Take a marker away, as a user does: no time of its scene tells of it."""
        remove(self.database, "scene marker", [marker])

    def back_up(self) -> sqlite3.Connection:
        """A copy of all that is in the library now."""
        return self.database.copied()

    def put_back(self, backup: sqlite3.Connection) -> None:
        """Make the library what it was then; ids that were given since are given again."""
        self.database.replace(backup)

    def set_clock(self, ahead_s: float) -> None:
        """Let the clock of rows and of answers be so far ahead of this machine's."""
        CLOCK.ahead_s = ahead_s

    def tag_id(self, name: str) -> int | None:
        """The id of the tag of that name, in any ASCII case."""
        sql = "SELECT id FROM tags WHERE name = ? COLLATE NOCASE"
        found: int | None = self.database.value(sql, name)
        return found

    def tags(self) -> dict[str, int]:
        """All tags, by name."""
        return {row["name"]: row["id"] for row in self.database.rows("SELECT * FROM tags")}

    def tag_row(self, tag: int) -> Record:
        """A tag's columns, its aliases and its parents' ids."""
        row = self.database.row("SELECT * FROM tags WHERE id = ?", tag)
        if row is None:
            raise RefusedError(f"tag with id {tag} not found")
        aliases = "SELECT text FROM tag_aliases WHERE tag_id = ? ORDER BY position"
        parents = "SELECT parent_id FROM tags_relations WHERE child_id = ? ORDER BY parent_id"
        row["aliases"] = self.database.column(aliases, tag)
        row["parents"] = self.database.column(parents, tag)
        return row

    def scene_ids(self) -> list[int]:
        """All scenes."""
        return self.database.column("SELECT id FROM scenes ORDER BY id")

    def scene_by_file(self, name: str) -> int:
        """The scene of the file of that name."""
        sql = """SELECT scene_id FROM scenes_files JOIN files ON files.id = file_id
          WHERE basename = ?"""
        number = self.database.value(sql, name)
        if number is None:
            raise RefusedError(f"no scene has a file named {name}")
        return int(number)

    def scene_row(self, scene: int) -> Record:
        """A scene's columns."""
        row = self.database.row("SELECT * FROM scenes WHERE id = ?", scene)
        if row is None:
            raise RefusedError(f"scene with id {scene} not found")
        return row

    def scene_tags(self, scene: int) -> set[str]:
        """The names of a scene's tags."""
        sql = "SELECT name FROM scenes_tags JOIN tags ON tags.id = tag_id WHERE scene_id = ?"
        return set(self.database.column(sql, scene))

    def scene_studio(self, scene: int) -> str | None:
        """The name of a scene's studio."""
        sql = """SELECT studios.name FROM scenes JOIN studios ON studios.id = studio_id
          WHERE scenes.id = ?"""
        found: str | None = self.database.value(sql, scene)
        return found

    def scene_performers(self, scene: int) -> set[str]:
        """The names of a scene's performers."""
        sql = """SELECT name FROM performers_scenes JOIN performers
          ON performers.id = performer_id WHERE scene_id = ?"""
        return set(self.database.column(sql, scene))

    def scene_markers(self, scene: int) -> list[Record]:
        """A scene's markers by time: id, title, seconds, end_seconds, primary_tag, tags."""
        sql = """SELECT scene_markers.*, name AS primary_tag FROM scene_markers
          JOIN tags ON tags.id = primary_tag_id WHERE scene_id = ? ORDER BY seconds, id"""
        rows = self.database.rows(sql, scene)
        for row in rows:
            sql = """SELECT name FROM scene_markers_tags JOIN tags ON tags.id = tag_id
              WHERE scene_marker_id = ?"""
            row["tags"] = set(self.database.column(sql, row["id"]))
        return rows


def fake_file(
    path: str,
    *,
    oshash: str = "0123456789abcdef",
    phash: str = "",
    size: int = 1_000_000,
    duration_s: float = 60.0,
    frame_rate: float = 25.0,
    width: int = 1280,
    height: int = 720,
) -> Record:
    """A video file's row for a scene whose file is not there."""
    return {
        "path": path,
        "basename": path.rsplit("/", 1)[-1],
        "size": size,
        "mod_time": now(),
        "format": "mp4",
        "width": width,
        "height": height,
        "duration": duration_s,
        "frame_rate": frame_rate,
        "bit_rate": 1_000_000,
        "video_codec": "h264",
        "audio_codec": "",
        "oshash": oshash,
        "phash": phash,
    }
