"""How often `imgcls compare` calls two trainings different whose spec is the same, and how often two specs.

    python benchmarks/verdicts.py CONFIG [-s KEY=VALUE ...] [--against KEY=VALUE ...] [--pairs 40]

Trains CONFIG with two new seeds a pair and compares the two: of pairs of one spec about 5 % may be called different.
With `--against` the second of each pair has those settings too, and how often it is called better is told.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import imgcls
from imgcls.comparison import compare
from imgcls.spec.overrides import parse_overrides


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--against", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--pairs", type=int, default=40)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    first, second = parse_overrides(given.set), parse_overrides([*given.set, *given.against])
    accuracies: tuple[list[float], list[float]] = ([], [])
    pairs: list[Any] = []
    with tempfile.TemporaryDirectory() as runs_dir:
        for number in range(given.pairs):
            sides = [
                imgcls.train(given.config, {**settings, "seed": 2 * number + place, "repeats": 1}, runs_dir=runs_dir)
                for place, settings in enumerate((first, second))
            ]
            [pair] = compare(sides).verdict.pairs
            pairs.append(pair)
            for values, run in zip(accuracies, sides, strict=True):
                values.append(run.metrics["accuracy"])
            print(f"{number + 1:3}  {pair.text}", flush=True)
    told = sum(pair.is_told_apart for pair in pairs)
    better = sum(pair.is_told_apart and pair.difference.value > 0 for pair in pairs)
    for name, values in zip(("first", "second"), accuracies, strict=True):
        print(f"{name}: accuracy {fmean(values):.4f}, sd {stdev(values):.4f}")
    share = told / len(pairs)
    print(f"{told} of {len(pairs)} pairs called different ({share:.1%}), {better} times the second better")


if __name__ == "__main__":
    main()
