"""The whole training: one stage after the other, from the beginning or from a checkpoint."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import asdict

import keras

from imgcls.models import set_trainable, summarize
from imgcls.spec import Spec
from imgcls.training.assembling import StageParts
from imgcls.training.checkpoint import NETWORK, Checkpoint, Spent, put_back
from imgcls.training.progress import Keeper, Progress
from imgcls.training.stage import StageTraining
from imgcls.training.state import Stage, TrainingResult, TrainingState

__all__ = ["train_network"]


def train_network(
    spec: Spec,
    network: keras.Model,
    assemble: Callable[[Spec, int, Checkpoint | None], StageParts],
    progress: Progress,
    keeper: Keeper | None = None,
) -> TrainingResult:
    """Train for the epochs of each of the spec's phases, or until its early stopping.

    Args:
        network: what has the weights, and is saved in the end.
        assemble: gives what a phase works with, which begins with an epoch, and may be gone on with from a checkpoint;
            called when it is set which layers of the network learn in it.
        keeper: is given checkpoints, and may have one to go on from.

    Raises:
        DivergedError: with epoch and step.
        DataError: the checkpoint is not of this network.
    """
    found = keeper.take() if keeper is not None else None
    state, spent = TrainingState(), Spent()
    if found is not None:
        state, spent = found.state, found.spent
        put_back(found, NETWORK, network.variables)
    images_per_epoch = flops = 0
    for phase in spec.phases[len(state.stages) :]:
        set_trainable(network, phase.architecture)
        stage = _stage(len(state.stages) + 1, phase, network)
        if spec.stages:
            progress.stage(stage)
        parts = assemble(phase, state.first_epoch, found)
        training = StageTraining(stage, network, parts, progress, keeper, state, spent)
        underway = training.go_on_from(found) if found is not None else None
        found = None  # its arrays take memory
        state = training.run(underway)
        spent, images_per_epoch, flops = training.spent, parts.feed.length, parts.flops
        if spec.stages:
            del parts, training
            gc.collect()  # the stage's optimizer and graph are full of circles, and would stay beside the next one's
    return TrainingResult(state, **asdict(spent), images_per_epoch=images_per_epoch, flops=flops)


def _stage(number: int, phase: Spec, network: keras.Model) -> Stage:
    summary = summarize(network)
    return Stage(number, phase, summary.trainable_params, summary.total_params)
