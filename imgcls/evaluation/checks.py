"""What would embarrass the user later, found in the confusion matrix of a result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcls.evaluation.alignment import Alignment, alignment
from imgcls.evaluation.metrics import accuracy_interval
from imgcls.findings import Finding
from imgcls.spec.reported import ReportedSpec
from imgcls.wording import some

__all__ = [
    "DEGENERATE_CODES",
    "LEVEL",
    "beside",
    "check_matrix",
    "check_one_class",
    "check_reported",
    "check_result",
    "p_of_gain",
]

# With one of these the result means nothing; ``--strict`` then ends with exit code 4.
DEGENERATE_CODES = frozenset({"classes_permuted", "one_class_predicted", "predictions_at_chance"})

MAX_NAMES = 10

LEVEL = 0.05
_SLIGHT = 0.2  # kappa, of an agreement that is slight at best (Landis and Koch, 1977)
_ROUNDING = 1e-9  # of kappa
_NEARLY_ALL = 0.95  # of the predictions
_RARELY = 0.2  # the other classes are predicted less often than this share of their images


def check_result(metrics: Mapping[str, Any]) -> list[Finding]:
    """Return what is suspicious about a result.

    Args:
        metrics: as ``compute_metrics`` returns them.
    """
    return check_matrix(metrics["classes"], metrics["confusion_matrix"])


def check_reported(reported: ReportedSpec) -> list[Finding]:
    """Return what is suspicious about a published confusion matrix; its codes begin with ``reported_``."""
    if not sum(map(sum, reported.confusion_matrix)):
        return []
    names = list(reported.per_class)
    if len(names) != len(reported.confusion_matrix):
        names = [f"class {number}" for number in range(1, len(reported.confusion_matrix) + 1)]
    return [
        Finding(f"reported_{finding.code}", f"confusion_matrix: {finding.message}")
        for finding in check_matrix(names, reported.confusion_matrix)
    ]


def check_matrix(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[Finding]:
    """Return what is suspicious about a confusion matrix.

    Args:
        matrix: (classes, classes), rows true, columns predicted; not empty.
    """
    counts = np.asarray(matrix, np.int64)
    found = _Result(classes, counts, alignment(counts))
    return [finding for look in _LOOKS for finding in look(found)]


def check_one_class(classes: Sequence[str], matrix: NDArray[np.int64]) -> list[Finding]:
    """Return whether (nearly) all predictions of a confusion matrix are of one class; of all checks the quickest."""
    return list(_one_class(_Result(classes, matrix, None)))


@dataclass(frozen=True)
class _Result:
    """A confusion matrix, and whether its rows and columns have to do with each other."""

    classes: Sequence[str]
    counts: NDArray[np.int64]
    alignment: Alignment | None

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    @property
    def images(self) -> NDArray[np.int64]:
        """Of each class."""
        return self.counts.sum(axis=1)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """Of each class."""
        return self.counts.sum(axis=0)

    @property
    def correct(self) -> int:
        return int(np.trace(self.counts))

    @property
    def majority(self) -> float:
        """What always predicting the most frequent class would score."""
        return float(self.images.max() / self.n)


def _one_class(result: _Result) -> Iterator[Finding]:
    top = int(result.predictions.argmax())
    share, real = result.predictions[top] / result.n, result.images[top] / result.n
    name = some([result.classes[top]])
    if share == 1:
        message = f"all {result.n:,} images were predicted as {name}: the network tells nothing apart"
        yield Finding("one_class_predicted", message)
    elif share >= _NEARLY_ALL and 1 - share < _RARELY * (1 - real):
        yield Finding(
            "nearly_one_class_predicted",
            f"{_percent(share)} of the images were predicted as {name}, which {_percent(real)} are: the network hardly "
            "tells classes apart",
        )


def _never_predicted(result: _Result) -> Iterator[Finding]:
    never = [
        name
        for name, predictions, images in zip(result.classes, result.predictions, result.images, strict=True)
        if not predictions and images  # a class without images need not be predicted
    ]
    if never and np.count_nonzero(result.predictions) > 1:
        message = f"{len(never):,} of {len(result.classes):,} classes never predicted: {some(never, MAX_NAMES)}"
        yield Finding("classes_never_predicted", message)


def _chance(result: _Result) -> Iterator[Finding]:
    found = result.alignment
    if found is not None and found.p >= LEVEL and found.kappa < _SLIGHT:  # of few images more may be chance, or not
        yield Finding(
            "predictions_at_chance",
            f"at chance: predictions and labels are not aligned (Cohen's kappa {found.kappa:z.2f}, independence of the "
            f"{result.n:,} p = {found.p:.2f})",
        )


def _misplaced(result: _Result) -> Iterator[Finding]:
    """Tell of predictions that depend on the labels, but meet their own no more often than others."""
    found = result.alignment
    if found is None or found.p >= LEVEL or not found.judged:
        return
    low, _ = accuracy_interval(found.matched, found.judged)
    _, high = accuracy_interval(result.correct, result.n)
    if low > max(high, result.majority):
        yield Finding(
            "classes_permuted",
            f"accuracy is {result.correct / result.n:.3f}, and would be {found.matched / found.judged:.3f} if the "
            "predicted classes stood for others, which half of the images told and the other half confirms",
        )
    elif found.kappa < _ROUNDING:
        yield Finding(
            "predictions_at_chance",
            f"at chance: the right class is predicted no more often than by chance (Cohen's kappa {found.kappa:z.2f})",
        )


def _majority(result: _Result) -> Iterator[Finding]:
    top = int(result.images.argmax())
    known = int(result.counts[top, top])
    gains, losses = result.correct - known, int(result.images[top]) - known
    p = p_of_gain(gains, losses)
    if p >= LEVEL:
        yield Finding(
            "not_better_than_majority",
            f"accuracy {result.correct / result.n:.3f} {beside(gains - losses)} always predicting the most frequent "
            f"class ({result.majority:.3f}): it gains {gains:,} images and loses {losses:,}, exact p = {p:.2f}",
        )


def p_of_gain(gains: int, losses: int) -> float:
    """Return how often chance gains as many images of those gained or lost (McNemar, 1947, exact and one-sided)."""
    from scipy.stats import binomtest

    return float(binomtest(gains, gains + losses, alternative="greater").pvalue) if gains + losses else 1.0


def beside(gained: int) -> str:
    """Return how an accuracy stands to another that no test has shown it to be above."""
    return "cannot be told from that of" if gained > 0 else "is not better than"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


_LOOKS: tuple[Callable[[_Result], Iterator[Finding]], ...] = (
    _one_class,
    _never_predicted,
    _chance,
    _misplaced,
    _majority,
)
