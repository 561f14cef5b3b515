"""The source ``folder``: a sub-folder a class, with or without folders for train, validation and test above them."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imgcls.data.listing import Files, Listing, composed
from imgcls.data.parts import PART_OF, PARTS, PartSources, parts_among, pick_part, resolve_parts
from imgcls.data.problems import raise_problems
from imgcls.errors import DataError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DataSpec
from imgcls.wording import counted, display, shown, some

__all__ = ["ENDINGS", "list_class_folders", "list_folder", "list_images"]

ENDINGS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"})
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
NEVER_DATA = frozenset({"__macosx", "thumbs.db", "desktop.ini"})  # what macOS and Windows leave behind


@dataclass
class _Seen:
    """What a walk met besides images."""

    hidden_files: int = 0
    hidden_folders: int = 0
    special: int = 0
    loose: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    closed: list[str] = field(default_factory=list)


class _Inner(NamedTuple):
    """The folders that a class folder consists of; ``top``, relative to the data folder, is where they stand."""

    top: str
    names: frozenset[str]


def list_folder(data: DataSpec, path: Path, defaults: dict[str, float]) -> tuple[Listing, PartSources]:
    """List a folder with class folders.

    Images anywhere below a class folder belong to that class. Links are followed, each real folder once a class.
    Hidden files and folders are never data, and only regular files are ever opened.

    Raises:
        DataError: no such folder, no class folders, or a part's folder is missing.
    """
    _check_folder(path, "data.path")
    sources = resolve_parts(data, _folder_names(path), defaults)
    roots = {part: path / name for part, name in sources.names.items()}
    for part, root in roots.items():
        _check_folder(root, f"data.{part}", _folder_names(path))
    apart = {os.path.realpath(root) for part, root in roots.items() if part != "train"}
    listing, below = _list(path, roots, apart)
    if sources.names["train"] == "":
        _check_depth(listing, below)
        told = _tell_alike(listing.origin, below) if data.classes is None else ()
        return replace(listing, findings=(*listing.findings, *told)), sources
    used = apart | {os.path.realpath(roots["train"])}
    others = [name for name in _folder_names(path) if not _is_hidden(name)]
    beside = [name for name in others if not any(Path(each).is_relative_to((path / name).resolve()) for each in used)]
    if not beside:
        return listing, sources
    text = f"{counted(len(beside), 'folder')} beside the parts left out: {some([display(name) for name in beside])}"
    return replace(listing, findings=(*listing.findings, Finding("folders_left_out", text))), sources


def list_class_folders(path: Path, part: str | None, classes: Collection[str]) -> Listing:
    """List a folder with class folders as one part.

    Args:
        path: the folder.
        part: its sub-folder to take instead; None for the folder itself.
        classes: those expected, by which a class called ``test`` is told from a part.

    Raises:
        DataError: no such folder, no class folders, or its sub-folders are parts and none was chosen.
    """
    _check_folder(path, "data")
    names = _folder_names(path)
    custom = [name for name in names if name.lower() in PART_OF]
    parts = {PART_OF[name.lower()]: name for name in custom}
    if part is not None:
        path = path / pick_part(part, custom, display(path))
    elif "train" in parts and len(parts) > 1 and not set(custom) <= set(classes):
        best = parts.get("test", custom[-1])
        raise DataError(f"{display(path)} has the parts {some(custom)}; give one of them, as {display(path / best)}")
    return _list(path, {"train": path}, set())[0]


def list_images(path: Path) -> tuple[list[str], list[str], list[Finding]]:
    """List the images anywhere below a folder, without regard to classes, by the rules of ``list_folder``.

    Returns:
        The paths, sorted, for the operating system; the folders that cannot be listed, with the reason; what was left
        out.
    """
    seen = _Seen()
    paths = sorted(file for _, file in _walk(os.fspath(path), "", seen))
    return paths, seen.closed, _findings(seen)


def _list(base: Path, roots: dict[str, Path], apart: set[str]) -> tuple[Listing, dict[str, _Inner]]:
    """Return the listing, and how each class folder to train on divides further."""
    seen = _Seen()
    found: list[tuple[str, str, str, int]] = []  # id, path, class, part
    classes: set[str] = set()
    below: dict[str, _Inner] = {}
    for part, root in roots.items():
        prefix = "" if root == base else os.path.relpath(root, base).replace(os.sep, "/") + "/"
        folders = [folder for folder in _class_folders(root, seen) if os.path.realpath(folder.path) not in apart]
        if not folders:
            raise DataError(_no_classes(root, seen))
        twice = [name for name, count in Counter(_class_name(folder.name) for folder in folders).items() if count > 1]
        raise_problems(f"{display(root)} has class folders whose names differ in how accents are written alone", twice)
        for folder in folders:
            name = _class_name(folder.name)
            classes.add(name)
            start = f"{prefix}{folder.name}/"
            images = _walk(folder.path, start, seen)
            found += [(display(id_), file, name, PARTS.index(part)) for id_, file in images]
            if part == "train":
                below[name] = _inner([id_ for id_, _ in images])
    if seen.closed:
        raise DataError(f"cannot list {some(seen.closed)}")
    odd = [f"{name!r} is to be renamed" for name in sorted(classes) if shown(name) != name]
    raise_problems(f"{display(base)} has class folders with control characters in their names", odd)
    found.sort()
    order = sorted(classes)
    position = {name: index for index, name in enumerate(order)}
    listing = Listing(
        origin=display(base),
        classes=tuple(order),
        ids=tuple(row[0] for row in found),
        labels=np.array([position[row[2]] for row in found], np.int32),
        parts=np.array([row[3] for row in found], np.int8),
        images=Files(tuple(row[1] for row in found)),
        rows=np.arange(len(found)),
        findings=tuple(_findings(seen)),
    )
    return listing, below


def _class_name(folder: str) -> str:
    return composed(display(folder))


def _inner(ids: list[str]) -> _Inner:
    """Return the folders that hold the images of a class, below those that hold one folder alone, as archives do.

    Args:
        ids: of the images, relative to the data folder.
    """
    folders = {id_.rpartition("/")[0] for id_ in ids}
    if not folders:
        return _Inner("", frozenset())
    top = posixpath.commonpath(folders)
    inner = {each[len(top) + 1 :].partition("/")[0] for each in folders}
    is_last = "" in inner  # images stand directly in it
    return _Inner(display(top), frozenset() if is_last else frozenset(map(_class_name, inner)))


def _walk(top: str, prefix: str, seen: _Seen) -> list[tuple[str, str]]:
    """Return (name relative to the data folder, path) of the images below ``top``."""
    images: list[tuple[str, str]] = []
    visited = {_identity(top)}
    waiting = [(top, prefix)]
    while waiting:
        folder, start = waiting.pop()
        for entry in _entries(folder, seen):
            kind = _kind(entry)
            if _is_hidden(entry.name):
                seen.hidden_files += kind != "folder"
                seen.hidden_folders += kind == "folder"
            elif kind == "folder":
                identity = _identity(entry.path)
                if identity not in visited:
                    visited.add(identity)
                    waiting.append((entry.path, f"{start}{entry.name}/"))
            elif kind == "special":
                seen.special += 1
            elif (ending := _ending(entry.name)) in ENDINGS:
                images.append((start + entry.name, entry.path))
            else:
                seen.endings[display(ending) or "no ending"] += 1
    return images


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path a file takes ten times as long


def _class_folders(root: Path, seen: _Seen) -> list[os.DirEntry[str]]:
    folders = []
    for entry in _entries(os.fspath(root), seen):
        kind = _kind(entry)
        if _is_hidden(entry.name):
            seen.hidden_files += kind != "folder"
            seen.hidden_folders += kind == "folder"
        elif kind == "folder":
            folders.append(entry)
        elif _ending(entry.name) in ENDINGS:
            seen.loose += 1
    return folders


def _entries(folder: str, seen: _Seen) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        seen.closed.append(f"{display(folder)} ({error.strerror})")
        return []


def _kind(entry: os.DirEntry[str]) -> str:
    """Return ``folder``, ``file`` or ``special``; a broken link is a file, which will be reported as unreadable."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists()):
            return "file"
    except OSError:  # a link to itself
        return "file"
    return "special"


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in NEVER_DATA


