"""The networks: which there are, which run, whether they are whole, and how they are let go."""

from collections.abc import Iterator
from pathlib import Path

from stash_sense_plugin.errors import (
    CatalogueError,
    ModelBroken,
    ModelError,
    SettingsError,
    StashError,
)
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.inference.accepted import Accepted
from stash_sense_plugin.inference.catalogue import (
    WEIGHTS,
    HubFile,
    LocalFile,
    ModelCard,
    PackageFile,
)
from stash_sense_plugin.inference.download import HUB, Models
from stash_sense_plugin.inference.listing import FOR_WHAT, lines
from stash_sense_plugin.inference.recorded import sha256_of
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.tasks.api import ModelRow, ModelsTold, Opened
from stash_sense_plugin.tasks.asked import switched_on, texts
from stash_sense_plugin.tasks.engine import MEGABYTE, Call, Engine
from stash_sense_plugin.tasks.presets import ALWAYS_HERE, wanted
from stash_sense_plugin.tasks.stated import engine_of

LIGHTER = ("int8", "fp16")
"""The precisions of what is made of a network."""

# --- The list ---------------------------------------------------------------------------------


def list_models(engine: Engine, call: Call, reporter: Reporter) -> ModelsTold:
    """Return the catalogue, a row each, grouped by what they are for.

    With `log`, it is logged in plain lines besides. Without a Stash, `settings` may hold values
    for this call.
    """
    logged = switched_on(call.args, "log")
    beside = engine_of(engine, call) or engine.aside()
    take_settings(beside, call, reporter)
    rows = [_row(engine, beside, card) for card in _grouped(beside)]
    chosen = beside.chosen
    report: ModelsTold = {
        "preset": chosen.preset,
        "why": chosen.why,
        "complaints": list(beside.about_models),
        "models": rows,
    }
    if logged:
        for line in lines(report):
            reporter.log("info", line)
    return report


def take_settings(engine: Engine, call: Call, reporter: Reporter) -> None:
    """Read what the user set in the Stash that calls; the last settings hold where it is away."""
    if call.server is None:
        return
    try:
        with engine.stash(call, reporter):
            pass
    except StashError as error:
        reporter.log("warning", f"{error.message}: the settings of last time hold")


def _grouped(engine: Engine) -> Iterator[ModelCard]:
    order = list(FOR_WHAT)
    yield from sorted(engine.shelf().models.catalogue, key=lambda card: order.index(card.task))


def model_row(engine: Engine, card: ModelCard) -> ModelRow:
    """Return what is to be known of one network."""
    return _row(engine, engine, card)


def _row(engine: Engine, beside: Engine, card: ModelCard) -> ModelRow:
    models = beside.shelf().models
    runs: list[Opened] = [
        {"role": held.role, "device": held.device, "precision": held.precision}
        for held in engine.open_networks()
        if held.label.partition("@")[0] == card.name
    ]
    return {
        "name": card.name,
        "task": card.task,
        "about": card.about,
        "language": card.language,
        "licence": card.licence,
        "page": _page(card),
        "commercial": card.commercial,
        "accepted": not Accepted(models.folder).refusal(card, beside.settings.accepted_licences),
        "megabytes": None if card.bytes is None else round(card.bytes / MEGABYTE, 1),
        "disk_megabytes": round(models.disk_bytes(card) / MEGABYTE, 1),
        "here": models.has(card),
        "lacks": models.lack(card),
        "lighter": _lighter(models, card),
        "runs": runs,
        "suits": card.suits,
        "made": card.export is not None,
        "untried": card.untried,
        "presets": list(card.presets),
        "chosen": chosen_by(beside, card),
        "own": card.overlaid,
    }


def _page(card: ModelCard) -> str:
    """Return the address of who publishes a network, where a browser can show it."""
    for file in card.files.values():
        if isinstance(file, HubFile):
            return f"{HUB}/{file.repo}"
        if isinstance(file, PackageFile):
            return f"https://pypi.org/project/{file.package}/"
    return ""


def _lighter(models: Models, card: ModelCard) -> list[str]:
    """Return the precisions in which lighter variants of a card's networks lie here."""
    made = [
        precision
        for base, precision in _bases(models, card)
        if lighter.variant_path(base, precision).is_file()
    ]
    return list(dict.fromkeys(made))


