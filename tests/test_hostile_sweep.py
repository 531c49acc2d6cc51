"""Hostile media in a library, swept as Stash runs it; and sprite sheets that Stash serves badly."""

import gzip
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stash import LOCKED, Fault, FileFault, StandIn, fake_file
from demo.stash.sprites import sprite_files
from stash_sense_plugin.errors import MediaError
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.stash.client import Limits
from stash_sense_plugin.tasks import Engine
from tests.hostile import TAGGED, Hostile, Workshop, build, encoded, free, picture, vtt
from tests.installed_kit import Installed, workers
from tests.plugin_folder import wait_until
from tests.stash_kit import empty
from tests.sweep_kit import ROOT, Room, copy, small, write_clips
from tests.test_hostile import Canary, linux
from tools.build_zip import PLUGIN_ID
from tools.build_zip import build as build_zip

Count = Callable[[str, int], None]
Rounds = Callable[[int, int], int]

GOOD_EVERY = 25
"""A good scene stands behind so many hostile ones."""
FORGED = "\x01i\x02forged"
"""What would be a line of its own in Stash's log."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    free(tmp_path / "media")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    watching = Canary(tmp_path / "secrets")
    yield watching
    watching.close()


@pytest.fixture
def library(folder: Path, bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    monkeypatch.setenv("STASH_SENSE_PYTHON", sys.executable)
    plugin = folder / "plugins" / PLUGIN_ID
    with zipfile.ZipFile(build_zip(ROOT, folder / "dist")) as bundle:
        bundle.extractall(plugin)
    media = folder / "media"
    media.mkdir()
    with StandIn(
        folder / "stash", media=media, plugins=plugin.parent, python_path=sys.executable
    ) as stash:
        installed = Installed(stash, write_clips(folder / "clips"), media, PLUGIN_ID)
        installed.home = Home(os.environ["STASH_SENSE_HOME"])
        Path(installed.home.folder).mkdir(mode=0o700)
        Path(installed.home.bytecode).symlink_to(bytecode)
        installed.configure()
        try:
            yield installed
        finally:
            worker.hand_over(installed.home, str(plugin / "stash_sense_plugin"))
            wait_until(
                lambda: installed.pid() is None and not workers(installed.home),
                "the worker is still there",
            )


def taken_up(library: Installed, one: Hostile, number: int) -> int:
    """Add an input as a scene; its sprite sheet lies where Stash generates such."""
    path = Path(one.path) if one.path else library.folder / f"sheet-{number}.mp4"
    if not one.path:
        copy(library.clips / "tall.mp4", path)
    try:
        print_of = oshash(path)
        known = print_of.oshash, print_of.size_bytes
    except (MediaError, OSError):
        known = f"{number:016x}", 1
    file = fake_file(str(path), oshash=known[0], size=known[1], duration_s=one.duration_s or 0.0)
    if one.vtt is not None and one.sheet is not None:
        files = sprite_files(library.stash.settings.generated, known[0])
        files.sheet.parent.mkdir(parents=True, exist_ok=True)
        files.sheet.write_bytes(one.sheet)
        files.vtt.write_bytes(one.vtt)
    return library.stash.add_scene(one.name, tags=[library.tag("TagMe")], file=file)


def told_in_the_log(shop: Workshop) -> Iterator[Hostile]:
    """What fails by names that must not break Stash's log."""
    for name in (f"a\n{FORGED}.mp4", "\x1b[31mred\r\n.mp4", "\u202egpj\u2028.mp4", "%s%n{0}.mp4"):
        path = shop.put(f"log/{name}", "no video\n" * 20)
        yield Hostile(f"log: {name!r}", path, ends=frozenset({"Errored"}))


def storable(one: Hostile) -> bool:
    """Whether Stash could tell of it: what it sends is UTF-8."""
    try:
        one.path.encode()
    except UnicodeEncodeError:
        return False
    return True


