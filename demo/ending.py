"""How a library that is served ends: when it is told to, whatever it is at by then."""

import _thread
import os
import signal
import sys
import threading
import time
from typing import NoReturn

ENDS = (signal.SIGTERM, signal.SIGINT)


def hear(*, input_too: bool) -> None:
    """Raise SystemExit at SIGTERM and SIGINT, and with `input_too` at the end of the input.

    For the main thread. Afterwards it is told no more: what was begun is put away meanwhile.
    """
    for number in ENDS:
        signal.signal(number, _end)
    if input_too:
        main_thread = threading.get_ident()
        threading.Thread(target=_wait_for_end, args=(main_thread,), daemon=True).start()


def serve_on(url: str) -> NoReturn:
    """Print the address as one line, and do nothing until the end is heard."""
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    while True:
        time.sleep(60)


def _end(*_: object) -> NoReturn:
    for number in ENDS:
        signal.signal(number, lambda *_: None)
    raise SystemExit


def _wait_for_end(main_thread: int) -> None:
    # Not of sys.stdin, whose lock Python asks for when it ends.
    while os.read(0, 65536):
        pass
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(main_thread, signal.SIGTERM)
