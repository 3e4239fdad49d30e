"""Past moves summed up."""

from datetime import date, timedelta

import pytest

from ivcrush.application.metrics.history import absolute_moves_pct, summarise_history
from ivcrush.domain.enums import MoveMeasure, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import EvaluationSettings, HistoricalMove, MissingMove, Ticker

AAPL = Ticker("AAPL")


def move(quarters_ago, close_to_close, gap=0.0, peak=0.0):
    day = date(2026, 1, 29) - timedelta(91 * quarters_ago)
    return HistoricalMove(day, Timing.AMC, day + timedelta(1), 100.0, close_to_close, gap, 0.0, peak)


MOVES = (move(0, -4.0, gap=1.0), move(1, 2.0, gap=-2.0), move(2, -1.0, gap=3.0), move(3, 9.0, peak=-12.0))


def test_averages_are_of_absolute_values_and_a_move_as_large_as_the_straddle_is_inside():
    summed = summarise_history(AAPL, MOVES, (), 4.0, EvaluationSettings())
    assert isinstance(summed, Ok)
    history = summed.value
    assert (history.mean_abs_pct, history.median_abs_pct, history.max_abs_pct) == (4.0, 3.0, 9.0)
    assert (history.inside_implied, history.quarters) == (3, 4)
    assert absolute_moves_pct(history) == (4.0, 2.0, 1.0, 9.0)


@pytest.mark.parametrize(("measure", "mean"), [(MoveMeasure.GAP, 1.5), (MoveMeasure.PEAK, 3.0)])
def test_the_measure_of_the_settings_is_the_one_averaged(measure, mean):
    summed = summarise_history(AAPL, MOVES, (), 4.0, EvaluationSettings(measure=measure))
    assert isinstance(summed, Ok)
    assert (summed.value.measure, summed.value.mean_abs_pct) == (measure, mean)


def test_only_the_newest_quarters_count_whatever_their_order():
    settings = EvaluationSettings(min_quarters=2, max_quarters=2)
    summed = summarise_history(AAPL, MOVES[::-1], (), 4.0, settings)
    assert isinstance(summed, Ok)
    assert summed.value.moves == MOVES[:2]


def test_missing_moves_stay_with_the_history_newest_first():
    older, newer = (MissingMove(date(year, 4, 22), Timing.AMC, "no bars") for year in (2024, 2025))
    summed = summarise_history(AAPL, MOVES, (older, newer), 4.0, EvaluationSettings())
    assert isinstance(summed, Ok)
    assert summed.value.missing == (newer, older)


def test_three_past_moves_are_too_few_for_a_history_of_four():
    refused = summarise_history(AAPL, MOVES[:3], (), 4.0, EvaluationSettings())
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.NODATA
    assert refused.error.message == (
        "AAPL: 3 past moves, 4 needed: no other report is known; backfill AAPL --refresh asks again"
    )


def missing(*reasons: str) -> tuple[MissingMove, ...]:
    return tuple(
        MissingMove(date(2025, 10, 30) - timedelta(91 * n), Timing.UNKNOWN, each) for n, each in enumerate(reasons)
    )


UNKNOWN = "session of the report unknown"


@pytest.mark.parametrize(
    ("reasons", "fetched", "words"),
    [
        ([UNKNOWN] * 12, True, "12 reports without known session"),
        (
            ["no bars for 2024-01-26", UNKNOWN, UNKNOWN, "implausible report date for its fiscal period"],
            False,
            "2 reports without known session, 1 without daily bars, 1 with an implausible date",
        ),
        (
            ["split suspected on 2024-01-26: price ratio 2.001"],
            True,
            "1 report beside a suspected split",
        ),
        (
            ["answered on 2024-01-26, as the report of 2024-01-25", "said by a later version"],
            True,
            "1 report answered together with another, 1 (said by a later version)",
        ),
    ],
)
def test_too_few_moves_are_told_with_the_reasons_that_are_kept_and_what_to_do(reasons, fetched, words):
    refused = summarise_history(AAPL, (), missing(*reasons), 4.0, EvaluationSettings(), fetched=fetched)
    assert isinstance(refused, Err)
    told = f"AAPL: 0 past moves, 4 needed: {words}; backfill AAPL --refresh asks for them again"
    assert refused.error.message == told


def test_moves_that_could_not_be_fetched_are_told_as_such():
    refused = summarise_history(AAPL, (), (), 4.0, EvaluationSettings(), fetched=False)
    assert isinstance(refused, Err)
    assert refused.error.message == "AAPL: 0 past moves, 4 needed: none could be fetched; backfill AAPL asks again"
