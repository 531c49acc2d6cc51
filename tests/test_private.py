"""Tagging, deciding and every operation reach Stash alone, and start no program."""

import contextlib
import os
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import ModelMissing, StashRefused
from stash_sense_plugin.inference.catalogue import Catalogue, ModelCard, UrlFile
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.start import address, environment, private, worker
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.tasks import MODES
from tests.conftest import ROOT
from tests.installed_kit import OPERATION, workers
from tests.plugin_folder import wait_until
from tests.stand_in_client import Client
from tests.sweep_kit import Library, Told, write_clips
from tests.test_tasks_looking import write_weights
from tests.watched_python import Canary, Reached, Watched, canary, tracer, watched
from tools.build_zip import PLUGIN_ID, build

# --- A whole plugin: door, worker and Stash -----------------------------------------------------

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

LISTS = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/1.ts\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile '{url}/1.mp4'\n",
)
"""Files that ask whoever opens them to fetch from elsewhere."""

EVERYTHING = {
    "skip_labels": None,
    "skip_objects": None,
    "skip_text": None,
    "clip_model": "colours",
    "object_model": "own-bodies",
    "frames": 3,
    "text_frames": 1,
    "markers": True,
}
"""Settings with which every native library of ours runs."""


class Private(Library):
    """A library whose Stash has the plugin, run by Pythons that note where they go."""

    home: Home
    pythons: Watched
    canary: Canary
    user: Path
    """The folder of the user that Stash runs as."""

    def operate(self, mode: str, **args: object) -> Any:
        """Ask the plugin something as its pages do."""
        wanted = {"mode": mode, **args}
        data = Client(self.stash).data(OPERATION, id=PLUGIN_ID, args=wanted)
        return data["runPluginOperation"]

    def job(self, mode: str, **args: object) -> None:
        """Start a job, and wait for its end."""
        job_id = self.operate(mode, **args)["job_id"]
        wait_until(
            lambda: self.operate("job", job_id=job_id)["status"] not in {"queued", "running"},
            "the job does not end",
        )
        assert self.operate("job", job_id=job_id)["status"] == "done"


@pytest.fixture
def library(tmp_path: Path, bytecode: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Private]:
    plugin = tmp_path / "plugins" / PLUGIN_ID
    with zipfile.ZipFile(build(ROOT, tmp_path / "dist")) as bundle:
        bundle.extractall(plugin)
    media = tmp_path / "media"
    media.mkdir()
    with contextlib.ExitStack() as open_now:
        bird = open_now.enter_context(canary())
        proxies = dict.fromkeys(PROXIES, f"http://{bird.address}")
        own = {"HOME": str(tmp_path / "user"), "XDG_CACHE_HOME": "", "NO_PROXY": "", "no_proxy": ""}
        (tmp_path / "user").mkdir()
        pythons = watched(tmp_path / "pythons", **proxies, **own)
        monkeypatch.setenv(environment.GIVEN, str(pythons.worker))
        stash = open_now.enter_context(
            StandIn(tmp_path / "stash", media=media, plugins=plugin.parent,
                    python_path=str(pythons.door))
        )  # fmt: skip
        installed = Private(stash, write_clips(tmp_path / "clips"), media, PLUGIN_ID)
        installed.home = Home(os.environ["STASH_SENSE_HOME"])
        installed.pythons, installed.canary, installed.user = pythons, bird, tmp_path / "user"
        write_weights(Path(installed.home.folder))
        Path(installed.home.bytecode).symlink_to(bytecode)
        try:
            yield installed
        finally:
            worker.hand_over(installed.home, str(plugin / "stash_sense_plugin"))
            wait_until(lambda: not workers(installed.home), "the worker is still there")


