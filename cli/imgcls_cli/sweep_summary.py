"""The result of a sweep in the terminal: what mattered, and its best trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgcls.settings import plain_text
from imgcls_cli.lines import duration, objective_text, print_figures, print_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_sweep"]

SHOWN_BEST = 10


def print_sweep(record: Mapping[str, Any], console: Console) -> None:
    """Print how many trials ended how, what was found in words, and the best trials.

    Args:
        record: as in ``sweep.json``.
        console: where to.
    """
    states = ", ".join(f"{count:,} {state}" for state, count in record["states"].items())
    print_line(console, "trials", f"{record['planned']:,} planned ({record['method']}): {states or 'none begun'}")
    print_line(console, "objective", f"{', '.join(record['objective'])} of {record['n']:,} validation images")
    for index, text in enumerate(record["verdict"]):
        print_line(console, "" if index else "verdict", text, "" if index else "bold")
    if record["best"]:
        _print_best(record["best"][:SHOWN_BEST], record["objective"], console)


def _print_best(best: Sequence[Mapping[str, Any]], objective: Sequence[str], console: Console) -> None:
    parameters = list(best[0]["point"])
    known = [key for key in ("accuracy_ci95", "sd") if key in best[0]]
    heads = {"accuracy_ci95": "95 % interval", "sd": "sd"}
    header = ["trial", *parameters, *objective, *(heads[key] for key in known), "time"]
    rows = [
        [
            str(row["trial"]),
            *(plain_text(row["point"].get(name)) for name in parameters),
            *(objective_text(name, row[name]) for name in objective),
            *(_spread(row[key]) for key in known),
            duration(row["seconds"]) if row.get("seconds") is not None else "-",
        ]
        for row in best
    ]
    print_figures(console, header, rows, words=parameters, dropped=("time", "95 % interval"))


def _spread(value: Any) -> str:
    return "{:.4f} to {:.4f}".format(*value) if isinstance(value, list | tuple) else f"{value:.4f}"
