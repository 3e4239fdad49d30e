"""Which run is the last one and what came of its rows, from rows written by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from ivcrush.domain.errors import Ok
from ivcrush.domain.operations import RunRecord
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.repositories.runs_repository import RunsRepository

FRIDAY = datetime(2026, 5, 15, 13, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = "INSERT INTO batch_runs VALUES (?, ?, '', ?, ?, ?, ?)"
ITEM = "INSERT INTO batch_items VALUES (?, ?, ?, NULL, ?, ?, ?)"


def write(database: Database, sql: str, *rows: tuple[object, ...]) -> None:
    assert isinstance(database.write(lambda connection: connection.executemany(sql, rows)), Ok)


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


@pytest.fixture
def runs(database: Database) -> RunsRepository:
    return RunsRepository(database)


def test_there_may_never_have_been_a_run(runs: RunsRepository) -> None:
    assert runs.newest() == Ok(None)
    assert runs.last(3) == Ok(())


def test_the_last_run_is_the_one_last_at_work_with_what_came_of_its_rows(
    database: Database, runs: RunsRepository
) -> None:
    write(
        database,
        RUN,
        ("old", "scan", text(FRIDAY - 24 * HOUR), text(FRIDAY - 23 * HOUR), 1, 0),
        # cut on Thursday, taken up on Friday after the other one
        ("taken up", "analyze-batch", text(FRIDAY - 25 * HOUR), text(FRIDAY + HOUR), 1, 3),
        ("other", "analyze-batch", text(FRIDAY), text(FRIDAY), 1, 0),
    )
    write(
        database,
        ITEM,
        ("taken up", 0, "a", "NODATA", "none", text(FRIDAY)),
        ("taken up", 1, "b", "EXTERNAL", "down", text(FRIDAY)),
        ("taken up", 2, "c", "TIMEOUT", "late", text(FRIDAY)),
        ("taken up", 3, "d", "RATELIMIT", "too fast", text(FRIDAY)),
        ("taken up", 4, "e", "INVALID", "line 6", text(FRIDAY)),
        ("taken up", 5, "f", None, None, None),
        ("other", 0, "a", None, None, None),
    )
    began, ended = FRIDAY - 25 * HOUR, FRIDAY + HOUR
    last = RunRecord(
        "taken up", "analyze-batch", began, ended, ended, True, 3, rows=6, analysed=0, failed=5, provider_failed=3
    )
    assert runs.newest() == Ok(last)
    assert (last.reached, last.left) == (5, 1)
    every = runs.last(9)
    assert isinstance(every, Ok)
    assert [run.run_id for run in every.value] == ["taken up", "other", "old"]


def test_a_run_that_has_not_ended_was_last_at_work_with_its_last_row(database: Database, runs: RunsRepository) -> None:
    write(
        database,
        RUN,
        ("cut", "scan", text(FRIDAY), None, 0, None),
        ("later", "scan", text(FRIDAY + HOUR), text(FRIDAY + 2 * HOUR), 1, 0),
        ("idle", "scan", text(FRIDAY - HOUR), None, 0, None),
    )
    write(database, ITEM, ("cut", 0, "a", "NODATA", "none", text(FRIDAY + 3 * HOUR)))
    every = runs.last(9)
    assert isinstance(every, Ok)
    assert [(run.run_id, run.last_at, run.ended_at) for run in every.value] == [
        ("cut", FRIDAY + 3 * HOUR, None),
        ("later", FRIDAY + 2 * HOUR, FRIDAY + 2 * HOUR),
        ("idle", FRIDAY - HOUR, None),
    ]