def ask_for_everything(library: Private) -> set[str]:
    """Use every mode but the one that fetches by name; return which were used."""
    library.configure(**EVERYTHING)
    scenes = [library.add(clip) for clip in ("grey.mp4", "studio.mp4", "damaged.mp4")]
    for text in LISTS:
        scene = library.add("tall.mp4")
        library.paths[scene].write_text(text.format(url=f"http://{library.canary.address}"))
    library.stash.run_task(PLUGIN_ID, "Tag scenes")
    assert "Tagged" in library.tags(scenes[0])
    library.job("tag_scene", scene_id=str(scenes[1]))
    tagged = library.operate("tag_file", path=str(library.paths[scenes[1]]))
    # Nothing was done by less than all that looks.
    assert {each["detector"] for each in tagged["ran"]} >= {"clip", "objects", "picture", "text"}
    assert "NORTHLIGHT STUDIO" in {each["text"] for each in tagged["texts"]}
    check_programs(library)
    assert library.operate("errors")["errors"]
    assert library.operate("result", scene_id=str(scenes[0]))["result"]
    library.operate("models")
    library.operate("verify_models", names=[])
    assert library.operate("vocabulary")["labels"]
    library.operate("check_vocabulary")
    library.operate("similar", scene_id=str(scenes[0]))
    gone = {"mode": "remove_models", "names": ["clip-vit-b32-laion"]}
    library.stash.run_task(PLUGIN_ID, None, gone)
    library.stash.run_task(PLUGIN_ID, "Doctor")
    later = ask_what_follows(library, str(scenes[0]))
    # These two fetch, and have nothing to fetch where nothing wants a model.
    library.configure()
    for task in ("Set up", "Download models"):
        library.stash.run_task(PLUGIN_ID, task)
    return {
        *("tag_scenes", "tag_scene", "tag_file", "errors", "result", "models", "verify_models"),
        *("vocabulary", "check_vocabulary", "similar"),
        *("remove_models", "doctor", "set_up", "download_models"),
        *later,
    }


TASKS_AFTER = (
    "Decide again (preview)",
    "Decide again",
    "Evaluate",
    "Use what Evaluate suggests",
    "Undo last run",
)


def ask_what_follows(library: Private, scene: str) -> set[str]:
    """Use every mode that works on what was looked at before; return which were used."""
    for task in TASKS_AFTER:
        library.stash.run_task(PLUGIN_ID, task)
    library.operate("runs")
    for mode in ("suggestions", "counts", "overview", "evaluation"):
        assert library.operate(mode)
    assert library.operate("scene", scene_id=scene)["suggestions"]
    item = {"scene_id": scene, "kind": "tag", "name": "Black and White"}
    for mode in ("accept", "refuse", "unsay"):
        library.operate(mode, items=[item])
    assert library.operate("pictures", scene_id=scene, times_s=[0.5])["pictures"]
    assert library.operate("verdicts")["verdicts"]
    assert library.operate("store_stats")
    moved = str(Path(library.home.folder) / "moved.jsonl")
    for mode in ("store_vacuum", "store_export", "store_import"):
        library.stash.run_task(PLUGIN_ID, None, {"mode": mode, "path": moved})
    assert Path(moved).stat().st_size
    return {
        *("decide", "evaluate", "undo", "runs", "suggestions", "accept", "refuse", "verdicts"),
        *("store_stats", "store_vacuum", "store_export", "store_import"),
        *("counts", "overview", "evaluation", "scene", "pictures", "unsay"),
    }


def check_programs(library: Private) -> None:
    """Check that doors started workers, and that those, having tagged, started nothing."""
    serving, started = workers(library.home), library.pythons.started()
    assert serving
    assert {each.pid for each in started}, "what is started is not watched"
    assert [each for each in started if each.pid in serving] == []


def check_variables(library: Private) -> None:
    """Check that libraries were told to stay quiet, and that downloads go the user's way."""
    (pid, *_) = workers(library.home)
    variables = psutil.Process(pid).environ()
    assert private.VARIABLES.items() <= variables.items()
    for name in ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "ORT_DISABLE_TELEMETRY"):
        assert variables[name] == "1"
    assert variables["YOLO_AUTOINSTALL"] == "false"
    assert variables["HTTPS_PROXY"] == f"http://{library.canary.address}"


def test_every_mode_reaches_this_stash_and_the_worker_alone(library: Private) -> None:
    assert ask_for_everything(library) == set(MODES) - {"pull_models"}
    check_variables(library)
    assert library.canary.came == []
    # A library that numbers its users or fetches for itself would leave its files here.
    assert list(library.user.rglob("*")) == []
    reached = library.pythons.reached()
    astray = {f"{each.event} {each.where}" for each in reached if not allowed(each, library)}
    assert not astray
    own_socket = repr(address.socket_path(library.home.folder))
    doors = {each.pid for each in reached if each.where == own_socket}
    assert doors, "the doors are not watched"
    assert {each.pid for each in reached} - doors, "the worker is not watched"
    if tracer() is None:
        pytest.skip("what native libraries do was not watched: strace cannot trace here")
    traced = library.pythons.traced()
    assert any("AF_INET" in line for line in traced), "nothing is traced"
    assert [line for line in traced if not allowed_call(line, library)] == []


