"""The network: a preset, a list of layers, or a backbone of keras.applications."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import Count, Natural, Record, accepts, fault, shown
from imgcls.spec.layers import GlobalAveragePool, LayerList, Rate

__all__ = [
    "BACKBONES",
    "FORMS",
    "PRESETS",
    "WEIGHTS_WORDS",
    "AirbenchSpec",
    "AnyArchitecture",
    "BackboneSpec",
    "CnnSpec",
    "FromLayer",
    "LayersSpec",
    "ResNetSpec",
    "Trainable",
    "VggSpec",
    "expand_architecture",
    "weights_word",
]

FORMS = ("preset", "backbone", "layers")
"""What says of an architecture which record it is; it has one of them."""

WEIGHTS_WORDS = ("imagenet", "none")
"""What stands where a path to a weights file can."""

Filters = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(strict=False, min_length=1),
    accepts("a list of whole numbers of at least 1, one a stage,"),
]


class LayersSpec(Record):
    """The layers one after the other; the output layer follows from the data's classes."""

    layers: LayerList


class CnnSpec(Record):
    """A small plain network: convolution, batch norm and max pooling for each entry of `filters`, then dense."""

    preset: Literal["cnn"] = "cnn"
    filters: Filters = (32, 64, 128)
    dense: Natural = 128
    """Units of the hidden layer; 0 for none."""
    dropout: Rate = 0.3


class VggSpec(Record):
    """Stacks of 3x3 convolutions between max poolings (Simonyan and Zisserman, 2015), with batch norm."""

    preset: Literal["vgg"] = "vgg"
    filters: Filters = (64, 128, 256)
    convs: Count = 2
    """Convolutions before each pooling."""
    dense: Natural = 256
    """Units of the hidden layer; 0 for none."""
    dropout: Rate = 0.4


class ResNetSpec(Record):
    """Stages of residual blocks with global average pooling (He et al., 2016, the networks for CIFAR)."""

    preset: Literal["resnet"] = "resnet"
    filters: Filters = (32, 64, 128)
    blocks: Count = 2
    """Residual blocks of each stage; each has two convolutions."""
    dropout: Rate = 0.0


class AirbenchSpec(Record):
    """Two convolutions with a pooling between them for each entry of `filters` (Jordan, 2024: airbench94).

    Little of it is computed at full resolution. `normalize: patch_whitening`, its default, is the first layer.
    """

    preset: Literal["airbench"] = "airbench"
    filters: Filters = (64, 256, 256)
    dropout: Rate = 0.0


class FromLayer(Record):
    """Everything from the layer with this name on."""

    from_: Annotated[str, Field(alias="from")]


Trainable = Annotated[
    Literal["none", "all"] | Count | FromLayer, accepts("none, all, a count of layers, or {from: LAYER}")
]
"""Which part of a backbone learns: none, all, the last N layers, or from a layer on."""


def _known_backbone(value: Any) -> Any:
    if isinstance(value, str) and value not in BACKBONES:
        hint = nearest(value, BACKBONES) or f"; known are {', '.join(BACKBONES)}"
        raise fault(f"unknown backbone {shown(value)}{hint}")
    return value


def weights_word(value: Any) -> Any:
    """Return ``Imagenet`` and ``None`` in lower case; a path, and what is no text, as it is."""
    return value.lower() if isinstance(value, str) and value.lower() in WEIGHTS_WORDS else value


