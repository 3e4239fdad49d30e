"""What a batch will cost, before it begins."""

import pytest

from ivcrush.application.services.batch_estimate import BatchEstimate, estimate
from ivcrush.domain.errors import Ok
from ivcrush.domain.types import Ticker
from tests.unit.services.conftest import FRIDAY_AFTERNOON, Desk


async def test_companies_without_a_past_cost_a_request_more(desk: Desk) -> None:
    run = desk.run()
    await run.backfill.fetch(Ticker("AAPL"), FRIDAY_AFTERNOON, run.market_calendar, quarters=12, with_dividends=False)
    three = [Ticker("AAPL"), Ticker("KO"), Ticker("IBM")]
    # three times expirations and three chains, two times bars, everybody's quotes, the clock and two months
    assert estimate(three, 3, run.standing) == Ok(BatchEstimate(companies=3, requests=18, histories=2))
    assert estimate([], 3, run.standing) == Ok(BatchEstimate(0, 0, 0))


async def test_quotes_of_many_are_asked_for_in_parts(desk: Desk) -> None:
    many = [Ticker(f"A{chr(65 + n // 26)}{chr(65 + n % 26)}") for n in range(501)]
    assert estimate(many, 1, desk.run().standing) == Ok(BatchEstimate(501, 501 * 2 + 501 + 3 + 2, 501))


def test_minutes_are_those_of_both_paces() -> None:
    assert BatchEstimate(200, 804, 10).minutes(120, 5) == pytest.approx(6.7 + 2.0)
