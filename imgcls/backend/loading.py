"""A saved network, read without trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgcls.backend.choosing import import_quietly
from imgcls.errors import DataError
from imgcls.wording import first_line

__all__ = ["load_model"]


def load_model(path: Path) -> Any:
    """Load a ``.keras`` file without running any code from it, in no more memory than its weights explain.

    Raises:
        DataError: the file is truncated, foreign, or asks for something else than a network of imgcls.
    """
    from imgcls.backend.inspecting import inspect_model  # it needs h5py, which most commands do not

    inspect_model(path)
    import_quietly()
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # of a config that is well-formed and makes no sense, Keras and its backends raise all
        raise DataError(f"{path} is not a model that can be loaded: {first_line(error)[:200]}") from error
