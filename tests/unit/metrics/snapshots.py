"""A company whose options are priced by Black's formula, by hand: known jump, known ordinary volatility, no rate.

It reports on Wednesday 20 May 2026 after the close; the moment is the Friday before, a quarter of an hour before the
close. A session's ordinary variance is 0.25²/252, the jump's 0.06², so the expected move over the reaction session is
√(2/π)·√(0.06² + 0.25²/252) = 4.95 %, within a fiftieth.
"""

from datetime import date, datetime, timedelta
from math import erf, log, sqrt

import numpy as np

from ivcrush.domain.enums import DateStatus, ReportSource, SessionState, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import (
    AnalysisRequest,
    EvaluationSettings,
    HistoricalMove,
    MarketSnapshot,
    MissingMove,
    OptionChain,
    OptionColumns,
    RealisedVolatility,
    Ticker,
    UnderlyingQuote,
)

TICKER = Ticker("IBM")
AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
REPORT, REACTION = date(2026, 5, 20), date(2026, 5, 21)
EXPIRATIONS = (date(2026, 5, 22), date(2026, 5, 29), date(2026, 6, 12), date(2026, 6, 18))
SPOT, AMBIENT, JUMP_SIGMA = 100.0, 0.25, 0.06
STRIKES = np.arange(70.0, 131.0, 1.0)
EVENT_MOVE_PCT = 100 * sqrt(2 / np.pi) * sqrt(JUMP_SIGMA**2 + AMBIENT**2 / 252)


def snapshot(
    *,
    past_moves_pct: tuple[float, ...] = (2.0, -2.5, 3.0, -2.0, 2.5, -3.0, 2.0, -2.5, 3.0, -2.0, 2.5, -3.0),
    jump_sigma: float = JUMP_SIGMA,
    spread: float = 0.02,
    open_interest: int = 5_000,
    timing: Timing = Timing.AMC,
    status: DateStatus = DateStatus.CONFIRMED,
    flags: tuple[str, ...] = (),
    state: SessionState = SessionState.OPEN,
    missing: tuple[MissingMove, ...] = (),
) -> MarketSnapshot:
    """Everything for a tradeable answer, unless an argument takes something away."""
    return MarketSnapshot(
        request=AnalysisRequest(TICKER, REPORT, timing, status, ReportSource.ALPHA_VANTAGE, flags=flags),
        as_of=AS_OF,
        quote=UnderlyingQuote(TICKER, SPOT - 0.01, SPOT + 0.01, SPOT, SPOT, AS_OF, AS_OF),
        expirations=EXPIRATIONS,
        chains=tuple(chain(day, jump_sigma, spread, open_interest) for day in EXPIRATIONS),
        moves=moves(past_moves_pct),
        missing=missing,
        dividends=(),
        realised=RealisedVolatility(AMBIENT, 120, date(2026, 5, 14)),
        settings=EvaluationSettings(risk_free_rate_pct=0.0),
        session_state=state,
    )


def moves(pcts: tuple[float, ...]) -> tuple[HistoricalMove, ...]:
    """One a quarter, newest first."""
    days = [date(2026, 2, 19) - timedelta(91 * quarter) for quarter in range(len(pcts))]
    return tuple(
        HistoricalMove(day, Timing.AMC, day + timedelta(1), 100.0, pct, pct / 2, pct / 2, pct)
        for day, pct in zip(days, pcts, strict=True)
    )


def chain(expiration: date, jump_sigma: float, spread: float, open_interest: int) -> OptionChain:
    """Quotes `spread` dollars around Black's values, made a minute ago."""
    sessions = MarketCalendar().sessions_between(AS_OF.date(), expiration) + 15 / 390
    jump = jump_sigma**2 if expiration >= REACTION else 0.0
    calls = np.array([_call(float(strike), sqrt(AMBIENT**2 * sessions / 252 + jump)) for strike in STRIKES])
    sides = (_columns(values, spread, open_interest) for values in (calls, calls - SPOT + STRIKES))
    return OptionChain(TICKER, expiration, STRIKES, *sides)


def _call(strike: float, stdev: float) -> float:
    upper = log(SPOT / strike) / stdev + stdev / 2
    return SPOT * _normal(upper) - strike * _normal(upper - stdev)


def _normal(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2


def _columns(values: np.ndarray, spread: float, open_interest: int) -> OptionColumns:
    count, empty = len(values), np.zeros(len(values))
    whole = np.full(count, 100)
    return OptionColumns(
        present=np.ones(count, dtype=np.bool_),
        bid=np.maximum(np.round(values - spread / 2, 2), 0.0),
        ask=np.round(np.maximum(values, 0.0) + spread / 2 + 0.005, 2),
        bid_size=whole,
        ask_size=whole,
        volume=whole,
        open_interest=np.full(count, open_interest),
        iv=empty,
        quoted_at=np.full(count, AS_OF.timestamp() - 60),
    )
