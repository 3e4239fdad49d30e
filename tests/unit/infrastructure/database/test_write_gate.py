"""One writer at a time: held against real other processes, let go by a killed one, never asked by a reader."""

import fcntl
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.write_gate import GateHeld, WriteGate

INSERT = "INSERT INTO ticker_metadata (ticker, last_backfill) VALUES (?, 'x')"
HOLD = """
import sys, pathlib
from ivcrush.infrastructure.database.write_gate import WriteGate
with WriteGate(pathlib.Path(sys.argv[1]), 5.0):
    print("inside", flush=True)
    sys.stdin.read()
"""
# Reads a number, lets the other process have its turn, writes the number plus one.
COUNT = """
import os, sys, pathlib
from ivcrush.infrastructure.database.write_gate import WriteGate
database = pathlib.Path(sys.argv[1])
gate, counter = WriteGate(database, 30.0), database.with_name("counter")
for _ in range(300):
    with gate:
        number = int(counter.read_text())
        os.sched_yield()
        counter.write_text(str(number + 1))
"""


@contextmanager
def another_writer(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that stands inside the gate until it is told to leave, or is killed."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        yield process
        process.kill()


def is_free(database: Path) -> bool:
    with database.with_name(f"{database.name}.gate").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def refusal(result: object) -> AppError:
    assert isinstance(result, Err), result
    return result.error


def write(database: Database, ticker: str) -> object:
    return database.write(lambda connection: connection.execute(INSERT, (ticker,)))


def test_two_processes_that_count_together_lose_no_step(tmp_path: Path) -> None:
    (tmp_path / "counter").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "ivcrush.db")]
    counters = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in counters] == [0, 0]
    assert (tmp_path / "counter").read_text() == "600"


def test_the_gate_is_shut_from_begin_to_the_end_of_commit_and_open_afterwards(database: Database) -> None:
    states: list[tuple[str, bool]] = []
    database._connection.set_trace_callback(lambda sql: states.append((sql.split()[0], is_free(database.path))))
    assert isinstance(write(database, "IBM"), Ok)
    assert states == [("BEGIN", False), ("INSERT", False), ("COMMIT", False)]
    assert is_free(database.path)


def test_a_transaction_that_fails_opens_the_gate_too(database: Database) -> None:
    write(database, "IBM")
    with pytest.raises(sqlite3.IntegrityError):
        write(database, "IBM")
    assert is_free(database.path)


def test_a_write_waits_for_another_process_as_long_as_asked_and_is_then_refused_as_locked(database: Database) -> None:
    with another_writer(database.path):
        began = time.monotonic()
        error = refusal(write(database, "IBM"))
        waited_s = time.monotonic() - began
    assert 0.2 <= waited_s < 2.0
    assert (error.code, error.about("reason")) == (ErrorCode.DBERROR, "locked")
    assert error.message == (
        f"{database.path}: locked by another process (another writer for 0.2 s); run again when it has ended"
    )


def test_a_reader_never_waits_for_the_gate(database: Database) -> None:
    write(database, "IBM")
    with another_writer(database.path):
        began = time.monotonic()
        assert database.rows("SELECT ticker FROM ticker_metadata", (), lambda row: row[0]) == Ok(("IBM",))
        assert time.monotonic() - began < 0.1


def test_an_opening_that_would_migrate_or_checkpoint_waits_too(database: Database) -> None:
    with another_writer(database.path):
        assert refusal(init_database(database.path, busy_timeout_s=0.01)).about("reason") == "locked"


def test_a_killed_writer_leaves_the_gate_open(database: Database) -> None:
    with another_writer(database.path) as process:
        assert not is_free(database.path)
        process.kill()
        process.wait()
        assert isinstance(write(database, "IBM"), Ok)


def test_a_database_has_one_gate_by_whatever_name_it_is_opened(database: Database, tmp_path: Path) -> None:
    other_name = tmp_path / "link.db"
    other_name.symlink_to(database.path)
    with WriteGate(database.path, 0.0), pytest.raises(GateHeld), WriteGate(other_name, 0.0):
        pass


def test_a_gate_that_cannot_be_opened_is_a_storage_failure_with_the_path(database: Database) -> None:
    gate = database.path.with_name(f"{database.path.name}.gate")
    gate.unlink()
    gate.symlink_to("elsewhere")
    error = refusal(write(database, "IBM"))
    assert (error.code, error.about("path")) == (ErrorCode.DBERROR, str(database.path))
    assert not (gate.parent / "elsewhere").exists()
