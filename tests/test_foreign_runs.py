"""A run folder of a stranger leads nowhere: not out of itself, not to the user's files, not to the terminal."""

import json
import os

import pytest
import yaml
from run_folders import make_repeats, make_run, make_unfinished

from imgcls.catalog import find_run
from imgcls.checkpoints import Checkpoints, Stored
from imgcls.errors import DataError, ImgclsError
from imgcls.evaluations import record_evaluation
from imgcls.experiment import resolved_spec, resume
from imgcls.files import write_json
from imgcls.runs import DamagedError, Run, layout
from imgcls_cli.app import main

FILES = [
    layout.METRICS,
    layout.RESOLVED,
    layout.MANIFEST,
    layout.PREDICTIONS,
    layout.STATUS,
    layout.ENVIRONMENT,
    layout.SPEC,
]


@pytest.fixture
def secret(tmp_path):
    """A file of the user's."""
    (tmp_path / "secret").write_text("password: hunter2\n")
    return tmp_path / "secret"


def edited(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "place", ["../other", "../../secret", "/etc", "repeat-1/../../other", ".", "", "repeat-0", "x\x1b[2J"]
)
def test_a_repeat_does_not_lie_elsewhere(tmp_path, place):
    make_run(tmp_path / "runs", "other")
    group = make_repeats(tmp_path / "runs", rights=(20, 22))
    rows = group.repeats["runs"]
    edited(group.path(layout.REPEATS_JSON), runs=[rows[0] | {"folder": place}, rows[1]])
    with pytest.raises(DamagedError, match="no repeat is called") as caught:
        _ = Run(group.folder).members
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("file", FILES)
def test_a_link_in_a_run_folder_is_not_followed(tmp_path, secret, file):
    run = make_run(tmp_path / "runs")
    run.path(file).unlink()
    run.path(file).symlink_to(secret)
    with pytest.raises(DamagedError, match=r"is a link or no file") as caught:
        run.path(file)
    assert str(run.folder / file) in str(caught.value)


@pytest.mark.parametrize("command", ["show", "report", "list", "predict"])
@pytest.mark.parametrize("file", [layout.METRICS, layout.RESOLVED, layout.SPEC])
def test_no_command_shows_what_a_link_leads_to(tmp_path, secret, capsys, command, file):
    run = make_run(tmp_path / "runs")
    run.path(file).unlink()
    run.path(file).symlink_to(secret)
    more = {"list": [], "predict": [str(run.folder), str(secret)]}
    code = main([command, *more.get(command, [str(run.folder)]), "--runs-dir", str(tmp_path / "runs")])
    said = capsys.readouterr()
    assert code in (0, 2, 3), said.err
    report = run.folder / layout.REPORT_HTML
    assert "hunter2" not in said.out + said.err + (report.read_text() if report.exists() else "")


def test_a_pipe_in_a_run_folder_is_not_waited_for(tmp_path):
    run = make_run(tmp_path / "runs")
    run.path(layout.METRICS).unlink()
    os.mkfifo(run.folder / layout.METRICS)
    with pytest.raises(DamagedError, match="is a link or no file"):
        _ = Run(run.folder).metrics


def test_a_repeat_that_is_a_link_is_not_followed(tmp_path):
    other = make_run(tmp_path / "runs", "other")
    group = make_repeats(tmp_path / "runs", rights=(20, 22))
    (group.folder / "repeat-1").rename(tmp_path / "away")
    (group.folder / "repeat-1").symlink_to(other.folder)
    with pytest.raises(DamagedError, match="repeat-1 is refused"):
        _ = Run(group.folder).members
    with pytest.raises(DamagedError, match="repeat-1 is refused"):
        find_run(f"{group.name}/repeat-1", tmp_path / "runs")


@pytest.mark.parametrize("file", [layout.LOG, ".resume", layout.CHECKPOINT, layout.HISTORY])
def test_resuming_writes_to_nothing_that_a_link_leads_to(tmp_path, file):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".profile").write_text("export A=1\n")
    run = make_unfinished(tmp_path / "runs")
    write_json(run.path(layout.ENVIRONMENT), {"device": {"threads": 1}})
    (run.folder / file).symlink_to(home if file == layout.CHECKPOINT else home / ".profile")
    with pytest.raises(DamagedError, match="is a link or no file"):
        resume(run)
    assert (home / ".profile").read_text() == "export A=1\n"


