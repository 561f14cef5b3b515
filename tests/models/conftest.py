"""A backbone of four layers, made of what those of keras.applications are made of, that builds in no time."""

import pytest


def tiny_network(*, include_top=False, weights=None, input_shape=(32, 32, 3)):
    """Stand in for keras.applications.EfficientNetB0: the same start, an unnamed layer, a sum, layers in a layer."""
    import keras
    from keras import layers

    if min(input_shape[:2]) < 8:
        raise ValueError(f"Input size must be at least 8x8; Received: input_shape={input_shape}")
    image = keras.Input(input_shape)
    tensor = layers.Normalization()(layers.Rescaling(1 / 255)(image))
    if weights:
        tensor = layers.Rescaling([1 / value**0.5 for value in (0.229, 0.224, 0.225)])(tensor)
    tensor = layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem_conv")(tensor)
    tensor = layers.BatchNormalization()(tensor)
    tensor = tensor + layers.Activation("relu", name="stem_relu")(tensor)
    inside = [layers.LayerNormalization(name="down_norm"), layers.Conv2D(6, 2, strides=2, name="down_conv")]
    tensor = keras.Sequential(inside, name="down")(tensor)
    tensor = layers.Dropout(0.2, name="drop")(layers.Conv2D(6, 1)(tensor))
    tensor = layers.BatchNormalization(name="last_norm")(tensor)
    return keras.Model(image, tensor)


@pytest.fixture
def tiny_backbone(monkeypatch):
    """Put the tiny network in the place of EfficientNetB0."""
    from imgcls.models import backbones

    monkeypatch.setattr(backbones, "_functions", lambda: {"efficientnetb0": tiny_network})
    return tiny_network
