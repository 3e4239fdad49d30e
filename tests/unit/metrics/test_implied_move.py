"""The implied move of small markets whose variances are known, and everything that is refused or flagged."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from math import sqrt

import numpy as np
import pytest

from ivcrush.application.metrics.implied_move import ImpliedMoveReading, implied_move
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import MarketSnapshot, OptionChain
from tests.unit.metrics.option_market import (
    AS_OF,
    BEFORE,
    FOURTH,
    FRIDAY,
    NEXT,
    REPORT,
    SPOT,
    THIRD,
    black_call,
    carried,
    chain,
    columns,
    event_chains,
    expected_move_pct,
    smile_of,
    snapshot,
)

DAILY = 0.02
JUMP = 0.06
SESSION = JUMP**2 + DAILY**2


def read(market: MarketSnapshot) -> ImpliedMoveReading:
    found = implied_move(market)
    assert isinstance(found, Ok), found
    return found.value


def refused(found: Result[ImpliedMoveReading]) -> tuple[ErrorCode, str]:
    assert isinstance(found, Err)
    return found.error.code, found.error.message


def test_a_six_percent_jump_and_two_percent_days_give_the_move_of_the_session() -> None:
    reading = read(snapshot(event_chains()))
    move = reading.move
    assert move.expiration == FRIDAY
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=3e-3)
    assert move.straddle_pct == pytest.approx(expected_move_pct(SESSION), rel=3e-3)
    assert move.event_sigma_pct == pytest.approx(100 * sqrt(SESSION), rel=5e-3)
    assert move.jump_sigma_pct == pytest.approx(6.0, rel=2e-2)
    assert move.ambient_vol_pct == pytest.approx(100 * DAILY * sqrt(252), rel=0.05)
    assert move.event_share == pytest.approx(JUMP**2 / SESSION, rel=0.03)
    assert (move.forward, move.atm_strike) == (pytest.approx(SPOT, rel=1e-4), pytest.approx(SPOT))
    low, high = move.event_move_interval_90_pct
    assert low < move.event_move_pct <= high
    assert move.method == "event variance over 4 expirations"
    assert move.flags == ()
    assert reading.timing is Timing.AMC
    assert reading.event.expiration == FRIDAY
    assert [each.reports_before for each in reading.surfaces] == [1, 1, 1, 1]


def test_a_report_before_friday_s_open_and_a_week_of_ordinary_days_after_it() -> None:
    chains = event_chains(days=((NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1)))
    move = read(snapshot(chains, timing=Timing.BMO, report=FRIDAY)).move
    assert move.expiration == NEXT
    assert move.straddle_pct == pytest.approx(expected_move_pct(JUMP**2 + 6 * DAILY**2), rel=3e-3)
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=3e-2)


def test_an_expiration_before_the_report_helps_to_know_the_ordinary_days() -> None:
    report = date(2026, 5, 20)
    chains = event_chains(days=((FRIDAY, 1, 0), (NEXT, 6, 1), (THIRD, 10, 1)))
    reading = read(snapshot(chains, report=report, realised=None))
    assert [each.reports_before for each in reading.surfaces] == [0, 1, 1]
    assert reading.move.expiration == NEXT
    assert reading.move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=4e-2)


def test_one_expiration_on_either_side_of_the_report_is_enough() -> None:
    chains = event_chains(days=((FRIDAY, 1, 0), (NEXT, 6, 1)))
    found = read(snapshot(chains, report=date(2026, 5, 20), realised=None))
    assert found.move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.05)
    # Eight calendar days: √((0.0036 + 0.0024)·365/8), the close being a minute further than eight days.
    assert found.event.atm_iv == pytest.approx(sqrt(0.006 * 365 / 8), rel=3e-3)


def test_the_expiration_of_the_request_is_taken_if_it_holds_the_reaction() -> None:
    assert read(snapshot(event_chains(), expiration=NEXT)).move.expiration == NEXT


def test_an_expiration_that_ends_before_the_reaction_is_invalid() -> None:
    chains = event_chains(days=((BEFORE, 1, 0), (FRIDAY, 1, 1)))
    code, message = refused(implied_move(snapshot(chains, expiration=BEFORE)))
    assert code is ErrorCode.INVALID
    assert "2026-05-14 ends before 2026-05-15" in message


def test_an_expiration_without_a_chain_is_no_data() -> None:
    code, message = refused(implied_move(snapshot(event_chains(), expiration=date(2026, 7, 17))))
    assert (code, message) == (ErrorCode.NODATA, "XYZ: no chain for the expiration 2026-07-17")


def test_without_an_expiration_after_the_report_there_is_nothing_to_read() -> None:
    code, message = refused(implied_move(snapshot(event_chains(), report=date(2026, 7, 1))))
    assert code is ErrorCode.NODATA
    assert "no expiration trades on 2026-07-02" in message


def test_a_report_that_the_stock_already_trades_on_is_invalid() -> None:
    code, message = refused(implied_move(snapshot(event_chains(), report=REPORT, timing=Timing.BMO)))
    assert code is ErrorCode.INVALID
    assert "already trades on the report of 2026-05-14" in message


def test_the_error_of_a_report_that_is_over_says_when_its_trade_was_to_be_entered_and_by_which_session() -> None:
    over = implied_move(snapshot(event_chains(), report=REPORT, timing=Timing.BMO))
    assert isinstance(over, Err)
    assert (over.error.about("entered_by"), over.error.about("session")) == ("2026-05-13 16:00", "BMO")


def test_where_no_session_of_an_unknown_one_can_be_read_the_later_ones_reason_is_told() -> None:
    chains = event_chains(days=((BEFORE, 1, 0),))  # on the report's own afternoon: BMO is over, for AMC none trades
    code, message = refused(implied_move(snapshot(chains, report=REPORT, timing=Timing.UNKNOWN)))
    assert code is ErrorCode.NODATA
    assert "no expiration trades on 2026-05-15" in message


def test_a_stock_without_a_price_is_no_data() -> None:
    code, message = refused(implied_move(snapshot(event_chains(), bid_ask=(0.0, 0.0), last=None)))
    assert code is ErrorCode.NODATA
    assert "no two-sided quote" in message


def test_an_event_expiration_without_a_usable_quote_is_no_data() -> None:
    chains = event_chains()
    for side in (chains[0].calls, chains[0].puts):
        side.bid[:] = 0.0
    code, message = refused(implied_move(snapshot(chains)))
    assert (code, message) == (
        ErrorCode.NODATA,
        "XYZ: no usable quote in the expiration 2026-05-15 that holds the report",
    )


def test_a_market_without_a_single_usable_quote_is_no_data() -> None:
    chains = event_chains(days=((NEXT, 6, 1),))
    for side in (chains[0].calls, chains[0].puts):
        side.bid[:] = 0.0
    code, _ = refused(implied_move(snapshot(chains, rate_pct=4.0)))
    assert code is ErrorCode.NODATA


def test_options_without_event_variance_are_refused_and_not_reported_as_negative() -> None:
    chains = event_chains(jump=0.0, days=((FRIDAY, 0.5, 1), (NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1)))
    code, message = refused(implied_move(snapshot(chains)))
    assert code is ErrorCode.NODATA
    assert "hold no variance for the report" in message


def test_one_expiration_takes_ordinary_days_from_the_past_and_says_so() -> None:
    move = read(snapshot(event_chains(days=((NEXT, 6, 1),)))).move
    assert "single_expiry_uses_prior_ambient" in move.flags
    assert move.method == "one expiration less past ordinary volatility"
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.05)


def test_one_expiration_without_a_past_is_refused() -> None:
    code, message = refused(implied_move(snapshot(event_chains(days=((NEXT, 6, 1),)), realised=None)))
    assert (code, message) == (
        ErrorCode.NODATA,
        "XYZ: one expiration and no volatility of ordinary days: one of two is needed",
    )


def test_two_expirations_without_a_past_give_the_closed_form() -> None:
    chains = event_chains(days=((NEXT, 6, 1), (THIRD, 10, 1)))
    move = read(snapshot(chains, realised=None)).move
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.04)


def test_an_unknown_session_gives_the_wider_of_both_and_says_so() -> None:
    chains = event_chains(days=((NEXT, 5, 1), (THIRD, 9, 1), (FOURTH, 23, 1)))
    market = snapshot(chains, timing=Timing.UNKNOWN, report=date(2026, 5, 18))
    both = [read(replace(market, request=replace(market.request, timing=each))) for each in (Timing.BMO, Timing.AMC)]
    found = read(market)
    assert found.move.event_move_pct == max(each.move.event_move_pct for each in both)
    assert "session_unknown" in found.move.flags


def test_an_unknown_session_of_a_report_that_may_be_out_uses_the_one_to_come() -> None:
    found = read(snapshot(event_chains(), timing=Timing.UNKNOWN))
    assert found.timing is Timing.AMC


def test_an_unknown_session_with_neither_reading_says_why() -> None:
    code, _ = refused(implied_move(snapshot(event_chains(), timing=Timing.UNKNOWN, report=date(2026, 7, 1))))
    assert code is ErrorCode.NODATA


def test_expirations_behind_the_next_report_are_left_out() -> None:
    far = date(2026, 8, 21)
    chains = (*event_chains(), chain(far, smile_of(0.2)))
    reading = read(snapshot(chains, next_report=date(2026, 8, 13)))
    assert "second_event_excluded" in reading.move.flags
    assert far not in [each.expiration for each in reading.surfaces]


def test_of_an_expiration_behind_a_second_report_only_the_straddle_is_quoted() -> None:
    far, following = date(2026, 8, 21), date(2026, 8, 13)
    chains = (*event_chains(), chain(far, smile_of(sqrt(2 * JUMP**2 + 67 * DAILY**2))))
    usual, asked = (read(snapshot(chains, next_report=following, expiration=each)) for each in (None, far))
    assert asked.event.expiration == asked.move.expiration == far
    assert asked.event.reports_before == 2
    assert asked.move.straddle_pct == pytest.approx(expected_move_pct(2 * JUMP**2 + 67 * DAILY**2), rel=2e-3)
    assert asked.move.event_move_pct == usual.move.event_move_pct
    assert asked.move.flags == ("second_event_excluded",)
    assert [each.reports_before for each in asked.surfaces] == [1, 1, 1, 1, 2]


def test_with_nothing_before_the_second_report_a_named_expiration_behind_it_is_refused() -> None:
    far, following = date(2026, 8, 21), date(2026, 8, 13)
    chains = (chain(BEFORE, smile_of(DAILY)), chain(far, smile_of(0.2)))
    known = implied_move(snapshot(chains, next_report=following, expiration=far))
    assumed = implied_move(snapshot(chains, expiration=far))
    assert refused(known) == refused(assumed)
    code, message = refused(known)
    assert code is ErrorCode.INVALID
    assert message == (
        "XYZ: the expiration 2026-08-21 holds or may hold a second report; "
        "a usable one that holds this report alone is needed to tell them apart"
    )


def test_variance_that_rises_elsewhere_makes_the_report_s_date_suspect() -> None:
    # The jump lies between the first and the second expiration, not before the first as the calendar says.
    chains = event_chains(days=((FRIDAY, 5, 0), (NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1)))
    assert "event_date_suspect" in read(snapshot(chains)).move.flags


def test_a_term_structure_that_rises_for_months_makes_no_date_suspect() -> None:
    # A session is worth 1, 1.2, 1.4 and 1.6 of today's: over the last 14 that adds 8.4 to the event's 4 and more.
    chains = event_chains(jump=0.04, days=((FRIDAY, 1, 1), (NEXT, 7, 1), (THIRD, 12.6, 1), (FOURTH, 35, 1)))
    assert "event_date_suspect" not in read(snapshot(chains)).move.flags


def test_every_quote_left_out_is_counted_by_its_reason() -> None:
    near, *later = event_chains()
    plain = dict(read(snapshot((near, *later))).move.quotes_rejected)
    bids = near.puts.bid.copy()
    bids[-2:] = 0.0  # deep in the money, where they had one
    doubtful = replace(near, puts=replace(near.puts, bid=bids), dropped=(("adjusted_root", 3),))
    move = read(snapshot((doubtful, *later))).move
    assert dict(move.quotes_rejected) == plain | {"adjusted_root": 3, "zero_bid": plain["zero_bid"] + 2}
    assert move.quotes_used > 4 * 10


def test_a_small_event_is_said_to_be_no_more_than_noise() -> None:
    chains = event_chains(jump=0.01, days=((NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1)))
    assert "event_variance_not_significant" in read(snapshot(chains)).move.flags


def test_a_term_structure_that_no_ambient_volatility_explains_is_flagged() -> None:
    chains = event_chains(days=((FRIDAY, 1, 1), (NEXT, 6, 1), (THIRD, 40, 1), (FOURTH, 8, 1)))
    assert "term_structure_misfit" in read(snapshot(chains)).move.flags


def test_a_concave_event_smile_is_named_and_its_move_is_nearer_to_the_straddle() -> None:
    def bent(curvature: float) -> tuple[OptionChain, ...]:
        first = chain(NEXT, smile_of(sqrt(JUMP**2 + 6 * DAILY**2), curvature=curvature), strikes=np.arange(85, 116, 1))
        return (first, *event_chains(days=((THIRD, 10, 1), (FOURTH, 24, 1))))

    plain, concave = (read(snapshot(bent(curvature))).move for curvature in (0.0, -0.12))
    assert "concave_smile" in concave.flags
    assert "concave_smile" not in plain.flags
    assert plain.event_move_pct < concave.event_move_pct < concave.straddle_pct


def up_or_down(day: date, length: float, hump: float) -> OptionChain:
    """Black's prices for a jump that is `hump` up or down in log moves, on top of ordinary days."""
    whole = chain(day, smile_of(0.1), strikes=np.arange(80, 121, 0.5))
    sides = [SPOT * np.exp(each) / np.cosh(hump) for each in (hump, -hump)]
    calls = np.array([np.mean([black_call(f, k, sqrt(length) * DAILY) for f in sides]) for k in whole.strikes])
    puts = calls - SPOT + whole.strikes
    return replace(whole, calls=columns(calls, 0.005), puts=columns(puts, 0.005))


