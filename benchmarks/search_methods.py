"""TPE with pruning, random picks and a grid, on the same budget: the best validation accuracy over time.

    python benchmarks/search_methods.py [DATA] [--images 2000] [--trials 36] [--seeds 3]

A space of rate, filters, dropout and optimizer; the grid has 36 of its points. Time is that of the trials alone, in
sum; each method gets as much as the one that needs least.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from imgcls.files import read_csv
from imgcls.runs.layout import SWEEP_CSV
from imgcls.sweep import sweep

OPTIMIZERS = ["adam", "sgd", "rmsprop"]
METHODS: dict[str, dict[str, Any]] = {
    "grid": {"method": "grid"},
    "random": {"method": "random"},
    "tpe": {"method": "tpe"},
    "tpe, median": {"method": "tpe", "prune": "median"},
}
MOMENTS = (0.25, 0.5, 1.0)  # of the budget


def space(name: str) -> dict[str, Any]:
    filters = {"keys": ["architecture.0.conv.filters", "architecture.2.conv.filters"]}
    if name == "grid":
        rate, width, dropout = {"values": [1e-4, 1e-3, 1e-2, 1e-1]}, {"values": [8, 16, 32]}, {"values": [0.2]}
    else:
        rate = {"low": 1e-4, "high": 1e-1, "log": True}
        width, dropout = {"low": 8, "high": 32, "step": 8}, {"low": 0.0, "high": 0.6}
    return {
        "lr": rate,
        "filters": filters | width,
        "dropout": {"keys": ["architecture.5.dropout"], **dropout},
        "optimizer": OPTIMIZERS,
    }


def base(data: str, images: int) -> dict[str, Any]:
    source = {"source": "folder", "path": str(Path(data).resolve())} if Path(data).is_dir() else {"source": data}
    conv = {"filters": 16, "padding": "same"}
    return {
        "data": {**source, "limit": {"train": images, "validation": 2000}},
        "architecture": [{"conv": conv}, {"max_pool": 2}, {"conv": conv}, {"max_pool": 2}, "flatten", {"dropout": 0.2}],
        "batch": 64,
        "epochs": 8,
        "tracking": "none",
    }


def best_over_time(table: list[dict[str, str]]) -> list[tuple[float, float]]:
    """Return (seconds so far, best accuracy so far) after each trial; pruned ones take time and give nothing."""
    seconds, best, curve = 0.0, 0.0, []
    for row in table:
        seconds += float(row["seconds"] or 0)
        best = max(best, float(row["val_accuracy"] or 0))
        curve.append((seconds, best))
    return curve


def at(curve: list[tuple[float, float]], seconds: float) -> float:
    return max((best for until, best in curve if until <= seconds), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=36)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    curves: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in METHODS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for name, method in METHODS.items():
                given = {
                    "base": base(options.data, options.images) | {"seed": seed},
                    "parameters": space(name),
                    "trials": options.trials,
                    "seed": seed,
                    "jobs": 1,
                    **method,
                }
                run = sweep(given, runs_dir=folder)
                curve = best_over_time(read_csv(run.path(SWEEP_CSV)))
                curves[name].append(curve)
                print(f"seed {seed}, {name}: {curve[-1][1]:.4f} after {curve[-1][0]:.0f} s", flush=True)
    budget = min(curve[-1][0] for each in curves.values() for curve in each)
    print(f"budget {budget:.0f} s a search; mean of the best accuracy (least, most) over {options.seeds} seeds")
    for name, each in curves.items():
        found = [[at(curve, share * budget) for curve in each] for share in MOMENTS]
        cells = [
            f"{share:.0%}: {fmean(v):.4f} ({min(v):.4f}, {max(v):.4f})" for share, v in zip(MOMENTS, found, strict=True)
        ]
        print(f"{name:12} {'  '.join(cells)}")


if __name__ == "__main__":
    main()
