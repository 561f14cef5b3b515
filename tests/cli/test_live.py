"""What a terminal shows while a run goes."""

import io
import re
import shlex
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from imgcls.runs import Run
from imgcls.sweep.study import Trial
from imgcls.training.state import EpochRow
from imgcls_cli import console, signals
from imgcls_cli.live import TerminalObserver
from imgcls_cli.live_sweep import SweepTerminal
from imgcls_cli.signals import Ended

DEVICE = SimpleNamespace(kind="cpu", name="a CPU", threads=2, remark="", replicas=1, workers=1)
SPEC = SimpleNamespace(precision="float32", distribute="none", stages=(), phases=(SimpleNamespace(epochs=300),))
DATASET = SimpleNamespace(
    splits={"train": range(2)}, images=SimpleNamespace(shape=(2, 8, 8, 1)), classes=("a", "b"), findings=()
)


def observed(*, terminal=True, width=60):
    screen = io.StringIO()
    return TerminalObserver(Console(file=screen, force_terminal=terminal, width=width)), screen


def epoch(number, **values):
    row = {"loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.5, "lr": 0.001, "seconds": 1.0}
    return EpochRow(epoch=number, **(row | values))


def test_no_bar_is_live_between_phases():
    observer, screen = observed()
    with observer:
        observer.preparing(1, 2)
        assert observer.bar.live.is_started
        observer.prepared(DATASET)
        assert not observer.bar.live.is_started
        assert "starting Keras" in screen.getvalue()
        observer.batch(1, 1, 2, 0.5, 0.5)
        assert observer.bar.live.is_started
        observer.epoch(epoch(1))
        assert not observer.bar.live.is_started


def test_without_a_terminal_there_is_neither_bar_nor_start_up():
    observer, screen = observed(terminal=False)
    with observer:
        observer.preparing(1, 2)
        observer.prepared(DATASET)
        observer.batch(1, 1, 2, 0.5, 0.5)
    assert "\x1b" not in screen.getvalue()
    assert "Keras" not in screen.getvalue()
    assert screen.getvalue().count("\n") == 2


def test_a_bar_leaves_room_for_the_ctrl_c_that_the_terminal_echoes():
    observer, screen = observed(width=60)
    with observer:
        observer.batch(1, 1, 2, 0.5, 0.5)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) == 57


@pytest.mark.parametrize(
    "values", [{}, {"loss": 12345.678, "val_loss": 1e9}, {"val_loss": None, "val_accuracy": None}, {"seconds": 54321.0}]
)
def test_the_table_of_epochs_has_at_most_56_columns(values):
    observer, screen = observed(terminal=False, width=200)
    observer.started(SPEC, Run("r"), DEVICE, 10)
    observer.epoch(epoch(300, lr=1.234e-05, **values))
    header, row = screen.getvalue().splitlines()[-2:]
    assert len(header) == len(row) == 56


@pytest.mark.parametrize(("error", "name"), [(KeyboardInterrupt(), "SIGINT"), (Ended(15), "SIGTERM")])
@pytest.mark.parametrize(
    ("checkpoints", "kept"),
    [
        ([], "no epoch; imgcls resume r begins anew"),
        ([(1, 0)], "1 finished epoch; imgcls resume r goes on"),
        ([(1, 0), (2, 7)], "2 finished epochs and 7 steps of the next; imgcls resume r goes on"),
    ],
)
def test_an_interrupt_erases_the_bar_and_says_what_is_kept(error, name, checkpoints, kept):
    observer, screen = observed()
    with pytest.raises(type(error)), observer:
        observer.started(SPEC, Run("r"), DEVICE, 10)
        for number in (1, 2, 3):
            observer.epoch(epoch(number))
        for checkpoint in checkpoints:
            observer.kept(*checkpoint)
        observer.batch(9, 1, 2, 0.5, 0.5)
        raise error
    assert not observer.bar.live.is_started
    assert screen.getvalue().endswith(f"interrupted ({name}): r keeps {kept}\n")


@pytest.mark.parametrize("terminal", [TerminalObserver, SweepTerminal])
def test_the_command_that_goes_on_works_as_it_is_printed(terminal):
    observer, run = terminal(Console(file=io.StringIO())), Run("my runs/it's one")
    observer.run = observer.folder = run
    observer.kept(1, 0)
    assert shlex.split(observer._interrupted("SIGINT").partition("; ")[2]) == [
        "imgcls", "resume", str(run.folder), "goes", "on",
    ]  # fmt: skip
    observer.group, observer.folder = (run, 1, 2), None
    assert "imgcls resume 'my runs/" in observer._interrupted("SIGINT")


def test_an_objective_is_shown_as_it_is_in_the_summary_of_the_sweep():
    screen = io.StringIO()
    with SweepTerminal(Console(file=screen, width=200)) as observer:
        observer.sweep = SimpleNamespace(trial_count=3, objective=("val_accuracy", "total_params", "seconds"))
        point = {"optimizer": {"name": "sgd", "nesterov": True, "momentum": None}}
        observer.trial_ended(Trial(0, point, "completed", (0.5, 1234567.0, 75.0), facts={"seconds": 2.0}), None, 1)
    figures = "val_accuracy 0.5000, total_params 1,234,567, seconds 1 min 15 s"
    assert screen.getvalue() == f"1/3  optimizer {{name: sgd, nesterov: true, momentum: none}}: {figures}  (2.0 s)\n"


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Ended)])
def test_a_signal_that_came_while_python_could_not_raise_ends_the_next_step(monkeypatch, number, error):
    monkeypatch.setattr(signals, "_received", [number])
    observer, _ = observed()
    with pytest.raises(error), observer:
        observer.batch(1, 1, 2, 0.5, 0.5)


def test_an_interrupt_before_the_run_says_so():
    observer, screen = observed()
    with pytest.raises(KeyboardInterrupt), observer:
        raise KeyboardInterrupt
    assert screen.getvalue() == "interrupted before the run began\n"


def test_text_from_data_stays_on_its_line():
    observer, screen = observed(terminal=False)
    observer.warn("a\nb \x1b[31m")
    assert screen.getvalue() == "warning: a\\nb \\x1b[31m\n"


@pytest.mark.parametrize(("stages", "told"), [((), True), (("a stage",), False)])
def test_the_time_of_all_epochs_is_estimated_once_without_the_first_steps(stages, told, monkeypatch, tmp_path):
    observer, screen = observed(width=90)
    clock = iter([50.0, 51.0, 52.5])
    with observer:
        observer.started(SimpleNamespace(**vars(SPEC) | {"stages": stages}), Run(tmp_path / "run"), DEVICE, 10)
        monkeypatch.setattr("imgcls_cli.live.time", SimpleNamespace(monotonic=lambda: next(clock)))
        for step in (1, 2, 3, 4, 5):
            observer.batch(1, step, 10, 0.5, 0.5)
        monkeypatch.undo()
    assert screen.getvalue().count("about 1 h 2 min for 300 epochs") == told


def test_progress_that_cannot_be_written_ends_nothing():
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        progress = console._ProgressConsole(file=full)
        for _ in range(3):
            progress.print("epoch 1" * 10_000)


def test_a_signal_that_python_drops_is_not_reported_and_other_errors_are():
    code = """
from imgcls_cli.signals import end_on_signals
end_on_signals()
class Drops:
    def __init__(self, error): self.error = error
    def __del__(self): raise self.error
Drops(KeyboardInterrupt()); Drops(ValueError("seen"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "seen" in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
