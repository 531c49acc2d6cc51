"""What a file is, wherever it lies: the hash by which Stash knows it."""

import struct
from pathlib import Path
from typing import BinaryIO

from stash_sense_plugin.errors import MediaUnreadable
from stash_sense_plugin.media.files import open_media
from stash_sense_plugin.records import Fingerprint

CHUNK_BYTES = 64 * 1024


def oshash(path: str | Path) -> Fingerprint:
    """Return the OpenSubtitles hash of a file, as Stash computes it, and its size.

    Size plus the little-endian 64-bit sums of the first and last 64 KiB (of all of it twice, where
    it is smaller), modulo 2^64. Stash has no hash for a file below 64 KiB whose size is no multiple
    of eight; there we pad with zeros. Raises MediaMissing or MediaUnreadable (an empty file).
    """
    with open_media(path) as file:
        size = file.seek(0, 2)
        if not size:
            raise MediaUnreadable(f"{path} is empty", "copy the file again")
        total = size + _sum(file, 0) + _sum(file, max(0, size - CHUNK_BYTES))
    return Fingerprint(f"{total % 2**64:016x}", size)


def _sum(file: BinaryIO, offset: int) -> int:
    file.seek(offset)
    chunk = file.read(CHUNK_BYTES)
    chunk += bytes(-len(chunk) % 8)
    return sum(struct.unpack(f"<{len(chunk) // 8}Q", chunk))
