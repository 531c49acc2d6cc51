"""What the door does once it knows what Stash wants; everything cold is imported late."""

import os
import sys

from stash_sense_plugin.start import address, request, wire

NEVER_WARM = ("set_up", "set_up_extras")
"""Modes that look at the environment themselves before the worker is asked."""


def answer(document: object, raw: bytes, package: str) -> bytes:
    """Return the reply to one request: the worker's, or why there is none."""
    wanted = request.read(document, raw, package)
    if isinstance(wanted, str):
        return request.error_reply(wanted)
    came = None if wanted.mode in NEVER_WARM else _warm(wanted)
    if came is not None and came.status == wire.OK and came.reply is not None:
        return came.reply
    _keep_bytecode(wanted)
    from stash_sense_plugin.start import cold

    return cold.answer(wanted, came)


def _warm(wanted: request.Request) -> "wire.Answer | None":
    """Ask the worker that answers at the usual place; None where there is none."""
    connection = wire.knock(wanted.home)
    if connection is None:
        return None
    try:
        # An update may have taken the package away: then nothing warm is of use.
        stamp = address.stamp(wanted.package)
        sent = wire.request("POST", "/v1/call", wanted.raw, stamp)
        return wire.ask(connection, sent, request.show)
    except OSError:
        return None
    finally:
        connection.close()


def _keep_bytecode(wanted: request.Request) -> None:
    """Let what is imported from here on be compiled once, in the home if there is one."""
    from stash_sense_plugin.start import bytecode

    folder = os.path.join(wanted.home, "pycache")
    if not os.path.isdir(folder):
        return
    try:
        stamp = address.stamp(wanted.package)
    except OSError:
        return  # It is being replaced.
    if bytecode.renew(folder, wanted.package, stamp):
        sys.pycache_prefix = folder
        sys.dont_write_bytecode = False
