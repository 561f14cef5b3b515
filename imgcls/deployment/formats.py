"""The table of formats: what each is called, how it is written and opened, what it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imgcls.backend import is_installed
from imgcls.deployment import to_keras, to_onnx, to_savedmodel, to_tflite
from imgcls.deployment.source import Opened, Source
from imgcls.errors import RunError, SpecError, nearest

__all__ = ["EXPORT_JSON", "FORMATS", "LABELS", "NAMES", "QUANTIZED", "Format", "kinds_of", "require_packages"]

EXPORT_JSON = "export.json"  # what is there, how to feed it, what the checks found
LABELS = "labels.txt"  # a class a line


@dataclass(frozen=True)
class Format:
    """One kind of export.

    Attributes:
        file: its file or folder within that of the export.
        write: puts it there.
        open: loads it with its own runtime, which may use so many threads.
        is_exact: whether it computes as the network does, to rounding in float32.
        packages: what it needs that imgcls does not.
        extra: brings them.
    """

    file: str
    write: Callable[[Source, Path], None]
    open: Callable[[Path, int], Opened]
    is_exact: bool = True
    packages: tuple[str, ...] = ()
    extra: str = ""


FORMATS = {
    "keras": Format("model.keras", to_keras.write_keras, to_keras.open_keras),
    "savedmodel": Format("savedmodel", to_savedmodel.write_savedmodel, to_savedmodel.open_savedmodel),
    "tflite": Format("model.tflite", to_tflite.write_tflite, to_tflite.open_tflite),
    "tflite-float16": Format("model_float16.tflite", to_tflite.write_float16, to_tflite.open_tflite, is_exact=False),
    "tflite-int8": Format("model_int8.tflite", to_tflite.write_int8, to_tflite.open_tflite, is_exact=False),
    "onnx": Format("model.onnx", to_onnx.write_onnx, to_onnx.open_onnx, packages=to_onnx.PACKAGES, extra="onnx"),
}
QUANTIZED = tuple(kind.removeprefix("tflite-") for kind in FORMATS if kind.startswith("tflite-"))
NAMES = tuple(kind for kind in FORMATS if "-" not in kind)


def kinds_of(formats: Sequence[str], quantize: Sequence[str]) -> list[str]:
    """Return which entries of the table are meant, each once, in its order.

    Args:
        formats: of ``NAMES``.
        quantize: of ``QUANTIZED``; they come beside the float32 file of ``tflite``.

    Raises:
        SpecError: there is none of that name, none at all, or nothing to quantise.
    """
    for option, given, accepted in (("format", formats, NAMES), ("quantize", quantize, QUANTIZED)):
        for name in given:
            if name not in accepted:
                there = ", ".join(accepted)
                raise SpecError(f"--{option}: got {name!r}; {there} are accepted{nearest(name, accepted)}")
    if not formats:
        raise SpecError(f"--format: name one or several of {', '.join(NAMES)}")
    if quantize and "tflite" not in formats:
        raise SpecError("--quantize is for tflite: add --format tflite")
    wanted = {*formats, *(f"tflite-{name}" for name in quantize)}
    return [kind for kind in FORMATS if kind in wanted]


def require_packages(kinds: Sequence[str]) -> None:
    """Raise, before any work is done, if a package is missing that a format needs.

    Raises:
        RunError: names it, and what brings it.
    """
    for kind in kinds:
        missing = [package for package in FORMATS[kind].packages if not is_installed(package)]
        if missing:
            raise RunError(f"{kind} needs {', '.join(missing)}: pip install 'imgcls[{FORMATS[kind].extra}]'")
