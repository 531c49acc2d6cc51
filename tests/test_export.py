"""Making networks: what is refused before, what is not believed after, and how it ends."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing
from stash_sense_plugin.inference import export as exporting
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.errand import ROOT, Errand, run, variables
from stash_sense_plugin.inference.session import open_network
from stash_sense_plugin.start import machine
from tests.export_kit import Maker, Told, models_of, weights_row
from tests.small_networks import doubling

posix = pytest.mark.skipif(sys.platform == "win32", reason="scripts with #! and signals")
pytestmark = posix


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"numbers")
    return path


@pytest.fixture
def models(tmp_path: Path, weights: Path) -> Models:
    return models_of(tmp_path, files=weights_row(weights, network="net.onnx"))


def card(models: Models) -> Any:
    return models.catalogue.card("net")


def make(models: Models, maker: Maker, told: Told | None = None, **more: Any) -> None:
    more = {"half": False, **more}
    exporting.export(models, card(models), told or Told(), str(maker.python), **more)


def nothing_left(models: Models) -> bool:
    return not list(models.folder.glob(".making-*")) and not list(models.folder.rglob("*.onnx"))


def place_of(models: Models, role: str) -> Path:
    """Return where a file that is not here yet will lie."""
    with pytest.raises(ModelMissing) as caught:
        models.path(card(models), role)
    return Path(caught.value.message.split(" needs ")[1].split(" (")[0])


def gone(pid: int) -> bool:
    """Wait for the end of a process that is none of ours; a zombie has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


# --- What goes well -------------------------------------------------------------------------


def test_what_answers_as_torch_did_is_adopted(tmp_path: Path, models: Models) -> None:
    maker, told = Maker(tmp_path, "tell(progress=0.5); make(); tell(done=True)"), Told()
    make(models, maker, told)
    network = open_network(models.path(card(models), "network"))
    assert network.run({"x": np.ones((2, 4), np.float32)})[0].tolist() == [[2.0] * 4] * 2
    assert models.unmade(card(models)) == ()
    assert told.fractions == sorted(told.fractions)
    assert told.fractions[-1] == 1.0
    assert not list(models.folder.glob(".making-*"))


def test_what_is_there_is_not_made_again_and_needs_no_extras(
    tmp_path: Path, models: Models
) -> None:
    maker = Maker(tmp_path)
    make(models, maker)
    maker.ran.unlink()
    exporting.export(models, card(models), Told(), "")
    assert not maker.ran.exists()


def test_the_order_names_weights_library_and_arguments(tmp_path: Path, weights: Path) -> None:
    models = models_of(
        tmp_path,
        files=weights_row(weights, network="net.onnx"),
        export={"by": "timm", "model": "a", "opset": 19, "arguments": {"num_classes": 0}},
    )
    maker = Maker(tmp_path)
    make(models, maker)
    order = json.loads(maker.ordered.read_text())
    assert (order["by"], order["model"], order["opset"]) == ("timm", "a", 19)
    assert order["arguments"] == {"num_classes": 0}
    assert order["weights"] == str(weights)
    assert order["roles"] == {"network": "network.onnx"}
    assert order["parent"] == os.getpid()


def test_a_variant_of_half_precision_lies_beside_it(tmp_path: Path, models: Models) -> None:
    told = Told()
    make(models, Maker(tmp_path), told, half=True)
    whole = models.path(card(models), "network")
    assert lighter.variant(whole, "cuda") == lighter.variant_path(whole, "fp16")
    assert lighter.variant(whole, "cpu") == whole
    assert any("fp16 on a graphics card" in line for line in told.lines)


def test_a_variant_that_fails_does_no_harm(tmp_path: Path, models: Models) -> None:
    told = Told()
    in_the_way = place_of(models, "network").with_name("net.fp16.onnx") / "in the way"
    in_the_way.mkdir(parents=True)
    make(models, Maker(tmp_path), told, half=True)
    whole = models.path(card(models), "network")
    assert lighter.variant(whole, "cuda") == whole
    assert any("run it at full precision" in line for line in told.lines)


# --- What is refused before -----------------------------------------------------------------


def test_without_the_extras_it_says_what_to_press(models: Models, weights: Path) -> None:
    weights.unlink()
    with pytest.raises(ModelMissing, match="run the task Set up extras"):
        exporting.export(models, card(models), Told(), "/nowhere/bin/python")


def test_on_alpine_it_names_what_comes_ready(models: Models) -> None:
    with pytest.raises(ModelMissing, match="none of for Alpine Linux") as caught:
        exporting.refuse(models, card(models), sys.executable, machine.MUSL)
    assert "comes ready (none yet)" in caught.value.remedy


