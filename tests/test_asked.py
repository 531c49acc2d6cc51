"""Whatever a call says, it is answered rightly or in one plain sentence, and harms nothing."""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import SettingsError, StashSenseError
from stash_sense_plugin.tasks import MODES, Call
from stash_sense_plugin.tasks.asked import switched_on
from tests.sweep_kit import ROOT, Told
from tests.verdict_kit import VerdictRoom, open_room, suggestion

MEGABYTE = 1_000_000


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


HOSTILE: Mapping[str, Any] = {
    "negative": -1,
    "larger than 64 bits": 2**70,
    "a number of 5,000 digits": 10**5000,
    "a fraction": 1.5,
    "no number": math.nan,
    "infinite": math.inf,
    "an empty list": [],
    "a list": ["x"],
    "a list of nothing": [None],
    "a list in a list": [[]],
    "a list of a switch": [True],
    "lists in lists": nested(5000),
    "an empty object": {},
    "objects": {"a": {"b": [1]}},
    "a megabyte": "x" * MEGABYTE,
    "a megabyte of brackets": "[" * MEGABYTE,
    "5,000 digits": "9" * 5000,
    "a lone surrogate": "\ud800x",
    "NUL": "a\0b",
    "a negative text": "-5",
    "a word": "on",
    "a blank": " ",
    "a line": "\n",
    "a foreign digit": "\N{ARABIC-INDIC DIGIT ONE}",
    "a sentence of SQL": "'; DROP TABLE ledger; --",
}
NUMBERS = {"negative", "larger than 64 bits", "a negative text", "a foreign digit"}
NAMES = frozenset({*NUMBERS, "a word", "a sentence of SQL"})
"""What can be somebody's name."""
NAMELESS = NAMES | {"a blank", "a line"}
"""What says as a name nothing, or can be one."""

ITEM = {"scene_id": "1", "name": "Dog"}
EVERY_ITEM = {"items": [ITEM]}

# By mode its arguments: what else is said, and which values are answered as something that is
# meant; all others are refused by name.
SWITCH: frozenset[str] = frozenset()
WORD = NUMBER = SCENE = FILE = PLACE = SHARE = SWITCH
ARGUMENTS: Mapping[str, Mapping[str, tuple[Mapping[str, Any], frozenset[str]]]] = {
    "tag_scenes": {
        "ids": ({}, SCENE),
        "all": ({}, SWITCH),
        "dry_run": ({"all": True}, SWITCH),
        "missing": ({}, WORD),
        "run_id": ({}, NAMELESS),
    },
    "decide": {"dry_run": ({}, SWITCH)},
    "set_up": {},
    "download_models": {},
    "doctor": {"thorough": ({}, SWITCH)},
    "evaluate": {
        "precision": ({}, NUMBER),
        "look": ({}, NUMBER),
        "use": ({}, SWITCH),
        "forget": ({}, SWITCH),
        "dry_run": ({}, SWITCH),
    },
    "tag_file": {
        "path": ({}, FILE),
        "settings": ({"path": "/no/such/file"}, frozenset({"an empty object"})),
    },
    "pull_models": {"names": ({}, SWITCH), "accept": ({"names": ["no-such"]}, SWITCH)},
    "remove_models": {"names": ({}, SWITCH)},
    "tag_scene": {"scene_id": ({}, SCENE), "scene_ids": ({}, SCENE)},
    "errors": {"limit": ({}, NUMBER), "after": ({}, NUMBER)},
    "models": {"log": ({}, SWITCH), "settings": ({}, frozenset({"an empty object"}))},
    "verify_models": {"names": ({}, frozenset({"an empty list"}))},
    "vocabulary": {"group": ({}, frozenset({"a blank", "a line"}))},
    "check_vocabulary": {"settings": ({}, frozenset({"an empty object"}))},
    "result": {"scene_id": ({}, SCENE)},
    "undo": {
        "what": ({"confirm": "everything"}, WORD),
        "run": ({"what": "run"}, SWITCH),
        "tag": ({"what": "tag"}, NAMES),
        "scene": ({"what": "scene"}, SCENE),
        "dry_run": ({"what": "everything", "confirm": "everything"}, SWITCH),
        "confirm": ({"what": "everything"}, WORD),
    },
    "runs": {"limit": ({}, NUMBER), "after": ({}, frozenset({"negative", "a negative text"}))},
    "suggestions": {
        "by": ({}, WORD),
        "limit": ({}, NUMBER),
        "tag": ({"by": "tag"}, NAMELESS),
        "kind": ({}, WORD),
        "scene_id": ({"by": "scene"}, SCENE),
        "decision": ({}, WORD),
        "after": ({}, PLACE),
    },
    "counts": {"limit": ({}, NUMBER), "after": ({}, PLACE)},
    "scene": {"scene_id": ({}, SCENE)},
    "overview": {},
    "evaluation": {},
    "accept": {
        "items": ({}, SWITCH),
        "tag": ({"above": 0.9}, NAMES),
        "above": ({"tag": "Dog"}, SHARE),
        "kind": ({"tag": "Dog", "above": 0.9}, WORD),
        "dry_run": (EVERY_ITEM, SWITCH),
    },
    "refuse": {
        "items": ({}, SWITCH),
        "tag": ({"above": 0.9}, NAMES),
        "above": ({"tag": "Dog"}, SHARE),
        "kind": ({"tag": "Dog", "above": 0.9}, WORD),
        "dry_run": (EVERY_ITEM, SWITCH),
    },
    "unsay": {"items": ({}, SWITCH), "dry_run": (EVERY_ITEM, SWITCH)},
    "pictures": {
        "scene_id": ({"times_s": [1]}, SCENE),
        "times_s": ({"scene_id": "1"}, SWITCH),
        "width_px": ({"scene_id": "1", "times_s": [1]}, NUMBER),
    },
    "verdicts": {
        "forget": ({}, NUMBER),
        "limit": ({}, NUMBER),
        "after": ({}, NUMBER),
        "said": ({}, WORD),
        "scene_id": ({}, SCENE),
    },
    "similar": {
        "scene_id": ({}, SCENE),
        "path": ({}, FILE),
        "limit": ({"scene_id": "1"}, NUMBER),
        "settings": ({"scene_id": "1"}, SWITCH),
    },
    "store_stats": {},
    "store_vacuum": {"dry_run": ({}, SWITCH)},
    "store_export": {"path": ({}, FILE)},
    "store_import": {"path": ({}, FILE)},
}


