"""What stays warm between jobs: the store, the networks, the catalogue and the vocabulary."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

from stash_sense_plugin.detectors.clip import ClipDetector, ZeroShot
from stash_sense_plugin.detectors.objects import ObjectDetector
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.detectors.text import TextDetector
from stash_sense_plugin.errors import CatalogueError, ModelMissing, SettingsError
from stash_sense_plugin.inference.catalogue import Catalogue, ModelCard, load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.shelf import Held, Shelf
from stash_sense_plugin.library.jobs import JobTable
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store, StorePrompts
from stash_sense_plugin.library.verdicts import Verdicts
from stash_sense_plugin.records import Detector, Reporter, Skipped
from stash_sense_plugin.settings import Settings, named_settings, read_settings
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import plugin_called, plugin_settings, signed_in
from stash_sense_plugin.vocabulary import Vocabulary, load_vocabulary

LET_GO_S = 5.0
"""How long the store may take when the worker ends itself under a batch that hangs."""
ALWAYS_HERE = "nudenet-320n"
"""The object detector that comes inside a package."""

MODEL_SETTINGS = {"clip_model": "clip", "object_model": "objects"}
"""The settings that name a model, and what it must be for."""

SWITCHED_OFF = "switched off"
"""Why a detector is skipped that the user does not want."""

MEGABYTE = 1_000_000

PLUGIN_NAME = "Stash Sense"
"""What plugin.yml calls us, in every Stash."""


@dataclass(frozen=True, slots=True)
class Call:
    """What somebody asked for."""

    args: Mapping[str, object]
    server: Mapping[str, object] | None = None
    """Stash's `server_connection`; None from the command line without Stash."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The detectors that the settings ask for, and which of them have no network here."""

    detectors: tuple[Detector, ...]
    missing: Mapping[str, ModelMissing]
    """By the detector's model."""
    skipped: tuple[Skipped, ...]
    zero_shot: ZeroShot | None


