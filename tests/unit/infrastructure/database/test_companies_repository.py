"""Market capitalisations are kept beside what the backfill knows of the same companies."""

import sqlite3
from datetime import date, datetime, timedelta

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.repositories.companies_repository import CompaniesRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository

IBM, MSFT = Ticker("IBM"), Ticker("MSFT")
MONDAY = datetime(2026, 5, 11, 9, 30, tzinfo=NEW_YORK)


def test_an_import_replaces_the_companies_it_names_and_leaves_the_others(database: Database) -> None:
    store = CompaniesRepository(database)
    assert store.market_caps_millions() == Ok({})
    store.save_market_caps({IBM: 215_000.0, MSFT: 3_100_000.0}, MONDAY)
    assert store.save_market_caps({IBM: 0.5}, MONDAY + timedelta(1)) == Ok(None)
    assert store.market_caps_millions() == Ok({IBM: 0.5, MSFT: 3_100_000.0})
    sql = "SELECT ticker, market_cap_at FROM ticker_metadata ORDER BY ticker"
    assert database.rows(sql, (), tuple) == Ok(
        (("IBM", "2026-05-12T13:30:00.000000+00:00"), ("MSFT", "2026-05-11T13:30:00.000000+00:00"))
    )


@pytest.mark.parametrize("first", ["import", "backfill"])
def test_import_and_backfill_of_one_company_leave_each_others_facts_alone(database: Database, first: str) -> None:
    companies, prices = CompaniesRepository(database), PricesRepository(database)

    def backfill() -> None:
        prices.save_history(IBM, (), (), (), through=date(2026, 5, 8), saved_at=MONDAY)

    if first == "backfill":
        backfill()
    companies.save_market_caps({IBM: 215_000.0}, MONDAY)
    if first == "import":
        assert prices.last_backfill(IBM) == Ok(None)
        backfill()
    assert prices.last_backfill(IBM) == Ok(MONDAY)
    assert companies.market_caps_millions() == Ok({IBM: 215_000.0})


def test_a_capitalisation_of_nothing_is_a_defect_and_keeps_none_of_its_import(database: Database) -> None:
    store = CompaniesRepository(database)
    with pytest.raises(sqlite3.IntegrityError):
        store.save_market_caps({MSFT: 1.0, IBM: 0.0}, MONDAY)
    assert store.market_caps_millions() == Ok({})


def test_a_database_in_use_is_an_answer(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = CompaniesRepository(database).save_market_caps({IBM: 1.0}, MONDAY)
    other.close()
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.DBERROR
