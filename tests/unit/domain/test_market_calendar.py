"""When the exchange trades: against a kept holiday library, and facts anybody can look up."""

from datetime import UTC, date, datetime, time, timedelta

import holidays as holiday_library
import pytest

from ivcrush.domain.enums import SessionState
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar, SessionDay, early_closes, holidays

YEARS = range(2013, 2036)
RULES = MarketCalendar()


def new_york(*moment):
    return datetime(*moment, tzinfo=NEW_YORK)


@pytest.mark.parametrize("year", YEARS)
def test_full_closures_are_those_of_a_kept_holiday_library(year):
    listed = holiday_library.financial_holidays("NYSE", years=year)
    assert {day for day in holidays(year) if day.weekday() < 5} == {day for day in listed if day.weekday() < 5}


@pytest.mark.parametrize("year", YEARS)
def test_early_closes_are_those_of_a_kept_holiday_library(year):
    half_days = holiday_library.financial_holidays("NYSE", years=year, categories=(holiday_library.constants.HALF_DAY,))
    assert early_closes(year) == {day for day in half_days if day not in holidays(year)}


@pytest.mark.parametrize(
    ("day", "closes"),
    [
        (date(2025, 1, 9), None),  # mourning for Jimmy Carter
        (date(2018, 12, 5), None),  # mourning for George H. W. Bush
        (date(2026, 4, 3), None),  # Good Friday
        (date(2024, 3, 29), None),  # Good Friday of an early Easter
        (date(2026, 7, 3), None),  # Independence Day falls on a Saturday
        (date(2027, 7, 5), None),  # Independence Day falls on a Sunday
        (date(2022, 6, 20), None),  # Juneteenth falls on a Sunday
        (date(2021, 6, 18), time(16)),  # no exchange holiday yet
        (date(2021, 12, 31), time(16)),  # New Year's Day falls on a Saturday and is not moved
        (date(2023, 1, 2), None),  # New Year's Day falls on a Sunday
        (date(2021, 5, 31), None),  # Memorial Day, the fifth Monday of May
        (date(2026, 5, 16), None),  # a Saturday
        (date(2025, 7, 3), time(13)),
        (date(2025, 11, 28), time(13)),
        (date(2025, 12, 24), time(13)),
        (date(2026, 12, 24), time(13)),
        (date(2021, 12, 24), None),  # Christmas Day falls on a Saturday
        (date(2022, 12, 23), time(16)),  # Christmas Eve falls on a Saturday
        (date(2026, 7, 2), time(16)),
    ],
)
def test_closing_time_of_a_day_anyone_can_look_up(day, closes):
    assert RULES.close_time(day) == closes
    assert RULES.is_session(day) is (closes is not None)


def test_what_a_provider_says_of_a_day_wins_over_the_rules():
    said = (
        SessionDay(date(2026, 5, 16), time(16)),
        SessionDay(date(2026, 5, 18), None),
        SessionDay(date(2026, 5, 19), time(13)),
    )
    calendar = MarketCalendar({each.day: each.close for each in said})
    assert not calendar.is_session(date(2026, 5, 18))
    assert calendar.closes_at(date(2026, 5, 19)) == new_york(2026, 5, 19, 13)
    assert calendar.next_session(date(2026, 5, 15)) == date(2026, 5, 16)


def test_the_session_after_a_thursday_before_good_friday_is_monday():
    assert RULES.next_session(date(2026, 4, 2)) == date(2026, 4, 6)
    assert RULES.previous_session(date(2026, 4, 6)) == date(2026, 4, 2)


def test_a_day_is_its_own_session_or_leads_to_the_nearest():
    friday, memorial_day, tuesday = date(2026, 5, 22), date(2026, 5, 25), date(2026, 5, 26)
    assert RULES.session_on_or_after(friday) == friday == RULES.session_on_or_before(friday)
    assert RULES.session_on_or_after(memorial_day) == tuesday
    assert RULES.session_on_or_before(memorial_day) == friday


