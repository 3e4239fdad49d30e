"""Who is looked at in a scan: by date from the calendar, by what is known of the company, and never silently."""

import asyncio
from dataclasses import replace
from datetime import date, datetime

import pytest

from ivcrush.application.services.ground import Ground
from ivcrush.application.services.scan import Coverage, coverage, days_ahead
from ivcrush.domain.enums import DateStatus, ReportSource, SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import CalendarListing, ScheduledReport, Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON
from tests.unit.services.test_calendar_refresh import DOWN, refreshed, told

CALENDAR = MarketCalendar()
WEEK = (date(2026, 5, 15), date(2026, 5, 22))


def expected(ticker: str, day: date, timing: Timing = Timing.AMC) -> ScheduledReport:
    return ScheduledReport(Ticker(ticker), day, timing, DateStatus.CONFIRMED, ReportSource.ALPHA_VANTAGE)


async def reporters(run, start=WEEK[0], end=WEEK[1], as_of=FRIDAY_AFTERNOON):
    found = await run.scan.reporters(start, end, as_of, CALENDAR)
    assert isinstance(found, Ok), found
    return found.value


def shown(reports):
    return [(str(report.ticker), report.report_date.isoformat()) for report in reports]


@pytest.mark.parametrize(
    ("days", "as_of", "through"),
    [
        (1, FRIDAY_AFTERNOON, date(2026, 5, 18)),
        (5, FRIDAY_AFTERNOON, date(2026, 5, 22)),
        (6, FRIDAY_AFTERNOON, date(2026, 5, 26)),  # Monday the 25th is Memorial Day
        (1, datetime(2026, 5, 16, 12, 0, tzinfo=NEW_YORK), date(2026, 5, 18)),
    ],
    ids=["Friday and Monday", "a week", "over a holiday", "from a Saturday"],
)
def test_some_days_are_today_and_that_many_sessions_after_it(days, as_of, through) -> None:
    assert days_ahead(days, as_of, CALENDAR) == (as_of.date(), through)


# 2026: Monday 25 May is Memorial Day. Told on Friday the 15th, the calendar names the 19th first and the 22nd last.
@pytest.mark.parametrize(
    ("start", "end", "sessions", "unknown"),
    [
        ("2026-05-15", "2026-05-22", 6, 0),  # the days before its first date are empty, not unknown
        ("2026-05-14", "2026-05-18", 3, 1),  # Thursday was before it was told
        ("2026-05-20", "2026-05-27", 5, 2),
        ("2026-05-23", "2026-05-25", 0, 0),  # a long weekend has no trading day to know of
        ("2026-05-26", "2026-05-29", 4, 4),
        ("2026-05-11", "2026-05-14", 4, 4),
    ],
)
def test_a_calendar_knows_the_trading_days_from_when_it_was_told_to_its_last_date(
    start: str, end: str, sessions: int, unknown: int
) -> None:
    listing = CalendarListing(FRIDAY_AFTERNOON, 2, date(2026, 5, 19), date(2026, 5, 22))
    found = coverage(listing, date.fromisoformat(start), date.fromisoformat(end), CALENDAR)
    assert found == Coverage(sessions, unknown)
    assert (found.whole, found.none) == (unknown == 0, unknown == sessions > 0)


def test_a_calendar_kept_for_long_knows_its_past_and_an_empty_one_nothing() -> None:
    listing = CalendarListing(FRIDAY_AFTERNOON, 2, date(2026, 4, 1), date(2026, 5, 22))
    assert coverage(listing, date(2026, 5, 11), date(2026, 5, 15), CALENDAR) == Coverage(5, 0)
    empty = CalendarListing(FRIDAY_AFTERNOON, 0, None, None)
    assert coverage(empty, date(2026, 5, 18), date(2026, 5, 19), CALENDAR) == Coverage(2, 2)


