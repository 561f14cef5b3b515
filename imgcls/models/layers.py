"""A Keras layer for each layer of the spec. Every random part gets a seed of its own, derived from its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import layers as kl

from imgcls.errors import SpecError
from imgcls.randomness import derive_seed
from imgcls.spec.layers import Layer

__all__ = ["BUILDERS", "apply_layers", "initializer"]

_CHANNELS_LAST = {"dense"}  # on an image they would work on each pixel's channels, which nobody means
_WINDOWS = {  # kind → the setting that has the window's size, and what to call it
    "average_pool": ("size", "window"),
    "conv": ("kernel", "kernel"),
    "depthwise_conv": ("kernel", "kernel"),
    "max_pool": ("size", "window"),
    "separable_conv": ("kernel", "kernel"),
}


def apply_layers(layers: Sequence[Layer], tensor: Any, *, seed: int, place: str) -> Any:
    """Apply layers one after the other.

    Args:
        tensor: a symbolic tensor (n, height, width, channels) or (n, features).
        place: where the list stands in the spec, for seeds, names and messages.

    Raises:
        SpecError: a layer does not fit what comes before it; names layer and shape.
    """
    for index, layer in enumerate(layers):
        where = f"{place}.{index}"
        if layer.kind in _CHANNELS_LAST and len(tensor.shape) > 2:
            raise SpecError(
                f"{where} ({layer.kind}) gets images of {_shape(tensor)}: put flatten or global_average_pool before it"
            )
        _refuse_small_input(layer, tensor, where)
        try:
            tensor = BUILDERS[layer.kind](layer, derive_seed(seed, where, bits=31), where)(tensor)
        except SpecError:
            raise
        except (ValueError, ZeroDivisionError) as error:
            raise SpecError(
                f"{where} ({layer.kind}) does not fit its input of {_shape(tensor)}: {_reason(error)}"
            ) from error
        if None not in tensor.shape[1:] and min(tensor.shape[1:], default=1) < 1:
            raise SpecError(f"{where} ({layer.kind}) leaves nothing of its input: the images are too small for it")
    return tensor


def _refuse_small_input(layer: Any, tensor: Any, where: str) -> None:
    """Raise if the window of a convolution or a pooling is larger than the images, and nothing is added to these.

    Raises:
        SpecError: names both sizes, and what helps.
    """
    if layer.kind not in _WINDOWS or layer.padding != "valid" or len(tensor.shape) != 4:
        return
    setting, window = _WINDOWS[layer.kind]
    size, images = getattr(layer, setting), tensor.shape[1:3]
    spans = tuple(1 + (side - 1) * step for side, step in zip(size, getattr(layer, "dilation", (1, 1)), strict=True))
    if any(image is not None and image < span for image, span in zip(images, spans, strict=True)):
        widened = f", which dilation widens to {_sides(spans)}," if spans != size else ""
        raise SpecError(
            f"{where} ({layer.kind}): {_sides(images)} is too small for a {_sides(size)} {window}{widened} with "
            "padding: valid; raise resolution, or set padding: same"
        )


def initializer(name: str, seed: int) -> keras.initializers.Initializer:
    """Return an initializer whose draws depend on ``seed`` alone."""
    kind = type(keras.initializers.get(name))
    return kind() if name == "zeros" else kind(seed=seed)


def _weighted(layer: Any, seed: int, *, kernel: str = "kernel") -> dict[str, Any]:
    """Return the arguments that all layers with a kernel share."""
    penalty = keras.regularizers.L1L2(layer.l1, layer.l2) if layer.l1 or layer.l2 else None
    return {
        "activation": None if layer.activation == "none" else layer.activation,
        "use_bias": layer.bias,
        f"{kernel}_initializer": initializer(layer.initializer, seed),
        f"{kernel}_regularizer": penalty,
    }


def _conv(layer: Any, seed: int, name: str) -> kl.Layer:
    return kl.Conv2D(
        layer.filters, layer.kernel, layer.strides, layer.padding, dilation_rate=layer.dilation, groups=layer.groups,
        name=_name(name, layer), **_weighted(layer, seed),
    )  # fmt: skip


def _separable_conv(layer: Any, seed: int, name: str) -> kl.Layer:
    shared = _weighted(layer, seed, kernel="depthwise")
    return kl.SeparableConv2D(
        layer.filters, layer.kernel, layer.strides, layer.padding, depth_multiplier=layer.depth_multiplier,
        pointwise_initializer=initializer(layer.initializer, derive_seed(seed, "pointwise", bits=31)),
        pointwise_regularizer=shared["depthwise_regularizer"], name=_name(name, layer), **shared,
    )  # fmt: skip


def _depthwise_conv(layer: Any, seed: int, name: str) -> kl.Layer:
    return kl.DepthwiseConv2D(
        layer.kernel, layer.strides, layer.padding, layer.depth_multiplier,
        name=_name(name, layer), **_weighted(layer, seed, kernel="depthwise"),
    )  # fmt: skip


def _conv_transpose(layer: Any, seed: int, name: str) -> kl.Layer:
    return kl.Conv2DTranspose(
        layer.filters, layer.kernel, layer.strides, layer.padding, name=_name(name, layer), **_weighted(layer, seed)
    )


def _residual(layer: Any, seed: int, name: str) -> Callable[[Any], Any]:
    def apply(tensor: Any) -> Any:
        changed = apply_layers(layer.layers, tensor, seed=seed, place=name)
        if len(changed.shape) != len(tensor.shape):
            raise SpecError(f"{name} (residual): what is inside makes {_shape(changed)} of {_shape(tensor)}")
        shortcut = tensor if changed.shape == tensor.shape else _projection(tensor, changed, seed, name)
        if shortcut.shape != changed.shape:
            raise SpecError(
                f"{name} (residual): what is inside makes {_shape(changed)} of {_shape(tensor)}, and no stride does: "
                "convolutions inside a residual want padding: same"
            )
        total = kl.Add(name=_plain(f"{name}.add"))([shortcut, changed])
        return (
            total if layer.activation == "none" else kl.Activation(layer.activation, name=_plain(f"{name}.out"))(total)
        )

    return apply


def _projection(tensor: Any, changed: Any, seed: int, name: str) -> Any:
    """Bring the input of a residual block to the shape of its output (option B of He et al., 2016)."""
    strides = tuple(-(-before // after) for before, after in zip(tensor.shape[1:-1], changed.shape[1:-1], strict=True))
    start = initializer("he_normal", derive_seed(seed, "projection", bits=31))
    if not strides:
        return kl.Dense(changed.shape[-1], use_bias=False, kernel_initializer=start, name=_plain(f"{name}.project"))(
            tensor
        )
    conv = kl.Conv2D(
        changed.shape[-1], 1, strides, "same", use_bias=False, kernel_initializer=start, name=_plain(f"{name}.project")
    )
    norm = kl.BatchNormalization(momentum=0.9, name=_plain(f"{name}.project_norm"))  # as in the presets
    return norm(conv(tensor))


def _pool(kind: type[kl.Layer]) -> Callable[[Any, int, str], kl.Layer]:
    def build(layer: Any, seed: int, name: str) -> kl.Layer:  # noqa: ARG001 - one signature for all builders
        return kind(layer.size, layer.strides, layer.padding, name=_name(name, layer))

    return build


def _plainly(
    make: Callable[..., kl.Layer], *settings: str, seeded: bool = False, **fixed: Any
) -> Callable[..., kl.Layer]:
    """Return a builder that hands the named settings on as they are."""

    def build(layer: Any, seed: int, name: str) -> kl.Layer:
        arguments = {setting: getattr(layer, setting) for setting in settings}
        return make(**arguments, **fixed, **({"seed": seed} if seeded else {}), name=_name(name, layer))

    return build


def _dense(layer: Any, seed: int, name: str) -> kl.Layer:
    return kl.Dense(layer.units, name=_name(name, layer), **_weighted(layer, seed))


def _reshape(layer: Any, seed: int, name: str) -> kl.Layer:  # noqa: ARG001 - one signature for all builders
    return kl.Reshape(layer.shape, name=_name(name, layer))


def _activation(layer: Any, seed: int, name: str) -> kl.Layer:  # noqa: ARG001 - one signature for all builders
    return kl.Activation(None if layer.function == "none" else layer.function, name=_name(name, layer))


def _prelu(layer: Any, seed: int, name: str) -> Callable[[Any], Any]:  # noqa: ARG001 - one signature for all builders
    def apply(tensor: Any) -> Any:
        places = list(range(1, len(tensor.shape) - 1)) or None  # a slope for each channel, shared by all places
        return kl.PReLU(shared_axes=places, name=_name(name, layer))(tensor)

    return apply


BUILDERS: dict[str, Callable[[Any, int, str], Any]] = {
    "activation": _activation,
    "average_pool": _pool(kl.AveragePooling2D),
    "batch_norm": _plainly(kl.BatchNormalization, "momentum", "epsilon", "center", "scale"),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "cropping": _plainly(kl.Cropping2D, "cropping"),
    "dense": _dense,
    "depthwise_conv": _depthwise_conv,
    "dropout": _plainly(kl.Dropout, "rate", seeded=True),
    "elu": _plainly(kl.ELU, "alpha"),
    "flatten": _plainly(kl.Flatten),
    "gaussian_dropout": _plainly(kl.GaussianDropout, "rate", seeded=True),
    "gaussian_noise": _plainly(kl.GaussianNoise, "stddev", seeded=True),
    "global_average_pool": _plainly(kl.GlobalAveragePooling2D),
    "global_max_pool": _plainly(kl.GlobalMaxPooling2D),
    "group_norm": _plainly(kl.GroupNormalization, "groups", "epsilon"),
    "layer_norm": _plainly(kl.LayerNormalization, "epsilon"),
    "leaky_relu": _plainly(kl.LeakyReLU, "negative_slope"),
    "max_pool": _pool(kl.MaxPooling2D),
    "prelu": _prelu,
    "relu": _plainly(kl.ReLU),
    "reshape": _reshape,
    "residual": _residual,
    "separable_conv": _separable_conv,
    "spatial_dropout": _plainly(kl.SpatialDropout2D, "rate", seeded=True),
    "upsample": _plainly(kl.UpSampling2D, "size", "interpolation"),
    "zero_pad": _plainly(kl.ZeroPadding2D, "padding"),
}


def _name(place: str, layer: Layer) -> str:
    """Return the layer's name in Keras: ``architecture.3`` of a conv is ``conv_3``."""
    return _plain(f"{place}.{layer.kind}")


def _plain(place: str) -> str:
    *numbers, last = place.removeprefix("architecture.").split(".")
    return "_".join([last, *numbers])


def _shape(tensor: Any) -> str:
    return _sides(tensor.shape[1:])


def _sides(sides: Iterable[int]) -> str:
    return "x".join(map(str, sides))


def _reason(error: Exception) -> str:
    """Return the line of a message of Keras that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception encountered", "Arguments received"))]
    return (telling or [type(error).__name__])[0]
