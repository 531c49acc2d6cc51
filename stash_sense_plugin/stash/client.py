"""The one way to Stash: who we are, one question and its answer, one file."""

import ipaddress
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from stashapi.classes import GQLWrapper

from stash_sense_plugin.errors import (
    MediaMissing,
    MediaUnreadable,
    SettingsError,
    StashError,
    StashRefused,
    StashUnauthorised,
    StashUncertain,
    StashUnreachable,
)

Answer = TypeVar("Answer")

_SHOWN: Final = 600
"""Characters of Stash's own words in a message of ours."""
_ANY_ADDRESS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_SEE_LOG: Final = "see Stash's log for the cause, and try again"
_NEEDS_NO_VALUE: Final = frozenset({"IS_NULL", "NOT_NULL"})


# --- Where Stash is and who we are --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Stash listens, and the key or cookie that opens it; both may be empty."""

    base_url: str
    """Without a slash at its end; may hold a prefix (`https://home.example/stash`)."""
    api_key: str = field(default="", repr=False)
    cookie: str = field(default="", repr=False)
    told_by_stash: bool = False
    """Stash itself gave its address to a plugin that it started: it is on this machine."""

    @classmethod
    def from_plugin(cls, server_connection: Mapping[str, Any]) -> "Connection":
        """Read what Stash puts on a plugin's stdin as `server_connection`."""
        said = str(server_connection.get("Host") or "").strip("[]")
        host = _ANY_ADDRESS.get(said, said)
        shown = f"[{host}]" if ":" in host else host
        scheme = server_connection.get("Scheme") or "http"
        cookie = server_connection.get("SessionCookie") or {}
        read = cls.from_url(
            f"{scheme}://{shown}:{server_connection.get('Port') or 9999}",
            api_key=str(server_connection.get("ApiKey") or ""),
            cookie=str(cookie.get("Value") or ""),
        )
        return replace(read, told_by_stash=True)

    @classmethod
    def from_url(cls, url: str, api_key: str = "", cookie: str = "") -> "Connection":
        """Read an address as a person writes it; a missing scheme is http."""
        text = url.strip()
        text = text if "://" in text else f"http://{text}"
        text = text.rstrip("/").removesuffix("/graphql")
        _check_address(text)
        for name, secret in (("API key", api_key.strip()), ("session cookie", cookie)):
            if not (secret.isascii() and secret.isprintable()) or " " in secret:
                raise SettingsError(f"Stash's {name} holds characters that no key has")
        return cls(text, api_key.strip(), cookie)

    @property
    def loopback(self) -> bool:
        """Whether Stash is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def _check_address(url: str) -> None:
    """Raise SettingsError unless this is an http address with a host and nothing behind it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "?" in url or "#" in url or "@" in url:
        raise SettingsError(
            f"{_without_secrets(url)!r} is not an address of Stash",
            "write it like http://127.0.0.1:9999, without a name, password or key",
        )


