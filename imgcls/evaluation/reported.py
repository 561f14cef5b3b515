"""Published figures: held against the measured ones, and those that cannot be true whatever was measured.

A published figure is a rounded one: every check here takes it for anything that rounds to it, so that no true
figure is ever called impossible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

from imgcls.findings import Finding
from imgcls.spec.reported import AGREEMENTS, EXACT, FIGURES, LOSSES, SHARES, FigureSpec, PublishedClass, ReportedSpec
from imgcls.wording import counted, shown

__all__ = ["IMPOSSIBLE", "hold_against", "impossible", "measured_figures", "reported_rows"]

IMPOSSIBLE = "reported_impossible"

SINGLE_PRECISION = 1e-6  # of a figure: what Keras' sums in float32 leave open, however many decimals are printed
MAX_DECIMALS = 7  # more are noise of the arithmetic
MAX_TRIED = 10_000  # of so many possible counts, one always fits
NO_LIMIT = 10**15

Matrix = Sequence[Sequence[int]]


def hold_against(reported: ReportedSpec, measured: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row for each published figure, ready for JSON, in the order of ``ReportedSpec``.

    A row has ``figure``, ``published``, ``measured`` (None: it was not), ``difference`` (measured - published),
    ``tolerance`` (None: not judged) and ``agrees`` (True, False or None); where several runs were published,
    ``published`` is their mean, and ``mean``, ``sd``, ``min`` and ``max`` are there too.
    """
    figures = reported.figures.items()
    return [_held(name, figure, measured.get(name), reported.tolerance_of(name)) for name, figure in figures]


def _held(name: str, figure: FigureSpec, measured: float | None, tolerance: float | None) -> dict[str, Any]:
    known = float(measured) if measured is not None and math.isfinite(measured) else None
    difference = None if known is None else known - figure.published
    agrees = None if difference is None or tolerance is None else abs(difference) <= tolerance + 1e-9
    row = {
        "figure": name,
        "published": figure.published,
        "measured": known,
        "difference": difference,
        "tolerance": tolerance,
        "agrees": agrees,
    }
    spread = {"mean": figure.mean, "sd": figure.sd, "min": figure.min, "max": figure.max}
    return row if figure.mean is None else row | spread


def measured_figures(
    metrics: Mapping[str, Any], history_row: Mapping[str, Any], seconds: float | None
) -> dict[str, float]:
    """Return what one run measured, by the names of ``ReportedSpec``; what has no value is left out.

    Args:
        metrics: as in ``metrics.json``.
        history_row: the row of ``history.csv`` of the best epoch.
        seconds: of training.
    """
    found = {name: metrics.get(name) for name in FIGURES} | {
        "train_accuracy": history_row.get("accuracy"),
        "train_loss": history_row.get("loss"),
        "val_accuracy": history_row.get("val_accuracy"),
        "val_loss": history_row.get("val_loss"),
        "seconds": seconds,
    }
    numbers = ((name, found[name]) for name in FIGURES)
    return {name: float(value) for name, value in numbers if isinstance(value, Real) and math.isfinite(value)}


