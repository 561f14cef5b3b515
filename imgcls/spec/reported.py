"""Published figures that a result is held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from imgcls.spec.fields import Count, Natural, NonNegative, Record, accepts, fault, mapping, shorthand

__all__ = [
    "AGREEMENTS",
    "EXACT",
    "FIGURES",
    "LOSSES",
    "SHARES",
    "FigureSpec",
    "PublishedClass",
    "ReportedSpec",
    "refuse_percentages",
]

SHARES = (
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_precision", "macro_recall", "top5_accuracy",
    "ece", "train_accuracy", "val_accuracy",
)  # fmt: skip
"""Figures from 0 to 1."""
AGREEMENTS = ("cohen_kappa", "mcc")
"""Figures from -1 to 1."""
LOSSES = ("loss", "train_loss", "val_loss")
EXACT = ("total_params", "trainable_params")
LOSS_TOLERANCE = 0.1  # of the published loss

Number = Annotated[float, accepts("a number")]


class FigureSpec(Record):
    """A published figure: one number, or what several runs gave."""

    value: Number | None = None
    """The figure, of one run."""
    mean: Number | None = None
    """The mean over the runs, instead of `value`."""
    sd: NonNegative | None = None
    """The standard deviation over the runs."""
    min: Number | None = None
    """The lowest of the runs."""
    max: Number | None = None
    """The highest of the runs."""
    tolerance: NonNegative | None = None
    """How far off a measured figure still agrees, in the figure's own unit."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value is None and self.mean is None:
            raise fault("a figure needs a mean or a value")
        if self.value is not None and self.mean is not None:
            raise fault("a figure has either a value or a mean", "value", "mean")
        spread = [key for key in ("sd", "min", "max") if getattr(self, key) is not None]
        if self.mean is None and spread:
            raise fault("sd, min and max go with a mean", *spread)
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> Any:
        given = {key: _number(value) for key, value in handler(self).items() if value is not None}
        return given["value"] if given.keys() == {"value"} else given

    @property
    def published(self) -> float:
        """The value, or the mean."""
        published = self.mean if self.value is None else self.value
        assert published is not None
        return published

    @property
    def levels(self) -> dict[str, float]:
        """The numbers that lie where the figure itself does, which a deviation does not: value, mean, min, max."""
        levels = {"value": self.value, "mean": self.mean, "min": self.min, "max": self.max}
        return {key: value for key, value in levels.items() if value is not None}


class PublishedClass(Record):
    """A row of a published classification report."""

    precision: Number | None = None
    """Share of the images predicted as this class that are of it."""
    recall: Number | None = None
    """Share of the images of this class that were recognised."""
    f1: Number | None = None
    """Harmonic mean of precision and recall."""
    support: Natural | None = None
    """Images of this class."""


def _expand_figure(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"value": value} if is_number else value


Figure = Annotated[
    FigureSpec | None,
    shorthand(
        _expand_figure,
        float | FigureSpec | None,
        "a number, or a mapping such as {mean: 0.84, sd: 0.01},",
        optional=True,
    ),
]
_Row = Annotated[tuple[Natural, ...], Field(strict=False), accepts("a list of whole numbers")]

_Class = Annotated[PublishedClass, mapping("a mapping such as {recall: 0.9}")]


