"""`--set NAME=VALUE`: settings for one command, where no Stash has any."""

import argparse
from typing import Any

from stash_sense_plugin.cli.desk import WrongUsage
from stash_sense_plugin.errors import SettingsError
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.asked import switched_on
from stash_sense_plugin.tasks.stated import stated


def add_settings(sub: argparse.ArgumentParser) -> None:
    """Add the option."""
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="a setting for this command alone, such as tagger_model=joytag (docs/settings.md);"
        " with --stash, those of Stash hold",
    )


def settings_of(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the option's values as an argument of a call; raises WrongUsage."""
    values: dict[str, bool | str] = {}
    for each in asked.settings:
        name, equals, text = each.partition("=")
        if not equals or name in values:
            raise WrongUsage(f"--set {each!r}: say NAME=VALUE, each name once")
        values[name] = _value(name, text)
    if values and asked.stash:
        raise WrongUsage("--set is for use without a Stash: with --stash its own settings hold")
    try:
        stated(values)
    except SettingsError as error:
        raise WrongUsage(str(error)) from error
    return {"settings": values} if values else {}


def _value(name: str, text: str) -> bool | str:
    """Read a switch as true or false; all else is checked as it is written."""
    if not isinstance(getattr(Settings(), name, None), bool):
        return text
    try:
        return switched_on({name: text}, name)
    except SettingsError as error:
        raise WrongUsage(f"--set {name}: {error}") from error
