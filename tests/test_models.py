"""Set up and Download models: what is fetched, and what is said before and at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stash import StandIn
from stash_sense_plugin.errors import Cancelled, ModelMissing
from stash_sense_plugin.tasks import MODES, Call
from tests.file_site import CONTENT, SHA256, Site, open_site
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
SIZE = f", bytes: {len(CONTENT)}"
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


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as running:
        yield running


@pytest.fixture
def offer(room: Room, site: Site) -> Callable[..., None]:
    """Adds a row for each named network, which the site has; only objects are wanted."""

    def add(*names: str, licence: str = "MIT", free: bool = True, size: str = SIZE) -> None:
        rows = "".join(
            ROW.format(name=name, licence=licence, free=str(free).lower(), url=site.url,
                       sha256=SHA256, size=size)
            for name in names
        )  # fmt: skip
        room.engine.own_catalogue.write_text(f"models:\n{rows}", "utf-8")
        room.stash.configure_plugin("plugin", skip_labels=True, object_model=names[0])

    return add


def is_here(room: Room, name: str) -> bool:
    models = room.engine.shelf().models
    return models.has(models.catalogue.card(name))


def also(room: Room, name: str, url: str) -> None:
    """Add a row for a network that takes words."""
    with room.engine.own_catalogue.open("a", encoding="utf-8") as file:
        file.write(WORDS.format(name=name, url=url, sha256=SHA256))


def last(room: Room) -> str:
    return room.told.lines[-1][1]


# --- Download models ----------------------------------------------------------------------------


def test_sizes_and_hosts_are_said_before_anything_is_fetched(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    assert room.run("download_models") == {"models": {"mine": None}}
    host = site.url.removeprefix("http://")
    assert room.told.said("info") == [
        f"mine: 1 MB from {host}; licence MIT",
        "mine: fetching mine.onnx (1 MB)",
        f"Connecting to {host}",
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
    room.configure()
    assert room.run("download_models") == {"models": {}}
    assert last(room) == "Nothing to fetch: labels and objects are switched off"


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
    told = "mine could not be fetched: run Download models again: it goes on from there"
    assert str(caught.value) == told
    assert "HTTP 404" in room.told.said("warning")[0]


def test_a_network_that_does_not_come_keeps_no_other_away(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine")
    also(room, "words", site.url)
    site.statuses = [404]
    room.stash.configure_plugin("plugin", clip_model="words", object_model="mine")
    with pytest.raises(ModelMissing, match=r"Fetched mine \(1 MB\); words could not be fetched"):
        room.run("download_models")
    assert is_here(room, "mine")
    assert "words: of unknown size from 127.0.0.1:" in room.told.said("info")[0]


def test_a_licence_with_conditions_is_for_the_user_to_accept_by_name(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("yolox-s", licence="CC-BY-NC-4.0", free=False)
    room.stash.configure_plugin("plugin", skip_labels=True)
    report = room.run("download_models")
    assert "CC-BY-NC-4.0" in report["models"]["yolox-s"]
    assert "name it in the settings" in room.told.said("warning")[0]
    assert last(room) == "yolox-s left out for the licence"
    assert not site.asked

    room.stash.configure_plugin("plugin", skip_labels=True, object_model="yolox-s")
    assert room.run("download_models") == {"models": {"yolox-s": None}}
    assert "licence CC-BY-NC-4.0, which does not allow every use" in room.told.said("info")[0]


def test_without_a_stash_the_defaults_are_fetched(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("yolox-s")
    room.engine.settings = room.engine.defaults
    also(room, "clip-vit-b32", site.url)
    told = Told()
    report = MODES["download_models"].run(room.engine, Call({}), told)
    assert report == {"models": {"clip-vit-b32": None, "yolox-s": None}}
    assert told.lines[-1][1] == "Fetched clip-vit-b32 and yolox-s (1 MB)"
    assert told.fractions == sorted(told.fractions)
    assert told.fractions[-1] == 1.0


def test_a_model_by_name_says_its_licence_too(
    room: Room, site: Site, offer: Callable[..., None]
) -> None:
    offer("mine", licence="AGPL-3.0")
    (row,) = room.run("pull_models", names=["mine"])["models"]
    assert row["here"]
    assert room.told.said("info")[0].endswith("; licence AGPL-3.0")


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
    room.stash.configure_plugin(
        "plugin", skip_labels=True, object_model="mine", tagme_tag="Look at me"
    )
    assert "HTTP 404" in room.run("set_up")["models"]["mine"]
    assert last(room) == (
        "Ready, without mine; run Download models to fetch them. What is here works: "
        + OPEN.replace("TagMe", "Look at me")
    )
