"""The figures of a score: three reports by hand, and worlds in which the truth is known."""

from dataclasses import replace
from datetime import timedelta
from math import log, sqrt

import pytest

from ivcrush.application.metrics.scorecard import score_reports
from ivcrush.domain.analysis import StatedRatio
from ivcrush.domain.enums import Finding, Recommendation
from ivcrush.domain.score import Estimate, GroupScore, ScoredReport
from ivcrush.domain.types import Ticker
from tests.unit.metrics.statements import IBM, THURSDAY, WEDNESDAY, move, world

# Implied 4, 6, 2 and came 3, 7.5, 1.5; straddles 5, 7, 2; all three of one session.
HAND = (
    ScoredReport(IBM, move(pct=-3.0)),
    ScoredReport(
        replace(
            IBM,
            number=2,
            ticker=Ticker("MSFT"),
            event_move_pct=6.0,
            straddle_pct=7.0,
            cost_pct=None,
            stated=StatedRatio(ratio=1.1, shrunk_ratio=1.0, inside_probability=0.6),
            recommendation=Recommendation.SKIP,
            tradeable=False,
        ),
        move(pct=7.5),
    ),
    ScoredReport(
        replace(
            IBM,
            number=3,
            ticker=Ticker("KO"),
            event_move_pct=2.0,
            straddle_pct=2.0,
            cost_pct=0.1,
            stated=None,
            recommendation=Recommendation.SKIP,
            tradeable=False,
        ),
        move(pct=1.5),
    ),
)


class TestThreeReports:
    card = score_reports(HAND)

    def test_the_level_is_the_ratio_of_sums(self) -> None:
        assert (self.card.reports, self.card.companies, self.card.sessions) == (3, 3, 1)
        assert (self.card.implied_pct, self.card.realised_pct) == (4.0, 4.0)
        assert self.card.ratio == Estimate(1.0, None)

    def test_the_probabilities_are_those_of_the_reports_that_had_one(self) -> None:
        inside = self.card.inside
        assert inside is not None
        # 0.7 and 3 <= 5 is inside; 0.6 and 7.5 > 7 is not; base rate 0.5
        assert (inside.reports, inside.stated, inside.inside) == (2, pytest.approx(0.65), 0.5)
        assert inside.excess.value == pytest.approx(-0.15)
        assert (inside.brier, inside.base_brier) == (pytest.approx((0.09 + 0.36) / 2), 0.25)
        assert inside.brier_gain.value == pytest.approx(0.025)
        assert inside.log_loss == pytest.approx(-(log(0.7) + log(0.4)) / 2)
        assert inside.base_log_loss == pytest.approx(log(2))
        assert inside.log_loss_gain.value == pytest.approx(log(2) + (log(0.7) + log(0.4)) / 2)
        assert inside.bins == ()

    def test_the_shrunk_ratios_promise_a_ratio_of_sums_and_the_point_ratios_an_order(self) -> None:
        richness = self.card.richness
        assert richness is not None
        # Expected moves 4 / 1.25 = 3.2 and 6 / 1.0 = 6: 10 / 9.2. Came 10.5.
        assert (richness.reports, richness.stated_ratio) == (2, pytest.approx(10 / 9.2))
        assert richness.realised_ratio.value == pytest.approx(10 / 10.5)
        # 1.3 before 1.1, and 1 − 3/4 before 1 − 7.5/6
        assert richness.rank_correlation == Estimate(pytest.approx(1.0), None)

    def test_each_verdict_that_was_given_has_its_row_and_costs_where_they_were_quoted(self) -> None:
        assert self.card.groups == (
            GroupScore("marginal", 1, 4.0, 3.0, Estimate(1.0, None), 1, Estimate(0.5, None)),
            GroupScore("skip", 2, 4.0, 4.5, Estimate(-0.5, None), 1, Estimate(pytest.approx(0.4), None)),
            GroupScore("tradeable", 1, 4.0, 3.0, Estimate(1.0, None), 1, Estimate(0.5, None)),
        )

    def test_without_quoted_costs_nothing_is_said_after_costs(self) -> None:
        (group,) = score_reports([HAND[1]]).groups
        assert (group.costed, group.after_costs_pct) == (0, None)


def test_without_a_stated_probability_there_is_no_score_of_one() -> None:
    card = score_reports([HAND[2]])
    assert (card.inside, card.richness) == (None, None)
    assert card.ratio is not None


def test_where_nothing_moved_there_is_no_ratio() -> None:
    card = score_reports([ScoredReport(IBM, move(pct=0.0))])
    assert (card.ratio, card.richness) == (None, None)
    assert card.inside is not None


def test_a_move_as_large_as_the_straddle_is_inside() -> None:
    assert ScoredReport(IBM, move(pct=-5.0)).inside
    assert not ScoredReport(IBM, move(pct=5.01)).inside


def test_stated_probabilities_fill_three_bins_of_equally_many_from_93_reports_on() -> None:
    reports = [
        ScoredReport(
            replace(IBM, number=number, stated=StatedRatio(1.3, 1.25, 0.2 + number / 1000)),
            move(WEDNESDAY, reaction=THURSDAY + timedelta(number), pct=6.0 if number % 3 else 4.0),
        )
        for number in range(93)
    ]
    card, fewer = score_reports(reports), score_reports(reports[1:])
    assert card.inside is not None
    assert fewer.inside is not None
    assert fewer.inside.bins == ()
    # 0 to 30, 31 to 61, 62 to 92; every third is inside: the squared standard error is p(1 − p)/30, t(30) 1.697
    assert [(each.reports, each.stated) for each in card.inside.bins] == [
        (31, pytest.approx(0.215)),
        (31, pytest.approx(0.246)),
        (31, pytest.approx(0.277)),
    ]
    for each, came in zip(card.inside.bins, (11 / 31, 10 / 31, 10 / 31), strict=True):
        reach = 1.697 * sqrt(came * (1 - came) / 30)
        assert each.inside.value == pytest.approx(came)
        assert each.inside.interval_90 == pytest.approx((came - reach, came + reach), abs=1e-3)