def allowed(reached: Reached, library: Private) -> bool:
    """Say whether a way out leads to the stand-in or to the worker's own socket."""
    port = library.stash.connection["Port"]
    if reached.event == "socket.connect":
        own_socket = address.socket_path(library.home.folder)
        return reached.where in {repr(("127.0.0.1", port)), repr(own_socket)}
    return reached.event == "socket.getaddrinfo" and reached.where == f"'127.0.0.1', {port}"


def allowed_call(line: str, library: Private) -> bool:
    """Say the same of a system call; what goes over an open connection names no address."""
    port = library.stash.connection["Port"]
    if "AF_INET" in line:
        return f'htons({port}), sin_addr=inet_addr("127.0.0.1")' in line
    if "AF_UNIX" in line:
        # Before it looks a user up, the C library asks whether a cache of names runs here.
        here = (address.socket_path(library.home.folder), "/var/run/nscd/socket")
        return any(path in line for path in here)
    return "sa_family" not in line


# --- Where Stash or the environment would send us -----------------------------------------------


class Answer(BaseHTTPRequestHandler):
    """Sends whoever asks to `elsewhere`, or answers well where that is empty."""

    elsewhere: ClassVar[str] = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = b'{"data": {"ok": true}}'
        self.send_response(302 if self.elsewhere else 200)
        if self.elsewhere:
            self.send_header("Location", self.elsewhere)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def server(elsewhere: str = "", host: str = "127.0.0.1") -> Iterator[int]:
    """Serve on a port of this machine, and yield it."""
    handler = type("Handler", (Answer,), {"elsewhere": elsewhere})
    with ThreadingHTTPServer((host, 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield serving.server_port
        finally:
            serving.shutdown()
            thread.join()


@pytest.mark.parametrize("secret", [{"api_key": "k-e-y"}, {"cookie": "c-o-o-k-i-e"}, {}])
def test_a_stash_that_sends_us_elsewhere_gets_no_key_there(secret: dict[str, str]) -> None:
    with canary() as bird, server(f"http://{bird.address}/graphql") as port:
        connection = Connection.from_url(f"http://127.0.0.1:{port}", **secret)
        with StashClient(connection, limits=Limits(attempts=1)) as client:
            with pytest.raises(StashRefused, match="sends us elsewhere"):
                client.call("query Name { version { hash } }")
            with pytest.raises(StashRefused, match="sends us elsewhere"):
                client.get("/scene/1_sprite.jpg")
            with pytest.raises(StashRefused, match="sends us elsewhere"):
                client.size("/scene/1_sprite.jpg")
        assert bird.came == []


def own_address() -> str:
    """Return an address of this machine that others know too; nothing is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but 127.0.0.1")
        address: str = asked.getsockname()[0]
    return address


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "own"])
def test_no_proxy_stands_between_us_and_the_stash_that_started_us(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = own_address() if host == "own" else host
    with canary() as bird, server(host="0.0.0.0") as port:
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://{bird.address}")
        monkeypatch.setenv("NO_PROXY", "")
        told = {"Scheme": "http", "Host": host, "Port": port, "SessionCookie": {"Value": "c"}}
        with StashClient(Connection.from_plugin(told), limits=Limits(attempts=1)) as client:
            assert client.call("query Name { version { hash } }") == {"ok": True}
        assert bird.came == []


def test_a_download_goes_through_the_users_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = UrlFile(url="http://localhost:9/net.onnx")
    card = ModelCard(
        name="net", task="objects", about="", licence="", commercial=True, words="things",
        files={"network": file},
    )  # fmt: skip
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with canary() as bird:
        monkeypatch.setenv("http_proxy", f"http://{bird.address}")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NO_PROXY", "")
        models = Models(tmp_path / "models", Catalogue({"net": card}), pause_s=0.0)
        with pytest.raises(ModelMissing):
            models.pull(card, Told())
    assert all(each.startswith(b"GET http://localhost:9/net.onnx ") for each in bird.came)
    assert bird.came
    assert not any(b"authorization" in each.lower() for each in bird.came)
