"""What the door decides and knows: places, plans, locks, frames and lines."""

import importlib.metadata
import importlib.util
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.start import (
    address,
    bytecode,
    environment,
    machine,
    packages,
    pythons,
    steps,
    wire,
    worker,
)
from stash_sense_plugin.start.lines import line, progress
from stash_sense_plugin.start.lock import held, hold
from stash_sense_plugin.start.paths import Home, last_lines, read_json, write_json


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param("", ["the Python package index (pip's default)"], id="nothing set"),
        pytest.param(
            "global.index-url='https://user:secret@mirror.example/simple'",
            ["mirror.example"],
            id="an index, without its password",
        ),
        pytest.param(
            "global.extra-index-url='https://a.example/x https://b.example/y'",
            ["the Python package index (pip's default)", "a.example", "b.example"],
            id="more beside the default",
        ),
        pytest.param(
            ":env:.find-links='/opt/wheels'",
            ["the Python package index (pip's default)"],
            id="a folder is no host",
        ),
        pytest.param(":env:.no-index='1'\n:env:.find-links='/opt/wheels'", [], id="no index"),
    ],
)
def test_the_hosts_are_those_of_pips_settings(settings: str, names: list[str]) -> None:
    assert list(steps.hosts(settings)) == names


def test_what_is_checked_is_what_requirements_bring() -> None:
    # A package more in requirements.txt needs its import here, or its absence goes unnoticed.
    root = Path(__file__).resolve().parent.parent
    rows = packages.rows_of(str(root / "requirements.txt"))
    owners = importlib.metadata.packages_distributions()
    owned = {packages.name_of(owner) for name in packages.IMPORTS for owner in owners[name]}
    assert {packages.name_of(row) for row in rows} - owned == set()
    assert len(packages.IMPORTS) == len(rows)
    subprocess.run(steps.check(sys.executable), check=True)


# --- The machine and the environment --------------------------------------------------------


def test_this_machine_is_seen() -> None:
    seen = machine.look(str(Path.home()))
    assert sys.version_info[:2] in [one.version for one in seen.interpreters]
    assert machine.memory_bytes() > 10**8
    assert seen.disk_free_bytes > 0
    assert len({one.path for one in seen.interpreters}) == len(seen.interpreters)


FITS = "3 12 1 cpython 1 0 1 1 C:\\Users\\Zoë Q\\python.exe"


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        pytest.param(FITS, "", id="fits"),
        pytest.param(FITS.replace("cpython", "pypy"), "PyPy", id="PyPy"),
        pytest.param(FITS.replace("cpython 1", "cpython 0"), "32 bits", id="32 bits"),
        pytest.param(FITS.replace("1 0 1 1", "1 1 1 1"), "free-threaded", id="3.14t"),
        pytest.param(
            FITS.replace("1 0 1 1", "1 0 0 0"),
            "without its module ssl and sqlite3",
            id="built bare",
        ),
    ],
)
def test_a_python_that_has_no_packages_says_why(told: str, fault: str) -> None:
    seen = pythons.read_probe(told + "\r\n")
    assert seen is not None
    assert (seen.path, seen.version) == ("C:\\Users\\Zoë Q\\python.exe", (3, 12))
    assert (seen.fault, seen.fits) == (fault, not fault)
    assert seen.told == (f"3.12 ({fault})" if fault else "3.12")


@pytest.mark.parametrize("told", ["", "3 12", "Python was not found; run without arguments to"])
def test_what_is_no_python_is_none(told: str) -> None:
    assert pythons.read_probe(told) is None


def test_this_python_fits_and_is_listed_under_one_path(tmp_path: Path) -> None:
    seen = pythons.probe(sys.executable)
    assert seen is not None
    assert (seen.version, seen.fits) == (sys.version_info[:2], True)
    (tmp_path / "python3").symlink_to(seen.path)
    assert pythons.each_once([seen, seen._replace(path=str(tmp_path / "python3"))]) == [seen]


def test_what_windows_launcher_lists_is_read_in_either_encoding() -> None:
    path = "C:\\Users\\Zoë\\python.exe"
    assert pythons.text_of(path.encode(), "cp1252") == path
    assert pythons.text_of(path.encode("cp1252"), "cp1252") == path


def test_a_disk_is_seen_where_the_folder_is_still_to_be_made(tmp_path: Path) -> None:
    assert machine.disk_free_bytes(str(tmp_path / "a" / "b")) > 0


def test_the_state_of_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STASH_SENSE_PYTHON", raising=False)
    home, needs = Home(str(tmp_path)), tmp_path / "requirements.txt"
    needs.write_text("one\n")

    def state() -> str:
        return environment.state(home, str(needs))

    assert state() == "missing"
    (tmp_path / "env" / "bin").mkdir(parents=True)
    assert state() == "broken"
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    write_json(home.ready, {"requirements": environment.fingerprint(str(needs))})
    assert state() == "ready"
    needs.write_text("# a word about it\none  # and another\n\n")
    assert state() == "ready"
    needs.write_text("two\n")
    assert state() == "stale"


