"""Our numbers beside the reference tables: for each table the worst error, in units of its tolerance or relative.

The American tables' convergence is ours: two lattices and their neighbours, extrapolated in 1/steps.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.american import Contracts, ExerciseTerms, lattice_values
from ivcrush.application.metrics.event_variance import two_expiration_variances
from ivcrush.domain.types import BoolArray, FloatArray

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class TableResult:
    """A table, how many of its rows were compared, and the worst error in the unit named."""

    table: str
    rows: int
    worst: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether every row is within the limit."""
        return self.worst <= self.limit


def reference_tables(quant: Path) -> list[TableResult]:
    """Every table of prices and volatilities against our formulas."""
    return [
        _stress_grid(_read(quant / "implied_vol_stress_grid.csv")),
        _haug_volatilities(_read(quant / "implied_vol_from_haug_prices.csv")),
        _european(_read(quant / "european_prices.csv")),
        _black(_read(quant / "black76_prices.csv")),
        _straddles(_read(quant / "straddle_brenner_subrahmanyam.csv")),
        _events(_read(quant / "event_variance_worked_examples.csv")),
        _american(_read(quant / "american_prices.csv")),
        _premiums(_read(quant / "american_early_exercise_premium_andersen_lake.csv")),
        _cash_dividends(_read(quant / "american_cash_dividend_prices.csv")),
    ]


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _column(rows: list[Row], name: str) -> FloatArray:
    return np.array([float(row[name]) for row in rows])


def _calls(rows: list[Row]) -> BoolArray:
    return np.array([row["type"] == "call" for row in rows])


def _stress_grid(rows: list[Row]) -> TableResult:
    stdev, found = black76.implied_stdev(
        _column(rows, "undiscounted_price_double"), _column(rows, "F"), _column(rows, "K"), _calls(rows)
    )
    error = np.abs(stdev / _column(rows, "stdev_reproducing_double_price") - 1)
    return TableResult("implied_vol_stress_grid", len(rows), float(np.where(found, error, 1.0).max()), 1e-9, "relative")


