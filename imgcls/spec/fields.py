"""The kinds of value that spec records are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "Count",
    "Flag",
    "Fraction",
    "Label",
    "Natural",
    "NonNegative",
    "Pair",
    "Positive",
    "Record",
    "accepts",
    "shorthand",
]


class Record(BaseModel):
    """A frozen part of the spec; unknown keys and silent conversions are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def accepts(text: str) -> WrapValidator:
    """Say ``text`` is accepted, whatever the check below found wrong with a single value."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise PydanticCustomError("accepts", "{accepted} is accepted", {"accepted": text}) from error

    return WrapValidator(check)


def shorthand(expand: Callable[[Any], Any], short: Any) -> BeforeValidator:
    """Accept ``short`` beside the full record; ``expand`` turns the former into the latter."""
    return BeforeValidator(expand, json_schema_input_type=short)


def _flag(value: Any) -> Any:
    """YAML 1.2 leaves yes, no, on and off strings; where a flag stands they can mean one thing only."""
    words = {"yes": True, "on": True, "no": False, "off": False}
    return words.get(value, value) if isinstance(value, str) else value


def _label(value: Any) -> Any:
    """A class named ``1`` is the string "1"; how 1.0 or true were spelt is lost, so they must be quoted."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Flag = Annotated[
    bool,
    accepts("true or false"),
    BeforeValidator(_flag, json_schema_input_type=bool | Literal["yes", "no", "on", "off"]),
]
Count = Annotated[int, Field(ge=1), accepts("a whole number of at least 1")]
Natural = Annotated[int, Field(ge=0), accepts("a whole number of at least 0")]
Fraction = Annotated[float, Field(ge=0, le=1), accepts("a number from 0 to 1")]
Positive = Annotated[float, Field(gt=0), accepts("a number above 0")]
NonNegative = Annotated[float, Field(ge=0), accepts("a number of at least 0")]
Label = Annotated[
    str,
    accepts("a string (quote numbers with a point, true and null)"),
    BeforeValidator(_label, json_schema_input_type=str | int),
]

_Size = Annotated[int, Field(ge=1)]


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Pair = Annotated[
    tuple[_Size, _Size],
    Strict(False),
    accepts("a whole number of at least 1, or two of them: [height, width],"),
    BeforeValidator(_pair, json_schema_input_type=Annotated[int, Field(ge=1)] | tuple[_Size, _Size]),
]
"""[height, width], for which one number stands when both are equal."""

Padding = Literal["valid", "same"]
