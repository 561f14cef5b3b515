"""``imgcls train``: a spec becomes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgcls_cli.options import CacheDir, RunsDir, Set, SpecFile

__all__ = ["train"]


def train(  # noqa: PLR0917 - an argument an option
    spec: SpecFile,
    settings: Set = None,
    runs_dir: RunsDir = Path("runs"),
    name: Annotated[str | None, typer.Option(help="What the run is called; by default the spec's name.")] = None,
    seed: Annotated[int | None, typer.Option(help="What all randomness derives from.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Train so often, with seeds that follow on the first.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or gpu.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where the result is degenerate.")] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Train the network of a spec, evaluate it once on the held-out images, and write a run folder.

    The last line of stdout is the folder's path. With --repeats it holds a run folder for each seed, and a summary.

    Example: imgcls train configs/quickstart.yaml -s lr=1e-3 -s epochs=20
    """
    from imgcls_cli.console import emit, err, out
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.signals import end_on_signals

    options = {"name": name, "seed": seed, "repeats": repeats, "device": device}
    end_on_signals()
    with TerminalObserver(err) as observer:
        from imgcls.errors import RunError
        from imgcls.experiment import refuse_degenerate
        from imgcls.experiment import train as train_spec
        from imgcls.spec import parse_overrides
        from imgcls_cli.summary import print_summary

        overrides = parse_overrides(settings or [])
        overrides |= {key: value for key, value in options.items() if value is not None}
        try:
            run = train_spec(spec, overrides, runs_dir=runs_dir, cache_dir=cache_dir, observer=observer)
        except RunError:
            if observer.group is not None and observer.group[0].is_kept:  # the other repeats have a result
                print_summary(observer.group[0], out)
            raise
    if run.is_kept:
        print_summary(run, out)
        emit(str(run.folder))
    if strict:
        refuse_degenerate(run)
