"""What a user names becomes a list of images, of which none is opened yet; and the bytes of one."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from imgcls.data.folder import list_images
from imgcls.data.images import MAX_FILE_BYTES, UnreadableImageError
from imgcls.findings import Finding
from imgcls.inference.fetching import FetchError, fetch
from imgcls.wording import display, size

__all__ = ["Failure", "Source", "Sources", "find_sources", "read"]

MAX_FETCHED_BYTES = 100_000_000
FETCH_TIMEOUT_S = 30.0

_WEB = re.compile(r"https?://", re.IGNORECASE)
_FILE = re.compile(r"file:", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """An image that is to be predicted.

    Attributes:
        name: as people are shown it, and as results name it.
        location: what the operating system opens, or an address on the web.
    """

    name: str
    location: str

    @property
    def is_web(self) -> bool:
        return bool(_WEB.match(self.location))

    @property
    def file_name(self) -> str:
        """The last part of the path, ending and all."""
        path = urlsplit(self.location).path if self.is_web else self.location
        return display(os.path.basename(path.rstrip("/"))) or "image"  # noqa: PTH119 - an address is no path


@dataclass(frozen=True)
class Failure:
    """What was named and is no image that can be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Sources:
    """What some names come to.

    Attributes:
        images: in the order that they were named in, those of a folder sorted; each once.
        failures: names that lead to none.
        findings: what the folders hold besides images.
    """

    images: tuple[Source, ...]
    failures: tuple[Failure, ...]
    findings: tuple[Finding, ...]


def find_sources(named: Iterable[str | os.PathLike[str]]) -> Sources:
    """Find the images that files, folders, patterns and addresses mean.

    A folder stands for all images anywhere below it; a pattern (``photos/*.jpg``, ``**`` for folders of any depth) is
    expanded where no file is called so.
    """
    images: dict[str, Source] = {}
    failures: list[Failure] = []
    findings: list[Finding] = []
    for each in named:
        name = os.fspath(each)
        if _WEB.match(name):
            images.setdefault(name, Source(name, name))
            continue
        for path in _expanded(name):
            if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a name is too long
                images.setdefault(os.path.abspath(path), Source(display(path), path))  # noqa: PTH100 - links stay links
                continue
            below, closed, left_out = list_images(Path(path))
            failures += [Failure(folder, "cannot be listed") for folder in closed]
            findings += [Finding(found.code, f"{display(path)}: {found.message}") for found in left_out]
            if not below and not closed:
                failures.append(Failure(display(path), "the folder has no images"))
            for file in below:
                images.setdefault(os.path.abspath(file), Source(display(file), file))  # noqa: PTH100
    return Sources(tuple(images.values()), tuple(failures), tuple(findings))


def read(source: Source) -> bytes:
    """Return the bytes of an image file.

    Raises:
        UnreadableImageError: it cannot be had; the message says why.
    """
    if source.is_web:
        try:
            return fetch(source.location, max_bytes=MAX_FETCHED_BYTES, timeout_s=FETCH_TIMEOUT_S)
        except FetchError as error:
            raise UnreadableImageError(str(error)) from error
    try:
        _refuse_special(os.stat(source.location))  # noqa: PTH116 - before it is opened: a pipe would wait for a writer
        with open(source.location, "rb") as file:  # noqa: PTH123 - the path may hold bytes that are no text
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise UnreadableImageError(_missing(source.location)) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise UnreadableImageError(getattr(error, "strerror", None) or str(error)) from error
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableImageError(f"larger than {size(MAX_FILE_BYTES)}")
    return data


def _expanded(name: str) -> list[str]:
    """Return the paths that a name means; the name itself where there are none."""
    if _FILE.match(name) and not os.path.lexists(name):
        return [url2pathname(urlsplit(name).path)]
    if glob.has_magic(name) and not os.path.lexists(name):
        return sorted(glob.glob(name, recursive=True)) or [name]  # noqa: PTH207 - the name may be absolute
    return [name]


def _refuse_special(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
        raise UnreadableImageError(f"{kinds.get(stat.S_IFMT(status.st_mode), 'something')} and not a file")


def _missing(path: str) -> str:
    if os.path.lexists(path):
        return "a link to a file that is not there"
    return "no file has a name of this pattern" if glob.has_magic(path) else "there is no such file or folder"
