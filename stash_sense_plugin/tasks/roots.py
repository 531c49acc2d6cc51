"""The library's folders on this machine: which of them are away, and why."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from stash_sense_plugin.errors import MediaMissing
from stash_sense_plugin.media.patience import answered
from stash_sense_plugin.records import Scene

SILENT_S = 10.0
"""A folder that says nothing for so long is away: its drive hangs, or the machine that has it."""
SILENT_IN_A_ROW = 3
"""After so many files that did not answer, none of their folder is read: each costs a thread."""


@dataclass(frozen=True, slots=True)
class Away:
    """A folder whose files cannot be had, and what is wrong with it."""

    folder: str
    reason: str
    """To go behind `it`: `is missing or empty here`."""


class Roots:
    """The library's folders, which are not looked at where Stash is on another machine.

    A drive may also be mounted below one of them: then what is away is the folder of its mount.
    """

    def __init__(
        self,
        folders: Iterable[str],
        check: Callable[[], None],
        silent_s: float = SILENT_S,
        *,
        are_here: bool = True,
    ) -> None:
        self._folders = tuple(folders)
        self._are_here = are_here
        self._check = check
        self._silent_s = silent_s
        self._silent: dict[str, Away] = {}
        self._silences: Counter[str] = Counter()

    def away(self, scene: Scene) -> Away | None:
        """Return the folder that holds the scene's file and is away; None where the file is here.

        One that did not answer is not asked again: each time would take as long.
        """
        root = self._of(scene)
        if root is None:
            return None
        if root not in self._silent:
            if not self._are_here:
                return None
            try:
                return answered(
                    lambda _beat: _away(root, scene.path), self._check, root, self._silent_s
                )
            except MediaMissing:
                self._silent[root] = Away(root, "does not answer")
        return self._silent[root]

    def note_silence(self, scene: Scene) -> None:
        """Count a file that did not answer: after some in a row, their folder is away."""
        root = self._of(scene)
        if root is not None:
            self._silences[root] += 1
            if self._silences[root] >= SILENT_IN_A_ROW:
                self._silent[root] = Away(root, "does not answer")

    def note_answer(self, scene: Scene) -> None:
        """Take note of a file that was read."""
        root = self._of(scene)
        if root is not None:
            del self._silences[root]

    def is_gone(self, scene: Scene) -> bool:
        """Whether the scene's folder is here and its file is not; to be asked after `away`."""
        try:
            os.lstat(scene.path)
        except FileNotFoundError:
            return self._are_here and self._of(scene) is not None
        except (OSError, ValueError):
            return False
        return False

    def _of(self, scene: Scene) -> str | None:
        path = PurePath(scene.path)
        inside = [root for root in self._folders if scene.path and path.is_relative_to(root)]
        return max(inside, key=len, default=None)


def _away(root: str, path: str) -> Away | None:
    """Look from the file's folder upwards to its root: the topmost one that is away is it."""
    if _is_there(path):
        return None
    found = None
    folder = Path(path).parent
    while True:
        reason = _fault(folder)
        if reason is None:
            return found
        found = Away(str(folder), reason)
        if folder == Path(root) or folder == folder.parent:
            return found
        folder = folder.parent


def _is_there(path: str) -> bool:
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True


def _fault(folder: Path) -> str | None:
    """Say what is wrong with a folder; None where it holds anything."""
    try:
        if any(folder.iterdir()):
            return None
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"cannot be read here ({error.strerror})"
    return "is missing or empty here"
