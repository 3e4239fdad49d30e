"""The exchange's calendar against dates from its published notices."""

from datetime import date, datetime, time

import pytest

from simulated_market import session_calendar as nyse


@pytest.mark.parametrize(
    "closed",
    [
        date(2021, 4, 2),  # Good Friday
        date(2022, 6, 20),  # Juneteenth, a Sunday, made up on Monday
        date(2023, 1, 2),  # New Year, a Sunday, made up on Monday
        date(2024, 3, 29),  # Good Friday
        date(2025, 1, 9),  # mourning for J. Carter
        date(2018, 12, 5),  # mourning for G. H. W. Bush
        date(2026, 7, 3),  # Independence Day, a Saturday, made up on Friday
        date(2026, 5, 25),  # Memorial Day
        date(2026, 9, 7),  # Labor Day
        date(2026, 11, 26),  # Thanksgiving
        date(2026, 2, 16),  # Presidents' Day
        date(2026, 1, 19),  # Martin Luther King
        date(2021, 12, 24),  # Christmas, a Saturday, made up on Friday
        date(2022, 12, 26),  # Christmas, a Sunday, made up on Monday
        date(2026, 5, 16),  # a Saturday
    ],
)
def test_the_exchange_is_closed_on_its_published_holidays(closed: date) -> None:
    assert not nyse.is_session(closed)


@pytest.mark.parametrize(
    "traded",
    [
        date(2021, 6, 18),  # Juneteenth was no exchange holiday before 2022
        date(2021, 12, 31),  # a Saturday New Year is not made up
        date(2020, 7, 2),
        date(2025, 1, 10),
    ],
)
def test_the_exchange_is_open_on_days_that_only_look_like_holidays(traded: date) -> None:
    assert nyse.is_session(traded)


@pytest.mark.parametrize("half", [date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24), date(2025, 7, 3)])
def test_half_days_close_at_one(half: date) -> None:
    assert nyse.closing_time(half) == time(13, 0)


@pytest.mark.parametrize("whole", [date(2022, 7, 1), date(2020, 7, 2), date(2022, 12, 23), date(2026, 5, 15)])
def test_other_days_close_at_four(whole: date) -> None:
    assert nyse.closing_time(whole) == time(16, 0)


def test_a_year_has_the_published_number_of_sessions() -> None:
    counts = {year: len(nyse.sessions_between(date(year, 1, 1), date(year, 12, 31))) for year in range(2018, 2026)}
    assert counts == {2018: 251, 2019: 252, 2020: 253, 2021: 252, 2022: 251, 2023: 250, 2024: 252, 2025: 250}


def test_sessions_are_counted_after_the_first_day_and_through_the_last() -> None:
    assert (
        nyse.count_sessions(date(2026, 5, 15), date(2026, 5, 26)) == 6
    )  # five days of the week, then Memorial Day, then one
    assert nyse.sessions_ahead(date(2026, 5, 22), 1) == date(2026, 5, 26)
    assert nyse.previous_session(date(2026, 5, 26)) == date(2026, 5, 22)


def test_a_monthly_that_falls_on_a_holiday_expires_the_day_before() -> None:
    assert nyse.monthly_expiration(2026, 6) == date(2026, 6, 18)  # Juneteenth is the third Friday
    assert nyse.monthly_expiration(2025, 4) == date(2025, 4, 17)  # Good Friday is
    assert nyse.monthly_expiration(2026, 5) == date(2026, 5, 15)


def test_a_session_opens_half_past_nine_in_new_york_in_summer_and_winter() -> None:
    summer, winter = nyse.opening_moment(date(2026, 7, 1)), nyse.opening_moment(date(2026, 1, 5))
    assert summer == datetime.fromisoformat("2026-07-01T13:30:00+00:00")
    assert winter == datetime.fromisoformat("2026-01-05T14:30:00+00:00")


def test_holidays_have_names_and_weekends_have_none() -> None:
    assert nyse.holiday_name(date(2024, 1, 1)) == "New Years Day"
    assert nyse.holiday_name(date(2024, 1, 6)) is None
