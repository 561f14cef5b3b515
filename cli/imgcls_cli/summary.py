"""A run's summary: what ``train`` ends with and ``show`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcls.errors import DataError
from imgcls.findings import remark_text
from imgcls.runs import DamagedError, Status, layout
from imgcls.settings import plain_text
from imgcls.wording import counted
from imgcls_cli.lines import duration, print_figures, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from imgcls.runs import Run

__all__ = ["print_result", "print_summary", "summarize_run"]

NAME_COLUMNS = 28
STAGE_COLUMNS = (
    "stage", "epochs", "optimizer", "lr", "trainable", "best\nepoch", "val\naccuracy", "stopped\nearly",
)  # fmt: skip
DROPPED = ("optimizer", "stopped\nearly", "best\nepoch")  # in this order, where the terminal is narrow
MISTAKES = 3  # of those that the network was surest of
VALIDATION = {"val_accuracy": "accuracy", "val_loss": "loss"}  # of history.csv → in words


def print_summary(run: Run, console: Console) -> None:
    """Print a run: splits, device, time, result, warnings, files; of an unfinished one what there is.

    Of a folder of repeats the result is a row a repeat, and what they have in common; of a sweep its best trials.
    """
    from imgcls_cli.repeats import print_repeats
    from imgcls_cli.sweep_summary import print_sweep

    summary = summarize_run(run)
    print_line(console, "run", summary["name"], "bold")
    print_line(console, "state", _state(summary), "green" if summary["state"] == "completed" else "yellow")
    if summary["splits"]:
        print_line(console, "images", ", ".join(f"{count:,} {split}" for split, count in summary["splits"].items()))
    if summary["device"]:
        print_line(console, "device", summary["device"])
    metrics, repeats = summary["metrics"], summary["repeats"]
    if summary["seconds"] is not None:
        print_line(console, "time", duration(summary["seconds"]) + _time_for(metrics, repeats))
    if summary["sweep"]:
        print_sweep(summary["sweep"], console)
    elif repeats:
        print_repeats(repeats, console)
        _print_reported(repeats, console)
        _print_warnings(repeats, console)
    elif metrics:
        _print_training(metrics, summary["stages"], console)
        print_result(metrics, console)
    elif not (run.is_repeated or run.is_sweep):
        print_line(console, "epochs", _progress(summary))
    for damage in summary["damaged"]:
        print_line(console, "warning", damage, "yellow")
    print_line(console, "files", f"in {summary['folder']}: {', '.join(_shortened(summary['files']))}")


def _shortened(files: Sequence[str]) -> list[str]:
    """Return file names, those of many repeats, folds or trials as ``trial-001 to trial-144``."""
    parts: dict[str, list[str]] = {}
    for name in files:
        stem, _, number = name.rpartition("-")
        parts.setdefault(stem if number.isdecimal() else name, []).append(name)
    return [f"{names[0]} to {names[-1]}" if len(names) > 2 else ", ".join(names) for names in parts.values()]


def print_result(metrics: Mapping[str, Any], console: Console) -> None:
    """Print a result: accuracy with its interval, macro F1, baseline, worst classes, confusions, warnings.

    Args:
        metrics: as in ``metrics.json``.
        console: where to.
    """
    from imgcls.evaluation.metrics import images_text, most_frequent_confusions, worst_classes

    low, high = metrics["accuracy_ci95"]
    interval = f"(95 % interval {low:.4f} to {high:.4f}; {images_text(metrics)})"
    print_line(console, "accuracy", f"{metrics['accuracy']:.4f}  {interval}", "bold")
    print_line(console, "macro F1", f"{metrics['macro_f1']:.4f}")
    print_line(console, "baseline", f"{metrics['majority_baseline']:.4f}  (always the most frequent class)")
    if metrics.get("top5_accuracy") is not None:
        print_line(console, "top-5", f"{metrics['top5_accuracy']:.4f}")
    if metrics["loss"] is not None:
        print_line(console, "loss", f"{metrics['loss']:.4f}")
    for index, score in enumerate(worst_classes(metrics)):
        detail = f"F1 {score.f1:.3f}, recall {score.recall:.3f}, {counted(score.support, 'image')}"
        print_line(console, "" if index else "worst", f"{_short(score.name)}  {detail}")
    for index, confusion in enumerate(most_frequent_confusions(metrics)):
        pair = f"{_short(confusion.true)} taken for {_short(confusion.predicted)}"
        print_line(console, "" if index else "confused", f"{pair}  {confusion.count:,} of {confusion.support:,}")
    for index, error in enumerate((metrics.get("most_confident_errors") or ())[:MISTAKES]):
        pair = f"{_short(error['true'])} taken for {_short(error['predicted'])}"
        text = f"{error['path']}  {pair}, confidence {error['confidence']:.2f}"
        print_line(console, "" if index else "mistakes", text)
    _print_reported(metrics, console)
    _print_warnings(metrics, console)


def _state(summary: Mapping[str, Any]) -> str:
    """Return state and message; that of repeats does not point to the folder which is shown."""
    message = " ".join(summary["message"].split())
    if summary["repeats"]:
        message = message.partition("; see ")[0]
    return summary["state"] + (f": {message}" if message else "")


def _progress(summary: Mapping[str, Any]) -> str:
    """Return how far an unfinished run is: ``2 finished, the last in stage 1 of 2; validation accuracy 0.9123``."""
    last = summary["last_epoch"]
    text = f"{summary['epochs_done']:,} finished"
    if last.get("stage") is not None:
        planned = f" of {summary['stages_planned']}" if summary["stages_planned"] else ""
        text += f", the last in stage {last['stage']:.0f}{planned}"
    known = [f"{name} {last[key]:.4f}" for key, name in VALIDATION.items() if last.get(key) is not None]
    return text + (f"; validation {', '.join(known)}" if known else "")


def _time_for(metrics: Mapping[str, Any], repeats: Mapping[str, Any]) -> str:
    if repeats:
        return f" for {counted(repeats['finished'], 'run')}"
    return f" for {counted(metrics['epochs_run'], 'epoch')}" if metrics.get("epochs_run") else ""


def _print_training(metrics: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what the network started from, and the stages it was trained in."""
    if metrics.get("pretrained"):
        print_line(console, "weights", metrics["pretrained"])
    if not stages:
        return
    print_figures(console, STAGE_COLUMNS, map(_stage_row, stages), words=("trainable",), dropped=DROPPED)


