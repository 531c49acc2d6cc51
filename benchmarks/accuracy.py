"""How right the flow is on labelled media, with networks that can be had here.

    python -m benchmarks.accuracy [--real ../shared/real] [--json]

DIR holds `weights/`, `videos/labelled.mp4` with its truth, its sprite sheet in `sprites/`, and
pictures in `images/`. The labels `person` and `tie`, which our vocabulary leaves out on purpose,
are added for the evaluation. The network for places is a stand-in with CLIP's interface that knows
few words: its figures say whether the flow is right, not how good CLIP is.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein
from rich.console import Console
from rich.table import Table

from benchmarks.measures import (
    Counts,
    Stretch,
    Thing,
    average_precision,
    compare_ranges,
    compare_things,
    merged,
    second_accuracy,
)
from stash_sense_plugin.detectors.objects import FLOOR, ObjectDetector
from stash_sense_plugin.detectors.taggers import TaggerDetector
from stash_sense_plugin.detectors.text import TextDetector
from stash_sense_plugin.errors import MediaMissing
from stash_sense_plugin.media.fingerprint import oshash
from stash_sense_plugin.media.images import read_image
from stash_sense_plugin.records import (
    Box,
    Decision,
    Detector,
    Frame,
    FrameSource,
    Level,
    Pixels,
    Scene,
    SceneResult,
)
from stash_sense_plugin.settings import Settings
from stash_sense_plugin.tasks.engine import Engine
from stash_sense_plugin.tasks.looking import Looker
from stash_sense_plugin.vocabulary import Label, load_vocabulary
from tests.real_models import write_overlay

ROOT = Path(__file__).resolve().parent.parent
VIDEO = "videos/labelled.mp4"
OBJECT_MODELS = ("yolov8n", "yolox-nano")
PLACES = {
    "bathroom": "Bathroom",
    "bedroom": "Bedroom",
    "frontal": "House Front",
    "kitchen": "Kitchen",
}
OWN_PLACES = {
    "bathroom": {"bathroom", "shower"},
    "bedroom": {"bedroom", "bedchamber", "childs room", "dorm room", "hotel room"},
    "frontal": {"beach house", "chalet", "cottage", "driveway", "house", "inn outdoor", "lawn",
                "manufactured home", "mansion", "patio", "porch", "residential neighborhood",
                "yard"},
    "kitchen": {"galley", "kitchen", "restaurant kitchen"},
}  # fmt: skip
"""What the network of 365 places calls them."""
OBJECTS_ALONE = Settings(
    skip_labels=True, skip_acts=True, skip_text=True, skip_facts=True, skip_quality=True
)
OWN_WORDS = """\
labels:
  person: {group: thing, tag: Person, classes: [coco/person]}
  tie: {group: thing, tag: Tie, classes: [coco/tie]}
"""
LIKE_PERCENT = 85.0
"""How alike a caption and what was read must be, without case and spaces."""
SURE = 0.5
"""The score at which precision and recall of objects are told beside those at the floor."""

ANY = 0.001
"""The floor for average precision, as it is usually told."""

Ranges = Mapping[str, Sequence[Stretch]]


def main() -> int:
    """Measure and print; 2 where the media are not found."""
    options = _options()
    if not (options.real / VIDEO).is_file():
        print(
            f"There is no {VIDEO} in {options.real.absolute()}: name the folder of labelled media"
            " and weights with --real DIR",
            file=sys.stderr,
        )
        return 2
    report = measure(options.real)
    if options.json:
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        show(report)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", type=Path, default=ROOT.parent / "shared" / "real")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


def measure(real: Path) -> dict[str, object]:
    """Return every figure, by name."""
    truth = read_truth(real / VIDEO)
    videos = {
        f"{model}, {source}": judge(truth, look_at_video(real, model, source))
        for model in OBJECT_MODELS
        for source in ("video", "sprites")
    }
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, OBJECT_MODELS[0])
        places = measure_places(engine, real / "images" / "scenes")
        engine.close()
    return {
        "video": videos,
        "places": places,
        "places by a classifier of one's own": measure_classifier(real),
        "objects": {model: measure_objects(real, model) for model in OBJECT_MODELS},
        "objects by picture": {model: measure_pictures(real, model) for model in OBJECT_MODELS},
        "words": measure_words(real / "images" / "text" / "words"),
        "neutral pictures": measure_neutral(real),
    }


def _engine(home: Path, real: Path, object_model: str) -> Engine:
    write_overlay(home, real)
    (home / "vocabulary.yaml").write_text(OWN_WORDS, "utf-8")
    engine = Engine(home, ROOT / "stash_sense_plugin")
    engine.settings = Settings(clip_model="clipshaped", object_model=object_model)
    return engine


class _Quiet:
    """A job that nobody stops; warnings go to stderr."""

    def log(self, level: Level, message: str) -> None:
        if level in {"warning", "error"}:
            print(message, file=sys.stderr)

    def progress(self, fraction: float) -> None:
        pass

    def check(self) -> None:
        pass


# --- The labelled video -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """What is in the labelled video, and when."""

    duration_s: float
    places: Ranges
    """By our tag's name."""
    objects: Ranges
    captions: Ranges


