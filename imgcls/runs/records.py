"""Reading what a run folder holds: it is what its readers rely on, or the file is named."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
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
    "wrong_environment",
    "wrong_key",
    "wrong_metrics",
    "wrong_repeats",
    "wrong_settings",
    "wrong_sweep",
    "wrong_timings",
]

_MAX_DEPTH = 100  # of what is nested in a spec

Types = Mapping[str, type | tuple[type, ...]]

_NUMBER, _NOTHING = (int, float), type(None)
_SOME = (*_NUMBER, _NOTHING)  # a number, where there is one
# What every reader relies on: key → its types; a key whose types include None may be missing too.
METRICS_KEYS: Types = {
    "classes": list, "split": str, "n": int, "accuracy": _NUMBER, "accuracy_ci95": list, "macro_f1": _NUMBER,
    "majority_baseline": _NUMBER, "per_class": dict, "confusion_matrix": list, "loss": _SOME,
    "top5_accuracy": _SOME, "epochs_run": (int, _NOTHING), "warnings": (list, _NOTHING),
    "most_confident_errors": (list, _NOTHING), "stages": (list, _NOTHING), "reported": (list, _NOTHING),
    "pretrained": (str, _NOTHING), "images_sha256": (str, _NOTHING),
    **dict.fromkeys(("best_epoch", "total_params", "trainable_params"), (int, _NOTHING)),
    **dict.fromkeys(
        ("balanced_accuracy", "weighted_f1", "macro_precision", "macro_recall", "cohen_kappa", "mcc", "ece"), _SOME
    ),
}  # fmt: skip
TIMINGS_KEYS: Types = {
    "total": _SOME, "phases": (dict, _NOTHING), "epoch_seconds": (list, _NOTHING),
    "images_per_second": _SOME,
}  # fmt: skip
REPEATS_KEYS: Types = {
    "repeats": int, "runs": list, "summary": dict, "split": (str, _NOTHING), "n": (int, _NOTHING),
    "majority_baseline": _SOME, "warnings": (list, _NOTHING), "reported": (list, _NOTHING),
    "folds": (int, _NOTHING), "overlap": _SOME, "pooled": (dict, _NOTHING),
}  # fmt: skip
_REPEAT_KEYS: Types = {  # a row of "runs"
    "folder": str, "state": str, "seed": (int, _NOTHING), "message": (str, _NOTHING),
    **dict.fromkeys(("accuracy", "macro_f1", "loss", "epochs_run", "seconds"), _SOME),
}  # fmt: skip
SWEEP_KEYS: Types = {
    "method": str, "objective": list, "planned": int, "states": dict, "n": int, "best": list, "verdict": list,
}  # fmt: skip
_ROW_KEYS: Mapping[str, Types] = {  # key of metrics.json or repeats.json → what a row of it has
    "warnings": {"code": str, "message": str, "advice": (str, _NOTHING)},
    "most_confident_errors": {"path": str, "true": str, "predicted": str, "confidence": _NUMBER},
    "stages": {
        **dict.fromkeys(("stage", "first_epoch", "epochs_run", "trainable_params", "total_params"), int),
        "best_epoch": (int, _NOTHING), "lr": _SOME, "optimizer": (str, _NOTHING), "stopped_early": (bool, _NOTHING),
    },
    "reported": {
        "figure": str, "published": _NUMBER, "agrees": (bool, _NOTHING), "known": (bool, _NOTHING),
        "class": (str, _NOTHING),
        **dict.fromkeys(("measured", "difference", "tolerance", "mean", "sd", "min", "max"), _SOME),
        **dict.fromkeys(("measured_sd", "measured_min", "measured_max"), _SOME),
    },
}  # fmt: skip
_CLASS_KEYS: Types = {"support": int, **dict.fromkeys(("precision", "recall", "f1"), _SOME)}  # a value of "per_class"
_POOLED_KEYS: Types = {"n": int, "accuracy": _NUMBER, "accuracy_ci95": list}
_TRIAL_KEYS: Types = {"trial": int, "point": dict, "seconds": _SOME, "sd": _SOME}  # a row of "best"
_FIGURE_KEYS: Types = dict.fromkeys(("mean", "sd", "min", "max"), _SOME)  # a value of "summary"
ENVIRONMENT_KEYS: Types = {
    "device": (dict, _NOTHING), "replicas": (int, _NOTHING), "precision": (str, _NOTHING),
    "git_commit": (str, _NOTHING),
}  # fmt: skip
_DEVICE_KEYS: Types = {"kind": (str, _NOTHING), "name": (str, _NOTHING), "threads": (int, _NOTHING)}


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


def wrong_metrics(record: Mapping[str, Any]) -> str:
    """Say what within ``metrics.json`` is not so; an empty string where all is."""
    classes = record["classes"]
    parts = {
        "classes": _is_of(classes, str),
        "accuracy_ci95": _is_interval(record["accuracy_ci95"]),
        "confusion_matrix": _is_square(record["confusion_matrix"], len(classes)),
    }
    scores = (_within("per_class", wrong_key(score, _CLASS_KEYS)) for score in record["per_class"].values())
    return next((f"a wrong {key}" for key, is_right in parts.items() if not is_right), "") or _first(
        *scores, _wrong_rows(record)
    )


def wrong_timings(record: Mapping[str, Any]) -> str:
    """Say what within ``timings.json`` is not so; an empty string where all is."""
    parts = {"phases": [*(record.get("phases") or {}).values()], "epoch_seconds": record.get("epoch_seconds") or []}
    return _first(*("" if _is_of(values, *_NUMBER) else f"a wrong {key}" for key, values in parts.items()))


def wrong_environment(record: Mapping[str, Any]) -> str:
    """Say what within ``environment.json`` is not so; an empty string where all is."""
    return _within("device", wrong_key(record.get("device") or {}, _DEVICE_KEYS))


def wrong_settings(settings: Mapping[Any, Any]) -> str:
    """Say what in ``resolved.yaml`` its readers rely on and is not so; an empty string where all is."""
    parts = {"tags": str, "stages": dict, "resolution": int}
    lists = {key: settings.get(key) or [] for key in parts}
    wrong = (key for key, kind in parts.items() if not (isinstance(lists[key], list) and _is_of(lists[key], kind)))
    return next((f"a wrong {key}" for key in wrong), "")


def wrong_sweep(record: Mapping[str, Any]) -> str:
    """Say what within ``sweep.json`` is not so; an empty string where all is."""
    parts = {
        "objective": _is_of(record["objective"], str),
        "states": _is_of([*record["states"].values()], int),
        "verdict": _is_of(record["verdict"], str),
    }
    keys = {**_TRIAL_KEYS, **(dict.fromkeys(record["objective"], _NUMBER) if parts["objective"] else {})}
    trials = (_within("best", wrong_key(row, keys) or _wrong_interval(row)) for row in record["best"])
    return _first(*(f"a wrong {key}" for key, is_right in parts.items() if not is_right), *trials)


def wrong_repeats(record: Mapping[str, Any]) -> str:
    """Say what of the rows and the summary of ``repeats.json`` is not so; an empty string where all is."""
    checks = [wrong_key(row, _REPEAT_KEYS) or _wrong_part(row["folder"]) for row in record["runs"]]
    checks += [wrong_key(figure, _FIGURE_KEYS) for figure in record["summary"].values()]
    if record.get("pooled"):
        pooled = record["pooled"]
        checks.append(_within("pooled", wrong_key(pooled, _POOLED_KEYS) or _wrong_interval(pooled)))
    return _first(*checks, _wrong_rows(record))


def _wrong_rows(record: Mapping[str, Any]) -> str:
    """Say which row of a list in ``metrics.json`` or ``repeats.json`` is not as it is to be."""
    return _first(
        *(_within(name, wrong_key(row, keys)) for name, keys in _ROW_KEYS.items() for row in record.get(name) or ())
    )


def _wrong_interval(row: Mapping[str, Any]) -> str:
    return "" if _is_interval(row.get("accuracy_ci95", [0.0, 0.0])) else "a wrong accuracy_ci95"


def _within(name: str, wrong: str) -> str:
    return wrong and f"{name}: {wrong}"


def _first(*checks: str) -> str:
    return next(filter(None, checks), "")


def _is_of(values: Sequence[Any], *types: type) -> bool:
    return all(isinstance(value, types) for value in values)


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_of(value, *_NUMBER)


def _is_square(matrix: Sequence[Any], size: int) -> bool:
    """Whether it is a list of ``size`` rows of so many counts; of 5,000 classes there are 25 million of them."""
    return len(matrix) == size and all(
        isinstance(row, list) and len(row) == size and set(map(type, row)) <= {int} for row in matrix
    )


def _wrong_part(name: str) -> str:
    """Say that a folder cannot be one of the repeats, which lie in that of the run; else an empty string."""
    return "" if part_number(name) else f"no repeat is called {shown(name)}"
