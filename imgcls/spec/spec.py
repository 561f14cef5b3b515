"""The whole spec: eight keys that say what an experiment is, and the optional ones. Every default lives here."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from imgcls.spec.architecture import AirbenchSpec, AnyArchitecture, BackboneSpec, CnnSpec, expand_architecture
from imgcls.spec.augmentation import AugmentationSpec, expand_augmentation
from imgcls.spec.checkpoints import CheckpointSpec, expand_checkpoint
from imgcls.spec.data import BUILT_IN, DEFAULT_RESOLUTION, DataSpec, FoldSpec, expand_data
from imgcls.spec.extending import allow_extends
from imgcls.spec.fields import Count, Label, Natural, Pair, Record, accepts, fault, shorthand, shown
from imgcls.spec.loss import AnyLoss, FocalSpec, expand_loss
from imgcls.spec.normalization import AnyNormalization, PatchWhiteningSpec, expand_normalize
from imgcls.spec.optimization import (
    Adam,
    AnyOptimizer,
    AnyRate,
    Constant,
    EarlyStoppingSpec,
    Rate,
    expand_early_stopping,
    expand_optimizer,
    expand_rate,
)
from imgcls.spec.reported import ReportedSpec, refuse_percentages
from imgcls.spec.stages import StageSpec, expand_stages

__all__ = ["SHORTHANDS", "Name", "Spec"]

Color = Literal["rgb", "grayscale"]
Name = Annotated[str, Field(pattern=r"^[\w.+-]{1,80}$"), accepts("up to 80 letters, digits and . _ + -")]

SHORTHANDS = {
    "data": expand_data,
    "augmentation": expand_augmentation,
    "architecture": expand_architecture,
    "optimizer": expand_optimizer,
    "lr": expand_rate,
    "normalize": expand_normalize,
    "loss": expand_loss,
    "early_stopping": expand_early_stopping,
    "checkpoint": expand_checkpoint,
}


class Spec(Record):
    """One experiment."""

    model_config = ConfigDict(json_schema_extra=allow_extends)

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
    normalize: AnyNormalization | None = None
    """How pixels 0..255 are scaled, inside the network; by default unit (0..1), with a backbone its own."""
    loss: AnyLoss = "auto"
    """The loss; auto is categorical cross-entropy, over one-hot labels where smoothing or mixing needs them."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1), accepts("a number from 0 to below 1")] = 0.0
    """Share of the target that is spread evenly over all classes."""
    test_time_augmentation: Literal["none", "horizontal_flip", "horizontal_flip_and_shift"] = "none"
    """Whether the saved network averages what it gives for an image and its mirror image, or also for both shifted by a
    pixel."""
    evaluate_on: Literal["auto", "validation"] = "auto"
    """What the result is measured on: the test part if there is one; or validation, and the test part stays shut."""
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
    stages: Annotated[
        tuple[StageSpec, ...],
        Field(strict=False),
        BeforeValidator(expand_stages, json_schema_input_type=Literal["none"] | list[StageSpec]),
    ] = ()
    """Phases of the training, each with its own epochs, lr, optimizer, trainable part, early stopping; or none."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto takes bfloat16 where a few measured steps of the very network are faster so."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to train; auto takes a GPU if the backend can use one."""
    backend: Literal["tensorflow", "jax", "torch"] = "tensorflow"
    """What Keras computes with; jax and torch are installed by `pip install 'imgcls[jax]'` or `'imgcls[torch]'`."""
    distribute: Literal["none", "mirrored", "multi_worker"] = "none"
    """Several devices: those of this machine (mirrored), or of the machines that TF_CONFIG names (multi_worker)."""
    repeats: Count = 1
    """Train so often, with seeds that follow on `seed`."""
    folds: Annotated[int, Field(ge=2), accepts("a whole number of at least 2")] | None = None
    """Cross-validation: divide all but the test part into so many folds, and measure on each what others trained."""
    checkpoint: Annotated[
        CheckpointSpec | None,
        shorthand(expand_checkpoint, Literal["none"] | CheckpointSpec | None, "a mapping or none", optional=True),
    ] = CheckpointSpec()
    """What `imgcls resume` goes on from: made after epochs and every few minutes within one; none makes none."""
    tracking: Literal["none", "tensorboard", "mlflow"] = "none"
    """Where else to log; tensorboard and mlflow are installed by `pip install 'imgcls[tensorboard]'` or `[mlflow]`."""
    reported: Annotated[ReportedSpec | None, AfterValidator(refuse_percentages)] = None
    """Published figures to hold the result against."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        can_smooth = isinstance(self.loss, FocalSpec) or self.loss in (
            "auto",
            "categorical_crossentropy",
            "binary_crossentropy",
        )
        if self.label_smoothing and not can_smooth:
            raise fault(f"label_smoothing does not go with the loss {self.loss}", "label_smoothing", "loss")
        if self.augmentation.mixes_labels and self.loss == "sparse_categorical_crossentropy":
            raise fault("mixup and cutmix need one-hot labels, this loss takes class numbers", "loss", "augmentation")
        if self.distribute != "none" and self.backend != "tensorflow":
            raise fault(f"distribute needs backend: tensorflow, got {self.backend}", "distribute", "backend")
        if self.distribute != "none" and self.precision == "float16":
            message = "float16, whose loss is scaled, is not spread over devices: bfloat16 and float32 are accepted"
            raise fault(message, "precision", "distribute")
        if isinstance(self.normalize, PatchWhiteningSpec) and isinstance(self.architecture, BackboneSpec):
            raise fault("normalize: patch_whitening is for networks from scratch: a backbone wants images", "normalize")
        if self.normalize == "backbone" and not isinstance(self.architecture, BackboneSpec):
            raise fault("normalize: backbone needs a backbone as architecture", "normalize", "architecture")
        if self.color == "grayscale" and getattr(self.architecture, "weights", None) == "imagenet":
            raise fault("ImageNet weights are of colour images: set color: rgb, or weights: none", "color")
        self._check_stages()
        self._check_parts()
        return self

    def _check_stages(self) -> None:
        """Raise where a stage says which part of a backbone learns, and there is none."""
        for place, stage in enumerate(self.stages):
            if stage.trainable is not None and not isinstance(self.architecture, BackboneSpec):
                message = "trainable says which part of a backbone learns: there is none; stages: none drops them"
                raise fault(message, f"stages.{place}.trainable", "architecture")

    def _check_parts(self) -> None:
        """Raise where the parts of the data do not go with what is measured or watched."""
        if self.folds and self.repeats > 1:
            raise fault("folds or repeats, one of the two at a time", "folds", "repeats")
        if self.folds and (self.evaluate_on != "auto" or self.data.fold or self.data.merge_validation):
            raise fault("folds say what is measured on", "folds", "evaluate_on", "data.fold", "data.merge_validation")
        _refuse_shared_parts(self.data)
        if self.data.validation == "none" or self.data.merge_validation:
            self._refuse_watching()

    def _refuse_watching(self) -> None:
        """Raise where something needs the validation part, of which there is none."""
        if self.evaluate_on == "validation":
            raise fault("the validation part is to be measured on: none is given", "evaluate_on", "data.validation")
        if self.watches_validation:
            watching = [key for key in ("early_stopping", "lr") if self.uses(key) and _watches(getattr(self, key))]
            message = "early stopping and plateau watch the validation part: none is given"
            raise fault(message, *(watching or ["stages"]), "data.validation")

    @property
    def watches_validation(self) -> bool:
        """Whether the training decides anything by the validation part."""
        return any(_watches(phase.early_stopping) or _watches(phase.lr) for phase in self.phases)

    def uses(self, key: str) -> bool:
        """Tell whether a key that stages have too counts at the top: the first stage, if any, has none of its own."""
        return not self.stages or getattr(self.stages[0], key) is None

    @property
    def phases(self) -> tuple[Spec, ...]:
        """The stages, each as the spec of a training of its own; what one leaves out is as in the one before.

        Where no rate is written so far, one starts at its own optimizer's.
        """
        phase = self.model_copy(update={"stages": ()})
        phases = [phase := phase.model_copy(update=_given_in(stage, phase)) for stage in self.stages]
        return tuple(each.model_copy(update={"lr": _rate_of(each)}) for each in phases or [self])

    @property
    def loss_in_force(self) -> str | FocalSpec:
        """The loss that ``auto`` means: cross-entropy, over one-hot labels where these can be fractions."""
        if self.loss != "auto":
            return self.loss
        is_mixed = self.label_smoothing > 0 or self.augmentation.mixes_labels
        return "categorical_crossentropy" if is_mixed else "sparse_categorical_crossentropy"

    @property
    def members(self) -> tuple[Spec, ...]:
        """The trainings that make up the experiment: one, or one for each repeat or fold."""
        alone = {"repeats": 1, "folds": None}
        if self.folds:
            folds = [FoldSpec(index=number, of=self.folds) for number in range(1, self.folds + 1)]
            return tuple(
                self.model_copy(update=alone | {"data": self.data.model_copy(update={"fold": fold})}) for fold in folds
            )
        seeds = range(self.seed, self.seed + self.repeats)
        return tuple(self.model_copy(update=alone | {"seed": seed}) for seed in seeds)

    def completed(self) -> Spec:
        """Return the spec with every default filled in that can be known without reading the data.

        After it nobody needs to know of ``loss: auto``: the loss is the one in force. With stages, what these have too
        is at the top as in the first.
        """
        built_in = BUILT_IN.get(self.data.source)
        resolution: tuple[int, int] | None = built_in.resolution if built_in else DEFAULT_RESOLUTION
        color: Color | None = built_in.color if built_in else "rgb"
        if self.data.source == "npz":
            resolution, color = None, None  # the arrays' own
        if isinstance(self.architecture, BackboneSpec) and self.architecture.is_pretrained:
            color = "rgb"  # what all of them were trained on
        first, *_ = phases = self.phases
        return self.model_copy(
            update={
                "resolution": self.resolution or resolution,
                "color": self.color or color,
                "loss": self.loss_in_force,
                "normalize": self.normalize or _normalization(self.architecture),
                **{key: getattr(first, key) for key in ("architecture", "optimizer", "lr", "epochs", "early_stopping")},
                "stages": tuple(map(_as_stage, phases if self.stages else ())),
            }
        )


def _normalization(architecture: AnyArchitecture) -> AnyNormalization:
    """Return what an architecture is fed with where nothing else is said."""
    if isinstance(architecture, BackboneSpec):
        return "backbone"
    return PatchWhiteningSpec() if isinstance(architecture, AirbenchSpec) else "unit"


def _refuse_shared_parts(data: DataSpec) -> None:
    """Raise where one folder, file or key is two parts; the data may show the same of names that differ."""
    names = {"train": data.train, "validation": data.validation, "test": data.test}
    given = {part: name for part, name in names.items() if isinstance(name, str) and name != "none"}
    reasons = {
        "train": "the training would be measured on its own images",
        "validation": "the images that decide when to stop would be the result; the test set stays shut",
    }
    for first, second in itertools.combinations(given, 2):
        if given[first] == given[second]:
            message = f"{second} and {first} are both {shown(given[first])}: {reasons[first]}"
            raise fault(f"{message}; give other images, or a share of train such as 0.15", f"data.{second}")


def _watches(part: Rate | EarlyStoppingSpec | None) -> bool:
    """Tell whether a schedule or a rule of early stopping watches the validation part."""
    return getattr(part, "monitor", "").startswith("val_")


def _rate_of(spec: Spec) -> Rate:
    """Return the learning rate of a training, filled in with its optimizer's own."""
    return spec.lr.model_copy(update={"initial": spec.lr.initial or spec.optimizer.default_lr})


def _given_in(stage: StageSpec, before: Spec) -> dict[str, Any]:
    """Return what a stage changes in the spec of the phase before it."""
    given: dict[str, Any] = {key: value for key, value in stage if value is not None and key != "trainable"}
    if stage.early_stopping == "none":
        given["early_stopping"] = None
    if stage.lr is not None:
        given["lr"] = stage.lr.model_copy(update={"initial": stage.lr.initial or before.lr.initial})
    if stage.trainable is not None:
        given["architecture"] = before.architecture.model_copy(update={"trainable": stage.trainable})
    return given


def _as_stage(phase: Spec) -> StageSpec:
    """Return a phase as a stage that leaves nothing out."""
    return StageSpec.model_construct(
        epochs=phase.epochs,
        lr=phase.lr,
        optimizer=phase.optimizer,
        trainable=getattr(phase.architecture, "trainable", None),
        early_stopping=phase.early_stopping or "none",
    )
