"""``imgcls model``: the network of a spec, without training it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import Json, Set, SpecFile

if TYPE_CHECKING:
    from rich.table import Table

    from imgcls.models import ModelSummary

__all__ = ["model"]

LAYER_COLUMNS = 13
DROPPED = ("kind", "trainable", "MFLOPs")  # in this order, where the terminal is narrow


def model(
    spec: SpecFile,
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
    from imgcls_cli.console import emit, out

    loaded = load_spec(spec, parse_overrides(settings or []))
    summary = describe_network(loaded, classes=classes)
    if json:
        emit(strict_json(asdict(summary)))
        return
    out.print(_table(summary, out.width))
    trainable, total = summary.trainable_params, summary.total_params
    out.print(
        f"{total:,} parameters, {trainable:,} trainable; {summary.size_bytes / 1e6:.1f} MB; "
        f"{summary.flops / 1e6:,.1f} MFLOPs an image",
        highlight=False,
        soft_wrap=True,
    )
    for number, learning in enumerate(summary.stage_trainable_params, start=1):
        out.print(f"stage {number}: {learning:,} trainable", highlight=False, soft_wrap=True)


def _table(summary: ModelSummary, width: int) -> Table:
    """Return the layers as a table; where it is too wide whole columns are left out, never a digit."""
    from imgcls_cli.console import new_table, plain

    columns = {
        "layer": [layer.name for layer in summary.layers],
        "kind": [layer.kind for layer in summary.layers],
        "shape": ["x".join(map(str, layer.shape)) for layer in summary.layers],
        "parameters": [f"{layer.params:,}" if layer.params else "" for layer in summary.layers],
        "trainable": [f"{layer.trainable:,}" if layer.params else "" for layer in summary.layers],
        "MFLOPs": [f"{layer.flops / 1e6:,.2f}" if layer.flops else "" for layer in summary.layers],
    }
    wide = {name: max(map(len, (name, *cells))) + 2 for name, cells in columns.items()}
    wide["layer"] = min(wide["layer"], LAYER_COLUMNS + 2)  # names are folded to it
    for name in DROPPED:
        if sum(wide[each] for each in columns) > width:
            del columns[name]
    table = new_table()
    for name in columns:
        is_text = name in ("layer", "kind")
        table.add_column(name, overflow="fold", no_wrap=name != "layer", justify="left" if is_text else "right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(plain, row))
    return table