def test_missing_weights_are_to_be_fetched(tmp_path: Path, models: Models, weights: Path) -> None:
    maker = Maker(tmp_path)
    weights.unlink()
    with pytest.raises(ModelMissing, match=r"net needs .*net\.safetensors"):
        make(models, maker)
    assert not maker.ran.exists()


class _Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self._mark),)


def hostile(folder: Path) -> tuple[Path, Path]:
    """Return a pickle that creates a folder when it is loaded, and that folder."""
    mark, path = folder / "it-ran", folder / "net.pt"
    path.write_bytes(pickle.dumps(_Hostile(mark)))
    return path, mark


def test_a_pickle_of_another_hash_is_refused_by_name_and_never_opened(tmp_path: Path) -> None:
    path, mark = hostile(tmp_path)
    models = models_of(tmp_path, files=weights_row(path, network="net.onnx"))
    maker = Maker(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelBroken, match=r"net\.pt .*sha256 is"):
        make(models, maker)
    assert not maker.ran.exists()
    assert not mark.exists()
    assert nothing_left(models)


def test_a_pickle_of_the_pinned_hash_is_copied_and_never_opened_here(tmp_path: Path) -> None:
    path, mark = hostile(tmp_path)
    models = models_of(tmp_path, files=weights_row(path, network="net.onnx"))
    maker = Maker(tmp_path)
    make(models, maker)
    order = json.loads(maker.ordered.read_text())
    # What was hashed is what is read: a copy in a folder of ours.
    assert order["weights"] == f"{order['folder']}/weights.pt"
    assert not mark.exists()


def test_what_may_be_a_pickle_and_is_not_pinned_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.tar"
    path.write_bytes(b"who knows")
    files = {"network": {"made": "net.onnx"}, "weights": {"path": str(path)}}
    models, maker = models_of(tmp_path, files=files), Maker(tmp_path)
    with pytest.raises(ModelBroken, match="its sha256 is not pinned"):
        make(models, maker)
    assert not maker.ran.exists()


# --- What is not believed after -------------------------------------------------------------


LIES = [
    pytest.param("tell(done=True)", "network.onnx was not made", id="nothing"),
    pytest.param("sys.exit(0)", "ended without a word", id="ends in silence"),
    pytest.param("sys.exit('no such layer')", r"status 1 \(no such layer\)", id="ends badly"),
    pytest.param("os.kill(os.getpid(), 9)", "memory may be short", id="is killed"),
    pytest.param("tell(error='ValueError: no such layer')", "no such layer", id="fails"),
    pytest.param(
        "(folder / 'network.onnx').symlink_to('/etc/hostname'); tell(done=True)",
        "is no file with something in it",
        id="a link",
    ),
    pytest.param(
        "(folder / 'network.onnx').touch(); tell(done=True)", "no file with something", id="empty"
    ),
    pytest.param(
        "make(); (folder / 'network.onnx').write_bytes(b'\\x08\\x01junk'); tell(done=True)",
        "network.onnx",
        id="no network",
    ),
    pytest.param(
        "make(); (folder / 'network.npz').unlink(); tell(done=True)", "no samples", id="unproved"
    ),
    pytest.param("while True: print('x' * 4000)", "more than there is to tell", id="babble"),
    pytest.param("while True: tell(text='x' * 4000)", "more than there is to tell", id="chatter"),
    pytest.param(
        "subprocess.Popen(['sleep', '60']); sys.exit(0)", "without a word", id="leaves a child"
    ),
]


@pytest.mark.parametrize(("body", "says"), LIES)
def test_a_process_that_lies_is_not_believed(
    tmp_path: Path, models: Models, body: str, says: str
) -> None:
    with pytest.raises(ModelBroken, match=says) as caught:
        make(models, Maker(tmp_path, body))
    assert caught.value.message.startswith("net: ")
    assert nothing_left(models)


def test_the_last_word_of_a_process_that_has_ended_is_waited_for(
    tmp_path: Path, models: Models
) -> None:
    """Here it comes a while after the process has ended: by the hand of another."""
    late = "import time; time.sleep(0.6); print('{\"done\": true}', flush=True)"
    body = f"make(); subprocess.Popen([sys.executable, '-c', {late!r}], start_new_session=True)"
    make(models, Maker(tmp_path, f"{body}; os._exit(0)"))
    assert models.has(card(models))


def test_words_that_are_none_of_ours_are_passed_over(tmp_path: Path, models: Models) -> None:
    body = "print('warning: {'); print('[1]'); print('\\xff'); make(); tell(done=True)"
    make(models, Maker(tmp_path, body))
    assert models.has(card(models))


