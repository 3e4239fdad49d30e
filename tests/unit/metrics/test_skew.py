"""Skew, curvature and direction of a smile that is known."""

from datetime import date
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.skew import measure_skew
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.enums import SkewDirection
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import Ticker

IBM = Ticker("IBM")
YEARS = 0.04
ATM_IV = 0.5
ATM_STDEV = ATM_IV * YEARS**0.5  # 0.1
GRID = tuple(np.arange(-2.25, 2.5, 0.25))


def surface(smile, z=GRID, se=0.001, noise=None, itm_twins=()):
    """Out-of-the-money quotes at each z, calls from z = 0 up; `itm_twins` adds calls at those z below 0."""
    z = np.array(sorted([*z, *itm_twins]))
    twin = np.isin(z, itm_twins)
    stdev = ATM_STDEV * np.array([smile(each) for each in z]) + np.where(twin, 0.05, 0.0)
    stdev = stdev if noise is None else stdev + noise
    return ExpirationSurface(
        expiration=date(2026, 5, 29),
        years=YEARS,
        forward=100.0,
        discount=0.999,
        strikes=100 * np.exp(z * ATM_STDEV),
        log_moneyness=z * ATM_STDEV,
        total_stdev=stdev,
        stdev_se=np.full(len(z), se),
        is_call=(z >= 0) | twin,
        atm_variance=ATM_STDEV**2,
        atm_variance_se=1e-5,
        straddle=8.0,
        reports_before=1,
        rejected=(),
        flags=(),
    )


def quadratic(slope, curvature):
    return lambda z: 1 + slope * z + curvature * z**2


def measured(*args, **kwargs):
    result = measure_skew(IBM, surface(*args, **kwargs))
    assert isinstance(result, Ok)
    return result.value


def test_a_flat_smile_has_neither_skew_nor_curvature():
    skew = measured(quadratic(0, 0))
    assert skew.risk_reversal_25d_pct == pytest.approx(0, abs=1e-9)
    assert skew.butterfly_25d_pct == pytest.approx(0, abs=1e-9)
    assert skew.atm_iv_pct == pytest.approx(50.0)
    assert (skew.concave, skew.points) == (False, 19)


@given(st.floats(-0.15, 0.15), st.floats(-0.04, 0.08))
def test_slope_and_curvature_of_a_quadratic_come_back_and_its_25_delta_points_lie_on_it(slope, curvature):
    skew = measured(quadratic(slope, curvature))
    assert skew.slope == pytest.approx(slope, abs=1e-6)
    assert skew.curvature == pytest.approx(curvature, abs=1e-6)
    middle = skew.butterfly_25d_pct + skew.atm_iv_pct
    normal = NormalDist()
    for side, delta in ((1, 0.25), (-1, 0.75)):
        stdev = (middle + side * skew.risk_reversal_25d_pct / 2) / 100 * YEARS**0.5
        log_moneyness = stdev * (stdev / 2 - normal.inv_cdf(delta))  # the strike at which Φ(d1) is that delta
        assert stdev / ATM_STDEV == pytest.approx(quadratic(slope, curvature)(log_moneyness / ATM_STDEV), abs=1e-6)


def test_the_risk_reversal_is_about_1_35_slopes_and_the_butterfly_about_0_45_curvatures():
    skew = measured(quadratic(-0.02, 0.01))
    assert skew.risk_reversal_25d_pct == pytest.approx(1.349 * -0.02 * 50, rel=0.05)
    assert skew.butterfly_25d_pct == pytest.approx(0.455 * 0.01 * 50, rel=0.2)


@pytest.mark.parametrize(
    ("relative_risk_reversal", "direction"),
    [
        (-0.12, SkewDirection.BEARISH),
        (-0.08, SkewDirection.NEUTRAL),
        (-0.02, SkewDirection.NEUTRAL),
        (0.02, SkewDirection.BULLISH),
    ],
)
def test_a_direction_is_a_risk_reversal_more_than_five_per_cent_of_atm_off_the_usual_five(
    relative_risk_reversal, direction
):
    assert measured(quadratic(relative_risk_reversal / 1.349, 0)).direction is direction


def test_noise_makes_no_direction():
    noise = 0.04 * np.cos(np.arange(len(GRID)) * 2.0)
    assert measured(quadratic(0.04, 0), noise=noise).direction is SkewDirection.NEUTRAL
    assert measured(quadratic(0.04, 0)).direction is SkewDirection.BULLISH


def test_a_smile_that_bends_down_at_the_money_is_concave_even_when_its_wings_rise():
    event_smile = lambda z: 1 - 0.08 * z**2 + 0.02 * z**4  # noqa: E731
    assert measured(event_smile).concave
    assert not measured(quadratic(-0.05, 0.05)).concave


def test_a_bend_within_its_noise_or_on_four_near_strikes_is_not_concave():
    noise = 0.01 * np.cos(np.arange(len(GRID)) * 2.0)
    assert not measured(quadratic(0, -0.002), noise=noise).concave
    assert not measured(quadratic(0, -0.05), z=(-2.4, -2.0, -1.6, -1.0, -0.5, 0.5, 1.0, 1.6, 2.0)).concave


def test_in_the_money_twins_and_far_wings_do_not_count():
    wild = lambda z: 1.0 if abs(z) <= 2.5 else 5.0  # noqa: E731
    skew = measured(wild, z=(*GRID, -4.0, 3.0), itm_twins=(-0.1, -0.2))
    assert skew.points == 19
    assert skew.risk_reversal_25d_pct == pytest.approx(0, abs=1e-9)


def test_a_tight_quote_outweighs_a_wide_one():
    tight = surface(quadratic(0, 0))
    lifted = np.where(np.arange(len(GRID)) == 12, 0.02, 0.0)
    tight.stdev_se[12] = 1.0
    result = measure_skew(IBM, surface(quadratic(0, 0), noise=lifted))
    assert isinstance(result, Ok)
    assert abs(result.value.risk_reversal_25d_pct) > 0.1
    tight.total_stdev[12] += 0.02
    result = measure_skew(IBM, tight)
    assert isinstance(result, Ok)
    assert result.value.risk_reversal_25d_pct == pytest.approx(0, abs=1e-3)


def test_nothing_is_read_outside_the_quoted_strikes():
    narrow = measured(quadratic(-0.3, 0), z=(-0.4, -0.2, 0.0, 0.2, 0.4))
    # 25 delta lies beyond |z| = 0.4: the volatilities of the outermost quotes stand for it.
    assert narrow.risk_reversal_25d_pct == pytest.approx((0.88 - 1.12) * 50)


@pytest.mark.parametrize("z", [(-0.5, -0.2, 0.2, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), ()])
def test_four_quotes_or_one_side_only_make_no_skew(z):
    refused = measure_skew(IBM, surface(quadratic(0, 0), z=z))
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.NODATA
    assert refused.error.message.startswith(f"IBM: {len(z)} usable quotes in 2026-05-29, 5 out of the money")
