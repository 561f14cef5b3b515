"""``imgcls evaluate``: a run's saved model, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcls_cli.options import CacheDir, Json, RunName, RunsDir

__all__ = ["evaluate"]

SPLITS = ("train", "validation", "test")


def evaluate(
    run: RunName,
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
    from imgcls_cli.console import emit, err, out
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    _check(split, data)
    end_on_signals()
    with TerminalObserver(err, nothing_yet="no result") as observer:
        from imgcls.catalog import find_run, refuse_groups
        from imgcls.experiment import evaluate as evaluate_run
        from imgcls.experiment import require_free
        from imgcls.files import strict_json
        from imgcls_cli.summary import print_result

        found = find_run(run, runs_dir)
        refuse_groups(found)
        if out_dir is not None:
            require_free(out_dir)
        evaluation = evaluate_run(found, split, data=data, cache_dir=cache_dir, observer=observer)
        if out_dir is not None:
            evaluation.write(out_dir)
    if json:
        emit(strict_json(evaluation.metrics))
    else:
        print_result(evaluation.metrics, out)


def _check(split: str | None, data: Path | None) -> None:
    """Refuse what cannot be meant, before anything is prepared."""
    from imgcls.errors import SpecError, nearest

    if split is not None and data is not None:
        raise SpecError("--split and --data: other data has no parts, so one of the two at a time")
    if split is not None and split not in SPLITS:
        raise SpecError(f"--split: got {split!r}; {', '.join(SPLITS)} are accepted{nearest(split, SPLITS)}")