def test_a_jump_that_is_up_or_down_has_its_share_of_the_true_variance() -> None:
    # Of an expiration of six sessions the jump has 0.06² of 0.06² + 6·0.02², three fifths.
    chains = [up_or_down(day, length, JUMP) for day, length in ((NEXT, 6), (THIRD, 10), (FOURTH, 24))]
    reading = read(snapshot(chains))
    assert "concave_smile" in reading.move.flags
    assert reading.move.event_share == pytest.approx(0.6, abs=0.035)
    assert reading.shape.total_of(reading.event.atm_variance, 1) == pytest.approx(0.006, rel=0.03)


def test_a_fat_tailed_event_smile_is_named() -> None:
    first = chain(FRIDAY, smile_of(sqrt(SESSION), curvature=0.12), strikes=np.arange(85, 116, 1))
    move = read(snapshot((first, *event_chains()[1:]))).move
    assert "fat_tailed_smile" in move.flags


def test_quotes_after_hours_are_said_to_be() -> None:
    evening = datetime(2026, 5, 14, 18, 0, tzinfo=NEW_YORK)
    assert "quotes_off_hours" in read(snapshot(event_chains(), as_of=evening)).move.flags


def test_a_stale_vendor_volatility_and_dropped_contracts_are_said() -> None:
    first, *rest = event_chains()
    old = replace(first, greeks_at=AS_OF - timedelta(hours=2), dropped=(("adjusted_root", 3),))
    reading = read(snapshot((old, *rest)))
    assert {"vendor_iv_stale", "adjusted_contracts_dropped"} <= set(reading.move.flags)
    assert ("adjusted_root", 3) in reading.event.rejected