def read_truth(video: Path) -> Truth:
    """Read the truth beside the video; neighbouring ranges of one label are one."""
    told = json.loads(video.with_suffix(".json").read_text("utf-8"))
    places: defaultdict[str, list[Stretch]] = defaultdict(list)
    objects: defaultdict[str, list[Stretch]] = defaultdict(list)
    captions: defaultdict[str, list[Stretch]] = defaultdict(list)
    for part in told["ranges"]:
        stretch = Stretch(part["start_s"], part["end_s"])
        if "scene" in part:
            places[part["scene"].title()].append(stretch)
        for thing in part.get("objects", ()):
            objects[thing.title()].append(stretch)
        if "text" in part:
            captions[part["text"]].append(stretch)
    kinds = (
        {label: merged(held) for label, held in kind.items()}
        for kind in (places, objects, captions)
    )
    return Truth(told["duration_s"], *kinds)


class _Sheets:
    """A folder of sprite sheets, as Stash's server gives them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, path: str) -> bytes:
        """Return a file's bytes; raises MediaMissing."""
        try:
            return (self._folder / Path(path).name).read_bytes()
        except OSError as error:
            raise MediaMissing(f"There is no {path}") from error

    def size(self, path: str) -> int:
        """Return a file's size; raises MediaMissing."""
        return len(self.get(path))


def look_at_video(real: Path, object_model: str, source: str) -> SceneResult:
    """Let the flow look at the labelled video, or at its sprite sheet alone."""
    video = real / VIDEO
    fingerprint = oshash(video)
    duration_s = read_truth(video).duration_s
    scene = Scene("1", video.name, str(video), fingerprint, duration_s)
    if source == "sprites":
        name = f"/labelled_mp4.{fingerprint.oshash}"
        sheets = (f"{name}_sprite.jpg", f"{name}_thumbs.vtt")
        scene = Scene("1", video.name, "", fingerprint, duration_s, 0, 0, *sheets)
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, object_model)
        result = Looker(engine, _Quiet(), _Sheets(real / "sprites")).look(scene)
        engine.close()
    return result


def judge(truth: Truth, result: SceneResult) -> dict[str, object]:
    """Compare what is shown to the user (asked or applied) with the truth."""
    shown = {
        each.name: [Stretch(part.start_s, part.end_s) for part in each.ranges]
        for each in result.suggestions
        if each.kind == "tag" and each.decision >= Decision.ASK
    }
    place_tags = _tags_of("place")
    places = {name: held for name, held in shown.items() if name in place_tags}
    objects = {name: held for name, held in shown.items() if name in truth.objects}
    return {
        "frames": {source.value: count for source, count in result.frames.items()},
        "places": _ranges_judged(truth.places, places, truth.duration_s),
        "objects": _ranges_judged(truth.objects, objects, truth.duration_s),
        "captions": _captions_judged(truth, result),
        "also shown, not in the truth": sorted(set(shown) - set(places) - set(objects)),
        "skipped": [f"{each.detector}: {each.reason}" for each in result.skipped],
    }


def _tags_of(group: str) -> frozenset[str]:
    words = load_vocabulary(ROOT / "models" / "vocabulary.yaml")
    return frozenset(label.tag for label in words.labels.values() if label.group == group)


