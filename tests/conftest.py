"""What every test has: real media where they are found, no ERROR unnoticed, folders of its own."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stash_sense_plugin.start import private

private.keep()

ROOT = Path(__file__).resolve().parent.parent

TORTURE = "STASH_SENSE_TORTURE"
"""Set to N, tests marked `torture` go N times their long number of rounds."""

# Nothing is timed here, for a machine with other things to do proves nothing; and a suite says the
# same of the same code each time: new examples are sought under `make torture`.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=TORTURE not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ours")

COUNTED = "counted: "


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


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers that tests start keep what they compile: each would take seconds anew.

    The processes of pytest-xdist share it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pycache"
    folder.mkdir(mode=0o700, exist_ok=True)
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


@pytest.fixture
def rounds() -> Callable[[int, int], int]:
    """How many rounds to go: few in the suite, many under `make torture`."""
    times = os.environ.get(TORTURE)
    return lambda short, long: long * int(times) if times else short


@pytest.fixture
def record_count(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Add to a number of what was covered: the sums are shown at the end of the run."""
    # These travel with the report, also from a process of pytest-xdist.
    properties = request.node.user_properties

    def record(name: str, number: int) -> None:
        properties.append((COUNTED + name, number))

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was covered."""
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, number in report.user_properties:
                if name.startswith(COUNTED):
                    counts[name.removeprefix(COUNTED)] += number
    if counts:
        terminalreporter.section("covered")
    for name in sorted(counts):
        terminalreporter.line(f"{counts[name]:8} {name}")
