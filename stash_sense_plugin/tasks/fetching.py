"""How networks come here: those that the settings want, and those that are named."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stash_sense_plugin.errors import ModelError, ModelMissing, SettingsError
from stash_sense_plugin.inference import export, lighter
from stash_sense_plugin.inference.accepted import Accepted, check_name
from stash_sense_plugin.inference.catalogue import WEIGHTS, ModelCard
from stash_sense_plugin.inference.download import Order
from stash_sense_plugin.inference.fetching import SPARE_BYTES
from stash_sense_plugin.records import Level, Reporter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.start import environment
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.tasks.asked import text, texts
from stash_sense_plugin.tasks.engine import MEGABYTE, Call, Engine
from stash_sense_plugin.tasks.models import model_row, take_settings
from stash_sense_plugin.tasks.presets import ALSO_TASKS, MODEL_SETTINGS, named_row, wanted

NETWORKS = frozenset({"visual", "textual", "network"})
"""The roles of files that we open ourselves; a language pack is opened by its reader."""


# --- What the settings want -------------------------------------------------------------------


def download_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Fetch the networks that the settings name, the preset's where they name none.

    Without a Stash the default settings hold. Raises ModelMissing when one did not come; the
    others are fetched all the same.
    """
    if call.server is None:
        fetched = fetch_wanted(engine, engine.defaults, reporter)
    else:
        with engine.stash(call, reporter):
            settings = engine.settings
        fetched = fetch_wanted(engine, settings, reporter)
    if fetched.failed:
        raise ModelMissing(fetched.says(), "run Download models again: it goes on from there")
    reporter.log("info", fetched.says())
    return {"models": fetched.by_name()}


@dataclass(slots=True)
class Fetched:
    """What became of each network that the settings want."""

    here: list[str] = field(default_factory=list)
    came: list[Order] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Those that are left out for their licence."""

    def by_name(self) -> dict[str, str | None]:
        """Return why each network is not here; None where it is."""
        there = [*self.here, *(order.card.name for order in self.came)]
        return dict.fromkeys(there) | self.failed | self.refused

    def says(self) -> str:
        """Return the one sentence that stays of it."""
        parts = []
        if self.came:
            weight = _megabytes(sum(order.bytes or 0 for order in self.came))
            parts.append(f"Fetched {_listed(order.card.name for order in self.came)}{weight}")
        if self.failed:
            parts.append(f"{_listed(self.failed)} could not be made ready")
        if self.refused:
            parts.append(f"{_listed(self.refused)} left out for the licence")
        if not parts and self.here:
            parts.append(f"Nothing to fetch: {_listed(self.here)} here already")
        return "; ".join(parts) or "Nothing to fetch: what needs a model is switched off"


def fetch_wanted(engine: Engine, settings: Settings, reporter: Reporter) -> Fetched:
    """Fetch what the settings want and is not here; all sizes and hosts are said before.

    A network that does not come is said and stops no other.
    """
    models = engine.shelf().models
    accepted = Accepted(models.folder)
    fetched = Fetched()
    orders = []
    for name, setting in wanted(settings, models.catalogue).items():
        try:
            card = named_row(models.catalogue, MODEL_SETTINGS.get(setting, ALSO_TASKS), name)
            if models.sound(card):
                _lightened(engine, card, reporter)
                fetched.here.append(name)
            elif refusal := _refusal(accepted, card, settings):
                fetched.refused[name] = refusal
                reporter.log("warning", refusal)
            else:
                orders.append(_ordered(engine, card, reporter))
        except (ModelError, SettingsError) as error:
            _failed(fetched, name, error, reporter)
    _tell_room(models.folder, orders, reporter)
    _bring(engine, orders, fetched, reporter)
    return fetched


def _refusal(accepted: Accepted, card: ModelCard, settings: Settings) -> str:
    """Say why a network may not be fetched yet, if so; what lies here already may be used."""
    return accepted.refusal(card, settings.accepted_licences)


def _ordered(engine: Engine, card: ModelCard, reporter: Reporter) -> Order:
    """Ask how large the files are, and say so."""
    models = engine.shelf().models
    if models.unmade(card):
        # Weights of which nothing can be made here are not worth their download.
        export.refuse(models, card, _torch(engine))
    order = models.order(card, reporter)
    if order.hosts:
        reporter.log("info", announced(order))
    return order


def announced(order: Order) -> str:
    """Say what is about to be fetched, from where, and what its licence is."""
    size = "of unknown size" if order.bytes is None else f"{order.bytes / MEGABYTE:.0f} MB"
    left = f" ({order.here_bytes / MEGABYTE:.0f} MB of it are here)" if order.here_bytes else ""
    free = "" if order.card.commercial else ", which does not allow every use"
    return (
        f"{order.card.name}: {size}{left} from {_listed(order.hosts)};"
        f" licence {order.card.licence}{free}"
    )


def _tell_room(folder: Path, orders: Iterable[Order], reporter: Reporter) -> None:
    """Say what all of it takes on the disk, and whether that much is free."""
    needed = sum(map(_room_for, orders))
    if not needed:
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    told = f"It takes {needed / MEGABYTE:.0f} MB on the disk, which has {_rounded(free)} free"
    if needed + SPARE_BYTES > free:
        reporter.log("warning", f"{told}: not all of it will come; make room")
    else:
        reporter.log("info", told)


def _room_for(order: Order) -> int:
    """Return what a network takes; what is made of weights is about as large as they are."""
    weights = order.card.files.get(WEIGHTS)
    made = (weights.bytes or 0) if weights else 0
    return max(0, (order.bytes or 0) - order.here_bytes) + made


def _rounded(count: int) -> str:
    return f"{count / 1e9:.0f} GB" if count >= 10e9 else f"{count / MEGABYTE:.0f} MB"


def _bring(engine: Engine, orders: list[Order], fetched: Fetched, reporter: Reporter) -> None:
    """Fetch one after another, with one progress for all."""
    weights = [
        1 if None in {order.bytes for order in orders} else order.bytes or 1 for order in orders
    ]
    done = 0
    for order, weight in zip(orders, weights, strict=True):
        part = _Part(reporter, done / sum(weights), weight / sum(weights))
        try:
            make_ready(engine, order.card, part)
            fetched.came.append(order)
        except ModelError as error:
            _failed(fetched, order.card.name, error, reporter)
        done += weight


def _failed(
    fetched: Fetched, name: str, error: ModelError | SettingsError, reporter: Reporter
) -> None:
    reporter.log("warning", str(error))
    fetched.failed[name] = str(error)


@dataclass(frozen=True, slots=True)
class _Part:
    """A reporter for a part of a longer work."""

    whole: Reporter
    start: float
    length: float

    def log(self, level: Level, message: str) -> None:
        """Say it as it is."""
        self.whole.log(level, message)

    def progress(self, fraction: float) -> None:
        """Tell how far the whole is."""
        self.whole.progress(self.start + self.length * fraction)

    def check(self) -> None:
        """Learn whether to stop."""
        self.whole.check()


def _megabytes(count: int) -> str:
    return f" ({count / MEGABYTE:.0f} MB)" if count else ""


def _listed(names: Iterable[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last


# --- By name ----------------------------------------------------------------------------------


def pull_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Fetch the networks named in `names`; raises ModelError for the first that does not come.

    `accept` is the name of a licence that the user accepts. Raises SettingsError for a network
    under one that does not allow every use and was not accepted.
    """
    accept, names = text(call.args, "accept"), texts(call.args, "names")
    if not names:
        raise SettingsError("No model is named", "see `models list`")
    take_settings(engine, call, reporter)
    models = engine.shelf().models
    cards = [models.catalogue.card(name) for name in dict.fromkeys(names)]
    _check_licences(engine, cards, accept)
    orders = [_ordered(engine, card, reporter) for card in cards]
    _tell_room(models.folder, orders, reporter)
    for card in cards:
        make_ready(engine, card, reporter)
    return {"models": [model_row(engine, card) for card in cards]}