def test_an_evaluation_is_not_noted_in_a_file_elsewhere(tmp_path, secret):
    run = make_run(tmp_path / "runs")
    (run.folder / layout.EVALUATIONS).symlink_to(secret)
    (tmp_path / "runs" / layout.EVALUATIONS).symlink_to(secret)
    assert [each.code for each in record_evaluation(run, run.metrics)] == ["evaluation_not_counted"] * 2
    assert secret.read_text() == "password: hunter2\n"


def test_clearing_checkpoints_leaves_hidden_files_alone(tmp_path):
    store = Checkpoints(tmp_path / "checkpoint")
    store.write(Stored({}, {}))
    for name in (".000002.npz.abc123.npz", ".profile", ".ssh.npz"):
        (store.folder / name).write_text("mine")
    store.clear()
    assert sorted(each.name for each in store.folder.iterdir()) == [".profile", ".ssh.npz"]


def test_a_billion_values_in_a_few_lines_are_refused(tmp_path):
    run = make_run(tmp_path / "runs")
    levels = [f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 10)}]" for level in range(1, 10)]
    run.path(layout.RESOLVED).write_text("\n".join(["x0: &x0 [1]", *levels]))
    with pytest.raises(DamagedError, match="it has an alias"):
        _ = Run(run.folder).settings


def test_images_of_ten_billion_pixels_are_not_made(tmp_path):
    run = make_run(tmp_path / "runs", overrides={"resolution": [100_000, 100_000]})
    with pytest.raises(DataError, match=r"resolved\.yaml has images of \(100000, 100000\)"):
        resolved_spec(run)


def test_no_yaml_of_a_run_makes_objects(tmp_path):
    run = make_run(tmp_path / "runs")
    for text in ("name: !!python/object/apply:os.system ['touch executed']", "name: !!python/name:os.system"):
        run.path(layout.RESOLVED).write_text(f"data: digits\n{text}\n")
        with pytest.raises(ImgclsError):
            _ = Run(run.folder).settings
        assert main(["predict", str(run.folder), str(tmp_path)]) == 3
    assert not list(tmp_path.rglob("executed"))


@pytest.mark.parametrize("file", [layout.METRICS, layout.STATUS, layout.ENVIRONMENT])
@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "\ud800".encode("utf-8", "surrogatepass"), b"\xff"]
)
def test_json_without_sense_is_damage(tmp_path, file, content):
    run = make_run(tmp_path / "runs")
    run.path(file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["show", str(run.folder)]) in (0, 3)  # with a warning, or instead of the run
    assert main(["report", str(run.folder)]) in (0, 3)


HOSTILE = "\x1b]0;owned\x07[bold red]</script><script>alert(1)</script>\u202e"


def test_names_are_neither_terminal_codes_nor_html(tmp_path, capsys):
    run = make_run(tmp_path / "runs", classes=("cat", HOSTILE))
    settings = yaml.safe_load(run.path(layout.RESOLVED).read_text()) | {"notes": HOSTILE, "tags": [HOSTILE]}
    run.path(layout.RESOLVED).write_text(yaml.safe_dump(settings))
    edited(run.path(layout.STATUS), message=HOSTILE, state="failed")
    for command in (["show"], ["report"], ["compare", str(run.folder)]):
        assert main([*command, str(run.folder)]) == 0
    assert main(["list", "--runs-dir", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr()
    assert "\x1b]" not in said.out + said.err
    assert "<script>alert" not in (run.folder / layout.REPORT_HTML).read_text()


def test_optuna_keeps_no_pickles_in_a_database():
    """Its journal does; a sweep's study is a database, whose values are JSON."""
    import inspect

    from optuna.storages._rdb import models, storage

    assert not any("pickle" in inspect.getsource(each).lower() for each in (models, storage))


def test_a_sweeps_database_that_is_a_link_is_not_opened(tmp_path, secret):
    sweep = make_unfinished(tmp_path / "runs")
    (sweep.folder / layout.STUDY).symlink_to(secret)
    with pytest.raises(DamagedError, match=r"study\.db is refused"):
        sweep.path(layout.STUDY)