def _stage_row(stage: Mapping[str, Any]) -> list[str]:
    first, count = stage["first_epoch"], stage["epochs_run"]
    lr, best = stage.get("lr"), stage.get("best_epoch")
    return [
        str(stage["stage"]),
        f"{first:,} to {first + count - 1:,}" if count > 1 else f"{first:,}" if count else "none",
        str(stage.get("optimizer", "-")),
        f"{lr:g}" if isinstance(lr, int | float) else plain_text(lr),
        f"{stage['trainable_params']:,} of {stage['total_params']:,}",
        "-" if best is None else f"{best:,}",
        "-" if stage["val_accuracy"] is None else f"{stage['val_accuracy']:.4f}",
        "yes" if stage.get("stopped_early") else "no",
    ]


def _print_reported(result: Mapping[str, Any], console: Console) -> None:
    """Print the published figures beside the measured ones, where there are any."""
    if not result.get("reported"):
        return
    from imgcls.evaluation.reported import reported_notes, reported_rows

    rows = reported_rows(result["reported"])
    has_spreads = any(" " in measured for _, _, measured, _ in rows)  # then it is as wide as two columns of figures
    words = ("figure", "verdict", *(("published", "measured") if has_spreads else ()))
    if rows:
        print_figures(console, ("figure", "published", "measured", "verdict"), rows, words=words)
    for note in reported_notes(result["reported"]):
        print_line(console, "published", note)


