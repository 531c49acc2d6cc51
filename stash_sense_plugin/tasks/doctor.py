"""Doctor: what runs here, what is missing and what to do about it."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from stash_sense_plugin.errors import (
    CatalogueError,
    MediaMissing,
    ModelError,
    SettingsError,
    StashSenseError,
)
from stash_sense_plugin.inference import lighter, runtime
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.providers import CARDS
from stash_sense_plugin.inference.session import resolve
from stash_sense_plugin.library import health
from stash_sense_plugin.library.jobs import Job
from stash_sense_plugin.records import Detector, Level, Reporter, Scene
from stash_sense_plugin.start import checkup, disks, machine, report
from stash_sense_plugin.start.address import user
from stash_sense_plugin.start.lines import gigabytes
from stash_sense_plugin.start.paths import Home, read_json
from stash_sense_plugin.start.report import NOTE, OK, PROBLEM, Fact
from stash_sense_plugin.stash.client import Limits, StashClient
from stash_sense_plugin.stash.operations import (
    asks_for_login,
    library_folders,
    some_scenes,
    system,
)
from stash_sense_plugin.tasks.api import DoctorTold
from stash_sense_plugin.tasks.asked import switched_on
from stash_sense_plugin.tasks.engine import MEGABYTE, Call, Engine
from stash_sense_plugin.tasks.sighting import SWITCHED_OFF, Sight
from stash_sense_plugin.tasks.writing import open_writing

PATIENCE = Limits(read_s=15.0, attempts=2)
"""Doctor says that Stash is slow; it does not wait for it."""

CHECK_S = 3.0
"""How long the store is read, unless the whole of it is asked for."""

SCENES = 20
"""Scenes whose files are looked for."""
SPRITES = 5
"""Scenes whose sprite sheets are looked for."""
WHERE = {"cpu": "the processor", "cuda": "the graphics card", "tensorrt": "the graphics card"}
FRAME_ROLES = frozenset({"visual", "network"})
"""The roles of networks that look at frames."""
CLOCKS_S = 30.0
"""How far two clocks may be apart."""

MOUNT = (
    "text and objects need the files: mount it at the same path where Stash Sense runs, or plug"
    " the drive in"
)


def doctor(engine: Engine, call: Call, reporter: Reporter) -> DoctorTold:
    """Say what runs here, what is missing and what to do about it.

    With `thorough` the store is read whole. Returns the report that lies in the home as JSON.
    """
    probes = _Probes(engine, call, whole=switched_on(call.args, "thorough"))
    facts = checkup.gather(probes.all(), reporter.check)
    # What says so speaks the Python of before such types.
    told = report.conclude(str(engine.home), facts, partial(_say, reporter))
    return cast("DoctorTold", told)


def _say(reporter: Reporter, level: str, text: str) -> None:
    reporter.log("warning" if level == "warning" else "info", text)


class _Unheard:
    """Takes what is said on the way to Stash: it comes as facts."""

    def log(self, level: Level, message: str) -> None:
        """Take a line."""

    def progress(self, fraction: float) -> None:
        """Take a fraction."""

    def check(self) -> None:
        """Go on."""


class _Probes:
    """Who looks at what, for one call."""

    def __init__(self, engine: Engine, call: Call, *, whole: bool) -> None:
        self._real = engine
        self._whole = whole
        # It may run beside a sweep, whose settings and networks are not to change under it.
        self._engine = engine.aside(PATIENCE)
        self._call = call
        self._home = Home(str(engine.home))

    def all(self) -> list[checkup.Probe]:
        """Return them in the order in which they look."""
        package = str(self._engine.root / "stash_sense_plugin")
        return [
            # Asked first: the user's settings, which name the models, are there.
            ("Stash", "Stash", self._stash),
            *checkup.machine_probes(self._home, package, warm=True, mounts=_mounts),
            ("Environment", "Runtime", self._runtime),
            ("Models", "Models", lambda: _models(self._engine)),
            ("Models", "Open now", self._open),
            ("Models", "Memory budget", lambda: _budget(self._engine)),
            ("Models", "Vocabulary", lambda: _vocabulary(self._engine)),
            ("Store", "Store", self._store),
            ("Store", "Check", self._check),
            ("Worker", "Worker", self._worker),
        ]

    def _stash(self) -> Iterator[Fact]:
        if self._call.server is None:
            yield Fact("Stash", "Stash", "not asked: no address was given")
            return
        try:
            with self._engine.stash(self._call, _Unheard()) as client:
                yield from _asked(self._engine, client)
        except StashSenseError as error:
            yield Fact(
                "Stash", "Stash", error.message, PROBLEM, error.remedy or "look at Stash's log"
            )
        for complaint in self._engine.complaints:
            yield Fact("Stash", "Settings", complaint, NOTE, "correct it in the plugin's settings")

    # --- Here

    def _runtime(self) -> Iterator[Fact]:
        found = runtime.look(self._engine.settings.device)
        device = WHERE.get(found.device, found.device)
        told = f"onnxruntime {found.version}, networks run on {device} ({found.device})"
        if found.falls_back:
            yield Fact("Environment", "Runtime", f"{told}: {found.told}", NOTE, found.remedy)
        else:
            yield Fact("Environment", "Runtime", told)
        yield Fact("Environment", "Providers", f"{', '.join(found.providers)} in this onnxruntime")
        yield Fact("Environment", "Versions", ", ".join(_versions()))

    def _open(self) -> Iterator[Fact]:
        held = self._real.open_networks()
        told = [
            f"{each.label} ({each.role}) on {each.device}, {each.precision},"
            f" {each.bytes / MEGABYTE:.0f} MB"
            for each in held
        ]
        yield from (Fact("Models", "Open now", each) for each in told)
        if not told:
            yield Fact("Models", "Open now", "no network: they are opened when they are needed")

    def _store(self) -> Iterator[Fact]:
        store = self._engine.store
        stats = store.stats()
        yield Fact(
            "Store",
            "Store",
            f"{stats.scenes} scenes, {stats.observations} observations,"
            f" {stats.failed_scenes} failed, {stats.bytes_on_disk / MEGABYTE:.1f} MB",
        )
        if store.locking == "exclusive":
            told = "by this worker alone: its disk lets no two programs share it"
            remedy = "name a folder on a disk of this machine in STASH_SENSE_HOME to change that"
            yield Fact("Store", "Opened", f"{told} ({store.journal_mode}, exclusive)", NOTE, remedy)
        elif store.journal_mode != "wal":
            told = "so that readers and writers wait for each other: its disk allows no more"
            remedy = "name a folder on a disk of this machine in STASH_SENSE_HOME: it is faster"
            yield Fact("Store", "Opened", f"{told} ({store.journal_mode})", NOTE, remedy)
        else:
            yield Fact("Store", "Opened", f"so that readers never wait ({store.journal_mode})")

    def _check(self) -> Iterator[Fact]:
        state, faults = health.check(self._engine.store, None if self._whole else CHECK_S)
        if state == "damaged":
            remedy = "put a backup in its place, or move it away to begin a new store"
            yield Fact("Store", "Check", f"damaged: {faults}", PROBLEM, remedy)
        elif state == "unfinished":
            told = f"nothing wrong in {CHECK_S:.0f} s, and not all of it was read"
            yield Fact("Store", "Check", f"{told}: `doctor --thorough` reads all of it")
        else:
            yield Fact("Store", "Check", "whole")

    def _worker(self) -> Iterator[Fact]:
        import psutil

        process = psutil.Process()
        since = _clock_time(process.create_time())
        weight = gigabytes(process.memory_info().rss)
        told = f"process {process.pid} since {since}, {weight} of memory"
        yield Fact("Worker", "Worker", told)
        socket = (read_json(self._home.worker_card) or {}).get("socket")
        yield Fact("Worker", "Socket", str(socket or "none: a port of this machine"))
        yield Fact("Worker", "Log", self._home.worker_log)
        for job in self._engine.jobs.open_jobs():
            if job.kind != "doctor":
                yield Fact("Worker", "At work", _job(job))


def _versions() -> Iterator[str]:
    """Yield the versions of what reads scenes."""
    import cv2

    yield f"numpy {np.__version__}"
    # It comes under many names, and from some systems under none.
    yield f"OpenCV {cv2.__version__}"
    for title, name in (("PyAV", "av"), ("RapidOCR", "rapidocr")):
        yield f"{title} {metadata.version(name)}"


class Partition(Protocol):
    """A mount as psutil tells it."""

    @property
    def device(self) -> str: ...
    @property
    def mountpoint(self) -> str: ...
    @property
    def fstype(self) -> str: ...
    @property
    def opts(self) -> str: ...


def _mounts() -> tuple[disks.Mount, ...]:
    """Return the mounts of a machine without Linux' own table of them."""
    if Path(disks.MOUNTS).exists():
        return ()
    import psutil

    return tuple(mount(each) for each in psutil.disk_partitions(all=True))


