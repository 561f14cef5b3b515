"""What is wrong with the results that a text holds: each for itself, and those of one evaluation with each other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imgcls.evaluation.checks import DEGENERATE_CODES, LEVEL, beside, p_of_gain
from imgcls.evaluation.learning import is_overfitted
from imgcls.evaluation.plausibility import IMPOSSIBLE, impossible, reported_remarks
from imgcls.evaluation.rounding import Printed, number_text, share
from imgcls.findings import Finding
from imgcls.pasted.class_reports import read_class_reports
from imgcls.pasted.documents import notebook_cells, parsed, read_document
from imgcls.pasted.figures import read_repeats, read_single_figures
from imgcls.pasted.lines import clean_lines
from imgcls.pasted.logs import read_logs
from imgcls.pasted.matrices import read_matrices
from imgcls.pasted.pieces import ClassReport, Log, Piece, Repeats
from imgcls.pasted.results import Result, results_of
from imgcls.spec.reported import FigureSpec, ReportedSpec
from imgcls.wording import some

__all__ = ["Remark", "TextAudit", "audit_text"]

_GRAVE = frozenset({IMPOSSIBLE, "accuracies_disagree", "not_finite"})
_SURE = 4.0  # standard errors between two accuracies that are not of the same evaluation
_SOME_EPOCHS = 3
_FAR_ABOVE = 0.15  # validation accuracy above that of training, in every epoch
_GOOD = 0.9  # a network that has converged may stay there
_TEST_WATCHED = re.compile(r"^[^#]*validation_data\s*=\s*[\[(]*\s*(?:x_?test|test(?!_?(?:size|split)))", re.IGNORECASE)


@dataclass(frozen=True)
class Remark:
    """What is wrong, and in which lines of the text, counted from 1."""

    finding: Finding
    first_line: int
    last_line: int

    @property
    def is_grave(self) -> bool:
        """Whether the figures cannot be, or mean nothing."""
        code = self.finding.code
        return code in _GRAVE or code.removeprefix("reported_") in DEGENERATE_CODES


@dataclass(frozen=True)
class TextAudit:
    """What was found in a text, both in the order of its lines.

    Attributes:
        cells: of a notebook the number of the cell that each line is of, counted from 1; else empty.
    """

    pieces: tuple[Piece, ...]
    remarks: tuple[Remark, ...]
    cells: tuple[int, ...] = ()

    def place(self, found: Piece | Remark) -> str:
        """Return where something stands: ``line 7``, ``lines 34-42``, ``cell 3``."""
        first, last, word = found.first_line, found.last_line, "line"
        if self.cells:
            first, last, word = self.cells[first - 1], self.cells[last - 1], "cell"
        return f"{word} {first}" if first == last else f"{word}s {first}-{last}"


def audit_text(text: str, *, repeats: int | None = None) -> TextAudit:
    """Read training logs, classification reports, confusion matrices and figures out of a text, and check them.

    Args:
        text: as it was copied from a terminal or a page, or the content of a file: plain text, CSV, JSON, a notebook.
        repeats: of how many runs the means in it are; None: what the text says.
    """
    document = parsed(text)
    cells: tuple[int, ...] = ()
    if document is not None and (texts := notebook_cells(document)) is not None:
        document, text = None, "\n".join(texts)
        cells = tuple(number for number, each in enumerate(texts, 1) for _ in range(each.count("\n") + 1))
    lines = clean_lines(text)
    pieces = _read(lines, repeats) if document is None else read_document(document, len(lines))
    results = results_of(pieces)
    found = [*_logs_alone(pieces), *_repeated(pieces), *_watched(lines)]
    for result in results:
        found += [Remark(finding, result.first_line, result.last_line) for look in _LOOKS for finding in look(result)]
    return TextAudit(tuple(pieces), tuple(sorted(found, key=lambda remark: remark.first_line)), cells)


def _read(lines: Sequence[str], repeats: int | None) -> list[Piece]:
    logs, in_logs = read_logs(lines)
    left = [line if index not in in_logs else "" for index, line in enumerate(lines)]
    reports, in_reports = read_class_reports(left)
    rows, in_rows = read_repeats(left, repeats)
    left = [line if index not in in_reports | in_rows else "" for index, line in enumerate(left)]
    matrices, in_matrices = read_matrices(left)
    figures = read_single_figures(left, in_matrices)
    pieces: list[Piece] = [*logs, *reports, *rows, *matrices, *figures]
    return sorted(pieces, key=lambda piece: piece.first_line)


def _logs_alone(pieces: Sequence[Piece]) -> Iterator[Remark]:
    for log in pieces:
        if isinstance(log, Log):
            for look in _LOG_LOOKS:
                yield from (Remark(finding, log.first_line, log.last_line) for finding in look(log))


def _not_finite(log: Log) -> Iterator[Finding]:
    for epoch in log.epochs:
        bad = [name for name, value in epoch.figures.items() if not math.isfinite(value)]
        if bad:
            names, number = " and ".join(bad), "?" if epoch.number is None else epoch.number
            yield Finding("not_finite", f"{names} of epoch {number} is not a finite number: the training diverged")
            return


def _loss_below_bound(log: Log) -> Iterator[Finding]:
    """Hold the loss against the errors: the right class of an image that is not recognised has less than one half.

    So each costs at least ln 2 of categorical cross-entropy, whatever the network, and no image less than nothing.
    """
    for prefix in ("", "val_"):
        for epoch in log.epochs:
            loss, accuracy = (epoch.figures.get(prefix + name) for name in ("loss", "accuracy"))
            if loss is None or accuracy is None or not math.isfinite(loss):
                continue
            least = (1 - share(accuracy).high) * math.log(2)
            if 0 <= loss + 0.5 * 10.0**-loss.decimals < least:
                yield Finding(
                    "loss_below_bound",
                    f"a {prefix}loss of {number_text(loss)} with {prefix}accuracy {number_text(accuracy)} is no "
                    f"cross-entropy over the classes: each error costs at least ln 2, together {least:.3f}; binary "
                    "cross-entropy over a softmax looks like this, or class weights",
                )
                return


def _stuck(log: Log) -> Iterator[Finding]:
    """Tell of a validation accuracy that never moves, far from perfect, and exact enough to move."""
    values = log.values("val_accuracy")
    is_still = len(values) > _SOME_EPOCHS and len(set(values)) == 1 and len(set(log.values("val_loss"))) > 1
    if is_still and values[0] < _GOOD and values[0].decimals > 2:
        yield Finding(
            "accuracy_stuck",
            f"val_accuracy is {number_text(values[0])} in all {len(values)} epochs: so looks a network that predicts "
            "one class for all images",
        )


def _far_above(log: Log) -> Iterator[Finding]:
    both = [epoch.figures for epoch in log.epochs if {"accuracy", "val_accuracy"} <= epoch.figures.keys()]
    pairs = [(figures["accuracy"], figures["val_accuracy"]) for figures in both]
    apart = [held_out - train for train, held_out in pairs]
    if len(pairs) >= _SOME_EPOCHS and min(apart) >= _FAR_ABOVE:
        yield Finding(
            "validation_far_above_train",
            f"val_accuracy is {min(apart):.2f} to {max(apart):.2f} above accuracy in all {len(pairs)} epochs: so "
            "looks a part in which classes have other shares; much dropout or mixed images do that too",
        )


def _overfitted(log: Log) -> Iterator[Finding]:
    figures = [log.values(name) for name in ("accuracy", "val_accuracy", "loss", "val_loss")]
    if not all(len(values) == len(log.epochs) for values in figures):
        return
    accuracy, val_accuracy, loss, val_loss = figures
    if len(log.epochs) > 1 and is_overfitted(accuracy, val_accuracy, val_loss):
        best = val_loss.index(min(val_loss))
        yield Finding(
            "overfitting",
            f"the val_loss rose from {number_text(val_loss[best])} in epoch {log.epochs[best].number} to "
            f"{number_text(val_loss[-1])}, while the accuracy came to {number_text(accuracy[-1])}, val_accuracy to "
            f"{number_text(val_accuracy[-1])}",
        )
    elif len(log.epochs) == 1 and val_loss[0] >= 1.5 * loss[0] and accuracy[0] - val_accuracy[0] >= 0.05:
        yield Finding(
            "overfitting",
            f"the val_loss is {number_text(val_loss[0])} where the loss is {number_text(loss[0])}, and val_accuracy "
            f"{number_text(val_accuracy[0])} where the accuracy is {number_text(accuracy[0])}",
        )


_LOG_LOOKS: tuple[Callable[[Log], Iterator[Finding]], ...] = (
    _not_finite,
    _loss_below_bound,
    _stuck,
    _far_above,
    _overfitted,
)


def _repeated(pieces: Sequence[Piece]) -> Iterator[Remark]:
    for row in pieces:
        if isinstance(row, Repeats):
            epochs = None if row.epochs is None else FigureSpec.model_construct(mean=row.epochs)
            figures: dict[str, Any] = {row.figure: row.spread, "epochs_run": epochs}
            for finding in impossible(ReportedSpec.model_construct(**figures, repeats=row.runs)):
                message = f"{row.label}: {finding.message}" if row.label else finding.message
                yield Remark(replace(finding, message=message), row.first_line, row.last_line)


def _watched(lines: Sequence[str]) -> Iterator[Remark]:
    for index, line in enumerate(lines):
        if "validation_data" in line and _TEST_WATCHED.match(" ".join(lines[index : index + 2])):
            message = (
                "the test images are given as validation_data: what was chosen by them, the best epoch or setting, has "
                "a higher accuracy on them than on new images"
            )
            yield Remark(Finding("test_part_watched", message), index + 1, index + 1)


def _alone(result: Result) -> Iterator[Finding]:
    """Tell what the figures of one evaluation cannot be, or mean."""
    if result.matrix is not None and result.matrix.is_cut:
        yield Finding("matrix_cut", "the confusion matrix is cut (...)")
    yield from reported_remarks(result.reported)
    if result.matrix is None and result.report is not None:
        yield from _one_class_predicted(result.report)
        yield from _no_better_than_majority(result.report, result.accuracy)


def _one_class_predicted(report: ClassReport) -> Iterator[Finding]:
    """Tell of a report in which one class has been recognised, all of it, and is as rare among those taken for it."""
    recognised = [(name, row) for name, row in report.classes.items() if row.recall != 0]
    if len(report.classes) < 2 or len(recognised) != 1 or not report.n or report.is_partial:
        return
    name, row = recognised[0]
    if row.recall == 1 and row.precision is not None and share(row.precision).holds((row.support or 0) / report.n):
        message = f"as far as the figures tell, all {report.n:,} images were predicted as {some([name])}"
        yield Finding("reported_one_class_predicted", message)


def _no_better_than_majority(report: ClassReport, accuracy: Printed | None) -> Iterator[Finding]:
    rows = [row for row in report.classes.values() if row.support]
    if accuracy is None or not 0 <= accuracy <= 1 or not report.n or report.is_partial:
        return
    if not rows or len(rows) < len(report.classes):
        return  # of which class there are most is not known
    top = max(rows, key=lambda row: row.support or 0)
    most = top.support or 0
    losses = 0 if top.recall is None else most - math.floor(share(top.recall).high * most)
    gained = math.floor(share(accuracy).high * report.n) - most
    if p_of_gain(max(gained + losses, 0), losses) >= LEVEL:
        yield Finding(
            "reported_not_better_than_majority",
            f"an accuracy of {number_text(accuracy)} {beside(gained)} always predicting the most frequent class, "
            f"which has {most / report.n:.3f}",
        )


def _evaluated_apart(result: Result) -> Iterator[Finding]:
    """Hold the accuracy of a report against what was printed beside it of the same evaluation."""
    if not result.evaluated or not all(result.is_other(figure.value, _SURE) for figure in result.evaluated):
        return  # one that fits is enough: the others may be of another part
    assert result.accuracy is not None
    texts = " or ".join(dict.fromkeys(number_text(figure.value) for figure in result.evaluated))
    yield Finding(
        "accuracies_disagree",
        f"the {result.source} has an accuracy of {number_text(result.accuracy)}, the evaluation beside it one of "
        f"{texts}{_SHUFFLED}",
    )


def _logged_apart(result: Result) -> Iterator[Finding]:
    """Hold the accuracy of a report against the training logs above it: it is that of some epoch, give or take."""
    logged = [value for log in result.logs for value in log.values("val_accuracy")]
    if logged and all(result.is_other(value, _SURE) for value in logged):
        assert result.accuracy is not None
        low, high = number_text(min(logged)), number_text(max(logged))
        span = f"of {low}" if low == high else f"from {low} to {high}"
        yield Finding(
            "accuracies_disagree",
            f"the {result.source} has an accuracy of {number_text(result.accuracy)}, the training log above a "
            f"val_accuracy {span}{_SHUFFLED}",
        )


_SHUFFLED = ": they are of other images or weights, or the predictions stand in another order than the labels"


def _majority_logged(result: Result) -> Iterator[Finding]:
    """Tell of a log whose val_accuracy is the share of the largest class in the report, epoch by epoch."""
    supports = result.supports
    if not supports or min(supports) == max(supports):
        return
    majority = max(supports) / sum(supports)
    for log in result.logs:
        values = log.values("val_accuracy")
        same = [value for value in values if value.decimals > 2 and share(value).holds(majority)]
        if len(same) > 1:
            yield Finding(
                "majority_logged",
                f"val_accuracy is {number_text(same[0])} in {len(same)} of {len(values)} epochs: the share of the most "
                f"frequent class, {max(supports):,} of {sum(supports):,}; one class was predicted for all images",
            )


_LOOKS: tuple[Callable[[Result], Iterator[Finding]], ...] = (_alone, _evaluated_apart, _logged_apart, _majority_logged)
