"""Where networks run, with a stand-in for an onnxruntime that is built for cards."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference import lighter, providers, runtime, session
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.lighter import Agreement
from stash_sense_plugin.inference.providers import PROVIDERS, Device, Place
from stash_sense_plugin.inference.session import Door
from stash_sense_plugin.inference.shelf import Shelf
from tests.small_networks import doubling

Told = Sequence[tuple[str, Mapping[str, str]]]
ALL = tuple(PROVIDERS[place] for place in ("tensorrt", "cuda", "openvino", "cpu"))
NO_CUDNN = "libcudnn.so.9: cannot open shared object file: No such file or directory"


@dataclass
class Library:
    """Keeps onnxruntime's promises: what it cannot take it leaves out in silence, or raises."""

    built_for: tuple[str, ...] = ALL
    silent: frozenset[str] = frozenset()
    """Providers that are left out without a word."""
    raises: Mapping[str, str] = field(default_factory=dict)
    """Providers that fail aloud when a session is opened."""
    idle: frozenset[str] = frozenset()
    """Providers that are there and take no operator."""
    fails_to_run: Mapping[str, str] = field(default_factory=dict)
    tells_assignment: bool = True
    opened: list[Told] = field(default_factory=list)
    preloaded: int = 0
    __version__: str = "1.99.0"

    def get_available_providers(self) -> list[str]:
        return list(self.built_for)

    def preload_dlls(self) -> None:
        self.preloaded += 1
        print("Failed to load libcublas.so")  # noqa: T201

    class SessionOptions:
        def __init__(self) -> None:
            self.entries: dict[str, str] = {}

        def add_session_config_entry(self, key: str, value: str) -> None:
            self.entries[key] = value

    def InferenceSession(  # noqa: N802
        self,
        network: str | bytes,
        sess_options: SessionOptions,
        providers: Told,
        enable_fallback: int,
    ) -> Any:
        assert enable_fallback == 0, "it would print, and choose by itself"
        assert {name for name, _ in providers} <= set(self.built_for)
        self.opened.append(providers)
        names = [name for name, _ in providers if name not in self.silent]
        for name in names:
            if name in self.raises:
                raise RuntimeError(self.raises[name])
        opened = Session(self, names)
        return opened if self.tells_assignment else OldSession(opened)


@dataclass
class Session:
    library: Library
    names: list[str]

    def get_providers(self) -> list[str]:
        return self.names

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        taken = [name for name in self.names if name not in self.library.idle]
        return [SimpleNamespace(ep_name=taken[0])]

    def run(self, names: None, feeds: Mapping[str, Any]) -> list[Any]:
        if self.names[0] in self.library.fails_to_run:
            raise RuntimeError(self.library.fails_to_run[self.names[0]])
        return [np.full((1, 1, 2, 2), 4.0)]

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="x", type="tensor(float)", shape=["batch", 3])]

    get_outputs = get_inputs

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={})


class OldSession:
    """A session of before 1.24, which does not tell who takes what."""

    def __init__(self, session: Session) -> None:
        for name in ("get_providers", "run", "get_inputs", "get_outputs", "get_modelmeta"):
            setattr(self, name, getattr(session, name))


def door(library: Library, why: str = "") -> Door:
    return Door(library, why=lambda _place: why)


CUDA, TENSORRT, OPENVINO, CPU = (
    PROVIDERS[place] for place in ("cuda", "tensorrt", "openvino", "cpu")
)
PLAIN = ("AzureExecutionProvider", CPU)
FOR_CUDA = (TENSORRT, CUDA, CPU)


