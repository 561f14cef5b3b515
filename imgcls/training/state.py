"""What a training has done so far, as records that do not change."""

from __future__ import annotations

from dataclasses import dataclass

from imgcls.spec import Spec
from imgcls.training.stopping import Watch

__all__ = ["EpochRow", "Stage", "StageResult", "TrainingResult", "TrainingState"]


@dataclass(frozen=True)
class EpochRow:
    """A row of ``history.csv``; ``lr`` is the rate of the epoch's last step, ``seconds`` includes the validation."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float
    seconds: float
    stage: int = 1


@dataclass(frozen=True)
class Stage:
    """What a stage is about to do.

    Attributes:
        stage: counts from 1.
        spec: of this stage alone.
        trainable_params: that learn in it, of ``total_params``.
    """

    stage: int
    spec: Spec
    trainable_params: int
    total_params: int


@dataclass(frozen=True)
class StageResult:
    """What a stage did; epochs count from the first one of the training.

    Attributes:
        best_epoch: whose weights it ended with: the best monitored one where ``restore_best``, else its last.
        lr: the initial one.
    """

    stage: int
    first_epoch: int
    epochs_run: int
    best_epoch: int
    stopped_early: bool
    lr: float
    optimizer: str
    trainable_params: int
    total_params: int


@dataclass(frozen=True)
class TrainingState:
    """What the decisions between two epochs go by; it is all there is beside weights and optimizer.

    Attributes:
        history: of the epochs so far.
        train_seconds: of each of them, without its validation.
        stages: the finished ones; all below is of the running one.
        stopping: what early stopping has seen.
        plateau: what the plateau schedule has seen.
        rate_scale: what the plateau schedule multiplies the rate by.
        stopped: whether early stopping ended it.
    """

    history: tuple[EpochRow, ...] = ()
    train_seconds: tuple[float, ...] = ()
    stages: tuple[StageResult, ...] = ()
    stopping: Watch = Watch()  # noqa: RUF009 - frozen
    plateau: Watch = Watch()  # noqa: RUF009 - frozen
    rate_scale: float = 1.0
    stopped: bool = False

    @property
    def stage_epochs(self) -> int:
        """Epochs done of the running stage."""
        return len(self.history) - self.first_epoch + 1

    @property
    def first_epoch(self) -> int:
        """Which epoch the running stage begins with."""
        return 1 + sum(stage.epochs_run for stage in self.stages)


@dataclass(frozen=True)
class TrainingResult:
    """What the training did; the network has the weights of ``best_epoch``.

    Attributes:
        compile_seconds: until the first step of each stage was done, most of it tracing.
        features_seconds: what computing the features of frozen layers took.
        input_seconds: what making the batches took, in the background of the training.
        images_per_epoch: how many the last stage showed, which over- and undersampling change.
        flops: of its training step, for each image.
    """

    state: TrainingState
    compile_seconds: float
    features_seconds: float
    input_seconds: float
    images_per_epoch: int
    flops: int

    @property
    def best_epoch(self) -> int:
        """The best monitored one of the last stage where ``restore_best``, else the last."""
        return self.state.stages[-1].best_epoch

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping ended the last stage."""
        return self.state.stages[-1].stopped_early
