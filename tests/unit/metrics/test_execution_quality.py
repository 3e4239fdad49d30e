"""What trading the event costs, on chains of five strikes."""

from dataclasses import replace
from datetime import date, datetime
from math import pi, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.execution_quality import measure_execution
from ivcrush.domain.analysis import ImpliedMove
from ivcrush.domain.enums import ExecutionTier, SessionState
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import EvaluationSettings, OptionChain, OptionColumns, Ticker

AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
EXPIRATION = date(2026, 5, 22)
TIERS = (ExecutionTier.REJECT, ExecutionTier.WARNING, ExecutionTier.GOOD, ExecutionTier.EXCELLENT)


def columns(bid, ask, open_interest=500, volume=300, size=20, age_s=41.0):
    count = len(bid)
    whole = lambda number: np.full(count, number, dtype=np.int64)  # noqa: E731
    return OptionColumns(
        present=np.ones(count, dtype=np.bool_),
        bid=np.array(bid, dtype=np.float64),
        ask=np.array(ask, dtype=np.float64),
        bid_size=whole(size),
        ask_size=whole(size + 5),
        volume=whole(volume),
        open_interest=whole(open_interest),
        iv=np.zeros(count),
        quoted_at=np.full(count, AS_OF.timestamp() - age_s if age_s is not None else 0.0),
    )


def chain(calls=None, puts=None, strikes=(90, 95, 100, 105, 110)):
    calls = calls or columns([10.0, 5.9, 2.9, 1.1, 0.3], [10.4, 6.1, 3.1, 1.2, 0.4])
    puts = puts or columns([0.3, 1.0, 2.8, 5.8, 10.0], [0.4, 1.1, 3.0, 6.0, 10.4], 400, 200, 10, 60.0)
    return OptionChain(Ticker("IBM"), EXPIRATION, np.array(strikes, dtype=np.float64), calls, puts)


IMPLIED = ImpliedMove(
    EXPIRATION, 100.0, 100.0, 100.0, 5.9, 5.9, 4.7, 5.0, 4.0, 0.2, (3.7, 4.3), 24.0, 0.8, "by hand", 40, (), ()
)  # fmt: skip


def measure(options=None, implied=IMPLIED, state=SessionState.OPEN, **settings):
    return measure_execution(options or chain(), implied, EvaluationSettings(**settings), AS_OF, state)


def measured(*args, **kwargs):
    result = measure(*args, **kwargs)
    assert isinstance(result, Ok)
    return result.value


def test_spread_and_cost_of_the_straddle_by_hand():
    execution = measured()
    assert execution.straddle_spread_pct == pytest.approx(0.4 / 5.9 * 100)
    assert execution.cost_pct == pytest.approx(0.4)
    assert execution.cost_of_event_move_pct == pytest.approx(10.0)


def test_the_strangle_is_of_the_strikes_nearest_25_delta():
    # A straddle of 5.9 % is a standard deviation of 7.4 %: 25 delta lies at 105.4 and 95.4, spreads 0.1 and 0.1.
    assert measured().strangle_cost_of_event_move_pct == pytest.approx(0.2 / 100 / 0.04 * 100)


def test_interest_volume_depth_and_age_are_of_the_weaker_leg():
    execution = measured()
    assert (execution.open_interest, execution.volume, execution.depth_contracts) == (400, 200, 10)
    assert execution.quote_age_s == pytest.approx(60.0)


def test_the_net_event_move_is_what_the_bids_pay_for_the_event():
    inverse = NormalDist().inv_cdf
    lost = (2 * inverse((0.059 + 2) / 4)) ** 2 - (2 * inverse((0.057 + 2) / 4)) ** 2
    expected = 4 * NormalDist().cdf(sqrt((2 * inverse((0.04 + 2) / 4)) ** 2 - lost) / 2) - 2
    execution = measured()
    assert execution.net_event_move_pct == pytest.approx(expected * 100)
    assert execution.net_event_move_pct < 4.0


def test_bids_that_pay_less_than_the_ordinary_days_leave_nothing_of_the_event():
    poor = columns([0.0, 0.0, 0.5, 0.0, 0.0], [10.4, 6.1, 5.5, 1.2, 0.4])
    assert measured(chain(poor, poor)).net_event_move_pct == 0.0


def test_a_quote_without_a_time_has_no_age_and_one_from_the_future_has_none_below_zero():
    sides = [columns([1.0, 1.0, 2.9, 1.0, 1.0], [1.1, 1.1, 3.0, 1.1, 1.1], age_s=age) for age in (None, -5.0)]
    assert measured(chain(sides[0], sides[0])).quote_age_s is None
    assert measured(chain(sides[1], sides[1])).quote_age_s == 0.0


def _tier(spread_pct, open_interest=10_000, **kwargs):
    """The tier of a straddle of 5 dollars with that spread in percent of its mid."""
    half = 2.5 * spread_pct / 200
    side = columns([2.5 - half] * 5, [2.5 + half] * 5, open_interest, age_s=kwargs.pop("age_s", 10.0))
    return measured(chain(side, side), **kwargs).tier


@pytest.mark.parametrize(
    ("spread_pct", "open_interest", "tier"),
    [
        (4.9, 200, ExecutionTier.EXCELLENT),
        (5.1, 200, ExecutionTier.GOOD),
        (4.9, 199, ExecutionTier.GOOD),
        (9.9, 100, ExecutionTier.GOOD),
        (10.1, 100, ExecutionTier.WARNING),
        (4.9, 99, ExecutionTier.WARNING),
        (19.9, 50, ExecutionTier.WARNING),
        (20.1, 10_000, ExecutionTier.REJECT),
        (4.9, 49, ExecutionTier.REJECT),
    ],
)
def test_tiers_by_spread_and_open_interest_at_the_default_settings(spread_pct, open_interest, tier):
    assert _tier(spread_pct, open_interest) is tier


