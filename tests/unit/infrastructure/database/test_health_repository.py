"""Whose past is known, from rows written by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ivcrush.domain.errors import Ok
from ivcrush.domain.health import HistoryCoverage, QuotaState
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.repositories.health_repository import HealthRepository
from ivcrush.infrastructure.database.repositories.rate_limit_repository import DailyQuota

FRIDAY = datetime(2026, 5, 15, 13, 30, tzinfo=UTC)
REPORT = """INSERT INTO earnings_calendar (ticker, report_date, timing, status, source, name, flags, first_seen,
    last_seen, superseded_at) VALUES (?, ?, 'AMC', 'confirmed', 'alpha_vantage', '', '[]', 'a', 'a', ?)"""
MOVE = """INSERT INTO historical_moves VALUES (?, ?, 'AMC', ?, 100, 1, 1, 1, 1, '[]', NULL)"""
MISSING = """INSERT INTO historical_moves (ticker, report_date, timing, flags, reason)
    VALUES (?, ?, 'AMC', '[]', 'no bars')"""


def write(database: Database, sql: str, *rows: tuple[object, ...]) -> None:
    assert isinstance(database.write(lambda connection: connection.executemany(sql, rows)), Ok)


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


@pytest.fixture
def health(database: Database) -> HealthRepository:
    return HealthRepository(database)


def test_coverage_counts_companies_that_report_in_these_days_and_their_past_moves(
    database: Database, health: HealthRepository
) -> None:
    write(
        database,
        REPORT,
        ("AAA", "2026-05-15", None),
        ("AAA", "2026-05-18", None),  # in doubt between two dates: one company
        ("BBB", "2026-05-21", None),
        ("CCC", "2026-05-20", "b"),  # moved away
        ("DDD", "2026-05-22", None),  # a day too late
        ("EEE", "2026-05-19", None),
        ("FFF", "2026-05-19", None),
    )
    reports = ["2025-08-10", "2025-11-10", "2026-02-10"]
    write(database, MOVE, *((ticker, day, day) for ticker in ("AAA", "EEE") for day in reports))
    write(database, MOVE, ("FFF", "2025-08-10", "2025-08-11"), ("FFF", "2026-05-15", "2026-05-18"))
    write(database, MISSING, ("EEE", "2025-05-10"), ("BBB", "2025-05-10"))
    week = date(2026, 5, 15), date(2026, 5, 21)
    assert health.coverage(*week, 3) == Ok(HistoryCoverage(reporters=4, covered=2, needed=3, lacking=("FFF", "BBB")))
    assert health.coverage(*week, 4) == Ok(
        HistoryCoverage(reporters=4, covered=0, needed=4, lacking=("AAA", "EEE", "FFF", "BBB"))
    )
    assert health.coverage(date(2026, 6, 1), date(2026, 6, 7), 4) == Ok(HistoryCoverage(0, 0, 4))


def test_the_state_of_a_quota_names_when_the_next_call_is_free(database: Database) -> None:
    quota = DailyQuota(database)
    assert quota.state("alpha_vantage", 2, FRIDAY) == Ok(QuotaState(2, 2, None, 0, None))
    quota.take("alpha_vantage", 2, FRIDAY)
    assert quota.state("alpha_vantage", 2, FRIDAY) == Ok(QuotaState(1, 2, None, 1, None))
    quota.take("alpha_vantage", 2, FRIDAY)
    free_at = FRIDAY + timedelta(days=1, minutes=1)  # the minute counts until it lies wholly outside the day
    assert quota.state("alpha_vantage", 2, FRIDAY) == Ok(QuotaState(0, 2, free_at, 2, None))


def test_a_providers_own_refusal_leaves_no_call_and_is_told(database: Database) -> None:
    quota = DailyQuota(database)
    quota.take("alpha_vantage", 25, FRIDAY)
    quota.exhausted("alpha_vantage", 25, FRIDAY)
    midnight = datetime(2026, 5, 16, 4, tzinfo=UTC)  # in New York
    assert quota.state("alpha_vantage", 25, FRIDAY) == Ok(QuotaState(0, 25, midnight, 1, FRIDAY))