@pytest.mark.parametrize(
    ("call_iv", "put_iv", "age_h", "disagrees"),
    [
        (1.22, 1.22, 1.0, False),  # ours is √(SESSION·365/1.0007) = 1.208
        (1.50, 1.50, 1.0, True),
        (0.90, 0.90, None, True),  # nobody says how old
        (1.50, 1.50, 2.0, False),  # too old to say anything
        (0.0, 1.50, 1.0, True),
        (0.0, 0.0, 1.0, False),
    ],
)
def test_a_fresh_vendor_volatility_at_the_money_that_differs_by_over_a_tenth_is_said(
    call_iv: float, put_iv: float, age_h: float | None, disagrees: bool
) -> None:
    first, *rest = event_chains()
    calls, puts = (
        replace(side, iv=np.full(len(first.strikes), iv)) for side, iv in ((first.calls, call_iv), (first.puts, put_iv))
    )
    greeks_at = None if age_h is None else AS_OF - timedelta(hours=age_h)
    chains = (replace(first, calls=calls, puts=puts, greeks_at=greeks_at), *rest)
    reading = read(snapshot(chains))
    assert reading.event.atm_iv == pytest.approx(1.208, rel=2e-3)
    assert ("vendor_iv_disagrees" in reading.move.flags) is disagrees


