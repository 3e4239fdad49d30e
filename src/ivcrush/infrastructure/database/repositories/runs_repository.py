"""The runs over many companies as the database remembers them, for whoever looks after the machine. Reads only."""

from typing import Final

from ivcrush.domain.errors import Result
from ivcrush.domain.operations import RunRecord
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import parse_utc_text

# The last sign of life: the end, or the last row that ended. Kept rows of a resumed run ended before it began.
_RUNS: Final = """SELECT run_id, command, started_at, ended_at,
        max(started_at, ifnull(ended_at, ''), ifnull(last_row_at, '')) AS last_at, complete, exit_code,
        ifnull(item_count, 0), ifnull(analysed, 0), ifnull(failed, 0)
    FROM batch_runs LEFT JOIN (
        SELECT run_id AS of_run, count(*) AS item_count, count(analysis) AS analysed, count(error_code) AS failed,
            max(ended_at) AS last_row_at FROM batch_items GROUP BY run_id) ON of_run = run_id
    ORDER BY last_at DESC, run_id DESC LIMIT ?"""


class RunsRepository:
    """Questions about past runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, limit: int) -> Result[tuple[RunRecord, ...]]:
        """At most `limit` runs, the one that was last at work first. Errors: DBERROR."""
        return self._database.rows(_RUNS, (limit,), _parse_run)


def _parse_run(row: Row) -> RunRecord:
    run_id, command, started_at, ended_at, last_at, complete, exit_code, rows, analysed, failed = row
    return RunRecord(
        run_id=run_id,
        command=command,
        started_at=parse_utc_text(started_at),
        ended_at=None if ended_at is None else parse_utc_text(ended_at),
        last_at=parse_utc_text(last_at),
        complete=bool(complete),
        exit_code=exit_code,
        rows=rows,
        analysed=analysed,
        failed=failed,
    )
