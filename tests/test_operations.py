import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from graphql import build_client_schema, parse, validate

from demo.stash import LOCKED, Fault, StandIn, fake_file
from stash_sense_plugin.errors import StashRefused, StashUnauthorised
from stash_sense_plugin.records import Fingerprint
from stash_sense_plugin.stash import operations
from stash_sense_plugin.stash.client import Connection, Limits, StashClient
from stash_sense_plugin.stash.kinds import TagKind, find_all_called, find_called
from tests.plugin_folder import wait_until
from tests.stash_kit import empty
from tests.test_stand_in_faults import Clock

DOCUMENTS = {
    name: text
    for name, text in vars(operations).items()
    if name.isupper() and isinstance(text, str) and not name.startswith("_")
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("stash")) as running:
        yield running


@pytest.fixture
def stash(server: StandIn) -> StandIn:
    empty(server)
    return server


@pytest.fixture
def client(stash: StandIn) -> Iterator[StashClient]:
    connection = Connection.from_plugin(stash.connection)
    with StashClient(connection, limits=Limits(first_wait_s=0)) as ours:
        yield ours


# --- The documents ------------------------------------------------------------------------------


def test_every_document_is_one_that_stash_takes(reference: Path) -> None:
    answer = json.loads((reference / "stash_introspection.json").read_text("utf-8"))
    schema = build_client_schema(answer.get("data", answer))
    assert len(DOCUMENTS) > 20
    for name, text in DOCUMENTS.items():
        assert validate(schema, parse(text)) == [], name


def test_we_never_replace_a_list() -> None:
    assert not any("SET" in text.split() for text in DOCUMENTS.values())


def test_the_check_of_documents_finds_a_wrong_one(reference: Path) -> None:
    answer = json.loads((reference / "stash_introspection.json").read_text("utf-8"))
    schema = build_client_schema(answer.get("data", answer))
    assert validate(schema, parse("query A { findScene(id: 1) { custom_fields } }"))


# --- Scenes -------------------------------------------------------------------------------------


def test_a_scene_with_its_file(stash: StandIn, client: StashClient) -> None:
    file = fake_file("/lib/a.mp4")
    studio, tag = stash.add_studio("Northlight"), stash.add_tag("Beach")
    number = str(stash.add_scene("A walk", tags=[tag], studio=studio, file=file))
    [scene] = operations.scenes_by_ids(client, [number])
    assert (scene.id, scene.title, scene.path) == (number, "A walk", "/lib/a.mp4")
    assert scene.fingerprint == Fingerprint(file["oshash"], file["size"])
    assert scene.duration_s == file["duration"]
    assert scene.sprite_path == f"/scene/{file['oshash']}_sprite.jpg"
    assert scene.vtt_path == f"/scene/{file['oshash']}_thumbs.vtt"
    assert scene.tag_ids == {str(tag)}
    assert scene.studio_id == str(studio)


def test_a_scene_without_a_file_has_no_sprites(stash: StandIn, client: StashClient) -> None:
    [scene] = operations.scenes_by_ids(client, [str(stash.add_scene("Lost"))])
    assert (scene.path, scene.fingerprint, scene.duration_s) == ("", None, None)
    assert (scene.sprite_path, scene.vtt_path) == ("", "")


def test_scenes_come_by_tag_behind_an_id(stash: StandIn, client: StashClient) -> None:
    tag = stash.add_tag("TagMe")
    stash.add_scenes(3)
    tagged = [str(number) for number in stash.add_scenes(250, tags=[tag])]
    found = [scene.id for scene in operations.scenes_with_tag(client, str(tag))]
    assert found == tagged
    assert operations.count_with_tag(client, str(tag)) == 250
    behind = operations.scenes_with_tag(client, str(tag), after=tagged[99])
    assert [scene.id for scene in behind] == tagged[100:]


def test_a_library_is_listed_a_page_at_a_time(stash: StandIn, client: StashClient) -> None:
    tag = stash.add_tag("TagMe")
    stash.add_scenes(50_000, tags=[tag])
    stash.calls.clear()
    first = list(islice(operations.scenes_with_tag(client, str(tag)), 100))
    assert len(first) == 100
    assert stash.calls["findScenes"] == 1


def test_scenes_that_lose_the_tag_on_the_way_do_not_hide_others(
    stash: StandIn, client: StashClient
) -> None:
    tag = stash.add_tag("TagMe")
    numbers = stash.add_scenes(230, tags=[tag])
    seen = []
    for scene in operations.scenes_with_tag(client, str(tag)):
        stash.untag_scene(int(scene.id), tag)
        seen.append(int(scene.id))
    assert seen == list(numbers)


