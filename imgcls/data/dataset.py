"""A data set as everything else sees it: prepared pixels, labels, and the rows of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from imgcls.data.balance import check_balance, count_classes
from imgcls.data.cache import Cache
from imgcls.data.images import Geometry
from imgcls.data.listing import Listing, select_classes, tell_similar
from imgcls.data.parts import PARTS, PartSources
from imgcls.data.preparation import prepare
from imgcls.data.problems import raise_problems
from imgcls.data.sources import list_path, list_source
from imgcls.data.splits import assign_folds, carve, check_parts, limit_part, ranks
from imgcls.data.store import Prepared
from imgcls.errors import DataError
from imgcls.findings import Finding
from imgcls.spec.data import DEFAULT_TEST, DEFAULT_VALIDATION, DataSpec
from imgcls.wording import counted, some

__all__ = ["Dataset", "load_dataset", "load_images"]

SHOWN = 6  # duplicates named in a finding
MAX_IMAGES = 100  # or groups of them, that a finding keeps
DEFAULT_FRACTIONS = {"validation": DEFAULT_VALIDATION, "test": DEFAULT_TEST}


@dataclass(frozen=True)
class Dataset:
    """Images, labels and the division into parts.

    Attributes:
        images: uint8 (n, height, width, channels) in 0..255, memory-mapped, read-only.
        labels: int32 (n,), index into ``classes``.
        paths: a unique name of each image: the path relative to the data folder, or ``x_train[17]``.
        sha256: uint8 (n, 32), of the file's bytes, or of an array's shape, type and pixels.
        sizes: uint32 (n, 2), height and width of each picture as it came, in pixels.
        splits: ``train``, ``validation``, ``test`` and ``fold``, as far as there are → rows, ascending.
        parts: where each part came from, as a spec would say it; empty for images that were not divided.
        findings: what the user should be told.
        key: names the prepared store.
        groups: int64 (n,), which group each image is of, counted from 0; None where the data has no groups.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    paths: tuple[str, ...]
    sha256: NDArray[np.uint8]
    sizes: NDArray[np.uint32]
    classes: tuple[str, ...]
    splits: Mapping[str, NDArray[np.int64]]
    parts: Mapping[str, str | float | None]
    findings: tuple[Finding, ...]
    key: str
    groups: NDArray[np.int64] | None = None

    @property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Part → how many images of each class it has, (classes,)."""
        return count_classes(self.labels, self.splits, len(self.classes))


def load_dataset(
    data: DataSpec,
    *,
    base: Path,
    resolution: tuple[int, int] | None,
    color: str | None,
    resize: Literal["stretch", "crop", "pad"],
    cache: Cache,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """List, prepare and divide the images of a spec.

    Args:
        data: what the spec says of the data.
        base: the folder that ``data.path`` is relative to.
        resolution: height and width; None for that of arrays, or 64 x 64 for files.
        color: ``rgb`` or ``grayscale``; None for that of arrays, or ``rgb`` for files.
        resize: how other shapes become that one: ``stretch``, ``crop`` or ``pad``.
        cache: where prepared data is kept.
        progress: called with (images done, images in all) while images are decoded.

    Raises:
        DataError: the data is missing, broken, or does not fit the spec.
        RunError: the prepared data cannot be written.
    """
    listed, sources = list_source(data, base, DEFAULT_FRACTIONS)
    listing = select_classes(listed, data.classes)
    given = tuple(sources.names)
    check_parts(listing.origin, listing.classes, listing.labels, listing.parts, given)
    geometry = _geometry(listing, resolution, color, resize)
    key, prepared, odd = prepare(listing, geometry, cache, on_bad_image=data.on_bad_image, progress=progress)
    if len(prepared.rows) < len(listing.ids):  # a class may consist of unreadable images
        check_parts(listing.origin, listing.classes, prepared.labels, listing.parts[prepared.rows], given)
    splits = _divide(data, listing.take(prepared.rows), prepared, sources)
    counts = count_classes(prepared.labels, splits, len(listing.classes))
    of_classes = (*tell_similar(listing.classes), *check_balance(listing.classes, counts))
    findings = (*listing.findings, *odd, *_duplicates(prepared, splits), *of_classes)
    told = [finding for finding in findings if finding.code not in data.allow]
    return _dataset(listing, prepared, splits, sources.in_force, told, key)


def load_images(
    path: Path,
    *,
    classes: Sequence[str],
    resolution: tuple[int, int],
    color: str,
    resize: Literal["stretch", "crop", "pad"],
    cache: Cache,
    part: str | None = None,
    on_bad_image: Literal["error", "skip"] = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Prepare all images of a folder, CSV or npz file as one split called ``data``, by the given order of classes.

    With ``part``, only those of one part: a sub-folder, a value of the column split, or a part's arrays.

    Raises:
        DataError: the data is missing or broken, has a class that is not among ``classes``, or has no such part; or
            it is a folder of parts and none was chosen.
        RunError: the prepared data cannot be written.
    """
    listing = select_classes(list_path(path, part=part, classes=classes), classes, strict=True)
    if not listing.ids:
        raise DataError(f"{listing.origin} has no images")
    geometry = _geometry(listing, resolution, color, resize)
    key, prepared, odd = prepare(listing, geometry, cache, on_bad_image=on_bad_image, progress=progress)
    if not len(prepared.rows):
        raise DataError(f"{listing.origin} has no readable image")
    counts = np.bincount(prepared.labels, minlength=len(classes))
    absent = [name for name, count in zip(classes, counts, strict=True) if not count]
    findings = [*listing.findings, *odd]
    if absent:
        findings.append(Finding("classes_without_images", f"{listing.origin} has no images of {some(absent)}"))
    return _dataset(listing, prepared, {"data": np.arange(len(prepared.rows))}, {}, findings, key)


