"""``imgcls export``: a run's network in the formats that others load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import CacheDir, Json, RunName, RunsDir

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["export"]

_HEADER = ("format", "file", "size", "accuracy", "same\nclass", "largest\ndifference", "ms an\nimage")


def export(
    run: RunName,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="keras, savedmodel, tflite or onnx; may be given several times."),
    ] = None,
    quantize: Annotated[
        list[str] | None, typer.Option(help="With tflite: int8 or float16 too; may be given several times.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="The folder.", show_default="export in the run's folder")
    ] = None,
    json: Json = False,
    runs_dir: RunsDir = Path("runs"),
    cache_dir: CacheDir = None,
) -> None:
    """Write a run's network in formats to deploy, and check that each gives the network's answers.

    Every format is opened by its own runtime and predicts the images that the run was evaluated on. An earlier export
    in the folder is replaced. The last line of stdout is the folder's path.

    Example: imgcls export latest --format onnx --format tflite --quantize int8
    """
    from imgcls_cli.console import emit, err, out
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    end_on_signals()
    with TerminalObserver(err, nothing_yet="nothing was exported") as observer:
        from imgcls.catalog import find_run
        from imgcls.deployment.formats import kinds_of
        from imgcls.experiment import export as export_run
        from imgcls.files import strict_json

        kinds_of(formats or [], quantize or [])
        exported = export_run(
            find_run(run, runs_dir),
            formats or [],
            quantize=quantize or [],
            out=out_dir,
            cache_dir=cache_dir,
            observer=observer,
        )
    if json:
        emit(strict_json({"folder": str(exported.folder)} | exported.record))
    else:
        _print(exported.record, out)
        emit(str(exported.folder))


def _print(record: Mapping[str, Any], console: Console) -> None:
    from imgcls_cli.lines import print_figures, print_line

    print_figures(console, _HEADER, _rows(record), words=("format", "file"), dropped=("file", "size"))
    network, device, images = record["network"], record["device"], record["images"]
    print_line(console, "measured", f"on {network['n']:,} images ({network['split']}); times: one image alone, on this "
               f"machine ({device['kind'].upper()}, {device['threads']} threads)")  # fmt: skip
    print_line(console, "input", f"{images['height']}x{images['width']}x{images['channels']} ({images['color']}), "
               "pixels 0..255 as they are; export.json says how to feed each")  # fmt: skip
    for note in record["notes"]:
        print_line(console, "note", note)


def _rows(record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    from imgcls.wording import size

    yield ("network", "", "", f"{record['network']['accuracy']:.4f}", "", "", "")
    for kind, found in record["formats"].items():
        yield (
            kind,
            found["file"],
            size(found["size_bytes"]),
            f"{found['accuracy']:.4f}",
            f"{100 * found['same_class']:.1f} %",
            f"{found['largest_difference']:.1e}" if found["largest_difference"] else "0",
            f"{found['latency_ms']:.2f}",
        )
