"""Version, status, configuration, log, jobs and plugins, as the schema shows them."""

import hashlib
import platform
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo.stash.finding import read_id
from demo.stash.jobs import JobState
from demo.stash.log import LogLine
from demo.stash.media import IMAGES, VIDEOS
from demo.stash.plugin_files import Plugin
from demo.stash.registry import PathError, mutation, query
from demo.stash.state import Call
from demo.stash.values import go_type

SCHEMA_VERSION = 75
VERSION = "v0.30.1-stand-in"


@query
def version(call: Call) -> dict[str, str]:
    return {"version": VERSION, "hash": "cf3489efd", "build_time": "2026-01-11 00:00:00"}


@query
def systemStatus(call: Call) -> dict[str, Any]:  # noqa: N802
    return {
        "databaseSchema": SCHEMA_VERSION,
        "databasePath": str(call.database.path),
        "configPath": str(call.state.settings.config_path),
        "appSchema": SCHEMA_VERSION,
        "status": "OK",
        "os": platform.system().lower(),
        "workingDir": str(Path.cwd()),
        "homeDir": str(Path.home()),
        "ffmpegPath": shutil.which("ffmpeg") or "",
        "ffprobePath": shutil.which("ffprobe") or "",
    }


@query
def configuration(call: Call) -> dict[str, Any]:
    settings = call.state.settings

    def plugins(include: list[str] | None = None) -> dict[str, Any]:
        kept = settings.plugin_settings.items()
        return {name: values for name, values in kept if values and name in (include or [name])}

    return {"general": _general(call), "ui": settings.ui, "plugins": plugins}


def _general(call: Call) -> dict[str, Any]:
    settings = call.state.settings
    stashes = [
        {"path": str(path), "excludeVideo": False, "excludeImage": False} for path in settings.media
    ]
    return {
        "stashes": stashes,
        "databasePath": str(call.database.path),
        "generatedPath": str(settings.generated),
        "metadataPath": "",
        "configFilePath": str(settings.config_path),
        "scrapersPath": str(settings.folder / "scrapers"),
        "pluginsPath": str(settings.plugins_path),
        "cachePath": str(settings.folder / "cache"),
        "blobsPath": "",
        "ffmpegPath": "",
        "ffprobePath": "",
        "calculateMD5": False,
        "videoFileNamingAlgorithm": "OSHASH",
        "parallelTasks": 1,
        "apiKey": settings.api_key,
        "username": settings.username,
        "password": _digest(settings.password),
        "maxSessionAge": settings.max_session_age_s,
        "logFile": "",
        "logOut": True,
        "logLevel": settings.log_level,
        "logAccess": False,
        "videoExtensions": [suffix[1:] for suffix in VIDEOS],
        "imageExtensions": [suffix[1:] for suffix in IMAGES],
        "pythonPath": settings.python_path,
    }


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest() if password else ""


@mutation
def generateAPIKey(call: Call, input: dict[str, Any]) -> str:  # noqa: A002, N802
    """A key belongs to the credentials: without these there is none."""
    clear = bool(input.get("clear")) or not call.state.settings.has_credentials
    call.state.settings.api_key = "" if clear else secrets.token_urlsafe(32)
    return call.state.settings.api_key


@query
def logs(call: Call) -> list[LogLine]:
    return call.state.log.last()


@query
def jobQueue(call: Call) -> list[JobState] | None:  # noqa: N802
    return call.state.jobs.queue() or None


@query
def findJob(call: Call, input: dict[str, Any]) -> JobState | None:  # noqa: A002, N802
    return call.state.jobs.find(read_id(input["id"]))


@mutation
def stopJob(call: Call, job_id: str) -> bool:  # noqa: N802
    call.state.jobs.stop(read_id(job_id, "id"))
    return True


@mutation
def stopAllJobs(call: Call) -> bool:  # noqa: N802
    call.state.jobs.stop_all()
    return True


