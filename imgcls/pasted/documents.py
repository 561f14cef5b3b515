"""Files that are no plain text: notebooks, and results as JSON or as Python prints them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import Any

from imgcls.evaluation.rounding import NO_LIMIT, Printed
from imgcls.pasted.lines import printed, whole
from imgcls.pasted.logs import as_shares, is_metric, metric_name
from imgcls.pasted.pieces import ClassReport, Epoch, Log, Matrix, Piece
from imgcls.spec.reported import FIGURES, PublishedClass

__all__ = ["notebook_cells", "parsed", "read_document"]

_F1 = ("f1", "f1-score", "f1_score")


def parsed(text: str) -> Mapping[str, Any] | None:
    """Return the mapping that a text is as a whole, as JSON or as Python prints it; None: it is none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
        except (TypeError, ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def notebook_cells(value: Mapping[str, Any]) -> list[str] | None:
    """Return what each cell of a Jupyter notebook shows, code and output; None: it is no notebook."""
    cells = value.get("cells")
    if not isinstance(cells, list) or "nbformat" not in value:
        return None
    return ["\n".join(_texts(cell)) for cell in cells if isinstance(cell, dict)]


def _texts(cell: Mapping[str, Any]) -> Iterator[str]:
    yield _joined(cell.get("source"))
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            yield _joined(output.get("text"))
            data = output.get("data")
            yield _joined(data.get("text/plain")) if isinstance(data, dict) else ""


def _joined(text: Any) -> str:
    """Return a text that a notebook holds as one, or as a list of lines."""
    return "".join(map(str, text)) if isinstance(text, list) else text if isinstance(text, str) else ""


def read_document(value: Mapping[str, Any], last_line: int) -> list[Piece]:
    """Return the results that a mapping holds: a ``metrics.json``, scikit-learn's report as a dict, Keras' history."""
    lists = {str(key): each for key, each in value.items() if isinstance(each, list)}
    history = {metric_name(key): each for key, each in lists.items() if is_metric(key)}
    if "loss" in history:
        return [_log(history, last_line)]
    per_class = value["per_class"] if isinstance(value.get("per_class"), dict) else value
    classes = {
        str(name): published
        for name, row in per_class.items()
        if isinstance(row, dict) and not str(name).endswith(" avg") and (published := _class(row))
    }
    pieces: list[Piece] = []
    if classes:
        pieces.append(
            ClassReport(first_line=1, last_line=last_line, classes=classes, figures=_figures(value), n=_count(value))
        )
    if counts := _counts(value.get("confusion_matrix")):
        pieces.append(Matrix(first_line=1, last_line=last_line, counts=counts))
    return pieces


def _log(history: Mapping[str, list[Any]], last_line: int) -> Log:
    epochs = []
    for number, row in enumerate(zip(*history.values(), strict=False), 1):
        figures = {name: _number(each) for name, each in zip(history, row, strict=True)}
        epochs.append(Epoch(number, {name: value for name, value in figures.items() if value is not None}))
    return Log(first_line=1, last_line=last_line, epochs=as_shares(epochs))


def _class(row: Mapping[str, Any]) -> PublishedClass | None:
    precision, recall = (_number(row.get(key)) for key in ("precision", "recall"))
    if precision is None or recall is None:
        return None
    f1 = next((row[key] for key in reversed(_F1) if _number(row.get(key)) is not None), None)
    return PublishedClass.model_construct(
        precision=precision, recall=recall, f1=_number(f1), support=whole(str(row.get("support")))
    )


def _figures(value: Mapping[str, Any]) -> dict[str, Printed]:
    found = {name: number for name in FIGURES if (number := _number(value.get(name))) is not None}
    for kind, names in (("macro avg", ("precision", "recall", "f1-score")), ("weighted avg", ("f1-score",))):
        row = value.get(kind)
        for name in names:
            if isinstance(row, dict) and (number := _number(row.get(name))) is not None:
                found[f"{kind.split()[0]}_{name.removesuffix('-score')}"] = number
    return found


def _count(value: Mapping[str, Any]) -> int | None:
    average = value.get("macro avg")
    of_average = average.get("support") if isinstance(average, dict) else None
    return whole(str(value.get("n"))) or whole(str(of_average)) or None


def _counts(rows: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(rows) for row in rows):
        return ()
    is_counts = all(type(count) is int and 0 <= count < NO_LIMIT for row in rows for count in row)
    return tuple(map(tuple, rows)) if is_counts and len(rows) > 1 else ()


def _number(value: Any) -> Printed | None:
    return None if isinstance(value, bool) or value is None else printed(str(value))
