"""What early exercise adds to each quote of a snapshot, computed only where it can be seen through the spread.

A coarse lattice on two contracts an expiration decides whether the fine one is run; the fine one prices a few
moneyness nodes, not every strike. How a premium is computed is `american.py`'s affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivcrush.application.metrics.american import Contracts, ExerciseTerms, lattice_values
from ivcrush.application.metrics.forward import Carry, Forwards
from ivcrush.application.metrics.hygiene import CALL, PUT, QuoteGrid
from ivcrush.application.metrics.smile import SmileFit
from ivcrush.domain.types import BoolArray, FloatArray, IntArray

COARSE_STEPS, FINE_STEPS = 8, 40
_NODES = np.linspace(-2.0, 2.0, 9)
# In-the-money by a quarter of a standard deviation: the most exercisable contracts whose volatility is used.
_PROBES = np.array((-0.25, 0.25))


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
    """Dollars by which each quote exceeds its European value, shape (E, 2, M); 0 where that is less than the spread."""
    premium = np.zeros(grid.mid.shape)
    known = fit.stdev > 0
    borrow = forwards.borrow if forwards.significant_borrow else 0.0
    spot = carry.spot + forwards.spot_shift
    if not known.any() or (context.rate <= 0 and borrow == 0 and not any(context.dividends)):
        return premium
    terms = [
        ExerciseTerms(
            float(carry.years[row]),
            context.rate,
            borrow,
            context.dividends[row],
            float(context.lumps[row]),
            context.lump_years,
        )
        for row in range(len(carry.years))
    ]
    visible = known & _visible(grid, spot, terms, forwards, fit)
    rows = np.flatnonzero(visible)
    if not len(rows):
        return premium
    nodes = np.broadcast_to(np.concatenate((_NODES, _NODES)), (len(rows), 2 * len(_NODES)))
    sides = np.broadcast_to(np.arange(nodes.shape[1]) < len(_NODES), nodes.shape)
    contracts = _contracts_at(forwards.forward[rows], fit, rows, nodes, sides)
    values = lattice_values(spot, [terms[row] for row in rows], contracts, FINE_STEPS).premium
    for index, row in enumerate(rows):
        z = np.log(grid.strikes[row] / forwards.forward[row]) / fit.stdev[row]
        call, put = values[index, : len(_NODES)], values[index, len(_NODES) :]
        premium[row, CALL] = np.interp(z, _NODES, call, right=0.0)
        premium[row, PUT] = np.interp(z, _NODES, put, left=0.0)
    return premium


def _visible(
    grid: QuoteGrid, spot: float, terms: Sequence[ExerciseTerms], forwards: Forwards, fit: SmileFit
) -> BoolArray:
    """Whether the premium just inside the money is more than half of the tightest spread near the money."""
    stdev = np.maximum(fit.stdev, 1e-6)
    near = grid.usable & (np.abs(np.log(grid.strikes / forwards.forward[:, None]))[:, None, :] < stdev[:, None, None])
    half_spread = np.where(near, 0.5 * (grid.ask - grid.bid), np.inf).min(axis=(1, 2))
    probes = np.broadcast_to(_PROBES, (len(terms), 2))
    is_call = np.broadcast_to(np.array((True, False)), probes.shape)
    contracts = _contracts_at(forwards.forward, fit, np.arange(len(terms)), probes, is_call)
    premium = lattice_values(spot, terms, contracts, COARSE_STEPS).premium.max(axis=1)
    visible: BoolArray = premium > half_spread
    return visible


def _contracts_at(forward: FloatArray, fit: SmileFit, rows: IntArray, z: FloatArray, is_call: BoolArray) -> Contracts:
    """Contracts z standard deviations from the forward, at the smile's volatility there."""
    level = np.maximum(fit.stdev[rows], 1e-6)[:, None]
    smile = 1 + fit.slope[rows, None] * z + fit.curvature[rows, None] * z * z
    return Contracts(forward[:, None] * np.exp(z * level), level * np.clip(smile, 0.5, 2.0), is_call)