def alike(reports: int, *, stated: float, pct: float) -> list[ScoredReport]:
    """Reports of one company in sessions of their own, with one probability and one move against a straddle of 5 %."""
    said = replace(IBM, stated=StatedRatio(1.3, 1.25, stated))
    return [
        ScoredReport(replace(said, number=number), move(WEDNESDAY, reaction=THURSDAY + timedelta(number), pct=pct))
        for number in range(reports)
    ]


@pytest.mark.parametrize(
    ("reports", "stated", "pct", "excess", "gain"),
    [
        (40, 0.95, 4.0, Finding.CHANCE, Finding.CHANCE),  # 0.95^40: chance does that in 13 %
        (60, 0.6, 4.0, Finding.ABOVE, Finding.BELOW),  # in no lifetime
        (40, 0.05, 6.0, Finding.CHANCE, Finding.CHANCE),
        (60, 0.4, 6.0, Finding.BELOW, Finding.BELOW),
    ],
)
def test_where_all_came_alike_chance_is_as_wide_as_the_stated_probabilities_make_it(
    reports: int, stated: float, pct: float, excess: Finding, gain: Finding
) -> None:
    inside = score_reports(alike(reports, stated=stated, pct=pct)).inside
    assert inside is not None
    assert inside.excess.against(0.0) is excess
    assert (inside.brier_gain.against(0.0), inside.log_loss_gain.against(0.0)) == (gain, gain)


@pytest.mark.parametrize(("stated", "pct", "interval"), [(0.95, 4.0, (0.9347, 1.0)), (0.05, 6.0, (0.0, 0.0653))])
def test_a_share_of_all_or_of_none_has_an_interval_that_ends_there(
    stated: float, pct: float, interval: tuple[float, float]
) -> None:
    inside = score_reports(alike(96, stated=stated, pct=pct)).inside
    assert inside is not None
    # In a bin of 32 the standard error is √(0.95 · 0.05 / 32) = 0.0385, t(31) = 1.6955
    for each in inside.bins:
        assert each.inside.interval_90 == pytest.approx(interval, abs=1e-3)
        assert each.inside.against(each.stated) is Finding.CHANCE


class TestKnownTruth:
    def test_in_a_fair_world_with_exact_probabilities_level_and_calibration_are_found_right(self) -> None:
        card = score_reports(world(400, 100, implied_over_true=1.0, seed=3))
        assert card.ratio is not None
        assert card.ratio.against(1.0) is Finding.CHANCE
        assert card.ratio.value == pytest.approx(1.0, abs=0.1)
        assert card.inside is not None
        assert card.inside.excess.against(0.0) is Finding.CHANCE
        assert [each.inside.against(each.stated) for each in card.inside.bins] == [Finding.CHANCE] * 3
        assert card.richness is not None
        assert card.richness.realised_ratio.against(card.richness.stated_ratio) is Finding.CHANCE

    def test_where_options_ask_half_as_much_again_it_is_found_and_its_size_is_in_the_interval(self) -> None:
        card = score_reports(world(400, 100, implied_over_true=1.5, seed=4))
        assert card.ratio is not None
        assert card.ratio.interval_90 is not None
        low, high = card.ratio.interval_90
        assert 1.2 < low < 1.5 < high < 1.8
        assert card.ratio.against(1.0) is Finding.ABOVE
        tradeable = card.groups[-1]
        assert tradeable.after_costs_pct is not None
        assert tradeable.after_costs_pct.against(0.0) is Finding.ABOVE

    def test_ratios_that_know_who_is_rich_rank_the_outcomes_and_beat_the_base_rate(self) -> None:
        card = score_reports(world(900, 100, implied_over_true=1.0, seed=5))
        assert card.richness is not None
        assert card.richness.rank_correlation is not None
        assert card.richness.rank_correlation.against(0.0) is Finding.ABOVE
        assert card.inside is not None
        assert card.inside.brier_gain.against(0.0) is Finding.ABOVE
        assert card.inside.log_loss_gain.against(0.0) is Finding.ABOVE

    def test_probabilities_that_promise_too_much_are_found_out(self) -> None:
        proud = [
            replace(each, statement=replace(each.statement, stated=StatedRatio(1.0, 1.3, 0.9)))
            for each in world(400, 100, implied_over_true=1.0, seed=6)
        ]
        card = score_reports(proud)
        assert card.inside is not None
        assert card.inside.excess.against(0.0) is Finding.BELOW
        assert card.inside.brier_gain.against(0.0) is Finding.BELOW
        assert card.richness is not None
        assert card.richness.realised_ratio.against(card.richness.stated_ratio) is Finding.BELOW
        assert card.richness.rank_correlation is None  # every company was called equally rich

    def test_of_twenty_reports_nothing_is_concluded(self) -> None:
        card = score_reports(world(20, 20, implied_over_true=1.5, seed=7))
        assert card.ratio is not None
        assert card.ratio.against(1.0) is Finding.TOO_FEW
        assert {each.premium_pct.against(0.0) for each in card.groups} == {Finding.TOO_FEW}
