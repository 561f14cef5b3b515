"""``imgcls audit``: whether pasted results can be true, and what they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcls_cli.options import Json

if TYPE_CHECKING:
    from imgcls.pasted import Piece, TextAudit

__all__ = ["audit"]

_MAX_BYTES = 20_000_000


def audit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Text, CSV, JSON or notebooks; - is stdin.")],
    repeats: Annotated[
        int | None, typer.Option("--repeats", min=1, help="Of how many runs the means are; else as the text says.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 4 where figures cannot be, or mean nothing.")] = False,
    json: Json = False,
) -> None:
    """Check results pasted from anywhere: confusion matrices, classification reports, training logs, tables of means.

    Whether they can be true, agree with each other, and are better than chance and the most frequent class.

    Example: imgcls audit report.txt notebook.ipynb
    """
    from imgcls.errors import SpecError
    from imgcls.pasted import audit_text

    if files.count(Path("-")) > 1:
        raise SpecError("- is stdin, which can be read once")
    audits = {str(file): audit_text(_text(file), repeats=repeats) for file in files}
    if json:
        _emit(audits)
    else:
        for name, found in audits.items():
            _print(name, found, named=len(audits) > 1)
    _require(audits, strict=strict)


def _text(file: Path) -> str:
    """Return a file's text.

    Raises:
        SpecError: there is no such file.
        DataError: it cannot be read, is too large, or no text.
    """
    from imgcls.errors import DataError, SpecError

    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SpecError(f"there is no file {file}") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise DataError(f"{file} is larger than {_MAX_BYTES // 10**6} MB: give the part with the results")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # as PowerShell writes
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise DataError(f"{file} is no text")
    return content.decode(errors="replace")


def _emit(audits: dict[str, TextAudit]) -> None:
    from imgcls.files import strict_json
    from imgcls_cli.console import emit

    emit(
        strict_json(
            [
                {
                    "file": name,
                    "found": [
                        {"kind": _kind(piece), "place": found.place(piece), "text": _figures(piece)}
                        for piece in found.pieces
                    ],
                    "warnings": [remark.finding.record() | {"place": found.place(remark)} for remark in found.remarks],
                }
                for name, found in audits.items()
            ]
        )
    )


def _print(name: str, found: TextAudit, *, named: bool) -> None:
    from imgcls_cli.console import out, plain
    from imgcls_cli.lines import print_figures

    if named:
        out.print(plain(name, "bold"), soft_wrap=True)
    rows = [(found.place(piece), _kind(piece), _figures(piece)) for piece in found.pieces]
    if rows:
        print_figures(out, ("where", "what", "figures"), rows, words=("where", "what", "figures"))
    for remark in found.remarks:
        out.print(plain(f"{found.place(remark)}: {remark.finding.message}", "yellow"), soft_wrap=True)
    for finding in {remark.finding.code: remark.finding for remark in found.remarks}.values():
        out.print(plain(f"{finding.code}: {finding.advice}"), soft_wrap=True)
    if rows and not found.remarks:
        out.print("nothing is wrong with it, as far as this can tell")


def _require(audits: dict[str, TextAudit], *, strict: bool) -> None:
    """Raise where nothing was found to check, or under ``--strict`` something that must not be.

    Raises:
        DataError: a file holds no results.
        DegenerateError: a result cannot be or means nothing.
    """
    from imgcls.errors import DataError, DegenerateError

    empty = [name for name, found in audits.items() if not found.pieces and not found.remarks]
    if empty:
        raise DataError(
            f"{', '.join(empty)}: no training log, classification report, confusion matrix or figure in a line of its "
            "own was found"
        )
    codes = sorted({remark.finding.code for found in audits.values() for remark in found.remarks if remark.is_grave})
    if strict and codes:
        raise DegenerateError(f"--strict: {', '.join(codes)}")


def _kind(piece: Piece) -> str:
    from imgcls import pasted

    return {
        pasted.Log: "training log",
        pasted.ClassReport: "classification report",
        pasted.Matrix: "confusion matrix",
        pasted.SingleFigure: "figure",
        pasted.Repeats: "mean of runs",
    }[type(piece)]


def _figures(piece: Piece) -> str:
    """Return what a piece says, in one line."""
    from imgcls import pasted
    from imgcls.evaluation.rounding import number_text
    from imgcls.wording import counted

    match piece:
        case pasted.Log(epochs=epochs):
            last = [f"{name} {number_text(value)}" for name, value in epochs[-1].figures.items()]
            return ", ".join([counted(len(epochs), "epoch"), *last])
        case pasted.ClassReport(classes=classes, n=n, figures=figures):
            said = [f"{name} {number_text(value)}" for name, value in figures.items() if name != "macro_precision"]
            return ", ".join([f"{len(classes)} classes", *([counted(n, "image")] if n else []), *said])
        case pasted.Matrix(counts=counts, n=n, is_cut=is_cut):
            return "cut" if is_cut else f"{len(counts)} classes, {counted(n, 'image')}"
        case pasted.SingleFigure(label=label, part=part, name=name, value=value):
            return " ".join(filter(None, (label, part, name, number_text(value))))
        case pasted.Repeats(label=label, figure=figure, spread=spread, runs=runs):
            levels = spread.levels | {"sd": spread.sd or 0.0}
            said = [f"{key} {number_text(value)}" for key, value in levels.items()]
            return f"{label}: {figure} {', '.join(said)}" + (f", {counted(runs, 'run')}" if runs else "")
    raise TypeError(piece)
