import json
import os
from datetime import datetime

import pytest

from imgcls import runs
from imgcls.errors import DataError, RunError
from imgcls.runs import Run, create_run, find_run, list_runs

NOON = datetime.fromisoformat("2026-11-21 12:00:00")
JANUARY, FEBRUARY = (datetime.fromisoformat(f"2026-0{month}-01") for month in (1, 2))


def start(runs_dir, name, now=NOON):
    run = create_run(runs_dir, name, now=now)
    run.set_status("completed")
    return run


def test_a_run_is_named_by_its_time_and_name(tmp_path):
    assert create_run(tmp_path / "runs", "cnn", now=NOON).name == "2026-11-21_12-00-00_cnn"


def test_eight_runs_of_one_second_get_eight_folders(tmp_path):
    folders = {create_run(tmp_path, "cnn", now=NOON).folder for _ in range(8)}
    assert len(folders) == 8
    assert all(folder.is_dir() for folder in folders)


def test_a_clock_that_steps_back_overwrites_nothing(tmp_path):
    first = start(tmp_path, "cnn")
    first.path(runs.LOG).write_text("kept")
    assert start(tmp_path, "cnn").folder != first.folder
    assert first.path(runs.LOG).read_text() == "kept"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "x" * 300, "ein Name", "\x1b[31m"])
def test_any_name_makes_one_folder_inside(tmp_path, name):
    assert create_run(tmp_path, name, now=NOON).folder.parent == tmp_path


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        create_run(tmp_path / "file", "cnn")


def test_a_reference_is_a_path_a_name_a_prefix_or_latest(tmp_path):
    first = start(tmp_path, "small", JANUARY)
    second = start(tmp_path, "large", FEBRUARY)
    for reference in (str(first.folder), first.name, "small", "sm", "2026-01"):
        assert find_run(reference, tmp_path).folder == first.folder, reference
    assert find_run("latest", tmp_path).folder == second.folder


def test_a_whole_name_comes_before_prefixes(tmp_path):
    exact = start(tmp_path, "cnn", JANUARY)
    start(tmp_path, "cnn2", FEBRUARY)
    assert find_run("cnn", tmp_path).folder == exact.folder


def test_an_ambiguous_reference_names_the_runs(tmp_path):
    start(tmp_path, "cnn-a")
    start(tmp_path, "cnn-b")
    with pytest.raises(DataError, match=r"means 2 runs(?s:.)*cnn-a(?s:.)*cnn-b"):
        find_run("cnn", tmp_path)


def test_an_unknown_reference_gets_the_nearest_name(tmp_path):
    start(tmp_path, "resnet")
    with pytest.raises(DataError, match="did you mean resnet"):
        find_run("resent", tmp_path)


@pytest.mark.parametrize("reference", ["latest", "cnn"])
def test_where_there_are_no_runs_that_is_said(tmp_path, reference):
    with pytest.raises(DataError, match="there are no runs"):
        find_run(reference, tmp_path / "none")


def test_other_files_and_hidden_folders_are_no_runs(tmp_path):
    start(tmp_path, "cnn")
    (tmp_path / "README.md").write_text("")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / runs.STATUS).write_text("{}")
    assert [run.name for run in list_runs(tmp_path)] == ["2026-11-21_12-00-00_cnn"]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path):
    run = create_run(tmp_path, "cnn")
    run.set_status("running")
    assert run.status.state == "running"
    record = json.loads(run.path(runs.STATUS).read_text())
    run.path(runs.STATUS).write_text(json.dumps({**record, "process_start": "1"}))  # the number was given anew
    assert run.status.state == "interrupted"
    assert record["pid"] == os.getpid()


def test_a_folder_without_a_status_never_began(tmp_path):
    assert Run(tmp_path).status.state == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"state"'])
def test_a_damaged_file_is_called_so(tmp_path, text):
    run = Run(tmp_path)
    run.path(runs.METRICS).write_text(text)
    with pytest.raises(DataError, match="damaged"):
        _ = run.metrics


@pytest.mark.parametrize("text", ["{}", '{"state": 3}', '{"state": "running"}', "[]", "{"])
def test_a_damaged_status_is_called_so(tmp_path, text):
    run = Run(tmp_path)
    run.path(runs.STATUS).write_text(text)
    with pytest.raises(DataError, match="damaged"):
        _ = run.status


def test_a_run_without_a_result_says_its_state(tmp_path):
    run = create_run(tmp_path, "cnn")
    run.set_status("failed", "out of memory")
    with pytest.raises(DataError, match=r"no metrics\.json: the run is failed"):
        _ = run.metrics


def test_history_and_predictions_are_tables_of_numbers_and_exact_names(tmp_path):
    run = Run(tmp_path)
    run.path(runs.HISTORY).write_text("epoch,loss,val_loss\n1,0.5,\n2,0.25,1\n")
    run.path(runs.PREDICTIONS).write_text("path,true,predicted,confidence,NA,001\na.png,NA,001,0.75,0.25,0.75\n")
    assert run.history["loss"].tolist() == [0.5, 0.25]
    assert run.history["val_loss"].isna().tolist() == [True, False]
    assert run.predictions["true"].tolist() == ["NA"]
    assert run.predictions["001"].tolist() == [0.75]
