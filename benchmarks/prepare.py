"""How long images take to prepare, and a prepared set to open again.

    python benchmarks/prepare.py FOLDER [RESOLUTION]

FOLDER is a data folder as a spec names it. Each time is a process of its own, with a cache that begins empty.
"""

import subprocess
import sys
import tempfile

CODE = """
import resource, sys, time
from pathlib import Path
begun = time.perf_counter()
from imgcls.data import Cache, load_dataset
from imgcls.spec import load_spec
spec = load_spec({"data": sys.argv[1], "resolution": int(sys.argv[2])}).spec
imported = time.perf_counter()
cache = Cache(Path(sys.argv[3]))
dataset = load_dataset(
    spec.data, base=Path.cwd(), resolution=spec.resolution, color="rgb", resize="stretch", cache=cache
)
took = time.perf_counter() - imported
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
count = len(dataset.labels)
print(f"{count:,} images  {took:7.2f} s  {count / took:9,.0f} a second  peak {peak:,.0f} MB")
"""


def main() -> None:
    resolution = sys.argv[2] if len(sys.argv) > 2 else "64"
    with tempfile.TemporaryDirectory() as cache:
        for name in ("first time", "again", "again"):
            print(f"{name:11}", end="", flush=True)
            subprocess.run([sys.executable, "-c", CODE, sys.argv[1], resolution, cache], check=True)


if __name__ == "__main__":
    main()
