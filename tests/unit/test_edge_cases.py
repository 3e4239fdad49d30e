"""The ends of every scale, each from the provider's bytes to the printed document, with the one outcome it has.

The market is `metrics/snapshots.py`'s: an expected move of 4.95 % over the report's session, past moves of 2.5 % on
average, everything for a tradeable answer; a test takes one thing away. What a part does with an oddity by itself is
shown beside that part: the parser's in `infrastructure/api`, the settings' in `config`, the caches' in
`infrastructure/cache`.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from math import sqrt
from pathlib import Path

import pytest

from ivcrush.application.documents import analysis_document
from ivcrush.application.metrics.earnings_moves import adjust_for_splits, measure_moves
from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.config.validation import ConfigurationError, load_settings
from ivcrush.domain.enums import DateStatus, ExecutionTier, Recommendation, ReportSource, SessionState, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    DailyBar,
    Dividend,
    EvaluationSettings,
    MarketSnapshot,
    PastReport,
    RealisedVolatility,
    Split,
    Ticker,
    parse_ticker,
)
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from simulated_market import World
from tests.unit.metrics import option_market
from tests.unit.metrics.snapshots import AMBIENT, AS_OF, EVENT_MOVE_PCT, EXPIRATIONS, chain, snapshot
from tests.unit.option_wire import Row, analysed, body_of, document, refused, reread, rows_of, sent, sent_event
from tests.unit.services.conftest import FRIDAY_AFTERNOON, Desk

EVENT, LATER = EXPIRATIONS[0], EXPIRATIONS[1]
EVENT_PUT = (100.0, "put")
NO_USABLE_QUOTE = "IBM: no usable quote in the expiration 2026-05-22 that holds the report"
NO_OFFER = "IBM: straddle 100 of 2026-05-22 has no offer on both legs; none can be bought back"
CALENDAR = MarketCalendar()


def contract(row: Row) -> tuple[float, str]:
    return row["strike"], row["option_type"]


def later_by(row: Row, seconds: float) -> Row:
    """Quoted so much later (or earlier)."""
    return row | {name: row[name] + round(1000 * seconds) for name in ("bid_date", "ask_date")}


def priced_in(unit: float) -> MarketSnapshot:
    """The market of a stock worth `unit` times a hundred dollars."""

    def rescaled(row: Row) -> Row:
        return row | {name: row[name] * unit for name in ("strike", "bid", "ask")}

    given = sent(snapshot(), rescaled)
    quote = given.quote
    return replace(given, quote=replace(quote, bid=quote.bid * unit, ask=quote.ask * unit, last=100.0 * unit))


def as_usual(given: MarketSnapshot) -> bool:
    """Whether the event move is the market's known one, to one part in a hundred."""
    return analysed(given).implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.01)


# Zero and negative values


def test_a_negative_bid_costs_its_row_and_the_event_move_comes_from_its_neighbours():
    given = sent_event(snapshot(), lambda row: row | {"bid": -1.0} if contract(row) == EVENT_PUT else row)
    analysis = analysed(given)
    assert as_usual(given)
    assert ("bad_price", 1) in analysis.implied_move.quotes_rejected
    assert refused(analysis.execution).message == NO_OFFER
    assert not analysis.tradeable


@pytest.mark.parametrize("volume", [0, None, -7], ids=["zero", "null", "negative"])
def test_options_that_nobody_traded_today_are_as_good_as_their_quotes(volume):
    analysis = analysed(sent(snapshot(), lambda row: row | {"volume": volume}))
    assert isinstance(analysis.execution, Ok)
    assert (analysis.execution.value.volume, analysis.execution.value.tier) == (0, ExecutionTier.EXCELLENT)
    assert analysis.tradeable


@pytest.mark.parametrize("interest", [0, None, -7], ids=["zero", "null", "negative"])
def test_options_that_nobody_holds_are_rejected(interest):
    analysis = analysed(sent(snapshot(), lambda row: row | {"open_interest": interest}))
    assert "against: execution reject: straddle spread 0.7 %, open interest 0" in analysis.reasons
    assert not analysis.tradeable


def test_an_event_expiration_without_a_single_bid_has_no_answer():
    error = refused(evaluate(sent_event(snapshot(), lambda row: row | {"bid": 0.0})))
    assert (error.code, error.message) == (ErrorCode.NODATA, NO_USABLE_QUOTE)


