"""A run that is interrupted anywhere and gone on with ends as one that was not, to the bit."""

import shutil
import zipfile
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from photos import make_color_photos

import imgcls
from imgcls import DataError, Observer, Run, RunError, SpecError
from imgcls.checkpoints import Checkpoints, Stored
from imgcls.experiment.keeping import RunKeeper
from imgcls.files import read_csv
from imgcls.recording import Clock
from imgcls.runs import layout
from imgcls.spec.checkpoints import CheckpointSpec
from imgcls.training.checkpoint import Checkpoint, Spent
from imgcls.training.state import TrainingState

PLAIN = {
    "name": "once",
    "data": {"source": "digits", "limit": {"train": 160, "validation": 40, "test": 40}},
    "architecture": ["flatten", {"dropout": 0.3}, {"dense": 8}],
    "batch": 8,
    "precision": "float32",
    "optimizer": {"name": "adam", "ema_momentum": 0.9},
    "epochs": 3,
}
STAGED = PLAIN | {
    "architecture": [{"conv": 4}, "batch_norm", "max_pool", "flatten", {"dropout": 0.3}, {"dense": 8}],
    "augmentation": {"rotation": 10, "horizontal_flip": True},
    "lr": {"initial": 0.01, "schedule": "plateau", "patience": 1},
    "early_stopping": 3,
    "optimizer": "adam",
    "stages": [
        {"epochs": 3},
        {"epochs": 3, "lr": 0.001, "optimizer": {"name": "sgd", "momentum": 0.9, "ema_momentum": 0.9}},
    ],
}


class Stops(Observer):
    """Ends the run as Ctrl-C does, at the moment it is told."""

    def __init__(self, moment):
        self.moment = moment

    def at(self, *moment):
        if moment == self.moment:
            raise KeyboardInterrupt

    def batch(self, epoch, step, steps, loss, accuracy):
        self.at("step", epoch, step)

    def epoch(self, row):
        self.at("epoch", row.epoch)

    def stage(self, stage):
        self.at("stage", stage.stage)

    def evaluating(self, split, images):
        self.at("evaluating")

    def started(self, *args, **kwargs):
        self.at("started")


class Told(Observer):
    """Hears how a run goes on."""

    def __init__(self):
        self.resumed, self.epochs, self.findings, self.repeats = [], [], [], []

    def resuming(self, epochs, step):
        self.resumed.append((epochs, step))

    def epoch(self, row):
        self.epochs.append(row.epoch)

    def remarked(self, findings):
        self.findings += findings

    def repeating(self, group, number, repeats, seed):
        self.repeats.append(number)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def plain(tmp_path_factory, cache):
    return imgcls.train(PLAIN, runs_dir=tmp_path_factory.mktemp("plain"), cache_dir=cache)


@pytest.fixture(scope="module")
def staged(tmp_path_factory, cache):
    return imgcls.train(STAGED, runs_dir=tmp_path_factory.mktemp("staged"), cache_dir=cache)


@pytest.fixture
def interrupted(tmp_path, cache):
    def interrupted(*moment, spec=PLAIN, **overrides):
        with pytest.raises(KeyboardInterrupt):
            imgcls.train(spec, overrides, runs_dir=tmp_path, cache_dir=cache, observer=Stops(moment))
        (run,) = imgcls.list_runs(tmp_path)
        assert run.status.state == "interrupted"
        return run

    return interrupted


def outcome(run):
    with zipfile.ZipFile(run.path(layout.MODEL)) as file:
        weights = file.read("model.weights.h5")
    history = [row | {"seconds": ""} for row in read_csv(run.path(layout.HISTORY))]
    return weights, history, run.metrics, run.path(layout.PREDICTIONS).read_bytes()


