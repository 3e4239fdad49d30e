"""Which report is meant: argument, stored calendar, provider, in this order, and the session by the contract."""

import sqlite3
from datetime import date, datetime, timedelta

import pytest

from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON

CALENDAR = MarketCalendar()
EIGHT = (Timing.BMO,) * 8
DOWN = Switches(faults=(FaultRule("503", path="EARNINGS_CALENDAR"),))


def told(desk, ticker, *rows):
    """Let the provider's calendar say these rows: date and session."""
    lines = [f"{ticker},{ticker} INC,{day},2026-03-31,1.1,USD,{session}" for day, session in rows]
    body = "\r\n".join(("symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay", *lines, ""))
    asked = {"function": "EARNINGS_CALENDAR", "symbol": ticker, "horizon": "12month"}
    desk.market.replay("/query", asked, body.encode(), content_type="application/x-download")


async def plan(run, ticker="NFLX", as_of=FRIDAY_AFTERNOON, past=(), ask=True, **question):
    return await run.planner.plan(ReportQuestion(Ticker(ticker), **question), as_of, past, CALENDAR, ask=ask)


async def planned(run, *args, **kwargs):
    result = await plan(run, *args, **kwargs)
    assert isinstance(result, Ok), result
    return result.value


async def test_a_report_nobody_named_comes_from_the_provider_and_is_kept(desk, world):
    request = await planned(desk.run())
    assert request.report_date == world.truth("NFLX").earnings_date
    assert request.source is ReportSource.ALPHA_VANTAGE
    again = await planned(desk.run())
    assert (again.report_date, again.source) == (request.report_date, ReportSource.STORED)
    assert desk.asked("EARNINGS_CALENDAR") == 1


@pytest.mark.parametrize(("days", "requests"), [(7, 1), (8, 2)])
async def test_a_stored_date_is_asked_for_again_after_seven_days(desk, days, requests):
    await planned(desk.run())
    later = FRIDAY_AFTERNOON + timedelta(days)
    await planned(desk.run(now=later), as_of=later)
    assert desk.asked("EARNINGS_CALENDAR") == requests


async def test_refresh_asks_the_provider_whatever_is_stored(desk):
    await planned(desk.run())
    request = await planned(desk.run(refresh=True))
    assert request.source is ReportSource.ALPHA_VANTAGE
    assert desk.asked("EARNINGS_CALENDAR") == 2


async def test_a_stored_date_stands_in_flagged_while_the_provider_is_down(desk, world):
    await planned(desk.run())
    desk.market.set_switches(DOWN)
    later = FRIDAY_AFTERNOON + timedelta(8)
    request = await planned(desk.run(now=later), as_of=later)
    assert request.report_date == world.truth("NFLX").earnings_date
    assert request.source is ReportSource.STORED
    assert "calendar_not_refreshed" in request.flags


async def test_without_a_stored_date_a_provider_that_is_down_is_the_answer(desk):
    desk.market.set_switches(DOWN)
    result = await plan(desk.run())
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.EXTERNAL


@pytest.mark.parametrize(("days", "flags"), [(7, ()), (8, ("calendar_not_refreshed",))])
async def test_one_of_many_spends_no_call_and_takes_a_stored_date_of_any_age_flagged_after_seven_days(
    desk, days, flags
):
    told(desk, "NFLX", ("2026-06-10", "post-market"))
    await planned(desk.run())
    later = FRIDAY_AFTERNOON + timedelta(days)
    request = await planned(desk.run(now=later, refresh=True), as_of=later, ask=False)
    assert (request.report_date, request.source) == (date(2026, 6, 10), ReportSource.STORED)
    assert request.flags == flags
    assert desk.asked("EARNINGS_CALENDAR") == 1


async def test_one_of_many_without_a_stored_date_has_none_and_spends_no_call_to_find_it(desk):
    result = await plan(desk.run(), ask=False)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA
    assert desk.market.log() == ()


async def test_one_of_many_whose_date_is_named_takes_the_session_of_the_stored_calendar(desk):
    told(desk, "NFLX", ("2026-06-10", "post-market"))
    await planned(desk.run())
    request = await planned(desk.run(), report_date=date(2026, 6, 10), ask=False)
    assert (request.timing, request.source) == (Timing.AMC, ReportSource.ARGUMENT)
    assert desk.asked("EARNINGS_CALENDAR") == 1


async def test_date_and_session_named_by_the_trader_ask_nobody(desk):
    request = await planned(desk.run(), report_date=date(2026, 5, 20), timing=Timing.BMO)
    assert (request.report_date, request.timing) == (date(2026, 5, 20), Timing.BMO)
    assert (request.source, request.status) == (ReportSource.ARGUMENT, DateStatus.UNKNOWN)
    assert desk.market.log() == ()


