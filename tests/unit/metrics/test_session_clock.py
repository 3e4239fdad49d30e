"""The reaction session of a report, the expirations that hold it, and variance time, all worked by hand."""

from datetime import date, datetime

import numpy as np
import pytest

from ivcrush.application.metrics.session_clock import (
    SessionClock,
    entry_closes_at,
    first_expiration,
    latest_reaction,
    reaction_has_begun,
    reaction_session,
    reports_before,
    variance_days_per_year,
    years_to_close,
)
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import AnalysisRequest, Ticker

CALENDAR = MarketCalendar()


def moment(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 5, day, hour, minute, tzinfo=NEW_YORK)


def request_of(report: date, timing: Timing, following: date | None = None) -> AnalysisRequest:
    return AnalysisRequest(
        Ticker("XYZ"), report, timing, DateStatus.CONFIRMED, ReportSource.ARGUMENT, next_report_date=following
    )


@pytest.mark.parametrize(
    ("report", "timing", "reaction"),
    [
        (date(2026, 5, 14), Timing.AMC, date(2026, 5, 15)),
        (date(2026, 5, 15), Timing.AMC, date(2026, 5, 18)),  # a Friday evening moves Monday
        (date(2026, 5, 22), Timing.AMC, date(2026, 5, 26)),  # over Memorial Day
        (date(2026, 5, 15), Timing.BMO, date(2026, 5, 15)),
        (date(2026, 5, 16), Timing.BMO, date(2026, 5, 18)),  # a Saturday morning
        (date(2026, 5, 15), Timing.DMH, date(2026, 5, 15)),
    ],
)
def test_after_the_close_moves_the_next_session_and_before_the_open_the_same_one(
    report: date, timing: Timing, reaction: date
) -> None:
    assert reaction_session(report, timing, CALENDAR) == reaction


def test_the_reaction_session_of_an_unknown_timing_is_never_guessed() -> None:
    with pytest.raises(ValueError, match="2026-05-15 is unknown"):
        reaction_session(date(2026, 5, 15), Timing.UNKNOWN, CALENDAR)


def test_the_latest_reaction_of_an_unknown_timing_is_that_of_the_evening() -> None:
    found = {timing: latest_reaction(date(2026, 5, 15), timing, CALENDAR) for timing in Timing}
    morning, evening = date(2026, 5, 15), date(2026, 5, 18)
    assert found == {Timing.BMO: morning, Timing.DMH: morning, Timing.AMC: evening, Timing.UNKNOWN: evening}


def test_the_reaction_begins_at_the_open_of_its_session() -> None:
    assert not reaction_has_begun(date(2026, 5, 15), moment(15, 9, 29), CALENDAR)
    assert reaction_has_begun(date(2026, 5, 15), moment(15, 9, 30), CALENDAR)


def test_the_first_expiration_is_the_first_that_still_trades_in_the_reaction_session() -> None:
    listed = [date(2026, 5, 22), date(2026, 5, 15), date(2026, 5, 29)]
    assert first_expiration(listed, date(2026, 5, 15)) == date(2026, 5, 15)
    assert first_expiration(listed, date(2026, 5, 18)) == date(2026, 5, 22)
    assert first_expiration(listed, date(2026, 6, 1)) is None


def test_expirations_hold_no_report_one_or_two_and_inside_85_to_100_days_nobody_knows() -> None:
    request = request_of(date(2026, 5, 14), Timing.AMC)
    # 85 and 100 days on are Friday 7 and Saturday 22 August; after either close it is a Monday that reacts.
    days = [date(2026, 5, 14), date(2026, 5, 15), date(2026, 8, 7), date(2026, 8, 10), date(2026, 8, 21)]
    assert reports_before(days, request, Timing.AMC, CALENDAR) == (0, 1, 1, None, None)
    assert reports_before([date(2026, 8, 24)], request, Timing.AMC, CALENDAR) == (2,)


def test_a_known_next_report_counts_from_its_own_reaction_session() -> None:
    request = request_of(date(2026, 5, 14), Timing.AMC, date(2026, 8, 13))
    days = [date(2026, 8, 13), date(2026, 8, 14), date(2026, 9, 18)]
    assert reports_before(days, request, Timing.AMC, CALENDAR) == (1, 2, 2)


