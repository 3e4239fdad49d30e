"""The database looked at without changing a byte of it: what is there, whether it is sound, whether it can be written.

Nothing is ever made, migrated or repaired here. A file is opened for writing only after it was read and found to be
ours, and then only to ask for the write lock and give it back.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.infrastructure.database.connection import (
    Database,
    Interrupted,
    connect,
    connect_for_reading_only,
    give_up_when,
)
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable
from ivcrush.infrastructure.database.init_schema import recognise, refuse_by_size, refuse_foreign, refuse_incomplete
from ivcrush.infrastructure.database.migrations import MIGRATIONS, schema_version
from ivcrush.infrastructure.database.write_gate import WriteGate
from ivcrush.infrastructure.disk import peculiarities

T = TypeVar("T")

# The context `reason` of what the next run puts right by itself.
OLDER_SCHEMA: Final = "older_schema"
HALF_CHANGED: Final = "half_changed"
# The first version without the WAL-reset bug, which two writing processes can meet (docs/decisions/0004).
_FIXED_SQLITE: Final = (3, 51, 3)
_LOCK_WAIT_S: Final = 1.0


def open_for_reading(path: Path, interrupted: Interrupted | None = None) -> Result[Database]:
    """The database, read only, its schema current; other processes may write meanwhile. Reads give up as `interrupted`.

    Errors: DBERROR for a file that is missing, empty, unreadable, another program's or, with the reason
    `older_schema`, not migrated yet; CONFIG for a newer schema.
    """
    opened = connect_for_reading(path)
    if isinstance(opened, Err):
        return opened
    connection = opened.value
    try:
        refusal = _refuse_older(connection, path) or refuse_incomplete(connection, path)
    except sqlite3.DatabaseError as error:
        refusal = storage_failure(error, path)
    if refusal is not None:
        connection.close()
        return refusal
    return Ok(Database(path, connection, WriteGate(path, 0.0), interrupted))


def inspect_database(path: Path, *, read_for_s: float, monotonic: Callable[[], float] = time.monotonic) -> Result[str]:
    """A line on a database that a run can work with: size, schema, soundness, and what is peculiar about it.

    Reading all pages takes about a second per GB cached and is given up after `read_for_s`. Errors: DBERROR, CONFIG,
    as `open_for_reading` but for an older schema; damage; a file that cannot be written or stays locked for a second.
    """
    described = look_into(path, lambda connection: _described(connection, path, read_for_s, monotonic))
    refusal = described if isinstance(described, Err) else _refuse_unwritable(path)
    return described if refusal is None else refusal


def look_into(path: Path, look: Callable[[sqlite3.Connection], Result[T]]) -> Result[T]:
    """What `look` finds in a file of this program, sound or not, of this schema or an older one.

    Errors: those of `connect_for_reading` and of `look`; DBERROR where SQLite fails.
    """
    opened = connect_for_reading(path)
    if isinstance(opened, Err):
        return opened
    try:
        return look(opened.value)
    except sqlite3.DatabaseError as error:
        return storage_failure(error, path)
    finally:
        opened.value.close()


def connect_for_reading(path: Path) -> Result[sqlite3.Connection]:
    """A reading connection to a file of this program, sound or not, of this schema or an older one.

    Errors: DBERROR for a file that is missing, empty, unreadable or another program's; CONFIG for a newer schema.
    """
    try:
        if not os.path.lexists(path):
            return unusable(path, "there is no database", "backfill or ivcrush database init makes one", "missing")
        refusal = refuse_by_size(path)
    except OSError as error:
        return file_failure(error, path)
    return _connected(path) if refusal is None else refusal


def _connected(path: Path) -> Result[sqlite3.Connection]:
    try:
        connection = connect_for_reading_only(path, _LOCK_WAIT_S)
    except sqlite3.DatabaseError as error:
        cut = error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
        return _half_changed(path) if cut else storage_failure(error, path)
    try:
        refusal = refuse_foreign(connection, path)
    except sqlite3.DatabaseError as error:
        refusal = storage_failure(error, path)
    if refusal is not None:
        connection.close()
        return refusal
    return Ok(connection)


def _half_changed(path: Path) -> Err:
    try:
        refusal = recognise(path, _LOCK_WAIT_S)
    except sqlite3.DatabaseError as error:
        refusal = storage_failure(error, path)
    need = "the next run takes it back"
    return unusable(path, "a change was cut half way", need, HALF_CHANGED) if refusal is None else refusal


def _refuse_older(connection: sqlite3.Connection, path: Path) -> Err | None:
    version = schema_version(connection)
    if version == len(MIGRATIONS):
        return None
    return unusable(
        path,
        f"schema {version} of {len(MIGRATIONS)}",
        "the next run or ivcrush database init migrates it",
        OLDER_SCHEMA,
    )


def _described(
    connection: sqlite3.Connection, path: Path, read_for_s: float, monotonic: Callable[[], float]
) -> Result[str]:
    """Raises sqlite3.DatabaseError."""
    version = schema_version(connection)
    missing = refuse_incomplete(connection, path) if version == len(MIGRATIONS) else None
    if missing is not None:
        return missing
    read = _read_through(connection, path, read_for_s, monotonic)
    if isinstance(read, Err):
        return read
    size_mb = path.stat().st_size / 1e6
    age = "" if version == len(MIGRATIONS) else f" of {len(MIGRATIONS)}, the next run migrates it"
    return Ok("; ".join((f"{path}: {size_mb:.1f} MB, schema {version}{age}", read.value, *remarks(connection, path))))


def _read_through(
    connection: sqlite3.Connection, path: Path, read_for_s: float, monotonic: Callable[[], float]
) -> Result[str]:
    """SQLite's quick_check, given up in time. Raises sqlite3.DatabaseError."""
    deadline = monotonic() + read_for_s
    give_up_when(connection, lambda: monotonic() >= deadline)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return Ok(f"too large to be read through in {read_for_s:g} s, as far as read sound")
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        return unusable(path, f"damaged ({' '.join(str(found).split())})", "restore a backup", "corrupt")
    return Ok("sound")


def remarks(connection: sqlite3.Connection, path: Path) -> tuple[str, ...]:
    """What is worth knowing and stops nobody. Raises sqlite3.DatabaseError."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    rollback = () if mode == "wal" else (f"warning: journal mode {mode}, the next run makes it WAL",)
    risky = sqlite3.sqlite_version_info < _FIXED_SQLITE
    fixed = ".".join(map(str, _FIXED_SQLITE))
    aged = (f"warning: SQLite {sqlite3.sqlite_version} has the WAL-reset bug, {fixed} has not",) if risky else ()
    return (*rollback, *aged, *(f"warning: {each}" for each in peculiarities(path)))


def _refuse_unwritable(path: Path) -> Err | None:
    """Why a run could not write there now; asks for the write lock and gives it back."""
    real = path.resolve()
    for place, wanted in ((real, os.W_OK), (real.parent, os.W_OK | os.X_OK)):
        if not os.access(place, wanted, effective_ids=os.access in os.supports_effective_ids):
            need = "a writable file in a writable directory is needed"
            return err(ErrorCode.DBERROR, f"{place}: cannot be written; {need}", reason="read_only", path=str(place))
    try:
        with WriteGate(path, _LOCK_WAIT_S):
            _take_and_give_back(path)
    except sqlite3.DatabaseError as error:
        return storage_failure(error, path)
    except OSError as error:
        return file_failure(error, path)
    return None


def _take_and_give_back(path: Path) -> None:
    connection = connect(path, _LOCK_WAIT_S)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    finally:
        connection.close()
