"""From a snapshot's chains to cleaned smiles: hygiene, forwards, early exercise and fits in their order.

All expirations go through at once. Where the report lies decides only how reports are counted and when its variance
is placed for early exercise; how much variance it has is `event_variance.py`'s affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ivcrush.application.metrics import black76
from ivcrush.application.metrics.carry import carry_of, exercise_context
from ivcrush.application.metrics.early_exercise import exercise_premiums
from ivcrush.application.metrics.forward import Carry, Forwards, imply_forwards, rough_stdev
from ivcrush.application.metrics.hygiene import QuoteGrid, Reason, inspect_quotes
from ivcrush.application.metrics.smile import SmileFit, SmilePoints, fit_smiles, smile_points
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.application.metrics.vendor_volatility import vendor_is_stale
from ivcrush.domain.types import MarketSnapshot, OptionChain

HARD_TO_BORROW = 0.05
# Quoted stock and options further apart than this are from different moments.
SPOT_SHIFT = 0.001
# Fewer strikes do not tell a bent smile from a noisy one.
LEAST_STRIKES_OF_A_SMILE = 7
MANY_OUTLIERS = 0.2
IMPRECISE = 0.1


def build_surfaces(
    snapshot: MarketSnapshot, chains: Sequence[OptionChain], spot: float, reports: Sequence[int], reaction: date
) -> tuple[ExpirationSurface, ...]:
    """The surface of every chain that has a usable volatility, in the order given; chains must not be expired.

    `reports` counts the company's reports before each chain's expiration, `spot` is in dollars.
    """
    grid = inspect_quotes(chains, snapshot.as_of, spot)
    carry = carry_of(snapshot, grid.expirations, spot)
    premium = np.zeros(grid.mid.shape)
    scale = rough_stdev(grid, carry.forward())
    forwards = imply_forwards(grid, carry, premium, scale)
    scale = np.where(scale > 0, scale, 0.2)
    points = smile_points(grid, forwards.forward, carry.discount, premium, scale)
    fit = fit_smiles(points, scale)
    context = exercise_context(snapshot, grid.expirations, fit.stdev**2, reports, reaction)
    premium = exercise_premiums(grid, carry, forwards, fit, context)
    if premium.any():
        forwards = imply_forwards(grid, carry, premium, scale)
        points = smile_points(grid, forwards.forward, carry.discount, premium, scale)
        fit = fit_smiles(points, scale)
    grid.reject(fit.outliers, Reason.OUTLIER)
    cleaned = _Cleaned(snapshot, chains, reports, grid, carry, forwards, points, fit)
    return tuple(_surface(cleaned, row) for row in range(len(chains)) if fit.stdev[row] > 0)


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """All expirations after the fits."""

    snapshot: MarketSnapshot
    chains: Sequence[OptionChain]
    reports: Sequence[int]
    grid: QuoteGrid
    carry: Carry
    forwards: Forwards
    points: SmilePoints
    fit: SmileFit


def _surface(cleaned: _Cleaned, row: int) -> ExpirationSurface:
    """One expiration's share of the grid."""
    grid, carry, forwards, points, fit = cleaned.grid, cleaned.carry, cleaned.forwards, cleaned.points, cleaned.fit
    chain = cleaned.chains[row]
    forward, stdev, error = float(forwards.forward[row]), float(fit.stdev[row]), float(fit.stdev_se[row])
    used = points.used[row] & grid.usable[row]
    strikes, rights = np.nonzero(used.T)
    return ExpirationSurface(
        expiration=chain.expiration,
        years=float(carry.years[row]),
        forward=forward,
        discount=float(carry.discount[row]),
        strikes=grid.strikes[row, strikes],
        log_moneyness=np.log(grid.strikes[row, strikes] / forward),
        total_stdev=points.stdev[row, rights, strikes],
        stdev_se=points.stdev_se[row, rights, strikes],
        is_call=rights == 0,
        atm_variance=stdev**2,
        atm_variance_se=2 * stdev * error,
        straddle=float(carry.discount[row]) * forward * black76.straddle_fraction(stdev),
        reports_before=cleaned.reports[row],
        rejected=chain.dropped + grid.rejected(row),
        flags=tuple(_flags(cleaned, row)),
        curvature=float(fit.curvature[row]) if fit.strikes[row] >= LEAST_STRIKES_OF_A_SMILE else 0.0,
        curvature_se=float(fit.curvature_se[row]) if fit.strikes[row] >= LEAST_STRIKES_OF_A_SMILE else 0.0,
    )


def _flags(cleaned: _Cleaned, row: int) -> list[str]:
    forwards, fit, chain = cleaned.forwards, cleaned.fit, cleaned.chains[row]
    carry, as_of = cleaned.carry, cleaned.snapshot.as_of
    fitted, outliers = np.count_nonzero(cleaned.points.used[row]), np.count_nonzero(fit.outliers[row])
    found = {
        "parity_inconsistent_with_other_expiries": bool(forwards.inconsistent[row]),
        "dividend_in_window": bool(carry.dividends[row] > 0),
        "atm_extrapolated": bool(fit.one_sided[row]),
        "few_near_atm_strikes": bool(fit.near_strikes[row] < 2),
        "atm_iv_imprecise": bool(fit.stdev_se[row] > IMPRECISE * fit.stdev[row]),
        "many_outlier_quotes": bool(outliers > MANY_OUTLIERS * fitted),
        "vendor_iv_stale": vendor_is_stale(chain, as_of),
        "adjusted_contracts_dropped": any("adjusted" in reason for reason, _ in chain.dropped),
        "spot_disagrees_with_options": abs(forwards.spot_shift) > SPOT_SHIFT * carry.spot,
        "hard_to_borrow": forwards.significant_borrow and abs(forwards.borrow) > HARD_TO_BORROW,
    }
    return [name for name, holds in found.items() if holds]