def test_scenes_without_a_tag(stash: StandIn, client: StashClient) -> None:
    done, other = stash.add_tag("Tagged"), stash.add_tag("Other")
    stash.add_scenes(2, tags=[done])
    open_ones = [*stash.add_scenes(120), *stash.add_scenes(1, tags=[other])]
    found = operations.scenes_without_tag(client, str(done))
    assert [int(scene.id) for scene in found] == open_ones
    assert operations.count_without_tag(client, str(done)) == 121


def test_scenes_with_any_tag_and_what_they_look_like(stash: StandIn, client: StashClient) -> None:
    tag = stash.add_tag("Seen")
    file = fake_file("/media/alike.mp4", phash="00ff00ff00ff00ff")
    tagged = str(stash.add_scene("Alike", tags=[tag], file=file))
    bare = str(stash.add_scene("Bare"))
    found = {scene.id: scene for scene in operations.scenes_with_any_tag(client)}
    assert bare not in found
    assert found[tagged].phashes == ("00ff00ff00ff00ff",)


def test_all_tags_with_what_is_above_them(stash: StandIn, client: StashClient) -> None:
    above = stash.add_tag("Above all")
    below = stash.add_tag("Below it", aliases=["Beneath"], parents=[above])
    found = {tag.id: tag for tag in operations.all_tags(client)}
    assert found[str(below)].parent_ids == (str(above),)
    assert found[str(below)].aliases == ("Beneath",)


def test_scenes_by_id_survive_missing_and_doubled_ids(stash: StandIn, client: StashClient) -> None:
    one, two = (str(number) for number in stash.add_scenes(2))
    found = operations.scenes_by_ids(client, [two, "999999999", one, two])
    assert [scene.id for scene in found] == [two, one]


def test_no_ids_ask_nothing(stash: StandIn, client: StashClient) -> None:
    stash.add_scenes(3)
    stash.calls.clear()
    assert operations.scenes_by_ids(client, []) == []
    assert operations.scene_states(client, []) == {}
    assert not stash.calls


def test_an_error_that_is_not_about_an_id_is_raised(stash: StandIn, client: StashClient) -> None:
    stash.fault("findScenes", Fault(error="no such table: scenes"))
    with pytest.raises(StashRefused, match="no such table"):
        operations.scenes_by_ids(client, ["1"])


def test_a_locked_database_is_waited_for(stash: StandIn, client: StashClient) -> None:
    tag, scene = str(stash.add_tag("Beach")), str(stash.add_scene("a"))
    stash.fault("bulkSceneUpdate", Fault(error=LOCKED, times=2))
    changed = operations.change_tags(client, [scene], tag, "ADD")[scene]
    assert changed.tag_ids == frozenset({tag})
    assert stash.calls["bulkSceneUpdate"] == 3


def test_a_marker_is_read_back(stash: StandIn, client: StashClient) -> None:
    tag, scene = str(stash.add_tag("Beach")), str(stash.add_scene("a"))
    made = operations.create_marker(client, scene, tag, 1.5, 4.25, "")
    assert (made.start_s, made.end_s, made.primary_tag_id) == (1.5, 4.25, tag)
    open_end = operations.create_marker(client, scene, tag, 7, None, "x")
    state = operations.scene_states(client, [scene])[scene]
    assert set(state.markers) == {made, open_end}
    assert open_end.end_s is None


def test_only_the_studio_is_changed(stash: StandIn, client: StashClient) -> None:
    tag = stash.add_tag("Beach")
    scene = str(stash.add_scene("Kept", tags=[tag], organized=True))
    studio = str(stash.add_studio("Northlight"))
    changed = operations.set_studio(client, scene, studio)
    assert changed is not None
    assert changed.studio_id == studio
    [now] = operations.scenes_by_ids(client, [scene])
    assert (now.title, now.tag_ids, now.studio_id) == ("Kept", frozenset({str(tag)}), studio)


