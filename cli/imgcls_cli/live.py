"""A run as the terminal shows it: a line an epoch, and below them, on a terminal, how far the current one is."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from imgcls.observer import Observer

if TYPE_CHECKING:
    from rich.console import Console

    from imgcls.backend import Device
    from imgcls.data import Dataset
    from imgcls.runs import Run
    from imgcls.spec import Spec
    from imgcls.training.loop import EpochRow

__all__ = ["TerminalObserver"]

_HEADER = f"{'epoch':>9}  {'loss':>7} {'accuracy':>8}  {'val loss':>8} {'val acc':>7}  {'lr':>8} {'time':>6}"


class TerminalObserver(Observer, AbstractContextManager["TerminalObserver"]):
    """Writes progress to a console (that of stderr); a bar only where it is a terminal."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = console
        self.epochs = 0
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.task: Any = None
        self.told = time.monotonic()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def preparing(self, done: int, total: int) -> None:
        if self.task is None:
            self.say(f"preparing {total:,} images, once")
        self._advance("preparing images", done, total)
        if not self.console.is_terminal and time.monotonic() - self.told > 10:
            self.told = time.monotonic()
            self.say(f"  {done:,} of {total:,}")

    def prepared(self, dataset: Dataset) -> None:
        self._clear()
        sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in dataset.splits.items())
        height, width, channels = dataset.images.shape[1:]
        self.say(f"data      {sizes}; {len(dataset.classes)} classes; {height}x{width}x{channels}")
        for finding in dataset.findings:
            self.warn(finding.message)

    def started(self, spec: Spec, run: Run, device: Device, params: int) -> None:
        self.epochs = spec.epochs
        gpu = f"; {device.note}" if device.note else ""
        self.say(f"device    {device.kind.upper()} {device.name}, {device.threads} threads, {spec.precision}{gpu}")
        self.say(f"network   {params:,} parameters")
        self.say(f"run       {run.folder}")
        self.say(_HEADER)

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        self._advance(f"epoch {epoch}", step, steps, f"loss {loss:.4f}  accuracy {accuracy:.4f}")

    def epoch(self, row: EpochRow) -> None:
        self._clear()
        val_loss = "" if row.val_loss is None else f"{row.val_loss:.4f}"
        val_accuracy = "" if row.val_accuracy is None else f"{row.val_accuracy:.4f}"
        self.say(
            f"{row.epoch:>4}/{self.epochs:<4}  {row.loss:7.4f} {row.accuracy:8.4f}  {val_loss:>8} {val_accuracy:>7}  "
            f"{row.lr:8.2g} {row.seconds:5.1f}s"
        )

    def evaluating(self, split: str, images: int) -> None:
        self.say(f"evaluating on {images:,} images ({split})")

    def say(self, text: str) -> None:
        """Print one line as it is: no markup, no highlighting."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", markup=False, highlight=False, style="yellow", soft_wrap=True)

    def _advance(self, description: str, done: int, total: int, figures: str = "") -> None:
        if self.task is None:
            self.task = self.bar.add_task(description, total=total, figures=figures)
        self.bar.update(self.task, description=description, completed=done, total=total, figures=figures)

    def _clear(self) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None
