"""Forwards from parity and carry; markets are made with a known forward."""

from math import exp

import numpy as np
import pytest

from ivcrush.application.metrics.forward import Carry, Forwards, imply_forwards, rough_stdev, weighted_median
from ivcrush.application.metrics.hygiene import Reason, inspect_quotes
from ivcrush.domain.types import OptionChain
from tests.unit.metrics.option_market import AS_OF, FOURTH, FRIDAY, NEXT, SPOT, THIRD, chain, smile_of

DAYS = (1, 8, 15, 35)
YEARS = np.array(DAYS) / 365
RATE = 0.04


def carry(dividends: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> Carry:
    return Carry(SPOT, YEARS, np.exp(-RATE * YEARS), np.array(dividends))


def market(forwards: list[float], half_spread: float = 0.01) -> list[OptionChain]:
    return [
        chain(
            day,
            smile_of(0.03 + 0.01 * row),
            forward=forward,
            discount=exp(-RATE * DAYS[row] / 365),
            half_spread=half_spread,
        )
        for row, (day, forward) in enumerate(zip((FRIDAY, NEXT, THIRD, FOURTH), forwards, strict=False))
    ]


def implied(chains: list[OptionChain], known: Carry) -> Forwards:
    grid = inspect_quotes(chains, AS_OF, SPOT)
    count = len(chains)
    cut = Carry(known.spot, known.years[:count], known.discount[:count], known.dividends[:count])
    stdev = rough_stdev(grid, cut.forward())
    return imply_forwards(grid, cut, np.zeros(grid.mid.shape), stdev)


def plain_forwards() -> list[float]:
    return [SPOT * exp(RATE * days / 365) for days in DAYS]


def test_a_clean_market_gives_its_forwards_and_no_borrow() -> None:
    found = implied(market(plain_forwards()), carry())
    assert found.forward == pytest.approx(plain_forwards(), abs=0.005)
    assert not found.significant_borrow
    assert not found.inconsistent.any()


def test_a_stock_that_costs_thirty_percent_to_borrow_is_seen_in_every_expiration() -> None:
    found = implied(market([SPOT * exp((RATE - 0.3) * days / 365) for days in DAYS]), carry())
    assert found.borrow == pytest.approx(0.3, abs=0.01)
    assert found.significant_borrow


def test_a_known_dividend_lowers_the_forward_without_borrow() -> None:
    forwards = [forward - (1.0 if row >= 2 else 0.0) for row, forward in enumerate(plain_forwards())]
    found = implied(market(forwards), carry((0.0, 0.0, 1.0, 1.0)))
    assert found.forward == pytest.approx(forwards, abs=0.005)
    assert found.borrow == pytest.approx(0.0, abs=0.01)


def test_an_unannounced_dividend_that_two_expirations_show_is_believed() -> None:
    forwards = [forward - (2.0 if row >= 2 else 0.0) for row, forward in enumerate(plain_forwards())]
    found = implied(market(forwards), carry())
    assert found.forward == pytest.approx(forwards, abs=0.05)
    assert not found.inconsistent.any()


def test_one_expiration_that_disagrees_with_all_others_is_stale() -> None:
    forwards = plain_forwards()
    forwards[1] -= 3.0
    found = implied(market(forwards), carry())
    assert found.inconsistent.tolist() == [False, True, False, False]
    assert found.forward[1] == pytest.approx(plain_forwards()[1], abs=0.15)


def test_a_spot_from_another_moment_is_seen_as_the_same_dollars_everywhere() -> None:
    found = implied(market([forward - 0.8 for forward in plain_forwards()]), carry())
    assert found.spot_shift == pytest.approx(-0.8, abs=0.02)
    assert found.borrow == 0.0
    assert not found.inconsistent.any()
    assert found.forward == pytest.approx([forward - 0.8 for forward in plain_forwards()], abs=0.02)


def test_stale_and_crossed_pairs_do_not_move_the_forward() -> None:
    chains = market(plain_forwards())
    middle = len(chains[1].strikes) // 2
    for at in (middle - 1, middle + 1):
        chains[1].calls.bid[at] += 2.0
        chains[1].calls.ask[at] += 2.0
    assert implied(chains, carry()).forward[1] == pytest.approx(plain_forwards()[1], abs=0.01)


def test_without_pairs_carry_alone_is_the_forward() -> None:
    chains = market(plain_forwards())[:1]
    grid = inspect_quotes(chains, AS_OF, SPOT)
    grid.reject(np.ones(grid.reasons.shape, dtype=np.bool_), Reason.STALE)
    known = Carry(SPOT, YEARS[:1], np.exp(-RATE * YEARS[:1]), np.zeros(1))
    stdev = rough_stdev(grid, known.forward())
    assert stdev.tolist() == [0.0]
    found = imply_forwards(grid, known, np.zeros(grid.mid.shape), stdev)
    assert found.forward == pytest.approx(plain_forwards()[:1])
    assert (found.borrow, found.borrow_se) == (0.0, 0.0)


def test_pairs_far_from_the_forward_serve_where_there_are_no_others() -> None:
    chains = [chain(NEXT, smile_of(0.04), strikes=(90.0, 110.0), half_spread=0.001)]
    known = Carry(SPOT, YEARS[1:2], np.ones(1), np.zeros(1))
    assert implied(chains, known).borrow_se > 0  # 0 says that no pair was used


def test_the_rough_standard_deviation_is_the_middle_straddle() -> None:
    grid = inspect_quotes([chain(NEXT, smile_of(0.08))], AS_OF, SPOT)
    assert rough_stdev(grid, np.array([SPOT]))[0] == pytest.approx(0.08, rel=0.15)


def test_the_weighted_median_is_where_half_the_weight_is_passed() -> None:
    values = np.array([[3.0, 1.0, 2.0, 9.0], [5.0, 7.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    weights = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    median, total = weighted_median(values, weights)
    assert median.tolist() == [2.0, 6.0, 0.0]
    assert total.tolist() == [3.0, 2.0, 0.0]
