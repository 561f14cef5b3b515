"""What is published of each backbone: the table to choose one by.

Sizes, accuracies and depths are those of https://keras.io/api/applications/ ("Available models"), accuracies of single
pictures of ImageNet's validation part. The page has no rows for MobileNetV3: top-1 is that of Keras' docstring (Howard
et al., 2019), the size four bytes a parameter. What it leaves out is None. Of its depths it says both that they count
activations and batch norm, and that they count layers with parameters: they compare networks of one family, no more.

Parameters and resolutions are those of the networks as Keras builds them, with 1,000 outputs; a test holds them against
Keras.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgcls.spec.preprocessing import BACKBONE_MODES, Mode

__all__ = ["PUBLISHED", "RANGES", "PublishedBackbone"]

RANGES: dict[Mode, str] = {
    "caffe": "0..255 less the mean, BGR",
    "inside": "0..255",
    "tf": "-1..1",
    "torch": "standardized",
}
"""What the ImageNet weights were trained with; ``normalize: backbone`` gives it to them."""


@dataclass(frozen=True)
class PublishedBackbone:
    """What is known of a network of keras.applications.

    Attributes:
        size_mb: of its weights, with the 1,000 outputs.
        parameters: with the 1,000 outputs.
        depth: layers.
        top1, top5: accuracy on ImageNet, 0..1.
        resolution_px: side of the images that the weights were trained with.
    """

    name: str
    size_mb: int
    parameters: int
    depth: int | None
    top1: float | None
    top5: float | None
    resolution_px: int

    @property
    def input_range(self) -> str:
        """What its pixels are to be."""
        return RANGES[BACKBONE_MODES[self.name]]


_ROWS = (
    # name, MB, parameters, depth, top-1, top-5, resolution
    ("mobilenet", 16, 4_253_864, 55, 0.704, 0.895, 224),
    ("mobilenetv2", 14, 3_538_984, 105, 0.713, 0.901, 224),
    ("mobilenetv3small", 10, 2_554_968, None, 0.681, None, 224),
    ("mobilenetv3large", 22, 5_507_432, None, 0.756, None, 224),
    ("nasnetmobile", 23, 5_326_716, 389, 0.744, 0.919, 224),
    ("nasnetlarge", 343, 88_949_818, 533, 0.825, 0.960, 331),
    ("efficientnetb0", 29, 5_330_571, 132, 0.771, 0.933, 224),
    ("efficientnetb1", 31, 7_856_239, 186, 0.791, 0.944, 240),
    ("efficientnetb2", 36, 9_177_569, 186, 0.801, 0.949, 260),
    ("efficientnetb3", 48, 12_320_535, 210, 0.816, 0.957, 300),
    ("efficientnetb4", 75, 19_466_823, 258, 0.829, 0.964, 380),
    ("efficientnetb5", 118, 30_562_527, 312, 0.836, 0.967, 456),
    ("efficientnetb6", 166, 43_265_143, 360, 0.840, 0.968, 528),
    ("efficientnetb7", 256, 66_658_687, 438, 0.843, 0.970, 600),
    ("efficientnetv2b0", 29, 7_200_312, None, 0.787, 0.943, 224),
    ("efficientnetv2b1", 34, 8_212_124, None, 0.798, 0.950, 240),
    ("efficientnetv2b2", 42, 10_178_374, None, 0.805, 0.951, 260),
    ("efficientnetv2b3", 59, 14_467_622, None, 0.820, 0.958, 300),
    ("efficientnetv2s", 88, 21_612_360, None, 0.839, 0.967, 384),
    ("efficientnetv2m", 220, 54_431_388, None, 0.853, 0.974, 480),
    ("efficientnetv2l", 479, 119_027_848, None, 0.857, 0.975, 480),
    ("densenet121", 33, 8_062_504, 242, 0.750, 0.923, 224),
    ("densenet169", 57, 14_307_880, 338, 0.762, 0.932, 224),
    ("densenet201", 80, 20_242_984, 402, 0.773, 0.936, 224),
    ("xception", 88, 22_910_480, 81, 0.790, 0.945, 299),
    ("inceptionv3", 92, 23_851_784, 189, 0.779, 0.937, 299),
    ("inceptionresnetv2", 215, 55_873_736, 449, 0.803, 0.953, 299),
    ("resnet50", 98, 25_636_712, 107, 0.749, 0.921, 224),
    ("resnet101", 171, 44_707_176, 209, 0.764, 0.928, 224),
    ("resnet152", 232, 60_419_944, 311, 0.766, 0.931, 224),
    ("resnet50v2", 98, 25_613_800, 103, 0.760, 0.930, 224),
    ("resnet101v2", 171, 44_675_560, 205, 0.772, 0.938, 224),
    ("resnet152v2", 232, 60_380_648, 307, 0.780, 0.942, 224),
    ("convnexttiny", 109, 28_589_128, None, 0.813, None, 224),
    ("convnextsmall", 192, 50_223_688, None, 0.823, None, 224),
    ("convnextbase", 339, 88_591_464, None, 0.853, None, 224),
    ("convnextlarge", 755, 197_767_336, None, 0.863, None, 224),
    ("convnextxlarge", 1310, 350_196_968, None, 0.867, None, 224),
    ("vgg16", 528, 138_357_544, 16, 0.713, 0.901, 224),
    ("vgg19", 549, 143_667_240, 19, 0.713, 0.900, 224),
)

PUBLISHED: dict[str, PublishedBackbone] = {row[0]: PublishedBackbone(*row) for row in _ROWS}