# Steps of an epoch are done several at a time, and told of then: all 20 here.
@pytest.mark.parametrize(
    ("moment", "resumed"),
    [
        pytest.param(("step", 2, 20), (1, 20), marks=pytest.mark.slow),  # the last of an epoch
        pytest.param(("epoch", 1), (0, 20), marks=pytest.mark.slow),  # before the first is decided on
        (("epoch", 3), (2, 20)),  # the last of the first stage
        (("step", 4, 20), (3, 20)),  # in the second stage
        (("epoch", 6), (5, 20)),  # the last of all
    ],
)
def test_a_run_gone_on_with_ends_as_one_that_was_not_interrupted(interrupted, staged, cache, moment, resumed):
    run, told = interrupted(*moment, spec=STAGED), Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == [resumed]
    assert told.epochs == list(range(resumed[0] + 1, 7))
    assert outcome(run) == outcome(staged)
    assert run.status.state == "completed"
    assert not run.path(layout.CHECKPOINT).exists()
    assert [each["epochs"] for each in run.environment["resumed"]] == [resumed[0]]
    assert len(run.timings["epoch_seconds"]) == 6
    assert sum(run.timings["epoch_seconds"]) < run.timings["total"]


@pytest.fixture
def one_step_at_once(monkeypatch):
    monkeypatch.setattr("imgcls.training.compiling._MOST_AT_ONCE", 1)


@pytest.mark.parametrize("moment", [pytest.param(("step", 1, 1), marks=pytest.mark.slow), ("step", 5, 13)])
@pytest.mark.usefixtures("one_step_at_once")
def test_it_goes_on_within_an_epoch(interrupted, staged, cache, moment):
    run, told = interrupted(*moment, spec=STAGED), Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == [(moment[1] - 1, moment[2])]
    assert outcome(run) == outcome(staged), "however many steps are done at once"


@pytest.mark.usefixtures("one_step_at_once")
def test_it_goes_on_within_an_epoch_of_which_float16_skipped_steps(interrupted, tmp_path, cache, monkeypatch):
    import keras

    scaling = partial(keras.optimizers.LossScaleOptimizer, initial_scale=2.0**24)  # halved until nothing overflows
    monkeypatch.setattr(keras.optimizers, "LossScaleOptimizer", scaling)
    spec = PLAIN | {"precision": "float16", "optimizer": "sgd", "lr": {"initial": 0.1, "schedule": "linear"}}
    whole = imgcls.train(spec, runs_dir=tmp_path / "whole", cache_dir=cache)
    run = imgcls.resume(interrupted("step", 1, 13, spec=spec), cache_dir=cache)
    assert outcome(run) == outcome(whole)


def test_it_can_be_interrupted_again_and_again(interrupted, plain, cache):
    run = interrupted("epoch", 1)
    for moment in (("epoch", 2), ("step", 3, 20), ("evaluating",)):
        with pytest.raises(KeyboardInterrupt):
            imgcls.resume(run, cache_dir=cache, observer=Stops(moment))
    run = imgcls.resume(run, cache_dir=cache)
    assert outcome(run) == outcome(plain)
    assert [each["epochs"] for each in run.environment["resumed"][:3]] == [0, 1, 2]


@pytest.mark.usefixtures("one_step_at_once")
def test_a_checkpoint_is_kept_every_so_many_minutes_within_an_epoch(interrupted, monkeypatch):
    monkeypatch.setattr("imgcls.experiment.keeping._SHARE", 1e9)  # what they take does not matter here
    kept = []
    write = Checkpoints.write
    monkeypatch.setattr(Checkpoints, "write", lambda self, stored: kept.append(stored.record) or write(self, stored))
    interrupted("step", 1, 9, checkpoint={"minutes": 1e-6})
    steps = [record["underway"]["step"] for record in kept]
    assert steps == list(range(1, 10))


