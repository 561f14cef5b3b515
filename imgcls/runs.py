"""The run folder: owns every file name in it. Reading one needs no TensorFlow, pandas only for a table."""

from __future__ import annotations

import atexit
import csv
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgcls.checksums import read_checksums, sha256_of, write_checksums
from imgcls.errors import DataError, RunError
from imgcls.files import read_csv, remove_leftovers, write_json
from imgcls.wording import first_line, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DamagedError",
    "Run",
    "Status",
    "check_writable",
    "create_run",
    "folder_name",
    "part_number",
    "repeat_name",
    "scratch_run",
    "trial_name",
]

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
RELIABILITY_PNG = "reliability.png"
MODEL = "model.keras"
REPORT_HTML = "report.html"  # where `imgcls report` was asked for it
COMPARISON_HTML = "comparison.html"  # likewise, beside the runs
REPEATS_JSON = "repeats.json"  # only in the folder of repeats: what they have in common
REPEATS_CSV = "repeats.csv"
SWEEP = "sweep.yaml"  # from here on only in the folder of a sweep: as given
SWEEP_RESOLVED = "sweep_resolved.yaml"  # every value that was in force, and the base; needs no other file
SWEEP_JSON = "sweep.json"
SWEEP_CSV = "sweep.csv"
EFFECTS_PNG = "effects.png"
SCATTER_PNG = "scatter_matrix.png"
PARALLEL_PNG = "parallel_coordinates.png"
FINAL = "final"  # the run folder of the best point, trained on validation images too
STUDY = "study.db"  # Optuna's
STATUS = "status.json"
LOG = "train.log"
TENSORBOARD = "tensorboard"  # a folder of event files, where the spec wants them
MLFLOW = "mlflow_run_id.txt"  # where it is logged there
EVALUATIONS = "evaluations.csv"  # in a run's folder, and in that of all runs
CHECKPOINT = "checkpoint"
EXPORT = "export"  # a folder: the network in other formats
CHECKSUMS = "SHA256SUMS"  # only of what is completed

# What a completed run does not change any more, and nobody else has reason to: read only where its checksum is right.
_CHECKED = (
    RESOLVED, ENVIRONMENT, MANIFEST, HISTORY, METRICS, TIMINGS, PREDICTIONS, CONFUSION_CSV, REPORT_CSV, MODEL,
    REPEATS_JSON, REPEATS_CSV, SWEEP_RESOLVED, SWEEP_JSON, SWEEP_CSV,
)  # fmt: skip

_FIRST_YEAR = 1980  # of a file in a zip archive, which a model is
MAX_DEPTH = 100  # of what is nested in a spec

TIME = re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_")  # what a run folder's name begins with

STATES = ("running", "completed", "failed", "interrupted")

_Types = Mapping[str, type | tuple[type, ...]]

MANIFEST_COLUMNS = ("path", "label", "split", "sha256")
NUMBER, NOTHING = (int, float), type(None)
# What every reader relies on: key → its types; a key whose types include None may be missing too.
METRICS_KEYS: _Types = {
    "classes": list, "split": str, "n": int, "accuracy": NUMBER, "accuracy_ci95": list, "macro_f1": NUMBER,
    "majority_baseline": NUMBER, "per_class": dict, "confusion_matrix": list, "loss": (*NUMBER, NOTHING),
    "top5_accuracy": (*NUMBER, NOTHING), "epochs_run": (int, NOTHING), "warnings": (list, NOTHING),
    "most_confident_errors": (list, NOTHING), "stages": (list, NOTHING), "reported": (list, NOTHING),
    "pretrained": (str, NOTHING),
}  # fmt: skip
TIMINGS_KEYS: _Types = {
    "total": (*NUMBER, NOTHING), "phases": (dict, NOTHING), "epoch_seconds": (list, NOTHING),
    "images_per_second": (*NUMBER, NOTHING),
}  # fmt: skip
REPEATS_KEYS: _Types = {
    "repeats": int, "runs": list, "summary": dict, "split": (str, NOTHING), "n": (int, NOTHING),
    "majority_baseline": (*NUMBER, NOTHING), "warnings": (list, NOTHING), "reported": (list, NOTHING),
    "folds": (int, NOTHING), "overlap": (*NUMBER, NOTHING), "pooled": (dict, NOTHING),
}  # fmt: skip
REPEAT_KEYS: _Types = {  # a row of "runs"
    "folder": str, "state": str, "seed": (int, NOTHING), "message": (str, NOTHING),
    **dict.fromkeys(("accuracy", "macro_f1", "loss", "epochs_run", "seconds"), (*NUMBER, NOTHING)),
}  # fmt: skip
SWEEP_KEYS: _Types = {
    "method": str, "objective": list, "planned": int, "states": dict, "n": int, "best": list, "verdict": list,
}  # fmt: skip
FIGURE_KEYS: _Types = dict.fromkeys(("mean", "sd", "min", "max"), (*NUMBER, NOTHING))  # a value of "summary"
ENVIRONMENT_KEYS: _Types = {"device": (dict, NOTHING), "replicas": (int, NOTHING)}