def _check_licences(engine: Engine, cards: Iterable[ModelCard], said: str) -> None:
    models = engine.shelf().models
    accepted = Accepted(models.folder)
    conditional = [card for card in cards if not card.commercial]
    for card in conditional:
        if said:
            check_name(card, said)
        elif not models.sound(card) and (refusal := _refusal(accepted, card, engine.settings)):
            raise SettingsError(refusal)
    if said and not conditional:
        raise SettingsError(
            "None of these models has a licence that must be accepted", "leave --accept out"
        )
    # Nothing is remembered of a call that was refused.
    for card in conditional if said else ():
        accepted.accept(card, said)


# --- Fetched, made, opened --------------------------------------------------------------------


def make_ready(engine: Engine, card: ModelCard, reporter: Reporter) -> None:
    """Fetch a network's files, make what is made of them, and open each network once.

    Raises ModelMissing or ModelBroken.
    """
    shelf = engine.shelf()
    if shelf.models.unmade(card):
        shelf.models.pull(card, _Part(reporter, 0.0, 0.5))
        export.export(shelf.models, card, _Part(reporter, 0.5, 0.5), _torch(engine))
    else:
        shelf.models.pull(card, reporter)
    if told := _lightened(engine, card, reporter):
        reporter.log("info", told)
    # What was open before is another file now, or has a lighter variant.
    shelf.close()
    for told in dict.fromkeys(_opened(engine, card)):
        reporter.log("info", f"{card.name} {told}")


def _torch(engine: Engine) -> str:
    """Return the Python that reads weights, whether it is there or not."""
    return environment.extras_python(Home(str(engine.home)))


def _lightened(engine: Engine, card: ModelCard, reporter: Reporter) -> str | None:
    """Make the int8 variant where it serves; return what became of it."""
    if engine.settings.full_precision:
        return None
    return lighter.lighten(engine.shelf().models, card, reporter)


def _opened(engine: Engine, card: ModelCard) -> Iterator[str]:
    shelf = engine.shelf()
    for role in card.files:
        if role in NETWORKS:
            network = shelf.network(card, role)
            yield f"runs on {network.device} in {network.precision}"
