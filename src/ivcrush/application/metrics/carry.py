"""Rates, dividends and the report on each expiration's calendar: what pricing needs of a snapshot besides quotes.

Turns dates into years; nothing here looks at an option price.
"""

from collections.abc import Sequence
from datetime import date, datetime, time

import numpy as np

from ivcrush.application.metrics.early_exercise import ExerciseContext
from ivcrush.application.metrics.event_variance import two_expiration_variances
from ivcrush.application.metrics.forward import Carry
from ivcrush.application.metrics.session_clock import years_to_close
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Dividend, FloatArray, MarketSnapshot

_SECONDS_PER_YEAR = 365 * 86400.0


def carry_of(snapshot: MarketSnapshot, expirations: Sequence[date], spot: float) -> Carry:
    """Spot, discount and the value of the dividends on each expiration day; the rate compounds continuously."""
    rate = _rate(snapshot)
    years = years_to_close(snapshot.as_of, expirations, snapshot.calendar)
    dividends = [
        sum(each.amount * np.exp(rate * (end - each.ex_date).days / 365) for each in _dividends(snapshot, end))
        for end in expirations
    ]
    return Carry(spot, years, np.exp(-rate * years), np.array(dividends, dtype=np.float64))


def exercise_context(
    snapshot: MarketSnapshot,
    expirations: Sequence[date],
    variance: FloatArray,
    reports: Sequence[int],
    reaction: date,
) -> ExerciseContext:
    """When dividends and report come, and the report's rough share of each total variance (E,)."""
    counts = np.array(reports)
    years = years_to_close(snapshot.as_of, expirations, snapshot.calendar)
    jump = _rough_jump(snapshot, variance, years, counts)
    lumps = np.where((counts > 0) & (variance > 0), jump / np.maximum(variance, 1e-300), 0.0)
    dividends = tuple(
        tuple((_years_to(snapshot, each.ex_date), each.amount) for each in _dividends(snapshot, end))
        for end in expirations
    )
    return ExerciseContext(_rate(snapshot), dividends, np.clip(lumps, 0.0, 0.99), _years_to(snapshot, reaction))


def _rate(snapshot: MarketSnapshot) -> float:
    return snapshot.settings.risk_free_rate_pct / 100


def _dividends(snapshot: MarketSnapshot, expiration: date) -> list[Dividend]:
    """Those that go ex after today and by the expiration, first one first."""
    today = snapshot.as_of.astimezone(NEW_YORK).date()
    inside = (each for each in snapshot.dividends if today < each.ex_date <= expiration)
    return sorted(inside, key=lambda each: each.ex_date)


def _years_to(snapshot: MarketSnapshot, day: date) -> float:
    """To the midnight before a day: the last exercise before what happens that day is at the close before."""
    left_s = datetime.combine(day, time(), NEW_YORK).timestamp() - snapshot.as_of.timestamp()
    return max(left_s / _SECONDS_PER_YEAR, 0.0)


def _rough_jump(snapshot: MarketSnapshot, variance: FloatArray, years: FloatArray, counts: FloatArray) -> float:
    """The report's variance to within a few ordinary days."""
    after, before = np.flatnonzero((counts > 0) & (variance > 0)), np.flatnonzero((counts == 0) & (variance > 0))
    if not len(after):
        return 0.0
    first, last = int(after[0]), int(after[-1])
    if first != last:
        jump, _ = two_expiration_variances(
            float(variance[first]), float(years[first]), float(variance[last]), float(years[last])
        )
    elif len(before):
        jump = float(variance[first] - variance[before[-1]] * years[first] / years[before[-1]])
    elif snapshot.realised is not None:
        jump = float(variance[first]) - snapshot.realised.annual**2 * float(years[first])
    else:
        jump = 0.5 * float(variance[first])
    return max(jump, 0.0)
