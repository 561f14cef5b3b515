"""How pixels 0..255 are scaled: measured on the training images, and put into the network as plain Keras layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from imgcls.errors import SpecError
from imgcls.spec import Spec
from imgcls.spec.architecture import BackboneSpec
from imgcls.spec.normalization import AnyNormalization, PatchWhiteningSpec, ZcaSpec
from imgcls.spec.preprocessing import BACKBONE_MODES

__all__ = ["PixelStatistics", "normalized", "pixel_statistics"]

# Means and standard deviations of ImageNet's channels, as in keras.applications.imagenet_utils.
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STDDEV = (0.229, 0.224, 0.225)

_CHUNK = 1024  # images at once: bounded memory, however many there are
_EXACT_CHUNK = 256  # products of pixels summed over so many images stay below 2^24: float32 holds them exactly
_MAX_PATCH = 192  # values of a patch
_PATCHES = 4_000_000  # seen to fit patch whitening: a second's work, whatever the images are
_ROUNDING_VARIANCE = 1 / 12  # of whole numbers: less cannot be known, and a constant channel must not divide by nothing
_MAX_WHITENED = 4096  # values of an image: the matrix is the square of it, 64 MB


@dataclass(frozen=True)
class PixelStatistics:
    """Of the training images only.

    Attributes:
        low: the least value there is, 0..255.
        high: the greatest.
        mean: of each channel, 0..255.
        variance: of each channel, in the square of that unit.
        whitening_mean: float32 (values,), of each value of an image or of a patch, 0..1; none without whitening.
        whitening: float32 (values, values), for values 0..1: the symmetric ZCA matrix of images, or a column for each
            principal component of patches.
    """

    low: float = 0.0
    high: float = 255.0
    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()
    whitening_mean: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    whitening: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


def pixel_statistics(
    normalize: AnyNormalization | None, images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> PixelStatistics:
    """Measure what a normalisation needs to know, and nothing where it needs nothing.

    Args:
        normalize: the spec's.
        images: uint8 (n, height, width, channels), 0..255.
        rows: int, which of them: the training part.

    Raises:
        SpecError: the images are too large for ZCA.
    """
    if isinstance(normalize, ZcaSpec):
        return _whitening(images, rows, normalize.epsilon)
    if isinstance(normalize, PatchWhiteningSpec):
        return _patch_whitening(images, rows, normalize)
    if normalize in ("minmax", "standardize"):
        return _ranges(images, rows)
    return PixelStatistics()


def normalized(spec: Spec, image: keras.KerasTensor, pixels: PixelStatistics | None) -> keras.KerasTensor:
    """Scale 0..255 inside the network, so that whoever loads it needs to know nothing.

    In float32 at any precision: bfloat16 has too few digits to tell 256 levels of grey apart once they are scaled.

    Args:
        image: symbolic (n, height, width, channels), 0..255.
        pixels: nothing where the network is only described: the values are placeholders then.

    Raises:
        SpecError: the images are too large for ZCA, or have no colour where the backbone wants it.
    """
    if isinstance(spec.normalize, ZcaSpec):
        return _whitened(image, pixels or PixelStatistics())
    if isinstance(spec.normalize, PatchWhiteningSpec):
        return _whitened_patches(image, spec.normalize.size, pixels or PixelStatistics())
    if spec.normalize == "backbone" and isinstance(spec.architecture, BackboneSpec):
        return _as_trained(image, spec.architecture.backbone)
    return _scaled(image, spec.normalize, pixels)


def _scaled(image: keras.KerasTensor, method: str | None, pixels: PixelStatistics | None) -> keras.KerasTensor:
    """Scale each channel by itself."""
    fixed = {"name": "normalize", "dtype": "float32"}
    match method:
        case "unit":
            return keras.layers.Rescaling(1 / 255, **fixed)(image)
        case "minmax":
            pixels = pixels or PixelStatistics()
            span = max(pixels.high - pixels.low, 1.0)
            return keras.layers.Rescaling(1 / span, offset=-pixels.low / span, **fixed)(image)
        case "standardize":
            channels = image.shape[-1]
            pixels = pixels or PixelStatistics(mean=(0.0,) * channels, variance=(1.0,) * channels)
            return keras.layers.Normalization(mean=pixels.mean, variance=pixels.variance, **fixed)(image)
    return image


def _ranges(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> PixelStatistics:
    """Count every value of every channel in a single pass."""
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(rows), _CHUNK):
        pixels = images[rows[start : start + _CHUNK]].reshape(-1, channels)
        counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(channels)])
    values = np.arange(256)
    seen = np.flatnonzero(counts.sum(axis=0))
    total = counts.sum(axis=1)
    mean = counts @ values / total
    variance = np.maximum(counts @ values**2 / total - mean**2, _ROUNDING_VARIANCE)
    return PixelStatistics(float(seen[0]), float(seen[-1]), tuple(mean.tolist()), tuple(variance.tolist()))


def _whitening(images: NDArray[np.uint8], rows: NDArray[np.int64], epsilon: float) -> PixelStatistics:
    """Fit ZCA whitening (Krizhevsky, 2009): U diag(1 / sqrt(s + epsilon)) U^T of the covariance U diag(s) U^T."""
    _require_small(images.shape[1:])
    chunks = (images[rows[start : start + _EXACT_CHUNK]] for start in range(0, len(rows), _EXACT_CHUNK))
    mean, variances, directions = _principal(chunk.reshape(len(chunk), -1) for chunk in chunks)
    whitening = (directions / np.sqrt(variances + epsilon)) @ directions.T
    return PixelStatistics(whitening_mean=mean.astype(np.float32), whitening=whitening.astype(np.float32))


def _patch_whitening(
    images: NDArray[np.uint8], rows: NDArray[np.int64], normalize: PatchWhiteningSpec
) -> PixelStatistics:
    """Fit the principal components of patches, U / sqrt(s + epsilon), on images at even distances."""
    size, (height, width, channels) = normalize.size, images.shape[1:]
    _require_patch(size, (height, width, channels))
    wanted = -(-_PATCHES // ((height - size + 1) * (width - size + 1)))
    sample = rows[:: max(1, len(rows) // wanted)]

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for row in sample:
            patches = sliding_window_view(images[row], (size, size), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
            patches = patches.reshape(-1, size * size * channels)
            yield from (patches[start : start + _EXACT_CHUNK] for start in range(0, len(patches), _EXACT_CHUNK))

    mean, variances, directions = _principal(chunks())
    whitening = directions / np.sqrt(variances + normalize.epsilon)
    return PixelStatistics(whitening_mean=mean.astype(np.float32), whitening=whitening.astype(np.float32))


def _principal(
    chunks: Iterable[NDArray[np.uint8]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (values,), variances (values,) and directions, a column each, of rows of values; in 0..1.

    Args:
        chunks: uint8 (at most _EXACT_CHUNK, values).
    """
    sums, products, count = np.zeros(1), np.zeros((1, 1)), 0
    for chunk in chunks:
        values = chunk.astype(np.float32)
        sums = sums + values.sum(axis=0, dtype=np.float64)
        products = products + values.T @ values
        count += len(chunk)
    mean = sums / count
    variances, directions = np.linalg.eigh((products / count - np.outer(mean, mean)) / 255**2)
    places = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[places, np.arange(len(directions))])  # which is open otherwise
    return mean / 255, np.maximum(variances, 0), directions  # rounding leaves some below 0 where images are few