ANSWERS = [
    pytest.param({"out_0": np.zeros((3, 4), np.float32)}, "away from torch's", id="wrong"),
    pytest.param({"out_0": np.full((3, 4), np.nan, np.float32)}, "no numbers", id="none"),
    pytest.param({"out_0": np.zeros((3, 5), np.float32)}, r"where torch answers \(3, 5\)", id="5"),
    pytest.param({"in_x": np.zeros(0, np.float32)}, "are missing", id="no samples"),
    pytest.param({"out_0": np.array([print], object)}, "holds no samples", id="a pickle"),
]


@pytest.mark.parametrize(("changed", "says"), ANSWERS)
def test_a_network_that_answers_otherwise_is_not_adopted(
    tmp_path: Path, models: Models, changed: dict[str, Any], says: str
) -> None:
    maker = Maker(tmp_path)
    maker.keep(**changed)
    with pytest.raises(ModelBroken, match=says):
        make(models, maker)
    assert nothing_left(models)


def test_a_thousandth_is_near_enough_and_two_are_not(tmp_path: Path, models: Models) -> None:
    maker = Maker(tmp_path)
    maker.keep(out_0=maker.samples["out_0"] + np.float32(0.002))
    with pytest.raises(ModelBroken, match=r"0\.002 away"):
        make(models, maker)
    maker.keep(out_0=maker.samples["out_0"] + np.float32(0.0009))
    make(models, maker)


def test_a_network_of_a_fixed_batch_is_not_adopted(tmp_path: Path, models: Models) -> None:
    maker = Maker(tmp_path)
    doubling(maker.network, (3, 4))
    with pytest.raises(ModelBroken, match="fixed number of pictures"):
        make(models, maker)


def test_samples_that_unpack_to_gigabytes_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("in_x.npy", "w") as file,
    ):
        for _ in range(520):
            file.write(bytes(1 << 20))
    with pytest.raises(Exception, match="larger than samples are"):
        exporting.read_samples(path)


def boxes(scores: list[float]) -> Any:
    rows = [[10.0 * at, 0, 10 * at + 5, 5, score, at] for at, score in enumerate(scores)]
    return np.array([rows], np.float32)


CHOSEN = [
    pytest.param([0.9, 0.5, 0.1], [0, 1, 2], 0.0, id="the same"),
    pytest.param([0.9, 0.9, 0.1], [1, 0, 2], 0.0, id="two of one score change places"),
    pytest.param([0.9, 0.5, 0.1], [0, 2, 1], 0.0, id="in another order"),
    pytest.param([0.9, 0.1, 0.1], [0, 1, 1], 0.0, id="another of the last"),
    pytest.param([0.9, 0.5, 0.1], [0, 0, 2], 0.4, id="one twice and one not"),
]


@pytest.mark.parametrize(("scores", "order", "apart"), CHOSEN)
def test_chosen_boxes_are_compared_in_whatever_order(
    scores: list[float], order: list[int], apart: float
) -> None:
    told = boxes(scores)
    assert exporting.boxes_apart(told[:, order], told) >= apart
    assert (exporting.boxes_apart(told[:, order], told) <= exporting.CLOSE) == (apart == 0)


# --- How it ends ----------------------------------------------------------------------------


def test_a_cancelled_export_ends_its_process_and_leaves_nothing(
    tmp_path: Path, models: Models
) -> None:
    maker = Maker(tmp_path, "time.sleep(600)")
    with pytest.raises(Cancelled):
        # What it writes second: the number before it is whole.
        make(models, maker, Told(stop_at=maker.ordered))
    assert gone(int(maker.ran.read_text()))
    assert nothing_left(models)


def test_what_its_process_started_ends_with_it(tmp_path: Path, models: Models) -> None:
    child, written = tmp_path / "child.pid", tmp_path / "written"
    body = "ran = subprocess.Popen(['sleep', '600']).pid; Path(%r).write_text(str(ran))"
    maker = Maker(tmp_path, f"{body % str(child)}; Path({str(written)!r}).touch(); time.sleep(600)")
    with pytest.raises(Cancelled):
        make(models, maker, Told(stop_at=written))
    assert gone(int(child.read_text()))


def test_a_process_that_hangs_is_ended(tmp_path: Path, models: Models) -> None:
    with pytest.raises(ModelBroken, match="not done within 1 s"):
        make(models, Maker(tmp_path, "time.sleep(600)"), limit_s=1.0)
    assert nothing_left(models)


