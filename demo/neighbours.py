"""Two plugins of somebody else's, with settings: one before ours in Stash's list, one behind.

Each lays itself around the settings of every plugin, as plugins do that add to Stash's form; what
comes next they take from where Stash's own documentation has it, the third argument.
"""

from pathlib import Path

NEIGHBOURS = ("neighbour", "the-other-neighbour")
"""Their ids, in the order in which Stash loads them: `stash-sense` lies between."""

_FILE = """name: {name}
description: Somebody else's plugin
version: "1.0"
ui:
  javascript: [{name}.js]
settings:
  switch:
    displayName: A switch
    description: On or off
    type: BOOLEAN
  number:
    displayName: A number
    type: NUMBER
  words:
    displayName: Words
    type: STRING
"""

_SCRIPT = """"use strict";
(() => {
  const { React, patch } = window.PluginApi;
  patch.instead("PluginSettings", (props, _, next) =>
    React.createElement("div", { "data-around": "NAME" }, next(props)));
})();
"""


def install(plugins: Path) -> None:
    """Put both into a folder of plugins."""
    for name in NEIGHBOURS:
        folder = plugins / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yml").write_text(_FILE.format(name=name), encoding="utf-8")
        (folder / f"{name}.js").write_text(_SCRIPT.replace("NAME", name), encoding="utf-8")
