"""The term structure of a company whose ordinary volatility and jump are known."""

from datetime import date, timedelta
from math import erf, exp, log, pi, sqrt

import numpy as np
import pytest

from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.application.metrics.term_structure import measure_term_structure
from ivcrush.domain.analysis import ImpliedMove
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import Ticker

IBM = Ticker("IBM")
TODAY = date(2026, 5, 15)
EMPTY = np.zeros(0)
LOGNORMAL = JumpShape(0.005)


def surface(days, variance, reports=1):
    return ExpirationSurface(
        expiration=TODAY + timedelta(days),
        years=days / 365,
        forward=100.0,
        discount=1.0,
        strikes=EMPTY,
        log_moneyness=EMPTY,
        total_stdev=EMPTY,
        stdev_se=EMPTY,
        is_call=np.zeros(0, dtype=np.bool_),
        atm_variance=variance,
        atm_variance_se=0.0,
        straddle=5.0,
        reports_before=reports,
        rejected=(),
        flags=(),
    )


def implied(event_days=7, jump_sigma_pct=5.0):
    return ImpliedMove(
        TODAY + timedelta(event_days), 100.0, 100.0, 100.0, 5.0, 5.0, jump_sigma_pct, 5.3, 4.2, 0.2, (3.9, 4.6),
        30.0, 0.9, "by hand", 40, (), (),
    )  # fmt: skip


def ordinary_and_jump(days, reports, ordinary=0.30, jump=0.05):
    return surface(days, ordinary**2 * days / 365 + reports * jump**2, reports)


def measured(surfaces, event=None, shape=LOGNORMAL):
    result = measure_term_structure(IBM, surfaces, event or implied(), shape)
    assert isinstance(result, Ok)
    return result.value


def test_with_the_jump_out_every_expiration_shows_the_ordinary_thirty_per_cent():
    term = measured([ordinary_and_jump(days, n) for days, n in ((4, 0), (7, 1), (35, 1), (105, 2))])
    assert [point.ex_earnings_iv_pct for point in term.points] == pytest.approx([30.0] * 4)
    assert term.points[1].atm_iv_pct == pytest.approx(100 * sqrt(0.09 + 0.0025 * 365 / 7))
    assert [point.expiration for point in term.points] == [TODAY + timedelta(days) for days in (4, 7, 35, 105)]


def test_the_event_expiration_is_expected_to_fall_to_its_ordinary_volatility():
    # IV now √(0.09 + 0.0025·365/7) = 0.46942, after 0.30.
    term = measured([ordinary_and_jump(7, 1), ordinary_and_jump(35, 1)])
    assert term.expected_iv_crush_pct == pytest.approx((1 - 0.30 / 0.469422) * 100, rel=1e-5)


def two_humps(days, ordinary=0.30, hump=0.05):
    """What a straddle shows where the jump is 5 % up or down: (π/2)·(E|Y|)² of N(±hump, ordinary variance)."""
    width = ordinary * sqrt(days / 365)
    mean = width * sqrt(2 / pi) * exp(-((hump / width) ** 2) / 2) + hump * erf(hump / width / sqrt(2))
    return surface(days, pi / 2 * mean**2)


def test_a_jump_that_is_up_or_down_leaves_the_same_ordinary_thirty_per_cent():
    term = measured([two_humps(7), two_humps(35)], shape=JumpShape(0.005, hump=0.05))
    assert [point.ex_earnings_iv_pct for point in term.points] == pytest.approx([30.0, 30.0])
    assert term.expected_iv_crush_pct == pytest.approx((1 - 30.0 / term.points[0].atm_iv_pct) * 100)


def test_slope_and_backwardation_are_of_the_expirations_that_hold_the_report():
    before, event, later = ordinary_and_jump(4, 0), ordinary_and_jump(7, 1), ordinary_and_jump(28, 1)
    term = measured([later, before, event])
    expected = log(later.atm_iv / event.atm_iv) / log(4)
    assert term.slope == pytest.approx(expected)
    assert term.backwardation
    assert expected < 0


def test_with_one_expiration_holding_the_report_slope_and_backwardation_are_of_all():
    before, event = ordinary_and_jump(4, 0), ordinary_and_jump(7, 1)
    term = measured([before, event])
    assert term.slope == pytest.approx(log(event.atm_iv / before.atm_iv) / log(7 / 4))
    assert not term.backwardation


def test_forward_volatilities_hold_what_lies_between_two_expirations():
    term = measured([ordinary_and_jump(4, 0), ordinary_and_jump(7, 1), ordinary_and_jump(35, 1)])
    assert term.forward_vols_pct == pytest.approx((100 * sqrt(0.09 + 0.0025 * 365 / 3), 30.0))


def test_negative_variance_between_expirations_or_beside_the_jump_is_none_never_a_number():
    term = measured([surface(7, 0.0020), surface(14, 0.0015)])
    assert term.forward_vols_pct == (None,)
    assert [point.ex_earnings_iv_pct for point in term.points] == [None, None]
    # IV now √(0.002·365/7) = 0.32293, after it the ambient 30 %.
    assert term.expected_iv_crush_pct == pytest.approx((1 - 0.30 / 0.322933) * 100, rel=1e-4)


def test_one_expiration_is_no_term_structure():
    refused = measure_term_structure(IBM, [ordinary_and_jump(7, 1)], implied(), LOGNORMAL)
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.NODATA
    assert refused.error.message == "IBM: 1 usable expiration, 2 needed for a term structure"
