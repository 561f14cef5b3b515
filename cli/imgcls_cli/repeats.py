"""The result of a folder of repeats in the terminal: a row a repeat, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imgcls.wording import some
from imgcls_cli.lines import duration, print_figures, print_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_repeats"]

STATE_COLUMNS = 72  # from this width on, the states have room beside the figures
PARTS = ("mean", "sd", "min", "max")

# key of a row and of the summary → heading and how it is shown
SHOWN_FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "accuracy": ("accuracy", "{:.4f}".format),
    "macro_f1": ("macro F1", "{:.4f}".format),
    "loss": ("loss", "{:.4f}".format),
    "epochs_run": ("epochs", lambda epochs: f"{epochs:,}" if isinstance(epochs, int) else f"{epochs:,.1f}"),
    "seconds": ("time", duration),
}


def print_repeats(repeats: Mapping[str, Any], console: Console) -> None:
    """Print mean accuracy with its deviation and interval, the repeats one by one, and what went wrong with some.

    Args:
        repeats: as ``imgcls.comparison.summarize_repeats`` gives it.
        console: where to.
    """
    from imgcls.comparison import count_text

    if repeats["finished"]:
        _print_means(repeats, console)
    else:
        print_line(console, "result", f"none: {count_text(0, repeats['repeats'])} finished", "yellow")
    if repeats["runs"]:
        _print_table(repeats, console)
    for (state, message), folders in _unfinished(repeats).items():
        if message:
            print_line(console, "warning", f"{some(folders)} {state}: {message}", "yellow")
        elif console.width < STATE_COLUMNS:
            print_line(console, "repeat", f"{some(folders)} {state}")


def _unfinished(repeats: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return state and message → the folders of the repeats they are of: what stopped several is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in repeats["runs"]:
        if row["state"] != "completed":
            found.setdefault((row["state"], row.get("message") or ""), []).append(row["folder"])
    return found


def _print_table(repeats: Mapping[str, Any], console: Console) -> None:
    """Print a row a repeat, then mean, sd, min and max; a narrow terminal has the states in lines below it."""
    is_folds = repeats.get("folds") is not None
    header = ["fold" if is_folds else "seed", *(heading for heading, _ in SHOWN_FIGURES.values()), "state"]
    firsts = [row["folder"].rpartition("-")[2] if is_folds else _shown(str, row.get("seed")) for row in repeats["runs"]]
    rows = [[first, *_figures(row), row["state"]] for first, row in zip(firsts, repeats["runs"], strict=True)]
    if repeats["finished"]:
        rows += [_summary_row(repeats["summary"], part) for part in PARTS]
    shown = len(header) - (console.width < STATE_COLUMNS)
    print_figures(console, header[:shown], [row[:shown] for row in rows], words=("state",))


def _print_means(repeats: Mapping[str, Any], console: Console) -> None:
    from imgcls.comparison import count_text

    accuracy = repeats["summary"].get("accuracy", {})
    what = "mean" if accuracy.get("sd") is None else "mean and sd"
    detail = [f"{what} of {count_text(repeats['finished'], repeats['repeats'])}"]
    if accuracy.get("mean_ci95"):
        detail.append("95 % interval of the mean {:.4f} to {:.4f}".format(*accuracy["mean_ci95"]))
    if repeats.get("n") is not None:
        detail.append(f"{repeats['n']:,} {repeats.get('split')} images")
    print_line(console, "accuracy", f"{_mean(accuracy)}  ({'; '.join(detail)})", "bold")
    if pooled := repeats.get("pooled"):
        low, high = pooled["accuracy_ci95"]
        text = f"{pooled['accuracy']:.4f}  (95 % interval {low:.4f} to {high:.4f}; {pooled['n']:,} images, each once)"
        print_line(console, "pooled", text)
    print_line(console, "macro F1", _mean(repeats["summary"].get("macro_f1", {})))
    if repeats.get("majority_baseline") is not None:
        print_line(console, "baseline", f"{repeats['majority_baseline']:.4f}  (always the most frequent class)")


def _mean(figure: Mapping[str, Any]) -> str:
    """Return ``0.8400 ± 0.0070``; one run has no deviation."""
    if figure.get("mean") is None:
        return "-"
    return f"{figure['mean']:.4f}" + ("" if figure.get("sd") is None else f" ± {figure['sd']:.4f}")


def _summary_row(summary: Mapping[str, Mapping[str, Any]], part: str) -> list[str]:
    """Return mean, sd, min or max of each figure; the least and most epochs are whole ones."""
    values = {key: figure.get(part) for key, figure in summary.items()}
    if part in ("min", "max") and (epochs := values.get("epochs_run")) is not None:
        values["epochs_run"] = round(epochs)
    return [part, *_figures(values), ""]


def _figures(values: Mapping[str, Any]) -> list[str]:
    return [_shown(show, values.get(key)) for key, (_, show) in SHOWN_FIGURES.items()]


def _shown(show: Callable[[Any], str], value: float | None) -> str:
    return "-" if value is None else show(value)