class DamagedError(DataError):
    """A file of a run folder is not what was written there; names it."""


@dataclass(frozen=True)
class Status:
    """How far a run came: ``running``, ``completed``, ``failed`` or ``interrupted``; and why, in words."""

    state: str
    message: str = ""


class Run:
    """A run folder.

    Attributes:
        is_kept: False of one that goes with the process: that of a worker whose chief writes the run.
    """

    def __init__(self, folder: Path | str, *, is_kept: bool = True) -> None:
        self.folder = Path(folder)
        self.is_kept = is_kept

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def name(self) -> str:
        """The folder's name: start time and the spec's name."""
        return self.folder.name.strip(".") or self.folder.resolve().name  # the folder may be given as . or ..

    def path(self, file: str) -> Path:
        """Return where a file of the run lies; the names are this module's constants.

        Raises:
            DamagedError: there is a link, a pipe or the like, which a run never makes: a stranger's would have files of
                the user read into a report, or written to.
        """
        path = self.folder / file
        with suppress(OSError):
            if not _is_plain(path.lstat().st_mode):
                raise DamagedError(f"{path} is refused: it is a link or no file; what is in a run folder lies there")
        return path

    def checked(self, file: str) -> Path:
        """Return where a file of the run lies, to be read: of a completed run it is what was written there.

        Raises:
            DataError: there is none (DamagedError: or its checksum is not that of ``SHA256SUMS``).
        """
        path = self.path(file)
        if not _is_there(path):
            raise DataError(self._missing(file))
        if wanted := self._checksum(file):
            try:
                self._compare(file, sha256_of(path), wanted)
            except OSError as error:
                raise _unreadable(path, error) from error
        return path

    @property
    def status(self) -> Status:
        """The state as the run left it; a run whose process is gone is ``interrupted``, whatever it last wrote."""
        if not _is_there(self.path(STATUS)):
            return Status("interrupted", "how it ended is not known" if self.has_begun else "stopped before it began")
        record = self._json(STATUS)
        try:
            if record["state"] == "running" and record["host"] == socket.gethostname() and not _alive(record):
                return Status("interrupted", "its process is gone")
        except (KeyError, TypeError, OverflowError) as error:
            raise DamagedError(f"{self.path(STATUS)} is damaged: {error}") from error
        if record["state"] not in STATES:
            raise DamagedError(f"{self.path(STATUS)} is damaged: {record['state']!r} is no state of a run")
        return Status(record["state"], str(record.get("message", "")))

    @property
    def has_begun(self) -> bool:
        """Whether all is written that a run starts from, so that it can be gone on with."""
        return _is_there(self.path(ENVIRONMENT))

    @property
    def foreign_host(self) -> str:
        """The machine that last wrote the state, where it is another one than this; else an empty string."""
        host = str(self._json(STATUS).get("host", ""))
        return "" if host == socket.gethostname() else host

    def complete(self) -> None:
        """Write the checksums of what is there, and that the run is completed."""
        write_checksums(self.path(CHECKSUMS), (path for file in _CHECKED if (path := self.path(file)).is_file()))
        self.set_status("completed")

    def set_status(self, state: str, message: str = "") -> None:
        """Write the state, and whose process it is."""
        if state != "completed":
            self._remove_checksums()  # of one that was killed in its last moment
        record = {
            "state": state,
            "message": message,
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process_start": _process_start(os.getpid()),
        }
        write_json(self.path(STATUS), record)

    def tidy(self) -> None:
        """Remove what killed processes left half written; no other may be writing here."""
        for folder in (self.folder, self.path(CHECKPOINT)):
            remove_leftovers(folder)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds.

        Raises:
            DataError: the run has no result (DamagedError: or the file is damaged).
        """
        return self._json(METRICS, METRICS_KEYS)

    @property
    def is_repeated(self) -> bool:
        """Whether it is a folder of repeats: each of them is a run, and it has no result of its own."""
        return _is_there(self.path(REPEATS_JSON))

    @cached_property
    def repeats(self) -> dict[str, Any]:
        """What ``repeats.json`` holds: a row a repeat, and mean, sd, min and max of their figures.

        Raises:
            DataError: it is no folder of repeats (DamagedError: or the file is damaged).
        """
        record = self._json(REPEATS_JSON, REPEATS_KEYS)
        checks = [_wrong_key(row, REPEAT_KEYS) or _wrong_part(row["folder"]) for row in record["runs"]]
        checks += [_wrong_key(figure, FIGURE_KEYS) for figure in record["summary"].values()]
        if wrong := next(filter(None, checks), ""):
            raise DamagedError(f"{self.path(REPEATS_JSON)} is damaged: {wrong}")
        return record

    @cached_property
    def sweep(self) -> dict[str, Any]:
        """What ``sweep.json`` holds: the best trials, what mattered, in words too.

        Raises:
            DataError: it is no sweep (DamagedError: or the file is damaged).
        """
        return self._json(SWEEP_JSON, SWEEP_KEYS)

    @property
    def is_sweep(self) -> bool:
        """Whether it is the folder of a sweep: its trials are runs, and it has no result of its own."""
        return _is_there(self.path(SWEEP_RESOLVED))

    @property
    def members(self) -> tuple[Run, ...]:
        """The repeats, each a run, in their order; none of an ordinary run."""
        if not self.is_repeated:
            return ()
        return tuple(Run(self.path(row["folder"])) for row in self.repeats["runs"])

    @cached_property
    def timings(self) -> dict[str, Any]:
        """What ``timings.json`` holds: seconds of each phase, of each epoch, images a second."""
        return self._json(TIMINGS, TIMINGS_KEYS)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What ``environment.json`` holds: versions, device, precision, seed, git commit, command line."""
        return self._json(ENVIRONMENT, ENVIRONMENT_KEYS)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every value that was in force, as plain mappings."""
        path = self.checked(RESOLVED)
        try:
            return dict(_load_yaml(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
            raise _unreadable(path, error) from error

    @cached_property
    def manifest(self) -> list[dict[str, str]]:
        """A row an image: path, label, split, sha256.

        Raises:
            DataError: the run has none (DamagedError: or it is cut short).
        """
        rows = _rows(path := self.checked(MANIFEST))
        if rows and not rows[0].keys() >= set(MANIFEST_COLUMNS):
            raise DamagedError(f"{path} is damaged: its columns are not {', '.join(MANIFEST_COLUMNS)}")
        return rows

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: epoch, loss, accuracy, val_loss, val_accuracy, lr, seconds."""
        return _table(self.checked(HISTORY))

    @property
    def epochs_done(self) -> int:
        """How many epochs are finished: the rows of ``history.csv``."""
        return len(_rows(self.checked(HISTORY))) if _is_there(self.path(HISTORY)) else 0

    @property
    def predictions(self) -> pd.DataFrame:
        """A row an image of the evaluated split: path, true, predicted, confidence, a probability column a class."""
        return _table(self.checked(PREDICTIONS), text=("path", "true", "predicted"))

    @cached_property
    def answers(self) -> list[tuple[str, bool]]:
        """The path of each image of the evaluated split, and whether its class was predicted; as ``predictions``."""
        rows = _rows(path := self.checked(PREDICTIONS))
        if rows and not rows[0].keys() >= {"path", "true", "predicted"}:
            raise DamagedError(f"{path} is damaged: its columns are not path, true, predicted and more")
        return [(row["path"], row["true"] == row["predicted"]) for row in rows]

    def model(self) -> Any:
        """Load the Keras model whose weights were evaluated; it takes (n, height, width, channels), 0..255."""
        from imgcls.backend import load_model

        return load_model(self.checked(MODEL))

    def _checksum(self, file: str) -> str:
        """Return the SHA-256 that a file should have; an empty string where that is not known."""
        if file not in _CHECKED:
            return ""
        path = self.path(CHECKSUMS)
        try:
            checksums = read_checksums(path)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if checksums is None:  # not completed, or by an earlier version
            return ""
        if file not in checksums:
            raise DamagedError(f"{path} is damaged: it has no {file}")
        return checksums[file]

    def forget_status(self) -> None:
        """Remove the state, which is not true any more, where another cannot be written."""
        with suppress(OSError):  # then it is true again when this process has ended
            self.path(STATUS).unlink(missing_ok=True)

    def _remove_checksums(self) -> None:
        path = self.path(CHECKSUMS)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"cannot remove {path}: {error.strerror}") from error

    def _compare(self, file: str, found: str, wanted: str) -> None:
        if found != wanted:
            raise DamagedError(f"{self.path(file)} is damaged: its SHA-256 is not that in {CHECKSUMS}")

    def _json(self, file: str, keys: _Types | None = None) -> dict[str, Any]:
        path = self.path(file)
        try:
            data = path.read_bytes()
            if wanted := self._checksum(file):
                self._compare(file, hashlib.sha256(data).hexdigest(), wanted)
            value = json.loads(data.decode("utf-8"))
        except FileNotFoundError as error:
            raise DataError(self._missing(file)) from error
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(path, error) from error
        if wrong := _wrong_key(value, keys or {}):
            raise DamagedError(f"{path} is damaged: {wrong}")
        return dict(value)

    def _missing(self, file: str) -> str:
        if self.is_repeated:
            return f"{self.folder} has no {file}: it is a folder of repeats, each of them (members) has its own"
        state = "unfinished" if file == STATUS else self.status.state
        if state == "completed":
            return f"{self.folder} has no {file}, though the run is marked completed"
        return f"{self.folder} has no {file}: the run is {state}"


