"""An interrupted run, gone on with."""

from __future__ import annotations

from pathlib import Path

from imgcls.catalog import whole_of
from imgcls.checkpoints import Checkpoints
from imgcls.errors import DataError, SpecError
from imgcls.experiment.measuring import employ_assistant
from imgcls.experiment.saved import load_resolved
from imgcls.experiment.training import train_into
from imgcls.locking import alone
from imgcls.observer import Observer
from imgcls.runs import Run, layout
from imgcls.spec import LoadedSpec

__all__ = ["as_it_began", "refuse_running", "resume"]

_LOCK = ".resume"


def resume(
    run: Run, *, cache_dir: Path | str | None = None, observer: Observer | None = None, elsewhere: bool = False
) -> Run:
    """Go on with a run that was interrupted, was killed or failed, from its last checkpoint.

    On the same machine it ends with the weights, history and figures of a run that was not interrupted, to the bit.
    Without a checkpoint it begins anew, in the same folder. Of repeats and folds those that are not finished are gone
    on with. A run that is complete is left as it is.

    Args:
        cache_dir: where prepared data is kept; by default the user's cache folder.
        observer: is told how it goes.
        elsewhere: go on though it is marked as running on another machine, of which it is not known whether it is.

    Raises:
        DataError: it never began, is running, or its data changed since; or it is a part of another, or a sweep.
        SpecError: it was trained by several workers.
        RunError: it failed (again); the folder says so.
    """
    run = Run(run.folder)  # which has read nothing yet
    if (whole := whole_of(run)) is not run:
        raise DataError(f"{run.folder} is a part of {whole.folder}: that can be gone on with")
    if run.is_sweep:
        raise DataError(f"{run.folder} is a sweep: imgcls sweep --resume {run.folder} goes on with it")
    if run.status.state == "completed":
        Checkpoints(run.path(layout.CHECKPOINT)).clear()  # of one that was killed in its last moment
        return run
    employ_assistant()
    with alone(run.path(_LOCK)):
        refuse_running(run, elsewhere=elsewhere)
        loaded, threads = as_it_began(run)
        train_into(lambda: run, loaded, cache_dir, observer or Observer(), threads=threads)
    return Run(run.folder)  # which has read nothing yet


def refuse_running(run: Run, *, elsewhere: bool) -> None:
    """Raise if another process is at a run.

    Args:
        elsewhere: do not where it is marked as running on another machine, of which it is not known whether it is.

    Raises:
        DataError: names the machine, where that is another one.
    """
    if run.status.state != "running":
        return
    if host := run.foreign_host:
        if elsewhere:
            return
        raise DataError(f"{run.folder} is marked as running on {host}; where it is gone there, --elsewhere goes on")
    raise DataError(f"{run.folder} is running: another process is at it")


def as_it_began(run: Run) -> tuple[LoadedSpec, int | None]:
    """Return the spec that was in force, and of how many threads an operation was.

    Raises:
        DataError: the run was stopped before there was one, or it is damaged.
        SpecError: it was trained by several workers.
    """
    if not run.has_begun:
        raise DataError(f"{run.folder} was stopped before it began: there is nothing to go on with; train anew")
    loaded = load_resolved(run)
    if loaded.spec.distribute == "multi_worker":
        raise SpecError("a run of several workers cannot be resumed: only the first one has its folder")
    return loaded, (run.environment.get("device") or {}).get("threads")