def test_the_settings_move_the_tiers():
    assert _tier(9.9, max_spread_pct=40.0) is ExecutionTier.EXCELLENT
    assert _tier(4.9, 200, min_open_interest=201) is ExecutionTier.REJECT


@pytest.mark.parametrize("state", [SessionState.PREMARKET, SessionState.POSTMARKET, SessionState.CLOSED])
def test_out_of_session_hours_no_tier_is_better_than_warning(state):
    assert _tier(1.0, state=state) is ExecutionTier.WARNING
    assert _tier(30.0, state=state) is ExecutionTier.REJECT


def test_quotes_older_than_twenty_minutes_are_a_warning():
    assert _tier(1.0, age_s=1190.0) is ExecutionTier.EXCELLENT
    assert _tier(1.0, age_s=1210.0) is ExecutionTier.WARNING
    assert _tier(1.0, age_s=None) is ExecutionTier.EXCELLENT


def test_a_leg_without_a_bid_is_rejected_however_wide_a_spread_the_settings_allow():
    no_bid = columns([0.0] * 5, [0.05] * 5)
    assert measured(chain(puts=no_bid), max_spread_pct=200.0).tier is ExecutionTier.REJECT


def test_a_straddle_without_offers_is_no_data():
    refused = measure(chain(puts=columns([0.0] * 5, [0.0] * 5)))
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.NODATA
    assert refused.error.message == "IBM: straddle 100 of 2026-05-22 has no offer on both legs; none can be bought back"


def test_a_crossed_leg_is_invalid_even_where_the_other_leg_hides_it():
    refused = measure(chain(puts=columns([3.0] * 5, [2.9] * 5)))
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.INVALID
    assert "is crossed" in refused.error.message


@pytest.mark.parametrize(
    ("options", "implied"),
    [
        (chain(strikes=(60, 80, 100, 120, 140)), IMPLIED),
        (chain(puts=columns([0.0, 0.0, 2.8, 5.8, 10.0], [0.4, 1.1, 3.0, 6.0, 10.4])), IMPLIED),
        (chain(puts=columns([0.3, 1.2, 2.8, 5.8, 10.0], [0.4, 1.1, 3.0, 6.0, 10.4])), IMPLIED),
        (chain(puts=columns([0.3, 0.0, 2.8, 5.8, 10.0], [0.4, 0.0, 3.0, 6.0, 10.4])), IMPLIED),
    ],
    ids=["both at the money", "no bid", "crossed", "no offer"],
)
def test_a_strangle_that_cannot_be_traded_costs_none_rather_than_nothing(options, implied):
    assert measured(options, implied).strangle_cost_of_event_move_pct is None


@given(
    st.floats(0.05, 20),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.integers(0, 1000),
    st.sampled_from(list(SessionState)),
)
def test_a_wider_spread_never_raises_the_tier_and_never_lowers_the_cost(mid, narrow, wider, interest, state):
    def execution(relative):
        half = mid * relative / 2
        side = columns([mid - half] * 5, [mid + half] * 5, interest, age_s=0.0)
        return measured(chain(side, side), replace(IMPLIED, straddle_pct=2 * mid), state)

    tight, wide = execution(min(narrow, wider)), execution(max(narrow, wider))
    assert TIERS.index(wide.tier) <= TIERS.index(tight.tier)
    assert wide.cost_pct >= tight.cost_pct
    assert wide.net_event_move_pct <= tight.net_event_move_pct + 1e-9


# Of the event move's at-the-forward standard deviation: a lognormal, a two-humped and a fat-tailed session.
SHAPES = st.sampled_from([1.0, 0.86, 1.25])


@given(straddle_pct=st.floats(1.0, 40.0), share=st.floats(0.1, 1.0), shape=SHAPES, forward=st.floats(0.97, 1.03))
def test_without_a_spread_a_seller_collects_the_event_move_whatever_the_shape_of_the_jump(
    straddle_pct, share, shape, forward
):
    move_pct = straddle_pct * share
    implied = replace(
        IMPLIED,
        forward=100 * forward,
        straddle_pct=straddle_pct,
        event_move_pct=move_pct,
        event_sigma_pct=move_pct * sqrt(pi / 2) * shape,
    )
    half = straddle_pct / 2
    side = columns([half] * 5, [half] * 5)
    net_pct = measured(chain(side, side), implied).net_event_move_pct
    assert net_pct / move_pct == pytest.approx(1.0, rel=1e-9)


@given(narrow=st.floats(0.0, 1.0), wider=st.floats(0.0, 1.0), shape=SHAPES)
def test_a_wider_spread_never_raises_what_is_left_of_the_event_move(narrow, wider, shape):
    implied = replace(IMPLIED, event_sigma_pct=4.0 * sqrt(pi / 2) * shape)
    left = []
    for relative in sorted((narrow, wider)):
        half = 2.95 * relative / 2
        side = columns([2.95 - half] * 5, [2.95 + half] * 5)
        left.append(measured(chain(side, side), implied).net_event_move_pct / 4.0)
    assert left[1] <= left[0] + 1e-12
    assert left[0] <= 1 + 1e-12
