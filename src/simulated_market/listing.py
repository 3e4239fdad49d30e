"""Which contracts exist: Friday weeklies, monthlies, January leaps, a fund's quarter ends, and strikes on a grid.

It prices nothing.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, sqrt

from simulated_market.companies import Company
from simulated_market.session_calendar import monthly_expiration, session_on_or_before

_WEEKLIES = 7
_MOST_STRIKES_A_SIDE = 32


@dataclass(frozen=True, slots=True)
class Expiration:
    """One expiration day and Tradier's word for its kind."""

    day: date
    kind: str  # "weeklys", "standard" or "quarterlys"


def expirations(company: Company, today: date) -> tuple[Expiration, ...]:
    """The listed expirations from `today` on (today's own included), nearest first; empty without options."""
    if not company.has_options:
        return ()
    monthlies = {day for day in _monthlies(today) if day >= today}
    found = dict.fromkeys(monthlies, "standard")
    if company.has_weeklies:
        for week in range(_WEEKLIES):
            friday = today + timedelta(days=(4 - today.weekday()) % 7 + 7 * week)
            day = session_on_or_before(friday)
            if day >= today:
                found.setdefault(day, "weeklys")
    if company.kind == "etf":
        for day in _quarter_ends(today):
            found.setdefault(day, "quarterlys")
    return tuple(Expiration(day, found[day]) for day in sorted(found))


def strikes(forward: float, total_variance: float, liquidity: float) -> tuple[float, ...]:
    """Strikes around the forward: dense to two standard deviations, twice as wide beyond, at least nine in all."""
    deviation = min(max(sqrt(total_variance), 0.02), 0.7)
    step = _step(forward, deviation, liquidity)
    centre = round(forward / step)
    below = forward - forward * exp(-4.2 * deviation)
    above = forward * exp(4.2 * deviation) - forward
    dense = 2.0 * deviation * forward
    grid = {centre * step}
    for side, reach in ((-1, below), (1, above)):
        for rank in range(1, _MOST_STRIKES_A_SIDE + 1):
            distance = rank * step
            if rank <= 4 or distance <= dense or (distance <= reach and (centre + side * rank) % 2 == 0):
                grid.add(round((centre + side * rank) * step, 2))
    return tuple(sorted(strike for strike in grid if strike > 0.0))


def _monthlies(today: date) -> list[date]:
    """This and the next five months, then the following January and the one after."""
    first = today.year * 12 + today.month - 1
    months = {first + n for n in range(7)} | {12 * (today.year + 1), 12 * (today.year + 2)}
    return [monthly_expiration(month // 12, month % 12 + 1) for month in sorted(months)]


def _quarter_ends(today: date) -> list[date]:
    """The last session of this and the next two calendar quarters; funds list options on them."""
    first = today.year * 4 + (today.month - 1) // 3
    starts = (date((first + n) // 4, 3 * ((first + n) % 4) + 1, 1) for n in (1, 2, 3))
    return [session_on_or_before(start - timedelta(days=1)) for start in starts]


def _step(forward: float, deviation: float, liquidity: float) -> float:
    allowed = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0)
    wanted = forward * deviation / (7.0 if liquidity > 0.45 else 3.5)
    smallest = 0.5 if forward < 100.0 else 1.0 if forward < 200.0 else 2.5
    return next((step for step in allowed if step >= max(wanted, smallest)), 25.0)
