"""How often the test images were looked at, and how much too good the best of many looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

from imgcls.catalog import runs_dir_of
from imgcls.comparison.sides import Side, what_there_is
from imgcls.evaluations import evaluations_in
from imgcls.runs import Run

__all__ = ["expected_lead", "use_notes", "uses"]

_MANY = 5  # experiments, of which the best is chosen


def uses(sides: Sequence[Side]) -> tuple[int | None, ...]:
    """Return how often each side was measured on the test images, its repeats together; None where nobody counted."""
    return tuple(_uses(side) for side in sides)


def _uses(side: Side) -> int | None:
    run = Run(side.folder)
    rows = what_there_is(run, lambda run: run.repeats).get("runs", ()) if run.is_repeated else ()
    folders = [run.path(row["folder"]) for row in rows] or [run.folder]
    counts = [sum(row["split"] == "test" for row in evaluations_in(folder)) for folder in folders]
    return sum(counts) or None


def use_notes(sides: Sequence[Side]) -> list[str]:
    """Say how many experiments were measured on these test images, and what choosing the best of them comes to.

    Of sides that were measured on the same images, in one folder of runs, it is said once.
    """
    accuracies: dict[tuple[Path, str, int], list[float]] = {}
    for side in sides:
        digest, n, accuracy = (side.metrics.get(key) for key in ("images_sha256", "n", "accuracy"))
        if digest and n and accuracy is not None and side.metrics.get("split") == "test":
            accuracies.setdefault((runs_dir_of(side.speaker), digest, n), []).append(accuracy)
    return [note for key, found in accuracies.items() if (note := _use_note(*key, found))]


def _use_note(runs_dir: Path, digest: str, n: int, accuracies: Sequence[float]) -> str:
    rows = [row for row in evaluations_in(runs_dir) if row["images_sha256"] == digest and row["split"] == "test"]
    experiments = len({row["run"].partition("/")[0] for row in rows})
    if experiments < _MANY:
        return ""
    lead = 100 * max(expected_lead(accuracy, n, experiments) for accuracy in accuracies)
    return (
        f"these {n:,} test images have been measured {len(rows)} times, of {experiments} experiments: the best of so "
        f"many that are equally good looks up to {lead:.1f} points better than it is; choose by val_accuracy, and "
        "report the test accuracy of what was chosen"
    )


def expected_lead(accuracy: float, n: int, count: int) -> float:
    """Return how far above the truth the best of several accuracies on n images is on average, all being equally good.

    It is the expected maximum of so many normal deviates (Blom, 1958) in standard errors of one accuracy; networks that
    err on the same images lie closer together, so that it is a bound.
    """
    standard_error = math.sqrt(accuracy * (1 - accuracy) / n)
    return standard_error * NormalDist().inv_cdf((count - 0.375) / (count + 0.25))
