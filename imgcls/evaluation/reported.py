"""Published figures beside the measured ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from imgcls.evaluation.rounding import MAX_DECIMALS, decimals, number_text
from imgcls.spec.reported import AGREEMENTS, FIGURES, LOSSES, SHARES, FigureSpec, ReportedSpec
from imgcls.wording import some

__all__ = ["hold_against", "measured_figures", "reported_notes", "reported_rows"]

CLASS_SHARES = ("precision", "recall", "f1")
CLASS_ROWS = 10  # of classes, in the terminal: of a hundred classes it would be filled with what agrees
SPREAD = ("sd", "min", "max")
FINE_DIGITS = 4  # of a measured share or loss


def hold_against(
    reported: ReportedSpec,
    measured: Mapping[str, float],
    spreads: Mapping[str, Mapping[str, float | None]] | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each published figure, ready for JSON: the figures, ``n``, then those of the classes.

    A row has ``figure``, ``published``, ``measured`` (None: it was not), ``difference`` (measured - published),
    ``tolerance`` (None: not judged) and ``agrees`` (True, False or None); where several runs were published,
    ``published`` is their mean, and ``mean``, ``sd``, ``min`` and ``max`` are there too; where several were measured,
    ``measured_sd``, ``measured_min`` and ``measured_max``. A figure of a class, ``per_class.NAME.recall``, has
    ``class`` too, and ``known`` (False: the data has no such class). The confusion matrix has no row: the figures of
    the classes say what differs in it, cell by cell it would hide that.

    Args:
        reported: what was published.
        measured: as ``measured_figures`` gives it; of several runs the means.
        spreads: of several runs figure → ``sd`` (None of one run), ``min``, ``max``; what has a ``mean`` that is not
            the measured one is of something else, and is left out.
    """
    rows = []
    for name, figure in reported.figures.items():
        row = _held(name, figure.published, measured.get(name), reported.tolerance_of(name))
        rows.append(row | _published_spread(figure) | _measured_spread(row, (spreads or {}).get(name, {})))
    if reported.n is not None:
        rows.append(_held("n", reported.n, measured.get("n"), 0.0))
    return rows + _class_rows(reported, measured)


def _held(name: str, published: float, measured: float | None, tolerance: float | None) -> dict[str, Any]:
    known = float(measured) if measured is not None and math.isfinite(measured) else None
    difference = None if known is None else known - published
    agrees = None if difference is None or tolerance is None else abs(difference) <= tolerance + 1e-9
    return {
        "figure": name,
        "published": published,
        "measured": known,
        "difference": difference,
        "tolerance": tolerance,
        "agrees": agrees,
    }


def _published_spread(figure: FigureSpec) -> dict[str, float | None]:
    return {} if figure.mean is None else {key: getattr(figure, key) for key in ("mean", *SPREAD)}


def _measured_spread(row: Mapping[str, Any], spread: Mapping[str, float | None]) -> dict[str, float]:
    if row["measured"] is None or not math.isclose(spread.get("mean") or row["measured"], row["measured"]):
        return {}
    return {f"measured_{key}": value for key in SPREAD if (value := spread.get(key)) is not None}


def _class_rows(reported: ReportedSpec, measured: Mapping[str, float]) -> list[dict[str, Any]]:
    rows = []
    for name, published in reported.per_class.items():
        tolerances = dict.fromkeys(CLASS_SHARES, reported.tolerance) | {"support": 0.0}
        known = any(_class_key(name, figure) in measured for figure in tolerances)
        for figure, tolerance in tolerances.items():
            if (value := getattr(published, figure)) is not None:
                key = _class_key(name, figure)
                rows.append(_held(key, value, measured.get(key), tolerance) | {"class": name, "known": known})
    return rows


def _class_key(name: str, figure: str) -> str:
    return f"per_class.{name}.{figure}"


