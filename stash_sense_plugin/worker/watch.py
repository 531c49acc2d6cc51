"""When the worker leaves: some time after Stash has gone, or when nobody needs it."""

import contextlib
import http.client
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}
"""Addresses that a server listens on, and the one to reach it by."""

PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Stash:
    """Where a Stash answers."""

    scheme: str
    host: str
    port: int


def stash_of(server: Mapping[str, object]) -> Stash | None:
    """Return where the Stash of a `server_connection` answers; None when it does not say."""
    scheme, host, port = server.get("Scheme"), server.get("Host"), server.get("Port")
    if not isinstance(port, int) or isinstance(port, bool):
        return None
    name = host if isinstance(host, str) else ""
    return Stash("https" if scheme == "https" else "http", EVERYWHERE.get(name, name), port)


def answers(stash: Stash) -> bool:
    """Tell whether a Stash answers at all; what it answers does not matter."""
    try:
        with contextlib.closing(_connection(stash)) as connection:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
    # A host that is none, such as "..", is a UnicodeError.
    except (OSError, http.client.HTTPException, UnicodeError):
        return False
    return True


def _connection(stash: Stash) -> http.client.HTTPConnection:
    if stash.scheme == "http":
        return http.client.HTTPConnection(stash.host, stash.port, timeout=PATIENCE_S)
    # Nothing is told or believed here, and Stash's own certificate is often self-signed.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(stash.host, stash.port, timeout=PATIENCE_S, context=context)


class Watch:
    """Looks after Stash and the clock, and says when it is time to go."""

    def __init__(
        self,
        gone_after_s: float = 60.0,
        every_s: float = 10.0,
        answers: Callable[[Stash], bool] = answers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every_s = every_s
        self._gone_after_s = gone_after_s
        self._answers = answers
        self._clock = clock
        self._stash: Stash | None = None
        self._silent_s = 0.0
        self._looked_at = clock()
        self._failed = False

    def saw(self, server: Mapping[str, object]) -> None:
        """Take note of the Stash that a call came from: it is the one to look after."""
        self._stash = stash_of(server) or self._stash
        self._silent_s, self._looked_at = 0.0, self._clock()

    def look(self) -> None:
        """Ask Stash for a sign of life; this may take some seconds."""
        if self._asked():
            self._silent_s, self._looked_at = 0.0, self._clock()
            return
        # After hours of a machine's sleep one look says little: Stash too is just waking up.
        now = self._clock()
        most_s = min(self.every_s + PATIENCE_S, self._gone_after_s / 2)
        self._silent_s += min(max(0.0, now - self._looked_at), most_s)
        self._looked_at = now

    def _asked(self) -> bool:
        try:
            return self._stash is not None and self._answers(self._stash)
        except Exception:  # the watch must go on, or the worker would never leave
            if not self._failed:
                logger.exception("Cannot ask whether Stash is there")
            self._failed = True
            return False

    def reason_to_leave(self, *, idle_s: float, limit_s: float, needed: bool) -> str | None:
        """Return why it is time to go, or None.

        `idle_s` is how long nothing was asked, `limit_s` how long that may be; `needed` holds
        while something runs that needs no Stash.
        """
        if idle_s > limit_s:
            return f"nothing was asked for {limit_s / 60:g} minutes"
        if self._stash is not None and self._silent_s > self._gone_after_s and not needed:
            return "Stash has gone"
        return None
