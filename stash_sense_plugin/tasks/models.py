"""The networks: which are here, which the user wants, and how they are fetched."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from stash_sense_plugin.errors import ModelError, ModelMissing, SettingsError
from stash_sense_plugin.inference.catalogue import ModelCard
from stash_sense_plugin.inference.download import Models, Order
from stash_sense_plugin.records import Level, Reporter
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.asked import texts
from stash_sense_plugin.tasks.engine import (
    ALWAYS_HERE,
    MEGABYTE,
    MODEL_SETTINGS,
    Call,
    Engine,
    card_for,
)

DEFAULTS = frozenset({Settings().clip_model, Settings().object_model, ALWAYS_HERE})
"""The networks that run where the user names no others."""

OFF_SWITCHES = {"clip_model": "skip_labels", "object_model": "skip_objects"}
"""By the setting that names a network, the one with which it is not wanted."""


# --- Fetching what the settings want ----------------------------------------------------------


def download_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Fetch the networks that the settings name, ours where they name none.

    Without a Stash the default settings hold. Raises ModelMissing when one did not come; the
    others are fetched all the same.
    """
    if call.server is None:
        fetched = fetch_wanted(engine, engine.defaults, frozenset(), reporter)
    else:
        with engine.stash(call, reporter):
            settings, named = engine.settings, engine.named
        fetched = fetch_wanted(engine, settings, named, reporter)
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
            parts.append(f"{_listed(self.failed)} could not be fetched")
        if self.refused:
            parts.append(f"{_listed(self.refused)} left out for the licence")
        if not parts and self.here:
            parts.append(f"Nothing to fetch: {_listed(self.here)} here already")
        return "; ".join(parts) or "Nothing to fetch: labels and objects are switched off"


def fetch_wanted(
    engine: Engine, settings: Settings, named: frozenset[str], reporter: Reporter
) -> Fetched:
    """Fetch what the settings want and is not here; all sizes and hosts are said before.

    `named` are the settings that the user wrote himself. A network that does not come is said
    and stops no other.
    """
    models = engine.shelf().models
    fetched = Fetched()
    orders = []
    for setting in (each for each, off in OFF_SWITCHES.items() if not getattr(settings, off)):
        name = getattr(settings, setting)
        try:
            card = card_for(models.catalogue, MODEL_SETTINGS[setting], name)
            if models.has(card):
                fetched.here.append(name)
            elif refusal := _refusal(card, setting in named):
                fetched.refused[name] = refusal
                reporter.log("warning", refusal)
            else:
                orders.append(_ordered(models, card, reporter))
        except (ModelError, SettingsError) as error:
            _failed(fetched, name, error, reporter)
    _bring(models, orders, fetched, reporter)
    return fetched


def _refusal(card: ModelCard, is_named: bool) -> str:
    """Say why a network may not be fetched unasked, if so."""
    if card.commercial or is_named:
        return ""
    return (
        f"{card.name} is not fetched: its licence ({card.licence}) does not allow every use."
        " If it allows yours, name it in the settings"
    )


def _ordered(models: Models, card: ModelCard, reporter: Reporter) -> Order:
    """Ask how large the files are, and say so."""
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


def _bring(models: Models, orders: list[Order], fetched: Fetched, reporter: Reporter) -> None:
    """Fetch one after another, with one progress for all."""
    weights = [
        1 if None in {order.bytes for order in orders} else order.bytes or 1 for order in orders
    ]
    done = 0
    for order, weight in zip(orders, weights, strict=True):
        part = _Part(reporter, done / sum(weights), weight / sum(weights))
        try:
            models.pull(order.card, part)
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
    """Fetch the networks named in `names`; raises ModelError for the first that does not come."""
    models = engine.shelf().models
    names = texts(call.args, "names")
    if not names:
        raise SettingsError("No model is named", "see `models list`")
    for card in [models.catalogue.card(name) for name in names]:
        _ordered(models, card, reporter)
        models.pull(card, reporter)
    return {"models": [_row(models, models.catalogue.card(str(name))) for name in names]}


def list_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Return the catalogue: a row each."""
    models = engine.aside().shelf().models
    return {"models": [_row(models, card) for card in models.catalogue]}


def verify_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Read the files of the models in `names` whole, or of all that are here.

    A row's `error` says why that one cannot be used; null where nothing is wrong.
    """
    models = engine.aside().shelf().models
    named = [models.catalogue.card(name) for name in texts(call.args, "names")]
    rows = []
    for card in named or [card for card in models.catalogue if models.has(card)]:
        reporter.check()
        rows.append(_row(models, card) | {"error": _verified(models, card)})
    return {"models": rows}


def _verified(models: Models, card: ModelCard) -> dict[str, str] | None:
    try:
        models.verify(card)
    except ModelError as error:
        return {"message": error.message, "remedy": error.remedy}
    return None


def _row(models: Models, card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "task": card.task,
        "about": card.about,
        "licence": card.licence,
        "commercial": card.commercial,
        "megabytes": None if card.bytes is None else round(card.bytes / MEGABYTE, 1),
        "here": models.has(card),
        "untried": card.untried,
        "default": card.name in DEFAULTS,
    }
