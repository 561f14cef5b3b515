"""Which stored layer belongs to which layer of a backbone, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from imgcls.models.backbones import automatic_prefixes, numbered_from_zero
from imgcls.models.weight_files import StoredLayer, own_weights
from imgcls.wording import counted, some

__all__ = ["Matching", "Wanted", "match"]

_SHOWN = 3  # tensors or layers named in a message
_COLORS = {1: "grayscale", 3: "rgb"}


@dataclass(frozen=True)
class Wanted:
    """A layer of the network that has weights; ``name`` is the one that a fresh process would give."""

    name: str
    layer: keras.layers.Layer

    @property
    def weights(self) -> list[Any]:
        """The weights that a file has to have."""
        return own_weights(self.layer)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each weight."""
        return [tuple(weight.shape) for weight in self.weights]


@dataclass(frozen=True)
class Matching:
    """What is stored of the layers of a backbone.

    Attributes:
        pairs: of every layer that is used, what is stored of it.
        total: weight tensors of the whole backbone, those behind its cut too.
        beyond: what is stored and belongs to no layer of the whole backbone, such as its top or a head.
        foreign: those of ``beyond`` that a deeper network of its kind has; some stand between layers of the backbone.
    """

    pairs: list[tuple[Wanted, StoredLayer | None]]
    total: int
    beyond: list[StoredLayer]
    foreign: list[StoredLayer]

    @property
    def needed(self) -> int:
        """How many weight tensors are used of the backbone."""
        return sum(len(wanted.weights) for wanted, _ in self.pairs)

    def faults(self, backbone: str) -> list[str]:
        """Say what speaks against loading these weights; nothing where they fit."""
        misfits = [misfit for wanted, found in self.pairs for misfit in _misfits(wanted, found)]
        faults = []
        if misfits:
            told = f"{len(misfits):,} of {counted(self.needed, 'tensor')} are missing or of another shape"
            faults.append(f"{told}: {some(misfits, _SHOWN)}{self._other_color()}")
        if self.foreign:
            more = counted(sum(len(each.tensors) for each in self.foreign), "more tensor")
            names = some([_called(each) for each in self.foreign], _SHOWN)
            faults.append(f"the file holds {more} than {backbone} has ({names}): is it another network's?")
        return faults

    def _other_color(self) -> str:
        """Say what to set where the first convolution of the file takes images of the other color."""
        kernels = [(shape, found) for wanted, found in self.pairs for shape in wanted.shapes if len(shape) == 4]
        shape, found = kernels[0] if kernels else ((), None)
        if not shape or (found and shape in found.shapes):
            return ""
        stored = [other for each in (found, *self.beyond) if each for other in each.shapes]
        for channels, color in _COLORS.items():
            if channels != shape[2] and (*shape[:2], channels, shape[3]) in stored:
                return f"; the file is of {color} images: set color: {color}"
        return ""


def match(
    used: Mapping[str, keras.layers.Layer], whole: Mapping[str, keras.layers.Layer], stored: Sequence[StoredLayer]
) -> Matching:
    """Find what is stored of each layer: by name, else the next in order that has the same shapes.

    Args:
        used: name → layer of a backbone up to its cut.
        whole: the same and the layers behind the cut, in the order of the network.
        stored: of a file, or of another network.
    """
    names = numbered_from_zero([each.name for each in stored if each.name], automatic_prefixes(whole.values()))
    by_name: dict[str, list[StoredLayer]] = {}
    for each in stored:
        if each.name:
            by_name.setdefault(names[each.name], []).append(each)
    needed = {each.name for name, layer in used.items() for each in _units(name, layer, stored, by_name)}
    wanted = [each for name, layer in whole.items() for each in _units(name, layer, stored, by_name)]
    found = _named(wanted, by_name)
    by_order = [each for each in wanted if each.name not in found and (each.name in needed or not found)]
    found |= _in_order(by_order, _without(stored, found.values()))
    return Matching(
        pairs=[(each, found.get(each.name)) for each in wanted if each.name in needed],
        total=sum(len(each.weights) for each in wanted),
        beyond=_without(stored, found.values()),
        foreign=_not_its_own(stored, found.values()),
    )


def _units(
    name: str, layer: Any, stored: Sequence[StoredLayer], by_name: Mapping[str, list[StoredLayer]]
) -> list[Wanted]:
    """Return a layer, or those inside it where the file has them one by one; nothing of a layer without weights."""
    whole = Wanted(name, layer)
    units = [whole]
    if isinstance(layer, keras.Sequential) and name not in by_name:
        together = any(each.shapes == whole.shapes for each in stored)
        units = units if together else [Wanted(inner.name, inner) for inner in layer.layers]
    return [each for each in units if each.weights]


def _named(wanted: Sequence[Wanted], by_name: Mapping[str, list[StoredLayer]]) -> dict[str, StoredLayer]:
    """Return name → what is stored under it; of several layers of one name that with the right shapes."""
    found = {}
    for each in wanted:
        if same := by_name.get(each.name):
            found[each.name] = next((other for other in same if other.shapes == each.shapes), same[0])
    return found


def _in_order(wanted: Iterable[Wanted], stored: Sequence[StoredLayer]) -> dict[str, StoredLayer]:
    """Return name → the next stored layer of the same shapes."""
    found: dict[str, StoredLayer] = {}
    rest = list(stored)
    for each in wanted:
        if other := next((other for other in rest if other.shapes == each.shapes), None):
            found[each.name] = other
            rest = [another for another in rest if another is not other]
    return found


def _without(stored: Iterable[StoredLayer], found: Iterable[StoredLayer]) -> list[StoredLayer]:
    known = {id(each) for each in found}
    return [each for each in stored if id(each) not in known]


def _not_its_own(stored: Sequence[StoredLayer], found: Iterable[StoredLayer]) -> list[StoredLayer]:
    """Return the unknown layers of a file that has some between known ones; dense ones are a top's, wherever they are.

    A top, a head and a normalisation stand at the ends, also where they hold convolutions: nothing of these.
    """
    known = {id(each) for each in found}
    foreign = []
    for group in {each.group: None for each in stored}:
        members = [each for each in stored if each.group == group]
        places = [index for index, each in enumerate(members) if id(each) in known]
        unknown = [index for index, each in enumerate(members) if id(each) not in known and not _is_dense(each)]
        if any(places[0] < index < places[-1] for index in unknown if places):
            foreign += [members[index] for index in unknown if index > places[0]]
    return foreign


def _is_dense(stored: StoredLayer) -> bool:
    return any(len(shape) == 2 for shape in stored.shapes)


def _misfits(wanted: Wanted, found: StoredLayer | None) -> list[str]:
    """Describe the tensors of a layer that are not there or have another shape."""
    have = found.shapes if found else []
    if len(have) > len(wanted.shapes):
        return [f"{wanted.name} has {len(wanted.shapes)} tensors, the file {len(have)}"]
    misfits = []
    for index, (weight, shape) in enumerate(zip(wanted.weights, wanted.shapes, strict=True)):
        got = have[index] if index < len(have) else None
        if got != shape:
            there = f"the file has {_shape(got)}" if got is not None else "the file has none"
            misfits.append(f"{wanted.name}/{weight.name} is {_shape(shape)}, {there}")
    return misfits


def _called(stored: StoredLayer) -> str:
    return stored.name or f"one of {_shape(stored.shapes[0])}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
