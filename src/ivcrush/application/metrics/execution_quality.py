"""What it costs to trade the event: spreads, depth and age of the straddle's and the strangle's quotes, and a tier.

Judges quotes only; whether the trade is a good one is judged elsewhere.

| tier      | straddle spread, of `max_spread_pct` | open interest of the thinner leg, of `min_open_interest` |
|-----------|--------------------------------------|----------------------------------------------------------|
| excellent | at most 25 %                         | at least 4 times                                         |
| good      | at most 50 %                         | at least 2 times                                         |
| warning   | at most 100 %                        | at least once                                            |
| reject    | wider, or a leg without a bid        | less                                                     |

Outside the regular session, and on quotes older than 20 minutes, no tier is better than warning.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ivcrush.application.metrics.black76 import straddle_fraction, straddle_stdev
from ivcrush.domain.analysis import ExecutionQuality, ImpliedMove
from ivcrush.domain.enums import ExecutionTier, Right, SessionState
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import EvaluationSettings, OptionChain

STALE_AFTER_S = 1200.0
_D1_25 = 0.6744897501960817  # Φ⁻¹(0.75)
_TIERS = ((ExecutionTier.EXCELLENT, 0.25, 4), (ExecutionTier.GOOD, 0.5, 2), (ExecutionTier.WARNING, 1.0, 1))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A call and a put as one order: `bid`, `ask` their sums in dollars, the rest of the thinner or older leg."""

    bid: float
    ask: float
    both_bid: bool
    crossed: bool
    size: int
    open_interest: int
    volume: int
    quoted_at: float

    @property
    def spread(self) -> float:
        """Dollars between selling and buying the pair."""
        return self.ask - self.bid

    @property
    def mid(self) -> float:
        """Dollars."""
        return (self.bid + self.ask) / 2


def measure_execution(
    chain: OptionChain,
    implied: ImpliedMove,
    settings: EvaluationSettings,
    as_of: datetime,
    session_state: SessionState,
) -> Result[ExecutionQuality]:
    """Cost of the straddle at `implied.atm_strike` and of the 25-delta strangle, and how tradeable they are.

    `straddle_spread_pct` is the two spreads over the straddle's mid. `cost_pct` is the two spreads in percent of spot:
    selling at the bids and buying back at the asks; `…_of_event_move_pct` the same in percent of the event move.
    Open interest, volume and depth (sizes of bid and ask, contracts) are of the thinner leg, the age of the older one.
    `net_event_move_pct` is the event move that a seller at the bids collects: its at-the-forward variance less what
    the bids take off the straddle's, so without a spread it is the event move. Errors: NODATA without a straddle
    market, INVALID for a crossed one.
    """
    index = chain.nearest_index(implied.atm_strike)
    straddle = _pair(chain, index, index)
    name = f"{chain.ticker}: straddle {chain.strikes[index]:g} of {chain.expiration}"
    if straddle is None:
        return err(ErrorCode.NODATA, f"{name} has no offer on both legs; none can be bought back")
    if straddle.crossed:
        return err(ErrorCode.INVALID, f"{name} is crossed (bid {straddle.bid:g}, ask {straddle.ask:g})")
    age_s = max(0.0, as_of.timestamp() - straddle.quoted_at) if straddle.quoted_at > 0 else None
    cost_pct = straddle.spread / implied.spot * 100
    strangle = _strangle(chain, implied)
    return Ok(
        ExecutionQuality(
            tier=_tier(straddle, settings, age_s, session_state),
            straddle_spread_pct=straddle.spread / straddle.mid * 100,
            open_interest=straddle.open_interest,
            volume=straddle.volume,
            cost_pct=cost_pct,
            cost_of_event_move_pct=cost_pct / implied.event_move_pct * 100,
            strangle_cost_of_event_move_pct=_cost_of_event_move_pct(strangle, implied),
            depth_contracts=straddle.size,
            quote_age_s=age_s,
            net_event_move_pct=_net_event_move_pct(straddle, implied),
        )
    )


def _pair(chain: OptionChain, call: int, put: int) -> _Pair | None:
    """The call at one index and the put at another; None where either has no offer."""
    legs = ((chain.columns(Right.CALL), call), (chain.columns(Right.PUT), put))
    if any(side.ask[at] <= 0 for side, at in legs):
        return None
    return _Pair(
        bid=float(sum(side.bid[at] for side, at in legs)),
        ask=float(sum(side.ask[at] for side, at in legs)),
        both_bid=all(side.bid[at] > 0 for side, at in legs),
        crossed=any(side.bid[at] > side.ask[at] for side, at in legs),
        size=int(min(min(side.bid_size[at], side.ask_size[at]) for side, at in legs)),
        open_interest=int(min(side.open_interest[at] for side, at in legs)),
        volume=int(min(side.volume[at] for side, at in legs)),
        quoted_at=float(min(side.quoted_at[at] for side, at in legs)),
    )


def _strangle(chain: OptionChain, implied: ImpliedMove) -> _Pair | None:
    """The listed strikes nearest 25 forward delta at the straddle's volatility; None where they are not quoted."""
    stdev = straddle_stdev(_fraction_of_forward(implied))
    call, put = (
        chain.nearest_index(implied.forward * float(np.exp(stdev * (side + stdev / 2)))) for side in (_D1_25, -_D1_25)
    )
    strangle = _pair(chain, call, put) if put < call else None
    return strangle if strangle is not None and strangle.both_bid and not strangle.crossed else None


def _cost_of_event_move_pct(pair: _Pair | None, implied: ImpliedMove) -> float | None:
    return None if pair is None else pair.spread / implied.spot * 1e4 / implied.event_move_pct


def _fraction_of_forward(implied: ImpliedMove) -> float:
    """The straddle over the forward; discounting over the days of an event is left out."""
    return implied.straddle_pct / 100 * implied.spot / implied.forward


def _net_event_move_pct(straddle: _Pair, implied: ImpliedMove) -> float:
    """4Φ(s/2) − 2 with s² that of the event move, less what the bids take off the straddle's; never below 0.

    Both are variances as at-the-forward options show them: a shaped jump's true variance is of another kind.
    """
    fraction = _fraction_of_forward(implied)
    lost = straddle_stdev(fraction) ** 2 - straddle_stdev(fraction * straddle.bid / straddle.mid) ** 2
    remaining = max(0.0, straddle_stdev(implied.event_move_pct / 100) ** 2 - lost)
    return straddle_fraction(remaining**0.5) * 100


def _tier(
    straddle: _Pair, settings: EvaluationSettings, age_s: float | None, session_state: SessionState
) -> ExecutionTier:
    """The best row of the table at the head of this file that spread and open interest both meet."""
    spread_pct = straddle.spread / straddle.mid * 100
    for tier, spread_share, interest_times in _TIERS:
        tight = spread_pct <= spread_share * settings.max_spread_pct
        if straddle.both_bid and tight and straddle.open_interest >= interest_times * settings.min_open_interest:
            live = session_state is SessionState.OPEN and (age_s is None or age_s <= STALE_AFTER_S)
            return tier if live else ExecutionTier.WARNING
    return ExecutionTier.REJECT
