"""What the settings and the user's catalogue make of the detectors."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import CatalogueError, SettingsError
from stash_sense_plugin.inference.session import Door
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.engine import Call, Engine, open_engine, plugin_id
from stash_sense_plugin.tasks.presets import ALWAYS_HERE
from tests.small_networks import sum_of_words
from tests.sweep_kit import Room, Told, small, write_clips
from tests.sweep_kit import open_engine as open_kit_engine
from tests.test_providers import PLAIN, Library

PACKAGE = Path(__file__).resolve().parent.parent / "stash_sense_plugin"

ROW = """\
  {name}:
    task: objects
    about: A small network of one's own
    licence: none
    commercial: false
    words: toy
    classes: [thing]
    files:
      network: {{path: {name}.onnx}}
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_engine(tmp_path / "home", PACKAGE, small)
    yield opened
    opened.close()


@pytest.fixture
def own(engine: Engine) -> Callable[..., None]:
    """Writes rows of the user's own for the named networks, and half a megabyte for each."""

    def write(*names: str) -> None:
        rows = "".join(ROW.format(name=name) for name in names)
        engine.home.mkdir(exist_ok=True)
        engine.own_catalogue.write_text(f"models:\n{rows}", "utf-8")
        for name in names:
            sum_of_words(engine.home / f"{name}.onnx", np.zeros((125_000, 1), np.float32))

    return write


def test_what_the_preset_chose_is_not_said_to_be_the_users_word(engine: Engine) -> None:
    """Reading it first must not take the names that it filled in for names that were written."""
    assert "you chose" not in engine.chosen.why
    assert engine.chosen.preset == "fast"


def names(engine: Engine) -> list[str]:
    return [f"{each.name} {each.model.partition('@')[0]}" for each in engine.sight().detectors]


# --- Which detectors look -----------------------------------------------------------------------


def test_all_kinds_look_and_what_is_not_here_is_missing(engine: Engine) -> None:
    sight = engine.sight()
    assert names(engine) == [
        "clip clip-vit-b32", "picture picture", "objects yolox-s", f"objects {ALWAYS_HERE}",
        "quality quality", "text pp-ocr",
    ]  # fmt: skip
    assert {model.partition("@")[0] for model in sight.missing} == {"clip-vit-b32", "yolox-s"}
    assert any(
        "python -m stash_sense_plugin models pull yolox-s" in str(each)
        for each in sight.missing.values()
    )
    assert sight.skipped == ()
    assert sight.zero_shot is not None


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("skip_labels", "clip"),
        ("skip_facts", "picture"),
        ("skip_objects", "objects"),
        ("skip_text", "text"),
        ("skip_quality", "quality"),
    ],
)
def test_each_kind_can_be_switched_off(engine: Engine, setting: str, kind: str) -> None:
    engine.settings = replace(Settings(), **{setting: True})  # type: ignore[arg-type]
    sight = engine.sight()
    assert kind not in {each.name for each in sight.detectors}
    assert len({each.name for each in sight.detectors}) == 4
    (skipped,) = sight.skipped
    assert (skipped.detector, skipped.reason) == (kind, "switched off")
    assert setting in skipped.remedy
    assert (sight.zero_shot is None) == (kind == "clip")


def test_the_models_are_the_ones_that_are_named(engine: Engine, own: Callable[..., None]) -> None:
    own("mine")
    engine.settings = Settings(clip_model="clip-vit-b32-laion", object_model="mine")
    assert names(engine)[:1] == ["clip clip-vit-b32-laion"]
    assert names(engine)[2:4] == ["objects mine", f"objects {ALWAYS_HERE}"]
    assert [model.partition("@")[0] for model in engine.sight().missing] == ["clip-vit-b32-laion"]


def test_the_network_that_is_always_here_is_not_run_twice(engine: Engine) -> None:
    engine.settings = Settings(object_model=ALWAYS_HERE)
    assert names(engine).count(f"objects {ALWAYS_HERE}") == 1


def test_an_unknown_model_is_named_with_the_near_ones(engine: Engine) -> None:
    engine.settings = Settings(object_model="yolox-z")
    with pytest.raises(CatalogueError, match=r"'yolox-z'.*yolox-s"):
        engine.sight()


def test_a_model_for_something_else_is_refused(engine: Engine) -> None:
    engine.settings = Settings(clip_model="yolox-s")
    with pytest.raises(SettingsError, match="yolox-s is for objects, not for clip"):
        engine.sight()


def test_a_broken_catalogue_is_named_by_its_row(engine: Engine, own: Callable[..., None]) -> None:
    own("mine")
    text = engine.own_catalogue.read_text("utf-8").replace("words: toy", "word: toy")
    engine.own_catalogue.write_text(text, "utf-8")
    with pytest.raises(CatalogueError, match=r"catalogue\.yaml.*mine.*word"):
        engine.sight()


# --- Files that are away ------------------------------------------------------------------------


