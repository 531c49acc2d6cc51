"""What stays warm between jobs: the store, the networks, the catalogue and the vocabulary."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from stash_sense_plugin.errors import CatalogueError, SettingsError
from stash_sense_plugin.inference.accepted import Accepted
from stash_sense_plugin.inference.catalogue import Catalogue, load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.session import Door, here
from stash_sense_plugin.inference.shelf import Held, Shelf
from stash_sense_plugin.library.counts import LibraryCounts
from stash_sense_plugin.library.jobs import JobTable
from stash_sense_plugin.library.ledger import StoreLedger
from stash_sense_plugin.library.store import Store, StorePrompts
from stash_sense_plugin.library.verdicts import Verdicts
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.settings import Settings, named_settings, read_settings
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.operations import plugin_called, plugin_settings, signed_in
from stash_sense_plugin.tasks.hardware import Here, extras_python
from stash_sense_plugin.tasks.presets import (
    Chosen,
    Hardware,
    choose,
    resolved,
    usable,
    waiting,
)
from stash_sense_plugin.tasks.sighting import Sight, Sighting
from stash_sense_plugin.tasks.words import all_words
from stash_sense_plugin.vocabulary import Vocabulary, load_vocabulary

LET_GO_S = 5.0
"""How long the store may take when the worker ends itself under a batch that hangs."""
MEGABYTE = 1_000_000

Made = TypeVar("Made")

PLUGIN_NAME = "Stash Sense"
"""What plugin.yml calls us, in every Stash."""


@dataclass(frozen=True, slots=True)
class Call:
    """What somebody asked for."""

    args: Mapping[str, object]
    server: Mapping[str, object] | None = None
    """Stash's `server_connection`; None from the command line without Stash."""


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
        hardware: Callable[[], Hardware] | None = None,
        door: Door | None = None,
    ) -> None:
        """`door` opens networks; None: this environment's onnxruntime."""
        self.home = home
        self.clock = clock
        """Seconds that pass: by them a sweep writes now and then, and its turn in Stash ends."""
        self.package, self.root = package, package.parent
        self._hardware = hardware or Here(home, package)
        self._door = door
        self._defaults = Settings()
        self._settings: Settings | None = None
        self._chosen: Chosen | None = None
        self.named: frozenset[str] = frozenset()
        """The settings in which that user wrote something that can be used."""
        self.complaints: tuple[str, ...] = ()
        """What of these settings cannot be used, a sentence each."""
        self.about_models: tuple[str, ...] = ()
        """Those of them that are about models and their licences."""
        self._complaints = _Complaints()
        self._limits = limits
        self.store = Store(home / "store.sqlite")
        self.jobs = JobTable(self.store)
        self.ledger = StoreLedger(self.store)
        self.verdicts = Verdicts(self.store)
        self.prompts = StorePrompts(self.store)
        self.counts = LibraryCounts(self.store)
        self.writing = threading.RLock()
        """Held by who writes to Stash, or judges what is there of ours: operations do so beside
        a job, and only one may at a time."""
        self._kept: dict[str, tuple[object, object]] = {}
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

    # --- What the user chose

    @property
    def settings(self) -> Settings:
        """What the user of the Stash that called last has chosen.

        Where no network is named there, it is the preset's, as far as the catalogue can be read.
        """
        if self._settings is None:
            self.settings = self._defaults
        assert self._settings is not None
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        try:
            self._chosen = self.choose(settings)
        except CatalogueError:
            # A broken file is named where a model is needed.
            self._chosen, self._settings = None, settings
        else:
            self._settings = resolved(settings, self._chosen)

    @property
    def chosen(self) -> Chosen:
        """What became of the preset, and why; raises CatalogueError."""
        settings = self.settings  # reading them chooses, where nothing was chosen yet
        return self._chosen or self.choose(settings)

    @property
    def defaults(self) -> Settings:
        """What holds where no Stash is asked; raises CatalogueError."""
        return resolved(self._defaults, self.choose(self._defaults))

    @defaults.setter
    def defaults(self, settings: Settings) -> None:
        self._defaults = settings

    def choose(self, settings: Settings) -> Chosen:
        """Choose networks where settings name none; raises CatalogueError."""
        catalogue = self.catalogue()
        models = Models(self.home / "models", catalogue)
        here = {card.name for card in waiting(catalogue) if models.has(card)}
        accepted = Accepted(models.folder).licences()
        return choose(settings, self._hardware(), catalogue, here, accepted)

    def tell_choice(self, reporter: Reporter, *, by_default: bool = False) -> None:
        """Log what became of the preset, unless all that it fills is off; raises CatalogueError.

        It is that of the user's settings, or of the default ones where no Stash was asked.
        """
        chosen = self.choose(self._defaults) if by_default else self.chosen
        settings = self.defaults if by_default else self.settings
        if not (settings.skip_labels and settings.skip_objects and settings.skip_acts):
            reporter.log("info", f"Models: {chosen.why}")

    def tell_device(self, reporter: Reporter, settings: Settings | None = None) -> None:
        """Warn where networks do not run on the device that was asked for, unless none will."""
        wished = settings or self.settings
        skips = wished.skip_labels and wished.skip_objects and wished.skip_acts
        if skips and not wished.similarity_model:
            return
        if warning := (self._door or here()).resolve(wished.device).warning:
            reporter.log("warning", warning)

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
        """Read the vocabulary, ours and the user's, with the words of which all are wanted."""
        catalogue = self.catalogue()
        all_of = all_words(catalogue, Models(self.home / "models", catalogue))
        ours = self.root / "models" / "vocabulary.yaml"
        return load_vocabulary(ours, self.own_vocabulary, all_of=all_of)

    def kept_by_files(self, name: str, make: Callable[[], Made]) -> Made:
        """Return what was made of catalogue and vocabulary, made anew where a file has changed.

        It is called `name`, and must not be changed by who is given it.
        """
        ours = self.root / "models"
        files = (ours / "catalogue.yaml", ours / "vocabulary.yaml")
        stamps = tuple(map(_stamp, (*files, self.own_catalogue, self.own_vocabulary)))
        kept = self._kept.get(name)
        if kept is None or kept[0] != stamps:
            kept = self._kept[name] = (stamps, make())
        return cast("Made", kept[1])

    def shelf(self) -> Shelf:
        """Return the open networks.

        Another catalogue, budget, device or precision begins a new shelf.
        """
        own, settings = self.own_catalogue, self.settings
        with self._shelving:
            written = (
                own.stat().st_mtime_ns if own.is_file() else None,
                settings.memory_budget_mb,
                settings.device,
                settings.full_precision,
            )
            if self._shelf is None or written != self._written:
                if self._shelf is not None:
                    self._shelf.close()
                models = Models(self.home / "models", self.catalogue())
                self._shelf = Shelf(
                    models,
                    settings.memory_budget_mb * MEGABYTE,
                    device=settings.device,
                    full_precision=settings.full_precision,
                    door=self._door,
                )
                self._written = written
            return self._shelf

    def sight(
        self, settings: Settings | None = None, check: Callable[[], None] | None = None
    ) -> Sight:
        """Build the detectors that settings ask for, the last ones unless others are given.

        No network is opened yet. `check` hears a stop while they look.
        """
        shelf, wished = self.shelf(), settings or self.settings
        filled = resolved(wished, self.choose(wished))
        python = extras_python(self.home, self.package)
        return Sighting(shelf, filled, self.prompts, python, check).sight()

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
        wished, complaints = read_settings(stored)
        try:
            wished, unusable = usable(wished, self.catalogue())
        except CatalogueError:
            unusable = []  # a broken file is named where a model is needed
        self.settings = wished
        self.named = named_settings(stored) - {
            each.setting for each in unusable if each.is_replaced
        }
        self.about_models = tuple(each.said(self.settings) for each in unusable)
        self.complaints = (*complaints, *self.about_models)


def open_engine(
    home: Path, package: Path, hardware: Callable[[], Hardware] | None = None
) -> Engine:
    """Open what a worker keeps; raises StoreError when the store cannot be used."""
    engine = Engine(home, package, hardware=hardware)
    engine.store.interrupt_open_runs(engine.store.note_death())
    return engine


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


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
