"""A run as the terminal shows it: a line an epoch, and below them, on a terminal, how far the current one is."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from imgcls.findings import Finding
from imgcls.observer import Observer
from imgcls.wording import counted
from imgcls_cli.console import plain
from imgcls_cli.lines import duration
from imgcls_cli.signals import between_steps, forget_received, raise_received, signal_name

if TYPE_CHECKING:
    from imgcls.backend import Device
    from imgcls.data import Dataset
    from imgcls.runs import Run
    from imgcls.spec import Spec
    from imgcls.training.state import EpochRow, Stage

__all__ = ["TerminalObserver", "resume_command"]

_SURE_S, _LONG_S = 2.0, 60.0  # seconds of steps that an estimate needs; of a training that is worth one

# 56 columns
_HEADER = f"{'epoch':>9} {'loss':>7} {'acc':>6} {'val loss':>8} {'val acc':>7} {'lr':>7} {'time':>6}"


@dataclass(frozen=True)
class _Narrower:
    """Leaves room for the ``^C`` that terminals echo: if it wrapped, another line would be erased."""

    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return console.render(self.inner, options.update(width=max(options.max_width - 3, 10)))


class _Bar(Progress):
    def get_renderable(self) -> RenderableType:
        return _Narrower(super().get_renderable())


class TerminalObserver(Observer, AbstractContextManager["TerminalObserver"]):
    """Writes progress to a console (that of stderr); a bar only where it is a terminal.

    No bar is live between phases: its thread would draw on a stderr that points elsewhere while TensorFlow loads.
    """

    def __init__(self, console: Console, *, nothing_yet: str = "") -> None:
        self.console = console
        self.is_quiet = False  # but for warnings
        self.nothing_yet = nothing_yet  # what an interrupt leaves that came before a run; by default, that it did
        self.epochs = 0
        self.kept_so_far = ""  # what the newest checkpoint holds; empty where there is none
        self.run: Run | None = None
        self.group: tuple[Run, int, int] | None = None
        self.bar = _Bar(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(),
            TimeRemainingColumn(compact=True), TextColumn("{task.fields[figures]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self.task: Any = None
        self.told = time.monotonic()
        self.begun: tuple[float, int] | None = None  # when the first steps were done, and how many; None: no more asked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        forget_received()
        self._clear()
        if name := signal_name(error):
            self._print(self._interrupted(name))

    def _interrupted(self, by: str) -> str:
        if self.is_quiet:
            return f"interrupted ({by})"
        if self.group is not None:
            group, number, repeats = self.group
            where = f"in repeat {number} of {repeats}: {group.folder} keeps those before"
            return f"interrupted ({by}) {where}; {resume_command(group)} goes on"
        if self.run is not None:
            kept, folder = self.kept_so_far, self.run.folder
            goes_on = f"{resume_command(self.run)} {'goes on' if kept else 'begins anew'}"
            return f"interrupted ({by}): {folder} keeps {kept or 'no epoch'}; {goes_on}"
        return f"interrupted ({by}): {self.nothing_yet}" if self.nothing_yet else "interrupted before the run began"

    def joined(self, rank: int, workers: int) -> None:
        self.say(f"worker    {rank} of {workers}" + (": worker 0 tells how it goes and writes the run" if rank else ""))
        self.is_quiet = rank > 0

    def preparing(self, done: int, total: int) -> None:
        if self.task is None:
            self.say(f"preparing {total:,} images, once")
        self._advance("preparing images", done, total)
        if not self.console.is_terminal and time.monotonic() - self.told > 10:
            self.told = time.monotonic()
            self.say(f"  {done:,} of {total:,}")

    def checking(self, done: int, total: int) -> None:
        self._advance("looking for duplicates", done, total)

    def prepared(self, dataset: Dataset) -> None:
        self._clear()
        sizes = ", ".join(f"{len(rows):,} {name}" for name, rows in dataset.splits.items())
        height, width, channels = dataset.images.shape[1:]
        self.say(f"data      {sizes}; {len(dataset.classes)} classes; {height}x{width}x{channels}")
        for finding in () if self.is_quiet else dataset.findings:  # which are the same for all workers
            self.warn(finding.text)
        if self.console.is_terminal:
            self.say("starting Keras")

    def remarked(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self.warn(finding.text)

    def repeating(self, group: Run, number: int, repeats: int, seed: int) -> None:
        self.group = (group, number, repeats)
        kind = "fold" if group.settings.get("folds") else "repeat"
        self.say(f"{kind:<9} {number} of {repeats}, seed {seed}")

    def failed(self, message: str) -> None:
        self._clear()
        self.warn(f"this repeat failed: {message}")

    def kept(self, epochs: int, step: int) -> None:
        of_the_next = f" and {counted(step, 'step')} of the next" if step else ""
        self.kept_so_far = counted(epochs, "finished epoch") + of_the_next

    def resuming(self, epochs: int, step: int) -> None:
        self.kept(epochs, step)
        where = f"in epoch {epochs + 1}, after its step {step}" if step else f"after {counted(epochs, 'epoch')}"
        self.say(f"resumed   {where}")

    def started(
        self,
        spec: Spec,
        run: Run,
        device: Device,
        params: int,
        trainable_params: int | None = None,
        pretrained: str | None = None,
    ) -> None:
        self.epochs, self.run = sum(phase.epochs for phase in spec.phases), run
        gpu = f"; {device.remark}" if device.remark else ""
        self.say(f"device    {device.kind.upper()} {device.name}, {device.threads} threads, {spec.precision}{gpu}")
        if spec.distribute != "none":
            where = counted(device.workers, "process", "processes")
            self.say(f"replicas  {device.replicas} in {where}, {counted(spec.batch, 'image')} a batch in all")
        learning = "" if trainable_params in (None, params) else f", {trainable_params:,} trainable"
        self.say(f"network   {params:,} parameters{learning}")
        if pretrained:
            self.say(f"weights   {pretrained}")
        self.say(f"run       {run.folder}")
        self.begun = None if spec.stages else (math.inf, 0)
        if not spec.stages:
            self.say(_HEADER)

    def stage(self, stage: Stage) -> None:
        count = counted(stage.spec.epochs, "epoch")
        learning = f"{stage.trainable_params:,} of {stage.total_params:,} parameters learn"
        self.say(f"stage     {stage.stage}: up to {count}, {stage.spec.optimizer.name}, {learning}")
        self.say(_HEADER)

    def freezing(self, done: int, total: int) -> None:
        raise_received()
        if self.task is None:
            self.say(f"{total:,} images pass the frozen layers, once")
        self._advance("frozen layers", done, total)
        if done == total:
            self._clear()

    def stepping(self) -> AbstractContextManager[None]:
        return between_steps()

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:
        raise_received()
        self._estimate(step, steps)
        self._advance(f"epoch {epoch}", step, steps, f"loss {_loss(loss)} acc {accuracy:.4f}")

    def _estimate(self, step: int, steps: int) -> None:
        """Say once, while the first epoch goes, how long all will take; the first steps, which trace, do not count."""
        if self.begun is None or step == steps:
            return
        now, (begun, first) = time.monotonic(), self.begun
        if begun == math.inf:
            self.begun = (now, step)
        elif now - begun >= _SURE_S:
            self.begun = None
            if (seconds := (now - begun) / (step - first) * steps * self.epochs) >= _LONG_S:
                self.say(f"about {duration(seconds)} for {counted(self.epochs, 'epoch')}, without validation")

    def epoch(self, row: EpochRow) -> None:
        self._clear()
        self.begun = None
        seconds = f"{row.seconds:.1f}s" if row.seconds < 1000 else f"{row.seconds:.0f}s"
        self.say(
            f"{row.epoch:>4}/{self.epochs:<4} {_loss(row.loss):>7} {row.accuracy:6.4f} {_loss(row.val_loss):>8} "
            f"{'' if row.val_accuracy is None else f'{row.val_accuracy:.4f}':>7} {row.lr:7.2g} {seconds:>6}"
        )

    def evaluating(self, split: str, images: int) -> None:
        self._clear()
        self.say(f"evaluating on {images:,} images ({split})")

    def unreadable(self, name: str, reason: str) -> None:
        self.warn(f"{name}: {reason}")

    def predicting(self, done: int, total: int) -> None:
        raise_received()
        self._advance("predicting", done, total)
        if done == total:
            self._clear()

    def exporting(self, kind: str, done: int, total: int) -> None:
        raise_received()
        if not done:
            self._clear()
            self.say(f"exporting {kind}")
        else:
            self._advance(f"checking {kind}", done, total)
        if done == total:
            self._clear()

    def say(self, text: str) -> None:
        """Print one line as it is: no markup, no highlighting."""
        if not self.is_quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._print(f"warning: {text}", "yellow")

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(plain(text, style), soft_wrap=True)

    def _advance(self, description: str, done: int, total: int, figures: str = "") -> None:
        if self.is_quiet:
            return
        if self.task is None:
            self.task = self.bar.add_task(description, total=total, figures=figures)
            if self.console.is_terminal:
                self.bar.start()
        self.bar.update(self.task, description=description, completed=done, total=total, figures=figures)

    def _clear(self) -> None:
        if self.task is not None:
            if self.console.is_terminal:
                self.bar.stop()
            self.bar.remove_task(self.task)
            self.task = None


def resume_command(run: Run) -> str:
    """Return the command that goes on with a run, as a shell takes it."""
    return f"imgcls resume {shlex.quote(str(run.folder))}"


def _loss(value: float | None) -> str:
    """Return a loss in at most 7 columns."""
    if value is None:
        return ""
    return f"{value:.4f}" if value < 100 else f"{value:.1e}"
