"""The pages in the browser: the ones that are built in ui/page, at every address of Stash's own."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from demo.stash.plugin_files import Plugin
from demo.stash.state import State

PLAIN = "<!doctype html><title>Stash</title><p>A stand-in for Stash: it has no pages.</p>"
BASE = '<base href="/"'
SCRIPT_HOSTS = ("http://www.gstatic.com", "https://www.gstatic.com")
FOREVER = "public, max-age=31536000, immutable"


def page(request: Request) -> Response:
    """Answer any address that nothing else answers, as Stash shows its pages there."""
    state = _state(request)
    extension = _extension(request.url.path)
    is_page = extension in ("", ".html")
    headers = _security(state.plugins.enabled()) if is_page else {}
    if extension == "" or request.url.path in ("/", "/index.html"):
        prefix = request.headers.get("x-forwarded-prefix", "").rstrip("/")
        headers["Content-Type"] = "text/html"
        return Response(_index(state.settings.page, prefix), headers=headers)
    return _file(state.settings.page, request.url.path, headers)


def _state(request: Request) -> State:
    state: State = request.app.state.stash
    return state


def _index(folder: Path | None, prefix: str) -> str:
    if folder is None:
        return PLAIN
    text = (folder / "index.html").read_text(encoding="utf-8")
    return text.replace(BASE, f'<base href="{prefix}/"', 1)


def _file(folder: Path | None, address: str, headers: dict[str, str]) -> Response:
    """A file of the pages; nothing outside their folder."""
    path = folder and (folder / unquote(address).lstrip("/")).resolve()
    if not folder or not path or not path.is_relative_to(folder.resolve()) or not path.is_file():
        return PlainTextResponse("404 page not found\n", 404)
    headers["Cache-Control"] = FOREVER if address.startswith("/assets/") else "no-cache"
    return FileResponse(path, headers=headers)


def _extension(address: str) -> str:
    """What follows the last dot of the last part, with it, as Go reads it."""
    name = address.rsplit("/", 1)[-1]
    return name[name.rindex(".") :] if "." in name else ""


def _security(plugins: Iterable[Plugin]) -> dict[str, str]:
    """What a page may fetch and run: Stash's own rule, and what enabled plugins add to it."""
    interfaces = [plugin.file.ui for plugin in plugins]
    asked = [interface.csp or {} for interface in interfaces]

    def added(name: str) -> Iterable[str]:
        return chain.from_iterable(each.get(name, ()) for each in asked)

    scripts = [one for interface in interfaces for one in interface.javascript if _is_url(one)]
    styles = [one for interface in interfaces for one in interface.css if _is_url(one)]
    rules = {
        "default-src": ["data:", "'self'", "'unsafe-inline'"],
        "connect-src": ["data:", "'self'", "ws:", "wss:", *added("connect-src")],
        "img-src": ["data:", "*"],
        "script-src": [
            "'self'",
            *SCRIPT_HOSTS,
            "'unsafe-inline'",
            "'unsafe-eval'",
            *scripts,
            *added("script-src"),
        ],
        "style-src": ["'self'", "'unsafe-inline'", *styles, *added("style-src")],
        "media-src": ["blob:", "'self'"],
        "worker-src": ["blob:"],
        "child-src": ["'none'"],
        "object-src": ["'none'"],
        "form-action": ["'self'"],
    }
    policy = " ".join(f"{name} {' '.join(allowed)};" for name, allowed in rules.items())
    return {"Referrer-Policy": "same-origin", "Content-Security-Policy": policy}


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))
