"""What checkpoints take of a training's time, where as many are made as the rule allows.

    python benchmarks/checkpoint_cost.py SPEC.yaml [-s KEY=VALUE]...

Trains as the spec says, with `checkpoint: {minutes: 0.001}`, and counts the seconds from where a checkpoint is begun to
where it lies on the disk: fetching weights, optimizer and records from the backend, writing, syncing, renaming.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import imgcls
from imgcls.backend import start
from imgcls.spec.overrides import parse_overrides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("-s", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    options = parser.parse_args()
    start("auto", "tensorflow")
    from imgcls.training.stage import StageTraining

    seconds: list[float] = []
    keep = StageTraining._keep  # noqa: SLF001

    def timed(self: StageTraining, *arguments: Any) -> None:
        begun = time.perf_counter()
        keep(self, *arguments)
        seconds.append(time.perf_counter() - begun)

    StageTraining._keep = timed  # type: ignore[method-assign] # noqa: SLF001
    overrides = parse_overrides([*options.s, "checkpoint.minutes=0.001"])
    run = imgcls.train(options.spec, overrides, runs_dir=options.runs_dir)
    epochs = sum(run.timings["epoch_seconds"])
    print(f"{len(seconds)} checkpoints took {sum(seconds):.2f} s of the {epochs:.0f} s of the epochs", end="")
    print(f": {sum(seconds) / epochs:.1%}; the longest {max(seconds, default=0):.2f} s")


if __name__ == "__main__":
    main()
