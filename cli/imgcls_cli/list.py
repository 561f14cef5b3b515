"""``imgcls list``: the runs there are."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import Csv, Json, Markdown, RunsDir

if TYPE_CHECKING:
    from rich.table import Table

    from imgcls.runs import Run

__all__ = ["list_runs"]

COLUMNS = (
    "name", "state", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "epochs", "seconds", "started",
    "repeats", "accuracy_sd",
)  # fmt: skip
FIGURE_COLUMNS = ("accuracy", "95 % interval", "macro F1", "epochs", "time")


class Sort(StrEnum):
    """What the runs are sorted by."""

    started = "started"
    accuracy = "accuracy"
    macro_f1 = "macro_f1"
    seconds = "seconds"
    name = "name"


def list_runs(
    runs_dir: RunsDir = Path("runs"),
    sort: Annotated[Sort, typer.Option(help="The last row is the latest, or the best.")] = Sort.started,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.", show_default=False)] = None,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
) -> None:
    """List the runs with their results.

    Example: imgcls list --sort accuracy
    """
    from imgcls.catalog import list_runs as find_runs
    from imgcls.files import csv_text, strict_json
    from imgcls_cli.console import emit, err, one_format, out, plain

    chosen = one_format(json=json, csv=csv, markdown=markdown)
    records = [_record(run) for run in find_runs(runs_dir) if tag is None or tag in _tags(run)]
    records.sort(key=lambda record: _order(record[sort.value]))
    if chosen == "json":
        emit(strict_json(records))
    elif chosen == "csv":
        emit(csv_text(COLUMNS, ([record[column] for column in COLUMNS] for record in records)))
    elif chosen == "markdown":
        emit(_markdown(records))
    elif records:
        table = _table(records, narrow=False)
        fits = out.measure(table, options=out.options.update(width=1000)).maximum <= out.width
        out.print(table if fits else _table(records, narrow=True))
    if not runs_dir.is_dir():
        err.print(plain(f"there is no folder {runs_dir}"), soft_wrap=True)
    elif not records and not chosen:
        err.print(plain(f"no runs in {runs_dir}" + (f" with the tag {tag}" if tag else "")), soft_wrap=True)


def _record(run: Run) -> dict[str, Any]:
    """Return what is known of a run; one that is damaged is listed as such."""
    from imgcls.errors import DataError

    record: dict[str, Any] = dict.fromkeys(COLUMNS) | {"name": run.name, "folder": str(run.folder)}
    record["started"] = _started(run)
    try:
        record["state"] = run.status.state
        readers = (_trials,) if run.is_sweep else (_means,) if run.is_repeated else (_result, _seconds)
    except (DataError, LookupError) as error:
        record["state"] = "unreadable" if isinstance(error.__cause__, PermissionError) else "damaged"
        return record
    for read in readers:
        try:
            record |= read(run)
        except (DataError, LookupError, TypeError):
            if record["state"] == "completed":
                record["state"] = "damaged"
    return record


def _result(run: Run) -> dict[str, Any]:
    metrics = run.metrics
    low, high = metrics["accuracy_ci95"]
    return {
        "accuracy": metrics["accuracy"],
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": metrics["macro_f1"],
        "epochs": metrics.get("epochs_run"),
    }


def _means(run: Run) -> dict[str, Any]:
    """Return what is known of a folder of repeats: means, the sum of the seconds, how many runs the means are of.

    The interval of the accuracy is that of the mean.
    """
    from imgcls.comparison import figure_interval, finished, known_seconds, summary_figure

    record = run.repeats
    low, high = figure_interval(record, "accuracy") or (None, None)
    return {
        "accuracy": summary_figure(record, "accuracy"),
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_sd": summary_figure(record, "accuracy", "sd"),
        "macro_f1": summary_figure(record, "macro_f1"),
        "epochs": summary_figure(record, "epochs_run"),
        "seconds": known_seconds(record),
        "repeats": record["repeats"],
        "finished": finished(record),
    }


def _trials(run: Run) -> dict[str, Any]:
    """Return what is known of a sweep: how many trials there are, and how many of them have ended.

    Its accuracies are of validation images, and stand in ``imgcls show``.
    """
    record = run.sweep
    ended = sum(record["states"].get(state, 0) for state in ("completed", "pruned", "failed"))
    return {"repeats": record["planned"], "finished": ended}


def _seconds(run: Run) -> dict[str, Any]:
    return {"seconds": run.timings["total"]}


def _started(run: Run) -> str | None:
    """Return the time in the folder's name: ``2026-11-21 14:03:22``."""
    import re

    match = re.match(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)_", run.name)
    return "{} {}:{}:{}".format(*match.groups()) if match else None