@pytest.mark.parametrize(
    ("built_for", "device", "place"),
    [
        pytest.param(PLAIN, "auto", "cpu", id="a plain build"),
        pytest.param(FOR_CUDA, "auto", "cuda", id="TensorRT is never chosen by itself"),
        pytest.param((OPENVINO, CPU), "auto", "openvino", id="OpenVINO's own build"),
        pytest.param(ALL, "auto", "cuda", id="CUDA before OpenVINO"),
        pytest.param(ALL, "cpu", "cpu", id="the CPU when it is named"),
        pytest.param(ALL, "tensorrt", "tensorrt", id="TensorRT when it is named"),
        pytest.param(ALL, "openvino", "openvino", id="OpenVINO when it is named"),
    ],
)
def test_networks_run_where_they_should(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    built_for: tuple[str, ...],
    device: Device,
    place: Place,
) -> None:
    way = door(Library(built_for))
    network = way.open(doubling(tmp_path / "x.onnx", ("batch", 3)), device=device)
    assert (way.resolve(device).place, network.device) == (place, place)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("library", "device", "place", "told"),
    [
        pytest.param(
            Library(PLAIN),
            "cuda",
            "cpu",
            "asked for CUDA, running on the CPU because this onnxruntime (1.99.0) was built"
            " without it and has Azure, CPU",
            id="not built for it",
        ),
        pytest.param(
            Library(FOR_CUDA, silent=frozenset({CUDA})),
            "auto",
            "cpu",
            f"asked for CUDA, running on the CPU because {NO_CUDNN}",
            id="left out in silence",
        ),
        pytest.param(
            Library(FOR_CUDA, raises={CUDA: "CUDA failure 100: no device"}),
            "auto",
            "cpu",
            f"asked for CUDA, running on the CPU because {NO_CUDNN}",
            id="raised",
        ),
        pytest.param(
            Library(FOR_CUDA, fails_to_run={CUDA: "CUDNN_STATUS_NOT_INITIALIZED"}),
            "auto",
            "cpu",
            f"asked for CUDA, running on the CPU because {NO_CUDNN}",
            id="taken, and fails to run",
        ),
        pytest.param(
            Library(FOR_CUDA, raises={TENSORRT: "no libnvinfer"}),
            "tensorrt",
            "cuda",
            f"asked for TensorRT, running on CUDA because {NO_CUDNN}",
            id="the next best",
        ),
        pytest.param(
            Library((OPENVINO, CPU), idle=frozenset({OPENVINO})),
            "auto",
            "cpu",
            "asked for OpenVINO, running on the CPU because it takes none of the network's"
            " operators",
            id="there, and takes nothing",
        ),
    ],
)
def test_what_was_asked_for_and_failed_is_said_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    library: Library,
    device: Device,
    place: Place,
    told: str,
) -> None:
    way = door(library, NO_CUDNN)
    for name in "ab":
        assert way.open(doubling(tmp_path / name, ("batch", 3)), device=device).device == place
    assert way.resolve(device).told == told
    [warning] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert told in warning.message
    assert "To change that: " in warning.message


def test_where_nobody_knows_why_that_is_said() -> None:
    way = door(Library(FOR_CUDA, silent=frozenset({CUDA})))
    assert way.resolve("cuda").why == session.NO_REASON
    raised = door(Library(FOR_CUDA, raises={CUDA: "out of fuel\nand more"}))
    assert raised.resolve("cuda").why == "out of fuel"


def test_an_onnxruntime_that_does_not_tell_who_takes_what_is_believed(tmp_path: Path) -> None:
    way = door(Library((OPENVINO, CPU), idle=frozenset({OPENVINO}), tells_assignment=False))
    assert way.open(doubling(tmp_path / "x.onnx", ("batch", 3))).device == "openvino"


def test_a_network_that_the_card_has_no_room_for_runs_elsewhere_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(FOR_CUDA)
    way = door(library)
    assert way.resolve("auto").place == "cuda"
    library.raises = {CUDA: "CUDA failure 2: out of memory"}
    path = doubling(tmp_path / "large.onnx", ("batch", 3))
    assert {way.open(path).device for _ in range(2)} == {"cpu"}
    [told] = caplog.messages
    assert told.startswith(f"{path}: asked for CUDA, running on the CPU because CUDA failure 2")


