"""The forward of each expiration: put-call parity where the quotes allow it, carry from spot, rate and dividends else.

Parity says F = K + (C − P)/D for European prices (Stoll 1969); early-exercise premiums are taken out first. One borrow
rate is common to all expirations; an expiration that disagrees with all others has stale quotes, two that disagree by
the same dollars have a dividend that nobody announced.
"""

from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics.hygiene import CALL, PUT, QuoteGrid
from ivcrush.domain.types import BoolArray, FloatArray

# Pairs this close to the forward, in standard deviations, say something about it.
NEAR_PAIRS = 1.0
# What parity errors beyond the spread look like: premiums are known to 30 %, outliers are 4 standard errors away.
PREMIUM_ERROR = 0.3
TRIM_ERRORS = 4.0
DISAGREEMENT_ERRORS = 3.0
# How well spot, rate and known dividends know a forward: 10 basis points a root month.
CARRY_ERROR_PER_ROOT_YEAR = 0.001 * 12**0.5


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """What is known before any option is looked at, by expiration, shapes (E,).

    `years` calendar years, `discount` e^{−rT}, `dividends` the value on the expiration day of the cash dividends in the
    window, dollars, `spot` dollars.
    """

    spot: float
    years: FloatArray
    discount: FloatArray
    dividends: FloatArray

    def forward(self, borrow: float = 0.0, spot_shift: float = 0.0) -> FloatArray:
        """Spot (shifted by dollars) carried at rate less borrow, less dividends; dollars, shape (E,)."""
        carried: FloatArray = (self.spot + spot_shift) * np.exp(-borrow * self.years) / self.discount - self.dividends
        return carried


@dataclass(frozen=True, slots=True, eq=False)
class Forwards:
    """The forward of each expiration, shapes (E,), dollars; `borrow` a year, common, with its standard error.

    `spot_shift` is by how many dollars the options' stock differs from the quoted one: quotes of different moments.
    `inconsistent` marks expirations whose parity was not believed.
    """

    forward: FloatArray
    borrow: float
    borrow_se: float
    spot_shift: float
    inconsistent: BoolArray

    @property
    def significant_borrow(self) -> bool:
        """Whether the borrow rate is more than noise of spreads and spot."""
        return abs(self.borrow) > 2 * self.borrow_se


def rough_stdev(grid: QuoteGrid, forward: FloatArray) -> FloatArray:
    """A total standard deviation good to a tenth, for windows: the middle one of the three nearest pairs.

    A pair k from the forward is worth about √(k² + m²) with m = √(2/π)·s·F, its mean absolute move. Shape (E,); 0 where
    no strike has both a call and a put.
    """
    usable = grid.usable
    paired = usable[:, CALL] & usable[:, PUT]
    away = grid.strikes - forward[:, None]
    order = np.argsort(np.where(paired, np.abs(away), np.inf), axis=1)[:, :3]
    both = grid.mid.sum(axis=1)
    rows = np.arange(len(order))[:, None]
    move = np.sqrt(np.maximum(both * both - away * away, 0.0))[rows, order]
    value, _ = weighted_median(move, paired[rows, order].astype(np.float64))
    stdev: FloatArray = value / forward * (np.pi / 2) ** 0.5
    return stdev


def imply_forwards(grid: QuoteGrid, carry: Carry, premium: FloatArray, stdev: FloatArray) -> Forwards:
    """The forwards that quotes and carry agree on.

    `premium` (E, 2, M) is each option's early-exercise premium in dollars, `stdev` (E,) a rough total standard
    deviation; 0 means that nothing is known.
    """
    plain = carry.forward()
    parity, parity_se, found = _parity(grid, carry, premium, stdev, plain)
    borrow, borrow_se, spot_shift = _common_error(parity, parity_se, found, carry)
    expected = carry.forward(borrow, spot_shift)
    carry_se = expected * CARRY_ERROR_PER_ROOT_YEAR * np.sqrt(carry.years)
    gap = np.where(found, expected - parity, 0.0)
    gap_se = np.hypot(parity_se, carry_se)
    odd = found & (np.abs(gap) > DISAGREEMENT_ERRORS * gap_se)
    inconsistent = odd & ~_shared_gap(gap, gap_se, odd)
    use = found & ~inconsistent
    weight = np.where(use, parity_se**-2.0, 0.0)
    # An unannounced dividend is no news to parity: where a gap is shared, carry has nothing to say.
    prior = np.where(odd & use, 0.0, carry_se**-2.0)
    forward = (weight * np.where(use, parity, 0.0) + prior * expected) / (weight + prior)
    return Forwards(forward, borrow, borrow_se, spot_shift, inconsistent)


