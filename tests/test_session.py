import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stash_sense_plugin.errors import ModelBroken, ModelMissing
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.session import open_network, usable_cpus
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.start import machine
from tests.small_networks import doubling

ROOT = Path(__file__).resolve().parent.parent


def card(name: str, path: Path) -> ModelCard:
    return ModelCard(
        name=name,
        task="objects",
        about="Doubles",
        licence="MIT",
        commercial=True,
        words="things",
        files={"network": LocalFile(path=str(path))},
        overlaid=True,
    )


def shelf_of(
    tmp_path: Path, *cards: ModelCard, budget: int = 1 << 30, clock: Callable[[], float] = float
) -> Shelf:
    models = Models(tmp_path / "models", Catalogue({one.name: one for one in cards}))
    return Shelf(models, budget, threads=1, clock=clock)


@pytest.mark.parametrize("batch", ["batch", 1, 2], ids=["free", "one by one", "by twos"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_batch_of_any_size_runs_on_a_graph_of_any_batch(
    tmp_path: Path, batch: int | str, count: int
) -> None:
    network = open_network(doubling(tmp_path / "double.onnx", (batch, 3)), threads=1)
    x = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    (y,) = network.run({"x": x})
    np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.int64])
def test_what_is_fed_is_cast_to_what_the_graph_takes(tmp_path: Path, dtype: type) -> None:
    network = open_network(doubling(tmp_path / "double.onnx", ("batch", 2), dtype), threads=1)
    (y,) = network.run({"x": np.array([[1, 2]])})
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [[2, 4]])
    assert network.precision == ("fp16" if dtype is np.float16 else "fp32")


def test_a_network_tells_its_ports_its_metadata_and_where_it_runs(tmp_path: Path) -> None:
    path = doubling(tmp_path / "double.onnx", ("batch", 3, 8), names="{0: 'cat'}")
    network = open_network(path, threads=1, device="cpu")
    assert network.inputs[0].name == "x"
    assert network.inputs[0].shape == (None, 3, 8)
    assert network.metadata == {"names": "{0: 'cat'}"}
    assert network.device == "cpu"


def test_wrong_feeds_say_what_the_network_takes(tmp_path: Path) -> None:
    network = open_network(doubling(tmp_path / "double.onnx", ("batch", 3)), threads=1)
    with pytest.raises(ModelBroken, match=r"double\.onnx takes x, not images"):
        network.run({"images": np.zeros((1, 3))})
    with pytest.raises(ModelBroken, match=r"double\.onnx failed on x \(1, 4\)"):
        network.run({"x": np.zeros((1, 4))})


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"\x08\x08"])
def test_a_file_that_is_no_network_is_broken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelBroken, match="does not load") as caught:
        open_network(path)
    assert "python -m stash_sense_plugin models verify" in caught.value.remedy


OPENS_TWICE = """
import logging, sys
from pathlib import Path
from stash_sense_plugin.inference.session import open_network
logging.basicConfig(stream=sys.stdout, format="%(message)s")
paths = [Path(path) for path in sys.argv[1:]]
print({open_network(path, threads=1, device="cuda").device for path in paths})
"""


def test_a_wish_for_a_gpu_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    paths = [str(doubling(tmp_path / f"{name}.onnx", ("batch", 3))) for name in "ab"]
    argv = [sys.executable, "-B", "-c", OPENS_TWICE, *paths]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    *warnings, devices = told.splitlines()
    assert devices == "{'cuda'}" or len(warnings) == 1
    assert all("asked for CUDA, running on the CPU because" in warning for warning in warnings)


def test_at_least_one_processor_may_be_used() -> None:
    assert usable_cpus() >= 1


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param({"cpu.max": "150000 100000"}, 1.5, id="a processor and a half"),
        pytest.param({"cpu.max": "max 100000"}, None, id="no limit"),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0, id="old"
        ),
        pytest.param(
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, id="old, none"
        ),
        pytest.param({"cpu.max": "what"}, None, id="not understood"),
        pytest.param({}, None, id="no groups"),
    ],
)
def test_a_groups_quota_of_processors_is_read(
    tmp_path: Path, files: dict[str, str], told: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.processor_quota(str(tmp_path)) == told


def test_a_network_is_opened_once_and_by_one_thread(tmp_path: Path) -> None:
    one = card("one", doubling(tmp_path / "one.onnx", ("batch", 3)))
    shelf = shelf_of(tmp_path, one)
    seen: list[object] = []
    threads = [
        threading.Thread(target=lambda: seen.append(shelf.network(one, "network")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len({id(network) for network in seen}) == 1


def test_a_missing_file_is_said_before_anything_opens(tmp_path: Path) -> None:
    gone = card("gone", tmp_path / "gone.onnx")
    with pytest.raises(ModelMissing, match="gone needs"):
        shelf_of(tmp_path, gone).network(gone, "network")


def test_the_longest_unused_makes_room(tmp_path: Path) -> None:
    cards = [
        card(name, doubling(tmp_path / f"{name}.onnx", ("batch", 3), note=name * 1000))
        for name in "abc"
    ]
    # Nobody is held back: what is open then weighs at most four times its file.
    shelf = shelf_of(tmp_path, *cards, budget=0)
    first = shelf.network(cards[0], "network")
    shelf.network(cards[1], "network")
    assert shelf.network(cards[0], "network") is not first
    assert shelf.held_bytes > 0

    roomy = shelf_of(tmp_path, *cards)
    first = roomy.network(cards[0], "network")
    roomy.network(cards[1], "network")
    roomy.network(cards[2], "network")
    assert roomy.network(cards[0], "network") is first


def test_what_is_idle_goes_and_what_was_just_used_stays(tmp_path: Path) -> None:
    now = [0.0]
    old, new = (card(n, doubling(tmp_path / f"{n}.onnx", ("batch", 3))) for n in ("old", "new"))
    shelf = shelf_of(tmp_path, old, new, clock=lambda: now[0])
    first = shelf.network(old, "network")
    now[0] = 50.0
    kept = shelf.network(new, "network")
    now[0] = 61.0
    assert shelf.unload_idle(older_than_s=60.0) == 1
    assert shelf.network(new, "network") is kept
    assert shelf.network(old, "network") is not first


def test_what_runs_is_not_unloaded(tmp_path: Path) -> None:
    one = card("one", doubling(tmp_path / "one.onnx", ("batch", 3)))
    shelf = shelf_of(tmp_path, one, clock=lambda: 100.0)
    network = shelf.network(one, "network")
    counts: list[int] = []
    with network.running():
        counts.append(shelf.unload_idle(older_than_s=0.0))
    counts.append(shelf.unload_idle(older_than_s=0.0))
    assert counts == [0, 1]


def test_a_closed_shelf_holds_nothing(tmp_path: Path) -> None:
    one = card("one", doubling(tmp_path / "one.onnx", ("batch", 3)))
    with shelf_of(tmp_path, one) as shelf:
        shelf.network(one, "network")
    assert shelf.held_bytes == 0


def test_a_changed_file_is_another_network(tmp_path: Path) -> None:
    path = doubling(tmp_path / "one.onnx", ("batch", 3))
    one = card("one", path)
    shelf = shelf_of(tmp_path, one)
    first, label = shelf.network(one, "network"), shelf.label(one)
    doubling(path, ("batch", 4))
    assert shelf.label(one) != label
    assert shelf.network(one, "network") is not first
