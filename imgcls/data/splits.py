"""Which image trains, validates and tests: stratified, seeded, by group, whatever the order of the listing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from imgcls.data.parts import PARTS
from imgcls.data.problems import raise_problems
from imgcls.errors import DataError
from imgcls.wording import counted

__all__ = ["assign_folds", "carve", "check_parts", "limit_part", "ranks"]

LEAST_CLASSES = 2  # with one, every network is always right

Rows = NDArray[np.int64]


def ranks(seed: int, hashes: NDArray[np.uint8], ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return a pseudo-random number for each image that depends on the seed, its content and its name alone."""
    start = hashlib.sha256(f"split {seed} ".encode())
    result = np.empty(len(ids), np.uint64)
    for row, (digest, name) in enumerate(zip(hashes, ids, strict=True)):
        each = start.copy()
        each.update(digest.tobytes())
        each.update(name.encode())
        result[row] = int.from_bytes(each.digest()[:8], "big")
    return result


def carve(
    labels: NDArray[np.int32],
    hashes: NDArray[np.uint8],
    groups: Sequence[str] | None,
    rank: NDArray[np.uint64],
    fractions: Mapping[str, float],
    classes: Sequence[str],
) -> NDArray[np.int8]:
    """Return the part of each image, int8 (n,) into ``PARTS``.

    Images of one group, or of the same content, fall into one part. Each class keeps its share in each part as far as
    groups allow, and every class has an image in every part.

    Args:
        labels: int (n,), index into ``classes``.
        hashes: uint8 (n, 32), of the content.
        groups: the group of each image; None if only equal content ties images.
        rank: uint64 (n,), decides among equals.
        fractions: part → share of all images; what is left trains.
        classes: their names, for messages.

    Raises:
        DataError: a class has too few images, or too few groups, for the parts.
    """
    result = np.zeros(len(labels), np.int8)
    parts = [0, *(PARTS.index(part) for part in ("test", "validation") if part in fractions)]
    if len(parts) == 1:
        return result
    _check_enough(labels, len(parts), parts, classes)
    targets = _targets(labels, fractions, parts, len(classes))
    room = {part: list(values) for part, values in targets.items()}
    unit = _units(hashes, groups)
    sizes = np.bincount(unit)
    clusters = _clusters(unit, sizes, labels, rank)
    for rows, counts in clusters:
        part = _best_part(counts, room, targets)
        result[rows] = part
        for label, count in counts.items():
            room[part][label] -= count
    single = np.flatnonzero(sizes[unit] == 1)
    order = single[np.lexsort((rank[single], labels[single]))]
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []:
        label, start = int(labels[rows[0]]), 0
        for part in parts[1:]:
            stop = start + max(0, room[part][label])
            result[rows[start:stop]] = part
            start = stop
    if clusters:
        _repair(result, labels, unit, rank, sorted(parts))
    _check_carved(result, labels, unit, parts, classes, grouped=groups is not None)
    return result


def assign_folds(
    labels: NDArray[np.int32],
    hashes: NDArray[np.uint8],
    groups: Sequence[str] | None,
    rank: NDArray[np.uint64],
    count: int,
    classes: Sequence[str],
) -> NDArray[np.int8]:
    """Return the fold of each image, int8 (n,) from 1 to ``count``: stratified, and by group, as ``carve``.

    Args:
        labels: int (n,), index into ``classes``.
        hashes: uint8 (n, 32), of the content.
        groups: the group of each image; None if only equal content ties images.
        rank: uint64 (n,), decides among equals.
        count: of the folds.
        classes: their names, for messages.

    Raises:
        DataError: a class has too few images, or too few groups, for the folds.
    """
    _check_folds(labels, _units(hashes, groups), count, classes, grouped=groups is not None)
    result = np.full(len(labels), count, np.int8)
    for fold in range(1, count):
        left = np.flatnonzero(result == count)
        own = None if groups is None else [groups[row] for row in left.tolist()]
        share = {"test": 1 / (count - fold + 1)}
        try:
            taken = carve(labels[left], hashes[left], own, rank[left], share, classes) > 0
        except DataError as error:
            reason = "what is tied by group or content is too unequal for every class in every fold"
            raise DataError(f"{_unfolded(count)}: {reason}") from error
        result[left[taken]] = fold
    return result


