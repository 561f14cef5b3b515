"""Runs side by side: their figures with the best marked, and the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgcls.comparison.comparability import damage_of, loss_notes, result_notes, time_notes, what_there_is
from imgcls.runs import METRICS, Run
from imgcls.settings import align

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

SAID_ELSEWHERE = ("name", "notes", "tags")  # of the settings: they change nothing about a result


@dataclass(frozen=True)
class Column:
    """One run: its name, how far it came, and why in words."""

    name: str
    folder: str
    state: str
    message: str


@dataclass(frozen=True)
class Row:
    """One figure or setting of all runs.

    Attributes:
        values: one for each run; None where it has none.
        best: which runs have the best value; empty where there is no better, or nothing to compare with.
        comparable: False where the values must not be held against each other; ``Comparison.notes`` say why.
    """

    key: str
    values: tuple[Any, ...]
    best: tuple[int, ...] = ()
    comparable: bool = True


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found; ``notes`` say what is not comparable, and why."""

    runs: tuple[Column, ...]
    metrics: tuple[Row, ...]
    settings: tuple[Row, ...]
    timings: tuple[Row, ...]
    notes: tuple[str, ...]


def compare(runs: Sequence[Run]) -> Comparison:
    """Hold runs against each other; those that did not finish, or are damaged, take part with what they have."""
    columns = tuple(_column(run) for run in runs)
    metrics = [what_there_is(run, lambda run: run.metrics) for run in runs]
    settings = [what_there_is(run, lambda run: run.settings) for run in runs]
    of_results, of_losses = result_notes(runs, metrics), loss_notes(runs, metrics, settings)
    of_times = time_notes(runs, settings, of_results)
    unfinished = [_without_result(column) for column, values in zip(columns, metrics, strict=True) if not values]
    damage = [text for run in runs for text in _damage(run)]
    return Comparison(
        runs=columns,
        metrics=tuple(_metric_rows(metrics, comparable=not of_results, losses_comparable=not of_results + of_losses)),
        settings=tuple(_setting_rows(settings)),
        timings=tuple(_timing_rows([_timings(run) for run in runs], comparable=not of_times)),
        notes=tuple(dict.fromkeys((*of_results, *of_losses, *of_times, *filter(None, unfinished), *damage))),
    )


def _column(run: Run) -> Column:
    if damage := damage_of(run, lambda run: run.status) or damage_of(run, lambda run: run.metrics):
        return Column(run.name, str(run.folder), "damaged", damage)
    status = run.status
    return Column(run.name, str(run.folder), status.state, status.message)


def _without_result(column: Column) -> str:
    if column.state == "damaged":
        return ""  # the damage has a note of its own
    if column.state == "completed":
        return f"{column.name} is marked completed but has no {METRICS}"
    return f"{column.name} is {column.state}{': ' + column.message if column.message else ''}; it has no result"


def _damage(run: Run) -> list[str]:
    reads = (
        lambda run: run.status,
        lambda run: run.metrics,
        lambda run: run.settings,
        lambda run: run.timings,
        lambda run: run.environment,
    )
    return [text for read in reads if (text := damage_of(run, read))]


def _metric_rows(metrics: Sequence[Mapping[str, Any]], *, comparable: bool, losses_comparable: bool) -> list[Row]:
    rows = []
    for key, higher in METRIC_ROWS.items():
        values = tuple(each.get(key) for each in metrics)
        if all(value is None for value in values):
            continue
        is_comparable = losses_comparable if key == "loss" else comparable or higher is None
        rows.append(_row(key, values, higher=higher if is_comparable else None, comparable=is_comparable))
    return rows


def _row(key: str, values: tuple[Any, ...], *, higher: bool | None, comparable: bool = True) -> Row:
    known = [value for value in values if value is not None]
    if higher is None or len(known) < 2:
        return Row(key, values, comparable=comparable)
    top = max(known) if higher else min(known)
    best = tuple(index for index, value in enumerate(values) if value == top)
    return Row(key, values, best if len(best) < len(known) else (), comparable=comparable)


def _timings(run: Run) -> dict[str, Any]:
    timings = what_there_is(run, lambda run: run.timings)
    epochs = timings.get("epoch_seconds") or []
    figures = {
        "total_seconds": timings.get("total"),
        **{f"{phase}_seconds": seconds for phase, seconds in (timings.get("phases") or {}).items()},
        "epoch_seconds": sum(epochs) / len(epochs) if epochs else None,
        "images_per_second": timings.get("images_per_second"),
    }
    return {key: value for key, value in figures.items() if value is not None}


def _timing_rows(timings: Sequence[Mapping[str, Any]], *, comparable: bool) -> list[Row]:
    keys = list(dict.fromkeys(key for each in timings for key in each))
    return [
        _row(
            key,
            tuple(each.get(key) for each in timings),
            higher=key == "images_per_second" if comparable else None,
            comparable=comparable,
        )
        for key in keys
    ]


def _setting_rows(settings: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the settings that differ among the runs which have any, in the order of the first run's spec."""
    known = [each for each in settings if each]
    aligned = align(known)
    keys = list(dict.fromkeys(key for each in aligned for key in each))
    column = iter(aligned)
    values = [next(column) if each else None for each in settings]
    rows = []
    for key in keys:
        row = tuple(None if each is None else each.get(key) for each in values)
        given = [each.get(key) for each in aligned]
        if key not in SAID_ELSEWHERE and any(value != given[0] or type(value) is not type(given[0]) for value in given):
            rows.append(Row(key, row))
    return rows
