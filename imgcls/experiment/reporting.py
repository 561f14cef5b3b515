"""A result held against what somebody published."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls.runs import Run
from imgcls.spec import Spec

__all__ = ["published_beside", "result_of"]


def published_beside(spec: Spec, results: Sequence[tuple[Mapping[str, Any], Mapping[str, Any], float]]) -> list[Any]:
    """Return the published figures beside the measured ones; of several results, means and spread.

    Args:
        results: of each its metrics, the row of its history whose weights were measured, the seconds of its training.
    """
    from imgcls.evaluation.reported import hold_against, measured_figures

    assert spec.reported is not None
    figures = [measured_figures(*result) for result in results]
    known = {name: [each[name] for each in figures] for name in set.intersection(*map(set, figures))}
    means = {name: statistics.fmean(values) for name, values in known.items()}
    spreads = {
        name: {"sd": statistics.stdev(values), "min": min(values), "max": max(values)}
        for name, values in known.items()
        if len(values) > 1
    }
    return hold_against(spec.reported, means, spreads)


def result_of(run: Run) -> tuple[Mapping[str, Any], Mapping[str, Any], float]:
    """Return what ``published_beside`` wants of a finished run."""
    row = dict(run.history.iloc[run.metrics["best_epoch"] - 1])
    return run.metrics, row, sum(run.timings["epoch_seconds"])