def _is_there(path: Path) -> bool:
    """Whether a file of a run folder is there.

    Raises:
        DamagedError: the folder must not be read.
    """
    try:
        return path.is_file()
    except PermissionError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DamagedError:
    if isinstance(error, PermissionError):
        return DamagedError(f"{path} cannot be read: {error.strerror}")
    return DamagedError(f"{path} is damaged: {first_line(error)}")


def _load_yaml(text: str) -> Any:
    """Read plain YAML; the fast loader, where it is built in, would crash the process on what is nested too deeply.

    Raises:
        yaml.YAMLError, ValueError: it is none, or nested too deeply.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    depth = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.AliasEvent):  # a few lines of them are a billion values
            raise yaml.YAMLError("it has an alias, which imgcls never writes")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
    return yaml.load(text, loader)  # noqa: S506 - both are safe


def part_number(name: str) -> int:
    """Return which repeat, fold or trial a folder of this name is, from 1, the final training last; 0 if it is none."""
    if name == FINAL:
        return sys.maxsize
    part = re.fullmatch(r"(?:(?:repeat|fold)-(?=[1-9])|trial-)([0-9]+)", name)
    return int(part[1]) if part else 0


def _is_plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def repeat_name(number: int, kind: str = "repeat") -> str:
    """Return the name of a repeat's or fold's folder within that of its group; ``number`` counts from 1."""
    return f"{kind}-{number}"


def trial_name(number: int, count: int) -> str:
    """Return the name of a trial's folder within that of its sweep of ``count``; ``number`` counts from 1."""
    return f"trial-{number:0{len(str(count))}}"


