"""``imgcls resume``: an interrupted run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import CacheDir, RunName, RunsDir

if TYPE_CHECKING:
    from imgcls.runs import Run
    from imgcls_cli.live import TerminalObserver

__all__ = ["resume"]


def resume(
    run: RunName,
    runs_dir: RunsDir = Path("runs"),
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Go on though it is marked as running, on another machine.")
    ] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Go on with a run that was interrupted, was killed or failed, from its last checkpoint.

    On the same machine it ends with the weights and figures of a run that was not interrupted, to the bit. Without a
    checkpoint it begins anew, in the same folder. Of repeats, folds and the trials of a sweep, those that are not
    finished go on.

    Example: imgcls resume latest
    """
    from imgcls.catalog import find_run
    from imgcls_cli.console import emit, err, out, plain
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.live_sweep import SweepTerminal
    from imgcls_cli.signals import end_on_signals

    found = find_run(run, runs_dir)
    if found.status.state == "completed":
        err.print(plain(f"{found.folder} is complete"), soft_wrap=True)
    else:
        end_on_signals()
        with SweepTerminal(err) if found.is_sweep else TerminalObserver(err) as observer:
            _go_on(found, cache_dir, observer, elsewhere=elsewhere)
    from imgcls.runs import Run
    from imgcls_cli.summary import print_summary

    print_summary(Run(found.folder), out)  # which has read nothing yet
    emit(str(found.folder))


def _go_on(run: Run, cache_dir: Path | None, observer: TerminalObserver, *, elsewhere: bool) -> None:
    if run.is_sweep:
        from imgcls.sweep import resume_sweep

        resume_sweep(run, cache_dir=cache_dir, observer=observer, elsewhere=elsewhere)
    else:
        from imgcls.experiment import resume as resume_run

        resume_run(run, cache_dir=cache_dir, observer=observer, elsewhere=elsewhere)