class ReportedSpec(Record):
    """What somebody published of this experiment."""

    source: str = ""
    """Where the figures stand."""
    n: Count | None = None
    """Held-out images that they were measured on."""
    repeats: Count | None = None
    """Runs that they are of."""
    tolerance: NonNegative = 0.02
    """How far off a share, such as an accuracy, still agrees."""

    accuracy: Figure = None
    """Share of the held-out images that were recognised."""
    loss: Figure = None
    """Mean loss on the held-out images."""
    balanced_accuracy: Figure = None
    """Mean recall over the classes."""
    macro_f1: Figure = None
    """Mean F1 over the classes."""
    weighted_f1: Figure = None
    """Mean F1 over the classes, each weighted with its images."""
    macro_precision: Figure = None
    """Mean precision over the classes."""
    macro_recall: Figure = None
    """Mean recall over the classes."""
    cohen_kappa: Figure = None
    """Agreement beyond chance (Cohen, 1960)."""
    mcc: Figure = None
    """Matthews' correlation coefficient."""
    top5_accuracy: Figure = None
    """Share of the held-out images whose class is among the five most probable."""
    ece: Figure = None
    """Expected calibration error."""
    train_accuracy: Figure = None
    """Accuracy on the training images while training, in the best epoch."""
    train_loss: Figure = None
    """Loss on the training images while training, in the best epoch."""
    val_accuracy: Figure = None
    """Accuracy on the validation part, in the best epoch."""
    val_loss: Figure = None
    """Loss on the validation part, in the best epoch."""
    epochs_run: Figure = None
    """Epochs until the training ended."""
    seconds: Figure = None
    """Seconds of training."""
    total_params: Figure = None
    """Parameters of the network."""
    trainable_params: Figure = None
    """Parameters that learn."""

    per_class: Annotated[dict[str, _Class], mapping("a mapping of class names")] = Field(default={})
    """The classification report: class → precision, recall, f1, support; in the order of the confusion matrix."""
    confusion_matrix: Annotated[tuple[_Row, ...], Field(strict=False)] = ()
    """Counts of images; rows are true classes, columns predicted ones."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(len(row) != len(self.confusion_matrix) for row in self.confusion_matrix):
            raise fault("a confusion matrix has as many columns as rows", "confusion_matrix")
        return self

    @model_serializer(mode="wrap")
    def _without_gaps(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def figures(self) -> dict[str, FigureSpec]:
        """The figures that were published, by name."""
        return {name: value for name, value in self if isinstance(value, FigureSpec)}

    @property
    def runs(self) -> int | None:
        """Of how many runs the figures are; None: of several, nobody says how many."""
        has_means = any(figure.mean is not None for figure in self.figures.values())
        return self.repeats or (None if has_means else 1)

    @property
    def images(self) -> int | None:
        """How many images were held out, as far as n or the confusion matrix says."""
        return self.n or sum(map(sum, self.confusion_matrix)) or None

    def value_of(self, name: str) -> float | None:
        """Return a figure of one run; None where there is none, or the mean of several."""
        figure = self.figures.get(name)
        return None if figure is None else figure.value

    def tolerance_of(self, name: str) -> float | None:
        """Return how far off a figure still agrees; None: it is shown, not judged."""
        figure = self.figures[name]
        if figure.tolerance is not None:
            return figure.tolerance
        if name in SHARES or name in AGREEMENTS:
            return self.tolerance
        if name in LOSSES:
            return LOSS_TOLERANCE * abs(figure.published)
        return 0.0 if name in EXACT else None


FIGURES = tuple(name for name, field in ReportedSpec.model_fields.items() if field.annotation == FigureSpec | None)
"""The names of all figures."""


def refuse_percentages(reported: ReportedSpec | None) -> ReportedSpec | None:
    """Return published figures whose shares can be shares.

    Raises:
        PydanticCustomError: one is not from 0 to 1, or an agreement not from -1 to 1; it names the first.
    """
    for place, value, low in _bounded(reported) if reported else ():
        if not low <= value <= 1:
            percent = f": write {value / 100:g} for {value:g} %" if 1 < value <= 100 else ""
            raise fault(
                f"got {value:g}; a number from {low} to 1 is accepted{percent}", place, place.rpartition(".")[0]
            )
    return reported


def _bounded(reported: ReportedSpec) -> Iterator[tuple[str, float, int]]:
    """Give every figure that is 1 at most: its dotted key, its value and the least it can be."""
    for name, figure in reported.figures.items():
        if name in SHARES or name in AGREEMENTS:
            low = 0 if name in SHARES else -1
            yield from ((f"{name}.{key}", value, low) for key, value in figure.levels.items())
    for name, row in reported.per_class.items():
        shares = {"precision": row.precision, "recall": row.recall, "f1": row.f1}
        yield from ((f"per_class.{name}.{key}", value, 0) for key, value in shares.items() if value is not None)


def _number(value: float) -> float:
    """Return a whole number as one, as people wrote it."""
    return int(value) if value.is_integer() else value
