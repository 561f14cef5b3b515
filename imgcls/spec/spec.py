"""The whole spec: eight keys that say what an experiment is, and the optional ones. Every default lives here."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from imgcls.spec.architecture import AnyArchitecture, BackboneSpec, CnnSpec, expand_architecture
from imgcls.spec.augmentation import AugmentationSpec, expand_augmentation
from imgcls.spec.data import BUILT_IN, DEFAULT_RESOLUTION, DataSpec, expand_data
from imgcls.spec.fields import Count, Label, Natural, Pair, Record, accepts, fault, shorthand
from imgcls.spec.optimization import (
    Adam,
    AnyOptimizer,
    AnyRate,
    Constant,
    EarlyStoppingSpec,
    expand_early_stopping,
    expand_optimizer,
    expand_rate,
)

__all__ = ["SHORTHANDS", "Spec", "not_yet"]

Color = Literal["rgb", "grayscale"]
Loss = Literal[
    "auto", "binary_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
    "kl_divergence", "mean_squared_error", "sparse_categorical_crossentropy",
]  # fmt: skip
Name = Annotated[str, Field(pattern=r"^[\w.+-]{1,80}$"), accepts("up to 80 letters, digits and . _ + -")]

SHORTHANDS = {
    "data": expand_data,
    "augmentation": expand_augmentation,
    "architecture": expand_architecture,
    "optimizer": expand_optimizer,
    "lr": expand_rate,
    "early_stopping": expand_early_stopping,
}


class Spec(Record):
    """One experiment."""

    data: Annotated[DataSpec, shorthand(expand_data, str | DataSpec, "a path, a built-in name or a mapping")]
    """The images: a folder, a CSV or npz file, a built-in name, or a mapping."""
    resolution: Pair | None = None
    """Pixels the network sees: one number, or [height, width]; by default the data's own, else 64."""
    augmentation: Annotated[
        AugmentationSpec,
        shorthand(expand_augmentation, Literal["none"] | AugmentationSpec | None, "a mapping or none"),
    ] = AugmentationSpec()
    """Random changes to the training images."""
    architecture: AnyArchitecture = CnnSpec()
    """The network: a preset's name, a list of layers, or a backbone."""
    optimizer: AnyOptimizer = Adam(name="adam")
    """The optimizer: a name, or a mapping with its arguments."""
    lr: AnyRate = Constant()
    """The learning rate: a number, or a schedule; by default the optimizer's own in Keras."""
    batch: Count = 64
    """Images a training step."""
    epochs: Count = 10
    """Passes over the training images, at most."""

    name: Name | None = None
    """What the run is called; by default the spec file's name."""
    notes: str = ""
    """Free text, kept with the run."""
    tags: Annotated[tuple[Label, ...], Field(strict=False)] = ()
    """Words to find the run by."""
    seed: Natural = 0
    """What all randomness of the training derives from."""
    color: Color | None = None
    """Channels that the network sees; by default the data's own, else rgb."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How an image of another shape is brought to the resolution."""
    normalize: Literal["unit", "minmax", "standardize", "zca", "backbone", "none"] | None = None
    """How pixels 0..255 are scaled, inside the network; by default unit (0..1), with a backbone its own."""
    loss: Loss = "auto"
    """The loss; auto is categorical cross-entropy, over one-hot labels where smoothing or mixing needs them."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1), accepts("a number from 0 to below 1")] = 0.0
    """Share of the target that is spread evenly over all classes."""
    imbalance: Literal["none", "class_weights", "oversample", "undersample"] = "none"
    """What is done about classes of different size."""
    early_stopping: Annotated[
        EarlyStoppingSpec | None,
        shorthand(
            expand_early_stopping,
            Natural | Literal["none"] | EarlyStoppingSpec | None,
            "a patience (a whole number), a mapping or none",
            optional=True,
        ),
    ] = None
    """When to stop before the last epoch; a number is the patience."""
    stages: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Phases of the training, each with its own epochs, lr, optimizer and trainable part."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto is float32 for now."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train; auto takes a GPU if TensorFlow can use one."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """Several devices or machines."""
    repeats: Count = 1
    """Train so often, with seeds that follow on `seed`."""
    tracking: Literal["none", "tensorboard", "mlflow"] = "none"
    """Where else to log."""
    reported: dict[str, Any] | None = None
    """Published figures to hold the result against."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label_smoothing and self.loss not in (
            "auto",
            "categorical_crossentropy",
            "binary_crossentropy",
            "categorical_focal_crossentropy",
        ):
            raise fault(f"label_smoothing does not go with the loss {self.loss}", "label_smoothing", "loss")
        if self.augmentation.mixes_labels and self.loss == "sparse_categorical_crossentropy":
            raise fault("mixup and cutmix need one-hot labels, this loss takes class numbers", "loss", "augmentation")
        if self.normalize == "backbone" and not isinstance(self.architecture, BackboneSpec):
            raise fault("normalize: backbone needs a backbone as architecture", "normalize", "architecture")
        if self.data.validation == "none" and self.watches_validation:
            watching = [key for key in ("early_stopping", "lr") if _watches_validation(getattr(self, key))]
            message = "early stopping and plateau watch the validation part: none is given"
            raise fault(message, *watching, "data.validation")
        return self

    @property
    def watches_validation(self) -> bool:
        """Whether the training decides anything by the validation part."""
        return _watches_validation(self.early_stopping) or _watches_validation(self.lr)

    @property
    def loss_in_force(self) -> Loss:
        """The loss that ``auto`` means: cross-entropy, over one-hot labels where these can be fractions."""
        if self.loss != "auto":
            return self.loss
        is_mixed = self.label_smoothing > 0 or self.augmentation.mixes_labels
        return "categorical_crossentropy" if is_mixed else "sparse_categorical_crossentropy"

    def completed(self) -> Spec:
        """Return the spec with every default filled in that can be known without reading the data.

        After it nobody needs to know of ``loss: auto``: the loss is the one in force.
        """
        built_in = BUILT_IN.get(self.data.source)
        resolution: tuple[int, int] | None = built_in.resolution if built_in else DEFAULT_RESOLUTION
        color: Color | None = built_in.color if built_in else "rgb"
        if self.data.source == "npz":
            resolution, color = None, None  # the arrays' own
        return self.model_copy(
            update={
                "resolution": self.resolution or resolution,
                "color": self.color or color,
                "loss": self.loss_in_force,
                "normalize": self.normalize or ("backbone" if isinstance(self.architecture, BackboneSpec) else "unit"),
                "lr": self.lr.model_copy(update={"initial": self.lr.initial or self.optimizer.default_lr}),
            }
        )


def _watches_validation(part: Any) -> bool:
    return getattr(part, "monitor", "").startswith("val_")


def not_yet(spec: Spec) -> dict[str, str]:
    """Return the keys that are set to what this version cannot do: key → what is missing."""
    missing = {
        "architecture.backbone": isinstance(spec.architecture, BackboneSpec),
        "normalize": spec.normalize in ("zca", "backbone"),
        "stages": bool(spec.stages),
        "distribute": spec.distribute != "none",
        "repeats": spec.repeats > 1,
        "tracking": spec.tracking != "none",
        "reported": spec.reported is not None,
    }
    return {key: "this version cannot do it yet" for key, is_set in missing.items() if is_set}
