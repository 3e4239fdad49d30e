"""What the database knows about how things stand: whose past is known. Reads only."""

from datetime import date
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.health import HistoryCoverage
from ivcrush.infrastructure.database.connection import Database

_NAMED: Final = 5
_COVERAGE: Final = """SELECT ticker, (SELECT count(*) FROM historical_moves
        WHERE historical_moves.ticker = reporters.ticker AND reason IS NULL AND reaction_session < ?)
    FROM (SELECT ticker, min(report_date) AS soonest FROM earnings_calendar
          WHERE superseded_at IS NULL AND report_date BETWEEN ? AND ? GROUP BY ticker) AS reporters
    ORDER BY soonest, ticker"""


class HealthRepository:
    """Questions of the health check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def coverage(self, start: date, end: date, min_quarters: int) -> Result[HistoryCoverage]:
        """The companies that report in [start, end], and those with `min_quarters` moves before it. Errors: DBERROR."""
        asked = (start.isoformat(), start.isoformat(), end.isoformat())
        found = self._database.rows(_COVERAGE, asked, lambda row: (str(row[0]), int(row[1])))
        if isinstance(found, Err):
            return found
        lacking = [ticker for ticker, moves in found.value if moves < min_quarters]
        reporters = len(found.value)
        return Ok(HistoryCoverage(reporters, reporters - len(lacking), min_quarters, tuple(lacking[:_NAMED])))
