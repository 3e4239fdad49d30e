"""The runs over many companies as the database remembers them, for whoever looks after the machine. Reads only.

Which run is the last one, and what came of it, is decided here alone: for the list of runs and for the health check.
"""

from dataclasses import replace
from typing import Final

from ivcrush.domain.errors import PROVIDER_FAILURES, Err, Ok, Result
from ivcrush.domain.operations import RunRecord
from ivcrush.infrastructure.database.connection import Database, Row
from ivcrush.infrastructure.database.moments import parse_utc_text

_PROVIDER_FAILED: Final = ", ".join(f"'{code}'" for code in PROVIDER_FAILURES)
# The last sign of life: the end; without one, the last row that ended. Kept rows of a resumed run ended before it
# began. Rows are counted of the chosen runs alone: a year of them is many.
_RUNS: Final = f"""WITH newest AS (
        SELECT run_id, command, started_at, ended_at AS run_ended_at, max(started_at, ifnull(ended_at, ifnull(
            (SELECT max(ended_at) FROM batch_items WHERE run_id = batch_runs.run_id), ''))) AS last_at,
            complete, exit_code
        FROM batch_runs ORDER BY last_at DESC, run_id DESC LIMIT ?)
    SELECT run_id, command, started_at, run_ended_at, last_at, complete, exit_code, count(question), count(analysis),
        count(error_code), count(*) FILTER (WHERE error_code IN ({_PROVIDER_FAILED}))
    FROM newest LEFT JOIN batch_items USING (run_id)
    GROUP BY run_id ORDER BY last_at DESC, run_id DESC"""  # noqa: S608  words of our own

# Looked for in the stored bytes: the documents of a large run are many, and nothing else of them is wanted.
_HISTORY_LOST: Final = """SELECT count(*) FROM batch_items JOIN analysis_log ON number = analysis
    WHERE batch_items.run_id = ? AND instr(document, CAST('"history_not_fetched"' AS BLOB))"""


class RunsRepository:
    """Questions about past runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> Result[RunRecord | None]:
        """The run that was last at work, None where there never was one. Errors: DBERROR.

        Only of it the lost histories are counted.
        """
        found = self.last(1)
        if isinstance(found, Err) or not found.value:
            return found if isinstance(found, Err) else Ok(None)
        lost = self._database.rows(_HISTORY_LOST, (found.value[0].run_id,), lambda row: int(row[0]))
        return lost if isinstance(lost, Err) else Ok(replace(found.value[0], history_lost=lost.value[0]))

    def last(self, limit: int) -> Result[tuple[RunRecord, ...]]:
        """At most `limit` runs, the one that was last at work first. Errors: DBERROR."""
        return self._database.rows(_RUNS, (limit,), _parse_run)


def _parse_run(row: Row) -> RunRecord:
    run_id, command, started_at, ended_at, last_at, complete, exit_code, rows, analysed, failed, by_provider = row
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
        provider_failed=by_provider,
    )
