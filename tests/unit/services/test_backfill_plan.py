"""Who is asked for first, and what it costs: sums and order over values made by hand."""

from datetime import date

import pytest

from ivcrush.application.services.backfill_plan import Allowance, BackfillPlan, in_order
from ivcrush.application.services.history_needs import Standing
from ivcrush.domain.types import Ticker

ALLOWANCE = Allowance(left_today=25, a_day=25, scarce_a_minute=5, plentiful_a_minute=120)


def company(ticker, *, reports=False, bars=False, dividends=False, expected=None):
    return Standing(
        ticker=Ticker(ticker),
        moves=(),
        missing=(),
        asked_at=None,
        expected=expected,
        lacks_reports=reports,
        lacks_bars=bars,
        lacks_dividends=dividends,
    )


def plan(*standings, calendar_calls=0, allowance=ALLOWANCE):
    return BackfillPlan(standings, calendar_calls, allowance)


def test_the_soonest_report_goes_first_of_those_that_cost_a_scarce_call_and_the_others_before_them():
    given = [
        company("UNKNOWN", reports=True),
        company("LATE", reports=True, expected=date(2026, 6, 20)),
        company("PAYER", dividends=True, expected=date(2026, 5, 16)),
        company("SOON", reports=True, dividends=True, expected=date(2026, 5, 18)),
        company("BARS", bars=True),
        company("WHOLE", expected=date(2026, 9, 1)),
    ]
    assert [standing.ticker for standing in in_order(given)] == ["WHOLE", "BARS", "SOON", "LATE", "UNKNOWN", "PAYER"]


def test_companies_that_nothing_distinguishes_stay_as_they_were_given():
    given = [company(ticker, reports=True) for ticker in ("MSFT", "AAPL", "IBM")]
    assert [standing.ticker for standing in in_order(given)] == ["MSFT", "AAPL", "IBM"]


def test_a_company_costs_a_call_for_reports_one_for_dividends_and_one_for_prices_with_or_without_reports():
    whole = plan(
        company("A", reports=True, bars=True, dividends=True), company("B", bars=True), company("C"), calendar_calls=1
    )
    assert (whole.scarce_calls, whole.plentiful_calls, whole.already_complete) == (3, 2, 1)
    assert [whole.needed_after(position) for position in range(3)] == [0, 0, 0]
    assert plan(company("A"), company("B", reports=True), company("C", dividends=True)).needed_after(0) == 2


@pytest.mark.parametrize(
    ("companies", "left", "days"), [(25, 25, 1), (26, 25, 2), (25, 0, 2), (104, 25, 5), (104, 3, 6), (0, 25, 0)]
)
def test_days_are_todays_calls_and_then_as_many_a_day_as_are_allowed(companies, left, days):
    allowance = Allowance(left, 25, 5, 120)
    assert plan(*[company(f"T{n}", reports=True) for n in range(companies)], allowance=allowance).days == days


def test_prices_alone_are_a_day():
    assert plan(company("A", bars=True), allowance=Allowance(0, 25, 5, 120)).days == 1


def test_minutes_are_those_of_the_slower_provider_for_what_can_be_done_today():
    assert plan(*[company(f"T{n}", reports=True) for n in range(104)]).minutes_today == pytest.approx(5.0)
    assert plan(*[company(f"T{n}", bars=True) for n in range(240)]).minutes_today == pytest.approx(2.0)
