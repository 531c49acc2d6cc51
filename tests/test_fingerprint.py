"""The hash by which Stash knows a file."""

from pathlib import Path

import pytest

from stash_sense_plugin.errors import MediaMissing, MediaUnreadable
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.records import Fingerprint


@pytest.mark.parametrize(
    ("content", "hash_"),
    [
        pytest.param(b"\x01" + bytes(15), "0000000000000012", id="a small file counts twice"),
        pytest.param(bytes(64 * 1024), "0000000000010000", id="zeros leave the size"),
        pytest.param(b"\xff" * 16, "000000000000000c", id="sums wrap at 64 bits"),
        pytest.param(bytes(8) + b"\x02", "0200000000000009", id="the last whole word, wherever"),
    ],
)
def test_the_hash_is_size_and_sums(tmp_path: Path, content: bytes, hash_: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert oshash(path) == Fingerprint(hash_, len(content))


def test_only_the_ends_of_a_large_file_count(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = bytearray(300 * 1024)
    path.write_bytes(data)
    before = oshash(path)
    data[150 * 1024] = 1
    path.write_bytes(data)
    assert oshash(path) == before
    data[-8] = 1
    path.write_bytes(data)
    assert int(oshash(path).oshash, 16) == int(before.oshash, 16) + 1


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing):
        oshash(tmp_path / "absent.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaUnreadable, match="empty"):
        oshash(tmp_path / "empty.mp4")


@pytest.mark.real
def test_a_real_hash_is_the_one_that_stash_gave(real: Path) -> None:
    assert oshash(real / "videos" / "labelled.mp4").oshash == "b2a25aedc54cba09"
    assert oshash(real / "videos" / "bottle-detection.mp4").oshash == "942a60ba12bfea39"