async def test_a_named_date_takes_session_and_status_of_the_calendar_that_agrees(desk):
    request = await planned(desk.run(), "AAPL", report_date=date(2026, 5, 18))
    assert (request.timing, request.status) == (Timing.AMC, DateStatus.CONFIRMED)
    assert request.source is ReportSource.ARGUMENT


async def test_a_named_date_stands_against_a_calendar_that_says_another(desk):
    request = await planned(desk.run(), "AAPL", report_date=date(2026, 5, 20))
    assert request.report_date == date(2026, 5, 20)
    assert (request.timing, request.status) == (Timing.UNKNOWN, DateStatus.UNKNOWN)
    assert request.flags == ("date_not_in_calendar",)
    both = await planned(desk.run(), "AAPL", report_date=date(2026, 5, 20), timing=Timing.AMC)
    assert both.flags == ("date_not_in_calendar",)
    assert desk.asked("EARNINGS_CALENDAR") == 1


async def test_once_the_stored_report_is_made_the_provider_is_asked_for_the_next(desk):
    told(desk, "AAPL", ("2026-05-18", "post-market"))
    await planned(desk.run(), "AAPL")
    told(desk, "AAPL", ("2026-08-17", "post-market"))
    wednesday = FRIDAY_AFTERNOON + timedelta(5)
    request = await planned(desk.run(now=wednesday, refresh=False, CACHE_ENABLED="false"), "AAPL", as_of=wednesday)
    assert request.report_date == date(2026, 8, 17)


async def test_a_named_date_needs_no_provider(desk):
    desk.market.set_switches(DOWN)
    request = await planned(desk.run(), report_date=date(2026, 5, 20), past=EIGHT)
    assert (request.report_date, request.timing) == (date(2026, 5, 20), Timing.BMO)


async def test_a_named_session_wins_over_the_calendars(desk):
    request = await planned(desk.run(), "AAPL", timing=Timing.BMO, past=(Timing.AMC,) * 8)
    assert (request.report_date, request.timing) == (date(2026, 5, 18), Timing.BMO)
    assert (request.status, request.flags) == (DateStatus.ESTIMATED, ("session_not_in_calendar",))


async def test_the_calendars_session_wins_over_the_companys_own_past(desk):
    request = await planned(desk.run(), "AAPL", past=EIGHT)
    assert (request.timing, request.flags) == (Timing.AMC, ())


async def test_eight_agreeing_past_sessions_stand_in_for_an_unknown_one(desk):
    request = await planned(desk.run(), past=(*EIGHT, Timing.AMC))
    assert (request.timing, request.status) == (Timing.BMO, DateStatus.ESTIMATED)
    assert request.flags == ("session_from_history",)


@pytest.mark.parametrize(
    "past",
    [
        (),
        EIGHT[:7],
        (*EIGHT[:7], Timing.AMC),
        (Timing.AMC, *EIGHT),
        (*EIGHT[:7], Timing.UNKNOWN),
        (Timing.UNKNOWN,) * 8,
    ],
    ids=["none", "seven", "the eighth differs", "the newest differs", "the eighth is unknown", "all unknown"],
)
async def test_fewer_or_disagreeing_past_sessions_leave_it_unknown(desk, past):
    request = await planned(desk.run(), past=past)
    assert request.timing is Timing.UNKNOWN
    assert "session_from_history" not in request.flags


async def test_a_calendar_date_on_a_closed_day_is_an_estimate_and_flagged(desk):
    told(desk, "NFLX", ("2026-05-25", "post-market"))  # Memorial Day
    request = await planned(desk.run())
    assert request.report_date == date(2026, 5, 25)
    assert request.status is DateStatus.ESTIMATED
    assert request.flags == ("report_on_closed_day",)


async def test_a_named_date_on_a_closed_day_is_flagged(desk):
    request = await planned(desk.run(), report_date=date(2026, 5, 23), timing=Timing.AMC)
    assert request.flags == ("report_on_closed_day",)


async def test_a_date_that_moves_is_followed_and_the_old_one_kept_as_history(desk):
    told(desk, "NFLX", ("2026-05-20", ""))
    assert (await planned(desk.run())).report_date == date(2026, 5, 20)
    told(desk, "NFLX", ("2026-05-27", ""))
    assert (await planned(desk.run(refresh=True))).report_date == date(2026, 5, 27)
    assert (await planned(desk.run())).report_date == date(2026, 5, 27)
    with sqlite3.connect(desk.directory / "ivcrush.db") as database:
        kept = database.execute(
            "SELECT report_date, superseded_at IS NULL FROM earnings_calendar ORDER BY report_date"
        ).fetchall()
    database.close()
    assert kept == [("2026-05-20", 0), ("2026-05-27", 1)]


