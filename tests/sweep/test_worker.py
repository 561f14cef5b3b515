"""What a worker says of a trial that did not come to its end."""

import errno

import pytest

from imgcls.errors import DataError
from imgcls.sweep import worker


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DataError("photos/ is empty"), "photos/ is empty"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (KeyError("lr"), "a bug in imgcls: KeyError: 'lr'"),
    ],
)
def test_a_trial_that_fails_says_whose_fault_it_is(monkeypatch, error, said):
    def fail(*_):
        raise error

    monkeypatch.setattr(worker, "_train", fail)
    outcome = worker._outcome({"asks": False}, None, None, None)
    assert outcome["end"] == "failed"
    assert said in outcome["message"]
    assert ("bug" in outcome["message"]) == isinstance(error, KeyError)
