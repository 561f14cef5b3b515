"""A sweep that is killed at random moments, again and again: every trial is finished once, and the table is whole.

    python benchmarks/kill_sweep.py [--kills 50] [--trials 24]

Each time the sweep's process gets SIGKILL after a random time, counted now from its start, now from when it has a trial
in training; then `--resume` goes on. In the end the points, the results and the trials' own files are held against
those of a sweep that nobody killed. Says how many kills there were, when they struck, and what it found; exit code 1
where anything differs.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from imgcls.files import read_csv
from imgcls.runs import Run
from imgcls.runs.layout import SWEEP_CSV, SWEEP_RESOLVED

BASE = {"data": "digits", "architecture": [{"conv": 8}, {"max_pool": 2}, "flatten"], "epochs": 3, "batch": 32}
SPACE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "optimizer": ["adam", "sgd", "rmsprop"]}

SHARE_IN_TRIALS = 0.7  # of the kills
LONGEST_S = 6.0  # until a kill


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "imgcls_cli", "sweep", *map(str, arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "killed.yaml"
        sweep = {"base": BASE, "parameters": SPACE, "method": "tpe", "trials": options.trials, "jobs": 1}
        file.write_text(json.dumps(sweep))
        whole = folder / "whole"
        subprocess.run(command(file, "--runs-dir", whole), check=True, capture_output=True)
        struck = killed(file, folder / "broken", options.kills, rng)
        problems = differences(only(whole), only(folder / "broken"))
    print(f"{sum(struck.values())} kills: {', '.join(f'{count} {when}' for when, count in struck.items())}")
    print("\n".join(problems) or f"{options.trials} trials, each finished once, with the figures of a sweep left alone")
    sys.exit(bool(problems))


def killed(file: Path, runs_dir: Path, kills: int, rng: random.Random) -> Counter[str]:
    """Run the sweep to its end, killing it so often on the way; return when that was."""
    struck: Counter[str] = Counter()
    finished: dict[str, int] = {}
    while sum(struck.values()) < kills:
        process = subprocess.Popen(next_command(file, runs_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if rng.random() < SHARE_IN_TRIALS:
            wait_for_trial(process, runs_dir)
        try:
            process.wait(rng.uniform(0.0, LONGEST_S))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            struck[moment(runs_dir)] += 1
            finished = unchanged(runs_dir, finished)
        else:
            break
    while True:
        done = subprocess.run(next_command(file, runs_dir), check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return struck
        print(f"resuming failed: {done.stderr}")
        time.sleep(5)


def wait_for_trial(process: subprocess.Popen[bytes], runs_dir: Path) -> None:
    """Wait until a trial is in training, or the sweep is over."""
    while process.poll() is None:
        if any(Run(path).status.state == "running" for path in runs_dir.glob("*_killed/trial-*")):
            return
        time.sleep(0.05)


def next_command(file: Path, runs_dir: Path) -> list[str]:
    begun = [path for path in runs_dir.glob("*_killed") if (path / SWEEP_RESOLVED).exists()]
    return command(begun[0], "--resume") if begun else command(file, "--runs-dir", runs_dir)


def moment(runs_dir: Path) -> str:
    begun = [path for path in runs_dir.glob("*_killed") if (path / SWEEP_RESOLVED).exists()]
    if not begun:
        return "before there was a sweep"
    states = Counter(Run(path).status.state for path in begun[0].glob("trial-*"))
    return "between trials" if states.keys() <= {"completed"} else "in a trial"


def unchanged(runs_dir: Path, before: dict[str, int]) -> dict[str, int]:
    """Return when each finished trial was written; nothing that was finished may have been written again."""
    now = {str(path): path.stat().st_mtime_ns for path in runs_dir.glob("*_killed/trial-*/metrics.json")}
    again = [path for path, written in before.items() if now.get(path) != written]
    if again:
        sys.exit(f"trained again: {again}")
    return now


def only(runs_dir: Path) -> Path:
    return max(runs_dir.glob("*_killed"), key=lambda path: (path / SWEEP_CSV).exists())


def differences(whole: Path, broken: Path) -> list[str]:
    expected, found = (read_csv(path / SWEEP_CSV) for path in (whole, broken))
    known = ("trial", "state", "lr", "optimizer", "val_accuracy", "epochs_run", "total_params", "seed")
    problems = [
        f"trial {one['trial']}: {key} {other[key]} instead of {one[key]}"
        for one, other in zip(expected, found, strict=True)
        for key in known
        if one[key] != other[key]
    ]
    folders = sorted(path.name for path in broken.glob("trial-*"))
    if folders != sorted(path.name for path in whole.glob("trial-*")):
        problems.append(f"other folders: {folders}")
    return problems


if __name__ == "__main__":
    main()
