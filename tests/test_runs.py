import json
import logging
import os
from datetime import datetime
from pathlib import Path

import pytest
from run_folders import make_run

from imgcls.catalog import find_run, full_name, list_runs, refuse_groups
from imgcls.errors import DataError, RunError
from imgcls.recording import recorded
from imgcls.runs import Run, check_writable, create_run, layout

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
    first.path(layout.LOG).write_text("kept")
    assert start(tmp_path, "cnn").folder != first.folder
    assert first.path(layout.LOG).read_text() == "kept"


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "x" * 300, "漢" * 300, "ein Name", "\x1b[31m"])
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


def test_a_name_that_several_runs_share_means_the_newest(tmp_path):
    start(tmp_path, "cnn", JANUARY)
    newest = start(tmp_path, "cnn", FEBRUARY)
    assert find_run("cnn", tmp_path).folder == find_run("cn", tmp_path).folder == newest.folder


def test_a_repeat_within_one_second_is_the_newest_too_but_not_a_run_that_is_called_so(tmp_path):
    first, second = (start(tmp_path, "cnn") for _ in "12")
    assert find_run("cnn", tmp_path).folder == second.folder
    second.path(layout.RESOLVED).write_text("name: cnn-2\n")
    assert find_run("cnn", tmp_path).folder == first.folder
    assert find_run("cnn-2", tmp_path).folder == second.folder


def test_no_name_is_no_run(tmp_path):
    start(tmp_path, "cnn")
    with pytest.raises(DataError, match="empty name"):
        find_run("", tmp_path)


def test_runs_of_one_second_are_listed_in_the_order_they_were_made(tmp_path):
    made = [start(tmp_path, "n") for _ in range(11)]
    assert [run.name for run in list_runs(tmp_path)] == [run.name for run in made]
    assert find_run("latest", tmp_path).folder == made[-1].folder


def test_runs_of_one_second_with_different_names_are_listed_by_when_they_were_written(tmp_path):
    made = [start(tmp_path, name) for name in ("z", "resnet-50", "a")]
    for age, run in enumerate(made):
        os.utime(run.path(layout.STATUS), (1e9 + age, 1e9 + age))
    assert [run.name for run in list_runs(tmp_path)] == [run.name for run in made]


@pytest.mark.parametrize("name", ["repeat-01", "repeat-0", "repeat-", "repeat-1-2", "1"])
def test_a_folder_beside_the_repeats_is_none_of_them(tmp_path, name):
    group = start(tmp_path, "cnn")
    (group.folder / name).mkdir()
    run = Run(group.folder / name)
    run.set_status("completed")
    assert full_name(run) == name
    with pytest.raises(DataError, match="no run"):
        find_run(f"cnn/{name}", tmp_path)


@pytest.mark.parametrize("inside", ["", "deep/er"])
def test_a_runs_folder_that_is_a_file_is_called_so_and_nothing_is_made(tmp_path, inside):
    (tmp_path / "file").write_text("")
    for make in (lambda folder: create_run(folder, "cnn"), check_writable):
        with pytest.raises(RunError, match="file is a file"):
            make(tmp_path / "file" / inside)