async def test_a_date_that_moved_says_so_and_from_where_until_it_is_asked_for_again(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"))
    assert (await planned(desk.run())).moved_from is None
    told(desk, "NFLX", ("2026-05-27", "post-market"))
    for refresh in (True, False):
        request = await planned(desk.run(refresh=refresh))
        assert (request.report_date, request.moved_from) == (date(2026, 5, 27), date(2026, 5, 20))
        assert request.flags == ("report_date_moved",)


async def test_a_named_date_that_the_calendar_moved_to_says_so_and_any_other_does_not(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"))
    await planned(desk.run())
    told(desk, "NFLX", ("2026-05-27", "post-market"))
    assert (await planned(desk.run(refresh=True), report_date=date(2026, 5, 27))).flags == ("report_date_moved",)
    assert (await planned(desk.run(), report_date=date(2026, 5, 20))).flags == ("date_not_in_calendar",)


async def test_a_date_that_a_scan_read_from_the_calendar_was_named_by_the_calendar(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"))
    await planned(desk.run())
    request = await planned(desk.run(), report_date=date(2026, 5, 20), from_calendar=True, ask=False)
    assert (request.source, request.status, request.timing) == (
        ReportSource.STORED,
        DateStatus.CONFIRMED,
        Timing.AMC,
    )


async def test_a_company_that_is_in_the_calendar_no_longer_has_no_coming_report(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"))
    await planned(desk.run())
    told(desk, "NFLX")
    assert isinstance(await plan(desk.run(refresh=True)), Err)
    result = await plan(desk.run(), ask=False)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA


async def test_two_dates_of_one_report_are_a_conflict_and_the_earlier_is_taken(desk):
    request = await planned(desk.run(), "BF.B")
    assert "date_conflict" in request.flags
    assert request.report_date == min(
        each.report_date for each in (await desk.run().providers.earnings.scheduled_reports(Ticker("BF.B"))).value
    )


async def test_a_report_behind_another_one_that_is_still_to_come_is_flagged(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"), ("2026-08-19", ""), ("2026-11-18", ""))
    assert "earlier_report_inside" in (await planned(desk.run(), report_date=date(2026, 8, 19))).flags
    assert "earlier_report_inside" not in (await planned(desk.run(), report_date=date(2026, 5, 20))).flags
    # Near another date it is the same report, named differently.
    assert (await planned(desk.run(), report_date=date(2026, 5, 22))).flags == ("date_not_in_calendar",)
    over = datetime(2026, 5, 21, 9, 30, tzinfo=NEW_YORK)
    assert (await planned(desk.run(), as_of=over, report_date=date(2026, 8, 19))).flags == ()


async def test_the_following_quarters_report_is_known_to_the_request(desk):
    told(desk, "NFLX", ("2026-05-20", "post-market"), ("2026-08-19", ""), ("2026-11-18", ""))
    assert (await planned(desk.run())).next_report_date == date(2026, 8, 19)


@pytest.mark.parametrize(
    ("session", "moment", "coming"),
    [
        ("post-market", datetime(2026, 5, 21, 9, 29), date(2026, 5, 20)),  # noqa: DTZ001
        ("post-market", datetime(2026, 5, 21, 9, 30), date(2026, 8, 19)),  # noqa: DTZ001
        ("pre-market", datetime(2026, 5, 20, 9, 29), date(2026, 5, 20)),  # noqa: DTZ001
        ("pre-market", datetime(2026, 5, 20, 9, 30), date(2026, 8, 19)),  # noqa: DTZ001
        ("", datetime(2026, 5, 20, 15, 45), date(2026, 5, 20)),  # noqa: DTZ001 - it may still come tonight
        ("", datetime(2026, 5, 21, 9, 30), date(2026, 8, 19)),  # noqa: DTZ001
    ],
)
async def test_a_report_is_coming_until_the_stock_trades_on_it(desk, session, moment, coming):
    told(desk, "NFLX", ("2026-05-20", session), ("2026-08-19", ""))
    at = moment.replace(tzinfo=NEW_YORK)
    assert (await planned(desk.run(now=at), as_of=at)).report_date == coming


async def test_a_company_without_a_coming_report_is_told_what_to_do(desk):
    result = await plan(desk.run(), "SPY")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA
    assert result.error.message == "SPY: no report known after 2026-05-15; name it with --earnings-date"


async def test_without_a_key_the_missing_key_is_named(desk):
    result = await plan(desk.run(ALPHA_VANTAGE_KEY=""))
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.CONFIG
    assert "ALPHA_VANTAGE_KEY" in result.error.message


async def test_a_calendar_that_cannot_be_kept_is_a_storage_failure(desk):
    run = desk.run(DB_TIMEOUT="0")
    holder = sqlite3.connect(desk.directory / "ivcrush.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    result = await plan(run)
    holder.close()
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.DBERROR
