"""What the database knows about how things stand: the last runs, and whose past is known. Reads only."""

from datetime import date, datetime
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.health import HistoryCoverage, LastRun
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import parse_utc_text

_LAST_RUN: Final = """SELECT run_id, command, started_at, ended_at, complete, exit_code,
        (SELECT count(*) FROM batch_items WHERE run_id = batch_runs.run_id),
        (SELECT count(ended_at) FROM batch_items WHERE run_id = batch_runs.run_id)
    FROM batch_runs ORDER BY max(started_at, ifnull(ended_at, started_at)) DESC LIMIT 1"""
_COVERAGE: Final = """SELECT count(*), ifnull(sum(moves >= ?), 0) FROM (
    SELECT (SELECT count(*) FROM historical_moves
            WHERE historical_moves.ticker = reporters.ticker AND reason IS NULL AND reaction_session < ?) AS moves
    FROM (SELECT DISTINCT ticker FROM earnings_calendar
          WHERE superseded_at IS NULL AND report_date BETWEEN ? AND ?) AS reporters)"""


class HealthRepository:
    """Questions of the health check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_run(self) -> Result[LastRun | None]:
        """The run over many companies that was last at work, None where there never was one. Errors: DBERROR."""
        found = self._database.rows(_LAST_RUN, (), _parse_run)
        return found if isinstance(found, Err) else Ok(next(iter(found.value), None))

    def coverage(self, start: date, end: date, min_quarters: int) -> Result[HistoryCoverage]:
        """The companies that report in [start, end], and those with `min_quarters` moves before it. Errors: DBERROR."""
        asked = (min_quarters, start.isoformat(), start.isoformat(), end.isoformat())
        found = self._database.rows(
            _COVERAGE, asked, lambda row: HistoryCoverage(int(row[0]), int(row[1]), min_quarters)
        )
        return found if isinstance(found, Err) else Ok(found.value[0])


def _parse_run(row: Row) -> LastRun:
    run_id, command, started_at, ended_at, complete, exit_code, rows, ended = row
    return LastRun(
        run_id=run_id,
        command=command,
        started_at=parse_utc_text(started_at),
        ended_at=_moment(ended_at),
        complete=bool(complete),
        exit_code=exit_code,
        rows=rows,
        ended=ended,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_utc_text(text)
