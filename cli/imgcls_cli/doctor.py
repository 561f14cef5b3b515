"""``imgcls doctor``: whether this machine and installation can train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from imgcls_cli.options import CacheDir, Json, RunsDir

if TYPE_CHECKING:
    from imgcls.diagnosis import Line

__all__ = ["doctor"]

STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
KIND_COLUMNS, TOPIC_COLUMNS = 9, 14
EXIT_PROBLEM = 1


def doctor(runs_dir: RunsDir = Path("runs"), cache_dir: CacheDir = None, json: Json = False) -> None:
    """Look at versions, devices, extras, folders and settings, and say what to do about what is wrong.

    It exits with 1 where something would make a training fail; a note does not.

    Example: imgcls doctor
    """
    from dataclasses import asdict

    from imgcls.diagnosis import diagnose
    from imgcls.files import strict_json
    from imgcls_cli.console import emit, err, out

    if err.is_terminal:
        from rich.live import Live
        from rich.spinner import Spinner

        spinner = Spinner("dots", "starting TensorFlow ...")
        with Live(spinner, console=err, transient=True, redirect_stdout=False, redirect_stderr=False):
            lines = diagnose(runs_dir, cache_dir)
    else:
        lines = diagnose(runs_dir, cache_dir)
    problems = sum(line.kind == "problem" for line in lines)
    if json:
        emit(strict_json({"can_train": not problems, "lines": [asdict(line) for line in lines]}))
    else:
        for line in lines:
            _print(line)
        out.print(_verdict(lines), soft_wrap=True)
    if problems:
        raise typer.Exit(EXIT_PROBLEM)


def _print(line: Line) -> None:
    """Print ``ok  topic  text`` with the advice below; what wraps stands below its own column."""
    from rich.text import Text

    from imgcls_cli.console import out, plain

    margin = KIND_COLUMNS + TOPIC_COLUMNS
    head = Text.assemble((f"{line.kind:<{KIND_COLUMNS}}", STYLES[line.kind]), (f"{line.topic:<{TOPIC_COLUMNS}}", "dim"))
    texts = [line.text, *([f"-> {line.advice}"] if line.advice else [])]
    for wrapped in [part for text in texts for part in plain(text).wrap(out, max(out.width - margin - 1, 20))]:
        wrapped.rstrip()
        out.print(Text.assemble(head, wrapped), soft_wrap=True)
        head = Text(" " * margin)


def _verdict(lines: list[Line]) -> str:
    from imgcls.wording import counted

    problems = sum(line.kind == "problem" for line in lines)
    notes = sum(line.kind == "note" for line in lines)
    if problems:
        return f"{counted(problems, 'problem')}: a training would fail"
    return "ready to train" + (f", {counted(notes, 'note')}" if notes else "")