@pytest.mark.parametrize(
    ("named", "state"),
    [
        ("{}", "ready"),
        ("{}/gone/python3", "broken"),
        ("{}/env.part-12/Scripts/python.exe", "ready"),
        (None, "ready"),
    ],
    ids=["there", "gone", "an older card", "an old card"],
)
def test_a_python_that_is_only_launched_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None, state: str
) -> None:
    monkeypatch.delenv("STASH_SENSE_PYTHON", raising=False)
    home, needs = Home(str(tmp_path)), tmp_path / "requirements.txt"
    needs.touch()
    launcher = Path(environment.interpreter_in(home.environment))
    launcher.parent.mkdir(parents=True)
    launcher.touch(0o700)
    card: dict[str, object] = {"requirements": environment.fingerprint(str(needs))}
    write_json(home.ready, card | ({"python": named.format(tmp_path)} if named else {}))
    assert environment.state(home, str(needs)) == state
    if state == "broken":
        assert f"{tmp_path}/gone/python3 has gone" in environment.trouble(home, str(needs))


def test_windows_has_its_python_elsewhere() -> None:
    assert environment.interpreter_in("env", "Windows") == str(Path("env", "Scripts", "python.exe"))
    assert environment.interpreter_in("env", "Linux") == str(Path("env", "bin", "python"))


def test_a_set_up_sees_the_users_index_and_no_other_place_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stray = ("USER", "TARGET", "PREFIX", "ROOT", "PYTHON", "DRY_RUN", "NO_DEPS", "REQUIRE_HASHES")
    for name in (*stray, "IGNORE_INSTALLED", "INDEX_URL", "PROXY"):
        monkeypatch.setenv(f"PIP_{name}", "1")
    seen = {name for name in environment.clean_variables() if name.startswith("PIP_")}
    assert seen >= {"PIP_INDEX_URL", "PIP_PROXY"}
    assert not seen & {f"PIP_{name}" for name in (*stray, "IGNORE_INSTALLED")}


def test_the_worker_sees_no_python_settings_and_tells_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/evil")
    monkeypatch.setenv("PYTHONSTARTUP", "/evil")
    monkeypatch.setenv("STASH_API_KEY", "secret")
    monkeypatch.setenv("STASH_URL", "http://h")
    monkeypatch.setenv("KEPT", "yes")
    seen = environment.clean_variables()
    assert not {"STASH_API_KEY", "STASH_URL"} & set(seen)
    assert not [name for name in seen if name.startswith("PYTHON")]
    assert seen["KEPT"] == "yes"
    assert seen["HF_HUB_DISABLE_TELEMETRY"] == "1"


# --- Places ---------------------------------------------------------------------------------


def test_the_home_is_named_by_the_variable_or_lies_by_stashs_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STASH_SENSE_HOME", "/somewhere")
    assert address.home_of({"Dir": "/config"}) == "/somewhere"
    monkeypatch.delenv("STASH_SENSE_HOME")
    assert address.home_of({"Dir": "/config"}) == "/config/stash-sense"
    assert address.home_of({"Dir": 5}) is None
    assert address.home_of(None) is None


def test_two_ways_to_one_folder_are_one_library(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "config")
    one, other = (str(tmp_path / name / "stash-sense") for name in ("config", "link"))
    assert address.socket_path(one) == address.socket_path(other)
    assert address.socket_path(one) != address.socket_path(str(tmp_path / "stash-sense"))


@given(st.text(max_size=300))
def test_a_socket_path_is_always_short(name: str) -> None:
    assert len(os.fsencode(address.socket_path("/" + name.replace("\0", "")))) < 100


def test_a_small_file_is_written_whole_and_read_with_care(tmp_path: Path) -> None:
    path = str(tmp_path / "card.json")
    assert read_json(path) is None
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    for broken in ("", "[1]", "{"):
        (tmp_path / "card.json").write_text(broken)
        assert read_json(path) is None
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert [found.name for found in tmp_path.iterdir()] == ["card.json"]


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(str(log)) == ""
    log.write_text("x" * 20_000 + "\none\n\n  two\nthree\n")
    assert last_lines(str(log), 2) == "two | three"


def test_compiled_code_is_where_python_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", "/home/pycache")
    known = Path(importlib.util.cache_from_source("/plugins/a/package/start/door.py"))
    assert bytecode.folder_of("/home/pycache", "/plugins/a/package") == str(known.parent.parent)


def test_compiled_code_of_another_package_goes_and_that_of_others_stays(tmp_path: Path) -> None:
    prefix, package = str(tmp_path), "/plugins/package"
    ours, others = tmp_path / "plugins/package/door.pyc", tmp_path / "plugins/numpy.pyc"
    for stamp, kept in (("one", False), ("one", True), ("two", False)):
        assert bytecode.renew(prefix, package, stamp)
        assert ours.exists() == kept
        ours.touch()
        others.touch()
    assert others.exists()
    assert sorted(path.name for path in others.parent.iterdir()) == ["numpy.pyc", "package"]