def test_a_file_that_no_provider_opens_is_broken_and_nothing_is_said_of_cards(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(FOR_CUDA)
    way = door(library)
    way.resolve("auto")
    library.raises = {CUDA: "No Op registered for Hum", CPU: "No Op registered for Hum"}
    with pytest.raises(ModelBroken, match=r"x\.onnx does not load: No Op registered for Hum"):
        way.open(doubling(tmp_path / "x.onnx", ("batch", 3)))
    assert caplog.messages == []


def test_the_reply_stays_clean_of_what_cudas_loader_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    library = Library(FOR_CUDA)
    assert door(library).resolve("cuda").place == "cuda"
    assert library.preloaded == 1
    assert capsys.readouterr().out == ""


def test_on_intels_graphics_or_else_its_processor() -> None:
    library = Library((OPENVINO, CPU))
    assert door(library).resolve("openvino").place == "openvino"
    assert library.opened[-1][0][1]["device_type"] == "GPU"
    assert providers.precision_of("openvino", "fp32", False, "GPU") == "fp16"
    assert providers.precision_of("openvino", "fp32", False, "CPU") == "fp32"


def test_full_precision_reaches_those_who_halve_by_themselves(tmp_path: Path) -> None:
    library, path = Library(), doubling(tmp_path / "x.onnx", ("batch", 3))
    way = door(library)
    assert way.open(path, device="tensorrt").precision == "fp16"
    assert library.opened[-1][0][1]["trt_fp16_enable"] == "1"
    assert way.open(path, device="tensorrt", full_precision=True).precision == "fp32"
    assert library.opened[-1][0][1]["trt_fp16_enable"] == "0"
    way.open(path, device="openvino", full_precision=True)
    assert library.opened[-1][0][1]["precision"] == "ACCURACY"


def test_cuda_takes_no_more_memory_than_it_needs(tmp_path: Path) -> None:
    library = Library()
    door(library).open(doubling(tmp_path / "x.onnx", ("batch", 3)), device="cuda")
    [(name, told), (last, none)] = library.opened[-1]
    assert (name, last, none) == (CUDA, CPU, {})
    assert told == {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
    }


# --- Which file is opened --------------------------------------------------------------------


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    """A network with a variant for a card and another for a CPU."""
    path = doubling(tmp_path / "x.onnx", ("batch", 3))
    for precision in ("int8", "fp16"):
        made = doubling(tmp_path / "made", ("batch", 3), note=precision)
        base = tmp_path / "models" / "x" / "lighter" / "network" / "x.onnx"
        base.parent.mkdir(parents=True, exist_ok=True)
        lighter.adopt(path, made, precision, Agreement(1.0), "made by the test", base)
    return path


def shelf_of(path: Path, library: Library, device: Device = "auto", full: bool = False) -> Shelf:
    card = ModelCard(
        name="x",
        task="similarity",
        about="Doubles",
        licence="MIT",
        commercial=True,
        files={"network": LocalFile(path=str(path))},
        overlaid=True,
    )
    models = Models(path.parent / "models", Catalogue({"x": card}))
    way = door(library)
    way.resolve(device)
    return Shelf(models, 1 << 30, 1, device, full, door=way)


@pytest.mark.parametrize(
    ("built_for", "device", "full", "name"),
    [
        pytest.param(FOR_CUDA, "auto", False, "x.fp16.onnx", id="a card"),
        pytest.param(FOR_CUDA, "tensorrt", False, "x.fp16.onnx", id="TensorRT"),
        pytest.param(FOR_CUDA, "auto", True, "x.onnx", id="a card at full precision"),
        pytest.param(FOR_CUDA, "cpu", False, "x.int8.onnx", id="the CPU beside a card"),
        pytest.param(PLAIN, "auto", False, "x.int8.onnx", id="a CPU"),
        pytest.param(PLAIN, "cuda", False, "x.int8.onnx", id="a card that is not here"),
        pytest.param(PLAIN, "auto", True, "x.onnx", id="a CPU at full precision"),
        pytest.param((OPENVINO, CPU), "auto", False, "x.onnx", id="OpenVINO rounds by itself"),
    ],
)
def test_the_variant_for_where_networks_run_is_opened(
    variants: Path, built_for: tuple[str, ...], device: Device, full: bool, name: str
) -> None:
    shelf = shelf_of(variants, Library(built_for), device, full)
    network = shelf.network(shelf.models.catalogue.card("x"), "network")
    assert network.path.name == name


def test_a_card_without_room_leaves_the_cpu_its_own_variant(variants: Path) -> None:
    library = Library(FOR_CUDA)
    shelf = shelf_of(variants, library)
    library.raises = {CUDA: "CUDA failure 2: out of memory"}
    network = shelf.network(shelf.models.catalogue.card("x"), "network")
    assert (network.path.name, network.device) == ("x.int8.onnx", "cpu")


# --- TensorRT's engines ----------------------------------------------------------------------


def test_an_engine_is_kept_for_one_file_and_one_card(tmp_path: Path) -> None:
    """TensorRT itself calls the engines of two networks of one architecture the same."""
    one, two = (doubling(tmp_path / name / "model.onnx", ("batch", 3)) for name in "ab")
    folders = {
        providers.engine_folder(tmp_path, path, card)
        for path in (one, two)
        for card in ("H200, 580.1, 9.0 10.14", "H200, 590.2, 9.0 10.14", "T4, 580.1, 7.5 10.14")
    }
    assert len(folders) == 6
    before = providers.engine_folder(tmp_path, one, "card")
    doubling(one, ("batch", 4))
    assert providers.engine_folder(tmp_path, one, "card") != before


def test_no_engine_is_kept_where_the_card_is_unknown(tmp_path: Path) -> None:
    if providers.card_key():
        pytest.skip("this machine has a card and TensorRT")
    path = doubling(tmp_path / "x.onnx", ("batch", 3))
    [(_, told), *_] = providers.chain("tensorrt", path, cache=tmp_path / "engines")
    assert told == {"trt_fp16_enable": "1"}
    assert not (tmp_path / "engines").exists()


def test_engines_that_nobody_used_for_long_are_deleted(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("0" * 16, "1" * 16, "mine"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "x.engine").write_bytes(b"1")
    for folder in (old, other):
        os.utime(folder, (0, 0))
    providers.sweep_engines(tmp_path)
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)


# --- onnxruntime's own words -----------------------------------------------------------------

SAID_BY_1_31 = (
    "\x1b[1;31m2026-11-21 07:25:23.402 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator"
    "()] /onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provide"
    "r& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library"
    " /x/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object"
    " file: No such file or directory\n\x1b[m\n\x1b[0;93m2026-11-21 07:25:23.402 [W:onnxruntime:Def"
    "ault, onnxruntime_pybind_state.cc:1295 CreateExecutionProviderFactoryInstance] Failed to creat"
    "e CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*. Please install all dependencies\x1b["
    "m\n"
)
SAID_BY_OPENVINO = (
    "\x1b[1;31m2026-11-21 07:25:23.699 [E:onnxruntime:Default, provider_bridge_ort.cc:2310 Create]"
    " /onnxruntime/core/providers/openvino/openvino_provider_factory.cc:141 std::string onnxruntime"
    "::openvino_ep::ParseDeviceType() [ERROR] [OpenVINO] Device GPU is not available\n\x1b[m\n"
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param(
            SAID_BY_1_31,
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
            id="a library that is not there",
        ),
        pytest.param(SAID_BY_OPENVINO, "Device GPU is not available", id="no graphics"),
        pytest.param(
            "CUDA failure 35: CUDA driver version is insufficient ; GPU=0 ; hostname=x",
            "CUDA failure 35: CUDA driver version is insufficient",
            id="an old driver",
        ),
        pytest.param("one\n\ntwo \n", "two", id="other words"),
        pytest.param("", "", id="none"),
    ],
)
def test_onnxruntimes_own_reason_is_found(said: str, told: str) -> None:
    assert providers.telling(said) == told


def test_this_onnxruntime_has_nothing_against_the_cpu() -> None:
    assert providers.reason("cpu") == ""


def test_a_look_tells_what_was_asked_for_and_what_to_do() -> None:
    here = runtime.look("openvino")
    if here.device == "openvino":
        assert (here.told, here.remedy) == ("", "")
    else:
        assert here.told.startswith("asked for OpenVINO, running on the CPU because ")
        assert "onnxruntime-openvino" in here.remedy
