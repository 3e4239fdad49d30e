"""Runs over many companies, row by row: what is done when a run is cut, and how each run ended.

A done row and its analysis are written in one transaction, so that neither can be there without the other. A row is
named by its question (company, date, session, expiration), so that it is found again in an input that was edited.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import BatchRun, KeptRow, UnfinishedRun
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text
from ivcrush.infrastructure.database.repositories.analysis_repository import analysis_row, insert_analysis

_UNFINISHED: Final = """SELECT run_id FROM batch_runs
    WHERE command = ? AND conditions = ? AND complete = 0 AND started_at >= ? ORDER BY started_at DESC LIMIT 1"""
_DONE: Final = "SELECT question, analysis, ended_at FROM batch_items WHERE run_id = ? AND analysis IS NOT NULL"
_BEGIN: Final = """INSERT INTO batch_runs (run_id, command, conditions, started_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (run_id) DO UPDATE SET ended_at = NULL, complete = 0, exit_code = NULL"""
_INSERT_ITEM: Final = """INSERT INTO batch_items (run_id, position, question, analysis, ended_at)
    VALUES (?, ?, ?, ?, ?)"""
_DONE_ITEM: Final = """UPDATE batch_items SET analysis = ?, ended_at = ?, error_code = NULL, error_message = NULL
    WHERE run_id = ? AND question = ?"""
_FAILED_ITEM: Final = """UPDATE batch_items SET error_code = ?, error_message = ?, ended_at = ?
    WHERE run_id = ? AND question = ?"""
_END: Final = """UPDATE batch_runs SET complete = ?, exit_code = ?, ended_at = max(started_at, ?)
    WHERE run_id = ?"""


class BatchRepository:
    """`BatchStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_unfinished(self, command: str, conditions: str, since: datetime) -> Result[UnfinishedRun | None]:
        """The latest run under these conditions that was not completed, begun since then. Errors: DBERROR."""
        runs = self._database.rows(_UNFINISHED, (command, conditions, utc_text(since)), lambda row: str(row[0]))
        if isinstance(runs, Err):
            return runs
        if not runs.value:
            return Ok(None)
        run_id = runs.value[0]
        done = self._database.rows(_DONE, (run_id,), _parse_done)
        return done if isinstance(done, Err) else Ok(UnfinishedRun(run_id, MappingProxyType(dict(done.value))))

    def begin_run(self, run: BatchRun, questions: Sequence[str], kept: Mapping[str, KeptRow]) -> Result[None]:
        """Note a run and its rows, those that are kept as done; its former rows give way. Errors: DBERROR."""
        noted = (run.run_id, run.command, run.conditions, utc_text(run.started_at))
        items = [(run.run_id, position, *_item(question, kept)) for position, question in enumerate(questions)]

        def begin(connection: sqlite3.Connection) -> None:
            connection.execute(_BEGIN, noted)
            connection.execute("DELETE FROM batch_items WHERE run_id = ?", (run.run_id,))
            connection.executemany(_INSERT_ITEM, items)

        return self._database.write(begin)

    def save_analysed(
        self, run_id: str, question: str, analysis: TickerAnalysis, document: bytes, *, ended_at: datetime
    ) -> Result[None]:
        """Append the analysis to the log and mark its row done. Errors: DBERROR."""
        row = analysis_row(analysis, document, run_id, ended_at)

        def keep(connection: sqlite3.Connection) -> None:
            number = insert_analysis(connection, row)
            _changed_one(connection.execute(_DONE_ITEM, (number, utc_text(ended_at), run_id, question)))

        return self._database.write(keep)

    def save_failed(self, run_id: str, question: str, error: AppError, *, ended_at: datetime) -> Result[None]:
        """Keep why a row has no analysis. Errors: DBERROR."""
        values = (error.code.value, error.message, utc_text(ended_at), run_id, question)
        return self._database.write(lambda connection: _changed_one(connection.execute(_FAILED_ITEM, values)))

    def document(self, analysis: int) -> Result[bytes]:
        """The JSON document of an analysis. Errors: NODATA for an unknown number, DBERROR."""
        found = self._database.rows(
            "SELECT document FROM analysis_log WHERE number = ?", (analysis,), lambda row: bytes(row[0])
        )
        if isinstance(found, Err):
            return found
        if not found.value:
            return err(ErrorCode.NODATA, f"analysis {analysis}: not in {self._database.path}")
        return Ok(found.value[0])

    def end_run(self, run_id: str, *, complete: bool, exit_code: int, ended_at: datetime) -> Result[None]:
        """Note how the run ended. Errors: DBERROR."""
        values = (int(complete), exit_code, utc_text(ended_at), run_id)
        return self._database.write(lambda connection: _changed_one(connection.execute(_END, values)))


def _item(question: str, kept: Mapping[str, KeptRow]) -> tuple[object, ...]:
    row = kept.get(question)
    return (question, None, None) if row is None else (question, row.analysis, utc_text(row.ended_at))


def _parse_done(row: Row) -> tuple[str, KeptRow]:
    question, analysis, ended_at = row
    return str(question), KeptRow(int(analysis), parse_utc_text(ended_at))


def _changed_one(cursor: sqlite3.Cursor) -> None:
    assert cursor.rowcount == 1, "a row of a run that was never begun"