def test_a_kill_between_two_networks_leaves_one_that_is_whole(
    tmp_path: Path, weights: Path
) -> None:
    names = {"visual": "visual.onnx", "textual": "textual.onnx"}
    files = {**weights_row(weights, **names), "tokenizer": {"path": str(weights)}}
    models = models_of(tmp_path, task="clip", files=files)
    maker = Maker(tmp_path)
    # A folder stands where the second belongs, and so adopting ends after the first.
    second = models.unmade(card(models))[1]
    place = place_of(models, second)
    (place / "in the way").mkdir(parents=True)
    with pytest.raises(ModelMissing):
        make(models, maker)
    assert models.unmade(card(models)) == (second,)
    assert not list(models.folder.glob(".making-*"))
    (place / "in the way").rmdir()
    place.rmdir()
    make(models, maker)
    assert json.loads(maker.ordered.read_text())["roles"] == {second: f"{second}.onnx"}
    assert models.has(card(models))


def test_what_a_killed_process_left_is_swept(tmp_path: Path, models: Models) -> None:
    left = models.folder / ".making-old"
    left.mkdir(parents=True)
    (left / "half.onnx").write_bytes(b"x")
    make(models, Maker(tmp_path))
    assert not left.exists()


def test_no_secret_and_no_way_out_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "https_proxy", "STASH_API_KEY", "PYTHONPATH")
    for name in given:
        monkeypatch.setenv(name, "mine")
    told = variables(tmp_path)
    assert not set(given) & set(told)
    assert "mine" not in told.values()
    assert told["HF_HUB_OFFLINE"] == told["TRANSFORMERS_OFFLINE"] == "1"
    assert told["YOLO_OFFLINE"] == "true"
    assert told["HOME"] == told["TMPDIR"] == told["HF_HOME"] == str(tmp_path)
    assert told["YOLO_CONFIG_DIR"].startswith(str(tmp_path))


# --- The process' own side ------------------------------------------------------------------

CHILD = f"""
import sys
sys.path.append({str(ROOT)!r})
from stash_sense_plugin.extras.child import live
def work(order, teller):
    {{work}}
sys.exit(live(work))
"""


def child(work: str, folder: Path, **order: Any) -> subprocess.Popen[bytes]:
    told = {"parent": os.getpid(), "most_bytes": 1 << 20, "folder": str(folder), **order}
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", CHILD.format(work=work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    process.stdin.flush()
    return process


def said(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the last thing that a child told; its input stays open until then."""
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout, process.stdin:
        lines = process.stdout.read().splitlines()
        process.wait()
    told: dict[str, Any] = json.loads(lines[-1])
    return told


@pytest.mark.parametrize(
    "work",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.invalid', 80)",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    ],
)
def test_a_child_reaches_nobody(tmp_path: Path, work: str) -> None:
    assert "reaches nobody" in said(child(work, tmp_path))["error"]


def test_a_child_writes_no_endless_file(tmp_path: Path) -> None:
    work = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    work += "open(order['folder'] + '/large', 'wb').write(bytes(2 << 20))"
    assert "File too large" in said(child(work, tmp_path))["error"]
    assert (tmp_path / "large").stat().st_size <= 1 << 20


def test_what_libraries_print_is_not_taken_for_its_words(tmp_path: Path) -> None:
    assert said(child('print(\'{"error": "no"}\', flush=True)', tmp_path)) == {"done": True}


PARENT = """
import json, os, subprocess, sys, time
process = subprocess.Popen([sys.executable, "-I", "-B", "-c", sys.argv[1]], stdin=subprocess.PIPE)
told = {"parent": os.getpid(), "most_bytes": 1 << 20}
process.stdin.write(json.dumps(told).encode() + b"\\n")
process.stdin.flush()
time.sleep(600)
"""


@pytest.mark.parametrize("work", ["import time; time.sleep(600)", "while True: pass"])
def test_a_child_dies_with_its_parent(tmp_path: Path, work: str) -> None:
    mark = tmp_path / "child.pid"
    begun = f"import os, pathlib; pathlib.Path({str(mark)!r}).write_text(str(os.getpid()));"
    code = CHILD.format(work=f"{begun} \n    {work}")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, code])
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(int(mark.read_text()))


def test_a_child_whose_input_ends_ends_too(tmp_path: Path) -> None:
    process = child("import time; time.sleep(600)", tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    assert process.wait(20) != 0
    process.stdout.close()


def test_a_python_that_does_not_run_is_said(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_bytes(b"\x7fELF no more")
    python.chmod(0o755)
    errand = Errand(str(python), "export_networks", {}, tmp_path, 5.0, 1 << 20)
    assert "cannot be run" in run(errand, Told(), lambda _: None)