def test_a_stock_quoted_zero_is_worth_its_last_trade():
    given = sent(snapshot())
    analysis = analysed(replace(given, quote=replace(given.quote, bid=0.0, ask=0.0, last=100.0)))
    assert analysis.implied_move.spot == 100.0
    assert analysis.tradeable


def test_past_moves_that_are_all_zero_give_no_ratio_and_leave_the_implied_move():
    given = sent(snapshot(past_moves_pct=(0.0,) * 12))
    analysis = analysed(given)
    assert as_usual(given)
    assert refused(analysis.vrp).message == "IBM: 12 past moves, all of them zero; no ratio"
    assert isinstance(analysis.consistency, Err)
    assert analysis.recommendation is Recommendation.SKIP


def test_one_giant_move_of_twelve_is_a_tail_of_eleven_means_and_no_reason_to_sell():
    # (11·2.5 + 300) / 12 = 27.29; 300 / 27.29 = 10.99; 4.95 / 27.29 = 0.18.
    analysis = analysed(sent(snapshot(past_moves_pct=(2.5,) * 11 + (300.0,))))
    assert isinstance(analysis.vrp, Ok)
    assert analysis.vrp.value.tail_ratio == pytest.approx(10.99, abs=0.01)
    assert "against: the event move is 0.18 times the mean of 12 past moves, 1.2 needed" in analysis.reasons
    assert analysis.recommendation is Recommendation.SKIP


# Empty and missing data


def test_null_in_every_field_of_every_option_has_no_answer():
    nothing = dict.fromkeys(("bid", "ask", "bidsize", "asksize", "volume", "open_interest", "bid_date", "ask_date"))
    error = refused(evaluate(sent(snapshot(), lambda row: row | nothing)))
    assert (error.code, error.message) == (ErrorCode.NODATA, NO_USABLE_QUOTE)


def test_quotes_without_sizes_have_no_depth_and_lose_nothing_else():
    usual = document(sent(snapshot()))
    found = document(sent(snapshot(), lambda row: row | {"bidsize": None, "asksize": None}))
    assert found["execution"].pop("depth_contracts") == 0
    assert usual["execution"].pop("depth_contracts") == 100
    assert found == usual


def test_quotes_without_a_time_have_no_age_and_lose_nothing_else():
    usual = document(sent(snapshot()))
    found = document(sent(snapshot(), lambda row: row | {"bid_date": None, "ask_date": None}))
    assert found["execution"].pop("quote_age_s") is None
    assert usual["execution"].pop("quote_age_s") == 60
    assert found == usual


def test_a_company_without_history_has_an_implied_move_and_nothing_to_compare_it_with():
    given = sent(snapshot(past_moves_pct=()))
    analysis = analysed(given)
    assert as_usual(given)
    for block in (analysis.history, analysis.vrp, analysis.consistency):
        assert refused(block).message.startswith("IBM: 0 past moves, 4 needed: no other report is known; ")
    assert analysis.recommendation is Recommendation.SKIP


def test_without_past_ordinary_volatility_four_expirations_tell_it_themselves():
    assert as_usual(replace(sent(snapshot()), realised=None))


def test_a_stock_that_never_moved_on_ordinary_days_contradicts_its_options_and_is_not_traded():
    given = replace(sent(snapshot()), realised=RealisedVolatility(0.0, 120, date(2026, 5, 14)))
    assert "against: the expirations contradict one another" in analysed(given).reasons


@pytest.mark.parametrize("kept", ["call", "put"])
def test_one_side_of_the_event_chain_gives_the_move_but_no_straddle_to_trade(kept):
    given = sent_event(snapshot(), lambda row: row if row["option_type"] == kept else None)
    analysis = analysed(given)
    assert as_usual(given)
    assert refused(analysis.execution).message == NO_OFFER
    assert refused(analysis.skew).code is ErrorCode.NODATA
    assert not analysis.tradeable


def test_a_later_expiration_with_only_crossed_quotes_costs_only_itself():
    crossed = body_of([row | {"bid": 9.0, "ask": 8.0} for row in rows_of(snapshot().chains[1])])
    error = refused(parse_chain(crossed, Ticker("IBM"), LATER))
    assert error.message == "IBM: no usable option of 2026-05-29 (122 crossed)"
    given = sent(snapshot())
    assert as_usual(replace(given, chains=(given.chains[0], *given.chains[2:])))