def test_one_vendor_volatility_of_a_stale_quote_and_those_far_away_say_nothing() -> None:
    first, *rest = event_chains()
    iv = np.full(len(first.strikes), 3.0)
    nearest = np.argsort(np.abs(first.strikes - SPOT))[:2]
    iv[nearest] = 1.208
    stale = iv.copy()
    stale[nearest[0]] = 2.5
    chains = (replace(first, calls=replace(first.calls, iv=iv), puts=replace(first.puts, iv=stale)), *rest)
    assert "vendor_iv_disagrees" not in read(snapshot(chains)).move.flags


def test_a_vendor_volatility_within_the_noise_of_wide_quotes_says_nothing() -> None:
    whole = chain(FRIDAY, smile_of(sqrt(SESSION)), strikes=(98.0, 102.0), half_spread=1.0)
    iv = np.full(2, 1.5)
    chains = (replace(whole, calls=replace(whole.calls, iv=iv), puts=replace(whole.puts, iv=iv)), *event_chains()[1:])
    reading = read(snapshot(chains))
    assert reading.event.atm_iv < 1.5 / 1.1
    assert "vendor_iv_disagrees" not in reading.move.flags


def test_one_strike_on_one_side_and_a_wide_spread_are_said() -> None:
    first = chain(FRIDAY, smile_of(sqrt(SESSION)), strikes=(102.0,), half_spread=0.75)
    reading = read(snapshot((first, *event_chains()[1:])))
    assert {"atm_extrapolated", "few_near_atm_strikes", "atm_iv_imprecise"} <= set(reading.move.flags)


