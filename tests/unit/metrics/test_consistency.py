"""Consistency, recent level and trend of past moves."""

from datetime import date, timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.consistency import mad_factor, measure_consistency
from ivcrush.domain.analysis import HistoryStatistics
from ivcrush.domain.enums import MoveMeasure, Timing, Trend
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import HistoricalMove, Ticker

IBM = Ticker("IBM")
QUARTER = 365.25 / 4 / 91  # the tests' reports lie 91 days apart


def measure(newest_first):
    days = [date(2026, 1, 29) - timedelta(91 * index) for index in range(len(newest_first))]
    moves = tuple(
        HistoricalMove(day, Timing.AMC, day, 100.0, move, 0.0, 0.0, move)
        for day, move in zip(days, newest_first, strict=True)
    )
    sizes = np.abs(newest_first)
    history = HistoryStatistics(MoveMeasure.CLOSE_TO_CLOSE, float(sizes.mean()), 0.0, 0.0, 0, moves, ())
    return measure_consistency(IBM, history)


def measured(newest_first):
    result = measure(newest_first)
    assert isinstance(result, Ok)
    return result.value


def test_score_of_moves_alternating_between_two_and_four_per_cent_by_hand():
    # Median 3, MAD 1, unbiased 1.7724; sd √(8/7); mean 3; a constant volatility would give 0.7555·3 = 2.2666.
    consistency = measured([2, -4, 2, 4, -2, 4, 2, -4])
    scatter = sqrt(((1.7724 / 2.2666) ** 2 + 8 / 7 / 2.2666**2) / 2)
    assert consistency.mad_pct == 1.0
    assert consistency.score == pytest.approx(1 / (1 + scatter), rel=1e-4)


def test_equal_moves_score_one_whatever_their_sign_and_have_no_trend():
    consistency = measured([3.3, -3.3, -3.3, 3.3, 3.3])
    assert consistency.score == pytest.approx(1.0)
    assert consistency.trend is Trend.STABLE


@pytest.mark.parametrize("count", [4, 8, 12, 20])
def test_a_company_of_constant_volatility_scores_one_half_on_average(count):
    generator = np.random.default_rng(7)
    scores = [measured(list(generator.normal(0, 5, count))).score for _ in range(800)]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.04)


def test_one_huge_move_lowers_the_score_though_the_median_deviation_hardly_sees_it():
    assert measured([3, 3.2, 2.8, 3, 3.1, 2.9, 3, 30]).score < 0.5 < measured([3, 3.2, 2.8, 3, 3.1, 2.9, 3, 4]).score


def test_recent_moves_weigh_more_by_half_every_eight_events():
    consistency = measured([4.0] + [1.0] * 7 + [2.0])
    weights = [2 ** (-index / 8) for index in range(9)]
    expected = (4 * 1 + sum(weights[1:8]) + 2 * 0.5) / sum(weights)
    assert consistency.weighted_mean_abs_pct == pytest.approx(expected)


def test_twelve_moves_at_a_half_life_of_eight_are_worth_eleven():
    assert measured([1.0, 2.0, 3.0] * 4).effective_quarters == pytest.approx(11.0, abs=0.05)


def test_sizes_that_grow_by_one_point_a_quarter_trend_upwards_with_no_error():
    consistency = measured([-5.0, 4.0, -3.0, 2.0])
    assert consistency.trend_pct_per_quarter == pytest.approx(QUARTER)
    assert consistency.trend_se_pct_per_quarter == pytest.approx(0.0, abs=1e-9)
    assert consistency.trend is Trend.INCREASING
    assert measured([2.0, 3.0, 4.0, -5.0]).trend is Trend.DECREASING


def test_a_slope_within_two_standard_errors_is_stable():
    # Oldest first 1, 3, 1, 3: slope 2/5 a step, residual sum of squares 3.2, s.e. √(3.2/2/5).
    consistency = measured([3.0, 1.0, 3.0, 1.0])
    assert consistency.trend_pct_per_quarter == pytest.approx(0.4 * QUARTER)
    assert consistency.trend_se_pct_per_quarter == pytest.approx(sqrt(0.32) * QUARTER)
    assert consistency.trend is Trend.STABLE


@pytest.mark.parametrize(("count", "factor"), [(3, 2.4452), (8, 1.7724), (12, 1.6745), (10**9, 1.5105)])
def test_the_mad_factor_is_the_simulated_one_and_tends_to_its_limit(count, factor):
    assert mad_factor(count) == pytest.approx(factor, abs=1e-4)


def test_the_mad_factor_between_table_rows_lies_between_them():
    assert 1.7142 < mad_factor(9) < 1.7724


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ([1.0, 2.0], "IBM: 2 past moves (2 not zero), 3 needed for consistency"),
        ([0.0] * 4, "IBM: 4 past moves (0 not zero), 3 needed for consistency"),
    ],
)
def test_two_moves_or_only_zeros_have_no_consistency(moves, message):
    refused = measure(moves)
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.NODATA
    assert refused.error.message == message


@given(st.lists(st.floats(0.1, 30), min_size=3, max_size=12), st.floats(0.1, 10))
def test_the_score_lies_in_zero_to_one_and_ignores_the_scale(sizes, scale):
    score = measured(sizes).score
    assert 0 < score <= 1
    assert measured([size * scale for size in sizes]).score == pytest.approx(score, rel=1e-6)
