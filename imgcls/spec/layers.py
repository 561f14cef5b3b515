"""The layers that an architecture can list, each under its plain name.

``conv: 64``, ``conv: {filters: 64}`` and ``flatten`` are all accepted: a layer is a word, or a mapping from the word to
its main setting or to all of them. Names and defaults are Keras', but for the activation of ``conv`` and ``dense``: it
is relu, for that is what people mean by a convolution or a hidden layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import (
    Count,
    Flag,
    Fraction,
    NonNegative,
    Padding,
    Pair,
    Positive,
    Record,
    accepts,
    fault,
    shown,
)

__all__ = ["LAYERS", "Activation", "Layer", "LayerList"]

_MOST_LAYERS = 1_000  # one after the other; a block of them counts as one

Activation = Literal[
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "mish", "none", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign",
    "swish", "tanh",
]  # fmt: skip
Initializer = Literal[
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal",
    "random_normal", "random_uniform", "truncated_normal", "zeros",
]  # fmt: skip
Rate = Annotated[float, Field(ge=0, lt=1), accepts("a number from 0 to below 1")]


class Layer(Record):
    """A layer as the spec gives it; ``kind`` is its name there."""

    main: ClassVar[str | None] = None  # the setting that ``name: value`` sets
    kind: str

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        settings = handler(self)
        if "kind" not in settings:  # pydantic wraps a record that contains itself (residual) twice
            return settings or self.kind
        del settings["kind"]
        return {self.kind: settings} if settings else self.kind


class _Weighted(Layer):
    """What all layers with a kernel share."""

    activation: Activation = "relu"
    """Function after the layer; `none` for none."""
    bias: Flag = True
    """Add a bias to each output."""
    l1: NonNegative = 0.0
    """L1 penalty on the kernel."""
    l2: NonNegative = 0.0
    """L2 penalty on the kernel."""
    initializer: Initializer = "glorot_uniform"
    """What the kernel starts from."""


class Conv(_Weighted):
    """2D convolution."""

    main = "filters"
    kind: Literal["conv"]
    filters: Count
    kernel: Pair = (3, 3)
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    dilation: Pair = (1, 1)
    groups: Count = 1


class SeparableConv(_Weighted):
    """Depthwise convolution, then a 1x1 convolution over the channels."""

    main = "filters"
    kind: Literal["separable_conv"]
    filters: Count
    kernel: Pair = (3, 3)
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    depth_multiplier: Count = 1


class DepthwiseConv(_Weighted):
    """One convolution for each channel."""

    main = "kernel"
    kind: Literal["depthwise_conv"]
    kernel: Pair = (3, 3)
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    depth_multiplier: Count = 1


class ConvTranspose(_Weighted):
    """Transposed convolution."""

    main = "filters"
    kind: Literal["conv_transpose"]
    filters: Count
    kernel: Pair = (3, 3)
    strides: Pair = (1, 1)
    padding: Padding = "valid"


class Dense(_Weighted):
    """Fully connected layer."""

    main = "units"
    kind: Literal["dense"]
    units: Count


class _Pool(Layer):
    main = "size"
    size: Pair = (2, 2)
    strides: Pair | None = None
    padding: Padding = "valid"


class MaxPool(_Pool):
    """Largest value of each window."""

    kind: Literal["max_pool"]


class AveragePool(_Pool):
    """Mean of each window."""

    kind: Literal["average_pool"]


class GlobalAveragePool(Layer):
    """Mean of each channel."""

    kind: Literal["global_average_pool"]


class GlobalMaxPool(Layer):
    """Largest value of each channel."""

    kind: Literal["global_max_pool"]


class Flatten(Layer):
    """All values of an image in one row."""

    kind: Literal["flatten"]


class Dropout(Layer):
    """Random zeros while training."""

    main = "rate"
    kind: Literal["dropout"]
    rate: Rate = 0.5


class SpatialDropout(Layer):
    """Random zeros of whole channels while training."""

    main = "rate"
    kind: Literal["spatial_dropout"]
    rate: Rate = 0.5


class GaussianDropout(Layer):
    """Multiplicative Gaussian noise while training."""

    main = "rate"
    kind: Literal["gaussian_dropout"]
    rate: Rate = 0.5


class GaussianNoise(Layer):
    """Additive Gaussian noise while training."""

    main = "stddev"
    kind: Literal["gaussian_noise"]
    stddev: NonNegative


class BatchNorm(Layer):
    """Batch normalisation."""

    main = "momentum"
    kind: Literal["batch_norm"]
    momentum: Fraction = 0.99
    epsilon: Positive = 1e-3
    center: Flag = True
    scale: Flag = True


class LayerNorm(Layer):
    """Layer normalisation."""

    main = "epsilon"
    kind: Literal["layer_norm"]
    epsilon: Positive = 1e-3


class GroupNorm(Layer):
    """Group normalisation."""

    main = "groups"
    kind: Literal["group_norm"]
    groups: Count = 32
    epsilon: Positive = 1e-3


class ActivationLayer(Layer):
    """An activation function as a layer of its own."""

    main = "function"
    kind: Literal["activation"]
    function: Activation


class Relu(Layer):
    """Rectified linear unit."""

    kind: Literal["relu"]


class LeakyRelu(Layer):
    """Rectified linear unit with a slope below zero."""

    main = "negative_slope"
    kind: Literal["leaky_relu"]
    negative_slope: NonNegative = 0.3


class Prelu(Layer):
    """Rectified linear unit whose slope below zero is learnt, one for each channel."""

    kind: Literal["prelu"]


class Elu(Layer):
    """Exponential linear unit."""

    main = "alpha"
    kind: Literal["elu"]
    alpha: NonNegative = 1.0


class ZeroPad(Layer):
    """A border of zeros, [top and bottom, left and right] pixels wide."""

    main = "padding"
    kind: Literal["zero_pad"]
    padding: Pair = (1, 1)


class Cropping(Layer):
    """Cut a border off, [top and bottom, left and right] pixels wide."""

    main = "cropping"
    kind: Literal["cropping"]
    cropping: Pair = (1, 1)


class Upsample(Layer):
    """Enlarge by whole factors."""

    main = "size"
    kind: Literal["upsample"]
    size: Pair = (2, 2)
    interpolation: Literal["nearest", "bilinear"] = "nearest"


class Reshape(Layer):
    """The values of an image in another shape."""

    main = "shape"
    kind: Literal["reshape"]
    shape: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(strict=False, min_length=1),
        accepts("a list of whole numbers of at least 0"),
    ]


class Residual(Layer):
    """Layers whose input is added to their output, by a 1x1 convolution where the shapes differ (He et al., 2016)."""

    main = "layers"
    kind: Literal["residual"]
    layers: LayerList
    activation: Activation = "relu"
    """Function after the sum."""


LAYERS: dict[str, type[Layer]] = {
    "activation": ActivationLayer,
    "average_pool": AveragePool,
    "batch_norm": BatchNorm,
    "conv": Conv,
    "conv_transpose": ConvTranspose,
    "cropping": Cropping,
    "dense": Dense,
    "depthwise_conv": DepthwiseConv,
    "dropout": Dropout,
    "elu": Elu,
    "flatten": Flatten,
    "gaussian_dropout": GaussianDropout,
    "gaussian_noise": GaussianNoise,
    "global_average_pool": GlobalAveragePool,
    "global_max_pool": GlobalMaxPool,
    "group_norm": GroupNorm,
    "layer_norm": LayerNorm,
    "leaky_relu": LeakyRelu,
    "max_pool": MaxPool,
    "prelu": Prelu,
    "relu": Relu,
    "reshape": Reshape,
    "residual": Residual,
    "separable_conv": SeparableConv,
    "spatial_dropout": SpatialDropout,
    "upsample": Upsample,
    "zero_pad": ZeroPad,
}


def _expand_layer(value: Any) -> Any:
    """Turn a layer as it is written into a mapping with ``kind``."""
    if isinstance(value, Layer):
        return value
    if isinstance(value, str):
        kind, settings = value, None
    elif isinstance(value, dict) and len(value) == 1:
        ((kind, settings),) = value.items()
    else:
        raise PydanticCustomError("accepts", "", {"accepted": "a layer's name, or a mapping with one key, the name"})
    if kind not in LAYERS:
        known = ", ".join(sorted(LAYERS))
        raise fault(f"unknown layer {shown(kind)}{nearest(kind, LAYERS) or f'; known are {known}'}")
    if settings is None:
        settings = {}
    if not isinstance(settings, dict):
        main = LAYERS[kind].main
        if main is None:
            raise PydanticCustomError("accepts", "", {"accepted": f"{kind} without a value"})
        settings = {main: settings}
    if "kind" in settings:
        raise fault(f"{kind} has no setting kind")
    return {**settings, "kind": kind}


class _LayerForm:
    """The JSON Schema of a layer as people write it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        records = handler(core)["discriminator"]["mapping"]
        forms: list[JsonSchemaValue] = [{"type": "string", "enum": sorted(records)}]
        for kind, reference in sorted(records.items()):
            full: JsonSchemaValue = {"$ref": reference}
            short = [{"type": ["number", "string", "array"]}] if LAYERS[kind].main else []
            forms.append(
                {
                    "type": "object",
                    "properties": {kind: {"anyOf": [full, *short, {"type": "null"}]}},
                    "required": [kind],
                    "additionalProperties": False,
                }
            )
        return {"anyOf": forms}


if TYPE_CHECKING:
    LayerList = tuple[Layer, ...]
else:
    _AnyLayer = Annotated[
        Union[tuple(LAYERS.values())],  # noqa: UP007 - a union made from the table
        Field(discriminator="kind"),
        BeforeValidator(_expand_layer),
        _LayerForm(),
    ]
    LayerList = Annotated[tuple[_AnyLayer, ...], Field(strict=False, max_length=_MOST_LAYERS)]

Residual.model_rebuild()
