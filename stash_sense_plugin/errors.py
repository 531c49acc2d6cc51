"""What may go wrong, as a tree.

StashSenseError
├── SettingsError          a setting, command word or user's file is not usable
├── VocabularyError        vocabulary.yaml, ours or the user's
├── CatalogueError         catalogue.yaml, ours or the user's
├── MediaError             pictures that could not be had
│   ├── MediaUnreadable    opened, and not what it claims to be: the scene's fault
│   └── MediaMissing       not found or not opened: the disk, the mount, the network
│       └── MediaSilent    no answer at all: a drive or mount that hangs
├── ModelError
│   ├── ModelMissing       its files are not here
│   └── ModelBroken        its files are here and do not run
├── StashError             Stash did not do what was asked
│   ├── StashUnreachable   no answer
│   │   └── StashUncertain the answer was lost: it may have been done
│   ├── StashUnauthorised  401, 403 or a login page
│   ├── StashRefused       an answer with errors in it
│   └── TagUnusable        a tag that can be neither found nor made: the others go on
│       └── TagGone        one that we made was deleted or renamed: the user is asked
├── StoreError             our own database
│   └── StoreBusy          held by another program: another time it may not be
├── MemoryShort            this machine or container has no memory left: another time it may
├── InternalFault          a fault of ours, met with one scene
├── WorkerDied             a scene at which the worker died, and died again
└── Cancelled              the user stopped the job
    └── HandedOver         another version of Stash Sense takes this one's place
"""

from typing import ClassVar, Literal

Fault = Literal["scene", "world"]
"""Whose fault it is: only a scene's own fault earns the Errored tag; the world's keeps TagMe."""


_NO_MEMORY = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "unable to allocate",
    "cannot allocate memory",
    "insufficient memory",
    "not enough memory",
    "out of memory",
    "can't start new thread",
    "pthread_create",
)
"""How onnxruntime, OpenCV, NumPy, CUDA and the system say that there is no memory left."""


class StashSenseError(Exception):
    """Says what went wrong with which thing, and what to do about it."""

    kind: ClassVar[str] = "error"
    fault: ClassVar[Fault] = "world"

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class SettingsError(StashSenseError):
    """A setting, a command's word or a user's file cannot be used."""

    kind = "settings"


class VocabularyError(SettingsError):
    """A vocabulary file cannot be used."""

    kind = "vocabulary"


class CatalogueError(SettingsError):
    """A model catalogue cannot be used."""

    kind = "catalogue"


class MediaError(StashSenseError):
    """A scene's pictures could not be had."""

    kind = "media"


class MediaUnreadable(MediaError):
    """The file was opened and is not a picture or video that can be read."""

    kind = "unreadable"
    fault = "scene"


class MediaMissing(MediaError):
    """The file, sprite sheet or folder is not there or may not be opened."""

    kind = "missing"


class MediaSilent(MediaMissing):
    """A drive or mount gave no answer: each further question would take as long."""


class ModelError(StashSenseError):
    """A network cannot be used."""

    kind = "model"


class ModelMissing(ModelError):
    """A network's files are not on this machine."""

    kind = "model-missing"


class ModelBroken(ModelError):
    """A network's files are here, and it does not load or run."""

    kind = "model-broken"


class StashError(StashSenseError):
    """Stash did not do what was asked of it."""

    kind = "stash"


class StashUnreachable(StashError):
    """Stash gave no answer."""

    kind = "stash-unreachable"


class StashUncertain(StashUnreachable):
    """The connection broke after the question was sent: what it asked for may have been done."""

    kind = "stash-uncertain"


class StashUnauthorised(StashError):
    """Stash does not know us."""

    kind = "stash-unauthorised"


class StashRefused(StashError):
    """Stash answered with errors; `messages` holds its words."""

    kind = "stash-refused"

    def __init__(self, message: str, remedy: str = "", messages: tuple[str, ...] = ()) -> None:
        super().__init__(message, remedy)
        self.messages = messages


class TagUnusable(StashError):
    """A tag can be neither found nor made, by its name alone; others can."""

    kind = "tag-unusable"


class TagGone(TagUnusable):
    """A tag that we created is no longer in Stash under its name: nothing is guessed."""

    kind = "tag-gone"


class StoreError(StashSenseError):
    """Our own database cannot be used."""

    kind = "store"


class StoreBusy(StoreError):
    """Another program holds our database; it may let go."""

    kind = "store-busy"


class MemoryShort(StashSenseError):
    """There was no memory left for what was to be done; with more of it, it may go well."""

    kind = "memory-short"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Memory is short ({what})",
            "lower the setting 'Memory for models', let other programs go, or give the container"
            " more memory",
        )

    @classmethod
    def check(cls, error: BaseException, what: str) -> None:
        """Raise MemoryShort where that is what a foreign error says, in whatever words."""
        said = str(error).casefold()
        if isinstance(error, MemoryError) or any(word in said for word in _NO_MEMORY):
            raise cls(what) from error


class InternalFault(StashSenseError):
    """A fault of ours, met with one scene: the others go on."""

    kind = "internal"


class WorkerDied(StashSenseError):
    """The worker died at this scene, and died again: its content brings that about."""

    kind = "worker-died"
    fault = "scene"


class Cancelled(StashSenseError):
    """The user stopped the job."""

    kind = "cancelled"


class HandedOver(Cancelled):
    """The job was stopped for another version of Stash Sense, which takes this one's place."""
