"""Published figures beside the measured ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from imgcls.evaluation.rounding import MAX_DECIMALS, decimals, number_text
from imgcls.spec.reported import AGREEMENTS, FIGURES, LOSSES, SHARES, FigureSpec, ReportedSpec

__all__ = ["hold_against", "measured_figures", "reported_rows"]


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
        return number_text(row["published"])
    digits = max(decimals(row[key]) for key in ("mean", "sd", "min", "max") if row[key] is not None)
    texts = {key: number_text(row[key], digits) for key in ("sd", "min", "max") if row[key] is not None}
    spread = [f"sd {texts['sd']}"] if "sd" in texts else []
    if "min" in texts and "max" in texts:
        spread.append(f"{texts['min']} to {texts['max']}")
    else:
        spread += [f"{key} {texts[key]}" for key in ("min", "max") if key in texts]
    return number_text(row["mean"], digits) + (f" ({', '.join(spread)})" if spread else "")


def _measured(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "-"
    is_fine = row["figure"] in (*SHARES, *AGREEMENTS, *LOSSES)
    digits = 4 if is_fine else 0 if float(row["measured"]).is_integer() else 1
    return number_text(row["measured"], digits)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "not measured"
    if row["agrees"] is None:
        return "not judged"
    if row["agrees"]:
        return "agrees"
    side = "lower" if row["difference"] < 0 else "higher"
    gap, tolerance = abs(row["difference"]), row["tolerance"]
    digits = 4 if round(gap, 4) > tolerance else MAX_DECIMALS  # else it would look as if it agreed
    return f"{side} by {number_text(round(gap, digits))} (tolerance {number_text(round(tolerance, 4))})"
