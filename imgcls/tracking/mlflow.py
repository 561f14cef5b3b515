"""Runs in MLflow: settings, a figure an epoch, the result, and the files that people look at.

``MLFLOW_TRACKING_URI`` says where the server or folder is, ``MLFLOW_EXPERIMENT_NAME`` the experiment (else ``imgcls``),
as for any of MLflow's clients. A server that does not answer is waited for half a minute, not MLflow's four: the
training waits too.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcls.errors import RunError
from imgcls.files import write_text
from imgcls.runs import Run, layout
from imgcls.tracking.tracker import Result
from imgcls.wording import first_line

if TYPE_CHECKING:
    from imgcls.training.state import EpochRow

__all__ = ["MlflowTracker"]

_FILES = (
    layout.SPEC,
    layout.RESOLVED,
    layout.ENVIRONMENT,
    layout.HISTORY,
    layout.METRICS,
    layout.CONFUSION_PNG,
    layout.CURVES_PNG,
)
_LONGEST = 6000  # characters of a parameter
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}  # seconds; else minutes
_ID_LENGTH = 32  # hexadecimal digits


class MlflowTracker:
    """Logs a run; one that is gone on with is the same run there.

    Raises:
        RunError: the server cannot be reached, or the folder not be written.
    """

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self._run = run
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        try:
            self._client = MlflowClient()
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "imgcls")
            found = self._client.get_experiment_by_name(name)
            experiment = found.experiment_id if found else self._client.create_experiment(name)
            self._id = self._begun_before() or self._begin(experiment, settings)
        except (MlflowException, OSError, ValueError) as error:  # also of an address that is none, of a folder
            raise RunError(f"tracking: mlflow: {first_line(error)}") from error

    def _begun_before(self) -> str | None:
        """Return the id of what is gone on with, where the server still has it."""
        from mlflow.exceptions import MlflowException

        try:
            with self._run.path(layout.MLFLOW).open(encoding="ascii", errors="replace") as file:
                known = file.readline(_ID_LENGTH)
        except FileNotFoundError:
            return None
        if not re.fullmatch(rf"[0-9a-f]{{{_ID_LENGTH}}}", known):
            return None
        try:
            self._client.update_run(known, status="RUNNING")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return known

    def _begin(self, experiment: str, settings: Mapping[str, Any]) -> str:
        identity: str = self._client.create_run(experiment, run_name=self._run.name).info.run_id
        write_text(self._run.path(layout.MLFLOW), f"{identity}\n")
        for key, value in settings.items():
            self._client.log_param(identity, key, str(value)[:_LONGEST])
        return identity

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
