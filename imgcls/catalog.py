"""Which runs there are, in which order, and which one a reference means."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from imgcls.errors import DataError, nearest
from imgcls.runs import SPEC, STATUS, TIME, Run, folder_name

__all__ = ["find_run", "list_runs"]


def list_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in a folder, oldest first."""
    if not runs_dir.is_dir():
        return []
    folders = [folder for folder in runs_dir.iterdir() if not folder.name.startswith(".")]
    taken = {folder.name for folder in folders}
    found = [Run(folder) for folder in folders if (folder / STATUS).is_file() or (folder / SPEC).is_file()]
    return sorted(found, key=lambda run: (*_age(run, taken), run.name))


def _age(run: Run, taken: Collection[str]) -> tuple[str, int, int]:
    """Return what runs are ordered by: the second they began in, their number in it, when their state was written."""
    written = 0
    with suppress(OSError):
        written = run.path(STATUS).stat().st_mtime_ns
    began = TIME.match(run.name)
    second = began[0] if began else f"{datetime.fromtimestamp(written / 1e9).astimezone():%Y-%m-%d_%H-%M-%S}_"
    return second, _numbered(run.name, taken)[1], written


def _numbered(name: str, taken: Collection[str]) -> tuple[str, int]:
    """Take off the number that ``create_run`` put behind a name which was taken; 1 where it put none."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number)) if stem in taken and number.isdecimal() else (name, 1)


def find_run(reference: str, runs_dir: Path) -> Run:
    """Return the run that a path, a name, a unique prefix of a folder's or run's name, or ``latest`` means.

    Of several runs with one name it is the newest.

    Raises:
        DataError: none or several fit; names them.
    """
    if not reference:
        raise DataError("an empty name means no run; a path, a name, a unique prefix of one, or latest is accepted")
    if (folder := Path(reference)).is_dir() and ((folder / STATUS).is_file() or (folder / SPEC).is_file()):
        return Run(folder)
    runs = list_runs(runs_dir)
    if reference == "latest" and runs:
        return runs[-1]
    taken = {run.name for run in runs}
    names = [(_names(run, taken), run) for run in reversed(runs)]  # the newest first
    for parts in (slice(0, 1), slice(1, 3)):  # a folder's name goes first
        if exact := [run for each, run in names if reference in each[parts]]:
            return exact[0]
    found = [(each[-1], run) for each, run in names if any(name.startswith(reference) for name in each)]
    if len({given for given, _ in found}) == 1:
        return found[0][1]
    if found:
        shown = "\n  ".join(run.name for _, run in reversed(found[:10]))
        raise DataError(f"{reference!r} means {len(found)} runs; give more of the name, or a path:\n  {shown}")
    if not runs:
        raise DataError(f"no run {reference!r}: there are no runs in {runs_dir}")
    hint = nearest(reference, [name for each, _ in names for name in each])
    raise DataError(f"no run {reference!r} in {runs_dir}{hint}")


def _names(run: Run, taken: Collection[str]) -> tuple[str, str, str]:
    """Return the folder's name, the same without its time, and the name that the run was given."""
    without_time = TIME.sub("", run.name)
    stem, number = _numbered(run.name, taken)
    if number > 1:  # a second cnn of that second, or the first that somebody called cnn-2?
        settings: dict[str, Any] = {}
        with suppress(DataError):
            settings = run.settings
        if folder_name(str(settings.get("name") or "")) != without_time:
            return run.name, without_time, TIME.sub("", stem)
    return run.name, without_time, without_time
