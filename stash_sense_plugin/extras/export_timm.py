"""A timm network becomes ONNX: pictures to vectors (`num_classes: 0`) or to logits."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stash_sense_plugin.extras.child import Teller
from stash_sense_plugin.extras.exporting import export, lend_operators, pictures


def run(order: Mapping[str, Any], teller: Teller) -> None:
    """Make the file of the role `network`."""
    teller.progress(0.05, "loading torch and timm")
    lend_operators()
    import timm
    from timm.utils import reparameterize_model

    arguments = dict(order["arguments"])
    overlay: dict[str, Any] = {"file": order["weights"]}
    if arguments.get("num_classes"):
        # Else timm takes the head for one of its own thousand classes, and throws it away.
        overlay["num_classes"] = arguments["num_classes"]
    model = timm.create_model(
        order["model"], pretrained=True, pretrained_cfg_overlay=overlay, **arguments
    )
    facts = timm.data.resolve_model_data_config(model)
    side = int(arguments.get("img_size") or facts["input_size"][-1])
    told = {
        "made_by": f"timm {importlib.metadata.version('timm')}",
        "model": order["model"],
        "mean": str(facts["mean"]),
        "std": str(facts["std"]),
    }
    teller.progress(0.3, "making the network")
    answer = "logits" if arguments.get("num_classes") else "features"
    to = Path(order["folder"], order["roles"]["network"])
    module = reparameterize_model(model.eval(), inplace=True)
    export(module, pictures(side), to, ("image", answer), order["opset"], told)