def measured_figures(
    metrics: Mapping[str, Any], history_row: Mapping[str, Any], seconds: float | None
) -> dict[str, float]:
    """Return what one run measured, by the names of ``ReportedSpec``; what has no value is left out.

    Figures of a class are there as ``per_class.NAME.recall``, so that all values are numbers.

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
    numbers = {name: found[name] for name in FIGURES} | {"n": metrics.get("n")}
    for name, row in (metrics.get("per_class") or {}).items():
        numbers |= {_class_key(name, figure): row.get(figure) for figure in (*CLASS_SHARES, "support")}
    return {name: float(value) for name, value in numbers.items() if isinstance(value, Real) and math.isfinite(value)}


def reported_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return the rows of ``hold_against`` as people read them: figure, published, measured, verdict.

    Of the figures of classes there are those that differ most, ``CLASS_ROWS`` at most; ``reported_notes`` says so.
    """
    shown = [row for row in rows if "class" not in row]
    of_classes = sorted(_measured_class_rows(rows), key=_relative_difference, reverse=True)[:CLASS_ROWS]
    return [(_name(row), _published(row), _measured(row), _verdict(row)) for row in (*shown, *of_classes)]


def reported_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the rows of ``reported_rows`` leave out: classes the data does not have, figures that differ less."""
    notes = []
    if unknown := list(dict.fromkeys(row["class"] for row in rows if not row.get("known", True))):
        notes.append(f"the data has no {'class' if len(unknown) == 1 else 'classes'} {some(unknown, CLASS_ROWS)}")
    if (count := len(_measured_class_rows(rows))) > CLASS_ROWS:
        notes.append(f"of {count:,} figures of classes the {CLASS_ROWS} that differ most are shown")
    return notes


def _measured_class_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if "class" in row and row["measured"] is not None]


def _relative_difference(row: Mapping[str, Any]) -> float:
    """Return how far off a share is, or a count of images as a share of the published one."""
    return float(abs(row["difference"]) / max(row["published"], 1))


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['figure'].rpartition('.')[2]} of {row['class']}" if "class" in row else str(row["figure"])


def _published(row: Mapping[str, Any]) -> str:
    if row.get("mean") is None:
        return number_text(row["published"])
    digits = max(decimals(row[key]) for key in ("mean", *SPREAD) if row[key] is not None)
    return number_text(row["mean"], digits) + _spread_text({key: row[key] for key in SPREAD}, digits)


def _spread_text(spread: Mapping[str, float | None], digits: int) -> str:
    """Return `` (sd .010, .830 to .860)``; of what is not known nothing."""
    texts = {key: number_text(value, digits) for key, value in spread.items() if value is not None}
    parts = [f"sd {texts['sd']}"] if "sd" in texts else []
    if "min" in texts and "max" in texts:
        parts.append(f"{texts['min']} to {texts['max']}")
    else:
        parts += [f"{key} {texts[key]}" for key in ("min", "max") if key in texts]
    return f" ({', '.join(parts)})" if parts else ""


def _measured(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "-"
    kind = row["figure"].rpartition(".")[2] if "class" in row else row["figure"]
    spread = {key: row.get(f"measured_{key}") for key in SPREAD}
    levels = [value for value in (row["measured"], *spread.values()) if value is not None]
    is_fine = kind in (*SHARES, *AGREEMENTS, *LOSSES, *CLASS_SHARES)
    digits = FINE_DIGITS if is_fine else 0 if all(float(level).is_integer() for level in levels) else 1
    return number_text(row["measured"], digits) + _spread_text(spread, digits)


def _verdict(row: Mapping[str, Any]) -> str:
    if row["measured"] is None:
        return "not measured"
    if row["agrees"] is None:
        return "not judged"
    if row["agrees"]:
        return "agrees"
    side = "lower" if row["difference"] < 0 else "higher"
    gap, tolerance = abs(row["difference"]), row["tolerance"]
    digits = FINE_DIGITS if round(gap, FINE_DIGITS) > tolerance else MAX_DECIMALS  # else it would look as if it agreed
    return f"{side} by {number_text(round(gap, digits))} (tolerance {number_text(round(tolerance, 4))})"
