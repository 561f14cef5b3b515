"""Which function lists which source."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgcls.data.arrays import list_npz, list_npz_file
from imgcls.data.builtin import list_builtin
from imgcls.data.folder import list_class_folders, list_folder
from imgcls.data.listing import Listing
from imgcls.data.parts import PartSources
from imgcls.data.table import list_csv, list_csv_file
from imgcls.errors import DataError
from imgcls.spec.data import DataSpec
from imgcls.wording import display

__all__ = ["LISTERS", "data_path", "list_path", "list_source"]

Lister = Callable[[DataSpec, Path, dict[str, float]], tuple[Listing, PartSources]]

LISTERS: dict[str, Lister] = {
    "folder": list_folder,
    "csv": list_csv,
    "npz": list_npz,
    "cifar10": list_builtin,
    "cifar100": list_builtin,
    "mnist": list_builtin,
    "fashion_mnist": list_builtin,
    "digits": list_builtin,
}


def data_path(data: DataSpec, base: Path) -> Path | None:
    """Return where the data lies, absolute and with ``~`` expanded; None for a built-in set.

    Args:
        data: what the spec says of the data.
        base: the folder that its path is relative to.
    """
    if data.path is None:
        return None
    path = base / os.path.expanduser(data.path)  # noqa: PTH111 - Path's raises for an unknown user
    try:
        return Path(os.path.realpath(path))  # not Path.resolve, which raises for a link to itself
    except ValueError:  # a null character, which no file has in its name
        return path.absolute()


def list_source(data: DataSpec, base: Path, defaults: dict[str, float]) -> tuple[Listing, PartSources]:
    """List the images of ``data``; ``base`` is the folder that its path is relative to."""
    path = data_path(data, base) or base
    with _reading(path):
        return LISTERS[data.source](data, path, defaults)


def list_path(path: Path, *, part: str | None, classes: Collection[str]) -> Listing:
    """List a folder of class folders, a CSV or an npz file, or one part of it, as one.

    Args:
        path: the folder or file.
        part: ``test`` for instance: a sub-folder, a value of the column split, or a part's arrays; None for all.
        classes: those expected.

    Raises:
        DataError: there is no such path, or it is none of these, or it has no such part.
    """
    with _reading(path):
        if not path.exists():
            accepted = "a folder of class folders, a .csv or a .npz is accepted"
            raise DataError(f"there is no {display(path.absolute())}; {accepted}")
        if path.is_dir():
            return list_class_folders(path, part, classes)
        match path.suffix.lower():
            case ".csv":
                return list_csv_file(path, part)
            case ".npz":
                return list_npz_file(path, part)
    raise DataError(f"{display(path)} is no folder of class folders, .csv or .npz")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that names the path and the reason."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read {display(error.filename or path)}: {error.strerror or error}") from error
