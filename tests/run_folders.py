"""Run folders as a training leaves them, without one."""

from dataclasses import asdict
from statistics import fmean, stdev

import numpy as np
import yaml

from imgcls.evaluation.checks import check_result
from imgcls.evaluation.metrics import compute_metrics
from imgcls.evaluation.tables import write_confusion_matrix, write_predictions, write_report
from imgcls.files import write_csv, write_json, write_text
from imgcls.runs import create_run, layout
from imgcls.spec import load_spec, spec_yaml

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds", "stage")
REPEAT_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "epochs_run", "best_epoch", "seconds")
CLASSES = ("cat", "dog", "[/bird]")


def predictions(right=20, wrong=10, classes=CLASSES):
    """Labels in turn, of which the first ``right`` are predicted rightly and the others as the next class."""
    labels = np.arange(right + wrong) % len(classes)
    predicted = np.where(np.arange(right + wrong) < right, labels, (labels + 1) % len(classes))
    probabilities = np.full((len(labels), len(classes)), 0.1, np.float32)
    probabilities[np.arange(len(labels)), predicted] = 1 - 0.1 * (len(classes) - 1)
    return labels, probabilities


def make_run(
    runs_dir,
    name="one",
    *,
    overrides=None,
    right=20,
    wrong=10,
    classes=CLASSES,
    images="",
    device="CPU",
    seconds=10.0,
    split="test",
):
    """Write a finished run folder; ``images`` changes what the test images are."""
    run = create_run(runs_dir, name)
    spec = load_spec({"data": "digits", **(overrides or {})}).spec.completed()
    write_text(run.path(layout.SPEC), yaml.safe_dump({"data": "digits"}))
    write_text(run.path(layout.RESOLVED), spec_yaml(spec))
    write_json(
        run.path(layout.ENVIRONMENT), {"device": {"kind": "cpu", "name": device, "threads": 2}, "precision": "float32"}
    )
    labels, probabilities = predictions(right, wrong, classes)
    paths = [f"{number}.png" for number in range(len(labels))]
    rows = [(path, classes[label], "test", f"{images}{path}") for path, label in zip(paths, labels, strict=True)]
    write_csv(run.path(layout.MANIFEST), ("path", "label", "split", "sha256"), [*rows, ("t.png", "cat", "train", "0")])
    metrics = compute_metrics(labels, probabilities, classes, loss=0.5, split=split)
    metrics |= {"warnings": [asdict(finding) for finding in check_result(metrics)], "epochs_run": 3, "best_epoch": 2}
    write_predictions(run, paths, labels, probabilities, classes)
    write_confusion_matrix(run, metrics)
    write_report(run, metrics)
    write_json(run.path(layout.METRICS), metrics)
    timings = {"total": seconds, "phases": {"train": 5.0}, "epoch_seconds": [2.0, 1.0], "images_per_second": 400.0}
    write_json(run.path(layout.TIMINGS), timings)
    run.set_status("completed")
    return run


def make_unfinished(runs_dir, name="half", state="failed", message="out of memory"):
    """Write what a run leaves that failed while training."""
    run = create_run(runs_dir, name)
    write_text(run.path(layout.RESOLVED), spec_yaml(load_spec({"data": "digits", "epochs": 99}).spec.completed()))
    run.set_status(state, message)
    return run


def make_repeats(runs_dir, name="five", *, rights=(20, 22, 24, 26, 28), broken=(), overrides=None, **more):
    """Write a folder of repeats: a finished one for each of ``rights``, then one of each state of ``broken``."""
    group = create_run(runs_dir, name)
    planned = len(rights) + len(broken)
    write_text(group.path(layout.SPEC), yaml.safe_dump({"data": "digits", "repeats": planned}))
    spec = load_spec({"data": "digits", **(overrides or {})}).spec.completed()
    write_text(group.path(layout.RESOLVED), spec_yaml(spec))
    rows = []
    for number, right in enumerate(rights):
        seeded = {**(overrides or {}), "seed": number}
        run = make_run(group.folder, overrides=seeded, right=right, wrong=30 - right, seconds=10.0 + number)
        figures = {key: run.metrics[key] for key in REPEAT_FIGURES if key != "seconds"}
        rows.append(_row(group, number, run) | figures | {"seconds": 10.0 + number})
    rows += [
        _row(group, number, make_unfinished(group.folder, state=state))
        for number, state in enumerate(broken, len(rights))
    ]
    summary = {key: _summary([row[key] for row in rows if row[key] is not None]) for key in REPEAT_FIGURES}
    record = {"schema_version": 1, "repeats": planned, "finished": len(rights), "runs": rows, "summary": summary}
    record |= {"split": "test", "n": 30, "majority_baseline": 1 / 3, "warnings": [], "reported": []}
    write_json(group.path(layout.REPEATS_JSON), record | more)
    group.set_status("failed" if broken else "completed")
    return group


def write_history(run, val_accuracies, stages):
    """Write a row an epoch of a training in stages: its validation accuracy, and in which stage it was."""
    rows = [
        (epoch, 0.4, 0.9, "" if val is None else 0.5, "" if val is None else val, 1e-3, 2.0, stage)
        for epoch, (val, stage) in enumerate(zip(val_accuracies, stages, strict=True), start=1)
    ]
    write_csv(run.path(layout.HISTORY), HISTORY_COLUMNS, rows)


def _row(group, number, run):
    """Make a run one of the repeats, and give its row."""
    state, message = run.status.state, run.status.message
    run.folder.rename(group.folder / f"repeat-{number + 1}")
    row = {"folder": f"repeat-{number + 1}", "seed": number, "state": state, "message": message}
    return row | dict.fromkeys(REPEAT_FIGURES)


def _summary(values):
    if not values:
        return dict.fromkeys(("mean", "sd", "min", "max"))
    sd = stdev(values) if len(values) > 1 else None
    return {"mean": fmean(values), "sd": sd, "min": min(values), "max": max(values)}
