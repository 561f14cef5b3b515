"""A process that writes one checkpoint after the other, killed at random moments: there is always one to go on from.

    python benchmarks/kill_checkpoint.py [--kills 200] [--megabytes 8]

After each kill the newest checkpoint that can be read must be the last that was begun, or the one before, with every
number as it was written; then a new process goes on from it. Says when the kills struck; exit code 1 where a checkpoint
was lost or changed, or where in the end more lies in the folder than the last two.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from imgcls.checkpoints import Checkpoints, Stored
from imgcls.files import remove_leftovers

ARRAYS = 8  # a checkpoint has so many
WRITES_A_KILL = 4.0  # at most, on average half of it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)  # be the process that is killed
    options = parser.parse_args()
    numbers = int(options.megabytes * 1e6 / 4 / ARRAYS)
    if options.write:
        write_without_end(Checkpoints(options.write), numbers)
    rng, struck, wrong = random.Random(options.seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        store = Checkpoints(Path(name) / "checkpoint")
        seconds = seconds_a_write(Checkpoints(Path(name) / "tried"), numbers)
        for _ in range(options.kills):
            begun = killed(store.folder, options.megabytes, rng.uniform(0, WRITES_A_KILL * seconds))
            found = store.newest()
            if problem := what_is_wrong(found, begun):
                wrong.append(problem)
            halves = sum(path.name.startswith(".") for path in store.folder.iterdir())
            struck["while one was written" if halves else "between two"] += 1
        number = 0 if found is None else int(found.record)
        remove_leftovers(store.folder)
        store.write(made(number + 1, numbers))
        left = sorted(path.name for path in store.folder.iterdir())
        if len(left) != 2:
            wrong.append(f"{len(left)} files are left: {', '.join(left)}")
    print(f"{options.kills} kills: {', '.join(f'{count} {when}' for when, count in struck.most_common())}")
    print(f"{number} checkpoints of {options.megabytes:g} MB, {1000 * seconds:.0f} ms each")
    print("\n".join(wrong) or "after each the last or last but one that was begun could be read, to the bit")
    sys.exit(bool(wrong))


def made(number: int, numbers: int) -> Stored:
    rng = np.random.default_rng(number)
    return Stored(number, {f"network/{each}": rng.random(numbers, np.float32) for each in range(ARRAYS)})


def write_without_end(store: Checkpoints, numbers: int) -> None:
    """Go on from the newest, and tell of each before it is begun."""
    remove_leftovers(store.folder)
    found = store.newest()
    number = 0 if found is None else int(found.record)
    while True:
        number += 1
        stored = made(number, numbers)
        print(number, flush=True)
        store.write(stored)


def seconds_a_write(store: Checkpoints, numbers: int) -> float:
    stored, begun = made(1, numbers), time.perf_counter()
    for _ in range(3):
        store.write(stored)
    return (time.perf_counter() - begun) / 3


def killed(folder: Path, megabytes: float, seconds: float) -> int:
    """Have a process write; kill it so many seconds after it began its first; return which it began last."""
    arguments = ("--write", str(folder), "--megabytes", str(megabytes))
    with subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        return int([first, *process.stdout.readlines()][-1])


def what_is_wrong(found: Stored | None, begun: int) -> str:
    """Say what is wrong with the newest checkpoint that could be read; an empty string where nothing is."""
    if found is None:
        return "" if begun == 1 else f"{begun} were begun, and none can be read"
    if found.record not in (begun - 1, begun):
        return f"{begun} were begun, and {found.record} is the newest that can be read"
    numbers = len(found.arrays["network/0"])
    wanted = made(int(found.record), numbers).arrays
    same = all(np.array_equal(found.arrays[name], array) for name, array in wanted.items())
    return "" if same else f"{found.record} is not as it was written"


if __name__ == "__main__":
    main()