def _ranges_judged(truth: Ranges, said: Ranges, duration_s: float) -> dict[str, object]:
    rows = {
        label: compare_ranges(truth.get(label, ()), said.get(label, ()))
        for label in sorted({*truth, *said})
    }
    whole = sum(rows.values(), Counts())
    return {
        "f1": round(whole.f1, 3),
        "precision": round(whole.precision, 3),
        "recall": round(whole.recall, 3),
        "second_accuracy": round(second_accuracy(truth, said, duration_s), 3),
        "labels": {
            label: _counts(counts)
            | {
                "second_accuracy": round(
                    second_accuracy(
                        {label: truth.get(label, ())}, {label: said.get(label, ())}, duration_s
                    ),
                    3,
                ),
                "truth": _times(truth.get(label, ())),
                "said": _times(said.get(label, ())),
            }
            for label, counts in rows.items()
        },
    }


def _counts(counts: Counts) -> dict[str, object]:
    return {"found": counts.found, "missed": counts.missed, "wrong": counts.wrong}


def _times(stretches: Iterable[Stretch]) -> str:
    return " ".join(f"{each.start_s:.1f}-{each.end_s:.1f}" for each in stretches)


def _captions_judged(truth: Truth, result: SceneResult) -> dict[str, object]:
    said = {
        caption: [
            Stretch(text.start_s, text.end_s) for text in result.texts if _says(text.text, caption)
        ]
        for caption in truth.captions
    }
    found = [
        caption
        for caption, held in truth.captions.items()
        if any(one.start_s < each.end_s and one.end_s > each.start_s
               for each in held for one in said[caption])
    ]  # fmt: skip
    read = [f"{text.text} ({text.score:.2f})" for text in result.texts]
    return {
        "found": len(found),
        "of": len(truth.captions),
        "second_accuracy": round(second_accuracy(truth.captions, said, truth.duration_s), 3),
        "read": read,
    }


def _says(text: str, caption: str) -> bool:
    alike = fuzz.partial_ratio(_letters(caption), _letters(text)) >= LIKE_PERCENT
    return alike and len(_letters(text)) >= len(_letters(caption)) * LIKE_PERCENT / 100


def _letters(text: str) -> str:
    return "".join(text.casefold().split())


# --- Pictures -----------------------------------------------------------------------------------


def measure_places(engine: Engine, folder: Path) -> dict[str, object]:
    """Let the flow look at pictures whose folder is their place."""
    engine.settings = Settings(
        clip_model="clipshaped", skip_objects=True, skip_text=True, skip_facts=True
    )
    looker = Looker(engine, _Quiet())
    place_tags = _tags_of("place")
    rows = {}
    for name, tag in PLACES.items():
        said: list[str] = []
        for path in sorted((folder / name).iterdir()):
            result = looker.look(Scene("", path.name, str(path), oshash(path), None))
            shown = [s.name for s in result.suggestions if s.decision >= Decision.ASK]
            said.append(next((each for each in shown if each in place_tags), ""))
        rows[tag] = {
            "pictures": len(said),
            "right": said.count(tag),
            "nothing": said.count(""),
            "wrong": len(said) - said.count(tag) - said.count(""),
        }
    total = sum(row["pictures"] for row in rows.values())
    right = sum(row["right"] for row in rows.values())
    wrong = sum(row["wrong"] for row in rows.values())
    return {
        "accuracy": round(right / total, 3),
        "right_when_said": round(right / (right + wrong), 3) if right + wrong else 1.0,
        "labels": rows,
    }


def measure_objects(real: Path, model: str) -> dict[str, object]:
    """Compare a detector's boxes with COCO's: the bare network's, at our floor and at SURE."""
    folder = real / "images" / "objects" / "coco"
    classes = (ROOT / "models" / "coco.txt").read_text("utf-8").splitlines()
    paths = sorted((folder / "images").iterdir())
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, model)
        shelf = engine.shelf()
        detector = ObjectDetector(shelf, shelf.models.catalogue.card(model), floor=ANY)
        said = [thing for path in paths for thing in _things_seen(detector, path)]
        engine.close()
    truth = [thing for path in paths for thing in _things_there(folder, path, classes)]
    told = [thing for thing in said if thing.score >= FLOOR]
    sure = [thing for thing in said if thing.score >= SURE]
    return {
        "pictures": len(paths),
        "things": len(truth),
        "ap50": round(average_precision(truth, said), 3),
        f"at the floor of {FLOOR}": _rates(compare_things(truth, told)),
        f"at {SURE}": _rates(compare_things(truth, sure)),
    }


