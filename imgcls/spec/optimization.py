"""Optimizers with Keras' arguments and defaults, learning rates over time, early stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from imgcls.errors import nearest
from imgcls.spec.fields import Count, Flag, Fraction, Natural, NonNegative, Positive, Record, accepts, fault, shown

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "AnyOptimizer",
    "AnyRate",
    "EarlyStoppingSpec",
    "Optimizer",
    "Rate",
    "expand_early_stopping",
    "expand_optimizer",
    "expand_rate",
]

Number = Annotated[float, accepts("a number")]


class Optimizer(Record):
    """What every optimizer takes beside its own arguments."""

    default_lr: ClassVar[float] = 1e-3  # as in Keras, so that a spec without `lr` does what Keras does

    name: str
    weight_decay: NonNegative | None = None
    """Decoupled weight decay a step."""
    clipnorm: Positive | None = None
    """Clip each gradient to this norm."""
    clipvalue: Positive | None = None
    """Clip each gradient's values to this size."""
    global_clipnorm: Positive | None = None
    """Clip all gradients together to this norm."""
    ema_momentum: Fraction | None = None
    """Average the weights exponentially, with this momentum a step, and validate and save the average."""

    @model_validator(mode="after")
    def _one_clip(self) -> Self:
        clips = [key for key in ("global_clipnorm", "clipvalue", "clipnorm") if getattr(self, key) is not None]
        if len(clips) > 1:
            raise fault("only one of clipnorm, clipvalue and global_clipnorm can be set", *clips)
        return self


class Adadelta(Optimizer):
    name: Literal["adadelta"]
    rho: Fraction = 0.95
    epsilon: Positive = 1e-7


class Adafactor(Optimizer):
    name: Literal["adafactor"]
    beta_2_decay: Number = -0.8
    epsilon_1: Positive = 1e-30
    epsilon_2: Positive = 1e-3
    clip_threshold: Positive = 1.0


class Adagrad(Optimizer):
    name: Literal["adagrad"]
    initial_accumulator_value: NonNegative = 0.1
    epsilon: Positive = 1e-7


class _AdamLike(Optimizer):
    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: Positive = 1e-7


class Adam(_AdamLike):
    name: Literal["adam"]
    amsgrad: Flag = False


class AdamW(_AdamLike):
    name: Literal["adamw"]
    weight_decay: NonNegative = 0.004
    amsgrad: Flag = False


class Adamax(_AdamLike):
    name: Literal["adamax"]


class Ftrl(Optimizer):
    name: Literal["ftrl"]
    learning_rate_power: Annotated[float, Field(le=0), accepts("a number of at most 0")] = -0.5
    initial_accumulator_value: NonNegative = 0.1
    l1_regularization_strength: NonNegative = 0.0
    l2_regularization_strength: NonNegative = 0.0
    l2_shrinkage_regularization_strength: NonNegative = 0.0
    beta: NonNegative = 0.0


class Lamb(_AdamLike):
    name: Literal["lamb"]


class Lion(Optimizer):
    name: Literal["lion"]
    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.99


class Muon(Optimizer):
    """Orthogonalized steps (Jordan, 2024) for convolutions and dense layers but the output layer, else AdamW's."""

    name: Literal["muon"]
    weight_decay: NonNegative | None = 0.004
    adam_beta_1: Fraction = 0.9
    adam_beta_2: Fraction = 0.999
    adam_weight_decay: NonNegative = 0.004
    epsilon: Positive = 1e-7
    adam_lr_ratio: Positive = 1.0
    """The rate of AdamW's steps, as a multiple of `lr`."""
    momentum: Fraction = 0.95
    ns_steps: Count = 5
    """Newton-Schulz iterations a step."""
    nesterov: Flag = True
    rms_rate: Positive = 0.2


class Nadam(_AdamLike):
    name: Literal["nadam"]


class RMSprop(Optimizer):
    name: Literal["rmsprop"]
    rho: Fraction = 0.9
    momentum: Fraction = 0.0
    epsilon: Positive = 1e-7
    centered: Flag = False


class SGD(Optimizer):
    default_lr = 1e-2
    name: Literal["sgd"]
    momentum: Fraction = 0.0
    nesterov: Flag = False


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adadelta": Adadelta,
    "adafactor": Adafactor,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamax": Adamax,
    "adamw": AdamW,
    "ftrl": Ftrl,
    "lamb": Lamb,
    "lion": Lion,
    "muon": Muon,
    "nadam": Nadam,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


