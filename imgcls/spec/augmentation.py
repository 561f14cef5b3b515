"""How training images are varied."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from imgcls.spec.fields import Count, Flag, Fraction, Natural, NonNegative, Record, accepts

__all__ = ["AugmentationSpec", "expand_augmentation"]

Degrees = Annotated[float, Field(ge=0, le=180), accepts("degrees from 0 to 180")]
ShearDegrees = Annotated[float, Field(ge=0, lt=90), accepts("degrees from 0 to below 90")]
FlagOrAlternating = Annotated[Flag | Literal["alternating"], accepts("true, false or alternating")]
BelowOne = Annotated[float, Field(ge=0, lt=1), accepts("a number from 0 to below 1")]


class AugmentationSpec(Record):
    """Random changes to each training image, drawn anew each epoch; sizes are the most that can be drawn."""

    rotation: Degrees = 0.0
    """Turn by up to so many degrees either way."""
    width_shift: Fraction = 0.0
    """Move sideways by up to this share of the width."""
    height_shift: Fraction = 0.0
    """Move up or down by up to this share of the height."""
    zoom: BelowOne = 0.0
    """Scale by a factor from 1 - zoom to 1 + zoom."""
    shear: ShearDegrees = 0.0
    """Slant by up to so many degrees either way."""
    horizontal_flip: FlagOrAlternating = False
    """Mirror left and right, every second time: at random, or ``alternating``, each image in every second epoch, so
    that two epochs show both sides of all (Jordan, 2024)."""
    vertical_flip: Flag = False
    """Mirror top and bottom, every second time."""
    random_crop: Natural = 0
    """Pad by so many pixels and crop at a random place: whole-pixel shifts, as is usual for CIFAR."""
    fill: Literal["nearest", "reflect", "wrap", "black"] = "nearest"
    """What shows where the moved image leaves a gap."""
    brightness: Fraction = 0.0
    """Add up to this share of the full range, or take it away."""
    contrast: BelowOne = 0.0
    """Scale the distance from the image's mean by a factor from 1 - contrast to 1 + contrast."""
    noise: Fraction = 0.0
    """Add Gaussian noise with this standard deviation, as a share of the full range."""
    cutout: Fraction = 0.0
    """Blank a square with this share of the shorter side (DeVries and Taylor, 2017)."""
    mixup: NonNegative = 0.0
    """Blend with another image, the share drawn from Beta(mixup, mixup) (Zhang et al., 2018)."""
    cutmix: NonNegative = 0.0
    """Paste a box of another image, its area drawn from Beta(cutmix, cutmix) (Yun et al., 2019)."""
    classes_below: Count | None = None
    """Change only the images of classes with fewer training images than this; by default those of all classes."""
    views: Count | None = None
    """Change each image in only so many ways, one an epoch in turn; by default another way each epoch. What frozen
    layers make of them is then computed once."""

    @property
    def mixes_labels(self) -> bool:
        """Whether a training image can be of two classes at once."""
        return self.mixup > 0 or self.cutmix > 0

    def view(self, epoch: int) -> int:
        """Return which of its ways an epoch changes the images in, from 1 on; 0 where they stay as they are."""
        if self.is_none:
            return 0
        return epoch if self.views is None else (epoch - 1) % self.views + 1

    @property
    def is_none(self) -> bool:
        """Whether training images stay as they are."""
        return self == AugmentationSpec(fill=self.fill, classes_below=self.classes_below, views=self.views)


def expand_augmentation(value: Any) -> Any:
    """Turn ``none`` (or nothing) into the empty mapping."""
    return {} if value is None or value == "none" else value