def test_a_runs_folder_need_not_exist_to_be_writable_and_is_not_made(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_runs_folder_that_must_not_be_written_to_is_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(RunError, match="must not be written to"):
        check_writable(tmp_path / "runs")


def test_an_unknown_reference_gets_the_nearest_name(tmp_path):
    start(tmp_path, "resnet")
    with pytest.raises(DataError, match="did you mean resnet"):
        find_run("resent", tmp_path)


def repeated(runs_dir, name="cnn", repeats=(1, 2, 10)):
    """A folder of repeats that has these."""
    group = start(runs_dir, name)
    for number in repeats:
        member = Run(group.folder / f"repeat-{number}")
        member.folder.mkdir()
        member.set_status("completed")
    rows = [{"folder": f"repeat-{number}", "state": "completed"} for number in repeats]
    group.path(layout.REPEATS_JSON).write_text(json.dumps({"repeats": 10, "runs": rows, "summary": {}}))
    return group


def test_a_repeat_is_named_behind_its_run_however_that_is_named(tmp_path):
    group = repeated(tmp_path)
    for reference in ("cnn", "cn", "latest", group.name, str(group.folder)):
        found = find_run(f"{reference}/repeat-2", tmp_path)
        assert found.folder == group.folder / "repeat-2", reference
        assert full_name(found) == f"{group.name}/repeat-2"
    assert [run.name for run in list_runs(tmp_path)] == [group.name]
    assert [run.name for run in group.members] == ["repeat-1", "repeat-2", "repeat-10"]


def test_a_repeat_that_is_not_there_gets_those_that_are(tmp_path):
    repeated(tmp_path)
    with pytest.raises(DataError, match=r"cnn has no repeat-3; it has repeat-1, repeat-2, repeat-10$"):
        find_run("cnn/repeat-3", tmp_path)


def test_where_one_network_is_needed_a_folder_of_repeats_is_refused(tmp_path):
    group = repeated(tmp_path)
    with pytest.raises(DataError, match=r"is a folder of 10 repeats; name one: .*_cnn/repeat-1 \(it has repeat-1, "):
        refuse_groups(group)
    refuse_groups(group.members[0])
    with pytest.raises(DataError, match="is a folder of 10 repeats; none has begun"):
        refuse_groups(repeated(tmp_path, "none", repeats=()))


@pytest.mark.parametrize("reference", ["latest", "cnn"])
def test_where_there_are_no_runs_that_is_said(tmp_path, reference):
    with pytest.raises(DataError, match="there are no runs"):
        find_run(reference, tmp_path / "none")


def test_other_files_and_hidden_folders_are_no_runs(tmp_path):
    start(tmp_path, "cnn")
    (tmp_path / "README.md").write_text("")
    (tmp_path / "notes").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / layout.STATUS).write_text("{}")
    assert [run.name for run in list_runs(tmp_path)] == ["2026-11-21_12-00-00_cnn"]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path):
    run = create_run(tmp_path, "cnn")
    run.set_status("running")
    assert run.status.state == "running"
    record = json.loads(run.path(layout.STATUS).read_text())
    run.path(layout.STATUS).write_text(json.dumps({**record, "process_start": "1"}))  # the number was given anew
    assert run.status.state == "interrupted"
    assert record["pid"] == os.getpid()


def test_a_folder_without_a_status_never_began(tmp_path):
    assert Run(tmp_path).status.state == "interrupted"


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '{"state"', "{}", '{"accuracy": 0.5}'])
def test_a_damaged_file_is_called_so(tmp_path, text):
    run = Run(tmp_path)
    run.path(layout.METRICS).write_text(text)
    with pytest.raises(DataError, match="damaged"):
        _ = run.metrics


@pytest.mark.parametrize("text", ["{}", '{"state": 3}', '{"state": "running"}', "[]", "{"])
def test_a_damaged_status_is_called_so(tmp_path, text):
    run = Run(tmp_path)
    run.path(layout.STATUS).write_text(text)
    with pytest.raises(DataError, match="damaged"):
        _ = run.status


def test_a_run_without_a_result_says_its_state(tmp_path):
    run = create_run(tmp_path, "cnn")
    run.set_status("failed", "out of memory")
    with pytest.raises(DataError, match=r"no metrics\.json: the run is failed"):
        _ = run.metrics


@pytest.mark.parametrize(
    ("file", "text"),
    [(layout.TIMINGS, '{"total": "x"}'), (layout.ENVIRONMENT, '{"device": 3}'), (layout.METRICS, '{"classes": 3}')],
)
def test_a_value_of_another_kind_is_damage(tmp_path, file, text):
    run = Run(tmp_path)
    run.path(file).write_text(text)
    with pytest.raises(DataError, match=r"damaged: (no|a wrong) \w+$"):
        _ = getattr(run, file.removesuffix(".json"))


def test_a_completed_run_without_a_result_is_called_marked_completed(tmp_path):
    with pytest.raises(DataError, match=r"has no metrics\.json, though the run is marked completed"):
        _ = start(tmp_path, "cnn").metrics


