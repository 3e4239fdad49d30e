"""Past moves from daily bars: which two sessions, which sign, and what is refused."""

from datetime import date, timedelta
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.earnings_moves import (
    adjust_for_splits,
    ex_earnings_volatility,
    in_other_shares,
    looks_like_split,
    may_yet_be_measured,
    measure_moves,
    reasons_counted,
    reports_to_measure_again,
)
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import DailyBar, MissingMove, PastReport, Split

CALENDAR = MarketCalendar()
THROUGH = date(2025, 12, 31)
# Good Friday of 2025 is 18 April: Thursday the 17th is followed by Monday the 21st.
THURSDAY, MONDAY, TUESDAY = date(2025, 4, 17), date(2025, 4, 21), date(2025, 4, 22)


def bar(session, close, *, opens=None, high=None, low=None, volume=1000):
    opens = close if opens is None else opens
    return DailyBar(session, opens, high or max(opens, close), low or min(opens, close), close, volume)


def report(day, timing=Timing.AMC, flags=()):
    return PastReport(day, timing, None, flags)


def measure(reports, bars, through=THROUGH):
    return measure_moves(reports, bars, CALENDAR, through=through)


BARS = (
    bar(THURSDAY, 100.0),
    bar(MONDAY, 108.0, opens=105.0, high=112.0, low=97.0),
    bar(TUESDAY, 97.2, opens=102.6, high=103.0, low=90.0),
)


def test_a_report_after_the_close_moves_from_that_close_to_the_next_session_over_a_holiday():
    (move,), missing = measure([report(THURSDAY)], BARS)
    assert missing == ()
    assert move.reaction_session == MONDAY
    assert move.previous_close == 100.0
    assert move.close_to_close_pct == pytest.approx(8.0)
    assert move.gap_pct == pytest.approx(5.0)
    assert move.open_to_close_pct == pytest.approx(300 / 105)
    assert move.peak_pct == pytest.approx(12.0)
    assert move.flags == ()


def test_a_report_before_the_open_moves_from_the_previous_close_to_that_days_close_with_its_sign():
    (move,), _ = measure([report(TUESDAY, Timing.BMO)], BARS)
    assert (move.reaction_session, move.previous_close) == (TUESDAY, 108.0)
    assert move.close_to_close_pct == pytest.approx(-10.0)
    assert move.gap_pct == pytest.approx(-5.0)
    assert move.peak_pct == pytest.approx((90 / 108 - 1) * 100)


def test_a_report_during_hours_is_measured_as_before_the_open_and_flagged():
    (move,), _ = measure([report(TUESDAY, Timing.DMH, ("odd",))], BARS)
    assert move.close_to_close_pct == pytest.approx(-10.0)
    assert move.flags == ("odd", "during_hours")


def test_a_report_dated_on_a_closed_day_reacts_in_the_next_session_and_is_flagged():
    (move,), _ = measure([report(date(2025, 4, 19), Timing.BMO)], BARS)
    assert move.reaction_session == MONDAY
    assert move.flags == ("report_on_closed_day",)
    (again,), _ = measure([report(date(2025, 4, 19), Timing.BMO, move.flags)], BARS)
    assert again.flags == move.flags


def test_a_report_of_unknown_session_is_never_computed():
    moves, (absent,) = measure([report(THURSDAY, Timing.UNKNOWN)], BARS)
    assert moves == ()
    assert absent.reason == "session of the report unknown"


def test_a_report_with_an_implausible_date_is_never_computed():
    moves, (absent,) = measure([report(THURSDAY, flags=("implausible_report_date",))], BARS)
    assert moves == ()
    assert absent.reason == "implausible report date for its fiscal period"


def test_a_missing_reference_or_reaction_bar_is_named_and_no_longer_return_takes_its_place():
    without_monday = (BARS[0], BARS[2])
    moves, missing = measure([report(THURSDAY), report(TUESDAY, Timing.BMO), report(date(2025, 7, 1))], without_monday)
    assert moves == ()
    assert [absent.reason for absent in missing] == [
        "no bars for 2025-07-01 and 2025-07-02",
        "no bars for 2025-04-21",
        "no bars for 2025-04-21",
    ]


