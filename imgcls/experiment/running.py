"""One training and its evaluation, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imgcls import backend, runs
from imgcls.data import Dataset
from imgcls.experiment.measuring import held_out_part, measure, predict_part
from imgcls.experiment.preparing import Prepared
from imgcls.observer import Observer
from imgcls.recording import (
    Clock,
    HistoryRecorder,
    recorded,
    save_model,
    write_inputs,
    write_manifest,
    write_results,
    write_timings,
)
from imgcls.runs import Run
from imgcls.spec import Spec

if TYPE_CHECKING:
    import keras

    from imgcls.evaluation.prediction import Predictions
    from imgcls.training.loop import TrainingResult

__all__ = ["run_once"]


def run_once(
    run: Run,
    prepared: Prepared,
    spec: Spec,
    network: keras.Model,
    pretrained: str | None,
    observer: Observer,
    clock: Clock,
) -> None:
    """Train, save, evaluate the saved network once on the held-out part, and write everything into the run's folder.

    Args:
        spec: the prepared one, or with another seed.
        network: with the weights to start from.
        pretrained: what was loaded into it, for people.

    Raises:
        RunError: the run failed; its folder says so.
    """
    dataset = prepared.dataset
    with recorded(run), backend.memory_is_told():
        write_inputs(run, prepared.loaded, spec, prepared.device)
        write_manifest(run, dataset)
        observer.started(spec, run, prepared.device, network.count_params(), pretrained)
        with clock("train"):
            result = _train(run, spec, network, dataset, observer)
        with clock("evaluate"):
            split = held_out_part(dataset)
            observer.evaluating(split, len(dataset.splits[split]))
            predictions = _save_and_predict(run, spec, network, dataset, split)
        metrics = _metrics(spec, dataset, predictions, split, result, network, pretrained)
        with clock("write"):
            write_results(run, metrics, dataset, predictions, result)
        write_timings(run, clock, result)


def _train(run: Run, spec: Spec, network: keras.Model, dataset: Dataset, observer: Observer) -> TrainingResult:
    from imgcls.augmentation.applying import augmenting_model
    from imgcls.training.feed import TrainingFeed
    from imgcls.training.loop import DivergedError, train_network

    rows = dataset.splits["train"]
    feed = TrainingFeed(spec, dataset.images, rows, dataset.labels[rows], len(dataset.classes))
    trainer = augmenting_model(spec.augmentation, network, network.input_shape[1:])
    try:
        return train_network(
            spec, network, trainer, feed, _validator(spec, network, dataset), HistoryRecorder(run, observer)
        )
    except DivergedError:
        save_model(run, network)
        raise


def _validator(spec: Spec, network: keras.Model, dataset: Dataset) -> Callable[[], tuple[float, float]] | None:
    if "validation" not in dataset.splits:
        return None

    def validate() -> tuple[float, float]:
        predictions = predict_part(spec, network, dataset, "validation")
        return predictions.loss, predictions.accuracy

    return validate


def _save_and_predict(run: Run, spec: Spec, network: keras.Model, dataset: Dataset, split: str) -> Predictions:
    """Save the network and measure what the file holds: what is delivered is what was measured."""
    save_model(run, network)
    return predict_part(spec, backend.load_model(run.path(runs.MODEL)), dataset, split)


def _metrics(
    spec: Spec,
    dataset: Dataset,
    predictions: Predictions,
    split: str,
    result: TrainingResult,
    network: keras.Model,
    pretrained: str | None,
) -> dict[str, Any]:
    from imgcls.models import summarize

    summary = summarize(network)
    metrics = measure(spec, dataset, predictions, split) | {
        "best_epoch": result.best_epoch,
        "epochs_run": len(result.state.history),
        "stopped_early": result.stopped_early,
        "trainable_params": summary.trainable_params,
        "total_params": summary.total_params,
    }
    if pretrained:
        metrics["pretrained"] = pretrained
    if spec.stages:
        metrics["stages"] = [asdict(stage) for stage in result.state.stages]
    if spec.reported:
        metrics |= _held_against(spec, metrics, result)
    return metrics


def _held_against(spec: Spec, metrics: dict[str, Any], result: TrainingResult) -> dict[str, Any]:
    """Return the published figures beside the measured ones, and a warning for each that cannot be true."""
    from imgcls.evaluation.plausibility import impossible
    from imgcls.evaluation.reported import hold_against, measured_figures

    assert spec.reported is not None
    history = result.state.history
    seconds = sum(row.seconds for row in history)
    measured = measured_figures(metrics, asdict(history[result.best_epoch - 1]), seconds)
    found = [asdict(finding) for finding in impossible(spec.reported)]
    return {"reported": hold_against(spec.reported, measured), "warnings": [*metrics["warnings"], *found]}