class BackboneSpec(Record):
    """A network of keras.applications without its top, and a head."""

    backbone: Annotated[str, BeforeValidator(_known_backbone)]
    weights: Annotated[
        str,
        Field(min_length=1),
        BeforeValidator(weights_word),
        accepts("imagenet, none, or the path of a weights file"),
    ] = "imagenet"
    """`imagenet`, a weights file (relative to the spec file), or `none`."""
    cut: Annotated[str | Count, accepts("a layer's name, or a count of layers to leave out")] | None = None
    """Take the features from the layer with this name, or leave out so many of the last layers."""
    trainable: Trainable = "none"
    """Which part of the backbone learns: none, all, the last N layers, or from a layer on."""
    batch_norm: Literal["frozen", "train"] = "frozen"
    """Whether its batch norm keeps the statistics it came with or, the default without weights, follows the batches."""
    head: LayerList = (GlobalAveragePool(kind="global_average_pool"),)
    """Layers between the features and the output."""

    @model_validator(mode="before")
    @classmethod
    def _without_statistics(cls, value: Any) -> Any:
        """Without weights there are no statistics to keep."""
        if isinstance(value, dict) and weights_word(value.get("weights")) == "none":
            return {"batch_norm": "train", **value}
        return value

    @property
    def is_pretrained(self) -> bool:
        """Whether it starts from weights that somebody trained."""
        return self.weights != "none"

    @property
    def weights_file(self) -> str | None:
        """The file with the weights; None where none is named."""
        return None if self.weights in WEIGHTS_WORDS else self.weights


PRESETS: dict[str, type[Record]] = {
    "airbench": AirbenchSpec,
    "cnn": CnnSpec,
    "resnet": ResNetSpec,
    "vgg": VggSpec,
}

# The names of keras.applications in lower case; a test holds them against Keras.
BACKBONES = (
    "convnextbase", "convnextlarge", "convnextsmall", "convnexttiny", "convnextxlarge", "densenet121", "densenet169",
    "densenet201", "efficientnetb0", "efficientnetb1", "efficientnetb2", "efficientnetb3", "efficientnetb4",
    "efficientnetb5", "efficientnetb6", "efficientnetb7", "efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2",
    "efficientnetv2b3", "efficientnetv2l", "efficientnetv2m", "efficientnetv2s", "inceptionresnetv2", "inceptionv3",
    "mobilenet", "mobilenetv2", "mobilenetv3large", "mobilenetv3small", "nasnetlarge", "nasnetmobile", "resnet101",
    "resnet101v2", "resnet152", "resnet152v2", "resnet50", "resnet50v2", "vgg16", "vgg19", "xception",
)  # fmt: skip


def expand_architecture(value: Any) -> Any:
    """Turn a name or a list into a mapping with `preset`, `backbone` or `layers`."""
    if isinstance(value, list | tuple):
        return {"layers": value}
    if isinstance(value, dict) and isinstance(value.get("preset"), str) and value["preset"] not in PRESETS:
        raise _unknown(value["preset"], PRESETS)
    if not isinstance(value, str):
        return value
    if value in BACKBONES:
        return {"backbone": value}
    if value in PRESETS:
        return {"preset": value}
    raise _unknown(value, [*PRESETS, *BACKBONES])


def _unknown(name: str, accepted: Iterable[str]) -> PydanticCustomError:
    hint = nearest(name, accepted) or f"; presets are {', '.join(PRESETS)}"
    return fault(f"unknown architecture {shown(name)}{hint}")


def _form(value: Any) -> str | None:
    """Tell which record fits, by the key that is there. The angle brackets keep tags apart from keys."""
    if isinstance(value, Record):
        value = value.model_dump(include=set(FORMS))
    if not isinstance(value, dict):
        return None
    if "preset" in value:
        return f"<{value['preset']}>"
    return next((f"<{key}>" for key in FORMS if key in value), None)


if TYPE_CHECKING:
    AnyArchitecture = Record
else:
    AnyArchitecture = Annotated[
        Union[
            (
                Annotated[LayersSpec, Tag("<layers>")],
                *(Annotated[record, Tag(f"<{name}>")] for name, record in PRESETS.items()),
                Annotated[BackboneSpec, Tag("<backbone>")],
            )
        ],
        Discriminator(
            _form,
            custom_error_type="accepts",
            custom_error_message="accepted",
            custom_error_context={
                "accepted": f"a list of layers, or a mapping with backbone or with preset ({', '.join(PRESETS)})"
            },
        ),
        BeforeValidator(
            expand_architecture,
            json_schema_input_type=Union[
                (
                    Literal[tuple(sorted([*PRESETS, *BACKBONES]))],
                    LayerList,
                    *PRESETS.values(),
                    LayersSpec,
                    BackboneSpec,
                )
            ],
        ),
    ]
