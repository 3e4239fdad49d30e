"""Past moves fetched and kept, compared with what the simulated market knows to be true."""

from datetime import date, datetime

import pytest

from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, Switches
from tests.unit.services.conftest import FRIDAY_AFTERNOON

CALENDAR = MarketCalendar()
# Two cents on the smallest price of these companies: what rounding bars to the cent does to a percentage.
ROUNDING_PCT = 0.02
HISTORY_DOWN = FaultRule("503", path="history")


async def fetch(run, ticker, *, as_of=FRIDAY_AFTERNOON, quarters=12, with_dividends=False):
    return await run.backfill.fetch(Ticker(ticker), as_of, CALENDAR, quarters=quarters, with_dividends=with_dividends)


async def fetched(run, ticker, **kwargs):
    result = await fetch(run, ticker, **kwargs)
    assert isinstance(result, Ok), result
    return result.value


@pytest.mark.parametrize("ticker", ["AAPL", "JPM", "TSLA", "BRK.B"])
async def test_past_moves_are_those_that_the_bars_really_contain(desk, world, ticker):
    outcome = await fetched(desk.run(), ticker)
    true = world.truth(ticker).past_moves[:12]
    assert [move.reaction_session for move in outcome.moves] == [each.reaction_session for each in true]
    for move, each in zip(outcome.moves, true, strict=True):
        assert (move.report_date, move.timing) == (each.earnings_date, each.timing)
        assert move.close_to_close_pct == pytest.approx(each.close_to_close_pct, abs=ROUNDING_PCT)
        assert move.gap_pct == pytest.approx(each.gap_pct, abs=ROUNDING_PCT)
        assert move.open_to_close_pct == pytest.approx(each.open_to_close_pct, abs=ROUNDING_PCT)
        assert move.peak_pct == pytest.approx(each.peak_pct, abs=ROUNDING_PCT)
    assert outcome.missing == ()


async def test_what_was_fetched_is_what_is_kept(desk):
    run = desk.run()
    outcome = await fetched(run, "AAPL", quarters=5)
    kept = run.prices.moves(Ticker("AAPL"), date(2026, 5, 15))
    assert isinstance(kept, Ok)
    assert kept.value == outcome.moves
    assert len(kept.value) == 5
    assert outcome.dividends is None


async def test_the_unfinished_session_is_not_kept_as_a_bar(desk):
    run = desk.run()
    await fetched(run, "AAPL")
    bars = run.prices.bars(Ticker("AAPL"), date(2026, 5, 1), date(2026, 5, 31))
    assert isinstance(bars, Ok)
    assert bars.value[-1].session == date(2026, 5, 14)


async def test_a_past_report_of_unknown_session_is_never_computed(desk):
    outcome = await fetched(desk.run(), "T")  # publishes no session
    assert outcome.moves == ()
    assert len(outcome.missing) == 12
    assert {each.reason for each in outcome.missing} == {"session of the report unknown"}
    assert {each.timing for each in outcome.missing} == {Timing.UNKNOWN}


async def test_quarters_without_bars_are_named_and_the_others_measured(desk, world):
    desk.market.set_switches(Switches(faults=(FaultRule("missing_row", path="history", share=0.3),)))
    outcome = await fetched(desk.run(), "AAPL")
    true = {each.earnings_date: each for each in world.truth("AAPL").past_moves[:12]}
    assert len(outcome.moves) + len(outcome.missing) == 12
    assert outcome.missing
    for each in outcome.missing:
        reaction = true[each.report_date].reaction_session
        assert each.reason.startswith("no bars for ")
        assert str(reaction) in each.reason or str(CALENDAR.previous_session(reaction)) in each.reason
    for move in outcome.moves:
        expected = true[move.report_date].close_to_close_pct
        assert move.close_to_close_pct == pytest.approx(expected, abs=ROUNDING_PCT)


async def test_dirty_report_dates_cost_their_quarter_only(desk, world):
    desk.market.set_switches(Switches(dirty_earnings=True))
    outcome = await fetched(desk.run(), "AAPL", quarters=20)
    # The coming quarter is left out, the repeated one counted once, the fourth has no numbers, the last an impossible
    # date, which is named and not measured.
    true = world.truth("AAPL").past_moves
    assert outcome.moves[0].report_date == true[0].earnings_date
    assert len({move.report_date for move in outcome.moves}) == len(outcome.moves)
    assert true[3].earnings_date not in {move.report_date for move in outcome.moves}
    assert [each.reason for each in outcome.missing] == ["implausible report date for its fiscal period"]


