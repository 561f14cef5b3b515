"""How pixels 0..255 are scaled before the network sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field
from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import Count, Positive, Record, fault, shown, word_or_settings

__all__ = ["AnyNormalization", "PatchWhiteningSpec", "ZcaSpec", "expand_normalize"]

Plain = Literal["unit", "minmax", "standardize", "backbone", "none"]
_WITH_SETTINGS = ("zca", "patch_whitening")


class ZcaSpec(Record):
    """ZCA whitening of the images in 0..1, fitted on the training part (Krizhevsky, 2009)."""

    method: Literal["zca"] = "zca"
    epsilon: Positive = 1e-6
    """Added to the variance of each principal component, in units of (0..1) squared."""


class PatchWhiteningSpec(Record):
    """The principal components of each little patch, scaled to variance 1, fitted on the training part (Page, 2019).

    The positive and the negative part of each are maps of their own. It stands for a first convolution that needs not
    be learnt.
    """

    method: Literal["patch_whitening"] = "patch_whitening"
    size: Count = 2
    """Height and width of a patch, in pixels; the image shrinks by one less."""
    epsilon: Positive = 5e-4
    """Added to the variance of each principal component, in units of (0..1) squared."""


def expand_normalize(value: Any) -> Any:
    """Turn the name of a method that has settings into a mapping; settings without a name are those of ZCA."""
    if isinstance(value, Record):
        return value
    names = (*get_args(Plain), *_WITH_SETTINGS)
    if not isinstance(value, str | dict):
        raise PydanticCustomError("accepts", "", {"accepted": f"{', '.join(names)} or a mapping"})
    method = value if isinstance(value, str) else value.get("method", "zca")
    if method not in names:
        hint = nearest(str(method), names) or f"; known are {', '.join(names)}"
        raise fault(f"unknown normalization {shown(method)}{hint}", "method")
    if method in _WITH_SETTINGS:
        return {**(value if isinstance(value, dict) else {}), "method": method}
    if isinstance(value, dict):
        raise fault(f"{method} has no settings: write normalize: {method}", "method")
    return value


if TYPE_CHECKING:
    AnyNormalization = str | ZcaSpec | PatchWhiteningSpec
else:
    AnyNormalization = word_or_settings(
        Plain,
        Annotated[ZcaSpec | PatchWhiteningSpec, Field(discriminator="method")],
        expand_normalize,
        Literal[_WITH_SETTINGS],
    )
