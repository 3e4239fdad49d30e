"""The log of analyses: each kept whole, with the snapshot it was computed from. It is only ever appended to.

Read again for repeating an analysis, and for holding what it said against what came.
"""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from ivcrush.domain.analysis import StatedRatio, Statement, TickerAnalysis, UnreadableStatement
from ivcrush.domain.enums import Recommendation, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import MarketSnapshot, Ticker
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text
from ivcrush.infrastructure.database.snapshot_codec import decode_snapshot, encode_snapshot

_INSERT: Final = """INSERT INTO analysis_log (run_id, ticker, report_date, as_of, saved_at, document, snapshot)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
# SQLite reads the documents, so that a year of them is never in memory at once; the fields are those of `_Said`.
_STATEMENTS: Final = """SELECT number, ticker, report_date, as_of, CAST(iif(json_valid(text), json_extract(text,
        '$.earnings.timing', '$.simulated', '$.expiration', '$.implied_move.event_move_pct',
        '$.implied_move.straddle_pct', '$.execution.cost_pct', '$.vrp.ratio', '$.vrp.shrunk_ratio',
        '$.vrp.inside_probability', '$.recommendation', '$.tradeable'), 'no JSON') AS BLOB)
    FROM (SELECT number, ticker, report_date, as_of, CAST(document AS TEXT) AS text FROM analysis_log
        WHERE report_date >= ?1 AND (?2 = '[]' OR ticker IN (SELECT value FROM json_each(?2))) AND number > ?3
        ORDER BY number LIMIT ?4) ORDER BY number"""
_PIECE: Final = 5_000  # analyses a query: a good quarter of a second on a cached file


class _Said(NamedTuple):
    """The fields of a document that can be right or wrong; those of a block that is an error are None."""

    timing: Timing
    simulated: bool
    expiration: date
    event_move_pct: float
    straddle_pct: float
    cost_pct: float | None
    ratio: float | None
    shrunk_ratio: float | None
    inside_probability: float | None
    recommendation: Recommendation
    tradeable: bool


class AnalysisRepository:
    """`AnalysisStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_analysis(self, analysis: TickerAnalysis, document: bytes, run_id: str, saved_at: datetime) -> Result[int]:
        """Keep the JSON document as given and the snapshot; the number is never given again. Errors: DBERROR."""
        row = analysis_row(analysis, document, run_id, saved_at)
        return self._database.write(lambda connection: insert_analysis(connection, row))

    def snapshot(self, number: int) -> Result[MarketSnapshot]:
        """The snapshot of an analysis. Errors: NODATA for an unknown number, DBERROR for a damaged one."""
        found = self._database.rows("SELECT snapshot FROM analysis_log WHERE number = ?", (number,), _parse_blob)
        if isinstance(found, Err):
            return found
        if not found.value:
            return err(ErrorCode.NODATA, f"analysis {number}: not in {self._database.path}")
        return decode_snapshot(found.value[0])

    def statements(
        self, tickers: Sequence[Ticker], since: date | None
    ) -> Result[tuple[Statement | UnreadableStatement, ...]]:
        """What analyses of reports from `since` on said, of these companies (none named: of all), by number.

        Errors: DBERROR.
        """
        asked = ("" if since is None else since.isoformat(), msgspec.json.encode(tickers).decode())
        read: list[Statement | UnreadableStatement] = []
        while True:
            last = read[-1].number if read else 0
            piece = self._database.rows(_STATEMENTS, (*asked, last, _PIECE), _parse_statement)
            if isinstance(piece, Err):
                return piece
            read += piece.value
            if len(piece.value) < _PIECE:
                return Ok(tuple(read))


def analysis_row(analysis: TickerAnalysis, document: bytes, run_id: str, saved_at: datetime) -> tuple[str | bytes, ...]:
    """An analysis as its row in the log."""
    snapshot = analysis.snapshot
    return (
        run_id,
        analysis.ticker,
        snapshot.request.report_date.isoformat(),
        utc_text(snapshot.as_of),
        utc_text(saved_at),
        document,
        encode_snapshot(snapshot),
    )


def insert_analysis(connection: sqlite3.Connection, row: tuple[str | bytes, ...]) -> int:
    """Append a row to the log, inside a transaction; its number. Raises sqlite3.DatabaseError."""
    number = connection.execute(_INSERT, row).lastrowid
    assert number is not None
    return number


def _parse_blob(row: Row) -> bytes:
    return bytes(row[0])


def _parse_statement(row: Row) -> Statement | UnreadableStatement:
    """One damaged document is no reason to say nothing of the others."""
    number, ticker, report_date, as_of, fields = row
    try:
        return _statement(number, ticker, report_date, as_of, msgspec.json.decode(fields, type=_Said))
    except ValueError as error:
        return UnreadableStatement(number, Ticker(ticker), report_date, str(error))


def _statement(number: int, ticker: str, report_date: str, as_of: str, said: _Said) -> Statement:
    """Raises ValueError."""
    if min(said.event_move_pct, said.straddle_pct) <= 0:
        smaller = min(said.event_move_pct, said.straddle_pct)
        raise ValueError(f"event move or straddle {smaller:g} %, above 0 needed")
    return Statement(
        number=number,
        ticker=Ticker(ticker),
        report_date=date.fromisoformat(report_date),
        timing=said.timing,
        as_of=parse_utc_text(as_of),
        simulated=said.simulated,
        expiration=said.expiration,
        event_move_pct=said.event_move_pct,
        straddle_pct=said.straddle_pct,
        cost_pct=said.cost_pct,
        stated=_stated(said),
        recommendation=said.recommendation,
        tradeable=said.tradeable,
    )


def _stated(said: _Said) -> StatedRatio | None:
    if said.ratio is None or said.shrunk_ratio is None or said.inside_probability is None:
        return None
    return StatedRatio(said.ratio, said.shrunk_ratio, said.inside_probability)
