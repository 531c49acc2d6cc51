"""The door: what Stash starts for each task, hook and operation, and the command line's way in.

With a worker that answers it is a pipe and nothing more, so it imports next to nothing itself.
Whatever happens, exactly one JSON object goes to stdout.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKAGE = os.path.dirname(os.path.abspath(__file__))

USAGE = """Stash starts this file by itself, with a JSON document on its input.
On the command line: python -m stash_sense_plugin --help
"""


def main() -> int:
    """Serve Stash, or a person who gave arguments."""
    # Stash's own run puts the package itself first, where `errors` and others would be shadowed;
    # and it puts it there by its real path, whatever links lead to Stash's folder.
    if sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(PACKAGE):
        sys.path[0] = os.path.dirname(PACKAGE)
    os.umask(0o077)
    # The plugin's folder is Stash's to update and remove: no bytecode goes there.
    sys.dont_write_bytecode = True
    if len(sys.argv) > 1:
        return _command_line(sys.argv[1:])
    if os.isatty(0):
        os.write(2, USAGE.encode())
        return 2
    _print(_answer())
    return 0


def _answer() -> bytes:
    try:
        raw = _read()
        try:
            document = _parse(raw)
        except (ValueError, RecursionError):
            document = None
        from stash_sense_plugin.start import door

        return door.answer(document, raw, PACKAGE)
    except BaseException as error:  # noqa: BLE001, RUF100 - the reply must come whatever happens
        if _torn(error):
            return _error(_incomplete(error))
        return _error("{}: {}".format(type(error).__name__, error))


def _torn(error: BaseException) -> bool:
    """Tell whether a file of ours is missing or cut: an update takes all away and unpacks anew."""
    if isinstance(error, ImportError):
        return (error.name or "").startswith("stash_sense_plugin")
    missing = str(getattr(error, "filename", None))
    # The lists of what is needed lie beside the package.
    return missing.startswith(PACKAGE) or os.path.dirname(missing) == os.path.dirname(PACKAGE)


def _incomplete(error: BaseException) -> str:
    """Say what that means for whoever pressed a button."""
    return (
        "Stash Sense is being updated, or its folder {} is not whole ({}): try again in a moment;"
        " if that stays, install it anew in Stash's settings, under Plugins"
    ).format(PACKAGE, error)


def _read() -> bytes:
    parts = [os.read(0, 65536)]
    while parts[-1]:
        parts.append(os.read(0, 65536))
    return b"".join(parts)


class _Context:
    """What the scanner of the json module asks for, without that module."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: "dict[str, str]" = {}  # noqa: RUF012 - 3.8 without typing


def _parse(raw: bytes) -> object:
    text = raw.decode("utf-8").strip()
    try:
        from _json import make_scanner

        context: "Any" = _Context
        value, end = make_scanner(context)(text, 0)
        if end == len(text):
            return value
    except (ImportError, SystemError, TypeError, AttributeError, ValueError, StopIteration):
        pass  # Without json loaded, some versions cannot say what is wrong; json itself can.
    import json

    return json.loads(text)


def _error(text: str) -> bytes:
    import json

    return json.dumps({"error": text}).encode()


def _print(reply: bytes) -> None:
    view = memoryview(reply + b"\n")
    try:
        while view:
            view = view[os.write(1, view) :]
    except OSError:
        pass  # Nobody reads any more: Stash has gone or gave the call up.


def _command_line(arguments: "list[str]") -> int:
    try:
        from stash_sense_plugin.cli.main import main as run
    except ImportError as error:
        from stash_sense_plugin.start import environment

        os.write(2, environment.other_python(PACKAGE, error).encode())
        return 1
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
