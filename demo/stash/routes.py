"""What is fetched by address: pictures, sprites, streams, and plugins' files."""

import html
import mimetypes
import re
from pathlib import Path
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from demo.stash.belongings import files_of
from demo.stash.database import Record
from demo.stash.finding import read_id
from demo.stash.plugin_files import Plugin
from demo.stash.sprites import sprite_files
from demo.stash.state import State
from demo.stash.things import Thing, thing_by_id

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
NO_CACHE = {"Cache-Control": "no-cache"}
PLACEHOLDER = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 9">
<rect width="16" height="9" fill="#202b33"/><path d="M6 2.5v4l4-2z" fill="#8a9ba8"/></svg>"""
BY_ID = {"sprite": "sprite.jpg", "thumbs": "thumbs.vtt"}
PICTURED = ("tag", "studio", "performer")
PAGE_NOT_FOUND = "404 page not found\n"


def _state(request: Request) -> State:
    state: State = request.app.state.stash
    return state


def _is_head(request: Request) -> bool:
    return request.method == "HEAD"


def _refused_head(status: int = 405) -> Response:
    return Response(status_code=status)


def health(_: Request) -> Response:
    return Response(".", headers={"Content-Type": "text/plain"})


def absent(_: Request) -> Response:
    """What the stand-in never generates: previews, funscripts, captions."""
    return PlainTextResponse(PAGE_NOT_FOUND, 404)


def _not_found() -> Response:
    return PlainTextResponse("Not Found\n", 404)


def _scene(request: Request) -> Thing | None:
    number = read_id(request.path_params["scene"])
    return thing_by_id(_state(request).database, "scene", number)


def _primary(request: Request, scene: Thing) -> Record | None:
    files = files_of(_state(request).database, "scenes_files", "scene_id", scene.id)
    return files[0].values if files else None


def screenshot(request: Request) -> Response:
    if _is_head(request):
        return _refused_head()
    scene = _scene(request)
    if scene is None:
        return _not_found()
    return _picture(request, scene)


def picture(request: Request) -> Response:
    """The picture of a tag, studio or performer."""
    number, kind = read_id(request.path_params["number"]), request.path_params["kind"]
    if kind not in PICTURED:
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    thing = thing_by_id(_state(request).database, kind, number)
    return _not_found() if thing is None else _picture(request, thing)


def _picture(request: Request, thing: Thing) -> Response:
    sql = "SELECT type, data FROM pictures WHERE kind = ? AND id = ?"
    found = _state(request).database.row(sql, thing.kind, thing.id)
    data, kind = (found["data"], found["type"]) if found else (PLACEHOLDER, "image/svg+xml")
    cached = FOREVER if "t" in request.query_params else NO_CACHE
    return _part(request, data, {**cached, "Content-Type": kind})


def _part(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """The whole, or the one range that is asked for."""
    headers["Accept-Ranges"] = "bytes"
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None:
        return Response(data, headers=headers)
    start, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
    if start > last:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {start}-{last}/{len(data)}"
    return Response(data[start : last + 1], 206, headers)


def stream(request: Request) -> Response:
    if _is_head(request):
        return _refused_head()
    scene = _scene(request)
    file = scene and _primary(request, scene)
    if not file or not Path(file["path"]).is_file():
        return _not_found()
    kind = mimetypes.guess_type(file["path"])[0] or "video/mp4"
    return FileResponse(file["path"], media_type=kind)


def image(request: Request) -> Response:
    number = read_id(request.path_params["number"])
    files = files_of(_state(request).database, "images_files", "image_id", number)
    if not files or not Path(files[0].values["path"]).is_file():
        return _not_found()
    return FileResponse(files[0].values["path"], headers=NO_CACHE)


def sprite_by_hash(request: Request) -> Response:
    if _is_head(request):
        return _refused_head(400)
    named = re.fullmatch(r"(\w*)_(sprite\.jpg|thumbs\.vtt)", request.path_params["name"])
    if named is None:
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    return _sprite(request, named[1], named[2])


def sprite_by_id(request: Request) -> Response:
    if _is_head(request):
        return _refused_head()
    scene = _scene(request)
    if scene is None:
        return _not_found()
    file = _primary(request, scene)
    what = BY_ID.get(request.path_params["what"])
    if not file or what is None:
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    sql = "SELECT value FROM fingerprints WHERE file_id = ? AND type = 'oshash'"
    hash_ = _state(request).database.value(sql, file["id"])
    return _sprite(request, hash_, what)


def _sprite(request: Request, hash_: str, what: str) -> Response:
    files = sprite_files(_state(request).settings.generated, hash_)
    path = files.sheet if what == "sprite.jpg" else files.vtt
    if not path.is_file():
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    kind = "image/jpeg" if what == "sprite.jpg" else "text/vtt"
    return FileResponse(path, media_type=kind, headers=NO_CACHE)


def _plugin(request: Request) -> Plugin | Response:
    """The plugin of an address, or why its files are not served."""
    if _is_head(request):
        return _refused_head()
    plugin = _state(request).plugins.find(request.path_params["plugin"])
    if plugin is None:
        return _not_found()
    if _state(request).plugins.is_disabled(plugin.id):
        return PlainTextResponse("Bad Request\n", 400)
    return plugin


def bundle(request: Request) -> Response:
    """All scripts of a plugin as one, or all styles, read anew."""
    plugin = _plugin(request)
    if isinstance(plugin, Response):
        return plugin
    what = request.path_params["what"]
    if what not in ("javascript", "css"):
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    names = plugin.file.ui.javascript if what == "javascript" else plugin.file.ui.css
    own = [name for name in names if not name.startswith(("http://", "https://"))]
    try:
        texts = [(plugin.folder / name).read_text(encoding="utf-8") for name in own]
    except OSError as error:
        return PlainTextResponse(f"{error}\n", 500)
    kind = "text/javascript" if what == "javascript" else "text/css"
    return Response("\n".join(texts), headers={**NO_CACHE, "Content-Type": kind})


def asset(request: Request) -> Response:
    """A file, or the list of files, of a folder that the plugin has opened."""
    plugin = _plugin(request)
    if isinstance(plugin, Response):
        return plugin
    asked = "/" + unquote(request.path_params["path"])
    path = _mapped(plugin, asked)
    if path is None or not path.exists():
        return PlainTextResponse(PAGE_NOT_FOUND, 404)
    return _listing(path) if path.is_dir() else FileResponse(path, media_type=_type_of(path))


def _type_of(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return "text/javascript" if kind.endswith("/javascript") else kind


def _mapped(plugin: Plugin, asked: str) -> Path | None:
    """The file behind an address; nothing outside the plugin's folder, however it is written."""
    if ".." in asked.split("/"):
        return None
    assets = plugin.file.ui.assets or {}
    for prefix in sorted(assets, key=len, reverse=True):
        if asked.startswith(prefix):
            path = (plugin.folder / assets[prefix] / asked[len(prefix) :].lstrip("/")).resolve()
            return path if path.is_relative_to(plugin.folder.resolve()) else None
    return None


def _listing(folder: Path) -> Response:
    names = [path.name + "/" * path.is_dir() for path in sorted(folder.iterdir())]
    lines = [f'<a href="{quote(name)}">{html.escape(name)}</a>' for name in names]
    return HTMLResponse("<pre>\n" + "\n".join(lines) + "\n</pre>\n")
