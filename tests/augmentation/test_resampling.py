"""The compiled resampling gives what Keras' own operation gives."""

import numpy as np
import pytest

from imgcls import backend

backend.start("cpu")

from keras import ops  # noqa: E402 - not before Keras has started quietly

from imgcls.augmentation import draw, resampling  # noqa: E402
from imgcls.spec.augmentation import AugmentationSpec  # noqa: E402

STRONG = AugmentationSpec(rotation=60, zoom=0.5, width_shift=0.7, height_shift=0.7, shear=20, horizontal_flip=True)


@pytest.mark.parametrize("fill", ["nearest", "reflect", "wrap", "black"])
@pytest.mark.parametrize("shape", [(16, 16, 3), (7, 9, 1), (9, 4, 3)])
def test_it_is_the_resampling_of_keras(fill, shape):
    images = np.random.default_rng(0).uniform(0, 255, (60, *shape)).astype(np.float32)
    maps = draw(STRONG, shape, 0, 1, np.arange(60))["transform"]
    kind = {"black": "constant"}.get(fill, fill)
    expected = ops.image.affine_transform(images, maps, interpolation="bilinear", fill_mode=kind, fill_value=0.0)
    found = resampling.resampled(ops.convert_to_tensor(images), ops.convert_to_tensor(maps), fill)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert not np.allclose(found, images, atol=10)


def test_it_is_compiled_where_that_is_faster(monkeypatch):
    used = []
    monkeypatch.setattr(resampling, "_compiled", lambda fill: lambda images, _: used.append(fill) or images)
    images, maps = ops.zeros((1, 8, 8, 3)), ops.zeros((1, 8))
    for fill in ("nearest", "reflect", "wrap", "black"):
        resampling.resampled(images, maps, fill)
    assert used == ["nearest", "reflect", "black"]
    monkeypatch.setattr(resampling, "_has_gpu", lambda: True)
    resampling.resampled(images, maps, "nearest")
    assert len(used) == 3
