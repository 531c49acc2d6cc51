"""What Models, Download models and Set up do: what is listed, fetched, checked and let go."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import Cancelled, ModelBroken, ModelMissing, SettingsError
from stash_sense_plugin.inference import lighter
from stash_sense_plugin.start import environment
from stash_sense_plugin.start.paths import Home
from stash_sense_plugin.tasks import MODES, Call
from tests.export_kit import Maker
from tests.file_site import Site, open_site
from tests.small_networks import doubling
from tests.stash_kit import empty
from tests.sweep_kit import Room, Told, open_engine

ROW = """\
  {name}:
    task: objects
    about: A network
    licence: {licence}
    commercial: {free}
    words: things
    files: {{network: {{url: "{url}/{name}.onnx", sha256: {sha256}{size}}}}}
"""
WORDS = """\
  {name}:
    task: clip
    about: A network
    licence: MIT
    commercial: true
    files:
      visual: {{url: "{url}/visual", sha256: {sha256}}}
      textual: {{url: "{url}/textual", sha256: {sha256}}}
      tokenizer: {{url: "{url}/tokenizer", sha256: {sha256}}}
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="scripts with #!")
WANTED = {"skip_labels": True, "skip_acts": True, "skip_text": True}
OPEN = "give scenes the TagMe tag and run the task Tag scenes"


