"""Sixteen small trials, one after the other on all cores, or as many at a time as there are cores.

    python benchmarks/parallel_trials.py DATA [--rounds 3] [--jobs 1 2]

DATA is a built-in data set or a folder of images. Whole `imgcls sweep` commands, start-up and all, in turns after one
round that prepares the data and chooses the precision; medians, and their ratio to one job.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = {"small": [16, 32], "medium": [32, 64, 128]}


def sweep_of(data: str, size: str, images: int) -> dict[str, object]:
    filters = SIZES[size]
    layers = [layer for each in filters for layer in ({"conv": {"filters": each, "padding": "same"}}, {"max_pool": 2})]
    source = {"source": data} if not Path(data).is_dir() else {"source": "folder", "path": str(Path(data).resolve())}
    return {
        "base": {
            "data": {**source, "limit": {"train": images}},
            "resolution": 32,
            "architecture": [*layers, "flatten", {"dense": 64}],
            "batch": 64,
            "epochs": 3,
        },
        "parameters": {"optimizer": ["adam", "sgd", "rmsprop", "adamw"], "lr": [1e-4, 3e-4, 1e-3, 3e-3]},
    }


def seconds(path: Path, jobs: int, folder: Path) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "imgcls_cli", "sweep", path, "--jobs", str(jobs), "--runs-dir", folder / "runs"]
    subprocess.run([str(each) for each in command], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "sweep.json.yaml"
        path.write_text(json.dumps(sweep_of(options.data, options.size, options.images)))
        taken: dict[int, list[float]] = {jobs: [] for jobs in options.jobs}
        for number in range(options.rounds + 1):
            for jobs in options.jobs:
                took = seconds(path, jobs, folder)
                print(f"round {number}, {jobs} at a time: {took:.1f} s", flush=True)
                if number:
                    taken[jobs].append(took)
    alone = statistics.median(taken[options.jobs[0]])
    for jobs, each in taken.items():
        median = statistics.median(each)
        print(f"{jobs} at a time: median {median:.1f} s, {alone / median:.2f} times as fast as {options.jobs[0]}")


if __name__ == "__main__":
    main()
