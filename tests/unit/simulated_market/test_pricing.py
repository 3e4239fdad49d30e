"""Prices against published values and identities."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from simulated_market.jumps import NO_JUMP, JumpKind, jump, straddle
from simulated_market.normal import black_call, cumulative, implied_variance
from simulated_market.pricing import Maturity, value_options
from simulated_market.seeding import stream


def plain(**changes: object) -> Maturity:
    """A hundred-dollar stock, a half year, 20 % volatility, no jump, no smile, no dividend."""
    values: dict[str, object] = {
        "spot": 100.0,
        "years": 0.5,
        "ambient_variance": 0.02,
        "jumps": NO_JUMP,
        "jumps_at": (),
        "dividends": (),
        "smile_slope": 0.0,
        "smile_curvature": 0.0,
    }
    return Maturity(**(values | changes))  # type: ignore[arg-type]


def test_the_normal_distribution_agrees_with_the_error_function() -> None:
    points = np.array([-6.0, -3.1, -1.0, 0.0, 0.4, 2.2, 5.0])
    expected = [0.5 * math.erfc(-x / math.sqrt(2.0)) for x in points]
    assert cumulative(points) == pytest.approx(expected, abs=1e-14)


def test_black_76_gives_haug_s_published_futures_option() -> None:
    # Haug, Option Pricing Formulas, section 1.1.3: F = X = 19, T = 0.75, r = 10 %, sigma = 28 % gives 1.7011.
    call = black_call(np.array([19.0]), np.array([19.0]), np.array([0.28**2 * 0.75]))
    assert float(call[0]) * math.exp(-0.075) == pytest.approx(1.7011, abs=1e-4)


def test_implied_variance_undoes_black_from_deep_to_far() -> None:
    strikes = np.array([70.0, 90.0, 100.0, 110.0, 140.0])
    prices = black_call(np.full(5, 100.0), strikes, np.full(5, 0.03))
    assert implied_variance(prices, 100.0, strikes) == pytest.approx(np.full(5, 0.03), rel=1e-6)


def test_a_price_at_intrinsic_value_has_no_implied_variance() -> None:
    assert implied_variance(np.array([30.0]), 100.0, np.array([70.0]))[0] == 0.0


@pytest.mark.parametrize("kind", list(JumpKind))
def test_each_jump_is_a_martingale_of_the_asked_log_deviation(kind: JumpKind) -> None:
    mixture = jump(kind, 0.08)
    mean = sum(w * f for w, f in zip(mixture.weights, mixture.factors, strict=True))
    assert mean == pytest.approx(1.0, abs=1e-14)
    assert math.sqrt(mixture.log_variance) == pytest.approx(0.08, rel=1e-12)


def test_mean_absolute_move_of_a_lognormal_jump_is_the_closed_form() -> None:
    # 4 Φ(σ/2) − 2 with σ = 10 %: 0.079755
    closed = 4.0 * NormalDist().cdf(0.05) - 2.0
    assert jump(JumpKind.LOGNORMAL, 0.1).mean_abs_move(0.0) == pytest.approx(closed, rel=1e-12)
    assert closed == pytest.approx(0.079755, abs=1e-6)


def test_bimodal_moves_are_nearly_as_large_as_their_deviation_and_fat_tailed_ones_smaller_than_normal() -> None:
    ratios = {kind: jump(kind, 0.05).mean_abs_move(0.0) / 0.05 for kind in JumpKind}
    assert ratios[JumpKind.BIMODAL] > 0.89
    assert ratios[JumpKind.LOGNORMAL] == pytest.approx(0.7978, abs=1e-3)
    assert ratios[JumpKind.FAT_TAILED] < 0.75


@pytest.mark.parametrize("kind", list(JumpKind))
def test_drawn_moves_have_the_deviation_of_their_distribution(kind: JumpKind) -> None:
    mixture, random = jump(kind, 0.06), stream(1, "draws", kind.value)
    drawn = np.array([mixture.draw(random) for _ in range(4000)])
    assert float(np.std(drawn)) == pytest.approx(0.06, rel=0.06)


def test_two_moves_in_a_row_add_their_variances() -> None:
    twice = jump(JumpKind.BIMODAL, 0.05).followed_by(jump(JumpKind.BIMODAL, 0.05))
    assert len(twice.weights) == 4
    assert twice.log_variance == pytest.approx(2 * 0.05**2, rel=1e-12)


def test_a_straddle_without_variance_is_its_intrinsic_value() -> None:
    assert straddle(100.0, 97.0, 0.0) == 3.0


def test_put_call_parity_holds_for_the_european_parts() -> None:
    values = value_options(plain(), np.array([90.0, 100.0, 110.0]))
    calls, puts = values.call - values.call_premium, values.put - values.put_premium
    assert calls - puts == pytest.approx(100.0 - np.array([90.0, 100.0, 110.0]) * math.exp(-0.02), abs=1e-10)


def test_a_call_without_dividends_has_no_early_exercise_value_and_a_deep_put_pays_its_exercise() -> None:
    values = value_options(plain(), np.array([100.0, 160.0]))
    assert values.call_premium[0] == 0.0
    assert values.put[1] == pytest.approx(60.0, abs=0.005)


def test_an_american_put_is_worth_a_fine_lattice_s_value() -> None:
    assert float(value_options(plain(), np.array([100.0])).put[0]) == pytest.approx(_plain_tree_put(), abs=0.005)


def test_a_large_dividend_makes_the_call_worth_exercising_the_day_before() -> None:
    values = value_options(plain(dividends=((0.25, 5.0),)), np.array([80.0]))
    assert values.call_premium[0] > 0.5
    assert values.call[0] >= 20.0


def test_a_smile_raises_both_wings_and_leaves_the_money_alone() -> None:
    forward = plain().forward
    strikes = np.array([0.8 * forward, forward, 1.25 * forward])
    flat, smiling = value_options(plain(), strikes), value_options(plain(smile_curvature=0.05), strikes)
    assert (smiling.call - flat.call)[[0, 2]].min() > 0.0
    assert smiling.call[1] == pytest.approx(flat.call[1], abs=1e-12)


def test_time_stands_still_in_the_lattice_while_the_jump_passes() -> None:
    # The jump passes at once or at the end: after an early jump a deep put is exercised with all its life left.
    early = plain(jumps=jump(JumpKind.LOGNORMAL, 0.1), jumps_at=((0.001, 0.01),), ambient_variance=0.0001)
    late = plain(jumps=jump(JumpKind.LOGNORMAL, 0.1), jumps_at=((0.499, 0.01),), ambient_variance=0.0001)
    strikes = np.array([100.0])
    assert value_options(early, strikes).put_premium[0] > value_options(late, strikes).put_premium[0]


def _plain_tree_put(steps: int = 2000) -> float:
    """Cox, Ross and Rubinstein, written apart from the lattice under test."""
    dt, rate, vol = 0.5 / steps, 0.04, 0.2
    up = math.exp(vol * math.sqrt(dt))
    p = (math.exp(rate * dt) - 1 / up) / (up - 1 / up)
    prices = 100.0 * up ** (2.0 * np.arange(steps + 1) - steps)
    values = np.maximum(100.0 - prices, 0.0)
    for _ in range(steps):
        prices = prices[1:] / up
        values = np.maximum(math.exp(-rate * dt) * (p * values[1:] + (1 - p) * values[:-1]), 100.0 - prices)
    return float(values[0])