@pytest.fixture(scope="module")
def stash(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash"), media=[]) as running:
        yield running


@pytest.fixture
def room(stash: StandIn, tmp_path: Path) -> Iterator[Room]:
    empty(stash)
    with open_engine(tmp_path / "home") as engine:
        yield Room(stash, tmp_path, tmp_path, engine=engine)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A network of one megabyte."""
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    return doubling(path, ["batch", 3], pad="x" * 1_000_000).read_bytes()


@pytest.fixture
def site(content: bytes) -> Iterator[Site]:
    with open_site() as running:
        running.content = content
        yield running


@pytest.fixture
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def offer(room: Room, site: Site, sha256: str) -> Callable[..., None]:
    """Adds a row for each named network, which the site has; only objects are wanted."""
    size = f", bytes: {len(site.content)}"

    def add(*names: str, licence: str = "MIT", free: bool = True) -> None:
        rows = "".join(
            ROW.format(name=name, licence=licence, free=str(free).lower(), url=site.url,
                       sha256=sha256, size=size)
            for name in names
        )  # fmt: skip
        room.engine.own_catalogue.write_text(f"models:\n{rows}", "utf-8")
        room.stash.configure_plugin("plugin", **WANTED, object_model=names[0])

    return add


def is_here(room: Room, name: str) -> bool:
    models = room.engine.shelf().models
    return models.has(models.catalogue.card(name))


def also(room: Room, name: str, site: Site) -> None:
    """Add a row for a network that takes words."""
    sha256 = hashlib.sha256(site.content).hexdigest()
    with room.engine.own_catalogue.open("a", encoding="utf-8") as file:
        file.write(WORDS.format(name=name, url=site.url, sha256=sha256))


def last(room: Room) -> str:
    return room.told.lines[-1][1]


# --- Download models ----------------------------------------------------------------------------


def test_sizes_and_hosts_are_said_before_anything_is_fetched(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    assert room.run("download_models") == {"models": {"mine": None}}
    host = site.url.removeprefix("http://")
    first, room_needed, *rest = room.told.said("info")
    assert first == f"mine: 1 MB from {host}; licence MIT"
    assert room_needed.startswith("It takes 1 MB on the disk, which has ")
    assert rest == [
        "mine: fetching mine.onnx (1 MB)",
        f"Connecting to {host}",
        "mine: kept at full precision because 0% of its weights go into matrix products,"
        " and convolutions gain nothing",
        "mine runs on cpu in fp32",
        "Fetched mine (1 MB)",
    ]
    assert room.told.fractions == sorted(room.told.fractions)
    assert is_here(room, "mine")


def test_what_is_here_is_not_fetched_again(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    room.run("download_models")
    site.asked.clear()
    assert room.run("download_models") == {"models": {"mine": None}}
    assert room.told.said("info") == ["Nothing to fetch: mine here already"]
    assert not site.asked


def test_nothing_is_fetched_for_what_is_switched_off(room: Room, site: Site) -> None:
    room.configure(skip_acts=True)
    assert room.run("download_models") == {"models": {}}
    assert last(room) == "Nothing to fetch: what needs a model is switched off"


def test_a_stopped_download_goes_on_where_it_stopped(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")

    def stop(number: int) -> None:
        if number == 5:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        room.run("download_models", at_check=stop)
    assert not is_here(room, "mine")
    room.run("download_models")
    assert "of it are here) from" in room.told.said("info")[0]
    assert last(room) == "Fetched mine (1 MB)"
    assert site.asked[-1][2] is not None


def test_what_does_not_come_is_named_at_the_end_and_the_task_failed(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    site.statuses = [404]
    with pytest.raises(ModelMissing) as caught:
        room.run("download_models")
    told = "mine could not be made ready: run Download models again: it goes on from there"
    assert str(caught.value) == told
    assert "HTTP 404" in room.told.said("warning")[0]


def test_a_network_that_does_not_come_keeps_no_other_away(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    also(room, "words", site)
    site.statuses = [404]
    room.stash.configure_plugin("plugin", skip_acts=True, clip_model="words", object_model="mine")
    with pytest.raises(ModelMissing, match=r"Fetched mine \(1 MB\); words could not be made ready"):
        room.run("download_models")
    assert is_here(room, "mine")
    assert "words: of unknown size from 127.0.0.1:" in room.told.said("info")[0]


def test_a_licence_with_conditions_is_for_the_user_to_accept_by_name(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine", licence="CC-BY-NC-4.0", free=False)
    report = room.run("download_models")
    assert "CC-BY-NC-4.0" in report["models"]["mine"]
    (refusal,) = room.told.said("warning")
    assert 'models pull mine --accept "CC-BY-NC-4.0"' in refusal
    assert "setting 'Licences that you accept'" in refusal
    assert last(room) == "mine left out for the licence"
    with pytest.raises(SettingsError, match="mine is not fetched: its licence"):
        room.run("pull_models", names=["mine"])
    for wrong in ("MIT", "yes", "cc-by-nc-4.0"):
        with pytest.raises(SettingsError, match=r"is 'CC-BY-NC-4\.0', not"):
            room.run("pull_models", names=["mine"], accept=wrong)
    assert not site.asked

    (row,) = room.run("pull_models", names=["mine"], accept="CC-BY-NC-4.0")["models"]
    assert row["here"]
    assert row["accepted"]
    assert "licence CC-BY-NC-4.0, which does not allow every use" in room.told.said("info")[0]
    # It stays accepted.
    room.run("remove_models", names=["mine"])
    assert room.run("download_models") == {"models": {"mine": None}}


def test_a_licence_accepted_in_the_settings_holds_while_it_stands_there(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine", licence="CC-BY-NC-4.0", free=False)
    room.stash.configure_plugin(
        "plugin", **WANTED, object_model="mine", accept_licences="X, cc-by-nc-4.0"
    )
    assert room.run("download_models") == {"models": {"mine": None}}
    room.run("remove_models", names=["mine"])
    room.stash.configure_plugin("plugin", **WANTED, object_model="mine")
    assert "CC-BY-NC-4.0" in room.run("download_models")["models"]["mine"]


def test_a_licence_is_not_accepted_where_none_must_be(
    room: Room, offer: Callable[..., None]
) -> None:
    offer("mine")
    with pytest.raises(SettingsError, match="None of these models has a licence"):
        room.run("pull_models", names=["mine"], accept="MIT")


def test_of_a_call_that_is_refused_no_licence_is_accepted(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("one", "two", licence="NC-1", free=False)
    text = room.engine.own_catalogue.read_text("utf-8")
    before, after = text.split("  two:")
    room.engine.own_catalogue.write_text(before + "  two:" + after.replace("NC-1", "NC-2"), "utf-8")
    with pytest.raises(SettingsError, match="The licence of two is 'NC-2', not 'NC-1'"):
        room.run("pull_models", names=["one", "two"], accept="NC-1")
    assert not rows(room)["one"]["accepted"]
    with pytest.raises(SettingsError, match="one is not fetched: its licence"):
        room.run("pull_models", names=["one"])
    assert not site.asked


def test_what_is_broken_is_fetched_again_once_and_never_loaded(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    room.run("download_models")
    shelf = room.engine.shelf()
    card = shelf.models.catalogue.card("mine")
    path = shelf.models.path(card, "network")
    shelf.close()
    path.write_bytes(bytes(len(site.content)))
    with pytest.raises(ModelBroken, match=r"mine\.onnx is not the file that mine names"):
        shelf.network(card, "network")
    site.asked.clear()
    assert room.run("download_models") == {"models": {"mine": None}}
    assert "it is fetched again" in room.told.said("warning")[0]
    assert len(site.asked) == 1
    assert path.read_bytes() == site.content

    path.write_bytes(bytes(len(site.content)))
    site.contents = [bytes(len(site.content))] * 2
    with pytest.raises(ModelMissing, match="mine could not be made ready"):
        room.run("download_models")
    assert "sent something else twice: sha256 " in room.told.said("warning")[-1]
    assert not is_here(room, "mine")


def test_a_file_that_is_no_network_is_said_at_once(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    other = b"no network" * 1000
    offer("mine")
    site.content = other
    text = room.engine.own_catalogue.read_text("utf-8")
    start = text.index("sha256: ") + len("sha256: ")
    text = text[:start] + hashlib.sha256(other).hexdigest() + "}}\n"
    room.engine.own_catalogue.write_text(text, "utf-8")
    with pytest.raises(ModelBroken, match="does not load"):
        room.run("pull_models", names=["mine"])


def test_without_a_stash_the_defaults_are_fetched(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("yolox-s")
    room.engine.settings = room.engine.defaults
    also(room, "clip-vit-b32", site)
    told = Told()
    report = MODES["download_models"].run(room.engine, Call({}), told)
    assert report == {"models": {"clip-vit-b32": None, "yolox-s": None}}
    assert told.lines[-1][1] == "Fetched clip-vit-b32 and yolox-s (1 MB)"
    assert "clip-vit-b32 runs on cpu in fp32" in told.said("info")
    assert told.fractions == sorted(told.fractions)
    assert told.fractions[-1] == 1.0


def test_a_model_by_name_says_its_licence_too(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine", licence="AGPL-3.0")
    (row,) = room.run("pull_models", names=["mine"])["models"]
    assert row["here"]
    assert room.told.said("info")[0].endswith("; licence AGPL-3.0")


# --- What is made here --------------------------------------------------------------------------


MADE = """\
models:
  made:
    task: similarity
    about: Made in a test
    licence: MIT
    commercial: true
    export: {{by: timm, model: resnet18}}
    files:
      network: {{made: net.onnx}}
      weights: {{url: "{url}/net.safetensors", sha256: {sha256}, bytes: {size}}}
"""


@pytest.fixture
def made(room: Room, site: Site, sha256: str) -> Path:
    """Adds a row that is made of weights which the site has; returns where it will lie."""
    row = MADE.format(url=site.url, sha256=sha256, size=len(site.content))
    room.engine.own_catalogue.write_text(row, "utf-8")
    room.stash.configure_plugin("plugin", **WANTED, skip_objects=True, similarity_model="made")
    return room.engine.home / "models" / "made"


def set_up_extras(room: Room, folder: Path) -> Maker:
    """Put a program in the place of the extras' Python that makes what it was prepared with."""
    maker = Maker(folder, "tell(progress=0.5); make(); tell(done=True)")
    python = Path(environment.extras_python(Home(str(room.engine.home))))
    python.parent.mkdir(parents=True)
    python.symlink_to(maker.python)
    return maker


@posix
def test_weights_of_which_nothing_can_be_made_are_not_fetched(
    room: Room, site: Site, made: Path
) -> None:
    with pytest.raises(ModelMissing, match="extras that bring torch are not set up"):
        room.run("pull_models", names=["made"])
    with pytest.raises(ModelMissing, match="made could not be made ready"):
        room.run("download_models")
    assert not site.asked
    assert (rows(room)["made"]["made"], rows(room)["made"]["here"]) == (True, False)


@posix
def test_weights_are_fetched_made_into_networks_and_opened(
    room: Room, site: Site, made: Path, tmp_path: Path
) -> None:
    set_up_extras(room, tmp_path)
    assert room.run("download_models") == {"models": {"made": None}}
    said = room.told.said("info")
    assert "It takes 2 MB on the disk" in said[1]
    assert "made: making its networks from net.safetensors, by torch" in said
    assert "made runs on cpu in fp32" in said
    assert room.told.fractions == sorted(room.told.fractions)
    assert rows(room)["made"]["here"]
    assert len(site.asked) == 1

    # Without its weights it runs on; without what was made of them it is made again.
    weights = next(made.rglob("net.safetensors"))
    weights.unlink()
    assert room.run("verify_models", names=["made"])["models"][0]["error"] is None
    assert room.run("download_models") == {"models": {"made": None}}
    assert len(site.asked) == 1
    network = next(made.rglob("net.onnx"))
    network.write_bytes(bytes(100))
    assert room.run("download_models") == {"models": {"made": None}}
    assert any("it is made again" in line for line in room.told.said("warning"))
    assert len(site.asked) == 2
    network.unlink()
    room.run("pull_models", names=["made"])
    assert network.is_file()
    assert len(site.asked) == 2
    room.run("remove_models", names=["made"])
    assert not made.exists()


# --- The list -----------------------------------------------------------------------------------


def rows(room: Room) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in room.run("models")["models"]}


