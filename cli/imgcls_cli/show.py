"""``imgcls show``: one run's summary."""

from __future__ import annotations

from pathlib import Path

from imgcls_cli.options import Json, RunName, RunsDir

__all__ = ["show"]


def show(run: RunName, runs_dir: RunsDir = Path("runs"), json: Json = False) -> None:
    """Show a run: data, device, time, accuracy with its interval, worst classes, confusions, warnings, files.

    Of a folder of repeats a row each, and mean, standard deviation, least and most.

    Example: imgcls show latest
    """
    from imgcls.catalog import find_run
    from imgcls.files import strict_json
    from imgcls_cli.console import emit, out
    from imgcls_cli.summary import print_summary, summarize_run

    found = find_run(run, runs_dir)
    if json:
        emit(strict_json(summarize_run(found)))
    else:
        print_summary(found, out)
