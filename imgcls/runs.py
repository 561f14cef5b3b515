"""The run folder: owns every file name in it. Reading one needs no TensorFlow, pandas only for a table."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgcls.errors import DataError, RunError, nearest
from imgcls.files import write_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "Status", "create_run", "find_run", "list_runs"]

SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
ENVIRONMENT = "environment.json"
MANIFEST = "manifest.csv"
HISTORY = "history.csv"
METRICS = "metrics.json"
TIMINGS = "timings.json"
PREDICTIONS = "predictions.csv"
CONFUSION_CSV = "confusion_matrix.csv"
CONFUSION_PNG = "confusion_matrix.png"
REPORT_CSV = "classification_report.csv"
CURVES_PNG = "curves.png"
MODEL = "model.keras"
STATUS = "status.json"
LOG = "train.log"
CHECKPOINT = "checkpoint"

STATES = ("running", "completed", "failed", "interrupted")


@dataclass(frozen=True)
class Status:
    """How far a run came: ``running``, ``completed``, ``failed`` or ``interrupted``; and why, in words."""

    state: str
    message: str = ""


class Run:
    """A run folder."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def name(self) -> str:
        """The folder's name: start time and the spec's name."""
        return self.folder.name.strip(".") or self.folder.resolve().name  # the folder may be given as . or ..

    def path(self, file: str) -> Path:
        """Return where a file of the run lies; the names are this module's constants."""
        return self.folder / file

    @property
    def status(self) -> Status:
        """The state as the run left it; a run whose process is gone is ``interrupted``, whatever it last wrote."""
        if not self.path(STATUS).exists():
            return Status("interrupted", "stopped before it began")
        record = self._json(STATUS)
        try:
            if record["state"] == "running" and record["host"] == socket.gethostname() and not _alive(record):
                return Status("interrupted", "its process is gone")
        except (KeyError, TypeError, OverflowError) as error:
            raise DataError(f"{self.path(STATUS)} is damaged: {error}") from error
        if record["state"] not in STATES:
            raise DataError(f"{self.path(STATUS)} is damaged: {record['state']!r} is no state of a run")
        return Status(record["state"], str(record.get("message", "")))

    def set_status(self, state: str, message: str = "") -> None:
        """Write the state, and whose process it is."""
        record = {
            "state": state,
            "message": message,
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_start": _process_start(os.getpid()),
        }
        write_json(self.path(STATUS), record)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds.

        Raises:
            DataError: the run has no result, or the file is damaged.
        """
        return self._json(METRICS)

    @cached_property
    def timings(self) -> dict[str, Any]:
        """What ``timings.json`` holds: seconds of each phase, of each epoch, images a second."""
        return self._json(TIMINGS)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What ``environment.json`` holds: versions, device, precision, seed, git commit, command line."""
        return self._json(ENVIRONMENT)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every value that was in force, as plain mappings."""
        path = self._existing(RESOLVED)
        try:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built in
            return dict(yaml.load(path.read_text(encoding="utf-8"), loader))  # noqa: S506 - both are safe
        except (yaml.YAMLError, TypeError, ValueError) as error:
            raise DataError(f"{path} is damaged: {_first_line(error)}") from error

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, lr, seconds."""
        return _table(self._existing(HISTORY))

    @property
    def predictions(self) -> pd.DataFrame:
        """A row an image of the evaluated split: path, true, predicted, confidence, a probability column a class."""
        return _table(self._existing(PREDICTIONS), text=("path", "true", "predicted"))

    def model(self) -> Any:
        """Load the Keras model whose weights were evaluated; it takes (n, height, width, channels), 0..255."""
        from imgcls.backend import load_model

        return load_model(self._existing(MODEL))

    def _existing(self, file: str) -> Path:
        path = self.path(file)
        if not path.is_file():
            raise DataError(f"{self.folder} has no {file}: the run is {self.status.state}")
        return path

    def _json(self, file: str) -> dict[str, Any]:
        path = self.path(file)
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{self.folder} has no {file}: the run is {self._state_of(file)}") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is damaged: {_first_line(error)}") from error
        if not isinstance(value, dict):
            raise DataError(f"{path} is damaged: not a JSON object")
        return value

    def _state_of(self, file: str) -> str:
        return "unfinished" if file == STATUS else self.status.state


def create_run(runs_dir: Path, name: str, *, now: datetime | None = None) -> Run:
    """Make a new folder ``YYYY-MM-DD_HH-MM-SS_NAME``, with a number behind it where that one is taken.

    Raises:
        RunError: it cannot be made; names path and reason.
    """
    safe = re.sub(r"[^\w.+-]+", "-", name)[:80] or "run"
    stem = f"{now or datetime.now():%Y-%m-%d_%H-%M-%S}_{safe}"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            folder = runs_dir / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return Run(folder)
    except OSError as error:
        raise RunError(f"cannot make a run folder in {runs_dir}: {error.strerror}") from error
    raise RunError(f"{runs_dir} has 10,000 runs of this second")


def list_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in a folder, oldest first."""
    if not runs_dir.is_dir():
        return []
    folders = (folder for folder in runs_dir.iterdir() if not folder.name.startswith("."))
    return [Run(folder) for folder in sorted(folders) if (folder / STATUS).is_file() or (folder / SPEC).is_file()]


def find_run(reference: str, runs_dir: Path) -> Run:
    """Return the run that a path, a name, a unique prefix of a folder's or run's name, or ``latest`` means.

    Raises:
        DataError: none or several fit; names them.
    """
    if (folder := Path(reference)).is_dir() and ((folder / STATUS).is_file() or (folder / SPEC).is_file()):
        return Run(folder)
    runs = list_runs(runs_dir)
    if reference == "latest" and runs:
        return runs[-1]
    rules: tuple[Callable[[Run], bool], ...] = (
        lambda run: reference == run.name,
        lambda run: reference == _given_name(run),
        lambda run: run.name.startswith(reference) or _given_name(run).startswith(reference),
    )
    for fits in rules:
        found = [run for run in runs if fits(run)]
        if len(found) == 1:
            return found[0]
        if found:
            names = "\n  ".join(run.name for run in found[-10:])
            raise DataError(f"{reference!r} means {len(found)} runs; give more of the name, or a path:\n  {names}")
    if not runs:
        raise DataError(f"no run {reference!r}: there are no runs in {runs_dir}")
    hint = nearest(reference, [run.name for run in runs] + [_given_name(run) for run in runs])
    raise DataError(f"no run {reference!r} in {runs_dir}{hint}")


def _given_name(run: Run) -> str:
    """Return the folder's name without its time."""
    return re.sub(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_", "", run.name)


def _table(path: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file that ``files.write_csv`` wrote; ``text`` columns stay exact strings (``NA``, ``001``)."""
    import pandas as pd

    from imgcls.files import read_csv

    frame = pd.DataFrame(read_csv(path))
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in frame.columns if name not in text})


def _alive(record: dict[str, Any]) -> bool:
    """Whether the process that wrote the record still runs; its start time tells it from a later one of its number."""
    try:
        os.kill(record["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _process_start(record["pid"]) == record.get("process_start")


def _process_start(pid: int) -> str:
    """Return the process's start time as the system tells it, or an empty string where it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
