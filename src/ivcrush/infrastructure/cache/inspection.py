"""The cache file looked at without making, repairing or emptying it; what a run does about its state is only told."""

import sqlite3
from pathlib import Path

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.infrastructure.cache.sqlite_cache import APPLICATION_ID, SCHEMA
from ivcrush.infrastructure.database.connection import connect_for_reading_only
from ivcrush.infrastructure.database.failures import storage_failure, unusable

_LOCK_WAIT_S = 1.0
_TOTALS = "SELECT count(*), ifnull(sum(size), 0) FROM replies"


def inspect_cache(path: Path) -> Result[str]:
    """A line on a cache that works or will be made. Errors: DBERROR for a file that cannot be used as one."""
    if not path.exists():
        return Ok(f"{path}: empty, the next run makes it")
    if not path.is_file():
        return unusable(path, "not a file", "name a file", "cannot_open")
    try:
        connection = connect_for_reading_only(path, _LOCK_WAIT_S)
        try:
            return _described(connection, path)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        return storage_failure(error, path)


def _described(connection: sqlite3.Connection, path: Path) -> Result[str]:
    """Raises sqlite3.DatabaseError."""
    readable = is_of_this_version(connection, path)
    if isinstance(readable, Err):
        return readable
    if not readable.value:
        return Ok(f"{path}: of another version, the next run begins it anew")
    replies, held_bytes = connection.execute(_TOTALS).fetchone()
    return Ok(f"{path}: {replies} replies, {held_bytes / 1e6:.1f} MB")


def is_of_this_version(connection: sqlite3.Connection, path: Path) -> Result[bool]:
    """Whether the file's rows can be read; else a run begins it anew. Errors: DBERROR for another program's file.

    Raises sqlite3.DatabaseError.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID and tables > 0:
        return unusable(path, "another program's database", "name another CACHE_PATH", "foreign")
    return Ok(application_id == APPLICATION_ID and version == SCHEMA)
