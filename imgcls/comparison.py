"""Runs side by side: their figures with the best marked, the settings that differ, and what cannot be compared."""

from __future__ import annotations

import csv
import filecmp
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imgcls.errors import DataError
from imgcls.files import csv_text, read_csv, strict_json
from imgcls.runs import MANIFEST, METRICS, Run
from imgcls.settings import align, flatten, plain_text

__all__ = [
    "Column",
    "Comparison",
    "Row",
    "compare",
    "markdown_cell",
    "shown",
    "to_csv",
    "to_json",
    "to_markdown",
]

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
CROSS_ENTROPY = ("auto", "categorical_crossentropy", "sparse_categorical_crossentropy")


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
    """Hold runs against each other; those that did not finish take part with what they have.

    Raises:
        DataError: a file of a run is damaged.
    """
    columns = tuple(_column(run) for run in runs)
    metrics = [_or_empty(run, lambda run: run.metrics) for run in runs]
    settings = [_or_empty(run, lambda run: run.settings) for run in runs]
    notes, loss_notes = _result_notes(runs, metrics), _loss_notes(runs, metrics, settings)
    time_notes = _time_notes(runs)
    unfinished = [
        f"{column.name} is {column.state}{': ' + column.message if column.message else ''}; it has no result"
        for column, values in zip(columns, metrics, strict=True)
        if not values
    ]
    return Comparison(
        runs=columns,
        metrics=tuple(_metric_rows(metrics, comparable=not notes, losses_comparable=not notes + loss_notes)),
        settings=tuple(_setting_rows(settings)),
        timings=tuple(_timing_rows([_timings(run) for run in runs], comparable=not time_notes)),
        notes=(*notes, *loss_notes, *time_notes, *unfinished),
    )


def to_json(comparison: Comparison) -> str:
    """Return strict JSON with the keys runs, metrics, settings, timings and notes."""
    return strict_json(asdict(comparison))


def to_csv(comparison: Comparison) -> str:
    """Return CSV: a row a figure or setting, a column a run."""
    rows = [("status", "state", *(column.state for column in comparison.runs))]
    for section, found in _sections(comparison):
        rows += [(section, row.key, *(_exact(value) for value in row.values)) for row in found]
    rows += [("notes", note, *("" for _ in comparison.runs)) for note in comparison.notes]
    return csv_text(("section", "key", *(column.name for column in comparison.runs)), rows)


def to_markdown(comparison: Comparison) -> str:
    """Return a Markdown table a section; the best values are bold."""
    names = [markdown_cell(column.name) for column in comparison.runs]
    lines = [_markdown_row(["", *names]), _markdown_row(["---"] * (len(names) + 1))]
    lines.append(_markdown_row(["state", *(column.state for column in comparison.runs)]))
    for section, rows in _sections(comparison):
        if rows:
            lines.append(_markdown_row([f"**{section}**", *("" for _ in names)]))
        for row in rows:
            cells = [markdown_cell(text) for text in shown(row)]
            marked = [f"**{cell}**" if index in row.best else cell for index, cell in enumerate(cells)]
            lines.append(_markdown_row([markdown_cell(row.key), *marked]))
    if comparison.notes:
        lines += ["", *(f"- {markdown_cell(note)}" for note in comparison.notes)]
    return "\n".join(lines) + "\n"


def shown(row: Row) -> list[str]:
    """Return the row's values as people read them, one text a run."""
    return [_readable(row.key, value) for value in row.values]


def markdown_cell(text: str) -> str:
    """Return text as one cell of a Markdown table that shows it as it is."""
    escaped = "".join(f"\\{character}" if character in "\\|*_`[]<>" else character for character in text)
    return " ".join(escaped.split())


def _column(run: Run) -> Column:
    status = run.status
    return Column(run.name, str(run.folder), status.state, status.message)