# Few strikes


def test_a_single_strike_gives_the_move_and_is_not_trusted_with_a_trade():
    given = sent_event(snapshot(), lambda row: row if row["strike"] == 100.0 else None)
    analysis = analysed(given)
    assert as_usual(given)
    assert analysis.implied_move.atm_strike == 100.0
    assert "against: no strike lies on one side of the stock's price" in analysis.reasons
    assert not analysis.tradeable


def test_two_strikes_around_the_stock_give_the_move_without_a_skew():
    given = sent_event(snapshot(), lambda row: row if row["strike"] in {99.0, 101.0} else None)
    assert as_usual(given)
    message = refused(analysed(given).skew).message
    assert message.startswith("IBM: 4 usable quotes in 2026-05-22, 5 out of the money")


def test_a_lone_contract_is_an_answer_with_every_reservation():
    call = next(row for row in rows_of(snapshot().chains[0]) if contract(row) == (100.0, "call"))
    analysis = analysed(replace(snapshot(), chains=(reread(snapshot().chains[0], [call]),)))
    assert analysis.implied_move.quotes_used == 1
    assert {"few_near_atm_strikes", "single_expiry_uses_prior_ambient"} <= set(analysis.flags)
    assert all(isinstance(block, Err) for block in (analysis.skew, analysis.term_structure, analysis.execution))
    assert not analysis.tradeable


def test_a_strike_far_from_the_stock_alone_has_no_answer():
    error = refused(evaluate(sent_event(snapshot(), lambda row: row if row["strike"] == 70.0 else None)))
    assert error.message == "IBM: the stock is at 100, the strikes of 2026-05-22 run from 70 to 70"


# Extremes


def test_a_thousand_percent_of_volatility_is_read_like_any_other():
    # Seven days to the close of the expiration: 10·√(7.01/365) = 1.386.
    given = sent(snapshot(jump_sigma=1.386))
    analysis = analysed(given)
    expected_pct = option_market.expected_move_pct(1.386**2 + AMBIENT**2 / 252)
    assert analysis.implied_move.event_move_pct == pytest.approx(expected_pct, rel=0.01)
    assert isinstance(analysis.skew, Ok)
    assert analysis.skew.value.atm_iv_pct == pytest.approx(1000, rel=0.01)
    # A move of 102 %: down to nothing, up to twice the price.
    assert analysis.implied_move.lower == 0.0
    assert analysis.implied_move.upper == pytest.approx(100 + expected_pct, rel=0.01)


@pytest.mark.parametrize("unit", [1e-4, 1e3], ids=["one cent", "hundred thousand dollars"])
def test_a_stock_of_one_cent_and_one_of_a_hundred_thousand_dollars_are_analysed_like_any_other(unit):
    found, usual = document(priced_in(unit)), document(sent(snapshot()))
    assert found["spot"] == pytest.approx(100 * unit)
    for block in ("vrp", "skew", "term_structure", "execution", "flags", "reasons", "tradeable"):
        assert found[block] == usual[block]


def test_a_one_cent_stock_whose_lowest_strike_is_fifty_cents_has_no_answer():
    given = priced_in(1e-4)
    row = rows_of(given.chains[0])[0]
    listed = [
        row | {"strike": 0.5, "option_type": "call", "bid": 0.0, "ask": 0.05},
        row | {"strike": 0.5, "option_type": "put", "bid": 0.45, "ask": 0.55},
    ]
    error = refused(evaluate(replace(given, chains=tuple(reread(each, listed) for each in given.chains))))
    assert error.message == "IBM: the stock is at 0.01, the strikes of 2026-05-22 run from 0.5 to 0.5"


def test_quotes_of_a_nickel_bid_and_twenty_dollars_asked_have_no_answer():
    error = refused(evaluate(sent_event(snapshot(), lambda row: row | {"bid": 0.05, "ask": 20.0})))
    assert (error.code, error.message) == (ErrorCode.NODATA, NO_USABLE_QUOTE)


def test_spreads_of_two_dollars_widen_the_interval_and_reject_the_trade():
    wide, tight = analysed(sent(snapshot(spread=2.0))), analysed(sent(snapshot()))
    assert wide.implied_move.event_move_se_pct > 5 * tight.implied_move.event_move_se_pct
    assert isinstance(wide.execution, Ok)
    assert wide.execution.value.tier is ExecutionTier.REJECT
    assert not wide.tradeable