def test_what_was_measured_once_is_measured_again_after_a_split_with_the_same_percentages():
    in_old_shares = [bar(THURSDAY, 400.0), bar(MONDAY, 440.0)]
    in_new_shares = [bar(THURSDAY, 100.0), bar(MONDAY, 110.0)]
    before, absent = measure([report(THURSDAY, flags=("odd",)), report(TUESDAY, Timing.BMO)], in_old_shares)
    after, still_absent = measure(reports_to_measure_again(before, absent), in_new_shares)
    assert (before[0].previous_close, after[0].previous_close) == (400.0, 100.0)
    assert after[0].close_to_close_pct == before[0].close_to_close_pct == pytest.approx(10.0)
    assert (after[0].flags, still_absent) == (before[0].flags, absent)


# Up to 1 % it is a correction; a stock dividend of 2 % is a split. No other session tells of one.
@pytest.mark.parametrize(
    ("session", "close", "split"),
    [
        (MONDAY, 100.9, False),
        (MONDAY, 99.1, False),
        (MONDAY, 98.0, True),
        (MONDAY, 25.0, True),
        (MONDAY, 1000.0, True),
        (TUESDAY, 25.0, False),
    ],
)
def test_a_stock_was_split_where_the_same_session_began_from_another_close(session, close, split):
    timing = Timing.BMO
    (before,), _ = measure([report(MONDAY, timing)], [bar(THURSDAY, 100.0), bar(MONDAY, 101.0)])
    later = [bar(CALENDAR.previous_session(session), close), bar(session, 1.01 * close)]
    (after,), _ = measure([report(session, timing)], later)
    assert in_other_shares([before], [after]) is split
    assert not in_other_shares([], [after])


def test_a_report_without_bars_may_yet_be_measured_and_one_of_unknown_session_or_impossible_date_never():
    doubtful = [report(TUESDAY, Timing.UNKNOWN), report(MONDAY, flags=("implausible_report_date",))]
    _, missing = measure([report(date(2025, 7, 1)), *doubtful], BARS)
    assert [may_yet_be_measured(each) for each in missing] == [True, False, False]
    assert [each.report_date for each in reports_to_measure_again((), missing)] == [date(2025, 7, 1)]


def test_reasons_are_told_in_words_the_most_frequent_first_and_only_the_first_says_what_is_counted():
    unknown, impossible = report(TUESDAY, Timing.UNKNOWN), report(MONDAY, flags=("implausible_report_date",))
    _, missing = measure([unknown, unknown, impossible, report(date(2025, 7, 1)), report(date(2025, 8, 1))], BARS)
    # Of equals the later report's reason comes first.
    assert reasons_counted(missing) == (
        "2 reports without daily bars, 2 without known session, 1 with an implausible date"
    )
    assert reasons_counted(missing[-1:]) == "1 report with an implausible date"
    _, shared = measure([report(THURSDAY), report(MONDAY, Timing.BMO)], BARS)
    _, split = measure([report(THURSDAY)], (BARS[0], bar(MONDAY, 48.0, opens=50.5)))
    assert reasons_counted((*shared, *split)) == ("1 report answered together with another, 1 beside a suspected split")


def test_a_reason_that_is_told_in_no_other_words_is_told_in_its_own():
    told = MissingMove(MONDAY, Timing.AMC, "stored by an earlier version")
    assert reasons_counted((told, told, told)) == "3 reports (stored by an earlier version)"


def test_a_reaction_session_not_finished_by_the_cut_off_is_in_neither_list():
    assert measure([report(THURSDAY), report(date(2025, 4, 23))], BARS, through=THURSDAY) == ((), ())
    moves, _ = measure([report(THURSDAY)], BARS, through=MONDAY)
    assert len(moves) == 1


def test_a_report_that_is_not_answered_yet_hides_no_older_one():
    moves, missing = measure([report(MONDAY), report(THURSDAY), report(date(2025, 1, 29))], BARS, through=MONDAY)
    assert [move.report_date for move in moves] == [THURSDAY]
    assert [(each.report_date, each.timing) for each in missing] == [(date(2025, 1, 29), Timing.AMC)]


