"""How a file comes here from elsewhere: piece by piece, whole or not at all."""

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import HubFile, host_of, shown_address
from stash_sense_plugin.inference.recorded import digest, flush, private_file
from stash_sense_plugin.records import Reporter
from stash_sense_plugin.start import private

TRIES = 4
"""How often a connection may break without bringing a byte before a download gives up."""
TIMEOUT_S = (10.0, 30.0)
"""To connect, and between two pieces."""
PIECE_BYTES = 1 << 16
"""What is written at a time: a connection that breaks loses no more."""
STEP = 0.005
"""The least progress that is worth telling."""
SPARE_BYTES = 64 << 20
"""What a download leaves free on the disk."""
MOST_BYTES = 32 << 30
"""What a file of unknown size may weigh: the largest networks are a tenth of it."""

_NAMED = re.compile(r"//[^/\s]*@")
_ASKED = re.compile(r"\?[^\s'\")>]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to fetch and what is known of it beforehand."""

    url: str
    sha256: str | None
    git_sha1: str | None
    bytes: int | None
    most_bytes: int = MOST_BYTES

    @property
    def shown(self) -> str:
        """What may be logged of its address."""
        return shown_address(self.url)

    @property
    def known(self) -> bool:
        """Whether pieces of an earlier try can be trusted to belong together."""
        return bool(self.sha256 or self.git_sha1)


class _Overflow(Exception):
    """More came, or is to come, than was promised."""


class _Interrupted(Exception):
    """The connection broke; the pieces that came are kept."""


class Meter:
    """Joins the progress of several files, by their bytes as far as known, into one fraction."""

    def __init__(self, weights: Mapping[str, int | None], reporter: Reporter) -> None:
        even = None in weights.values()
        self._weights = {role: 1 if even else weight or 1 for role, weight in weights.items()}
        self._shares = dict.fromkeys(weights, 0.0)
        self._reporter = reporter
        self._told = -1.0

    def at(self, role: str, share: float) -> None:
        """Tell how much of one file is here, 0..1, and learn whether to stop."""
        self._shares[role] = min(1.0, share)
        whole = sum(self._weights.values())
        here = sum(self._shares[name] * weight for name, weight in self._weights.items()) / whole
        if here >= self._told + STEP or here == 1.0:
            self._told = here
            self._reporter.progress(here)
        self._reporter.check()

    def done(self, role: str) -> None:
        """Tell that one file is here."""
        self.at(role, 1.0)


class Web:
    """A session that names each host before it reaches it and carries no one's password."""

    def __init__(self, session: Any, reporter: Reporter) -> None:
        self._session = session
        self._reporter = reporter
        self._named: set[str] = set()

    def name(self, url: str) -> None:
        """Log the address's host, once."""
        host = host_of(url)
        if host not in self._named:
            self._named.add(host)
            self._reporter.log("info", f"Connecting to {host}")

    def get(self, url: str, headers: Mapping[str, str]) -> Any:
        """Return an open streaming response, redirects followed one by one."""
        for _ in range(10):
            self.name(url)
            response = self._ask(url, headers)
            if not response.is_redirect:
                return response
            response.close()
            onward = urljoin(url, response.headers["Location"])
            if urlsplit(url).scheme == "https" and urlsplit(onward).scheme != "https":
                raise ModelMissing(
                    f"{shown_address(url)} leads to an address that is not encrypted:"
                    f" {shown_address(onward)}"
                )
            url = onward
        raise ModelMissing(f"{shown_address(url)} leads round in circles", "try again later")

    def _ask(self, url: str, headers: Mapping[str, str]) -> Any:
        import requests

        try:
            return self._session.get(
                url, headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException:
            raise
        # requests reads where an answer leads even when it is not to go there.
        except ValueError as error:
            message = f"{shown_address(url)} leads to what is no address"
            raise ModelMissing(message, "try again later") from error


@contextmanager
def open_web(reporter: Reporter) -> Iterator[Web]:
    import requests

    with requests.Session() as session:
        # Without this requests would send what stands in the user's .netrc.
        session.auth = lambda request: request
        session.headers["Accept-Encoding"] = "identity"
        try:
            yield Web(session, reporter)
        except requests.RequestException as error:
            raise ModelMissing(
                f"A download failed: {_cause(error)}", "check the network and try again"
            ) from error


def ask_hub(hub: str, file: HubFile, web: Web) -> tuple[str, str, int | None]:
    """Return the file's address, its digest as the hub tells it, and its bytes."""
    private.keep()
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repo, file.path, revision=file.revision, endpoint=hub)
    web.name(url)
    try:
        told = get_hf_file_metadata(url, token=False, endpoint=hub, timeout=TIMEOUT_S[0])
    except Exception as error:
        reason = _unnamed(str(error).strip().partition("\n")[0]) or type(error).__name__
        raise ModelMissing(
            f"Cannot fetch {file.repo}/{file.path} at {file.revision[:8]}: {reason}",
            "check the network and try again",
        ) from error
    return url, told.etag or "", told.size


def fetch_twice(
    wanted: Wanted, place: Path, web: Web, pause_s: float, tell: Callable[[float], None]
) -> None:
    """Fetch a file; what came and is not what was promised is cleared and fetched once more."""
    part = part_of(place)
    if not wanted.known:
        part.unlink(missing_ok=True)
    for last in (False, True):
        problem = _brought(wanted, part, web, pause_s, tell)
        if problem is None:
            break
        part.unlink(missing_ok=True)
        if last:
            raise ModelBroken(
                f"{wanted.shown} sent something else twice: {problem}",
                "try again later; the file may have been changed at its source",
            )
    part.replace(place)


def _brought(
    wanted: Wanted, part: Path, web: Web, pause_s: float, tell: Callable[[float], None]
) -> str | None:
    """Bring a file to `part`; say in what it differs from what was promised, or None."""
    try:
        _fetch(wanted, part, web, pause_s, tell)
    except _Overflow as error:
        return str(error)
    return _unlike(wanted, part)


def _fetch(
    wanted: Wanted, part: Path, web: Web, pause_s: float, tell: Callable[[float], None]
) -> None:
    """Bring a file to `part`, going on where a broken connection left it."""
    tries, had, reason = 0, -1, ""
    while (have := bytes_of(part)) != wanted.bytes or not have:
        tries = 0 if have > had else tries + 1
        had = max(had, have)
        if tries >= TRIES:
            raise ModelMissing(
                f"{wanted.shown} did not come ({have} bytes are here): {reason}",
                "check the network and try again: it goes on where it stopped",
            )
        try:
            _receive(wanted, part, have, web, tell)
            return
        except _Interrupted as error:
            reason = str(error)
            time.sleep(pause_s * 2**tries)


def part_of(place: Path) -> Path:
    """Return where a file lies until it is whole."""
    return place.with_name(place.name + ".part")


def bytes_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _receive(
    wanted: Wanted, part: Path, have: int, web: Web, tell: Callable[[float], None]
) -> None:
    import requests

    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with web.get(wanted.url, headers) as response:
            start = _starts_at(response, have, wanted, part)
            size = _size(response, start) or wanted.bytes
            _check_size(wanted, size)
            _check_room(part, (size or 0) - start)
            with private_file(part, "ab" if start else "wb") as file:
                for piece in response.iter_content(PIECE_BYTES):
                    _check_growth(wanted, file.tell(), len(piece), size, part)
                    file.write(piece)
                    tell(file.tell() / size if size else 0.0)
                flush(file)
    except requests.RequestException as error:
        raise _Interrupted(_cause(error)) from error
    if size and part.stat().st_size < size:
        raise _Interrupted(f"ended after {part.stat().st_size} of {size} bytes")


def _cause(error: BaseException) -> str:
    """Return what really happened: requests wraps it three times and repeats the address."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return _unnamed(str(error)) or type(error).__name__


def _unnamed(text: str) -> str:
    """Return a library's words without the names, passwords and questions of their addresses."""
    return _ASKED.sub("", _NAMED.sub("//", text))


def _starts_at(response: Any, have: int, wanted: Wanted, part: Path) -> int:
    """Return the byte that the answer begins with; raises when it is no answer."""
    status = response.status_code
    if status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        return have
    if status == 200:
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("text/html"):
            raise ModelMissing(
                f"{wanted.shown} answered with a web page instead of a file",
                "check whether the network asks for a login",
            )
        return 0
    if status in {206, 416}:
        part.unlink(missing_ok=True)
        raise _Interrupted(f"the answer {status} does not go on at byte {have}")
    if status in {408, 425, 429} or status >= 500:
        raise _Interrupted(f"HTTP {status}")
    raise ModelMissing(
        f"{wanted.shown} answered HTTP {status}", "the file is gone or closed: choose another model"
    )


def _size(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _check_size(wanted: Wanted, size: int | None) -> None:
    """Refuse at once what is told to be of another size, or larger than any network."""
    if wanted.bytes is not None and size != wanted.bytes:
        raise _Overflow(f"{size} bytes instead of {wanted.bytes}")
    if size is not None and size > wanted.most_bytes:
        raise _Overflow(f"{size} bytes, where {wanted.most_bytes} are the most")


def _check_growth(wanted: Wanted, here: int, more: int, size: int | None, part: Path) -> None:
    """Stop a server that sends on after the end; where none is known, look after the disk."""
    most = wanted.most_bytes if size is None else size
    if here + more > most:
        raise _Overflow(f"more than {most} bytes")
    if size is None and here // SPARE_BYTES != (here + more) // SPARE_BYTES:
        _check_room(part, SPARE_BYTES)


def _check_room(part: Path, bytes_: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if bytes_ + SPARE_BYTES > free:
        raise ModelMissing(
            f"{part.parent} has {free / 1e6:.0f} MB free and {bytes_ / 1e6:.0f} MB are to come",
            "make room on the disk",
        )


def _unlike(wanted: Wanted, part: Path) -> str | None:
    """Say in what a file differs from what was promised, or None."""
    size = part.stat().st_size
    if wanted.bytes is not None and size != wanted.bytes:
        return f"{size} bytes instead of {wanted.bytes}"
    if wanted.sha256 and (came := digest(part, hashlib.sha256())) != wanted.sha256:
        return f"sha256 {came[:12]}… instead of {wanted.sha256[:12]}…"
    if wanted.git_sha1:
        # Git names a file by the SHA-1 of a header and its content.
        header = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        if (came := digest(part, header)) != wanted.git_sha1:
            return f"git object {came[:12]}… instead of {wanted.git_sha1[:12]}…"
    return None if size else "an empty file"


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn what the disk refuses into a plain sentence."""
    try:
        yield
    except OSError as error:
        raise ModelMissing(
            f"{place} cannot be written: {error.strerror or error}",
            "make room on the disk, or mend who may write there",
        ) from error