async def test_raw_bars_and_splits_stand_in_for_a_history_that_fails(desk, world):
    newest = world.truth("AAPL").past_moves[0]
    splits = (("AAPL", newest.reaction_session.isoformat(), 4.0),)
    desk.market.set_switches(Switches(faults=(HISTORY_DOWN,), splits=splits))
    outcome = await fetched(desk.run(), "AAPL", quarters=3)
    (move,) = outcome.moves  # a hundred rows hold one report
    assert move.close_to_close_pct == pytest.approx(newest.close_to_close_pct, abs=ROUNDING_PCT)
    assert move.gap_pct == pytest.approx(newest.gap_pct, abs=ROUNDING_PCT)
    assert all(each.reason.startswith("no bars for ") for each in outcome.missing)
    assert len(outcome.missing) == 2


async def test_raw_bars_with_a_split_that_no_list_explains_are_refused(desk, world):
    newest = world.truth("AAPL").past_moves[0]
    splits = (("AAPL", newest.reaction_session.isoformat(), 4.0),)
    desk.market.set_switches(Switches(faults=(HISTORY_DOWN,), splits=splits))
    desk.market.replay("/query", {"function": "SPLITS", "symbol": "AAPL"}, b'{"symbol": "AAPL", "data": []}')
    run = desk.run()
    result = await fetch(run, "AAPL")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert str(newest.reaction_session) in result.error.message
    assert "looks like a split" in result.error.message
    assert run.prices.last_backfill(Ticker("AAPL")) == Ok(None)


async def test_where_both_sources_of_bars_fail_the_first_ones_reason_is_told(desk):
    desk.market.set_switches(Switches(faults=(HISTORY_DOWN, FaultRule("premium", path="TIME_SERIES_DAILY"))))
    result = await fetch(desk.run(), "AAPL")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.EXTERNAL
    assert "503" in result.error.message


async def test_without_the_list_of_splits_raw_bars_are_not_used(desk):
    desk.market.set_switches(Switches(faults=(HISTORY_DOWN, FaultRule("503", path="SPLITS"))))
    result = await fetch(desk.run(), "AAPL")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.EXTERNAL


async def test_a_refused_token_is_not_an_occasion_for_the_other_source(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("401", path="history"),)))
    result = await fetch(desk.run(), "AAPL")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.AUTH
    assert desk.asked("TIME_SERIES_DAILY") == 0


async def test_dividends_are_fetched_where_asked_for(desk, world):
    run = desk.run()
    outcome = await fetched(run, "KO", with_dividends=True)
    announced = [each for each in world.listing("KO").dividends if each.declared <= FRIDAY_AFTERNOON.date()]
    assert outcome.dividends == len(announced)
    kept = run.earnings_store.dividends(Ticker("KO"), date(2020, 1, 1), date(2027, 1, 1))
    assert isinstance(kept, Ok)
    assert [(each.ex_date, each.amount) for each in kept.value] == [(each.ex_date, each.amount) for each in announced]


async def test_dividends_that_fail_are_the_answer(desk):
    desk.market.set_switches(Switches(faults=(FaultRule("503", path="DIVIDENDS"),)))
    assert isinstance(await fetch(desk.run(), "KO", with_dividends=True), Err)


async def test_a_fund_has_no_reports(desk):
    result = await fetch(desk.run(), "SPY")
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA


async def test_nothing_later_than_the_moment_is_measured(desk, world):
    later = world.at(datetime(2026, 9, 15, 15, 45, tzinfo=NEW_YORK))
    desk.serve(later)
    assert later.truth("AAPL").past_moves[0].earnings_date == date(2026, 8, 17)
    run = desk.run(as_of=FRIDAY_AFTERNOON, now=later.as_of)
    outcome = await fetched(run, "AAPL")
    assert [move.report_date for move in outcome.moves] == [
        each.earnings_date for each in world.truth("AAPL").past_moves[:12]
    ]
    bars = run.prices.bars(Ticker("AAPL"), date(2026, 5, 1), date(2026, 12, 31))
    assert isinstance(bars, Ok)
    assert bars.value[-1].session == date(2026, 5, 14)


async def test_a_company_that_had_not_reported_by_then_says_so(desk):
    result = await fetch(desk.run(), "AAPL", as_of=datetime(2015, 1, 5, 15, 45, tzinfo=NEW_YORK))
    assert isinstance(result, Err)
    assert (result.error.code, result.error.message) == (ErrorCode.NODATA, "AAPL: no reports made by 2015-01-05")