def reported_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return the rows of ``hold_against`` as people read them: figure, published, measured, verdict."""
    return [(row["figure"], _published(row), _measured(row), _verdict(row)) for row in rows]


def _published(row: Mapping[str, Any]) -> str:
    if row.get("mean") is None:
        return _text(row["published"])
    digits = max(_decimals(row[key]) for key in ("mean", "sd", "min", "max") if row[key] is not None)
    texts = {key: _text(row[key], digits) for key in ("sd", "min", "max") if row[key] is not None}
    spread = [f"sd {texts['sd']}"] if "sd" in texts else []
    if "min" in texts and "max" in texts:
        spread.append(f"{texts['min']} to {texts['max']}")
    else:
        spread += [f"{key} {texts[key]}" for key in ("min", "max") if key in texts]
    return _text(row["mean"], digits) + (f" ({', '.join(spread)})" if spread else "")


def _measured(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "-"
    is_fine = row["figure"] in (*SHARES, *AGREEMENTS, *LOSSES)
    digits = 4 if is_fine else 0 if float(row["measured"]).is_integer() else 1
    return _text(row["measured"], digits)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "not measured"
    if row["agrees"] is None:
        return "not judged"
    if row["agrees"]:
        return "agrees"
    side = "lower" if row["difference"] < 0 else "higher"
    gap, tolerance = abs(row["difference"]), row["tolerance"]
    decimals = 4 if round(gap, 4) > tolerance else MAX_DECIMALS  # else it would look as if it agreed
    return f"{side} by {_text(round(gap, decimals))} (tolerance {_text(round(tolerance, 4))})"


def impossible(reported: ReportedSpec) -> list[Finding]:
    """Return the published figures that no result can have, each with the bound that it breaks."""
    messages = list(_out_of_range(reported))
    if not messages:  # else the rest would only say so again
        for check in (_spreads, _counts, _fractions, _classes, _averages, _matrix):
            messages += check(reported)
    return [Finding(IMPOSSIBLE, message) for message in messages]


def _out_of_range(reported: ReportedSpec) -> Iterator[str]:
    for name, figure in reported.figures.items():
        low, high = (0, 1) if name in SHARES else (-1, 1) if name in AGREEMENTS else (0, math.inf)
        for value in () if name in LOSSES else _parts(figure).values():
            if not low <= value <= high:
                bound = f"it is from {low} to {high}" if high == 1 else "it is never below 0"
                yield f"{name}: {_text(value)} cannot be: {bound}"
    for name, row in reported.per_class.items():
        for key, share in (("precision", row.precision), ("recall", row.recall), ("F1", row.f1)):
            if share is not None and not 0 <= share <= 1:
                yield f"{_class(name)}: {key} {_text(share)} cannot be: it is from 0 to 1"


def _spreads(reported: ReportedSpec) -> Iterator[str]:
    """Hold minimum, maximum, mean and standard deviation of n values against each other.

    The standard deviation may be of either kind: divided by n - 1 (sample) or by n (population).
    """
    for name, figure in reported.figures.items():
        for check in (_beyond_mean, _beyond_reach, _sd_of_range) if figure.mean is not None else ():
            if messages := list(check(name, figure, reported.repeats)):
                yield from messages
                break


def _beyond_mean(name: str, figure: FigureSpec, _: int | None) -> Iterator[str]:
    mean, digits = _around(name, figure.published), _digits(figure)
    for word, side, value in _ends(figure):
        end = _around(name, value)
        if end.low > mean.high if side < 0 else end.high < mean.low:
            yield f"{name}: a {word} of {_text(value, digits)} cannot be: the mean is {_text(figure.published, digits)}"


def _beyond_reach(name: str, figure: FigureSpec, n: int | None) -> Iterator[str]:
    """Yield the extremes that are farther from the mean than one of n values can be (Samuelson, 1968)."""
    if figure.sd is None or n is None or n == 1:
        return
    mean, digits = _around(name, figure.published), _digits(figure)
    farthest = _around(name, figure.sd).high * math.sqrt(n - 1)
    for word, side, value in _ends(figure):
        end = _around(name, value)
        if mean.low - farthest > end.high if side < 0 else mean.high + farthest < end.low:
            ends = [figure.published + side * figure.sd * far for far in ((n - 1) / math.sqrt(n), math.sqrt(n - 1))]
            sample, population = (_text(end, digits) for end in ends)
            yield (
                f"{name}: a {word} of {_text(value, digits)} cannot be: {counted(n, 'value')} with mean "
                f"{_text(figure.published, digits)} and sd {_text(figure.sd, digits)} reach at "
                f"{'most' if side > 0 else 'least'} {sample} ({population} if the sd is divided by n)"
            )


def _sd_of_range(name: str, figure: FigureSpec, n: int | None) -> Iterator[str]:
    """Yield a standard deviation that values between the published minimum and maximum cannot have."""
    if figure.sd is None or figure.min is None or figure.max is None or n == 1:
        return
    mean, sd, digits = _around(name, figure.published), _around(name, figure.sd), _digits(figure)
    above, below = _around(name, figure.max).minus(mean), mean.minus(_around(name, figure.min))
    least = _least_sd(above, below, n) if n else 0.0
    most = math.sqrt(above.high * below.high * (n / (n - 1) if n else 2))  # Bhatia and Davis (2000), of a sample
    if least > sd.high or sd.low > most:
        bound = f"least {_text(least, digits + 1)}" if least > sd.high else f"most {_text(most, digits + 1)}"
        low, high, middle = (_text(value, digits) for value in (figure.min, figure.max, figure.published))
        yield (
            f"{name}: a sd of {_text(figure.sd, digits)} cannot be: {counted(n, 'value') if n else 'values'} "
            f"between {low} and {high} with mean {middle} have at {bound}"
        )


def _ends(figure: FigureSpec) -> Iterator[tuple[str, int, float]]:
    for word, side, value in (("minimum", -1, figure.min), ("maximum", 1, figure.max)):
        if value is not None:
            yield word, side, value


def _digits(figure: FigureSpec) -> int:
    """Return with how many decimals mean, sd, min and max are shown: as the longest of them."""
    return max(_decimals(value) for value in (*_parts(figure).values(), figure.sd or 0.0))


def _least_sd(above: Interval, below: Interval, n: int) -> float:
    """Return the sd (divided by n) of two extremes and n - 2 equal values that bring the mean back to where it is."""
    gap = max(0.0, above.low - below.high, below.low - above.high)
    rest = gap / math.sqrt(n - 2) if n > 2 else 0.0
    return math.hypot(max(0.0, above.low), max(0.0, below.low), rest) / math.sqrt(n)


def _counts(reported: ReportedSpec) -> Iterator[str]:
    """Hold whole numbers to be whole, and their mean over n runs to be a multiple of 1/n (Brown and Heathers, 2017)."""
    for name, figure in reported.figures.items():
        if name in EXACT:
            parts = {key: value for key, value in _parts(figure).items() if key != "mean"}
            yield from (f"{name}: {_text(each)} is no whole number" for each in parts.values() if each % 1)
    if reported.epochs_run is not None:
        for key, value in _parts(reported.epochs_run).items():
            n = 1 if key in ("min", "max") else reported.repeats
            if n is not None and not _rounded(value).holds_fraction(n):
                what = "no whole number" if n == 1 else f"no mean of {n} whole numbers"
                yield f"epochs_run: {_text(value)} is {what}"
    total, trainable = reported.total_params, reported.trainable_params
    if total and trainable and trainable.published > total.published:
        yield f"trainable_params: {_text(trainable.published)} is more than all {_text(total.published)}"


def _fractions(reported: ReportedSpec) -> Iterator[str]:
    runs, n = _runs(reported), _images(reported)
    for name in ("accuracy", "top5_accuracy"):
        figure = reported.figures.get(name)
        for key, value in _parts(figure).items() if figure and n else ():
            times = 1 if key in ("min", "max") else runs
            if n and times and not _around(name, value).holds_fraction(n * times):
                what = counted(n, "image") if times == 1 else f"{times} times {counted(n, 'image')}"
                yield f"{name}: {_text(value)} is no fraction of {what}"
    top, first = reported.top5_accuracy, reported.accuracy
    if top and first and _share(top.published).high < _share(first.published).low:
        yield f"top5_accuracy: {_text(top.published)} is below the accuracy, {_text(first.published)}"


def _classes(reported: ReportedSpec) -> Iterator[str]:
    runs = _runs(reported)
    if runs is None:
        return
    n = _images(reported)
    supports = sum(row.support or 0 for row in reported.per_class.values())
    if n is not None and supports > n:
        yield f"per_class: the classes have {supports:,} images, more than all {n:,}"
        return
    for name, row in reported.per_class.items():
        if row.support != 0:
            yield from (f"{_class(name)}: {problem}" for problem in _class_problem(row, n, runs))


def _class_problem(row: PublishedClass, n: int | None, runs: int) -> Iterator[str]:
    """Return the first thing that is wrong with a class; ``n`` images of all classes."""
    precision, recall, f1, support = row.precision, row.recall, row.f1, row.support
    if recall is not None and support and not _share(recall).holds_fraction(support * runs):
        yield f"a recall of {_text(recall)} is no fraction of {counted(support, 'image')}"
        return
    if runs > 1:  # means over runs: nothing more follows from them
        return
    if precision is not None and recall is not None and f1 is not None:
        low, high = (_harmonic(*pair) for pair in zip(_share(precision), _share(recall), strict=True))
        if not _share(f1).meets(Interval(low, high)):
            mean = _text(_harmonic(precision, recall), max(3, _decimals(f1)))
            yield (
                f"an F1 of {_text(f1)} is not the harmonic mean of precision {_text(precision)} "
                f"and recall {_text(recall)}: that is {mean}"
            )
            return
    if support and not _fits_counts(row, support, n):
        given = [("precision", precision), ("recall", recall), ("F1", f1)]
        figures = " and ".join(f"{key} {_text(value)}" for key, value in given if value is not None)
        yield f"{figures} come from no whole number of predictions for {counted(support, 'image')}"


def _fits_counts(row: PublishedClass, support: int, n: int | None) -> bool:
    """Whether there are whole numbers of right predictions and of all predictions that give the published figures."""
    recall = Interval(0, 1) if row.recall is None else _share(row.recall)
    first, last = recall.whole(support)
    if last - first > MAX_TRIED:
        return True
    others = NO_LIMIT if n is None else n - support
    return any(_predictions(row, right, support, others) for right in range(max(0, first), min(last, support) + 1))


def _predictions(row: PublishedClass, right: int, support: int, others: int) -> bool:
    """Whether some number of predictions of the class, ``right`` of them right, gives its precision and F1."""
    precision = Interval(0, 1) if row.precision is None else _share(row.precision)
    f1 = Interval(0, 1) if row.f1 is None else _share(row.f1)
    if right == 0:  # a precision of 0 / 0 is written as 0 or as 1
        return f1.low <= 0 and (precision.low <= 0 or precision.high >= 1)
    fewest = max(right, right / precision.high, 2 * right / f1.high - support)
    most = min(
        right + others,
        right / precision.low if precision.low > 0 else NO_LIMIT,
        2 * right / f1.low - support if f1.low > 0 else NO_LIMIT,
    )
    return math.ceil(fewest - 1e-6) <= math.floor(most + 1e-6)


def _averages(reported: ReportedSpec) -> Iterator[str]:
    """Hold accuracy and averages against the figures of the classes, where all classes are there."""
    rows = list(reported.per_class.values())
    supports = [row.support or 0 for row in rows]
    if _runs(reported) != 1 or not rows or sum(supports) != _images(reported):
        return
    equal, seen = [1] * len(rows), [int(support > 0) for support in supports]
    recalls, f1s = [row.recall for row in rows], [row.f1 for row in rows]
    weighings: list[tuple[str, str, list[float | None], list[list[int]]]] = [
        ("accuracy", "the recalls, weighted with the images", recalls, [supports]),
        ("balanced_accuracy", "the recalls", recalls, [equal, seen]),
        ("macro_recall", "the recalls", recalls, [equal, seen]),
        ("macro_precision", "the precisions", [row.precision for row in rows], [equal, seen]),
        ("macro_f1", "the F1", f1s, [equal, seen]),
        ("weighted_f1", "the F1, weighted with the images", f1s, [supports]),
    ]
    for name, words, values, weights in weighings:
        claim = _value(reported, name)
        means = [mean for each in weights if (mean := _mean(values, each))]
        if claim is not None and means and not any(_share(claim).meets(mean) for mean in means):
            bounds = [_text(end, max(3, _decimals(claim))) for end in means[-1]]
            yield f"{name}: {_text(claim)} is not the mean of {words}: that is {bounds[0]} to {bounds[1]}"


def _mean(values: Sequence[float | None], weights: Sequence[int]) -> Interval | None:
    """Return where the weighted mean of rounded shares lies; None where one of them is missing."""
    counted_ones = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    shares = [(_share(value), weight) for value, weight in counted_ones if value is not None]
    if len(shares) < len(counted_ones) or not shares:
        return None
    total = sum(weights)
    return Interval(*(sum(share[end] * weight for share, weight in shares) / total for end in (0, 1)))


def _matrix(reported: ReportedSpec) -> Iterator[str]:
    """Hold everything else against the confusion matrix, from which it follows exactly."""
    matrix = reported.confusion_matrix
    total = sum(map(sum, matrix))
    if not total or _runs(reported) != 1:
        return
    if reported.n not in (None, total):
        yield f"confusion_matrix: it holds {counted(total, 'image')}, n is {reported.n:,}"
        return
    if len(reported.per_class) == len(matrix):
        yield from _against_matrix(reported.per_class, matrix)
    for name, answers in _figures_of(matrix).items():
        claim = _value(reported, name)
        if claim is not None and not any(_around(name, claim).holds(answer) for answer in answers):
            answer = _text(answers[-1], max(3, min(_decimals(claim), MAX_DECIMALS)))
            yield f"{name}: {_text(claim)} cannot be: the confusion matrix gives {answer}"


def _against_matrix(per_class: Mapping[str, PublishedClass], matrix: Matrix) -> Iterator[str]:
    columns = _columns(matrix)
    supports = [row.support for row in per_class.values()]
    exchanged = "; its columns fit: are rows and columns exchanged?" if supports == columns else ""
    for index, (name, row) in enumerate(per_class.items()):
        images, predicted, right = sum(matrix[index]), columns[index], matrix[index][index]
        if row.support not in (None, images):
            message = f"{row.support:,} images, its row of the confusion matrix has {images:,}{exchanged}"
            yield f"{_class(name)}: {message}"
            continue
        answers = {
            "precision": (row.precision, [right / predicted] if predicted else [0.0, 1.0]),
            "recall": (row.recall, [right / images] if images else [0.0, 1.0]),
            "F1": (row.f1, [2 * right / (images + predicted)] if images else [0.0, 1.0]),
        }
        for key, (claim, values) in answers.items():
            if claim is not None and not any(_share(claim).holds(value) for value in values):
                answer = _text(values[0], max(3, min(_decimals(claim), MAX_DECIMALS)))
                yield f"{_class(name)}: {key} {_text(claim)} cannot be: the confusion matrix gives {answer}"


def _figures_of(matrix: Matrix) -> dict[str, list[float]]:
    """Return what follows from a confusion matrix; averages over all classes, and over those that have images."""
    rows, columns, right = [sum(row) for row in matrix], _columns(matrix), [row[i] for i, row in enumerate(matrix)]
    total, every = sum(rows), range(len(matrix))
    recall = [right[i] / rows[i] if rows[i] else 0.0 for i in every]
    precision = [right[i] / columns[i] if columns[i] else 0.0 for i in every]
    f1 = [2 * right[i] / (rows[i] + columns[i]) if right[i] else 0.0 for i in every]
    used = [[i for i in every if rows[i] or columns[i]], [i for i in every if rows[i]]]

    def averages(values: Sequence[float]) -> list[float]:
        return [sum(values) / len(values), *(sum(values[i] for i in group) / len(group) for group in used)]

    figures = {
        "accuracy": [sum(right) / total],
        "balanced_accuracy": averages(recall),
        "macro_recall": averages(recall),
        "macro_precision": averages(precision),
        "macro_f1": averages(f1),
        "weighted_f1": [sum(f1[i] * rows[i] for i in every) / total],
    }
    chance = sum(rows[i] * columns[i] for i in every)
    if chance < total**2:
        figures["cohen_kappa"] = [(sum(right) * total - chance) / (total**2 - chance)]
    spread = math.prod(math.sqrt(total**2 - sum(each**2 for each in counts)) for counts in (rows, columns))
    if spread:
        figures["mcc"] = [(sum(right) * total - chance) / spread]
    return figures


class Interval(NamedTuple):
    """What a published figure can stand for, both ends included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low - 1e-9 <= value <= self.high + 1e-9

    def meets(self, other: Interval) -> bool:
        return self.low <= other.high + 1e-9 and other.low <= self.high + 1e-9

    def minus(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def whole(self, n: int) -> tuple[int, int]:
        """Return the first and last whole number that is n times something in here; last < first: there is none."""
        return math.ceil(self.low * n - 1e-6), math.floor(self.high * n + 1e-6)

    def holds_fraction(self, n: int) -> bool:
        """Whether some k / n is in here."""
        first, last = self.whole(n) if (self.high - self.low) * n < 1 else (0, 0)
        return first <= last


def _rounded(value: float, decimals: int = 0) -> Interval:
    """Return what rounds to ``value``; it has its own decimals, or at least so many (trailing zeros are lost)."""
    half = max(0.5 * 10.0 ** -max(_decimals(value), decimals), SINGLE_PRECISION * max(1.0, abs(value)))
    return Interval(value - half, value + half)


def _share(value: float) -> Interval:
    """Return what rounds to a share, of which people write at least one decimal."""
    around = _rounded(value, 1)
    return Interval(max(0.0, around.low), min(1.0, around.high))


def _around(name: str, value: float) -> Interval:
    return _share(value) if name in SHARES else _rounded(value)


def _decimals(value: float) -> int:
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # spec and measured figures are finite
    return max(0, -exponent)


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _columns(matrix: Matrix) -> list[int]:
    return [sum(column) for column in zip(*matrix, strict=True)]


def _parts(figure: FigureSpec) -> dict[str, float]:
    """Return the figure's numbers that are in its own unit and place: value, mean, min, max."""
    parts = {"value": figure.value, "mean": figure.mean, "min": figure.min, "max": figure.max}
    return {key: value for key, value in parts.items() if value is not None}


def _value(reported: ReportedSpec, name: str) -> float | None:
    figure = reported.figures.get(name)
    return None if figure is None else figure.value


def _runs(reported: ReportedSpec) -> int | None:
    """Return of how many runs the figures are; None: of several, nobody says how many."""
    has_means = any(figure.mean is not None for figure in reported.figures.values())
    return reported.repeats or (None if has_means else 1)


def _images(reported: ReportedSpec) -> int | None:
    return reported.n or sum(map(sum, reported.confusion_matrix)) or None


def _class(name: str) -> str:
    return f"class {shown(name)}"


def _text(value: float, decimals: int | None = None) -> str:
    """Return a number as published: ``.843``, ``1.2910``, ``551,082``."""
    if abs(value) >= NO_LIMIT:
        return f"{value:g}"
    text = f"{value:,.{min(_decimals(value), MAX_DECIMALS) if decimals is None else decimals}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text
