"""What of some runs cannot be compared, and why."""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imgcls.comparison.sides import Side, damage_of, what_there_is
from imgcls.runs import Run
from imgcls.runs.layout import MANIFEST, METRICS
from imgcls.settings import flatten
from imgcls.wording import counted, some

__all__ = ["fold_notes", "loss_notes", "mean_notes", "result_notes", "time_notes"]

CROSS_ENTROPY = ("auto", "categorical_crossentropy", "sparse_categorical_crossentropy")


def result_notes(sides: Sequence[Side]) -> list[str]:
    """Say why results must not be held against each other: other classes, another split, other images."""
    finished = [side for side in sides if side.metrics]
    notes = []
    for side in finished[1:]:
        first = finished[0]
        ours, theirs = first.metrics, side.metrics
        if only := _other_classes(ours, theirs):
            notes.append(
                f"results are not comparable: {side.name} has other classes than {first.name} ({some(only, 5)})"
            )
        elif theirs.get("split") != ours.get("split"):
            notes.append(
                f"results are not comparable: {side.name} was measured on the {theirs.get('split')} part, "
                f"{first.name} on the {ours.get('split')} part"
            )
        elif (difference := _image_difference(first, side, str(ours.get("split")))) is not None:
            notes.append(f"results are not comparable: {side.name} and {first.name} {difference}")
    return notes


def _other_classes(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return the classes that only one of two results has; none where one does not tell its classes."""
    if "classes" not in ours or "classes" not in theirs:
        return []
    return sorted(set(ours["classes"]) ^ set(theirs["classes"]))


def _image_difference(first: Side, second: Side, split: str) -> str | None:
    """Return how the evaluated images of two sides differ; None where content and labels are the same."""
    runs = [(first.name, _asked(first, second)), (second.name, _asked(second, first))]
    ours, theirs = (run.path(MANIFEST) for _, run in runs)
    missing = [name for name, run in runs if not run.path(MANIFEST).is_file()]
    if missing:
        return f"may have other {split} images: {missing[0]} has no {MANIFEST}"
    if filecmp.cmp(ours, theirs, shallow=False):  # the usual case, and much faster than reading rows
        return None
    for name, run in runs:
        if damage_of(run, lambda run: run.manifest):
            return f"may have other {split} images: the {MANIFEST} of {name} is damaged"
    images, others = (Counter(_evaluated(run, split)) for _, run in runs)
    if images == others:
        return None
    shared, most = (images & others).total(), max(images.total(), others.total())
    return f"have different {split} images (they share {shared:,} of {most:,})"


def _asked(side: Side, other: Side) -> Run:
    """Return the run of a side that tells of its images; of cross-validations a fold that both have."""
    shared = [name for name in side.accuracies if name in other.accuracies] if side.overlap and other.overlap else []
    return side.member(shared[0]) if shared else side.speaker


def _evaluated(run: Run, split: str) -> Iterable[tuple[str, str]]:
    """Return content and label of each image of a split; paths may differ where the data was moved."""
    return ((row["sha256"], row["label"]) for row in run.manifest if row["split"] == split)


def loss_notes(sides: Sequence[Side]) -> list[str]:
    """Say why losses must not be held against each other: they measure different things."""
    kinds = [
        (side.name, _loss_kind(side.settings))
        for side in sides
        if side.metrics.get("loss") is not None and side.settings
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
    name = "cross-entropy" if loss in CROSS_ENTROPY else _with_settings(loss)
    if smoothing := settings.get("label_smoothing"):
        name += f" with label smoothing {smoothing}"
    flat = flatten(settings, open_lists=True)
    penalties = sorted(
        {f"{key.rpartition('.')[2]} {value}" for key, value in flat.items() if _is_penalty(key) and value}
    )
    return f"{name} plus {', '.join(penalties)}" if penalties else name


def _with_settings(loss: Any) -> str:
    """Return a loss as people read it: ``categorical_focal_crossentropy (alpha 0.25, gamma 2.0)``."""
    if not isinstance(loss, Mapping):
        return str(loss)
    given = ", ".join(f"{key} {value}" for key, value in loss.items() if key != "name")
    return f"{loss.get('name')} ({given})" if given else str(loss.get("name"))


def _is_penalty(key: str) -> bool:
    return key.rpartition(".")[2] in ("l1", "l2")


def fold_notes(sides: Sequence[Side]) -> list[str]:
    """Say that the means of cross-validations are over different folds, of which the shared ones are tested."""
    divided = [side for side in sides if side.overlap]
    shared = set.intersection(*(set(side.accuracies) for side in divided)) if divided else set()
    only = [f"{name} of {side.name}" for side in divided for name in side.accuracies if name not in shared]
    if not only:
        return []
    return [f"the means are over different folds ({some(only, 5)} alone); two are tested by the folds that both have"]


def mean_notes(sides: Sequence[Side]) -> list[str]:
    """Say that a mean of runs stands beside a single run, whose figures are more a matter of chance."""
    counts = [(side.name, side.finished or 0) for side in sides]
    means = [f"{name} is the mean of {counted(count, 'run')}" for name, count in counts if count > 1]
    single = [side.name for side in sides if side.finished is None and side.metrics]
    if not means or not single:
        return []
    return [f"{', '.join(means)}; {some(single)} {'is a single run' if len(single) == 1 else 'are single runs'}"]


def time_notes(sides: Sequence[Side], of_results: Sequence[str] = ()) -> list[str]:
    """Say why times must not be held against each other: other devices, images, resolutions, or what they include."""
    finished = [side for side in sides if side.speaker.path(METRICS).is_file()]
    what = "times are not comparable"
    sizes = [(side.name, str(side.settings["resolution"])) for side in finished if side.settings.get("resolution")]
    notes = [
        *_differing(what, "ran on", [(side.name, _device(side.speaker)) for side in finished]),
        *_differing(what, "has resolution", sizes),
        *_differing(what, "has", _image_counts(finished)),
        *(f"{what}: {text}" for text in _shared_start(finished)),
    ]
    return notes or ([f"{what} either: the data is not the same"] if of_results else [])


def _shared_start(sides: Sequence[Side]) -> list[str]:
    """Say where some times include reading the data and starting up, and those of repeats, which share it, do not."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for side in sides:
        names[side.repeats is not None or side.is_repeat].append(side.name)
    if not all(names.values()):
        return []
    without = f"those of {some(names[True])} leave out the data and start-up that repeats share"
    return [f"{without}; those of {some(names[False])} include them"]


def _device(run: Run) -> str:
    device = what_there_is(run, lambda run: run.environment).get("device") or {}
    threads = f", {device['threads']} threads" if device.get("threads") else ""
    return f"{device.get('name', 'an unknown device')}{threads}"


def _image_counts(sides: Sequence[Side]) -> list[tuple[str, str]]:
    """Return name and images of each part, of those that say it; nothing where all have one manifest."""
    known = [side for side in sides if side.speaker.path(MANIFEST).is_file()]
    paths = [side.speaker.path(MANIFEST) for side in known]
    if all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:]):
        return []
    found = []
    for side in known:
        if not damage_of(side.speaker, lambda run: run.manifest):
            counts = sorted(Counter(row["split"] for row in side.speaker.manifest).items())
            found.append((side.name, f"{', '.join(f'{count:,} {split}' for split, count in counts)} images"))
    return found
