"""What early exercise adds to each quote of a snapshot, computed only where it can be seen through the spread.

Calls and puts of each expiration are judged apart: by what exercise can bring at most, then by a coarse lattice on one
contract; the fine one prices a few moneyness nodes, not every strike. How a premium is computed is `american.py`'s
affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics.american import Contracts, ExerciseTerms, lattice_values
from ivcrush.application.metrics.forward import Carry, Forwards
from ivcrush.application.metrics.hygiene import CALL, QuoteGrid
from ivcrush.application.metrics.smile import SmileFit
from ivcrush.domain.types import FloatArray, IntArray

COARSE_STEPS, FINE_STEPS = 8, 40
# Standard deviations out of the money: from where parity reads its pairs to where no premium is left.
_NODES = np.linspace(-1.0, 2.0, 7)
# In-the-money by a quarter of a standard deviation: the most exercisable contracts whose volatility is used.
_PROBE = np.array((-0.25,))


@dataclass(frozen=True, slots=True)
class ExerciseContext:
    """What a lattice needs beyond quotes: `rate` a year, each expiration's dividends as (years, dollars), the share of
    its variance that the report has, and when the report comes (years)."""

    rate: float
    dividends: Sequence[tuple[tuple[float, float], ...]]
    lumps: FloatArray
    lump_years: float


def exercise_premiums(
    grid: QuoteGrid, carry: Carry, forwards: Forwards, fit: SmileFit, context: ExerciseContext
) -> FloatArray:
    """Dollars by which each quote exceeds its European value, shape (E, 2, M); 0 where that is less than the spread.

    Further in the money than anything is read it is what it is at the last node.
    """
    stock = _Stock(carry, forwards, fit, context)
    z = np.log(grid.strikes / forwards.forward[:, None]) / stock.stdev[:, None]
    near = grid.usable & (np.abs(z) < 1)[:, None, :]
    half_spread = np.where(near, 0.5 * (grid.ask - grid.bid), np.inf).min(axis=(1, 2))
    rows, rights = np.nonzero((fit.stdev > 0)[:, None] & (stock.most_gained() > half_spread[:, None]))
    seen = stock.premiums(rows, rights, _PROBE, COARSE_STEPS)[:, 0] > half_spread[rows]
    rows, rights = rows[seen], rights[seen]
    premium = np.zeros(grid.mid.shape)
    for row, right, values in zip(rows, rights, stock.premiums(rows, rights, _NODES, FINE_STEPS), strict=True):
        premium[row, right] = np.interp(z[row] if right == CALL else -z[row], _NODES, values, right=0.0)
    return premium


class _Stock:
    """What an exerciser knows of all expirations."""

    def __init__(self, carry: Carry, forwards: Forwards, fit: SmileFit, context: ExerciseContext) -> None:
        self.spot = carry.spot + forwards.spot_shift
        self.stdev = np.maximum(fit.stdev, 1e-6)
        self._borrow = forwards.borrow if forwards.significant_borrow else 0.0
        self._years, self._forward, self._fit, self._context = carry.years, forwards.forward, fit, context

    def most_gained(self) -> FloatArray:
        """Dollars that early exercise can bring to calls and puts at the probe, at most; shape (E, 2).

        A put brings interest on the strike and saves the fee of the borrowed stock, a call the opposite and dividends.
        Without dividends and fee an American call is worth its European twin (Merton 1973).
        """
        strike = self._forward * np.exp(-_PROBE[0] * self.stdev)
        interest = -np.expm1(-self._context.rate * self._years) * strike
        fee = -np.expm1(-self._borrow * self._years) * self.spot
        paid = np.array([sum(amount for _, amount in each) for each in self._context.dividends], dtype=np.float64)
        call = np.maximum(-interest, 0.0) + np.maximum(fee, 0.0) + paid
        put = np.maximum(interest, 0.0) + np.maximum(-fee, 0.0)
        return np.stack((call, put), axis=1)

    def premiums(self, rows: IntArray, rights: IntArray, nodes: FloatArray, steps: int) -> FloatArray:
        """Dollars at each node out of the money, shape (n, nodes), for n pairs of an expiration and a right."""
        if not len(rows):
            return np.zeros((0, len(nodes)))
        is_call = np.broadcast_to((rights == CALL)[:, None], (len(rows), len(nodes)))
        z = np.where(is_call, nodes, -nodes)
        level = self.stdev[rows, None]
        smile = 1 + self._fit.slope[rows, None] * z + self._fit.curvature[rows, None] * z * z
        strikes = self._forward[rows, None] * np.exp(z * level)
        contracts = Contracts(strikes, level * np.clip(smile, 0.5, 2.0), is_call)
        return lattice_values(self.spot, [self._terms(row) for row in rows], contracts, steps).premium

    def _terms(self, row: int) -> ExerciseTerms:
        context = self._context
        return ExerciseTerms(
            float(self._years[row]),
            context.rate,
            self._borrow,
            context.dividends[row],
            float(context.lumps[row]),
            context.lump_years,
        )
