"""A process that trains one trial after the other: ``python -m imgcls.sweep.worker``, which only a sweep starts.

It reads JSON lines from stdin and answers on stdout; what else is printed goes to stderr. It ends when stdin does: a
sweep that is killed leaves no process behind.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from filelock import FileLock

from imgcls.errors import DataError, ImgclsError, refusal
from imgcls.importing import claim_process
from imgcls.observer import Observer
from imgcls.runs import Run
from imgcls.runs.layout import FINAL
from imgcls.sweep.images import Images, request_for
from imgcls.wording import first_line

if TYPE_CHECKING:
    from imgcls.data import Dataset
    from imgcls.spec import Spec
    from imgcls.training.state import EpochRow

__all__ = ["Pruned", "main"]

_GRACE_S = 5.0  # for the run to be marked interrupted, when nobody listens any more


class Pruned(BaseException):
    """The sweep gave the trial up; the run is marked as interrupted, as by a signal."""


class _Inbox:
    """What the sweep says, read in the background so that its end is noticed at once."""

    def __init__(self, lines: TextIO) -> None:
        self._messages: queue.Queue[Mapping[str, Any] | None] = queue.Queue()
        self._is_over = threading.Event()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines: TextIO) -> None:
        for line in lines:
            self._messages.put(json.loads(line))
        self._is_over.set()
        self._messages.put(None)
        threading.Timer(_GRACE_S, os._exit, [1]).start()

    def next(self) -> Mapping[str, Any] | None:
        """Wait for a message; None when there will be none."""
        return self._messages.get()

    def raise_if_over(self) -> None:
        """Raise KeyboardInterrupt if the sweep is interrupted, or gone."""
        if self._is_over.is_set():
            raise KeyboardInterrupt("with its sweep")


class _Trial(Observer):
    """Tells the sweep of each epoch, and waits for what it says where trials can be given up."""

    def __init__(self, inbox: _Inbox, send: Callable[..., None], *, asks: bool) -> None:
        self.inbox, self.send, self.asks = inbox, send, asks
        self.repeat = 1

    def preparing(self, done: int, total: int) -> None:  # noqa: ARG002 - Observer's signature
        self.inbox.raise_if_over()

    checking = freezing = preparing

    def repeating(self, group: Run, number: int, repeats: int, seed: int) -> None:  # noqa: ARG002
        self.repeat = number

    def batch(self, epoch: int, step: int, steps: int, loss: float, accuracy: float) -> None:  # noqa: ARG002
        self.inbox.raise_if_over()

    def epoch(self, row: EpochRow) -> None:
        if self.repeat > 1:
            return
        self.send(epoch=row.epoch, val_accuracy=row.val_accuracy, val_loss=row.val_loss)
        if self.asks:
            answer = self.inbox.next()
            self.inbox.raise_if_over()
            if answer is not None and answer["prune"]:
                raise Pruned(f"given up after epoch {row.epoch}: it had fallen behind the other trials")


def main() -> None:
    """Train what the sweep hands out, until it has no more."""
    claim_process()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    inbox = _Inbox(sys.stdin)
    begin = inbox.next()
    if begin is None:
        return
    _keep_to(begin["cores"])

    def send_for(spec: Spec) -> Dataset:
        import joblib

        send(images=request_for(spec))
        answer = inbox.next()
        inbox.raise_if_over()
        assert answer is not None
        if "refused" in answer:
            raise DataError(answer["refused"])
        return joblib.load(answer["images"], mmap_mode="r")

    images = Images(send_for if begin["asks_for_images"] else None)
    with FileLock(begin["lock"]):  # as long as this process lives, or is killed
        while (order := inbox.next()) is not None:
            send(**_outcome(order, images, inbox, send))


def _keep_to(cores: Sequence[int]) -> None:
    """Use these cores only: TensorFlow, and all that decodes and resamples, take as many threads as they see cores."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _outcome(order: Mapping[str, Any], images: Images, inbox: _Inbox, send: Callable[..., None]) -> dict[str, Any]:
    """Train a trial; return how it went."""
    try:
        _train(order, images, _Trial(inbox, send, asks=order["asks"]))
    except Pruned as error:
        return {"end": "pruned", "message": str(error)}
    except ImgclsError as error:
        return {"end": "failed", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the traceback is in the run's log; the other trials go on
        bug = f"a bug in imgcls: {type(error).__name__}: {first_line(error)}"
        return {"end": "failed", "message": refusal(error) or bug}
    return {"end": "completed", "message": ""}


def _train(order: Mapping[str, Any], images: Images, observer: _Trial) -> None:
    import gc

    from imgcls.experiment import as_it_began, train_into
    from imgcls.spec.document import Document
    from imgcls.spec.loading import NO_FILE, load_document

    run = Run(order["folder"])
    loaded = load_document(Document(NO_FILE, order["spec"]), Path(order["base"]))
    with _shown(run, order["point"], loaded.spec.tracking) as begin:

        def make_run() -> Run:
            observer.inbox.raise_if_over()  # who goes on with the sweep makes the folder then
            run.folder.mkdir(exist_ok=True)
            begin()
            return run

        threads = None
        if run.has_begun:
            loaded, threads = as_it_began(run)
        try:
            train_into(make_run, loaded, order["cache_dir"], observer, images.load, threads=threads)
        finally:
            gc.collect()  # a network is full of circles: it would stay in memory beside the next


@contextmanager
def _shown(run: Run, point: Mapping[str, Any], tracking: str) -> Iterator[Callable[[], None]]:
    """Give what is called when the trial's folder is there, and log its row of TensorBoard's HParams page."""
    if tracking != "tensorboard" or run.name == FINAL:  # that is none of the trials, and measured on other images
        yield lambda: None
        return
    from imgcls.runs.layout import SWEEP_RESOLVED, TENSORBOARD
    from imgcls.spec.sweeping import load_sweep
    from imgcls.sweep.results import objectives_of
    from imgcls.tracking.tensorboard import SweepSession, write_experiment

    whole = Run(run.folder.parent)
    sweep = load_sweep(whole.path(SWEEP_RESOLVED), check_points=False).sweep
    if not whole.path(TENSORBOARD).exists():
        write_experiment(whole, sweep.parameters, sweep.objective)
    sessions: list[SweepSession] = []
    values: dict[str, float] = {}
    try:
        yield lambda: sessions.append(SweepSession(run, sweep.parameters, point))
        values = dict(zip(sweep.objective, objectives_of(run, sweep), strict=True))
    finally:
        for session in sessions:
            session.end(values, completed=bool(values))


if __name__ == "__main__":
    main()
