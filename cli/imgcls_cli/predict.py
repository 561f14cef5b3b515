"""``imgcls predict``: the classes of new images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import Csv, Json, RunName, RunsDir

if TYPE_CHECKING:
    from imgcls.inference import Answers

__all__ = ["predict"]


def predict(  # noqa: PLR0917 - an argument an option
    run: RunName,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Files, folders, quoted patterns, http(s) addresses.", show_default=False
        ),
    ],
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="How many classes of each image; by default 1, all in JSON.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option("--annotate", help="Write copies with class and probability above them here.")
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option("--explain", help="Write pictures of where the network saw the class here (Grad-CAM)."),
    ] = None,
    explain_layer: Annotated[
        str | None,
        typer.Option("--explain-layer", help="By its features, instead of the last layer's before pooling or flatten."),
    ] = None,
    json: Json = False,
    csv: Csv = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Tell the classes of new images, which are read and resized as the run's training did.

    What is no image is named and left out, and the exit code is then 3. --csv has the probabilities of all classes,
    --json too unless --top says how many.

    Example: imgcls predict latest new_photos 'more/*.jpg' --top 3
    """
    from imgcls.errors import DataError, SpecError
    from imgcls_cli.console import emit, err, one_format
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    chosen = one_format(json=json, csv=csv)
    if explain_layer is not None and explain is None:
        raise SpecError("--explain-layer: names a layer for --explain DIR, which is not given")
    end_on_signals()
    with TerminalObserver(err, nothing_yet="no result") as observer:
        from imgcls.catalog import find_run, full_name
        from imgcls.files import csv_text, strict_json
        from imgcls.inference import predict as predict_images
        from imgcls.wording import counted

        found = find_run(run, runs_dir)
        observer.say(f"by {full_name(found)}")  # loading it takes seconds
        answers = predict_images(
            found,
            images,
            annotate=annotate,
            explain=explain,
            explain_layer=explain_layer,
            observer=observer,
        )
    if chosen == "json":
        failures = [{"path": failure.name, "reason": failure.reason} for failure in answers.failures]
        emit(strict_json({"classes": answers.classes, "images": answers.records(top), "failures": failures}))
    elif chosen == "csv":
        emit(csv_text(answers.columns, answers.rows()))
    elif answers.paths:
        _print(answers, top or 1)
    if count := len(answers.paths):
        speed = count / max(answers.seconds, 1e-9)
        observer.say(
            f"{counted(count, 'image')} in {answers.seconds:.2f} s, {speed:,.{0 if speed >= 10 else 1}f} images/s"
        )
    if answers.failures:
        total = len(answers.failures) + len(answers.paths)
        raise DataError(f"{len(answers.failures):,} of {total:,} could not be predicted; the reasons stand above")


def _print(answers: Answers, top: int) -> None:
    from imgcls_cli.console import out
    from imgcls_cli.lines import print_figures

    header = ["image", "class", "probability", *(["then"] if top > 1 else ())]
    rows = []
    for row, path in enumerate(answers.paths):
        (name, probability), *others = answers.top(row, top)
        then = [", ".join(f"{other} {value:.4f}" for other, value in others)] if top > 1 else []
        rows.append([path, name, f"{probability:.4f}", *then])
    print_figures(out, header, rows, words=("image", "class", "then"))
