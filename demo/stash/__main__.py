"""The stand-in Stash on its own: python -m demo.stash --folder DIR --media DIR --port N."""

import argparse
import signal
import threading
from pathlib import Path

from demo.stash.settings import SESSION_AGE_S
from demo.stash.stand_in import StandIn


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m demo.stash", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="database and generated files")
    parser.add_argument("--media", type=Path, action="append", default=[], help="a library folder")
    parser.add_argument("--plugins", type=Path, help="folder of plugins (FOLDER/plugins)")
    parser.add_argument("--page", type=Path, help="folder of the built pages (ui/page/dist)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9999, help="0 takes a free one")
    parser.add_argument("--credentials", help="user:password")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--session-age", type=int, default=SESSION_AGE_S, help="seconds")
    parser.add_argument("--python-path", default="", help="Stash's setting pythonPath")
    parser.add_argument("--scan", action="store_true", help="scan at once, with sprites and covers")
    return parser.parse_args()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    given = options()
    user, _, password = (given.credentials or "").partition(":")
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with StandIn(
        given.folder,
        media=given.media,
        plugins=given.plugins,
        page=given.page,
        credentials=(user, password) if user else None,
        api_key=given.api_key,
        max_session_age_s=given.session_age,
        python_path=given.python_path,
        host=given.host,
        port=given.port,
    ) as stash:
        if given.scan:
            stash.scan(covers=True, sprites=True)
        print(stash.url, flush=True)
        over.wait()


main()