def _without_secrets(url: str) -> str:
    """Take away what may be a password or a key: what stands before @ or behind a `?`."""
    before, at, behind = url.rpartition("@")
    scheme, slashes, _ = before.partition("://")
    address, mark, _ = behind.partition("?")
    return (f"{scheme}{slashes}...@" if at else "") + address + (f"{mark}..." if mark else "")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often we try, and how much we take."""

    connect_s: float = 5.0
    read_s: float = 60.0
    """Between two bytes of an answer: hooks of other plugins run before a write is answered."""
    attempts: int = 5
    first_wait_s: float = 0.2
    """Before the second attempt; doubled before each further one."""
    file_bytes: int = 64 * 1024 * 1024
    """The largest sprite sheet that we take."""
    file_s: float = 60.0
    """How long we wait for the whole of it."""


# --- The client ---------------------------------------------------------------------------------


class StashClient:
    """Asks Stash one thing at a time, from any thread.

    stashapp-tools gives each thread its session, by `GQLWrapper`, the base of its
    `StashInterface`. The class itself asks for Stash's whole schema (half a megabyte), its version
    and its API key each time one is made, and stores the cookie so that the first value is sent
    for ever. Its own call hands a failed mutation back as success and waits without end.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._limits = limits or Limits()
        self._sleep = sleep
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []
        self._cookie = connection.cookie
        self._api_key = connection.api_key
        self._spare_key = ""
        self._server_time: datetime | None = None
        self._calls = 0

    def __enter__(self) -> "StashClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sessions of all threads; a later call opens a new one."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
            self._local = threading.local()
        for session in sessions:
            session.close()

    @property
    def calls(self) -> int:
        """How often Stash was asked for anything, every attempt counted."""
        return self._calls

    @property
    def server_time(self) -> datetime | None:
        """Stash's clock at its last answer (whole seconds), to compare with its own times."""
        return self._server_time

    def remember_key(self, api_key: str) -> None:
        """Keep a key for the moment when the session cookie has died of age.

        The cookie is used as long as it lives: it carries Stash's guard against hooks that call
        one another in a circle.
        """
        self._spare_key = Connection.from_url(self.connection.base_url, api_key).api_key

    def call(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        *,
        repeatable: bool | None = None,
    ) -> dict[str, Any]:
        """Ask, and return the answer's `data`; any error in the answer is raised.

        `repeatable` says that the question may be sent again when its answer was lost; left out,
        that holds for queries and not for mutations.
        Raises StashRefused, StashUnauthorised, StashUnreachable or StashUncertain.
        """
        refuse_empty_filter(variables or {})
        if repeatable is None:
            repeatable = not document.lstrip().startswith("mutation")
        body = _encoded(document, variables or {})
        return self._patiently(lambda: self._ask(body, _name_of(document)), repeatable)

    def get(self, path: str) -> bytes:
        """Fetch a file by its path on Stash's server; MediaMissing when it is not there."""
        return self._patiently(lambda: self._fetch(path), repeatable=True)

    def size(self, path: str) -> int:
        """How many bytes a file on Stash's server has; MediaMissing when it is not there.

        Stash routes no HEAD there, so the first byte is asked for.
        """
        return self._patiently(lambda: self._measure(path), repeatable=True)

    # --- One attempt

    def _ask(self, body: bytes, name: str) -> dict[str, Any]:
        response = self._send("POST", "/graphql", data=body)
        with response:
            text = self._read(response)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._senseless(response, text, name)
        if answer.get("errors") or response.status_code != requests.codes.ok:
            raise _refusal(name, answer.get("errors"), response.status_code)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise StashRefused(f"Stash answered {name} without data")
        return data

    def _senseless(self, response: requests.Response, text: bytes, name: str) -> StashError:
        """What an answer means that is no GraphQL: another server's, or one that broke off."""
        url, status = self.connection.base_url, response.status_code
        if status >= requests.codes.server_error:
            return StashUncertain(f"Stash at {url} failed at {name} (status {status})", _SEE_LOG)
        if status == requests.codes.ok and text.lstrip()[:1] in (b"", b"{"):
            return StashUncertain(f"The answer of Stash at {url} to {name} broke off", _SEE_LOG)
        return StashRefused(
            f"{url} answered {name} with status {status} and no GraphQL",
            "check that this is the address of Stash",
        )

    def _fetch(self, path: str) -> bytes:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        with self._send("GET", path, headers=headers, stream=True) as response:
            _check_file(response, path)
            return self._read_file(response, path)

    def _measure(self, path: str) -> int:
        headers = {"Accept": "*/*", "Range": "bytes=0-0", "Accept-Encoding": "identity"}
        with self._send("GET", path, headers=headers, stream=True) as response:
            if response.status_code != requests.codes.requested_range_not_satisfiable:
                _check_file(response, path)
            whole = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
            length = whole.group(1) if whole else response.headers.get("Content-Length", "")
        if not length.isdigit():
            raise StashRefused(f"Stash does not say how large {path} is")
        return int(length)

    def _send(
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """Send once (twice when the cookie has died and a key is known) and check the door."""
        if not path.startswith("/") or path.startswith("//"):
            raise StashError(f"{path!r} is not a path on Stash's server")
        secret = self._secret()
        response = self._exchange(method, path, data, {**(headers or {}), **secret}, stream)
        if response.status_code == requests.codes.unauthorized and self._change_key(secret):
            response.close()
            secret = self._secret()
            response = self._exchange(method, path, data, {**(headers or {}), **secret}, stream)
        try:
            self._check_door(response)
        except StashError:
            response.close()
            raise
        self._note(response)
        return response

    def _exchange(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
        stream: bool,
    ) -> requests.Response:
        with self._lock:
            self._calls += 1
        try:
            return self._session().request(
                method,
                self.connection.base_url + path,
                data=data,
                headers=dict(headers),
                timeout=(self._limits.connect_s, self._limits.read_s),
                allow_redirects=False,
                stream=stream,
            )
        except requests.exceptions.SSLError as error:
            raise StashError(
                f"The certificate of {self.connection.base_url} is not trusted: {_short(error)}",
                "use Stash's address on this machine, or a certificate that is trusted",
            ) from error
        except requests.RequestException as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> StashUnreachable:
        """Which of ours it is: a question that never left, or one whose answer was lost."""
        url = self.connection.base_url
        remedy = "check that Stash runs and that its address is right"
        if _never_sent(error):
            return StashUnreachable(f"Cannot reach Stash at {url}: {_short(error)}", remedy)
        return StashUncertain(f"The connection to Stash at {url} broke: {_short(error)}", remedy)

    def _read(self, response: requests.Response) -> bytes:
        try:
            return b"".join(response.iter_content(256 * 1024))
        except requests.RequestException as error:
            raise self._lost(error) from error

    def _read_file(self, response: requests.Response, path: str) -> bytes:
        """Read what comes, as it comes: whoever sends a byte a minute is not waited for."""
        limits, parts, length = self._limits, [], 0
        end_s = time.monotonic() + limits.file_s
        try:
            while part := response.raw.read1(256 * 1024, decode_content=True):
                parts.append(part)
                length += len(part)
                if length > limits.file_bytes:
                    raise MediaUnreadable(
                        f"{path} on Stash's server is larger than {limits.file_bytes} bytes",
                        "generate the scene's sprites again in Stash",
                    )
                if time.monotonic() > end_s:
                    raise MediaMissing(
                        f"{path} did not come from Stash's server in {limits.file_s:g} seconds",
                        "check the network between Stash and this machine",
                    )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._lost(error) from error
        return b"".join(parts)

    def _check_door(self, response: requests.Response) -> None:
        """Raise unless this is an answer to us, whatever it says."""
        status, url = response.status_code, self.connection.base_url
        page = response.headers.get("Content-Type", "").startswith("text/html")
        target = response.headers.get("Location", "")
        if status in {401, 403} or "/login" in target or (page and status == requests.codes.ok):
            raise StashUnauthorised(
                f"Stash at {url} does not let us in (status {status})",
                "give its API key (Settings > Security); leave it empty where Stash has no login",
            )
        if 300 <= status < 400 and status != requests.codes.not_modified:
            raise StashRefused(
                f"{url} sends us elsewhere (status {status})", "give Stash's final address"
            )
        if status in {429, 502, 503, 504}:
            raise StashUncertain(f"Stash at {url} is busy or away (status {status})")

    # --- Sessions and secrets

    def _session(self) -> requests.Session:
        """The session of this thread."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _new_session(self.connection)
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session

    def _secret(self) -> dict[str, str]:
        """The header that lets us in; none where nothing is known: Stash refuses a made-up key."""
        with self._lock:
            if self._api_key:
                return {"ApiKey": self._api_key}
            return {"Cookie": f"session={self._cookie}"} if self._cookie else {}

    def _change_key(self, refused: Mapping[str, str]) -> bool:
        """Turn from a dead cookie to the key kept for it; False where there is none."""
        with self._lock:
            if "ApiKey" not in refused and not self._api_key:
                self._api_key = self._spare_key
            return bool(self._api_key) and refused.get("ApiKey") != self._api_key

    def _note(self, response: requests.Response) -> None:
        """Keep the cookie that Stash renewed, in place of the old one, and its clock."""
        for line in response.raw.headers.getlist("Set-Cookie"):
            try:
                renewed = SimpleCookie(line).get("session")
            except CookieError:
                continue
            if renewed is not None and renewed.value and self._cookie:
                with self._lock:
                    self._cookie = renewed.value
        try:
            self._server_time = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            self._server_time = None

    # --- Patience

    def _patiently(self, attempt: Callable[[], Answer], repeatable: bool) -> Answer:
        for count in range(self._limits.attempts - 1):
            try:
                return attempt()
            except StashError as error:
                if not _worth_repeating(error, repeatable):
                    raise
                self._sleep(self._limits.first_wait_s * 2**count)
        return attempt()


def _new_session(connection: Connection) -> requests.Session:
    """A session of stashapp-tools that keeps no cookie of its own (the client does)."""
    session: requests.Session = GQLWrapper().s
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if connection.loopback or connection.told_by_stash:
        # Stash makes its certificate itself; and no proxy, netrc or CA file of the environment
        # has a say in a talk that does not leave the machine.
        session.verify = False
        session.trust_env = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return session


# --- Judging errors -----------------------------------------------------------------------------


def _worth_repeating(error: StashError, repeatable: bool) -> bool:
    """Whether a further attempt can help and cannot do a thing twice."""
    if isinstance(error, StashUncertain):
        return repeatable
    if isinstance(error, StashRefused):
        # Stash could not even begin its transaction: nothing was done.
        return any("database is locked" in message for message in error.messages)
    return isinstance(error, StashUnreachable)


def _never_sent(error: Exception) -> bool:
    """Whether no connection came about, so that Stash cannot have seen the question."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _short(error: Exception) -> str:
    """The innermost reason that a library gives."""
    cause: object = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause))[:_SHOWN]


