"""The event straddle as a position: when it expires, what it is worth the morning after, how it reacts.

Black-76 at the forward (Black 1976), where call and put have the same vega and gamma. Reads a finished surface and a
finished event; fits nothing.
"""

from datetime import date
from math import exp, sqrt
from statistics import NormalDist

from ivcrush.application.metrics.black76 import straddle_fraction
from ivcrush.application.metrics.jump_shape import JumpShape
from ivcrush.application.metrics.surface import ExpirationSurface
from ivcrush.domain.analysis import ImpliedMove, Straddle
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import MarketSnapshot

_SESSIONS_A_YEAR = 252
_NORMAL = NormalDist()


def measure_straddle(
    snapshot: MarketSnapshot, event: ExpirationSurface, implied: ImpliedMove, shape: JumpShape
) -> Straddle:
    """The at-the-forward straddle of the event's expiration.

    With D the discount, F the forward, T the years of 365 days and s the total standard deviation at the forward:
    delta D(2Φ(s/2) − 1), gamma 2Dφ(s/2)/(Fs), vega 2DFφ(s/2)√T for a whole unit of volatility. Theta is the loss over
    a session without an event. The value after the report is that of the variance that `shape` leaves without it.
    """
    variance, worth = event.atm_variance, event.discount * event.forward
    stdev = sqrt(variance)
    density = _NORMAL.pdf(stdev / 2)
    session_variance = (implied.ambient_vol_pct / 100) ** 2 / _SESSIONS_A_YEAR
    jumps = event.reports_before * (implied.jump_sigma_pct / 100) ** 2
    ordinary = shape.total_of(variance, event.reports_before) - jumps
    today = snapshot.as_of.astimezone(NEW_YORK).date()
    return Straddle(
        days=(event.expiration - today).days,
        sessions=snapshot.calendar.sessions_between(today, event.expiration),
        monthly=is_monthly(event.expiration, snapshot.calendar),
        one_sigma=_bounds(event.forward, stdev),
        two_sigma=_bounds(event.forward, 2 * stdev),
        after_report=worth * straddle_fraction(sqrt(max(0.0, ordinary))),
        delta=event.discount * (2 * _NORMAL.cdf(stdev / 2) - 1),
        gamma=2 * event.discount * density / (event.forward * stdev),
        vega=2 * worth * density * sqrt(event.years) / 100,
        theta=worth * (straddle_fraction(sqrt(max(0.0, variance - session_variance))) - straddle_fraction(stdev)),
    )


def is_monthly(expiration: date, calendar: MarketCalendar) -> bool:
    """Whether it is its month's standard expiration: the third Friday, or the session before where that is closed."""
    first = expiration.replace(day=1)
    third_friday = first.replace(day=15 + (4 - first.replace(day=15).weekday()) % 7)
    standard = third_friday if calendar.is_session(third_friday) else calendar.previous_session(third_friday)
    return expiration == standard


def _bounds(forward: float, stdev: float) -> tuple[float, float]:
    return forward * exp(-stdev), forward * exp(stdev)
