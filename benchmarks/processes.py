"""Whole processes whose last line says what they measured, for the benchmarks that hold imgcls against others."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HAND_WRITTEN = Path(__file__).parent / "hand_written"


@dataclass(frozen=True)
class Outcome:
    """What one process gave; ``epoch_seconds`` are of the training alone."""

    epoch_seconds: list[float]
    accuracy: float
    params: int
    process_seconds: float
    forward_flops: int = 0

    @property
    def later_epoch_seconds(self) -> float:
        """Median of the epochs after the first, which traces and warms up."""
        return median(self.epoch_seconds[1:] or self.epoch_seconds)


def finished(command: list[str]) -> tuple[str, float]:
    """Run a command; return the last line it printed and the seconds of the whole process."""
    begun = time.perf_counter()
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    took = time.perf_counter() - begun
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr[-2000:]}")
    return process.stdout.strip().splitlines()[-1], took


def run_script(python: str, script: str, *arguments: str) -> Outcome:
    """Run a hand-written script, which prints its figures as a line of JSON."""
    line, took = finished([python, str(HAND_WRITTEN / script), *arguments])
    return Outcome(**json.loads(line), process_seconds=took)


def imgcls_command(spec: Path, folder: Path, *settings: str) -> list[str]:
    """Return the command that trains a spec with runs and cache in a folder; its last line is the run's folder."""
    command = [str(Path(sys.executable).parent / "imgcls"), "train", str(spec), "--runs-dir", str(folder / "runs")]
    return [*command, "--cache-dir", str(folder / "cache"), *(part for each in settings for part in ("-s", each))]


def run_imgcls(spec: Path, folder: Path, *settings: str) -> Outcome:
    """Train a spec with runs and cache in a folder."""
    line, took = finished(imgcls_command(spec, folder, *settings))
    timings, metrics = (read(Path(line) / name) for name in ("timings.json", "metrics.json"))
    return Outcome(timings["train_epoch_seconds"], metrics["accuracy"], metrics["total_params"], took)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def told(name: str, outcome: Outcome) -> Outcome:
    """Say on standard error what a process gave, as it ends."""
    seconds = f"{outcome.later_epoch_seconds:.2f} s an epoch, {outcome.process_seconds:.1f} s in all"
    print(f"{name}: {seconds}, accuracy {outcome.accuracy:.3f}", file=sys.stderr, flush=True)
    return outcome


def refuse_unequal(outcomes: list[Outcome]) -> None:
    """Stop where the networks are not of one size: nothing could be compared then."""
    if len({each.params for each in outcomes}) > 1:
        raise SystemExit(f"the networks differ: {sorted({each.params for each in outcomes})} parameters")
