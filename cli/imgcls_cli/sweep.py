"""``imgcls sweep``: a spec, trained at many points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import CacheDir, RunsDir, Set

if TYPE_CHECKING:
    from imgcls.runs import Run

__all__ = ["sweep"]

SweepFile = Annotated[
    str, typer.Argument(metavar="SWEEP", help="The sweep, a YAML file; with --resume also its folder.")
]


def sweep(  # noqa: PLR0917 - an argument an option
    spec: SweepFile,
    settings: Set = None,
    runs_dir: RunsDir = Path("runs"),
    name: Annotated[str | None, typer.Option(help="What the sweep is called; by default its file's name.")] = None,
    trials: Annotated[int | None, typer.Option(help="How many points.")] = None,
    method: Annotated[str | None, typer.Option(help="grid, random, qmc, tpe or nsga2.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Trials at a time.")] = None,
    executor: Annotated[str | None, typer.Option(help="local, or ray: the nodes of a Ray cluster.")] = None,
    address: Annotated[str | None, typer.Option(help="The Ray cluster's HOST:PORT, or auto.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with one that was interrupted.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the points and estimate the time; train none.")
    ] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Train a spec at many points, measured on validation images; the test part stays shut.

    -s sets values of the base spec. The last line of stdout is the folder's path; each trial in it is a run folder.

    Example: imgcls sweep configs/sweep.yaml --trials 20 -s epochs=3
    """
    from imgcls.errors import SpecError
    from imgcls_cli.console import emit, err, out
    from imgcls_cli.live_sweep import SweepTerminal
    from imgcls_cli.signals import end_on_signals

    options = {"name": name, "trials": trials, "method": method, "jobs": jobs}
    options |= {"executor": executor, "address": address}
    given = {key: value for key, value in options.items() if value is not None}
    if resume and dry_run:
        raise SpecError("--dry-run lists the points of a sweep that is to begin: it cannot be given with --resume")
    if resume:
        _refuse_beside_resume([key for key in given if key not in ("jobs", "executor", "address")], settings)
    if dry_run:
        _list_points(spec, settings, given, cache_dir)
        return
    end_on_signals()
    with SweepTerminal(err) as observer:
        from imgcls.spec import parse_overrides
        from imgcls.sweep import resume_sweep
        from imgcls.sweep import sweep as run_sweep

        if resume:
            run = resume_sweep(_to_resume(spec, runs_dir), given, cache_dir=cache_dir, observer=observer)
        else:
            overrides = parse_overrides(settings or [])
            run = run_sweep(spec, overrides, given, runs_dir=runs_dir, cache_dir=cache_dir, observer=observer)
    from imgcls_cli.summary import print_summary

    print_summary(run, out)
    emit(str(run.folder))


def _refuse_beside_resume(options: list[str], settings: list[str] | None) -> None:
    from imgcls.errors import SpecError

    beside = [f"--{key}" for key in options] + (["-s"] if settings else [])
    if beside:
        raise SpecError(f"--resume goes on as the sweep began: {', '.join(beside)} cannot be given with it")


def _to_resume(reference: str, runs_dir: Path) -> Run:
    """Return the folder that is meant: that of a name or path, or of a YAML file the newest of its name."""
    from imgcls.catalog import find_run, list_runs
    from imgcls.errors import DataError
    from imgcls.runs.layout import SWEEP_RESOLVED
    from imgcls.spec.sweeping import sweep_name

    sweeps = [run for run in list_runs(runs_dir) if run.is_sweep]
    if reference == "latest" and sweeps:
        return sweeps[-1]
    if Path(reference).suffix not in (".yaml", ".yml") or not Path(reference).is_file():
        return find_run(reference, runs_dir)
    name = sweep_name(Path(reference))
    if not (found := [run for run in sweeps if sweep_name(run.path(SWEEP_RESOLVED)) == name]):
        raise DataError(f"no sweep {name!r} in {runs_dir}")
    return found[-1]


def _list_points(spec: str, settings: list[str] | None, options: dict[str, Any], cache_dir: Path | None) -> None:
    """Print the points, where they are known before a trial has been trained, and about how long they take."""
    from imgcls.settings import plain_text
    from imgcls.spec import parse_overrides
    from imgcls.spec.sweeping import describe_sweep, load_sweep
    from imgcls.sweep import estimate_seconds
    from imgcls_cli.console import err, new_table, out, plain
    from imgcls_cli.lines import duration
    from imgcls_cli.live_sweep import SweepTerminal
    from imgcls_cli.signals import end_on_signals

    loaded = load_sweep(spec, parse_overrides(settings or []), options)
    if points := list(loaded.sweep.planned()):
        table = new_table()
        for heading in ("trial", *loaded.sweep.parameters):
            table.add_column(plain(heading), overflow="fold")
        for number, point in enumerate(points, start=1):
            table.add_row(str(number), *(plain(plain_text(value)) for value in point.values()))
        out.print(table)
    out.print(plain(describe_sweep(loaded)), soft_wrap=True)
    end_on_signals()
    with SweepTerminal(err, nothing_yet="no estimate") as observer:
        seconds = estimate_seconds(loaded, cache_dir=cache_dir, observer=observer)
    about = (
        "how long it takes is not known: its stages have epochs of their own"
        if seconds is None
        else (f"about {duration(seconds)} on this machine, without what pruning and early stopping save")
    )
    out.print(plain(about), soft_wrap=True)
