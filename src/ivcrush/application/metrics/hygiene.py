"""Which quotes can be used, and why the others cannot: one reason a quote, and a standard error for each usable mid.

Chains are laid side by side in one grid, so that everything after works on all expirations at once. Prices only:
what a smile makes of a quote (`OUTLIER`, `ARBITRAGE` against the forward) is marked later by who finds out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ivcrush.domain.types import BoolArray, FloatArray, OptionChain

ReasonArray = npt.NDArray[np.int8]

CALL, PUT = 0, 1

# A quote this much older than its expiration's newest has not followed the market.
STALE_AFTER_S = 900.0
# Clocks of provider and caller differ; a quote further in the future is refused.
CLOCK_TOLERANCE_S = 60.0
# An ask of more than three bids says little of the price in between, whatever the tick.
WIDEST_SPREAD_OF_MID = 1.0
# Half a half-spread is one standard error of a mid; never better than 0.1 % of the price.
STANDARD_ERROR_OF_SPREAD = 0.25
LEAST_RELATIVE_ERROR = 0.001


class Reason(IntEnum):
    """Why a listed quote is not used; the lower-case names are those of the reports."""

    USABLE = 0
    NO_MARKET = 1
    ZERO_BID = 2
    ZERO_ASK = 3
    CROSSED = 4
    NEWER_THAN_AS_OF = 5
    STALE = 6
    ARBITRAGE = 7
    WIDE_SPREAD = 8
    OUTLIER = 9
    UNLISTED = 10


# Looking a member up costs more than comparing a small grid with it.
_USABLE = int(Reason.USABLE)
# In their order, from 1 on; what is usable or not listed is not reported.
_REPORTED = tuple(reason.name.lower() for reason in Reason if Reason.USABLE < reason < Reason.UNLISTED)


@dataclass(frozen=True, slots=True, eq=False)
class QuoteGrid:
    """All chains side by side: `strikes` (E, M) rising in each row, quotes (E, 2, M) with calls first, dollars.

    Rows shorter than M end in unlisted entries that repeat the last strike. `reasons` is changed in place by those who
    find out more. `mid` and `mid_se` are 0 and 1 where there is no market.
    """

    expirations: tuple[date, ...]
    strikes: FloatArray
    bid: FloatArray
    ask: FloatArray
    mid: FloatArray
    mid_se: FloatArray
    reasons: ReasonArray

    @property
    def usable(self) -> BoolArray:
        """Shape (E, 2, M)."""
        usable: BoolArray = self.reasons == _USABLE
        return usable

    def reject(self, where: BoolArray, reason: Reason) -> None:
        """Mark usable quotes as unusable; a quote keeps its first reason."""
        np.copyto(self.reasons, reason, where=where & (self.reasons == _USABLE))

    def rejected(self, row: int) -> tuple[tuple[str, int], ...]:
        """One expiration's unusable quotes by reason name, in the order of the reasons."""
        counts = np.bincount(self.reasons[row].ravel(), minlength=len(Reason))
        return tuple((name, count) for name, count in zip(_REPORTED, counts[1:].tolist(), strict=False) if count)


def inspect_quotes(chains: Sequence[OptionChain], as_of: datetime, spot: float) -> QuoteGrid:
    """The grid of all chains with every quote judged by itself and by its expiration's newest quote.

    `spot` in dollars bounds prices: a call is worth at most the stock and a put its strike, and neither less than
    exercising at once.
    """
    grid, quoted_at = _lay_out(chains)
    strikes = grid.strikes[:, None, :]
    gain = np.concatenate((spot - strikes, strikes - spot), axis=1)
    most = np.concatenate((np.full(strikes.shape, spot), strikes), axis=1)
    latest = as_of.timestamp() + CLOCK_TOLERANCE_S
    newest = np.where(quoted_at <= latest, quoted_at, 0.0).max(axis=(1, 2), keepdims=True)
    grid.reject((grid.bid <= 0) & (grid.ask <= 0), Reason.NO_MARKET)
    grid.reject(grid.bid <= 0, Reason.ZERO_BID)
    grid.reject(grid.ask <= 0, Reason.ZERO_ASK)
    grid.reject(grid.ask < grid.bid, Reason.CROSSED)
    grid.reject(quoted_at > latest, Reason.NEWER_THAN_AS_OF)
    grid.reject((quoted_at > 0) & (quoted_at < newest - STALE_AFTER_S), Reason.STALE)
    grid.reject((grid.ask < gain) | (grid.bid > most), Reason.ARBITRAGE)
    grid.reject(grid.ask - grid.bid > WIDEST_SPREAD_OF_MID * grid.mid, Reason.WIDE_SPREAD)
    return grid


def _lay_out(chains: Sequence[OptionChain]) -> tuple[QuoteGrid, FloatArray]:
    """Empty judgements, and epoch seconds of each quote (E, 2, M)."""
    width = max(len(chain.strikes) for chain in chains)
    shape = (len(chains), 2, width)
    strikes, bid, ask, quoted_at = np.empty((len(chains), width)), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    reasons = np.full(shape, Reason.UNLISTED, dtype=np.int8)
    for row, chain in enumerate(chains):
        count = len(chain.strikes)
        strikes[row, :count] = chain.strikes
        strikes[row, count:] = chain.strikes[-1]
        for side, columns in enumerate((chain.calls, chain.puts)):
            bid[row, side, :count] = columns.bid
            ask[row, side, :count] = columns.ask
            quoted_at[row, side, :count] = columns.quoted_at
            reasons[row, side, :count] = np.where(columns.present, Reason.USABLE, Reason.UNLISTED)
    two_sided = (bid > 0) & (ask > 0)
    mid = np.where(two_sided, 0.5 * (bid + ask), 0.0)
    error = np.hypot(STANDARD_ERROR_OF_SPREAD * (ask - bid), LEAST_RELATIVE_ERROR * mid)
    expirations = tuple(chain.expiration for chain in chains)
    return QuoteGrid(expirations, strikes, bid, ask, mid, np.where(two_sided, error, 1.0), reasons), quoted_at
