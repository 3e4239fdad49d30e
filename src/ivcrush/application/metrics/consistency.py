"""How alike a company's past moves are, held against what chance makes of a company that never changes.

Moves drawn from one unchanging normal distribution are not alike at all: the standard deviation of their sizes is 0.755
of the mean. So scatter is measured in units of that null and never against zero. Never predicts a move.
"""

from math import sqrt

import numpy as np

from ivcrush.application.metrics.history import absolute_moves_pct
from ivcrush.domain.analysis import Consistency, HistoryStatistics
from ivcrush.domain.enums import Trend
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import FloatArray, Ticker

MIN_MOVES = 3  # two constants of a trend and one degree of freedom for its error
HALF_LIFE_EVENTS = 8  # two years of reports
HALF_NORMAL_VARIATION = sqrt(np.pi / 2 - 1)  # sd over mean of |N(0, σ²)|: 0.7555
_DAYS_PER_QUARTER = 365.25 / 4

# Factor that makes the median absolute deviation of n sizes an unbiased estimate of their standard deviation, for
# |N(0, σ²)|, simulated; the limit is 1.5105 (median and quartiles of the half-normal). Interpolated in 1/n.
_MAD_FACTORS = (
    (3, 2.4452), (4, 2.1688), (5, 1.9658), (6, 1.8860), (7, 1.8090), (8, 1.7724),
    (10, 1.7142), (12, 1.6745), (16, 1.6284), (20, 1.6035), (40, 1.5559),
)  # fmt: skip
_MAD_FACTOR_LIMIT = 1.5105


def measure_consistency(ticker: Ticker, history: HistoryStatistics) -> Result[Consistency]:
    """Scatter, recent level and trend of the past absolute moves, by the history's measure.

    `mad_pct` is the plain median absolute deviation of the sizes from their median, percent points.
    `score` = 1/(1 + ρ), ρ² = ½·(f(n)·MAD/(0.755·mean))² + ½·(sd/(0.755·mean))²: 1 where all moves are equal, near 0.5
    where volatility merely stayed the same, lower where moves are lotteries. At 8 moves the MAD is known to ±41 %, so
    0.45 and 0.55 are the same score. The classical half keeps one huge move from being overlooked, the robust half
    keeps it from being everything.
    `weighted_mean_abs_pct` halves the weight every 8 events; `effective_quarters` = (Σw)²/Σw².
    The trend is a least-squares slope over time, percent points a quarter, stable unless beyond two standard errors.
    Errors: NODATA below 3 moves, or where all are zero.
    """
    sizes = absolute_moves_pct(history)
    if len(sizes) < MIN_MOVES or history.mean_abs_pct <= 0:
        counted = f"{len(sizes)} past moves ({np.count_nonzero(sizes)} not zero)"
        return err(ErrorCode.NODATA, f"{ticker}: {counted}, {MIN_MOVES} needed for consistency")
    deviation = float(np.median(np.abs(sizes - np.median(sizes))))
    slope, slope_se = _trend(history, sizes)
    weights = np.exp2(-np.arange(len(sizes)) / HALF_LIFE_EVENTS)
    return Ok(
        Consistency(
            score=1 / (1 + _relative_scatter(sizes, deviation)),
            mad_pct=deviation,
            weighted_mean_abs_pct=float(np.average(sizes, weights=weights)),
            effective_quarters=float(weights.sum() ** 2 / (weights**2).sum()),
            trend_pct_per_quarter=slope,
            trend_se_pct_per_quarter=slope_se,
            trend=_direction(slope, slope_se),
        )
    )


def mad_factor(count: int) -> float:
    """What turns the MAD of `count` >= 3 half-normal sizes into an unbiased standard deviation of the sizes."""
    inverse = [1 / n for n, _ in _MAD_FACTORS]
    factors = [factor for _, factor in _MAD_FACTORS]
    return float(np.interp(1 / count, [0.0, *inverse[::-1]], [_MAD_FACTOR_LIMIT, *factors[::-1]]))


def _relative_scatter(sizes: FloatArray, deviation: float) -> float:
    """Standard deviation of the sizes over that of a constant volatility: root mean square of robust and classical."""
    null = HALF_NORMAL_VARIATION * float(sizes.mean())
    robust = mad_factor(len(sizes)) * deviation / null
    classical = float(sizes.std(ddof=1)) / null
    return sqrt((robust**2 + classical**2) / 2)


def _trend(history: HistoryStatistics, sizes: FloatArray) -> tuple[float, float]:
    """Slope and its standard error, percent points a quarter, over the days between reaction sessions."""
    days = np.array([move.reaction_session.toordinal() for move in history.moves], dtype=np.float64)
    time = (days - days.mean()) / _DAYS_PER_QUARTER
    spread = float(time @ time)
    slope = float(time @ sizes) / spread
    residuals = sizes - sizes.mean() - slope * time
    return slope, sqrt(float(residuals @ residuals) / (len(sizes) - 2) / spread)


def _direction(slope: float, slope_se: float) -> Trend:
    if abs(slope) <= 2 * slope_se + 1e-9:  # the last term: rounding is no trend
        return Trend.STABLE
    return Trend.INCREASING if slope > 0 else Trend.DECREASING
