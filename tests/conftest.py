"""What every test has: real media where they are found, no ERROR unnoticed, folders of its own."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real weights and labelled media; the test skips without it."""
    folder = Path(os.environ.get("STASH_SENSE_REAL", ROOT.parent / "shared" / "real"))
    if not (folder / "weights").is_dir():
        pytest.skip(f"real weights and media not found at {folder}: set STASH_SENSE_REAL")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of what is known of Stash, with its introspection; the test skips without it."""
    folder = Path(os.environ.get("STASH_SENSE_REFERENCE", ROOT.parent / "shared" / "reference"))
    if not (folder / "stash_introspection.json").is_file():
        pytest.skip(f"Stash's introspection not found at {folder}: set STASH_SENSE_REFERENCE")
    return folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point everything that a user keeps to the test's own folder."""
    monkeypatch.setenv("STASH_SENSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture(autouse=True)
def _no_error_logged(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail a test that logged an ERROR, unless it is marked to expect one."""
    yield
    if request.node.get_closest_marker("logs_errors"):
        return
    errors = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
    assert not errors, [record.getMessage() for record in errors]
