"""What the runs of a folder of repeats or folds have in common: how many, how far they came, what they took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from imgcls.errors import DataError
from imgcls.runs import Run
from imgcls.wording import counted

__all__ = [
    "count_text",
    "figure_interval",
    "finished",
    "known_seconds",
    "mean_interval",
    "summarize_repeats",
    "summary_figure",
]

CONFIDENCE = 0.95
SHARES = ("accuracy", "balanced_accuracy", "macro_f1")  # from 0 to 1, and so is the interval of their mean
WITH_INTERVAL = (*SHARES, "loss")


def summarize_repeats(run: Run) -> dict[str, Any]:
    """Return what ``repeats.json`` holds as it is now, with the interval of the means.

    A repeat whose process is gone is ``interrupted``, whatever it last wrote. ``mean_ci95`` of a figure is
    [low, high], None of fewer than two runs.

    Raises:
        DataError: it is no folder of repeats (DamagedError: or its file is damaged).
    """
    record = run.repeats
    summary = {key: dict(figure) for key, figure in record["summary"].items()}
    for key in summary.keys() & set(WITH_INTERVAL):
        summary[key]["mean_ci95"] = figure_interval(record, key)
    rows = [row | _state_now(run, row) for row in record["runs"]]
    return {**record, "runs": rows, "finished": finished(record), "summary": summary}


def _state_now(run: Run, row: Mapping[str, Any]) -> dict[str, str]:
    if row["state"] != "running":
        return {}
    try:
        status = Run(run.path(row["folder"])).status
    except DataError as error:
        return {"state": "damaged", "message": str(error)}
    return {"state": status.state, "message": status.message}


def finished(record: Mapping[str, Any]) -> int:
    """Return how many repeats are completed: those that the figures are of."""
    return sum(row["state"] == "completed" for row in record["runs"])


def count_text(done: int, planned: int) -> str:
    """Return ``5 runs``, or ``4 of 5 runs`` where not all have a result."""
    return counted(planned, "run") if done == planned else f"{done:,} of {counted(planned, 'run')}"


def known_seconds(record: Mapping[str, Any]) -> float | None:
    """Return how long the repeats took in sum; None where of none it is known."""
    known = [row["seconds"] for row in record["runs"] if row.get("seconds") is not None]
    return sum(known) if known else None


def summary_figure(record: Mapping[str, Any], key: str, part: str = "mean") -> Any:
    """Return mean, sd, min or max of a figure; None where there is none."""
    return record["summary"].get(key, {}).get(part)


def figure_interval(record: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean of a figure; of a share within 0 and 1."""
    mean, sd = (summary_figure(record, key, part) for part in ("mean", "sd"))
    interval = mean_interval(mean, sd, finished(record), overlap=record.get("overlap") or 0.0)
    if interval is None or key not in SHARES:
        return interval
    low, high = interval
    return max(low, 0.0), min(high, 1.0)


def mean_interval(
    mean: float | None, sd: float | None, count: int, *, overlap: float = 0.0
) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean of runs, by Student's t; None of fewer than two.

    Args:
        mean: of the runs.
        sd: their sample standard deviation (n - 1).
        count: how many runs.
        overlap: of folds, which share most of their training images, how many images each is measured on for one
            that trains it: their variance is corrected for that (Nadeau and Bengio, 2003).
    """
    if mean is None or sd is None or count < 2:
        return None
    from scipy.special import stdtrit

    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * sd * math.sqrt(1 / count + overlap)
    return mean - reach, mean + reach
