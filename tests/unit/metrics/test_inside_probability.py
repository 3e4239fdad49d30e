"""The logistic model by hand; how well it predicts stands in tests/accuracy."""

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.inside_probability import InsideModel, inside_probability, shrunk_excess

MODEL = InsideModel(intercept=0.5, ratio_slope=2.0, typical_log_ratio=log(1.5), session_slope=0.25)


def test_eight_moves_weigh_a_fifth_of_their_excess_over_the_typical_ratio():
    assert shrunk_excess(3.0, 8, log(1.5)) == pytest.approx(0.2 * log(2))


def test_a_logit_is_intercept_plus_shrunk_excess_plus_sessions():
    logit = 0.5 + 2 * 0.2 * log(2) + 0.25 * 3
    assert MODEL.probability(3.0, 8, 3) == pytest.approx(1 / (1 + exp(-logit)))


def test_without_history_only_the_base_rate_and_the_sessions_speak():
    assert MODEL.probability(9.0, 0, 0) == pytest.approx(1 / (1 + exp(-0.5)))


@pytest.mark.parametrize(("sessions", "counted"), [(-1, 0), (4, 4), (30, 4)])
def test_sessions_beyond_what_the_fit_saw_add_nothing(sessions, counted):
    assert MODEL.probability(1.0, 8, sessions) == MODEL.probability(1.0, 8, counted)


@given(st.floats(0.3, 4), st.floats(1.01, 2), st.integers(1, 12), st.integers(0, 3))
def test_a_richer_straddle_and_a_later_expiration_make_inside_likelier(ratio, richer, quarters, sessions):
    probability = inside_probability(ratio, quarters, sessions)
    assert inside_probability(ratio * richer, quarters, sessions) > probability
    assert inside_probability(ratio, quarters, sessions + 1) > probability
    assert 0.3 < probability < 0.95
