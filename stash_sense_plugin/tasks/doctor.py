"""Doctor: what runs here, what is missing and what to do about it."""

import sys
from collections.abc import Iterator
from pathlib import Path

from stash_sense_plugin.errors import ModelError, SettingsError, StashSenseError
from stash_sense_plugin.records import Detector, Reporter
from stash_sense_plugin.start import machine
from stash_sense_plugin.start.version import VERSION
from stash_sense_plugin.stash.client import StashClient
from stash_sense_plugin.stash.operations import library_folders, system
from stash_sense_plugin.tasks.engine import MEGABYTE, Call, Engine, Sight
from stash_sense_plugin.tasks.writing import open_writing


def doctor(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Say what runs here, what is missing and what to do about it."""
    facts: list[dict[str, str]] = []
    # It may run beside a sweep, whose settings and networks are not to change under it.
    for fact in _facts(engine.aside(), call, reporter):
        facts.append(fact)
        remedy = f" -> {fact['remedy']}" if fact["remedy"] else ""
        reporter.log("warning" if remedy else "info", f"{fact['what']}: {fact['found']}{remedy}")
    return {"facts": facts, "well": not any(fact["remedy"] for fact in facts)}


def _facts(engine: Engine, call: Call, reporter: Reporter) -> Iterator[dict[str, str]]:
    # Asked first: the user's settings, which name the models, are there.
    about_stash = _asked_stash(engine, call, reporter)
    yield from _machine_facts(engine)
    yield from _model_facts(engine)
    yield _vocabulary_fact(engine)
    yield _store_fact(engine)
    yield from about_stash


def _asked_stash(engine: Engine, call: Call, reporter: Reporter) -> list[dict[str, str]]:
    if call.server is None:
        return [_fact("Stash", "not asked: no address was given")]
    try:
        with engine.stash(call, reporter) as client:
            return list(_stash_facts(engine, client))
    except StashSenseError as error:
        return [_fact("Stash", error.message, error.remedy or "look at Stash's log")]


def _fact(what: str, found: str, remedy: str = "") -> dict[str, str]:
    return {"what": what, "found": found, "remedy": remedy}


def _machine_facts(engine: Engine) -> Iterator[dict[str, str]]:
    here = machine.look(str(engine.home))
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield _fact("Stash Sense", f"{VERSION}, Python {python}, {here.libc or here.system}")
    free_gb = here.disk_free_bytes / 1e9
    yield _fact(
        "Data folder",
        f"{engine.home}, {free_gb:.1f} GB free",
        "make room on this disk" if free_gb < 1 else "",
    )
    yield _fact(
        "Machine", f"{here.processors} processors, {here.memory_bytes / 1e9:.1f} GB of memory"
    )


def _model_facts(engine: Engine) -> Iterator[dict[str, str]]:
    try:
        sight = engine.sight()
    except SettingsError as error:
        yield _fact("Models", error.message, error.remedy or "correct the setting")
        return
    for detector in sight.detectors:
        yield _detector_fact(detector, sight)
    for skipped in sight.skipped:
        yield _fact(f"Detector {skipped.detector}", skipped.reason)


def _detector_fact(detector: Detector, sight: Sight) -> dict[str, str]:
    what = f"Detector {detector.name}"
    try:
        model = detector.model
    except ModelError as error:
        return _fact(what, error.message, error.remedy or "run the task Set up")
    absent = sight.missing.get(model)
    return _fact(what, f"{model} is missing" if absent else model, absent.remedy if absent else "")


def _vocabulary_fact(engine: Engine) -> dict[str, str]:
    try:
        return _fact("Vocabulary", f"{len(engine.vocabulary().labels)} labels")
    except SettingsError as error:
        return _fact("Vocabulary", error.message, error.remedy or "correct the file")


def _store_fact(engine: Engine) -> dict[str, str]:
    stats = engine.store.stats()
    return _fact(
        "Store",
        f"{stats.scenes} scenes, {stats.observations} observations, {stats.failed_scenes} failed,"
        f" {stats.bytes_on_disk / MEGABYTE:.1f} MB",
    )


def _stash_facts(engine: Engine, client: StashClient) -> Iterator[dict[str, str]]:
    stash = system(client)
    yield _fact("Stash", f"{stash.version} at {client.connection.base_url}")
    for folder in library_folders(client):
        seen = Path(folder).is_dir()
        yield _fact(
            "Library folder",
            f"{folder} {'can be read here' if seen else 'is not visible here'}",
            "" if seen else "text and objects need the files: mount it at the same path",
        )
    _, workflow = open_writing(engine, client, "doctor")
    lacking = workflow.lacking()
    names = ", ".join(lacking) or "all there"
    yield _fact(
        "Workflow tags",
        f"missing: {names}" if lacking else names,
        "run the task Set up" if lacking else "",
    )
