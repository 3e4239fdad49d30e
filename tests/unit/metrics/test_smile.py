"""The robust fit at the forward: known smiles go in, known levels come out."""

import numpy as np
import pytest

from ivcrush.application.metrics.hygiene import CALL, Reason, inspect_quotes
from ivcrush.application.metrics.smile import SmileFit, fit_smiles, smile_points
from ivcrush.domain.types import OptionChain
from tests.unit.metrics.option_market import AS_OF, NEXT, SPOT, THIRD, chain, smile_of


def fit(*chains: OptionChain, scale: float = 0.06) -> SmileFit:
    grid = inspect_quotes(chains, AS_OF, SPOT)
    rough = np.full(len(chains), scale)
    ones = np.ones(len(chains))
    points = smile_points(grid, SPOT * ones, ones, np.zeros(grid.mid.shape), rough)
    return fit_smiles(points, rough)


def test_level_slope_and_curvature_of_a_quadratic_smile_come_back() -> None:
    found = fit(chain(NEXT, smile_of(0.06, slope=-0.05, curvature=0.03), strikes=np.arange(80, 121, 1)))
    assert found.stdev[0] == pytest.approx(0.06, rel=2e-3)
    assert found.slope[0] == pytest.approx(-0.05, abs=0.01)
    assert found.curvature[0] == pytest.approx(0.03, abs=0.01)
    assert found.stdev_se[0] < 1e-3 * 0.06 * 5
    assert not found.one_sided[0]


def test_the_scale_of_z_does_not_matter() -> None:
    bent = chain(NEXT, smile_of(0.06, curvature=0.03), strikes=np.arange(80, 121, 1))
    assert fit(bent, scale=0.045).stdev[0] == pytest.approx(fit(bent, scale=0.08).stdev[0], rel=2e-3)


def test_a_few_wild_quotes_are_named_and_not_believed() -> None:
    wild = chain(NEXT, smile_of(0.06))
    for at in (18, 22):
        wild.calls.bid[at] += 1.5
        wild.calls.ask[at] += 1.5
        wild.puts.bid[at] += 1.5
        wild.puts.ask[at] += 1.5
    found = fit(wild)
    assert found.stdev[0] == pytest.approx(0.06, rel=3e-3)
    assert found.outliers[0, :, [18, 22]].any()


@pytest.mark.parametrize(("strikes", "count"), [((100.0,), 1), ((98.0, 102.0), 2), ((96.0, 99.0, 102.0), 3)])
def test_few_strikes_still_give_the_level(strikes: tuple[float, ...], count: int) -> None:
    found = fit(chain(NEXT, smile_of(0.06), strikes=strikes))
    assert found.strikes[0] == count
    assert found.stdev[0] == pytest.approx(0.06, rel=5e-3)


def test_strikes_on_one_side_are_said_to_be() -> None:
    assert fit(chain(NEXT, smile_of(0.06), strikes=(103.0, 105.0))).one_sided[0]


def test_an_expiration_without_a_point_comes_out_as_zero_beside_one_with_points() -> None:
    empty = chain(THIRD, smile_of(0.06), strikes=(100.0,))
    empty.calls.bid[:] = empty.puts.bid[:] = 0.0
    found = fit(chain(NEXT, smile_of(0.06)), empty)
    assert found.stdev[0] == pytest.approx(0.06, rel=2e-3)
    assert found.stdev[1] == 0.0
    assert found.strikes[1] == 0


def test_a_single_far_strike_is_used_for_want_of_a_nearer_one() -> None:
    # Six rough standard deviations away: the only strike counts as the nearest.
    assert fit(chain(NEXT, smile_of(0.2), strikes=(140.0,)), scale=0.06).stdev[0] == pytest.approx(0.2, rel=1e-2)


def test_a_price_that_no_volatility_gives_is_arbitrage() -> None:
    broken = chain(NEXT, smile_of(0.06), strikes=(90.0, 99.0, 100.0, 101.0))
    grid = inspect_quotes([broken], AS_OF, SPOT)
    premium = np.zeros(grid.mid.shape)
    premium[0, CALL, 3] = 50.0  # more early exercise than price
    smile_points(grid, np.array([SPOT]), np.ones(1), premium, np.array([0.06]))
    assert grid.reasons[0, CALL, 3] == Reason.ARBITRAGE


def test_two_humps_leave_the_waist_where_it_is() -> None:
    # A two-point jump of ±8 % and 2 % ordinary deviation: the at-the-forward straddle is worth E|Y|.
    def waist(moneyness: float) -> float:
        return 0.0995 * (1 - 0.35 * (moneyness / 0.1) ** 2 + 0.10 * (moneyness / 0.1) ** 4)

    found = fit(chain(NEXT, waist, strikes=np.arange(88, 113, 1)), scale=0.1)
    assert found.stdev[0] == pytest.approx(0.0995, rel=4e-3)
    assert found.curvature[0] < -0.2
