"""``imgcls model``: the network of a spec, without training it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import Json, Set

if TYPE_CHECKING:
    from imgcls.models import ModelSummary

__all__ = ["model"]


def model(
    spec: Annotated[Path, typer.Argument(help="The experiment, a YAML file.", show_default=False)],
    settings: Set = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="How many classes; with it the data is not looked at.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the network: layers, shapes, parameters (total and trainable), size, FLOPs an image.

    Example: imgcls model configs/quickstart.yaml
    """
    from dataclasses import asdict

    from imgcls.experiment import describe_network
    from imgcls.files import strict_json
    from imgcls.spec import load_spec, parse_overrides
    from imgcls_cli.console import out

    loaded = load_spec(spec, parse_overrides(settings or []))
    summary = describe_network(loaded, classes=classes)
    if json:
        typer.echo(strict_json(asdict(summary)))
        return
    out.print(_table(summary))
    trainable, total = summary.trainable_params, summary.total_params
    out.print(
        f"{total:,} parameters, {trainable:,} trainable; {summary.size_bytes / 1e6:.1f} MB; "
        f"{summary.flops / 1e6:,.1f} MFLOPs an image",
        highlight=False,
    )


def _table(summary: ModelSummary) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("layer", overflow="fold")
    table.add_column("kind", overflow="fold")
    for name in ("shape", "parameters", "trainable", "MFLOPs"):
        table.add_column(name, justify="right")
    for layer in summary.layers:
        shape = "x".join(map(str, layer.shape))
        flops = f"{layer.flops / 1e6:,.2f}" if layer.flops else ""
        params = f"{layer.params:,}" if layer.params else ""
        trainable = f"{layer.trainable:,}" if layer.params else ""
        table.add_row(layer.name, layer.kind, shape, params, trainable, flops)
    return table