def test_an_own_network_that_never_was_here_is_skipped(
    engine: Engine, own: Callable[..., None]
) -> None:
    own("mine")
    (engine.home / "mine.onnx").unlink()
    engine.settings = Settings(object_model="mine")
    sight = engine.sight()
    assert "objects mine" not in names(engine)
    (skipped,) = sight.skipped
    assert skipped.detector == "objects (mine)"
    assert "mine.onnx" in skipped.reason
    assert "catalogue.yaml" in skipped.remedy


def test_an_own_network_that_was_here_is_remembered_by_its_version(
    engine: Engine, own: Callable[..., None]
) -> None:
    own("mine")
    engine.settings = Settings(object_model="mine")
    before = [each.model for each in engine.sight().detectors]
    (engine.home / "mine.onnx").unlink()
    sight = engine.sight()
    assert [each.model for each in sight.detectors] == before
    assert [model.partition("@")[0] for model in sight.missing] == ["clip-vit-b32", "mine"]


# --- What stays warm ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param("{path: mine.onnx, bytes: 5}", "should have 5", id="another size"),
        pytest.param(
            f"{{path: mine.onnx, bytes: 5, sha256: {'a' * 64}}}", "should have 5", id="a hash"
        ),
        pytest.param("{path: /proc/self/mem}", "cannot be read", id="nobody may read it"),
        pytest.param("{package: notthere, path: a.onnx}", "notthere", id="no such package"),
    ],
)
def test_an_own_network_that_cannot_be_used_keeps_no_other_from_looking(
    engine: Engine, own: Callable[..., None], files: str, reason: str
) -> None:
    own("mine")
    before = names(engine)
    row = engine.own_catalogue.read_text("utf-8").replace("{path: mine.onnx}", files)
    engine.own_catalogue.write_text(row, "utf-8")
    engine.settings = Settings(also_models="mine")
    assert names(engine) == before
    (skipped,) = engine.sight().skipped
    assert skipped.detector == "objects (mine)"
    assert reason in skipped.reason
    assert skipped.remedy


def test_an_own_network_that_is_gone_is_not_said_to_be_fetched(
    engine: Engine, own: Callable[..., None]
) -> None:
    own("mine")
    engine.settings = Settings(object_model="mine")
    engine.sight()
    (engine.home / "mine.onnx").unlink()
    (error,) = [each for model, each in engine.sight().missing.items() if "mine" in model]
    assert "put it there" in error.remedy


def test_networks_stay_within_the_memory_that_the_user_gives(
    engine: Engine, own: Callable[..., None]
) -> None:
    own("one", "two", "three")
    rows = {name: engine.catalogue().card(name) for name in ("one", "two", "three")}
    engine.settings = Settings(memory_budget_mb=1)
    for card in rows.values():
        engine.shelf().network(card, "network")
    assert engine.shelf().held_bytes <= 4 * 500_200
    wide = replace(engine.settings, memory_budget_mb=500)
    small = engine.shelf()
    engine.settings = wide
    assert engine.shelf() is not small
    for card in rows.values():
        engine.shelf().network(card, "network")
    assert engine.shelf().held_bytes >= 3 * 500_000


def test_the_shelf_stays_while_nothing_changes(engine: Engine, own: Callable[..., None]) -> None:
    own("mine")
    shelf = engine.shelf()
    network = shelf.network(engine.catalogue().card("mine"), "network")
    engine.settings = replace(engine.settings, frames=10)
    assert engine.shelf() is shelf
    assert shelf.network(engine.catalogue().card("mine"), "network") is network
    assert engine.unload_idle(0.0) == 1
    assert shelf.network(engine.catalogue().card("mine"), "network") is not network


def test_threads_that_ask_at_once_get_one_shelf(engine: Engine) -> None:
    shelves = []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        shelves.append(engine.shelf())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shelves) == 8
    assert all(shelf is shelves[0] for shelf in shelves)


def test_a_new_row_is_known_without_a_new_worker(engine: Engine, own: Callable[..., None]) -> None:
    assert "mine" not in engine.shelf().models.catalogue
    own("mine")
    assert "mine" in engine.shelf().models.catalogue


def test_idle_minutes_are_the_users(engine: Engine) -> None:
    assert engine.idle_minutes == 10
    engine.settings = Settings(idle_minutes=3)
    assert engine.idle_minutes == 3


# --- Stash --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "told"),
    [
        pytest.param(["plugin.yml"], "plugin", id="in the repository"),
        pytest.param(["stash-sense.yml", "README.md"], "stash-sense", id="in the package"),
        pytest.param(["renamed.by.user.yml"], "renamed.by.user", id="renamed"),
        pytest.param([], "stash-sense", id="gone"),
    ],
)
def test_the_plugins_id_is_its_files_name(tmp_path: Path, files: list[str], told: str) -> None:
    for name in files:
        (tmp_path / name).write_text("name: Stash Sense\n", "utf-8")
    assert plugin_id(tmp_path) == told


