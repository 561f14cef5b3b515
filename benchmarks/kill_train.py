"""A training that is killed at random moments, again and again: in the end it is as if nobody had killed it.

    python benchmarks/kill_train.py [--kills 100] [--signal KILL] [--runs-dir FOLDER]

The run has dropout, batch norms, augmentation, two stages, a schedule that waits for a plateau and early stopping. Each
time its process gets the signal after a random time; then ``imgcls resume`` goes on, until the run is complete, and the
next run begins, until there were so many kills. Weights, history and figures of each must be, to the bit, those of a
run that nobody killed. Says when the kills struck, how long processes took to end, and what it found; exit code 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from imgcls.runs import Run
from imgcls.runs.layout import CHECKPOINT, HISTORY, METRICS, MODEL, PREDICTIONS, TIMINGS

SPEC = {
    "name": "killed",
    "data": "digits",
    "architecture": [
        {"conv": 8}, "batch_norm", {"max_pool": 2}, "flatten", {"dropout": 0.3}, {"dense": 32}, {"dropout": 0.2},
    ],
    "augmentation": {"rotation": 10, "width_shift": 0.1},
    "batch": 4,
    "precision": "float32",
    "lr": {"initial": 3e-3, "schedule": "plateau", "patience": 1},
    "early_stopping": {"patience": 3, "restore_best": True},
    "stages": [{"epochs": 6}, {"epochs": 6, "lr": 1e-3, "optimizer": {"name": "sgd", "momentum": 0.9}}],
    "checkpoint": {"minutes": 0.02},
}  # fmt: skip


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "imgcls_cli", *map(str, arguments)]


def outcome(run: Run) -> dict[str, object]:
    """Return what must be the same to the bit: weights, history without its seconds, figures, predictions."""
    with zipfile.ZipFile(run.path(MODEL)) as file:
        weights = file.read("model.weights.h5")
    with run.path(HISTORY).open(encoding="utf-8", newline="") as file:
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    metrics = {key: value for key, value in json.loads(run.path(METRICS).read_text()).items() if key != "warnings"}
    return {MODEL: weights, HISTORY: history, METRICS: metrics, PREDICTIONS: run.path(PREDICTIONS).read_bytes()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--signal", default="KILL", help="KILL, TERM, INT or USR1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs-dir", type=Path)
    options = parser.parse_args()
    rng, number = random.Random(options.seed), getattr(signal, f"SIG{options.signal}")
    with tempfile.TemporaryDirectory() as name:
        folder = options.runs_dir or Path(name)
        folder.mkdir(exist_ok=True)
        spec = folder / "killed.yaml"
        spec.write_text(json.dumps(SPEC))
        begun = time.monotonic()
        whole = train(spec, folder)
        longest = time.monotonic() - begun
        wanted, kills, rounds, different, left = outcome(whole), 0, 0, [], Counter[str]()
        waits: list[float] = []
        while kills < options.kills:
            run, done = killed_until_done(spec, folder, rng, longest, number, left, waits)
            kills, rounds = kills + done, rounds + 1
            if wrong := [key for key, value in outcome(run).items() if value != wanted[key]]:
                different.append(f"{run.name}: {', '.join(wrong)}")
            total = json.loads(run.path(TIMINGS).read_text())["total"]
            print(f"{run.name}: {done} kills, {total:.0f} s counted; {'DIFFERS' if wrong else 'equal'}", flush=True)
    print(f"{kills} kills in {rounds} runs ({', '.join(f'{count} {what}' for what, count in left.most_common())})")
    print(f"they ended {statistics.median(waits):.1f} s after the signal (median), at most {max(waits):.1f} s")
    print("different: " + "; ".join(different) if different else "all equal to the run that nobody killed, to the bit")
    sys.exit(1 if different else 0)


def train(spec: Path, folder: Path) -> Run:
    done = subprocess.run(command("train", spec, "--runs-dir", folder), capture_output=True, text=True, check=True)
    return Run(done.stdout.splitlines()[-1])


def killed_until_done(
    spec: Path, folder: Path, rng: random.Random, longest: float, number: int, left: Counter[str], waits: list[float]
) -> tuple[Run, int]:
    """Train, kill and resume until the run is complete; return it, and how often it was killed.

    Args:
        longest: seconds that a process may take.
        number: the signal.
        left: counts what the kills left.
        waits: gets the seconds from each signal to the end.
    """
    there, kills, run = set(folder.iterdir()), 0, None
    while True:
        arguments = ("resume", run.folder) if run else ("train", spec)
        process = subprocess.Popen(
            command(*arguments, "--runs-dir", folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, error = process.communicate(timeout=rng.uniform(0.2, 0.7) * longest)
            if process.returncode:
                raise RuntimeError(f"it ended with {process.returncode}: {error}")
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            sent = time.monotonic()
            process.communicate()
            waits.append(time.monotonic() - sent)
            kills += 1
        run = next((Run(path) for path in set(folder.iterdir()) - there if path.is_dir()), None)
        if run is None or not run.path("environment.json").exists():
            left["before it began"] += 1
            run = None
            there = set(folder.iterdir())
        elif run.status.state == "completed":
            return run, kills
        else:
            left["with a checkpoint" if any(run.path(CHECKPOINT).glob("*.npz")) else "without a checkpoint"] += 1


if __name__ == "__main__":
    main()
