"""A company's past at a moment: what is missing or old is fetched, what was known is not lost, nothing is of later."""

import asyncio
from datetime import date, datetime, timedelta

import pytest

from ivcrush.application.services.together import together
from ivcrush.domain.errors import Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import HistoricalMove, MissingMove, Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON, Desk

AAPL = Ticker("AAPL")
MARCH = datetime(2026, 3, 2, 15, 45, tzinfo=NEW_YORK)
NO_HISTORY = Switches(faults=(FaultRule("503", path="/markets/history"),))


async def backfilled(desk: Desk, as_of: datetime, **run):
    stored = await desk.run(as_of=as_of, **run).backfill.fetch(
        AAPL, as_of, MarketCalendar(), quarters=12, with_dividends=False
    )
    assert isinstance(stored, Ok), stored
    return stored.value


async def past(desk: Desk, as_of: datetime, **run):
    found = await desk.run(as_of=as_of, **run).history.at(AAPL, as_of, MarketCalendar())
    assert isinstance(found, Ok), found
    return found.value


async def test_an_outage_of_the_bars_takes_no_measured_move_away(desk):
    assert len((await backfilled(desk, FRIDAY_AFTERNOON)).moves) == 12
    desk.market.set_switches(NO_HISTORY)
    again = await backfilled(desk, FRIDAY_AFTERNOON, refresh=True)
    assert (len(again.moves), len(again.missing), again.complete) == (12, 0, False)
    assert len((await past(desk, FRIDAY_AFTERNOON)).moves) == 12


async def test_a_history_of_raw_bars_is_fetched_again_when_the_better_ones_are_back(desk):
    desk.market.set_switches(NO_HISTORY)
    partial = await past(desk, FRIDAY_AFTERNOON)
    assert 1 <= len(partial.moves) < 12
    desk.market.set_switches(Switches())
    assert len((await past(desk, FRIDAY_AFTERNOON, now=FRIDAY_AFTERNOON + timedelta(2))).moves) == 12


async def test_bars_ten_sessions_old_are_fetched_again_for_ordinary_volatility(desk):
    await backfilled(desk, MARCH)
    asked = desk.asked("/v1/markets/history")
    found = await past(desk, FRIDAY_AFTERNOON)
    assert desk.asked("/v1/markets/history") == asked + 1
    assert found.realised.through == date(2026, 5, 14)
    assert found.flags == ()


async def test_old_bars_that_cannot_be_renewed_are_used_and_flagged(desk):
    await backfilled(desk, MARCH)
    desk.market.set_switches(NO_HISTORY)
    found = await past(desk, FRIDAY_AFTERNOON, refresh=True)
    assert found.realised.through == date(2026, 2, 27)
    assert found.flags == ("ordinary_volatility_old",)


async def test_an_earlier_moment_finds_its_own_twelve_quarters_after_one_of_today(desk, world):
    await past(desk, FRIDAY_AFTERNOON)
    before = datetime(2025, 3, 14, 15, 45, tzinfo=NEW_YORK)
    found = await past(desk, before, now=FRIDAY_AFTERNOON)
    true = [each.earnings_date for each in world.truth("AAPL").past_moves if each.earnings_date < before.date()]
    assert [move.report_date for move in found.moves[:12]] == true[:12]
    assert found.realised.through == date(2025, 3, 13)
    assert [move.report_date for move in (await past(desk, FRIDAY_AFTERNOON)).moves[:12]] == [
        each.earnings_date for each in world.truth("AAPL").past_moves[:12]
    ]


async def test_a_failed_fetch_leaves_what_is_stored_and_a_flag(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="EARNINGS"),)))
    found = await past(desk, FRIDAY_AFTERNOON)
    assert (found.moves, found.missing, found.flags) == ((), (), ("history_not_fetched", "no_recent_bars"))


async def test_what_keeps_every_history_away_is_one_warning_of_a_run_and_a_flag_of_each_company(desk, caplog):
    run = desk.run(as_of=FRIDAY_AFTERNOON, ALPHA_VANTAGE_KEY="")
    for ticker in ("AAPL", "IBM", "MSFT"):
        found = await run.history.at(Ticker(ticker), FRIDAY_AFTERNOON, MarketCalendar())
        assert found.value.flags[0] == "history_not_fetched"
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("no history is fetched in this run: CONFIG: ALPHA_VANTAGE_KEY is not set")


