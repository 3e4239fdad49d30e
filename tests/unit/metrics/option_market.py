"""Small option markets priced by hand's formula: European, no rate and no dividend unless said, tight quotes."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from math import erf, exp, log, sqrt

import numpy as np

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    Dividend,
    EvaluationSettings,
    MarketSnapshot,
    OptionChain,
    OptionColumns,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

XYZ = Ticker("XYZ")
AS_OF = datetime(2026, 5, 14, 15, 59, tzinfo=NEW_YORK)  # a Thursday
REPORT = date(2026, 5, 14)  # after that close: Friday reacts
FRIDAY, NEXT, THIRD, FOURTH = date(2026, 5, 15), date(2026, 5, 22), date(2026, 5, 29), date(2026, 6, 18)
BEFORE = date(2026, 5, 14)
SPOT = 100.0


def normal_cdf(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def black_call(forward: float, strike: float, stdev: float) -> float:
    """Undiscounted."""
    upper = log(forward / strike) / stdev + stdev / 2
    return forward * normal_cdf(upper) - strike * normal_cdf(upper - stdev)


def smile_of(stdev: float, slope: float = 0.0, curvature: float = 0.0) -> Callable[[float], float]:
    """s(z) = s·(1 + slope·z + curvature·z²), z in standard deviations."""
    return lambda moneyness: stdev * (1 + slope * moneyness / stdev + curvature * (moneyness / stdev) ** 2)


def chain(
    expiration: date,
    smile: Callable[[float], float],
    *,
    forward: float = SPOT,
    discount: float = 1.0,
    strikes: Sequence[float] | None = None,
    half_spread: float = 0.005,
    quoted_at: datetime = AS_OF,
) -> OptionChain:
    """Quotes around Black's price; no spread below a bid of one cent."""
    grid = np.array(strikes if strikes is not None else np.arange(0.6, 1.401, 0.02) * SPOT, dtype=np.float64)
    calls = [discount * black_call(forward, float(k), smile(log(k / forward))) for k in grid]
    puts = [value - discount * (forward - float(k)) for value, k in zip(calls, grid, strict=True)]
    sides = [columns(np.array(values), half_spread, quoted_at) for values in (calls, puts)]
    return OptionChain(XYZ, expiration, grid, sides[0], sides[1])


def columns(values: np.ndarray, half_spread: float, quoted_at: datetime = AS_OF) -> OptionColumns:
    """A side of a chain whose mids are `values`; worthless options have no bid."""
    bid = np.where(values > 2 * half_spread, values - half_spread, 0.0)
    whole, nothing = np.full(len(values), 100, dtype=np.int64), np.zeros(len(values))
    return OptionColumns(
        present=np.ones(len(values), dtype=np.bool_),
        bid=bid,
        ask=values + half_spread,
        bid_size=whole,
        ask_size=whole,
        volume=whole,
        open_interest=whole,
        iv=nothing,
        quoted_at=np.full(len(values), quoted_at.timestamp()),
    )


def event_chains(
    jump: float = 0.06,
    daily: float = 0.02,
    days: Sequence[tuple[date, float, int]] = ((FRIDAY, 1, 1), (NEXT, 6, 1), (THIRD, 10, 1), (FOURTH, 24, 1)),
    curvature: float = 0.0,
) -> tuple[OptionChain, ...]:
    """Expirations with total variance n·jump² + days·daily²."""
    return tuple(
        chain(day, smile_of(sqrt(count * jump**2 + length * daily**2), curvature=curvature))
        for day, length, count in days
    )


def snapshot(
    chains: Sequence[OptionChain],
    *,
    timing: Timing = Timing.AMC,
    report: date = REPORT,
    as_of: datetime = AS_OF,
    realised: float | None = 0.02 * sqrt(252),
    expiration: date | None = None,
    next_report: date | None = None,
    dividends: Sequence[tuple[date, float]] = (),
    rate_pct: float = 0.0,
    spot: float = SPOT,
    bid_ask: tuple[float, float] | None = None,
    last: float | None = SPOT,
) -> MarketSnapshot:
    """One company's moment."""
    bid, ask = bid_ask if bid_ask is not None else (spot * 0.9999, spot * 1.0001)
    return MarketSnapshot(
        request=AnalysisRequest(
            XYZ, report, timing, DateStatus.CONFIRMED, ReportSource.ARGUMENT, expiration, next_report
        ),
        as_of=as_of,
        quote=UnderlyingQuote(XYZ, bid, ask, last, spot, as_of, as_of),
        expirations=tuple(each.expiration for each in chains),
        chains=tuple(chains),
        moves=(),
        missing=(),
        dividends=tuple(Dividend(day, amount) for day, amount in dividends),
        realised=None if realised is None else RealisedVolatility(realised, 240, as_of.date()),
        settings=EvaluationSettings(risk_free_rate_pct=rate_pct),
        calendar=MarketCalendar(),
    )


def expected_move_pct(variance: float) -> float:
    """100·(4Φ(σ/2) − 2) by hand."""
    return 100 * (4 * normal_cdf(sqrt(variance) / 2) - 2)


def carried(rate: float, days: int) -> tuple[float, float]:
    """Forward of 100 and discount after calendar days."""
    return SPOT * exp(rate * days / 365), exp(-rate * days / 365)