def limit_part(rows: Rows, labels: NDArray[np.int32], rank: NDArray[np.uint64], limit: int, name: str) -> Rows:
    """Return at most ``limit`` of a part's rows, ascending, with the classes' shares kept and none lost.

    Raises:
        DataError: the limit is below the number of classes.
    """
    if limit >= len(rows):
        return rows
    own = labels[rows]
    present, counts = np.unique(own, return_counts=True)
    if limit < len(present):
        raise DataError(f"data.limit.{name} is {limit}; each of the {len(present)} classes needs an image")
    exact = counts * (limit / len(rows))
    quota = np.maximum(1, np.floor(exact)).astype(np.int64)
    for index in np.argsort(quota - exact, kind="stable"):  # largest remainders first
        if quota.sum() < limit:
            quota[index] += 1
    while quota.sum() > limit:  # classes that were raised to one image take it from the largest
        quota[np.argmax(quota)] -= 1
    chosen = []
    for label, count in zip(present, quota, strict=True):
        of_class = rows[own == label]
        chosen.append(of_class[np.argsort(rank[of_class], kind="stable")[:count]])
    return np.sort(np.concatenate(chosen))


def check_parts(
    origin: str, classes: Sequence[str], labels: NDArray[np.int32], parts: NDArray[np.int8], given: Sequence[str]
) -> None:
    """Check that there are two classes and that each stands in each given part.

    Raises:
        DataError: names every class and part that do not fit.
    """
    if len(classes) < LEAST_CLASSES:
        only = f" ({classes[0]})" if classes else ""
        raise DataError(f"{origin} has {counted(len(classes), 'class', 'classes')}{only}; at least two are needed")
    count = {part: np.bincount(labels[parts == PARTS.index(part)], minlength=len(classes)) for part in given}
    problems = []
    for index, name in enumerate(classes):
        missing = [part for part in given if not count[part][index]]
        if len(missing) == len(given):
            problems.append(f"class {name} has no image")
        elif "train" in missing:
            there = next(part for part in given if part not in missing)
            problems.append(f"class {name} stands in {there}, but train has no image of it")
        else:
            problems += [f"class {name} has no image in {part}" for part in missing]
    raise_problems(f"{origin} does not have every class in every part", problems)


def _check_enough(labels: NDArray[np.int32], needed: int, parts: list[int], classes: Sequence[str]) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    raise_problems(
        _undivided(parts),
        [
            f"class {classes[label]} has {counted(int(counts[label]), 'image')}; {_names(parts)} need one each"
            for label in np.flatnonzero(counts < needed).tolist()
        ],
    )


def _targets(
    labels: NDArray[np.int32], fractions: Mapping[str, float], parts: list[int], classes: int
) -> dict[int, list[int]]:
    """Return part → how many images of each class it should have; at least one."""
    counts = np.bincount(labels, minlength=classes)
    room = {part: np.maximum(1, np.floor(counts * fractions[PARTS[part]] + 0.5)).astype(int) for part in parts[1:]}
    while (short := np.flatnonzero(sum(room.values()) >= counts)).size:  # leave one to train on
        largest = max(room, key=lambda part: int(room[part][short[0]]))
        room[largest][short[0]] -= 1
    room[0] = counts - sum(room.values())
    return {part: values.tolist() for part, values in room.items()}


def _units(hashes: NDArray[np.uint8], groups: Sequence[str] | None) -> Rows:
    """Return the number of the unit of each image: those tied by group or equal content, also through others."""
    content = np.unique(np.ascontiguousarray(hashes).view("S32").reshape(-1), return_inverse=True)[1]
    if groups is None:
        return content.astype(np.int64)
    group = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)[1] + content.max() + 1
    parent = list(range(int(group.max()) + 1))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in zip(content.tolist(), group.tolist(), strict=True):
        parent[root(one)] = root(other)
    return np.unique([root(node) for node in content.tolist()], return_inverse=True)[1].astype(np.int64)


