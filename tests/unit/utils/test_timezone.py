"""Moments and market dates as people write them."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.utils.timezone import SystemClock, parse_as_of, parse_date


def moment(text: str) -> datetime:
    parsed = parse_as_of(text)
    assert isinstance(parsed, Ok)
    return parsed.value


def test_a_market_date_is_year_month_day() -> None:
    assert parse_date("2026-05-20") == Ok(date(2026, 5, 20))
    assert parse_date("2024-02-29") == Ok(date(2024, 2, 29))


@pytest.mark.parametrize(
    "text",
    ["2026-02-30", "2025-02-29", "20260520", "2026-5-2", "05/20/2026", "2026-W21-3", "２０２６-05-20", "2026-05-20 ",
     "", "0001-01-01", "9999-12-31", "today", "2026-05-20\n"],
)  # fmt: skip
def test_anything_else_is_no_market_date(text: str) -> None:
    parsed = parse_date(text)
    assert isinstance(parsed, Err)
    assert parsed.error.code is ErrorCode.INVALID
    assert "a calendar day as YYYY-MM-DD is needed" in parsed.error.message


def test_a_hostile_date_is_shown_escaped_and_short() -> None:
    parsed = parse_date("\x1b[2J" + "9" * 5000)
    assert isinstance(parsed, Err)
    assert parsed.error.message.isprintable()
    assert len(parsed.error.message) < 120


def test_a_moment_with_an_offset_is_the_same_moment_in_new_york() -> None:
    assert moment("2026-05-15T19:45:00Z").isoformat() == "2026-05-15T15:45:00-04:00"
    assert moment("2026-01-15 22:45+01:00").isoformat() == "2026-01-15T16:45:00-05:00"


def test_a_moment_without_an_offset_is_new_yorks() -> None:
    assert moment("2026-05-15T15:45").isoformat() == "2026-05-15T15:45:00-04:00"
    assert moment("2026-01-15T15:45:10.5").isoformat() == "2026-01-15T15:45:10.500000-05:00"


def test_a_bare_date_is_its_regular_close_before_and_after_the_clocks_change() -> None:
    assert moment("2026-03-06") == datetime(2026, 3, 6, 21, 0, tzinfo=UTC)
    assert moment("2026-03-09") == datetime(2026, 3, 9, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-05-15T25:00", "2026-05-15T15", "15:45", "2026-13-01", "2026-05-15T15:45:00-99:00", "1747338300", ""]
)
def test_anything_else_is_no_moment_and_the_message_shows_how_one_looks(text: str) -> None:
    parsed = parse_as_of(text)
    assert isinstance(parsed, Err)
    assert parsed.error.code is ErrorCode.INVALID
    assert "2026-05-15T15:45:00-04:00" in parsed.error.message


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Australia/Sydney", ""])
def test_the_zone_of_the_machine_changes_nothing(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert moment("2026-05-15T15:45").utcoffset() == timedelta(hours=-4)
        assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_machines_clock_is_aware_and_its_durations_never_negative() -> None:
    clock = SystemClock()
    started = clock.monotonic()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= started


async def test_the_machines_clock_waits_by_its_own_stopwatch() -> None:
    clock = SystemClock()
    started = clock.monotonic()
    await clock.sleep(0.02)
    assert clock.monotonic() - started >= 0.02