def chosen_by(engine: Engine, card: ModelCard) -> str:
    """Say what made a network run, `the preset balanced`; empty where it does not."""
    settings = engine.settings
    if card.name == ALWAYS_HERE and not settings.skip_objects:
        return "always"
    setting = wanted(settings, engine.catalogue()).get(card.name, "")
    if not setting:
        return ""
    named = setting in engine.named or setting == "also_models"
    return f"the setting {setting}" if named else f"the preset {engine.chosen.preset}"


# --- Whole, and gone --------------------------------------------------------------------------


def verify_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Read the files of the models in `names` whole, or of all that are here.

    A row's `error` says why that one cannot be used; null where nothing is wrong.
    """
    beside = engine.aside()
    models = beside.shelf().models
    named = [models.catalogue.card(name) for name in texts(call.args, "names")]
    rows = []
    for card in named or [card for card in models.catalogue if models.has(card)]:
        reporter.check()
        rows.append({**_row(engine, beside, card), "error": _verified(models, card)})
    return {"models": rows}


def _verified(models: Models, card: ModelCard) -> dict[str, str] | None:
    try:
        models.verify(card)
        _verify_variants(models, card)
    except ModelError as error:
        return {"message": error.message, "remedy": error.remedy}
    return None


def _verify_variants(models: Models, card: ModelCard) -> None:
    """Check what was made of a card's networks; raises ModelBroken for what changed since.

    One that is of another file, onnxruntime or processor is not used, and no fault.
    """
    for base, precision in _bases(models, card):
        record = lighter.Record.read(lighter.record_path(base, precision))
        made = lighter.variant_path(base, precision)
        if record is None or not record.kept or not made.is_file():
            continue
        if sha256_of(made, again=True) != record.made_sha256:
            raise ModelBroken(
                f"{made} is not what was made of {card.name}, and is not used",
                f"`python -m stash_sense_plugin models pull {card.name}` makes it again",
            )


def _bases(models: Models, card: ModelCard) -> Iterator[tuple[Path, str]]:
    """Yield where variants of each network that is here lie, with each lighter precision."""
    for role in card.files:
        place = models.place(card, role)
        if role != WEIGHTS and place is not None and place.suffix == ".onnx":
            base = models.base(card, role)
            yield from ((base, precision) for precision in LIGHTER)


def remove_models(engine: Engine, call: Call, reporter: Reporter) -> dict[str, object]:
    """Delete the files of the models in `names`; none is deleted where one cannot be.

    Each row says what went, how much that was, and whether it is still chosen.
    """
    names = texts(call.args, "names")
    if not names:
        raise SettingsError("No model is named", "see `models list`")
    take_settings(engine, call, reporter)
    shelf = engine.shelf()
    cards = [shelf.models.catalogue.card(name) for name in dict.fromkeys(names)]
    for card in cards:
        shelf.models.check_removable(card)
    # What is open is let go first: Windows deletes no file that is mapped.
    shelf.close()
    rows = []
    for card in cards:
        reporter.check()
        rows.append(_removed(engine, card, reporter))
    return {"models": rows}


def _removed(engine: Engine, card: ModelCard, reporter: Reporter) -> dict[str, object]:
    removed = engine.shelf().models.remove(card, reporter)
    own = [file.path for file in card.files.values() if isinstance(file, LocalFile)]
    chosen = _still_chosen(engine, card)
    size = f"{removed.bytes / MEGABYTE:.0f} MB"
    what = f"Removed {card.name} ({size})" if removed.files else f"Nothing of {card.name} was here"
    lack = f"; it is chosen ({chosen}): scenes tagged meanwhile lack it" if chosen else ""
    reporter.log("warning" if chosen else "info", what + lack)
    return {
        "name": card.name,
        "megabytes": round(removed.bytes / MEGABYTE, 1),
        "files": list(removed.files),
        "left": [*removed.left, *own],
        "chosen": chosen,
    }


def _still_chosen(engine: Engine, card: ModelCard) -> str:
    try:
        return chosen_by(engine, card)
    except CatalogueError:
        return ""
