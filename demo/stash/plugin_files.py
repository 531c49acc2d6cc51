"""Plugins as their yml files describe them, read as strictly as Stash reads them."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

INTERFACES = ("", "raw", "rpc", "js")
SETTING_TYPES = ("", "STRING", "NUMBER", "BOOLEAN")
PYTHONS = ("python", "python3")


class PluginFileError(Exception):
    """A yml that Stash would not load."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A task, or the part of a hook that says what to run."""

    name: str = ""
    description: str = ""
    execArgs: tuple[str, ...] = ()  # noqa: N815
    defaultArgs: dict[str, str] | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Hook(Operation):
    """What to run after which change."""

    triggeredBy: tuple[str, ...] = ()  # noqa: N815


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that the user may set."""

    type: str = ""
    displayName: str = ""  # noqa: N815
    description: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """What a plugin brings for the pages."""

    requires: tuple[str, ...] = ()
    csp: dict[str, tuple[str, ...]] | None = None
    javascript: tuple[str, ...] = ()
    css: tuple[str, ...] = ()
    assets: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PluginFile:
    """The keys of a yml; the fields are named as there."""

    name: str = ""
    description: str | None = None
    url: str | None = None
    version: str | None = None
    interface: str = ""
    exec: tuple[str, ...] = ()
    errLog: str = ""  # noqa: N815
    tasks: tuple[Operation, ...] = ()
    hooks: tuple[Hook, ...] = ()
    ui: Interface = Interface()
    settings: dict[str, Setting] | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin: its file, and what that says."""

    id: str
    path: Path
    file: PluginFile

    @property
    def name(self) -> str:
        """What it is called in the log and in messages."""
        return self.file.name or self.id

    @property
    def folder(self) -> Path:
        """Where its yml lies."""
        return self.path.parent

    def task(self, name: str) -> Operation | None:
        """The task of that name."""
        return next((task for task in self.file.tasks if task.name == name), None)

    def hooks(self, event: str) -> list[Hook]:
        """What to run after an event, once for each time that it is named."""
        return [hook for hook in self.file.hooks for named in hook.triggeredBy if named == event]

    @property
    def is_python(self) -> bool:
        """Whether Stash looks for the interpreter."""
        return self.file.exec[:1] != () and self.file.exec[0] in PYTHONS

    def command(self, operation: Operation | None) -> list[str]:
        """What to start, before an interpreter is looked for."""
        words = [*self.file.exec, *(operation.execArgs if operation else ())]
        if not words:
            return []
        if words[0] not in PYTHONS and shutil.which(words[0]) is None:
            words[0] = str(self.folder / words[0])
        return [words[0]] + [word.replace("{pluginDir}", str(self.folder)) for word in words[1:]]


def find_plugins(folder: Path) -> Iterator[Plugin | PluginFileError]:
    """Every yml below a folder, or what is wrong with it; an id counts once in any case."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix == ".yml":
                yield _load(path, seen)


def _load(path: Path, seen: set[str]) -> Plugin | PluginFileError:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        plugin = Plugin(path.stem, path.absolute(), _read(PluginFile, values or {}))
        _check(plugin.file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, PluginFileError) as error:
        return PluginFileError(f"Error loading plugin {path}: {error}")
    if plugin.id.lower() in seen:
        why = f"plugin ID {plugin.id} already exists"
        return PluginFileError(f"Error loading plugin {path}: {why}")
    seen.add(plugin.id.lower())
    return plugin


def _check(file: PluginFile) -> None:
    if file.interface not in INTERFACES:
        raise PluginFileError(f"invalid interface type {file.interface}")
    for key, setting in (file.settings or {}).items():
        if setting.type not in SETTING_TYPES:
            raise PluginFileError(f"invalid type {setting.type} for setting {key}")
    for key in file.ui.csp or {}:
        if key not in ("script-src", "style-src", "connect-src"):
            raise PluginFileError(f"field {key} not found in type plugin.PluginCSP")


def _read(kind: Any, value: Any) -> Any:
    """A YAML value as a type of ours; an unknown key or a wrong type is refused."""
    if hasattr(kind, "__dataclass_fields__"):
        return _read_fields(kind, value)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_read(arguments[0], item) for item in _of_type(list, value))
    if origin is dict:
        read = _of_type(dict, value).items()
        return {_read(str, key): _read(arguments[1], item) for key, item in read}
    if arguments:  # `kind | None`
        return None if value is None else _read(arguments[0], value)
    return _scalar(value)


def _read_fields(kind: Any, value: Any) -> Any:
    hints = get_type_hints(kind)
    given = _of_type(dict, {} if value is None else value)
    unknown = [str(key) for key in given if key not in hints]
    if unknown:
        raise PluginFileError(f"field {unknown[0]} not found in type plugin.{kind.__name__}")
    known = {key: item for key, item in given.items() if item is not None}
    return kind(**{key: _read(hints[key], item) for key, item in known.items()})


def _of_type(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        shown = type(value).__name__
        raise PluginFileError(f"cannot unmarshal {shown} into {kind.__name__}: {value!r}")
    return value


def _scalar(value: Any) -> str:
    """A YAML scalar as text: Go keeps what was written, as far as PyYAML still knows it."""
    if isinstance(value, (list, dict)):
        raise PluginFileError(f"cannot unmarshal {type(value).__name__} into string: {value!r}")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
