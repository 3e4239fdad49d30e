"""Where each flag of an implied move begins: markets on both sides of its threshold; and in what order counts come."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import product
from math import sqrt

import numpy as np
import pytest

from ivcrush.application.metrics.event_move import EventMove, estimate_event_move
from ivcrush.application.metrics.implied_move import ImpliedMoveReading, implied_move
from ivcrush.application.metrics.session_clock import SessionClock
from ivcrush.domain.errors import Ok
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import OptionChain
from tests.unit.metrics.option_market import (
    AS_OF,
    FOURTH,
    FRIDAY,
    NEXT,
    REPORT,
    THIRD,
    chain,
    event_chains,
    smile_of,
    snapshot,
)

PAST = 0.02 * sqrt(252)
NEAR = np.arange(90, 111, 1)  # every option of them has a bid
# Variance time from a minute before Thursday's close: sessions, and 0.15 for each day of three week-ends and a holiday.
TUESDAY = date(2026, 5, 26)  # after Memorial Day
MONDAY = date(2026, 6, 1)
TIMES = {FRIDAY: 1, NEXT: 6 + 0.15 * 2, TUESDAY: 7 + 0.15 * 5, THIRD: 10 + 0.15 * 5, MONDAY: 11 + 0.15 * 7}
TIMES |= {FOURTH: 24 + 0.15 * 11}
# What a unit of it holds at past volatility.
UNIT = PAST**2 / (252 + 0.15 * 113)


def read(chains: Sequence[OptionChain], report: date = REPORT, realised: float | None = PAST) -> ImpliedMoveReading:
    found = implied_move(snapshot(chains, report=report, realised=realised))
    assert isinstance(found, Ok), found
    return found.value


def estimated(reading: ImpliedMoveReading) -> EventMove:
    """What the same surfaces say of the report on Thursday evening, with all that percent do not show."""
    closes = [*(each.expiration for each in reading.surfaces), REPORT, FRIDAY]
    clock = SessionClock.to_closes(AS_OF, closes, MarketCalendar())
    found = estimate_event_move(reading.surfaces, reading.event, clock, PAST)
    assert isinstance(found, Ok), found
    return found.value


def test_the_estimate_is_told_in_per_cent() -> None:
    reading = read(event_chains())
    move, found = reading.move, estimated(reading)
    assert move.event_move_pct == pytest.approx(100 * found.move)
    assert move.event_move_se_pct == pytest.approx(100 * found.standard_error)
    assert move.event_move_interval_90_pct == pytest.approx([100 * bound for bound in found.interval_90])
    assert move.event_sigma_pct == pytest.approx(100 * found.event_sigma)
    assert move.jump_sigma_pct == pytest.approx(100 * found.jump_sigma)
    assert move.ambient_vol_pct == pytest.approx(100 * found.ambient_vol)
    assert move.event_share == pytest.approx(found.jump_variance / reading.event.atm_variance, rel=1e-3)
    assert move.quotes_used == sum(len(each.strikes) for each in reading.surfaces)


def test_rejected_quotes_are_counted_over_all_expirations_the_most_frequent_reason_first_and_by_name_among_equals() -> (
    None
):
    dropped = ((("late", 3), ("early", 2)), (("many", 4), ("early", 1)), (("most", 9),))
    chains = [
        replace(chain(day, smile_of(0.07), strikes=NEAR), dropped=counts)
        for day, counts in zip((FRIDAY, NEXT, THIRD), dropped, strict=True)
    ]
    assert read(chains).move.quotes_rejected == (("most", 9), ("many", 4), ("early", 3), ("late", 3))


def test_an_event_is_called_noise_below_two_standard_errors_of_its_variance() -> None:
    ratios = []
    for jump in (0.010, 0.013, 0.016, 0.019, 0.022, 0.026, 0.03):
        reading = read(event_chains(jump=jump, days=((NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1))))
        found = estimated(reading)
        ratios.append(found.jump_variance / found.jump_se)
        assert ("event_variance_not_significant" in reading.move.flags) is (ratios[-1] < 2)
    assert any(1 < ratio < 2 for ratio in ratios)
    assert any(2 < ratio < 3 for ratio in ratios)


def test_a_smile_is_called_concave_or_fat_tailed_beyond_two_standard_errors_and_fat_only_beyond_three_hundredths() -> (
    None
):
    seen = []
    for curvature, half_spread in product((-0.12, -0.03, -0.015, 0.0, 0.01, 0.02, 0.03, 0.05, 0.12), (0.005, 0.05)):
        first = chain(
            FRIDAY, smile_of(0.063, curvature=curvature), strikes=np.arange(85, 116, 1), half_spread=half_spread
        )
        reading = read((first, *event_chains()[1:]))
        bend, errors = reading.shape.bend, reading.shape.bend / reading.shape.standard_error
        named = {"concave_smile", "fat_tailed_smile"} & set(reading.move.flags)
        if errors < -2:
            assert named == {"concave_smile"}
        else:
            assert named == ({"fat_tailed_smile"} if errors > 2 and bend > 0.03 else set())
        seen.append((bend, errors))
    assert any(-2 < errors < 0 for _, errors in seen)
    assert any(-3 < errors < -2 for _, errors in seen)
    assert any(0.02 < bend < 0.03 and errors > 3 for bend, errors in seen)


def suspect(
    jumps: Sequence[tuple[date, float]],
    *,
    report: date = REPORT,
    realised: float | None = PAST,
    half_spreads: Sequence[float] = (0.005, 0.005, 0.005, 0.005),
) -> bool:
    """Whether the date is suspect where each expiration brings so much variance beyond ordinary days before it."""
    chains, extra = [], 0.0
    for (day, jump), half_spread in zip(jumps, half_spreads, strict=False):
        extra += jump
        smile = smile_of(sqrt(extra + UNIT * TIMES[day]))
        chains.append(chain(day, smile, strikes=np.arange(70, 131, 1), half_spread=half_spread))
    return "event_date_suspect" in read(chains, report=report, realised=realised).move.flags


@pytest.mark.parametrize(("elsewhere", "odd"), [(0.0008, False), (0.0010, True)])
def test_a_date_is_suspect_where_more_variance_rises_before_an_earlier_expiration_than_at_the_report(
    elsewhere: float, odd: bool
) -> None:
    # The first expiration's only neighbour is the event's, so that the past says what is ordinary.
    assert suspect(((THIRD, elsewhere), (MONDAY, 0.0009)), report=THIRD) is odd


@pytest.mark.parametrize(("elsewhere", "odd"), [(0.0008, False), (0.0011, True)])
def test_a_date_is_suspect_where_more_variance_rises_behind_a_later_expiration(elsewhere: float, odd: bool) -> None:
    assert suspect(((FRIDAY, 0.0009), (NEXT, elsewhere))) is odd
    assert suspect(((FRIDAY, 0.0009), (NEXT, 0.0), (THIRD, 0.0), (FOURTH, elsewhere))) is odd


def test_what_the_fit_calls_ordinary_because_of_a_misplaced_event_hides_nothing_where_the_past_is_known() -> None:
    market = ((FRIDAY, 0.0009), (NEXT, 0.0036))
    assert suspect(market)
    assert not suspect(market, realised=None)


@pytest.mark.parametrize("half_spreads", [(0.005, 0.4), (0.4, 0.005)], ids=["later quotes wide", "earlier ones"])
def test_variance_that_rises_within_the_noise_of_either_expiration_s_quotes_makes_no_date_suspect(
    half_spreads: tuple[float, float],
) -> None:
    market = ((FRIDAY, 0.0009), (NEXT, 0.0012))
    assert suspect(market)
    assert not suspect(market, half_spreads=half_spreads)


def test_less_than_two_ordinary_sessions_of_variance_make_no_date_suspect() -> None:
    assert not suspect(((FRIDAY, 0.0002), (NEXT, 1.7 * UNIT)))
    assert suspect(((FRIDAY, 0.0002), (NEXT, 2.4 * UNIT)))


def test_a_high_rate_that_the_span_before_or_behind_has_too_makes_no_date_suspect() -> None:
    # Three times the ordinary rate, over two spans beside each other: together far more than the event's 0.0016.
    high = 2 * UNIT
    behind = ((FRIDAY, 0.0016), (NEXT, high * 5.3), (THIRD, high * 4.45), (FOURTH, 0.0))
    assert not suspect(behind)
    alone = ((FRIDAY, 0.0016), (NEXT, high * 5.3), (THIRD, 0.0), (FOURTH, 0.0))
    assert suspect(alone)
    before = ((FRIDAY, high), (NEXT, high * 5.3), (TUESDAY, 0.0032))
    assert not suspect(before, report=date(2026, 5, 22))
    assert suspect(((FRIDAY, 0.0), *before[1:]), report=date(2026, 5, 22))
