"""What is being done with the scene in hand, kept where a crash of this process cannot take it.

A stage is told at every batch. As a row each would be a commit, which on a mount is a write to
the disk; the bytes of an open file are the system's at once, and outlive a process that is killed.
"""

import contextlib
import json
from pathlib import Path
from typing import BinaryIO

RECORD_BYTES = 1024
LONGEST_STAGE = 150
"""Characters, so that a record holds them in any script."""


class StageFile:
    """One small file beside the store: which scene is in hand, and at what stage."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def note(self, scene_id: str, stage: str) -> None:
        """Remember a stage in place of the last; a disk that takes it not stops nothing."""
        words = json.dumps([scene_id, stage[:LONGEST_STAGE]]).encode()
        # Always as long, so that nothing of a longer one before it stays behind.
        with contextlib.suppress(OSError):
            if self._file is None:
                self._file = _opened(self._path)
            self._file.seek(0)
            self._file.write(words[:RECORD_BYTES].ljust(RECORD_BYTES))

    def stage_of(self, scene_id: str) -> str:
        """Return what was noted last, if it was of this scene; else nothing."""
        try:
            noted = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return ""
        known = isinstance(noted, list) and len(noted) == 2 and noted[0] == scene_id
        return str(noted[1]) if known else ""

    def forget(self) -> None:
        """Take what was noted for read, so that a later death is not blamed on it."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Let go of the file; a later note opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(path: Path) -> BinaryIO:
    path.touch(mode=0o600)
    return path.open("r+b", buffering=0)