async def test_everybody_in_the_calendar_who_reports_then_is_found_by_one_call(desk):
    told(
        desk,
        ("MSFT", "2026-05-18", "post-market"),
        ("IBM", "2026-05-18", ""),
        ("AAPL", "2026-05-22", "pre-market"),
        ("NKE", "2026-05-25", ""),
        ("GE", "2026-05-14", "post-market"),
    )
    found = await reporters(desk.run())
    assert shown(found.reports) == [("IBM", "2026-05-18"), ("MSFT", "2026-05-18"), ("AAPL", "2026-05-22")]
    assert found.rejected == ()
    assert found.calendar.not_refreshed is None
    await reporters(desk.run())
    assert desk.asked("EARNINGS_CALENDAR") == 1


async def test_a_report_whose_trade_cannot_be_entered_any_more_is_left_out_with_the_hour(desk):
    told(desk, ("AAPL", "2026-05-15", "pre-market"), ("IBM", "2026-05-15", ""), ("MSFT", "2026-05-15", "post-market"))
    found = await reporters(desk.run())
    assert shown(found.reports) == [("IBM", "2026-05-15"), ("MSFT", "2026-05-15")]
    (late,) = found.rejected
    assert (late.report.ticker, late.code) == ("AAPL", "too_late")
    assert late.reasons == ("its trade was to be entered by 2026-05-14 16:00",)
    after = await reporters(desk.run(), as_of=FRIDAY_AFTERNOON.replace(hour=16, minute=0))
    assert (after.reports, len(after.rejected)) == ((), 3)


async def test_two_spellings_of_a_company_are_one_row_of_the_earlier_date_with_the_doubt(desk):
    told(desk, ("BF.B", "2026-05-21", ""), ("BF-B", "2026-05-18", "pre-market"))
    (report,) = (await reporters(desk.run())).reports
    assert (report.ticker, report.report_date, report.flags) == ("BF.B", date(2026, 5, 18), ("date_conflict",))


async def test_of_two_dates_the_one_that_can_still_be_traded_counts(desk):
    told(desk, ("BF.B", "2026-05-15", "pre-market"), ("BF-B", "2026-05-20", ""))
    found = await reporters(desk.run())
    assert shown(found.reports) == [("BF.B", "2026-05-20")]
    assert found.reports[0].flags == ("date_conflict",)
    assert found.rejected == ()


async def test_a_date_on_a_closed_day_is_an_estimate(desk):
    told(desk, ("IBM", "2026-05-25", "pre-market"))
    (report,) = (await reporters(desk.run(), end=date(2026, 5, 29))).reports
    assert (report.status, report.flags) == (DateStatus.ESTIMATED, ("report_on_closed_day",))


async def test_a_calendar_that_fails_leaves_yesterdays_and_says_so(desk):
    told(desk, ("IBM", "2026-05-18", ""))
    await refreshed(desk.run())
    desk.market.set_switches(DOWN)
    found = await reporters(desk.run(refresh=True, now=FRIDAY_AFTERNOON))
    assert shown(found.reports) == [("IBM", "2026-05-18")]
    assert found.calendar.not_refreshed.code is ErrorCode.EXTERNAL


async def test_without_any_calendar_the_failure_is_the_answer(desk):
    desk.market.set_switches(DOWN)
    failed = await desk.run().scan.reporters(*WEEK, FRIDAY_AFTERNOON, CALENDAR)
    assert isinstance(failed, Err)
    assert failed.error.code is ErrorCode.EXTERNAL


async def screened(run, *tickers):
    names = [Ticker(ticker) for ticker in tickers]
    ground = (await run.batch.ground(names)).value
    found = await run.scan.screened([expected(name, date(2026, 5, 18)) for name in names], ground)
    assert isinstance(found, Ok), found
    return found.value


def dollar_volume_millions(quote):
    return quote.average_volume * (quote.bid + quote.ask) / 2 / 1_000_000


