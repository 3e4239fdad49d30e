"""A backfill of everybody who reports soon: by the calendar, screened like a scan, the soonest first."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from simulated_market import SimulatedMarket, World
from tests.integration.conftest import AS_OF, Desk, Finished
from tests.integration.test_scan import listed, requests

KEYS = {"TRADIER_API_KEY": "", "ALPHA_VANTAGE_KEY": ""}


@pytest.fixture
def running() -> Iterator[SimulatedMarket]:
    """A market of each test's own, so that who was asked is this test's doing."""
    with SimulatedMarket(World(7, AS_OF, size=60)) as market:
        yield market


def filled(desk: Desk, *arguments: str, **settings: str) -> Finished:
    return desk.run("backfill", *arguments, "--format", "json", **settings)


def done(finished: Finished) -> list[str]:
    return [row["ticker"] for row in document(finished)["tickers"]]


def document(finished: Finished) -> dict[str, Any]:
    found = json.loads(finished.out)
    assert isinstance(found, dict)
    return found


def test_those_who_report_within_the_days_are_filled_and_nobody_after_them(desk: Desk) -> None:
    listed(desk, "AAPL 2026-05-15 post-market", "IBM 2026-05-18", "MSFT 2026-05-19", "KO 2026-05-26")
    finished = filled(desk, "--reporting-days", "1")
    assert finished.code == 0
    assert done(finished) == ["AAPL", "IBM"]
    assert requests(desk, "EARNINGS_CALENDAR") == 1
    again = filled(desk, "--reporting-days", "2")  # Friday's and Monday's are whole by now
    assert done(again) == ["AAPL", "IBM", "MSFT"]
    assert requests(desk, "EARNINGS_CALENDAR") == 1
    assert requests(desk, "function=EARNINGS&") == 3


def test_the_days_calls_go_to_those_who_report_soonest(desk: Desk) -> None:
    listed(desk, "KO 2026-05-20", "IBM 2026-05-18", "MSFT 2026-05-19")
    finished = filled(desk, "--reporting-days", "5", ALPHA_VANTAGE_PER_DAY="3")  # the calendar takes the first
    assert finished.code == 3
    assert done(finished) == ["IBM", "MSFT"]


def test_whom_a_scan_leaves_out_beforehand_costs_no_call(desk: Desk) -> None:
    listed(desk, "AAPL 2026-05-18", "IBM 2026-05-18", "JPM-PC 2026-05-18", "MSFT 2026-05-15 pre-market")
    caps = desk.file("caps.csv", b"ticker,market_cap_millions\nIBM,10\n")
    finished = filled(desk, "--market-caps", str(caps), "--reporting-days", "1", MIN_MARKET_CAP_MILLIONS="2000")
    assert (finished.code, done(finished)) == (0, ["AAPL"])
    assert requests(desk, "function=EARNINGS&") == 1


def test_named_companies_are_filled_beside_those_of_the_calendar_and_once(desk: Desk) -> None:
    listed(desk, "AAPL 2026-05-18", "IBM 2026-05-18")
    assert done(filled(desk, "MSFT", "IBM", "--reporting-days", "1")) == ["MSFT", "IBM", "AAPL"]


def test_a_day_on_which_nobody_reports_is_no_failure(desk: Desk) -> None:
    listed(desk, "KO 2026-05-26")
    finished = filled(desk, "--reporting-days", "1")
    assert (finished.code, done(finished)) == (0, [])


def test_the_plan_reads_the_stored_calendar_asks_nobody_and_counts_todays_refresh(desk: Desk) -> None:
    listed(desk, "AAPL 2026-05-15 post-market", "IBM 2026-05-18", "KO 2026-05-26")
    unknown = document(filled(desk, "--reporting-days", "1", "--dry-run", **KEYS))
    assert (unknown["tickers"], unknown["alpha_vantage_calls"]) == (0, 1)
    assert desk.run("backfill", "--calendar").code == 0
    before = desk.market.stats()["requests"]
    known = document(filled(desk, "--reporting-days", "1", "--dry-run", **KEYS))
    assert (known["tickers"], known["alpha_vantage_calls"]) == (2, 2)
    assert desk.market.stats()["requests"] == before


def test_without_any_calendar_the_reason_ends_the_run(desk: Desk) -> None:
    desk.strike("500", path="EARNINGS_CALENDAR")
    assert filled(desk, "--reporting-days", "1").code == 69


@pytest.mark.parametrize("days", ["0", "91", "soon"])
def test_a_count_of_days_that_cannot_be_meant_is_refused(desk: Desk, days: str) -> None:
    finished = filled(desk, "--reporting-days", days)
    assert finished.code == 2
    assert finished.err.startswith("--reporting-days")
