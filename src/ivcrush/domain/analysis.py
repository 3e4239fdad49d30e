"""What an analysis says: one frozen block a measure, each with the units of the JSON contract.

Blocks hold numbers and reasons only; how they are computed stands in `application/metrics`. A block that could not be
computed is an `Err` in its place, never a block of zeros. `_pct` is percent; moves are of the stock price.
"""

from dataclasses import dataclass
from datetime import date, datetime

from ivcrush.domain.enums import ExecutionTier, MoveMeasure, Recommendation, SkewDirection, Timing, Trend
from ivcrush.domain.errors import AppError, Result
from ivcrush.domain.types import HistoricalMove, MarketSnapshot, MissingMove, Ticker

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImpliedMove:
    """What the options imply for the reaction session.

    `straddle_pct` is E|move| to the expiration with all ordinary volatility in it; `event_move_pct` is E|close-to-close
    move| over the reaction session alone, `event_sigma_pct` its standard deviation, `jump_sigma_pct` the jump's.
    `ambient_vol_pct` is annualised over 252 sessions, event removed. `lower`/`upper` are dollars. `quotes_rejected`
    counts what was not used, by reason code.
    """

    expiration: date
    spot: float
    forward: float
    atm_strike: float
    straddle_cost: float
    straddle_pct: float
    jump_sigma_pct: float
    event_sigma_pct: float
    event_move_pct: float
    event_move_se_pct: float
    event_move_interval_90_pct: Interval
    ambient_vol_pct: float
    event_share: float
    method: str
    quotes_used: int
    quotes_rejected: tuple[tuple[str, int], ...]
    flags: tuple[str, ...]

    @property
    def lower(self) -> float:
        """Spot less the event move, dollars; no stock falls below nothing."""
        return self.spot * max(0.0, 1 - self.event_move_pct / 100)

    @property
    def upper(self) -> float:
        """Spot plus the event move, dollars."""
        return self.spot * (1 + self.event_move_pct / 100)


@dataclass(frozen=True, slots=True)
class Straddle:
    """The at-the-forward straddle of the event's expiration, dollars a share.

    `days` are calendar days and `sessions` trading sessions to the expiration; `monthly` is whether it is its month's
    standard one. `one_sigma` and `two_sigma` bound the stock at the expiration by the straddle's own volatility.
    `after_report` is its value right after the report where the stock stands still. `gamma` is per dollar, `vega` per
    point of volatility a year, `theta` per ordinary session, below zero.
    """

    days: int
    sessions: int
    monthly: bool
    one_sigma: Interval
    two_sigma: Interval
    after_report: float
    delta: float
    gamma: float
    vega: float
    theta: float


@dataclass(frozen=True, slots=True)
class HistoryStatistics:
    """Past moves of one company by one measure; averages are of absolute values, newest move first."""

    measure: MoveMeasure
    mean_abs_pct: float
    median_abs_pct: float
    max_abs_pct: float
    inside_implied: int
    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]

    @property
    def quarters(self) -> int:
        """How many past moves went in."""
        return len(self.moves)


@dataclass(frozen=True, slots=True)
class VrpResult:
    """Implied against realised, with what chance alone would do.

    `ratio` is event move over mean absolute past move; `shrunk_ratio`, `interval_90` and the probabilities are of the
    posterior, shrunk to the cross-section of companies. `inside_probability` is P(|move| <= straddle), calibrated.
    `tail_ratio` is the largest past move over the mean.
    """

    ratio: float
    straddle_ratio: float
    shrunk_ratio: float
    interval_90: Interval
    probability_above_one: float
    probability_above_typical: float
    inside_probability: float
    edge_score: float
    tail_ratio: float
    quarters: int


@dataclass(frozen=True, slots=True)
class Consistency:
    """How alike past absolute moves are: 1 = always the same, 0 = as scattered as a heavy-tailed lottery."""

    score: float
    mad_pct: float
    weighted_mean_abs_pct: float
    effective_quarters: float
    trend_pct_per_quarter: float
    trend_se_pct_per_quarter: float
    trend: Trend


@dataclass(frozen=True, slots=True)
class Skew:
    """The smile of the event's expiration, by own implied volatilities.

    `risk_reversal_25d_pct` is IV(25-delta call) − IV(25-delta put), `butterfly_25d_pct` their mean less the ATM IV, in
    volatility points. `slope` and `curvature` are of the quadratic IV(z)/IV(0), z in ATM standard deviations.
    """

    risk_reversal_25d_pct: float
    butterfly_25d_pct: float
    atm_iv_pct: float
    slope: float
    curvature: float
    direction: SkewDirection
    concave: bool
    points: int


@dataclass(frozen=True, slots=True)
class TermPoint:
    """One expiration's ATM implied volatility, annualised over 365 days, with and without the event."""

    expiration: date
    atm_iv_pct: float
    ex_earnings_iv_pct: float | None


@dataclass(frozen=True, slots=True)
class TermStructure:
    """ATM volatility by expiration. `slope` is d ln IV / d ln T; forwards run from each expiration to the next."""

    points: tuple[TermPoint, ...]
    slope: float
    backwardation: bool
    expected_iv_crush_pct: float
    forward_vols_pct: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ExecutionQuality:
    """What trading the event's straddle and 25-delta strangle costs; costs in percent of spot, spreads of the mid."""

    tier: ExecutionTier
    straddle_spread_pct: float
    open_interest: int
    volume: int
    cost_pct: float
    cost_of_event_move_pct: float
    strangle_cost_of_event_move_pct: float | None
    depth_contracts: int
    quote_age_s: float | None
    net_event_move_pct: float


@dataclass(frozen=True, slots=True)
class TickerAnalysis:
    """One ticker's answer, and the snapshot it was computed from."""

    snapshot: MarketSnapshot
    implied_move: ImpliedMove
    straddle: Straddle
    history: Result[HistoryStatistics]
    vrp: Result[VrpResult]
    consistency: Result[Consistency]
    skew: Result[Skew]
    term_structure: Result[TermStructure]
    execution: Result[ExecutionQuality]
    recommendation: Recommendation
    tradeable: bool
    reasons: tuple[str, ...]
    flags: tuple[str, ...]

    @property
    def ticker(self) -> Ticker:
        """Whose report this is."""
        return self.snapshot.request.ticker


@dataclass(frozen=True, slots=True)
class StatedRatio:
    """What an analysis said of richness: the point ratio, the shrunk one, P(|move| <= straddle)."""

    ratio: float
    shrunk_ratio: float
    inside_probability: float


@dataclass(frozen=True, slots=True)
class Statement:
    """What a kept analysis said, as far as it can be right or wrong.

    `cost_pct` is what its quotes asked for selling the straddle and buying it back, None where they could not be
    traded; `stated` is None where there was too little history for a ratio.
    """

    number: int
    ticker: Ticker
    report_date: date
    timing: Timing
    as_of: datetime
    simulated: bool
    expiration: date
    event_move_pct: float
    straddle_pct: float
    cost_pct: float | None
    stated: StatedRatio | None
    recommendation: Recommendation
    tradeable: bool


@dataclass(frozen=True, slots=True)
class UnreadableStatement:
    """A kept analysis whose document is damaged: which one it is, as far as its row says, and what is wrong."""

    number: int
    ticker: Ticker
    report_date: str
    fault: str


@dataclass(frozen=True, slots=True)
class TickerFailure:
    """One ticker without an answer, and why."""

    ticker: str
    error: AppError
