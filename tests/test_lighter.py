"""What is made of a network: tried before it is kept, and used where it fits."""

import importlib.util
import json
import site
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing
from stash_sense_plugin.inference import drawn, lighter, onnx_file
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard, PackageFile
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.lighter import Agreement
from stash_sense_plugin.inference.session import open_network
from stash_sense_plugin.inference.shelf import Shelf
from stash_sense_plugin.records import Level
from tests.onnx_networks import convolutions, small_vit, with_weights_beside
from tests.sweep_kit import ROOT


@dataclass
class Heard:
    """Hears what a job says, and stops it at the so-manieth time that it asks."""

    stop_at: int | None = None
    lines: list[str] = field(default_factory=list)
    asked: int = 0

    def log(self, level: Level, message: str) -> None:
        self.lines.append(message)

    def progress(self, fraction: float) -> None:
        assert 0 <= fraction <= 1

    def check(self) -> None:
        self.asked += 1
        if self.asked == self.stop_at:
            raise Cancelled("stopped")


def card_of(path: Path, task: str = "similarity", **more: Any) -> ModelCard:
    words = {"words": "mine", "classes": tuple(f"word {n}" for n in range(32))}
    return ModelCard(
        name="mine",
        task=task,  # type: ignore[arg-type]
        about="A network of the test",
        licence="MIT",
        commercial=True,
        files={"network": LocalFile(path=str(path))},
        overlaid=True,
        **(words if task != "similarity" else {}) | more,
    )


def models_of(tmp_path: Path, card: ModelCard) -> Models:
    return Models(tmp_path / "models", Catalogue({card.name: card}))


def base_of(tmp_path: Path, name: str = "vit.onnx") -> Path:
    """Where variants of the user's own file lie: as if beside this one."""
    return tmp_path / "models" / "mine" / "lighter" / "network" / name


def lightened(tmp_path: Path, card: ModelCard) -> str:
    told = lighter.lighten(models_of(tmp_path, card), card, Heard())
    assert told is not None
    return told


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose variant was made: copies of the folder may be spoilt."""
    folder = tmp_path_factory.mktemp("made")
    path = small_vit(folder / "vit.onnx")
    assert "int8 on a CPU" in lightened(folder, card_of(path))
    return folder


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    """A network of one's own, whose variant and record lie in our folder."""
    path = tmp_path / "mine" / "vit.onnx"
    path.parent.mkdir()
    path.write_bytes((made / "vit.onnx").read_bytes())
    base_of(tmp_path).parent.mkdir(parents=True)
    for name in ("vit.int8.onnx", "vit.int8.json"):
        base_of(tmp_path, name).write_bytes(base_of(made, name).read_bytes())
    return path


# --- Made, kept and used ---------------------------------------------------------------------


def test_a_transformer_is_made_lighter_once_and_runs_so_on_a_cpu(tmp_path: Path) -> None:
    path = small_vit(tmp_path / "vit.onnx")
    card = card_of(path)
    models = models_of(tmp_path, card)
    heard = Heard()
    told = lighter.lighten(models, card, heard)
    light = base_of(tmp_path, "vit.int8.onnx")
    assert told is not None
    assert told.startswith("mine: int8 on a CPU, ")
    assert "over 12 drawn pictures" in told
    assert heard.lines == ["mine: making it lighter (int8)"]
    assert light.stat().st_size < 0.5 * path.stat().st_size
    for name in ("vit.int8.onnx", "vit.int8.json"):
        assert stat.S_IMODE(light.with_name(name).stat().st_mode) == 0o600
    assert {each.name for each in light.parent.iterdir()} == {"vit.int8.json", "vit.int8.onnx"}
    assert {each.name for each in tmp_path.iterdir()} == {"models", "vit.onnx"}

    again = Heard()
    stamp = light.stat().st_mtime_ns
    assert lighter.lighten(models, card, again) == lighter.told(models, card) == told
    assert again.lines == []
    assert light.stat().st_mtime_ns == stamp

    version = models.version(card)
    with Shelf(models, 1 << 30, threads=1, device="cpu") as shelf:
        network = shelf.network(card, "network")
        assert (network.path, network.precision, network.device) == (light, "int8", "cpu")
    with Shelf(models, 1 << 30, threads=1, device="cpu", full_precision=True) as shelf:
        network = shelf.network(card, "network")
        assert (network.path, network.precision) == (path, "fp32")
    assert models.version(card) == version


