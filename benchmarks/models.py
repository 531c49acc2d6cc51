"""What each network costs on this machine: time to open, pictures a second, memory.

    python -m benchmarks.models [--home DIR | --real ../shared/real] [--model NAME...] [--json]

Every network that is here is opened and run in a process of its own: the time until it is open, the
pictures a second one by one and in eights, and the memory that the process has then more. Beside
them stand networks of random weights and well-known shapes, in fp32 and int8, and in torch where
STASH_SENSE_EXTRAS_PYTHON names the Python of the extras: the same weights in the same run. They
take turns, and the best of many counts, as the machine may be busy; figures of a GPU only where one
was used. Needs the package onnx (requirements-dev.txt).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine_line
from benchmarks.turns import Player, best_of, take_turns
from benchmarks.vit import write_vit
from stash_sense_plugin.detectors.words import literal
from stash_sense_plugin.errors import StashSenseError
from stash_sense_plugin.inference import lighter, onnx_file, rounding
from stash_sense_plugin.inference.catalogue import load_catalogue
from stash_sense_plugin.inference.download import Models
from stash_sense_plugin.inference.resident import resident_bytes
from stash_sense_plugin.inference.session import Network, open_network, resolve, usable_cpus
from tests.real_models import write_overlay

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "STASH_SENSE_EXTRAS_PYTHON"
SHAPES = ("CLIP ViT-B/32", "DINOv2 ViT-S/14", "YOLO11n")
"""Networks of random weights: those that torch_side builds."""
BATCHES = (1, 8)
ROLES = ("visual", "textual", "network")
SIDE_PX, TOKENS = 224, 77
"""Where neither the graph nor the row says."""
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network cost."""

    network: str
    runs_in: str
    """`cpu fp32`, `torch`."""
    megabytes: float
    load_s: float | None
    one_by_one: float
    """Pictures (or texts) a second."""
    in_eights: float
    resident_mb: float | None


def main() -> int:
    """Measure and print."""
    options = _options()
    if options.one:
        _play(options)
        return 0
    console = Console()
    line = machine_line()
    if not options.json:
        console.print(line, highlight=False)
    costs = list(_costs(options))
    gpu = any(not cost.runs_in.startswith(("cpu", "torch")) for cost in costs)
    report: dict[str, object] = {
        "machine": line,
        "threads": options.threads,
        "networks": [asdict(cost) for cost in costs],
        "ratios": ratios(costs),
        "gpu": "measured" if gpu else "unmeasured: no network came to run on one here",
    }
    if options.json:
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        show(console, costs, report)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, help="Stash Sense's folder, with its networks")
    parser.add_argument("--real", type=Path, help="a folder of networks, as the tests use it")
    parser.add_argument("--model", nargs="*", default=[], help="these rows and shapes alone")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each figure of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each takes")
    parser.add_argument("--threads", type=int, default=usable_cpus())
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, tensorrt or openvino")
    parser.add_argument("--side", type=int, default=SIDE_PX, help=argparse.SUPPRESS)
    return parser.parse_args()


def _costs(options: argparse.Namespace) -> Iterator[Cost]:
    with tempfile.TemporaryDirectory(prefix="stash-sense-models-") as folder:
        for name, path, base, side in _here(options, Path(folder)):
            yield from _cost(options, name, path, base, side)
        for name in SHAPES:
            if not options.model or name in options.model:
                yield from _shape(options, name, Path(folder))


# --- Networks that are here ---------------------------------------------------------------------


def _here(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, Path, Path, int]]:
    """Yield each network here: its name, its file, its variants' base, its pictures' side."""
    home = options.home or folder
    if options.real is not None:
        write_overlay(home, options.real)
    catalogue = load_catalogue(ROOT / "models" / "catalogue.yaml", home / "catalogue.yaml")
    models = Models(home / "models", catalogue)
    for card in catalogue:
        if (options.model and card.name not in options.model) or not models.has(card):
            continue
        for role in ROLES:
            if role in card.files:
                name = card.name if role == "network" else f"{card.name} ({role})"
                base = models.base(card, role)
                yield name, models.path(card, role), base, card.size or SIDE_PX


def _cost(
    options: argparse.Namespace, name: str, path: Path, base: Path, side: int
) -> Iterator[Cost]:
    """Yield what a network costs, and its lighter variants."""
    files = [path]
    for precision in ("int8", "fp16"):
        record = lighter.Record.read(lighter.record_path(base, precision))
        if record is not None and record.kept and record.fits(path, base):
            files.append(lighter.variant_path(base, precision))
    with ExitStack() as stack:
        players = [stack.enter_context(_player(options, name, file, side)) for file in files]
        rates = _rates(options, players)
    for player, rate in zip(players, rates, strict=True):
        yield _told(name, player, rate)


def _player(options: argparse.Namespace, name: str, path: Path, side: int) -> Player:
    words = ("--one", path, "--side", side, "--device", options.device)
    numbers = ("--threads", options.threads, "--seconds", options.seconds)
    command = (sys.executable, "-m", "benchmarks.models", *map(str, (*words, *numbers)))
    return Player(name, command)


def _rates(options: argparse.Namespace, players: Sequence[Player]) -> list[dict[str, Any]]:
    """Let them take turns; return the best that each did."""
    best: list[dict[str, Any]] = [{} for _ in players]
    for _ in range(options.rounds):
        for index, player in enumerate(players):
            turn = player.turn()
            best[index] = {key: max(value, best[index].get(key, 0)) for key, value in turn.items()}
    return best


