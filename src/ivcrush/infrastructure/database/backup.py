"""Backing up and restoring: copies that are sound before they get their name, and nothing that exists is ever deleted.

A copy is made by `VACUUM INTO` from one moment of the source, whoever writes to it meanwhile, and never by copying the
file: that would miss its -wal file. A cut copy leaves its name unused; kill -9 leaves a hidden folder beside it.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.operations import DatabaseFacts
from ivcrush.infrastructure.database.connection import Interrupted, give_up_when
from ivcrush.infrastructure.database.examination import require_sound
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable
from ivcrush.infrastructure.database.inspection import connect_for_reading
from ivcrush.infrastructure.database.private_files import make_private_directory, make_private_file
from ivcrush.infrastructure.database.write_gate import WriteGate
from ivcrush.utils.files import sync_directory

# Where SQLite's connections lock a file for as long as they have it open in WAL mode (sqlite.org, os.h: SHARED_FIRST).
_CONNECTED_AT: Final = 0x40000000 + 2
_CONNECTED_BYTES: Final = 510
_LOOK_AGAIN_S: Final = 0.01
_COMPANIONS: Final = ("-wal", "-shm")
# What keeps a file from being set aside; damage of any kind does not.
_LEFT_ALONE: Final = frozenset({"foreign", "cannot_open", "read_only"})


class _InUse(sqlite3.OperationalError):
    """Another process has the database open."""

    sqlite_errorcode = sqlite3.SQLITE_BUSY


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the place now, and under which name the former database lies (None where there was none)."""

    facts: DatabaseFacts
    set_aside: Path | None


def back_up(database: Path, target: Path, *, interrupted: Interrupted) -> Result[DatabaseFacts]:
    """A sound copy of the database, of whatever schema, under a new name; the database is only read.

    Errors: DBERROR for a database that is not sound, a name that is taken or a place that cannot be written; CONFIG
    for a newer schema. Raises sqlite3.OperationalError once `interrupted` says so.
    """
    if os.path.lexists(target):
        return unusable(target, "exists already", "a new name is needed, a backup replaces nothing", "exists")
    sound = require_sound(database, interrupted=interrupted)
    if isinstance(sound, Err):
        return sound
    try:
        with _workshop(target) as fresh:
            copied = _copy(database, fresh, interrupted)
            if isinstance(copied, Ok):
                if os.path.lexists(target):
                    return unusable(target, "has appeared meanwhile", "a new name is needed", "exists")
                fresh.rename(target)  # not a hard link: what backups are kept on may know none
                sync_directory(target.parent)
            return copied
    except OSError as error:
        return file_failure(error, target)


def restore(
    backup: Path, database: Path, *, suffix: str, busy_timeout_s: float, interrupted: Interrupted
) -> Result[Restored]:
    """A copy of a sound backup in the database's place; what was there lies beside it, its name ending in `suffix`.

    The former database, with its -wal and -shm file, may be damaged in any way and is not changed. The caller holds the
    run lock. Errors: DBERROR for a place that cannot be written, another program's database in it, or, with the reason
    `locked`, a process that still has the database open. Raises sqlite3.OperationalError once `interrupted` says so.
    """
    real = database.resolve()
    refusal = _refuse_to_set_aside(real)
    if refusal is not None:
        return refusal
    try:
        make_private_directory(real.parent)
        with _workshop(real) as fresh:
            copied = _copy(backup, fresh, interrupted)
            if isinstance(copied, Err):
                return copied
            with WriteGate(real, busy_timeout_s), _nobody_connected(real, busy_timeout_s):
                return Ok(Restored(copied.value, _swap(fresh, real, suffix)))
    except sqlite3.DatabaseError as error:
        return storage_failure(error, real)
    except OSError as error:
        return file_failure(error, real)


@contextmanager
def _workshop(place: Path) -> Iterator[Path]:
    """A name in a folder beside the place, on its file system; the folder and all in it go at the end."""
    with TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as folder:
        yield Path(folder) / place.name


def _copy(source: Path, fresh: Path, interrupted: Interrupted) -> Result[DatabaseFacts]:
    """A copy that is sound and on the disk. Errors: DBERROR. Raises OSError."""
    make_private_file(fresh)
    opened = connect_for_reading(source)
    if isinstance(opened, Err):
        return opened
    connection = opened.value
    try:
        give_up_when(connection, interrupted)
        connection.execute("VACUUM INTO ?", (str(fresh),))
    except sqlite3.DatabaseError as error:
        damaged = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        return storage_failure(error, source if damaged else fresh.parent.parent)
    finally:
        connection.close()
    _sync(fresh)
    return require_sound(fresh, interrupted=interrupted)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_to_set_aside(real: Path) -> Err | None:
    opened = connect_for_reading(real)
    if isinstance(opened, Ok):
        opened.value.close()
        return None
    reason = opened.error.about("reason")
    if reason == "foreign":
        need = "name another DB_PATH, or move it away"
        return unusable(real, "another program's database", need, reason)
    return opened if reason in _LEFT_ALONE else None


@contextmanager
def _nobody_connected(real: Path, timeout_s: float) -> Iterator[None]:
    """Keep every SQLite connection out, once the last one has gone: renaming a file under one would ruin both.

    Raises _InUse after `timeout_s`, OSError where the file cannot be opened.
    """
    if not real.exists():
        yield
        return
    descriptor = os.open(real, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        _wait_for_lock(descriptor, timeout_s)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            raise _InUse(f"open in another process for {timeout_s:g} s")
        time.sleep(_LOOK_AGAIN_S)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _CONNECTED_BYTES, _CONNECTED_AT)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _swap(fresh: Path, real: Path, suffix: str) -> Path | None:
    """Put the fresh file into the place; where the former one lies now.

    All of the former has its second name before it loses the first, and the place is never empty. A foreign -wal file
    would be played into the fresh file, so it goes first, and stays away whenever the power fails: for that moment the
    place holds the former file without its log, which the names beside it hold whole.
    """
    aside = real.with_name(real.name + suffix)
    had_one = real.exists()
    _give_to_owner(fresh, real if had_one else real.parent)
    for companion in ("", *_COMPANIONS):
        former = real.with_name(real.name + companion)
        if former.exists():
            aside.with_name(aside.name + companion).hardlink_to(former)
    sync_directory(real.parent)
    for companion in _COMPANIONS:
        real.with_name(real.name + companion).unlink(missing_ok=True)
    sync_directory(real.parent)
    fresh.replace(real)
    sync_directory(real.parent)
    return aside if had_one else None


def _give_to_owner(fresh: Path, former: Path) -> None:
    """What root restores must still open for the user whom the service runs as."""
    if os.geteuid() == 0:
        owner = former.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)
