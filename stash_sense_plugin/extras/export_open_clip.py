"""open_clip's two towers become ONNX: pictures and words to vectors of length 1."""

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stash_sense_plugin.extras.child import Teller
from stash_sense_plugin.extras.exporting import SAMPLES, SEED, export, lend_operators, pictures

WORDS = "bpe_simple_vocab_16e6.txt.gz"
"""CLIP's own list of merges, which the package carries."""


def run(order: Mapping[str, Any], teller: Teller) -> None:
    """Make the files of the roles that are ordered: visual, textual, tokenizer."""
    places = {role: Path(order["folder"], name) for role, name in order["roles"].items()}
    if "tokenizer" in places:
        shutil.copyfile(_words(), places["tokenizer"])
    if not places.keys() & {"visual", "textual"}:
        return
    teller.progress(0.05, "loading torch and open_clip")
    model = _loaded(order)
    told = {
        "made_by": f"open_clip {importlib.metadata.version('open_clip_torch')}",
        "model": order["model"],
        "logit_scale": f"{float(model.logit_scale.exp()):.6f}",
    }
    if "visual" in places:
        teller.progress(0.3, "making the network for pictures")
        samples = pictures(_side_px(model))
        export(_tower(model, "image"), samples, places["visual"], ("image", "features"),
               order["opset"], told)  # fmt: skip
    if "textual" in places:
        teller.progress(0.6, "making the network for words")
        export(_tower(model, "text"), _texts(model), places["textual"], ("text", "features"),
               order["opset"], told)  # fmt: skip


def _loaded(order: Mapping[str, Any]) -> Any:
    lend_operators()
    import open_clip
    from timm.utils import reparameterize_model

    model = open_clip.create_model(
        order["model"],
        pretrained=order["weights"],
        precision="fp32",
        device="cpu",
        weights_only=True,
        **order["arguments"],
    )
    return reparameterize_model(model.eval(), inplace=True)


def _tower(model: Any, kind: str) -> Any:
    """Return the module that embeds what is of a kind, `image` or `text`."""
    import torch

    class Pictures(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Any) -> Any:
            return self.model.encode_image(image, normalize=True)

    class Words(Pictures):
        def forward(self, text: Any) -> Any:
            return self.model.encode_text(text, normalize=True)

    return Pictures() if kind == "image" else Words()


def _side_px(model: Any) -> int:
    side = model.visual.image_size
    return int(side if isinstance(side, int) else side[0])


def _texts(model: Any) -> Any:
    """Return samples of tokens, int64 [3, context]: each ends early with the highest number."""
    import torch

    dice = torch.Generator().manual_seed(SEED)
    last, length = int(model.vocab_size) - 1, int(model.context_length)
    texts = torch.zeros((SAMPLES, length), dtype=torch.int64)
    for row, words in enumerate((4, length // 2, length - 1)):
        texts[row, :words] = torch.randint(1, last, (words,), generator=dice)
        texts[row, words] = last
    return texts


def _words() -> Path:
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise ImportError("open_clip is not installed")
    # Beside the package's own first file, so that neither it nor torch is imported for a copy.
    return Path(found.origin).with_name(WORDS)
