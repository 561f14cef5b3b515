"""The ``imgcls`` command: the table of commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import atexit
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import cleandoc
from typing import Annotated, Any, NoReturn

import typer

from imgcls.errors import ImgclsError, refusal
from imgcls.importing import claim_process
from imgcls_cli import (
    audit,
    backbones,
    cache,
    compare,
    data,
    doctor,
    evaluate,
    export,
    init,
    list,  # noqa: A004 - a command
    model,
    predict,
    report,
    resume,
    schema,
    serve,
    show,
    sweep,
    train,
    validate,
)

__all__ = ["COMMANDS", "app", "command", "main"]

COMMANDS: dict[str, Callable[..., None]] = {
    "train": train.train,
    "resume": resume.resume,
    "evaluate": evaluate.evaluate,
    "predict": predict.predict,
    "serve": serve.serve,
    "export": export.export,
    "compare": compare.compare,
    "list": list.list_runs,
    "show": show.show,
    "validate": validate.validate,
    "model": model.model,
    "data": data.data,
    "audit": audit.audit,
    "sweep": sweep.sweep,
    "report": report.report,
    "backbones": backbones.backbones,
    "init": init.init,
    "doctor": doctor.doctor,
    "schema": schema.schema,
    "cache": cache.cache,
}

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
# click's exceptions, wherever this typer keeps its click: a usage error, and the base of all that have a message
_UsageError, _ClickException = typer.BadParameter.__mro__[1:3]

app = typer.Typer(
    help="Image-classification experiments from a YAML file: train, measure, compare.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in COMMANDS.items():
    _text, _, _example = (_command.__doc__ or "").partition("Example: ")
    app.command(_name, help=cleandoc(_text), epilog=f"Example: {_example.strip()}")(_command)
if signal.getsignal(signal.SIGINT) is signal.SIG_DFL and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the package's __init__ tells why


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"imgcls {version('imgcls')}")
        except PackageNotFoundError:
            typer.echo("imgcls (run from its source, not installed)")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Typer reads the two options above off this function; ``main`` has already taken ``--debug``."""


def command() -> NoReturn:
    """Be the command of the shell: run the command line and end the process with its exit code.

    Taking TensorFlow down in order lasts .9 s and does nothing that the operating system does not do at once.
    """
    claim_process()
    code = main()
    if not any(name in sys.modules for name in ("jax", "tensorflow", "torch")):
        sys.exit(code)
    atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter calls at its end; it has no public name
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
            stream.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every error of every command ends here."""
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    debug = "--debug" in given
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks is shown, not a crash
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells where it keeps its cache
    try:
        code = app(
            [each for each in given if each != "--debug"] or ["--help"], prog_name="imgcls", standalone_mode=False
        )
        sys.stdout.flush()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer and rich end so when the reader is gone
            return _closed()
        raise
    except BrokenPipeError:
        return _closed()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - the boundary
        return _report(error, debug=debug)
    return code if isinstance(code, int) else 0


def _open_closed_streams() -> None:
    """Put the null device where stdout or stderr is closed, before a file gets its number and what is printed."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def _report(error: Exception, *, debug: bool) -> int:
    """Say what went wrong on stderr; return the exit code."""
    if isinstance(error, typer.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # typer takes every EOFError for the end of input
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ImgclsError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, _ClickException):
        _say(_usage_message(error))
        return EXIT_USAGE
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"the output cannot be written: {error.strerror}")
        return EXIT_FAILED
    if reason := refusal(error):
        _say(reason)
        return EXIT_FAILED
    if not debug:
        from imgcls_cli.crash import keep_traceback

        summary = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        _say(f"a bug in imgcls: {summary} ({keep_traceback(error)})")
    return EXIT_BUG


def _usage_message(error: Any) -> str:
    context = getattr(error, "ctx", None)
    hint = f"\n  imgcls{context.command_path.removeprefix('imgcls')} --help shows what is accepted" if context else ""
    return f"{error.format_message().rstrip('.')}{hint}"


def _say(message: str) -> None:
    from imgcls_cli.console import err, safe

    err.print("[bold red]error:[/]", end=" ", markup=True)
    err.print(safe(message), soft_wrap=True)


def _closed() -> int:
    """End in silence, as programs do that SIGPIPE ends; the interpreter flushes stdout once more on its way out."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + getattr(signal, "SIGPIPE", 13)