# --- Tags and studios ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("Beach", "Beach", id="name"),
        pytest.param("  beach ", "Beach", id="another case and blanks"),
        pytest.param("Seaside", "Beach", id="alias"),
        pytest.param("SEASIDE", "Beach", id="alias in another case"),
        pytest.param("Be_ch", None, id="a wildcard is a character"),
        pytest.param("%", None, id="so is a percent sign"),
        pytest.param("100%", "100%", id="which may be in a name"),
        pytest.param('"', None, id="a quotation mark"),
        pytest.param("Beac", None, id="part of a name"),
        pytest.param("", None, id="nothing"),
        pytest.param("c++ (a|b) [1]^$ #.*\\", "C++ (a|b) [1]^$ #.*\\", id="all that has a meaning"),
        pytest.param("C", None, id="part of such a name"),
        pytest.param("Shore", "Shore", id="a name goes before another's alias"),
        pytest.param("\u00dcn\u00ef", "\u00dcn\u00ef", id="beyond ASCII"),
        pytest.param("\u00dcN\u00ef", "\u00dcn\u00ef", id="and another case within it"),
        pytest.param("\u00fcn\u00ef", None, id="another case beyond ASCII, for Stash another name"),
    ],
)
def test_a_tag_by_name_or_alias(
    stash: StandIn, client: StashClient, asked: str, found: str | None
) -> None:
    stash.add_tag("Beach", aliases=["Seaside"])
    for name in ("100%", "Shore", "\u00dcn\u00ef", "Beaches", "C++ (a|b) [1]^$ #.*\\"):
        stash.add_tag(name)
    tag = operations.find_tag(client, asked)
    assert (tag and tag.name) == found
    # So it is where many are asked for.
    together = operations.find_tags(client, [asked, "Beaches", "Nowhere"])
    assert together.pop("Beaches").name == "Beaches"
    assert together == ({asked.strip(): tag} if tag else {})


def test_a_tag_is_found_among_many_as_it_is_by_itself(stash: StandIn, client: StashClient) -> None:
    stash.add_tag("Strand")
    kinds = {"beach": TagKind(aliases=(" strand ",))}
    for name in (" Strand ", "Beach", "Dune"):
        alone = find_called(client, name, kinds)
        together = find_all_called(client, [name], kinds)
        assert together == ({} if alone is None else {name: alone[0]})
    assert alone is None


def test_many_tags_are_asked_for_at_once(stash: StandIn, client: StashClient) -> None:
    names = [f"Tag {number}" for number in range(150)]
    for number, name in enumerate(names):
        stash.add_tag(f"Own {number}", aliases=[name])
    found = operations.find_tags(client, [*names, *names, " "])
    own = {name: f"Own {number}" for number, name in enumerate(names)}
    assert {name: tag.name for name, tag in found.items()} == own
    assert stash.calls["findTags"] == 2
    assert operations.find_tags(client, []) == {}


def test_tags_by_ids_without_those_that_are_gone(stash: StandIn, client: StashClient) -> None:
    ids = [str(stash.add_tag(f"Tag {number}")) for number in range(230)]
    found = operations.tags_by_ids(client, [*ids, *ids])
    assert [found[each].name for each in ids] == [f"Tag {number}" for number in range(230)]
    assert stash.calls["findTags"] == 3
    stash.remove_tag(int(ids[150]))
    assert operations.tags_by_ids(client, ids).keys() == {*ids} - {ids[150]}
    assert operations.tags_by_ids(client, []) == {}


def test_what_would_be_lost_with_a_tag(stash: StandIn, client: StashClient) -> None:
    tag = stash.add_tag("Beach")
    [scene, _] = stash.add_scenes(2, tags=[tag])
    stash.add_tag("Dune", parents=[tag])
    operations.create_marker(client, str(scene), str(tag), 1.0, None, "")
    use = operations.tag_use(client, str(tag))
    assert use is not None
    assert {what: count for what, count in use.counts.items() if count} == {
        "scenes": 2,
        "markers": 1,
        "children": 1,
    }
    assert not use.has_more
    assert operations.tag_use(client, "999999") is None


def test_a_tag_of_ours_is_left_alone_by_auto_tag(stash: StandIn, client: StashClient) -> None:
    parent = operations.create_tag(client, "Stash Sense")
    tag = operations.create_tag(client, "Beach", [parent.id])
    assert tag.ignore_auto_tag
    assert tag.parent_ids == (parent.id,)
    assert parent.parent_ids == ()
    assert operations.tag_by_id(client, tag.id) == tag
    assert operations.tag_by_id(client, "999999999") is None
    assert operations.newest_tag_id(client) == int(tag.id)


def test_all_studios_with_their_aliases(stash: StandIn, client: StashClient) -> None:
    stash.add_studio("Northlight", aliases=["NL"])
    for number in range(501):
        stash.add_studio(f"Studio {number}")
    found = list(operations.studios(client))
    assert len({studio.id for studio in found}) == len(found) == 502
    assert (found[0].name, found[0].aliases) == ("Northlight", ("NL",))
    assert operations.studio_by_id(client, found[0].id) == found[0]
    assert operations.studio_by_id(client, "999999999") is None