def measure_pictures(real: Path, model: str) -> dict[str, object]:
    """Compare the tags that the flow shows of a picture, at our thresholds, with COCO's boxes."""
    folder = real / "images" / "objects" / "coco"
    paths = sorted((folder / "images").iterdir())
    names = (ROOT / "models" / "coco.txt").read_text("utf-8").splitlines()
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, model)
        engine.settings = replace(OBJECTS_ALONE, object_model=model)
        looker = Looker(engine, _Quiet())
        labels = [each for each in engine.vocabulary().labels.values() if each.source == "coco"]
        judged = {label.tag for label in labels}
        counts = Counts()
        for path in paths:
            said = shown_of(looker, path) & judged
            there = tags_there(labels, list(_things_there(folder, path, names)))
            counts += Counts(len(said & there), len(there - said), len(said - there))
        engine.close()
    return {"pictures": len(paths), "tags": len(judged), **_rates(counts)}


def shown_of(looker: Looker, path: Path) -> set[str]:
    """Return the tags that the flow shows to the user for a picture."""
    result = looker.look(Scene("", path.name, str(path), oshash(path), None))
    return {each.name for each in result.suggestions if each.decision >= Decision.ASK}


def tags_there(labels: Iterable[Label], things: Sequence[Thing]) -> set[str]:
    """Return the tags that a picture's true boxes make, by the labels' own counts and sizes."""
    found = set()
    for label in labels:
        words = {word.partition("/")[2] for word in label.classes}
        large = [each for each in things if each.label in words
                 and each.box.w * each.box.h >= label.min_share]  # fmt: skip
        if label.min_count <= len(large) <= (label.max_count or len(large)):
            found.add(label.tag)
    return found


