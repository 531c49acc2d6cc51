"""Which networks run: the preset's for this machine, where the user named no others."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.inference.catalogue import Catalogue, ModelCard, Preset, Task
from stash_sense_plugin.settings import NO_MODEL, Settings, shown

MODEL_SETTINGS: Mapping[str, tuple[Task, ...]] = {
    "clip_model": ("clip",),
    "object_model": ("objects",),
    "tagger_model": ("tagger", "classifier"),
    "similarity_model": ("similarity",),
    "text_language": ("text",),
}
"""The settings that name a model, and what it may be for."""

SKIPPED_BY: Mapping[str, str] = {
    "clip_model": "skip_labels",
    "object_model": "skip_objects",
    "tagger_model": "skip_acts",
    "text_language": "skip_text",
}
"""The settings that switch off what others name a model for."""

ALSO_TASKS: tuple[Task, ...] = ("objects", "tagger", "classifier")
"""What the models of `also_models` may be for."""

CHOSEN_FOR: Mapping[str, Task] = {
    "clip_model": "clip",
    "object_model": "objects",
    "tagger_model": "tagger",
}
"""The settings that a preset fills, and with what."""

ALWAYS_HERE = "nudenet-320n"
"""The object detector that comes inside a package."""

OWN = {"clip_model": ("clip-vit-b32",), "object_model": ("yolox-s", ALWAYS_HERE)}
"""What is chosen where no row of a preset can be had."""

DOWN: Mapping[Preset, tuple[Preset, ...]] = {
    "fast": ("fast",),
    "balanced": ("balanced", "fast"),
    "accurate": ("accurate", "balanced", "fast"),
}
"""Where a preset's rows are looked for, one after another."""

CORES = 4
"""What `balanced` wants."""
MEMORY_GB = 6
"""What `balanced` wants of the machine, and `accurate` of the graphics card; of 2**30 bytes, to
the nearest: a card or machine that is sold as 6 GB shows a little less."""

FOR_WHAT = {"clip": "places and acts", "objects": "objects", "tagger": "acts and clothing"}
"""What a task finds, for people."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What this machine has, as far as it decides which networks run."""

    cpus: int
    """The processor cores that we may use."""
    memory_bytes: int
    """Of the machine, or of this container where that is less; 0 where nobody tells."""
    gpu_memory_bytes: int | None = None
    """Of the graphics card that networks run on here; None without one."""
    can_export: bool = False
    """Whether networks can be made here from weights that only torch reads."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The networks of a preset."""

    preset: Preset
    why: str
    """A sentence for people."""
    models: Mapping[str, str]
    """The model of each of MODEL_SETTINGS; empty where none runs, but `none` for no tagger."""


def choose(
    settings: Settings,
    hardware: Hardware,
    catalogue: Catalogue,
    here: Collection[str] = frozenset(),
    accepted: Collection[str] = frozenset(),
) -> Chosen:
    """Choose the networks for this machine; what the user named wins, each for its own task.

    `here` are rows whose files are here, however they came, and `accepted` licences that were
    accepted besides those of the settings. Names that the catalogue does not have for the task
    count as not written.
    """
    if settings.device in {"cpu", "openvino"}:
        unused = hardware.gpu_memory_bytes is not None
        hardware = replace(hardware, gpu_memory_bytes=None)
    else:
        unused = False
    preset = _preset(settings.preset, hardware)
    licences = settings.accepted_licences | {name.casefold() for name in accepted}
    choice = _Choice(settings, hardware, catalogue, frozenset(here), licences)
    models = {setting: choice.model(setting, preset) for setting in MODEL_SETTINGS}
    if settings.preset == "auto":
        head = f"auto chose {preset}: {_machine(hardware, unused=unused)}"
        if preset == "fast":
            head += f" (balanced wants {CORES} cores and {MEMORY_GB} GB)"
    else:
        head = f"{preset}, as the settings say"
    return Chosen(preset, "; ".join([head, *choice.told]), models)


def resolved(settings: Settings, chosen: Chosen) -> Settings:
    """Return the settings with the chosen networks where none is named."""
    missing: dict[str, Any] = {
        name: model for name, model in chosen.models.items() if not getattr(settings, name)
    }
    return replace(settings, **missing)


