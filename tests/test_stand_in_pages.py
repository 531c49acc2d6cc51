"""The stand-in's pages: what is served where, and what the clips that they are tried on show."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from demo.clips import Clip
from demo.clips_for import HOSTILE, page_library
from demo.stash import StandIn
from stash_sense_plugin.detectors.picture import PictureDetector
from stash_sense_plugin.records import Frame, FrameSource
from tests.stand_in_client import Client

ROOT = Path(__file__).resolve().parent.parent
PAGE = '<!doctype html><base href="/" /><script src="./assets/page.js"></script>'
FACTS = {
    "picture/vertical": "Vertical",
    "picture/black-and-white": "Black and White",
    "picture/dark": "Dark",
    "picture/letterboxed": "Letterboxed",
    "picture/still": "Still Picture",
}
PLUGIN = """name: Pages
ui:
  csp:
    connect-src: [https://example.com]
  javascript: [page.js, https://cdn.example.com/lib.js]
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A stand-in with built pages, and with a plugin that may fetch from elsewhere."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(PAGE)
    (dist / "assets" / "page.js").write_text("let page;")
    (tmp_path / "secret.txt").write_text("not yours")
    plugin = tmp_path / "stash" / "plugins" / "pages"
    plugin.mkdir(parents=True)
    (plugin / "pages.yml").write_text(PLUGIN)
    with StandIn(tmp_path / "stash", page=dist) as stash:
        yield Client(stash)


@pytest.mark.parametrize("address", ["/", "/scenes", "/scenes/1", "/plugins/stash-sense/dashboard"])
def test_every_address_of_a_page_shows_the_pages(client: Client, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.text == PAGE


def test_pages_below_a_folder_of_a_proxy_find_their_files_there(client: Client) -> None:
    answer = client.get("/scenes", **{"X-Forwarded-Prefix": "/stash"})
    assert '<base href="/stash/"' in answer.text


def test_files_of_the_pages_are_kept_by_the_browser(client: Client) -> None:
    answer = client.get("/assets/page.js")
    assert answer.text == "let page;"
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "address", ["/assets/other.js", "/favicon.ico", "/%2e%2e/secret.txt", "/assets/..%2f../x.js"]
)
def test_nothing_else_is_served(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def test_a_page_may_fetch_from_stash_and_from_where_plugins_say(client: Client) -> None:
    headers = client.get("/scenes").headers
    rules = dict(
        rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";")[:-1]
    )
    assert rules["img-src"] == "data: *"
    assert rules["connect-src"] == "data: 'self' ws: wss: https://example.com"
    assert rules["script-src"].endswith("'unsafe-eval' https://cdn.example.com/lib.js")
    assert rules["child-src"] == "'none'"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_plugin_that_is_switched_off_adds_nothing_to_the_rules(client: Client) -> None:
    client.data("mutation { setPluginsEnabled(enabledMap: {pages: false}) }")
    assert "example.com" not in client.get("/scenes").headers["Content-Security-Policy"]


def test_without_built_pages_one_sentence_says_so(tmp_path: Path) -> None:
    with StandIn(tmp_path / "stash") as stash:
        assert "has no pages" in Client(stash).get("/plugins/stash-sense").text


def test_the_clips_have_names_of_their_own_and_some_that_are_hostile() -> None:
    names = [clip.name for clip in page_library()]
    assert len(names) == len(set(names)) > 60
    assert set(HOSTILE) < set(names)


def test_the_pictures_of_the_small_clips_show_what_their_names_say() -> None:
    small = [clip for clip in page_library() if "-still" in clip.name or "-boxed" in clip.name]
    shown = small[::5]
    for clip in shown:
        seen = {
            FACTS[one.label] for one in PictureDetector().detect(frames(clip)) if one.score > 0.6
        }
        assert {each.name for each in clip.expected} <= seen, clip.name
    assert {each.name for clip in shown for each in clip.expected} == set(FACTS.values())


def frames(clip: Clip) -> list[Frame]:
    """Three pictures of a clip, a second apart."""
    return [
        Frame(
            scene_key=clip.name,
            index=number,
            time_s=float(number),
            pixels=np.asarray(clip.paint(float(number)), dtype=np.uint8),
            source=FrameSource.VIDEO,
        )
        for number in range(3)
    ]


def test_serving_without_built_pages_says_what_to_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.serve", "--page", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "npm run page" in ended.stderr
