"""Which networks run, by what the machine has and what the user named."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stash_sense_plugin.inference.catalogue import (
    Catalogue,
    ModelCard,
    Preset,
    Task,
    load_catalogue,
)
from stash_sense_plugin.settings import CHOICES, NO_MODEL, Settings
from stash_sense_plugin.start import environment, gpu
from stash_sense_plugin.tasks.hardware import Here, nvidia_memory_bytes
from stash_sense_plugin.tasks.presets import (
    ALSO_TASKS,
    CHOSEN_FOR,
    MODEL_SETTINGS,
    OWN,
    Hardware,
    choose,
    resolved,
    usable,
    waiting,
    wanted,
)
from tests.conftest import ROOT

GB = 1 << 30
SMALL = Hardware(cpus=2, memory_bytes=4 * GB)
MIDDLE = Hardware(cpus=8, memory_bytes=16 * GB)
LARGE = Hardware(cpus=8, memory_bytes=32 * GB, gpu_memory_bytes=24 * GB)
WORKSHOP = replace(LARGE, can_export=True)

FILES: Mapping[Task, tuple[str, ...]] = {
    "clip": ("visual", "textual", "tokenizer"),
    "text": ("rec",),
}
EXPORT: dict[str, object] = {"by": "timm", "model": "vit"}


def row(name: str, task: Task, *presets: Preset, **more: Any) -> ModelCard:
    """A row of a catalogue; `made` says that its network is made here."""
    roles = FILES.get(task, ("network",))
    made = more.pop("made", False)
    files: dict[str, object] = {role: {"path": f"{name}-{role}"} for role in roles}
    if made:
        files = {role: {"made": f"{role}.onnx"} for role in roles}
        files["weights"] = {"url": "https://a.example/w.safetensors"}
        more["export"] = EXPORT
    if task in ("objects", "tagger", "classifier"):
        more |= {"words": "toy", "classes": ("thing",)}
    facts = {"about": "A network", "licence": "MIT", "commercial": True} | more
    told = {"name": name, "task": task, "presets": presets, "files": files}
    return ModelCard.model_validate(told | facts)


def catalogue(*rows: ModelCard) -> Catalogue:
    return Catalogue({card.name: card for card in rows})


BASE = (
    row("clip-vit-b32", "clip", "fast", "balanced"),
    row("yolox-s", "objects", "fast", "balanced"),
    row("nudenet-320n", "objects"),
    row("joytag", "tagger", "balanced", "accurate"),
    row("nsfwjs", "classifier"),
    row("dinov2", "similarity"),
    row("text-en", "text"),
)
ACCURATE = (
    row("clip-l14", "clip", "accurate", suits="gpu"),
    row("yolo11m", "objects", "accurate", made=True, licence="AGPL-3.0"),
)
PLAIN = catalogue(*BASE)
FULL = catalogue(*BASE, *ACCURATE)


# --- auto ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hardware", "preset"),
    [
        pytest.param(SMALL, "fast", id="two cores and little memory"),
        pytest.param(Hardware(3, 64 * GB), "fast", id="three cores"),
        pytest.param(Hardware(16, 5 * GB), "fast", id="five gigabytes"),
        pytest.param(Hardware(4, 6 * GB), "balanced", id="just enough"),
        pytest.param(Hardware(4, 6 * GB - 300_000_000), "balanced", id="6 GB less the kernel's"),
        pytest.param(Hardware(4, 0), "balanced", id="memory that nobody tells"),
        pytest.param(MIDDLE, "balanced", id="a usual machine"),
        pytest.param(LARGE, "accurate", id="a large card"),
        pytest.param(Hardware(2, 8 * GB, 6_214_000_000), "accurate", id="a card sold as 6 GB"),
        pytest.param(Hardware(8, 16 * GB, 4 * GB), "balanced", id="a small card"),
        pytest.param(Hardware(8, 4 * GB, 24 * GB), "fast", id="a card in a starved container"),
    ],
)
def test_auto_goes_by_the_machine(hardware: Hardware, preset: str) -> None:
    assert choose(Settings(), hardware, FULL).preset == preset


def test_auto_says_what_it_chose_and_why() -> None:
    assert choose(Settings(), MIDDLE, PLAIN).why == (
        "auto chose balanced: 8 processor cores, 16 GB of memory, no graphics card that can be"
        " used; joytag names acts and clothing"
    )
    assert choose(Settings(), Hardware(1, 0), PLAIN).why == (
        "auto chose fast: 1 processor core, memory unknown, no graphics card that can be used"
        " (balanced wants 4 cores and 6 GB); no model for acts and clothing"
    )
    assert choose(Settings(), WORKSHOP, FULL).why == (
        "auto chose accurate: 8 processor cores, 32 GB of memory, a graphics card with 24 GB;"
        " joytag names acts and clothing"
    )


def test_a_card_that_the_user_does_not_want_is_none() -> None:
    chosen = choose(Settings(device="cpu"), WORKSHOP, FULL)
    assert (chosen.preset, chosen.models["clip_model"]) == ("balanced", "clip-vit-b32")
    assert "the graphics card not used" in chosen.why


# --- A preset -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "hardware", "models"),
    [
        pytest.param("fast", LARGE, ("clip-vit-b32", "yolox-s", NO_MODEL), id="fast"),
        pytest.param("balanced", SMALL, ("clip-vit-b32", "yolox-s", "joytag"), id="balanced"),
        pytest.param("accurate", WORKSHOP, ("clip-l14", "yolo11m", "joytag"), id="accurate"),
        pytest.param("accurate", LARGE, ("clip-l14", "yolox-s", "joytag"), id="no extras"),
        pytest.param("accurate", SMALL, ("clip-vit-b32", "yolox-s", "joytag"), id="no card"),
    ],
)
def test_a_preset_fills_what_the_user_left_empty(
    preset: str, hardware: Hardware, models: tuple[str, ...]
) -> None:
    chosen = choose(Settings(preset=preset), hardware, FULL)
    assert tuple(chosen.models[each] for each in CHOSEN_FOR) == models
    assert chosen.preset == preset
    assert chosen.why.startswith(f"{preset}, as the settings say")


def test_what_a_preset_cannot_have_is_said_with_what_runs_instead() -> None:
    why = choose(Settings(preset="accurate"), MIDDLE, FULL).why
    assert "clip-l14 needs a graphics card; clip-vit-b32 runs instead" in why
    assert "yolo11m needs the task Set up extras; yolox-s runs instead" in why


def test_a_network_that_was_made_before_needs_no_extras() -> None:
    chosen = choose(Settings(preset="accurate"), LARGE, FULL, here={"yolo11m"})
    assert chosen.models["object_model"] == "yolo11m"


def test_a_licence_with_conditions_is_first_accepted_by_its_name() -> None:
    bound = row("best", "tagger", "balanced", licence="CC-BY-NC-4.0", commercial=False)
    rows = catalogue(bound, *BASE)

    def tagger(settings: Settings, **more: Any) -> str:
        return choose(settings, MIDDLE, rows, **more).models["tagger_model"]

    told = choose(Settings(), MIDDLE, rows).why
    assert "best waits until you accept its licence, 'CC-BY-NC-4.0'; joytag names" in told
    assert tagger(Settings()) == "joytag"
    assert tagger(Settings(accept_licences="MIT, cc-by-nc-4.0")) == "best"
    assert tagger(Settings(), accepted={"CC-BY-NC-4.0"}) == "best"
    assert tagger(Settings(), here={"best"}) == "best"
    assert tagger(Settings(tagger_model="best")) == "best"


def test_what_the_user_named_wins_for_its_own_task() -> None:
    named = Settings(clip_model="clip-l14", tagger_model="nsfwjs", text_language="text-en")
    chosen = choose(named, SMALL, FULL)
    assert chosen.models == {
        "clip_model": "clip-l14",
        "object_model": "yolox-s",
        "tagger_model": "nsfwjs",
        "similarity_model": "",
        "text_language": "text-en",
    }
    assert "you chose nsfwjs for acts and clothing" in chosen.why
    assert resolved(named, chosen) == replace(named, object_model="yolox-s")


def test_no_tagger_is_a_choice() -> None:
    chosen = choose(Settings(tagger_model=NO_MODEL), MIDDLE, FULL)
    assert chosen.models["tagger_model"] == NO_MODEL
    assert "you chose no model for acts and clothing" in chosen.why


def test_a_row_of_the_users_own_goes_before_ours_of_the_same_preset() -> None:
    own = row("mine", "objects", "fast").model_copy(update={"overlaid": True})
    assert choose(Settings(), SMALL, catalogue(*BASE, own)).models["object_model"] == "mine"


def test_where_no_row_is_of_a_preset_ours_run_and_at_last_what_is_always_here() -> None:
    rows = [row("clip-vit-b32", "clip"), row("yolox-s", "objects"), row("nudenet-320n", "objects")]
    assert choose(Settings(), MIDDLE, catalogue(*rows)).models["object_model"] == "yolox-s"
    bound = row("yolox-s", "objects", licence="none stated", commercial=False)
    chosen = choose(Settings(), MIDDLE, catalogue(rows[0], bound, rows[2]))
    assert chosen.models["object_model"] == "nudenet-320n"
    assert "nudenet-320n runs instead" in chosen.why


def test_our_own_catalogue_has_something_for_every_machine() -> None:
    ours = load_catalogue(ROOT / "models" / "catalogue.yaml")
    for preset in CHOICES["preset"]:
        for hardware in (SMALL, MIDDLE, LARGE, WORKSHOP):
            chosen = choose(Settings(preset=preset), hardware, ours)
            assert chosen.models["clip_model"], (preset, hardware)
            assert chosen.models["object_model"], (preset, hardware)


# --- What cannot be used ------------------------------------------------------------------------


def said(settings: Settings) -> list[str]:
    kept, unusable = usable(settings, FULL)
    return [each.said(resolved(kept, choose(kept, MIDDLE, FULL))) for each in unusable]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(
            Settings(tagger_model="joytak"),
            [
                "tagger_model: There is no model called 'joytak'",
                "joytag",
                "; joytag runs in its place.",
            ],
            id="near one",
        ),
        pytest.param(
            Settings(similarity_model="clip-l14"),
            [
                "similarity_model: The model clip-l14 is for clip, not for sim",
                "; nothing runs in its place.",
            ],
            id="another task",
        ),
        pytest.param(
            Settings(also_models="yolo11m, clip-l14"),
            ["clip-l14 is for clip, not for objects or tagger or classifier", "the others run."],
            id="also something else",
        ),
        pytest.param(
            Settings(also_models="yolo11m, yolo11m, nsfwjs, yolo11m"),
            ["also_models: yolo11m stands there twice, and runs once."],
            id="twice",
        ),
        pytest.param(
            Settings(accept_licences="GPL-9"),
            ["accept_licences: no model has the licence 'gpl-9'; none has to be."],
            id="a licence of none",
        ),
    ],
)
def test_a_name_that_cannot_be_meant_is_said_once(settings: Settings, words: list[str]) -> None:
    (sentence,) = said(settings)
    assert all(each in sentence for each in words), sentence


def test_what_can_be_used_of_a_list_stays() -> None:
    kept, _ = usable(Settings(also_models="yolo11m,nobody,nsfwjs,yolo11m"), FULL)
    assert kept.also_names == ("yolo11m", "nsfwjs")
    kept, unusable = usable(Settings(tagger_model=NO_MODEL, also_models="nsfwjs"), FULL)
    assert (kept, unusable) == (Settings(tagger_model=NO_MODEL, also_models="nsfwjs"), [])


# --- What runs ----------------------------------------------------------------------------------


def test_each_network_that_runs_is_known_with_the_setting_that_names_it() -> None:
    settings = Settings(
        also_models="nsfwjs, yolo11m, joytag", similarity_model="dinov2", text_language="text-en"
    )
    whole = resolved(settings, choose(settings, MIDDLE, FULL))
    assert wanted(whole, FULL) == {
        "clip-vit-b32": "clip_model",
        "yolox-s": "object_model",
        "joytag": "tagger_model",
        "dinov2": "similarity_model",
        "text-en": "text_language",
        "nsfwjs": "also_models",
        "yolo11m": "also_models",
    }
    nothing = replace(whole, skip_labels=True, skip_objects=True, skip_acts=True, skip_text=True)
    assert wanted(nothing, FULL) == {"dinov2": "similarity_model"}


# --- Whatever there is --------------------------------------------------------------------------

NAMES = st.sampled_from(["clip-vit-b32", "yolox-s", "nudenet-320n", "a", "b", "c", "none"])
PRESETS = st.lists(st.sampled_from(get_args(Preset)), max_size=3, unique=True)
ROWS = st.builds(
    lambda name, task, presets, **more: row(name, task, *presets, **more),
    NAMES,
    st.sampled_from(get_args(Task)),
    PRESETS,
    suits=st.sampled_from(["any", "gpu"]),
    licence=st.sampled_from(["MIT", "CC-BY-NC-4.0", "a\nb"]),
    commercial=st.booleans(),
    made=st.booleans(),
    overlaid=st.booleans(),
)
MACHINES = st.builds(
    Hardware,
    st.integers(0, 512),
    st.integers(0, 1 << 45),
    st.none() | st.integers(0, 1 << 40),
    st.booleans(),
)
WISHES = st.builds(
    Settings,
    **{name: st.just("") | NAMES | st.text(max_size=20) for name in MODEL_SETTINGS},
    preset=st.sampled_from(CHOICES["preset"]),
    device=st.sampled_from(CHOICES["device"]),
    also_models=st.lists(NAMES, max_size=4).map(",".join),
    accept_licences=st.sampled_from(["", "mit", "CC-by-nc-4.0"]),
    skip_acts=st.booleans(),
    skip_objects=st.booleans(),
)


@given(WISHES, MACHINES, st.lists(ROWS, max_size=8), st.frozensets(NAMES, max_size=3))
def test_whatever_there_is_nothing_is_chosen_that_cannot_be_had(
    settings: Settings, hardware: Hardware, rows: list[ModelCard], here: frozenset[str]
) -> None:
    there = catalogue(*rows)
    chosen = choose(settings, hardware, there, here)
    assert set(chosen.models) == set(MODEL_SETTINGS)
    assert chosen.why.isprintable()
    for setting, name in chosen.models.items():
        if name == NO_MODEL and setting == "tagger_model":
            continue
        if name:
            card = there.card(name)
            assert card.task in MODEL_SETTINGS[setting]
            if name != getattr(settings, setting):
                assert_can_be_had(card, settings, hardware, here)
    whole = resolved(settings, chosen)
    assert resolved(whole, choose(whole, hardware, there, here)) == whole
    usable_ones, _ = usable(settings, there)
    assert all(there.card(name).task in ALSO_TASKS for name in usable_ones.also_names)
    wanted(resolved(usable_ones, chosen), there)


def assert_can_be_had(
    card: ModelCard, settings: Settings, hardware: Hardware, here: frozenset[str]
) -> None:
    if card.suits == "gpu":
        assert hardware.gpu_memory_bytes is not None
        assert settings.device not in ("cpu", "openvino")
    if card.name not in here:
        assert card.commercial or card.licence.casefold() in settings.accepted_licences
        assert card.export is None or hardware.can_export


# --- This machine -------------------------------------------------------------------------------


def test_rows_whose_files_need_to_be_looked_for_are_few() -> None:
    bound = row("bound", "objects", "fast", commercial=False, licence="none stated")
    names = [card.name for card in waiting(catalogue(*BASE, *ACCURATE, bound))]
    assert names == ["yolo11m", "bound"]
    assert all(name in {card.name for card in BASE} for names in OWN.values() for name in names)


def test_this_machine_is_looked_at_without_a_fault(tmp_path: Path) -> None:
    asked = []

    def device() -> str:
        asked.append(1)
        return "cpu"

    look = Here(tmp_path, ROOT / "stash_sense_plugin", device)
    found = look()
    assert found.cpus >= 1
    assert found.memory_bytes > 1_000_000
    assert found.gpu_memory_bytes is None
    assert not found.can_export
    assert look() == found
    assert len(asked) <= 1


def test_extras_that_are_set_up_meanwhile_are_seen(tmp_path: Path) -> None:
    package = ROOT / "stash_sense_plugin"
    look = Here(tmp_path, package)
    assert not look().can_export
    python = Path(environment.interpreter_in(str(tmp_path / "extras")))
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    needs = environment.fingerprint(environment.extras_requirements_of(str(package)))
    (tmp_path / "extras" / "ready.json").write_text(f'{{"requirements": "{needs}"}}', "utf-8")
    assert look().can_export


def test_a_library_that_is_no_nvml_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library", "utf-8")
    assert nvidia_memory_bytes([str(tmp_path / "text.so"), "libc.so.6", "not-there.so"]) is None


class Nvml:
    """NVIDIA's library with one card; each call returns 0, or the fault that it is to have."""

    def __init__(self, total: int = 24 * GB, **faults: int) -> None:
        self._total, self._faults = total, faults
        self.asked: list[str] = []

    def _answer(self, name: str) -> int:
        self.asked.append(name)
        return self._faults.get(name, 0)

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self._answer("init")

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, card: Any) -> int:  # noqa: N802
        card._obj.value = 7
        return self._answer("card") if index == 0 else 6

    def nvmlDeviceGetMemoryInfo(self, card: Any, memory: Any) -> int:  # noqa: N802
        if card.value == 7:
            memory._obj[:] = [self._total, 1, 2]
        return self._answer("memory")

    def nvmlShutdown(self) -> int:  # noqa: N802
        return self._answer("shutdown")


def test_the_memory_of_a_card_is_asked_of_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    assert nvidia_memory_bytes(["nvml"], lambda name: nvml) == 24 * GB
    assert nvml.asked == ["init", "card", "memory", "shutdown"]
    for fault in ("init", "card", "memory"):
        faulty = Nvml(**{fault: 999})
        assert nvidia_memory_bytes(["nvml"], {"nvml": faulty}.__getitem__) is None
        assert ("shutdown" in faulty.asked) == (fault != "init")
    monkeypatch.setenv(gpu.OFF, "off")
    assert nvidia_memory_bytes(["nvml"], lambda name: nvml) is None


@pytest.mark.gpu
@pytest.mark.skipif(not gpu.look().driver, reason="no NVIDIA card, or no driver for it")
def test_the_card_of_this_machine_has_memory() -> None:
    assert (nvidia_memory_bytes() or 0) > 1_000_000_000


def test_every_setting_that_names_a_model_is_one() -> None:
    names = {field.name for field in fields(Settings)}
    assert set(MODEL_SETTINGS) <= names
    assert set(CHOSEN_FOR) <= set(MODEL_SETTINGS)
