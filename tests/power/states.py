"""What a folder holds, as a short word for each table and file: two folders with the same words hold the same rows.

Read through the program's own open database, since a second look from outside could change what lies on the disk.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from ivcrush.domain.errors import Err
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.migrations import TABLES

DATABASE: Final = "data/ivcrush.db"
REPORT: Final = "report.json"
BACKUP: Final = "backup.db"
ABSENT: Final = "absent"
State = Mapping[str, str]  # a table or a file → the word for what it holds


def state(folder: Path, database: Database) -> State:
    """Every table, the report and the backup. Raises RuntimeError or sqlite3.DatabaseError where one cannot be read."""
    words = {}
    for table in sorted(TABLES):
        rows = database.rows(_all_of(table), (), lambda row: row)
        if isinstance(rows, Err):
            raise RuntimeError(rows.error.message)  # noqa: TRY004 — the world disappointed
        words[table] = _word(rows.value)
    report = folder / REPORT
    words[REPORT] = _word([(report.read_bytes(),)]) if report.exists() else ABSENT
    words[BACKUP] = _backed_up(folder / BACKUP)
    return words


def differing(found: State, wanted: State) -> list[str]:
    """The tables and files that hold something else."""
    return [name for name in wanted if found[name] != wanted[name]]


def _backed_up(path: Path) -> str:
    if not path.exists():
        return ABSENT
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return _word([row for table in sorted(TABLES) for row in connection.execute(_all_of(table))])


def _all_of(table: str) -> str:
    return f"SELECT * FROM {table} ORDER BY 1, 2, 3"


def _word(rows: Iterable[tuple[object, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        for field in row:
            digest.update(field if isinstance(field, bytes) else repr(field).encode())
            digest.update(b"\0")
    return digest.hexdigest()[:12]
