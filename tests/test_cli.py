"""The command line, as a person or cron runs it: what it prints, where, and how it ends."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from demo.clips import pan, picture, with_text
from demo.stash import StandIn
from stash_sense_plugin.cli.desk import home_for, server_at
from stash_sense_plugin.cli.showing import clock
from stash_sense_plugin.start import worker
from stash_sense_plugin.start.lines import printable
from stash_sense_plugin.start.paths import Home
from tests.installed_kit import workers
from tests.plugin_folder import wait_until
from tests.sweep_kit import PLUGIN, ROOT, Library, encode, spoil, write_clips

RESULT = {
    "source",
    "duration_s",
    "frames",
    "suggestions",
    "texts",
    "ran",
    "skipped",
    "error",
}
SUGGESTION = {"kind", "name", "label", "confidence", "decision", "ranges", "evidence"}
EVIDENCE = {"time_s", "score", "detector", "model", "box", "text"}


@dataclass(frozen=True)
class Shell:
    """Runs our commands with a home of their own."""

    home: Path

    def run(self, *words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "stash_sense_plugin", *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "STASH_SENSE_HOME": str(self.home), "COLUMNS": "400", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=120,
        )

    def json(self, *words: str | Path, status: int = 0) -> list[Any]:
        """Run a command and read its output, which must be JSON Lines and nothing else."""
        done = self.run(*words)
        assert done.returncode == status, (done.stdout, done.stderr)
        return [json.loads(line, parse_constant=_refuse) for line in done.stdout.splitlines()]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no number of JSON")


@pytest.fixture(scope="module")
def shell(bytecode: Path) -> Iterator[Shell]:
    """One home for all, so that its worker is warm; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="ss-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / "pycache").symlink_to(bytecode)
        yield Shell(home)
        package = str(ROOT / "stash_sense_plugin")
        # The worker was started with the session's own run-time folder or with a test's.
        worker.hand_over(Home(str(home)), package)
        wait_until(lambda: not workers(Home(str(home))), "the worker does not leave")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a face and a line of text, a small picture, and a damaged clip."""
    folder = tmp_path_factory.mktemp("media")
    face = pan(picture("astronaut.png").crop((80, 25, 380, 194)), (360, 202), 1.3, 2)
    encode(folder / "clip.mp4", with_text(face, "NORTHLIGHT", (0.5, 0.12), 24), 1, (360, 202))
    Image.new("RGB", (40, 80), (200, 30, 30)).save(folder / "tall.png")
    spoil(encode(folder / "damaged.mp4", pan(picture("coffee.png"), (160, 96)), 1, (160, 96)))
    return folder


# --- tag ----------------------------------------------------------------------------------------


def test_json_of_a_clip_is_exactly_as_documented(shell: Shell, media: Path) -> None:
    (result,) = shell.json("tag", media / "clip.mp4", "--json")
    assert set(result) == RESULT
    assert result["source"] == str(media / "clip.mp4")
    assert result["duration_s"] == 1.0
    assert result["frames"] == {"sprite": 0, "video": 16, "image": 0}
    assert result["error"] is None
    assert "Face Close-up" in [each["name"] for each in result["suggestions"]]
    for each in result["suggestions"]:
        assert set(each) == SUGGESTION
        assert each["kind"] in ("tag", "studio", "performer")
        assert each["decision"] in ("APPLY", "ASK", "HIDE")
        assert 0 <= each["confidence"] <= 1
        for part in each["ranges"]:
            assert set(part) == {"start_s", "end_s", "score"}
            assert 0 <= part["start_s"] < part["end_s"] <= 1
        for evidence in each["evidence"]:
            assert set(evidence) == EVIDENCE
            assert "@" in evidence["model"]
            box = evidence["box"]
            assert box is None or (len(box) == 4 and all(0 <= side <= 1 for side in box))
    (text,) = result["texts"]
    assert set(text) == {"text", "start_s", "end_s", "score"}
    assert text["text"] == "NORTHLIGHT"
    ran = {each["detector"] for each in result["ran"]}
    assert ran == {"picture", "objects", "quality", "text"}
    for ran in result["ran"]:
        keys = {"detector", "model", "device", "precision", "frames", "seconds"}
        assert set(ran) == keys
    # How many networks are missing goes by this machine, for which the preset is chosen.
    assert len(result["skipped"]) >= 2
    assert all(set(each) == {"detector", "reason", "remedy"} for each in result["skipped"])
    assert all("models pull" in each["remedy"] for each in result["skipped"])


def test_a_picture_has_no_length_and_no_ranges(shell: Shell, media: Path) -> None:
    (result,) = shell.json("tag", "--json", media / "tall.png")
    assert result["duration_s"] is None
    assert result["frames"] == {"sprite": 0, "video": 0, "image": 2}
    (vertical,) = [each for each in result["suggestions"] if each["name"] == "Vertical"]
    assert vertical["ranges"] == []


def test_each_file_has_its_line_and_one_that_fails_stops_no_other(
    shell: Shell, media: Path
) -> None:
    files = [media / "damaged.mp4", media / "gone.mp4", media, media / "tall.png"]
    results = shell.json("tag", "--json", *files, status=1)
    assert [each["source"] for each in results] == list(map(str, files))
    kinds = [each["error"] and each["error"]["kind"] for each in results]
    assert kinds == ["unreadable", "missing", "unreadable", None]
    for each in results[:3]:
        assert set(each["error"]) == {"kind", "message", "remedy"}
        assert set(each) == RESULT


HOSTILE = [
    pytest.param("new\nline.png", id="newline"),
    pytest.param("\U0001f600 smile :smile:.png", id="emoji"),
    pytest.param("[red]markup[red] [link=x].png", id="markup"),
    pytest.param("\x1b[31mred\x1b]0;title\x07.png", id="control characters"),
    pytest.param("\u202egnp.evil", id="right to left"),
    pytest.param("-".join("ab") + "\udcff.png", id="no UTF-8"),
    pytest.param("concat:a|b.png", id="a protocol"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_whatever_they_hold(
    shell: Shell, media: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_bytes((media / "tall.png").read_bytes())
    done = shell.run("tag", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == printable(str(file))
    assert "Vertical" in done.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)
    (result,) = shell.json("tag", "--json", file)
    assert result["source"] == str(file)
    assert result["error"] is None


def test_the_table_shows_what_was_seen_when_and_what_is_missing(shell: Shell, media: Path) -> None:
    done = shell.run("tag", media / "clip.mp4")
    rows = done.stdout.splitlines()
    assert rows[0] == f"{media / 'clip.mp4'}, 0:01"
    assert rows[1].split() == ["Suggestion", "Sure", "When", "Seen", "by"]
    (face,) = [row.split() for row in rows if "Face Close-up" in row]
    assert face[0] in ("apply", "ask")
    assert face[-2:] == ["0:00-0:01", "nudenet-320n@3.4.2"]
    assert '  read 0:00-0:01: "NORTHLIGHT"' in rows
    assert any(row.startswith("  without clip (clip-") for row in rows)
    assert done.stderr == ""


def test_a_failure_is_shown_with_what_to_do(shell: Shell, media: Path) -> None:
    done = shell.run("tag", media / "damaged.mp4")
    assert done.returncode == 1
    source, message, remedy = done.stdout.splitlines()
    assert source == str(media / "damaged.mp4")
    assert "no picture" in message
    assert remedy.strip()


def test_a_reader_that_has_enough_breaks_nothing(shell: Shell, media: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "stash_sense_plugin", "tag", "--json", str(media / "tall.png")],
        cwd=ROOT,
        env={**os.environ, "STASH_SENSE_HOME": str(shell.home)},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_a_setting_holds_for_its_command_alone(shell: Shell, media: Path) -> None:
    only = ("skip_text=yes", "skip_quality=true", "skip_labels=1", "skip_objects=TRUE")
    words = [word for each in only for word in ("--set", each)]
    (result,) = shell.json("tag", "--json", *words, media / "tall.png")
    assert {each["detector"] for each in result["ran"]} == {"picture"}
    (result,) = shell.json("tag", "--json", media / "tall.png")
    assert {each["detector"] for each in result["ran"]} > {"picture"}


def test_a_network_is_chosen_without_a_stash(shell: Shell, media: Path) -> None:
    chosen = ("--set", "similarity_model=dinov2-small")
    (report,) = shell.json("models", "list", "--json", *chosen)
    rows = {row["name"]: row["chosen"] for row in report["models"]}
    assert rows["dinov2-small"] == "the setting similarity_model"
    done = shell.run("similar", *chosen, media / "tall.png")
    assert done.returncode == 1
    assert "models pull dinov2-small" in done.stderr
    done = shell.run("tag", "--set", "object_model=no-such", media / "tall.png")
    assert done.returncode == 1
    assert "no-such" in done.stdout


# --- Usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["dance"], id="an unknown command"),
        pytest.param(["tag"], id="no file"),
        pytest.param(["tag", "--fast", "x"], id="an unknown option"),
        pytest.param(["models", "pull"], id="no model"),
        pytest.param(["models", "list", "x"], id="a name too many"),
        pytest.param(["models", "remove"], id="nothing to remove"),
        pytest.param(["models", "--accept", "MIT"], id="a licence for nothing"),
        pytest.param(["tag", "--set", "frames", "x"], id="a setting without a value"),
        pytest.param(["tag", "--set", "frame=3", "x"], id="no such setting"),
        pytest.param(["tag", "--set", "frames=many", "x"], id="no number of frames"),
        pytest.param(["tag", "--set", "skip_text=perhaps", "x"], id="neither true nor false"),
        pytest.param(["tag", "--set", "frames=3", "--set", "frames=4", "x"], id="two values"),
        pytest.param(
            ["models", "pull", "yolox-s", "--set", "frames=3"], id="a setting for nothing"
        ),
        pytest.param(["tag-scenes"], id="no Stash"),
        pytest.param(["tag-scenes", "--all", "--ids", "1"], id="two choices"),
        pytest.param(["--stash", "http://h", "tag-scenes", "--ids", "abc"], id="no number"),
        pytest.param(["--stash", "http://h", "tag-scenes", "--ids", "1", "0"], id="no scene 0"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_so_on_stderr(shell: Shell, words: list[str]) -> None:
    done = shell.run(*words, STASH_URL="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["tag", "--help"]])
def test_help_and_version_go_to_stdout(shell: Shell, words: list[str]) -> None:
    done = shell.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


# --- Models, errors, doctor ---------------------------------------------------------------------


def test_models_are_listed(shell: Shell) -> None:
    (report,) = shell.json("models", "--json")
    rows = {row["name"]: row for row in report["models"]}
    assert rows["nudenet-320n"]["here"]
    assert not rows["clip-vit-b32"]["here"]
    assert rows["nudenet-320n"]["chosen"] == "always"
    assert rows["yolox-s"]["chosen"].startswith("the preset ")
    assert report["preset"] in {"fast", "balanced", "accurate"}
    done = shell.run("models", COLUMNS="100")
    assert done.returncode == 0
    assert all(name in done.stdout for name in rows)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_what_is_not_ours_is_not_removed(shell: Shell) -> None:
    done = shell.run("models", "remove", "nudenet-320n")
    assert done.returncode == 1
    assert "lies inside a Python package" in done.stderr
    done = shell.run("models", "remove", "clip-vit-b32-laion")
    assert done.returncode == 0
    assert done.stdout == "clip-vit-b32-laion: nothing of it was here\n"


def test_a_model_that_is_not_in_the_catalogue_is_an_error_that_names_near_ones(
    shell: Shell,
) -> None:
    done = shell.run("models", "pull", "yolox-z")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "yolox-s" in done.stderr


def test_models_are_verified(shell: Shell) -> None:
    (report,) = shell.json("models", "verify", "--json")
    assert {row["name"]: row["error"] for row in report["models"]} == {"nudenet-320n": None}
    done = shell.run("models", "verify", "nudenet-320n", "yolox-s")
    assert done.returncode == 1
    whole, missing = done.stdout.splitlines()
    assert whole == "nudenet-320n: whole"
    assert "python -m stash_sense_plugin models pull yolox-s" in missing


def test_doctor_without_a_stash_says_what_is_missing(shell: Shell) -> None:
    done = shell.run("doctor", "--json")
    (report,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == (0 if report["well"] else 1)
    found = {fact["what"]: fact["found"] for fact in report["facts"]}
    assert found["Stash"].startswith("not asked")
    assert found["Detector clip"].startswith("clip-")


# --- With a Stash -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("stash")
    (folder / "media").mkdir()
    installed = folder / "stash" / "plugins" / PLUGIN
    installed.mkdir(parents=True)
    shutil.copy(ROOT / "plugin.yml", installed / f"{PLUGIN}.yml")
    with StandIn(folder / "stash", media=folder / "media", api_key="its-key") as stash:
        found = Library(stash, write_clips(folder / "clips"), folder / "media", PLUGIN)
        found.configure()
        yield found


def test_scenes_are_tagged_and_their_errors_listed(shell: Shell, library: Library) -> None:
    good, bad = library.add("tall.mp4"), library.add("damaged.mp4")
    done = shell.run("--stash", library.stash.url, "tag-scenes", "--json")
    (report,) = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 1
    assert (report["tagged"], report["failed"]) == (1, 1)
    assert "1 of 2 scenes tagged, 1 failed" in done.stderr
    assert library.tags(good) == {"Tagged", "Vertical"}
    assert library.tags(bad) == {"Errored"}
    (row,) = shell.json("--stash", library.stash.url, "errors", "--json")
    assert row["scene_id"] == str(bad)
    table = shell.run("--stash", library.stash.url, "errors")
    assert table.returncode == 0
    assert "damaged.mp4" in table.stdout
    assert "no picture" in table.stdout


def test_scenes_that_were_left_are_no_success(shell: Shell, library: Library) -> None:
    scene = library.add("tall.mp4")
    library.paths[scene].unlink()
    done = shell.run("--stash", library.stash.url, "tag-scenes", "--json")
    (report,) = map(json.loads, done.stdout.splitlines())
    assert (report["failed"], report["left"]) == (0, 1), done.stderr
    assert done.returncode == 1


def test_the_last_run_is_listed_rehearsed_and_undone(shell: Shell, library: Library) -> None:
    scene, at = library.add("tall.mp4", "TagMe", "Holiday"), ("--stash", library.stash.url)
    (report,) = shell.json(*at, "tag-scenes", "--ids", str(scene), "--json")
    assert library.tags(scene) == {"Holiday", "Tagged", "Vertical"}
    newest, *_ = shell.json(*at, "undo", "runs", "--json")
    assert (newest["run_id"], newest["tags"], newest["undone"]) == (report["run_id"], 1, False)
    (rehearsed,) = shell.json(*at, "undo", "last", "--dry-run", "--json")
    assert library.tags(scene) == {"Holiday", "Tagged", "Vertical"}
    done = shell.run(*at, "undo", "last", "--json")
    assert done.returncode == 0, done.stderr
    undone = json.loads(done.stdout)
    assert (undone["undone_run"], undone["taken_back"]) == (
        report["run_id"],
        rehearsed["taken_back"],
    )
    assert "Took back 1 tag" in done.stderr
    assert library.tags(scene) == {"Holiday", "TagMe"}
    # Nothing is left of that run; the undo itself can be undone.
    table = shell.run(*at, "undo", "runs").stdout
    assert undone["run_id"] in table
    assert report["run_id"] not in table
    assert shell.run(*at, "undo", "everything").returncode == 2


def test_a_stash_on_this_machine_shares_its_plugins_home(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STASH_SENSE_HOME")
    monkeypatch.setenv("STASH_API_KEY", "its-key")
    folder = library.stash.settings.folder
    assert home_for(server_at(library.stash.url)).folder == str(folder / "stash-sense")


def test_the_folder_of_a_stash_elsewhere_is_not_looked_for_here(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STASH_SENSE_HOME")
    monkeypatch.setenv("STASH_API_KEY", "its-key")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # No loopback address, by which this machine answers all the same.
    elsewhere = library.stash.url.replace("127.0.0.1", "0.0.0.0")
    # In a container, the same folder holds another database or none.
    monkeypatch.setattr(library.stash.database, "path", tmp_path / "none.sqlite")
    homes = [home_for(server_at(url)).folder for url in (elsewhere, library.stash.url)]
    assert [Path(home).parent for home in homes] == 2 * [tmp_path / "stash-sense"]
    assert len({*homes, home_for(None).folder}) == 3


def test_a_files_studio_is_known_from_stash_and_nothing_is_written(
    shell: Shell, library: Library, media: Path
) -> None:
    library.configure(skip_text=None, text_frames=2)
    library.stash.add_studio("Northlight")
    before = library.stash.tags()
    words = ("--stash", library.stash.url, "tag", "--json", media / "clip.mp4")
    (result,) = shell.json(*words)
    assert ("studio", "Northlight") in [
        (each["kind"], each["name"]) for each in result["suggestions"]
    ]
    assert {"detector": "objects", "reason": "switched off"}.items() <= result["skipped"][1].items()
    assert library.stash.tags() == before
    library.configure()


def test_doctor_names_the_stash_and_its_folders(shell: Shell, library: Library) -> None:
    done = shell.run("doctor", STASH_URL=library.stash.url)
    rows = [" ".join(row.split()) for row in done.stdout.splitlines()]
    assert any(row.startswith("Stash ") and row.endswith(library.stash.url) for row in rows)
    assert "LIBRARY" in rows
    assert str(library.folder) in "".join(done.stdout.split())
    assert done.stderr == ""
    (report,) = shell.json("--stash", library.stash.url, "doctor", "--json", status=done.returncode)
    whole = Path(report["report"])
    assert whole.read_text("utf-8").splitlines()[3:9] == done.stdout.splitlines()[3:9]
    kept = json.loads(whole.with_suffix(".json").read_text("utf-8"))
    assert kept == report


def test_a_stash_that_does_not_answer_is_named(shell: Shell) -> None:
    done = shell.run("--stash", "http://127.0.0.1:9", "errors")
    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


# --- Words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3599.9, "1:00:00"), (36_061, "10:01:01")],
)
def test_times_are_told_as_people_write_them(seconds: float, told: str) -> None:
    assert clock(seconds) == told