@linux
@pytest.mark.torture
def test_all_of_them_in_one_library(
    library: Installed, canary: Canary, rounds: Rounds, record_count: Count
) -> None:
    """In the ordinary suite every fifth: each is read by itself there besides."""
    good = {library.add("tall.mp4"): {"Tagged", "Vertical"}}
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    before = library.pid()
    assert before is not None
    shop = Workshop(library.folder / "hostile", canary.folder, canary.port)
    step = rounds(5, 0) or 1
    inputs = [*told_in_the_log(shop), *list(filter(storable, build(shop)))[::step]]
    scenes: dict[int, Hostile] = {}
    for number, one in enumerate(inputs):
        scenes[taken_up(library, one, number)] = one
        if number % GOOD_EVERY == 0:
            good[library.add("grey.mp4")] = {"Tagged", "Black and White"}
    canary.watch(*shop.folder.glob("playlists/secret.*"))
    library.stash.fault("bulkSceneUpdate", Fault(error=LOCKED, skip=3, times=2))
    library.stash.fault("bulkSceneUpdate", Fault(drop="after", skip=9))
    library.stash.fault("findScenes", Fault(status=502, skip=2))
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert library.pid() == before
    assert canary.touched() == []
    for scene, tags in good.items():
        assert library.tags(scene) == tags
    ended = {scene: library.tags(scene) & {"TagMe", "Tagged", "Errored"} for scene in scenes}
    wrong = {one.name: ended[scene] for scene, one in scenes.items() if not fits(one, ended[scene])}
    assert not wrong
    reasons = reasons_of(library)
    for scene, one in scenes.items():
        assert (str(scene) in reasons) == ("Tagged" not in ended[scene]), one.name
    assert all(each["message"] for each in reasons.values())
    assert not library.said("Error")
    assert not any(line.startswith(("forged", "\x01")) for line in library.said("Info"))
    assert all(line.isprintable() for level in ("Info", "Warning") for line in library.said(level))
    record_count("hostile scenes in one library", len(scenes))
    for tag, number in Counter(tag for tags in ended.values() for tag in tags).items():
        record_count(f"hostile scenes that ended {tag}", number)


def fits(one: Hostile, ended: set[str]) -> bool:
    """Whether a scene carries one workflow tag, and one that it may end with."""
    # A sprite sheet that is broken has a video behind it.
    ends = one.ends if one.path else TAGGED
    return len(ended) == 1 and ended <= ends


def reasons_of(library: Installed) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    after = None
    while True:
        words: dict[str, object] = {} if after is None else {"after": after}
        page = library.operate("errors", limit=200, **words)
        found |= {row["scene_id"]: row for row in page["errors"]}
        after = page["next"]
        if after is None:
            return found


# --- Sprite sheets that Stash serves badly ------------------------------------------------------


