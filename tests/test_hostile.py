"""Hostile media: the process lives, each input has its frames or a reason, and no other is read."""

import ctypes
import json
import os
import pickle
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stash_sense_plugin.errors import MediaError
from stash_sense_plugin.media.native import NATIVE_PIXELS
from stash_sense_plugin.media.sprites import MAX_CUES
from stash_sense_plugin.media.times import even_times
from stash_sense_plugin.media.video import read_exact, read_keyframes
from stash_sense_plugin.records import Wants
from tests.hostile import LENGTH_S, MAKERS, Hostile, Workshop, flipped_videos, free
from tests.hostile_look import Counting, Outcome
from tests.sweep_kit import ROOT

Rounds = Callable[[int, int], int]
Count = Callable[[str, int], None]

MOST_FRAME_BYTES = 2048 * 2048 * 3
MOST_NATIVE_BYTES = NATIVE_PIXELS * 3
MOST_PEAK_MB = 1000
"""The most that one input may make of a process, networks not counted: the largest of them are
pictures of just below the number of pixels that is let in."""
GROUPS = (
    ("vtt", "sheet", "image"),
    ("cut", "flipped"),
    ("lying", "huge"),
    ("playlist", "name", "node"),
)


# --- Watching ---------------------------------------------------------------------------------