def mount(told: Partition) -> disks.Mount:
    """Return a mount as psutil tells it: on Windows, only its options say that it is far away."""
    remote = "remote" in told.opts.split(",")
    return disks.Mount(told.mountpoint, "smbfs" if remote else told.fstype.lower(), told.device)


def _job(job: Job) -> str:
    if job.begun_at_s is None:
        return f"{job.kind} waits"
    return f"{job.kind}, {job.progress:.0%} done, since {_clock_time(job.begun_at_s)}"


def _clock_time(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


# --- Models and words -------------------------------------------------------------------------


def _models(engine: Engine) -> Iterator[Fact]:
    try:
        sight = engine.sight()
    except SettingsError as error:
        yield Fact(
            "Models", "Models", error.message, PROBLEM, error.remedy or "correct the setting"
        )
        return
    yield Fact("Models", "Preset", engine.chosen.why)
    for detector in sight.detectors:
        yield from _detector(engine, detector, sight)
    cards = [_card(engine, model) for model in _models_of(sight)]
    yield from _precision(engine, [card for card in cards if card is not None])
    for skipped in sight.skipped:
        off = skipped.reason == SWITCHED_OFF
        level, remedy = (OK, "") if off else (PROBLEM, skipped.remedy)
        yield Fact("Models", f"Detector {skipped.detector}", skipped.reason, level, remedy)


def _precision(engine: Engine, cards: Iterable[ModelCard]) -> Iterator[Fact]:
    """Say which networks run with rounded weights, and which as they were published."""
    names: dict[str, list[str]] = {}
    for card in cards:
        # What is missing or broken is said where the detector is.
        with suppress(ModelError):
            for how in _ways(engine, card):
                names.setdefault(how, []).append(card.name)
    if names:
        told = "; ".join(f"{how}: {', '.join(names[how])}" for how in sorted(names))
        yield Fact("Models", "Precision", told)


def _ways(engine: Engine, card: ModelCard) -> Iterator[str]:
    """Yield how the network of a card that looks at frames is run, where it is here."""
    settings, models = engine.settings, engine.shelf().models
    place = resolve(settings.device).place
    for role in FRAME_ROLES & card.files.keys() if models.has(card) else ():
        path = models.path(card, role)
        base = models.base(card, role)
        if lighter.variant(path, place, settings.full_precision, base) == path:
            yield "as published"
        else:
            yield "rounded to fp16" if place in CARDS else "rounded to int8"


def _detector(engine: Engine, detector: Detector, sight: Sight) -> Iterator[Fact]:
    what = f"Detector {detector.name}"
    try:
        model = detector.model
    except ModelError as error:
        yield Fact("Models", what, error.message, PROBLEM, error.remedy or "run the task Set up")
        return
    absent, card = sight.missing.get(model), _card(engine, model)
    if absent is None:
        yield Fact("Models", what, model)
    else:
        told = f"{model} is missing{_waiting(engine, detector, card)}"
        yield Fact("Models", what, told, PROBLEM, absent.remedy)
    if card is not None and not card.commercial:
        told = f"{card.name}: {card.licence}, not for commercial use"
        yield Fact("Models", "Licence", told, NOTE)
    if card is not None and card.untried:
        told = f"{card.name} was not tried by who made Stash Sense: look at its first results"
        yield Fact("Models", "Untried", told, NOTE)


def _waiting(engine: Engine, detector: Detector, card: ModelCard | None) -> str:
    """Say how many labels a network keeps waiting that is not here."""
    source = card.words if card is not None and card.words else detector.name
    try:
        labels = engine.vocabulary().labels.values()
    except SettingsError:
        return ""  # what is wrong with it has a line of its own
    count = sum(label.source == source for label in labels)
    if not count:
        return ""
    return f": its {count} labels wait for it, but for those that others see too"


def _models_of(sight: Sight) -> Iterator[str]:
    for detector in sight.detectors:
        with suppress(ModelError):
            yield detector.model


def _card(engine: Engine, model: str) -> ModelCard | None:
    """Return the row of a detector's model; None for what comes without one."""
    try:
        return engine.catalogue().card(model.partition("@")[0])
    except CatalogueError:
        return None


def _budget(engine: Engine) -> Iterator[Fact]:
    budget, total = engine.settings.memory_budget_mb * MEGABYTE, machine.memory_bytes()
    told = f"{gigabytes(budget)} for open networks"
    if total and budget > 0.8 * total:
        told += f", and this machine has {gigabytes(total)}"
        remedy = "lower the setting 'memory_budget_mb'"
        yield Fact("Models", "Memory budget", told, NOTE, remedy)
    else:
        yield Fact("Models", "Memory budget", told)


def _vocabulary(engine: Engine) -> Iterator[Fact]:
    try:
        yield Fact("Models", "Vocabulary", f"{len(engine.vocabulary().labels)} labels")
    except SettingsError as error:
        remedy = error.remedy or "correct the file"
        yield Fact("Models", "Vocabulary", error.message, PROBLEM, remedy)


# --- Stash and its library --------------------------------------------------------------------


def _asked(engine: Engine, client: StashClient) -> Iterator[Fact]:
    """Ask Stash; what it does not answer becomes a fact, and the rest is asked all the same."""
    probes: list[checkup.Probe] = [
        ("Stash", "Login", lambda: _login(client)),
        ("Stash", "Clock", lambda: _clock(client)),
        ("Stash", "Proxy", lambda: _proxy(client)),
        ("Library", "Library folder", lambda: _folders(client)),
        ("Library", "Scenes", lambda: _scenes(client)),
        ("Library", "Workflow tags", lambda: _workflow(engine, client)),
    ]
    stash = system(client)
    told = f"{stash.version} at {client.connection.base_url}"
    if stash.status == "OK":
        yield Fact("Stash", "Stash", told)
    else:
        remedy = "open Stash and do what it asks for"
        yield Fact("Stash", "Stash", f"{told}, status {stash.status}", PROBLEM, remedy)
    yield from checkup.gather(probes)


def _login(client: StashClient) -> Iterator[Fact]:
    login = asks_for_login(client)
    key = "with its API key" if client.connection.api_key else "with the session that it lent us"
    yield Fact("Stash", "Login", f"asked for, and we are let in {key}" if login else "none")


def _clock(client: StashClient) -> Iterator[Fact]:
    before = time.time()
    system(client)
    now = (before + time.time()) / 2
    if client.server_time is None:
        return
    apart_s = client.server_time.timestamp() - now
    if abs(apart_s) < CLOCKS_S:
        yield Fact("Stash", "Clock", "the same as ours")
    else:
        told = f"{abs(apart_s):.0f} s {'ahead of' if apart_s > 0 else 'behind'} ours"
        yield Fact("Stash", "Clock", told, NOTE, "set both clocks by the network")


def _proxy(client: StashClient) -> Iterator[Fact]:
    from requests.utils import get_environ_proxies as proxies_for
    from requests.utils import select_proxy

    url = client.connection.base_url
    direct = client.connection.loopback or client.connection.told_by_stash
    if not direct and select_proxy(url, proxies_for(url, None)):
        told = "Stash is asked through the proxy that the environment names"
        remedy = f"add Stash's host to NO_PROXY where it is on your own network ({url})"
        yield Fact("Stash", "Proxy", told, NOTE, remedy)


def _folders(client: StashClient) -> Iterator[Fact]:
    folders = library_folders(client)
    if not folders:
        yield Fact("Library", "Library folder", "Stash has none", NOTE, "add one in Stash")
    for folder, there in zip(folders, disks.look_at(folders), strict=True):
        yield _folder(folder, there)


def _folder(folder: str, there: str) -> Fact:
    what = "Library folder"
    if there == disks.FOLDER:
        return Fact("Library", what, f"{folder} can be read here")
    if there == disks.EMPTY:
        return Fact(
            "Library", what, f"{folder} is empty here", NOTE, "is its drive plugged in and mounted?"
        )
    if there == disks.MISSING:
        return Fact("Library", what, f"{folder} is not visible here", PROBLEM, MOUNT)
    told, remedy = _unreadable(there)
    return Fact("Library", what, f"{folder} {told}", PROBLEM, remedy)


def _unreadable(there: str) -> tuple[str, str]:
    if there == disks.DENIED:
        return "may not be read here", f"let user {user()} read it"
    if there == disks.SILENT:
        told = f"does not answer (for {disks.LOOK_S:.0f} s)"
        return told, "look at the drive, or at the machine that lends it"
    return f"cannot be read here ({there})", "look at the drive and how it is mounted"


def _scenes(client: StashClient) -> Iterator[Fact]:
    scenes = [scene for scene in some_scenes(client, SCENES, int(time.time())) if scene.path]
    if not scenes:
        yield Fact("Library", "Scenes", "Stash has none with a file", NOTE, "let Stash scan")
        return
    paths = [scene.path for scene in scenes]
    there = disks.look_at(paths)
    read = sum(each == disks.FILE for each in there)
    yield from _not_read(paths, there)
    if read == len(paths):
        told = "the file can be" if read == 1 else f"the files of all {read} tried can be"
        yield Fact("Library", "Scenes", f"{told} read here")
    yield _sprites(client, scenes)


def _not_read(paths: Sequence[str], there: Iterable[str]) -> Iterator[Fact]:
    """Say of each way in which files cannot be read, how many there are and one of them."""
    ways = [(path, how) for path, how in zip(paths, there, strict=True) if how != disks.FILE]
    for how, count in Counter(how for _, how in ways).items():
        first = next(path for path, each in ways if each == how)
        if how == disks.MISSING:
            told, remedy = "is not visible here", MOUNT
        else:
            told, remedy = _unreadable(how)
        tried = f"{count} of {len(paths)} files tried: {first} {told}"
        yield Fact("Library", "Scenes", tried, PROBLEM, remedy)


def _sprites(client: StashClient, scenes: Sequence[Scene]) -> Fact:
    tried = [scene.sprite_path for scene in scenes if scene.sprite_path][:SPRITES]
    there = sum(_has(client, path) for path in tried)
    told = f"{there} of {len(tried)} scenes tried have a sprite sheet"
    # What is damaged has none and never will.
    if 2 * there > len(tried):
        return Fact("Library", "Sprites", told)
    remedy = "let Stash generate scene sprites: whole scenes are then looked at in a moment"
    return Fact("Library", "Sprites", told, NOTE, remedy)


def _has(client: StashClient, path: str) -> bool:
    try:
        return client.size(path) > 0
    except MediaMissing:
        return False


def _workflow(engine: Engine, client: StashClient) -> Iterator[Fact]:
    _, workflow = open_writing(engine, client, "doctor")
    lacking = ", ".join(workflow.lacking())
    if lacking:
        yield Fact(
            "Library", "Workflow tags", f"missing: {lacking}", PROBLEM, "run the task Set up"
        )
    else:
        yield Fact("Library", "Workflow tags", "all there")
