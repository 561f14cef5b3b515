"""What the training makes small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import NonNegative, Positive, Record, fault, shown, word_or_settings

__all__ = ["AnyLoss", "FocalSpec", "expand_loss"]

Plain = Literal[
    "auto", "binary_crossentropy", "categorical_crossentropy", "categorical_hinge", "kl_divergence",
    "mean_squared_error", "sparse_categorical_crossentropy",
]  # fmt: skip
_FOCAL = "categorical_focal_crossentropy"
FocalName = Literal["categorical_focal_crossentropy", "focal"]


class FocalSpec(Record):
    """Cross-entropy that counts images less the surer the network is of them (Lin et al., 2017)."""

    name: Annotated[
        Literal["categorical_focal_crossentropy"],
        BeforeValidator(lambda name: _FOCAL if name == "focal" else name, json_schema_input_type=FocalName),
    ]
    """Its name in Keras, or `focal` for short."""
    alpha: Positive = 0.25
    """A factor for the whole loss, the same for every class."""
    gamma: NonNegative = 2.0
    """How much less sure images count; 0 is plain cross-entropy times alpha."""


def expand_loss(value: Any) -> Any:
    """Turn ``focal`` into a mapping; the other losses have no settings."""
    if isinstance(value, str) and value in get_args(FocalName):
        return {"name": _FOCAL}
    if isinstance(value, str) and value not in get_args(Plain):
        names = (*get_args(Plain), *get_args(FocalName))
        hint = nearest(value, names) or f"; known are {', '.join(names)}"
        raise fault(f"unknown loss {shown(value)}{hint}")
    if isinstance(value, str | dict | FocalSpec):
        return value
    raise PydanticCustomError("accepts", "", {"accepted": "the name of a loss, or a mapping with `name`"})


if TYPE_CHECKING:
    AnyLoss = str | FocalSpec
else:
    AnyLoss = word_or_settings(Plain, FocalSpec, expand_loss, FocalName)
