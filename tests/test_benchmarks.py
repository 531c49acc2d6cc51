"""What the benchmark of networks measures, on a network that is always here."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.models import Cost, ratios

ROOT = Path(__file__).resolve().parent.parent


def test_a_network_that_is_here_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    words = ("--home", tmp_path, "--model", "nudenet-320n", "--seconds", "0.01", "--rounds", "1")
    command = [sys.executable, "-m", "benchmarks.models", *map(str, words), "--json"]
    free = {name: value for name, value in os.environ.items() if not name.endswith("EXTRAS_PYTHON")}
    done = subprocess.run(command, cwd=ROOT, env=free, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (network,) = report["networks"]
    assert network["network"] == "nudenet-320n"
    assert network["megabytes"] == 12.2
    assert network["load_s"] > 0
    assert network["in_eights"] > 0
    assert network["resident_mb"] > network["megabytes"]
    assert report["ratios"] == []
    if network["runs_in"] == "cpu fp32":
        assert report["gpu"].startswith("unmeasured")


def test_ratios_are_of_one_network_over_its_plain_self() -> None:
    plain = Cost("one", "cpu fp32", 1.0, 0.1, 10.0, 20.0, 5.0)
    light = Cost("one", "cpu int8", 0.3, 0.1, 25.0, 30.0, 2.0)
    other = Cost("two", "torch 2", 1.0, None, 1.0, 1.0, None)
    assert ratios([plain, light, other]) == [
        {
            "network": "one",
            "ratio": "cpu int8 over cpu fp32",
            "one_by_one": 2.5,
            "in_eights": 1.5,
        }
    ]
