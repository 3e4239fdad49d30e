"""Backing up and restoring: copies that are sound before they get their name, and nothing that exists is ever deleted.

A copy is made by `VACUUM INTO` from one moment of the source, whoever writes to it meanwhile, and never by copying the
file: that would miss its -wal file. A cut copy leaves its name unused; kill -9 leaves a hidden folder beside it.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.operations import DatabaseFacts
from ivcrush.infrastructure.database.connection import DAMAGE, Interrupted, give_up_when
from ivcrush.infrastructure.database.examination import require_sound
from ivcrush.infrastructure.database.exchange import exchange
from ivcrush.infrastructure.database.failures import file_failure, storage_failure, unusable
from ivcrush.infrastructure.database.inspection import connect_for_reading
from ivcrush.infrastructure.database.private_files import make_private_directory, make_private_file
from ivcrush.utils.files import sync_directory, sync_file

# What keeps a file from being set aside; damage of any kind does not.
_LEFT_ALONE: Final = frozenset({"foreign", "cannot_open", "read_only"})


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

    The former database, with what SQLite keeps beside it, may be damaged in any way and is not changed. The caller
    holds the run lock. Errors: DBERROR for a place that cannot be written, another program's database in it, or, with
    the reason `locked`, a process that still has the database open. Raises sqlite3.OperationalError once `interrupted`
    says so.
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
            return Ok(Restored(copied.value, exchange(fresh, real, suffix=suffix, busy_timeout_s=busy_timeout_s)))
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
        damaged = error.sqlite_errorcode & 0xFF in DAMAGE
        return storage_failure(error, source if damaged else fresh.parent.parent)
    finally:
        connection.close()
    sync_file(fresh)
    return require_sound(fresh, interrupted=interrupted)


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
