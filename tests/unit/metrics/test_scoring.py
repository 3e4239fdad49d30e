"""Losses by hand, a published rank correlation, and intervals that keep their level."""

from math import log, sqrt

import numpy as np
import pytest

from ivcrush.application.metrics.scoring import (
    ENOUGH_REPORTS,
    estimate,
    log_losses,
    rank_correlation,
    squared_losses,
    stated_variance,
    transformed,
)
from ivcrush.domain.enums import Finding
from ivcrush.domain.score import Estimate
from ivcrush.domain.types import FloatArray


def mean(rows: FloatArray) -> float:
    return float(rows[:, 0].mean())


def column(*values: float) -> FloatArray:
    return np.array(values, dtype=float)[:, None]


class TestLosses:
    def test_the_brier_score_is_the_mean_squared_distance_to_what_happened(self) -> None:
        found = squared_losses(np.array([0.9, 0.6]), np.array([True, False]))
        assert found.mean() == pytest.approx((0.01 + 0.36) / 2)

    def test_the_log_loss_is_what_the_probability_of_the_outcome_says_in_logs(self) -> None:
        found = log_losses(np.array([0.8, 0.8]), np.array([True, False]))
        assert found.mean() == pytest.approx(-(log(0.8) + log(0.2)) / 2)

    def test_a_surprise_after_certainty_costs_no_more_than_after_99_percent(self) -> None:
        assert log_losses(np.array([1.0]), np.array([False])) == pytest.approx(-log(0.01))


