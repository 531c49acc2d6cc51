"""Build what Stash installs: dist/stash-sense.zip, and the index.yml that a source serves."""

import hashlib
import re
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGIN_ID = "stash-sense"
SHIPPED = ("stash_sense_plugin", "models", "ui/dist")
"""Folders that go in whole; plugin.yml goes in under the plugin's id."""
ALONGSIDE = (
    "requirements.txt",
    "requirements-extras.txt",
    "requirements-optional.txt",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
)
EPOCH = (2026, 1, 1, 0, 0, 0)
"""One date for every member, so that the same files make the same zip."""


def members(root: Path) -> list[tuple[Path, str]]:
    """List what goes in: the file here, and its name in the zip."""
    found = [(root / "plugin.yml", f"{PLUGIN_ID}.yml")]
    found += [(root / name, name) for name in ALONGSIDE]
    for folder in SHIPPED:
        found += [
            (path, path.relative_to(root).as_posix())
            for path in sorted((root / folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return found


def build(root: Path, out: Path) -> Path:
    """Write the zip and its index into `out` and return the zip's path."""
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{PLUGIN_ID}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path, name in members(root):
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(member, path.read_bytes())
    (out / "index.yml").write_text(index(root, target), encoding="utf-8")
    return target


def index(root: Path, target: Path) -> str:
    """Return the index of a source that serves this one package."""
    described = dict(
        re.findall(r"^(name|version|description): (.+)$", (root / "plugin.yml").read_text(), re.M)
    )
    return (
        f"- id: {PLUGIN_ID}\n"
        f"  name: {described['name']}\n"
        f"  version: {described['version']}\n"
        f'  date: "{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"\n'
        f"  path: {target.name}\n"
        f"  sha256: {hashlib.sha256(target.read_bytes()).hexdigest()}\n"
        f"  metadata:\n    description: {described['description']}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{build(ROOT, ROOT / 'dist')}\n")
