"""What the server is told: its folders, its users, and what plugins and pages have stored."""

import threading
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SESSION_AGE_S = 3600


@dataclass(slots=True)
class Settings:
    """Options of one server; what changes while it runs is kept in config.yml."""

    folder: Path
    media: tuple[Path, ...]
    plugins_path: Path
    host: str = "127.0.0.1"
    port: int = 9999
    username: str = ""
    password: str = ""
    api_key: str = ""
    max_session_age_s: int = SESSION_AGE_S
    python_path: str = ""
    log_level: str = "Info"
    page: Path | None = None
    """Where the built pages lie; none are shown without."""
    plugin_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    disabled_plugins: list[str] = field(default_factory=list)
    ui: dict[str, Any] = field(default_factory=dict)
    session_key: str = ""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def config_path(self) -> Path:
        """Where they are kept."""
        return self.folder / "config.yml"

    @property
    def generated(self) -> Path:
        """Where sprites and the like are kept."""
        return self.folder / "generated"

    @property
    def has_credentials(self) -> bool:
        """Whether a login is asked for."""
        return bool(self.username)

    def load(self) -> None:
        """Take up what an earlier run has kept."""
        if not self.config_path.exists():
            return
        kept = yaml.safe_load(self.config_path.read_text(encoding="utf-8"))
        self.plugin_settings = kept["plugins"]["settings"]
        self.disabled_plugins = kept["plugins"]["disabled"]
        self.ui = kept["ui"]
        self.session_key = kept["session_store_key"]

    def save(self) -> None:
        """Keep what may have changed."""
        plugins = {"settings": self.plugin_settings, "disabled": self.disabled_plugins}
        kept = {"plugins": plugins, "ui": self.ui, "session_store_key": self.session_key}
        with self._lock:
            text = yaml.safe_dump(kept, allow_unicode=True)
            self.config_path.write_text(text, encoding="utf-8")

    def configure_plugin(self, plugin: str, values: dict[str, Any]) -> None:
        """Replace the whole map of a plugin, known or not."""
        with self._lock:
            self.plugin_settings[plugin] = deepcopy(values)
            self.save()

    def enable(self, plugins: dict[str, bool]) -> None:
        """Switch plugins on and off."""
        with self._lock:
            off = set(self.disabled_plugins) - {name for name, on in plugins.items() if on}
            self.disabled_plugins = sorted(off | {name for name, on in plugins.items() if not on})
            self.save()

    def configure_ui(self, key: str, value: object) -> None:
        """Set what the dotted key names."""
        with self._lock:
            place = self.ui
            *above, last = key.split(".")
            for name in above:
                place = place.setdefault(name, {})
            place[last] = value
            self.save()