class TestRankCorrelation:
    def test_a_published_example_gives_minus_29_over_165(self) -> None:
        """IQ against weekly hours of television, the worked example of Wikipedia's article on Spearman's rho."""
        iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], dtype=float)
        hours = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17], dtype=float)
        assert rank_correlation(iq, hours) == pytest.approx(-29 / 165)

    def test_equal_values_share_the_mean_of_their_ranks(self) -> None:
        # ranks 1.5, 1.5, 3 and 1, 2, 3, less 2: products 0.5 + 0 + 1, squares 1.5 and 2
        found = rank_correlation(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
        assert found == pytest.approx(1.5 / sqrt(1.5 * 2))

    def test_what_is_all_alike_has_no_order(self) -> None:
        assert rank_correlation(np.array([1.0, 1.0]), np.array([1.0, 2.0])) is None


class TestInterval:
    def test_of_reports_that_share_nothing_it_is_the_textbook_interval_of_a_mean(self) -> None:
        # 1 to 31: variance 31 · 32 / 12, standard error √(32 / 12), t(30) = 1.697
        found = estimate(column(*range(1, 32)), mean, companies=["A"] * 31, sessions=range(31))
        assert found is not None
        assert found.value == 16
        assert found.interval_90 == pytest.approx((16 - 1.697 * sqrt(32 / 12), 16 + 1.697 * sqrt(32 / 12)), abs=1e-3)

    def test_it_is_that_of_the_companies_where_they_are_alike_in_themselves(self) -> None:
        # Four companies of eight reports with means 0, 2, 4, 6: standard error √(20 / 3 / 4), t(3) = 2.353
        companies = [f"{number % 4}" for number in range(32)]
        found = estimate(
            column(*(2.0 * (number % 4) for number in range(32))), mean, companies=companies, sessions=range(32)
        )
        assert found is not None
        assert found.interval_90 == pytest.approx((3 - 2.353 * sqrt(5 / 3), 3 + 2.353 * sqrt(5 / 3)), abs=1e-3)

    def test_beyond_two_hundred_clusters_those_of_a_group_are_left_out_together(self) -> None:
        # 400 sessions in 200 groups of two that are alike: 200 means of ±1, standard error 1 / √199, t(199) = 1.6525
        values = column(*((-1.0) ** number for number in range(400)))
        found = estimate(values, mean, companies=["A"] * 400, sessions=range(400))
        assert found is not None
        assert found.interval_90 == pytest.approx((-1.6525 / sqrt(199), 1.6525 / sqrt(199)), abs=1e-4)

    @pytest.mark.parametrize(("reports", "sessions", "told"), [(31, 8, True), (30, 8, False), (31, 7, False)])
    def test_it_needs_31_reports_in_8_sessions(self, reports: int, sessions: int, told: bool) -> None:
        found = estimate(
            column(*range(reports)),
            mean,
            companies=range(reports),
            sessions=[each % sessions for each in range(reports)],
        )
        assert found is not None
        assert (found.interval_90 is not None) is told

    def test_where_nothing_ever_differs_it_is_as_wide_as_chance_was_said_to_be(self) -> None:
        # 36 outcomes of probability 0.9 have a share with the standard error 0.3/6; t(35) = 1.6896
        least = stated_variance(np.full(36, 0.9))
        found = estimate(column(*[1.0] * 36), mean, companies=range(36), sessions=range(36), least_variance=least)
        assert found is not None
        assert found.interval_90 == pytest.approx((1 - 1.6896 * 0.05, 1 + 1.6896 * 0.05), abs=1e-4)

    def test_where_leaving_one_out_leaves_nothing_to_compute_there_is_none(self) -> None:
        values = column(1.0, *[0.0] * 31)
        found = estimate(
            values, lambda kept: mean(kept) if kept.any() else None, companies=range(32), sessions=range(32)
        )
        assert found == Estimate(1 / 32, None)

    def test_a_statistic_without_a_value_is_no_estimate(self) -> None:
        assert estimate(column(1.0), lambda _: None, companies=["A"], sessions=[1]) is None

    def test_the_fewest_reports_show_a_ratio_of_one_and_a_half_in_four_of_five_worlds(self) -> None:
        """|Moves| of the gamma distribution with shape 1/0.81, whose variation is 0.9. 400 worlds: 0.8 ± 0.05."""
        random = np.random.default_rng(20261121)
        reports = range(ENOUGH_REPORTS)
        found = 0
        for _ in range(400):
            moves = 0.81 * random.gamma(1 / 0.81, size=len(reports))
            told = estimate(
                moves[:, None], lambda kept: log(1.5 / mean(kept)), companies=["A"] * len(reports), sessions=reports
            )
            assert told is not None
            found += told.against(0.0) is Finding.ABOVE
        assert 0.75 <= found / 400 <= 0.85

    @pytest.mark.parametrize("by_company", [True, False])
    def test_it_holds_the_truth_in_nine_of_ten_worlds_whose_reports_share_their_luck(
        self,
        by_company: bool,
    ) -> None:
        """Ten clusters of six reports; half of the variance is the cluster's. 400 worlds: 85 % to 97 %."""
        random = np.random.default_rng(20260515)
        clusters, alone = np.repeat(np.arange(10), 6).tolist(), list(range(60))
        held = 0
        for _ in range(400):
            values = random.normal(size=60) + random.normal(size=10)[clusters]
            found = estimate(
                values[:, None],
                mean,
                companies=clusters if by_company else alone,
                sessions=alone if by_company else clusters,
            )
            assert found is not None
            assert found.interval_90 is not None
            held += found.interval_90[0] <= 0 <= found.interval_90[1]
        assert 0.85 <= held / 400 <= 0.97

    def test_it_holds_the_truth_in_nine_of_ten_worlds_whose_sessions_and_companies_both_matter(self) -> None:
        """Twenty of each, a hundred reports, a third of the variance each. 600 worlds: 87 % to 94 %."""
        random = np.random.default_rng(1)
        held = 0
        for _ in range(600):
            companies, sessions = random.integers(20, size=(2, 100))
            values = random.normal(size=100) + random.normal(size=20)[companies] + random.normal(size=20)[sessions]
            found = estimate(values[:, None], mean, companies=companies.tolist(), sessions=sessions.tolist())
            assert found is not None
            assert found.interval_90 is not None
            held += found.interval_90[0] <= 0 <= found.interval_90[1]
        assert 0.87 <= held / 600 <= 0.94


def test_another_scale_moves_value_and_interval_alike_and_invents_none() -> None:
    assert transformed(Estimate(2.0, (1.0, 3.0)), lambda x: x * 10) == Estimate(20.0, (10.0, 30.0))
    assert transformed(Estimate(2.0, None), lambda x: x * 10) == Estimate(20.0, None)
