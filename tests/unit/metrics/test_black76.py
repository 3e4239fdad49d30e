"""Black's formula and its inverse against textbook values, limits and the error function of the standard library."""

from math import erfc, exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics import black76


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("x", [0.0, 0.1, 0.5, 1.0, 2.0, 3.75, 5.0])
def test_erfcx_is_the_scaled_complementary_error_function(x: float) -> None:
    assert black76.erfcx(array(x))[0] == pytest.approx(erfc(x) * exp(x * x), rel=1e-13)


def test_erfcx_falls_as_one_over_x_in_the_far_tail() -> None:
    # erfcx(x) = 1/(x·√π)·(1 − 1/(2x²) + 3/(4x⁴) − …); at 100 the first two terms leave 1e-8.
    assert black76.erfcx(array(100.0))[0] == pytest.approx((1 - 1 / 20000) / (100 * np.pi**0.5), rel=1e-8)


def test_erfcx_gives_the_tail_of_the_normal_distribution_at_its_published_quantiles() -> None:
    # 1 − Φ(x) = ½·exp(−x²/2)·erfcx(x/√2); Φ(−10) = 7.6198530e-24.
    x = array(0.0, 1.6448536269514722, 1.959963984540054, 10.0)
    tail = 0.5 * np.exp(-0.5 * x * x) * black76.erfcx(x / 2**0.5)
    assert tail == pytest.approx([0.5, 0.05, 0.025, 7.619853024160526e-24], rel=1e-12)


def test_haug_page_six_a_call_at_65_on_60_is_worth_2_1334() -> None:
    # S 60, K 65, r 8 %, three months, 30 %: Haug, Option Pricing Formulas (1998).
    forward, discount = 60 * exp(0.08 * 0.25), exp(-0.08 * 0.25)
    value = black76.price(array(forward), array(65.0), array(0.3 * 0.5), np.array([True]))[0]
    assert discount * value == pytest.approx(2.1334, abs=5e-5)


def test_without_volatility_an_option_is_worth_its_intrinsic_value() -> None:
    value = black76.price(array(100.0, 100.0), array(90.0, 90.0), array(0.0, 0.0), np.array([True, False]))
    assert value == pytest.approx([10.0, 0.0])


def test_vega_is_the_slope_of_the_price() -> None:
    forward, strike, up, down = array(100.0), array(110.0), array(0.2 + 1e-5), array(0.2 - 1e-5)
    call = np.array([True])
    slope = (black76.price(forward, strike, up, call) - black76.price(forward, strike, down, call)) / 2e-5
    assert black76.vega(forward, strike, array(0.2)) == pytest.approx(slope, rel=1e-8)


@given(
    moneyness=st.floats(-6.0, 6.0),
    stdev=st.floats(0.005, 4.0),
    is_call=st.booleans(),
)
def test_the_inverse_gives_every_representable_volatility_back(moneyness: float, stdev: float, is_call: bool) -> None:
    if abs(moneyness) > 12 * stdev:  # the price is lost under the smallest number
        return
    strike = 100.0 * exp(moneyness)
    # Out of the money: in the money the time value drowns in the digits of the intrinsic value.
    right = np.array([strike >= 100.0])
    price = black76.price(array(100.0), array(strike), array(stdev), right)
    found, valid = black76.implied_stdev(price, array(100.0), array(strike), right)
    assert valid[0]
    assert found[0] == pytest.approx(stdev, rel=1e-9)


def test_prices_that_no_volatility_gives_are_masked_and_never_nan() -> None:
    prices = array(10.0, 9.0, 100.0, 101.0, 0.0, 15.0)
    stdev, valid = black76.implied_stdev(prices, np.full(6, 100.0), np.full(6, 90.0), np.full(6, True))
    assert valid.tolist() == [False, False, False, False, False, True]
    assert stdev[:5].tolist() == [0.0] * 5
    assert stdev[5] > 0


def test_one_forward_serves_many_strikes() -> None:
    strikes = array(90.0, 100.0, 110.0)
    calls = np.array([True, True, True])
    prices = black76.price(array(100.0), strikes, array(0.1, 0.2, 0.3), calls)
    stdev, valid = black76.implied_stdev(prices, array(100.0), strikes, calls)
    assert valid.all()
    assert stdev == pytest.approx([0.1, 0.2, 0.3], rel=1e-12)


def test_one_option_serves_many_prices() -> None:
    prices = array(2.0, 4.0, 8.0)
    stdev, valid = black76.implied_stdev(prices, array(100.0), array(105.0), np.array([True]))
    assert valid.all()
    back = black76.price(array(100.0), array(105.0), stdev, np.array([True]))
    assert back == pytest.approx(prices, rel=1e-10)


def test_no_price_at_all_is_answered_with_nothing() -> None:
    stdev, valid = black76.implied_stdev(array(), array(), array(), np.zeros(0, dtype=np.bool_))
    assert (stdev.size, valid.size) == (0, 0)


def test_an_at_the_forward_straddle_of_ten_percent_is_worth_7_9755_percent() -> None:
    # 4Φ(0.05) − 2 with Φ(0.05) = 0.519938805838372
    assert black76.straddle_fraction(0.1) == pytest.approx(4 * 0.519938805838372 - 2, rel=1e-12)
    assert black76.straddle_stdev(black76.straddle_fraction(0.1)) == pytest.approx(0.1, rel=1e-12)
