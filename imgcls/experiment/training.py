"""An experiment from its spec to the finished folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imgcls import backend
from imgcls.errors import DegenerateError
from imgcls.evaluation.plausibility import reported_remarks
from imgcls.experiment.measuring import employ_assistant, held_out_part, unchanged_classes
from imgcls.experiment.preparing import LoadImages, prepare
from imgcls.experiment.repeating import run_repeats
from imgcls.experiment.running import run_once
from imgcls.observer import Observer
from imgcls.recording import Clock
from imgcls.runs import Run, check_writable, create_run, scratch_run
from imgcls.spec import LoadedSpec, load_spec
from imgcls.spec.remarks import spec_remarks

__all__ = ["refuse_degenerate", "train", "train_into"]


def train(
    spec: Path | str | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    runs_dir: Path | str = "runs",
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
    strict: bool = False,
) -> Run:
    """Run an experiment: prepare the data, train, evaluate once on the held-out part, write the run folder.

    With ``repeats`` in the spec all of that but the data is done so often, each time with another seed, with ``folds``
    once for each fold: the folder then holds a run folder for each, and a summary. With ``distribute: multi_worker``
    each worker does all of that, and the folder that is kept is the first one's: those of the others are gone when
    their processes end.

    Args:
        spec: a YAML file, or the spec as a mapping.
        overrides: dotted key → value, on top of the spec: ``{"lr": 1e-4, "data.limit.train": 1000}``; paths in it
            are relative to the working folder.
        runs_dir: where the run folder is made.
        cache_dir: where prepared data is kept; by default the user's cache folder.
        observer: is told how it goes.
        strict: raise where the result is degenerate; the folder is complete nonetheless.

    Raises:
        SpecError: the spec is wrong; no run folder is made.
        DataError: the data is; no run folder is made.
        RunError: the run failed, or some of its repeats did; the folder says so.
        DegenerateError: under ``strict``.
    """
    loaded = load_spec(spec, overrides)
    employ_assistant()
    if backend.find_cluster(loaded.spec.distribute).rank == 0:
        check_writable(Path(runs_dir))
    run = train_into(lambda: create_run(Path(runs_dir), loaded.name), loaded, cache_dir, observer or Observer())
    if strict:
        refuse_degenerate(run)
    return run


def train_into(
    make_run: Callable[[], Run],
    loaded: LoadedSpec,
    cache_dir: Path | str | None,
    observer: Observer,
    load: LoadImages | None = None,
    *,
    threads: int | None = None,
) -> Run:
    """Run an experiment, as ``train``.

    Args:
        make_run: makes the run's folder, when nothing stands in the way of training.
        load: gives the images; by default ``load_images_of``.
        threads: of one operation; by default as many as there are cores.
    """
    clock = Clock()
    observer.remarked([*spec_remarks(loaded.spec), *reported_remarks(loaded.spec.reported)])
    with backend.memory_is_told():
        prepared = prepare(loaded, cache_dir, observer, clock, load, threads=threads)
        held_out_part(prepared.spec, prepared.dataset)  # before there is a folder: it may be none
        observer.remarked(unchanged_classes(prepared.spec, prepared.dataset))
        with clock("build"):
            first = [prepared.build(prepared.spec)]  # before there is a folder: it may not fit
        observer.remarked(first[0].findings)
    run = make_run() if prepared.distribution.rank == 0 else scratch_run()
    if prepared.spec.repeats > 1 or prepared.spec.folds:
        run_repeats(run, prepared, first, observer)
    else:
        run_once(run, prepared, prepared.spec, first.pop(), observer, clock)
    return run


def refuse_degenerate(run: Run) -> None:
    """Raise DegenerateError if the run's result means nothing, for instance one class predicted for all images."""
    from imgcls.evaluation.checks import DEGENERATE_CODES

    if not run.is_kept:  # another worker has the same result, and the folder
        return
    results = (run.members or (run,)) if run.is_repeated else (run,)
    found = [
        warning["message"]
        for each in results
        for warning in each.metrics["warnings"]
        if warning["code"] in DEGENERATE_CODES
    ]
    if found:
        raise DegenerateError(f"the result in {run.folder} is degenerate: {'; '.join(dict.fromkeys(found))}")