def _geometry(
    listing: Listing, resolution: tuple[int, int] | None, color: str | None, resize: Literal["stretch", "crop", "pad"]
) -> Geometry:
    own_resolution, own_color = listing.natural
    return Geometry(resolution or own_resolution, cast("Literal['rgb', 'grayscale']", color or own_color), resize)


def _divide(data: DataSpec, listing: Listing, prepared: Prepared, sources: PartSources) -> dict[str, NDArray[np.int64]]:
    """Carve what is a fraction out of the training images, then apply the limits."""
    parts = listing.parts.copy()
    _check_groups(listing)
    rank = ranks(data.split_seed, prepared.sha256, listing.ids)

    def tied(rows: NDArray[np.int64]) -> _Tied:
        groups = None if listing.groups is None else [listing.groups[row] for row in rows]
        return prepared.labels[rows], prepared.sha256[rows], groups, rank[rows]

    def limited(part: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        limit = getattr(data.limit, part)
        return rows if limit is None else limit_part(rows, prepared.labels, rank, limit, part)

    fractions, held = sources.fractions, {}
    if data.fold is not None:  # validation images are taken from what the fold leaves
        fractions = {part: share for part, share in fractions.items() if part == "test"}
    own = np.flatnonzero(parts == PARTS.index("train"))
    parts[own] = carve(*tied(own), fractions, listing.classes)
    if data.fold is not None:
        pool = limited("train", np.flatnonzero(parts == PARTS.index("train")))
        fold = assign_folds(*tied(pool), data.fold.of, listing.classes)
        held["fold"], rest = pool[fold == data.fold.index], pool[fold != data.fold.index]
        parts[own[parts[own] == 0]] = -1
        later = {part: share for part, share in sources.fractions.items() if part == "validation"}
        parts[rest] = carve(*tied(rest), later, listing.classes)
    splits = {
        part: limited(part, np.flatnonzero(parts == index))
        for index, part in enumerate(PARTS)
        if part in sources.names or part in sources.fractions
    } | held
    if data.merge_validation and "validation" in splits:
        splits["train"] = np.sort(np.concatenate([splits["train"], splits.pop("validation")]))
    return splits


_Tied = tuple[NDArray[np.int32], NDArray[np.uint8], list[str] | None, NDArray[np.uint64]]


def _check_groups(listing: Listing) -> None:
    """Refuse parts that the user gave and that a group stands in two of."""
    if listing.groups is None:
        return
    seen: dict[str, set[str]] = {}
    for group, part in zip(listing.groups, listing.parts.tolist(), strict=True):
        seen.setdefault(group, set()).add(PARTS[part])
    torn = [f"group {group} stands in {' and '.join(sorted(parts))}" for group, parts in seen.items() if len(parts) > 1]
    raise_problems(f"{listing.origin} has groups that fall into two parts", torn)


def _duplicates(prepared: Prepared, splits: Mapping[str, NDArray[np.int64]]) -> list[Finding]:
    """Tell of images with the same content in two parts, and of those with two labels."""
    used = np.concatenate(list(splits.values()))
    part = np.repeat(np.arange(len(splits)), [len(rows) for rows in splits.values()])
    content = np.unique(np.ascontiguousarray(prepared.sha256[used]).view("S32").reshape(-1), return_inverse=True)[1]
    findings = []
    order = np.lexsort((used, part, content))
    for code, value, text in (
        ("duplicate_across_splits", part, "stand in two splits with the same content"),
        ("duplicate_across_classes", prepared.labels[used], "have the same content and different classes"),
    ):
        low = np.full(content.max() + 1, np.iinfo(np.int64).max)
        high = np.full(content.max() + 1, -1)
        np.minimum.at(low, content, value)
        np.maximum.at(high, content, value)
        concerned = order[(low != high)[content[order]]]
        if len(concerned):
            names = list(splits)
            first = [f"{prepared.paths[used[row]]} ({names[part[row]]})" for row in concerned[:SHOWN]]
            listed = some(first, SHOWN, total=len(concerned))
            distinct = counted(int((low != high).sum()), "picture")
            message = f"{len(concerned):,} images ({distinct}) {text}: {listed}"
            findings.append(Finding(code, message, images=_groups(prepared, used, content, concerned)))
    return findings


def _groups(
    prepared: Prepared, used: NDArray[np.int64], content: NDArray[np.intp], concerned: NDArray[np.intp]
) -> tuple[tuple[str, ...], ...]:
    """Return the paths of images with the same content, group by group; ``concerned`` is in the order of content."""
    ends = np.flatnonzero(np.diff(content[concerned])) + 1
    groups = np.split(concerned, ends[:MAX_IMAGES])[:MAX_IMAGES]
    return tuple(tuple(prepared.paths[used[row]] for row in group[:SHOWN].tolist()) for group in groups)


def _dataset(
    listing: Listing,
    prepared: Prepared,
    splits: Mapping[str, NDArray[np.int64]],
    parts: Mapping[str, str | float | None],
    findings: Sequence[Finding],
    key: str,
) -> Dataset:
    return Dataset(
        images=prepared.images,
        labels=prepared.labels,
        paths=prepared.paths,
        sha256=prepared.sha256,
        sizes=prepared.sizes,
        classes=listing.classes,
        groups=None if listing.groups is None else _numbers([listing.groups[row] for row in prepared.rows]),
        splits=dict(splits),
        parts=dict(parts),
        findings=tuple(findings),
        key=key,
    )


def _numbers(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of each name among all of them, which tells nobody who it is."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
