"""How alike a company's past moves are, held against what chance makes of a company that never changes.

Moves drawn from one unchanging normal distribution are not alike at all: the standard deviation of their sizes is 0.755
of the mean. So scatter is measured in units of that null and never against zero. Never predicts a move.
"""

from collections.abc import Sequence
from math import inf, pi, sqrt
from statistics import fmean, median

from ivcrush.application.metrics.history import absolute_moves_pct
from ivcrush.domain.analysis import Consistency, HistoryStatistics
from ivcrush.domain.enums import Trend
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker

MIN_MOVES = 3  # two constants of a trend and one degree of freedom for its error
HALF_LIFE_EVENTS = 8  # two years of reports
HALF_NORMAL_VARIATION = sqrt(pi / 2 - 1)  # sd over mean of |N(0, σ²)|: 0.7555
_DAYS_PER_QUARTER = 365.25 / 4

# Factor that makes the median absolute deviation of n sizes an unbiased estimate of their standard deviation, for
# |N(0, σ²)|, simulated; the limit is 1.5105 (median and quartiles of the half-normal). Interpolated in 1/n.
_MAD_FACTORS = (
    (3, 2.4452), (4, 2.1688), (5, 1.9658), (6, 1.8860), (7, 1.8090), (8, 1.7724),
    (10, 1.7142), (12, 1.6745), (16, 1.6284), (20, 1.6035), (40, 1.5559),
)  # fmt: skip
_MAD_FACTOR_LIMIT = (inf, 1.5105)


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
        counted = f"{len(sizes)} past moves ({sum(size > 0 for size in sizes)} not zero)"
        return err(ErrorCode.NODATA, f"{ticker}: {counted}, {MIN_MOVES} needed for consistency")
    middle = median(sizes)
    deviation = median(abs(size - middle) for size in sizes)
    slope, slope_se = _trend(history, sizes)
    weights = [2 ** (-age / HALF_LIFE_EVENTS) for age in range(len(sizes))]
    return Ok(
        Consistency(
            score=1 / (1 + _relative_scatter(sizes, deviation)),
            mad_pct=deviation,
            weighted_mean_abs_pct=_dot(weights, sizes) / sum(weights),
            effective_quarters=sum(weights) ** 2 / _dot(weights, weights),
            trend_pct_per_quarter=slope,
            trend_se_pct_per_quarter=slope_se,
            trend=_direction(slope, slope_se),
        )
    )


def mad_factor(count: int) -> float:
    """What turns the MAD of `count` >= 3 half-normal sizes into an unbiased standard deviation of the sizes."""
    more = next((row for row in _MAD_FACTORS if row[0] >= count), _MAD_FACTOR_LIMIT)
    fewer = next(row for row in reversed(_MAD_FACTORS) if row[0] <= count)
    if more[0] == count:
        return more[1]
    share = (1 / count - 1 / more[0]) / (1 / fewer[0] - 1 / more[0])
    return more[1] + share * (fewer[1] - more[1])


def _relative_scatter(sizes: Sequence[float], deviation: float) -> float:
    """Standard deviation of the sizes over that of a constant volatility: root mean square of robust and classical."""
    mean = fmean(sizes)
    variance = sum((size - mean) ** 2 for size in sizes) / (len(sizes) - 1)
    robust = mad_factor(len(sizes)) * deviation
    return sqrt((robust**2 + variance) / 2) / (HALF_NORMAL_VARIATION * mean)


def _trend(history: HistoryStatistics, sizes: Sequence[float]) -> tuple[float, float]:
    """Slope and its standard error, percent points a quarter, over the days between reaction sessions."""
    days = [move.reaction_session.toordinal() for move in history.moves]
    middle, mean = fmean(days), fmean(sizes)
    time = [(day - middle) / _DAYS_PER_QUARTER for day in days]
    spread = _dot(time, time)
    slope = _dot(time, sizes) / spread
    residuals = [size - mean - slope * at for at, size in zip(time, sizes, strict=True)]
    return slope, sqrt(_dot(residuals, residuals) / (len(sizes) - 2) / spread)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _direction(slope: float, slope_se: float) -> Trend:
    if abs(slope) <= 2 * slope_se + 1e-9:  # the last term: rounding is no trend
        return Trend.STABLE
    return Trend.INCREASING if slope > 0 else Trend.DECREASING
