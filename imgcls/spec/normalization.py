"""How pixels 0..255 are scaled before the network sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import Positive, Record, fault, shown

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
    if isinstance(value, str) and value not in get_args(Plain):
        names = (*get_args(Plain), "zca")
        hint = nearest(value, names) or f"; known are {', '.join(names)}"
        raise fault(f"unknown normalization {shown(value)}{hint}")
    if value is None or isinstance(value, str | dict | ZcaSpec):
        return value
    raise PydanticCustomError(
        "accepts", "", {"accepted": "unit, minmax, standardize, zca, backbone, none or a mapping"}
    )


if TYPE_CHECKING:
    AnyNormalization = str | ZcaSpec
else:
    AnyNormalization = Annotated[
        Plain | ZcaSpec,
        BeforeValidator(expand_normalize, json_schema_input_type=Plain | Literal["zca"] | ZcaSpec),
    ]