class _Complaints:
    """What was said of the user's settings: each sentence once, until it no longer holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def new(self, sentences: Iterable[str]) -> list[str]:
        """Return what of all that holds now was not said yet."""
        holding = list(dict.fromkeys(sentences))
        with self._lock:
            unsaid = [sentence for sentence in holding if sentence not in self._said]
            self._said = set(holding)
        return unsaid


class Engine:
    """The parts that jobs share; one per library, closed with its worker."""

    def __init__(
        self,
        home: Path,
        package: Path,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.home = home
        self.clock = clock
        """Seconds that pass: by them a sweep writes now and then, and its turn in Stash ends."""
        self.root = package.parent
        self.defaults = Settings()
        """What holds where no Stash is asked."""
        self.settings = self.defaults
        """What the user of the Stash that called last has chosen."""
        self.named: frozenset[str] = frozenset()
        """The settings in which that user wrote something."""
        self.complaints: tuple[str, ...] = ()
        """What of these settings cannot be used, a sentence each."""
        self._complaints = _Complaints()
        self._limits = limits
        self.store = Store(home / "store.sqlite")
        self.jobs = JobTable(self.store)
        self.ledger = StoreLedger(self.store)
        self.verdicts = Verdicts(self.store)
        self.prompts = StorePrompts(self.store)
        self.writing = threading.RLock()
        """Held by who writes to Stash, or judges what is there of ours: operations do so beside
        a job, and only one may at a time."""
        self._shelving = threading.Lock()
        self._shelf: Shelf | None = None
        self._written: tuple[object, ...] = ()

    def close(self) -> None:
        """Let go of the networks and the store."""
        if self._shelf is not None:
            self._shelf.close()
        self.store.close()

    def let_go(self, within_s: float = LET_GO_S) -> None:
        """Blame no scene for a batch that hangs: the worker ends itself under it.

        It returns in any case, for what hangs may be the store.
        """
        dropping = threading.Thread(target=self.store.drop_looks, name="let go", daemon=True)
        dropping.start()
        dropping.join(within_s)

    def aside(self, limits: Limits | None = None) -> "Engine":
        """Return an engine for who only looks, beside a job: it has the same store and settings.

        What it reads of the user's settings, and the networks that it names, are its own.
        `limits` say how patient it is with Stash, where it is to be less so.
        """
        beside = copy(self)
        beside._shelf = None
        beside._limits = limits or self._limits
        return beside

    @property
    def idle_minutes(self) -> int:
        """How long the worker stays without work."""
        return self.settings.idle_minutes

    def unload_idle(self, older_than_s: float) -> int:
        """Close networks that were not used for that long; return how many."""
        return 0 if self._shelf is None else self._shelf.unload_idle(older_than_s)

    def open_networks(self) -> tuple[Held, ...]:
        """Return the networks that jobs have open now."""
        return () if self._shelf is None else self._shelf.held()

    # --- Models and words

    @property
    def own_catalogue(self) -> Path:
        """The user's catalogue, which overlays ours where it exists."""
        return self.home / "catalogue.yaml"

    @property
    def own_vocabulary(self) -> Path:
        """The user's vocabulary, which overlays ours where it exists."""
        return self.home / "vocabulary.yaml"

    def catalogue(self) -> Catalogue:
        """Read the catalogue, ours and the user's."""
        return load_catalogue(self.root / "models" / "catalogue.yaml", self.own_catalogue)

    def vocabulary(self) -> Vocabulary:
        """Read the vocabulary, ours and the user's."""
        return load_vocabulary(self.root / "models" / "vocabulary.yaml", self.own_vocabulary)

    def shelf(self) -> Shelf:
        """Return the open networks; another catalogue or budget begins a new shelf."""
        own = self.own_catalogue
        with self._shelving:
            written = (
                own.stat().st_mtime_ns if own.is_file() else None,
                self.settings.memory_budget_mb,
            )
            if self._shelf is None or written != self._written:
                if self._shelf is not None:
                    self._shelf.close()
                models = Models(self.home / "models", self.catalogue())
                self._shelf = Shelf(models, self.settings.memory_budget_mb * MEGABYTE)
                self._written = written
            return self._shelf

    def sight(self, settings: Settings | None = None) -> Sight:
        """Build the detectors that settings ask for, the last ones unless others are given.

        No network is opened yet.
        """
        return _Sighting(self.shelf(), settings or self.settings, self.prompts).sight()

    # --- Stash

    @contextmanager
    def stash(self, call: Call, reporter: Reporter) -> Iterator[StashClient]:
        """Open the way to Stash and read the user's settings there."""
        if call.server is None:
            raise SettingsError(
                "This needs a Stash", "name its address with --stash http://127.0.0.1:9999"
            )
        client = StashClient(_connection(call.server), limits=self._limits)
        with client, signed_in(client):
            self._take_settings(_stored(client, call.server, reporter))
            for complaint in self._complaints.new(self.complaints):
                reporter.log("warning", complaint)
            yield client

    def _take_settings(self, stored: Mapping[str, object]) -> None:
        chosen, complaints = read_settings(stored)
        self.settings, unknown = self._with_known_models(chosen)
        self.named = named_settings(stored)
        self.complaints = (*complaints, *unknown)

    def _with_known_models(self, settings: Settings) -> tuple[Settings, list[str]]:
        """Put our own model where the named one is not in the catalogue, or for something else."""
        named = {name: getattr(settings, name) for name in MODEL_SETTINGS}
        if all(model == getattr(self.defaults, name) for name, model in named.items()):
            return settings, []
        try:
            catalogue = self.catalogue()
        except CatalogueError:
            return settings, []  # a broken file is named where a model is needed
        complaints = []
        for name, model in named.items():
            try:
                card_for(catalogue, MODEL_SETTINGS[name], model)
            except SettingsError as error:
                default = getattr(self.defaults, name)
                complaints.append(f"Setting {name}: {error}; {default!r} is used.")
                settings = replace(settings, **{name: default})
        return settings, complaints