def _folder_names(path: Path) -> list[str]:
    return [entry.name for entry in _entries(os.fspath(path), _Seen()) if _kind(entry) == "folder"]


def _check_folder(path: Path, key: str, siblings: list[str] | None = None) -> None:
    if path.is_dir():
        return
    place = display(path.absolute())
    if path.exists():
        packed = "; it has to be unpacked first" if path.suffix.lower() in ARCHIVES else ""
        raise DataError(f"{key}: {place} is a file; a folder with a sub-folder for each class is looked for{packed}")
    hint = nearest(path.name, siblings or ())
    raise DataError(f"{key}: there is no folder {place}{hint}; a folder with a sub-folder for each class is looked for")


def _check_depth(listing: Listing, below: dict[str, _Inner]) -> None:
    """Raise if the classes seem to be the folders of the only folder."""
    (only, *others), (top, inner) = below, next(iter(below.values()))
    if not others and len(listing.classes) == 1 and len(inner) > 1:
        raise DataError(
            f"{listing.origin} has 1 class ({only}); at least two are needed. If the folders in it are the classes "
            f"({some(sorted(inner))}), the path is {listing.origin}/{top}"
        )


def _tell_alike(origin: str, below: dict[str, _Inner]) -> tuple[Finding, ...]:
    """Tell that all class folders have the same folders in them; raise if some are parts."""
    if parts := parts_among({name: inner.names for name, inner in below.items()}):
        inner = sorted(below[next(iter(parts.values()))].names)
        settings = [f"data.{part}: {below[name].top}" for part, name in parts.items()]
        raise DataError(
            f"{origin} has classes that look like parts ({some([*parts.values()])}), for in them are the folders "
            f"{some(inner)}. Set {' and '.join(settings)}, or name them in data.classes if they are classes"
        )
    first, *others = (inner.names for inner in below.values())
    if len(first) < 2 or any(inner != first for inner in others):
        return ()
    message = f"{counted(len(below), 'class', 'classes')} have the same folders in them: {some(sorted(first))}"
    return (Finding("classes_divided_alike", message),)


