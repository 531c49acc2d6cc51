"""Text on screen against the user's studios: what names one, and how sure that is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.identity.studio import StudioName, match_studios
from stash_sense_plugin.records import Box, Decision, Observation, ReadText

NORTHLIGHT = StudioName("7", "Northlight Studio", ("NLS",))
OTHERS = (
    StudioName("1", "Brightwater Films"),
    StudioName("2", "VIP"),
    StudioName("3", "Studio"),
    StudioName("4", "Café Rouge Média"),
    StudioName("5", "Alpine"),
)
STUDIOS = (NORTHLIGHT, *OTHERS)
CORNER = Box(0.8, 0.9, 0.15, 0.05)
TIMES = [5.0, 15.0, 25.0, 35.0]


def read(time_s: float, text: str, box: Box | None = CORNER, score: float = 0.95) -> Observation:
    return Observation("s", 0, time_s, "text", "ocr@1", "text", score, box, text)


def named(text: str, times: list[float] | None = None) -> dict[str, Decision]:
    """What is suggested when a text stands in one place at all times."""
    seen = [read(time, text) for time in times or TIMES]
    return {s.name: s.decision for s in match_studios(seen, STUDIOS, TIMES, 40)}


@pytest.mark.parametrize(
    "text",
    [
        "Northlight Studio",
        "NORTHLIGHTSTUDIO",
        "N O R T H L I G H T  S T U D I O",
        "NORTHLIGHT STUDI0",
        "Northlight Studios",
        "www.northlightstudio.com",
        "https://northlightstudio.co.uk/join?x=1",
        "@NorthlightStudio",
        "© Northlight Studio 2024",
        "\uff2e\uff4f\uff52\uff54\uff48\uff4c\uff49\uff47\uff48\uff54 Studio",
        "NORTHLIGHT",
    ],
)
def test_a_watermark_names_its_studio(text: str) -> None:
    assert named(text) == {"Northlight Studio": Decision.APPLY}


@pytest.mark.parametrize(
    ("text", "studio"),
    [
        pytest.param("NLS", "Northlight Studio", id="an alias"),
        pytest.param("CAFE ROUGE MEDIA", "Café Rouge Média", id="accents"),
        pytest.param("vip", "VIP", id="a short name, whole"),
        pytest.param("Studio", "Studio", id="a name of common words, whole"),
    ],
)
def test_other_names(text: str, studio: str) -> None:
    assert list(named(text)) == [studio]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("viper", id="a short name inside a word"),
        pytest.param("VIQ", id="a short name misread"),
        pytest.param("Sunset Studio", id="only the common word"),
        pytest.param("alpina", id="a name too short to be misread"),
        pytest.param("Bathroom tour part 2", id="another text"),
        pytest.param("!!! ...", id="no letters"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_names_nobody(text: str) -> None:
    assert named(text) == {}


def test_one_frame_is_a_question() -> None:
    (found,) = match_studios([read(5, "Northlight Studio")], STUDIOS, TIMES, 40, apply=0.5)
    assert found.decision is Decision.ASK


def test_a_picture_is_a_question() -> None:
    (found,) = match_studios([read(0, "Northlight Studio")], STUDIOS, [0.0], None)
    assert (found.decision, found.ranges) == (Decision.ASK, ())


def test_a_word_among_others_is_never_applied() -> None:
    """Subtitles stand in one place, too, and repeat words that are names somewhere."""
    seen = [read(t, "we went to the alpine hut and stayed there") for t in TIMES]
    decisions = {s.decision for s in match_studios(seen, STUDIOS, TIMES, 40)}
    assert Decision.APPLY not in decisions


def test_place_and_repetition_make_it_surer() -> None:
    def confidence(seen: list[Observation]) -> float:
        (found,) = match_studios(seen, STUDIOS, TIMES, 40)
        return found.confidence

    text = "Northlight Studio"
    once = confidence([read(5, text)])
    about = [Box(0.1 * i, 0.2 * i, 0.1, 0.05) for i in range(4)]
    moving = confidence([read(t, text, box) for t, box in zip(TIMES, about, strict=True)])
    staying = confidence([read(t, text) for t in TIMES])
    assert once < moving < staying


def test_repeated_in_one_frame_counts_once() -> None:
    seen = [read(5, "Northlight Studio"), read(5, "Northlight Studio", Box(0, 0, 0.1, 0.1))]
    (found,) = match_studios(seen, STUDIOS, TIMES, 40)
    assert (found.decision, len(found.evidence)) == (Decision.ASK, 1)


def test_equally_good_studios_are_both_asked_about() -> None:
    twin = StudioName("8", "NorthLight", ("Northlight Studio",))
    seen = [read(t, "NORTHLIGHT STUDIO") for t in TIMES]
    found = match_studios(seen, [NORTHLIGHT, twin], TIMES, 40)
    assert [(s.target_id, s.decision) for s in found] == [("8", Decision.ASK), ("7", Decision.ASK)]


def test_the_longer_name_wins_its_own_text() -> None:
    part = StudioName("8", "Northlight Studio Europe")
    seen = [read(t, "Northlight Studio Europe") for t in TIMES]
    (found,) = match_studios(seen, [NORTHLIGHT, part], TIMES, 40)
    assert (found.target_id, found.decision) == ("8", Decision.APPLY)


def test_a_scene_has_one_studio() -> None:
    seen = [read(t, "Northlight Studio") for t in TIMES]
    seen += [read(t, "Brightwater Films", Box(0, 0, 0.1, 0.1)) for t in TIMES]
    found = match_studios(seen, STUDIOS, TIMES, 40)
    assert {s.decision for s in found} == {Decision.ASK}


def test_a_suggestion_says_why_and_when() -> None:
    stood = [
        ReadText("NORTHLIGHT STUDIO", 0, 12, 0.9),
        ReadText("NORTHLIGHT STUDIO", 10, 20, 0.95),
        ReadText("The end", 20, 40, 0.9),
        ReadText("NORTHLIGHTSTUDIO", 30, 99, 0.8),
    ]
    seen = [read(float(t), "NORTHLIGHT STUDIO") for t in range(20)]
    (found,) = match_studios(seen, STUDIOS, [float(t) for t in range(20)], 40, stood)
    assert (found.kind, found.target_id, found.label) == ("studio", "7", "NORTHLIGHT STUDIO")
    assert [(r.start_s, r.end_s) for r in found.ranges] == [(0, 20), (30, 40)]
    assert [e.time_s for e in found.evidence] == [0, 5, 10, 14, 19]
    assert all(e.box == CORNER and e.text == "NORTHLIGHT STUDIO" for e in found.evidence)


def test_thresholds_are_the_callers() -> None:
    seen = [read(t, "Northlight Studio") for t in TIMES]
    (asked,) = match_studios(seen, STUDIOS, TIMES, 40, apply=1.0)
    (hidden,) = match_studios([read(5, "Northlight Studio")], STUDIOS, TIMES, 40, ask=0.99)
    assert (asked.decision, hidden.decision) == (Decision.ASK, Decision.HIDE)


def test_thousands_of_studios_and_walls_of_text() -> None:
    """A hostile screen costs no more than its first letters, and names at most a few."""
    rng = random.Random(1)
    many = [StudioName(str(i), f"{rng.random():.9f} works") for i in range(2000)]
    walls = [read(float(i), "northlight studio " * 5000) for i in range(5)]
    noise = [read(float(i), "".join(rng.choices("abcd efgh", k=300))) for i in range(200)]
    found = match_studios([*walls, *noise], [*many, NORTHLIGHT], TIMES, 40)
    assert len(found) <= 5
    assert all(len(s.label) <= 200 for s in found)


names = st.text(max_size=20) | st.sampled_from(["Northlight", "northlight studio", "NLS", "VIP"])
boxes = st.sampled_from([None, CORNER, Box(0, 0, 0.1, 0.1)])


@given(
    st.lists(st.builds(read, st.sampled_from(TIMES), names, boxes), max_size=8),
    st.lists(st.builds(StudioName, st.uuids().map(str), names), max_size=5),
    st.randoms(use_true_random=False),
)
def test_order_means_nothing_and_confidence_is_a_probability(
    seen: list[Observation], studios: list[StudioName], rng: random.Random
) -> None:
    shuffled, others = list(seen), list(studios)
    rng.shuffle(shuffled)
    rng.shuffle(others)
    found = match_studios(seen, studios, TIMES, 40)
    assert {(s.target_id, s.confidence, s.decision) for s in found} == {
        (s.target_id, s.confidence, s.decision) for s in match_studios(shuffled, others, TIMES, 40)
    }
    assert all(0 <= s.confidence <= 1 for s in found)
    assert sum(s.decision is Decision.APPLY for s in found) <= 1
