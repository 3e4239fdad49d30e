"""The ratio of implied to realised and what it is worth."""

from dataclasses import replace
from datetime import date, timedelta
from math import erfc, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.inside_probability import inside_probability
from ivcrush.application.metrics.vrp import (
    LOG_RATIO_SPREAD,
    TYPICAL_LOG_RATIO,
    favours_long_volatility,
    measure_vrp,
    point_ratio,
    posterior_log_ratio,
    recommend,
    shown_below,
)
from ivcrush.domain.analysis import HistoryStatistics, ImpliedMove
from ivcrush.domain.enums import MoveMeasure, Recommendation, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import EvaluationSettings, HistoricalMove, Ticker

IBM = Ticker("IBM")
# Alternating 2 % and 4 %: mean 3, variance 8/7, squared coefficient of variation 8/63.
MOVES = (2.0, -4.0, -2.0, 4.0, 2.0, 4.0, -2.0, -4.0)


def implied(event_move_pct=4.5, se=0.3, straddle_pct=5.0):
    return ImpliedMove(
        expiration=date(2026, 5, 22),
        spot=231.4,
        forward=231.6,
        atm_strike=230.0,
        straddle_cost=11.6,
        straddle_pct=straddle_pct,
        jump_sigma_pct=5.3,
        event_sigma_pct=5.6,
        event_move_pct=event_move_pct,
        event_move_se_pct=se,
        event_move_interval_90_pct=(4.0, 5.0),
        ambient_vol_pct=24.0,
        event_share=0.9,
        method="by hand",
        quotes_used=40,
        quotes_rejected=(("zero_bid", 3),),
        flags=(),
    )


def history(closes=MOVES, measure=MoveMeasure.CLOSE_TO_CLOSE, gaps=None):
    days = [date(2026, 1, 29) - timedelta(91 * index) for index in range(len(closes))]
    gaps = closes if gaps is None else gaps
    moves = tuple(
        HistoricalMove(day, Timing.AMC, day + timedelta(1), 100.0, close, gap, 0.0, close)
        for day, close, gap in zip(days, closes, gaps, strict=True)
    )
    sizes = [abs(move.measured(measure)) for move in moves]
    return HistoryStatistics(measure, sum(sizes) / len(sizes), 3.0, max(sizes), 0, moves, ())


def measured(*args, sessions=2, **kwargs):
    result = measure_vrp(IBM, implied(**kwargs), history(*args), sessions)
    assert isinstance(result, Ok)
    return result.value


def test_the_point_ratio_compares_the_event_move_and_the_straddle_ratio_stands_beside_it():
    vrp = measured(event_move_pct=4.5, straddle_pct=6.0)
    assert (vrp.ratio, vrp.straddle_ratio, vrp.quarters) == (1.5, 2.0, 8)
    assert vrp.tail_ratio == pytest.approx(4 / 3)
    assert point_ratio(4.5, 3.0) == 1.5


def test_the_posterior_worked_by_hand_for_eight_moves():
    variation = (8 * 8 / 63 + 8 * 0.7225) / 16
    history_variance = variation / 8 * (1 + variation / 16)
    noise = history_variance + (0.3 / 4.5) ** 2
    weight = 0.17**2 / (0.17**2 + noise)
    mean = 0.10 + weight * (log(1.5) - history_variance / 2 - 0.10)
    stdev = sqrt(weight * noise)
    vrp = measured(event_move_pct=4.5, se=0.3)
    assert vrp.shrunk_ratio == pytest.approx(exp(mean))
    assert vrp.interval_90 == pytest.approx((exp(mean - 1.644854 * stdev), exp(mean + 1.644854 * stdev)), rel=1e-6)
    assert vrp.edge_score == pytest.approx(mean / stdev)
    assert vrp.probability_above_one == pytest.approx(0.5 * erfc(-mean / stdev / sqrt(2)))
    assert vrp.probability_above_typical == pytest.approx(0.5 * erfc((0.10 - mean) / stdev / sqrt(2)))


def test_the_inside_probability_is_of_the_straddle_over_close_to_close_moves_whatever_the_measure():
    result = measure_vrp(IBM, implied(straddle_pct=6.0), history(MOVES, MoveMeasure.GAP, (1.0,) * 8), 2)
    assert isinstance(result, Ok)
    assert result.value.ratio == 4.5
    assert result.value.inside_probability == pytest.approx(inside_probability(2.0, 8, 2))


def test_eight_moves_say_little_so_a_ratio_of_three_is_believed_to_be_about_one_and_a_half():
    # The screening table of the shrinkage study: the best of 300 names shows 3.2 and is truly about 1.3.
    vrp = measured(event_move_pct=9.0)
    assert vrp.ratio == 3.0
    assert 1.2 < vrp.shrunk_ratio < 1.6


