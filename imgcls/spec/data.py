"""What the images are, where they lie and how they are divided."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from imgcls.spec.fields import Count, Flag, Label, Natural, Record, accepts, fault, mapping

__all__ = ["BUILT_IN", "SOURCES", "BuiltIn", "DataCode", "DataSpec", "FoldSpec", "LimitSpec", "expand_data"]


class BuiltIn(Record):
    """A data set that needs no path."""

    resolution: tuple[int, int]
    color: Literal["rgb", "grayscale"]


BUILT_IN: dict[str, BuiltIn] = {
    "cifar10": BuiltIn(resolution=(32, 32), color="rgb"),
    "cifar100": BuiltIn(resolution=(32, 32), color="rgb"),
    "mnist": BuiltIn(resolution=(28, 28), color="grayscale"),
    "fashion_mnist": BuiltIn(resolution=(28, 28), color="grayscale"),
    "digits": BuiltIn(resolution=(8, 8), color="grayscale"),
}
SourceName = Literal["folder", "csv", "npz", "cifar10", "cifar100", "mnist", "fashion_mnist", "digits"]
SOURCES: tuple[SourceName, ...] = get_args(SourceName)

DEFAULT_RESOLUTION = (64, 64)
DEFAULT_VALIDATION = 0.15
DEFAULT_TEST = 0.15


def _fraction(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, int | float) and not 0 < value < 1):
        raise ValueError
    return value


DataCode = Literal[
    "classes_divided_alike",
    "duplicate_across_classes",
    "duplicate_across_splits",
    "few_images",
    "first_frame_used",
    "flat_images",
    "folders_left_out",
    "hidden_left_out",
    "imbalanced",
    "loose_images_left_out",
    "narrow_range",
    "near_duplicate_across_splits",
    "other_endings_left_out",
    "part_not_used",
    "prior_shift",
    "similar_classes",
    "special_files_left_out",
    "tiny_images",
    "unreadable_left_out",
]
"""What can be found about data; ``docs/checks.md`` says what each means."""

Part = Annotated[
    float | str,
    BeforeValidator(_fraction, json_schema_input_type=Annotated[float, Field(gt=0, lt=1)] | str),
    accepts("a fraction between 0 and 1, or the name of a sub-folder, file or array key"),
]


class LimitSpec(Record):
    """At most so many images of a part, chosen by the split's seed with the classes' shares kept."""

    train: Count | None = None
    """Images to train on."""
    validation: Count | None = None
    """Images to validate on."""
    test: Count | None = None
    """Images to test on."""


class FoldSpec(Record):
    """Which fold of a cross-validation is measured; `folds: 5` at the top trains them all."""

    index: Count
    """Counts from 1."""
    of: Annotated[int, Field(ge=2), accepts("a whole number of at least 2")]
    """How many folds there are."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.index > self.of:
            raise fault(f"there is no fold {self.index} of {self.of}", "index")
        return self


class DataSpec(Record):
    """Where the images come from, and which of them train, validate and test."""

    source: SourceName
    """`folder` (a sub-folder a class), `csv` (columns path, label, optionally split), `npz`, or a built-in set."""
    path: str | None = None
    """The folder or file, relative to the spec file."""
    train: str | None = None
    """Sub-folder, CSV file or array key with the training images; by default what is named `train`, else all."""
    validation: Part | None = None
    """A fraction carved out of train, a sub-folder, file or key, or `none`; by default what is named so, else 0.15."""
    test: Part | None = None
    """Likewise; `none` for no test part, and then the result is marked as not held out."""
    classes: Annotated[tuple[Label, ...], Field(strict=False, min_length=2)] | None = None
    """Order and subset of the classes; by default all, sorted."""
    group: str | None = None
    """A CSV column: rows of one group never fall into two parts."""
    limit: Annotated[LimitSpec, mapping("a mapping such as {train: 1000}")] = LimitSpec()
    """At most so many images of a part."""
    fold: FoldSpec | None = None
    """Measure on this fold of what is not the test part, and train on the others."""
    merge_validation: Flag = False
    """Train on the validation images too, when all choices are made."""
    split_seed: Natural = 0
    """Chooses which images a carved part takes. Apart from `seed`, so that repeats share their test images."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What an unreadable image does: stop with a list of all of them, or be left out and counted."""
    allow: Annotated[tuple[DataCode, ...], Field(strict=False)] = ()
    """Codes of findings about the data that are known and need not be told."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.source not in BUILT_IN and self.path is None:
            raise fault(f"source {self.source} needs a path", "source")
        if self.source in BUILT_IN and self.path is not None:
            raise fault(f"source {self.source} is built in and takes no path", "path")
        if self.group is not None and self.source != "csv":
            raise fault("group names a column, which only the source csv has", "group")
        if self.merge_validation and (self.fold is not None or self.validation == "none"):
            raise fault("merge_validation: there are no validation images of their own", "merge_validation")
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise fault("classes has a name twice", "classes")
        if (
            isinstance(self.validation, float)
            and isinstance(self.test, float)
            and round(self.validation + self.test, 9) >= 1  # 0.9 + 0.1 in binary
        ):
            raise fault("validation and test together leave nothing to train on", "validation", "test")
        return self


def expand_data(value: Any) -> Any:
    """Turn ``digits`` or ``data/flowers`` into a mapping; a file's ending says which source reads it."""
    if not isinstance(value, str):
        return value
    if value in BUILT_IN:
        return {"source": value}
    ending = value.lower().rpartition(".")[2]
    return {"source": ending if ending in ("csv", "npz") else "folder", "path": value}
