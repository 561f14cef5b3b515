"""What a run came to, as tables: its figures, classes, images, times, and what it was trained with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from imgcls.errors import DataError
from imgcls.evaluation.metrics import images_text, most_frequent_confusions
from imgcls.evaluation.reported import reported_rows
from imgcls.pages.tables import Table
from imgcls.runs import Run
from imgcls.settings import flatten, plain_text

__all__ = [
    "class_table", "confusion_table", "environment_table", "figure_table", "image_table", "reported_table",
    "setting_table", "time_table", "validation_curve",
]  # fmt: skip

_FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "cohen_kappa": "Cohen's kappa",
    "mcc": "Matthews correlation",
    "top5_accuracy": "top-5 accuracy",
    "majority_baseline": "always the most frequent class",
    "loss": "loss",
    "ece": "expected calibration error",
}
_PHASES = {
    "data": "reading the images",
    "start_up": "start-up",
    "precision": "choosing the precision",
    "compile": "building and compiling",
    "features": "features of frozen layers",
    "train": "training",
    "evaluate": "evaluation",
    "write": "writing the results",
}
_CONFUSIONS = 50


def figure_table(metrics: Mapping[str, Any]) -> Table:
    """Return the figures of a result, the accuracy with its 95 % interval."""
    rows = []
    for key, name in _FIGURES.items():
        if metrics.get(key) is not None:
            interval = "{:.4f} to {:.4f}".format(*metrics["accuracy_ci95"]) if key == "accuracy" else ""
            rows.append((name, f"{metrics[key]:.4f}", interval))
    title = f"Figures on {images_text(metrics)}"
    return Table(title, ("figure", "value", "95 % interval"), tuple(rows))


def class_table(metrics: Mapping[str, Any]) -> Table:
    """Return precision, recall and F1 of each class, with its images."""
    rows = [
        (name, *(_share(each[key]) for key in ("precision", "recall", "f1")), f"{each['support']:,}")
        for name, each in metrics["per_class"].items()
    ]
    title = f"Classes on {metrics['n']:,} {metrics['split']} images"
    return Table(title, ("class", "precision", "recall", "F1", "images"), tuple(rows))


def confusion_table(metrics: Mapping[str, Any]) -> Table:
    """Return which classes were taken for which, the most frequent first."""
    found = most_frequent_confusions(metrics, _CONFUSIONS)
    rows = [(each.true, each.predicted, f"{each.count:,}", f"{each.count / each.support:.1%}") for each in found]
    return Table("Most frequent confusions", ("class", "taken for", "images", "of the class"), tuple(rows), words=(1,))


def image_table(manifest: Sequence[Mapping[str, str]], classes: Sequence[str]) -> Table:
    """Return how many images of each class each part has."""
    counts = Counter((row["label"], row["split"]) for row in manifest)
    parts = [part for part in ("train", "validation", "test", "fold") if any(split == part for _, split in counts)]
    rows = [(name, *(f"{counts[name, part]:,}" for part in parts)) for name in classes]
    rows.append(("all", *(f"{sum(counts[name, part] for name in classes):,}" for part in parts)))
    return Table("Images of each class", ("class", *parts), tuple(rows))


def time_table(timings: Mapping[str, Any]) -> Table | None:
    """Return where the seconds went, and how fast the training was; None where it is not known."""
    total = timings.get("total")
    if total is None:
        return None
    rows = [
        (_PHASES.get(phase, phase), f"{seconds:.1f}", f"{seconds / total:.0%}" if total else "")
        for phase, seconds in (timings.get("phases") or {}).items()
        if seconds
    ]
    rows.append(("all of it", f"{total:.1f}", ""))
    speed = timings.get("images_per_second")
    title = "Seconds" if speed is None else f"Seconds; {speed:,.0f} images a second in training"
    return Table(title, ("phase", "seconds", "share"), tuple(rows))


def stage_table(metrics: Mapping[str, Any]) -> Table | None:
    """Return what each stage trained; None where there were none."""
    rows = [
        (
            str(stage["stage"]),
            f"{stage['epochs_run']:,}",
            stage.get("optimizer") or "-",
            "-" if stage.get("lr") is None else f"{stage['lr']:g}",
            f"{stage['trainable_params']:,} of {stage['total_params']:,}",
            "-" if stage.get("best_epoch") is None else str(stage["best_epoch"]),
            "yes" if stage.get("stopped_early") else "no",
        )
        for stage in metrics.get("stages") or ()
    ]
    header = ("stage", "epochs", "optimizer", "lr", "parameters that learn", "kept epoch", "stopped early")
    return Table("Stages", header, tuple(rows), words=(2,)) if rows else None


def reported_table(result: Mapping[str, Any]) -> Table | None:
    """Return published figures beside the measured ones; None where none were given."""
    rows = reported_rows(result["reported"]) if result.get("reported") else []
    if not rows:
        return None
    return Table("Published and measured", ("figure", "published", "measured", "verdict"), tuple(rows), words=(3,))


def setting_table(run: Run) -> Table:
    """Return every value that was in force."""
    rows = [(key, plain_text(value)) for key, value in flatten(run.settings).items()]
    return Table("Every value that was in force", ("key", "value"), tuple(rows), words=(1,))


def environment_table(run: Run) -> Table:
    """Return what it was made with."""
    rows = [(key, plain_text(value)) for key, value in flatten(run.environment).items() if value not in ("", None)]
    return Table("What it was made with", ("key", "value"), tuple(rows), words=(1,))


def validation_curve(run: Run) -> list[float]:
    """Return the validation accuracy after each epoch, of repeats the first's; empty where it is not known."""
    try:
        column = (run.members[0] if run.members else run).history["val_accuracy"]
    except (DataError, KeyError):
        return []
    return [] if column.isna().all() else [float(value) for value in column]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
