"""The disk is full from the n-th write on, for every n until a training passes: nothing is lost, and it can go on.

    python benchmarks/full_disk.py [--every 1] [--tmpfs]

Trains a small network on `digits`. From the n-th time on that a file is opened for writing, synced, renamed or a
folder made, that fails as on a full disk; with `--tmpfs`, which needs root, the runs lie on a file system of little
room, and the prepared images elsewhere (of those it is asked beforehand whether there is room).
Each time the exit code must be 1 and the message must name path and reason, or all must have gone well (what is only
useful may be missing, and is told); no file may be left half written, and when there is room again `imgcls resume` must
end with the figures of a run that was never out of room. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from imgcls.catalog import list_runs
from imgcls.files import read_csv
from imgcls.runs import Run
from imgcls.runs.layout import HISTORY, METRICS, PREDICTIONS
from imgcls_cli.app import main as command

SPEC = {
    "data": {"source": "digits", "limit": {"train": 100, "validation": 50, "test": 50}},
    "architecture": ["flatten", {"dropout": 0.2}, {"dense": 16}],
    "epochs": 2,
    "precision": "float32",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STEP_BYTES = 8_192  # less room each time


class Full:
    """The disk that a folder lies on, full from some write on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.room, self.writes, self.last = str(folder), sys.maxsize, 0, ""
        fsync = os.fsync
        sys.addaudithook(self._audit)
        os.fsync = lambda file: self._write("fsync", f"{self.folder}/?") or fsync(file)  # type: ignore[assignment]

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING:
                self._write(event, path)
        elif event in ("os.rename", "os.mkdir"):
            self._write(event, arguments[1] if event == "os.rename" else arguments[0])

    def _write(self, event: str, path: object) -> None:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not text.startswith(self.folder):
            return
        self.writes += 1
        if self.writes > self.room:
            self.last = self.last or f"{event} {Path(text).name}"
            raise OSError(errno.ENOSPC, "No space left on device", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="of the writes, or of the steps of 8 KiB")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--tmpfs", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, spec = Path(name) / "disk", Path(name) / "spec.yaml"
        spec.write_text(json.dumps(SPEC))
        folder.mkdir()
        with mounted(folder) if options.tmpfs else contextlib.nullcontext():
            disk = Full(folder)
            train(spec, folder)
            expected, needed = outcome(list_runs(folder / "runs")[0]), disk.writes
            if options.tmpfs:
                needed = sum(path.stat().st_size for path in folder.rglob("*")) // STEP_BYTES + 4
            counts: Counter[str] = Counter()
            wrong = []
            for room in range(options.first, needed + 1, options.every):
                empty(folder)
                problem, what = tried(disk, spec, folder, room, expected, fills=options.tmpfs)
                counts[what] += 1
                if problem:
                    wrong.append(f"with room for {room}: {problem}")
                    print(wrong[-1], flush=True)
    print(f"{counts.total()} times full: {', '.join(f'{number} {what}' for what, number in counts.most_common())}")
    print(
        f"{len(wrong)} wrong" if wrong else "each told with path and reason; gone on with, the same figures, to the bit"
    )
    sys.exit(bool(wrong))


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # prepared images are mapped from it


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def said(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it says on stderr."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = command([str(each) for each in arguments])
    return code, " ".join(err.getvalue().split())


def train(spec: Path, folder: Path) -> tuple[int, str]:
    return said("train", spec, "--runs-dir", folder / "runs", *cache_of(folder))


def cache_of(folder: Path) -> tuple[object, ...]:
    return ("--cache-dir", folder.with_name("cache") if folder.is_mount() else folder / "cache")


def outcome(run: Run) -> dict[str, object]:
    """Return what must be the same: figures, history without its seconds, predictions."""
    metrics = {key: value for key, value in json.loads(run.path(METRICS).read_text()).items() if key != "warnings"}
    history = [row | {"seconds": ""} for row in read_csv(run.path(HISTORY))]
    return {METRICS: metrics, HISTORY: history, PREDICTIONS: run.path(PREDICTIONS).read_bytes()}


def tried(
    disk: Full, spec: Path, folder: Path, room: int, expected: dict[str, object], *, fills: bool
) -> tuple[str, str]:
    """Train where there is so much room, then go on with more; return what is wrong, and how it went."""
    filler = folder / "filler"
    disk.writes, disk.last = 0, ""
    if fills:
        with filler.open("wb", buffering=0) as file:
            file.write(bytes(shutil.disk_usage(folder).free - room * STEP_BYTES))
    else:
        disk.room = room
    code, text = train(spec, folder)
    disk.room = sys.maxsize
    left = [path.name for path in folder.rglob(".*")]
    filler.unlink(missing_ok=True)
    runs = list_runs(folder / "runs")
    if problem := what_is_wrong(code, text, folder, left, runs):
        return f"{disk.last or 'all went well'}: {problem}", "wrong"
    what = "passed"
    if code and runs and runs[0].has_begun:
        code, text = said("resume", runs[0].folder, *cache_of(folder))
        what = "gone on with"
    elif code:
        shutil.rmtree(folder / "runs", ignore_errors=True)
        code, text = train(spec, folder)
        what = "begun anew"
    if code:
        return f"{disk.last}: cannot be {what}: {text[-400:]}", "wrong"
    found = outcome(list_runs(folder / "runs")[0])
    differing = [key for key, value in found.items() if value != expected[key]]
    return (f"{disk.last}: {what}, {', '.join(differing)} differ", "wrong") if differing else ("", what)


def what_is_wrong(code: int, text: str, folder: Path, left: list[str], runs: list[Run]) -> str:
    """Say what is wrong with how a training ended; an empty string where nothing is."""
    states = [run.status.state for run in runs]
    is_told = str(folder) in text and ("No space left on device" in text or "are needed and" in text)
    problems = {
        f"exit code {code}: {text[-600:]}": code not in (0, 1),
        f"path or reason is missing: {text[-300:]}": code == 1 and not is_told,
        f"a traceback: {text[:600]}": "Traceback" in text or "Logging error" in text,
        f"left: {', '.join(left)}": bool(left),
        f"the run is {', '.join(states)}": states not in ([], ["failed"], ["interrupted"], ["completed"]),
    }
    return next((problem for problem, is_so in problems.items() if is_so), "")


if __name__ == "__main__":
    main()
