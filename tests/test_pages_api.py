"""What the pages ask and are told: each mode exists, and replies are what the shapes say."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from graphql import DocumentNode, build_client_schema, build_schema, parse, validate
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from demo.planted import plant, tag_name
from demo.stash import StandIn
from demo.stash.sdl import TEXT
from stash_sense_plugin.library.counts import LibraryCounts
from stash_sense_plugin.library.learnt import Learnt
from stash_sense_plugin.tasks import MODES, Call, api
from stash_sense_plugin.tasks.asked import MOST_IN_A_PAGE
from stash_sense_plugin.worker.jobs import Jobs, encode
from stash_sense_plugin.worker.server import BUILT_IN
from tests.conftest import ROOT
from tests.installed_kit import Installed, installed
from tests.plugin_folder import wait_until
from tests.sweep_kit import Told
from tests.verdict_kit import VerdictRoom, open_room
from tools import openapi

MEGABYTE = 1_000_000
SCENES, WHOLE = 50_000, 1000
"""So many scenes, and of the first of them all that a look says."""
DOCUMENTS = ROOT / "ui" / "src" / "stash" / "documents.graphql"


# --- Shapes ---------------------------------------------------------------------------------------


@cache
def strict(told: type) -> type[BaseModel]:
    """A model of a reply that takes no other field, and no value of another type."""
    config = ConfigDict(strict=True, extra="forbid")
    return create_model("Reply", __config__=config, output=(told, ...))


def checked(mode: str, reply: Any) -> Any:
    """Return a reply that is what its shape says; it came as JSON, and is read as such."""
    text = json.dumps({"output": reply}, allow_nan=False)
    strict(api.PAGES[mode][1]).model_validate_json(text)
    return reply


def test_the_check_finds_what_is_missing_too_much_or_of_another_type() -> None:
    checked("jobs", {"jobs": []})
    share = {"precision": 0.5, "recall": None, "f1": 1}
    tag = {
        "name": "a", "scenes": 1, "positives": 1, "enough": True, "written": share,
        "shown": share, "average_precision": None,
    }  # fmt: skip
    rest: dict[str, Any] = {
        "made_at_s": None, "scenes": 0, "wanted_precision": None, "written": share,
        "shown": share, "calibration_error": None, "bins": [], "more": 0, "page": "",
    }  # fmt: skip
    checked("evaluation", {**rest, "tags": [tag]})
    for spoilt in ({**tag, "more": 1}, {**tag, "scenes": "1"}, {"name": "a"}):
        with pytest.raises(ValidationError):
            checked("evaluation", {**rest, "tags": [spoilt]})


@pytest.mark.parametrize("mode", api.PAGES)
def test_every_mode_of_the_pages_is_there_and_tells_its_shape(mode: str) -> None:
    told = api.PAGES[mode][1]
    if mode in BUILT_IN:
        ways = {"job": Jobs.describe, "jobs": Jobs.listing}
        returned = get_type_hints(ways[mode], vars(api))["return"] if mode in ways else told
        assert returned in (told, list[api.JobTold])
    elif MODES[mode].kind == "job":
        assert told is api.Begun
    else:
        returned = get_type_hints(MODES[mode].run)["return"]
        assert told in (returned, *get_args(returned))


def test_what_the_types_of_the_pages_are_made_from_is_current() -> None:
    """Run `python -m tools.openapi`, and `npm run types` in ui/, where it is not."""
    assert (ROOT / openapi.PAGE).read_text(encoding="utf-8") == openapi.text()


# --- What the pages ask of Stash itself -----------------------------------------------------------


@pytest.fixture
def documents() -> DocumentNode:
    return parse(DOCUMENTS.read_text(encoding="utf-8"))


def test_what_the_pages_ask_is_what_the_stand_in_takes(documents: DocumentNode) -> None:
    assert validate(build_schema(TEXT), documents) == []


def test_what_the_pages_ask_is_what_stash_takes(documents: DocumentNode, reference: Path) -> None:
    answer = json.loads((reference / "stash_introspection.json").read_text("utf-8"))
    schema = build_client_schema(answer.get("data", answer))
    assert validate(schema, documents) == []


# --- Real replies ---------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path, bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    with installed(tmp_path, bytecode) as library:
        try:
            yield library
        finally:
            library.leave()


class Asking:
    """Asks a plugin that is installed, checks every reply, and remembers what was asked."""

    def __init__(self, library: Installed) -> None:
        self._library = library
        self.modes: set[str] = set()

    def __call__(self, mode: str, **args: object) -> Any:
        self.modes.add(mode)
        return checked(mode, self._library.operate(mode, **args))

    def job(self, **args: object) -> Any:
        """Begin a job, and wait for its end."""
        job_id = self("tag_scene", **args)["job_id"]
        wait_until(
            lambda: self("job", job_id=job_id)["status"] not in {"queued", "running"},
            "the job does not end",
        )
        return self("job", job_id=job_id)


def test_what_a_worker_tells_is_what_the_shapes_say(library: Installed) -> None:
    ask = Asking(library)
    grey, tall, bad = (library.add(f"{clip}.mp4", "Mine") for clip in ("grey", "tall", "damaged"))
    # Before anything was looked at.
    assert ask("scene", scene_id=str(grey))["looked_at_s"] is None
    for mode in ("overview", "evaluation", "counts", "suggestions", "errors", "runs", "jobs"):
        ask(mode)
    library.configure(suggest_only=True)
    assert ask.job(scene_id=str(grey))["status"] == "done"
    assert ask.job(scene_ids=[str(tall), str(bad)])["status"] == "done"
    assert ask("cancel_job", job_id=ask("jobs")["jobs"][0]["id"]) == {"cancelled": False}
    ask_of_a_scene(ask, str(grey))
    [failure] = ask("errors")["errors"]
    assert failure["scene_id"] == str(bad)
    assert ask("scene", scene_id=str(bad))["error"]["kind"] == failure["kind"]
    assert ask("overview")["scenes"]["looked_at"] == 2
    library.operate("evaluate")
    assert ask("evaluation")["made_at_s"]
    assert ask("models")["models"]
    assert ask("doctor")["facts"]
    assert ask("runs")["runs"]
    assert ask.modes == set(api.PAGES)


def ask_of_a_scene(ask: Asking, scene: str) -> None:
    """Ask all that is about the suggestions of one scene, which are one at least."""
    told = ask("scene", scene_id=scene)
    row, marked = told["suggestions"]
    assert row["evidence"]
    assert row["ranges"]
    assert row["in_stash"] == marked["in_stash"] == "absent"
    assert (row["kind"], marked["kind"], marked["ranges"]) == ("tag", "marker", row["ranges"])
    ask("pictures", scene_id=scene, times_s=[proof["time_s"] for proof in row["evidence"]])
    item = {"scene_id": scene, "kind": row["kind"], "name": row["name"]}
    for dry_run in (True, False):
        assert ask("accept", items=[item], dry_run=dry_run)["accepted"] == 1
    assert ask("scene", scene_id=scene)["suggestions"][0]["in_stash"] == "ours"
    of_markers = {**item, "kind": "marker"}
    assert ask("accept", items=[of_markers])["markers"] == 1
    assert ask("refuse", items=[of_markers])["markers"] == 1
    assert ask("unsay", items=[of_markers])["markers"] == 1
    assert ask("refuse", items=[item])["taken_back"] == 1
    assert ask("suggestions", decision="refused")["suggestions"][0]["said"] == "refused"
    assert ask("unsay", items=[item])["unsaid"] == 1
    assert ask("accept", items=[{"scene_id": scene, "name": "No such"}])["failed"] == 1
    assert ask("suggestions", by="tag", tag=row["name"])["suggestions"]
    assert ask("suggestions", by="scene", scene_id=scene, kind="tag")["suggestions"]
    assert ask("counts")["tags"]


# --- How long a reply may be ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerdictRoom]:
    """A library of very many scenes, of which a page has names as long as they may be."""
    folder = tmp_path_factory.mktemp("large")
    with StandIn(folder / "stash") as stash, open_room(stash, folder) as opened:
        plant(opened.engine.store, SCENES, whole=WHOLE)
        stretch(opened)
        yield opened


def stretch(room: VerdictRoom) -> None:
    """Give the first of everything long names: a letter of them takes six bytes of a reply."""
    store, long = room.engine.store, "\N{CYRILLIC SMALL LETTER ZHE}" * 1000
    with store.write() as db:
        db.execute(
            "INSERT INTO suggestions SELECT scene_id, kind, ' ' || key || ?1, target_id,"
            " name || ?1, label, confidence, decision, 0 FROM suggestions"
            " WHERE CAST(scene_id AS INTEGER) <= 500",
            (long,),
        )
        db.execute(
            "INSERT INTO suggestions WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
            " FROM n WHERE i < 3000) SELECT '1', 'tag', i || ?1, '', i || ?1, 'a', 0.5, 1, 0"
            " FROM n",
            (long,),
        )
        db.execute(
            "UPDATE scenes SET error_kind = 'media', error_message = ?1, error_remedy = ?1"
            " WHERE CAST(id AS INTEGER) <= 600",
            (long,),
        )
    figures = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    summary = {"micro": figures}
    tag = {"scenes": 1, "positives": 1, "enough": True, "written": figures, "shown": figures,
           "average_precision": None}  # fmt: skip
    report = {"scenes": 1, "wanted_precision": 0.9, "written": summary, "shown": summary,
              "calibration": {"error": None, "bins": []},
              "tags": [{**tag, "name": f"{number}{long}"} for number in range(400)]}  # fmt: skip
    Learnt(store).keep_report(report)


QUESTIONS: Mapping[str, Mapping[str, object]] = {
    "suggestions": {},
    "suggestions of a tag": {"by": "tag", "tag": tag_name(7)},
    "suggestions of a scene": {"by": "scene", "scene_id": "1"},
    "counts": {},
    "scene": {"scene_id": "1"},
    "overview": {},
    "evaluation": {},
    "errors": {},
    "runs": {},
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_no_reply_is_longer_than_a_megabyte(large: VerdictRoom, what: str) -> None:
    mode, args = what.partition(" ")[0], dict(QUESTIONS[what])
    if "limit" in get_type_hints(api.PAGES[mode][0]):
        args["limit"] = MOST_IN_A_PAGE
    reply = checked(mode, ask_without_stash(large, mode, args))
    assert len(encode({"output": reply})) < MEGABYTE
    if "next" in reply and mode != "runs":
        assert reply["next"] is not None


def ask_without_stash(room: VerdictRoom, mode: str, args: Mapping[str, object]) -> Any:
    """Ask where Stash is away: the stand-in has none of these scenes, and all are listed then."""
    return MODES[mode].run(room.engine, Call(args), Told())


def test_the_overview_asks_the_store_few_questions_and_reads_few_rows(large: VerdictRoom) -> None:
    asked: list[str] = []
    large.engine.counts = LibraryCounts(large.engine.store)
    with large.engine.store.read() as db:
        db.set_trace_callback(asked.append)
    try:
        told = ask_without_stash(large, "overview", {})
    finally:
        with large.engine.store.read() as db:
            db.set_trace_callback(None)
    questions = [each for each in asked if each.lstrip().startswith("SELECT")]
    assert 0 < len(questions) <= 8
    # None of them reads what detectors saw.
    assert not any("observations" in each for each in questions)
    assert told["scenes"]["looked_at"] + told["scenes"]["failed"] == SCENES
    assert {row["scenes"] for row in told["coverage"]} == {SCENES}
    assert told["speed"]["scenes"] == 200
