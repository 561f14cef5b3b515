"""Which runs there are, in which order, and which one a reference means."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from imgcls.errors import DataError, nearest
from imgcls.runs import Run
from imgcls.runs.layout import FINAL, SPEC, STATUS, SWEEP, TIME, folder_name, part_number
from imgcls.wording import counted, some

__all__ = [
    "find_run",
    "full_name",
    "is_repeat",
    "list_runs",
    "refuse_groups",
    "refuse_sweeps",
    "runs_dir_of",
    "whole_of",
]


def list_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in a folder, oldest first."""
    if not runs_dir.is_dir():
        return []
    folders = [folder for folder in runs_dir.iterdir() if not folder.name.startswith(".")]
    taken = {folder.name for folder in folders}
    found = [Run(folder) for folder in folders if _is_run(folder)]
    return sorted(found, key=lambda run: (*_age(run, taken), run.name))


def _is_run(folder: Path) -> bool:
    try:
        return any((folder / file).is_file() for file in (STATUS, SPEC, SWEEP))
    except PermissionError:  # somebody else's: what is done with it says so
        return True


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

    Of several runs with one name it is the newest. ``/repeat-2`` or ``/trial-07`` behind a name or prefix, or behind
    ``latest``, means that repeat or trial.

    Raises:
        DataError: none or several fit; names them.
    """
    if not reference:
        raise DataError("an empty name means no run; a path, a name, a unique prefix of one, or latest is accepted")
    if (folder := Path(reference)).is_dir() and _is_run(folder):
        return Run(folder)
    name, _, part = reference.rstrip("/").rpartition("/")
    if name and part_number(part):
        return _find_part(find_run(name, runs_dir), part)
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
    hint = hint or f"; the newest are {some([run.name for _, run in names], 3)}"
    raise DataError(f"no run {reference!r} in {runs_dir}{hint}")


def _find_part(run: Run, name: str) -> Run:
    if _is_run(run.path(name)):
        return Run(run.path(name))
    if there := _parts(run):
        raise DataError(f"{run.name} has no {name}; it has {some(there)}")
    is_whole = run.is_repeated or run.is_sweep
    reason = "none has begun" if is_whole else "it is no sweep and no folder of repeats"
    raise DataError(f"{run.name} has no {name}: {reason}")


def _parts(run: Run) -> list[str]:
    """Return the names of the repeats or trials that lie in a run's folder, in their order."""
    found = [folder.name for folder in run.folder.iterdir() if part_number(folder.name) and _is_run(folder)]
    return sorted(found, key=part_number)


def full_name(run: Run) -> str:
    """Return what a run is told from others by: its name, of a repeat or trial behind that of what it is a part of."""
    return f"{full_name(_whole(run))}/{run.name}" if _is_part(run) else run.name


def runs_dir_of(run: Run) -> Path:
    """Return the folder of runs that a run lies in, or what it is a part of."""
    return runs_dir_of(_whole(run)) if _is_part(run) else run.folder.resolve().parent


def whole_of(run: Run) -> Run:
    """Return the repeats or the sweep that a run is a part of; itself where it is of none."""
    return _whole(run) if _is_part(run) else run


def is_repeat(run: Run) -> bool:
    """Whether a run is one of the repeats of another, or a fold of a cross-validation."""
    return _is_part(run) and run.name.startswith(("repeat", "fold"))


def _is_part(run: Run) -> bool:
    return part_number(run.name) > 0 and _is_run(_whole(run).folder)


def _whole(run: Run) -> Run:
    return Run(run.folder.resolve().parent)


def refuse_groups(run: Run) -> None:
    """Raise where a sweep or a folder of repeats is given and one network is needed.

    Raises:
        DataError: it is such a folder; names what is in it.
    """
    refuse_sweeps(run)
    if not run.is_repeated:
        return
    count = len(_parts(run))
    with suppress(DataError):  # damaged: then those that lie there
        count = run.repeats["repeats"]
    raise DataError(f"{run.folder} is a folder of {counted(count, 'repeat')}{_one_of(run)}")


def refuse_sweeps(run: Run) -> None:
    """Raise where a sweep is given and one experiment is needed.

    Raises:
        DataError: it is a sweep; names trials.
    """
    if run.is_sweep:
        trials = sum(name != FINAL for name in _parts(run))
        raise DataError(f"{run.folder} is a sweep of {counted(trials, 'trial')}{_one_of(run)}")


def _one_of(run: Run) -> str:
    there = _parts(run)
    return f"; name one: {run.folder / there[0]} (it has {some(there)})" if there else "; none has begun"


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
