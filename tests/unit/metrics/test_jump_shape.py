"""What straddles show of variance when a jump is not lognormal; mixtures worked by hand."""

from math import erf, exp, pi, sqrt

import pytest

from ivcrush.application.metrics.jump_shape import JumpShape


def test_a_lognormal_jump_shows_all_of_its_variance() -> None:
    shape = JumpShape(0.01)
    assert shape.at_the_forward(0.007) == (0.007, 1.0)
    assert shape.total(0.007) == (0.007, 1.0)
    assert shape.least_total == 0.0


def test_two_sharp_humps_show_a_half_more_variance_than_they_have() -> None:
    # ±0.1 without width: E|Y| = 0.1, and (π/2)·0.1² is 57 % more than 0.1².
    shown, growth = JumpShape(0.01, hump=0.1).at_the_forward(0.01 / 0.9999)
    assert shown == pytest.approx(pi / 2 * 0.01, rel=1e-3)
    assert growth == pytest.approx(0.0, abs=1e-6)


def test_humps_with_as_much_width_as_distance_show_what_the_folded_normal_says() -> None:
    # E|N(m, τ²)| = τ√(2/π)·e^{−m²/2τ²} + m·erf(m/τ√2), here m = τ = 0.05.
    mean = 0.05 * (sqrt(2 / pi) * exp(-0.5) + erf(sqrt(0.5)))
    shown, _ = JumpShape(0.005, hump=0.05).at_the_forward(0.005)
    assert shown == pytest.approx(pi / 2 * mean**2, rel=1e-12)


def test_fat_tails_show_less_variance_than_they_have() -> None:
    # Four in five with variance 0.001, one in five with 0.006: E|Y| by the two half-normal means.
    mean = sqrt(2 / pi) * (0.8 * sqrt(0.001) + 0.2 * sqrt(0.006))
    shown, growth = JumpShape(0.002, gap=0.005).at_the_forward(0.002)
    assert shown == pytest.approx(pi / 2 * mean**2, rel=1e-12)
    assert growth > 1


@pytest.mark.parametrize("bend", [-0.4, -0.2, -0.02, 0.02, 0.1, 0.3])
def test_the_mixture_has_the_curvature_it_was_made_from(bend: float) -> None:
    shape = JumpShape.bent(0.01, bend, 0.01)
    total, _ = shape.total(0.01)
    shown, growth = shape.at_the_forward(total)
    assert shown == pytest.approx(0.01, rel=1e-9)
    assert growth == pytest.approx(1 + 2 * bend, rel=1e-4)
    assert shape.least_total < total


@pytest.mark.parametrize("bend", [-0.45, -0.2, -1e-3, -1e-6, 1e-6, 1e-3, 0.2, 0.5])
def test_the_shares_are_solved_to_rounding_however_small_the_bend(bend: float) -> None:
    shape = JumpShape.bent(0.01, bend, 0.01)
    total, _ = shape.total(0.01)
    assert shape.at_the_forward(total)[1] - 1 == pytest.approx(2 * bend, rel=1e-6)


def test_a_bend_of_rounding_size_is_none() -> None:
    assert JumpShape.bent(0.01, -1e-17, 0.01).hump == 0.0
    assert JumpShape.bent(0.01, 1e-17, 0.01).gap == 0.0


@pytest.mark.parametrize("bend", [-0.3, 0.2])
@pytest.mark.parametrize("variance", [0.0098, 0.01, 0.05, 0.5])
def test_the_inverse_and_its_slope_are_consistent(bend: float, variance: float) -> None:
    shape = JumpShape.bent(0.01, bend, 0.01)
    total, slope = shape.total(variance)
    assert shape.at_the_forward(total)[0] == pytest.approx(variance, rel=1e-6)
    assert slope == pytest.approx((shape.total(variance * 1.0001)[0] - total) / (variance * 0.0001), rel=2e-2)


def test_two_jumps_of_two_humps_are_told_apart_from_ordinary_variance_too() -> None:
    # Humps at ±0.05 twice: at ±0.1 in one case of four each, at 0 in half of them; width τ² = 0.0225.
    tau = 0.15
    folded = tau * sqrt(2 / pi) * exp(-((0.1 / tau) ** 2) / 2) + 0.1 * erf(0.1 / tau / sqrt(2))
    shown = pi / 2 * (0.5 * folded + 0.5 * tau * sqrt(2 / pi)) ** 2
    shape = JumpShape(0.005, hump=0.05)
    assert shape.total_of(shown, 2) == pytest.approx(tau**2 + 2 * 0.05**2, rel=1e-3)
    assert shape.total_of(shown, 0) == shown


def test_less_variance_than_the_humps_have_is_answered_with_the_humps() -> None:
    shape = JumpShape.bent(0.01, -0.4, 0.01)
    assert shape.total(0.001)[0] == pytest.approx(shape.least_total, rel=1e-3)


def test_a_bend_without_measurement_is_none_and_as_uncertain_as_the_prior() -> None:
    shape = JumpShape.observed(0.01, 0.5, 0.3, 0.0)
    assert shape.bend == 0.0
    assert shape.standard_error == pytest.approx(0.08 * 0.25)


def test_a_measured_bend_is_drawn_to_the_prior_by_its_error() -> None:
    # Equal precision: half-way; the share of one leaves the prior's 0.08.
    shape = JumpShape.observed(0.01, 1.0, -0.2, 0.08)
    assert shape.bend == pytest.approx(-0.1)
    assert shape.standard_error == pytest.approx(0.08 / sqrt(2))


def test_bends_beyond_what_mixtures_can_do_are_cut() -> None:
    assert JumpShape.bent(0.01, -3.0, 0.1).bend == -0.45
    assert JumpShape.bent(0.01, 3.0, 0.1).bend == 0.5
    assert JumpShape.bent(0.01, 0.0, 0.1).moved(1.0).bend == pytest.approx(0.1)
