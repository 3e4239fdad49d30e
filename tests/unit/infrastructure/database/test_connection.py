"""Transactions and errors on real files: locked, full, damaged, our own defects."""

import sqlite3
import time
from pathlib import Path

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.infrastructure.database.connection import Database, connect
from ivcrush.infrastructure.database.failures import file_failure, storage_failure
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.write_gate import WriteGate

INSERT = "INSERT INTO ticker_metadata (ticker, last_backfill) VALUES (?, 'x')"


def tickers(database: Database) -> tuple[str, ...]:
    found = database.rows("SELECT ticker FROM ticker_metadata", (), lambda row: str(row[0]))
    assert isinstance(found, Ok)
    return found.value


def failure(result: object) -> AppError:
    assert isinstance(result, Err), result
    return result.error


def test_a_lock_held_by_another_connection_is_waited_for_as_long_as_asked_and_then_said(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    error = failure(database.write(lambda connection: connection.execute(INSERT, ("IBM",))))
    assert 0.15 < time.monotonic() - began < 2.0
    assert (error.code, error.about("reason")) == (ErrorCode.DBERROR, "locked")
    assert str(database.path) in error.message
    other.execute("ROLLBACK")
    other.close()
    assert isinstance(database.write(lambda connection: connection.execute(INSERT, ("IBM",))), Ok)


def test_an_opening_while_another_connection_writes_is_refused_as_locked(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert failure(init_database(database.path, busy_timeout_s=0.01)).about("reason") == "locked"
    other.close()


def test_a_reader_is_not_stopped_by_a_writer(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute(INSERT, ("IBM",))
    assert tickers(database) == ()
    other.execute("COMMIT")
    other.close()
    assert tickers(database) == ("IBM",)


def test_a_full_disk_keeps_what_was_there_and_takes_more_when_there_is_room_again(database: Database) -> None:
    database.write(lambda connection: connection.execute(INSERT, ("IBM",)))
    database.rows("PRAGMA max_page_count = 1", (), tuple)  # SQLite takes the present size: not one page more

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("MSFT",))
        connection.execute(INSERT, ("A" * 100_000,))

    error = failure(database.write(fill))
    assert (error.code, error.about("reason")) == (ErrorCode.DBERROR, "disk_full")
    assert error.message.startswith(f"{database.path}: the disk is full")
    assert tickers(database) == ("IBM",)
    assert database.check() == Ok(None)
    database.rows("PRAGMA max_page_count = 100000", (), tuple)
    assert isinstance(database.write(fill), Ok)


def test_a_defect_of_ours_is_raised_and_rolled_back(database: Database) -> None:
    def twice(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("IBM",))
        connection.execute(INSERT, ("IBM",))

    with pytest.raises(sqlite3.IntegrityError):
        database.write(twice)
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        database.rows("SELECT bogus FROM dividends", (), tuple)
    assert tickers(database) == ()
    database.close()
    with pytest.raises(sqlite3.ProgrammingError):
        database.rows("SELECT 1", (), tuple)


def test_an_interruption_inside_a_transaction_keeps_nothing_of_it(database: Database) -> None:
    def interrupted(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("IBM",))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(interrupted)
    assert tickers(database) == ()


def test_a_row_that_some_other_hand_spoiled_is_damage_and_not_a_crash(database: Database) -> None:
    database.write(lambda connection: connection.execute(INSERT, ("IBM",)))
    error = failure(database.rows("SELECT ticker FROM ticker_metadata", (), lambda row: int(row[0])))
    assert (error.code, error.about("reason")) == (ErrorCode.DBERROR, "corrupt")


def test_a_page_spoiled_under_an_open_database_is_found_by_the_query_or_the_check(database: Database) -> None:
    database.write(lambda connection: connection.execute(INSERT, ("IBM",)))
    where = database.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'ticker_metadata'", (), lambda row: row[0])
    assert isinstance(where, Ok)
    path = database.path
    database.close()
    content = bytearray(path.read_bytes())
    begin = (where.value[0] - 1) * 4096
    content[begin : begin + 4096] = b"\x5a" * 4096
    path.write_bytes(content)
    spoiled = Database(path, connect(path, 0.1), WriteGate(path, 0.1))
    error = failure(spoiled.check())
    assert (error.code, error.about("reason")) == (ErrorCode.DBERROR, "corrupt")
    assert failure(spoiled.rows("SELECT ticker FROM ticker_metadata", (), tuple)).about("reason") == "corrupt"
    spoiled.close()


def test_a_long_read_gives_up_half_way_and_the_next_one_does_not_begin(database: Database) -> None:
    looks = iter([False, False])  # before the read, and once in it
    impatient = Database(
        database.path, connect(database.path, 0.1), WriteGate(database.path, 0.1), lambda: next(looks, True)
    )
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        impatient.rows(endless, (), tuple)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        impatient.rows("SELECT 1", (), tuple)
    impatient.close()


def test_a_missing_file_is_not_made_by_connecting(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "none.db", 0.1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "reason", "need"),
    [
        (28, "disk_full", "free space"),
        (13, "read_only", "a writable file"),
        (30, "read_only", "a writable file"),
        (21, "cannot_open", "a local file"),
        (24, "cannot_open", "ulimit -n"),
        (5, "io_error", "check the disk"),
    ],
)
def test_what_the_file_system_says_is_told_with_the_path_and_the_need(
    tmp_path: Path, number: int, reason: str, need: str
) -> None:
    error = file_failure(OSError(number, "why"), tmp_path).error
    assert (error.about("reason"), error.about("path")) == (reason, str(tmp_path))
    assert error.message.startswith(f"{tmp_path}: why; ")
    assert need in error.message


def test_an_extended_result_code_is_told_by_its_primary_one(tmp_path: Path) -> None:
    fault = sqlite3.OperationalError("disk I/O error")
    fault.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    assert storage_failure(fault, tmp_path).error.about("reason") == "io_error"
