"""What the parts of a data set are called, and where a spec and a source say that each comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imgcls.errors import DataError, SpecError, nearest
from imgcls.findings import Finding
from imgcls.spec.data import DataSpec
from imgcls.wording import counted, some

__all__ = [
    "PARTS",
    "PART_NAMES",
    "PART_OF",
    "PartSources",
    "parts_among",
    "pick_part",
    "resolve_parts",
    "tell_together",
]

PARTS = ("train", "validation", "test")
PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid"),
    "test": ("test", "testing"),
}
"""What folders, files and arrays of a part are called by custom."""
PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}


@dataclass(frozen=True)
class PartSources:
    """Where each part comes from: a name within the source, or a fraction of the training images.

    Attributes:
        names: part → folder, file or key; ``""`` for the training images when they are the whole source.
        fractions: part → share of the training images.
        in_column: parts that a CSV's column gives, which a spec need not name.
    """

    names: dict[str, str]
    fractions: dict[str, float]
    in_column: frozenset[str] = frozenset()

    @property
    def in_force(self) -> dict[str, str | float | None]:
        """As a spec would say it: a name, a fraction, ``none`` for no such part; None for what needs no saying."""
        given: dict[str, str | float] = self.names | self.fractions
        return {part: None if part in self.in_column else given.get(part, "none") or None for part in PARTS}


def resolve_parts(data: DataSpec, available: Sequence[str], defaults: dict[str, float]) -> PartSources:
    """Say where train, validation and test come from.

    A name in the spec counts first. Without one, what is called ``train``, ``validation`` and ``test`` by custom is
    taken, provided that there is a ``train`` and at least one other; else train is everything and the others are
    carved out of it.

    Args:
        data: what the spec says.
        available: names in the source: sub-folders, files without ending, keys.
        defaults: part → fraction where the spec says nothing.

    Raises:
        SpecError: two parts have one name, or the fractions leave nothing to train on.
    """
    wanted = {"train": data.train, "validation": data.validation, "test": data.test}
    given = {part: value for part, value in wanted.items() if isinstance(value, str)}
    named = {part: value for part, value in given.items() if part == "train" or value != "none"}
    found = {
        part: next((name for name in available if name.lower() in names and name not in named.values()), None)
        for part, names in PART_NAMES.items()
    }
    others = found["validation"] or found["test"] or (set(named) - {"train"})
    if "train" not in named:
        named["train"] = found["train"] if found["train"] and others else ""
    fractions: dict[str, float] = {}
    for part in ("validation", "test"):
        value, name = wanted[part], found[part]
        if isinstance(value, float):
            fractions[part] = value
        elif value is None and name and named["train"]:
            named[part] = name
        elif value is None:
            fractions[part] = defaults[part]
    if len(set(named.values())) < len(named):
        raise SpecError(f"data: two of train, validation and test have one name: {named}")
    if sum(fractions.values()) >= 1:
        raise SpecError(
            f"data: validation and test take {sum(fractions.values()):g} of the images; below 1 is accepted"
        )
    return PartSources({part: named[part] for part in PARTS if part in named}, fractions)


def pick_part(part: str, available: Sequence[str], origin: str) -> str:
    """Return which of the names in a source is meant by ``part``: the name itself, or what it is called by custom.

    Raises:
        DataError: there is none, or more than one.
    """
    if part in available:
        return part
    custom = next((names for names in PART_NAMES.values() if part.lower() in names), ())
    found = [name for name in available if name.lower() in custom]
    if len(found) != 1:
        have = f"it has {some(available)}" if available else "it is not divided into parts"
        raise DataError(f"{origin} has no part {part}{nearest(part, available)}; {have}")
    return found[0]


def parts_among(folders: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """Return which of the folders taken for classes are parts, part → name, by their names and the folders in them.

    That is one called like a part whose folders are called like the classes beside it, as in ``cat, dog, test/cat,
    test/dog``; or one with ``train`` in its name, and another of such a name, with the same folders.

    Args:
        folders: name → the folders in it, none where images stand directly in it.
    """
    beside = {
        part: name
        for part, names in PART_NAMES.items()
        for name, inner in folders.items()
        if name.lower() in names and inner and inner <= folders.keys() - {name}
    }
    if beside:
        return beside
    named: dict[str, str] = {}
    for part, names in PART_NAMES.items():
        others = (name for name in folders if name not in named.values())
        if name := next((name for name in others if any(each in name.lower() for each in names)), None):
            named[part] = name
    inner = folders.get(named.get("train", ""), frozenset())
    alike = {part: name for part, name in named.items() if folders[name] and folders[name] <= inner}
    return alike if len(inner) > 1 and len(alike) > 1 else {}


def tell_together(origin: str, counts: Mapping[str, int]) -> tuple[Finding, ...]:
    """Tell that images of several parts, of which one may have been trained on, are measured as one.

    Args:
        origin: the source, for people.
        counts: part → its images.
    """
    if len(counts) < 2:
        return ()
    names = some([f"{name} ({counted(count, 'image')})" for name, count in counts.items()])
    return (Finding("parts_measured_together", f"{origin} has {len(counts)} parts, measured together: {names}"),)
