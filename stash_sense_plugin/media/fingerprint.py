"""What a file is, wherever it lies: the hash by which Stash knows it."""

import struct
from pathlib import Path
from typing import BinaryIO

from stash_sense_plugin.errors import MediaUnreadable
from stash_sense_plugin.media.files import open_media
from stash_sense_plugin.records import Fingerprint

CHUNK_BYTES = 64 * 1024
WORD_BYTES = 8


def oshash(path: str | Path) -> Fingerprint:
    """Return the OpenSubtitles hash of a file, as Stash computes it, and its size.

    Size plus the little-endian 64-bit sums of the first and the last 64 KiB, modulo 2^64; of a
    smaller file, of its first and last bytes, as many as are whole words. Raises MediaMissing or
    MediaUnreadable (eight bytes or less, for which Stash has no hash either).
    """
    with open_media(path) as file:
        size = file.seek(0, 2)
        if size <= WORD_BYTES:
            raise MediaUnreadable(f"{path} is empty", "copy the file again")
        chunk = min(CHUNK_BYTES, size // WORD_BYTES * WORD_BYTES)
        total = size + _sum(file, 0, chunk) + _sum(file, size - chunk, chunk)
    return Fingerprint(f"{total % 2**64:016x}", size)


def _sum(file: BinaryIO, offset: int, length: int) -> int:
    file.seek(offset)
    return sum(struct.unpack(f"<{length // WORD_BYTES}Q", file.read(length)))