def test_the_manifest_has_a_row_an_image(tmp_path):
    run = Run(tmp_path)
    run.path(layout.MANIFEST).write_text("path,label,split,sha256\na.png,'=cat,test,00\n")
    assert run.manifest == [{"path": "a.png", "label": "=cat", "split": "test", "sha256": "00"}]
    assert run.manifest is run.manifest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path\na.png\n",
        "path,label,split,sha256\na.png,cat\n",
        "path,label,split,sha256\na.png,cat,test,0",
        "\udcff\n",
    ],
)
def test_a_cut_manifest_is_damaged_in_words_of_its_own(tmp_path, text):
    run = Run(tmp_path)
    run.path(layout.MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="damaged") as caught:
        _ = run.manifest
    assert "zip()" not in str(caught.value)


def test_a_cut_history_is_damaged(tmp_path):
    run = Run(tmp_path)
    run.path(layout.HISTORY).write_text("epoch,loss\n1\n")
    with pytest.raises(DataError, match=r"history\.csv is damaged"):
        _ = run.history


def test_history_and_predictions_are_tables_of_numbers_and_exact_names(tmp_path):
    run = Run(tmp_path)
    run.path(layout.HISTORY).write_text("epoch,loss,val_loss\n1,0.5,\n2,0.25,1\n")
    run.path(layout.PREDICTIONS).write_text("path,true,predicted,confidence,NA,001\na.png,NA,001,0.75,0.25,0.75\n")
    assert run.history["loss"].tolist() == [0.5, 0.25]
    assert run.history["val_loss"].isna().tolist() == [True, False]
    assert run.predictions["true"].tolist() == ["NA"]
    assert run.predictions["001"].tolist() == [0.75]


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 50_000])
def test_settings_that_are_nested_without_end_are_damage_and_no_crash(tmp_path, text):
    run = create_run(tmp_path, "one")
    run.path(layout.RESOLVED).write_text(text)
    with pytest.raises(DataError, match="damaged"):
        _ = run.settings


@pytest.fixture
def full_disk(monkeypatch):
    def full(path, value):
        raise RunError(f"cannot write {path}: No space left on device")

    return lambda: monkeypatch.setattr("imgcls.runs.run.write_json", full)


def test_a_state_that_cannot_be_written_hides_no_error_and_does_not_stay_running(tmp_path, full_disk):
    run = create_run(tmp_path, "cnn")
    run.path(layout.ENVIRONMENT).write_text("{}")

    def fail():
        full_disk()
        raise RunError("cannot write model.keras: No space left on device")

    with pytest.raises(RunError, match=r"model\.keras"), recorded(run):
        fail()
    assert (run.status.state, run.status.message) == ("interrupted", "how it ended is not known")
    assert "status.json: No space left" in run.path(layout.LOG).read_text()


def test_a_run_whose_end_cannot_be_written_is_not_left_running(tmp_path, full_disk):
    run = create_run(tmp_path, "cnn")
    with pytest.raises(RunError, match=r"cannot write .*status\.json"), recorded(run):
        full_disk()
    assert run.status.state == "interrupted"


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    run = create_run(tmp_path, "cnn")
    run.path(layout.LOG).mkdir()
    with pytest.raises(RunError, match=r"cannot write .*train\.log: Is a directory"), recorded(run):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_is_cut_short_ends_no_run_and_prints_no_traceback(tmp_path, capsys, monkeypatch):
    run = create_run(tmp_path, "cnn")
    monkeypatch.setattr(logging.FileHandler, "_open", lambda _: Path("/dev/full").open("w"))  # noqa: SIM115 - logging closes it
    with recorded(run):
        logging.getLogger("imgcls").warning("a line")
    assert run.status.state == "completed"
    assert capsys.readouterr().err == ""


def test_a_clock_that_is_not_set_is_told(tmp_path):
    with pytest.raises(RunError, match="the clock of this machine says 1970-01-01"):
        create_run(tmp_path, "a", now=datetime(1970, 1, 1).astimezone())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_must_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    run = make_run(tmp_path)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"status\.json cannot be read: Permission denied$"):
        _ = run.status