def test_a_locked_market_costs_nothing_and_is_the_best_there_is():
    analysis = analysed(sent(snapshot(), lambda row: row | {"bid": row["ask"]}))
    assert isinstance(analysis.execution, Ok)
    assert (analysis.execution.value.cost_pct, analysis.execution.value.tier) == (0.0, ExecutionTier.EXCELLENT)


@pytest.mark.parametrize(
    "greeks",
    [
        {"delta": 7.0, "bid_iv": 99.0, "mid_iv": 99.0, "ask_iv": 99.0},
        {"delta": -3.0, "bid_iv": -1.0, "mid_iv": -1.0, "ask_iv": -1.0},
        {"delta": None, "bid_iv": 0.0, "mid_iv": 4.99, "ask_iv": 1e300},
    ],
    ids=["huge", "negative", "one side"],
)
def test_nonsense_in_the_providers_volatilities_changes_nothing(greeks):
    assert document(sent(snapshot(), lambda row: row | {"greeks": greeks})) == document(sent(snapshot()))


@pytest.mark.parametrize("day", [date(2026, 5, 18), date(2026, 6, 1)])
@pytest.mark.parametrize("amount", [50.0, 100.0, 1e6])
def test_a_dividend_of_half_the_stock_or_more_contradicts_its_price(day, amount):
    error = refused(evaluate(replace(sent(snapshot()), dividends=(Dividend(day, amount),))))
    assert (error.code, error.message) == (
        ErrorCode.INVALID,
        f"IBM: dividends of {amount:g} to come on a stock of 100; one of the two is wrong",
    )


@pytest.mark.parametrize("price", [10.0, 1000.0])
def test_a_stock_far_from_every_strike_is_refused_as_after_an_unadjusted_split(price):
    market = sent(snapshot())
    quote = replace(market.quote, bid=price - 0.01, ask=price + 0.01, last=price)
    error = refused(evaluate(replace(market, quote=quote)))
    assert error.code is ErrorCode.INVALID
    assert error.message.startswith(f"IBM: the stock is at {price:g}, the strikes of 2026-05-22 run from ")


# Times


def test_quotes_of_two_hours_ago_are_read_as_they_were_and_not_traded():
    given = sent(snapshot(), lambda row: later_by(row, -7200))
    analysis = analysed(given)
    assert as_usual(given)
    assert "against: execution warning: straddle spread 0.7 %, open interest 5000" in analysis.reasons
    assert not analysis.tradeable


def test_quotes_of_an_hour_from_now_are_not_believed():
    error = refused(evaluate(sent(snapshot(), lambda row: later_by(row, 3600))))
    assert (error.code, error.message) == (ErrorCode.NODATA, NO_USABLE_QUOTE)


def morning_of_the_report(moment: datetime, state: SessionState) -> MarketSnapshot:
    """A report before the open of Friday 22 May 2026, on which the first expiration ends."""
    jump, ordinary = 0.06**2, AMBIENT**2 / 252
    variances = ((EVENT, jump + ordinary), (LATER, jump + 5 * ordinary), (EXPIRATIONS[2], jump + 15 * ordinary))
    chains = tuple(
        option_market.chain(day, option_market.smile_of(sqrt(variance)), quoted_at=moment)
        for day, variance in variances
    )
    given = option_market.snapshot(chains, report=EVENT, timing=Timing.BMO, as_of=moment, realised=AMBIENT)
    return sent(replace(given, moves=snapshot().moves, session_state=state))


def test_a_report_this_morning_is_read_from_todays_expiration_and_not_traded_before_the_open():
    analysis = analysed(
        morning_of_the_report(datetime(2026, 5, 22, 9, 29, 59, tzinfo=NEW_YORK), SessionState.PREMARKET)
    )
    assert analysis.implied_move.expiration == EVENT
    # Weekends hold no variance in this market; the clock counts them a little.
    assert analysis.implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.02)
    assert "against: the exchange is not open (premarket): quotes are of 2026-05-22 09:29" in analysis.reasons
    assert not analysis.tradeable