class Heard(dict[str, object]):
    """Arguments that know which of them were read."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> object:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerdictRoom]:
    """A library with one scene of which something is written and something asked about."""
    folder = tmp_path_factory.mktemp("asked")
    with StandIn(folder / "stash") as stash, open_room(stash, folder) as opened:
        opened.run("set_up")
        scene = opened.scene()
        opened.looked(scene, suggestion("Cat"), suggestion("Dog"))
        opened.say("accept", scene, "Cat")
        assert scene == int(ITEM["scene_id"])
        yield opened


def asked(room: VerdictRoom, mode: str, args: Mapping[str, Any]) -> Any:
    """Ask as Stash does. Raises SettingsError in one plain sentence; nothing in Stash changes."""
    before, rows = library(room), room.engine.ledger.runs_left(1)
    try:
        answer = MODES[mode].run(room.engine, Call(args, server_of(room)), Told())
        json.dumps(answer).encode("utf-8")
    except SettingsError as error:
        check_plain(error)
        raise
    finally:
        assert library(room) == before
        assert room.engine.ledger.runs_left(1) == rows
    return answer


def server_of(room: VerdictRoom) -> dict[str, Any]:
    return room.stash.connection | {"PluginDir": str(ROOT)}


def check_plain(error: StashSenseError) -> None:
    """An error is one sentence that a line of a log can hold."""
    assert len(str(error)) < 600
    assert str(error).isprintable()


def library(room: VerdictRoom) -> list[Any]:
    """All of Stash that can be written to."""
    tables = ("tags", "scenes", "scenes_tags", "scene_markers", "studios")
    return [room.stash.database.rows(f"SELECT * FROM {table}") for table in tables]


def test_every_mode_is_in_the_table() -> None:
    assert ARGUMENTS.keys() == MODES.keys()


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_reads_an_argument_that_the_table_lacks(room: VerdictRoom, mode: str) -> None:
    others = [more for more, _ in ARGUMENTS[mode].values()] or [{}]
    for each in others:
        args = Heard({"dry_run": True, **each} if "dry_run" in ARGUMENTS[mode] else each)
        with contextlib.suppress(SettingsError):
            MODES[mode].run(room.engine, Call(args, server_of(room)), Told())
        assert args.read <= ARGUMENTS[mode].keys()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    ("mode", "name"), [(mode, name) for mode, names in ARGUMENTS.items() for name in names]
)
def test_whatever_is_said_is_meant_or_refused(
    room: VerdictRoom, mode: str, name: str, value: str
) -> None:
    more, answered = ARGUMENTS[mode][name]
    args = {**more, name: HOSTILE[value]}
    if value in answered:
        asked(room, mode, args)
        return
    with pytest.raises(SettingsError):
        asked(room, mode, args)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["scene_id", "kind", "name", "target_id"])
@pytest.mark.parametrize("mode", ["accept", "refuse", "unsay"])
def test_each_word_of_a_suggestion_is_meant_or_refused(
    room: VerdictRoom, mode: str, name: str, value: str
) -> None:
    args = {"items": [{**ITEM, name: HOSTILE[value]}], "dry_run": True}
    answered = {"name": NAMES, "target_id": NAMELESS}
    if value in answered.get(name, ()):
        asked(room, mode, args)
        return
    with pytest.raises(SettingsError):
        asked(room, mode, args)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("by", ["", "tag", "one"])
def test_a_place_of_no_list_is_refused(room: VerdictRoom, by: str, value: str) -> None:
    more = {"": {}, "tag": {"by": "tag"}, "one": {"by": "tag", "tag": "Dog"}}[by]
    for after in (HOSTILE[value], json.dumps([str(value), 1, "x"])):
        with pytest.raises(SettingsError, match="after is"):
            asked(room, "suggestions", {**more, "after": after})


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("mode", ["tag_file", "models", "check_vocabulary"])
def test_a_setting_of_a_call_is_meant_or_refused(room: VerdictRoom, mode: str, value: str) -> None:
    before = room.engine.settings
    told = HOSTILE[value]
    names = {"frames", "skip_text", "tagger_model", "preset", "x"}
    for name in (*names, *([told] if isinstance(told, str) else [])):
        args = {"path": "/no/such/file", "settings": {name: told}}
        try:
            json.dumps(MODES[mode].run(room.engine, Call(args), Told()))
        except SettingsError as error:
            check_plain(error)
        else:
            # Blanks leave a default in force.
            assert value in {"a blank", "a line"}
            assert name in {"frames", "tagger_model", "preset"}
    assert room.engine.settings == before


@pytest.mark.parametrize("mode", ["tag_file", "store_export", "store_import"])
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/a\0b", id="NUL"),
        pytest.param("/\ud800", id="no bytes of a name"),
        pytest.param("/" + "x" * 300, id="a long name"),
        pytest.param("/" + "x/" * MEGABYTE, id="megabytes"),
        pytest.param("relative", id="relative"),
        pytest.param("/proc/x/y", id="no folder"),
    ],
)
def test_a_path_that_no_disk_has_ends_in_a_sentence(
    room: VerdictRoom, mode: str, path: str
) -> None:
    try:
        answer = MODES[mode].run(room.engine, Call({"path": path}), Told())
    except StashSenseError as error:
        check_plain(error)
    else:
        assert answer["error"] is not None


@pytest.mark.parametrize("mode", ["store_export", "store_import"])
def test_what_is_no_file_is_refused_at_once(room: VerdictRoom, mode: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("pipe", "circle", "."):
        with pytest.raises(SettingsError):
            asked(room, mode, {"path": str(tmp_path / name)})


def test_an_export_leaves_what_lies_beside_its_file(room: VerdictRoom, tmp_path: Path) -> None:
    own = tmp_path / ".export.jsonl.part"
    own.write_text("mine")
    asked(room, "store_export", {"path": str(tmp_path / "export.jsonl")})
    assert sorted(each.name for each in tmp_path.iterdir()) == [own.name, "export.jsonl"]
    assert own.read_text() == "mine"


@pytest.mark.parametrize("said", [True, 1, "TRUE", "yes", "1"])
def test_a_switch_that_is_on(said: object) -> None:
    assert switched_on({"dry_run": said}, "dry_run")


@pytest.mark.parametrize("said", [False, 0, "False", "no", "0", "", None])
def test_a_switch_that_is_off(said: object) -> None:
    assert not switched_on({"dry_run": said}, "dry_run")


def test_more_than_a_call_may_name_is_refused(room: VerdictRoom) -> None:
    with pytest.raises(SettingsError, match="names 5001 things"):
        asked(room, "refuse", {"items": [ITEM] * 5001, "dry_run": True})
    with pytest.raises(SettingsError, match="No suggestion is named"):
        asked(room, "accept", {"tag": "Dog"})


def test_a_page_of_long_names_stays_below_a_megabyte(room: VerdictRoom) -> None:
    names = [f"{number:03}" + "\N{SNOWMAN}" * 990 for number in range(400)]
    room.say("refuse", int(ITEM["scene_id"]), *names)
    found: list[str] = []
    after = None
    while True:
        page = room.run("verdicts", limit=500, after=after)
        assert len(json.dumps(page)) < MEGABYTE
        found += [row["name"] for row in page["verdicts"]]
        after = page["next"]
        if after is None:
            break
    assert set(names) <= set(found)
    assert len(found) == len(set(found))
