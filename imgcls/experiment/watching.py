"""A training that goes wrong is told of while it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.checks import check_one_class
from imgcls.evaluation.learning import check_learning
from imgcls.findings import Finding
from imgcls.recording import HistoryRecorder
from imgcls.spec import Spec
from imgcls.training.state import EpochRow, Stage

__all__ = ["Watch"]

_EPOCHS = 3  # one after the other: at first many a network predicts one class, and then learns


class Watch:
    """Hands the progress of a training on, and tells once of each thing that goes wrong.

    Args:
        recorder: what it is handed on to.
        spec: complete.
        classes: their names.
        counts: training images of each class, (classes,).
        tell: called with what is found.
    """

    def __init__(
        self,
        recorder: HistoryRecorder,
        spec: Spec,
        classes: tuple[str, ...],
        counts: NDArray[np.int64],
        tell: Callable[[Finding], None],
    ) -> None:
        self._recorder, self._classes, self._counts, self._tell = recorder, classes, counts, tell
        self._phase = spec.phases[0]
        self._rows: list[EpochRow] = [*recorder.rows]  # of the stage
        self._collapsed = 0  # epochs
        self._told: set[str] = set()

    def stage(self, stage: Stage) -> None:
        self._phase = stage.spec
        self._rows = [row for row in self._recorder.rows if row.stage == stage.stage]
        self._recorder.stage(stage)

    def stepping(self) -> AbstractContextManager[None]:
        return self._recorder.observer.stepping()

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        self._recorder.batch(epoch, step, steps, loss, accuracy)

    def validated(self, labels: NDArray[np.int32], predicted: NDArray[np.integer]) -> None:
        """Look at what was predicted of the validation images after an epoch."""
        matrix = np.zeros((len(self._classes),) * 2, np.int64)
        np.add.at(matrix, (labels, predicted), 1)
        found = check_one_class(self._classes, matrix)
        self._collapsed = self._collapsed + 1 if found else 0
        if self._collapsed >= _EPOCHS:
            self._say(Finding("collapsed", f"for {_EPOCHS} epochs, of the validation part, {found[0].message}"))

    def epoch(self, row: EpochRow) -> None:
        self._rows.append(row)
        self._recorder.epoch(row)
        for finding in check_learning(self._phase, self._rows, self._counts):
            self._say(finding)

    def _say(self, finding: Finding) -> None:
        if finding.code not in self._told:
            self._told.add(finding.code)
            self._tell(finding)
