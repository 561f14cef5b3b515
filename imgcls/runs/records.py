"""Reading what a run folder holds: it is what its readers rely on, or the file is named."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgcls.errors import DataError
from imgcls.files import read_csv
from imgcls.runs.layout import part_number
from imgcls.wording import first_line, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ENVIRONMENT_KEYS",
    "METRICS_KEYS",
    "REPEATS_KEYS",
    "SWEEP_KEYS",
    "TIMINGS_KEYS",
    "DamagedError",
    "Types",
    "is_there",
    "load_yaml",
    "read_rows",
    "read_table",
    "unreadable",
    "wrong_key",
    "wrong_repeats",
]

_MAX_DEPTH = 100  # of what is nested in a spec

Types = Mapping[str, type | tuple[type, ...]]

_NUMBER, _NOTHING = (int, float), type(None)
# What every reader relies on: key → its types; a key whose types include None may be missing too.
METRICS_KEYS: Types = {
    "classes": list, "split": str, "n": int, "accuracy": _NUMBER, "accuracy_ci95": list, "macro_f1": _NUMBER,
    "majority_baseline": _NUMBER, "per_class": dict, "confusion_matrix": list, "loss": (*_NUMBER, _NOTHING),
    "top5_accuracy": (*_NUMBER, _NOTHING), "epochs_run": (int, _NOTHING), "warnings": (list, _NOTHING),
    "most_confident_errors": (list, _NOTHING), "stages": (list, _NOTHING), "reported": (list, _NOTHING),
    "pretrained": (str, _NOTHING),
}  # fmt: skip
TIMINGS_KEYS: Types = {
    "total": (*_NUMBER, _NOTHING), "phases": (dict, _NOTHING), "epoch_seconds": (list, _NOTHING),
    "images_per_second": (*_NUMBER, _NOTHING),
}  # fmt: skip
REPEATS_KEYS: Types = {
    "repeats": int, "runs": list, "summary": dict, "split": (str, _NOTHING), "n": (int, _NOTHING),
    "majority_baseline": (*_NUMBER, _NOTHING), "warnings": (list, _NOTHING), "reported": (list, _NOTHING),
    "folds": (int, _NOTHING), "overlap": (*_NUMBER, _NOTHING), "pooled": (dict, _NOTHING),
}  # fmt: skip
_REPEAT_KEYS: Types = {  # a row of "runs"
    "folder": str, "state": str, "seed": (int, _NOTHING), "message": (str, _NOTHING),
    **dict.fromkeys(("accuracy", "macro_f1", "loss", "epochs_run", "seconds"), (*_NUMBER, _NOTHING)),
}  # fmt: skip
SWEEP_KEYS: Types = {
    "method": str, "objective": list, "planned": int, "states": dict, "n": int, "best": list, "verdict": list,
}  # fmt: skip
_FIGURE_KEYS: Types = dict.fromkeys(("mean", "sd", "min", "max"), (*_NUMBER, _NOTHING))  # a value of "summary"
ENVIRONMENT_KEYS: Types = {"device": (dict, _NOTHING), "replicas": (int, _NOTHING)}


class DamagedError(DataError):
    """A file of a run folder is not what was written there; names it."""


def is_there(path: Path) -> bool:
    """Whether a file of a run folder is there.

    Raises:
        DamagedError: the folder must not be read.
    """
    try:
        return path.is_file()
    except PermissionError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DamagedError:
    """Return the error that says why a file cannot be read, or is damaged."""
    if isinstance(error, PermissionError):
        return DamagedError(f"{path} cannot be read: {error.strerror}")
    return DamagedError(f"{path} is damaged: {first_line(error)}")


def load_yaml(text: str) -> Any:
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
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")
    return yaml.load(text, loader)  # noqa: S506 - both are safe


def read_table(path: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file that ``files.write_csv`` wrote; ``text`` columns stay exact strings (``NA``, ``001``)."""
    import pandas as pd

    frame = pd.DataFrame(read_rows(path))
    try:
        return frame.assign(**{name: pd.to_numeric(frame[name]) for name in frame.columns if name not in text})
    except ValueError as error:
        raise unreadable(path, error) from error


def read_rows(path: Path) -> list[dict[str, str]]:
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
        raise unreadable(path, error) from error
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        if file.read() not in (b"\n", b"\r"):
            raise DamagedError(f"{path} is damaged: its last row is cut short")
    return rows


def wrong_key(value: Any, keys: Types) -> str:
    """Say what of a JSON object is not as its readers rely on; an empty string where all is."""
    if not isinstance(value, dict):
        return "not a JSON object"
    wrong = (key for key, types in keys.items() if not isinstance(value.get(key), types))
    return next((f"{'a wrong' if key in value else 'no'} {key}" for key in wrong), "")


def wrong_repeats(record: Mapping[str, Any]) -> str:
    """Say what of the rows and the summary of ``repeats.json`` is not so; an empty string where all is."""
    checks = [wrong_key(row, _REPEAT_KEYS) or _wrong_part(row["folder"]) for row in record["runs"]]
    checks += [wrong_key(figure, _FIGURE_KEYS) for figure in record["summary"].values()]
    return next(filter(None, checks), "")


def _wrong_part(name: str) -> str:
    """Say that a folder cannot be one of the repeats, which lie in that of the run; else an empty string."""
    return "" if part_number(name) else f"no repeat is called {shown(name)}"
