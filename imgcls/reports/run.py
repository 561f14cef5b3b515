"""The page of a run: what was done and on what, what came of it, and the images behind the figures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgcls.catalog import full_name
from imgcls.evaluation.metrics import certainty, images_text
from imgcls.evaluation.plots import curves_figure, reliability_figure
from imgcls.evaluation.reported import reported_notes
from imgcls.pages.charts import png, svg
from imgcls.pages.rendering import known, rendered, text_of
from imgcls.pages.tables import Table
from imgcls.reports import facts
from imgcls.reports.matrix import confusion_matrix, gallery
from imgcls.reports.pictures import Thumbnails, heat_maps
from imgcls.reports.predictions import Predictions, read_predictions
from imgcls.runs import Run, layout
from imgcls.wording import counted

__all__ = ["run_page", "run_tables"]

_SUREST, _HARDEST = 24, 24  # images shown


def run_tables(run: Run) -> list[Table]:
    """Return what a run came to, as tables.

    Raises:
        DataError: it has no result.
    """
    found = [facts.figure_table(run.metrics), facts.reported_table(run.metrics), facts.class_table(run.metrics)]
    return [table for table in (*found, facts.confusion_table(run.metrics)) if table is not None and table.rows]


def run_page(run: Run, cache_dir: Path | None = None, *, explain: bool = False) -> str:
    """Return the page of a run as HTML; of an unfinished one what there is.

    Raises:
        SpecError: errors are to be explained, and the network has no layer that could.
        RunError: it cannot be loaded for that.
    """
    metrics = known(lambda: run.metrics, {})
    predictions = known(lambda: read_predictions(run), None) if metrics else None
    return rendered(
        "run.html",
        title=full_name(run),
        status=run.status,
        metrics=metrics,
        **(_result(run, metrics, predictions, cache_dir, explain=explain) if metrics else {}),
        reported_notes=reported_notes(metrics["reported"]) if metrics.get("reported") else [],
        remarks=metrics.get("warnings") or [],
        spec=text_of(run.path(layout.SPEC)),
        about=known(lambda: _about(run, metrics), []),
        images=known(lambda: facts.image_table(run.manifest, _classes(run, metrics)), None),
        curves=known(lambda: _curves(run, metrics), None),
        times=known(lambda: facts.time_table(run.timings), None),
        settings=known(lambda: facts.setting_table(run), None),
        environment=known(lambda: facts.environment_table(run), None),
        repeat=known(lambda: _repeat(run), []),
    )


def _result(
    run: Run, metrics: Mapping[str, Any], predictions: Predictions | None, cache_dir: Path | None, *, explain: bool
) -> dict[str, Any]:
    """Return what the page has of a finished run."""
    thumbnails = Thumbnails(run, cache_dir)
    cells = gallery(predictions, thumbnails.uri) if predictions else []
    matrix = confusion_matrix(metrics["confusion_matrix"], metrics["classes"], [each["place"] for each in cells])
    surest = predictions.surest_errors()[:_SUREST].tolist() if predictions else []
    hardest = predictions.hardest()[: _SUREST + _HARDEST].tolist() if predictions else []
    hardest = [row for row in hardest if row not in surest][:_HARDEST]
    return {
        "measured_on": images_text(metrics),
        "figures": facts.figure_table(metrics),
        "reported": facts.reported_table(metrics),
        "stages": known(lambda: facts.stage_table(metrics), None),
        "classes": facts.class_table(metrics),
        "confusions": facts.confusion_table(metrics),
        "matrix": matrix,
        "picture": None if matrix.is_written else png(run.path(layout.CONFUSION_PNG)),
        "cells": cells,
        "surest": predictions.pictures(surest, thumbnails.uri) if predictions else [],
        "hardest": predictions.pictures(hardest, thumbnails.uri) if predictions else [],
        "heat": heat_maps(run, predictions, surest, thumbnails) if predictions and explain else {},
        "lacking": thumbnails.lacking,
        "reliability": _reliability(predictions) if predictions else None,
    }


def _reliability(predictions: Predictions) -> str:
    return svg(lambda: reliability_figure(*certainty(predictions.probabilities, predictions.labels)))


def _curves(run: Run, metrics: Mapping[str, Any]) -> str | None:
    history: Any = run.history.to_dict("records")
    return svg(lambda: curves_figure(history, metrics.get("best_epoch"))) if history else None


def _classes(run: Run, metrics: Mapping[str, Any]) -> list[str]:
    return list(metrics.get("classes") or sorted({row["label"] for row in run.manifest}))


def _about(run: Run, metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return in a few words what was trained on what."""
    environment, settings = run.environment, run.settings
    device = environment.get("device") or {}
    size = settings.get("resolution") or []
    about = [
        ("images", " x ".join(map(str, size)) + f" pixels, {settings.get('color') or 'rgb'}"),
        ("device", ", ".join(filter(None, (device.get("name"), environment.get("precision"))))),
        ("seed", str(environment.get("seed", "-"))),
    ]
    if None not in (metrics.get("total_params"), metrics.get("trainable_params")):
        about.insert(0, ("parameters", f"{metrics['total_params']:,}, {metrics['trainable_params']:,} of them trained"))
    if None not in (metrics.get("best_epoch"), metrics.get("epochs_run")):
        about.insert(0, ("training", f"{counted(metrics['epochs_run'], 'epoch')}; kept: {metrics['best_epoch']}"))
    return about


def _repeat(run: Run) -> list[str]:
    """Return the commands that do it again."""
    commit = run.environment.get("git_commit")
    first = [f"git checkout {commit}"] if commit and not run.environment.get("git_changed") else []
    spec, folder = (shlex.quote(str(path)) for path in (run.path(layout.RESOLVED), run.folder))
    return [*first, f"imgcls train {spec}", f"imgcls evaluate {folder}"]
