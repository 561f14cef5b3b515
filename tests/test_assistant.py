"""A process of imgcls' own has a second one beside it; what that cannot do, or fails at, is done in the first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgcls import assistant, importing


@pytest.fixture
def claimed(monkeypatch):
    monkeypatch.setattr(importing, "_is_own", True)
    monkeypatch.setattr(assistant, "_employed", [])
    yield
    for each in assistant._employed:
        each.end()


def test_another_process_than_the_command_has_none(monkeypatch):
    monkeypatch.setattr(importing, "_is_own", False)
    assistant.employ(["json"])
    assert not assistant.is_employed()
    assert assistant.ask(os.getpid) == os.getpid()


def test_without_one_nothing_is_done_before_it_is_asked_for():
    done = []
    collect = assistant.hand_over(done.append, 1)
    assert not done
    collect()
    assert done == [1]


def test_it_works_beside_this_process_in_the_order_of_the_calls(claimed):
    assistant.employ(["json"])
    assistant.employ(["json"])
    process = assistant.ask(os.getpid)
    assert process != os.getpid()
    collect = [assistant.hand_over(divmod, number, 3) for number in range(20)]
    assert [each() for each in reversed(collect)] == [divmod(number, 3) for number in reversed(range(20))]
    assert assistant.ask(os.getpid) == process


def test_it_has_imported_what_it_was_told_to(claimed):
    assistant.employ(["no_such_module", "colorsys"])
    assert assistant.ask(eval, "'colorsys' in __import__('sys').modules")


def test_an_error_is_raised_as_it_would_be_here(claimed):
    assistant.employ([])
    with pytest.raises(ValueError, match="invalid literal") as caught:
        assistant.ask(int, "seven")
    assert "int" in str(caught.value)
    assert assistant.ask(os.getpid) != os.getpid()


def test_what_is_printed_there_is_no_answer(claimed):
    assistant.employ([])
    assert assistant.ask(print, "some words") is None
    assert assistant.ask(os.system, "echo others") == 0
    assert assistant.ask(len, "x" * 1_000_000) == 1_000_000


def test_what_cannot_be_sent_back_is_made_here(claimed):
    assistant.employ([])
    assert list(assistant.ask(eval, "(number for number in (1, 2))")) == [1, 2]


def test_the_work_of_one_that_was_killed_is_done_here(claimed):
    assistant.employ([])
    os.kill(assistant.ask(os.getpid), signal.SIGKILL)
    assert assistant.ask(os.getpid) == os.getpid()
    assert assistant.ask(divmod, 7, 3) == (2, 1)
    assert assistant.ask(len, "x" * 1_000_000) == 1_000_000


def test_a_system_that_refuses_it_does_no_harm(claimed, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(assistant, "start_module", refuse)
    assistant.employ([])
    assert not assistant.is_employed()
    assert assistant.ask(len, "four") == 4


EMPLOYING = """
import os, sys, time
from imgcls import assistant, importing
importing.claim_process()
assistant.employ([])
print(assistant.ask(os.getpid), flush=True)
{then}
"""


def employer(folder, then, **variables):
    command = [sys.executable, "-c", EMPLOYING.format(then=then)]
    return subprocess.Popen(command, cwd=folder, env=os.environ | variables, stdout=subprocess.PIPE, text=True)


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a process lives is read from /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, None])
def test_it_ends_with_the_process_however_that_ends(tmp_path, end):
    with employer(tmp_path, "time.sleep(60)" if end else "os._exit(0)") as first:
        second = int(first.stdout.readline())
        if end:
            first.send_signal(end)
    deadline = time.monotonic() + 20
    while is_alive(second):
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)


def test_no_file_of_the_working_folder_hides_a_module_from_it(tmp_path):
    (tmp_path / "pickle.py").write_text("raise SystemExit('not the one')")
    command = [sys.executable, "-P", "-c", EMPLOYING.format(then="print(os.getpid())")]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert found[0] != found[1]


@pytest.mark.parametrize("words", ["Total", "Intel\\n", "\\x80\\x04N.", "one\\ntwo"])
def test_what_is_printed_before_it_begins_is_no_answer(tmp_path, words):
    (tmp_path / "sitecustomize.py").write_text(f"print('{words}', end='', flush=True)")
    with employer(tmp_path, "print('', os.getpid())", PYTHONPATH=str(tmp_path)) as first:
        printed = first.stdout.read().split()
    assert printed[-2] != printed[-1]
    assert first.returncode == 0


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
@pytest.mark.parametrize("end", ["sys.exit(3)", "os.kill(os.getpid(), 2)"])
def test_no_end_waits_for_it(tmp_path, end):
    then = f"second = assistant.ask(os.getpid); os.kill(second, 19); assistant.hand_over(len, 'four'); {end}"
    with employer(tmp_path, then) as first:
        second = int(first.stdout.readline())
        try:
            assert first.wait(20) == (3 if end.startswith("sys") else -signal.SIGINT)
        finally:
            os.kill(second, signal.SIGKILL)


def test_an_employer_that_gets_no_thread_does_without(claimed, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(assistant.threading.Thread, "start", refuse)
    assistant.employ([])
    assert not assistant.is_employed()


TRAINING = """
import sys
from imgcls import assistant, importing, train
{claim}
run = train({{"data": {{"source": "digits", "limit": {{"train": 200}}}}, "architecture": ["flatten"], "epochs": 1}},
            runs_dir=sys.argv[1])
print(run.folder, *({{"matplotlib", "sklearn.metrics"}} & set(sys.modules)))
"""


def test_a_run_has_the_same_figures_and_pictures_with_and_without_it(tmp_path):
    from imgcls import Run

    folders = []
    for claim in ("", "importing.claim_process()"):
        command = [sys.executable, "-c", TRAINING.format(claim=claim), str(tmp_path)]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        folders.append(Run(printed[0]))
        has_imported = len(printed) > 1
        assert has_imported is not bool(claim)
    here, there = folders
    assert here.metrics == there.metrics
    pictures = sorted(path.name for path in here.folder.glob("*.png"))
    assert pictures == ["confusion_matrix.png", "curves.png", "reliability.png"]
    for name in ("confusion_matrix.png", "reliability.png"):
        assert here.path(name).read_bytes() == there.path(name).read_bytes()
