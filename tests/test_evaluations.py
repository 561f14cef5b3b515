"""The test part is counted: each look at it has a row, and many of them are told."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from run_folders import make_repeats, make_run

from imgcls.catalog import runs_dir_of
from imgcls.comparison import compare
from imgcls.comparison.uses import expected_lead
from imgcls.evaluations import COLUMNS, evaluations_in, images_digest, record_evaluation
from imgcls.files import write_json
from imgcls.runs import Run, layout


def measured(run, images="abc", split="test", times=1):
    """Count a run as measured on some images."""
    metrics = run.metrics | {"images_sha256": images, "split": split}
    write_json(run.path(layout.METRICS), metrics)
    run.__dict__.pop("metrics")
    for _ in range(times):
        record_evaluation(run, metrics)
    return run


def told(runs_):
    return [note for note in compare(runs_).notes if "have been measured" in note]


def test_an_evaluation_has_a_row_with_its_run_and_among_all_runs(tmp_path):
    run = measured(make_run(tmp_path), times=2)
    assert len(evaluations_in(run.folder)) == 2
    (first, _) = evaluations_in(tmp_path)
    assert (first["run"], first["images_sha256"], first["n"]) == (run.name, "abc", "30")
    assert (tmp_path / layout.EVALUATIONS).read_text().splitlines()[0] == ",".join(COLUMNS)


def test_a_row_that_a_full_disk_cut_short_is_told_and_spoils_no_other(tmp_path, monkeypatch):
    run, write = make_run(tmp_path), os.write
    measured(run)
    with monkeypatch.context() as patch:
        patch.setattr("imgcls.evaluations.os.write", lambda handle, data: write(handle, data[:20]))
        findings = record_evaluation(run, run.metrics)
    assert [finding.message for finding in findings] == [
        f"cannot write {folder / layout.EVALUATIONS}: No space left on device" for folder in (run.folder, tmp_path)
    ]
    measured(run)
    assert len(evaluations_in(tmp_path)) == len(evaluations_in(run.folder)) == 2


def test_choosing_the_best_of_many_is_pointed_out_with_what_it_is_worth(tmp_path):
    few = [measured(make_run(tmp_path, f"run{index}")) for index in range(4)]
    assert told(few) == []
    many = [*few, measured(make_run(tmp_path, "fifth"), times=3)]
    (note,) = told(many[:2])
    assert "measured 7 times, of 5 experiments" in note
    assert "up to 10.2 points better" in note  # 1.18 standard errors of 20 of 30


def test_it_is_said_once_of_runs_with_other_accuracies(tmp_path):
    many = [measured(make_run(tmp_path, f"run{right}", right=right, wrong=30 - right)) for right in range(20, 26)]
    (note,) = told(many)
    assert "of 6 experiments" in note


def test_other_images_and_parts_are_not_counted(tmp_path):
    measured(make_run(tmp_path, "other"), images="xyz", times=9)
    measured(make_run(tmp_path, "validation"), split="validation", times=9)
    pair = [measured(make_run(tmp_path, name)) for name in ("a", "b")]
    assert told(pair) == []


def test_repeats_are_one_experiment(tmp_path):
    group = make_repeats(tmp_path)
    for member in group.members:
        measured(member)
    assert {runs_dir_of(member) for member in group.members} == {tmp_path.resolve()}
    alone = measured(make_run(tmp_path, "alone"))
    assert told([group, alone]) == []
    (row,) = [row for row in compare([group, alone]).metrics if row.key == "test_evaluations"]
    assert row.values == (5, 1)


def test_damaged_repeats_are_not_counted(tmp_path):
    group, alone = make_repeats(tmp_path), make_run(tmp_path, "alone")
    group.path(layout.REPEATS_JSON).write_text('{"repeats": 3}')
    assert any("damaged" in note for note in compare([Run(group.folder), alone]).notes)


def test_runs_that_nobody_counted_have_no_row(tmp_path):
    found = compare([make_run(tmp_path, "a"), make_run(tmp_path, "b")])
    assert "test_evaluations" not in [row.key for row in found.metrics]


def test_what_is_no_whole_row_is_left_out(tmp_path):
    run = measured(make_run(tmp_path), times=2)
    with (tmp_path / layout.EVALUATIONS).open("ab") as file:
        file.write(b"2026-01-01,cut,te\n\xff\0,,\n")
    assert len(evaluations_in(tmp_path)) == 2
    assert evaluations_in(run.folder / "nowhere") == []


def test_processes_write_at_once_and_no_row_is_lost(tmp_path):
    code = (
        "import sys; from imgcls.evaluations import record_evaluation; from imgcls.runs import Run\n"
        "for number in range(50): record_evaluation(Run(sys.argv[1]), {'split': 'test', 'n': number})"
    )
    folders = [make_run(tmp_path, f"run{index}").folder for index in range(3)]
    started = [subprocess.Popen([sys.executable, "-c", code, folder]) for folder in folders]
    assert [process.wait() for process in started] == [0, 0, 0]
    rows = evaluations_in(tmp_path)
    assert sorted((row["run"], int(row["n"])) for row in rows) == [
        (folder.name, number) for folder in sorted(folders) for number in range(50)
    ]


def test_a_set_of_images_is_known_by_content_and_labels_in_any_order():
    images = [(bytes([number]) * 32, "cat") for number in range(5)]
    assert images_digest(images) == images_digest(reversed(images))
    assert images_digest(images) != images_digest([*images[1:], (images[0][0], "dog")])
    assert images_digest(images) != images_digest(images[1:])


@pytest.mark.parametrize("count", [2, 5, 12, 144])
def test_the_lead_of_the_best_is_that_of_simulated_networks(count):
    draws = np.random.default_rng(0).binomial(700, 0.8, (20_000, count)).max(axis=1) / 700 - 0.8
    assert expected_lead(0.8, 700, count) == pytest.approx(draws.mean(), rel=0.06)


def test_the_command_shows_it(tmp_path, capsys):
    from imgcls_cli.app import main

    for name in ("a", "b"):
        measured(make_run(tmp_path, name))
    main(["compare", "a", "b", "--runs-dir", str(tmp_path), "--json"])
    assert "test_evaluations" in [row["key"] for row in json.loads(capsys.readouterr().out)["metrics"]]
