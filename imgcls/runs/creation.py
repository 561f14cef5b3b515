"""New run folders."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from imgcls.errors import RunError
from imgcls.runs.layout import folder_name
from imgcls.runs.run import Run

__all__ = ["check_writable", "create_run", "scratch_run"]

_FIRST_YEAR = 1980  # of a file in a zip archive, which a model is


def check_writable(runs_dir: Path) -> None:
    """Raise where no run folder can be made in a folder, which need not exist yet; nothing is made.

    Raises:
        RunError: it or a folder above it is a file, or must not be written to.
    """
    try:
        there = next(folder for folder in (runs_dir, *runs_dir.absolute().parents) if folder.exists())
        if not there.is_dir():
            raise RunError(
                f"{there} is a file" + ("" if there == runs_dir else f": no run folder can be in {runs_dir}")
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise RunError(f"cannot make a run folder in {runs_dir}: {there} must not be written to")
    except OSError as error:
        raise RunError(f"cannot make a run folder in {runs_dir}: {error.strerror}") from error


def create_run(runs_dir: Path, name: str, *, now: datetime | None = None) -> Run:
    """Make a new folder ``YYYY-MM-DD_HH-MM-SS_NAME``, with a number behind it where that one is taken.

    Raises:
        RunError: it cannot be made, names path and reason; or the machine's clock is not set.
    """
    now = now or datetime.now()
    if now.year < _FIRST_YEAR:
        raise RunError(
            f"the clock of this machine says {now:%Y-%m-%d}: it has to be set, runs are named and ordered by it"
        )
    stem = f"{now:%Y-%m-%d_%H-%M-%S}_{folder_name(name)}"
    check_writable(runs_dir)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            folder = runs_dir / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return Run(folder)
    except OSError as error:
        raise RunError(f"cannot make a run folder in {runs_dir}: {error.strerror}") from error
    raise RunError(f"{runs_dir} has 10,000 runs of this second")


def scratch_run() -> Run:
    """Make a run folder that is gone when the process ends.

    Raises:
        RunError: there is no room for temporary files.
    """
    try:
        folder = tempfile.mkdtemp(prefix="imgcls-worker-")
    except OSError as error:
        raise RunError(f"cannot make a temporary folder: {error.strerror}") from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Run(folder, is_kept=False)
