"""The source ``csv``: a row an image, with the columns path and label, optionally split and a group."""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imgcls.data.listing import Files, Listing
from imgcls.data.parts import PART_OF, PARTS, PartSources, pick_part, resolve_parts, tell_together
from imgcls.data.problems import raise_problems
from imgcls.errors import DataError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DataSpec
from imgcls.wording import counted, display, shown, some

__all__ = ["list_csv", "list_csv_file"]


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    part: str | None
    group: str


@dataclass(frozen=True)
class _Image:
    id: str
    file: str
    label: str
    part: str
    group: str


def list_csv(data: DataSpec, path: Path, defaults: dict[str, float]) -> tuple[Listing, PartSources]:
    """List the images of one CSV file, or of a folder's CSV files for train, validation and test.

    Paths in a file are relative to it. Labels are exact strings: ``NA`` is a label, ``001`` is not ``1``. The column
    ``split`` gives the parts that the spec does not give otherwise.

    Raises:
        DataError: no such file, a column is missing, or rows are wrong, all of them with their lines.
    """
    if path.is_dir():
        files = {file.stem: file for file in sorted(path.iterdir()) if file.suffix.lower() == ".csv"}
        if len(files) != 1 or data.train is not None:
            return _list_files(data, path, files, defaults)
        path = next(iter(files.values()))
    if data.train is not None:
        raise DataError(f"data.path is the file {display(path)} and data.train names another; let path be their folder")
    main = _read(path, data.group)
    column = {row.part for row in main if row.part is not None}
    sources = resolve_parts(data, [part for part in PARTS if part in column], defaults)
    used = [row for row in main if row.part is None or _given_by_column(data, row.part, sources)]
    images = _images(path, path.parent, used, None)
    for part in ("validation", "test"):
        if isinstance(getattr(data, part), str) and part in sources.names:
            file = _file(path.parent, sources.names[part], part)
            images += _images(file, path.parent, _read(file, data.group), part)
    listing = _listing(path, images, grouped=data.group is not None)
    if len(used) < len(main):
        text = f"{counted(len(main) - len(used), 'row')} of {path.name} left out: the spec gives their part otherwise"
        listing = replace(listing, findings=(Finding("part_not_used", text),))
    in_column = frozenset(part for part in sources.names if getattr(data, part) is None)
    return listing, replace(sources, in_column=in_column)


def list_csv_file(path: Path, part: str | None) -> Listing:
    """List the rows of one CSV file: those of one part of its column split, or all, which is told."""
    rows = _read(path, None)
    counts = Counter(row.part for row in rows if row.part is not None)
    if part is not None:
        chosen = pick_part(part, [each for each in PARTS if each in counts], display(path))
        rows = [row for row in rows if row.part == chosen]
    listing = _listing(path, _images(path, path.parent, rows, None), grouped=False)
    if part is not None:
        return listing
    return replace(
        listing, findings=tell_together(listing.origin, {each: counts[each] for each in PARTS if each in counts})
    )


def _list_files(
    data: DataSpec, folder: Path, files: dict[str, Path], defaults: dict[str, float]
) -> tuple[Listing, PartSources]:
    sources = resolve_parts(data, list(files), defaults)
    if not sources.names["train"] and "train" in files:
        sources.names["train"] = "train"
    if not sources.names["train"]:
        there = f"it has {some([file.name for file in files.values()])}" if files else "it has no CSV file"
        raise DataError(f"data.train: which CSV file of {display(folder.absolute())} has the training images? {there}")
    images: list[_Image] = []
    for part, name in sources.names.items():
        file = _file(folder, name, part, files)
        images += _images(file, folder, _read(file, data.group), part)
    return _listing(folder, images, grouped=data.group is not None), sources


def _given_by_column(data: DataSpec, part: str, sources: PartSources) -> bool:
    return part == "train" or (part in sources.names and not isinstance(getattr(data, part), str))


def _file(folder: Path, name: str, part: str, files: dict[str, Path] | None = None) -> Path:
    for candidate in (folder / name, folder / f"{name}.csv", (files or {}).get(name)):
        if candidate is not None and candidate.is_file():
            return candidate
    names = [file.name for file in folder.iterdir() if file.suffix.lower() == ".csv"]
    raise DataError(f"data.{part}: there is no CSV file {display((folder / name).absolute())}{nearest(name, names)}")


