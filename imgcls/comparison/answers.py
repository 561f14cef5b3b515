"""Which of the evaluated images runs have right, in the same order for all runs that were asked the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcls.errors import DataError
from imgcls.runs import Run
from imgcls.runs.layout import GROUP

__all__ = ["Answers", "read_answers"]


@dataclass(frozen=True)
class Answers:
    """What runs on the same images answered.

    Attributes:
        right: (runs, n), whether each run has each image right; by content and path, which data that was moved keeps.
        groups: (n,), which group each image is of, counted from 0; None where each is independent of the others.
    """

    right: NDArray[np.bool_]
    groups: NDArray[np.intp] | None


def read_answers(runs: Sequence[Run]) -> Answers | None:
    """Return the answers of runs; None where a file of theirs cannot be read, or they were asked different images."""
    try:
        manifest = {row["path"]: (row["sha256"], row.get(GROUP, "")) for row in runs[0].manifest} if runs else {}
        known = [sorted((*manifest.get(path, ("", "")), path, right) for path, right in run.answers) for run in runs]
    except DataError:
        return None
    asked = [[row[:-1] for row in rows] for rows in known]
    if not asked or any(each != asked[0] for each in asked):
        return None
    names = [group for _, group, _ in asked[0]]
    groups = np.unique(names, return_inverse=True)[1] if any(names) else None
    return Answers(np.array([[row[-1] for row in rows] for rows in known], np.bool_), groups)
