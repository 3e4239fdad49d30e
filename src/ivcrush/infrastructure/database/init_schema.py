"""Opening the database: made where there is none, brought up to date where it is old, refused where it is not ours.

Nothing that exists is ever replaced. A new file appears under its name only when its schema is whole, so that a
zero-length file is always damage and never our own half-done work.
"""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.infrastructure.database.connection import Database, connect
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable
from ivcrush.infrastructure.database.migrations import APPLICATION_ID, MIGRATIONS, TABLES, migrate, schema_version
from ivcrush.infrastructure.database.private_files import make_private_directory, make_private_file
from ivcrush.infrastructure.database.write_gate import WriteGate
from ivcrush.utils.files import sync_directory

# Below this size quick_check costs a few milliseconds and runs at every opening; above it, the damage that it finds is
# found by the query that meets it.
CHECKED_AT_OPENING_BYTES: Final = 4_000_000
_SIZE: Final = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


def init_database(path: Path, *, busy_timeout_s: float = 5.0) -> Result[Database]:
    """The database for reading and writing, made (directories 0700, file 0600) or migrated where needed.

    Errors: DBERROR for a file that is empty, damaged, read-only, locked for longer than `busy_timeout_s`, or
    another program's; CONFIG for a schema newer than this program.
    """
    try:
        if not os.path.lexists(path):
            _create(path, busy_timeout_s)
        refusal = refuse_by_size(path)
    except OSError as error:
        return file_failure(error, path)
    except sqlite3.DatabaseError as error:
        return storage_failure(error, path)
    return refusal if refusal is not None else _open(path, busy_timeout_s)


def refuse_by_size(path: Path) -> Err | None:
    """Why no database can be in that file, None where one can. Raises OSError."""
    # By stat alone: opening and closing the file here would drop the locks that this process's connections hold on it.
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return unusable(path, "not a file", "name a file", "cannot_open")
    if found.st_size == 0:
        return unusable(path, "the file is empty", "restore a backup, or remove it to begin anew", "corrupt")
    return None


def _create(path: Path, busy_timeout_s: float) -> None:
    make_private_directory(path.parent)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as workshop:
        fresh = Path(workshop) / path.name
        make_private_file(fresh)
        connection = connect(fresh, busy_timeout_s)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
            # Closing would do it too, and not tell of a disk that failed: the -wal file stays behind with the workshop.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.close()
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return  # another process was faster: its database is as good
    sync_directory(path.parent)


def _open(path: Path, busy_timeout_s: float) -> Result[Database]:
    gate = WriteGate(path, busy_timeout_s)
    try:
        refusal = recognise(path, busy_timeout_s)
        if refusal is not None:
            return refusal
        connection = _connected(path, busy_timeout_s, gate)
    except sqlite3.DatabaseError as error:
        return storage_failure(error, path)
    except OSError as error:
        return file_failure(error, path)
    try:
        refusal = refuse_incomplete(connection, path)
        size_bytes = connection.execute(_SIZE).fetchone()[0]
    except sqlite3.DatabaseError as error:
        refusal = storage_failure(error, path)
    if refusal is not None:
        connection.close()
        return refusal
    database = Database(path, connection, gate)
    if size_bytes <= CHECKED_AT_OPENING_BYTES:
        checked = database.check()
        if isinstance(checked, Err):
            database.close()
            return checked
    return Ok(database)


def recognise(path: Path, busy_timeout_s: float) -> Err | None:
    """Why this program cannot work with a file, its logs included, None where it can. Raises sqlite3.DatabaseError.

    Read only: the last connection that may write plays the -wal into the file as it closes, and a -wal that somebody
    copied beside our file would replace our pages in the moment in which we refuse it.
    """
    try:
        with closing(connect(path, busy_timeout_s, "ro")) as connection:
            return refuse_foreign(connection, path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    # A restored backup whose turn to WAL was cut by a power loss: opening for writing rolls it back. Whose the file is
    # stands in its first sector, which no cut tears.
    with closing(connect(path, busy_timeout_s, "ro&immutable=1")) as connection:
        return refuse_foreign(connection, path)


def _connected(path: Path, busy_timeout_s: float, gate: WriteGate) -> sqlite3.Connection:
    """A connection to a file migrated where it was old. Raises sqlite3.DatabaseError, OSError (the gate's file).

    Opened inside the gate: a restore holds it while it exchanges the files, and whoever had opened the former one
    before would write its pages into the log of the fresh one.
    """
    with gate:
        connection = connect(path, busy_timeout_s)
        try:
            _make_ready_to_write(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> Err | None:
    """Why this program cannot work with an open file: another program's, or a newer schema. Raises DatabaseError."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        return unusable(path, "another program's database", "name another path", "foreign")
    version = schema_version(connection)
    if version > len(MIGRATIONS):
        return err(
            ErrorCode.CONFIG,
            f"{path}: schema {version}, this program knows {len(MIGRATIONS)}; upgrade ivcrush",
            reason="newer_schema",
            path=str(path),
        )
    return None


def refuse_incomplete(connection: sqlite3.Connection, path: Path) -> Err | None:
    """The first table that a file of the newest schema lacks. Raises sqlite3.DatabaseError."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if missing := sorted(TABLES - names):
        return unusable(path, f"table {missing[0]} is missing", "restore a backup", "corrupt")
    return None


def _make_ready_to_write(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # a restored `VACUUM INTO` backup comes without it
    migrate(connection)
    # A read-only file or directory is met here, before any request is spent, and not at the first result.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
