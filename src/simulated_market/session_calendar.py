"""When the New York Stock Exchange trades: holidays, 13:00 closes and session arithmetic, by rule.

Written from the exchange's published rules for the years the simulated market covers (2015 on). It never asks a clock
and shares nothing with the calendar of the program under test: two readings of the rules should meet, not one.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

EASTERN: Final = ZoneInfo("America/New_York")
OPENING: Final = time(9, 30)
CLOSING: Final = time(16, 0)
EARLY_CLOSING: Final = time(13, 0)
_ONE_DAY: Final = timedelta(days=1)
_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6

# Days of mourning, announced days ahead and in no rule: G. H. W. Bush, J. Carter.
_UNSCHEDULED: Final = {date(2018, 12, 5): "National Day of Mourning", date(2025, 1, 9): "National Day of Mourning"}


def is_session(day: date) -> bool:
    """Whether stocks trade on `day`."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def holiday_name(day: date) -> str | None:
    """The name of the holiday that closes a weekday, None on sessions and weekends."""
    return _holidays(day.year).get(day)


def closing_time(day: date) -> time:
    """16:00, or 13:00 on the three half days; the caller knows that `day` is a session."""
    return EARLY_CLOSING if _is_half_day(day) else CLOSING


def opening_moment(day: date) -> datetime:
    """The opening bell of a session, with zone."""
    return datetime.combine(day, OPENING, EASTERN)


def closing_moment(day: date) -> datetime:
    """The closing bell of a session, with zone."""
    return datetime.combine(day, closing_time(day), EASTERN)


def session_on_or_after(day: date) -> date:
    """The first session that is not before `day`."""
    while not is_session(day):
        day += _ONE_DAY
    return day


def session_on_or_before(day: date) -> date:
    """The last session that is not after `day`."""
    while not is_session(day):
        day -= _ONE_DAY
    return day


def next_session(day: date) -> date:
    """The first session after `day`."""
    return session_on_or_after(day + _ONE_DAY)


def previous_session(day: date) -> date:
    """The last session before `day`."""
    return session_on_or_before(day - _ONE_DAY)


def sessions_ahead(day: date, count: int) -> date:
    """The session `count` sessions after the session `day`."""
    for _ in range(count):
        day = next_session(day)
    return day


@lru_cache(maxsize=4096)
def count_sessions(after: date, through: date) -> int:
    """How many sessions lie in (after, through]."""
    return len(sessions_between(after + _ONE_DAY, through))


@lru_cache(maxsize=512)
def sessions_between(first: date, last: date) -> tuple[date, ...]:
    """Every session from `first` to `last`, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(day for day in days if is_session(day))


def monthly_expiration(year: int, month: int) -> date:
    """The third Friday, or the session before it where that Friday is a holiday."""
    return session_on_or_before(_nth_weekday(year, month, _FRIDAY, 3))


@lru_cache(maxsize=64)
def _holidays(year: int) -> dict[date, str]:
    found = {day: name for day, name in _UNSCHEDULED.items() if day.year == year}
    found |= {  # June's first Monday less a week is May's last, also when May has five
        _nth_weekday(year, 1, _MONDAY, 3): "Martin Luther King, Jr. Day",
        _nth_weekday(year, 2, _MONDAY, 3): "Washington's Birthday",
        _easter(year) - timedelta(days=2): "Good Friday",
        _nth_weekday(year, 6, _MONDAY, 1) - timedelta(days=7): "Memorial Day",
        _observed(date(year, 7, 4)): "Independence Day",
        _nth_weekday(year, 9, _MONDAY, 1): "Labor Day",
        _nth_weekday(year, 11, _THURSDAY, 4): "Thanksgiving Day",
        _observed(date(year, 12, 25)): "Christmas Day",
    }
    if year >= 2022:
        found[_observed(date(year, 6, 19))] = "Juneteenth"
    if (
        date(year, 1, 1).weekday() != _SATURDAY
    ):  # a Saturday New Year is not made up: the old year's books close on Friday
        found[_observed(date(year, 1, 1))] = "New Years Day"
    return found


@lru_cache(maxsize=4096)
def _is_half_day(day: date) -> bool:
    if (day.month == 7 and day.day == 3) or (day.month == 12 and day.day == 24):
        return day.weekday() <= _THURSDAY
    return day == _nth_weekday(day.year, 11, _THURSDAY, 4) + _ONE_DAY


def _observed(day: date) -> date:
    shift = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift)


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """Gregorian Easter Sunday by the anonymous algorithm of 1876 (Meeus, Astronomical Algorithms, chapter 8)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    skipped, leap = divmod(century, 4)
    moon = (19 * golden + century - skipped - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    quarter, odd = divmod(rest, 4)
    weekday = (32 + 2 * leap + 2 * quarter - moon - odd) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
