"""The schema, as forward-only steps: each migration is one transaction and is never edited once released.

Dates are ISO text of New York market dates, moments ISO text in UTC with microseconds, so that text order is time
order. Constraints repeat what the domain promises: a row that breaks one is a defect of ours.
"""

import sqlite3
from typing import Final

from ivcrush.infrastructure.database.connection import transaction

APPLICATION_ID: Final = 0x49564352  # "IVCR", at offset 68 of the file

Migration = tuple[str, ...]

_DAY = "CHECK (date({0}) IS {0})"
_TIMING = "CHECK (timing IN ('BMO', 'AMC', 'DMH', 'UNKNOWN'))"

_FIRST: Final[Migration] = (
    # A date that moves is history: the old row stays, with the moment at which another one took its place.
    f"""CREATE TABLE earnings_calendar (
        number INTEGER PRIMARY KEY,
        ticker TEXT NOT NULL,
        report_date TEXT NOT NULL {_DAY.format("report_date")},
        timing TEXT NOT NULL {_TIMING},
        status TEXT NOT NULL CHECK (status IN ('confirmed', 'estimated', 'unknown')),
        source TEXT NOT NULL CHECK (source NOT IN ('argument', 'stored')),
        name TEXT NOT NULL,
        flags TEXT NOT NULL,
        first_seen TEXT NOT NULL,
        last_seen TEXT NOT NULL CHECK (last_seen >= first_seen),
        superseded_at TEXT CHECK (superseded_at >= first_seen)
    ) STRICT""",
    """CREATE UNIQUE INDEX earnings_calendar_current
        ON earnings_calendar (ticker, report_date, timing, source) WHERE superseded_at IS NULL""",
    # Either every number of a move, or the reason why there is none; nothing in between.
    f"""CREATE TABLE historical_moves (
        ticker TEXT NOT NULL,
        report_date TEXT NOT NULL {_DAY.format("report_date")},
        timing TEXT NOT NULL {_TIMING},
        reaction_session TEXT {_DAY.format("reaction_session")},
        previous_close REAL CHECK (previous_close > 0),
        close_to_close_pct REAL,
        gap_pct REAL,
        open_to_close_pct REAL,
        peak_pct REAL,
        flags TEXT NOT NULL,
        reason TEXT CHECK (reason <> ''),
        PRIMARY KEY (ticker, report_date),
        CHECK ((reason IS NULL) = (reaction_session IS NOT NULL)),
        CHECK ((reason IS NULL) = (previous_close IS NOT NULL)),
        CHECK ((reason IS NULL) = (close_to_close_pct IS NOT NULL)),
        CHECK ((reason IS NULL) = (gap_pct IS NOT NULL)),
        CHECK ((reason IS NULL) = (open_to_close_pct IS NOT NULL)),
        CHECK ((reason IS NULL) = (peak_pct IS NOT NULL))
    ) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE daily_bars (
        ticker TEXT NOT NULL,
        session TEXT NOT NULL {_DAY.format("session")},
        open REAL NOT NULL CHECK (open > 0),
        high REAL NOT NULL CHECK (high > 0),
        low REAL NOT NULL CHECK (low > 0),
        close REAL NOT NULL CHECK (close > 0),
        volume INTEGER NOT NULL CHECK (volume >= 0),
        PRIMARY KEY (ticker, session)
    ) STRICT, WITHOUT ROWID""",
    # Two dividends on one day (a special one beside the regular one) are two rows.
    f"""CREATE TABLE dividends (
        number INTEGER PRIMARY KEY,
        ticker TEXT NOT NULL,
        ex_date TEXT NOT NULL {_DAY.format("ex_date")},
        amount REAL NOT NULL CHECK (amount >= 0),
        seen_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX dividends_by_date ON dividends (ticker, ex_date)",
    """CREATE TABLE ticker_metadata (
        ticker TEXT PRIMARY KEY,
        last_backfill TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE analysis_log (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        ticker TEXT NOT NULL,
        report_date TEXT NOT NULL {_DAY.format("report_date")},
        as_of TEXT NOT NULL,
        saved_at TEXT NOT NULL,
        document BLOB NOT NULL,
        snapshot BLOB NOT NULL
    ) STRICT""",
    # A row a minute in which calls were made; the calls of the last 24 hours are counted from these.
    """CREATE TABLE rate_limits (
        provider TEXT NOT NULL,
        minute TEXT NOT NULL,
        used INTEGER NOT NULL CHECK (used >= 0),
        refused_at TEXT,
        PRIMARY KEY (provider, minute)
    ) STRICT, WITHOUT ROWID""",
)

# Many companies in one run, what a cut run had done, and when everybody's dates were last asked for.
_SECOND: Final[Migration] = (
    # `conditions` is whatever makes two runs the same question; a run without `ended_at` is under way or was cut.
    """CREATE TABLE batch_runs (
        run_id TEXT PRIMARY KEY,
        command TEXT NOT NULL CHECK (command <> ''),
        conditions TEXT NOT NULL,
        started_at TEXT NOT NULL,
        ended_at TEXT CHECK (ended_at >= started_at),
        complete INTEGER NOT NULL DEFAULT 0 CHECK (complete IN (0, 1)),
        exit_code INTEGER
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX batch_runs_by_start ON batch_runs (started_at)",
    # A row of the input. With an analysis it is done, with an error it failed, with neither it was not reached.
    """CREATE TABLE batch_items (
        run_id TEXT NOT NULL REFERENCES batch_runs,
        position INTEGER NOT NULL CHECK (position >= 0),
        question TEXT NOT NULL,
        analysis INTEGER REFERENCES analysis_log (number),
        error_code TEXT CHECK (error_code <> ''),
        error_message TEXT,
        ended_at TEXT,
        PRIMARY KEY (run_id, position),
        CHECK (analysis IS NULL OR error_code IS NULL),
        CHECK ((error_code IS NULL) = (error_message IS NULL)),
        CHECK ((ended_at IS NULL) = (analysis IS NULL AND error_code IS NULL))
    ) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX batch_items_by_question ON batch_items (run_id, question)",
    # The dates that a company's report moved from.
    """CREATE INDEX earnings_calendar_history
        ON earnings_calendar (ticker) WHERE superseded_at IS NOT NULL""",
    # The whole calendar of one source, asked for at once.
    """CREATE TABLE calendar_refreshes (
        source TEXT PRIMARY KEY,
        refreshed_at TEXT NOT NULL,
        reports INTEGER NOT NULL CHECK (reports >= 0)
    ) STRICT, WITHOUT ROWID""",
    # What is known of a company beside its reports; every fact with the moment it was learned.
    f"""CREATE TABLE companies (
        ticker TEXT PRIMARY KEY,
        last_backfill TEXT,
        oldest_report TEXT {_DAY.format("oldest_report")},
        dividends_at TEXT,
        market_cap_millions REAL CHECK (market_cap_millions > 0),
        market_cap_at TEXT,
        CHECK ((market_cap_millions IS NULL) = (market_cap_at IS NULL))
    ) STRICT, WITHOUT ROWID""",
    "INSERT INTO companies (ticker, last_backfill) SELECT ticker, last_backfill FROM ticker_metadata",
    "DROP TABLE ticker_metadata",
    "ALTER TABLE companies RENAME TO ticker_metadata",
)

MIGRATIONS: Final[tuple[Migration, ...]] = (_FIRST, _SECOND)
TABLES: Final = frozenset(
    {
        "analysis_log",
        "batch_items",
        "batch_runs",
        "calendar_refreshes",
        "daily_bars",
        "dividends",
        "earnings_calendar",
        "historical_moves",
        "rate_limits",
        "ticker_metadata",
    }
)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Bring a connection in autocommit mode to the newest schema, one transaction a migration.

    Cut anywhere, the file holds the schema before or after a migration. Raises sqlite3.DatabaseError.
    """
    while (version := schema_version(connection)) < len(migrations):
        with transaction(connection):
            if schema_version(connection) == version:  # else another process was faster
                _step(connection, migrations[version], version + 1)


def _step(connection: sqlite3.Connection, statements: Migration, version: int) -> None:
    for statement in statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
