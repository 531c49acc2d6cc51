"""Settings that a call brings along: they hold for it alone, where no Stash has any."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.settings import Settings, check_setting, named_settings
from stash_sense_plugin.tasks.asked import given, shown
from stash_sense_plugin.tasks.engine import Call, Engine
from stash_sense_plugin.tasks.presets import usable

LONGEST_VALUE: Final = 400
"""Letters of a value: some ten names."""


def engine_of(engine: Engine, call: Call) -> Engine | None:
    """Return an engine beside with the call's `settings`; None where it brings none.

    Its networks are its own: whoever opens some closes its shelf. Raises SettingsError for what
    cannot be used, and where a Stash is named, whose settings hold.
    """
    values = _values(given(call.args, "settings"))
    if not values:
        return None
    wished = stated(values)
    if call.server is not None:
        raise SettingsError("The settings of this Stash hold", "change them in Stash")
    beside = engine.aside()
    wished, unusable = usable(wished, beside.catalogue())
    for each in unusable:
        # Nothing runs instead: the value is refused.
        reason = each.reason.removesuffix("; the others run")
        raise SettingsError(f"Setting {each.setting}: {reason}")
    beside.settings = wished
    beside.named = named_settings(values)
    beside.complaints = beside.about_models = ()
    return beside


def stated(values: Mapping[str, object]) -> Settings:
    """Return the settings with these values; raises SettingsError for one that cannot be used.

    What is stored in Stash must not stop a run and is replaced by the default; who names a value
    for one call wants that one.
    """
    plain = Settings()
    known = {field.name for field in fields(Settings)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(f"There is no setting {shown(name)}", "see docs/settings.md")
        try:
            chosen[name] = check_setting(name, value, getattr(plain, name))
        except ValueError as error:
            raise SettingsError(f"Setting {name}: {error}", "see docs/settings.md") from error
    return Settings(**chosen)


def _values(told: object) -> Mapping[str, bool | int | str]:
    if told is None:
        return {}
    if not isinstance(told, Mapping):
        raise SettingsError(f"settings is {shown(told)}", "give names with their values")
    for name, value in told.items():
        if not isinstance(value, bool | int | str):
            raise SettingsError(
                f"Setting {shown(name)}: {shown(value)} is no value", "see docs/settings.md"
            )
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            raise SettingsError(f"Setting {shown(name)}: longer than {LONGEST_VALUE} letters")
    return told