def _european_terms(rows: list[Row]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Forward, strike, discount and years."""
    years, rate, carry = (_column(rows, name) for name in ("t_years", "r_cc", "q_cc"))
    return _column(rows, "S") * np.exp((rate - carry) * years), _column(rows, "K"), np.exp(-rate * years), years


def _haug_volatilities(rows: list[Row]) -> TableResult:
    """Inside the band that rounding the price to four digits leaves; the table itself is rounded to six."""
    forward, strike, discount, years = _european_terms(rows)
    price = _column(rows, "published_price_4dp") / discount
    stdev, found = black76.implied_stdev(price, forward, strike, _calls(rows))
    error = np.abs(stdev / np.sqrt(years) - _column(rows, "iv_mid"))
    return TableResult("implied_vol_from_haug_prices", len(rows), float(np.where(found, error, 1).max()), 1e-6, "vol")


def _european(rows: list[Row]) -> TableResult:
    forward, strike, discount, years = _european_terms(rows)
    price = discount * black76.price(forward, strike, _column(rows, "vol") * np.sqrt(years), _calls(rows))
    error = np.abs(price - _column(rows, "published_value")) / _column(rows, "published_tol")
    return TableResult("european_prices", len(rows), float(error.max()), 1.0, "tolerances")


def _black(rows: list[Row]) -> TableResult:
    stdev = _column(rows, "stdev_sigma_sqrt_t")
    price = black76.price(_column(rows, "F"), _column(rows, "K"), stdev, _calls(rows)) * _column(rows, "discount")
    error = np.abs(price - _column(rows, "published_value")) / _column(rows, "published_tol")
    return TableResult("black76_prices", len(rows), float(error.max()), 1.0, "tolerances")


def _straddles(rows: list[Row]) -> TableResult:
    stdev, exact = _column(rows, "total_stdev_sigma_sqrtT"), _column(rows, "ATMF_straddle_over_F_exact=4N(s/2)-2")
    ours = np.array([black76.straddle_fraction(float(each)) for each in stdev])
    back = np.array([black76.straddle_stdev(float(each)) for each in exact])
    error = np.maximum(np.abs(ours / exact - 1), np.abs(back / stdev - 1))
    return TableResult("straddle_brenner_subrahmanyam", len(rows), float(error.max()), 1e-9, "relative")


def _events(rows: list[Row]) -> TableResult:
    worst = 0.0
    for row in rows:
        first, second, early, late = (
            float(row[name]) for name in ("w1_total_variance", "w2_total_variance", "T1_days", "T2_days")
        )
        jump = two_expiration_variances(first, early, second, late)[0] ** 0.5
        worst = max(worst, abs(jump / float(row["computed_sigma_j_DJ_two_expiry"]) - 1))
    return TableResult("event_variance_worked_examples", len(rows), worst, 1e-9, "relative")


def _american(rows: list[Row]) -> TableResult:
    """Against the converged value where two methods agree on it, within the published tolerance or 0.01 % of spot."""
    rows = [row for row in rows if row["independent_check"] == "TWO_METHODS_AGREE"]
    worst = 0.0
    for row in rows:
        spot, strike, years, rate, carry, vol = (
            float(row[name]) for name in ("S", "K", "t_used_years", "r_cc", "q_cc", "vol")
        )
        terms = ExerciseTerms(years, rate, carry)
        forward, stdev, call = spot * np.exp((rate - carry) * years), vol * years**0.5, row["type"] == "call"
        european = float(np.exp(-rate * years)) * float(
            black76.price(np.array([forward]), np.array([strike]), np.array([stdev]), np.array([call]))[0]
        )
        premium, _ = _extrapolated(spot, terms, strike, stdev, is_call=call)
        error = abs(european + premium - float(row["true_value_qdfp_highprec"]))
        worst = max(worst, error / max(float(row["published_tol"]), 1e-4 * spot))
    return TableResult("american_prices", len(rows), worst, 1.0, "tolerances")


def _premiums(rows: list[Row]) -> TableResult:
    cases = {(row["r_cc"], row["converged_premium"]) for row in rows}
    worst = 0.0
    for rate, converged in sorted(cases):
        premium, _ = _extrapolated(100.0, ExerciseTerms(1.0, float(rate), 0.05), 100.0, 0.25, is_call=False)
        worst = max(worst, abs(premium - float(converged)))
    return TableResult("american_early_exercise_premium_andersen_lake", len(rows), worst, 1e-3, "dollars")


def _cash_dividends(rows: list[Row]) -> TableResult:
    """The rows whose dividends come off the stock itself, as ours do; three others escrow them."""
    rows = [row for row in rows if row["dividend_model"] == "spot"]
    worst = 0.0
    for row in rows:
        spot, strike, days, rate, carry, vol = (
            float(row[name]) for name in ("S", "K", "days_act365", "r_cc", "q_cc", "vol")
        )
        paid = tuple(
            (float(when) / 365, float(amount))
            for when, amount in (each.split(":") for each in row["dividends_day:amount"].split(";"))
        )
        terms = ExerciseTerms(days / 365, rate, carry, paid)
        _, value = _extrapolated(spot, terms, strike, vol * (days / 365) ** 0.5, is_call=row["type"] == "call")
        worst = max(worst, abs(value - float(row["quantlib_fd_2000x2000"])) / spot)
    return TableResult("american_cash_dividend_prices", len(rows), worst, 5e-5, "of spot")


def _extrapolated(
    spot: float, terms: ExerciseTerms, strike: float, stdev: float, *, is_call: bool
) -> tuple[float, float]:
    """Premium and American value at infinitely many steps."""
    contracts = Contracts(np.array([[strike]]), np.array([[stdev]]), np.array([[is_call]]))
    totals = []
    for steps in (300, 600):
        pair = [lattice_values(spot, [terms], contracts, each) for each in (steps, steps + 1)]
        totals.append(
            (sum(float(one.premium[0, 0]) for one in pair) / 2, sum(float(one.american[0, 0]) for one in pair) / 2)
        )
    (premium, value), (finer_premium, finer_value) = totals
    return 2 * finer_premium - premium, 2 * finer_value - value
