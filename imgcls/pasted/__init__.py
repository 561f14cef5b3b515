"""Results pasted from anywhere: read out of a text, and checked."""

from imgcls.pasted.auditing import Remark, TextAudit, audit_text
from imgcls.pasted.pieces import ClassReport, Epoch, Log, Matrix, Piece, Repeats, SingleFigure

__all__ = [
    "ClassReport",
    "Epoch",
    "Log",
    "Matrix",
    "Piece",
    "Remark",
    "Repeats",
    "SingleFigure",
    "TextAudit",
    "audit_text",
]
