"""Moving the pixels of a batch, each image by its own map, in one resampling."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

__all__ = ["resampled"]

_KERAS_FILL = {"nearest": "nearest", "reflect": "reflect", "wrap": "wrap", "black": "constant"}


def resampled(images: Any, maps: Any, fill: str) -> Any:
    """Return images of which each pixel is interpolated, bilinearly, from where its map says.

    On a processor TensorFlow's own operation computes the map anew for each channel of each pixel; the same written out
    and compiled takes a third of the time (128 images of 64x64 on 2 cores: 10.8 and 3.9 ms).

    Args:
        images: float32 (n, height, width, channels).
        maps: float32 (n, 8), output to input pixels, as a projective map whose last row is 0, 0, 1.
        fill: what shows outside of the image: ``nearest``, ``reflect``, ``wrap`` or ``black``.
    """
    if keras.backend.backend() == "tensorflow" and fill != "wrap" and not _has_gpu():
        return _compiled(fill)(images, maps)
    return ops.image.affine_transform(
        images, maps, interpolation="bilinear", fill_mode=_KERAS_FILL[fill], fill_value=0.0
    )


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


@functools.cache
def _compiled(fill: str) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    return tf.function(functools.partial(_interpolated, fill=fill), jit_compile=True, autograph=False)


def _interpolated(images: Any, maps: Any, fill: str) -> Any:
    count, height, width, channels = ops.shape(images)
    rows, columns = ops.arange(height, dtype="float32")[:, None], ops.arange(width, dtype="float32")[None, :]
    a, b, right, c, d, down = (maps[:, index, None, None] for index in range(6))
    x, y = a * columns + b * rows + right, c * columns + d * rows + down
    left, top = ops.floor(x), ops.floor(y)
    across, along = (x - left)[..., None], (y - top)[..., None]
    first = ops.arange(count)[:, None, None] * (height * width)
    pixels = ops.reshape(images, (-1, channels))

    def taken(row: Any, column: Any) -> Any:
        place_y, place_x = _within(row, height, fill), _within(column, width, fill)
        values = ops.take(pixels, first + place_y * width + place_x, axis=0)
        if fill != "black":
            return values
        is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        return values * ops.cast(is_inside, values.dtype)[..., None]

    upper = taken(top, left) * (1 - across) + taken(top, left + 1) * across
    lower = taken(top + 1, left) * (1 - across) + taken(top + 1, left + 1) * across
    return upper * (1 - along) + lower * along


def _within(place: Any, length: int, fill: str) -> Any:
    """Return which row or column is seen at a place, which may lie outside of the image."""
    if fill == "reflect":  # d c b a | a b c d | d c b a
        place = ops.mod(place, 2 * length)
        place = ops.minimum(place, 2 * length - 1 - place)
    return ops.cast(ops.clip(place, 0, length - 1), "int32")
