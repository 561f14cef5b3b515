"""What of some runs cannot be compared, and why."""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from imgcls.errors import DataError
from imgcls.runs import MANIFEST, METRICS, DamagedError, Run
from imgcls.settings import flatten
from imgcls.wording import some

__all__ = ["damage_of", "loss_notes", "result_notes", "time_notes", "what_there_is"]

CROSS_ENTROPY = ("auto", "categorical_crossentropy", "sparse_categorical_crossentropy")


def result_notes(runs: Sequence[Run], metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say why results must not be held against each other: other classes, another split, other images."""
    finished = [(run, each) for run, each in zip(runs, metrics, strict=True) if each]
    if not finished:
        return []
    (first, reference), *others = finished
    notes = []
    for run, each in others:
        if set(each.get("classes", ())) != set(reference.get("classes", ())):
            only = sorted(set(each.get("classes", ())) ^ set(reference.get("classes", ())))
            notes.append(
                f"results are not comparable: {run.name} has other classes than {first.name} ({some(only, 5)})"
            )
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
    for run in (first, second):
        if damage_of(run, lambda run: run.manifest):
            return f"may have other {split} images: the {MANIFEST} of {run.name} is damaged"
    images, others = (Counter(_evaluated(run, split)) for run in (first, second))
    if images == others:
        return None
    shared, most = (images & others).total(), max(images.total(), others.total())
    return f"have different {split} images (they share {shared:,} of {most:,})"


def _evaluated(run: Run, split: str) -> Iterable[tuple[str, str]]:
    """Return content and label of each image of a split; paths may differ where the data was moved."""
    return ((row["sha256"], row["label"]) for row in run.manifest if row["split"] == split)


def loss_notes(
    runs: Sequence[Run], metrics: Sequence[Mapping[str, Any]], settings: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Say why losses must not be held against each other: they measure different things."""
    kinds = [
        (run.name, _loss_kind(given))
        for run, each, given in zip(runs, metrics, settings, strict=True)
        if each.get("loss") is not None and given
    ]
    return _differing("losses are not comparable", "has", kinds)


def _differing(what: str, verb: str, found: Sequence[tuple[str, str]]) -> list[str]:
    """Return one note where what was found of the runs is not the same; two runs may have one name."""
    if len({text for _, text in found}) <= 1:
        return []
    return [f"{what}: {'; '.join(f'{name} {verb} {text}' for name, text in found)}"]


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


def time_notes(runs: Sequence[Run], settings: Sequence[Mapping[str, Any]], of_results: Sequence[str] = ()) -> list[str]:
    """Say why times must not be held against each other: other devices, counts of images, resolutions, or data."""
    finished = [(run, given) for run, given in zip(runs, settings, strict=True) if run.path(METRICS).is_file()]
    what = "times are not comparable"
    sizes = [(run.name, str(given["resolution"])) for run, given in finished if given.get("resolution")]
    notes = [
        *_differing(what, "ran on", [(run.name, _device(run)) for run, _ in finished]),
        *_differing(what, "has resolution", sizes),
        *_differing(what, "has", _image_counts([run for run, _ in finished])),
    ]
    return notes or ([f"{what} either: the data is not the same"] if of_results else [])


def _device(run: Run) -> str:
    device = what_there_is(run, lambda run: run.environment).get("device") or {}
    threads = f", {device['threads']} threads" if device.get("threads") else ""
    return f"{device.get('name', 'an unknown device')}{threads}"


def _image_counts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return name and images of each part, of the runs that say it; nothing where all have one manifest."""
    known = [run for run in runs if run.path(MANIFEST).is_file()]
    if all(filecmp.cmp(known[0].path(MANIFEST), run.path(MANIFEST), shallow=False) for run in known[1:]):
        return []
    found = []
    for run in known:
        if not damage_of(run, lambda run: run.manifest):
            counts = sorted(Counter(row["split"] for row in run.manifest).items())
            found.append((run.name, f"{', '.join(f'{count:,} {split}' for split, count in counts)} images"))
    return found


def what_there_is(run: Run, read: Callable[[Run], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what a run has; nothing where it did not come so far, or the file is damaged (see ``damage_of``)."""
    try:
        return read(run)
    except DataError:
        return {}


def damage_of(run: Run, read: Callable[[Run], object]) -> str:
    """Return what is wrong with a file of a run; an empty string where nothing is, or it is not there."""
    try:
        read(run)
    except DamagedError as error:
        return str(error)
    except DataError:
        return ""
    return ""
