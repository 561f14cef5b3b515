"""One process at a folder; and what happens where the file system has no locks."""

import errno

import pytest

from imgcls.data import Cache
from imgcls.errors import DataError, RunError
from imgcls.locking import alone


def test_one_process_at_a_time_and_nothing_is_left(tmp_path):
    with (
        alone(tmp_path / ".resume"),
        pytest.raises(DataError, match="is running: another process is at it"),
        alone(tmp_path / ".resume"),
    ):
        pass
    with alone(tmp_path / ".resume"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(
    params=[
        OSError(errno.ENOLCK, "No locks available"),
        OSError(errno.ENOSYS, "Function not implemented"),
        OSError(errno.EOPNOTSUPP, "Operation not supported"),
    ]
)
def without_locks(request, monkeypatch):
    def flock(descriptor, operation):
        raise request.param

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_what_a_killed_process_left_keeps_nobody_out(tmp_path):
    (tmp_path / ".resume").write_text("4242\nanother-host\n")
    with alone(tmp_path / ".resume"):
        pass


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_run_is_gone_on_with_and_the_log_says_so(tmp_path, caplog):
    with alone(tmp_path / ".resume"):
        pass
    assert f"{tmp_path} has no locks" in caplog.text


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_cache_is_refused_with_path_reason_and_way_out(tmp_path):
    said = r"cannot write prepared data to .*: its file system has no locks; IMGCLS_CACHE or --cache-dir"
    with pytest.raises(RunError, match=said), Cache(tmp_path).lock("key"):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write in .*file"), alone(tmp_path / "file" / ".resume"):
        pass
