"""Keras is imported without the packages that imgcls does not need, in processes of its own alone."""

import gc
import subprocess
import sys
import threading

import pytest

from imgcls import assistant, importing
from imgcls.experiment import measuring

OPTIONAL = ["matplotlib", "pandas", "sklearn"]
SCRIPT = """
import gc, sys
from imgcls import backend
from imgcls.importing import claim_process
{claim}
backend.import_quietly()
print(*(name for name in {names} if name in sys.modules))
assert gc.isenabled()
frozen = gc.get_freeze_count()
{check_frozen}
backend.import_quietly()
assert gc.get_freeze_count() == frozen
import keras, numpy, pandas, sklearn.metrics
network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
network.compile(loss="mse")
{fit}
"""
FITTED_TO_A_TABLE = "network.fit(pandas.DataFrame(numpy.ones((4, 2))), numpy.ones(4), verbose=0)"
FITTED_TO_AN_ARRAY = "network.fit(numpy.ones((4, 2)), numpy.ones(4), verbose=0)"


def printed(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def imported(claim, check_frozen, fit):
    return printed(SCRIPT.format(claim=claim, names=OPTIONAL, check_frozen=check_frozen, fit=fit))


def test_a_process_of_its_own_leaves_them_out_until_they_are_needed():
    assert imported("claim_process()", "assert frozen > 100_000", FITTED_TO_AN_ARRAY) == []


def test_another_process_has_keras_whole():
    assert "pandas" in imported("", "assert frozen == 0", FITTED_TO_A_TABLE)


@pytest.fixture
def colorsys(monkeypatch):
    monkeypatch.setattr(importing, "_PACKAGES", frozenset({"colorsys"}))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    yield
    gc.unfreeze()


def found_by_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(__import__("colorsys")))
    thread.start()
    thread.join()
    return bool(found)


def test_only_the_thread_that_imports_keras_does_without(colorsys, monkeypatch):
    monkeypatch.setattr(importing, "_is_own", True)
    with importing.sparing("tensorflow"):
        with pytest.raises(ModuleNotFoundError, match="colorsys"):
            __import__("colorsys")
        assert found_by_another_thread()
    assert __import__("colorsys").rgb_to_hsv


def test_the_backend_itself_is_found(colorsys, monkeypatch):
    monkeypatch.setattr(importing, "_is_own", True)
    with importing.sparing("colorsys"):
        assert __import__("colorsys").rgb_to_hsv


def test_nothing_is_left_out_unless_the_process_is_claimed(colorsys):
    with importing.sparing("tensorflow"):
        assert __import__("colorsys").rgb_to_hsv


def threads_of(call):
    """Call it and wait for the threads that it started; return what they did not catch."""
    before, uncaught = set(threading.enumerate()), []
    hook, threading.excepthook = threading.excepthook, uncaught.append
    try:
        call()
        for thread in set(threading.enumerate()) - before:
            thread.join()
    finally:
        threading.excepthook = hook
    return uncaught


def test_what_the_evaluation_needs_is_imported_ahead():
    script = """if True:
        import sys, threading
        from imgcls.experiment import measuring
        assert "sklearn" not in sys.modules
        measuring.import_ahead()
        for thread in set(threading.enumerate()) - {threading.main_thread()}:
            thread.join()
        print(*sorted({"sklearn.metrics", "matplotlib.figure"} & set(sys.modules)))"""
    assert printed(script) == ["matplotlib.figure", "sklearn.metrics"]


def test_what_cannot_be_imported_ahead_is_told_where_it_is_needed(monkeypatch):
    tried = []

    def fail(name):
        tried.append(name)
        raise ImportError(name)

    monkeypatch.setattr(assistant, "import_module", fail)
    assert not threads_of(measuring.import_ahead)
    assert tried == list(measuring._MODULES)