def test_checkpoints_take_a_fiftieth_of_the_time_however_often_they_are_asked_for(tmp_path, monkeypatch):
    now, made = [0.0], []
    monkeypatch.setattr("imgcls.experiment.keeping.time.perf_counter", lambda: now[0])

    def write(self, stored):
        made.append(now[0])
        now[0] += (0.5, 3.0, 1.0)[len(made) % 3]

    monkeypatch.setattr(Checkpoints, "write", write)
    keeper = RunKeeper(Run(tmp_path), CheckpointSpec(minutes=1e-6), Clock(), Observer())
    checkpoint = Checkpoint(TrainingState(), {}, None, Spent())
    spent = 0.0
    while now[0] < 5000:
        now[0] += 0.1
        if keeper.is_due(10_000_000, is_epoch_over=False):
            begun = now[0]
            now[0] += 0.2  # the weights are fetched
            keeper.keep(checkpoint)
            spent += now[0] - begun
            assert spent < 0.02 * now[0] + 3.2, "one more than expected, at most"
    assert 0.015 < spent / now[0] < 0.0205
    assert max(later - earlier for earlier, later in pairwise(made)) < 400


@pytest.fixture
def seldom(monkeypatch):
    """No checkpoint is worth its time, but those that are made however long they take."""
    monkeypatch.setattr("imgcls.experiment.keeping._SHARE", 0.0)


@pytest.mark.parametrize(("moment", "spec"), [(("stage", 2), STAGED), (("evaluating",), PLAIN)])
@pytest.mark.usefixtures("seldom")
def test_no_epoch_is_lost_after_the_last_of_a_stage(interrupted, staged, plain, cache, moment, spec):
    run, told = interrupted(*moment, spec=spec), Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == [(3, 0)]
    assert outcome(run) == outcome(plain if spec is PLAIN else staged)


@pytest.mark.usefixtures("seldom")
def test_no_epoch_is_lost_between_two(interrupted, plain, cache, monkeypatch):
    def due(self, size_bytes, *, is_epoch_over):
        if is_epoch_over:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunKeeper, "is_due", due)
        run, told = interrupted("never"), Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == [(1, 0)]
    assert outcome(run) == outcome(plain)


def test_a_signal_while_the_average_is_put_into_the_network_breaks_nothing(interrupted, plain, cache, monkeypatch):
    from keras import Variable

    from imgcls.training.stage import StageTraining

    averaged, assign, left = StageTraining._averaged, Variable.assign, [0]

    def counted(self, own):
        left[0] = 2  # of four
        return averaged(self, own)

    def stopping(self, value):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return assign(self, value)

    with monkeypatch.context() as patched:
        patched.setattr(StageTraining, "_averaged", counted)
        patched.setattr(Variable, "assign", stopping)
        run, told = interrupted("never"), Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == [(0, 20)]
    assert outcome(run) == outcome(plain)


def test_without_a_checkpoint_it_begins_anew_in_the_same_folder(interrupted, plain, cache):
    run, told = interrupted("epoch", 2, checkpoint="none"), Told()
    assert not run.path(layout.CHECKPOINT).exists()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed == []
    assert outcome(run)[:2] == outcome(plain)[:2]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(interrupted, plain, cache):
    run = interrupted("epoch", 1)
    with pytest.raises(KeyboardInterrupt):
        imgcls.resume(run, cache_dir=cache, observer=Stops(("epoch", 2)))
    newest = max(run.path(layout.CHECKPOINT).glob("*.npz"))
    newest.write_bytes(newest.read_bytes()[:-100])
    told = Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed[0] < (1, 20)
    assert outcome(run) == outcome(plain)
    assert "is damaged" in run.path(layout.LOG).read_text()


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(plain, tmp_path, cache, monkeypatch):
    def fail(self, stored):
        raise RunError(f"cannot write {self.folder}: No space left on device")

    monkeypatch.setattr(Checkpoints, "write", fail)
    told = Told()
    run = imgcls.train(PLAIN, runs_dir=tmp_path, cache_dir=cache, observer=told)
    found = [finding for finding in told.findings if finding.code == "no_checkpoint"]
    assert [finding.message for finding in found] == [
        f"no checkpoint: cannot write {run.path(layout.CHECKPOINT)}: No space left on device; the training goes on"
    ]
    assert outcome(run)[0] == outcome(plain)[0]


