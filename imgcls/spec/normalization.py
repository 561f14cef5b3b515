"""How pixels 0..255 are scaled before the network sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import Positive, Record, fault, shown, word_or_settings

__all__ = ["AnyNormalization", "ZcaSpec", "expand_normalize"]

Plain = Literal["unit", "minmax", "standardize", "backbone", "none"]


class ZcaSpec(Record):
    """ZCA whitening of the images in 0..1, fitted on the training part (Krizhevsky, 2009)."""

    method: Literal["zca"] = "zca"
    epsilon: Positive = 1e-6
    """Added to the variance of each principal component, in units of (0..1) squared."""


def expand_normalize(value: Any) -> Any:
    """Turn ``zca`` into a mapping; the other methods have no settings."""
    if value == "zca":
        return {"method": "zca"}
    method = value.get("method") if isinstance(value, dict) else value
    if isinstance(method, str) and method not in (*get_args(Plain), "zca"):
        names = (*get_args(Plain), "zca")
        hint = nearest(method, names) or f"; known are {', '.join(names)}"
        raise fault(f"unknown normalization {shown(method)}{hint}", "method")
    if isinstance(value, dict) and isinstance(method, str) and method != "zca":
        raise fault(f"{method} has no settings: write normalize: {method}", "method")
    if value is None or isinstance(value, str | dict | ZcaSpec):
        return value
    raise PydanticCustomError(
        "accepts", "", {"accepted": "unit, minmax, standardize, zca, backbone, none or a mapping"}
    )


if TYPE_CHECKING:
    AnyNormalization = str | ZcaSpec
else:
    AnyNormalization = word_or_settings(Plain, ZcaSpec, expand_normalize, Literal["zca"])