def _whitened(image: keras.KerasTensor, pixels: PixelStatistics) -> keras.KerasTensor:
    """Multiply the values of an image, as one vector, with the whitening matrix; it never learns."""
    shape = image.shape[1:]
    _require_small(shape)
    values = int(np.prod(shape))
    vector = keras.layers.Flatten(name="zca_flatten", dtype="float32")(image)
    dense = keras.layers.Dense(
        values, kernel_initializer="zeros", trainable=False, name="zca_whiten", dtype="float32"
    )  # fmt: skip
    vector = dense(vector)
    if pixels.whitening is not None and pixels.whitening_mean is not None:
        dense.set_weights([pixels.whitening / 255, -pixels.whitening_mean @ pixels.whitening])
    return keras.layers.Reshape(shape, name="zca_reshape", dtype="float32")(vector)


def _whitened_patches(image: keras.KerasTensor, size: int, pixels: PixelStatistics) -> keras.KerasTensor:
    """Project each patch on its principal components, by a convolution that never learns; parts as of a CReLU."""
    channels = image.shape[-1]
    _require_patch(size, image.shape[1:])
    conv = keras.layers.Conv2D(
        2 * size * size * channels,
        size,
        activation="relu",
        kernel_initializer="zeros",
        trainable=False,
        name="patch_whiten",
        dtype="float32",
    )
    components = conv(image)
    if pixels.whitening is not None and pixels.whitening_mean is not None:
        both = np.concatenate([pixels.whitening, -pixels.whitening], axis=1)
        conv.set_weights([(both / 255).reshape(conv.kernel.shape), -pixels.whitening_mean @ both])
    return components


def _require_patch(size: int, shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    if size > min(height, width):
        raise SpecError(f"normalize: patch_whitening with patches of {size} pixels, but images are {height}x{width}")
    if (values := size * size * channels) > _MAX_PATCH:
        raise SpecError(
            f"normalize: patch_whitening: a patch of {size}x{size} has {values:,} values, each a filter; patches of up "
            f"to {_MAX_PATCH} are accepted, for instance 8x8 in colour"
        )


def _require_small(shape: tuple[int, ...]) -> None:
    values = int(np.prod(shape))
    if values > _MAX_WHITENED:
        raise SpecError(
            f"normalize: zca at {'x'.join(map(str, shape))} needs a matrix of {values:,}x{values:,} numbers; images of "
            f"up to {_MAX_WHITENED:,} values are accepted, for instance 36x36 in colour or 64x64 in grey"
        )


def _as_trained(image: keras.KerasTensor, backbone: str) -> keras.KerasTensor:
    """Scale as the backbone's ``preprocess_input`` does."""
    mode = BACKBONE_MODES[backbone]
    if mode in ("caffe", "torch") and image.shape[-1] != 3:
        raise SpecError(f"normalize: backbone scales red, green and blue for {backbone}: set color: rgb, or another")
    fixed = {"name": "normalize", "dtype": "float32"}
    match mode:
        case "tf":
            return keras.layers.Rescaling(1 / 127.5, offset=-1.0, **fixed)(image)
        case "caffe":
            centred = keras.layers.Normalization(mean=_CAFFE_MEAN_BGR, variance=(1.0,) * 3, **fixed)
            return centred(keras.ops.flip(image, axis=-1))
        case "torch":
            mean = [255 * value for value in _TORCH_MEAN]
            variance = [(255 * value) ** 2 for value in _TORCH_STDDEV]
            return keras.layers.Normalization(mean=mean, variance=variance, **fixed)(image)
    return image
