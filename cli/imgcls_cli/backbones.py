"""``imgcls backbones``: the pretrained networks to choose from, and how fast they are here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import Csv, Json, Markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["backbones"]

HEADINGS = {
    "name": "name",
    "size_mb": "MB",
    "parameters": "parameters",
    "depth": "depth",
    "top1": "top-1",
    "top5": "top-5",
    "resolution_px": "px",
    "input_range": "input",
    "inference_ms": "inference ms",
    "training_ms": "training ms",
    "frozen_ms": "frozen ms",
}
DROPPED = ("depth", "input", "px", "top-5", "parameters")  # in this order, where the terminal is narrow
FEW = ("mobilenet", "mobilenetv2", "efficientnetb0", "efficientnetv2b0", "resnet50")  # measured where none is named

RESOLUTION_PX, BATCH = 96, 32  # of the benchmark


def backbones(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; by default all.", show_default=False)
    ] = None,
    benchmark: Annotated[
        bool,
        typer.Option("--benchmark", help="Measure steps on this machine: of those named, else of five usual ones."),
    ] = False,
    resolution: Annotated[
        int | None, typer.Option(min=32, help="Of the benchmark's images, in pixels.", show_default=str(RESOLUTION_PX))
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images a step of the benchmark.", show_default=str(BATCH))
    ] = None,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
) -> None:
    """List the pretrained networks: size, parameters, depth, ImageNet accuracy, what pixels they were trained with.

    The figures are those of keras.io/api/applications. The benchmark's are medians of steps in float32: inference,
    training of all layers, and training of the head alone on frozen layers (which a run computes once where it can).

    Example: imgcls backbones mobilenet resnet50 --benchmark --resolution 160
    """
    from dataclasses import asdict

    from imgcls.errors import SpecError, nearest
    from imgcls.files import csv_text, strict_json
    from imgcls.spec.backbones import PUBLISHED
    from imgcls_cli.console import emit, err, one_format, out, plain

    chosen = one_format(json=json, csv=csv, markdown=markdown)
    if not benchmark and (resolution, batch) != (None, None):
        raise SpecError("--resolution and --batch are of the benchmark: they need --benchmark")
    resolution, batch = resolution or RESOLUTION_PX, batch or BATCH
    for name in names or ():
        if name not in PUBLISHED:
            raise SpecError(f"there is no backbone {name}{nearest(name, PUBLISHED)}; imgcls backbones lists them")
    wanted = list(dict.fromkeys(names or (FEW if benchmark else PUBLISHED)))
    times = _measured(wanted, resolution, batch) if benchmark else {}
    rows = [
        {**asdict(PUBLISHED[name]), "input_range": PUBLISHED[name].input_range, **times.get(name, {})}
        for name in wanted
    ]
    columns = [key for key in HEADINGS if key in rows[0]]
    if chosen == "json":
        emit(strict_json(rows))
    elif chosen == "csv":
        emit(csv_text(columns, ([row[key] for key in columns] for row in rows)))
    elif chosen == "markdown":
        emit(_markdown(rows, columns))
    else:
        _print(rows, columns)
        if benchmark:
            out.print(plain(f"medians of steps of {batch} images, {resolution}x{resolution}"), soft_wrap=True)
        else:
            err.print(plain("figures: keras.io/api/applications; --benchmark measures steps here"), soft_wrap=True)


def _measured(names: Sequence[str], resolution: int, batch: int) -> dict[str, dict[str, Any]]:
    from dataclasses import asdict

    from imgcls import backend
    from imgcls.experiment.timing import time_backbone
    from imgcls_cli.console import err, plain
    from imgcls_cli.signals import end_on_signals

    end_on_signals()
    device = backend.start("auto")
    err.print(plain(f"on {device.name}, {device.threads} threads"), soft_wrap=True)
    times = {}
    for name in names:
        err.print(plain(f"{name} ..."), soft_wrap=True)
        measured = time_backbone(name, device, resolution_px=resolution, batch=batch)
        kept = ("inference_ms", "training_ms", "frozen_ms", "batch")
        times[name] = {key: value for key, value in asdict(measured).items() if key in kept}
        times[name]["benchmark_px"] = resolution
    return times


def _print(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from imgcls_cli.console import out
    from imgcls_cli.lines import print_figures

    header = [HEADINGS[key] for key in columns]
    cells = [[_cell(key, row[key]) for key in columns] for row in rows]
    print_figures(out, header, cells, words=("name", "input"), dropped=DROPPED)


def _markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    lines = [
        [HEADINGS[key] for key in columns],
        ["---" if key in ("name", "input_range") else "---:" for key in columns],
    ]
    lines += [[_cell(key, row[key]) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(key: str, value: Any) -> str:
    """Return a value as people read it: parameters in millions, accuracies as shares, milliseconds without parts."""
    if value is None:
        return "-"
    if key == "parameters":
        return f"{value / 1e6:.1f}M"
    if key in ("top1", "top5"):
        return f"{value:.3f}".removeprefix("0")
    if key.endswith("_ms"):
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    return str(value)
