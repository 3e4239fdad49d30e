"""The commands that are killed: how each is called, what it acknowledges, and what must then be in the database.

A row is acknowledged by the line on stderr that tells of it: who reads it relies on it. When a process is killed is not
decided here.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulated_market import World

Kept = Mapping[tuple[str, str], tuple[object, ...]]  # (table, company) → its rows, without the moments of writing
# What a run did itself, in its summary and in the row of a company: the one that resumes does less.
_OWN_DOINGS = ("requests", "cache_hits", "elapsed_s", "resumed", "already_complete")
_OWN_DOINGS_IN_ROW = ("fetched", "dividends")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One command line over some companies.

    `kept` reads what a database holds, `needed` names the tables in which an acknowledged company must stand, and
    `flaws` finds what no run may ever leave.
    """

    script: str
    arguments: tuple[str, ...]
    files: Mapping[str, str]
    acknowledgement: re.Pattern[str]
    kept: Callable[[sqlite3.Connection], Kept]
    needed: tuple[str, ...]
    flaws: Callable[[sqlite3.Connection], list[str]]


def backfill(world: World, companies: int) -> Scenario:
    """Two transactions a company, one for everybody's calendar."""
    return Scenario(
        script="backfill.py",
        arguments=(*world.tickers[:companies], "--calendar", "--dividends"),
        files={},
        acknowledgement=re.compile(r'event="\d+/\d+ ([A-Z.]+): \d+ moves'),
        kept=_backfilled,
        needed=("historical_moves", "daily_bars", "dividends"),
        flaws=_half_histories,
    )


def batch(world: World, companies: int) -> Scenario:
    """Several rows at once: each fetches its history, keeps it, is analysed, and is kept with its place in the run."""
    coming = [(ticker, world.upcoming(ticker)) for ticker in world.tickers]
    lines = [f"{ticker},{report.day.isoformat()},\n" for ticker, report in coming if report is not None][:companies]
    return Scenario(
        script="analyze_batch.py",
        arguments=("--earnings-file", "earnings.csv", "--continue-on-error"),
        files={"earnings.csv": "ticker,earnings_date,expiration_date\n" + "".join(lines)},
        acknowledgement=re.compile(r'event="([A-Z.]+): done and kept'),
        kept=lambda connection: {**_backfilled(connection), **_analysed(connection)},
        needed=("analysis_log",),
        flaws=lambda connection: _half_histories(connection) + _doubled_or_astray(connection),
    )


def comparable(report: bytes) -> str:
    """A report without what tells of its run rather than of the market."""
    document = json.loads(report)
    document["run_id"] = ""
    document["summary"].update(dict.fromkeys(_OWN_DOINGS, 0))
    for row in document.get("tickers", ()):
        row.update(dict.fromkeys(_OWN_DOINGS_IN_ROW, 0))
    return json.dumps(document, indent=1)


def _backfilled(connection: sqlite3.Connection) -> Kept:
    return {
        **_by_company(connection, "historical_moves", "*", "report_date"),
        **_by_company(connection, "daily_bars", "*", "session"),
        **_by_company(connection, "dividends", "ticker, ex_date, amount", "number"),
        **_by_company(connection, "earnings_calendar", "ticker, report_date, timing, status, source, name", "number"),
    }


def _analysed(connection: sqlite3.Connection) -> Kept:
    """One row a company, however many runs analysed it: at a fixed moment they must all say the same."""
    rows = connection.execute("SELECT DISTINCT ticker, document, snapshot FROM analysis_log ORDER BY ticker").fetchall()
    return _grouped("analysis_log", rows)


def _doubled_or_astray(connection: sqlite3.Connection) -> list[str]:
    """An analysis is kept once a run, together with its row; a run that was cut is taken up, not left."""
    doubled = connection.execute("SELECT ticker FROM analysis_log GROUP BY run_id, ticker HAVING count(*) > 1")
    astray = connection.execute(
        "SELECT ticker FROM analysis_log WHERE number NOT IN (SELECT analysis FROM batch_items WHERE analysis NOTNULL)"
    )
    cut = connection.execute(
        """SELECT count(DISTINCT run_id) FROM batch_runs JOIN batch_items USING (run_id)
            WHERE NOT complete AND analysis NOTNULL"""
    ).fetchone()[0]
    return [
        *(f"{ticker}: analysed twice in one run" for (ticker,) in doubled),
        *(f"{ticker}: an analysis that is no row of a run" for (ticker,) in astray),
        *([f"{cut} runs were cut and none was taken up"] if cut > 1 else []),
    ]


def _half_histories(connection: sqlite3.Connection) -> list[str]:
    """Moves and the bars that they were measured from are one transaction."""
    halves = connection.execute(
        """SELECT ticker FROM (SELECT DISTINCT ticker FROM historical_moves UNION ALL
            SELECT DISTINCT ticker FROM daily_bars UNION ALL SELECT ticker FROM ticker_metadata)
            GROUP BY ticker HAVING count(*) <> 3"""
    )
    return [f"{ticker}: half a history" for (ticker,) in halves]


def _by_company(connection: sqlite3.Connection, table: str, columns: str, order: str) -> Kept:
    return _grouped(table, connection.execute(f"SELECT ticker, {columns} FROM {table} ORDER BY {order}").fetchall())


def _grouped(table: str, rows: Iterable[tuple[str, ...]]) -> Kept:
    companies: dict[tuple[str, str], tuple[object, ...]] = {}
    for ticker, *row in rows:
        companies[table, ticker] = (*companies.get((table, ticker), ()), tuple(row))
    return companies
