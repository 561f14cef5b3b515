"""How the networks of keras.applications want their pixels."""

from __future__ import annotations

from typing import Literal

__all__ = ["BACKBONE_MODES", "Mode"]

Mode = Literal["caffe", "inside", "tf", "torch"]

# What the ImageNet weights of each network were trained with, by the names in Keras; a test holds it against Keras.
# inside: the network scales by itself and takes 0..255.
_MODES: dict[Mode, tuple[str, ...]] = {
    "caffe": ("resnet101", "resnet152", "resnet50", "vgg16", "vgg19"),
    "tf": (
        "inceptionresnetv2", "inceptionv3", "mobilenet", "mobilenetv2", "nasnetlarge", "nasnetmobile", "resnet101v2",
        "resnet152v2", "resnet50v2", "xception",
    ),
    "torch": ("densenet121", "densenet169", "densenet201"),
    "inside": (
        "convnextbase", "convnextlarge", "convnextsmall", "convnexttiny", "convnextxlarge", "efficientnetb0",
        "efficientnetb1", "efficientnetb2", "efficientnetb3", "efficientnetb4", "efficientnetb5", "efficientnetb6",
        "efficientnetb7", "efficientnetv2b0", "efficientnetv2b1", "efficientnetv2b2", "efficientnetv2b3",
        "efficientnetv2l", "efficientnetv2m", "efficientnetv2s", "mobilenetv3large", "mobilenetv3small",
    ),
}  # fmt: skip
BACKBONE_MODES: dict[str, Mode] = {name: mode for mode, names in _MODES.items() for name in names}
