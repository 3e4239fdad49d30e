"""A file spoiled behind the repositories' backs: every question tells of it, none takes it for an empty table."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.domain.types import BatchRun
from ivcrush.infrastructure.database.connection import Database, connect
from ivcrush.infrastructure.database.repositories.analysis_repository import AnalysisRepository
from ivcrush.infrastructure.database.repositories.batch_repository import BatchRepository
from ivcrush.infrastructure.database.repositories.rate_limit_repository import DailyQuota
from ivcrush.infrastructure.database.write_gate import WriteGate

NOW = datetime(2026, 5, 15, 19, 45, tzinfo=UTC)
PAGE_BYTES = 4096


def spoiled(database: Database, *tables: str) -> Database:
    """The same file with the pages of these tables and of their indexes overwritten."""
    found = database.rows("SELECT tbl_name, rootpage FROM sqlite_schema WHERE rootpage > 0", (), tuple)
    assert isinstance(found, Ok)
    database.close()
    content = bytearray(database.path.read_bytes())
    for table, page in found.value:
        if table in tables:
            content[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = b"\x5a" * PAGE_BYTES
    database.path.write_bytes(content)
    return Database(database.path, connect(database.path, 0.1), WriteGate(database.path, 0.1))


@pytest.mark.parametrize(
    ("table", "ask"),
    [
        ("analysis_log", lambda database: AnalysisRepository(database).snapshot(1)),
        ("analysis_log", lambda database: AnalysisRepository(database).statements((), None)),
        ("analysis_log", lambda database: BatchRepository(database).document(1)),
        ("batch_runs", lambda database: BatchRepository(database).last_unfinished("scan", "{}", NOW)),
        ("rate_limits", lambda database: DailyQuota(database).remaining("alpha_vantage", 25, NOW)),
        ("rate_limits", lambda database: DailyQuota(database).take("alpha_vantage", 25, NOW)),
    ],
)
def test_a_question_to_a_spoiled_table_tells_of_the_damage(
    database: Database, table: str, ask: Callable[[Database], Result[object]]
) -> None:
    answer = ask(spoiled(database, table))
    assert isinstance(answer, Err)
    assert (answer.error.code, answer.error.about("reason")) == (ErrorCode.DBERROR, "corrupt")
    assert str(database.path) in answer.error.message


def test_a_run_whose_rows_are_spoiled_is_not_taken_up_as_one_without_rows(database: Database) -> None:
    store = BatchRepository(database)
    assert store.begin_run(BatchRun("first", "scan", "{}", NOW), ("AAPL",), {}) == Ok(None)
    answer = BatchRepository(spoiled(database, "batch_items")).last_unfinished("scan", "{}", NOW)
    assert isinstance(answer, Err)
    assert answer.error.code is ErrorCode.DBERROR


def test_an_analysis_that_is_not_there_is_told_by_its_number(database: Database) -> None:
    answer = BatchRepository(database).document(7)
    assert isinstance(answer, Err)
    assert (answer.error.code, answer.error.message) == (
        ErrorCode.NODATA,
        f"analysis 7: not in {database.path}",
    )
