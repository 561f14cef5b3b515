"""When a checkpoint is made, and what the next process finds of it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from imgcls.checkpoints import Checkpoints
from imgcls.errors import RunError
from imgcls.findings import Finding
from imgcls.observer import Observer
from imgcls.recording import Clock
from imgcls.runs import Run
from imgcls.runs.layout import CHECKPOINT
from imgcls.spec.checkpoints import CheckpointSpec

if TYPE_CHECKING:
    from imgcls.training.checkpoint import Checkpoint

__all__ = ["RunKeeper"]

log = logging.getLogger("imgcls")

_SHARE = 0.02  # of the time, at most, that checkpoints take
_BYTES_A_SECOND = 300e6  # a guess of what the disk takes, until the first is written


class RunKeeper:
    """Keeps the checkpoints of a run in its folder: after epochs, every so many minutes within one, and at a signal.

    They take at most a fiftieth of the time so far, but for those that are made when a stage is through, or the run is
    told to end.

    Args:
        run: whose folder they are in.
        rule: the spec's; None for no checkpoints.
        clock: has the seconds of the run's phases.
        observer: is told where one cannot be written; the training goes on.

    Attributes:
        found: what the training is to go on from: the newest in the folder that is not damaged.

    Raises:
        DataError: it is one of another version.
    """

    def __init__(self, run: Run, rule: CheckpointSpec | None, clock: Clock, observer: Observer) -> None:
        self.found = _found(run)
        self._rule, self._clock, self._observer = rule, clock, observer
        self._store = Checkpoints(run.path(CHECKPOINT)) if run.is_kept and rule is not None else None
        self._began = self._made = time.perf_counter()  # the run; the last checkpoint
        self._due_since: float | None = None
        self._cost_s: float | None = None  # of the last one
        self._spent_s = 0.0  # on all of them
        self._told = False

    def take(self) -> Checkpoint | None:
        """Hand over what was found, and forget it."""
        found, self.found = self.found, None
        return found

    def is_due(self, size_bytes: int, *, is_epoch_over: bool) -> bool:
        """Tell whether a checkpoint of so many bytes should be made now."""
        if self._store is None or self._rule is None:
            return False
        now = time.perf_counter()
        cost_s = size_bytes / _BYTES_A_SECOND if self._cost_s is None else self._cost_s
        is_affordable = self._spent_s + cost_s <= _SHARE * (now - self._began)
        is_due = is_affordable and (is_epoch_over or now - self._made >= 60 * self._rule.minutes)
        self._due_since = now if is_due else None  # from here on the training waits
        return is_due

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; where that fails, the training goes on without."""
        if self._store is None:
            return
        begun, self._due_since = self._due_since or time.perf_counter(), None
        state, underway = checkpoint.state, checkpoint.underway
        try:
            self._store.write(replace(checkpoint, phases=self._clock.so_far()).stored)
            self._observer.kept(len(state.history), 0 if underway is None else underway.step)
        except RunError as error:
            log.warning("no checkpoint: %s", error)
            if not self._told:
                self._observer.remarked([Finding("no_checkpoint", f"no checkpoint: {error}; the training goes on")])
                self._told = True
        self._made = time.perf_counter()
        self._cost_s = self._made - begun
        self._spent_s += self._cost_s


def _found(run: Run) -> Checkpoint | None:
    stored = Checkpoints(run.path(CHECKPOINT)).newest()
    if stored is None:
        return None
    from imgcls.training.checkpoint import from_stored

    return from_stored(stored)