def test_one_second_later_the_stock_already_trades_on_the_report():
    error = refused(evaluate(morning_of_the_report(datetime(2026, 5, 22, 9, 30, tzinfo=NEW_YORK), SessionState.OPEN)))
    assert error.code is ErrorCode.INVALID
    assert "already trades on the report of 2026-05-22" in error.message


def friday_evening(days: tuple[date, ...]) -> MarketSnapshot:
    """A report after the close of Friday 22 May 2026, before Memorial Day: Tuesday the 26th reacts."""
    jump, ordinary = 0.06**2, AMBIENT**2 / 252
    chains = []
    for day in days:
        sessions = CALENDAR.sessions_between(AS_OF.date(), day)
        variance = sessions * ordinary + (jump if day > EVENT else 0.0)
        chains.append(option_market.chain(day, option_market.smile_of(sqrt(variance)), quoted_at=AS_OF))
    return sent(option_market.snapshot(chains, report=EVENT, timing=Timing.AMC, as_of=AS_OF, realised=AMBIENT))


def test_a_report_after_the_close_of_an_expiration_day_is_read_from_the_next_expiration():
    analysis = analysed(friday_evening((EVENT, LATER, EXPIRATIONS[2])))
    assert analysis.implied_move.expiration == LATER
    assert analysis.implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.02)


def test_a_report_after_the_close_of_the_only_expiration_has_no_answer():
    error = refused(evaluate(friday_evening((EVENT,))))
    assert error.code is ErrorCode.NODATA
    assert "no expiration trades on 2026-05-26, the session after the report" in error.message


def test_with_leaps_alone_this_report_cannot_be_told_from_the_next_one():
    leap = chain(date(2027, 1, 15), 0.06, 0.02, 5_000)
    error = refused(evaluate(sent(replace(snapshot(), chains=(leap,)))))
    assert error.code is ErrorCode.NODATA
    assert "the expiration 2027-01-15 holds or may hold a second report" in error.message


def test_an_expired_expiration_that_is_still_listed_changes_nothing():
    given = snapshot()
    expired = replace(given.chains[0], expiration=date(2026, 5, 8))
    found, usual = document(sent(replace(given, chains=(expired, *given.chains)))), document(sent(given))
    assert found.pop("expirations_used") == ["2026-05-08", *usual.pop("expirations_used")]
    assert found == usual


def test_a_report_on_leap_day_moves_the_first_of_march():
    monday = datetime(2028, 2, 28, 15, 45, tzinfo=NEW_YORK)
    jump, ordinary = 0.06**2, AMBIENT**2 / 252
    chains = []
    for day in (date(2028, 2, 29), date(2028, 3, 3), date(2028, 3, 10), date(2028, 3, 17)):
        variance = CALENDAR.sessions_between(monday.date(), day) * ordinary + (jump if day.month == 3 else 0.0)
        chains.append(option_market.chain(day, option_market.smile_of(sqrt(variance)), quoted_at=monday))
    given = option_market.snapshot(chains, report=date(2028, 2, 29), as_of=monday, realised=AMBIENT)
    analysis = analysed(sent(given))
    assert analysis.implied_move.expiration == date(2028, 3, 3)
    assert analysis.implied_move.event_move_pct == pytest.approx(EVENT_MOVE_PCT, rel=0.02)


# Corporate actions


def test_contracts_of_another_deliverable_are_left_out_and_said():
    given = sent_event(snapshot(), lambda row: row | {"root_symbol": "IBM1"} if row["strike"] > 115 else row)
    assert as_usual(given)
    # Strikes of 116 to 130, a call and a put each.
    assert ("adjusted_root", 30) in analysed(given).implied_move.quotes_rejected
    assert "adjusted_contracts_dropped" in analysed(given).flags


def bars_of(jumps: dict[date, float], split: date | None = None) -> list[DailyBar]:
    """A flat stock that closes higher by these fractions on these days; ten for one before `split`."""
    day, close, bars = date(2024, 5, 1), 100.0, []
    while day < date(2026, 5, 15):
        if CALENDAR.is_session(day):
            shares = 10.0 if split is not None and day < split else 1.0
            opened, close = close, close * (1 + jumps.get(day, 0.0))
            low, high = sorted((opened, close))
            bars.append(DailyBar(day, *(price * shares for price in (opened, high, low, close)), volume=1_000))
        day += timedelta(1)
    return bars


