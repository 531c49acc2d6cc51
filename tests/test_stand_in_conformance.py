"""The stand-in passes the checks that a running Stash passes, without and with a login."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from demo.stash import StandIn
from tests.clips import write_clip

SHARED = Path(__file__).resolve().parents[2] / "shared" / "conformance"
CHECK = Path(os.environ.get("STASH_SENSE_CONFORMANCE", SHARED)) / "check.py"
LEFT_OUT: tuple[str, ...] = ()
"""Groups that the stand-in leaves out on purpose: none."""


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    # The kit's own oshash is right from 64 KiB on, so the first scene must be as large as that.
    write_clip(folder / "long.mp4", count=200, fps=25, size=(640, 360), gop=1)
    write_clip(folder / "short.mp4", count=20, fps=10)
    Image.new("RGB", (64, 48), (200, 10, 10)).save(folder / "picture.png")
    (folder / "text-file.mp4").write_text("not a video", encoding="utf-8")
    (folder / "empty.mp4").touch()
    return folder


def report(stash: StandIn, media: Path, *options: str) -> tuple[int, list[str]]:
    """The kit's exit status and its lines that are not ok."""
    command = [sys.executable, str(CHECK), "--url", stash.url, *options]
    command += ["--plugins", str(stash.settings.plugins_path), "--media", str(media)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    lines = (ran.stdout + ran.stderr).splitlines()
    return ran.returncode, [line for line in lines if not line.startswith("ok ")]


@pytest.mark.skipif(not CHECK.is_file(), reason=f"no kit at {CHECK}: set STASH_SENSE_CONFORMANCE")
@pytest.mark.parametrize("with_login", [False, True], ids=["open", "login"])
def test_the_kit_passes(tmp_path: Path, media: Path, with_login: bool) -> None:
    key = "key-of-the-test" if with_login else ""
    credentials = ("admin", "password-of-the-test") if with_login else None
    options = ["--credentials", "admin:password-of-the-test", "--api-key", key]
    with StandIn(
        tmp_path / "stash",
        media=media,
        credentials=credentials,
        api_key=key,
        python_path=sys.executable,
    ) as stash:
        stash.scan(sprites=True, covers=True)
        status, lines = report(stash, media, *(options if with_login else []))
    *rest, sums = lines
    assert (status, [line for line in rest if line.startswith("FAIL")]) == (0, [])
    # What cannot be checked without credentials, and with them.
    assert sums == ("131 passed, 0 failed, 2 skipped" if with_login else SUMS_WITHOUT_LOGIN)


SUMS_WITHOUT_LOGIN = "123 passed, 0 failed, 10 skipped"