def test_an_uncertain_event_move_is_believed_less():
    assert measured(se=1.5).shrunk_ratio < measured(se=0.1).shrunk_ratio


def test_a_single_past_move_has_the_variation_of_the_norm():
    posterior = posterior_log_ratio(1.5, [3.0], 0.0)
    noise = 0.7225 * (1 + 0.7225 / 2)
    weight = 0.17**2 / (0.17**2 + noise)
    assert posterior.mean == pytest.approx(0.10 + weight * (log(1.5) - noise / 2 - 0.10))


@pytest.mark.parametrize("gaps", [None, (1.0,) * 8])
def test_moves_that_are_all_zero_give_no_ratio(gaps):
    measure = MoveMeasure.CLOSE_TO_CLOSE if gaps is None else MoveMeasure.GAP
    result = measure_vrp(IBM, implied(), history((0.0,) * 8, measure, gaps), 2)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA
    assert result.error.message == "IBM: 8 past moves, all of them zero; no ratio"


@given(st.floats(0.5, 20), st.floats(1.001, 2), st.floats(0.0, 0.3))
def test_a_richer_event_move_never_lowers_the_edge_or_a_probability(event_move_pct, richer, relative_se):
    poor = measured(event_move_pct=event_move_pct, se=relative_se * event_move_pct)
    rich = measured(event_move_pct=event_move_pct * richer, se=relative_se * event_move_pct * richer)
    assert rich.edge_score > poor.edge_score
    assert rich.shrunk_ratio > poor.shrunk_ratio
    assert rich.probability_above_one >= poor.probability_above_one
    assert rich.probability_above_typical >= poor.probability_above_typical
    assert (rich.edge_score > 0) == (rich.probability_above_one > 0.5)


def _scale_one(kind, generator, shape):
    """Absolute moves with mean one."""
    if kind == "half_normal":
        return np.abs(generator.standard_normal(shape)) * sqrt(np.pi / 2)
    return np.abs(generator.standard_t(4, shape))  # E|t4| is 1


@pytest.mark.parametrize("kind", ["half_normal", "fat_tailed"])
@pytest.mark.parametrize("quarters", [4, 8, 12])
def test_ninety_per_cent_intervals_hold_the_true_ratio_in_ninety_per_cent_of_simulated_companies(kind, quarters):
    companies, relative_se = 3000, 0.05
    generator = np.random.default_rng(20260515)
    truth = generator.normal(TYPICAL_LOG_RATIO, LOG_RATIO_SPREAD, companies)
    moves = _scale_one(kind, generator, (companies, quarters))
    seen = np.exp(truth + generator.normal(0.0, relative_se, companies)) / moves.mean(axis=1)
    companies_seen = zip(seen.tolist(), moves.tolist(), strict=True)
    posteriors = [posterior_log_ratio(ratio, row, relative_se) for ratio, row in companies_seen]
    intervals = [posterior.interval_90() for posterior in posteriors]
    inside = [low < exp(true) < high for (low, high), true in zip(intervals, truth, strict=True)]
    assert np.mean(inside) == pytest.approx(0.90, abs=0.02)
    claimed = np.array([posterior.probability_above(0.0) for posterior in posteriors])
    assert claimed.mean() == pytest.approx(np.mean(truth > 0), abs=0.02)
    shrunk_error = np.mean((np.array([posterior.mean for posterior in posteriors]) - truth) ** 2)
    assert shrunk_error < 0.6 * np.mean((np.log(seen) - truth) ** 2)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (2.0, Recommendation.EXCELLENT),
        (1.99, Recommendation.GOOD),
        (1.5, Recommendation.GOOD),
        (1.2, Recommendation.MARGINAL),
        (1.19, Recommendation.SKIP),
        (0.0, Recommendation.SKIP),
    ],
)
def test_a_ratio_on_a_threshold_belongs_to_the_better_side(ratio, expected):
    assert recommend(ratio, EvaluationSettings()) is expected


@pytest.mark.parametrize(("ratio", "above_one", "long"), [(0.8, 0.4, True), (0.8, 0.6, False), (0.9, 0.4, False)])
def test_long_volatility_needs_a_ratio_a_marginal_step_below_one_and_a_posterior_that_agrees(ratio, above_one, long):
    vrp = replace(measured(), ratio=ratio, probability_above_one=above_one)
    assert favours_long_volatility(vrp, EvaluationSettings()) is long


@pytest.mark.parametrize(
    ("ratio", "needed", "shown"),
    [(1.1, 1.2, "1.10"), (1.1967, 1.2, "1.197"), (1.19996, 1.2, "1.19996"), (1.1999999, 1.2, "1.2")],
)
def test_a_ratio_that_falls_short_is_shown_with_the_digits_that_say_so(ratio: float, needed: float, shown: str) -> None:
    assert shown_below(ratio, needed) == shown
