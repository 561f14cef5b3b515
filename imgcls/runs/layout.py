"""What lies where in a run folder: owns every file name in it, and the names of the folders themselves."""

from __future__ import annotations

import re
import sys

from imgcls.wording import within_bytes

SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
ENVIRONMENT = "environment.json"
MANIFEST = "manifest.csv"
HISTORY = "history.csv"
METRICS = "metrics.json"
TIMINGS = "timings.json"
PREDICTIONS = "predictions.csv"
CONFUSION_CSV = "confusion_matrix.csv"
CONFUSION_PNG = "confusion_matrix.png"
REPORT_CSV = "classification_report.csv"
CURVES_PNG = "curves.png"
RELIABILITY_PNG = "reliability.png"
MODEL = "model.keras"
REPORT_HTML = "report.html"  # where `imgcls report` was asked for it
COMPARISON_HTML = "comparison.html"  # likewise, beside the runs
REPEATS_JSON = "repeats.json"  # only in the folder of repeats: what they have in common
REPEATS_CSV = "repeats.csv"
SWEEP = "sweep.yaml"  # from here on only in the folder of a sweep: as given
SWEEP_RESOLVED = "sweep_resolved.yaml"  # every value that was in force, and the base; needs no other file
SWEEP_JSON = "sweep.json"
SWEEP_CSV = "sweep.csv"
EFFECTS_PNG = "effects.png"
SCATTER_PNG = "scatter_matrix.png"
PARALLEL_PNG = "parallel_coordinates.png"
FINAL = "final"  # the run folder of the best point, trained on validation images too
STUDY = "study.db"  # Optuna's
STATUS = "status.json"
LOG = "train.log"
TENSORBOARD = "tensorboard"  # a folder of event files, where the spec wants them
MLFLOW = "mlflow_run_id.txt"  # where it is logged there
EVALUATIONS = "evaluations.csv"  # in a run's folder, and in that of all runs
CHECKPOINT = "checkpoint"
EXPORT = "export"  # a folder: the network in other formats
CHECKSUMS = "SHA256SUMS"  # only of what is completed

# What a completed run does not change any more, and nobody else has reason to: read only where its checksum is right.
CHECKED = (
    RESOLVED, ENVIRONMENT, MANIFEST, HISTORY, METRICS, TIMINGS, PREDICTIONS, CONFUSION_CSV, REPORT_CSV, MODEL,
    REPEATS_JSON, REPEATS_CSV, SWEEP_RESOLVED, SWEEP_JSON, SWEEP_CSV,
)  # fmt: skip

MANIFEST_COLUMNS = ("path", "label", "split", "sha256")
GROUP = "group"  # another column, where the data has groups: a number for each

_MAX_BYTES = 200  # of a run's name in its folder's name, which has the time too; disks take 255

TIME = re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_")  # what a run folder's name begins with


def folder_name(name: str) -> str:
    """Return a run's name as it stands in its folder's name."""
    return within_bytes(re.sub(r"[^\w.+-]+", "-", name)[:80], _MAX_BYTES) or "run"


def repeat_name(number: int, kind: str = "repeat") -> str:
    """Return the name of a repeat's or fold's folder within that of its group; ``number`` counts from 1."""
    return f"{kind}-{number}"


def trial_name(number: int, count: int) -> str:
    """Return the name of a trial's folder within that of its sweep of ``count``; ``number`` counts from 1."""
    return f"trial-{number:0{len(str(count))}}"


def part_number(name: str) -> int:
    """Return which repeat, fold or trial a folder of this name is, from 1, the final training last; 0 if it is none."""
    if name == FINAL:
        return sys.maxsize
    part = re.fullmatch(r"(?:(?:repeat|fold)-(?=[1-9])|trial-)([0-9]+)", name)
    return int(part[1]) if part else 0
