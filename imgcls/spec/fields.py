"""The kinds of value that spec records are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
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
    "fault",
    "mapping",
    "shorthand",
    "shown",
    "word_or_settings",
]

MAX_SHOWN = 60  # characters


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


def fault(message: str, *keys: str) -> PydanticCustomError:
    """Return an error that is shown as it stands, at the first of ``keys`` that was set."""
    return PydanticCustomError("fault", "{message}", {"message": message, "keys": keys})


def shorthand(expand: Callable[[Any], Any], short: Any, accepted: str, *, optional: bool = False) -> BeforeValidator:
    """Accept ``short`` beside the full record; ``expand`` turns the former into the latter, or into nothing."""
    return BeforeValidator(_mapping_from(expand, accepted, optional=optional), json_schema_input_type=short)


def mapping(accepted: str) -> BeforeValidator:
    """Say ``accepted`` is accepted where something else than a mapping stands."""
    return BeforeValidator(_mapping_from(lambda value: value, accepted))


def _mapping_from(expand: Callable[[Any], Any], accepted: str, *, optional: bool = False) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        expanded = expand(value)
        if isinstance(expanded, dict | Record) or (optional and expanded is None):
            return expanded
        raise PydanticCustomError("accepts", "{accepted} is accepted", {"accepted": accepted})

    return check


def word_or_settings(words: Any, settings: Any, expand: Callable[[Any], Any], short: Any) -> Any:
    """Return a type that is one of ``words`` or of the records ``settings``.

    Args:
        short: names that ``expand`` turns into such a record.
    """
    return Annotated[
        Annotated[words, Tag("<word>")] | Annotated[settings, Tag("<settings>")],
        Discriminator(lambda value: "<word>" if isinstance(value, str) else "<settings>"),
        BeforeValidator(expand, json_schema_input_type=words | short | settings),
    ]


def shown(value: Any) -> str:
    """Return a value as messages show it, cut to a length that fits a line."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _flag(value: Any) -> Any:
    """YAML 1.2 leaves yes, no, on and off strings; where a flag stands they can mean one thing only."""
    words = {"yes": True, "on": True, "no": False, "off": False}
    return words.get(value, value) if isinstance(value, str) else value


def _label(value: Any) -> Any:
    """A class named ``1`` is the string "1"; how 1.0 or true were spelt is lost, so they must be quoted."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Flag = Annotated[
    bool,
    BeforeValidator(_flag, json_schema_input_type=bool | Literal["yes", "no", "on", "off"]),
    accepts("true or false"),
]
Count = Annotated[int, Field(ge=1), accepts("a whole number of at least 1")]
Natural = Annotated[int, Field(ge=0), accepts("a whole number of at least 0")]
Fraction = Annotated[float, Field(ge=0, le=1), accepts("a number from 0 to 1")]
Positive = Annotated[float, Field(gt=0), accepts("a number above 0")]
NonNegative = Annotated[float, Field(ge=0), accepts("a number of at least 0")]
Label = Annotated[
    str,
    BeforeValidator(_label, json_schema_input_type=str | int),
    accepts("a string (quote numbers with a point, true and null)"),
]

_Size = Annotated[int, Field(ge=1)]


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Pair = Annotated[
    tuple[_Size, _Size],
    Strict(False),
    BeforeValidator(_pair, json_schema_input_type=Annotated[int, Field(ge=1)] | tuple[_Size, _Size]),
    accepts("a whole number of at least 1, or two of them: [height, width],"),
]
"""[height, width], for which one number stands when both are equal."""

Padding = Literal["valid", "same"]
