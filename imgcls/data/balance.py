"""What the counts of images tell: classes that are rare, and parts that do not resemble each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgcls.findings import Finding
from imgcls.wording import counted, some

__all__ = ["check_balance", "count_classes"]

_UNEQUAL = 10  # times as many images in the largest class as in the smallest
_FEW = 10  # training images of a class
_SHIFT = 0.1  # total variation distance: so many of the images would have to be of another class
_SURE = 0.001  # p-value below which shares are not the same
_SHOWN = 5


def count_classes(
    labels: NDArray[np.int32], splits: Mapping[str, NDArray[np.int64]], classes: int
) -> dict[str, NDArray[np.int64]]:
    """Return part → how many images of each class it has, (classes,)."""
    return {part: np.bincount(labels[rows], minlength=classes) for part, rows in splits.items()}


def check_balance(classes: Sequence[str], counts: Mapping[str, NDArray[np.int64]]) -> list[Finding]:
    """Return what the user should know of the counts.

    Args:
        counts: as ``count_classes`` gives them; ``train`` is among the parts.
    """
    found = _Counts(classes, counts)
    return [finding for look in _LOOKS for finding in look(found)]


@dataclass(frozen=True)
class _Counts:
    classes: Sequence[str]
    parts: Mapping[str, NDArray[np.int64]]

    @property
    def train(self) -> NDArray[np.int64]:
        return self.parts["train"]


def _few(counts: _Counts) -> Iterator[Finding]:
    rare = [
        f"{name} {count}" for name, count in zip(counts.classes, counts.train.tolist(), strict=True) if count < _FEW
    ]
    if rare:
        yield Finding(
            "few_images",
            f"{counted(len(rare), 'class', 'classes')} of {len(counts.classes):,} with fewer than {_FEW} training "
            f"images: {some(rare, _SHOWN)}; what they score is a matter of chance",
        )


def _unequal(counts: _Counts) -> Iterator[Finding]:
    least, most = int(counts.train.argmin()), int(counts.train.argmax())
    low, high = int(counts.train[least]), int(counts.train[most])
    if low and high >= _UNEQUAL * low:
        names = [counts.classes[index] for index in (most, least)]
        yield Finding(
            "imbalanced",
            f"{some(names[:1])} has {high:,} training images, {some(names[1:])} {low:,}: always predicting the former "
            f"scores {high / counts.train.sum():.2f}",
        )


def _shifted(counts: _Counts) -> Iterator[Finding]:
    """Tell of parts whose classes have other shares: a chi-square test of homogeneity, and a distance that matters."""
    top = int(counts.train.argmax())
    for part, images in counts.parts.items():
        if part == "train" or not images.sum():
            continue
        shares = [each / each.sum() for each in (counts.train, images)]
        distance = np.abs(shares[0] - shares[1]).sum() / 2
        if distance >= _SHIFT and _differ(counts.train, images):
            yield Finding(
                "prior_shift",
                f"classes have other shares in {part} than in train: {100 * distance:.0f} % of the images would have "
                f"to be of another class; always predicting {some([counts.classes[top]])} scores {shares[0][top]:.2f} "
                f"on train and {shares[1][top]:.2f} on {part}",
            )


def _differ(train: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    from scipy.stats import chi2_contingency

    table = np.stack([train, other])
    table = table[:, table.sum(axis=0) > 0]
    return bool(chi2_contingency(table, correction=False).pvalue < _SURE)


_LOOKS: tuple[Callable[[_Counts], Iterator[Finding]], ...] = (_few, _unequal, _shifted)
