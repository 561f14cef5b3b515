"""What a completed run holds is what was written: every file that is read has a checksum."""

import hashlib
import json
import operator

import pytest
from run_folders import make_run, write_history

from imgcls.comparison import compare
from imgcls.errors import DataError
from imgcls.experiment.saved import resolved_spec
from imgcls.runs import DamagedError, Run, layout

READERS = {
    layout.METRICS: operator.attrgetter("metrics"),
    layout.RESOLVED: resolved_spec,
    layout.ENVIRONMENT: operator.attrgetter("environment"),
    layout.TIMINGS: operator.attrgetter("timings"),
    layout.MANIFEST: operator.attrgetter("manifest"),
    layout.HISTORY: operator.attrgetter("history"),
    layout.PREDICTIONS: operator.attrgetter("answers"),
    layout.MODEL: Run.model,
}


@pytest.fixture
def run(tmp_path):
    run = make_run(tmp_path / "runs")
    write_history(run, [0.5, 0.75], [1, 1])
    run.path(layout.MODEL).write_bytes(b"PK and so on")
    run.complete()
    return run


def flip(path, place, bit=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_the_checksums_are_those_of_the_files_as_sha256sum_writes_them(run):
    lines = run.path(layout.CHECKSUMS).read_text().splitlines()
    assert {line[66:] for line in lines} > READERS.keys()
    for line in lines:
        assert line == f"{hashlib.sha256(run.path(line[66:]).read_bytes()).hexdigest()}  {line[66:]}"


@pytest.mark.parametrize("file", READERS)
def test_a_flipped_bit_is_noticed_whatever_it_says(run, file):
    whole = run.path(file).read_bytes()
    for place in (0, len(whole) // 2, len(whole) - 1):
        run.path(file).write_bytes(whole)
        flip(run.path(file), place)
        with pytest.raises(DamagedError, match=f"{file} is damaged: its SHA-256 is not that in SHA256SUMS"):
            READERS[file](Run(run.folder))


def test_a_flipped_bit_in_the_checksums_is_noticed(run):
    whole = run.path(layout.CHECKSUMS).read_bytes()
    for place in range(len(whole)):
        run.path(layout.CHECKSUMS).write_bytes(whole)
        flip(run.path(layout.CHECKSUMS), place, place % 8)
        found = []
        for file in READERS:
            try:
                run.checked(file)
            except DamagedError as error:
                found.append(str(error))
        concerned = whole[: place + 1].count(b"\n") - (whole[place] == 10)
        name = whole.splitlines()[concerned][66:].decode()
        assert found or name not in READERS, (place, name)


def test_show_and_compare_tell_of_it(run, tmp_path):
    other = make_run(tmp_path / "runs", "other")
    text = run.path(layout.METRICS).read_text()
    run.path(layout.METRICS).write_text(text.replace("0.6666", "0.7666", 1))
    assert json.loads(run.path(layout.METRICS).read_text())["accuracy"] != other.metrics["accuracy"]
    assert any("metrics.json is damaged" in note for note in compare([run, other]).notes)


def test_a_run_without_checksums_is_read_as_it_is(run):
    run.path(layout.CHECKSUMS).unlink()
    flip(run.path(layout.MODEL), 5)
    assert run.checked(layout.MODEL) == run.path(layout.MODEL)


def test_what_people_write_or_other_commands_add_has_none(run):
    for file in (layout.SPEC, layout.LOG, layout.EVALUATIONS, layout.REPORT_HTML, layout.CONFUSION_PNG):
        run.path(file).write_text("something else")
        assert run.checked(file)


def test_a_run_that_goes_on_has_none(run):
    run.set_status("running")
    assert not run.path(layout.CHECKSUMS).exists()
    run.path(layout.METRICS).unlink()
    with pytest.raises(DataError, match=r"has no metrics\.json: the run is running"):
        run.checked(layout.METRICS)
