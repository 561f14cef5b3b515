"""A saved network, read without trust."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

from imgcls.backend.choosing import import_quietly
from imgcls.errors import DataError
from imgcls.wording import first_line

__all__ = ["load_model"]

_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError)  # RuntimeError: encrypted, or packed in another way


def load_model(path: Path) -> Any:
    """Load a ``.keras`` file without running any code from it.

    Raises:
        DataError: the file is truncated, foreign, or asks for code.
    """
    import_quietly()
    import keras

    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is truncated, or was never a Keras model")
    try:
        with zipfile.ZipFile(path) as archive:
            if (
                part := archive.testzip()
            ):  # from Python 3.13 on, what is read in pieces is not held against its checksum
                raise zipfile.BadZipFile(f"{part} is damaged")
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, EOFError, *_ZIP_ERRORS) as error:
        raise DataError(f"{path} is not a model that can be loaded: {first_line(error)[:200]}") from error
