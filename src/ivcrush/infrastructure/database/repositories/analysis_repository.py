"""The log of analyses: each kept whole, with the snapshot it was computed from. It is only ever appended to."""

import sqlite3
from datetime import datetime
from typing import Final

from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import Err, ErrorCode, Result, err
from ivcrush.domain.types import MarketSnapshot
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import utc_text
from ivcrush.infrastructure.database.snapshot_codec import decode_snapshot, encode_snapshot

_INSERT: Final = """INSERT INTO analysis_log (run_id, ticker, report_date, as_of, saved_at, document, snapshot)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


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
