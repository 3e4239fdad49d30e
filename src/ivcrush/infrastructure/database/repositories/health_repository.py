"""What the database knows about how things stand: whose past is known. Reads only."""

from datetime import date
from typing import Final

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.health import HistoryCoverage
from ivcrush.infrastructure.database.connection import Database

_COVERAGE: Final = """SELECT count(*), ifnull(sum(moves >= ?), 0) FROM (
    SELECT (SELECT count(*) FROM historical_moves
            WHERE historical_moves.ticker = reporters.ticker AND reason IS NULL AND reaction_session < ?) AS moves
    FROM (SELECT DISTINCT ticker FROM earnings_calendar
          WHERE superseded_at IS NULL AND report_date BETWEEN ? AND ?) AS reporters)"""


class HealthRepository:
    """Questions of the health check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def coverage(self, start: date, end: date, min_quarters: int) -> Result[HistoryCoverage]:
        """The companies that report in [start, end], and those with `min_quarters` moves before it. Errors: DBERROR."""
        asked = (min_quarters, start.isoformat(), start.isoformat(), end.isoformat())
        found = self._database.rows(
            _COVERAGE, asked, lambda row: HistoryCoverage(int(row[0]), int(row[1]), min_quarters)
        )
        return found if isinstance(found, Err) else Ok(found.value[0])
