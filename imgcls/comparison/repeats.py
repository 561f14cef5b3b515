"""What the runs of a folder of repeats have in common: how many there are, how far they came, what they took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from imgcls.errors import DataError
from imgcls.runs import Run
from imgcls.wording import counted

__all__ = ["count_text", "finished", "known_seconds", "mean_interval", "summarize_repeats", "summary_figure"]

CONFIDENCE = 0.95
WITH_INTERVAL = ("accuracy", "balanced_accuracy", "macro_f1", "loss")


def summarize_repeats(run: Run) -> dict[str, Any]:
    """Return what ``repeats.json`` holds as it is now, with the interval of the means.

    A repeat whose process is gone is ``interrupted``, whatever it last wrote; ``begun`` of a repeat is False where it
    has no folder yet. ``mean_ci95`` of a figure is [low, high], None of fewer than two runs.

    Raises:
        DataError: it is no folder of repeats (DamagedError: or its file is damaged).
    """
    record = run.repeats
    summary = {key: dict(figure) for key, figure in record["summary"].items()}
    for key in summary.keys() & set(WITH_INTERVAL):
        summary[key]["mean_ci95"] = mean_interval(summary[key].get("mean"), summary[key].get("sd"), finished(record))
    rows = [dict(row, begun=_has_begun(run, row), **_state_now(run, row)) for row in record["runs"]]
    return {**record, "runs": rows, "finished": finished(record), "summary": summary}


def _has_begun(run: Run, row: Mapping[str, Any]) -> bool:
    return row["state"] in ("completed", "failed") or (run.folder / row["folder"]).is_dir()


def _state_now(run: Run, row: Mapping[str, Any]) -> dict[str, str]:
    if row["state"] != "running":
        return {}
    try:
        status = Run(run.folder / row["folder"]).status
    except DataError as error:
        return {"state": "damaged", "message": str(error)}
    return {"state": status.state, "message": status.message}


def finished(record: Mapping[str, Any]) -> int:
    """Return how many repeats have a result: those that the figures are of."""
    return sum(row.get("accuracy") is not None for row in record["runs"])


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


def mean_interval(mean: float | None, sd: float | None, count: int) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean of runs, by Student's t; None of fewer than two.

    Args:
        mean: of the runs.
        sd: their sample standard deviation (n - 1).
        count: how many runs.
    """
    if mean is None or sd is None or count < 2:
        return None
    from scipy.special import stdtrit

    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(count)
    return mean - reach, mean + reach
