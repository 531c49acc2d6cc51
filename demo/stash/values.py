"""Values as Go writes and reads them: JSON, times, numbers."""

import json
import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def go_json(value: object) -> bytes:
    """JSON text as Go's encoder writes it: 1.0 is 1, and <, > and & are escaped."""
    text = json.dumps(_go_value(value), ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPED).encode()


def _go_value(value: Any) -> Any:
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e21
        return int(Decimal(repr(value))) if whole else value
    if isinstance(value, dict):
        return {_text(key): _go_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_go_value(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def go_loads(text: str) -> Any:
    """Decode as Go does into `any`: every number is a float, NaN is no JSON.

    Raises ValueError when the text is not exactly one document.
    """
    return json.loads(text, parse_int=float, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Clock:
    """The clock that rows are written by; as on any machine, somebody may set it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        """How far it is set on, or back where that is negative."""

    def time_s(self) -> float:
        """What it shows."""
        return time.time() + self.ahead_s


CLOCK = Clock()
"""The one of this process, which stands for the machine that Stash runs on."""


def now() -> str:
    """The time of a row: whole seconds, UTC."""
    return stamp(CLOCK.time_s())


def stamp(seconds: float) -> str:
    """Seconds since 1970 as a row's time."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_exactly() -> str:
    """The time of a job or a log line: nanoseconds without trailing zeros, UTC."""
    whole, fraction = divmod(time.time_ns(), 1_000_000_000)
    digits = f"{fraction:09d}".rstrip("0")
    return stamp(whole)[:-1] + (f".{digits}" if digits else "") + "Z"


def as_stamp(text: str) -> str:
    """A time that a client wrote as a row's time, so that texts compare as times do.

    Raises ValueError when it is no time.
    """
    moment = datetime.fromisoformat(text)
    return stamp(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


def whole_number(text: object) -> int:
    """An id as Go reads it. Raises ValueError with Go's words."""
    if re.fullmatch(r"[+-]?\d+", str(text)) is None:
        quoted = json.dumps(str(text), ensure_ascii=False)
        raise ValueError(f"strconv.Atoi: parsing {quoted}: invalid syntax")
    return int(str(text))


def go_type(value: object) -> str:
    """What Go calls the type of a decoded JSON value."""
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, dict):
        return "map[string]interface {}"
    names = {bool: "bool", str: "string", type(None): "<nil>"}
    return names.get(type(value), "json.Number")
