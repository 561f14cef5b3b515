"""A sweep from its file to the finished table: ask for a point, have it trained, tell what came of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcls.data import Cache, Dataset
from imgcls.errors import DataError, RunError, SpecError
from imgcls.experiment.measuring import held_out_part
from imgcls.experiment.preparing import load_images_of, refuse_missing_weights
from imgcls.experiment.resuming import refuse_running
from imgcls.files import write_text
from imgcls.locking import alone
from imgcls.observer import Observer
from imgcls.recording import recorded
from imgcls.runs import Run, check_writable, create_run, layout
from imgcls.runs.layout import trial_name
from imgcls.spec.sweeping import LoadedSweep, load_sweep
from imgcls.sweep.images import spec_of_request
from imgcls.sweep.pool import Executor, Pool
from imgcls.sweep.processes import Processes, wait_for_workers
from imgcls.sweep.results import draw_results, facts_of, final_settings, objectives_of, write_results

if TYPE_CHECKING:
    from imgcls.sweep.study import Study, Trial

__all__ = ["load_images_once", "resume_sweep", "sweep"]

_LOCK = ".sweep"
_ATTEMPTS = 2  # at a trial whose process is killed: what takes too much memory will do so again
_NODES = 10  # that may go away under a trial


@dataclass(frozen=True)
class _Sweep:
    """What all trials share."""

    folder: Run
    loaded: LoadedSweep
    study: Study
    dataset: Dataset
    cache_dir: Path | str | None
    observer: Observer

    def trial_folder(self, trial: Trial) -> Path:
        return self.folder.path(trial_name(trial.number + 1, self.loaded.sweep.trial_count))

    def write(self, *, is_last: bool = False) -> None:
        n = len(self.dataset.splits["fold" if self.loaded.base.spec.folds else "validation"])
        write_results(self.folder, self.loaded, self.study.trials, self.study.best, n, is_last=is_last)

    def complete(self, trial: Trial) -> None:
        """Tell the study what a trial came to."""
        run, sweep = Run(self.trial_folder(trial)), self.loaded.sweep
        try:
            facts, values = facts_of(run, sweep), objectives_of(run, sweep)
        except DataError as error:
            self.give_up(trial, "failed", str(error))
            return
        self.study.note(trial.number, **facts)
        self.study.complete(trial.number, values)

    def give_up(self, trial: Trial, state: str, message: str) -> None:
        """Tell the study that a trial was ``pruned`` or has ``failed``, and why."""
        self.study.note(trial.number, message=message)
        self.study.give_up(trial.number, state)


def sweep(
    source: Path | str | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    runs_dir: Path | str = "runs",
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
) -> Run:
    """Train a spec at many points, each measured on its validation images; the test part stays shut.

    Each trial is a run folder within that of the sweep. A trial that fails is noted, and the others go on.

    Args:
        source: a YAML file, or the sweep as a mapping.
        overrides: dotted key → value, set in the base spec.
        options: key → value, set in the sweep itself: ``{"trials": 10, "jobs": 2}``.
        runs_dir: where the sweep's folder is made.
        cache_dir: where prepared data is kept; by default the user's cache folder.
        observer: is told how it goes.

    Raises:
        SpecError: the sweep, its base or a point is wrong; no folder is made.
        DataError: the data is, or has no validation images; no folder is made.
        RunError: all trials failed, or the database or the cluster cannot be used.
    """
    observer = observer or Observer()
    loaded = load_sweep(source, overrides, options)
    check_writable(Path(runs_dir))
    dataset = load_images_once(loaded, cache_dir, observer)
    with closing(_executor(loaded, cache_dir)) as executor:
        folder = create_run(Path(runs_dir), loaded.name)
        with alone(folder.path(_LOCK)), recorded(folder):
            write_text(folder.path(layout.SWEEP), loaded.text)
            write_text(folder.path(layout.SWEEP_RESOLVED), loaded.pinned(folder.folder.resolve()))
            pinned = load_sweep(
                folder.path(layout.SWEEP_RESOLVED), check_points=False
            )  # with paths that --resume finds
            _run(folder, pinned, executor, dataset, cache_dir, observer)
    return folder


def resume_sweep(
    folder: Run,
    options: Mapping[str, Any] | None = None,
    *,
    cache_dir: Path | str | None = None,
    observer: Observer | None = None,
    elsewhere: bool = False,
) -> Run:
    """Go on with a sweep that was interrupted or killed: what is finished stays, what is not is gone on with.

    Args:
        options: key → value, set in the sweep: where it is trained, and how many trials at a time.
        elsewhere: go on though it is marked as running on another machine, of which it is not known whether it is.

    Raises:
        DataError: the folder is no sweep's, or another process is at it.
        SpecError, RunError: as ``sweep``.
    """
    observer = observer or Observer()
    if not folder.is_sweep:
        raise DataError(f"{folder.folder} is no sweep")
    refuse_running(folder, elsewhere=elsewhere)
    with alone(folder.path(_LOCK)):
        loaded = load_sweep(folder.path(layout.SWEEP_RESOLVED), options=options)
        dataset = load_images_once(loaded, cache_dir, observer)
        wait_for_workers(folder.folder)
        with closing(_executor(loaded, cache_dir)) as executor, recorded(folder):
            _run(folder, loaded, executor, dataset, cache_dir, observer)
    return folder


def load_images_once(loaded: LoadedSweep, cache_dir: Path | str | None, observer: Observer) -> Dataset:
    """Prepare the images once for all trials, in this process, which needs no TensorFlow for it."""
    refuse_missing_weights(loaded.base)
    spec = loaded.base.changed(loaded.held_out | {"reported": None}).spec.completed().members[0]
    dataset = load_images_of(spec, loaded.base.base, Cache(Path(cache_dir) if cache_dir else None), observer)
    held_out_part(spec, dataset)
    if "val_top5_accuracy" in loaded.sweep.objective and len(dataset.classes) <= 5:
        raise SpecError(f"objective: val_top5_accuracy is of more than five classes; there are {len(dataset.classes)}")
    return dataset


def _executor(loaded: LoadedSweep, cache_dir: Path | str | None) -> Executor:
    """Return where the trials are trained."""
    if loaded.sweep.executor == "local":
        return Processes(loaded.sweep, loaded.base.spec.device)
    from imgcls.sweep.cluster import Cluster

    def load_for(wanted: Mapping[str, Any]) -> Dataset:
        spec = spec_of_request(wanted, loaded.base.spec)
        return load_images_of(spec, loaded.base.base, Cache(Path(cache_dir) if cache_dir else None), Observer())

    return Cluster(loaded, load_for)


def _run(
    folder: Run,
    loaded: LoadedSweep,
    executor: Executor,
    dataset: Dataset,
    cache_dir: Path | str | None,
    observer: Observer,
) -> None:
    from imgcls.sweep.study import Study

    url = loaded.sweep.storage or f"sqlite:///{folder.path(layout.STUDY).resolve()}"
    name = loaded.name if loaded.sweep.storage else "sweep"
    epochs = sum(phase.epochs for phase in loaded.base.spec.phases)
    study = Study(url, name, loaded.sweep, epochs=epochs, jobs=executor.jobs)
    try:
        task = _Sweep(folder, loaded, study, dataset, cache_dir, observer)
        task.write()
        with Pool(executor, folder.folder) as pool:
            _train_all(task, pool, _left_unfinished(task))
        if loaded.sweep.final and study.best:
            with Pool(executor.alone(), folder.folder) as pool:
                _train_final(task, pool, study.best[0])
        task.write(is_last=True)
        draw_results(folder, loaded, study.trials)
        _refuse_failed(task)
    finally:
        study.close()


def _left_unfinished(task: _Sweep) -> list[Trial]:
    """Return the trials that were being trained when the sweep ended; one that was done but not told of is told of."""
    left = []
    for trial in task.study.trials:
        is_own = not task.loaded.sweep.storage or trial.facts.get("sweep") == str(task.folder.folder.resolve())
        if trial.state != "unfinished" or not is_own:
            continue
        run = Run(task.trial_folder(trial))
        if run.folder.exists() and run.status.state == "completed":
            task.complete(trial)
            continue
        _clear_away(run)
        left.append(trial)
    return left


def _train_all(task: _Sweep, pool: Pool, left: list[Trial]) -> None:
    """Keep the workers busy until there is no point left, and all that was begun has ended."""
    busy: dict[int, tuple[Trial, float]] = {}
    finished = sum(trial.state in ("completed", "pruned", "failed") for trial in task.study.trials)
    task.observer.sweeping(task.folder, task.loaded.sweep, pool.jobs, finished)
    while True:
        for index in range(pool.jobs):
            if index not in busy and (trial := left.pop(0) if left else task.study.ask()) is not None:
                busy[index] = (trial, time.monotonic())
                _begin(task, pool, index, trial)
        if not busy:
            return
        index, message = pool.next()
        if index not in busy:
            continue
        trial, begun = busy[index]
        if "epoch" in message:
            _epoch(task, pool, index, trial, message)
        elif message["end"] == "lost" and _may_begin_anew(task, trial, message):
            _begin(task, pool, index, trial)  # by the same worker, which waits for what may be left of it
        else:
            finished += 1
            del busy[index]
            task.study.note(trial.number, seconds=time.monotonic() - begun)
            _end(task, trial, message, finished)


def _may_begin_anew(task: _Sweep, trial: Trial, lost: Mapping[str, Any]) -> bool:
    """Note that a trial was lost, and tell whether it is worth another try."""
    kind, most = ("lost_nodes", _NODES) if lost["is_elsewhere"] else ("losses", _ATTEMPTS)
    losses = task.study.trials[trial.number].facts.get(kind, 0) + 1
    task.study.note(trial.number, **{kind: losses})
    if losses == most:
        return False
    task.observer.trial_lost(trial, lost["message"])
    _clear_away(Run(task.trial_folder(trial)))
    return True


def _clear_away(run: Run) -> None:
    """Remove what there is of a run that cannot be gone on with."""
    if not run.has_begun:
        shutil.rmtree(run.folder, ignore_errors=True)


def _begin(task: _Sweep, pool: Pool, index: int, trial: Trial) -> None:
    seed = task.loaded.base.spec.seed + _earlier(task, trial) * task.loaded.sweep.repeats
    task.study.note(trial.number, sweep=str(task.folder.folder.resolve()), seed=seed)
    task.observer.trial_began(trial)
    settings = {"name": f"{task.loaded.name}-{trial.number + 1}"[:80], "seed": seed, **task.loaded.held_out}
    asks = task.loaded.sweep.prune is not None
    _hand_out(task, pool, index, trial, task.trial_folder(trial), settings, asks=asks)


def _hand_out(
    task: _Sweep, pool: Pool, index: int, trial: Trial, folder: Path, settings: Mapping[str, Any], *, asks: bool
) -> None:
    """Have a worker train the point of a trial into a folder."""
    loaded = task.loaded
    common: dict[str, Any] = {"repeats": loaded.sweep.repeats, "reported": None, "tracking": _tracking(loaded)}
    pool.send(
        index,
        spec=loaded.base.changed(loaded.sweep.overrides(trial.point) | common | dict(settings)).value,
        base=str(loaded.base.base),
        folder=str(folder),
        point=trial.point,
        cache_dir=None if task.cache_dir is None else os.fspath(task.cache_dir),
        asks=asks,
    )


def _train_final(task: _Sweep, pool: Pool, best: Trial) -> None:
    """Train the best point on train and validation images, and measure it once on the test part."""
    run = Run(task.folder.path(layout.FINAL))
    if run.folder.exists():
        if run.status.state == "completed":
            return
        _clear_away(run)
    task.observer.finishing(best)
    settings = final_settings(task.loaded, best) | {"name": f"{task.loaded.name}-final"[:80]}
    _hand_out(task, pool, 0, best, run.folder, settings, asks=False)
    if (end := pool.wait())["end"] != "completed":
        raise RunError(f"the final training failed: {end['message']}")


def _tracking(loaded: LoadedSweep) -> str:
    """Return where trials are logged: what the base says, else TensorBoard where it is installed."""
    if "tracking" in loaded.base.spec.model_fields_set:
        return loaded.base.spec.tracking
    return "tensorboard" if find_spec("tensorboard") else "none"


def _earlier(task: _Sweep, trial: Trial) -> int:
    """Return how many trials of the same point there were: the same seed would give the same result once more."""
    return sum(other.point == trial.point for other in task.study.trials[: trial.number])


def _epoch(task: _Sweep, pool: Pool, index: int, trial: Trial, message: Mapping[str, Any]) -> None:
    task.observer.trial_epoch(trial, message["epoch"], message["val_accuracy"])
    if task.loaded.sweep.prune is None:
        return
    value = message[task.loaded.sweep.objective[0]]
    pool.send(index, prune=value is not None and task.study.report(trial.number, message["epoch"], value))


def _end(task: _Sweep, trial: Trial, ended: Mapping[str, Any], finished: int) -> None:
    """Tell the study how a trial ended, and write the table anew."""
    if ended["end"] == "completed":
        task.complete(trial)
    elif ended["end"] == "lost":
        message = f"{ended['message']}, as at the attempts before; {task.folder.path(layout.LOG)} may say why"
        task.give_up(trial, "failed", message)
    else:
        task.give_up(trial, ended["end"], ended["message"])
    best = task.study.best
    task.observer.trial_ended(task.study.trials[trial.number], best[0] if best else None, finished)
    task.write()


def _refuse_failed(task: _Sweep) -> None:
    """Raise where no trial has a result."""
    trials = task.study.trials
    failed = [trial for trial in trials if trial.state == "failed"]
    if failed and not any(trial.state == "completed" for trial in trials):
        raise RunError(f"all {len(failed)} trials failed, the first so: {failed[0].facts.get('message', '')}")