def test_where_nothing_can_be_removed_compiled_code_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not bytecode.renew(str(tmp_path / "file"), "/plugins/package", "one")
    argv = worker.command("python", Home(str(tmp_path)), "/plugins/package", compiled=False)
    assert argv[:3] == ["python", "-I", "-B"]


def test_an_update_that_keeps_all_times_is_another_package(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    version = tmp_path / "start" / "version.py"
    version.write_text('VERSION = "1.0"')
    everything = (version, version.parent, tmp_path)

    def stamp() -> str:
        for path in everything:
            os.utime(path, (0, 0))
        return address.stamp(str(tmp_path))

    first = stamp()
    version.write_text('VERSION = "1.1"')
    assert stamp() != first


CRASH = """Fatal Python error: Segmentation fault

Current thread 0x01 (most recent call first):
  File "a.py", line 1 in run

Extension modules: numpy, cv2 (total: 2)
"""


@pytest.mark.parametrize(
    ("after", "last"),
    [
        ("", "Fatal Python error: Segmentation fault"),
        ("2026-01-01 10:00:00,000 INFO Left\n", "2026-01-01 10:00:00,000 INFO Left"),
        ("Traceback (most recent call last):\nOSError: no\n", "OSError: no"),
    ],
)
def test_of_a_crash_its_name_is_told_and_not_the_list_of_modules(
    tmp_path: Path, after: str, last: str
) -> None:
    log = tmp_path / "log"
    log.write_text("2026-01-01 09:00:00,000 INFO Serving\n" + CRASH + after)
    assert last_lines(str(log), 1) == last


# --- Locks ----------------------------------------------------------------------------------


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert not held(path)
    lock = hold(path)
    assert lock is not None
    assert held(path)
    assert hold(path) is None
    lock.release()
    lock.release()
    assert not held(path)
    again = hold(path)
    assert again is not None
    again.release()


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from stash_sense_plugin.start.lock import hold;"
            "kept = hold(sys.argv[1]); print('held', flush=True); sys.stdin.read()",
            path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parent.parent,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert held(path)
        holder.kill()
        holder.wait()
        assert not held(path)


# --- Frames and lines -----------------------------------------------------------------------


def exchange(sent: bytes) -> tuple[wire.Answer, list[bytes]]:
    """Ask a worker that answers with `sent`, and return what came."""
    ours, theirs = socket.socketpair()
    relayed: list[bytes] = []

    def answer() -> None:
        with theirs:
            theirs.recv(65536)
            theirs.sendall(sent)

    thread = threading.Thread(target=answer)
    thread.start()
    with ours:
        answer_came = wire.ask(ours, wire.request("GET", "/", b"", "s"), relayed.append)
    thread.join()
    return answer_came, relayed


HEAD = b"HTTP/1.1 200 OK\r\nX-Stash-Sense-Kind: task\r\n\r\n"


def test_frames_are_relayed_up_to_the_reply() -> None:
    frames = [wire.frame(b"e", b"one"), wire.frame(b"e", b""), wire.frame(b"o", b"{}")]
    came, relayed = exchange(HEAD + b"".join(frames) + b"more")
    assert (came.status, came.kind, came.reply) == (200, "task", b"{}")
    assert relayed == [b"one", b""]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", wire.NO_ANSWER, id="nothing"),
        pytest.param(b"HTTP/1.1 200", wire.NO_ANSWER, id="half a head"),
        pytest.param(b"nonsense\r\n\r\n", wire.NO_ANSWER, id="no HTTP"),
        pytest.param(HEAD, wire.OK, id="no frame"),
        pytest.param(HEAD + b"o00000005{}", wire.OK, id="half a frame"),
        pytest.param(HEAD + b"{'a':'frame'}", wire.OK, id="no frame at all"),
    ],
)
def test_a_worker_that_ends_early_gave_no_reply(sent: bytes, status: int) -> None:
    came, _ = exchange(sent)
    assert (came.status, came.reply) == (status, None)


def test_a_refusal_comes_with_its_text() -> None:
    came, _ = exchange(b"HTTP/1.1 409 Conflict\r\n\r\nother version")
    assert (came.status, came.reply) == (wire.OTHER_VERSION, b"other version")


@given(st.sampled_from(["trace", "debug", "info", "warning", "error"]), st.text())
def test_a_line_is_one_line_that_stash_reads(level: str, text: str) -> None:
    made = line(level, text)
    assert made[:1] == b"\x01"
    assert made[2:3] == b"\x02"
    assert made.count(b"\n") == 1
    assert len(made) < 65_536
    assert not set(made[3:-1]) & set(range(32))


def test_a_line_is_cut_between_letters() -> None:
    made = line("info", "é" * 50_000)
    assert len(made) < 65_536
    assert made[3:].decode().strip("é") == "…\n"


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.25, b"0.2500"), (-1, b"0.0000"), (7, b"1.0000"), (float("nan"), b"0.0000")],
)
def test_progress_is_between_nothing_and_all(fraction: float, shown: bytes) -> None:
    assert progress(fraction) == b"\x01p\x02" + shown + b"\n"
