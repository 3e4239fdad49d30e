"""The event move against chains whose truth is known, and against a recorded chain."""

from pathlib import Path

import pytest

from ivcrush.application.metrics.evaluation import evaluate
from ivcrush.domain.errors import Ok
from tests.accuracy.known_truth import (
    case_comparisons,
    case_snapshot,
    mixture_comparisons,
    recorded_reading,
    simulated_comparisons,
    summarise,
)


@pytest.mark.shared
def test_on_the_shared_cases_the_median_error_is_below_one_percent_and_the_worst_below_eight(shared_dir: Path) -> None:
    cases = case_comparisons(shared_dir)
    assert len(cases) == 11
    assert all(each.right_expiration for each in cases)
    single = [each for each in cases if each.name.startswith("C22")]
    others = summarise(each for each in cases if not each.name.startswith("C22"))
    assert summarise(cases).median_pct < 1.0
    assert others.worst_pct < 8.0
    assert summarise(single).worst_pct < 15.0
    assert sum(each.covered for each in cases) >= 9


@pytest.mark.shared
def test_the_recorded_chain_gives_a_straddle_of_5_4_to_5_8_and_an_event_move_of_5_1_to_5_6(shared_dir: Path) -> None:
    reading = recorded_reading(shared_dir)
    assert isinstance(reading, Ok)
    assert 5.4 <= reading.value.move.straddle_pct <= 5.8
    assert 5.1 <= reading.value.move.event_move_pct <= 5.6
    assert reading.value.move.expiration.isoformat() == "2026-01-30"


@pytest.mark.shared
def test_a_jump_of_two_humps_leaves_the_volatility_of_the_days_around_it(shared_dir: Path) -> None:
    # By truth the jump is 10.79 %; without it the near expirations have about the volatility of the far ones.
    analysis = evaluate(case_snapshot(shared_dir, "C16"))
    assert isinstance(analysis, Ok)
    assert isinstance(analysis.value.term_structure, Ok)
    term = analysis.value.term_structure.value
    assert [each.ex_earnings_iv_pct for each in term.points] == pytest.approx([51.0, 46.8, 46.1, 45.1], abs=1.0)
    assert term.expected_iv_crush_pct == pytest.approx(65.0, abs=1.0)
    assert analysis.value.implied_move.event_share == pytest.approx(0.85, abs=0.02)


def test_on_three_hundred_simulated_companies_the_interval_covers_85_to_95_percent() -> None:
    companies = simulated_comparisons()
    summary = summarise(companies)
    assert summary.count >= 300
    assert len({each.shape for each in companies}) >= 3
    assert summary.median_pct <= 2.5
    assert 0.85 <= summary.coverage <= 0.95
    assert all(each.right_expiration for each in companies if each.estimate_pct is not None)


def test_on_mixtures_that_no_estimator_knows_it_does_as_well() -> None:
    summary = summarise(mixture_comparisons(300))
    assert summary.median_pct <= 2.5
    assert 0.85 <= summary.coverage <= 0.95
