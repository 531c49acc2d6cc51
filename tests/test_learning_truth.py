"""What counts as true, and which scenes are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.learning.truth import (
    NEAR_BITS,
    Marks,
    SceneTags,
    Tag,
    Truth,
    groups_of,
    tag_book,
)

HIS, TAG = "1", "2"


def scene(now: str = "", first: str = "", **more: str) -> SceneTags:
    """Tags by their digits; the user's own first tag makes the scene one tagged by hand."""
    return SceneTags(
        frozenset(HIS + now),
        frozenset(HIS + first),
        **{name: frozenset(ids) for name, ids in more.items()},
    )


@pytest.mark.parametrize(
    ("tags", "truth"),
    [
        pytest.param(scene(now=TAG, first=TAG), Truth.YES, id="given before our first look"),
        pytest.param(scene(), Truth.NO, id="never given"),
        pytest.param(scene(first=TAG), Truth.NO, id="taken away by the user"),
        pytest.param(scene(now=TAG), Truth.UNKNOWN, id="gained since"),
        pytest.param(scene(now=TAG, ours=TAG), Truth.NO, id="ours"),
        pytest.param(scene(ours=TAG), Truth.NO, id="ours, and taken away"),
        pytest.param(scene(now=TAG, first=TAG, ours=TAG), Truth.UNKNOWN, id="his, and ours later"),
        pytest.param(scene(accepted=TAG), Truth.YES, id="accepted"),
        pytest.param(scene(now=TAG, ours=TAG, accepted=TAG), Truth.YES, id="ours, and accepted"),
        pytest.param(scene(now=TAG, first=TAG, refused=TAG), Truth.NO, id="refused"),
    ],
)
def test_what_the_users_hand_tells(tags: SceneTags, truth: Truth) -> None:
    assert tags.truth(TAG) is truth


def test_a_scene_without_a_tag_by_hand_tells_what_was_said_alone() -> None:
    bare = SceneTags(frozenset(), frozenset(), accepted=frozenset({"3"}), refused=frozenset({"4"}))
    assert [bare.truth(tag) for tag in (TAG, "3", "4")] == [Truth.UNKNOWN, Truth.YES, Truth.NO]


def test_tags_are_found_by_name_before_alias_and_in_any_case() -> None:
    book = tag_book(
        [Tag("10", "Dog", ("Hound",)), Tag("9", "Canine", ("dog",)), Tag("3", "TagMe")],
        [" tagme ", "No such tag", "canine"],
    )
    assert book.id_of("DOG ") == "10"
    assert book.id_of("hound") == "10"
    assert book.id_of("wolf") is None
    assert book.not_counted == {"3", "9"}
    assert book.counted(["10", "9", "3"]) == {"10"}


def test_the_tree_is_without_what_does_not_count() -> None:
    book = tag_book([Tag("1", "Dog", (), ("2", "3")), Tag("2", "Ours"), Tag("3", "Pet")], ["Ours"])
    assert book.parents["1"] == ("3",)


# --- Scenes that are one --------------------------------------------------------------------------


def phash(value: int) -> Marks:
    return Marks(phashes=(f"{value:016x}",))


@pytest.mark.parametrize(
    ("scenes", "groups"),
    [
        pytest.param([Marks(("a",)), Marks(("b",)), Marks(("a",))], [0, 1, 0], id="one file"),
        pytest.param([phash(0xFF), phash(0xF0F), phash(0xFF)], [0, 1, 0], id="one hash"),
        pytest.param([phash(0xFF00), phash(0xFF0F)], [0, 0], id="four bits apart"),
        pytest.param([phash(0xFF00), phash(0xFF1F)], [0, 1], id="five bits apart"),
        pytest.param(
            [phash(0xFF00), phash(0xFFFF), phash(0xFF0F)], [0, 0, 0], id="near by way of another"
        ),
        pytest.param([phash(0), phash(0)], [0, 1], id="black pictures are all alike"),
        pytest.param([Marks(), Marks()], [0, 1], id="nothing known"),
        pytest.param([Marks(phashes=("no hash",)), Marks()], [0, 1], id="no hash"),
        pytest.param(
            [Marks(("a",), ("00000000000000ff",)), Marks(("b",)), Marks(("b",), ("ff",))],
            [0, 0, 0],
            id="by file and hash",
        ),
    ],
)
def test_copies_are_one_group(scenes: list[Marks], groups: list[int]) -> None:
    assert groups_of(scenes) == groups


@given(
    st.lists(
        st.tuples(st.integers(1, 2**64 - 1), st.lists(st.integers(0, 63), max_size=6)).map(
            lambda pair: [pair[0], pair[0] ^ sum({1 << bit for bit in pair[1]})]
        ),
        max_size=15,
    )
)
def test_groups_are_what_comparing_all_pairs_finds(pairs: list[list[int]]) -> None:
    values = [value for pair in pairs for value in pair]
    found = groups_of([phash(value) for value in values])
    wanted = list(range(len(values)))
    for _ in values:
        for one, first in enumerate(values):
            for other, second in enumerate(values):
                near = first and second and (first ^ second).bit_count() <= NEAR_BITS
                if near:
                    low = min(wanted[one], wanted[other])
                    wanted[one] = wanted[other] = low
    assert found == wanted


def test_many_hashes_with_a_part_alike_are_compared() -> None:
    """More than a few go by another way: all of these have their lowest bits alike."""
    far = [phash((number * 0x9E3779B97F4A7C15 % 2**50) << 13 | 1) for number in range(1, 60)]
    near = phash(int(far[7].phashes[0], 16) ^ (0b11 << 40))
    groups = groups_of([*far, near])
    assert groups == [*range(59), 7]
