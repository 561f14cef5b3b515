"""Runs in MLflow: settings, a figure an epoch, the result, and the files that people look at.

``MLFLOW_TRACKING_URI`` says where the server or folder is, ``MLFLOW_EXPERIMENT_NAME`` the experiment (else ``imgcls``),
as for any of MLflow's clients.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcls import runs
from imgcls.errors import RunError
from imgcls.runs import Run
from imgcls.tracking.tracker import Result
from imgcls.wording import first_line

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["MlflowTracker"]

_FILES = (runs.SPEC, runs.RESOLVED, runs.ENVIRONMENT, runs.HISTORY, runs.METRICS, runs.CONFUSION_PNG, runs.CURVES_PNG)
_LONGEST = 6000  # characters of a parameter


class MlflowTracker:
    """Logs a run.

    Raises:
        RunError: the server cannot be reached.
    """

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self._run = run
        try:
            self._client = MlflowClient()
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "imgcls")
            found = self._client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else self._client.create_experiment(name)
            self._id = self._client.create_run(experiment, run_name=run.name).info.run_id
            for key, value in settings.items():
                self._client.log_param(self._id, key, str(value)[:_LONGEST])
        except MlflowException as error:
            raise RunError(f"tracking: mlflow: {first_line(error)}") from error

    def epoch(self, row: EpochRow) -> None:
        values = {key: value for key, value in asdict(row).items() if key != "epoch"}
        self._log(values, row.epoch)

    def result(self, result: Result) -> None:
        split = result.metrics["split"]
        self._log({f"{split}_{key}": value for key, value in result.metrics.items()}, 0)
        for name in _FILES:
            if (path := self._run.path(name)).is_file():
                self._client.log_artifact(self._id, str(path))

    def close(self, *, completed: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if completed else "FAILED")

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        for key, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                self._client.log_metric(self._id, key, value, step=step)
