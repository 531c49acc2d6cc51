"""Tagging imports no library of the extras, though they be installed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.onnx_networks import small_vit
from tests.small_networks import mean_colour, sum_of_words
from tests.sweep_kit import ROOT

HEAVY = ("torch", "open_clip", "ultralytics", "paddle", "paddleocr", "timm", "mediapipe", "onnx")

ROWS = """\
models:
  my-clip:
    task: clip
    about: Colours
    licence: MIT
    commercial: true
    files:
      visual: {path: visual.onnx}
      textual: {path: textual.onnx}
      tokenizer: {path: tokenizer.json}
  my-tags:
    task: tagger
    about: Words of chance
    licence: MIT
    commercial: true
    words: mine
    classes: [one, two, three]
    files:
      network: {path: vit.onnx}
  my-vectors:
    task: similarity
    about: Vectors of chance
    licence: MIT
    commercial: true
    files:
      network: {path: vit.onnx}
"""

TAGS = """
import json, sys
from pathlib import Path
home, root, picture = (Path(word) for word in sys.argv[1:])
sys.path[:0] = [str(root), str(home / "installed")]
import stash_sense_plugin.worker.server
from stash_sense_plugin.tasks import open_engine
from stash_sense_plugin.tasks.looking import Looker, scene_of_file
from stash_sense_plugin.settings import Settings


class Unheard:
    def log(self, level, message): pass
    def progress(self, fraction): pass
    def check(self): pass


engine = open_engine(home, root / "stash_sense_plugin")
settings = Settings(
    clip_model="my-clip", object_model="nudenet-320n",
    tagger_model="my-tags", similarity_model="my-vectors",
)
result = Looker(engine, Unheard(), settings=settings).look(scene_of_file(picture))
print(json.dumps({"result": result.as_json(), "modules": sorted(sys.modules)}))
engine.close()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with networks of each kind, and a folder where every heavy library can be found."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    (folder / "catalogue.yaml").write_text(ROWS, "utf-8")
    mean_colour(folder / "visual.onnx")
    sum_of_words(folder / "textual.onnx", np.ones((10, 3), np.float32))
    small_vit(folder / "vit.onnx", answers=3)
    words = Tokenizer(models.WordLevel({"?": 0, "a": 1}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    for name in HEAVY:
        package = folder / "installed" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("__version__ = '99.0.0'\n")
    return folder


def test_a_run_that_tags_imports_nothing_heavy(home: Path, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (640, 480), (200, 0, 0)).save(picture)
    words = [sys.executable, "-I", "-B", "-X", "importtime", "-c", TAGS]
    run = subprocess.run(
        [*words, str(home), str(ROOT), str(picture)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout)
    ran = {each["detector"] for each in told["result"]["ran"]}
    assert {"clip", "objects", "tagger", "similarity", "quality", "text"} <= ran
    assert told["result"]["error"] is None
    # As the interpreter's own list at the end, and as its record of every import on the way.
    timed = set(re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", run.stderr, re.MULTILINE))
    for seen in (set(told["modules"]), timed):
        assert {"onnxruntime", "numpy", "stash_sense_plugin.inference.session"} <= seen
        assert {name.partition(".")[0] for name in seen}.isdisjoint(HEAVY)
