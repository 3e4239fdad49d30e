"""One SQLite connection, usable from any thread: every read and write of the database goes through here.

WAL with `synchronous=FULL`: what was committed survives a power loss. It never begins a write with a plain BEGIN (a
read that turns into a write fails at once, whatever the timeout), never writes outside the gate, and never lets an
sqlite3 exception out.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ivcrush.domain.errors import Ok, Result
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable
from ivcrush.infrastructure.database.write_gate import WriteGate
from ivcrush.utils.performance import track_performance

T = TypeVar("T")
DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})  # primary result codes
Interrupted = Callable[[], bool]
_INSTRUCTIONS_BETWEEN_LOOKS = 20_000  # of SQLite's machine, about a millisecond
_OPENING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
Row = tuple[Any, ...]  # what SQLite hands out; the `parse` of each query makes it a domain value


def connect(path: Path, busy_timeout_s: float, mode: str = "rw") -> sqlite3.Connection:
    """A connection in autocommit mode. `mode`: `rw`, `ro`, or `ro&immutable=1`; none of them makes a file.

    Raises sqlite3.DatabaseError.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA mmap_size = 0")  # a mapped page changed by a stray pointer would be written
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    except UnicodeDecodeError as error:  # SQLite quotes the damage, and sqlite3 takes all that it says for UTF-8
        connection.close()
        raise UnreadableRow("malformed database schema") from error
    return connection


def connect_for_reading_only(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """The same in mode `ro`, also where the directory cannot be written.

    Raises sqlite3.DatabaseError, with the code SQLITE_READONLY_ROLLBACK where half a change is to be taken back first.
    """
    try:
        connection = connect(path, busy_timeout_s, "ro")
    except sqlite3.DatabaseError as error:
        log = path.with_name(path.name + "-wal")
        half_changed = error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK
        newer = log.exists() and log.stat().st_size > 0
        if error.sqlite_errorcode & 0xFF not in _OPENING or half_changed or newer:
            raise
        # WAL wants to make its -shm file beside the database; where it cannot, and there is none, nobody has the
        # database open. Without newer pages in a -wal the file may then be read as it stands: it is its owner's alone,
        # and an owner who cannot write there reads through a read-only mount, or a backup.
        return connect(path, busy_timeout_s, "ro&immutable=1")
    return connection


def give_up_when(connection: sqlite3.Connection, interrupted: Interrupted) -> None:
    """From now on the connection's statements end with SQLITE_INTERRUPT once `interrupted` says so."""
    connection.set_progress_handler(interrupted, _INSTRUCTIONS_BETWEEN_LOOKS)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything done inside is kept, or nothing, whatever ends the block. Raises sqlite3.DatabaseError."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself on a full disk or an I/O error
            connection.execute("ROLLBACK")
        raise


class UnreadableRow(sqlite3.DatabaseError):
    """A row that breaks what its table promises: some other hand, or the disk, has been at it."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def select(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object], parse: Callable[[Row], T]
) -> tuple[T, ...]:
    """All rows of a SELECT, each through `parse`; for use inside `Database.write`.

    Raises sqlite3.DatabaseError; a row that `parse` refuses with ValueError counts as corrupt.
    """
    found = connection.execute(sql, parameters).fetchall()
    try:
        return tuple(parse(row) for row in found)
    except ValueError as error:
        raise UnreadableRow(f"unreadable row: {error}") from error


class Database:
    """An open database whose schema is known to be ours and current; see `init_schema` for opening one."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, gate: WriteGate, interrupted: Interrupted | None = None
    ) -> None:
        self.path = path
        self._connection = connection
        self._gate = gate
        self._interrupted = interrupted
        if interrupted is not None:
            give_up_when(connection, interrupted)
        self._lock = threading.RLock()

    @track_performance(name="database read", threshold_s=1.0)
    def rows(self, sql: str, parameters: Sequence[object], parse: Callable[[Row], T]) -> Result[tuple[T, ...]]:
        """All rows of a SELECT, each through `parse`. Errors: DBERROR, also for a row that `parse` refuses.

        Raises sqlite3.OperationalError once `interrupted` says so.
        """
        if self._interrupted is not None and self._interrupted():  # SQLite looks in long statements alone
            raise sqlite3.OperationalError("interrupted")
        try:
            with self._lock:
                return Ok(select(self._connection, sql, parameters, parse))
        except sqlite3.DatabaseError as error:
            return storage_failure(error, self.path)

    @track_performance(name="database write", threshold_s=1.0)
    def write(self, work: Callable[[sqlite3.Connection], T]) -> Result[T]:
        """Run `work` in one transaction: all of it is kept, or nothing. Errors: DBERROR."""
        try:
            with self._lock, self._gate:  # COMMIT checkpoints by itself now and then: that happens inside, too
                with transaction(self._connection):
                    value = work(self._connection)
                return Ok(value)
        except sqlite3.DatabaseError as error:
            return storage_failure(error, self.path)
        except OSError as error:
            return file_failure(error, self.path)

    def check(self) -> Result[None]:
        """Read every page and index once (SQLite's quick_check): about a second per GB cached.

        Errors: DBERROR naming the first damage.
        """
        found = self.rows("PRAGMA quick_check(1)", (), lambda row: str(row[0]))
        if not isinstance(found, Ok):
            return found
        if found.value != ("ok",):
            return unusable(self.path, f"damaged ({found.value[0]})", "restore a backup", "corrupt")
        return Ok(None)

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock:  # no gate: SQLite checkpoints here only where it finds itself alone with the file
            self._connection.close()