# --- Stash itself -------------------------------------------------------------------------------


def test_settings_of_a_plugin(stash: StandIn, client: StashClient) -> None:
    assert operations.plugin_settings(client, "stash-sense") == {}
    stash.configure_plugin("stash-sense", markers=True, frames=30)
    stash.configure_plugin("other", a=1)
    found = operations.plugin_settings(client, "stash-sense")
    assert found == {"markers": True, "frames": 30}


def test_which_stash_this_is(stash: StandIn, client: StashClient) -> None:
    found = operations.system(client)
    assert found.status == "OK"
    assert found.version
    assert found.database_path.startswith(str(stash.settings.folder))


def test_the_folders_of_the_library(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    with (
        StandIn(tmp_path / "stash", media=media) as stash,
        StashClient(Connection.from_url(stash.url)) as client,
    ):
        assert operations.library_folders(client) == (str(media),)


@pytest.mark.parametrize(
    ("type_name", "field", "there"),
    [
        ("SceneUpdateInput", "studio_id", True),
        ("Scene", "title", True),
        ("Scene", "no_such_field", False),
        ("NoSuchType", "title", False),
    ],
)
def test_what_this_stash_can_is_asked(
    client: StashClient, type_name: str, field: str, there: bool
) -> None:
    assert operations.has_field(client, type_name, field) is there


def test_a_task_is_put_into_the_queue(stash: StandIn, client: StashClient) -> None:
    number = operations.run_task(client, "no-such-plugin", "Tag scenes", {"ids": ["1"]})
    stash.state.jobs.wait_until_idle(10)
    job = stash.state.jobs.find(int(number))
    assert job is not None
    assert "no plugin with ID no-such-plugin" in (job.error or "")


def test_a_plugin_is_found_by_its_name(tmp_path: Path) -> None:
    with StandIn(tmp_path / "stash") as stash:
        for name, title in (("other", "Other"), ("renamed.by.user", "Stash Sense")):
            folder = stash.settings.plugins_path / name
            folder.mkdir()
            (folder / f"{name}.yml").write_text(f"name: {title}\n", "utf-8")
        with StashClient(Connection.from_url(stash.url)) as client:
            assert operations.plugin_called(client, "Stash Sense") is None
            stash.state.plugins.reload()
            assert operations.plugin_called(client, "Stash Sense") == "renamed.by.user"
            assert operations.plugin_called(client, "Nobody's") is None


# --- Logins -------------------------------------------------------------------------------------


def test_a_plugin_gets_in_by_its_cookie_and_stays_in_by_the_key(tmp_path: Path) -> None:
    secured = StandIn(tmp_path / "stash", credentials=("me", "secret"), api_key="the-key")
    with secured as stash, StashClient(Connection.from_url(stash.url, cookie="dead")) as client:
        with pytest.raises(StashUnauthorised):
            operations.system(client)
        client.remember_key("the-key")
        assert operations.system(client).status == "OK"


def test_a_key_is_taken_before_the_cookie_dies(tmp_path: Path) -> None:
    clock = Clock()
    secured = StandIn(
        tmp_path / "stash",
        credentials=("me", "secret"),
        api_key="the-key",
        max_session_age_s=4,
        clock=clock,
    )
    with (
        secured as stash,
        StashClient(Connection.from_plugin(stash.connection)) as client,
        operations.signed_in(client),
    ):
        clock.now += 5
        assert operations.system(client).status == "OK"


def test_without_a_key_the_cookie_is_kept_alive_through_a_long_silence(tmp_path: Path) -> None:
    clock = Clock()
    secured = StandIn(
        tmp_path / "stash", credentials=("me", "secret"), max_session_age_s=4, clock=clock
    )
    with secured as stash, StashClient(Connection.from_plugin(stash.connection)) as client:
        with operations.signed_in(client):
            clock.now += 3
            before = stash.calls["systemStatus"]
            # One may have been on its way before: the answer to the second is here with the third.
            wait_until(lambda: stash.calls["systemStatus"] >= before + 3, "nobody keeps it alive")
            clock.now += 3
            assert operations.system(client).status == "OK"
        clock.now += 5
        with pytest.raises(StashUnauthorised):
            operations.system(client)


def test_an_open_stash_needs_nothing_to_stay_in(client: StashClient) -> None:
    with operations.signed_in(client):
        assert operations.system(client).status == "OK"
