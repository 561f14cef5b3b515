"""The network of a spec, without training it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgcls import backend
from imgcls.data.survey import survey
from imgcls.spec import LoadedSpec

if TYPE_CHECKING:
    from imgcls.models import ModelSummary

__all__ = ["describe_network"]


def describe_network(loaded: LoadedSpec, *, classes: int | None = None) -> ModelSummary:
    """Describe the network of a spec without training it or reading a pixel; pretrained weights are not loaded.

    Args:
        classes: how many there are; by default the data is listed to know.

    Raises:
        SpecError: the layers do not fit each other or the images.
        DataError: the data cannot be listed.
    """
    spec = loaded.spec.completed()
    backend.choose(spec.backend)
    if classes is None or spec.resolution is None or spec.color is None:
        found = survey(spec.data, base=loaded.base)
        classes = classes or len(found.classes)
        spec = spec.model_copy(
            update={"resolution": spec.resolution or found.resolution, "color": spec.color or found.color}
        )
    backend.start("cpu", spec.backend)  # nothing is computed: the spec's own device may be on another machine
    from imgcls.models import build_network, set_trainable, summarize  # not before Keras has started quietly

    assert spec.resolution
    channels = 1 if spec.color == "grayscale" else 3
    with backend.memory_is_told():
        plain = spec.model_copy(update={"precision": "float32"})  # makes no difference to what is told
        network = build_network(plain, (*spec.resolution, channels), classes, None)
        stages = []
        for phase in spec.phases if spec.stages else ():
            set_trainable(network, phase.architecture)
            stages.append(summarize(network).trainable_params)
        set_trainable(network, spec.phases[0].architecture)  # as the training begins
        return replace(summarize(network), stage_trainable_params=tuple(stages))