def open_engine(home: Path, package: Path) -> Engine:
    """Open what a worker keeps; raises StoreError when the store cannot be used."""
    engine = Engine(home, package)
    engine.store.interrupt_open_runs(engine.store.note_death())
    return engine


def plugin_id(folder: Path) -> str:
    """Return the plugin's id: the name of the one `.yml` file in its folder."""
    found = sorted(path.stem for path in folder.glob("*.yml"))
    return found[0] if found else "stash-sense"


def _stored(
    client: StashClient, server: Mapping[str, object], reporter: Reporter
) -> dict[str, object]:
    """Return what the user set, under whatever id this Stash knows us by."""
    folder = server.get("PluginDir")
    own_id = plugin_id(Path(str(folder))) if folder else plugin_called(client, PLUGIN_NAME)
    if own_id is None:
        reporter.log(
            "warning",
            f"This Stash has no plugin named {PLUGIN_NAME}, and so no settings of yours for it:"
            " the default settings hold",
        )
        return {}
    return plugin_settings(client, own_id)


def _connection(server: Mapping[str, object]) -> Connection:
    """Read where Stash is: its own words, or the address that a person gave."""
    url = server.get("Url")
    if isinstance(url, str):
        return Connection.from_url(url, str(server.get("ApiKey") or ""))
    return Connection.from_plugin(server)


def card_for(catalogue: Catalogue, task: str, name: str) -> ModelCard:
    """Return the row called `name`; raises SettingsError where it is not one for this task."""
    card = catalogue.card(name)
    if card.task != task:
        raise SettingsError(
            f"The model {name} is for {card.task}, not for {task}", "name another in the settings"
        )
    return card


class _Sighting:
    """Builds detectors from the settings."""

    def __init__(self, shelf: Shelf, settings: Settings, prompts: StorePrompts) -> None:
        self._shelf = shelf
        self._models = shelf.models
        self._settings = settings
        self._prompts = prompts
        self._detectors: list[Detector] = []
        self._missing: dict[str, ModelMissing] = {}
        self._skipped: list[Skipped] = []
        self._zero_shot: ZeroShot | None = None

    def sight(self) -> Sight:
        settings = self._settings
        if settings.skip_labels:
            self._off("clip", "skip_labels")
        else:
            self._add_labels()
        if settings.skip_facts:
            self._off("picture", "skip_facts")
        else:
            self._detectors.append(PictureDetector())
        if settings.skip_objects:
            self._off("objects", "skip_objects")
        else:
            self._add_objects()
        if settings.skip_text:
            self._off("text", "skip_text")
        else:
            self._detectors.append(TextDetector())
        return Sight(tuple(self._detectors), self._missing, tuple(self._skipped), self._zero_shot)

    def _off(self, detector: str, setting: str) -> None:
        self._skipped.append(Skipped(detector, SWITCHED_OFF, f"change the setting {setting}"))

    def _add_labels(self) -> None:
        card = self._card("clip", self._settings.clip_model)
        if card is not None:
            self._add(card, ClipDetector(self._shelf, card))
            self._zero_shot = ZeroShot(self._shelf, card, self._prompts)

    def _add_objects(self) -> None:
        for name in dict.fromkeys((self._settings.object_model, ALWAYS_HERE)):
            card = self._card("objects", name)
            if card is not None:
                self._add(card, ObjectDetector(self._shelf, card, self._settings.floor))

    def _card(self, task: str, name: str) -> ModelCard | None:
        """Find the row that a setting names; a row of the user's own whose file is gone has none.

        Raises CatalogueError where there is no such row.
        """
        card = card_for(self._models.catalogue, task, name)
        try:
            self._models.version(card)
        except ModelMissing as error:
            self._skipped.append(Skipped(f"{task} ({name})", error.message, error.remedy))
            return None
        return card

    def _add(self, card: ModelCard, detector: Detector) -> None:
        self._detectors.append(detector)
        if not self._models.has(card):
            self._missing[detector.model] = ModelMissing(
                f"The files of {card.name} are not here",
                "run the task Download models, or"
                f" `python -m stash_sense_plugin models pull {card.name}`",
            )
