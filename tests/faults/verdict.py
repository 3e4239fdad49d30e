"""What must hold after every fault: the exit code, the first line of stderr, no secret anywhere, sound files."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from stat import S_ISREG

from tests.integration.conftest import KEY, TOKEN, Finished

CANARIES = (TOKEN.encode(), KEY.encode())
_HANDED_OVER = {
    ".env",
    "tradier_api_key",
    "alpha_vantage_key",
}  # files in which the tests themselves hand the keys over


def ends(finished: Finished, code: int, *named: str) -> Finished:
    """Asserts that a run ended with `code` and no traceback, its first line of stderr naming each of `named`."""
    assert finished.code == code, (finished.code, finished.err)
    lines = finished.err.splitlines() or [""]
    missing = [word for word in named if word not in lines[0]]
    assert missing == [], lines[0]
    assert "Traceback" not in finished.err
    assert not any(canary in (finished.out + finished.err).encode() for canary in CANARIES)
    return finished


def canaries_below(directory: Path) -> list[str]:
    """The regular files that hold the token or the key, those in which they were handed over left out."""
    paths = [
        Path(parent, name) for parent, _, names in os.walk(directory) for name in names if name not in _HANDED_OVER
    ]
    files = [path for path in paths if S_ISREG(path.lstat().st_mode)]
    return [str(path) for path in files if any(canary in path.read_bytes() for canary in CANARIES)]


def sound(database: Path) -> None:
    """Asserts that SQLite finds no damage."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def count(database: Path, table: str) -> int:
    """How many rows a table has."""
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
