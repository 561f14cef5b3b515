"""What bfloat16 costs in accuracy and saves in time: a config trained in both precisions with the same seeds.

    python benchmarks/precision.py CONFIG [-s KEY=VALUE ...] [--seeds 5]

The precisions take turns. The gain is the mean over the seeds of what bfloat16 is better by, with its 95 % interval by
Student's t: one that holds 0 shows no difference, and is as wide as what could be missed. Seconds are those of the
training alone; a ratio of times goes by their medians.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean, median, stdev

import imgcls
from imgcls.comparison import mean_interval
from imgcls.spec.overrides import parse_overrides

PRECISIONS = ("float32", "bfloat16")


def trained(config: Path, overrides: dict[str, object], runs_dir: str) -> tuple[float, float]:
    """Return accuracy on the test part and seconds of the training."""
    run = imgcls.train(config, overrides, runs_dir=runs_dir)
    return run.metrics["accuracy"], sum(run.timings["train_epoch_seconds"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("--seeds: at least 2, for there is no interval of one")
    return given


def main() -> None:
    given = arguments()
    settings = parse_overrides(given.set)
    first = imgcls.load_spec(given.config, settings).spec.seed
    figures: dict[str, list[tuple[float, float]]] = {precision: [] for precision in PRECISIONS}
    with tempfile.TemporaryDirectory() as runs_dir:
        for seed in range(first, first + given.seeds):
            for precision, rows in figures.items():
                fixed = {"seed": seed, "precision": precision, "repeats": 1}
                rows.append(trained(given.config, {**settings, **fixed}, runs_dir))
                accuracy, seconds = rows[-1]
                print(f"seed {seed}  {precision:8}  accuracy {accuracy:.4f}  {seconds:7.1f} s", flush=True)
    print(f"\n{'':9}  accuracy      sd  seconds")
    for precision, rows in figures.items():
        accuracies, times = zip(*rows, strict=True)
        print(f"{precision:9}  {mean(accuracies):8.4f}  {stdev(accuracies):.4f}  {median(times):7.1f}")
    gains = [bfloat16[0] - float32[0] for float32, bfloat16 in zip(*figures.values(), strict=True)]
    interval = mean_interval(mean(gains), stdev(gains), len(gains))
    assert interval
    slow, fast = (median(seconds for _, seconds in rows) for rows in figures.values())
    low, high = interval
    print(f"gain {mean(gains):+.4f}, 95 % interval {low:+.4f} to {high:+.4f}; {slow / fast:.2f} times as fast")


if __name__ == "__main__":
    main()