def _told(name: str, player: Player, rate: Mapping[str, float]) -> Cost:
    first = player.first
    return Cost(
        name,
        first["runs_in"],
        first["megabytes"],
        first["load_s"],
        round(rate["1"], 2),
        round(rate["8"], 2),
        round(rate["resident_mb"], 1),
    )


def _play(options: argparse.Namespace) -> None:
    """Open one network in this process and take turns at running it."""
    resolve(options.device)  # onnxruntime itself is loaded, and its devices tried, before the clock
    before = resident_bytes()
    begun = perf_counter()
    network = open_network(options.one, options.threads, options.device)
    batches = {batch: _feeds(network, batch, options.side) for batch in BATCHES}
    network.run(batches[1])
    first = {
        "runs_in": f"{network.device} {network.precision}",
        "megabytes": round(options.one.stat().st_size / MEGABYTE, 1),
        "load_s": round(perf_counter() - begun, 3),
    }

    def turn() -> object:
        rates = {
            str(batch): batch / best_of(partial(network.run, feeds), options.seconds)
            for batch, feeds in batches.items()
        }
        return rates | {"resident_mb": (resident_bytes() - before) / MEGABYTE}

    turn()
    take_turns(first, turn)


def _feeds(network: Network, batch: int, side: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return random pictures or tokens of the shapes that a network takes."""
    told = literal(network.metadata.get("imgsz", ""))
    side = told[0] if isinstance(told, list | tuple) and told else side
    dice = np.random.default_rng(0)
    feeds = {}
    for port in network.inputs:
        free = (side, side) if len(port.shape) == 4 else (TOKENS,) * (len(port.shape) - 1)
        shape = [batch, *_filled(port.shape[1:], free)]
        whole = np.issubdtype(np.dtype(port.dtype), np.integer)
        values = dice.integers(0, 100, shape) if whole else dice.random(shape)
        feeds[port.name] = values.astype(port.dtype)
    return feeds


def _filled(sides: Sequence[int | None], free: tuple[int, ...]) -> Iterator[int]:
    rest = iter(free)
    for length in sides:
        yield length if length is not None else next(rest)


# --- Networks of random weights -----------------------------------------------------------------


def _shape(options: argparse.Namespace, name: str, folder: Path) -> Iterator[Cost]:
    """Yield what a shape costs in torch, in onnxruntime, and there in int8."""
    path = folder / f"{name.replace('/', '-')}.onnx"
    called = f"{name}, random"
    with ExitStack() as stack:
        torch = _in_torch(options, name, path)
        if torch is not None:
            stack.enter_context(torch)
        elif name == SHAPES[0]:
            write_vit(path)
        else:
            return
        side = torch.first["side"] if torch else SIDE_PX
        files = [file for file in (path, _rounded(path)) if file is not None]
        players = [stack.enter_context(_player(options, called, file, side)) for file in files]
        *rates, last = _rates(options, [*players, torch] if torch else [*players, players[-1]])
    for player, rate in zip(players, rates, strict=True):
        yield _told(called, player, rate)
    if torch is not None:
        one, eight = round(last["1"], 2), round(last["8"], 2)
        yield Cost(called, f"torch {torch.first['torch']}", players[0].first["megabytes"], None,
                   one, eight, None)  # fmt: skip


def _in_torch(options: argparse.Namespace, name: str, path: Path) -> Player | None:
    """Return the same network in torch, which has written it to `path`; None without extras."""
    python = os.environ.get(EXTRAS)
    if not python:
        return None
    order = {
        "network": name,
        "threads": options.threads,
        "seconds": options.seconds,
        "to": str(path),
    }
    return Player(f"{name} in torch", (python, "-m", "benchmarks.torch_side"), order)


def _rounded(path: Path) -> Path | None:
    """Write the int8 variant of a transformer; None for a network that rounding gains nothing."""
    if onnx_file.read(path).share_in_products < lighter.MOSTLY:
        return None
    made = path.with_name(f"{path.stem}.int8.onnx")
    done = subprocess.run(
        rounding.command(path, made, rounding.FULL_RANGE), capture_output=True, check=False
    )
    if done.returncode:
        raise StashSenseError(f"{path.name} was not rounded: {done.stderr.decode()[-300:]}")
    return made


# --- Showing ------------------------------------------------------------------------------------


def ratios(costs: list[Cost]) -> list[dict[str, object]]:
    """Return each network's speed over that of its fp32 in onnxruntime, in this run."""
    plain = {cost.network: cost for cost in costs if cost.runs_in.endswith("fp32")}
    return [
        {
            "network": cost.network,
            "ratio": f"{cost.runs_in} over {base.runs_in}",
            "one_by_one": round(cost.one_by_one / base.one_by_one, 2),
            "in_eights": round(cost.in_eights / base.in_eights, 2),
        }
        for cost in costs
        if (base := plain.get(cost.network)) is not None and base is not cost
    ]


def show(console: Console, costs: list[Cost], report: Mapping[str, Any]) -> None:
    """Print the figures as tables."""
    table = Table("Network", "In", "MB", "Open (s)", "One by one /s", "In eights /s", "Memory MB")
    for cost in costs:
        numbers = (cost.megabytes, cost.load_s, cost.one_by_one, cost.in_eights, cost.resident_mb)
        told = ("" if number is None else f"{number:g}" for number in numbers)
        table.add_row(cost.network, cost.runs_in, *told)
    console.print(table)
    for row in report["ratios"]:
        console.print(
            f"{row['network']}: {row['ratio']}: {row['one_by_one']} one by one,"
            f" {row['in_eights']} in eights",
            highlight=False,
        )
    console.print(f"GPU: {report['gpu']}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
