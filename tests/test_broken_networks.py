"""Files that are no network, or no honest one: refused by name, and never loaded."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from stash_sense_plugin.errors import ModelBroken
from stash_sense_plugin.inference import onnx_file
from stash_sense_plugin.inference.session import open_network
from tests.onnx_networks import convolutions, pointing_at, small_vit, with_weights_beside
from tests.small_networks import doubling


def written(path: Path, nodes: list[onnx.NodeProto], shape: list[int | str], *domains: str) -> Path:
    """Write a network that takes `pixels` and gives `embeds`, both float32."""
    takes = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)
    gives = helper.make_tensor_value_info("embeds", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [takes], [gives])
    known = [helper.make_opsetid("", 18), *(helper.make_opsetid(name, 1) for name in domains)]
    model = helper.make_model(graph, opset_imports=known, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelBroken) as caught:
        open_network(path, threads=1, device="cpu")
    assert str(path) in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("share", [0.999, 0.5, 0.01])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = small_vit(tmp_path / "vit.onnx")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "it is no ONNX file, or it was cut short" in refused(path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", id="pointer"),
        pytest.param(b"<!doctype html><title>Not found</title>", id="page"),
        pytest.param("Nicht gefunden: Größe".encode("latin-1"), id="not even UTF-8"),
        pytest.param(b"PK\x03\x04" + b"\x00" * 400, id="archive"),
        pytest.param(b"\x80\x02}q\x00." * 20, id="pickle"),
        pytest.param(b"\x00" * 4096, id="zeros"),
        pytest.param(b"\x08\x01" * 1_100_000, id="more fields than any network has"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    refused(path)


@settings(max_examples=150)
@given(content=st.binary(max_size=200), at=st.integers(0, 3000), cut=st.booleans())
def test_whatever_is_in_a_file_it_is_read_or_refused(
    tmp_path: Path, content: bytes, at: int, cut: bool
) -> None:
    good = convolutions(tmp_path / "good.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(good[:at] + content + (b"" if cut else good[at + len(content) :]))
    with suppress(ModelBroken):
        assert onnx_file.read(path).graphs > 0


@pytest.mark.parametrize(
    "name",
    ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "C:\\secret.bin", "..\\secret.bin"],
)
def test_weights_outside_the_networks_folder_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\x00" * 100_000)
    folder = tmp_path / "models"
    path = pointing_at(folder / "net.onnx", convolutions(folder / "whole.onnx"), name)
    assert "its weights would lie outside its folder" in refused(path)


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\x00" * 100_000)
    folder = tmp_path / "models"
    path = pointing_at(folder / "net.onnx", convolutions(folder / "whole.onnx"), "weights.bin")
    (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")
    assert "its weights would lie outside its folder" in refused(path)


def test_weights_beside_the_network_are_read_and_weighed(tmp_path: Path) -> None:
    whole = small_vit(tmp_path / "whole.onnx")
    path = with_weights_beside(tmp_path / "apart" / "net.onnx", whole, "net.data")
    assert open_network(path, threads=1, device="cpu").device == "cpu"
    facts = onnx_file.read(path)
    assert list(facts.beside) == ["net.data"]
    assert facts.bytes == path.stat().st_size + (path.parent / "net.data").stat().st_size
    assert facts.weight_bytes == onnx_file.read(whole).weight_bytes
    (path.parent / "net.data").unlink()
    assert "should lie beside it in 'net.data', which is not there" in refused(path)


def test_weights_beside_it_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    whole = small_vit(tmp_path / "whole.onnx")
    path = with_weights_beside(tmp_path / "apart" / "net.onnx", whole, "net.data")
    os.truncate(path.parent / "net.data", 1000)
    refused(path)


def test_an_operator_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Hum", ["pixels"], ["embeds"], domain="com.example")
    assert "Hum" in refused(written(tmp_path / "net.onnx", [node], [1, 3], "com.example"))


def test_an_input_of_absurd_size_is_refused(tmp_path: Path) -> None:
    path = doubling(tmp_path / "net.onnx", (1, 3, 1_000_000, 1_000_000))
    told = refused(path)
    assert "x is 1 x 3 x 1000000 x 1000000 numbers, more than any picture has" in told


def test_a_file_beyond_what_onnx_can_hold_is_not_even_read(tmp_path: Path) -> None:
    path = doubling(tmp_path / "net.onnx", ("batch", 3))
    os.truncate(path, 100 << 30)
    assert "it has 107.4 GB, and no ONNX file may exceed 2 GB" in refused(path)


def test_a_network_that_wants_more_memory_than_there_is_at_all_is_broken(tmp_path: Path) -> None:
    """Memory that is short is another time enough: this never is."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [1 << 24, 1 << 24])
    nodes = [
        helper.make_node("Constant", [], ["times"], value=size),
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Mul", ["shape", "times"], ["size"]),
        helper.make_node("Expand", ["pixels", "size"], ["embeds"]),
    ]
    path = written(tmp_path / "net.onnx", nodes, ["batch", "side"])
    network = open_network(path, threads=1, device="cpu")
    with pytest.raises(ModelBroken, match="more than this machine has") as caught:
        network.run({"pixels": np.ones((1, 1), np.float32)})
    assert str(path) in caught.value.message