def _print_warnings(result: Mapping[str, Any], console: Console) -> None:
    for warning in result.get("warnings") or ():
        print_line(console, "warning", remark_text(warning), "yellow")


def summarize_run(run: Run) -> dict[str, Any]:
    """Return what ``show`` tells of a run, as plain values; what an unfinished run lacks is empty.

    A file that is damaged counts as lacking; ``damaged`` says so. ``metrics`` is empty for a folder of repeats or a
    sweep, ``repeats`` and ``sweep`` for every other run. ``stages`` are those of the metrics, each with the
    ``val_accuracy`` of its best epoch; ``last_epoch`` is the last row of ``history.csv``.
    """
    damaged: list[str] = []

    def read(part: Callable[[Run], Any], empty: Any) -> Any:
        try:
            return part(run)
        except DamagedError as error:
            damaged.append(str(error))
        except DataError:
            pass
        return empty

    from imgcls.catalog import full_name
    from imgcls.comparison import known_seconds, summarize_repeats

    status = read(lambda run: run.status, Status("damaged"))
    timings = read(lambda run: run.timings, {})
    repeats = read(summarize_repeats, {})
    metrics = read(lambda run: run.metrics, {})
    history = read(_history, [])
    return {
        "name": full_name(run),
        "folder": str(run.folder),
        "state": status.state,
        "message": status.message,
        "splits": read(_split_sizes, {}),
        "device": read(_device, ""),
        "seconds": known_seconds(repeats) if repeats else timings.get("total"),
        "timings": timings,
        "epochs_done": read(lambda run: sum(each.epochs_done for each in run.members or (run,)), 0),
        "last_epoch": history[-1] if history else {},
        "stages_planned": read(lambda run: len(run.settings.get("stages") or ()), 0),
        "metrics": metrics,
        "stages": [stage | {"val_accuracy": _validation(history, stage)} for stage in metrics.get("stages") or ()],
        "repeats": repeats,
        "sweep": read(lambda run: run.sweep, {}),
        "files": sorted(path.name for path in run.folder.iterdir() if not path.name.startswith(".")),
        "damaged": list(dict.fromkeys(damaged)),
    }


def _history(run: Run) -> list[dict[str, float | None]]:
    """Return a row an epoch, of numbers; what was not measured is None."""
    from imgcls.files import read_csv

    rows = read_csv(run.checked(layout.HISTORY)) if run.epochs_done else []
    try:
        return [{key: float(text) if text else None for key, text in row.items()} for row in rows]
    except ValueError as error:
        raise DamagedError(f"{run.path(layout.HISTORY)} is damaged: {error}") from error


def _validation(history: Sequence[Mapping[str, float | None]], stage: Mapping[str, Any]) -> float | None:
    """Return the validation accuracy of a stage's best epoch; None where there is none."""
    best = stage.get("best_epoch")
    return next((row.get("val_accuracy") for row in history if best is not None and row.get("epoch") == best), None)


def _split_sizes(run: Run) -> dict[str, int]:
    """Count the images of each part; of repeats those of the first: they all have the same."""
    first = next((each for each in run.members if each.path(layout.MANIFEST).is_file()), run)
    return dict(Counter(row["split"] for row in first.manifest))


def _device(run: Run) -> str:
    device = run.environment.get("device") or {}
    threads = f", {device['threads']} threads" if device.get("threads") else ""
    precision, replicas = run.environment.get("precision"), run.environment.get("replicas") or 1
    count = f"{replicas} x " if replicas > 1 else ""
    name = f"{str(device.get('kind', '')).upper()} {device.get('name', '')}".strip()
    return f"{count}{name}{threads}{f', {precision}' if precision else ''}"


def _short(name: str) -> str:
    return name if len(name) <= NAME_COLUMNS else name[: NAME_COLUMNS - 1] + "…"
