"""What a company lacks, by what is stored and remembered; every moment and date by hand, the stores real."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest

from ivcrush.application.services.history_needs import HistoryNeeds
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Ok
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import DailyBar, HistoricalMove, MissingMove, ScheduledReport, Ticker
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.earnings_repository import EarningsRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository

IBM = Ticker("IBM")
CALENDAR = MarketCalendar()
# A Friday evening, the close of the day behind us.
NOW = datetime(2026, 5, 15, 18, 0, tzinfo=NEW_YORK)
TODAY = NOW.date()
FEBRUARY, NOVEMBER, AUGUST, OLDEST = date(2026, 2, 17), date(2025, 11, 18), date(2025, 8, 19), date(1996, 3, 1)


@dataclass
class Stores:
    prices: PricesRepository
    earnings: EarningsRepository

    def save(self, *, reports=(FEBRUARY, NOVEMBER, AUGUST), asked=NOW, oldest=OLDEST, last_bar=TODAY, missing=()):
        moves = [HistoricalMove(day, Timing.BMO, day, 100.0, 1.0, 1.0, 0.0, 1.0) for day in reports]
        bars = [DailyBar(last_bar, 100.0, 100.0, 100.0, 100.0, 1)]
        saved = self.prices.save_history(IBM, moves, missing, bars, through=TODAY, saved_at=asked, oldest_report=oldest)
        assert saved == Ok(None)

    def expect(self, *days, timing=Timing.AMC):
        source = ReportSource.ALPHA_VANTAGE
        reports = [ScheduledReport(IBM, day, timing, DateStatus.CONFIRMED, source) for day in days]
        assert self.earnings.save_scheduled(IBM, reports, NOW - timedelta(30), source=source) == Ok(None)

    def standing(self, *, now=NOW, as_of=None, quarters=3, **wanted):
        needs = HistoryNeeds(self.prices, self.earnings, now=lambda: now)
        found = needs.standing(IBM, as_of or now, CALENDAR, quarters=quarters, **wanted)
        assert isinstance(found, Ok), found
        return found.value

    def lacks_reports(self, **when):
        return self.standing(**when).lacks_reports


@pytest.fixture
def stores(tmp_path):
    database = init_database(tmp_path / "ivcrush.db", busy_timeout_s=1)
    assert isinstance(database, Ok)
    yield Stores(PricesRepository(database.value), EarningsRepository(database.value))
    database.value.close()


def test_a_company_that_was_never_asked_about_lacks_its_reports_and_no_bars_without_them(stores):
    standing = stores.standing()
    assert (standing.lacks_reports, standing.lacks_bars, standing.asked_at) == (True, False, None)
    assert (standing.scarce_calls, standing.plentiful_calls, standing.calls) == (1, 1, 2)


def test_what_is_whole_and_fresh_costs_nothing_unless_all_is_wanted_anew(stores):
    stores.save()
    assert stores.standing().calls == 0
    assert stores.lacks_reports(refresh=True)


@pytest.mark.parametrize(("oldest", "lacks"), [(OLDEST, True), (AUGUST, False), (None, False)])
def test_too_few_reports_are_asked_for_again_only_where_the_provider_has_older_ones(stores, oldest, lacks):
    stores.save(oldest=oldest)
    assert stores.lacks_reports(quarters=12) is lacks


@pytest.mark.parametrize(("days", "due"), [(99, False), (101, True)])
def test_without_a_calendar_a_report_is_due_a_hundred_days_after_the_last(stores, days, due):
    stores.save(asked=NOW - timedelta(40), last_bar=TODAY)
    assert stores.lacks_reports(now=datetime(2026, 2, 17, 12, tzinfo=NEW_YORK) + timedelta(days)) is due


@pytest.mark.parametrize(
    ("timing", "due"), [(Timing.BMO, True), (Timing.DMH, True), (Timing.AMC, False), (Timing.UNKNOWN, False)]
)
def test_a_report_of_today_is_due_once_the_session_that_reacts_to_it_is_over(stores, timing, due):
    stores.save(asked=NOW - timedelta(30))
    stores.expect(TODAY, timing=timing)
    assert stores.lacks_reports() is due
    monday_evening = NOW + timedelta(3)
    assert stores.lacks_reports(now=monday_evening)


# After the report of 17 February, 45 days that are the same report and 100 of a quarter end on 12 July.
@pytest.mark.parametrize(
    ("named", "due"), [(date(2026, 8, 18), True), (date(2026, 7, 13), True), (date(2026, 7, 12), False)]
)
def test_where_the_calendar_names_the_report_after_next_the_next_was_made_and_is_asked_for(stores, named, due):
    stores.save(asked=NOW - timedelta(60))
    stores.expect(named)
    assert stores.lacks_reports() is due


def test_a_report_after_next_says_nothing_until_a_quarter_before_it(stores):
    stores.save(asked=NOW - timedelta(60))
    stores.expect(date(2026, 8, 18))  # 100 days after 10 May
    assert not stores.lacks_reports(now=datetime(2026, 5, 9, 23, 59, tzinfo=NEW_YORK))
    assert stores.lacks_reports(now=datetime(2026, 5, 10, 0, 1, tzinfo=NEW_YORK))


def test_a_report_that_the_calendar_still_names_is_not_asked_for_on_the_word_of_the_one_after_it(stores):
    stores.save(asked=NOW - timedelta(60))
    stores.expect(date(2026, 5, 20), date(2026, 8, 18))
    assert stores.standing().expected == date(2026, 5, 20)
    assert not stores.lacks_reports()


def test_an_expected_date_near_a_stored_report_is_another_spelling_of_it(stores):
    stores.save(asked=NOW - timedelta(30))
    stores.expect(FEBRUARY + timedelta(45), timing=Timing.BMO)
    assert not stores.lacks_reports()


def test_a_report_that_is_not_to_be_had_is_asked_for_daily_at_first_and_then_weekly(stores):
    stores.expect(TODAY, timing=Timing.BMO)  # answered by Friday's close at 16:00
    due = NOW - timedelta(hours=2)
    for asked_after, asks_again_after in ((1, 1), (3, 3), (6, 6), (30, 7)):
        asked = due + timedelta(asked_after)
        stores.save(asked=asked)
        wait = timedelta(asks_again_after)
        assert not stores.lacks_reports(now=asked + wait - timedelta(hours=1))
        assert stores.lacks_reports(now=asked + wait + timedelta(hours=1)), asked_after


def test_a_timer_that_runs_an_hour_early_still_asks_every_day(stores):
    stores.expect(TODAY, timing=Timing.BMO)
    stores.save(asked=NOW)
    assert not stores.lacks_reports(now=NOW + timedelta(hours=19))
    assert stores.lacks_reports(now=NOW + timedelta(hours=23))


def test_a_company_without_any_report_is_asked_about_after_a_month_or_when_one_was_expected(stores):
    stores.prices.save_asked(IBM, NOW)
    assert not stores.lacks_reports(now=NOW + timedelta(29))
    assert stores.lacks_reports(now=NOW + timedelta(31))
    stores.expect(date(2026, 5, 20), timing=Timing.BMO)
    assert not stores.lacks_reports(now=NOW + timedelta(4))
    assert stores.lacks_reports(now=NOW + timedelta(5))


def test_an_earlier_moment_has_its_own_quarters_where_the_provider_has_them(stores):
    stores.save()
    before = datetime(2025, 7, 1, 18, tzinfo=NEW_YORK)
    assert stores.lacks_reports(as_of=before)
    stores.save(oldest=AUGUST)
    assert not stores.lacks_reports(as_of=before)


def test_the_next_report_is_the_first_expected_from_today_on(stores):
    stores.save()
    assert stores.standing().expected is None
    stores.expect(TODAY)
    assert stores.standing().expected == TODAY


@pytest.mark.parametrize(("last_bar", "old"), [(date(2026, 5, 1), False), (date(2026, 4, 30), True)])
def test_bars_more_than_ten_sessions_old_are_lacking(stores, last_bar, old):
    stores.save(last_bar=last_bar)
    assert stores.standing().lacks_bars is old


@pytest.mark.parametrize(
    ("day", "reason", "lacks"),
    [
        (date(2026, 5, 14), "no bars for 2026-05-15", True),
        (date(2026, 5, 14), "session of the report unknown", False),
        (date(2026, 4, 30), "no bars for 2026-05-01", False),
        (date(2024, 5, 14), "no bars for 2024-05-15", False),
    ],
)
def test_a_young_report_that_waits_for_its_bars_makes_them_lacking(stores, day, reason, lacks):
    stores.save(missing=(MissingMove(day, Timing.AMC, reason),))
    assert stores.standing().lacks_bars is lacks


def test_dividends_are_lacking_for_a_month_after_they_were_read_and_only_where_wanted(stores):
    stores.save()
    assert stores.standing(with_dividends=True).lacks_dividends
    assert not stores.standing().lacks_dividends
    stores.earnings.save_dividends(IBM, (), NOW - timedelta(29))
    assert not stores.standing(with_dividends=True).lacks_dividends
    assert stores.standing(with_dividends=True, refresh=True).lacks_dividends
    stores.earnings.save_dividends(IBM, (), NOW - timedelta(31))
    assert stores.standing(with_dividends=True).lacks_dividends


def test_nobody_asks_for_the_dividends_of_a_company_without_reports(stores):
    stores.prices.save_asked(IBM, NOW)
    assert stores.standing(with_dividends=True).calls == 0
