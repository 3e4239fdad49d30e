"""The database as a health check sees it: real files, sound and broken, and nothing changed by looking."""

import itertools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.infrastructure.database.connection import Database, connect
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.inspection import OLDER_SCHEMA, inspect_database, open_for_reading
from ivcrush.infrastructure.database.migrations import MIGRATIONS, migrate

NOBODY = 65534


def refused(found: Result[object]) -> tuple[ErrorCode, str | None]:
    assert isinstance(found, Err)
    return found.error.code, found.error.about("reason")


def make(path: Path) -> None:
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user to whom modes mean something; root obeys none."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "data" / "ivcrush.db"
    for found in (inspect_database(path, read_for_s=1), open_for_reading(path)):
        assert refused(found) == (ErrorCode.DBERROR, "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_good_database_is_sound_while_another_process_works_with_it(database: Database) -> None:
    found = inspect_database(database.path, read_for_s=5)
    assert isinstance(found, Ok)
    assert f"MB, schema {len(MIGRATIONS)}; sound" in found.value


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "corrupt"), (b"garbage" * 1000, "corrupt"), (b"SQLite format 3\0" + b"\xff" * 4080, "corrupt")],
)
def test_what_is_no_database_is_refused_and_left_as_it_is(database_path: Path, content: bytes, reason: str) -> None:
    database_path.write_bytes(content)
    assert refused(inspect_database(database_path, read_for_s=1)) == (ErrorCode.DBERROR, reason)
    assert database_path.read_bytes() == content


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refused(inspect_database(tmp_path, read_for_s=1)) == (ErrorCode.DBERROR, "cannot_open")


def test_a_random_page_overwritten_is_found(database_path: Path) -> None:
    make(database_path)
    pages = database_path.stat().st_size // 4096
    with database_path.open("r+b") as file:
        file.seek(4096 * (pages - 1))
        file.write(os.urandom(4096))
    assert refused(inspect_database(database_path, read_for_s=5)) == (ErrorCode.DBERROR, "corrupt")


def test_another_programs_database_is_refused(database_path: Path) -> None:
    change(database_path, "CREATE TABLE theirs (x)")
    assert refused(inspect_database(database_path, read_for_s=1)) == (ErrorCode.DBERROR, "foreign")


def test_a_newer_schema_is_refused(database_path: Path) -> None:
    make(database_path)
    change(database_path, "PRAGMA user_version = 99")
    assert refused(inspect_database(database_path, read_for_s=1)) == (ErrorCode.CONFIG, "newer_schema")


def test_a_missing_table_is_refused(database_path: Path) -> None:
    make(database_path)
    change(database_path, "DROP TABLE daily_bars")
    assert refused(inspect_database(database_path, read_for_s=1)) == (ErrorCode.DBERROR, "corrupt")
    assert refused(open_for_reading(database_path)) == (ErrorCode.DBERROR, "corrupt")


def test_an_older_schema_is_told_and_left_to_the_next_run(database_path: Path) -> None:
    database_path.touch()
    with closing(connect(database_path, 0.1)) as connection:
        migrate(connection, MIGRATIONS[:1])
    found = inspect_database(database_path, read_for_s=5)
    assert isinstance(found, Ok)
    assert f"schema 1 of {len(MIGRATIONS)}, the next run migrates it; sound" in found.value
    assert "warning: journal mode delete, the next run makes it WAL" in found.value
    assert refused(open_for_reading(database_path)) == (ErrorCode.DBERROR, OLDER_SCHEMA)
    with closing(sqlite3.connect(database_path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_large_database_is_read_for_so_long_and_no_longer(database_path: Path) -> None:
    make(database_path)
    change(
        database_path,
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO dividends (ticker, ex_date, amount, seen_at) SELECT 'A' || i, '2026-05-15', 1, '' FROM n""",
    )
    seconds = itertools.count()
    found = inspect_database(database_path, read_for_s=2, monotonic=lambda: float(next(seconds)))
    assert isinstance(found, Ok)
    assert "too large to be read through in 2 s, as far as read sound" in found.value


def test_a_database_locked_for_longer_than_a_second_is_locked_and_not_damaged(database_path: Path) -> None:
    make(database_path)
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = inspect_database(database_path, read_for_s=1)
        other.execute("ROLLBACK")
    assert refused(found) == (ErrorCode.DBERROR, "locked")


def test_a_link_is_worth_a_warning(database_path: Path, tmp_path: Path) -> None:
    make(database_path)
    link = tmp_path / "link.db"
    link.symlink_to(database_path)
    found = inspect_database(link, read_for_s=1)
    assert isinstance(found, Ok)
    assert "warning: a symbolic link" in found.value


def test_a_read_only_place_can_be_read_and_is_named_as_unwritable() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "ivcrush.db"
        make(path)
        path.chmod(0o444)
        directory.chmod(0o555)
        with without_rights():
            read, found = open_for_reading(path), inspect_database(path, read_for_s=1)
        directory.chmod(0o755)
    assert isinstance(read, Ok)
    read.value.close()
    assert refused(found) == (ErrorCode.DBERROR, "read_only")


def test_reading_beside_a_writer_sees_what_was_committed(database: Database) -> None:
    database.write(lambda connection: connection.execute("INSERT INTO calendar_refreshes VALUES ('a', '', 1)"))
    read = open_for_reading(database.path)
    assert isinstance(read, Ok)
    assert read.value.rows("SELECT source FROM calendar_refreshes", (), lambda row: row[0]) == Ok(("a",))
    read.value.close()
