"""``imgcls evaluate``: a run's saved model, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcls_cli.options import CacheDir, Json, RunsDir

__all__ = ["evaluate"]


def evaluate(
    run: Annotated[
        str, typer.Argument(help="A run: a path, a name, a unique prefix, or `latest`.", show_default=False)
    ],
    split: Annotated[str | None, typer.Option(help="train, validation or test; by default as the run was.")] = None,
    data: Annotated[Path | None, typer.Option(help="Other images with the same classes: folder, CSV or npz.")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Write metrics, predictions and matrix here.")] = None,
    json: Json = False,
    runs_dir: RunsDir = Path("runs"),
    cache_dir: CacheDir = None,
) -> None:
    """Evaluate a run's saved model again, on its own split or on other images by the saved order of classes.

    Example: imgcls evaluate latest --data new_photos
    """
    from imgcls.experiment import evaluate as evaluate_run
    from imgcls.files import strict_json
    from imgcls.runs import find_run
    from imgcls_cli.console import err, out
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.summary import print_result

    with TerminalObserver(err) as observer:
        evaluation = evaluate_run(find_run(run, runs_dir), split, data=data, cache_dir=cache_dir, observer=observer)
    if out_dir is not None:
        evaluation.write(out_dir)
    if json:
        typer.echo(strict_json(evaluation.metrics))
    else:
        print_result(evaluation.metrics, out)
