"""The cache file counted, emptied and cleaned by hand, also while runs use it. Makes no file and repairs none.

Level 1, in the memory of each run, is out of reach from here and ends with its run.
"""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from ivcrush.domain.errors import AppError, Err, Ok, Result
from ivcrush.domain.operations import CacheCleaning, CacheFacts, CacheState, RepliesOfKind
from ivcrush.infrastructure.cache.cached_provider import kind_of
from ivcrush.infrastructure.cache.inspection import is_of_this_version
from ivcrush.infrastructure.database.connection import Interrupted, connect, connect_for_reading_only, give_up_when
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable

T = TypeVar("T")

_LOCK_WAIT_S: Final = 5.0
_ROWS: Final = "SELECT key, stored_at, expires_at, size FROM replies"
_EVERYTHING: Final = float("inf")

_Row = tuple[str, float, float, int]


def count_replies(path: Path, now: datetime) -> Result[CacheFacts]:
    """What the file holds, by kind of question. Errors: DBERROR for a file that is damaged or another program's."""

    def count(connection: sqlite3.Connection) -> tuple[RepliesOfKind, ...]:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _Damaged(found)
        return _by_kind(connection.execute(_ROWS), now.timestamp())

    counted = _with_file(path, connect_for_reading_only, count, lambda: False)
    if isinstance(counted, Err):
        return counted
    state, kinds = counted.value
    return Ok(CacheFacts(state, _file_bytes(path), () if kinds is None else kinds))


def clear_cache(path: Path, *, interrupted: Interrupted) -> Result[CacheCleaning]:
    """Forget every reply and give the space back. Errors: DBERROR as `count_replies`, and for a file that is locked."""
    return _remove(path, _EVERYTHING, interrupted)


def clean_cache(path: Path, now: datetime, *, interrupted: Interrupted) -> Result[CacheCleaning]:
    """Forget the replies whose time is over and give the space back. Errors: DBERROR as `clear_cache`."""
    return _remove(path, now.timestamp(), interrupted)


class _Damaged(sqlite3.DatabaseError):
    """What SQLite's check found."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def _remove(path: Path, expired_at_s: float, interrupted: Interrupted) -> Result[CacheCleaning]:
    def remove(connection: sqlite3.Connection) -> int:
        removed = connection.execute("DELETE FROM replies WHERE expires_at <= ?", (expired_at_s,)).rowcount
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # where a run reads just now, a later one does
        return removed

    before = _file_bytes(path)
    cleaned = _with_file(path, connect, remove, interrupted)
    if isinstance(cleaned, Err):
        return cleaned
    state, removed = cleaned.value
    return Ok(CacheCleaning(state, removed or 0, before, _file_bytes(path)))


def _with_file(
    path: Path,
    opened: Callable[[Path, float], sqlite3.Connection],
    work: Callable[[sqlite3.Connection], T],
    interrupted: Interrupted,
) -> Result[tuple[CacheState, T | None]]:
    """What `work` makes of a file that is ready, and None of one that a run has yet to make."""
    if not path.exists():
        return Ok((CacheState.MISSING, None))
    if not path.is_file():
        return unusable(path, "not a file", "name a file", "cannot_open")
    try:
        with closing(opened(path, _LOCK_WAIT_S)) as connection:
            give_up_when(connection, interrupted)
            readable = is_of_this_version(connection, path)
            if isinstance(readable, Err):
                return readable
            if not readable.value:
                return Ok((CacheState.OTHER_VERSION, None))
            return Ok((CacheState.READY, work(connection)))
    except sqlite3.DatabaseError as error:
        return _worthless(storage_failure(error, path), path)
    except OSError as error:
        return file_failure(error, path)


def _worthless(failure: Err, path: Path) -> Err:
    """No backup is needed of what can be fetched again."""
    error: AppError = failure.error
    if error.about("reason") != "corrupt":
        return failure
    return unusable(path, error.about("happened") or "damaged", "the next run begins it anew, or remove it", "corrupt")


def _by_kind(rows: Iterable[_Row], now_s: float) -> tuple[RepliesOfKind, ...]:
    named = sorted((kind_of(key), stored_at, expires_at, size) for key, stored_at, expires_at, size in rows)
    return tuple(_kind(kind, list(of_kind), now_s) for kind, of_kind in groupby(named, key=lambda row: row[0]))


def _kind(kind: str, rows: list[_Row], now_s: float) -> RepliesOfKind:
    return RepliesOfKind(
        kind=kind,
        entries=len(rows),
        expired=sum(expires_at <= now_s for _, _, expires_at, _ in rows),
        payload_bytes=sum(size for *_, size in rows),
        oldest_at=datetime.fromtimestamp(rows[0][1], UTC),
        newest_at=datetime.fromtimestamp(rows[-1][1], UTC),
    )


def _file_bytes(path: Path) -> int:
    """With the -wal file, whose pages the next checkpoint moves over."""
    places = (path, path.with_name(path.name + "-wal"))
    return sum(place.stat().st_size for place in places if place.is_file())