async def test_a_stock_that_trades_too_little_is_left_out_before_anything_is_bought(desk, world):
    run = desk.run()
    names = ("AAPL", "NFLX", "IBM")
    quotes = (await run.providers.market.quotes([Ticker(name) for name in names])).value.by_ticker
    volumes = {name: dollar_volume_millions(quotes[Ticker(name)]) for name in names}
    least, *_ = sorted(volumes.values())
    poor = next(name for name in names if volumes[name] == least)
    found = await screened(desk.run(MIN_DOLLAR_VOLUME_MILLIONS=f"{least * 1.01:.6f}"), *names)
    assert [rejection.report.ticker for rejection in found.rejected] == [poor]
    assert found.rejected[0].code == "dollar_volume"
    assert found.rejected[0].reasons == (
        f"{least:,.2f} million dollars traded on an average day, {float(f'{least * 1.01:.6f}'):,g} needed",
    )
    assert {str(report.ticker) for report in found.fit} == {*names} - {poor}
    assert desk.asked("/options/") == 0


async def test_a_known_capitalisation_that_is_too_small_is_a_reason_and_an_unknown_one_is_not(desk):
    run = desk.run(MIN_MARKET_CAP_MILLIONS="2000")
    run.companies.save_market_caps({Ticker("AAPL"): 1_999.0, Ticker("IBM"): 2_000.0}, FRIDAY_AFTERNOON)
    found = await screened(run, "AAPL", "IBM", "NFLX")
    assert [str(report.ticker) for report in found.fit] == ["IBM", "NFLX"]
    assert found.rejected[0].reasons == ("market capitalisation 1,999 million dollars, 2,000 needed",)


async def test_a_company_that_lacks_two_things_is_told_both(desk):
    run = desk.run(MIN_MARKET_CAP_MILLIONS="10", MIN_DOLLAR_VOLUME_MILLIONS="99999999")
    run.companies.save_market_caps({Ticker("AAPL"): 1.0}, FRIDAY_AFTERNOON)
    (rejection,) = (await screened(run, "AAPL")).rejected
    assert rejection.code == "market_cap"
    assert len(rejection.reasons) == 2


async def test_a_ticker_that_the_market_does_not_know_is_left_out_and_costs_no_more(desk):
    found = await screened(desk.run(), "AAPL", "JPM.PC")
    assert [(str(each.report.ticker), each.code) for each in found.rejected] == [("JPM.PC", "not_listed")]
    assert desk.asked("/quotes") == 1


async def test_quotes_that_are_not_to_be_had_speak_against_nobody(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="/quotes"),)))
    found = await screened(desk.run(), "AAPL", "IBM")
    assert (len(found.fit), found.rejected) == (2, ())


async def test_companies_that_each_have_to_be_asked_for_alone_are_asked_for_so_many_at_once(desk):
    class Counter:
        """Answers no one before as many ask as may."""

        def __init__(self) -> None:
            self.under_way = self.most = 0
            self.full = asyncio.Event()

        async def quote(self, ticker):
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way == 3:
                self.full.set()
            await self.full.wait()
            self.under_way -= 1
            return Ok(None)

    names = ["AAPL", "IBM", "MSFT", "NFLX", "KO", "GE", "NKE"]
    reports = [expected(name, date(2026, 5, 18)) for name in names]
    counter = Counter()
    run = desk.run(MAX_CONCURRENT_REQUESTS="3")
    found = await run.scan.screened(reports, Ground(counter, FRIDAY_AFTERNOON, CALENDAR, SessionState.OPEN))
    assert counter.most == 3
    assert [rejection.report.ticker for rejection in found.value.rejected] == names


class TestUnknownVolume:
    @pytest.mark.parametrize("changes", [{"average_volume": 0}, {"bid": 0.0, "ask": 0.0, "last": None}])
    async def test_a_volume_or_price_that_is_not_given_is_no_reason(self, desk, changes):
        run = desk.run(MIN_DOLLAR_VOLUME_MILLIONS="99999999")
        quote = (await run.providers.market.quotes([Ticker("AAPL")])).value.by_ticker[Ticker("AAPL")]

        class OneQuote:
            async def quote(self, ticker):
                return Ok(replace(quote, **changes))

        ground = Ground(OneQuote(), FRIDAY_AFTERNOON, CALENDAR, SessionState.OPEN)
        found = await run.scan.screened([expected("AAPL", date(2026, 5, 18))], ground)
        assert isinstance(found, Ok)
        assert len(found.value.fit) == 1
