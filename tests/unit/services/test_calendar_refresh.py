"""Everybody's calendar costs one call a New York day, whatever the cache does and whichever process asks."""

import logging
from datetime import date, datetime, timedelta

import pytest

from ivcrush.application.services.calendar_refresh import KnownCalendar
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import CalendarListing, Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON

DOWN = Switches(faults=(FaultRule("503", path="EARNINGS_CALENDAR"),))
HEAD = "symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay"


def told(desk, *rows):
    """Let the provider's calendar of everybody say these rows: ticker, date and session."""
    lines = [f"{ticker},{ticker} INC,{day},2026-03-31,1.1,USD,{session}" for ticker, day, session in rows]
    asked = {"function": "EARNINGS_CALENDAR", "horizon": "3month"}
    body = "\r\n".join((HEAD, *lines, "")).encode()
    desk.market.replay("/query", asked, body, content_type="application/x-download")


async def refreshed(run):
    result = await run.calendar_refresh.refresh()
    assert isinstance(result, Ok), result
    return result.value


def coming(run):
    found = run.earnings_store.calendar(date(2026, 5, 15), date(2026, 12, 31))
    assert isinstance(found, Ok)
    return {str(report.ticker): report for report in found.value}


async def test_everybodys_coming_reports_are_kept_by_one_call(desk, world):
    run = desk.run()
    listing = await refreshed(run)
    assert listing.reports >= sum(world.upcoming(ticker) is not None for ticker in world.tickers) - 5
    assert desk.asked("EARNINGS_CALENDAR") == 1
    scheduled = run.earnings_store.scheduled(Ticker("AAPL"), date(2026, 5, 1), date(2026, 6, 30))
    assert isinstance(scheduled, Ok)
    assert [each.report_date for each in scheduled.value] == [date(2026, 5, 18)]


async def test_other_runs_of_the_day_ask_nobody_without_a_cache_too(desk):
    for _ in range(3):
        listing = await refreshed(desk.run(CACHE_ENABLED="false"))
    assert desk.asked("EARNINGS_CALENDAR") == 1
    assert listing.refreshed_at == FRIDAY_AFTERNOON


@pytest.mark.parametrize(
    ("moment", "calls"),
    [
        (datetime(2026, 5, 15, 23, 59, tzinfo=NEW_YORK), 1),
        (datetime(2026, 5, 16, 0, 0, tzinfo=NEW_YORK), 2),
        (datetime(2026, 5, 14, 12, 0, tzinfo=NEW_YORK), 2),
    ],
    ids=["a minute to midnight", "midnight in New York", "a clock that went back a day"],
)
async def test_the_day_is_new_yorks(desk, moment, calls):
    await refreshed(desk.run())
    await refreshed(desk.run(now=moment, CACHE_ENABLED="false"))
    assert desk.asked("EARNINGS_CALENDAR") == calls


async def test_refresh_asks_once_more(desk):
    await refreshed(desk.run())
    await refreshed(desk.run(refresh=True))
    assert desk.asked("EARNINGS_CALENDAR") == 2


async def test_a_calendar_that_fails_with_nothing_stored_is_the_answer(desk):
    desk.market.set_switches(DOWN)
    run = desk.run()
    for result in (await run.calendar_refresh.refresh(), await run.calendar_refresh.at_hand()):
        assert isinstance(result, Err)
        assert result.error.code is ErrorCode.EXTERNAL


async def test_one_companys_stored_date_is_no_calendar(desk):
    told(desk, ("AAPL", "2026-05-18", "post-market"))
    run = desk.run()
    listed = (await run.providers.earnings.scheduled_reports(None)).value
    run.earnings_store.save_scheduled(Ticker("AAPL"), listed, FRIDAY_AFTERNOON, source=listed[0].source)
    desk.market.set_switches(DOWN)
    assert isinstance(await desk.run(CACHE_ENABLED="false").calendar_refresh.at_hand(), Err)


async def test_a_calendar_that_fails_leaves_the_stored_one_at_hand_with_the_reason(desk, caplog):
    await refreshed(desk.run())
    desk.market.set_switches(DOWN)
    run = desk.run(now=FRIDAY_AFTERNOON + timedelta(3))
    with caplog.at_level(logging.WARNING):
        known = await run.calendar_refresh.at_hand()
    assert isinstance(known, Ok)
    assert known.value.listing.refreshed_at == FRIDAY_AFTERNOON
    assert known.value.not_refreshed.code is ErrorCode.EXTERNAL
    assert "the calendar of 2026-05-15 is used" in caplog.text


async def test_a_spent_quota_leaves_the_stored_calendar_at_hand(desk):
    await refreshed(desk.run(ALPHA_VANTAGE_PER_DAY="1"))
    known = await desk.run(refresh=True, ALPHA_VANTAGE_PER_DAY="1").calendar_refresh.at_hand()
    assert isinstance(known, Ok)
    assert known.value.not_refreshed.code is ErrorCode.QUOTA


async def test_todays_calendar_at_hand_has_no_reason_against_it(desk):
    told(desk, ("AAPL", "2026-05-18", "post-market"))
    assert await desk.run().calendar_refresh.at_hand() == Ok(
        KnownCalendar(CalendarListing(FRIDAY_AFTERNOON, 1, date(2026, 5, 18), date(2026, 5, 18)), not_refreshed=None)
    )


async def test_a_company_spelled_with_a_dot_and_a_dash_is_one_with_its_two_dates_in_doubt(desk):
    told(desk, ("BF.B", "2026-06-04", ""), ("BF-B", "2026-06-10", "pre-market"), ("JPM-PC", "2026-06-10", ""))
    run = desk.run()
    await refreshed(run)
    found = run.earnings_store.scheduled(Ticker("BF.B"), date(2026, 5, 15), date(2026, 12, 31))
    assert isinstance(found, Ok)
    assert [(each.report_date, each.flags) for each in found.value] == [
        (date(2026, 6, 4), ("date_conflict",)),
        (date(2026, 6, 10), ("date_conflict",)),
    ]
    assert set(coming(run)) == {"BF.B", "JPM.PC"}


async def test_a_calendar_cut_short_is_told_and_wipes_nothing(desk, caplog):
    tickers = ["AAPL", "IBM", "MSFT", "NFLX", "NKE"]
    told(desk, *((ticker, "2026-05-20", "") for ticker in tickers))
    await refreshed(desk.run())
    told(desk, ("AAPL", "2026-05-20", ""))
    with caplog.at_level(logging.WARNING):
        await refreshed(run := desk.run(refresh=True))
    assert set(coming(run)) == set(tickers)
    assert "the calendar of 1 reports is incomplete: 4 expected ones are missing from it and were kept" in caplog.text


async def test_a_date_that_moved_in_the_calendar_of_everybody_says_from_where(desk):
    told(desk, ("AAPL", "2026-05-20", ""))
    await refreshed(desk.run())
    told(desk, ("AAPL", "2026-05-27", ""))
    await refreshed(run := desk.run(refresh=True))
    assert coming(run)["AAPL"].moved_from == date(2026, 5, 20)
