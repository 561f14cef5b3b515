"""CIFAR-10 against the clock: `configs/cifar10/fast.yaml`, seconds since the process began beside validation accuracy.

    python benchmarks/accuracy_over_time.py [CIFAR_FOLDER] [-s KEY=VALUE ...]

CIFAR_FOLDER has `train/CLASS/*` and `test/CLASS/*`; without it Keras fetches the images. They are prepared by a first,
short process. The peak is that of a product of two matrices in the precision trained in, on the same machine.
"""

import argparse
import csv
import itertools
import tempfile
from pathlib import Path

from processes import finished, imgcls_command, read

CONFIG = Path(__file__).parent.parent / "configs" / "cifar10" / "fast.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    data = ["data.source=folder", f"data.path={given.folder.resolve()}"] if given.folder else []
    with tempfile.TemporaryDirectory() as folder:
        short = ["epochs=1", "architecture.filters=[1]", "precision=float32"]
        finished(imgcls_command(CONFIG, Path(folder), *data, *short))
        line, process_s = finished(imgcls_command(CONFIG, Path(folder), *data, *given.set))
        run = Path(line)
        timings, metrics = read(run / "timings.json"), read(run / "metrics.json")
        with (run / "history.csv").open(encoding="utf-8", newline="") as file:
            history = list(csv.DictReader(file))
    phases = timings["phases"]
    before_s = process_s - sum(timings["epoch_seconds"]) - phases["evaluate"] - phases["write"]
    ends = itertools.accumulate(timings["epoch_seconds"])
    print("epoch  seconds  train accuracy  validation accuracy")
    for row, end_s in zip(history, ends, strict=True):
        validated = float(row["val_accuracy"]) if row["val_accuracy"] else float("nan")
        print(f"{row['epoch']:>5}{before_s + end_s:9.0f}{float(row['accuracy']):16.4f}{validated:21.4f}")
    share = f"; {timings['share_of_peak']:.0%} of the peak" if "share_of_peak" in timings else ""
    print(f"test accuracy {metrics['accuracy']:.4f} after {process_s:.0f} s, the whole process{share}")
    if "peak_flops_per_second" in timings:
        print(f"peak {timings['peak_flops_per_second'] / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