def _read(path: Path, group: str | None) -> list[_Row]:
    """Read all rows; problems of all rows are raised together."""
    try:
        if not path.is_file():
            raise DataError(f"there is no CSV file {display(path.absolute())}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(path, csv.reader(file), group)
    except UnicodeDecodeError as error:
        raise DataError(f"{display(path)} is not UTF-8 text (byte {error.start}); save it as CSV UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {display(path.absolute())}: {error.strerror}") from error


def _parse(path: Path, reader: Iterator[list[str]], group: str | None) -> list[_Row]:
    rows: list[_Row] = []
    problems: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header, group)
        place = {name: index for index, name in enumerate(header)}
        for cells in reader:
            line: int = reader.line_num  # type: ignore[attr-defined]
            if not cells:
                continue
            if len(cells) != len(header):
                problems.append(f"line {line}: {counted(len(cells), 'cell')}; the header has {len(header)}")
                continue
            split = cells[place["split"]] if "split" in place else None
            row = _Row(
                line,
                cells[place["path"]],
                cells[place["label"]],
                None if split is None else PART_OF.get(split.strip().lower(), ""),
                cells[place[group]] if group is not None else "",
            )
            rows.append(row)
            problems += [f"line {line}: {text}" for text in _row_problems(row, split, group)]
    except csv.Error as error:
        raise DataError(f"{display(path)}: line {reader.line_num}: {error}") from error  # type: ignore[attr-defined]
    raise_problems(f"{display(path)} has {counted(len(problems), 'wrong row')}", problems)
    if not rows:
        raise DataError(f"{display(path)} has no rows below its header")
    return rows


def _check_header(path: Path, header: list[str], group: str | None) -> None:
    wanted = ["path", "label", *([group] if group is not None else [])]
    problems = [f"there is no column {name}{nearest(name, header)}" for name in wanted if name not in header]
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    problems += [f"the column {name} stands more than once" for name in twice]
    if problems and len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        problems.append("its cells are separated by something else than commas")
    raise_problems(f"{display(path)}, whose columns are {some(header) or 'none'}", problems)


def _row_problems(row: _Row, split: str | None, group: str | None) -> Iterator[str]:
    if not row.path.strip():
        yield "no path"
    if not row.label:
        yield "no label"
    if shown(row.label) != row.label:
        yield f"the label {row.label!r} has a control character"
    if row.part == "":
        yield f"split is {split!r}; train, validation and test are accepted{nearest(split or '', PART_OF)}"
    if group is not None and not row.group:
        yield f"no {group}"


def _images(path: Path, folder: Path, rows: list[_Row], part: str | None) -> list[_Image]:
    """Find the files of a CSV file's rows; those that are missing or named twice are raised together."""
    images: list[_Image] = []
    problems: list[str] = []
    first: dict[tuple[str, str], int] = {}
    base = os.fspath(path.parent)
    prefix = os.path.relpath(base, folder).replace(os.sep, "/")
    for row in rows:
        where = part or row.part or "train"
        name = _existing(base, row.path)
        if name is None:
            problems.append(f"line {row.line}: there is no file {row.path}")
            continue
        id_ = display(os.path.normpath(Path(prefix, name)).replace(os.sep, "/"))
        if (id_, where) in first:
            problems.append(f"line {row.line}: {row.path} stands in line {first[id_, where]} already")
            continue
        first[id_, where] = row.line
        images.append(_Image(id_, str(path.parent / name), row.label, where, row.group))
    place = f"paths are relative to {display(path.parent.absolute())}"
    raise_problems(f"{display(path)} has {counted(len(problems), 'wrong row')} ({place})", problems)
    return images


def _existing(base: str, name: str) -> str | None:
    """Return the name under which a regular file exists: as it stands, or with Windows' separators turned."""
    for candidate in (name, name.replace("\\", "/")):
        try:
            if stat.S_ISREG(Path(base, candidate).stat().st_mode):
                return candidate
        except (OSError, ValueError):  # ValueError: a null character in the name
            continue
    return None


def _listing(origin: Path, images: list[_Image], *, grouped: bool) -> Listing:
    order = sorted(images, key=lambda image: (image.id, PARTS.index(image.part)))
    classes = sorted({image.label for image in order})
    position = {name: index for index, name in enumerate(classes)}
    ids: list[str] = []
    taken: set[str] = set()
    for image in order:  # one file may stand in two parts, which will be told; what names an image stays unique
        ids.append(f"{image.id} ({image.part})" if image.id in taken else image.id)
        taken.add(image.id)
    return Listing(
        origin=display(origin),
        classes=tuple(classes),
        ids=tuple(ids),
        labels=np.array([position[image.label] for image in order], np.int32),
        parts=np.array([PARTS.index(image.part) for image in order], np.int8),
        images=Files(tuple(image.file for image in order)),
        rows=np.arange(len(order)),
        groups=tuple(image.group for image in order) if grouped else None,
    )