def test_sessions_between_leave_out_the_first_day_and_keep_the_last():
    # Thursday 21 to Wednesday 27 May 2026: Friday, Tuesday, Wednesday; Monday is Memorial Day.
    assert RULES.sessions_between(date(2026, 5, 21), date(2026, 5, 27)) == 3
    assert RULES.sessions_between(date(2026, 5, 27), date(2026, 5, 27)) == 0
    assert RULES.sessions_between(date(2026, 5, 27), date(2026, 5, 21)) == 0


def test_2025_had_250_sessions():
    # 261 weekdays less ten holidays less the day of mourning.
    assert RULES.sessions_between(date(2024, 12, 31), date(2025, 12, 31)) == 250


@pytest.mark.parametrize(
    ("day", "opens_utc", "closes_utc"),
    [
        (date(2026, 3, 6), time(14, 30), time(21)),  # the Friday before clocks go forward
        (date(2026, 3, 9), time(13, 30), time(20)),
        (date(2026, 10, 30), time(13, 30), time(20)),  # the Friday before clocks go back
        (date(2026, 11, 2), time(14, 30), time(21)),
        (date(2026, 11, 27), time(14, 30), time(18)),  # the day after Thanksgiving
    ],
)
def test_sessions_begin_and_end_by_new_yorks_clock(day, opens_utc, closes_utc):
    assert RULES.opens_at(day).astimezone(UTC) == datetime.combine(day, opens_utc, UTC)
    assert RULES.closes_at(day).astimezone(UTC) == datetime.combine(day, closes_utc, UTC)


def test_the_close_of_a_closed_day_is_a_defect_to_ask_for():
    with pytest.raises(ValueError, match="2026-05-16 is no session"):
        RULES.closes_at(date(2026, 5, 16))


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        (new_york(2025, 11, 28, 12, 59), date(2025, 11, 26)),  # an early close has not come; Thursday was Thanksgiving
        (new_york(2025, 11, 28, 13, 0), date(2025, 11, 28)),
        (new_york(2026, 5, 15, 15, 59, 59), date(2026, 5, 14)),
        (new_york(2026, 5, 15, 16), date(2026, 5, 15)),
        (new_york(2026, 5, 17, 12), date(2026, 5, 15)),  # a Sunday
        (datetime(2026, 5, 16, 2, tzinfo=UTC), date(2026, 5, 15)),  # still Friday in New York
        (datetime(2026, 5, 15, 19, 59, tzinfo=UTC), date(2026, 5, 14)),
    ],
)
def test_the_last_finished_session_changes_at_the_closing_bell(moment, session):
    assert RULES.last_finished_session(moment) == session


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (new_york(2026, 5, 15, 3, 59), SessionState.CLOSED),
        (new_york(2026, 5, 15, 4), SessionState.PREMARKET),
        (new_york(2026, 5, 15, 9, 29, 59), SessionState.PREMARKET),
        (new_york(2026, 5, 15, 9, 30), SessionState.OPEN),
        (new_york(2026, 5, 15, 16), SessionState.POSTMARKET),
        (new_york(2026, 5, 15, 20), SessionState.CLOSED),
        (new_york(2026, 5, 16, 12), SessionState.CLOSED),
        (new_york(2025, 11, 28, 13), SessionState.POSTMARKET),
        (datetime(2026, 5, 15, 13, 30, tzinfo=UTC), SessionState.OPEN),
    ],
)
def test_the_state_of_the_exchange_at_a_moment(moment, state):
    assert RULES.state_at(moment) is state


def test_a_calendar_that_never_opens_is_refused_not_searched_for_ever():
    first = date(2026, 5, 1)
    closed = MarketCalendar({first + timedelta(n): None for n in range(60)})
    with pytest.raises(ValueError, match="no session within 30 days of 2026-05-31"):
        closed.next_session(first)
