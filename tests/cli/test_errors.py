"""Every error of every command ends in one place: a message, an exit code, no traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from imgcls.errors import DataError, DegenerateError, ImgclsError, RunError, SpecError
from imgcls_cli import app as app_module
from imgcls_cli.app import main
from imgcls_cli.console import emit


@pytest.fixture
def failing(monkeypatch, imgcls):
    """Run a command that raises the given error."""

    def run(error, *arguments):
        def command():
            raise error

        broken = typer.Typer(pretty_exceptions_enable=False)
        broken.command()(command)
        broken.callback()(lambda: None)
        monkeypatch.setattr(app_module, "app", broken)
        return imgcls("command", *arguments)

    return run


@pytest.mark.parametrize(
    ("error", "code"), [(RunError, 1), (SpecError, 2), (DataError, 3), (DegenerateError, 4), (ImgclsError, 1)]
)
def test_what_users_cause_is_one_message_and_a_code(failing, error, code):
    result = failing(error("the reason"))
    assert (result.code, result.err, result.out) == (code, "error: the reason\n", "")


def test_ctrl_c_is_130(failing):
    result = failing(KeyboardInterrupt())
    assert result.code == 130
    assert "Traceback" not in result.err


def test_a_bug_is_70_and_its_traceback_is_kept(failing, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = failing(ZeroDivisionError("a\nb"))
    assert result.code == 70
    assert len(result.err.splitlines()) == 1
    assert "ZeroDivisionError: a b" in result.err
    (log,) = tmp_path.rglob("crash-*.log")
    assert str(log) in result.err
    assert "raise error" in log.read_text()


def test_a_bug_in_a_run_names_the_runs_log(failing, tmp_path):
    error = ZeroDivisionError("no")
    error.run_folder = tmp_path
    assert str(tmp_path / "train.log") in failing(error).err


def test_a_log_that_cannot_be_written_is_no_second_error(failing, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    result = failing(ZeroDivisionError("no"))
    assert result.code == 70
    assert "--debug" in result.err


def test_an_end_of_file_in_the_code_is_a_bug_too(failing, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = failing(EOFError("truncated"))
    assert result.code == 70
    assert "EOFError: truncated" in result.err


@pytest.mark.parametrize(("error", "code"), [(ZeroDivisionError("x"), 70), (DataError("x"), 3)])
def test_debug_shows_the_traceback(failing, error, code):
    result = failing(error, "--debug")
    assert result.code == code
    assert "Traceback" in result.err


@pytest.mark.parametrize("arguments", [["--debug", "show", "x"], ["show", "--debug", "x"], ["show", "x", "--debug"]])
def test_debug_may_stand_anywhere(imgcls, arguments):
    result = imgcls(*arguments)
    assert result.code == 3
    assert "Traceback" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "nonsense"),
        (["lst"], "list"),
        (["--nonsense"], "--nonsense"),
        (["show"], "RUN"),
        (["list", "--sort", "colour"], "colour"),
        (["compare", "a"], "at least two"),
        (["list", "--json", "--csv"], "one format"),
        (["validate", "x.yaml", "-s", "lr"], "KEY=VALUE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_usage_errors_are_2_and_say_what_is_wrong(imgcls, arguments, message):
    result = imgcls(*arguments)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert message in result.err
    assert result.out == ""


def test_text_from_data_is_neither_markup_nor_terminal_code(failing):
    result = failing(DataError("class [/cat] and [red]x[/red] and \x1b[31mred"))
    assert "class [/cat] and [red]x[/red] and \\x1b[31mred" in result.err


@pytest.mark.parametrize(("is_terminal", "printed"), [(True, "a,\\x1b[2J\n"), (False, "a,\x1b[2J\n")])
def test_csv_reaches_a_terminal_without_codes_and_a_file_as_it_is(is_terminal, printed, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    emit("a,\x1b[2J")
    assert capsys.readouterr().out == printed


def test_a_name_that_the_terminal_cannot_show_is_no_crash(imgcls_process):
    result = imgcls_process("show", "naïve-日本", PYTHONIOENCODING="ascii")
    assert result.code == 3
    assert "na\\xefve" in result.err


def test_a_closed_pipe_ends_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "imgcls_cli", "schema"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.parametrize(("closed", "arguments", "code"), [(">&-", "schema", 0), ("2>&-", "show x", 3)])
def test_a_closed_stream_is_no_error(closed, arguments, code):
    command = ["sh", "-c", f"exec {sys.executable} -m imgcls_cli {arguments} {closed}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_ctrl_c_while_modules_load_shows_no_traceback():
    program = """
import os, signal, sys
sys.argv[0] = "imgcls"
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background without it
import imgcls_cli

class Interrupt:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from imgcls_cli.app import main
from imgcls_cli.console import emit
main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode == -signal.SIGINT


def test_line_breaks_of_a_message_stay(failing):
    assert failing(DataError("two\n  lines")).err == "error: two\n  lines\n"


def test_no_arguments_show_the_help(imgcls):
    result = imgcls()
    assert result.code == 0
    assert "Usage" in result.out


def test_the_version_is_shown(imgcls):
    result = imgcls("--version")
    assert result.code == 0
    assert result.out.startswith("imgcls ")


def test_no_color_is_honoured(imgcls_process):
    result = imgcls_process("show", "x", NO_COLOR="1", FORCE_COLOR="1")
    assert "\x1b[31m" not in result.err
    assert "[91m" not in result.err


def test_main_takes_the_command_line_of_the_process(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["imgcls", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("imgcls")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_under_the_output_is_no_bug(tmp_path):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "imgcls_cli", "schema"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "the output cannot be written: No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (ImportError("libx.so: failed to map segment from shared object"), "ulimit -v"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "TMPDIR"),
        (PermissionError(13, "Permission denied", "runs/a"), "runs/a: Permission denied"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "a"), "a: Too many levels"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", b"a/\xff"), "a/\\udcff: Not a directory"),
    ],
)
def test_what_the_system_refuses_is_no_bug(failing, error, said):
    done = failing(error)
    assert done.code == 1
    assert said in done.err
    assert "bug" not in done.err


@pytest.mark.parametrize("arguments", [["show"], ["resume"], ["data"], ["list", "--runs-dir"], ["audit"]])
def test_a_name_that_is_too_long_is_no_bug(imgcls, arguments):
    done = imgcls(*arguments, "x" * 300)
    assert done.code in (1, 2, 3)
    assert "File name too long" in done.err
