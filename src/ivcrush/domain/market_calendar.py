"""When the New York Stock Exchange trades: sessions, early closes, and the moments they begin and end.

Rules by date, with the unscheduled closures written down, and room for what a provider's calendar says otherwise.
Never reads a clock. Right for 2013 to 2035; a test holds the rules against a kept holiday library.
Source of the rules: NYSE Rule 7.2 and the exchange's published holiday schedules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ivcrush.domain.enums import SessionState

NEW_YORK = ZoneInfo("America/New_York")
OPEN_TIME = time(9, 30)
CLOSE_TIME = time(16, 0)
EARLY_CLOSE_TIME = time(13, 0)
PREMARKET_TIME = time(4, 0)
POSTMARKET_END_TIME = time(20, 0)

# Days of mourning and storms, which no rule knows: Sandy, George H. W. Bush, Jimmy Carter.
UNSCHEDULED_CLOSURES = frozenset({date(2012, 10, 29), date(2012, 10, 30), date(2018, 12, 5), date(2025, 1, 9)})


def _easter(year: int) -> date:
    """Gregorian Easter Sunday (anonymous computus; Meeus, Astronomical Algorithms, ch. 8)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    correction = (8 * century + 13) // 25 - 2
    epact = (19 * golden + century - century // 4 - correction + 13) % 30
    weekday = (2 * (century % 4) + 2 * (of_century // 4) - epact - of_century % 4 + 32) % 7
    shift = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _observed(day: date) -> date:
    """Saturday holidays move to Friday, Sunday ones to Monday."""
    return day + timedelta({5: -1, 6: 1}.get(day.weekday(), 0))


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """The full closures of a year, unscheduled ones included."""
    last_monday_of_may = _nth_weekday(year, 6, 0, 1) - timedelta(7)
    days = {
        _nth_weekday(year, 1, 0, 3),  # Martin Luther King Jr.
        _nth_weekday(year, 2, 0, 3),  # Washington
        _easter(year) - timedelta(2),  # Good Friday
        last_monday_of_may,
        _observed(date(year, 7, 4)),
        _nth_weekday(year, 9, 0, 1),  # Labor Day
        _nth_weekday(year, 11, 3, 4),  # Thanksgiving
        _observed(date(year, 12, 25)),
    }
    if date(year, 1, 1).weekday() != 5:  # a Saturday New Year is not moved into the old year
        days.add(_observed(date(year, 1, 1)))
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days | {day for day in UNSCHEDULED_CLOSURES if day.year == year})


@lru_cache(maxsize=64)
def early_closes(year: int) -> frozenset[date]:
    """The sessions of a year that end at 13:00: before Independence Day, after Thanksgiving, Christmas Eve."""
    days = {date(year, 7, 3), _nth_weekday(year, 11, 3, 4) + timedelta(1), date(year, 12, 24)}
    return frozenset(day for day in days if day.weekday() < 5 and day not in holidays(year))


@dataclass(frozen=True, slots=True)
class SessionDay:
    """What a provider's calendar says of one day: `close` is None on a closed day, else its closing time."""

    day: date
    close: time | None


@dataclass(frozen=True, slots=True)
class MarketCalendar:
    """The rules, corrected by what a provider said of single days.

    `known` maps a day to its closing time, or to None where the provider calls it closed.
    """

    known: Mapping[date, time | None] = field(default_factory=dict)

    def close_time(self, day: date) -> time | None:
        """When the session of that day ends in New York, or None on a closed day."""
        if day in self.known:
            return self.known[day]
        if day.weekday() > 4 or day in holidays(day.year):
            return None
        return EARLY_CLOSE_TIME if day in early_closes(day.year) else CLOSE_TIME

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on that day."""
        return self.close_time(day) is not None

    def next_session(self, day: date) -> date:
        """The first session after that day."""
        return self._step(day, 1)

    def previous_session(self, day: date) -> date:
        """The last session before that day."""
        return self._step(day, -1)

    def session_on_or_after(self, day: date) -> date:
        """That day if it is a session, else the next one."""
        return day if self.is_session(day) else self.next_session(day)

    def session_on_or_before(self, day: date) -> date:
        """That day if it is a session, else the one before."""
        return day if self.is_session(day) else self.previous_session(day)

    def sessions_between(self, after: date, through: date) -> int:
        """How many sessions lie in (after, through]; 0 where `through` is not later."""
        days = (after + timedelta(n) for n in range(1, (through - after).days + 1))
        return sum(1 for day in days if self.is_session(day))

    def opens_at(self, day: date) -> datetime:
        """The opening moment of a session (09:30 New York)."""
        return datetime.combine(day, OPEN_TIME, NEW_YORK)

    def closes_at(self, day: date) -> datetime:
        """The closing moment of a session, early closes respected; asking for a closed day is a defect."""
        closing = self.close_time(day)
        if closing is None:
            raise ValueError(f"{day} is no session")
        return datetime.combine(day, closing, NEW_YORK)

    def last_finished_session(self, moment: datetime) -> date:
        """The newest session that had closed by an aware moment."""
        day = moment.astimezone(NEW_YORK).date()
        return day if self.is_session(day) and moment >= self.closes_at(day) else self.previous_session(day)

    def state_at(self, moment: datetime) -> SessionState:
        """What the exchange is doing at an aware moment."""
        local = moment.astimezone(NEW_YORK)
        closing, now = self.close_time(local.date()), local.time()
        if closing is None or not PREMARKET_TIME <= now < POSTMARKET_END_TIME:
            return SessionState.CLOSED
        if now < OPEN_TIME:
            return SessionState.PREMARKET
        return SessionState.OPEN if now < closing else SessionState.POSTMARKET

    def _step(self, day: date, direction: int) -> date:
        for _ in range(30):
            day += timedelta(direction)
            if self.is_session(day):
                return day
        raise ValueError(f"no session within 30 days of {day}")
