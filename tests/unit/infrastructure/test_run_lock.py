"""One long run at a time, across processes, and never a lock that outlives its holder."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.infrastructure.run_lock import LOCKED, RunLock

DESCRIPTORS = Path("/proc/self/fd")
HOLD = """
import sys, pathlib
from ivcrush.infrastructure.run_lock import RunLock
lock = RunLock(pathlib.Path(sys.argv[1]))
print(type(lock.acquire("backfill, run 7, since noon")).__name__, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "ivcrush.db.lock"


def test_a_free_lock_is_taken_and_names_its_holder(path):
    with RunLock(path) as lock:
        assert lock.acquire("backfill, run 7") == Ok(None)
        assert path.read_text() == "backfill, run 7"
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_held_lock_is_refused_with_its_holder(path):
    with RunLock(path) as first, RunLock(path) as second:
        first.acquire("backfill, run 7")
        refused = second.acquire("scan")
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.DBERROR
    assert refused.error.about("reason") == LOCKED
    assert refused.error.message == f"another run holds {path}: backfill, run 7; try later"


def test_a_lock_that_was_let_go_can_be_taken_again(path):
    with RunLock(path) as first:
        first.acquire("a long name of the first run")
    with RunLock(path) as second:
        assert second.acquire("b") == Ok(None)
        assert path.read_text() == "b"


def test_a_refused_run_leaves_the_holders_lock_alone(path):
    with RunLock(path) as first:
        first.acquire("first")
        for _ in range(2):
            with RunLock(path) as other:
                assert isinstance(other.acquire("other"), Err)
        assert path.read_text() == "first"


def test_a_killed_process_leaves_no_lock(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "Ok\n"
        with RunLock(path) as lock:
            refused = lock.acquire("me")
        holder.kill()
    assert isinstance(refused, Err)
    assert "backfill, run 7, since noon" in refused.error.message
    with RunLock(path) as lock:
        assert lock.acquire("me") == Ok(None)


def test_a_holder_that_has_not_written_its_name_yet_is_unknown(path):
    with RunLock(path) as first, RunLock(path) as second:
        first.acquire("")
        refused = second.acquire("me")
    assert isinstance(refused, Err)
    assert ": unknown; try later" in refused.error.message


def test_a_lock_that_is_a_symbolic_link_is_not_followed(path, tmp_path):
    path.parent.mkdir()
    target = tmp_path / "precious"
    target.write_text("kept")
    path.symlink_to(target)
    with RunLock(path) as lock:
        refused = lock.acquire("me")
    assert isinstance(refused, Err)
    assert refused.error.about("reason") is None
    assert "the run lock cannot be opened" in refused.error.message
    assert target.read_text() == "kept"


def test_a_lock_that_cannot_bear_a_name_is_no_other_run_and_is_let_go(path):
    path.parent.mkdir()
    os.mkfifo(path)
    opened = len(list(DESCRIPTORS.iterdir()))
    with RunLock(path) as lock:
        refused = lock.acquire("me")
        assert len(list(DESCRIPTORS.iterdir())) == opened
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.DBERROR
    assert refused.error.about("reason") is None
    assert refused.error.message == f"{path}: the run lock cannot be taken: Invalid argument"


def test_leaving_without_having_acquired_is_nothing(path):
    with RunLock(path):
        pass
    assert not path.exists()


def test_asking_for_the_holder_names_it_and_makes_no_file(path):
    assert RunLock(path).holder() == Ok(None)
    assert not path.exists()
    with RunLock(path) as lock:
        lock.acquire("backfill, run 7")
        assert RunLock(path).holder() == Ok("backfill, run 7")
        assert isinstance(RunLock(path).acquire("scan"), Err)
    assert RunLock(path).holder() == Ok(None)


def test_a_run_that_begins_while_somebody_asks_for_the_holder_is_not_turned_away(path):
    with RunLock(path) as former:
        former.acquire("the former run")
    asking = os.open(path, os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    timer = threading.Timer(0.005, os.close, (asking,))
    timer.start()
    with RunLock(path) as lock:
        assert lock.acquire("the new run") == Ok(None)
        assert path.read_text() == "the new run"
    timer.join()


def test_a_lock_file_that_cannot_be_read_is_an_error(path):
    path.mkdir(parents=True)
    link = path.with_name("link")
    link.symlink_to(path)
    found = RunLock(link).holder()
    assert isinstance(found, Err)
    assert found.error.code is ErrorCode.DBERROR
