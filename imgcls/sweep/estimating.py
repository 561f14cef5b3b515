"""How long a sweep will take, from a few steps of some of its points."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from imgcls.errors import RunError
from imgcls.observer import Observer
from imgcls.runs import Run
from imgcls.spec.sweeping import LoadedSweep
from imgcls.sweep.pool import Pool
from imgcls.sweep.processes import Processes
from imgcls.sweep.running import load_images_once

__all__ = ["estimate_seconds"]

_BATCHES = 20  # of training images, twice: the first time is spent on tracing
_FORWARD = 1 / 3  # of a training step: a validation image passes once forward and never back


def estimate_seconds(
    loaded: LoadedSweep, *, cache_dir: Path | str | None = None, observer: Observer | None = None
) -> float | None:
    """Return about how long a sweep takes on this machine.

    Three points at most are trained for two epochs of twenty batches, in a folder that is gone afterwards. That pruning
    and early stopping save something is not known beforehand, nor that larger networks get slower side by side.

    Returns:
        None where stages have epochs of their own, which are not measured.

    Raises:
        DataError, RunError: as the sweep's own trials.
    """
    if loaded.base.spec.stages:
        return None
    dataset = load_images_once(loaded, cache_dir, observer or Observer())
    train, validation = (len(dataset.splits.get(part, ())) for part in ("train", "validation"))
    executor, epochs = Processes(loaded.sweep, loaded.base.spec.device), loaded.base.spec.epochs
    start, trials = 0.0, []
    with tempfile.TemporaryDirectory(prefix="imgcls-estimate-") as name:
        folder = Path(name)
        with Pool(executor, folder) as pool:
            for number, point in enumerate(_typical(loaded)):
                run = Run(folder / f"point-{number}")
                _train_a_little(pool, loaded, point, run, cache_dir)
                steady = epochs * (train + _FORWARD * validation) / run.timings["images_per_second"]
                trials.append(_around_epochs(run) + steady)
                start += _start(run)
    folds = loaded.base.spec.folds or loaded.sweep.repeats
    return start + fmean(trials) * folds * loaded.sweep.trial_count / executor.jobs


def _around_epochs(run: Run) -> float:
    """Return the seconds of a trial that do not grow with images and epochs."""
    spent = sum(run.timings["epoch_seconds"]) + _start(run)
    return float(run.timings["total"] - spent + run.timings["phases"]["compile"])  # the first epoch has most of it


def _start(run: Run) -> float:
    """Return the seconds that a worker takes to start and to read the images, once."""
    phases = run.timings["phases"]
    return float(phases["data"] + phases["start_up"])


def _typical(loaded: LoadedSweep) -> list[dict[str, Any]]:
    """Return up to three points: the first, one in the middle and the last."""
    parameters = loaded.sweep.parameters
    points = list(loaded.sweep.planned()) or [
        dict(zip(parameters, values, strict=True))
        for values in itertools.islice(itertools.product(*(each.examples for each in parameters.values())), 1000)
    ]
    return [points[place] for place in sorted({0, len(points) // 2, len(points) - 1})]


def _train_a_little(
    pool: Pool, loaded: LoadedSweep, point: Mapping[str, Any], run: Run, cache_dir: Path | str | None
) -> None:
    spec = loaded.base.changed(loaded.sweep.overrides(point)).spec
    little: dict[str, Any] = {
        "data.limit.train": _BATCHES * spec.batch, "epochs": 2, "early_stopping": None, "repeats": 1, "folds": None,
        "evaluate_on": "validation", "reported": None, "tracking": "none",
    }  # fmt: skip
    pool.send(
        0,
        spec=loaded.base.changed(loaded.sweep.overrides(point) | little).value,
        base=str(loaded.base.base),
        folder=str(run.folder),
        point=point,
        cache_dir=None if cache_dir is None else os.fspath(cache_dir),
        asks=False,
    )
    if (end := pool.wait())["end"] != "completed":
        raise RunError(f"a point cannot be trained: {end['message']}")
