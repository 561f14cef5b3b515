"""A run from the spec to the folder, on real images: what it writes, and what it promises."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import imgcls
from imgcls import DataError, DegenerateError, RunError, SpecError
from imgcls.files import write_csv
from imgcls.runs import Status, layout

LAYERS = [{"conv": 4}, {"max_pool": 2}, "flatten", {"dropout": 0.2}]


@pytest.fixture
def spec(color_photos):
    return {
        "data": str(color_photos),
        "resolution": [12, 16],
        "architecture": LAYERS,
        "augmentation": {"horizontal_flip": True, "rotation": 5},
        "lr": 0.01,
        "batch": 8,
        "epochs": 3,
    }


def weights(run):
    return run.model().get_weights()


def test_a_run_leaves_a_complete_folder(spec, tmp_path):
    run = imgcls.train(spec, runs_dir=tmp_path / "runs")

    written = {path.name for path in run.folder.iterdir()}
    assert written == {
        "spec.yaml", "resolved.yaml", "environment.json", "manifest.csv", "history.csv", "metrics.json", "timings.json",
        "predictions.csv", "confusion_matrix.csv", "confusion_matrix.png", "classification_report.csv", "curves.png",
        "reliability.png", "model.keras", "status.json", "train.log", "evaluations.csv", "SHA256SUMS",
    }  # fmt: skip
    assert run.status.state == "completed"
    assert list(run.history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    assert list(run.predictions) == ["path", "true", "predicted", "confidence", "blue", "green", "red"]
    assert run.settings["resolution"] == [12, 16]
    assert run.environment["seed"] == 0
    assert run.timings["images_per_second"] > 0


def test_the_saved_network_averages_mirror_images_where_so_asked(spec, tmp_path):
    plain, run = (
        imgcls.train(spec, {"test_time_augmentation": each}, runs_dir=tmp_path) for each in ("none", "horizontal_flip")
    )
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3))
    alone, mirrored = (plain.model().predict(each, verbose=0) for each in (images, images[:, :, ::-1]))

    assert np.abs(alone - mirrored).max() > 1e-3
    np.testing.assert_allclose(run.model().predict(images, verbose=0), (alone + mirrored) / 2, atol=1e-6)
    np.testing.assert_array_equal(run.history.val_loss, plain.history.val_loss)
    again = imgcls.evaluate(run)
    assert (again.metrics["loss"], again.metrics["n"]) == (run.metrics["loss"], 9)
    assert again.metrics["loss"] != plain.metrics["loss"]


def test_shifted_views_are_averaged_too_where_so_asked(spec, tmp_path):
    plain, run = (
        imgcls.train(spec, {"test_time_augmentation": each}, runs_dir=tmp_path)
        for each in ("none", "horizontal_flip_and_shift")
    )
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 3))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    views = [padded[:, start : start + 12, start : start + 16] for start in range(3)]
    answers = [plain.model().predict(each, verbose=0) for view in views for each in (view, view[:, :, ::-1])]

    assert min(np.abs(answers[0] - answers[place]).max() for place in range(1, 6)) > 1e-3
    np.testing.assert_allclose(run.model().predict(images, verbose=0), np.mean(answers, axis=0), atol=1e-6)


def test_the_metrics_are_strict_json_with_all_that_is_promised(spec, tmp_path):
    run = imgcls.train(spec, runs_dir=tmp_path)
    metrics = json.loads(run.path(layout.METRICS).read_text(), parse_constant=lambda name: pytest.fail(name))
    assert metrics.keys() >= {
        "schema_version", "split", "n", "loss", "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1",
        "macro_precision", "macro_recall", "cohen_kappa", "mcc", "majority_baseline", "accuracy_ci95", "ece",
        "per_class", "confusion_matrix", "classes", "best_epoch", "epochs_run", "trainable_params", "total_params",
        "warnings",
    }  # fmt: skip
    assert metrics["split"] == "test"
    assert metrics["n"] == 9


def test_the_same_spec_and_seed_give_the_same_run_to_the_bit(spec, tmp_path):
    first, second = (imgcls.train(spec, runs_dir=tmp_path) for _ in range(2))
    other = imgcls.train(spec, {"seed": 1}, runs_dir=tmp_path)

    assert first.folder != second.folder
    assert all(np.array_equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))
    assert first.history.drop(columns="seconds").equals(second.history.drop(columns="seconds"))
    assert first.path(layout.METRICS).read_bytes() == second.path(layout.METRICS).read_bytes()
    assert first.path(layout.PREDICTIONS).read_bytes() == second.path(layout.PREDICTIONS).read_bytes()
    assert not all(np.array_equal(a, b) for a, b in zip(weights(first), weights(other), strict=True))
    assert first.path(layout.MANIFEST).read_bytes() == other.path(layout.MANIFEST).read_bytes()


def test_evaluating_again_gives_the_stored_numbers_to_the_last_digit(spec, tmp_path):
    run = imgcls.train(spec, runs_dir=tmp_path)
    again = imgcls.evaluate(run).metrics
    stored = run.metrics
    assert again == {key: stored[key] for key in again}


def test_the_accuracy_is_that_of_the_predictions_and_of_the_matrix(spec, tmp_path):
    run = imgcls.train(spec, runs_dir=tmp_path)
    table, metrics = run.predictions, run.metrics
    matrix = np.array(metrics["confusion_matrix"])
    assert metrics["accuracy"] == (table.true == table.predicted).mean() == np.trace(matrix) / matrix.sum()
    best = table[metrics["classes"]].idxmax(axis=1)
    assert (best == table.predicted).all()


def test_the_last_validation_of_the_training_is_what_evaluation_finds(spec, tmp_path):
    run = imgcls.train(spec, {"early_stopping": {"monitor": "val_loss", "patience": 9}}, runs_dir=tmp_path)
    best = run.history.set_index("epoch").loc[run.metrics["best_epoch"]]
    found = imgcls.evaluate(run, "validation").metrics
    assert found["accuracy"] == best.val_accuracy
    assert found["loss"] == pytest.approx(best.val_loss, rel=1e-6)
    assert best.val_loss == run.history.val_loss.min()


def test_predictions_that_keras_counts_otherwise_are_no_result(spec, tmp_path, monkeypatch):
    from imgcls.evaluation import prediction

    run = imgcls.train(spec, runs_dir=tmp_path)
    monkeypatch.setattr(prediction, "predicted_classes", lambda probabilities: probabilities.argmax(axis=1)[::-1])
    with pytest.raises(imgcls.ConsistencyError, match="no result is written"):
        imgcls.evaluate(run)


def test_files_that_do_not_agree_are_no_result(spec, tmp_path, monkeypatch):
    from imgcls.evaluation import tables

    real = tables.write_predictions

    def shuffled(run, paths, labels, probabilities, classes):
        real(run, paths, np.roll(labels, 1), probabilities, classes)

    monkeypatch.setattr(tables, "write_predictions", shuffled)
    with pytest.raises(imgcls.ConsistencyError, match=r"do not agree on the hits .*no result is written"):
        imgcls.train(spec, runs_dir=tmp_path)
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status.state == "failed"
    assert not run.path(layout.METRICS).exists()


def test_other_images_are_measured_by_the_saved_order_of_classes(spec, tmp_path):
    run = imgcls.train(spec, {"data": {"source": "folder", "path": spec["data"], "classes": ["red", "green", "blue"]}},
                       runs_dir=tmp_path)  # fmt: skip
    others = tmp_path / "others"
    for name, color in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (others / name).mkdir(parents=True)
        Image.new("RGB", (16, 12), color).save(others / name / "1.png")

    found = imgcls.evaluate(run, data=others)

    assert found.metrics["classes"] == ["red", "green", "blue"]
    assert np.array(found.metrics["confusion_matrix"]).sum(axis=1).tolist() == [1, 0, 1]
    (others / "yellow").mkdir()
    Image.new("RGB", (16, 12)).save(others / "yellow" / "1.png")
    with pytest.raises(DataError, match="yellow"):
        imgcls.evaluate(run, data=others)


def test_evaluation_refuses_data_that_changed(spec, color_photos, tmp_path):
    run = imgcls.train(spec, runs_dir=tmp_path)
    Image.new("RGB", (16, 12)).save(color_photos / "red" / "00.png")
    (color_photos / "blue" / "07.png").unlink()
    Image.new("RGB", (16, 12), (9, 9, 9)).save(color_photos / "green" / "new.png")
    with pytest.raises(DataError, match=r"changed: red/00\.png; missing: blue/07\.png; new: green/new\.png"):
        imgcls.evaluate(run)


def test_evaluation_refuses_images_of_another_class_or_part(color_photos, tmp_path):
    parts = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    rows = [(f"{name}/{number:02}.png", name, part) for name in ("blue", "green") for number, part in enumerate(parts)]

    def written(rows):
        write_csv(color_photos / "list.csv", ("path", "label", "split"), rows)

    written(rows)
    data = {"source": "csv", "path": str(color_photos / "list.csv")}
    run = imgcls.train({"data": data, "resolution": 8, "architecture": ["flatten"], "epochs": 1}, runs_dir=tmp_path)
    written(rows[::-1])
    imgcls.evaluate(run)  # the order of the rows is nothing that counts
    written([("blue/00.png", "green", "train"), *rows[1:12], ("blue/12.png", "blue", "test"), *rows[13:]])
    with pytest.raises(DataError, match=r"\(relabelled: blue/00\.png; in another part: blue/12\.png\)"):
        imgcls.evaluate(run)


def test_the_saved_network_needs_nothing_of_imgcls(spec, tmp_path):
    import keras

    run = imgcls.train(spec, {"augmentation": "none"}, runs_dir=tmp_path)
    model = keras.models.load_model(run.path(layout.MODEL))
    assert model.predict(np.zeros((1, 12, 16, 3), np.uint8), verbose=0).shape == (1, 3)
    with zipfile.ZipFile(run.path(layout.MODEL)) as archive:
        assert b"imgcls" not in archive.read("config.json")


def test_a_run_without_a_test_part_says_that_it_is_not_held_out(spec, tmp_path):
    run = imgcls.train(spec, {"data.test": "none"}, runs_dir=tmp_path)
    assert run.metrics["split"] == "validation"
    assert "not_held_out" in [warning["code"] for warning in run.metrics["warnings"]]


def test_the_test_images_are_predicted_once_and_after_the_training(spec, tmp_path, monkeypatch):
    from imgcls.evaluation import prediction

    seen = []
    real = prediction.predict_images

    def spy(spec, network, images, rows, labels):
        seen.append(tuple(rows))
        return real(spec, network, images, rows, labels)

    monkeypatch.setattr(prediction, "predict_images", spy)
    imgcls.train(spec, {"early_stopping": 2}, runs_dir=tmp_path)

    assert len(set(seen)) == 2
    assert seen.count(seen[-1]) == 1
    assert not set(seen[-1]) & set(seen[0])


def test_a_rate_too_high_ends_the_run_with_epoch_and_steps_and_the_last_finite_weights(spec, tmp_path):
    settings = {"optimizer": "sgd", "lr": 1e30, "normalize": "none", "epochs": 2}
    with pytest.raises(RunError, match="not finite at epoch 1, between steps 1 and 6 of 6:"):
        imgcls.train(spec, settings, runs_dir=tmp_path)
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status.state == "failed"
    assert "not finite" in run.status.message
    assert all(np.isfinite(weight).all() for weight in weights(run))


def test_a_rate_too_high_is_told_with_its_step_where_one_is_done_at_a_time(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("imgcls.training.compiling._MOST_AT_ONCE", 1)
    settings = {"optimizer": "sgd", "lr": 1e30, "normalize": "none", "epochs": 2}
    with pytest.raises(RunError, match=r"not finite at epoch 1, step [2-5] of 6:"):
        imgcls.train(spec, settings, runs_dir=tmp_path)


@pytest.mark.parametrize("validation", [0.15, "none"])
def test_weights_that_break_in_the_last_step_of_an_epoch_are_found_too(validation, spec, tmp_path):
    settings = {"optimizer": "sgd", "lr": 3e38, "normalize": "none", "batch": 500, "data.validation": validation}
    with pytest.raises(RunError, match="not finite at epoch 1, step 1 of 1"):
        imgcls.train(spec, settings, runs_dir=tmp_path)
    (run,) = imgcls.list_runs(tmp_path)
    assert all(np.isfinite(weight).all() for weight in weights(run))


@pytest.mark.parametrize("content", [b"", b"PK", b"not a model at all" * 100])
def test_a_model_file_that_is_cut_or_foreign_is_named(content, spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    run.path(layout.CHECKSUMS).unlink()
    run.path(layout.MODEL).write_bytes(content)
    with pytest.raises(DataError, match=r"model\.keras is truncated, or was never a Keras model"):
        imgcls.evaluate(run)


def test_a_flipped_bit_in_the_models_weights_is_an_error_with_its_name(spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    run.path(layout.CHECKSUMS).unlink()
    whole = run.path(layout.MODEL).read_bytes()
    with zipfile.ZipFile(run.path(layout.MODEL)) as archive:
        begins = archive.getinfo("model.weights.h5").header_offset + 200
    for place in range(begins, begins + 8000, 1000):
        run.path(layout.MODEL).write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(DataError, match=r"model\.keras"):
            imgcls.evaluate(run)


def test_the_network_of_another_run_is_refused(spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    other = imgcls.train(spec, {"epochs": 1, "resolution": 10}, runs_dir=tmp_path)
    run.path(layout.CHECKSUMS).unlink()
    run.path(layout.MODEL).write_bytes(other.path(layout.MODEL).read_bytes())
    with pytest.raises(DataError, match="is not this run's network"):
        imgcls.evaluate(run)


def test_outputs_that_are_no_probabilities_are_refused(spec, tmp_path):
    import keras

    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    run.path(layout.CHECKSUMS).unlink()
    image = keras.Input((12, 16, 3))
    keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image))).save(run.path(layout.MODEL))
    with pytest.raises(RunError, match="no probabilities"):
        imgcls.evaluate(run)


def test_an_evaluation_is_not_written_over_a_run(spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    found = imgcls.evaluate(run, "train")
    with pytest.raises(RunError, match="is a run's folder"):
        found.write(run.folder)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot make the folder"):
        found.write(tmp_path / "file")
    assert "not_held_out" in [warning["code"] for warning in found.metrics["warnings"]]


def test_every_evaluation_is_counted(spec, tmp_path):
    from imgcls.evaluations import evaluations_in

    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    imgcls.evaluate(run)
    imgcls.evaluate(run, "train")
    rows = evaluations_in(run.folder)
    assert [row["split"] for row in rows] == ["test", "test", "train"]
    assert rows == evaluations_in(tmp_path)
    assert {row["images_sha256"] for row in rows[:2]} == {run.metrics["images_sha256"]}


def test_a_training_that_cannot_be_counted_is_complete_and_says_so(spec, tmp_path):
    (tmp_path / layout.EVALUATIONS).mkdir()
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    assert run.status.state == "completed"
    assert "evaluation_not_counted" in [warning["code"] for warning in run.metrics["warnings"]]


def test_an_evaluation_that_cannot_be_counted_says_so(spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path)
    run.path(layout.EVALUATIONS).unlink()
    run.path(layout.EVALUATIONS).mkdir()
    told = []

    class Listener(imgcls.Observer):
        def remarked(self, findings):
            told.extend(finding.code for finding in findings)

    imgcls.evaluate(run, observer=Listener())
    assert told == ["evaluation_not_counted"]


@pytest.mark.parametrize("name", ["my spec", "größe", "_x", "a+b"])
def test_a_spec_file_of_any_name_trains(name, spec, tmp_path):
    import yaml

    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(spec | {"epochs": 1, "optimizer": "sgd"}), encoding="utf-8")
    run = imgcls.train(path, runs_dir=tmp_path / "runs")
    assert imgcls.evaluate(run).metrics["accuracy"] == run.metrics["accuracy"]


@pytest.mark.slow  # TensorFlow tries for ten seconds before it gives up
def test_a_network_too_large_for_memory_is_an_error_that_says_so(spec, tmp_path):
    layers = ["flatten", {"dense": 10**12}]
    with pytest.raises(RunError, match="out of memory: a smaller batch"):
        imgcls.train(spec, {"architecture": layers}, runs_dir=tmp_path)


def test_running_out_of_memory_within_a_run_says_what_needs_less(spec, tmp_path):
    class Full(imgcls.Observer):
        def epoch(self, row):
            raise MemoryError

    with pytest.raises(RunError, match="out of memory: a smaller batch"):
        imgcls.train(spec, runs_dir=tmp_path, observer=Full())
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status == Status("failed", "out of memory: a smaller batch, resolution or network needs less")


def test_float16_scales_its_loss_against_underflow():
    import keras

    from imgcls.spec.optimization import Adam
    from imgcls.training.optimizers import RateTable, build_optimizer

    scaled = build_optimizer(Adam(name="adam"), RateTable(3), "float16")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)


def test_the_phases_of_the_timings_are_those_of_a_run(spec, tmp_path):
    timings = imgcls.train(spec, {"imbalance": "oversample"}, runs_dir=tmp_path).timings
    assert timings["phases"].keys() == {"start_up", "data", "precision", "compile", "train", "evaluate", "write"}
    assert sum(timings["phases"].values()) <= timings["total"]
    assert 0 < timings["input_seconds"] < timings["total"]


def test_a_degenerate_result_is_refused_under_strict_and_kept(spec, tmp_path):
    with pytest.raises(DegenerateError, match="degenerate"):
        imgcls.train(spec, {"lr": 100, "epochs": 2}, runs_dir=tmp_path, strict=True)
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status.state == "completed"


def test_a_spec_or_data_that_is_wrong_leaves_no_run_folder(spec, tmp_path):
    with pytest.raises(SpecError):
        imgcls.train(spec, {"epochs": 0}, runs_dir=tmp_path / "runs")
    with pytest.raises(SpecError, match="put flatten"):
        imgcls.train(spec, {"architecture": [{"dense": 3}]}, runs_dir=tmp_path / "runs")
    with pytest.raises(DataError):
        imgcls.train(spec, {"data": str(tmp_path / "nowhere")}, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_bug_in_the_training_leaves_its_traceback_in_the_log(spec, tmp_path):
    class Broken(imgcls.Observer):
        def epoch(self, row):
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        imgcls.train(spec, runs_dir=tmp_path, observer=Broken())
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status.state == "failed"
    assert "Traceback" in run.path(layout.LOG).read_text()
    assert len(run.history) == 1


def test_an_interrupted_run_keeps_its_epochs_and_says_so(spec, tmp_path):
    class Impatient(imgcls.Observer):
        def epoch(self, row):
            if row.epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imgcls.train(spec, runs_dir=tmp_path, observer=Impatient())
    (run,) = imgcls.list_runs(tmp_path)
    assert run.status.state == "interrupted"
    assert len(run.history) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"imbalance": "class_weights"}, {"imbalance": "oversample"}, {"imbalance": "undersample"},
        {"label_smoothing": 0.1}, {"augmentation": {"mixup": 0.2, "cutmix": 1.0}}, {"precision": "bfloat16"},
        {"precision": "float16"},
        {"normalize": "standardize"}, {"color": "grayscale"}, {"resize": "pad", "resolution": 10},
        {"lr": {"schedule": "plateau", "initial": 0.01, "patience": 4}},
        {"architecture": "cnn"}, {"architecture": {"preset": "resnet", "filters": [8, 16], "blocks": 1}},
        {"architecture": {"preset": "vgg", "filters": [8, 16], "convs": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_every_way_to_train_gives_a_result(settings, spec, tmp_path):
    run = imgcls.train(spec, {"epochs": 12, **settings}, runs_dir=tmp_path)
    best = max(run.history.accuracy.max(), run.metrics["accuracy"])
    assert best > 0.6, "the colours tell the classes apart: chance is a third"


@pytest.mark.parametrize(
    "loss",
    ["binary_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge",
     "kl_divergence", "mean_squared_error", "sparse_categorical_crossentropy"],
)  # fmt: skip
def test_every_loss_trains_and_is_what_keras_evaluates(loss, spec, tmp_path):
    import keras

    from imgcls.training.losses import LOSSES

    run = imgcls.train(spec, {"loss": loss, "epochs": 1}, runs_dir=tmp_path)
    table, classes = run.predictions, run.metrics["classes"]
    labels = np.array([classes.index(name) for name in table.true])
    target = labels if loss.startswith("sparse") else np.eye(3, dtype=np.float32)[labels]
    expected = float(LOSSES[loss]()(target, table[classes].to_numpy(np.float32)))
    assert run.metrics["loss"] == pytest.approx(expected, rel=1e-5)
    assert keras.losses.get(loss)


@pytest.mark.parametrize("measured", [1.0, 1e18])
def test_the_share_of_the_peak_is_at_most_all_of_it(measured, spec, tmp_path, monkeypatch):
    from imgcls.training import peak

    monkeypatch.setattr("imgcls.recording._WORTH_A_PEAK_S", 0.0)
    monkeypatch.setattr(peak, "peak_flops_per_second", lambda precision: measured)
    timings = imgcls.train(spec, {"epochs": 1}, runs_dir=tmp_path).timings
    reached = timings["flops_per_second"]
    assert timings["peak_flops_per_second"] == max(reached, measured)
    assert timings["share_of_peak"] == min(1.0, reached / measured)


def test_the_measured_peak_is_a_rate_of_this_machine():
    from imgcls.training.peak import peak_flops_per_second

    assert 1e8 < peak_flops_per_second("float32") < 1e16


@pytest.mark.parametrize("name", ["adadelta", "adafactor", "adagrad", "adamax", "adamw", "ftrl", "lamb", "lion", "muon",
                                  "nadam", "rmsprop", "sgd"])  # fmt: skip
def test_every_optimizer_trains(name, spec, tmp_path):
    run = imgcls.train(spec, {"optimizer": name, "epochs": 1}, runs_dir=tmp_path)
    assert np.isfinite(run.history.loss).all()


def test_the_penalty_on_the_weights_is_part_of_the_loss(spec, tmp_path):
    layers = [{"conv": {"filters": 4, "l2": 0.5}}, "flatten"]
    run = imgcls.train(spec, {"architecture": layers, "epochs": 1}, runs_dir=tmp_path)
    kernel = run.model().get_layer("conv_0").kernel
    assert run.metrics["loss"] > 0.5 * float(np.sum(np.square(kernel)))


def test_a_plateau_lowers_the_rate_after_its_warm_up(spec, tmp_path):
    schedule = {"schedule": "plateau", "initial": 0.01, "warmup_epochs": 2, "patience": 2, "min_delta": 100.0}
    run = imgcls.train(spec, {"lr": {**schedule, "factor": 0.5, "min_lr": 0.004}, "epochs": 7}, runs_dir=tmp_path)
    rates = run.history.lr.tolist()
    assert rates[0] < rates[1] < 0.01
    assert rates[2:] == [0.01, 0.005, 0.005, 0.004, 0.004]


def test_early_stopping_ends_the_run_and_restores_the_best(spec, tmp_path):
    stopping = {"monitor": "val_loss", "patience": 1, "min_delta": 100.0}
    run = imgcls.train(spec, {"early_stopping": stopping, "epochs": 9}, runs_dir=tmp_path)
    assert run.metrics["epochs_run"] == 2
    assert run.metrics["best_epoch"] == 1
    assert run.metrics["stopped_early"]


def as_folder(photos):
    return {"source": "folder", "path": str(photos)}


def as_folder_with_parts(photos):
    for part, numbers in (("train", range(12)), ("validation", range(12, 16)), ("test", range(16, 20))):
        for name in ("blue", "green", "red"):
            folder = photos.parent / "parts" / part / name
            folder.mkdir(parents=True)
            for number in numbers:
                (photos / name / f"{number:02}.png").rename(folder / f"{number:02}.png")
    return {"source": "folder", "path": str(photos.parent / "parts")}


def as_csv(photos):
    rows = [f"photos/{name}/{n:02}.png,{name},p{n % 10}" for name in ("blue", "green", "red") for n in range(20)]
    (photos.parent / "list.csv").write_text("\n".join(["path,label,patient", *rows]))
    return {"source": "csv", "path": str(photos.parent / "list.csv"), "group": "patient"}


def as_csv_with_split(photos):
    part = {18: "validation", 19: "test"}
    rows = [f"photos/{c}/{n:02}.png,{c},{part.get(n, 'train')}" for c in ("blue", "green", "red") for n in range(20)]
    (photos.parent / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    return {"source": "csv", "path": str(photos.parent / "list.csv")}


def as_npz(photos):
    files = sorted(photos.rglob("*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    labels = np.array([file.parent.name for file in files])
    np.savez(photos.parent / "arrays.npz", x_train=images, y_train=labels, x_test=images[::5] ^ 1, y_test=labels[::5])
    return {"source": "npz", "path": str(photos.parent / "arrays.npz")}


def as_digits(_):
    return {"source": "digits", "limit": {"train": 60, "validation": 20, "test": 20}}


@pytest.mark.parametrize("made", [as_folder, as_folder_with_parts, as_csv, as_csv_with_split, as_npz, as_digits])
def test_every_source_trains_and_is_found_again_by_the_resolved_spec(made, spec, color_photos, tmp_path):
    settings = {"data": made(color_photos), "epochs": 1, "resolution": 8}
    run = imgcls.train(spec | settings, runs_dir=tmp_path / "runs")

    again = imgcls.evaluate(run)
    repeated = imgcls.train(run.path(layout.RESOLVED), runs_dir=tmp_path / "runs")

    assert again.metrics == {key: run.metrics[key] for key in again.metrics}
    assert repeated.metrics == run.metrics
    if made is not as_csv_with_split:  # whose parts only its column knows
        assert None not in (run.settings["data"]["validation"], run.settings["data"]["test"])


@pytest.mark.parametrize("content", [None, b"not weights", b""])
def test_a_file_of_weights_that_is_none_is_found_before_anything_is_prepared(spec, tmp_path, content):
    class Watching(imgcls.Observer):
        def preparing(self, done, total):
            raise AssertionError("images were prepared first")

    if content is not None:
        (tmp_path / "w.h5").write_bytes(content)
    backbone = {"backbone": "mobilenet", "weights": str(tmp_path / "w.h5")}
    with pytest.raises(DataError, match=r"architecture.weights: .*w\.h5"):
        imgcls.train(spec, {"architecture": backbone}, runs_dir=tmp_path / "runs", observer=Watching())
    assert not (tmp_path / "runs").exists()


def test_an_augmentation_of_small_classes_that_none_is_small_enough_for_is_told(spec, tmp_path):
    augmentation = {"rotation": 5, "classes_below": 14}
    warnings = imgcls.train(spec, {"augmentation": augmentation, "epochs": 1}, runs_dir=tmp_path).metrics["warnings"]
    assert (
        "the smallest class has 14 training images"
        in {each["code"]: each["message"] for each in warnings}["augmentation_changes_nothing"]
    )
    augmentation["classes_below"] = 15
    warnings = imgcls.train(spec, {"augmentation": augmentation, "epochs": 1}, runs_dir=tmp_path).metrics["warnings"]
    assert "augmentation_changes_nothing" not in {each["code"] for each in warnings}