class Rate(Record):
    """A learning rate over time; ``imgcls.training.schedules`` has the curve of each."""

    schedule: str
    initial: Positive | None = None
    """The rate at the start, after any warm-up; by default the optimizer's own."""
    warmup_epochs: NonNegative = 0.0
    """Rise from (almost) nothing to the initial rate over so many epochs."""


class Constant(Rate):
    """The same rate all along."""

    schedule: Literal["constant"] = "constant"


class Cosine(Rate):
    """Half a cosine down to `final` times the initial rate (Loshchilov and Hutter, 2017)."""

    schedule: Literal["cosine"]
    final: Fraction = 0.0


class Linear(Rate):
    """Straight down to `final` times the initial rate."""

    schedule: Literal["linear"]
    final: Fraction = 0.0


class Exponential(Rate):
    """Times `factor` an epoch, smoothly."""

    schedule: Literal["exponential"]
    factor: Fraction = 0.9


class Step(Rate):
    """Times `factor` every `every` epochs."""

    schedule: Literal["step"]
    factor: Fraction = 0.1
    every: Count = 10


class InverseTime(Rate):
    """initial / (1 + decay x step): the `decay` of Keras' early optimizers."""

    schedule: Literal["inverse_time"]
    decay: NonNegative = 1e-6


class OneCycle(Rate):
    """Up to `initial`, the peak, over the first `rise` of the steps, then down to nothing (Smith and Topin, 2018)."""

    schedule: Literal["one_cycle"]
    rise: Fraction = 0.25
    start: Fraction = 0.1
    """Where it starts, as a share of the peak."""
    final: Fraction = 0.0
    """Where it ends, as a share of the peak."""


class Plateau(Rate):
    """Times `factor` when `monitor` has not improved for `patience` epochs."""

    schedule: Literal["plateau"]
    factor: Fraction = 0.1
    patience: Count = 5
    min_delta: NonNegative = 1e-4
    min_lr: NonNegative = 0.0
    monitor: Literal["val_loss", "val_accuracy", "loss", "accuracy"] = "val_loss"


SCHEDULES: dict[str, type[Rate]] = {
    "constant": Constant,
    "cosine": Cosine,
    "exponential": Exponential,
    "inverse_time": InverseTime,
    "linear": Linear,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "step": Step,
}


class EarlyStoppingSpec(Record):
    """Stop when the monitored figure has not improved by `min_delta` for `patience` epochs."""

    monitor: Literal["val_loss", "val_accuracy", "loss", "accuracy"] = "val_loss"
    patience: Natural = 5
    min_delta: NonNegative = 0.0
    restore_best: Flag = True
    """Evaluate and save the weights of the best epoch, not of the last."""


def expand_early_stopping(value: Any) -> Any:
    """Turn ``10`` into ``{patience: 10}`` and ``none`` into nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"patience": value}
    return None if value == "none" else value


def expand_optimizer(value: Any) -> Any:
    """Turn ``adam`` into ``{name: adam}``."""
    value = {"name": value} if isinstance(value, str) else value
    return _known(value, "name", OPTIMIZERS)


def expand_rate(value: Any) -> Any:
    """Turn ``1e-3`` into ``{initial: 1e-3}``, whose schedule is constant."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"initial": value}
    if isinstance(value, dict):
        value = {"schedule": "constant", **value}
    return _known(value, "schedule", SCHEDULES)


def _known(value: Any, key: str, table: dict[str, Any]) -> Any:
    if isinstance(value, Record):
        return value
    if isinstance(value, dict) and isinstance(value.get(key), str):
        name = value[key]
        if name in table:
            return value
        hint = nearest(name, table) or f"; accepted are {', '.join(table)}"
        raise fault(f"unknown {key} {shown(name)}{hint}")
    accepted = f"a name ({', '.join(table)}) or a mapping with `{key}`"
    if key == "schedule":
        accepted = "a number above 0, or a mapping with `initial` and `schedule`"
    raise PydanticCustomError("accepts", "", {"accepted": accepted})


if TYPE_CHECKING:
    AnyOptimizer = Optimizer
    AnyRate = Rate
else:
    AnyOptimizer = Annotated[
        Union[tuple(OPTIMIZERS.values())],  # noqa: UP007 - a union made from the table
        Field(discriminator="name"),
        BeforeValidator(
            expand_optimizer, json_schema_input_type=Union[(Literal[tuple(OPTIMIZERS)], *OPTIMIZERS.values())]
        ),
    ]
    AnyRate = Annotated[
        Union[tuple(SCHEDULES.values())],  # noqa: UP007 - a union made from the table
        Field(discriminator="schedule"),
        BeforeValidator(expand_rate, json_schema_input_type=Union[(Positive, *SCHEDULES.values())]),
    ]
