"""Every page, index and reference of a database read once, and what lies in it counted. Changes and repairs nothing.

Longer than the look of a health check, about two seconds per GB cached; other processes may write meanwhile, and
everything told is of one moment.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.operations import DatabaseFacts
from ivcrush.infrastructure.database.connection import DAMAGE, Interrupted, Row, give_up_when
from ivcrush.infrastructure.database.failures import unusable
from ivcrush.infrastructure.database.inspection import look_into, remarks
from ivcrush.infrastructure.database.migrations import MIGRATIONS, TABLES, schema_version

_MOST_FINDINGS: Final = 20
_TABLES: Final = """SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"""


def examine_database(path: Path, *, interrupted: Interrupted) -> Result[DatabaseFacts]:
    """What lies in a database and what is wrong with it; damage inside it is a finding, no error.

    Errors: DBERROR for a file that is missing, empty, unreadable or another program's; CONFIG for a newer schema.
    Raises sqlite3.OperationalError once `interrupted` says so.
    """

    def look(connection: sqlite3.Connection) -> Result[DatabaseFacts]:
        give_up_when(connection, interrupted)
        connection.execute("BEGIN")  # whatever is read from here on is of one moment
        return Ok(_facts(connection, path))

    return look_into(path, look)


def require_sound(path: Path, *, interrupted: Interrupted) -> Result[DatabaseFacts]:
    """The same, where nothing is wrong. Errors: DBERROR for damage too."""
    facts = examine_database(path, interrupted=interrupted)
    if isinstance(facts, Err) or facts.value.sound:
        return facts
    return unusable(path, f"damaged ({facts.value.damage[0]})", "restore a backup", "corrupt")


def file_bytes(path: Path) -> int:
    """The size of a file, 0 where there is none. Raises OSError where it cannot be told."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _facts(connection: sqlite3.Connection, path: Path) -> DatabaseFacts:
    """Raises sqlite3.DatabaseError."""

    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    version = schema_version(connection)
    damage = _found(connection, f"PRAGMA integrity_check({_MOST_FINDINGS})", lambda row: str(row[0]))
    tables = () if damage else tuple((name, _rows(connection, name)) for name in _names(connection))
    missing = sorted(TABLES - {name for name, _ in tables}) if version == len(MIGRATIONS) and not damage else []
    return DatabaseFacts(
        size_bytes=file_bytes(path),
        log_bytes=file_bytes(path.with_name(path.name + "-wal")),
        page_size_bytes=pragma("page_size"),
        pages=pragma("page_count"),
        free_pages=pragma("freelist_count"),
        schema_version=version,
        newest_schema=len(MIGRATIONS),
        application_id=pragma("application_id"),
        journal_mode=str(connection.execute("PRAGMA journal_mode").fetchone()[0]),
        tables=tables,
        damage=(
            *damage,
            *_found(connection, "PRAGMA foreign_key_check", _dangling),
            *(f"table {name} is missing" for name in missing),
        ),
        remarks=remarks(connection, path),
    )


def _found(connection: sqlite3.Connection, check: str, told: Callable[[Row], str]) -> tuple[str, ...]:
    """The findings of a check, each on one line; one that damage itself cuts short has found it."""
    try:
        rows = connection.execute(check).fetchmany(_MOST_FINDINGS)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGE:
            raise
        return (str(error),)
    return tuple(" ".join(told(row).split()) for row in rows if row[0] != "ok")


def _dangling(row: Row) -> str:
    table, rowid, parent, _ = row
    place = "a row" if rowid is None else f"row {rowid}"
    return f"{place} of {table} refers to a row of {parent} that is not there"


def _names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute(_TABLES)]


def _rows(connection: sqlite3.Connection, table: str) -> int:
    # The name comes from the file: quoted, since somebody may have added a table of any name.
    quoted = table.replace('"', '""')
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608
