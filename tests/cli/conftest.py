import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from imgcls_cli.app import main


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _no_real_log(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def imgcls(capsys):
    """Run a command line in this process; give exit code, stdout and stderr."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def imgcls_process():
    """Run a command line in a process of its own."""

    def run(*arguments, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "imgcls_cli", *map(str, arguments)],
            capture_output=True, text=True, check=False, env={**os.environ, **environment},
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def wide(monkeypatch):
    """Make both consoles wide enough for whole lines; they are made once in a process, whatever COLUMNS is then."""
    from imgcls_cli import console

    for each in (console.out, console.err):
        monkeypatch.setattr(each, "width", 300)
