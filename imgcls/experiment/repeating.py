"""The same experiment with several seeds, or on several folds: how much of a result is chance."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls import backend
from imgcls.errors import RunError
from imgcls.experiment.measuring import held_out_part, remarks
from imgcls.experiment.preparing import Built, Prepared
from imgcls.experiment.reporting import published_beside, result_of
from imgcls.experiment.running import run_once
from imgcls.files import write_csv, write_json
from imgcls.observer import Observer
from imgcls.recording import Clock, recorded, write_inputs
from imgcls.runs import Run, layout
from imgcls.runs.layout import repeat_name

__all__ = ["REPEAT_FIGURES", "figure_summary", "run_repeats"]

REPEAT_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "epochs_run", "best_epoch", "seconds")
"""What the table of repeats has of each; ``seconds`` are its own, without the data that all share."""

COLUMNS = ("folder", "seed", "state", *REPEAT_FIGURES, "message")


def run_repeats(group: Run, prepared: Prepared, first: list[Built], observer: Observer) -> None:
    """Run an experiment with seeds that follow on the spec's, or on each fold, each in a folder within the group's.

    Those that the folder has already are kept where they are finished, and gone on with where they are not.

    A repeat that fails is noted and the others go on, but not where several workers train together. The summary is
    written anew after each.

    Args:
        first: the network of the first repeat, taken out: it would stay in memory beside the others.

    Raises:
        RunError: a repeat failed; raised after the last.
    """
    spec, kind = prepared.spec, "fold" if prepared.spec.folds else "repeat"
    with recorded(group):
        if not group.has_begun:
            write_inputs(group, prepared.loaded, spec, prepared.device, prepared.precision_reason)
        rows: list[dict[str, Any]] = [
            {"folder": repeat_name(number, kind), "seed": member.seed, "state": "not begun", "message": ""}
            for number, member in enumerate(spec.members, start=1)
        ]
        for number, (row, member) in enumerate(zip(rows, spec.members, strict=True), start=1):
            if (finished := Run(group.path(row["folder"]))).status.state == "completed":
                row.update(_figures(finished))
                first.clear()  # it is not the network of the first repeat that is left
                continue
            observer.repeating(group, number, len(rows), member.seed)
            row["state"] = "running"
            _write(group, prepared, rows)
            try:
                # published figures are those of several runs, if any: the group is held against them
                own = prepared.for_member(member.model_copy(update={"reported": None}), observer)
                _repeat(group, own, row, first, observer)
            except RunError as error:
                row |= {"state": "failed", "message": str(error)}
                if prepared.distribution.workers > 1:  # the others may be anywhere in this repeat
                    raise
                observer.failed(str(error))
            except Exception as error:
                row |= {"state": "failed", "message": f"{type(error).__name__}: {error}"}
                raise
            except BaseException as error:  # Ctrl-C or a signal
                row |= {"state": "interrupted", "message": str(error) or "by the user"}
                raise
            finally:
                first.clear()
                gc.collect()  # a network is full of circles: it would stay in memory beside the next
                _write(group, prepared, rows)
        failed = [row["folder"] for row in rows if row["state"] == "failed"]
        if failed:
            raise RunError(f"{len(failed)} of {len(rows)} {kind}s failed ({', '.join(failed)}); see {group.folder}")


def _repeat(group: Run, prepared: Prepared, row: dict[str, Any], first: list[Built], observer: Observer) -> None:
    """Do one repeat, and put its figures into its row."""
    clock, run = Clock(), Run(group.path(row["folder"]), is_kept=group.is_kept)
    run.folder.mkdir(exist_ok=True)
    with clock("build"), backend.memory_is_told():
        built = first.pop() if first else prepared.build(prepared.spec)
    run_once(run, prepared, prepared.spec, built, observer, clock)
    row |= _figures(run)


def _figures(run: Run) -> dict[str, Any]:
    """Return what the row of a finished repeat has."""
    figures = {name: run.metrics.get(name) for name in REPEAT_FIGURES} | {"seconds": run.timings["total"]}
    return figures | {"state": "completed"}


def figure_summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return figure → mean, sample standard deviation (None of a single one), min and max over the completed repeats.

    Args:
        rows: with ``state`` and the figures.
    """
    summary: dict[str, dict[str, float | None]] = {}
    for name in REPEAT_FIGURES:
        values = [float(row[name]) for row in rows if row["state"] == "completed" and row.get(name) is not None]
        if values:
            sd = statistics.stdev(values) if len(values) > 1 else None
            summary[name] = {"mean": statistics.fmean(values), "sd": sd, "min": min(values), "max": max(values)}
    return summary


