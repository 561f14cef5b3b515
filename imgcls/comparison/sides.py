"""What a comparison knows of each side: of a run its files, of a folder of repeats the means over its runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from imgcls.catalog import full_name, is_repeat, refuse_sweeps
from imgcls.comparison.repeats import finished
from imgcls.errors import DataError
from imgcls.runs import DamagedError, Run
from imgcls.runs.layout import METRICS

__all__ = ["Side", "damage_of", "read_side", "what_there_is"]

Figures = Mapping[str, Any]

COMMON = ("n", "split", "majority_baseline")  # what all repeats have the same of
ONE_RUN_ONLY = ("accuracy_ci95",)  # of one run's images: the mean of repeats has another interval


@dataclass(frozen=True)
class Side:
    """A run, or a folder of repeats, as one side of a comparison; what it lacks is empty.

    Attributes:
        name: what it is called; of a repeat with the name of the run it is a part of.
        folder: where it lies.
        state: how far it came, or ``damaged``; ``message`` says why.
        speaker: the run whose files tell of data and device: itself, or the first repeat that has a result.
        metrics: as in ``metrics.json``; of repeats the means.
        timings: key → seconds, or images a second; of repeats the means.
        deviations: of repeats key → sample standard deviation of a metric or timing, None where it has none.
        repeats: of repeats how many were asked for; None of a run.
        finished: of repeats how many are completed, which the means are of; None of a run.
        accuracies: of repeats and folds, folder of each completed one → its accuracy.
        overlap: of folds, images that one is measured on for one that trains it; 0 of others.
        is_repeat: whether it is a single one of such repeats.
        damage: what is wrong with its files, one text each.
    """

    name: str
    folder: str
    state: str
    message: str
    speaker: Run
    metrics: Figures
    settings: Figures
    timings: Figures
    deviations: Figures = field(default_factory=dict)
    repeats: int | None = None
    finished: int | None = None
    accuracies: Mapping[str, float] = field(default_factory=dict)
    overlap: float = 0.0
    is_repeat: bool = False
    damage: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[Run, ...]:
        """The runs that its figures are of."""
        if self.repeats is None:
            return (self.speaker,)
        return tuple(self.member(name) for name in self.accuracies)

    def member(self, name: str) -> Run:
        """Return one of them by the name of its folder."""
        return Run(Path(self.folder) / name)


def read_side(run: Run) -> Side:
    """Read a run or a folder of repeats; what is damaged or not there is left out."""
    refuse_sweeps(run)
    return _read_repeats(run) if run.is_repeated else _read_run(run)


def _read_run(run: Run) -> Side:
    state, message = _state(run, lambda run: run.metrics)
    return Side(
        name=full_name(run),
        folder=str(run.folder),
        state=state,
        message=message,
        speaker=run,
        metrics=what_there_is(run, lambda run: run.metrics),
        settings=what_there_is(run, lambda run: run.settings),
        timings=_timings(run),
        is_repeat=is_repeat(run),
        damage=_damage(run, lambda run: run.metrics),
    )


def _read_repeats(run: Run) -> Side:
    """Read a folder of repeats: figures of ``repeats.json`` as they stand there, the others from its runs."""
    record = what_there_is(run, lambda run: run.repeats)
    rows = [row for row in record.get("runs", ()) if row["state"] == "completed"]
    done = [Run(run.path(row["folder"])) for row in rows]
    speaker = next((each for each in done if each.path(METRICS).is_file()), run)
    metrics, metric_deviations = _over_runs([what_there_is(each, lambda run: run.metrics) for each in done])
    timings, time_deviations = _over_runs([_timings(each) for each in done])
    summary = {key: figure for key, figure in record.get("summary", {}).items() if key != "seconds"}
    common = {key: record[key] for key in COMMON if record.get(key) is not None}
    metrics |= {key: figure.get("mean") for key, figure in summary.items()} | common
    deviations = metric_deviations | time_deviations | {key: figure.get("sd") for key, figure in summary.items()}
    state, message = _state(run, lambda run: run.repeats)
    return Side(
        name=run.name,
        folder=str(run.folder),
        state=state,
        message=message,
        speaker=speaker,
        metrics={key: value for key, value in metrics.items() if key not in ONE_RUN_ONLY} if done else {},
        settings=what_there_is(speaker, lambda run: run.settings) or what_there_is(run, lambda run: run.settings),
        timings=timings,
        deviations={key: value for key, value in deviations.items() if key not in COMMON},
        repeats=record.get("repeats"),
        finished=finished(record) if record else None,
        accuracies={row["folder"]: row["accuracy"] for row in rows},
        overlap=record.get("overlap") or 0.0,
        damage=tuple(
            chain(_damage(run, lambda run: run.repeats), *(_damage(each, lambda run: run.metrics) for each in done))
        ),
    )


def _over_runs(found: Sequence[Figures]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return means and deviations of the numbers that all runs have, and what else is the same in all of them."""
    means: dict[str, Any] = {}
    deviations: dict[str, Any] = {}
    for key in found[0] if found else ():
        values = [each.get(key) for each in found]
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) == len(values) and (isinstance(values[0], float) or len(set(numbers)) > 1):
            means[key] = fmean(numbers)
            deviations[key] = stdev(numbers) if len(numbers) > 1 else None
        elif all(value == values[0] for value in values):
            means[key] = values[0]
    return means, deviations


def _state(run: Run, read_result: Callable[[Run], object]) -> tuple[str, str]:
    """Return the state and why; ``damaged`` where it or the result cannot be read."""
    if damage := damage_of(run, lambda run: run.status) or damage_of(run, read_result):
        return "damaged", damage
    return run.status.state, run.status.message


def _damage(run: Run, read_result: Callable[[Run], object]) -> tuple[str, ...]:
    reads: tuple[Callable[[Run], object], ...] = (
        lambda run: run.status,
        read_result,
        lambda run: run.settings,
        lambda run: run.timings,
        lambda run: run.environment,
    )
    return tuple(text for read in reads if (text := damage_of(run, read)))


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


def what_there_is(run: Run, read: Callable[[Run], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what a run has; nothing where it did not come so far, or the file is damaged (see ``damage_of``)."""
    try:
        return read(run)
    except DataError:
        return {}


def damage_of(run: Run, read: Callable[[Run], object]) -> str:
    """Return what is wrong with a file of a run; an empty string where nothing is, or it is not there."""
    try:
        read(run)
    except DamagedError as error:
        return str(error)
    except DataError:
        return ""
    return ""