class Canary:
    """Files that nobody may open, and a port that nobody may knock at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = -1

    def watch(self, *more: Path) -> None:
        """Take note of every file below the folder that is opened or read from now on."""
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        opened, accessed = 0x20, 0x01
        for path in (self.folder, *self.folder.iterdir(), *more):
            told = os.fsencode(path)
            assert self._libc.inotify_add_watch(self._watch, told, opened | accessed) >= 0

    def touched(self) -> list[str]:
        """What was opened, by name; `connection` where somebody knocked."""
        found = []
        try:
            events = os.read(self._watch, 65_536)
        except BlockingIOError:
            events = b""
        while events:
            _, mask, _, length = struct.unpack_from("iIII", events)
            found.append(events[16 : 16 + length].rstrip(b"\0").decode() or f"a file ({mask:x})")
            events = events[16 + length :]
        try:
            self._server.accept()[0].close()
            found.append("connection")
        except BlockingIOError:
            pass
        return found

    def close(self) -> None:
        self._server.close()
        if self._watch >= 0:
            os.close(self._watch)


@contextmanager
def workshop(folder: Path, seed: int = 0) -> Iterator[tuple[Workshop, Canary]]:
    """A folder for inputs, beside secrets that are watched once it is asked for."""
    secrets = folder / "secrets"
    shop = Workshop(folder / "media", secrets, seed=seed)
    canary = Canary(secrets)
    shop.port = canary.port
    try:
        yield shop, canary
    finally:
        canary.close()
        free(folder)


linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify and RLIMIT_AS are Linux's")


@linux
def test_the_watch_sees_what_is_opened_and_who_knocks(tmp_path: Path) -> None:
    with workshop(tmp_path) as (_, canary):
        canary.watch()
        assert canary.touched() == []
        (canary.folder / "secret.txt").read_text()
        assert "secret.txt" in canary.touched()
        socket.create_connection(("127.0.0.1", canary.port)).close()
        assert canary.touched() == ["connection"]


# --- Reading, in a process that they may kill -------------------------------------------------


@linux
@pytest.mark.torture
@pytest.mark.parametrize("kinds", GROUPS, ids="+".join)
def test_every_input_gives_frames_or_a_reason(
    tmp_path: Path, kinds: tuple[str, ...], rounds: Rounds, record_count: Count
) -> None:
    """In the ordinary suite each is read for one purpose, the next for the next one."""
    with workshop(tmp_path) as (shop, canary):
        inputs = [one for kind in kinds for one in MAKERS[kind](shop)]
        canary.watch(*shop.folder.glob("playlists/secret.*"))
        outcomes = looked_at(inputs, tmp_path, rounds(1, len(Wants)))
        assert canary.touched() == []
    by_name = {one.name: one for one in inputs}
    assert len(by_name) == len(inputs)
    assert set(by_name) == {each.name for each in outcomes}
    for each in outcomes:
        check(by_name[each.name], each)
    record_count("hostile inputs read in a process of their own", len(inputs))
    record_count("readings of them that gave frames", sum(not each.error for each in outcomes))
    record_count("readings of them that gave a reason", sum(bool(each.error) for each in outcomes))


def looked_at(inputs: list[Hostile], folder: Path, purposes: int) -> list[Outcome]:
    """Let another process read each for so many purposes; whatever ends it is named."""
    turns = [tuple(Wants)[number:] + tuple(Wants)[:number] for number in range(len(Wants))]
    wanted = [turns[number % len(turns)][:purposes] for number in range(len(inputs))]
    listed = folder / "inputs"
    listed.write_bytes(pickle.dumps(list(zip(inputs, wanted, strict=True))))
    told = subprocess.run(
        [sys.executable, "-m", "tests.hostile_look", str(listed)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    last = [line["begun"] for line in lines if "begun" in line][-1:]
    assert told.returncode == 0, f"it died at {last}: {told.stderr[-2000:]}"
    return [Outcome(**line) for line in lines if "begun" not in line]


def check(one: Hostile, each: Outcome) -> None:
    """Hold what came of a reading to what was promised."""
    assert each.frames <= MAX_CUES
    native = each.wants == Wants.NATIVE
    assert each.largest_bytes <= (MOST_NATIVE_BYTES if native else MOST_FRAME_BYTES)
    assert each.peak_mb <= MOST_PEAK_MB, each
    if not each.error:
        assert each.frames > 0, each
        assert "Tagged" in one.ends or one.kind == "node", each
        return
    assert each.fault in ("scene", "world"), each
    assert each.message, each
    assert each.remedy, each
    assert "memory is short" not in each.message, each
    if native and "has no file" in each.message:
        # Sprites do not serve it: what becomes of the scene is told by those whom they serve.
        return
    assert ("Errored" if each.fault == "scene" else "TagMe") in one.ends, each


@linux
@pytest.mark.torture
def test_flipped_bits_by_the_thousand(tmp_path: Path, rounds: Rounds, record_count: Count) -> None:
    count, purposes = rounds(20, 60), rounds(1, len(Wants))
    for number in range(rounds(1, 50)):
        seed = 60 + 60 * number
        with workshop(tmp_path / str(number), seed) as (shop, _):
            inputs = list(flipped_videos(shop, min(count, 60)))
            for each in looked_at(inputs, shop.folder, purposes):
                check(Hostile(each.name), each)
            record_count("videos with flipped bits beside them", len(inputs))


# --- Files that change while they are read -----------------------------------------------------


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 3),
    "gone": Path.unlink,
    "a folder": to_folder,
    "text": lambda path: path.write_text("no video\n" * 4000),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another video": lambda path: path.write_bytes(path.with_name("other").read_bytes()),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("clips")
    return Workshop(folder / "media", folder / "secrets").bases


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, clips: dict[str, bytes], change: str, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    (tmp_path / "other").write_bytes(clips["mkv"])

    def act(count: int) -> None:
        if count == at and path.is_file():
            CHANGES[change](path)

    for at in (1, 5, 20, 60, 100):
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        path.write_bytes(clips[suffix])
        outcomes = list(keyframes_and_more(path, act))
        assert outcomes
        for each in outcomes:
            assert each in ("", "scene", "world"), (at, each)


def keyframes_and_more(path: Path, check: Callable[[int], None]) -> Iterator[str]:
    """Read a video in each way, one after another; yield whose fault it was, or nothing."""
    counting = Counting(check)
    times_s = even_times(LENGTH_S, 12)
    for read_them in (read_keyframes, read_exact):
        try:
            assert list(read_them(path, times_s, 384, "k", check=counting))
        except MediaError as error:
            yield error.fault if error.message and error.remedy else "nobody said"
        else:
            yield ""