def _write(group: Run, prepared: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what the repeats have given so far."""
    finished = [Run(group.path(row["folder"])) for row in rows if row["state"] == "completed"]
    split = held_out_part(prepared.spec, prepared.dataset)
    record: dict[str, Any] = {
        "schema_version": 1,
        "repeats": len(rows),
        "finished": len(finished),
        "runs": [{name: row.get(name) for name in COLUMNS} for row in rows],
        "summary": figure_summary(rows),
        "split": split,
        "n": len(prepared.dataset.splits[split]),
        "warnings": _warnings(prepared, finished),
    }
    if finished:
        record["majority_baseline"] = finished[0].metrics["majority_baseline"]
    if prepared.spec.folds:
        counts = [len(prepared.dataset.splits[part]) for part in ("fold", "train")]
        record |= {"folds": prepared.spec.folds, "overlap": counts[0] / counts[1]}
        if len(finished) == len(rows):
            record["pooled"] = _pooled(group, finished)
    if prepared.spec.reported and finished:
        record["reported"] = published_beside(prepared.spec, [result_of(run) for run in finished])
    write_csv(group.path(layout.REPEATS_CSV), COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
    write_json(group.path(layout.REPEATS_JSON), record)


def _pooled(group: Run, finished: Sequence[Run]) -> dict[str, Any]:
    """Return the figures of all folds' images together, each of them predicted once; write their tables."""
    from imgcls.evaluation.metrics import compute_metrics
    from imgcls.evaluation.pictures import confusion_figure, save_figure
    from imgcls.evaluation.tables import write_confusion_matrix, write_report

    classes = finished[0].metrics["classes"]
    tables = [run.predictions for run in finished]
    labels = np.concatenate([[classes.index(name) for name in table["true"]] for table in tables])
    probabilities = np.concatenate([table.iloc[:, -len(classes) :].to_numpy(np.float64) for table in tables])
    counts = [run.metrics["n"] for run in finished]
    loss = float(np.average([run.metrics["loss"] for run in finished], weights=counts))
    pooled = compute_metrics(labels, probabilities, classes, loss=loss, split="fold", groups=_groups(finished))
    write_confusion_matrix(group, pooled)
    write_report(group, pooled)
    figure = confusion_figure(np.array(pooled["confusion_matrix"]), classes)
    save_figure(figure, group.path(layout.CONFUSION_PNG))
    return pooled


def _groups(finished: Sequence[Run]) -> NDArray[np.int64] | None:
    """Return which group each image of all folds is of, in the order of their predictions."""
    if layout.GROUP not in finished[0].manifest[0]:
        return None
    numbers = {row["path"]: int(row[layout.GROUP]) for row in finished[0].manifest}
    return np.array([numbers[path] for run in finished for path, _ in run.answers])


def _warnings(prepared: Prepared, finished: Sequence[Run]) -> list[dict[str, str]]:
    """Return what is remarkable about spec and images, and each kind of remark on a result once, with how often."""
    common = [finding.record() for finding in remarks(prepared.spec, prepared.dataset)]
    known = {warning["code"] for warning in common}
    own: dict[str, list[dict[str, str]]] = {}
    for run in finished:
        for code, warning in {each["code"]: each for each in run.metrics["warnings"]}.items():
            own.setdefault(code, []).append(warning)
    told = [
        first | {"message": f"in {len(others) + 1} of {len(finished)} repeats, for instance: {first['message']}"}
        for code, (first, *others) in own.items()
        if code not in known
    ]
    return [*common, *told]
