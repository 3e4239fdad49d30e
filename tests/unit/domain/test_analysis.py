"""What an analysis derives from its own numbers."""

from dataclasses import replace
from datetime import date

import pytest

from ivcrush.domain.analysis import HistoryStatistics
from ivcrush.domain.enums import MoveMeasure, Timing
from ivcrush.domain.types import HistoricalMove
from tests.unit.infrastructure.database.snapshots import ibm_analysis

MOVE = HistoricalMove(date(2026, 1, 28), Timing.AMC, date(2026, 1, 29), 230.0, -5.1, -4.0, -1.1, -6.2)


def test_the_bounds_of_the_move_are_dollars_around_spot():
    implied = replace(ibm_analysis().implied_move, spot=200.0, event_move_pct=4.5)
    assert implied.lower == pytest.approx(191.0)
    assert implied.upper == pytest.approx(209.0)


def test_quarters_counts_the_moves_that_went_in():
    assert HistoryStatistics(MoveMeasure.GAP, 4.0, 4.0, 4.0, 1, (MOVE, MOVE), ()).quarters == 2


def test_an_analysis_is_of_the_ticker_that_was_asked_for():
    assert ibm_analysis().ticker == "IBM"