def test_but_for_the_last_checkpoints_are_seldom_where_writing_them_takes_long(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("imgcls.experiment.keeping._BYTES_A_SECOND", 1.0)  # a guess of hours
    kept = []
    monkeypatch.setattr(Checkpoints, "write", lambda _, stored: kept.append(len(stored.record["state"]["history"])))
    imgcls.train(PLAIN, runs_dir=tmp_path, cache_dir=cache)
    assert kept == [3]


def test_a_changed_image_is_named_and_the_checkpoint_kept(interrupted, tmp_path_factory):
    photos = make_color_photos(tmp_path_factory.mktemp("changing") / "photos")
    run = interrupted("epoch", 2, spec=PLAIN | {"data": str(photos), "resolution": 8})
    changed = next(photos.glob("*/*"))
    shutil.copy(max(photos.glob("*/*")), changed)
    with pytest.raises(DataError, match=rf"the data changed since .*{changed.name}"):
        imgcls.resume(run)
    assert run.status.state == "interrupted"
    assert list(run.path(layout.CHECKPOINT).glob("*.npz"))


def test_a_checkpoint_of_another_network_is_refused(interrupted, cache):
    run = interrupted("epoch", 2)
    text = run.path(layout.RESOLVED).read_text()
    run.path(layout.RESOLVED).write_text(text.replace("units: 8", "units: 9"))
    assert run.path(layout.RESOLVED).read_text() != text
    with pytest.raises(DataError, match="the checkpoint is not of this network: its network variables are others"):
        imgcls.resume(run, cache_dir=cache)


def test_a_checkpoint_of_another_version_is_refused(interrupted, cache):
    run = interrupted("epoch", 2)
    store = Checkpoints(run.path(layout.CHECKPOINT))
    store.write(type(store.newest())({"state": 3}, {"network/0": np.zeros(2, np.float32)}))
    with pytest.raises(DataError, match="none that this version of imgcls can read"):
        imgcls.resume(run, cache_dir=cache)


@pytest.mark.usefixtures("one_step_at_once")
def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(interrupted, plain, cache):
    run = interrupted("step", 2, 13)
    store = Checkpoints(run.path(layout.CHECKPOINT))
    stored = store.newest()
    record = {key: value for key, value in stored.record.items() if key != "on_features"}
    underway = {key: value for key, value in record["underway"].items() if key != "first"}
    copies = {"trainer/0": np.zeros(2, np.float32)}  # of frozen weights, where there were any
    store.write(Stored(record | {"underway": underway}, {**stored.arrays, **copies}))
    run = imgcls.resume(run, cache_dir=cache)
    assert outcome(run) == outcome(plain)


def test_what_is_not_as_it_began_is_told(interrupted, cache, monkeypatch):
    run = interrupted("epoch", 2)
    monkeypatch.setattr("imgcls.environment.version", lambda name: "0.0.1" if name == "keras" else "9")
    run = imgcls.resume(run, cache_dir=cache)
    (warning,) = [each for each in run.metrics["warnings"] if each["code"] == "resumed_elsewhere"]
    assert "keras" in warning["message"]
    assert "0.0.1 now" in warning["message"]


def test_what_a_kill_left_half_written_is_removed(interrupted, cache):
    run = interrupted("epoch", 1)
    halves = [run.path(".history.csv.half-abcdefgh.csv"), run.path(layout.CHECKPOINT) / ".000002.npz.half-abcdefgh.npz"]
    for half in halves:
        half.write_text("half")
    with pytest.raises(KeyboardInterrupt):
        imgcls.resume(run, cache_dir=cache, observer=Stops(("started",)))
    assert not any(half.exists() for half in halves)
    assert list(run.path(layout.CHECKPOINT).glob("*.npz"))


def test_a_run_killed_when_its_result_is_written_still_has_its_checkpoint(interrupted, plain, cache, monkeypatch):
    run = interrupted("evaluating")
    monkeypatch.setattr(Run, "set_status", stop_when_completed(Run.set_status))
    with pytest.raises(KeyboardInterrupt):
        imgcls.resume(run, cache_dir=cache)
    assert run.path(layout.TIMINGS).exists()
    monkeypatch.undo()
    told = Told()
    run = imgcls.resume(run, cache_dir=cache, observer=told)
    assert told.resumed, "it did not begin anew"
    assert outcome(run) == outcome(plain)


def stop_when_completed(set_status):
    def stop(self, state, message=""):
        if state == "completed":
            raise KeyboardInterrupt
        set_status(self, state, message)

    return stop


def test_checkpoints_that_a_kill_left_beside_a_complete_run_are_removed(plain, tmp_path):
    run = Run(shutil.copytree(plain.folder, tmp_path / "run"))
    Checkpoints(run.path(layout.CHECKPOINT)).write(Stored(1, {}))
    imgcls.resume(run)
    assert not run.path(layout.CHECKPOINT).exists()


def test_a_complete_run_is_left_as_it_is(plain, cache):
    written = plain.path(layout.METRICS).stat().st_mtime_ns
    assert imgcls.resume(plain, cache_dir=cache).folder == plain.folder
    assert plain.path(layout.METRICS).stat().st_mtime_ns == written


def test_a_running_one_is_refused(interrupted, monkeypatch):
    run = interrupted("epoch", 1)
    run.set_status("running")
    with pytest.raises(DataError, match="is running: another process is at it"):
        imgcls.resume(run)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    with pytest.raises(DataError, match=r"is marked as running on .*; where it is gone there, --elsewhere goes on"):
        imgcls.resume(run)


def test_one_marked_as_running_on_a_machine_that_is_gone_goes_on_when_told(interrupted, plain, cache, monkeypatch):
    run = interrupted("epoch", 1)
    with monkeypatch.context() as patched:
        patched.setattr("socket.gethostname", lambda: "elsewhere")
        run.set_status("running")
    run = imgcls.resume(run, cache_dir=cache, elsewhere=True)
    assert outcome(run) == outcome(plain)


def test_one_that_never_began_is_refused(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    with pytest.raises(DataError, match="was stopped before it began: there is nothing to go on with"):
        imgcls.resume(run)


def test_one_of_several_workers_is_refused(interrupted):
    run = interrupted("epoch", 1)
    text = run.path(layout.RESOLVED).read_text()
    run.path(layout.RESOLVED).write_text(text.replace("distribute: none", "distribute: multi_worker"))
    with pytest.raises(SpecError, match="of several workers cannot be resumed"):
        imgcls.resume(run)


@pytest.mark.long
def test_of_repeats_those_that_are_not_finished_go_on(tmp_path, cache):
    spec = {**PLAIN, "repeats": 2, "epochs": 2}
    (tmp_path / "a").mkdir()
    group = imgcls.train(spec, runs_dir=tmp_path / "a", cache_dir=cache)

    class Second(Stops):
        number = 0

        def repeating(self, group, number, repeats, seed):
            self.number = number

        def at(self, *moment):
            if self.number == 2:
                super().at(*moment)

    with pytest.raises(KeyboardInterrupt):
        imgcls.train(spec, runs_dir=tmp_path / "b", cache_dir=cache, observer=Second(("epoch", 2)))
    (other,) = imgcls.list_runs(tmp_path / "b")
    first = other.members[0]
    written = first.path(layout.METRICS).stat().st_mtime_ns
    with pytest.raises(DataError, match=f"is a part of {other.folder}"):
        imgcls.resume(other.members[1])
    told = Told()
    other = imgcls.resume(other, cache_dir=cache, observer=told)
    assert told.repeats == [2]
    assert told.resumed == [(1, 20)]
    assert first.path(layout.METRICS).stat().st_mtime_ns == written
    assert [outcome(run) for run in other.members] == [outcome(run) for run in group.members]
    figures = [
        {key: value for key, value in run.repeats["summary"].items() if key != "seconds"} for run in (group, other)
    ]
    assert figures[0] == figures[1]
    assert other.repeats["finished"] == 2
    assert other.status.state == "completed"
