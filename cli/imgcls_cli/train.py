"""``imgcls train``: a spec becomes a run."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from imgcls_cli.options import CacheDir, RunsDir, Set

__all__ = ["train"]


def train(
    spec: Annotated[Path, typer.Argument(help="The experiment, a YAML file.", show_default=False)],
    settings: Set = None,
    runs_dir: RunsDir = Path("runs"),
    name: Annotated[str | None, typer.Option(help="What the run is called; by default the spec's name.")] = None,
    seed: Annotated[int | None, typer.Option(help="What all randomness derives from.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or gpu.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where the result is degenerate.")] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Train the network of a spec, evaluate it once on the held-out images, and write a run folder.

    The last line of stdout is the folder's path.

    Example: imgcls train configs/quickstart.yaml -s lr=1e-3 -s epochs=20
    """
    from imgcls.experiment import refuse_degenerate
    from imgcls.experiment import train as train_spec
    from imgcls.spec import parse_overrides
    from imgcls_cli.console import err, out
    from imgcls_cli.live import TerminalObserver
    from imgcls_cli.summary import print_summary

    options = {"name": name, "seed": seed, "device": device}
    overrides = parse_overrides(settings or []) | {key: value for key, value in options.items() if value is not None}
    _end_on_signals()
    with TerminalObserver(err) as observer:
        run = train_spec(spec, overrides, runs_dir=runs_dir, cache_dir=cache_dir, observer=observer)
    print_summary(run, out)
    out.print(str(run.folder), markup=False, highlight=False, soft_wrap=True)
    if strict:
        refuse_degenerate(run)


class _Ended(SystemExit):
    """A signal that asks the process to end; the exit code is 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal_name = signal.Signals(number).name

    def __str__(self) -> str:
        return f"by {self.signal_name}"


def _end_on_signals() -> None:
    """Make the signals of a cluster's preemption end a run in order, as Ctrl-C does."""

    def end(number: int, _: Any) -> None:
        raise _Ended(number)

    for name in ("SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
