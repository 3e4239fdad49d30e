"""Which session a report moves, which expirations hold it, and how much variance time lies between moments.

The one place that maps a report to its reaction session. Never reads a clock: every moment is given.

Variance time is counted in sessions: a session weighs 1, every other day of the calendar `closed_day_weight`. The
weight of closed days is contested (French and Roll 1986: about 0.1 to 0.2 a weekend day; Jones and Shemesh 2018 on
option prices), so it is an argument, and what it does to a result is reported as model error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from ivcrush.domain import market_calendar
from ivcrush.domain.enums import Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import AnalysisRequest, FloatArray

CLOSED_DAY_WEIGHT = 0.15
CONTESTED_CLOSED_DAY_WEIGHTS = (0.0, 0.5)
SESSIONS_PER_YEAR = 252
CLOSED_DAYS_PER_YEAR = 113
# Quarterly reports follow each other by 85 to 100 days; an expiration inside that band may or may not hold the next.
EARLIEST_NEXT_REPORT_DAYS = 85
LATEST_NEXT_REPORT_DAYS = 100
_SECONDS_PER_YEAR = 365 * 86400.0


def reaction_session(report_date: date, timing: Timing, calendar: MarketCalendar) -> date:
    """The session whose close first knows the report: the next one for AMC, else the report's day or the next open one.

    `timing` UNKNOWN has no answer; asking for it is a defect.
    """
    if timing is Timing.UNKNOWN:
        raise ValueError(f"the session of the report of {report_date} is unknown")
    if timing is Timing.AMC:
        return calendar.next_session(report_date)
    return calendar.session_on_or_after(report_date)


def latest_reaction(report_date: date, timing: Timing, calendar: MarketCalendar) -> date:
    """The reaction session; of an unknown timing the later of the two."""
    return reaction_session(report_date, Timing.AMC if timing is Timing.UNKNOWN else timing, calendar)


def entry_closes_at(report_date: date, timing: Timing, calendar: MarketCalendar) -> datetime:
    """The last moment for entering the report's trade: the close before the reaction; of an unknown session the later.

    New York time.
    """
    return calendar.closes_at(calendar.previous_session(latest_reaction(report_date, timing, calendar)))


def reaction_has_begun(reaction: date, as_of: datetime, calendar: MarketCalendar) -> bool:
    """Whether the stock may already trade on the report: from the reaction session's open on."""
    return as_of >= calendar.opens_at(reaction)


def first_expiration(expirations: Iterable[date], reaction: date) -> date | None:
    """The first expiration that still trades in the reaction session, or None."""
    return min((day for day in expirations if day >= reaction), default=None)


def reports_before(
    expirations: Sequence[date], request: AnalysisRequest, timing: Timing, calendar: MarketCalendar
) -> tuple[int | None, ...]:
    """How many reports of the company react before each expiration's close; None where the calendar cannot say.

    The next report is the request's, or lies 85 to 100 days after this one; both are of the session `timing`.
    """
    report_date, following = request.report_date, request.next_report_date
    first = following or report_date + timedelta(EARLIEST_NEXT_REPORT_DAYS)
    last = following or report_date + timedelta(LATEST_NEXT_REPORT_DAYS)
    reaction, earliest, latest = (reaction_session(day, timing, calendar) for day in (report_date, first, last))
    return tuple(0 if day < reaction else 1 if day < earliest else 2 if day >= latest else None for day in expirations)


def years_to_close(as_of: datetime, expirations: Sequence[date], calendar: MarketCalendar) -> FloatArray:
    """Calendar years of 365 days from a moment to each expiration's close, shape (E,); negative once expired."""
    closes = (calendar.closes_at(calendar.session_on_or_before(day)) for day in expirations)
    return np.array([(close.timestamp() - as_of.timestamp()) / _SECONDS_PER_YEAR for close in closes])


@dataclass(frozen=True, slots=True, eq=False)
class SessionClock:
    """Variance time from one moment on; sessions and closed days are counted once, weighed as often as needed.

    `sessions` and `closed_days` have the shape (n,) of the days asked for: what lies between `as_of` and each day's
    close, today's session by the minutes that are left of it.
    """

    sessions: FloatArray
    closed_days: FloatArray

    @classmethod
    def to_closes(cls, as_of: datetime, days: Sequence[date], calendar: MarketCalendar) -> "SessionClock":
        """The clock from a moment to the close of each day; 0 for days that are over."""
        today = as_of.astimezone(NEW_YORK).date()
        first, last = today, max(*days, today)
        closed = _closed_weekdays(first, last, calendar)
        ends = np.array(days, dtype="datetime64[D]")
        start = np.datetime64(today)
        later = np.maximum(np.busday_count(start + 1, ends + 1, holidays=closed), 0)
        elapsed = np.maximum((ends - start).astype(np.int64), 0)
        left = _share_of_today_left(as_of, today, calendar)
        return cls(
            (later + np.where(ends >= start, left, 0.0)).astype(np.float64), (elapsed - later).astype(np.float64)
        )

    def variance_time(self, closed_day_weight: float = CLOSED_DAY_WEIGHT) -> FloatArray:
        """Sessions plus weighted closed days, shape (n,)."""
        return self.sessions + closed_day_weight * self.closed_days


def variance_days_per_year(closed_day_weight: float = CLOSED_DAY_WEIGHT) -> float:
    """The variance time of a year of 252 sessions."""
    return SESSIONS_PER_YEAR + CLOSED_DAYS_PER_YEAR * closed_day_weight


def _share_of_today_left(as_of: datetime, today: date, calendar: MarketCalendar) -> float:
    if not calendar.is_session(today):
        return 0.0
    opening, closing = calendar.opens_at(today), calendar.closes_at(today)
    return min(1.0, max(0.0, (closing - as_of) / (closing - opening)))


def _closed_weekdays(first: date, last: date, calendar: MarketCalendar) -> list[date]:
    """The weekdays in [first, last] without a session."""
    days = {day for year in range(first.year, last.year + 1) for day in market_calendar.holidays(year)}
    days |= set(calendar.known)
    return [day for day in days if first <= day <= last and not calendar.is_session(day)]
