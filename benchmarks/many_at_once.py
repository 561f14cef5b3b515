"""Many trainings that are started at once, with nothing prepared: all are complete, and the images were prepared once.

    python benchmarks/many_at_once.py [--runs 16] [--photos 500] [--kill]

Each is a process of its own, of some 0.7 GB. With `--kill` the one that prepares the images is killed on the way, and
another does it. Exit code 1 where a run is missing or differs, or images were prepared again or left half prepared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from imgcls.catalog import list_runs
from imgcls.data import Cache
from imgcls.runs.layout import METRICS, PREDICTIONS

SPEC = {
    "data": "photos",
    "resolution": 32,
    "architecture": [{"conv": 4}, {"max_pool": 4}, "flatten"],
    "epochs": 2,
    "precision": "float32",
}
PREPARED = "preparing"  # what a process says on stderr that prepares images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", options.photos)
        (folder / "one.yaml").write_text(json.dumps(SPEC))
        begun = time.monotonic()
        processes = [started(folder, number) for number in range(options.runs)]
        killed = kill_who_prepares(folder, processes) if options.kill else None
        ended = [(process.communicate()[1], process.returncode) for process in processes]
        seconds = time.monotonic() - begun
        problems = what_is_wrong(folder, ended, killed)
    print(f"{options.runs} at once, {seconds:.0f} s" + ("" if killed is None else "; the one that prepared was killed"))
    print("\n".join(problems) or "all complete, with the same predictions; the images were prepared once")
    sys.exit(bool(problems))


def make_photos(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class-{number % 5}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 200, (48, 64, 3)) + 10 * (number % 5)
        Image.fromarray(pixels.astype(np.uint8)).resize((640, 480)).save(path)


def started(folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "imgcls_cli", "train", "one.yaml", "--runs-dir", "runs", "--cache-dir", "cache"]
    return subprocess.Popen(
        [*command, "--name", f"run-{number}"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def kill_who_prepares(folder: Path, processes: list[subprocess.Popen[str]]) -> int:
    """Kill the process that has the store under way, as soon as there is one; return which."""
    while True:
        for path in (folder / "cache").glob("prepared/.*.building/images.npy"):
            for number, process in enumerate(processes):
                if has_open(process.pid, path):
                    process.kill()
                    return number
        time.sleep(0.001)


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(file.resolve() == path for file in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it is gone, or closes the file
        return False


def what_is_wrong(folder: Path, ended: list[tuple[str, int]], killed: int | None) -> list[str]:
    problems = [
        f"run {number} ended with {code}: {text[-300:]}"
        for number, (text, code) in enumerate(ended)
        if code and number != killed
    ]
    prepared = [number for number, (text, _) in enumerate(ended) if PREPARED in text and number != killed]
    if len(prepared) != 1:
        problems.append(f"prepared by {len(prepared)}: {prepared}")
    runs = list_runs(folder / "runs")
    complete = [run for run in runs if run.status.state == "completed" and run.checked(METRICS)]
    if len(complete) != len(ended) - (killed is not None):
        problems.append(f"{len(complete)} are complete")
    if len({run.path(PREDICTIONS).read_bytes() for run in complete}) != 1:
        problems.append("their predictions differ")
    entries = Cache(folder / "cache").entries()
    left = [path.name for path in (folder / "cache").rglob(".*")]
    if len(entries) != 1 or left:
        problems.append(f"{len(entries)} stores, and {', '.join(left) or 'nothing'} half prepared")
    return problems


if __name__ == "__main__":
    main()