def test_many_quotes_off_the_smile_are_said() -> None:
    rest = event_chains()[1:]
    first = chain(FRIDAY, smile_of(sqrt(SESSION)), strikes=np.arange(85, 116, 0.5))
    for at in range(0, len(first.strikes), 3):
        for side in (first.calls, first.puts):
            side.bid[at] *= 1.6
            side.ask[at] *= 1.6
    assert "many_outlier_quotes" in read(snapshot((first, *rest))).event.flags


def test_a_spot_from_another_moment_is_said() -> None:
    reading = read(snapshot(event_chains(), spot=101.0))
    assert "spot_disagrees_with_options" in reading.move.flags
    assert reading.move.forward == pytest.approx(100.0, abs=0.1)


def dividend_chains(rate: float, amount: float, borrow: float = 0.0) -> tuple[OptionChain, ...]:
    """European chains whose forward has carry, borrow and a dividend after the first expiration."""
    chains = []
    for day, length in ((FRIDAY, 1), (NEXT, 6), (THIRD, 10), (FOURTH, 24)):
        forward, discount = carried(rate, (day - REPORT).days)
        forward = forward * np.exp(-borrow * (day - REPORT).days / 365) - (amount if day > FRIDAY else 0.0)
        stdev = sqrt(JUMP**2 + length * DAILY**2)
        chains.append(chain(day, smile_of(stdev), forward=float(forward), discount=discount))
    return tuple(chains)


def test_a_dividend_and_a_rate_do_not_move_the_event() -> None:
    # European quotes: what little early exercise is taken off wrongly must not matter.
    paid = ((date(2026, 5, 20), 0.5), (date(2026, 9, 1), 0.5), (date(2026, 5, 1), 0.5))
    move = read(snapshot(dividend_chains(0.04, 0.5), dividends=paid, rate_pct=4.0)).move
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.02)
    assert "dividend_in_window" not in move.flags
    later = read(snapshot(dividend_chains(0.04, 0.5), dividends=paid, rate_pct=4.0, expiration=NEXT)).move
    assert "dividend_in_window" in later.flags


def test_early_exercise_that_hides_in_the_spread_is_left_where_it_is() -> None:
    chains = [chain(each.expiration, smile_of(0.07), half_spread=0.02) for each in event_chains()[:1]]
    assert read(snapshot(chains, rate_pct=0.1)).move.straddle_pct == pytest.approx(expected_move_pct(0.0049), rel=5e-3)


def test_a_hard_to_borrow_stock_is_said_to_be() -> None:
    move = read(snapshot(dividend_chains(0.04, 0.0, borrow=0.5), rate_pct=4.0)).move
    assert "hard_to_borrow" in move.flags
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.03)


