"""A bit is flipped in every file of a run and of its prepared data: it is noticed, or changes no figure.

    python benchmarks/flip_bits.py [--places 8]

Trains two small networks on `digits`. Then, for each file of the first one's folder and of the cache, one bit is
flipped in several places, one after the other, and `show`, `compare` and `evaluate` are run. What they say is counted:
noticed (the file is named as damaged, or what was damaged is made again), harmless (all figures are as before) or wrong
(a figure changed and nobody noticed, or a command crashed). Exit code 1 where anything is wrong. How often the test
images were looked at is not among the figures: `evaluations.csv` grows, and has no checksum.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import imgcls
from imgcls.runs import Run
from imgcls_cli.app import main as command

SPEC = {
    "data": {"source": "digits", "limit": {"train": 200}},
    "architecture": [{"conv": 8}, {"max_pool": 2}, "flatten", {"dense": 16}],
    "epochs": 3,
    "precision": "float32",
}
FIGURES = {
    "show": ("state", "splits", "timings", "epochs_done", "last_epoch", "metrics", "stages"),
    "compare": ("metrics", "settings", "timings", "verdict"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=8, help="in each file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, cache = folder / "whole", folder / "cache"
        one, other = (
            imgcls.train({**SPEC, "seed": seed, "name": f"seed-{seed}"}, runs_dir=whole / "runs", cache_dir=cache)
            for seed in (0, 1)
        )
        evaluated(one, cache)  # so that there is a row for it
        shutil.move(cache, whole / "cache")
        counts: dict[str, Counter[str]] = {}
        expected = None
        for part in (None, *sorted(path for path in whole.rglob("*") if path.is_file() and is_concerned(path, one))):
            for _ in range(options.places if part else 1):
                shutil.rmtree(folder / "tried", ignore_errors=True)
                shutil.copytree(whole, folder / "tried")
                where = flipped(folder / "tried" / part.relative_to(whole), rng) if part else ""
                runs = [Run(folder / "tried" / "runs" / run.name) for run in (one, other)]
                found = answers(*runs, folder / "tried" / "cache")
                expected = expected or found
                verdicts = {key: judged(found[key], expected[key]) for key in found}
                if part is None:
                    assert set(verdicts.values()) == {"harmless"}, found
                    continue
                worst = min(verdicts.values(), key=("wrong", "noticed", "harmless").index)
                counts.setdefault(str(part.relative_to(whole)).replace(one.name, "RUN"), Counter())[worst] += 1
                if worst == "wrong":
                    bad = [f"{key}: {found[key][1]}" for key, verdict in verdicts.items() if verdict == "wrong"]
                    print(f"WRONG {part.name}, {where}: {'; '.join(bad)}", flush=True)
    for name, count in counts.items():
        print(f"{name[:70]:70} " + ", ".join(f"{number} {what}" for what, number in count.most_common()))
    total = sum(counts.values(), Counter[str]())
    print(f"{total.total()} bits in {len(counts)} files: {', '.join(f'{n} {what}' for what, n in total.most_common())}")
    sys.exit(bool(total["wrong"]))


def is_concerned(path: Path, run: Run) -> bool:
    return "cache" in path.parts or run.name in path.parts or path.parent.name == "runs"


def flipped(path: Path, rng: random.Random) -> str:
    """Flip a bit of a file; return where."""
    data = bytearray(path.read_bytes())
    if not data:
        return "it is empty"
    place, bit = rng.randrange(len(data)), rng.randrange(8)
    data[place] ^= 1 << bit
    path.write_bytes(data)
    return f"bit {bit} of byte {place} of {len(data)}"


def answers(one: Run, other: Run, cache: Path) -> dict[str, tuple[Any, str]]:
    """Return command → its figures, and what it says on stderr or why it failed."""
    found = {
        "show": said("show", one.folder, "--json"),
        "compare": said("compare", one.folder, other.folder, "--json"),
        "evaluate": evaluated(one, cache),
    }
    rows = found["compare"][0].get("metrics", ())
    found["compare"][0]["metrics"] = [row for row in rows if row["key"] != "test_evaluations"]
    return {
        key: ({name: text.get(name) for name in FIGURES.get(key, text)}, said) for key, (text, said) in found.items()
    }


def evaluated(run: Run, cache: Path) -> tuple[dict[str, Any], str]:
    figures, text = said("evaluate", run.folder, "--json", "--cache-dir", cache)
    return {key: value for key, value in figures.items() if key != "warnings"}, text


def said(*arguments: object) -> tuple[dict[str, Any], str]:
    """Run a command in this process; return its JSON, and its exit code with what else it says."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command([str(each) for each in arguments])
    found = json.loads(out.getvalue()) if code == 0 else {}
    return found, f"{code} {err.getvalue()} {' '.join(map(str, found.get('damaged', ())))} {found.get('notes', '')}"


def judged(found: tuple[Any, str], expected: tuple[Any, str]) -> str:
    if found[1].startswith("70"):
        return "wrong"
    if "damaged" in found[1] or "changed" in found[1] or not found[1].startswith("0"):
        return "noticed"
    return "harmless" if found[0] == expected[0] else "wrong"


if __name__ == "__main__":
    main()
