"""A frozen backbone with its features stored, and without: seconds an epoch, and the same accuracy.

    python benchmarks/frozen_layers.py PHOTOS [WEIGHTS] [--epochs 4] [--resolution 224]

PHOTOS is a folder of class folders, WEIGHTS a file for MobileNet; without one Keras fetches those of ImageNet. Both
ways train the same head with the same seed; the second is told that nothing is frozen, and so passes all layers in each
epoch.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from unittest import mock

import imgcls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", nargs="?", default="imagenet")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--resolution", type=int, default=224)
    given = parser.parse_args()
    head = ["global_average_pool", {"dense": 128}, {"dropout": 0.3}]
    spec = {
        "data": str(given.photos.resolve()),
        "resolution": given.resolution,
        "architecture": {"backbone": "mobilenet", "weights": given.weights, "head": head},
        "batch": 32,
        "epochs": given.epochs,
        "precision": "float32",
    }
    with tempfile.TemporaryDirectory() as folder:
        stored = imgcls.train(spec, runs_dir=folder, cache_dir=f"{folder}/cache")
        with mock.patch("imgcls.training.assembling.split_frozen", return_value=None):
            through = imgcls.train(spec, runs_dir=folder, cache_dir=f"{folder}/cache")
        print(f"{'':19}  features  first epoch  later ones  accuracy  loss")
        for name, run in (("features stored", stored), ("through all layers", through)):
            seconds, metrics = run.timings["epoch_seconds"], run.metrics
            print(
                f"{name:19} {run.timings['phases'].get('features', 0):7.1f} s {seconds[0]:10.2f} s "
                f"{median(seconds[1:]):9.2f} s  {metrics['accuracy']:8.4f}  {metrics['loss']:.5f}"
            )
        ratio = median(through.timings["epoch_seconds"][1:]) / median(stored.timings["epoch_seconds"][1:])
        print(f"an epoch after the first is {ratio:.0f} times as fast")


if __name__ == "__main__":
    main()
