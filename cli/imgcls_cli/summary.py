"""A run's summary: what ``train`` ends with and ``show`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imgcls import runs
from imgcls.errors import DataError
from imgcls.runs import DamagedError
from imgcls.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from imgcls.runs import Run

__all__ = ["duration", "print_result", "print_summary", "summarize_run"]

LABEL_COLUMNS = 10
NAME_COLUMNS = 28


def print_summary(run: Run, console: Console) -> None:
    """Print a run: splits, device, time, result, warnings, files; of an unfinished one what there is."""
    summary = summarize_run(run)
    _line(console, "run", summary["name"], "bold")
    state = summary["state"] + (f": {' '.join(summary['message'].split())}" if summary["message"] else "")
    _line(console, "state", state, "green" if summary["state"] == "completed" else "yellow")
    if summary["splits"]:
        _line(console, "images", ", ".join(f"{count:,} {split}" for split, count in summary["splits"].items()))
    if summary["device"]:
        _line(console, "device", summary["device"])
    if summary["seconds"] is not None:
        epochs = summary["metrics"].get("epochs_run")
        _line(console, "time", duration(summary["seconds"]) + (f" for {counted(epochs, 'epoch')}" if epochs else ""))
    if summary["metrics"]:
        print_result(summary["metrics"], console)
    else:
        _line(console, "epochs", f"{summary['epochs_done']:,} finished")
    for damage in summary["damaged"]:
        _line(console, "warning", damage, "yellow")
    _line(console, "files", f"in {summary['folder']}: {', '.join(summary['files'])}")


def print_result(metrics: Mapping[str, Any], console: Console) -> None:
    """Print a result: accuracy with its interval, macro F1, baseline, worst classes, confusions, warnings.

    Args:
        metrics: as in ``metrics.json``.
        console: where to.
    """
    from imgcls.evaluation.metrics import most_frequent_confusions, worst_classes

    low, high = metrics["accuracy_ci95"]
    interval = f"(95 % interval {low:.4f} to {high:.4f}; {metrics['n']:,} {metrics['split']} images)"
    _line(console, "accuracy", f"{metrics['accuracy']:.4f}  {interval}", "bold")
    _line(console, "macro F1", f"{metrics['macro_f1']:.4f}")
    _line(console, "baseline", f"{metrics['majority_baseline']:.4f}  (always the most frequent class)")
    if metrics.get("top5_accuracy") is not None:
        _line(console, "top-5", f"{metrics['top5_accuracy']:.4f}")
    if metrics["loss"] is not None:
        _line(console, "loss", f"{metrics['loss']:.4f}")
    for index, score in enumerate(worst_classes(metrics)):
        detail = f"F1 {score.f1:.3f}, recall {score.recall:.3f}, {counted(score.support, 'image')}"
        _line(console, "" if index else "worst", f"{_short(score.name)}  {detail}")
    for index, confusion in enumerate(most_frequent_confusions(metrics)):
        pair = f"{_short(confusion.true)} taken for {_short(confusion.predicted)}"
        _line(console, "" if index else "confused", f"{pair}  {confusion.count:,} of {confusion.support:,}")
    for warning in metrics.get("warnings", ()):
        _line(console, "warning", warning["message"], "yellow")


def summarize_run(run: Run) -> dict[str, Any]:
    """Return what ``show`` tells of a run, as plain values; what an unfinished run lacks is empty.

    A file that is damaged counts as lacking; ``damaged`` says so.
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

    status = read(lambda run: run.status, runs.Status("damaged"))
    timings = read(lambda run: run.timings, {})
    return {
        "name": run.name,
        "folder": str(run.folder),
        "state": status.state,
        "message": status.message,
        "splits": read(_split_sizes, {}),
        "device": read(_device, ""),
        "seconds": timings.get("total"),
        "timings": timings,
        "epochs_done": read(lambda run: run.epochs_done, 0),
        "metrics": read(lambda run: run.metrics, {}),
        "files": sorted(path.name for path in run.folder.iterdir() if not path.name.startswith(".")),
        "damaged": list(dict.fromkeys(damaged)),
    }


def duration(seconds: float) -> str:
    """Return seconds as people say them: ``41.3 s``, ``12 min 5 s``, ``3 h 2 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _split_sizes(run: Run) -> dict[str, int]:
    return dict(Counter(row["split"] for row in run.manifest))


def _device(run: Run) -> str:
    device = run.environment.get("device") or {}
    threads = f", {device['threads']} threads" if device.get("threads") else ""
    precision = run.environment.get("precision")
    name = f"{str(device.get('kind', '')).upper()} {device.get('name', '')}".strip()
    return f"{name}{threads}{f', {precision}' if precision else ''}"


def _line(console: Console, label: str, text: str, style: str = "") -> None:
    """Print ``label  text``; where the text wraps, its lines stand below each other."""
    from rich.text import Text

    from imgcls_cli.console import plain

    lines = plain(text, style).wrap(console, max(console.width - LABEL_COLUMNS - 1, 10))
    for index, line in enumerate(lines):
        line.rstrip()
        console.print(Text.assemble((f"{'' if index else label:<{LABEL_COLUMNS}}", "dim"), line), soft_wrap=True)


def _short(name: str) -> str:
    return name if len(name) <= NAME_COLUMNS else name[: NAME_COLUMNS - 1] + "…"