def named_row(catalogue: Catalogue, tasks: Collection[Task], name: str) -> ModelCard:
    """Return the row called `name`; raises SettingsError where it is not for one of the tasks."""
    card = catalogue.card(name)
    if card.task not in tasks:
        raise SettingsError(
            f"The model {name} is for {card.task}, not for {' or '.join(tasks)}",
            "name another in the settings",
        )
    return card


def wanted(settings: Settings, catalogue: Catalogue) -> dict[str, str]:
    """Return the networks that resolved settings run, each with the setting that names it.

    A name that the catalogue does not have is among them; what is switched off is not.
    """
    named = {running(settings, setting): setting for setting in MODEL_SETTINGS}
    named.pop("", None)
    for name in settings.also_names:
        if not _is_off(settings, name, catalogue):
            named.setdefault(name, "also_models")
    return named


def running(settings: Settings, setting: str) -> str:
    """Return the network that runs by a setting of resolved ones; empty for none."""
    name = str(getattr(settings, setting))
    is_off = setting in SKIPPED_BY and getattr(settings, SKIPPED_BY[setting])
    return "" if is_off or name == NO_MODEL else name


def _is_off(settings: Settings, name: str, catalogue: Catalogue) -> bool:
    if name not in catalogue:
        return False
    is_objects = catalogue.card(name).task == "objects"
    return settings.skip_objects if is_objects else settings.skip_acts


def waiting(catalogue: Catalogue) -> Iterator[ModelCard]:
    """Yield the rows that cannot be chosen everywhere, unless their files are here."""
    of_ours = {name for names in OWN.values() for name in names}
    for card in catalogue:
        chosen = card.task in CHOSEN_FOR.values() and (card.presets or card.name in of_ours)
        if chosen and (card.export is not None or not card.commercial):
            yield card


# --- What cannot be used ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unusable:
    """What of a setting cannot be used with this catalogue."""

    setting: str
    reason: str
    is_replaced: bool
    """Whether another model takes the place of the whole setting."""

    def said(self, settings: Settings) -> str:
        """Return the sentence, by the settings that hold instead."""
        if not self.is_replaced:
            return f"Setting {self.setting}: {self.reason}."
        model = running(settings, self.setting) or "nothing"
        return f"Setting {self.setting}: {self.reason}; {model} runs in its place."


def usable(settings: Settings, catalogue: Catalogue) -> tuple[Settings, list[Unusable]]:
    """Leave out the names that the catalogue does not have, or has for something else."""
    found: list[Unusable] = []
    for setting, tasks in MODEL_SETTINGS.items():
        name = getattr(settings, setting)
        if name and (setting, name) != ("tagger_model", NO_MODEL):
            try:
                named_row(catalogue, tasks, name)
            except SettingsError as error:
                found.append(Unusable(setting, str(error), is_replaced=True))
                empty: dict[str, Any] = {setting: ""}
                settings = replace(settings, **empty)
    also, unusable = _usable_also(settings, catalogue)
    found += [*unusable, *_unknown_licences(settings, catalogue)]
    return replace(settings, also_models=", ".join(also)), found


def _usable_also(settings: Settings, catalogue: Catalogue) -> tuple[list[str], list[Unusable]]:
    kept: list[str] = []
    found = []
    for name in settings.also_names:
        try:
            named_row(catalogue, ALSO_TASKS, name)
        except SettingsError as error:
            found.append(f"{error}; the others run")
        else:
            if name in kept:
                found.append(f"{name} stands there twice, and runs once")
            else:
                kept.append(name)
    return kept, [Unusable("also_models", each, is_replaced=False) for each in dict.fromkeys(found)]


def _unknown_licences(settings: Settings, catalogue: Catalogue) -> Iterator[Unusable]:
    known = {card.licence.casefold() for card in catalogue}
    conditional = sorted({card.licence for card in catalogue if not card.commercial})
    there = f"those to accept are {', '.join(conditional)}" if conditional else "none has to be"
    for name in sorted(settings.accepted_licences - known):
        reason = f"no model has the licence {shown(name)}; {there}"
        yield Unusable("accept_licences", reason, is_replaced=False)


# --- How it is chosen -------------------------------------------------------------------------