PAGE = b"<!doctype html><title>Bad Gateway</title>" + b" " * 4000
BOMB = gzip.compress(bytes(200_000_000), 1)
FILE_FAULTS = {
    "not there": FileFault(404, body=b"404 page not found"),
    "an error": FileFault(500, body=b"oops"),
    "busy": FileFault(503),
    "too many": FileFault(429),
    "not for us": FileFault(401),
    "forbidden": FileFault(403),
    "no content": FileFault(204),
    "not changed": FileFault(304),
    "a part": FileFault(206, {"Content-Range": "bytes 0-0/*"}, b"x"),
    "a part of nonsense": FileFault(206, {"Content-Range": "bytes 9-0/99999999999999999999"}, b"x"),
    "a status that is none": FileFault(999, body=b"x"),
    "a page": FileFault(200, {"Content-Type": "text/html"}, PAGE),
    "a page as a picture": FileFault(200, {"Content-Type": "image/jpeg"}, PAGE),
    "nothing": FileFault(200),
    "noise": FileFault(200, body=bytes(range(256)) * 40),
    "less than was said": FileFault(200, body=b"x" * 100, said_bytes=100_000),
    "more than was said": FileFault(200, body=b"x" * 100_000, said_bytes=100),
    "less than nothing": FileFault(200, body=b"x" * 100, said_bytes=-1),
    "a terabyte": FileFault(200, body=b"x" * 100, said_bytes=2**40),
    "a cut": FileFault(200, body=b"x" * 100, said_bytes=100_000, cut=True),
    "a cut at once": FileFault(200, said_bytes=100_000, cut=True),
    "no end": FileFault(200, body=b"WEBVTT", said_bytes=10**6, drip_s=0.01),
    "broken pieces": FileFault(200, {"Transfer-Encoding": "chunked"}, b"zz\r\nno number\r\n"),
    "a packed bomb": FileFault(200, {"Content-Encoding": "gzip"}, BOMB),
    "broken packing": FileFault(200, {"Content-Encoding": "gzip"}, b"x" * 100),
    "headers without end": FileFault(200, {f"X-{n}": "y" * 60_000 for n in range(3)}, b"x"),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips")


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    media = tmp_path_factory.mktemp("media")
    with StandIn(tmp_path_factory.mktemp("stash"), media=media) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, clips: Path, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    limits = Limits(first_wait_s=0, attempts=2, file_s=0.1, file_bytes=20_000_000)
    engine = Engine(tmp_path / "home", ROOT / "stash_sense_plugin", limits, hardware=small)
    prepared = Room(stash, clips, stash.settings.media[0], engine=engine)
    prepared.configure()
    yield prepared
    engine.close()
    for path in prepared.paths.values():
        path.unlink(missing_ok=True)


def with_sheet(room: Room, clip: str, sheet: bytes, text: str) -> int:
    """A scene of a clip with a sprite sheet."""
    scene = room.add(clip)
    files = sprite_files(room.stash.settings.generated, oshash(room.paths[scene]).oshash)
    files.sheet.parent.mkdir(parents=True, exist_ok=True)
    files.sheet.write_bytes(sheet)
    files.vtt.write_text(text)
    return scene


def test_a_good_sheet_is_read_and_not_the_video(room: Room) -> None:
    scene = with_sheet(room, "grey.mp4", encoded(picture()), vtt())
    room.run()
    assert room.tags(scene) == {"Tagged", "Vertical"}
    assert room.result(scene)["frames"]["sprite"] == 9


@pytest.mark.parametrize("fault", FILE_FAULTS)
@pytest.mark.parametrize("what", ["thumbs.vtt", "sprite.jpg"])
def test_a_sheet_served_badly_leaves_the_video_to_be_read(
    room: Room, what: str, fault: str
) -> None:
    scene = with_sheet(room, "grey.mp4", encoded(picture()), vtt())
    other = room.add("tall.mp4")
    room.stash.file_fault(rf"/scene/.*_{what}", FILE_FAULTS[fault])
    room.run()
    assert room.tags(scene) == {"Tagged", "Black and White"}
    assert room.result(scene)["frames"]["sprite"] == 0
    assert room.result(scene)["frames"]["video"] > 0
    assert room.tags(other) == {"Tagged", "Vertical"}


@linux
@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/x", "file://{secret}", "/login?x"])
@pytest.mark.parametrize("what", ["thumbs.vtt", "sprite.jpg"])
def test_nobody_is_asked_where_a_sheet_is_said_to_be_instead(
    room: Room, tmp_path: Path, canary: Canary, what: str, target: str
) -> None:
    Workshop(tmp_path / "made", canary.folder)
    canary.watch()
    scene = with_sheet(room, "grey.mp4", encoded(picture()), vtt())
    there = target.format(port=canary.port, secret=canary.folder / "secret.jpg")
    room.stash.file_fault(rf"/scene/.*_{what}", FileFault(302, {"Location": there}))
    room.run()
    assert room.tags(scene) == {"Tagged", "Black and White"}
    assert canary.touched() == []


def test_a_broken_sheet_of_a_file_that_is_gone_is_no_fault_of_the_scenes(room: Room) -> None:
    room.add("tall.mp4")
    scene = with_sheet(room, "grey.mp4", b"no picture", vtt())
    room.paths[scene].unlink()
    room.run()
    assert room.tags(scene) == {"TagMe"}
    (told,) = (line for line in room.told.said("info") if line.startswith(f"Scene {scene}"))
    assert "is no longer there" in told
