"""Session cookies: signed, with an age, and with the hooks that led to the call."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

COOKIE = "session"

Visits = tuple[tuple[str, str], ...]
"""Plugin and hook, once for each visit on the way to a call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and through which hooks."""

    user: str = ""
    visited: Visits = ()

    def through(self, plugin: str, hook: str) -> "Caller":
        """The same caller, one hook further."""
        return Caller(self.user, (*self.visited, (plugin, hook)))


class Sessions:
    """Makes and reads cookies."""

    def __init__(self, key: str, max_age_s: int, clock: Callable[[], float] = time.time) -> None:
        self._key = bytes.fromhex(key)
        self._clock = clock
        self.max_age_s = max_age_s

    def token(self, caller: Caller) -> str:
        """A fresh cookie's value."""
        values = [caller.user, self._clock(), caller.visited]
        text = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        return f"{text}.{self._signature(text)}"

    def read(self, token: str) -> Caller | None:
        """Who a cookie's value stands for; None if it is forged or too old."""
        text, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        user, made, visited = json.loads(base64.urlsafe_b64decode(text))
        if self._clock() - made > self.max_age_s:
            return None
        return Caller(user, tuple((plugin, hook) for plugin, hook in visited))

    def header(self, caller: Caller) -> str:
        """The Set-Cookie line that refreshes a session."""
        ends = formatdate(self._clock() + self.max_age_s, usegmt=True)
        return (
            f"{COOKIE}={self.token(caller)}; Path=/; Expires={ends}; "
            f"Max-Age={self.max_age_s}; SameSite=Lax"
        )

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
