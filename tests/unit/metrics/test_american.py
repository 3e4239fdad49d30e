"""Early exercise against converged prices, and against what must hold without a table."""

import numpy as np
import pytest

from ivcrush.application.metrics.american import Contracts, ExerciseTerms, LatticeValues, lattice_values


def values(spot: float, terms: ExerciseTerms, strike: float, vol: float, is_call: bool, steps: int) -> LatticeValues:
    contracts = Contracts(np.array([[strike]]), np.array([[vol * terms.years**0.5]]), np.array([[is_call]]))
    return lattice_values(spot, [terms], contracts, steps)


def test_andersen_lake_offengenden_a_put_at_par_has_a_premium_of_0_106953() -> None:
    # S = K = 100, r = q = 5 %, 25 %, one year: "High performance American option pricing" (2016).
    premium = values(100, ExerciseTerms(1.0, 0.05, 0.05), 100, 0.25, False, 400).premium[0, 0]
    assert premium == pytest.approx(0.10695270, abs=5e-4)


@pytest.mark.parametrize(
    ("spot", "strike", "days", "paid_on", "amount", "rate", "vol", "is_call", "american"),
    [
        # Two finite-difference solvers agree on these to 1e-5.
        (100.0, 100.0, 30, 10, 1.0, 0.05, 0.25, True, 2.593155),
        (100.0, 100.0, 30, 10, 1.0, 0.05, 0.25, False, 3.188723),
        (84.0, 80.0, 25, 20, 2.5, 0.05, 0.35, True, 5.331502),
        (48.1, 48.0, 45, 14, 3.0, 0.045, 0.3, False, 3.622278),
    ],
)
def test_cash_dividends_come_off_the_stock(
    spot: float,
    strike: float,
    days: int,
    paid_on: int,
    amount: float,
    rate: float,
    vol: float,
    is_call: bool,
    american: float,
) -> None:
    terms = ExerciseTerms(days / 365, rate, dividends=((paid_on / 365, amount),))
    found = values(spot, terms, strike, vol, is_call, 400)
    assert found.american[0, 0] == pytest.approx(american, abs=2e-3)


def test_a_call_without_dividends_is_never_exercised_early() -> None:
    assert values(100, ExerciseTerms(0.25, 0.05), 90, 0.3, True, 64).premium[0, 0] == 0.0


def test_a_hard_to_borrow_stock_makes_calls_worth_exercising() -> None:
    assert values(100, ExerciseTerms(0.25, 0.04, 0.4), 90, 0.3, True, 64).premium[0, 0] > 0.5


def test_variance_that_comes_before_the_dividend_makes_its_call_dearer_to_hold() -> None:
    # With all variance at once and early, the call before the dividend is nearly intrinsic: all exercise it.
    paid = ((0.06, 1.5),)
    flat = ExerciseTerms(0.08, 0.04, dividends=paid)
    lump = ExerciseTerms(0.08, 0.04, dividends=paid, lump=0.9, lump_years=0.02)
    assert values(100, lump, 100, 0.5, True, 64).premium > values(100, flat, 100, 0.5, True, 64).premium


def test_a_dividend_before_the_report_is_taken_before_its_variance() -> None:
    # The price the option holder would give up by exercising is the whole event: few do.
    paid = ((0.01, 1.5),)
    before = ExerciseTerms(0.08, 0.04, dividends=paid, lump=0.9, lump_years=0.05)
    after = ExerciseTerms(0.08, 0.04, dividends=paid, lump=0.9, lump_years=0.005)
    assert values(100, before, 100, 0.5, True, 64).premium < values(100, after, 100, 0.5, True, 64).premium


def test_many_contracts_of_many_expirations_are_priced_as_each_alone() -> None:
    terms = [ExerciseTerms(0.1, 0.05), ExerciseTerms(0.3, 0.05, dividends=((0.2, 1.0),))]
    strikes = np.array([[95.0, 105.0], [95.0, 105.0]])
    stdev = np.array([[0.1, 0.1], [0.2, 0.2]])
    puts = np.zeros((2, 2), dtype=np.bool_)
    together = lattice_values(100.0, terms, Contracts(strikes, stdev, puts), 50).american
    for row in range(2):
        alone = Contracts(strikes[row : row + 1], stdev[row : row + 1], puts[:1])
        # Alone the lattice is no wider than its own dividends need; the values do not depend on it.
        assert lattice_values(100.0, [terms[row]], alone, 50).american[0] == pytest.approx(together[row], rel=1e-9)


def test_the_premium_is_never_negative_for_extreme_volatility() -> None:
    assert values(100, ExerciseTerms(1.0, 0.05), 100, 100.0, False, 50).premium[0, 0] >= 0.0