REPORTS = [date(2026, 2, 18), date(2025, 11, 19), date(2025, 8, 20), date(2025, 5, 21), date(2025, 2, 19)]
JUMPS = {CALENDAR.next_session(day): size for day, size in zip(REPORTS, (0.02, -0.02, 0.03, -0.02, 0.02), strict=True)}


def with_history(bars: tuple[DailyBar, ...] | list[DailyBar]) -> MarketSnapshot:
    past = [PastReport(day, Timing.AMC, None) for day in REPORTS]
    moves, missing = measure_moves(past, bars, CALENDAR, through=date(2026, 5, 14))
    return replace(sent(snapshot()), moves=moves, missing=missing)


def test_a_split_inside_the_history_changes_no_number():
    split = Split(date(2025, 8, 21), 10.0)
    adjusted = adjust_for_splits(bars_of(JUMPS, split.effective), [split])
    assert isinstance(adjusted, Ok)
    assert document(with_history(adjusted.value)) == document(with_history(bars_of(JUMPS)))


def test_a_split_that_nobody_listed_on_a_reaction_session_costs_that_quarter_and_says_so():
    history = analysed(with_history(bars_of(JUMPS, date(2025, 8, 21)))).history
    assert isinstance(history, Ok)
    # Four of five: 2, 2, 2 and 2 per cent; the split fell on the reaction to August's report.
    assert history.value.mean_abs_pct == pytest.approx(2.0)
    (missing,) = history.value.missing
    assert missing.report_date == date(2025, 8, 20)
    assert missing.reason.startswith("split suspected on 2025-08-21: price ratio 0.1")


# Tickers


@pytest.mark.parametrize(
    ("typed", "ticker"),
    [("nan", "NAN"), ("true", "TRUE"), ("null", "NULL"), ("A", "A"), ("inf", "INF"), ("brk/b", "BRK.B")],
)
def test_a_ticker_that_reads_like_something_else_is_analysed_as_itself(typed, ticker):
    parsed = parse_ticker(typed)
    assert isinstance(parsed, Ok)
    given = snapshot()
    chains = tuple(replace(each, ticker=parsed.value) for each in given.chains)
    renamed = replace(given, request=replace(given.request, ticker=parsed.value), chains=chains)
    found, usual = document(sent(renamed)), document(sent(given))
    assert (found.pop("ticker"), usual.pop("ticker")) == (ticker, "IBM")
    assert found == usual


@pytest.mark.parametrize(
    "text",
    [
        "🚀",
        "X" * 300,
        "../../etc/passwd",
        "AAPL\nMSFT",
        "AAPL\x00",
        "AAPL\x1b[2J",
        "'; DROP TABLE moves",
        "%2e%2e",
        "１",
    ],
    ids=["emoji", "300 letters", "path", "line break", "nul", "escape", "sql", "percent", "wide digit"],
)
def test_a_text_that_is_no_ticker_is_refused_in_one_short_printable_line(text):
    error = refused(parse_ticker(text))
    assert error.code is ErrorCode.INVALID
    assert error.message.isprintable()
    assert len(error.message) < 120


# Settings


def settings_of(directory: Path, **chosen: str) -> EvaluationSettings:
    return load_settings(chosen, directory, required_keys=()).evaluation


def test_two_quarters_are_the_least_history_and_give_a_ratio_without_consistency(tmp_path):
    chosen = settings_of(tmp_path, MIN_HISTORICAL_QUARTERS="2", MAX_HISTORICAL_QUARTERS="2", RISK_FREE_RATE_PCT="0")
    # The newest two of 2, 4 and 60: a mean of 3; 4.95 / 3 = 1.65.
    analysis = analysed(replace(sent(snapshot(past_moves_pct=(2.0, -4.0, 60.0))), settings=chosen))
    assert isinstance(analysis.vrp, Ok)
    assert (analysis.vrp.value.quarters, analysis.recommendation) == (2, Recommendation.GOOD)
    assert analysis.vrp.value.ratio == pytest.approx(EVENT_MOVE_PCT / 3, rel=0.01)
    assert isinstance(analysis.consistency, Err)
    assert not analysis.tradeable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MIN_HISTORICAL_QUARTERS", "1"),
        ("MIN_HISTORICAL_QUARTERS", "0"),
        ("MAX_SPREAD_PCT", "0"),
        ("MAX_SPREAD_PCT", "200.1"),
        ("MIN_OPEN_INTEREST", "-1"),
        ("RISK_FREE_RATE_PCT", "-5.1"),
        ("RISK_FREE_RATE_PCT", "50.1"),
        ("RISK_FREE_RATE_PCT", "nan"),
        ("VRP_MARGINAL", "0"),
        ("VRP_MARGINAL", "-1"),
        ("TERM_STRUCTURE_DEPTH", "0"),
        ("MAX_CONCURRENT_REQUESTS", "0"),
    ],
)
def test_a_setting_just_beyond_its_range_is_refused_by_name(tmp_path, name, text):
    with pytest.raises(ConfigurationError) as refusal:
        settings_of(tmp_path, **{name: text})
    (problem,) = refusal.value.problems
    assert problem.startswith(f"{name}={text} (environment): ")