def _shown(call: Call, plugin: Plugin) -> dict[str, Any]:
    place = f"{call.base_url}/plugin/{plugin.id}"
    ui = plugin.file.ui
    settings = sorted((plugin.file.settings or {}).items())
    return {
        "id": plugin.id,
        "name": plugin.name,
        **{key: getattr(plugin.file, key) for key in ("description", "url", "version")},
        "enabled": not call.state.plugins.is_disabled(plugin.id),
        "tasks": [{**asdict(task), "plugin": None} for task in plugin.file.tasks] or None,
        "hooks": [
            {**asdict(hook), "hooks": hook.triggeredBy or None, "plugin": None}
            for hook in plugin.file.hooks
        ]
        or None,
        "settings": [
            {
                "name": name,
                "type": setting.type or "STRING",
                "display_name": setting.displayName,
                "description": setting.description,
            }
            for name, setting in settings
        ],
        "requires": ui.requires or None,
        "paths": {
            "javascript": _addresses(f"{place}/javascript", ui.javascript),
            "css": _addresses(f"{place}/css", ui.css),
        },
    }


def _addresses(bundle: str, files: tuple[str, ...]) -> list[str] | None:
    """Addresses elsewhere as they are, and one for all files together."""
    elsewhere = [file for file in files if file.startswith(("http://", "https://"))]
    return elsewhere + [bundle] * (len(elsewhere) < len(files)) or None


@query
def plugins(call: Call) -> list[dict[str, Any]] | None:
    return [_shown(call, plugin) for plugin in call.state.plugins.all] or None


@query
def pluginTasks(call: Call) -> list[dict[str, Any]] | None:  # noqa: N802
    return [
        {**asdict(task), "plugin": _shown(call, plugin)}
        for plugin in call.state.plugins.enabled()
        for task in plugin.file.tasks
    ] or None


@mutation
def reloadPlugins(call: Call) -> bool:  # noqa: N802
    call.state.plugins.reload()
    return True


@mutation
def setPluginsEnabled(call: Call, enabledMap: dict[str, bool]) -> bool:  # noqa: N802, N803
    for key, value in _map(enabledMap, "enabledMap").items():
        if not isinstance(value, bool):
            raise PathError(f"key {key} ({go_type(value)}) is not a bool", "enabledMap")
    call.state.settings.enable(enabledMap)
    return True


@mutation
def configurePlugin(call: Call, plugin_id: str, input: Any) -> dict[str, Any]:  # noqa: A002, N802
    values = _map(input, "input")
    call.state.settings.configure_plugin(plugin_id, values)
    return values


@mutation
def configureUISetting(call: Call, key: str, value: Any = None) -> dict[str, Any]:  # noqa: N802
    call.state.settings.configure_ui(key, value)
    return call.state.settings.ui


@mutation
def runPluginTask(  # noqa: N802
    call: Call,
    plugin_id: str,
    task_name: str | None = None,
    description: str | None = None,
    args: list[dict[str, Any]] | None = None,
    args_map: Any = None,
) -> int:
    values = _map(args_map or {}, "args_map")
    values = values or {arg["key"]: _old_value(arg.get("value")) for arg in args or []}
    work = call.state.plugins.task(plugin_id, task_name, values, call.caller)
    name = description if description is not None else task_name
    shown = plugin_id if name is None else name
    return call.state.jobs.add(f"Running plugin task: {shown}", work)


def _old_value(value: dict[str, Any] | None) -> Any:
    """A PluginValueInput: one of its keys has the value."""
    for key, given in (value or {}).items():
        if key == "o":
            return {arg["key"]: _old_value(arg.get("value")) for arg in given}
        return [_old_value(one) for one in given] if key == "a" else given
    return None


@mutation
def runPluginOperation(call: Call, plugin_id: str, args: Any = None) -> Any:  # noqa: N802
    values = _map(args or {}, "args")
    return call.state.plugins.operate(plugin_id, values, call.caller, call.watch)


def _map(value: Any, name: str) -> dict[str, Any]:
    """A value for a Map; the error's path names the argument."""
    if not isinstance(value, dict):
        raise PathError(f"{go_type(value)} is not a map", name)
    return value