def test_an_expiration_whose_parity_is_stale_is_said_to_be() -> None:
    chains = list(event_chains())
    chains[0] = chain(FRIDAY, smile_of(sqrt(SESSION)), forward=97.0)
    reading = read(snapshot(chains, spot=100.0))
    assert "parity_inconsistent_with_other_expiries" in reading.event.flags


def test_early_exercise_is_taken_off_before_the_event_is_read() -> None:
    """American quotes made by a finer lattice: without the correction the move is more than 3 % too high."""
    from ivcrush.application.metrics.american import Contracts, ExerciseTerms, lattice_values

    paid, rate, chains = date(2026, 5, 21), 0.04, []
    for day, length in ((NEXT, 6), (THIRD, 10), (FOURTH, 24)):
        days = (day - REPORT).days
        forward, discount = carried(rate, days)
        stdev, amount = sqrt(JUMP**2 + length * DAILY**2), 1.5
        forward -= amount
        whole = chain(day, smile_of(stdev), forward=forward, discount=discount, strikes=np.arange(85, 116, 1))
        terms = ExerciseTerms(
            days / 365, rate, dividends=((6.33 / 365, amount),), lump=JUMP**2 / stdev**2, lump_years=1e-4
        )
        for is_call, side in ((True, whole.calls), (False, whole.puts)):
            rights = np.full((1, 31), is_call)
            contracts = Contracts(whole.strikes[None], np.full((1, 31), stdev), rights)
            premium = lattice_values(SPOT, [terms], contracts, 150).premium[0]
            side.bid[side.bid > 0] += premium[side.bid > 0]
            side.ask[:] += premium
        chains.append(whole)
    corrected = read(snapshot(chains, rate_pct=4.0, dividends=((paid, 1.5),))).move
    assert corrected.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=0.04)


def scaled(whole: OptionChain, factor: float) -> OptionChain:
    sides = [replace(side, bid=side.bid * factor, ask=side.ask * factor) for side in (whole.calls, whole.puts)]
    return replace(whole, strikes=whole.strikes * factor, calls=sides[0], puts=sides[1])


def test_the_same_market_gives_the_same_answer_to_the_bit() -> None:
    chains = event_chains()
    again = event_chains()
    assert read(snapshot(chains)).move == read(snapshot(again)).move


@pytest.mark.parametrize("spot_factor", [1e-4, 1e3])
def test_a_cent_stock_and_a_hundred_thousand_dollar_stock_work_alike(spot_factor: float) -> None:
    chains = [scaled(each, spot_factor) for each in event_chains()]
    move = read(snapshot(chains, spot=SPOT * spot_factor)).move
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=3e-3)


def test_a_volatility_of_a_thousand_percent_is_read_like_any_other() -> None:
    chains = event_chains(jump=0.6, daily=0.1)
    move = read(snapshot(chains, realised=0.1 * sqrt(252))).move
    assert move.event_move_pct == pytest.approx(expected_move_pct(0.37), rel=0.02)


def test_an_expiration_on_the_day_itself_is_read_until_its_close() -> None:
    morning = datetime(2026, 5, 15, 9, 0, tzinfo=NEW_YORK)
    chains = [
        chain(day, smile_of(sqrt(v)), quoted_at=morning)
        for day, v in ((FRIDAY, SESSION), (NEXT, SESSION + 5 * DAILY**2))
    ]
    move = read(snapshot(chains, timing=Timing.BMO, report=FRIDAY, as_of=morning)).move
    assert move.expiration == FRIDAY
    assert move.event_move_pct == pytest.approx(expected_move_pct(SESSION), rel=5e-3)


def test_an_expired_chain_is_left_out() -> None:
    evening = datetime(2026, 5, 14, 17, 0, tzinfo=NEW_YORK)
    chains = event_chains(days=((BEFORE, 1, 0), (FRIDAY, 1, 1), (NEXT, 6, 1)))
    assert [each.expiration for each in read(snapshot(chains, as_of=evening)).surfaces] == [FRIDAY, NEXT]


def test_a_leap_is_left_out_unless_it_is_asked_for() -> None:
    leap = date(2027, 1, 15)
    chains = (*event_chains(), chain(leap, smile_of(0.4)))
    assert leap not in [each.expiration for each in read(snapshot(chains, next_report=leap)).surfaces]
