"""Report 002's network 2 on CIFAR-10, trained by imgcls and by Keras scripts written by hand, plain and tuned.

    python benchmarks/network_2.py CIFAR_FOLDER [--batch 32 128] [--images 12800] [--rounds 1] [--epochs 4]

CIFAR_FOLDER has `train/CLASS/*` and `test/CLASS/*`. Each way is a process of its own on the same images, the ways take
turns; an epoch is its training alone, median of those after the first. The share of the peak is three times the forward
operations of the images of an epoch, over its seconds, against the best product of two 4096x4096 matrices measured in
the same precision before, between and after.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from processes import Outcome, finished, refuse_unequal, run_imgcls, run_script, told

CONFIG = Path(__file__).parent.parent / "configs" / "report-002" / "network-2.yaml"
TEST_IMAGES = 1000
PEAK = """
import json, time
import tensorflow as tf
found = {}
for kind in (tf.float32, tf.bfloat16):
    matrix = tf.cast(tf.random.normal((4096, 4096)), kind)
    product = tf.function(lambda matrix=matrix: tf.reduce_sum(tf.cast(matrix @ matrix, tf.float32)))
    product()
    seconds = []
    for _ in range(8):
        begun = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - begun)
    found[kind.name] = 2 * 4096**3 / min(seconds) / 1e9
print(json.dumps(found))
"""
FLOAT32, BFLOAT16 = "float32", "bfloat16"
BASE = "Keras, cached, float32"
WAYS = {
    BASE: (FLOAT32, ()),
    "Keras, tuned, float32": (FLOAT32, ("--tuned",)),
    "imgcls, float32": (FLOAT32, None),
    "Keras, tuned, bfloat16": (BFLOAT16, ("--tuned", "--bfloat16")),
    "imgcls, bfloat16": (BFLOAT16, None),
}


def peak() -> dict[str, float]:
    """Return the GFLOP/s of a matrix product, by precision."""
    line, _ = finished([sys.executable, "-c", PEAK])
    found: dict[str, float] = json.loads(line)
    print("peak, GFLOP/s: " + ", ".join(f"{name} {value:.0f}" for name, value in found.items()), file=sys.stderr)
    return found


def some_images(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 (count, 32, 32, 3) and labels (count,), chosen by chance and the same each time."""
    classes = sorted(each.name for each in folder.iterdir() if each.is_dir())
    paths = sorted(folder.glob("*/*"))
    picked = random.Random(0).sample(paths, min(count, len(paths)))
    images = [np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path in picked]
    return np.stack(images), np.array([classes.index(path.parent.name) for path in picked])


def save_images(folder: Path, count: int, path: Path) -> int:
    """Write what all ways train on and are measured on as one file; return how many images train."""
    train, train_labels = some_images(folder / "train", count)
    test, test_labels = some_images(folder / "test", TEST_IMAGES)
    np.savez(path, x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
    return len(train)


def trained(name: str, batch: int, epochs: int, images: Path) -> Outcome:
    """Train one way once."""
    precision, script = WAYS[name]
    if script is not None:
        arguments = (str(CONFIG), str(images), str(batch), "--epochs", str(epochs), *script)
        return run_script(sys.executable, "keras_network_2.py", *arguments)
    data = json.dumps({"source": "npz", "path": str(images), "validation": "none"})
    settings = {"data": data, "batch": batch, "epochs": epochs, "precision": precision}
    fixed = ("early_stopping=null", "optimizer=adam", "repeats=1", "reported=null")
    return run_imgcls(CONFIG, images.parent, *(f"{key}={value}" for key, value in settings.items()), *fixed)


def show(outcomes: dict[str, list[Outcome]], count: int, peaks: list[dict[str, float]]) -> None:
    """Print the medians side by side."""
    base = median(each.later_epoch_seconds for each in outcomes[BASE])
    flops = max(each.forward_flops for each in outcomes[BASE])
    print(f"{'':26}{'s an epoch':>11}{'images/s':>10}{'speed':>8}{'of peak':>9}{'s in all':>10}{'accuracy':>10}")
    for name, found in outcomes.items():
        seconds = median(each.later_epoch_seconds for each in found)
        best = max(each[WAYS[name][0]] for each in peaks)
        share = 3 * flops * count / seconds / 1e9 / best
        process, accuracy = (median(getattr(each, key) for each in found) for key in ("process_seconds", "accuracy"))
        speeds = f"{seconds:11.2f}{count / seconds:10,.0f}{base / seconds:8.2f}{share:9.0%}"
        print(f"{name:26}{speeds}{process:10.1f}{accuracy:10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--images", type=int, default=12800)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args()
    peaks = [peak()]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "cifar10.npz"
        count = save_images(asked.folder, asked.images, images)
        for batch in asked.batch:
            outcomes: dict[str, list[Outcome]] = {}
            for _ in range(asked.rounds):
                for name in WAYS:
                    outcomes.setdefault(name, []).append(told(name, trained(name, batch, asked.epochs, images)))
            refuse_unequal([each for found in outcomes.values() for each in found])
            peaks.append(peak())
            print(f"\nBatch {batch}, {count:,} images, {asked.epochs} epochs, {asked.rounds} rounds")
            show(outcomes, count, peaks)
            best = {name: max(each[name] for each in peaks) for name in (FLOAT32, BFLOAT16)}
            print("best product of matrices, GFLOP/s: " + ", ".join(f"{name} {best[name]:.0f}" for name in best))


if __name__ == "__main__":
    main()
