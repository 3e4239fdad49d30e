"""Every reason for which a quote is not used, one quote each."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from ivcrush.application.metrics.hygiene import CALL, PUT, Reason, inspect_quotes
from ivcrush.domain.types import OptionChain
from tests.unit.metrics.option_market import AS_OF, FRIDAY, NEXT, SPOT, chain, smile_of

STRIKES = (90.0, 95.0, 100.0, 105.0, 110.0)


def five_strikes() -> OptionChain:
    return chain(NEXT, smile_of(0.06), strikes=STRIKES)


def with_put(at: int, **values: float) -> OptionChain:
    """The chain with one put's columns changed."""
    whole = five_strikes()
    changed = {name: np.array(getattr(whole.puts, name)) for name in values}
    for name, value in values.items():
        changed[name][at] = value
    return replace(whole, puts=replace(whole.puts, **changed))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"bid": 0.0, "ask": 0.0}, Reason.NO_MARKET),
        ({"bid": 0.0}, Reason.ZERO_BID),
        ({"ask": 0.0}, Reason.ZERO_ASK),
        ({"bid": 3.0, "ask": 2.9}, Reason.CROSSED),
        ({"quoted_at": (AS_OF + timedelta(minutes=5)).timestamp()}, Reason.NEWER_THAN_AS_OF),
        ({"quoted_at": (AS_OF - timedelta(minutes=20)).timestamp()}, Reason.STALE),
        ({"bid": 101.0, "ask": 102.0}, Reason.ARBITRAGE),
        ({"bid": 1.0, "ask": 4.0}, Reason.WIDE_SPREAD),
        ({"present": False}, Reason.UNLISTED),
    ],
)
def test_a_bad_quote_has_one_reason_and_costs_only_itself(values: dict[str, float], reason: Reason) -> None:
    grid = inspect_quotes([with_put(2, **values)], AS_OF, SPOT)
    assert grid.reasons[0, PUT, 2] == reason
    assert np.count_nonzero(grid.usable) == 9


def test_an_in_the_money_put_that_asks_less_than_exercise_pays_is_arbitrage() -> None:
    grid = inspect_quotes([with_put(4, bid=9.0, ask=9.5)], AS_OF, SPOT)
    assert grid.reasons[0, PUT, 4] == Reason.ARBITRAGE


def test_a_quote_without_a_time_is_not_stale_and_one_from_the_future_ages_no_other() -> None:
    chain_ = with_put(1, quoted_at=(AS_OF + timedelta(hours=2)).timestamp())
    calls = replace(chain_.calls, quoted_at=np.zeros(5))
    grid = inspect_quotes([replace(chain_, calls=calls)], AS_OF, SPOT)
    assert np.count_nonzero(grid.usable) == 9


def test_a_minute_of_clock_difference_is_forgiven() -> None:
    chain_ = chain(NEXT, smile_of(0.06), strikes=STRIKES, quoted_at=AS_OF + timedelta(seconds=59))
    assert inspect_quotes([chain_], AS_OF, SPOT).usable.all()


def test_chains_of_different_length_lie_side_by_side() -> None:
    grid = inspect_quotes([chain(FRIDAY, smile_of(0.06), strikes=(95.0, 100.0)), five_strikes()], AS_OF, SPOT)
    assert grid.strikes.shape == (2, 5)
    assert grid.strikes[0].tolist() == [95.0, 100.0, 100.0, 100.0, 100.0]
    assert np.count_nonzero(grid.usable[0]) == 4
    assert grid.expirations == (FRIDAY, NEXT)


def test_a_quarter_of_the_spread_is_the_standard_error_of_a_mid() -> None:
    grid = inspect_quotes([with_put(2, bid=2.0, ask=2.4)], AS_OF, SPOT)
    assert grid.mid[0, PUT, 2] == pytest.approx(2.2)
    assert grid.mid_se[0, PUT, 2] == pytest.approx((0.1**2 + 0.0022**2) ** 0.5)


def test_rejections_are_counted_by_name_in_the_order_of_the_reasons() -> None:
    grid = inspect_quotes([with_put(2, bid=3.0, ask=2.9)], AS_OF, SPOT)
    outlier = np.zeros(grid.reasons.shape, dtype=np.bool_)
    outlier[0, CALL, 2] = outlier[0, PUT, 2] = True
    grid.reject(outlier, Reason.OUTLIER)
    assert grid.rejected(0) == (("crossed", 1), ("outlier", 1))