def _preset(wish: str, hardware: Hardware) -> Preset:
    if wish in DOWN:
        return cast("Preset", wish)
    memory_gb = _gigabytes(hardware.memory_bytes)
    if hardware.memory_bytes and memory_gb < MEMORY_GB:
        return "fast"
    # A card does the work of many cores.
    if _gigabytes(hardware.gpu_memory_bytes or 0) >= MEMORY_GB:
        return "accurate"
    return "fast" if hardware.cpus < CORES else "balanced"


def _gigabytes(count: int) -> int:
    return round(count / 2**30)


def _machine(hardware: Hardware, *, unused: bool) -> str:
    cores = "1 processor core" if hardware.cpus == 1 else f"{hardware.cpus} processor cores"
    known = hardware.memory_bytes
    memory = f"{_gigabytes(known)} GB of memory" if known else "memory unknown"
    if hardware.gpu_memory_bytes is not None:
        card = f"a graphics card with {_gigabytes(hardware.gpu_memory_bytes)} GB"
    else:
        card = "the graphics card not used" if unused else "no graphics card that can be used"
    return f"{cores}, {memory}, {card}"


class _Choice:
    """Chooses a network for one setting after another, and keeps what is to be said of it."""

    def __init__(
        self,
        settings: Settings,
        hardware: Hardware,
        catalogue: Catalogue,
        here: frozenset[str],
        accepted: frozenset[str],
    ) -> None:
        self._settings = settings
        self._hardware = hardware
        self._catalogue = catalogue
        self._here = here
        self._accepted = accepted
        self.told: list[str] = []

    def model(self, setting: str, preset: Preset) -> str:
        name = self._named(setting)
        if name:
            self.told += self._of_named(setting, name)
            return name
        if setting not in CHOSEN_FOR:
            return ""
        return self._of_preset(setting, CHOSEN_FOR[setting], preset)

    def _named(self, setting: str) -> str:
        name = str(getattr(self._settings, setting))
        if setting == "tagger_model" and name.casefold() == NO_MODEL:
            return NO_MODEL
        known = name in self._catalogue
        tasks = MODEL_SETTINGS[setting]
        return name if known and self._catalogue.card(name).task in tasks else ""

    def _of_named(self, setting: str, name: str) -> Iterator[str]:
        if name == NO_MODEL:
            yield f"you chose no model for {FOR_WHAT['tagger']}"
        elif setting in CHOSEN_FOR:
            yield f"you chose {name} for {FOR_WHAT[CHOSEN_FOR[setting]]}"

    def _of_preset(self, setting: str, task: Task, preset: Preset) -> str:
        refused: list[str] = []
        for card in self._candidates(setting, task, preset):
            reason = self._refusal(card)
            if not reason:
                self.told += self._of_chosen(card, refused)
                return card.name
            refused.append(f"{card.name} {reason}")
        self.told += refused
        self.told.append(f"no model for {FOR_WHAT[task]}")
        return NO_MODEL if setting == "tagger_model" else ""

    def _of_chosen(self, card: ModelCard, refused: list[str]) -> Iterator[str]:
        yield from refused
        if card.task == "tagger":
            yield f"{card.name} names {FOR_WHAT['tagger']}"
        elif refused:
            yield f"{card.name} runs instead"

    def _candidates(self, setting: str, task: Task, preset: Preset) -> Iterator[ModelCard]:
        """Yield each row that may serve, the best first: of one preset, the user's own first."""
        rows = [card for card in self._catalogue if card.task == task]
        rows.sort(key=lambda card: not card.overlaid)
        of_presets = [card for each in DOWN[preset] for card in rows if each in card.presets]
        of_ours = [card for name in OWN.get(setting, ()) for card in rows if card.name == name]
        yield from {card.name: card for card in (*of_presets, *of_ours)}.values()

    def _refusal(self, card: ModelCard) -> str:
        """Say why a row cannot be had here unasked; empty where it can."""
        if card.suits == "gpu" and self._hardware.gpu_memory_bytes is None:
            return "needs a graphics card"
        if card.name in self._here:
            return ""
        if not card.commercial and card.licence.casefold() not in self._accepted:
            return f"waits until you accept its licence, {shown(card.licence)}"
        if card.export is not None and not self._hardware.can_export:
            return "needs the task Set up extras"
        return ""