def _or_empty(run: Run, read: Callable[[Run], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what a run has, nothing where it did not come so far; what is damaged still is an error."""
    try:
        return read(run)
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError) or error.__cause__ is None:
            return {}
        raise


# -- figures


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
    timings = _or_empty(run, lambda run: run.timings)
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


# -- what is not comparable


def _result_notes(runs: Sequence[Run], metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say why results must not be held against each other: other classes, another split, other images."""
    finished = [(run, each) for run, each in zip(runs, metrics, strict=True) if each]
    if not finished:
        return []
    (first, reference), *others = finished
    notes = []
    for run, each in others:
        if set(each.get("classes", ())) != set(reference.get("classes", ())):
            only = sorted(set(each.get("classes", ())) ^ set(reference.get("classes", ())))
            names = ", ".join(only[:5]) + (f" and {len(only) - 5} more" if len(only) > 5 else "")
            notes.append(f"results are not comparable: {run.name} has other classes than {first.name} ({names})")
        elif each.get("split") != reference.get("split"):
            notes.append(
                f"results are not comparable: {run.name} was measured on the {each.get('split')} part, "
                f"{first.name} on the {reference.get('split')} part"
            )
        elif (difference := _image_difference(first, run, str(reference.get("split")))) is not None:
            notes.append(f"results are not comparable: {run.name} and {first.name} {difference}")
    return notes


def _image_difference(first: Run, second: Run, split: str) -> str | None:
    """Return how the evaluated images of two runs differ; None where content and labels are the same."""
    ours, theirs = first.path(MANIFEST), second.path(MANIFEST)
    missing = [run.name for run in (first, second) if not run.path(MANIFEST).is_file()]
    if missing:
        return f"may have other {split} images: {missing[0]} has no {MANIFEST}"
    if filecmp.cmp(ours, theirs, shallow=False):  # the usual case, and much faster than reading rows
        return None
    images, others = (Counter(_evaluated(run, split)) for run in (first, second))
    if images == others:
        return None
    shared, most = (images & others).total(), max(images.total(), others.total())
    return f"have different {split} images (they share {shared:,} of {most:,})"


def _evaluated(run: Run, split: str) -> Iterable[tuple[str, str]]:
    """Return content and label of each image of a split; paths may differ where the data was moved."""
    try:
        return [(row["sha256"], row["label"]) for row in read_csv(run.path(MANIFEST)) if row["split"] == split]
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise DataError(f"{run.path(MANIFEST)} is damaged: {error}") from error


def _loss_notes(
    runs: Sequence[Run], metrics: Sequence[Mapping[str, Any]], settings: Sequence[Mapping[str, Any]]
) -> list[str]:
    kinds = {
        run.name: _loss_kind(given)
        for run, each, given in zip(runs, metrics, settings, strict=True)
        if each.get("loss") is not None and given
    }
    if len(set(kinds.values())) <= 1:
        return []
    return [f"losses are not comparable: {'; '.join(f'{name} has {kind}' for name, kind in kinds.items())}"]


def _loss_kind(settings: Mapping[str, Any]) -> str:
    """Name what the loss measures: the function, smoothed labels, and penalties on the weights."""
    loss = settings.get("loss", "auto")
    name = "cross-entropy" if loss in CROSS_ENTROPY else str(loss)
    if smoothing := settings.get("label_smoothing"):
        name += f" with label smoothing {smoothing}"
    flat = flatten(settings, open_lists=True)
    penalties = sorted(
        {f"{key.rpartition('.')[2]} {value}" for key, value in flat.items() if _is_penalty(key) and value}
    )
    return f"{name} plus {', '.join(penalties)}" if penalties else name


def _is_penalty(key: str) -> bool:
    return key.rpartition(".")[2] in ("l1", "l2")


def _time_notes(runs: Sequence[Run]) -> list[str]:
    devices = {run.name: _device(run) for run in runs if run.path(METRICS).is_file()}
    if len(set(devices.values())) <= 1:
        return []
    return [f"times are not comparable: {'; '.join(f'{name} ran on {device}' for name, device in devices.items())}"]


def _device(run: Run) -> str:
    device = _or_empty(run, lambda run: run.environment).get("device") or {}
    threads = f", {device['threads']} threads" if device.get("threads") else ""
    return f"{device.get('name', 'an unknown device')}{threads}"


# -- settings


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


# -- texts


def _sections(comparison: Comparison) -> list[tuple[str, tuple[Row, ...]]]:
    return [
        ("metrics", comparison.metrics),
        ("settings", comparison.settings),
        ("timings", comparison.timings),
    ]


def _readable(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key == "accuracy_ci95":
        return f"{value[0]:.4f} to {value[1]:.4f}"
    if key == "images_per_second":
        return f"{value:,.0f}"
    if isinstance(value, float) and key.endswith("_seconds"):
        return f"{value:,.3f}" if value < 1 else f"{value:,.1f}"
    if key in METRIC_ROWS and isinstance(value, int | float):
        return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
    return plain_text(value)


def _exact(value: Any) -> Any:
    return "" if value is None else plain_text(value) if isinstance(value, bool | list) else value


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
