"""Runs side by side: their figures with the best marked, and the settings that differ.

A folder of repeats is one side of it: its figures are the means of its runs, beside them their standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Any

from imgcls.comparison.comparability import fold_notes, loss_notes, mean_notes, result_notes, time_notes
from imgcls.comparison.repeats import count_text
from imgcls.comparison.sides import Side, read_side
from imgcls.comparison.uses import use_notes, uses
from imgcls.comparison.verdicts import Pair, Verdict, damage_notes, judge, short_names
from imgcls.runs import Run
from imgcls.runs.layout import METRICS, REPEATS_JSON
from imgcls.settings import align, choices
from imgcls.wording import some

__all__ = ["METRIC_ROWS", "Column", "Comparison", "Row", "compare"]

# key in metrics.json → whether higher is better (True), lower is (False), or neither (None)
METRIC_ROWS: dict[str, bool | None] = {
    "accuracy": True,
    "accuracy_ci95": None,
    "balanced_accuracy": True,
    "macro_f1": True,
    "weighted_f1": True,
    "macro_precision": True,
    "macro_recall": True,
    "cohen_kappa": True,
    "mcc": True,
    "top5_accuracy": True,
    "loss": False,
    "ece": False,
    "majority_baseline": None,
    "n": None,
    "split": None,
    "best_epoch": None,
    "epochs_run": None,
    "trainable_params": None,
    "total_params": None,
}

MAX_PAIRS_SAID = 3  # of those that differ in several settings
SAID_ELSEWHERE = ("name", "notes", "tags", "repeats")  # of the settings: they change nothing about a result


@dataclass(frozen=True)
class Column:
    """One run: its name, how far it came, and why in words.

    Attributes:
        repeats: how many were asked for, where it is a folder of repeats; None of one run.
        finished: how many of these are completed: what the means are of.
        has_settings: whether its settings can be read.
    """

    name: str
    folder: str
    state: str
    message: str
    repeats: int | None = None
    finished: int | None = None
    has_settings: bool = True

    @property
    def count(self) -> str:
        """How many runs the means are of: ``5 runs``, ``4 of 5 runs``; empty for one run."""
        if self.repeats is None or self.finished is None:
            return ""
        return count_text(self.finished, self.repeats)

    @property
    def state_text(self) -> str:
        """The state as people read it, of repeats with their number: ``completed, 5 runs``."""
        return ", ".join(filter(None, (self.state, self.count)))


@dataclass(frozen=True)
class Row:
    """One figure or setting of all runs.

    Attributes:
        values: one for each run, of repeats the mean; None where it has none.
        best: which runs have the best value; empty where there is no better, or nothing to compare with.
        comparable: False where the values must not be held against each other; ``Comparison.notes`` say why.
        deviations: one for each run, the sample standard deviation where it is one of repeats; empty where none is.
    """

    key: str
    values: tuple[Any, ...]
    best: tuple[int, ...] = ()
    comparable: bool = True
    deviations: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found; ``notes`` say what is not comparable, and why."""

    verdict: Verdict
    runs: tuple[Column, ...]
    metrics: tuple[Row, ...]
    settings: tuple[Row, ...]
    timings: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Hold runs against each other; those that did not finish, or are damaged, take part with what they have.

    The best of a row is the best value or mean; whether its lead in accuracy is more than chance, the verdict says.
    """
    sides = [read_side(run) for run in runs]
    verdict, settings = judge(sides), tuple(_setting_rows(sides))
    of_results, of_losses = result_notes(sides), loss_notes(sides)
    of_times = time_notes(sides, of_results)
    lacking = filter(None, map(_lacking, sides))
    damage = (text for side in sides for text in side.damage)
    of_tests = [
        *damage_notes(sides),
        *_setting_notes(short_names([side.name for side in sides]), verdict.pairs, settings),
    ]
    of_means = (*mean_notes(sides), *fold_notes(sides))
    notes = (*of_results, *of_losses, *of_times, *of_means, *of_tests, *use_notes(sides), *lacking, *damage)
    return Comparison(
        verdict=verdict,
        runs=tuple(_column(side) for side in sides),
        metrics=(
            *_rank_rows(verdict),
            *_metric_rows(sides, comparable=not of_results, losses_comparable=not of_results + of_losses),
            *_use_rows(sides),
        ),
        settings=settings,
        timings=tuple(_timing_rows(sides, comparable=not of_times)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _column(side: Side) -> Column:
    return Column(side.name, side.folder, side.state, side.message, side.repeats, side.finished, bool(side.settings))


def _lacking(side: Side) -> str:
    """Say that there is no result, or one of a part of the repeats; an empty string where nothing lacks."""
    if side.state == "damaged":
        return ""  # the damage has a note of its own
    why = f"{side.name} is {side.state}{': ' + side.message if side.message else ''}"
    if side.repeats is not None and side.finished != side.repeats:
        return f"{why}; " + (
            f"its figures are of {count_text(side.finished or 0, side.repeats)}"
            if side.finished
            else "none of its repeats has a result"
        )
    if side.metrics:
        return ""
    if side.state == "completed":
        return f"{side.name} is marked completed but has no {METRICS if side.repeats is None else REPEATS_JSON}"
    return f"{why}; it has no result"


def _rank_rows(verdict: Verdict) -> list[Row]:
    """Return the ranks by accuracy of more than two sides: ``1``, or ``1 to 3`` where a test cannot tell."""
    if len(verdict.pairs) < 2 or not any(verdict.ranks):
        return []
    texts = (rank and (str(rank[0]) if rank[0] == rank[1] else f"{rank[0]} to {rank[1]}") for rank in verdict.ranks)
    best = tuple(index for index, rank in enumerate(verdict.ranks) if rank and rank[0] == 1)
    return [Row("rank", tuple(texts), best if len(best) < len(verdict.ranks) else ())]


def _metric_rows(sides: Sequence[Side], *, comparable: bool, losses_comparable: bool) -> list[Row]:
    rows = []
    for key, higher in METRIC_ROWS.items():
        values = tuple(side.metrics.get(key) for side in sides)
        if all(value is None for value in values):
            continue
        is_comparable = losses_comparable if key == "loss" else comparable or higher is None
        row = _row(key, values, higher=higher if is_comparable else None, comparable=is_comparable)
        rows.append(_with_deviations(row, sides))
    return rows


def _use_rows(sides: Sequence[Side]) -> list[Row]:
    counts = uses(sides)
    return [Row("test_evaluations", counts)] if any(counts) else []


def _row(key: str, values: tuple[Any, ...], *, higher: bool | None, comparable: bool = True) -> Row:
    known = [value for value in values if value is not None]
    if higher is None or len(known) < 2:
        return Row(key, values, comparable=comparable)
    top = max(known) if higher else min(known)
    best = tuple(index for index, value in enumerate(values) if value is not None and isclose(value, top))
    return Row(key, values, best if len(best) < len(known) else (), comparable=comparable)


def _with_deviations(row: Row, sides: Sequence[Side]) -> Row:
    deviations = tuple(side.deviations.get(row.key) for side in sides)
    return row if all(each is None for each in deviations) else replace(row, deviations=deviations)


def _timing_rows(sides: Sequence[Side], *, comparable: bool) -> list[Row]:
    rows = []
    for key in dict.fromkeys(key for side in sides for key in side.timings):
        higher = key == "images_per_second" if comparable else None
        row = _row(key, tuple(side.timings.get(key) for side in sides), higher=higher, comparable=comparable)
        rows.append(_with_deviations(row, sides))
    return rows


def _setting_rows(sides: Sequence[Side]) -> list[Row]:
    """Return the settings that differ among the runs which have any, in the order of the first run's spec.

    Repeats have a seed each, so that with them it is no setting.
    """
    settings = [side.settings for side in sides]
    left_out = {*SAID_ELSEWHERE, *(["seed"] if any(side.repeats is not None for side in sides) else [])}
    known = [each for each in settings if each]
    aligned = align(known)
    keys = list(dict.fromkeys(key for each in aligned for key in each))
    column = iter(aligned)
    values = [next(column) if each else None for each in settings]
    rows = []
    for key in keys:
        row = tuple(None if each is None else each.get(key) for each in values)
        given = [each.get(key) for each in aligned]
        if key not in left_out and any(value != given[0] or type(value) is not type(given[0]) for value in given):
            rows.append(Row(key, row))
    return rows


def _setting_notes(names: Sequence[str], pairs: Sequence[Pair], settings: Sequence[Row]) -> list[str]:
    """Say where a difference cannot be put down to a setting: only the seed differs, or several settings do."""
    seeds, confounded = [], []
    for pair in pairs:
        who = f"{names[pair.first]} and {names[pair.second]} differ in"
        differing = [row.key for row in settings if row.values[pair.first] != row.values[pair.second]]
        changed = choices([key for key in differing if key != "seed"])
        if differing == ["seed"]:
            seeds.append(f"{who} their seed alone: what is between them is chance")
        elif pair.is_told_apart and len(changed) > 1:
            which = some(changed, 4)
            confounded.append(f"{who} {len(changed)} settings ({which}): which of them makes the difference is open")
    if len(confounded) > MAX_PAIRS_SAID:
        confounded = [f"{len(confounded)} pairs that differ have more than one other setting: what makes it is open"]
    return [*seeds[:MAX_PAIRS_SAID], *confounded]
