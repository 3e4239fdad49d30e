"""What must hold whenever a run was killed, and how its traces on disk are read without healing them.

The database is copied first: opening the original would recover it, and recovering is the killed program's own task.
"""

import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from ivcrush.infrastructure.database.migrations import APPLICATION_ID, MIGRATIONS, TABLES
from simulated_market import LogEntry
from tests.kill.scenarios import Kept, Scenario, comparable

_SPENT = "SELECT ifnull(sum(used), 0) FROM rate_limits WHERE provider = 'alpha_vantage'"


@contextmanager
def copied(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of a database that nobody has open, its write-ahead log included."""
    with TemporaryDirectory() as place:
        for path in database.parent.glob(f"{database.name}*"):
            if path.name.removeprefix(database.name) in {"", "-wal"}:
                shutil.copyfile(path, Path(place) / path.name)
        with closing(sqlite3.connect(Path(place) / database.name, isolation_level=None)) as connection:
            yield connection


def unsound(connection: sqlite3.Connection) -> list[str]:
    """Damage, or another schema than ours."""
    problems = [f"integrity: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found = (
        connection.execute("PRAGMA application_id").fetchone() + connection.execute("PRAGMA user_version").fetchone()
    )
    if found != (APPLICATION_ID, len(MIGRATIONS)):
        problems.append(f"schema: {found}")
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return problems + [f"table {name} is missing" for name in TABLES - names]


def unkept(scenario: Scenario, found: Kept, wanted: Kept, acknowledged: Collection[str]) -> list[str]:
    """An acknowledged company that is not there, or any company that is there with other rows than it should."""
    lost = [
        f"{ticker}: acknowledged and not in {table}"
        for ticker in acknowledged
        for table in scenario.needed
        if (table, ticker) in wanted and (table, ticker) not in found
    ]
    changed = [
        f"{ticker}: other rows in {table}"
        for table, ticker in found
        if found[table, ticker] != wanted.get((table, ticker))
    ]
    return lost + changed


def torn(report: Path, old: bytes, wanted: str) -> list[str]:
    """A report that is neither the old one nor the new one, whole."""
    content = report.read_bytes()
    if content == old:
        return []
    try:
        same = comparable(content) == wanted
    except (ValueError, KeyError):
        return [f"report cut after {len(content)} bytes"]
    return [] if same else ["report differs from that of an undisturbed run"]


def asked_again(log: Iterable[LogEntry], settled: dict[str, float]) -> list[str]:
    """Questions about a company that was acknowledged before the moment (monotonic) when its process ended."""
    return [
        f"{symbol}: acknowledged and asked for again: {entry.question}"
        for entry in log
        for symbol in _symbols(entry.question)
        if symbol in settled and entry.at_s > settled[symbol]
    ]


def undercounted(connection: sqlite3.Connection, log: Iterable[LogEntry]) -> list[str]:
    """Calls against the day's quota that the database does not know of."""
    made = sum(entry.question.startswith("/query") for entry in log)
    counted = connection.execute(_SPENT).fetchone()[0]
    return [f"quota: {made} calls made, {counted} counted"] if counted < made else []


def _symbols(question: str) -> list[str]:
    parameters = parse_qs(urlsplit(question).query)
    return [name for key in ("symbol", "symbols") for text in parameters.get(key, []) for name in text.split(",")]
