"""The images of a sweep's trials: kept from one to the next, and sent for where a worker cannot read them itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcls.data import Cache, Dataset
    from imgcls.observer import Observer
    from imgcls.spec import Spec

__all__ = ["Images", "request_for", "spec_of_request"]

_KEYS = ("data", "resolution", "color", "resize")  # what images depend on


class Images:
    """The images of the last trial: most of the next want the same, and all are to see what the first has seen.

    Args:
        send_for: gives images that cannot be read where they are; None where they can.
    """

    def __init__(self, send_for: Callable[[Spec], Dataset] | None) -> None:
        self._send_for = send_for
        self._key: tuple[Any, ...] = ()
        self._dataset: Dataset | None = None

    def load(self, spec: Spec, base: Path, cache: Cache, observer: Observer) -> Dataset:
        from imgcls.experiment.preparing import load_images_of

        key = (base, *(getattr(spec, name) for name in _KEYS))
        if self._dataset is None or key != self._key:
            self._dataset = self._send_for(spec) if self._send_for else load_images_of(spec, base, cache, observer)
            self._key = key
        return self._dataset


def request_for(spec: Spec) -> dict[str, Any]:
    """Return what tells the images of a spec from others, as JSON has it."""
    return spec.model_dump(mode="json", include=set(_KEYS))


def spec_of_request(request: Mapping[str, Any], base: Spec) -> Spec:
    """Return a spec that has the images of a request."""
    from imgcls.spec.data import DataSpec

    resolution = request["resolution"] and tuple(request["resolution"])
    data = DataSpec.model_validate(request["data"])
    return base.model_copy(update={**request, "data": data, "resolution": resolution})