@pytest.mark.parametrize("installed", [True, False])
def test_from_a_checkout_the_settings_are_those_of_the_installed_plugin(
    tmp_path: Path, installed: bool
) -> None:
    with StandIn(tmp_path / "stash") as stash, open_kit_engine(tmp_path / "home") as engine:
        stash.configure_plugin("stash-sense", suggest_only=True)
        stash.configure_plugin("plugin", suggest_only=False)
        if installed:
            folder = stash.settings.plugins_path / "stash-sense"
            folder.mkdir()
            shutil.copy(PACKAGE.parent / "plugin.yml", folder / "stash-sense.yml")
            stash.state.plugins.reload()
        told = Told()
        with engine.stash(Call({}, {"Url": stash.url}), told):
            assert engine.settings.suggest_only is installed
        assert bool(told.said("warning")) is not installed
        assert all("no plugin named Stash Sense" in line for line in told.said("warning"))


def test_what_cannot_be_used_is_said_once_and_again_when_it_changes(tmp_path: Path) -> None:
    with StandIn(tmp_path / "stash") as stash, open_kit_engine(tmp_path / "home") as engine:

        def said(asked: Engine, **stored: object) -> list[str]:
            stash.configure_plugin("plugin", **stored)
            told = Told()
            call = Call({}, {"Url": stash.url, "PluginDir": str(PACKAGE.parent)})
            with asked.stash(call, told):
                pass
            return told.said("warning")

        (first,) = said(engine, frames="many", skip_text=True)
        assert "frames" in first
        assert said(engine, frames="many", skip_text=True) == []
        assert said(engine.aside(), frames="many") == []
        (changed,) = said(engine, frames="few")
        assert "'few'" in changed
        assert list(engine.complaints) == [changed]
        assert said(engine) == []
        assert not list(engine.complaints)
        assert said(engine.aside(), frames="few") == [changed]


def test_a_model_that_is_none_of_the_catalogues_gives_way_to_ours(tmp_path: Path) -> None:
    with StandIn(tmp_path / "stash") as stash, open_kit_engine(tmp_path / "home") as engine:
        stash.configure_plugin("plugin", clip_model="yolox-s", object_model="yolox-z")
        told = Told()
        call = Call({}, {"Url": stash.url, "PluginDir": str(PACKAGE.parent)})
        with engine.stash(call, told):
            assert engine.settings == engine.defaults
        clip, objects = told.said("warning")
        assert "clip_model: The model yolox-s is for objects, not for clip" in clip
        assert "object_model: There is no model called 'yolox-z'" in objects


def test_each_run_says_once_that_its_networks_run_elsewhere_than_asked(tmp_path: Path) -> None:
    """With a stand-in for an onnxruntime that was built for the processor alone."""
    clips, media = write_clips(tmp_path / "clips"), tmp_path / "media"
    media.mkdir()
    engine = Engine(tmp_path / "home", PACKAGE, hardware=small, door=Door(Library(PLAIN)))
    with StandIn(tmp_path / "stash", media=[]) as stash, closing(engine):
        room = Room(stash, clips, media, engine=engine)

        def warnings(mode: str = "tag_scenes", **args: Any) -> list[str]:
            room.run(mode, **args)
            return [line for line in room.told.said("warning") if "asked for" in line]

        room.configure(device="cuda", skip_objects=None)
        for _ in range(2):
            room.add("tall.mp4")
            room.add("tall.mp4")
            (said,) = warnings()
            assert said.startswith("Networks: asked for CUDA, running on the CPU because")
            assert "To change that: press Set up" in said
        assert warnings("tag_file", path=str(clips / "tall.mp4")) == [said]
        room.configure(device="cuda")
        room.add("tall.mp4")
        assert warnings() == []
        room.configure(device="cpu", skip_objects=None)
        room.add("tall.mp4")
        assert warnings() == []


def test_without_a_stash_the_way_to_one_is_named(engine: Engine) -> None:
    class Nobody:
        def log(self, level: str, message: str) -> None: ...
        def progress(self, fraction: float) -> None: ...
        def check(self) -> None: ...

    with pytest.raises(SettingsError, match="--stash"), engine.stash(Call({}), Nobody()):
        pass


# --- A batch that hangs ---------------------------------------------------------------------------


def test_law_5_a_scene_under_which_the_worker_ended_itself_is_not_to_blame(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for _ in range(2):
        engine = open_engine(home, PACKAGE)
        engine.store.begin_look("7")
        engine.let_go()
        engine.close()
    engine = open_engine(home, PACKAGE)
    assert engine.store.deaths("7") == 0
    engine.close()


def test_a_store_that_hangs_does_not_keep_the_worker_from_ending(engine: Engine) -> None:
    engine.store.begin_look("7")
    with engine.store.write():
        engine.let_go(within_s=0.01)
        (dropping,) = [each for each in threading.enumerate() if each.name == "let go"]
    dropping.join()
    assert engine.store.note_death() is None