def _refusal(name: str, errors: Any, status: int) -> StashRefused:
    given = errors if isinstance(errors, list) else []
    messages = tuple(str(e.get("message", "")) for e in given if isinstance(e, dict))
    said = "; ".join(messages)[:_SHOWN] or f"status {status}"
    remedy = "try again when no other program writes Stash's database" if "locked" in said else ""
    return StashRefused(f"Stash refused {name}: {said}", remedy, messages)


def _check_file(response: requests.Response, path: str) -> None:
    if response.status_code == requests.codes.not_found:
        raise MediaMissing(f"Stash has no {path}", "run Generate for it in Stash")
    if response.status_code not in {requests.codes.ok, requests.codes.partial_content}:
        raise StashRefused(f"Stash answered {path} with status {response.status_code}")


# --- The question -------------------------------------------------------------------------------


def _name_of(document: str) -> str:
    found = re.match(r"\s*(?:query|mutation)\s+(\w+)", document)
    return found.group(1) if found else "a question"


def _encoded(document: str, variables: Mapping[str, Any]) -> bytes:
    question = {"query": document, "variables": dict(variables)}
    try:
        return json.dumps(question, allow_nan=False).encode()
    except ValueError as error:
        raise StashError(f"{_name_of(document)} holds a number that is not finite") from error


def refuse_empty_filter(variables: Mapping[str, Any]) -> None:
    """Raise StashError where a list of ids or a filter's value is empty.

    Stash takes an empty list for no filter at all, and answers with the whole library.
    """
    for name, value in variables.items():
        if name.endswith("ids") and isinstance(value, list | tuple) and not value:
            raise StashError(f"An empty list {name!r} would mean the whole library: nothing asked")
        if isinstance(value, Mapping):
            _refuse_empty_criterion(name, value)
            refuse_empty_filter(value)


def _refuse_empty_criterion(name: str, criterion: Mapping[str, Any]) -> None:
    modifier = criterion.get("modifier")
    if modifier is None or modifier in _NEEDS_NO_VALUE or criterion.get("excludes"):
        return
    if criterion.get("value") in (None, "", [], ()):
        raise StashError(f"An empty filter {name!r} would mean the whole library: nothing asked")
