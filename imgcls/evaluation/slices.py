"""Parts of the evaluated images that are recognised far worse than the rest: classes, folders, small pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from imgcls.findings import Finding
from imgcls.wording import some

__all__ = ["check_slices", "mantel_haenszel"]

_LEVEL = 0.001
_LEAST = 20  # images in a slice, and outside it
_WORSE = 0.1  # accuracy, classes being alike
_FAR_WORSE = 0.5  # times the accuracy on the other classes
_MANY = 50  # folders: more are no sources
_SHOWN = 5


@dataclass(frozen=True)
class _Slice:
    """Some of the images.

    Attributes:
        words: what they are.
        inside: bool (n,), which they are.
    """

    words: str
    inside: NDArray[np.bool_]


def check_slices(
    labels: NDArray[np.int32],
    predicted: NDArray[np.integer],
    classes: Sequence[str],
    paths: Sequence[str],
    sizes: NDArray[np.uint32],
) -> list[Finding]:
    """Return which classes, source folders and picture sizes are recognised far worse than the rest.

    A folder or a size is held against the rest within each class (Mantel and Haenszel, 1959), so that one with many
    images of a difficult class is not blamed for it.

    Args:
        labels: (n,), true class indices.
        predicted: (n,), predicted ones.
        classes: their names.
        paths: of each image, relative to the data.
        sizes: (n, 2), height and width of each picture as it came.
    """
    right = np.asarray(labels == predicted)
    slices = [*_folders(labels, classes, paths), *_sizes(sizes)]
    return [*_weak_classes(labels, predicted, right, classes), *_weak_slices(labels, right, slices)]


def _weak_classes(
    labels: NDArray[np.int32], predicted: NDArray[np.integer], right: NDArray[np.bool_], classes: Sequence[str]
) -> Iterator[Finding]:
    from scipy.stats import binomtest

    weak = []
    for index in np.unique(labels).tolist():
        inside = labels == index
        if min(inside.sum(), (~inside).sum()) < _LEAST or not np.any(predicted == index):
            continue  # that it is never predicted is told elsewhere
        recall, others = right[inside].mean(), right[~inside].mean()
        p = binomtest(int(right[inside].sum()), int(inside.sum()), float(others), alternative="less").pvalue
        if recall < _FAR_WORSE * others and p * len(classes) < _LEVEL:
            weak.append(f"{classes[index]} {recall:.2f} of {inside.sum():,} (the others {others:.2f})")
    if weak:
        yield Finding("weak_class", f"recognised far less than the other classes: {some(weak, _SHOWN)}")


def _weak_slices(labels: NDArray[np.int32], right: NDArray[np.bool_], slices: Sequence[_Slice]) -> Iterator[Finding]:
    tested = [each for each in slices if min(each.inside.sum(), (~each.inside).sum()) >= _LEAST]
    for each in tested:
        difference, p = mantel_haenszel(labels, each.inside, right)
        if difference <= -_WORSE and p * len(tested) < _LEVEL:  # Bonferroni
            inside, outside = right[each.inside].mean(), right[~each.inside].mean()
            yield Finding(
                "weak_slice",
                f"of {each.words} ({each.inside.sum():,}) {inside:.2f} are recognised, of the others {outside:.2f}, "
                f"{-100 * difference:.0f} points less of the same classes",
            )


def _folders(labels: NDArray[np.int32], classes: Sequence[str], paths: Sequence[str]) -> Iterator[_Slice]:
    """Give the folders that images of several classes come from, the folder of the class itself left out."""
    sources = np.array([_source(path, classes[label]) for path, label in zip(paths, labels.tolist(), strict=True)])
    found = np.unique(sources)
    if 2 <= len(found) <= _MANY:
        for source in found.tolist():
            yield _Slice(f"the images in {some([source or '.'])}", sources == source)


def _source(path: str, name: str) -> str:
    return "/".join(part for part in PurePosixPath(path).parts[:-1] if part != name)


def _sizes(sizes: NDArray[np.uint32]) -> Iterator[_Slice]:
    """Give the smallest and the largest quarter of the pictures, where they differ in size."""
    pixels = sizes.astype(np.int64).prod(axis=1)
    low, high = np.quantile(pixels, [0.25, 0.75])
    if low < high:
        yield _Slice(f"the pictures of at most {low:,.0f} pixels", pixels <= low)
        yield _Slice(f"the pictures of at least {high:,.0f} pixels", pixels >= high)


def mantel_haenszel(
    strata: NDArray[np.integer], inside: NDArray[np.bool_], right: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return how much more often the images inside are right than those outside of the same stratum, and the p-value.

    The difference is the strata's, weighted by how much they tell (Greenland and Robins, 1985); the test that of Mantel
    and Haenszel (1959), two-sided, without correction for continuity.

    Args:
        strata: (n,), which stratum each image is of.
        inside: (n,), whether it is in the slice.
        right: (n,), whether it was recognised.
    """
    from scipy.stats import chi2

    deviation = variance = difference = weight = 0.0
    for stratum in np.unique(strata):
        of_stratum = strata == stratum
        n, n_inside = int(of_stratum.sum()), int((of_stratum & inside).sum())
        n_outside, n_right = n - n_inside, int((of_stratum & right).sum())
        if n < 2 or not n_inside or not n_outside:
            continue
        right_inside = int((of_stratum & inside & right).sum())
        deviation += right_inside - n_inside * n_right / n
        variance += n_inside * n_outside * n_right * (n - n_right) / (n**2 * (n - 1))
        difference += (right_inside * n_outside - (n_right - right_inside) * n_inside) / n
        weight += n_inside * n_outside / n
    if not variance:
        return 0.0, 1.0
    return difference / weight, float(chi2.sf(deviation**2 / variance, 1))