def test_moves_and_missing_come_newest_first_whatever_the_order_of_reports_and_bars():
    moves, _ = measure([report(THURSDAY), report(MONDAY)], tuple(reversed(BARS)))
    assert [move.report_date for move in moves] == [MONDAY, THURSDAY]


def test_two_reports_answered_in_one_session_give_one_move():
    (move,), (absent,) = measure([report(THURSDAY), report(MONDAY, Timing.BMO)], BARS)
    assert move.report_date == MONDAY
    assert absent.reason == "answered on 2025-04-21, as the report of 2025-04-21"


@pytest.mark.parametrize(
    ("opens", "close", "shown"),
    [(50.5, 48.0, "0.505"), (10.2, 10.1, "0.102"), (205.0, 198.0, "2.050"), (60.0, 33.0, "0.330")],
)
def test_a_price_ratio_like_a_split_is_suspected_not_measured(opens, close, shown):
    moves, (absent,) = measure([report(THURSDAY)], (BARS[0], bar(MONDAY, close, opens=opens)))
    assert moves == ()
    assert absent.reason == f"split suspected on 2025-04-21: price ratio {shown}"


@pytest.mark.parametrize(
    ("ratio", "suspected"),
    [(2.0, True), (0.5, True), (2.061, False), (1 / 3, True), (20.5, True), (0.55, False), (1.59, False), (1.0, False)],
)
def test_a_split_is_suspected_only_near_a_usual_factor(ratio, suspected):
    assert looks_like_split(ratio) is suspected


def _sessions(count, last=date(2025, 6, 30)):
    days = [last]
    while len(days) < count:
        days.append(CALENDAR.previous_session(days[-1]))
    return days[::-1]


def _bars_of_returns(returns, last=date(2025, 6, 30)):
    price, bars = 100.0, []
    for session, value in zip(_sessions(len(returns) + 1, last), [0.0, *returns], strict=True):
        price *= exp(value)
        bars.append(bar(session, price))
    return bars


def test_returns_of_one_per_cent_either_way_are_a_volatility_of_one_per_cent_times_the_root_of_252():
    bars = _bars_of_returns([0.01, -0.01] * 15)
    realised = ex_earnings_volatility(bars, (), CALENDAR, through=date(2025, 6, 30))
    assert realised.annual == pytest.approx(0.01 * 252**0.5)
    assert realised.returns == 30
    assert realised.through == date(2025, 6, 30)


def test_reaction_sessions_and_returns_over_a_gap_are_no_ordinary_volatility():
    returns = [0.01, -0.01] * 15
    returns[20] = 0.30
    bars = _bars_of_returns(returns)
    reaction, gap = bars[21].session, bars[10].session
    kept = [each for each in bars if each.session != gap]
    realised = ex_earnings_volatility(kept, {reaction}, CALENDAR, through=date(2025, 6, 30))
    assert realised.annual == pytest.approx(0.01 * 252**0.5)
    assert realised.returns == 27


@pytest.mark.parametrize("news", [-0.50, 0.50])
def test_one_days_news_counts_at_most_three_and_a_half_robust_deviations(news):
    returns = [0.01, -0.01] * 15
    returns[-1] = news
    clip = 3.5 * 1.4826 * 0.01
    weights = [2 ** (-age / 42) for age in range(30)]
    expected = (clip**2 + sum(0.01**2 * weight for weight in weights[1:])) / sum(weights)
    realised = ex_earnings_volatility(_bars_of_returns(returns), (), CALENDAR, through=date(2025, 6, 30))
    assert realised.annual == pytest.approx((252 * expected) ** 0.5)


def test_ordinary_volatility_needs_twenty_returns_and_looks_no_further_than_its_window():
    nineteen = _bars_of_returns([0.01] * 19)
    assert ex_earnings_volatility(nineteen, (), CALENDAR, through=date(2025, 6, 30)) is None
    twenty = _bars_of_returns([0.01] * 20)
    assert ex_earnings_volatility(twenty, (), CALENDAR, through=date(2025, 6, 30)).returns == 20
    many = _bars_of_returns([0.01] * 130)
    assert ex_earnings_volatility(many, (), CALENDAR, through=date(2025, 6, 30)).returns == 126  # half a year
    bars = _bars_of_returns([0.05] * 30 + [0.01] * 25)
    realised = ex_earnings_volatility(bars, (), CALENDAR, through=date(2025, 6, 30), sessions=25)
    assert (realised.annual, realised.returns) == (pytest.approx(0.01 * 252**0.5), 25)


