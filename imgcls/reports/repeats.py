"""The page of repeats or folds: what they have in common, each of them, and all their answers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imgcls.catalog import full_name
from imgcls.comparison import count_text, summarize_repeats
from imgcls.evaluation.plots import overlaid_figure
from imgcls.evaluation.reported import reported_notes
from imgcls.pages.charts import svg
from imgcls.pages.rendering import known, rendered, text_of
from imgcls.pages.tables import Table
from imgcls.reports import facts
from imgcls.reports.matrix import Matrix, confusion_matrix
from imgcls.runs import Run
from imgcls.runs.layout import SPEC

__all__ = ["repeats_page", "repeats_tables"]

_NAMES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "loss": "loss",
    "epochs_run": "epochs", "best_epoch": "best epoch", "seconds": "seconds",
}  # fmt: skip


def repeats_tables(run: Run) -> list[Table]:
    """Return means and spread, each run, and the classes over all of them.

    Raises:
        DataError: it is no folder of repeats.
    """
    return _tables(summarize_repeats(run), _finished(run))


def repeats_page(run: Run) -> str:
    """Return the page of a folder of repeats as HTML."""
    record, finished = summarize_repeats(run), _finished(run)
    matrix, n = _matrix(finished)
    return rendered(
        "repeats.html",
        title=full_name(run),
        status=run.status,
        record=record,
        figures=record["summary"].get("accuracy"),
        kind="folds" if record.get("folds") else "runs",
        remarks=record.get("warnings") or [],
        spec=text_of(run.path(SPEC)),
        tables=_tables(record, finished),
        reported_notes=reported_notes(record["reported"]) if record.get("reported") else [],
        matrix=matrix,
        matrix_n=n,
        curves=_curves(run),
        folder=str(run.folder),
    )


def _tables(record: dict[str, Any], finished: Sequence[dict[str, Any]]) -> list[Table]:
    tables = [_summary(record), _each(record), facts.reported_table(record), _classes(finished)]
    return [table for table in tables if table is not None and table.rows]


def _summary(record: dict[str, Any]) -> Table:
    rows = []
    for key, name in _NAMES.items():
        if figure := record["summary"].get(key):
            digits = 1 if key in ("epochs_run", "best_epoch", "seconds") else 4
            parts = [figure.get(part) for part in ("mean", "sd", "min", "max")]
            interval = figure.get("mean_ci95")
            shown = "" if interval is None else "{:.4f} to {:.4f}".format(*interval)
            rows.append((name, *("-" if part is None else f"{part:.{digits}f}" for part in parts), shown))
    title = f"Over {count_text(record['finished'], record['repeats'])}, {record['n']:,} {record['split']} images each"
    return Table(title, ("figure", "mean", "sd", "min", "max", "95 % interval of the mean"), tuple(rows))


def _each(record: dict[str, Any]) -> Table:
    rows = [
        (
            row["folder"],
            str(row["seed"]),
            *("-" if row.get(key) is None else f"{row[key]:.4f}" for key in ("accuracy", "macro_f1", "loss")),
            "-" if row.get("epochs_run") is None else str(row["epochs_run"]),
            row["state"] + (f": {row['message']}" if row.get("message") else ""),
        )
        for row in record["runs"]
    ]
    return Table("Each of them", ("run", "seed", "accuracy", "macro F1", "loss", "epochs", "state"), tuple(rows), (6,))


def _finished(run: Run) -> list[dict[str, Any]]:
    return [metrics for member in run.members if (metrics := _metrics(member))]


def _metrics(run: Run) -> dict[str, Any]:
    return known(lambda: run.metrics, {})


def _classes(finished: Sequence[dict[str, Any]]) -> Table | None:
    """Return mean and deviation of each class's recall and F1."""
    if not finished:
        return None
    rows = []
    for name in finished[0]["classes"]:
        scores = [metrics["per_class"][name] for metrics in finished if name in metrics["per_class"]]
        cells = []
        for key in ("recall", "f1"):
            values = [score[key] for score in scores if score[key] is not None]
            cells += [
                f"{np.mean(values):.3f}" if values else "-",
                f"{np.std(values, ddof=1):.3f}" if values[1:] else "-",
            ]
        rows.append((name, *cells, f"{scores[0]['support']:,}" if scores else "-"))
    header = ("class", "recall", "sd", "F1", "sd", "images")
    return Table("Classes, means over the runs", header, tuple(rows))


def _matrix(finished: Sequence[dict[str, Any]]) -> tuple[Matrix | None, int]:
    """Return the confusion matrices of all, summed, and of how many answers."""
    if not finished:
        return None, 0
    counts = np.sum([metrics["confusion_matrix"] for metrics in finished], axis=0)
    return confusion_matrix(counts.tolist(), finished[0]["classes"], ()), int(counts.sum())


def _curves(run: Run) -> str | None:
    best_first = sorted(run.members, key=lambda member: -_metrics(member).get("accuracy", 0.0))
    curves = [(member.name, values) for member in best_first if (values := facts.validation_curve(member))]
    return svg(lambda: overlaid_figure(curves, "validation accuracy")) if curves else None
