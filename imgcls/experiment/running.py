"""One training and its evaluation, in a folder of its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from imgcls import backend
from imgcls.checkpoints import Checkpoints
from imgcls.data import Dataset
from imgcls.evaluations import record_evaluation
from imgcls.experiment.keeping import RunKeeper
from imgcls.experiment.measuring import draw_predictions, held_out_part, import_ahead, measure, predict_part
from imgcls.experiment.preparing import Built, Prepared
from imgcls.experiment.reporting import published_beside
from imgcls.findings import Finding
from imgcls.observer import Observer
from imgcls.recording import (
    Clock,
    HistoryRecorder,
    draw_history,
    note_resumption,
    recorded,
    refuse_changed,
    save_model,
    write_inputs,
    write_manifest,
    write_results,
    write_timings,
)
from imgcls.runs import Run, layout
from imgcls.spec import Spec
from imgcls.tracking import Result, Tracker, open_tracker

if TYPE_CHECKING:
    import keras

    from imgcls.evaluation.prediction import Predictions
    from imgcls.models import ModelSummary
    from imgcls.training.state import TrainingResult

__all__ = ["run_once"]


def run_once(
    run: Run,
    prepared: Prepared,
    spec: Spec,
    built: Built,
    observer: Observer,
    clock: Clock,
) -> None:
    """Train, save, evaluate the saved network once on the held-out part, and write everything into the run's folder.

    Where that has a run that was interrupted, it is gone on with.

    Args:
        spec: the prepared one, or with another seed.
        built: the network with the weights to start from.

    Raises:
        DataError: the images are not those of the interrupted run.
        RunError: the run failed; its folder says so.
    """
    dataset, network = prepared.dataset, built.network
    if run.path(layout.MANIFEST).exists():
        refuse_changed(run, dataset)
    tracked = open_tracker(spec, run, lambda lost: observer.remarked([lost]))
    with recorded(run), tracked as tracker, backend.memory_is_told():
        if not run.has_begun:
            write_inputs(run, prepared.loaded, spec, prepared.device, prepared.precision_reason)
        if not run.path(layout.MANIFEST).exists():
            write_manifest(run, dataset)
        keeper = RunKeeper(run, spec.checkpoint, clock, observer)
        built = replace(built, findings=(*built.findings, *_go_on(run, keeper, prepared.device, clock, observer)))
        summary = _summary(network)
        observer.started(spec, run, prepared.device, summary.total_params, summary.trainable_params, built.pretrained)
        import_ahead()
        with clock("train"):
            result = _train(run, tracker, keeper, prepared, spec, network, observer)
        curves = draw_history(result)
        with clock("evaluate"):
            split = held_out_part(spec, dataset)
            observer.evaluating(split, len(dataset.splits[split]))
            predictions = _save_and_predict(run, spec, network, dataset, split)
            metrics = _metrics(spec, dataset, predictions, split, result, built)
        with clock("write"):
            if run.is_kept:
                metrics["warnings"] += [finding.record() for finding in record_evaluation(run, metrics)]
            write_results(run, metrics, dataset, predictions, curves)
            if spec.tracking != "none":
                tracker.result(Result(metrics, draw_predictions(dataset, split, predictions)))
        write_timings(run, clock, result, spec.precision, prepared.device.replicas)
    Checkpoints(run.path(layout.CHECKPOINT)).clear()  # not before it is marked as completed: it would begin anew


def _go_on(run: Run, keeper: RunKeeper, device: backend.Device, clock: Clock, observer: Observer) -> list[Finding]:
    """Count in what an interrupted run has done, tell of it, and return what is remarkable about going on."""
    if keeper.found is None:
        return []
    state, underway = keeper.found.state, keeper.found.underway
    clock.include(keeper.found.phases)
    findings = note_resumption(run, device, len(state.history))
    observer.remarked(findings)
    observer.resuming(len(state.history), 0 if underway is None else underway.step)
    return findings


def _summary(network: keras.Model) -> ModelSummary:
    from imgcls.models import summarize

    return summarize(network)


def _train(
    run: Run,
    tracker: Tracker,
    keeper: RunKeeper,
    prepared: Prepared,
    spec: Spec,
    network: keras.Model,
    observer: Observer,
) -> TrainingResult:
    from imgcls.evaluation.prediction import predict_images
    from imgcls.experiment.watching import Watch
    from imgcls.training.assembling import Assembler
    from imgcls.training.loop import train_network
    from imgcls.training.state import TrainingState
    from imgcls.training.watcher import DivergedError

    dataset = prepared.dataset
    state = keeper.found.state if keeper.found is not None else TrainingState()
    recorder, counts = HistoryRecorder(run, observer, tracker, state.history), dataset.counts["train"]
    watch = Watch(recorder, spec, dataset.classes, counts, lambda found: observer.remarked([found]))

    def measure(*part: Any) -> tuple[float, float]:
        predictions = predict_images(spec, *part)
        watch.validated(predictions.labels, predictions.predicted)
        return predictions.loss, predictions.accuracy

    machine = prepared.device.rounding
    assemble = Assembler(network, dataset, prepared.cache, machine, measure, observer.freezing, prepared.distribution)
    try:
        return train_network(spec, network, assemble, watch, keeper)
    except DivergedError:
        save_model(run, _delivered(spec, network))
        raise
    finally:
        assemble.forget()


def _delivered(spec: Spec, network: keras.Model) -> keras.Model:
    from imgcls.models import averaged

    return averaged(network, spec.test_time_augmentation)


def _save_and_predict(run: Run, spec: Spec, network: keras.Model, dataset: Dataset, split: str) -> Predictions:
    """Save the network and measure what the file holds: what is delivered is what was measured."""
    save_model(run, _delivered(spec, network))
    return predict_part(spec, backend.load_model(run.path(layout.MODEL)), dataset, split)


def _metrics(
    spec: Spec,
    dataset: Dataset,
    predictions: Predictions,
    split: str,
    result: TrainingResult,
    built: Built,
) -> dict[str, Any]:
    from imgcls.evaluation.learning import check_history

    summary = _summary(built.network)
    metrics = measure(spec, dataset, predictions, split) | {
        "best_epoch": result.best_epoch,
        "epochs_run": len(result.state.history),
        "stopped_early": result.stopped_early,
        "trainable_params": summary.trainable_params,
        "total_params": summary.total_params,
    }
    if built.pretrained:
        metrics["pretrained"] = built.pretrained
    found = [*built.findings, *check_history(spec, result.state, dataset.counts["train"])]
    metrics["warnings"] += [finding.record() for finding in found]
    if spec.stages:
        metrics["stages"] = [asdict(stage) for stage in result.state.stages]
    if spec.reported:
        history = result.state.history
        row, seconds = asdict(history[result.best_epoch - 1]), sum(row.seconds for row in history)
        metrics["reported"] = published_beside(spec, [(metrics, row, seconds)])
    return metrics