@pytest.mark.parametrize("rate", ["-5", "10"])
def test_a_negative_rate_and_one_of_ten_percent_leave_an_event_of_a_week_where_it_is(tmp_path, rate):
    given = sent(snapshot())
    chosen = replace(
        given.settings, risk_free_rate_pct=settings_of(tmp_path, RISK_FREE_RATE_PCT=rate).risk_free_rate_pct
    )
    assert as_usual(replace(given, settings=chosen))


def test_with_no_interest_asked_for_an_option_that_nobody_holds_may_be_traded(tmp_path):
    chosen = settings_of(tmp_path, MIN_OPEN_INTEREST="0", RISK_FREE_RATE_PCT="0")
    assert analysed(replace(sent(snapshot(open_interest=0)), settings=chosen)).tradeable


def test_with_the_least_spread_asked_for_a_cent_is_too_wide(tmp_path):
    chosen = settings_of(tmp_path, MAX_SPREAD_PCT="0.01", RISK_FREE_RATE_PCT="0")
    assert not analysed(replace(sent(snapshot()), settings=chosen)).tradeable


# Many at once


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk at a small simulated market."""
    with ExitStack() as worlds:
        async with AsyncExitStack() as runs:
            desk = Desk(tmp_path, worlds, runs)
            desk.serve(World(seed=7, as_of=FRIDAY_AFTERNOON, size=6))
            yield desk


async def test_one_ticker_asked_for_fifty_times_at_once_is_one_load_and_fifty_equal_answers(desk):
    ticker = Ticker(desk.market.world.tickers[0])
    run = desk.run()
    batches = await asyncio.gather(*(run.analyzer.analyze([ReportQuestion(ticker)], f"run-{n}") for n in range(50)))
    answers = [analysis_document(result.value) for (result,) in batches if isinstance(result, Ok)]
    assert len(answers) == 50
    assert all(answer == answers[0] for answer in answers)
    assert desk.asked("/markets/options/chains") == len(answers[0]["expirations_used"])


async def test_a_depth_of_one_asks_for_one_expiration_from_the_event_on(desk):
    analysis = await desk.analysis(desk.market.world.tickers[0], desk.run(TERM_STRUCTURE_DEPTH="1"))
    reaction_on = [
        each.expiration for each in analysis.snapshot.chains if each.expiration >= analysis.implied_move.expiration
    ]
    assert reaction_on == [analysis.implied_move.expiration]


def test_eight_threads_on_one_snapshot_give_one_document_and_leave_it_as_it_was():
    given = sent(snapshot())
    kept = [side.bid.tobytes() for each in given.chains for side in (each.calls, each.puts)]
    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(document, [given] * 24))
    assert all(each == documents[0] for each in documents)
    assert [side.bid.tobytes() for each in given.chains for side in (each.calls, each.puts)] == kept


def test_a_request_for_an_expiration_of_today_after_its_close_is_refused():
    evening = datetime(2026, 5, 15, 16, 0, 1, tzinfo=NEW_YORK)
    request = AnalysisRequest(
        Ticker("IBM"), date(2026, 5, 20), Timing.AMC, DateStatus.CONFIRMED, ReportSource.ARGUMENT, date(2026, 5, 15)
    )
    error = refused(evaluate(replace(sent(snapshot()), request=request, as_of=evening)))
    assert error.code is ErrorCode.INVALID
    assert "expiration 2026-05-15 ends before 2026-05-21" in error.message