def _tags(run: Run) -> list[str]:
    from imgcls.errors import DataError

    try:
        return [str(tag) for tag in run.settings.get("tags") or ()]
    except DataError:
        return []


def _order(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _table(records: list[dict[str, Any]], *, narrow: bool) -> Table:
    from imgcls_cli.console import new_table, plain

    table = new_table()
    table.add_column("name", overflow="fold", ratio=None)
    table.add_column("state", no_wrap=True)
    repeated = not narrow and any(record["repeats"] is not None for record in records)
    if repeated:
        table.add_column("runs", justify="right", no_wrap=True)
    for name in ("accuracy",) if narrow else FIGURE_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        cells = _cells(record)
        table.add_row(
            plain(record["name"]),
            plain(record["state"], {"completed": "green", "running": "cyan"}.get(record["state"], "yellow")),
            *([_runs(record)] if repeated else ()),
            *([_accuracy(record)] if narrow else cells),
        )
    return table


def _accuracy(record: Mapping[str, Any]) -> str:
    """Return the accuracy alone; of repeats mean, deviation and of how many runs: ``0.8000 ± 0.1054 (5)``."""
    accuracy = _cells(record)[0]
    if not accuracy or record["repeats"] is None:
        return accuracy
    deviation = "" if record["accuracy_sd"] is None else f" ± {record['accuracy_sd']:.4f}"
    return f"{accuracy}{deviation} ({_runs(record)})"


def _runs(record: Mapping[str, Any]) -> str:
    """Return of how many repeats the figures are: ``5``, or ``4 of 5``; empty for a single run."""
    if record["repeats"] is None:
        return ""
    done, planned = record["finished"], record["repeats"]
    return str(planned) if done == planned else f"{done} of {planned}"


def _cells(record: Mapping[str, Any]) -> list[str]:
    """Return accuracy, its interval, macro F1, epochs and time as text; empty where there is none."""
    from imgcls_cli.lines import duration

    def number(key: str) -> str:
        return "" if record[key] is None else f"{record[key]:.4f}"

    seconds = "" if record["seconds"] is None else duration(record["seconds"])
    epochs = record["epochs"]
    epochs_text = "" if epochs is None else f"{epochs:.1f}" if isinstance(epochs, float) else str(epochs)
    return [number("accuracy"), _interval(record), number("macro_f1"), epochs_text, seconds]


def _interval(record: Mapping[str, Any]) -> str:
    """Return the interval of a run's accuracy, or of the mean of repeats; empty where there is none."""
    if record["accuracy_low"] is None:
        return ""
    return f"{record['accuracy_low']:.3f} to {record['accuracy_high']:.3f}"


def _markdown(records: list[dict[str, Any]]) -> str:
    from imgcls.comparison import markdown_cell

    repeated = any(record["repeats"] is not None for record in records)
    header = ["name", "state", *(["runs"] if repeated else ()), *FIGURE_COLUMNS]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for record in records:
        runs = [_runs(record)] if repeated else []
        cells = [markdown_cell(record["name"]), record["state"], *runs, *_cells(record)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