def _clusters(
    unit: Rows, sizes: Rows, labels: NDArray[np.int32], rank: NDArray[np.uint64]
) -> list[tuple[Rows, dict[int, int]]]:
    """Return rows and class counts of each unit of several images, the largest first."""
    tied = np.flatnonzero(sizes[unit] > 1)
    by_unit: dict[int, list[int]] = defaultdict(list)
    for row in tied.tolist():
        by_unit[int(unit[row])].append(row)
    members = [np.array(rows) for rows in by_unit.values()]
    members.sort(key=lambda rows: (-len(rows), int(rank[rows].min())))
    return [(rows, dict(Counter(labels[rows].tolist()))) for rows in members]


def _best_part(counts: Mapping[int, int], room: Mapping[int, list[int]], targets: Mapping[int, list[int]]) -> int:
    """Return the part that a unit overfills least, and of those the one that is emptiest in proportion."""

    def cost(part: int) -> tuple[int, float, int]:
        left, target = room[part], targets[part]
        over = sum(max(0, count - max(0, left[label])) for label, count in counts.items())
        return over, -sum(count * left[label] / max(1, target[label]) for label, count in counts.items()), part

    return min(targets, key=cost)


def _repair(
    result: NDArray[np.int8], labels: NDArray[np.int32], unit: Rows, rank: NDArray[np.uint64], parts: list[int]
) -> None:
    """Move units into parts that lack a class, the smallest first, while no part loses its last image of another."""
    for part in parts:
        for label in np.setdiff1d(labels, labels[result == part]):
            rows = np.flatnonzero(labels == label)
            candidates = {int(unit[row]): row for row in rows[np.argsort(rank[rows], kind="stable")]}
            for number in sorted(candidates, key=lambda each: int((unit == each).sum())):
                moved = unit == number
                source = result == result[candidates[number]]
                if np.isin(labels[moved], labels[source & ~moved]).all():
                    result[moved] = part
                    break


def _check_folds(labels: NDArray[np.int32], unit: Rows, count: int, classes: Sequence[str], *, grouped: bool) -> None:
    problems = []
    for label in np.unique(labels):
        of_class = labels == label
        if len(np.unique(unit[of_class])) < count:
            have = _in_units(of_class, unit, grouped=grouped)
            problems.append(f"class {classes[label]} has {have}; {count} folds need one each")
    raise_problems(_unfolded(count), problems)


def _check_carved(
    result: NDArray[np.int8],
    labels: NDArray[np.int32],
    unit: Rows,
    parts: list[int],
    classes: Sequence[str],
    *,
    grouped: bool,
) -> None:
    problems = []
    for label in np.unique(labels):
        of_class = labels == label
        if len(np.unique(result[of_class])) < len(parts):
            have = _in_units(of_class, unit, grouped=grouped)
            problems.append(f"class {classes[label]} has {have}; {_names(parts)} need one each")
    raise_problems(_undivided(parts), problems)


def _in_units(of_class: NDArray[np.bool_], unit: Rows, *, grouped: bool) -> str:
    images, units = int(of_class.sum()), len(np.unique(unit[of_class]))
    if not grouped and units == images:
        return counted(images, "image")
    return f"{counted(images, 'image')} in {counted(units, 'group' if grouped else 'different image')}"


def _names(parts: Sequence[int]) -> str:
    names = [PARTS[part] for part in sorted(parts)]
    return ", ".join(names[:-1]) + " and " + names[-1]


def _undivided(parts: Sequence[int]) -> str:
    none = " or ".join(f"data.{PARTS[part]}: none" for part in sorted(parts) if part)
    return f"the data cannot be divided (add images, leave the class out with data.classes, or set {none})"


def _unfolded(count: int) -> str:
    fewer = "add images, leave the class out with data.classes, or ask for fewer folds"
    return f"the data cannot be divided into {count} folds ({fewer})"