def test_after_a_friday_evening_s_report_the_next_one_on_a_thursday_evening_moves_the_friday_after_it() -> None:
    request = request_of(date(2026, 5, 15), Timing.AMC, date(2026, 8, 13))
    days = [date(2026, 5, 15), date(2026, 5, 22), date(2026, 8, 13), date(2026, 8, 14)]
    assert reports_before(days, request, Timing.AMC, CALENDAR) == (0, 1, 1, 2)


def test_variance_time_counts_minutes_today_one_a_session_and_little_a_closed_day() -> None:
    # Friday 12:45 is half of a session; then Saturday, Sunday, and Monday to Friday.
    clock = SessionClock.to_closes(moment(15, 12, 45), [date(2026, 5, 15), date(2026, 5, 22)], CALENDAR)
    assert clock.variance_time(0.0) == pytest.approx([0.5, 5.5])
    assert clock.variance_time(0.15) == pytest.approx([0.5, 5.8])


def test_variance_time_knows_holidays_early_closes_and_days_that_are_over() -> None:
    # Thanksgiving 2026-11-26 is closed; the day after ends at 13:00, so at 11:15 half of it is left.
    eve = datetime(2026, 11, 25, 16, tzinfo=NEW_YORK)
    clock = SessionClock.to_closes(eve, [date(2026, 11, 24), date(2026, 11, 27)], CALENDAR)
    assert clock.variance_time(0.5) == pytest.approx([0.0, 1.5])
    half = datetime(2026, 11, 27, 11, 15, tzinfo=NEW_YORK)
    assert SessionClock.to_closes(half, [date(2026, 11, 27)], CALENDAR).variance_time() == pytest.approx([0.5])


def test_on_a_closed_day_nothing_of_today_is_left() -> None:
    clock = SessionClock.to_closes(moment(16, 12), [date(2026, 5, 18)], CALENDAR)
    assert clock.variance_time(0.5) == pytest.approx([1.5])


def test_what_the_provider_says_of_a_day_is_counted() -> None:
    calendar = MarketCalendar({date(2026, 5, 18): None})
    clock = SessionClock.to_closes(moment(15, 16), [date(2026, 5, 19)], calendar)
    assert clock.variance_time(0.0) == pytest.approx([1.0])


def test_years_run_to_the_close_and_a_saturday_expiration_closes_on_friday() -> None:
    years = years_to_close(moment(15, 16), [date(2026, 5, 22), date(2026, 5, 16), date(2026, 5, 14)], CALENDAR)
    assert np.allclose(years * 365, [7, 0, -1])


def test_the_hour_that_a_change_of_clocks_takes_is_not_counted() -> None:
    # Clocks go forward on Sunday 8 March 2026: from Friday 15:45 to Monday 16:00 are 72.25 hours less one.
    years = years_to_close(datetime(2026, 3, 6, 15, 45, tzinfo=NEW_YORK), [date(2026, 3, 9)], CALENDAR)
    assert years * 365 * 24 == pytest.approx([71.25])


def test_a_year_has_252_sessions_and_113_closed_days() -> None:
    assert variance_days_per_year(0.0) == 252
    assert variance_days_per_year(1.0) == 365


@pytest.mark.parametrize(
    ("day", "timing", "last_moment"),
    [
        (date(2026, 5, 15), Timing.AMC, datetime(2026, 5, 15, 16, 0, tzinfo=NEW_YORK)),
        (date(2026, 5, 18), Timing.BMO, datetime(2026, 5, 15, 16, 0, tzinfo=NEW_YORK)),
        (date(2026, 5, 18), Timing.DMH, datetime(2026, 5, 15, 16, 0, tzinfo=NEW_YORK)),
        (date(2026, 5, 18), Timing.UNKNOWN, datetime(2026, 5, 18, 16, 0, tzinfo=NEW_YORK)),
        (date(2026, 11, 27), Timing.AMC, datetime(2026, 11, 27, 13, 0, tzinfo=NEW_YORK)),
    ],
    ids=[
        "after Friday's close",
        "before Monday's open",
        "in Monday's session",
        "some time on Monday",
        "a short Friday",
    ],
)
def test_a_trade_is_entered_by_the_last_close_before_the_stock_reacts(day, timing, last_moment):
    assert entry_closes_at(day, timing, CALENDAR) == last_moment