def test_a_record_tells_what_was_made_of_what_and_how_well(mine: Path, tmp_path: Path) -> None:
    told = json.loads(base_of(tmp_path, "vit.int8.json").read_bytes())
    assert told["kept"] is True
    assert 0.99 <= told["cosine"] <= 1
    assert len(told["source_sha256"]) == len(told["made_sha256"]) == 64
    assert {"onnxruntime", "processor", "format", "precision", "sentence"} < set(told)


def spoil_record(**wrong: object) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        record = base_of(path.parents[1], "vit.int8.json")
        record.write_text(json.dumps(json.loads(record.read_bytes()) | wrong))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoil_record(onnxruntime="1.0.0"), id="another onnxruntime"),
        pytest.param(spoil_record(processor="486"), id="another processor"),
        pytest.param(spoil_record(format=0), id="an older way of making it"),
        pytest.param(spoil_record(colour="red"), id="a record of another kind"),
        pytest.param(lambda path: small_vit(path, width=32), id="another network"),
        pytest.param(
            lambda path: base_of(path.parents[1], "vit.int8.onnx").write_bytes(path.read_bytes()),
            id="a swapped variant",
        ),
        pytest.param(
            lambda path: base_of(path.parents[1], "vit.int8.json").write_bytes(b'{"kept": '),
            id="a record cut short",
        ),
        pytest.param(
            lambda path: base_of(path.parents[1], "vit.int8.json").unlink(), id="no record"
        ),
        pytest.param(
            lambda path: base_of(path.parents[1], "vit.int8.onnx").unlink(), id="no variant"
        ),
    ],
)
def test_what_does_not_fit_its_record_is_not_used_and_is_made_anew(
    mine: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    base = base_of(tmp_path)
    light = base.with_name("vit.int8.onnx")
    assert lighter.variant(mine, "cpu", base=base) == light
    spoil(mine)
    assert lighter.variant(mine, "cpu", base=base) == mine
    card = card_of(mine)
    assert "models pull mine" in (lighter.told(models_of(tmp_path, card), card) or "")
    assert "int8 on a CPU" in lightened(tmp_path, card)
    assert lighter.variant(mine, "cpu", base=base) == light
    assert open_network(light, threads=1, device="cpu").precision == "int8"


@pytest.mark.parametrize("place", ["cuda", "tensorrt", "openvino"])
def test_whole_numbers_are_for_a_cpu_alone(mine: Path, tmp_path: Path, place: Any) -> None:
    assert lighter.variant(mine, place, base=base_of(tmp_path)) == mine


def test_half_precision_is_for_a_card_alone(mine: Path, tmp_path: Path) -> None:
    other = small_vit(mine.parent / "half.part")
    half = lighter.adopt(mine, other, "fp16", Agreement(0.9999), "fp16 on a GPU")
    assert half == mine.with_name("vit.fp16.onnx")
    assert lighter.variant(mine, "cuda") == lighter.variant(mine, "tensorrt") == half
    assert lighter.variant(mine, "cuda", full_precision=True) == mine
    assert lighter.variant(mine, "cpu") == mine
    half.write_bytes(b"other")
    assert lighter.variant(mine, "cuda") == mine


def test_weights_beside_the_network_go_into_the_variant(tmp_path: Path) -> None:
    whole = small_vit(tmp_path / "whole" / "vit.onnx")
    path = with_weights_beside(tmp_path / "apart" / "vit.onnx", whole, "vit.data")
    assert "int8 on a CPU" in lightened(tmp_path, card_of(path))
    light = base_of(tmp_path, "vit.int8.onnx")
    facts = onnx_file.read(light)
    assert not facts.beside
    assert facts.precision == "int8"
    assert lighter.variant(path, "cpu", base=base_of(tmp_path)) == light
    beside = path.with_name("vit.data")
    beside.write_bytes(beside.read_bytes()[::-1])
    assert lighter.variant(path, "cpu", base=base_of(tmp_path)) == path


def test_weights_that_stand_as_nodes_are_rounded_too(tmp_path: Path) -> None:
    path = small_vit(tmp_path / "vit.onnx", constants=True)
    assert onnx_file.read(path).share_in_products > 0.8
    assert "int8 on a CPU" in lightened(tmp_path, card_of(path))


# --- Kept at full precision ------------------------------------------------------------------


def test_a_network_of_convolutions_is_left_as_it_is(tmp_path: Path) -> None:
    card = card_of(convolutions(tmp_path / "net.onnx"))
    told = lightened(tmp_path, card)
    assert told == (
        "mine: kept at full precision because 3% of its weights go into matrix products,"
        " and convolutions gain nothing"
    )
    assert lighter.told(models_of(tmp_path, card), card) == told
    assert not list(tmp_path.glob("net.int8*"))


def test_a_transformer_that_says_something_else_when_rounded_is_not_kept(tmp_path: Path) -> None:
    path = small_vit(tmp_path / "vit.onnx", outliers=20_000.0, blocks=6)
    card = card_of(path)
    told = lightened(tmp_path, card)
    assert told.startswith(
        "mine: kept at full precision because rounded weights do not agree with it (least cosine"
    )
    assert not list(tmp_path.rglob("*.int8.onnx"))
    assert lighter.variant(path, "cpu", base=base_of(tmp_path)) == path
    # It is known, and not tried again for nothing.
    heard = Heard()
    assert lighter.lighten(models_of(tmp_path, card), card, heard) == told
    assert heard.lines == []


@pytest.mark.parametrize("agrees", [True, False], ids=["it agrees", "it does not agree"])
def test_what_lies_beside_a_file_of_the_users_own_is_never_touched(
    tmp_path: Path, agrees: bool
) -> None:
    spoilt = {} if agrees else {"outliers": 20_000.0, "blocks": 6}
    path = small_vit(tmp_path / "own" / "vit.onnx", **spoilt)  # type: ignore[arg-type]
    theirs = {"vit.int8.onnx": b"theirs", "vit.int8.json": b"{}", "vit.int8.part": b"too"}
    for name, content in theirs.items():
        path.with_name(name).write_bytes(content)
    path.parent.chmod(0o500)
    told = lightened(tmp_path, card_of(path))
    path.parent.chmod(0o700)
    assert ("int8 on a CPU" in told) is agrees
    assert ("do not agree with it" in told) is not agrees
    assert {each.name for each in path.parent.iterdir()} == {"vit.onnx", *theirs}
    assert {name: path.with_name(name).read_bytes() for name in theirs} == theirs
    assert base_of(tmp_path, "vit.int8.onnx").is_file() is agrees


def test_a_detector_of_objects_is_left_as_it_is(tmp_path: Path) -> None:
    card = card_of(small_vit(tmp_path / "vit.onnx"), "objects")
    assert "boxes and their scores" in lightened(tmp_path, card)


def test_a_network_that_is_rounded_already_is_left_so(mine: Path, tmp_path: Path) -> None:
    card = card_of(base_of(tmp_path, "vit.int8.onnx"))
    assert lightened(tmp_path, card) == "mine: it comes in int8, and is left so"


def test_a_network_in_a_package_is_left_as_it_is(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("nudenet")
    assert spec is not None
    card = card_of(tmp_path / "x").model_copy(
        update={"files": {"network": PackageFile(package="nudenet", path="320n.onnx")}}
    )
    assert "kept at full precision because" in lightened(tmp_path, card)
    assert not list(Path(str(spec.origin)).parent.glob("*.int8*"))


def test_a_network_that_does_not_take_pictures_is_left_as_it_is(tmp_path: Path, mine: Path) -> None:
    card = card_of(mine, order="nhwc")
    spoil_record(format=0)(mine)
    told = lightened(tmp_path, card)
    assert "kept at full precision because it does not run so (" in told


ASKS = """
import sys
root, packages, folder, path = sys.argv[1:]
sys.path[:0] = [root, packages]
from pathlib import Path
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.inference.catalogue import Catalogue, LocalFile, ModelCard
from stash_sense_plugin.inference.download import Models


class Unheard:
    def log(self, level, message): pass
    def progress(self, fraction): pass
    def check(self): pass


card = ModelCard(
    name="mine", task="similarity", about="Vectors", licence="MIT", commercial=True,
    files={"network": LocalFile(path=path)}, overlaid=True,
)
print(lighter.lighten(Models(Path(folder), Catalogue({"mine": card})), card, Unheard()))
"""


def test_where_the_package_onnx_is_missing_that_is_said(tmp_path: Path) -> None:
    """In a process that finds every package that is here but onnx."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in site.getsitepackages():
        for path in Path(folder).iterdir():
            if path.stem.partition("-")[0] != "onnx":
                (packages / path.name).symlink_to(path)
    network = small_vit(tmp_path / "vit.onnx")
    words = [sys.executable, "-I", "-B", "-S", "-c", ASKS, str(ROOT), str(packages)]
    run = subprocess.run(
        [*words, str(tmp_path / "models"), str(network)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == (
        "mine: kept at full precision because the package onnx, which makes it lighter, is not"
        " installed: press Set up"
    )


def test_a_row_that_we_do_not_run_has_nothing_to_say(tmp_path: Path) -> None:
    card = ModelCard(
        name="script",
        task="text",
        about="A script",
        licence="MIT",
        commercial=True,
        files={"rec": LocalFile(path=str(tmp_path / "rec.onnx"))},
        overlaid=True,
    )
    models = models_of(tmp_path, card)
    assert lighter.lighten(models, card, Heard()) is None
    assert lighter.told(models, card) is None


def test_what_is_missing_or_broken_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="mine needs"):
        lightened(tmp_path, card_of(tmp_path / "none.onnx"))
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(small_vit(tmp_path / "vit.onnx").read_bytes()[:-100])
    with pytest.raises(ModelBroken, match="cut short"):
        lightened(tmp_path, card_of(torn))


def test_what_the_user_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    path = small_vit(tmp_path / "vit.onnx")
    card = card_of(path)
    with pytest.raises(Cancelled):
        lighter.lighten(models_of(tmp_path, card), card, Heard(stop_at=1))
    assert [each.name for each in tmp_path.iterdir() if each.name != "models"] == ["vit.onnx"]
    assert not list(base_of(tmp_path).parent.iterdir())


# --- Agreement -------------------------------------------------------------------------------

FULL = np.array([[-6.0, 0.0, 3.0], [2.0, -4.0, 0.5]])


@pytest.mark.parametrize(
    ("task", "given", "holds"),
    [
        pytest.param("similarity", FULL * 1.5, True, id="a vector's length is nothing"),
        pytest.param("similarity", FULL[::-1], False, id="another picture's"),
        pytest.param("similarity", FULL * [[1, 1, 1], [1, 1, -3]], False, id="one picture's"),
        pytest.param("similarity", np.zeros((2, 3)), False, id="nothing"),
        pytest.param("similarity", FULL * np.nan, False, id="no numbers"),
        pytest.param("tagger", FULL + 0.1, True, id="scores that hardly move"),
        pytest.param("tagger", FULL + np.array([0, 0.3, 0]), False, id="one score that moves"),
        pytest.param("classifier", FULL + 5, False, id="a classifier's, in another direction"),
        pytest.param("classifier", FULL * 1.01, True, id="a classifier's"),
    ],
)
def test_how_far_two_answers_agree(tmp_path: Path, task: str, given: Any, holds: bool) -> None:
    agreement = lighter.compared(FULL, given, card_of(tmp_path / "x", task))
    assert agreement.holds == holds
    assert (agreement.score is None) == (task == "similarity" or not np.isfinite(given).all())


def test_the_drawn_pictures_are_the_same_ones_every_time_and_unlike_each_other() -> None:
    first, again = (np.stack(drawn.pictures(4, 48)) for _ in range(2))
    assert first.shape == (4, 48, 48, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    for picture in first:
        assert 10 < picture.std() < 110
    apart = np.abs(first[:, None].astype(int) - first[None]).mean(axis=(2, 3, 4))
    assert apart[~np.eye(4, dtype=bool)].min() > 20


# --- Real networks ---------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("squeezenet_places365.onnx", "classifier"),
        ("nsfwjs_mobilenet_v2.onnx", "classifier"),
        ("yolov8n_int8w_640.onnx", "objects"),
        ("yolox_nano.onnx", "objects"),
        ("clipshaped_visual.onnx", "similarity"),
    ],
)
def test_networks_of_convolutions_are_refused_with_a_sentence(
    tmp_path: Path, real: Path, name: str, task: str
) -> None:
    told = lightened(tmp_path, card_of(real / "weights" / name, task))
    assert "kept at full precision because" in told
    assert "of its weights go into matrix products" in told
    assert not list((real / "weights").glob("*.int8*"))