def test_a_stock_that_never_moves_has_no_volatility_rather_than_none():
    still = _bars_of_returns([0.0] * 25, last=date(2025, 7, 3))
    realised = ex_earnings_volatility(still, (), CALENDAR, through=date(2025, 7, 5))
    assert (realised.annual, realised.through) == (0.0, date(2025, 7, 3))  # Saturday the 5th after Friday's holiday


def test_a_stock_that_mostly_stands_still_keeps_the_days_on_which_it_moves():
    # The median return is zero: there is no robust deviation to clip by, and every third day is no single day's news.
    returns = [0.0, 0.0, 0.02] * 10
    weights = [2 ** (-age / 42) for age in range(30)]
    expected = 0.02**2 * sum(weights[::3]) / sum(weights)
    realised = ex_earnings_volatility(_bars_of_returns(returns), (), CALENDAR, through=date(2025, 6, 30))
    assert realised.annual == pytest.approx((252 * expected) ** 0.5)


def test_bars_before_a_split_are_restated_in_todays_shares():
    raw = (bar(MONDAY, 51.0, opens=50.0, volume=4000), bar(THURSDAY, 100.0, opens=98.0, volume=1000))
    adjusted = adjust_for_splits(raw, [Split(MONDAY, 2.0)])
    assert adjusted == Ok((bar(THURSDAY, 50.0, opens=49.0, volume=2000), bar(MONDAY, 51.0, opens=50.0, volume=4000)))


def test_a_spin_off_factor_is_applied_and_two_splits_multiply():
    raw = (bar(THURSDAY, 209.2), bar(MONDAY, 200.0), bar(TUESDAY, 100.0))
    adjusted = adjust_for_splits(raw, [Split(TUESDAY, 2.0), Split(MONDAY, 1.046)])
    assert isinstance(adjusted, Ok)
    assert [each.close for each in adjusted.value] == pytest.approx([100.0, 100.0, 100.0])


@pytest.mark.parametrize(
    ("closes", "splits"),
    [
        ((100.0, 10.0), []),
        ((100.0, 101.0), [Split(MONDAY, 4.0)]),
        ((1.0, 10.2), []),
        ((100.0, 24.0), []),  # four for one, and −4 % on the same night
    ],
    ids=["unlisted split", "bars already adjusted", "unlisted reverse split", "unlisted split on a night of news"],
)
def test_a_jump_that_no_split_explains_is_refused(closes, splits):
    raw = (bar(THURSDAY, closes[0]), bar(MONDAY, closes[1]))
    refused = adjust_for_splits(raw, splits)
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.INVALID
    assert "2025-04-17 to 2025-04-21" in refused.error.message
    assert refused.error.message.endswith(" looks like a split that the list of splits does not explain")


def test_a_night_of_sixty_per_cent_is_news_and_one_of_a_little_more_is_not():
    assert isinstance(adjust_for_splits((bar(THURSDAY, 100.0), bar(MONDAY, 160.0)), []), Ok)
    assert isinstance(adjust_for_splits((bar(THURSDAY, 160.0), bar(MONDAY, 100.0)), []), Ok)
    assert isinstance(adjust_for_splits((bar(THURSDAY, 100.0), bar(MONDAY, 160.2)), []), Err)
    assert isinstance(adjust_for_splits((bar(THURSDAY, 160.2), bar(MONDAY, 100.0)), []), Err)


@given(st.permutations(range(8)), st.floats(0.01, 1000))
def test_the_order_of_bars_and_the_price_level_change_no_percentage(order, level):
    bars = _bars_of_returns([0.02, -0.03, 0.01, 0.05, -0.04, 0.0, 0.01], last=TUESDAY + timedelta(1))
    scaled = [bar(bars[index].session, bars[index].close * level) for index in order]
    (move,), _ = measure([report(THURSDAY)], scaled)
    assert log(1 + move.close_to_close_pct / 100) == pytest.approx(-0.04, abs=1e-9)