def test_each_row_says_whether_it_runs_and_why(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    row = rows(room)["mine"]
    assert (row["here"], row["chosen"], row["own"]) == (False, "the setting object_model", True)
    assert (row["megabytes"], row["disk_megabytes"], row["runs"]) == (1.0, 0.0, [])
    assert rows(room)["yolox-s"]["chosen"] == ""
    assert rows(room)["nudenet-320n"]["chosen"] == "always"
    assert row["page"] == ""
    assert rows(room)["nudenet-320n"]["page"] == "https://pypi.org/project/nudenet/"
    assert rows(room)["clip-vit-b32"]["page"] == (
        "https://huggingface.co/immich-app/ViT-B-32__openai"
    )
    room.run("pull_models", names=["mine"])
    row = rows(room)["mine"]
    assert (row["here"], row["disk_megabytes"]) == (True, 1.0)
    assert row["runs"] == [{"role": "network", "device": "cpu", "precision": "fp32"}]

    room.stash.configure_plugin("plugin", preset="fast")
    listed = room.run("models")
    found = {row["name"]: row["chosen"] for row in listed["models"]}
    assert listed["preset"] == "fast"
    assert found["yolox-s"] == found["clip-vit-b32"] == "the preset fast"
    assert found["mine"] == ""


@pytest.mark.parametrize(
    ("settings", "complaint", "runs"),
    [
        pytest.param(
            {"clip_model": "clip-vit-b23"},
            "Setting clip_model: There is no model called 'clip-vit-b23': choose one of"
            " clip-vit-b32, clip-vit-l14, clip-vit-b32-laion; clip-vit-b32 runs in its place.",
            {"clip-vit-b32": "the preset fast"},
            id="another runs",
        ),
        pytest.param(
            {"clip_model": "clip-vit-b23", "skip_labels": True},
            "; nothing runs in its place.",
            {"clip-vit-b32": ""},
            id="switched off",
        ),
        pytest.param(
            {"similarity_model": "yolox-s"},
            "Setting similarity_model: The model yolox-s is for objects, not for similarity: name"
            " another in the settings; nothing runs in its place.",
            {"yolox-s": "the preset fast", "dinov2-small": ""},
            id="for something else",
        ),
    ],
)
def test_a_setting_that_names_no_model_has_chosen_none(
    room: Room, settings: dict[str, object], complaint: str, runs: dict[str, str]
) -> None:
    room.stash.configure_plugin("plugin", preset="fast", **settings)
    listed = room.run("models", log=True)
    [said] = listed["complaints"]
    assert said.endswith(complaint)
    assert said in room.told.said("info")
    chosen = {row["name"]: row["chosen"] for row in listed["models"]}
    assert {name: chosen[name] for name in runs} == runs


def test_the_task_models_logs_plain_lines(room: Room, offer: Callable[..., None]) -> None:
    offer("mine", licence="CC-BY-NC-4.0", free=False)
    room.run("models")
    assert not room.told.lines
    room.stash.run_task("plugin", "Models")  # it is there
    room.run("models", log="true")
    lines = room.told.said("info")
    assert lines[0].startswith("Models: ")
    assert "Things with their places in the picture (objects)" in lines
    (mine,) = (line for line in lines if line.startswith("- mine: "))
    assert mine == (
        "- mine: 1 MB, not here; chosen: the setting object_model;"
        " CC-BY-NC-4.0 (not for every use); your own row. A network"
    )


def test_a_row_whose_package_is_not_installed_is_not_here_and_says_what_to_do(room: Room) -> None:
    text = OWN.replace("{path: own.onnx}", "{package: notthere, path: a.onnx}")
    room.engine.own_catalogue.write_text(text, "utf-8")
    listed = rows(room)
    assert len(listed) > 5
    assert (listed["own"]["here"], listed["own"]["disk_megabytes"]) == (False, 0.0)
    assert listed["nudenet-320n"]["lacks"] == ""
    room.run("models", log="true")
    (line,) = (each for each in room.told.said("info") if each.startswith("- own: "))
    assert "not here; " in line
    assert "package notthere, which is not installed: run the task Set up; your own row." in line
    (row,) = room.run("verify_models", names=["own"])["models"]
    assert "notthere, which is not installed" in row["error"]["message"]


@pytest.mark.parametrize(
    ("licence", "free", "told"),
    [
        ("MIT", True, "MIT (free for any use)"),
        ("Apache-2.0", True, "Apache-2.0 (free for any use)"),
        ("AGPL-3.0", True, "AGPL-3.0 (any use; share changes)"),
        ("LGPL-2.1", True, "LGPL-2.1 (any use; share changes)"),
        ("mine", True, "mine (any use, under its terms)"),
        ("MIT", False, "MIT (not for every use)"),
    ],
)
def test_the_list_calls_only_permissive_licences_free(
    room: Room, offer: Callable[..., None], licence: str, free: bool, told: str
) -> None:
    offer("mine", licence=licence, free=free)
    room.run("models", log="true")
    (line,) = (each for each in room.told.said("info") if each.startswith("- mine: "))
    assert f"; {told}; your own row." in line
    assert not [each for each in room.told.said("info") if "AGPL-3.0 (free" in each]


# --- Removing -----------------------------------------------------------------------------------


def test_what_is_removed_is_let_go_first_and_said_where_it_is_chosen(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine", "other")
    room.run("pull_models", names=["mine", "other"])
    assert room.engine.open_networks()
    mine, other = room.run("remove_models", names=["mine", "other"])["models"]
    assert not room.engine.open_networks()
    assert not is_here(room, "mine")
    assert mine["chosen"] == "the setting object_model"
    assert other["chosen"] == ""
    assert mine["megabytes"] == other["megabytes"] == 1.0
    (lack,) = room.told.said("warning")
    assert lack == (
        "Removed mine (1 MB); it is chosen (the setting object_model):"
        " scenes tagged meanwhile lack it"
    )
    assert room.told.said("info") == ["Removed other (1 MB)"]
    (again,) = room.run("remove_models", names=["mine"])["models"]
    assert again["files"] == []


def test_nothing_is_removed_where_one_of_them_cannot_be(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    room.run("pull_models", names=["mine"])
    for wrong in ("nudenet-320n", "no-such"):
        with pytest.raises(SettingsError):
            room.run("remove_models", names=["mine", wrong])
    with pytest.raises(SettingsError, match="No model is named"):
        room.run("remove_models")
    assert is_here(room, "mine")


OWN = """\
models:
  own:
    task: objects
    about: Mine
    licence: mine
    commercial: true
    words: things
    files: {network: {path: own.onnx}}
"""


def write_variant(source: Path, sha256: str, *, kept: bool = True) -> Path:
    """Write what we make of a network: its int8 variant and the record of that."""
    made = lighter.variant_path(source, "int8")
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(b"int8")
    record = lighter.Record("int8", kept, "", "0" * 64, sha256, 1.0, None, "", "")
    lighter.record_path(source, "int8").write_text(json.dumps(asdict(record)))
    return made


def test_of_ones_own_network_what_we_made_of_it_is_removed_and_all_else_stays(room: Room) -> None:
    room.engine.own_catalogue.write_text(OWN, "utf-8")
    own = doubling(room.engine.home / "own.onnx", ["batch", 3])
    with pytest.raises(SettingsError, match="are your own"):
        room.run("remove_models", names=["own"])
    theirs = write_variant(own, "0" * 64)
    models = room.engine.shelf().models
    base = models.base(models.catalogue.card("own"), "network")
    made = write_variant(base, "0" * 64)
    (row,) = room.run("remove_models", names=["own"])["models"]
    assert {Path(name).name for name in row["files"]} == {"own.int8.onnx", "own.int8.json"}
    assert row["left"] == [str(own)]
    assert not made.exists()
    assert not (models.folder / "own").exists()
    assert own.is_file()
    assert theirs.is_file()
    assert lighter.record_path(own, "int8").is_file()


def test_verify_checks_what_was_made_of_a_network(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    room.run("pull_models", names=["mine"])
    models = room.engine.shelf().models
    source = models.path(models.catalogue.card("mine"), "network")
    write_variant(source, hashlib.sha256(b"int8").hexdigest())
    (row,) = room.run("verify_models", names=["mine"])["models"]
    assert row["error"] is None
    assert row["lighter"] == ["int8"]
    write_variant(source, hashlib.sha256(b"other").hexdigest())
    (row,) = room.run("verify_models", names=["mine"])["models"]
    assert "mine.int8.onnx is not what was made of mine" in row["error"]["message"]


def test_verify_finds_a_byte_that_changed(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    room.run("pull_models", names=["mine"])
    models = room.engine.shelf().models
    path = models.path(models.catalogue.card("mine"), "network")
    verified = {row["name"]: row["error"] for row in room.run("verify_models")["models"]}
    assert verified == {"nudenet-320n": None, "mine": None}
    with path.open("r+b") as file:
        file.write(b"!")
    (row,) = room.run("verify_models", names=["mine"])["models"]
    assert "is not the file that mine names" in row["error"]["message"]


# --- Set up -------------------------------------------------------------------------------------


def test_set_up_ends_with_what_to_do_next(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    report = room.run("set_up")
    assert report == {"workflow_tags": ["TagMe", "Tagged", "Errored"], "models": {"mine": None}}
    assert last(room) == f"Ready: {OPEN}"


def test_set_up_is_done_without_a_network_that_does_not_come(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    site.statuses = [404]
    room.stash.configure_plugin("plugin", **WANTED, object_model="mine", tagme_tag="Look at me")
    assert "HTTP 404" in room.run("set_up")["models"]["mine"]
    assert last(room) == (
        "Ready, without mine; run Download models to fetch them. What is here works: "
        + OPEN.replace("TagMe", "Look at me")
    )