async def test_a_company_that_a_provider_fails_for_is_a_warning_of_its_own(desk, caplog):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="EARNINGS"),)))
    run = desk.run(as_of=FRIDAY_AFTERNOON)
    for ticker in ("AAPL", "IBM"):
        await run.history.at(Ticker(ticker), FRIDAY_AFTERNOON, MarketCalendar())
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(": EXTERNAL")[0] for line in told] == [
        "AAPL: history not fetched",
        "IBM: history not fetched",
    ]


def without_newest_move(desk: Desk, ticker: Ticker, reason: str) -> HistoricalMove:
    """Make the stored newest report one that could not be measured; the move that it had."""
    prices = desk.run().prices
    kept = prices.moves(ticker, date.max)
    assert isinstance(kept, Ok)
    newest, *others = kept.value
    bars = prices.bars(ticker, date(2020, 1, 1), date.max)
    assert isinstance(bars, Ok)
    missing = MissingMove(newest.report_date, newest.timing, reason)
    saved = prices.save_history(ticker, others, (missing,), bars.value, through=bars.value[-1].session, saved_at=None)
    assert saved == Ok(None)
    return newest


async def test_a_past_that_ends_before_the_newest_report_says_so(desk):
    assert (await past(desk, FRIDAY_AFTERNOON)).flags == ()
    without_newest_move(desk, AAPL, "no bars for 2026-02-10")
    asked = desk.asked("")
    found = await past(desk, FRIDAY_AFTERNOON)
    assert (len(found.moves), found.flags) == (11, ("newest_report_not_measured",))
    assert desk.asked("") == asked  # a bar that is missing for months will not come


async def test_a_report_of_this_week_gets_its_move_when_its_bar_comes_at_last(desk, world):
    wednesday = datetime(2026, 5, 20, 15, 45, tzinfo=NEW_YORK)  # AAPL has reported on Monday after the close
    desk.serve(world.at(wednesday))
    await past(desk, wednesday)
    newest = without_newest_move(desk, AAPL, "no bars for 2026-05-19")
    assert newest.report_date == date(2026, 5, 18)
    reports = desk.asked("function=EARNINGS&")
    found = await past(desk, wednesday)
    assert (found.moves[0], found.missing, found.flags) == (newest, (), ())
    assert desk.asked("function=EARNINGS&") == reports


async def test_reports_that_no_bars_can_help_stay_as_they_were_when_bars_are_renewed(desk):
    run = desk.run(as_of=MARCH)
    fetched = await run.backfill.fetch(Ticker("T"), MARCH, MarketCalendar(), quarters=12, with_dividends=False)
    renewed = await run.backfill.renew(Ticker("T"), FRIDAY_AFTERNOON, MarketCalendar())
    assert isinstance(fetched, Ok)
    assert isinstance(renewed, Ok)
    assert len(fetched.value.missing) == 12
    assert renewed.value.missing == fetched.value.missing


async def test_a_fund_is_asked_about_once_and_its_past_is_empty(desk):
    for _ in range(2):
        found = await desk.run(CACHE_ENABLED="false").history.at(Ticker("SPY"), FRIDAY_AFTERNOON, MarketCalendar())
        assert isinstance(found, Ok)
        assert (found.value.moves, found.value.missing) == ((), ())
    assert desk.asked("") == 1


async def test_a_defect_in_one_of_several_ends_the_others_first():
    ended = []

    async def waits():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def breaks():
        await asyncio.sleep(0)
        raise TypeError("ours")

    with pytest.raises(ExceptionGroup) as caught:
        await together([waits(), breaks()])
    assert caught.group_contains(TypeError, match="ours")
    assert ended == [True]


async def test_answers_keep_the_order_of_the_questions():
    async def after(turns, value):
        for _ in range(turns):
            await asyncio.sleep(0)
        return value

    assert await together(after(turns, turns) for turns in (3, 1, 2)) == (3, 1, 2)