def check_writable(runs_dir: Path) -> None:
    """Raise where no run folder can be made in a folder, which need not exist yet; nothing is made.

    Raises:
        RunError: it or a folder above it is a file, or must not be written to.
    """
    try:
        there = next(folder for folder in (runs_dir, *runs_dir.absolute().parents) if folder.exists())
        if not there.is_dir():
            raise RunError(
                f"{there} is a file" + ("" if there == runs_dir else f": no run folder can be in {runs_dir}")
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise RunError(f"cannot make a run folder in {runs_dir}: {there} must not be written to")
    except OSError as error:
        raise RunError(f"cannot make a run folder in {runs_dir}: {error.strerror}") from error


def create_run(runs_dir: Path, name: str, *, now: datetime | None = None) -> Run:
    """Make a new folder ``YYYY-MM-DD_HH-MM-SS_NAME``, with a number behind it where that one is taken.

    Raises:
        RunError: it cannot be made, names path and reason; or the machine's clock is not set.
    """
    now = now or datetime.now()
    if now.year < _FIRST_YEAR:
        raise RunError(
            f"the clock of this machine says {now:%Y-%m-%d}: it has to be set, runs are named and ordered by it"
        )
    stem = f"{now:%Y-%m-%d_%H-%M-%S}_{folder_name(name)}"
    check_writable(runs_dir)
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


def scratch_run() -> Run:
    """Make a run folder that is gone when the process ends.

    Raises:
        RunError: there is no room for temporary files.
    """
    try:
        folder = tempfile.mkdtemp(prefix="imgcls-worker-")
    except OSError as error:
        raise RunError(f"cannot make a temporary folder: {error.strerror}") from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Run(folder, is_kept=False)


def folder_name(name: str) -> str:
    """Return a run's name as it stands in its folder's name."""
    return re.sub(r"[^\w.+-]+", "-", name)[:80] or "run"


def _table(path: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file that ``files.write_csv`` wrote; ``text`` columns stay exact strings (``NA``, ``001``)."""
    import pandas as pd

    frame = pd.DataFrame(_rows(path))
    try:
        return frame.assign(**{name: pd.to_numeric(frame[name]) for name in frame.columns if name not in text})
    except ValueError as error:
        raise _unreadable(path, error) from error


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV file that ``files.write_csv`` wrote.

    Raises:
        DamagedError: it is cut short, or no such file.
    """
    try:
        rows = read_csv(path)
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path} is damaged: not UTF-8 text") from error
    except IndexError as error:
        raise DamagedError(f"{path} is damaged: it is empty") from error
    except ValueError as error:
        raise DamagedError(f"{path} is damaged: a row has too few or too many values") from error
    except (OSError, csv.Error) as error:
        raise _unreadable(path, error) from error
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() not in (b"\n", b"\r"):
            raise DamagedError(f"{path} is damaged: its last row is cut short")
    return rows


def _wrong_key(value: Any, keys: _Types) -> str:
    """Say what of a JSON object is not as its readers rely on; an empty string where all is."""
    if not isinstance(value, dict):
        return "not a JSON object"
    wrong = (key for key, types in keys.items() if not isinstance(value.get(key), types))
    return next((f"{'a wrong' if key in value else 'no'} {key}" for key in wrong), "")


def _wrong_part(name: str) -> str:
    """Say that a folder cannot be one of the repeats, which lie in that of the run; else an empty string."""
    return "" if part_number(name) else f"no repeat is called {shown(name)}"


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