def measure_classifier(real: Path) -> dict[str, object]:
    """Let a network of 365 places, as a row of a user's own, look at pictures of four."""
    rows = {}
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, OBJECT_MODELS[0])
        shelf = engine.shelf()
        detector = TaggerDetector(shelf, shelf.models.catalogue.card("places365"), floor=ANY)
        for name, words in OWN_PLACES.items():
            paths = sorted((real / "images" / "scenes" / name).iterdir())
            best = [next(_words_seen(detector, path), ("", 0.0)) for path in paths]
            right = sum(word in words for word, _ in best)
            sure = [word for word, score in best if score >= SURE]
            rows[PLACES[name]] = {
                "pictures": len(paths),
                "right": right,
                "sure": len(sure),
                "right when sure": sum(word in words for word in sure),
            }
        engine.close()
    total = {key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    return {
        "accuracy": round(total["right"] / total["pictures"], 3),
        f"right_at_{SURE}": round(total["right when sure"] / max(1, total["sure"]), 3),
        "labels": rows,
    }


def _words_seen(detector: TaggerDetector, path: Path) -> Iterator[tuple[str, float]]:
    """Yield a picture's words and scores, the surest first."""
    frame = Frame(path.stem, 0, 0.0, read_image(path), FrameSource.IMAGE)
    for seen in detector.detect([frame]):
        yield seen.label.partition("/")[2], seen.score


def measure_neutral(real: Path) -> dict[str, object]:
    """Let the five-class network look at pictures on which nothing is to be found."""
    paths = sorted((real / "images" / "objects" / "coco" / "images").iterdir())
    paths += [
        path for name in PLACES for path in sorted((real / "images" / "scenes" / name).iterdir())
    ]
    with tempfile.TemporaryDirectory() as home:
        engine = _engine(Path(home), real, OBJECT_MODELS[0])
        shelf = engine.shelf()
        detector = TaggerDetector(shelf, shelf.models.catalogue.card("nsfwjs"), floor=ANY)
        best = [next(_words_seen(detector, path), ("", 0.0)) for path in paths]
        engine.close()
    wrong = Counter(word for word, _ in best if word != "Neutral")
    return {
        "pictures": len(paths),
        "neutral": round(1 - wrong.total() / len(paths), 3),
        "others": dict(wrong),
    }


def _rates(counts: Counts) -> dict[str, float]:
    return {
        "precision": round(counts.precision, 3),
        "recall": round(counts.recall, 3),
        "f1": round(counts.f1, 3),
    }


def _things_seen(detector: Detector, path: Path) -> Iterator[Thing]:
    frame = Frame(path.stem, 0, 0.0, read_image(path), FrameSource.IMAGE)
    for seen in detector.detect([frame]):
        if seen.box is not None:
            yield Thing(path.stem, seen.label.partition("/")[2], seen.box, seen.score)


def _things_there(folder: Path, path: Path, classes: Sequence[str]) -> Iterator[Thing]:
    labels = folder / "labels" / f"{path.stem}.txt"
    for line in labels.read_text("utf-8").splitlines() if labels.is_file() else ():
        which, x, y, w, h = line.split()
        width, height = float(w), float(h)
        box = Box(float(x) - width / 2, float(y) - height / 2, width, height)
        yield Thing(path.stem, classes[int(which)], box)


# --- Words --------------------------------------------------------------------------------------

WORD_PX = 48
"""Words are scaled to this height, as a caption in a frame has it."""
CANVAS_PX = (640, 360)


def measure_words(folder: Path) -> dict[str, object]:
    """Read pictures of single words, each laid on the middle of a grey frame."""
    reader = TextDetector()
    told = json.loads((folder / "labels.json").read_text("utf-8"))["data_list"]
    rows = []
    for row in told:
        frame = Frame("words", 0, 0.0, _laid(folder / "imgs" / row["img_path"]), FrameSource.IMAGE)
        read = " ".join(seen.text or "" for seen in reader.detect([frame]))
        rows.append({"truth": row["instances"][0]["text"], "read": read})
    right = sum(_letters(row["truth"]) == _letters(row["read"]) for row in rows)
    letters = sum(len(_letters(row["truth"])) for row in rows)
    apart = sum(Levenshtein.distance(*map(_letters, row.values())) for row in rows)
    return {
        "characters": round(max(0.0, 1 - apart / letters), 3),
        "exact": round(right / len(rows), 3),
        "pictures": len(rows),
        "read": rows,
    }


def _laid(path: Path) -> Pixels:
    with Image.open(path) as opened:
        word = opened.convert("RGB")
    scale = min(WORD_PX / word.height, CANVAS_PX[0] / word.width)
    word = word.resize((round(word.width * scale), round(word.height * scale)))
    canvas = Image.new("RGB", CANVAS_PX, (128, 128, 128))
    canvas.paste(word, ((CANVAS_PX[0] - word.width) // 2, (CANVAS_PX[1] - word.height) // 2))
    return np.asarray(canvas, np.uint8)


# --- Showing ------------------------------------------------------------------------------------


def show(report: Mapping[str, object]) -> None:
    """Print the figures as tables."""
    console = Console()
    videos = report["video"]
    assert isinstance(videos, dict)
    for name, judged in videos.items():
        _show_video(console, name, judged)
    _show_rows(console, "Places in pictures", report["places"])
    _show_rows(console, "Places by a classifier", report["places by a classifier of one's own"])
    for part in ("objects", "objects by picture", "words", "neutral pictures"):
        console.print(f"[bold]{part.capitalize()}[/bold]")
        console.print_json(data=report[part])


def _show_video(console: Console, name: str, judged: Mapping[str, object]) -> None:
    for kind in ("places", "objects"):
        _show_rows(console, f"{kind.title()} ({name})", judged[kind])
    for key in ("captions", "frames", "also shown, not in the truth", "skipped"):
        console.print(f"{key}: {judged[key]}", highlight=False, markup=False)
    console.print()


def _show_rows(console: Console, title: str, figures: object) -> None:
    assert isinstance(figures, dict)
    numbers = ", ".join(f"{key} {value}" for key, value in figures.items() if key != "labels")
    rows = figures["labels"]
    table = Table(title=f"{title}: {numbers}", title_justify="left")
    columns = list(next(iter(rows.values()), {}))
    for column in ("label", *columns):
        table.add_column(column)
    for label, row in rows.items():
        table.add_row(label, *(str(row[column]) for column in columns))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