def weighted_median(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Row-wise weighted median of (E, M) and the total weight, shapes (E,); 0 where a row has no weight."""
    order = np.argsort(np.where(weights > 0, values, np.inf), axis=1)
    rows = np.arange(len(values))
    mass = weights[rows[:, None], order].cumsum(axis=1)
    total = mass[:, -1]
    half = 0.5 * total[:, None]
    lower = order[rows, (mass >= half - 1e-12 * half).argmax(axis=1)]
    upper = order[rows, (mass > half + 1e-12 * half).argmax(axis=1)]
    return np.where(total > 0, 0.5 * (values[rows, lower] + values[rows, upper]), 0.0), total


def _parity(
    grid: QuoteGrid, carry: Carry, premium: FloatArray, stdev: FloatArray, plain: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Forward by parity alone, its standard error and whether there is a pair behind it, shapes (E,)."""
    near = np.abs(grid.strikes - plain[:, None]) < (NEAR_PAIRS * stdev * plain)[:, None]
    paired = grid.usable.all(axis=1)
    near = paired & (near | ~(paired & near).any(axis=1, keepdims=True))
    value = grid.mid - premium
    implied = grid.strikes + (value[:, CALL] - value[:, PUT]) / carry.discount[:, None]
    error = np.hypot(grid.mid_se[:, CALL], grid.mid_se[:, PUT]) + PREMIUM_ERROR * premium.sum(axis=1)
    error = error / carry.discount[:, None]
    weight = np.where(near, error**-2.0, 0.0)
    middle, _ = weighted_median(implied, weight)
    deviation = np.abs(implied - middle[:, None])
    scale, _ = weighted_median(deviation / error, near.astype(np.float64))
    spread_of = np.maximum(1.0, 1.4826 * scale)
    weight = np.where(deviation <= (TRIM_ERRORS * spread_of)[:, None] * error, weight, 0.0)
    total = weight.sum(axis=1)
    found = total > 0
    total = np.maximum(total, 1e-300)
    return (weight * implied).sum(axis=1) / total, total**-0.5 * spread_of, found


def _common_error(
    parity: FloatArray, parity_se: FloatArray, found: BoolArray, carry: Carry
) -> tuple[float, float, float]:
    """What all expirations have in common against plain carry: a borrow rate a year with its standard error, or dollars
    of spot; 0 without parity.

    Candidates are neither, each expiration's own borrow rate or shift, and their weighted medians. Each is judged by
    its misses in standard errors, none counting more than the trim, and has to explain one to be preferred to neither.
    """
    if not found.any():
        return 0.0, 0.0, 0.0
    years, discount = carry.years[found], carry.discount[found]
    stock = np.maximum(parity[found] + carry.dividends[found], 0.01 * carry.spot) * discount
    error = np.hypot(parity_se[found], carry.spot * CARRY_ERROR_PER_ROOT_YEAR * np.sqrt(years))
    rates, shifts = -np.log(stock / carry.spot) / years, stock - carry.spot
    weights = np.stack((carry.spot * years / error, 1 / error)) ** 2
    (rate, shift), (precision, _) = weighted_median(np.stack((rates, shifts)), weights)
    borrows = np.concatenate(((0.0, rate), rates, np.zeros(1 + len(years))))
    moves = np.concatenate((np.zeros(2 + len(years)), (shift,), shifts))
    expected = (carry.spot + moves[:, None]) * np.exp(-borrows[:, None] * years)
    misses = np.minimum(np.abs(stock - expected) / error, TRIM_ERRORS).sum(axis=1)
    misses[1:] += 1.0
    best = int(np.argmin(misses))
    return float(borrows[best]), float(precision**-0.5), float(moves[best])


def _shared_gap(gap: FloatArray, gap_se: FloatArray, odd: BoolArray) -> BoolArray:
    """Whether another odd expiration misses the same dollars."""
    alike = np.abs(gap[:, None] - gap[None, :]) <= 2 * np.hypot(gap_se[:, None], gap_se[None, :])
    both = odd[:, None] & odd[None, :] & ~np.eye(len(gap), dtype=np.bool_)
    shared: BoolArray = np.any(alike & both, axis=1)
    return shared
