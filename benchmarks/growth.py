"""Training on 10,000, 100,000 and 1,000,000 prepared images: time per image and memory of the process stay flat.

    python benchmarks/growth.py FOLDER [--images 10000 100000 1000000] [--side 32]

FOLDER gets a cache of synthetic images, and loses it again: 3.1 GB for a million of 32x32. Each size has its own
process: it prepares the images, gathers all of them in random batches of 128, and trains one epoch of a network so
small that the input is what counts. Memory is the process's own at its highest (RssAnon); the images are pages of the
file, which the operating system drops when it needs the room.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BATCH, BLOCK, CLASSES = 128, 10_000, 10


def blocks(count: int, side: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for start in range(0, count, BLOCK):
        yield random.integers(0, 256, (min(BLOCK, count - start), side, side, 3), dtype=np.uint8)


class Memory:
    """Watches how much memory of its own the process has."""

    def __init__(self) -> None:
        self.most_bytes = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            own_kb = next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
            self.most_bytes = max(self.most_bytes, int(own_kb) * 1024)
            time.sleep(0.05)


def measure(folder: Path, count: int, side: int) -> dict[str, float]:
    """Return seconds per image of preparing, gathering and training, and the memory."""
    from imgcls import backend
    from imgcls.data import Cache
    from imgcls.data.store import Index, build, open_prepared
    from imgcls.spec import load_spec

    backend.start()
    import keras

    from imgcls.training.feed import TrainingFeed

    memory, cache, seconds = Memory(), Cache(folder), {}
    labels = np.arange(count, dtype=np.int32) % CLASSES
    index = Index(labels, np.zeros((count, 32), np.uint8), np.arange(count), tuple(map(str, range(count))),
                  np.zeros((count, 2), np.uint32))  # fmt: skip

    begun = time.perf_counter()
    with cache.lock("growth"):
        build(cache, "growth", (side, side, 3), count, blocks(count, side), lambda: (index, {}))
    seconds["prepare"] = time.perf_counter() - begun
    prepared = open_prepared(cache, "growth")
    assert prepared is not None

    spec = load_spec({"data": "digits", "batch": BATCH}).spec.completed()
    feed = TrainingFeed(spec, lambda _: prepared.images, np.arange(count), labels, CLASSES)
    begun = time.perf_counter()
    for _ in feed.batches(1):
        pass
    seconds["gather"] = time.perf_counter() - begun

    image = keras.Input((side, side, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, strides=4)(image))
    network = keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(pooled))
    network.compile("sgd", "sparse_categorical_crossentropy", steps_per_execution=32, jit_compile=False)
    network.fit(feed.dataset(1), steps_per_epoch=32, verbose=0)  # traces
    begun = time.perf_counter()
    network.fit(feed.dataset(2), verbose=0)
    seconds["train"] = time.perf_counter() - begun
    return {name: 1e6 * value / count for name, value in seconds.items()} | {"memory_mb": memory.most_bytes / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.folder, given.one, given.side)))
        return
    print(f"{'images':>10}  microseconds an image: prepare  gather   train   memory")
    for count in given.images:
        folder = Path(tempfile.mkdtemp(dir=given.folder))
        try:
            command = [sys.executable, __file__, str(folder), "--one", str(count), "--side", str(given.side)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            times = "  ".join(f"{found[name]:6.1f}" for name in ("prepare", "gather", "train"))
            print(f"{count:10,}  {'':22} {times}  {found['memory_mb']:5.0f} MB", flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