def _no_classes(root: Path, seen: _Seen) -> str:
    loose = f" ({counted(seen.loose, 'image')} directly in it)" if seen.loose else ""
    closed = f" ({seen.closed[0]})" if seen.closed else ""
    return f"{display(root.absolute())} has no class folders{loose}{closed}; each class needs a sub-folder of its own"


def _findings(seen: _Seen) -> list[Finding]:
    findings = []
    if seen.hidden_files or seen.hidden_folders:
        kinds = ((seen.hidden_files, "hidden file"), (seen.hidden_folders, "hidden folder"))
        what = " and ".join(counted(count, kind) for count, kind in kinds if count)
        findings.append(Finding("hidden_left_out", f"{what} left out"))
    if seen.endings:
        list_ = some([f"{ending} {count:,}" for ending, count in seen.endings.most_common()])
        files = counted(seen.endings.total(), "file")
        findings.append(Finding("other_endings_left_out", f"{files} left out for their ending: {list_}"))
    if seen.loose:
        images = counted(seen.loose, "image")
        findings.append(Finding("loose_images_left_out", f"{images} left out that stand in no class folder"))
    if seen.special:
        what = counted(seen.special, "pipe, socket or device", "pipes, sockets or devices")
        findings.append(Finding("special_files_left_out", f"{what} left out"))
    return findings
