"""The timers elapse when they should, by systemd's own reckoning, over ten years of changes to and from summer time."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.deploy.unit_files import DEPLOY, TIMERS, settings, systemd_analyze

NEW_YORK = ZoneInfo("America/New_York")
FROM, YEARS = datetime(2026, 11, 1, tzinfo=UTC), 10
WEEKDAYS, EVERY_DAY = range(5), range(7)
# Worked by hand: the hours of each timer, in New York.
HOURS = {
    "ivcrush.timer": (WEEKDAYS, ["09:30"]),
    "ivcrush-preclose.timer": (WEEKDAYS, ["15:45"]),
    "ivcrush-backfill.timer": (EVERY_DAY, ["06:30"]),
    "ivcrush-health.timer": (WEEKDAYS, [f"{hour:02}:00" for hour in range(9, 17)]),
    "ivcrush-hourly.timer": (WEEKDAYS, [f"{hour}:30" for hour in range(10, 16)]),
    "ivcrush-daily.timer": (EVERY_DAY, ["18:00"]),
}


def elapses(calendar: str, count: int, since: datetime = FROM) -> list[datetime]:
    """The next `count` times of an OnCalendar=, as systemd reckons them."""
    base = f"--base-time={since:%Y-%m-%d %H:%M:%S} UTC"
    found = systemd_analyze("calendar", base, f"--iterations={count}", calendar)
    assert found.returncode == 0, found.stderr
    times = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", found.stdout)
    return [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times]


def test_every_timer_is_known_here() -> None:
    assert {timer.name for timer in TIMERS} == HOURS.keys()


@pytest.mark.parametrize("timer", TIMERS, ids=lambda timer: timer.name)
def test_a_timer_elapses_at_its_new_york_hours_on_each_of_its_days_for_a_year(timer: Path) -> None:
    days, hours = HOURS[timer.name]
    expected = []
    day = date(2026, 11, 1)
    while len(expected) < 300:
        if day.weekday() in days:
            expected += [datetime.fromisoformat(f"{day} {hour}").replace(tzinfo=NEW_YORK) for hour in hours]
        day += timedelta(1)
    midnight = datetime(2026, 11, 1, 4, tzinfo=UTC)  # still summer time
    (calendar,) = settings(timer)["OnCalendar"]
    assert elapses(calendar, 300, midnight) == expected[:300]


@pytest.mark.parametrize("timer", ["ivcrush.timer", "ivcrush-preclose.timer"])
def test_no_trading_day_of_ten_years_is_missed_or_doubled_by_summer_time(timer: str) -> None:
    (calendar,) = settings(DEPLOY / timer)["OnCalendar"]
    found = [moment.astimezone(NEW_YORK) for moment in elapses(calendar, 2600)]
    assert {f"{moment:%H:%M}" for moment in found} == set(HOURS[timer][1])
    days = [moment.date() for moment in found]
    assert days[-1] > date(2026 + YEARS - 1, 10, 1)
    assert days == [day for day in every_day(days[0], days[-1]) if day.weekday() < 5]


@pytest.mark.parametrize(
    ("sunday", "utc_before", "utc_after"),
    [("2027-03-14", "14:30", "13:30"), ("2027-11-07", "13:30", "14:30")],
    ids=["into summer time", "out of it"],
)
def test_the_morning_list_comes_at_the_same_new_york_hour_before_and_after_a_change(
    sunday: str, utc_before: str, utc_after: str
) -> None:
    (calendar,) = settings(DEPLOY / "ivcrush.timer")["OnCalendar"]
    change = datetime.fromisoformat(sunday).replace(tzinfo=UTC)
    friday, monday = elapses(calendar, 2, change - timedelta(2))
    assert (f"{friday:%a %H:%M}", f"{monday:%a %H:%M}") == (f"Fri {utc_before}", f"Mon {utc_after}")


@pytest.mark.parametrize("timer", TIMERS, ids=lambda timer: timer.name)
def test_a_timer_is_punctual_but_for_its_random_delay(timer: Path) -> None:
    found = settings(timer)
    assert found["AccuracySec"] == ["1s"]
    assert found["RandomizedDelaySec"] == ["60" if timer.name == "ivcrush-health.timer" else "300"]


def test_only_what_is_still_worth_having_is_made_up_for() -> None:
    made_up = {timer.name for timer in TIMERS if settings(timer)["Persistent"] == ["true"]}
    assert made_up == {"ivcrush.timer", "ivcrush-backfill.timer", "ivcrush-daily.timer"}


@pytest.mark.parametrize("timer", TIMERS, ids=lambda timer: timer.name)
def test_a_timer_starts_a_service_that_exists(timer: Path) -> None:
    (unit,) = settings(timer).get("Unit", [f"{timer.stem}.service"])
    assert (DEPLOY / unit).is_file()


def every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days) for days in range((last - first).days + 1)]
