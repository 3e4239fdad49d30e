"""The four repositories on a real file: what goes in comes out, and the past is kept."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import (
    CalendarListing,
    DailyBar,
    Dividend,
    HistoricalMove,
    MissingMove,
    ScheduledReport,
    Ticker,
)
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.moments import utc_text
from ivcrush.infrastructure.database.repositories.analysis_repository import AnalysisRepository
from ivcrush.infrastructure.database.repositories.earnings_repository import EarningsRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository
from ivcrush.infrastructure.database.repositories.rate_limit_repository import DailyQuota, ProviderAllowance
from ivcrush.infrastructure.database.snapshot_codec import encode_snapshot
from tests.unit.infrastructure.database.snapshots import ibm_analysis

IBM, MSFT = Ticker("IBM"), Ticker("MSFT")
MONDAY = datetime(2026, 5, 11, 9, 30, tzinfo=NEW_YORK)
TUESDAY = MONDAY + timedelta(days=1)
FRIDAY = date(2026, 5, 8)  # the last finished session on that Monday
SOURCE = ReportSource.ALPHA_VANTAGE
WHOLE = (date(2000, 1, 1), date(2099, 12, 31))


def value(result: Result[object]) -> object:
    assert isinstance(result, Ok), result
    return result.value


def expected(ticker: Ticker, day: date, timing: Timing = Timing.AMC, **changes: object) -> ScheduledReport:
    report = ScheduledReport(ticker, day, timing, DateStatus.ESTIMATED, ReportSource.ALPHA_VANTAGE, name="A company")
    return dataclasses.replace(report, **changes)  # type: ignore[arg-type]


def dates(database: Database, ticker: Ticker) -> list[date]:
    found = EarningsRepository(database).scheduled(ticker, *WHOLE)
    assert isinstance(found, Ok)
    return [report.report_date for report in found.value]


def ibm_reports(store: EarningsRepository, seen_at: datetime, *days: date, timing: Timing = Timing.AMC) -> None:
    """The source names these dates of IBM, and no others."""
    told = [expected(IBM, day, timing) for day in days]
    assert store.save_scheduled(IBM, told, seen_at, source=SOURCE) == Ok(None)


def everybody(store: EarningsRepository, reports: Sequence[ScheduledReport], seen_at: datetime) -> object:
    """The source names these reports in one whole calendar."""
    return value(store.save_calendar(reports, seen_at, source=SOURCE))


def history(database: Database) -> list[tuple[str, str, str, str | None]]:
    sql = "SELECT report_date, first_seen, last_seen, superseded_at FROM earnings_calendar ORDER BY number"
    found = database.rows(sql, (), lambda row: (row[0], row[1][:10], row[2][:10], row[3] and row[3][:10]))
    assert isinstance(found, Ok)
    return list(found.value)


class TestEarningsCalendar:
    def test_every_word_of_the_domain_can_be_kept(self, database: Database) -> None:
        store = EarningsRepository(database)
        reports = [
            expected(Ticker(f"{'ABCD'[n]}{'XYZ'[m]}"), date(2026, 5, 20), timing, status=status, flags=("a b", 'c"d'))
            for n, timing in enumerate(Timing)
            for m, status in enumerate(DateStatus)
        ]
        assert everybody(store, reports, MONDAY) == 0
        assert [value(store.scheduled(report.ticker, *WHOLE)) for report in reports] == [(r,) for r in reports]

    def test_a_date_that_moves_supersedes_the_old_one_and_both_stay_in_the_history(self, database: Database) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2026, 7, 22))
        ibm_reports(store, TUESDAY, date(2026, 7, 29))
        assert dates(database, IBM) == [date(2026, 7, 29)]
        assert history(database) == [
            ("2026-07-22", "2026-05-11", "2026-05-11", "2026-05-12"),
            ("2026-07-29", "2026-05-12", "2026-05-12", None),
        ]

    def test_a_date_that_moves_back_is_current_again_with_the_whole_journey_kept(self, database: Database) -> None:
        store = EarningsRepository(database)
        for number, day in enumerate((22, 29, 22)):
            ibm_reports(store, MONDAY + timedelta(days=number), date(2026, 7, day))
        assert dates(database, IBM) == [date(2026, 7, 22)]
        assert [row[3] for row in history(database)] == ["2026-05-12", "2026-05-13", None]

    def test_the_same_date_again_is_one_row_seen_again_with_its_newest_name_and_status(
        self, database: Database
    ) -> None:
        store = EarningsRepository(database)
        confirmed = expected(IBM, date(2026, 7, 22), name="IBM", status=DateStatus.CONFIRMED)
        ibm_reports(store, MONDAY, date(2026, 7, 22))
        store.save_scheduled(IBM, [confirmed, confirmed], TUESDAY, source=SOURCE)
        assert value(store.scheduled(IBM, *WHOLE)) == (confirmed,)
        assert history(database) == [("2026-07-22", "2026-05-11", "2026-05-12", None)]

    def test_a_session_that_changes_on_the_same_day_is_history_too_and_no_move(self, database: Database) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2026, 7, 22), timing=Timing.UNKNOWN)
        ibm_reports(store, TUESDAY, date(2026, 7, 22), timing=Timing.BMO)
        assert value(store.scheduled(IBM, *WHOLE)) == (expected(IBM, date(2026, 7, 22), Timing.BMO),)
        assert [row[3] for row in history(database)] == ["2026-05-12", None]

    @pytest.mark.parametrize(("days", "kept"), [(45, 1), (46, 2)])
    def test_a_date_up_to_45_days_after_a_past_one_takes_its_place_and_a_further_one_is_the_next_quarters(
        self, database: Database, days: int, kept: int
    ) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2026, 5, 1))
        ibm_reports(store, TUESDAY, date(2026, 5, 1) + timedelta(days))
        assert len(dates(database, IBM)) == kept

    def test_two_spellings_with_two_dates_are_both_kept_with_their_flags(self, database: Database) -> None:
        bfb = Ticker("BF.B")
        both = (
            expected(bfb, date(2026, 6, 4), flags=("date_conflict",)),
            expected(bfb, date(2026, 6, 10), flags=("date_conflict",)),
        )
        store = EarningsRepository(database)
        everybody(store, both, MONDAY)
        everybody(store, both, TUESDAY)
        assert value(store.scheduled(bfb, *WHOLE)) == both

    def test_what_is_said_of_a_company_leaves_other_companies_alone(self, database: Database) -> None:
        store = EarningsRepository(database)
        everybody(store, [expected(IBM, date(2026, 7, 22)), expected(MSFT, date(2026, 7, 28))], MONDAY)
        ibm_reports(store, TUESDAY, date(2026, 7, 23))
        assert (dates(database, IBM), dates(database, MSFT)) == ([date(2026, 7, 23)], [date(2026, 7, 28)])

    def test_a_row_about_another_company_than_the_one_asked_for_is_passed_over(self, database: Database) -> None:
        store = EarningsRepository(database)
        store.save_scheduled(IBM, [expected(MSFT, date(2026, 7, 28))], MONDAY, source=SOURCE)
        assert (dates(database, IBM), dates(database, MSFT)) == ([], [])

    def test_what_the_user_typed_is_never_stored(self, database: Database) -> None:
        store = EarningsRepository(database)
        typed = expected(IBM, date(2026, 7, 22), source=ReportSource.ARGUMENT)
        assert store.save_scheduled(IBM, [typed], MONDAY, source=SOURCE) == Ok(None)
        assert everybody(store, [typed], MONDAY) == 0
        assert dates(database, IBM) == []

    def test_a_clock_that_went_back_breaks_no_order(self, database: Database) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, TUESDAY, date(2026, 7, 22))
        ibm_reports(store, MONDAY, date(2026, 7, 22))
        ibm_reports(store, MONDAY, date(2026, 7, 23))
        assert history(database)[0] == ("2026-07-22", "2026-05-12", "2026-05-12", "2026-05-12")

    def test_only_reports_in_the_asked_days_are_given_rising_by_date(self, database: Database) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2026, 10, 21), date(2026, 4, 22), date(2026, 7, 22))
        found = store.scheduled(IBM, date(2026, 4, 22), date(2026, 7, 22))
        assert isinstance(found, Ok)
        assert [report.report_date for report in found.value] == [date(2026, 4, 22), date(2026, 7, 22)]

    @pytest.mark.parametrize("day", [date(2026, 5, 13), date(2027, 4, 1)], ids=["tomorrow", "next year"])
    def test_a_company_whose_coming_dates_its_source_no_longer_names_has_none(
        self, database: Database, day: date
    ) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, day)
        ibm_reports(store, TUESDAY)
        assert dates(database, IBM) == []
        assert history(database) == [(day.isoformat(), "2026-05-11", "2026-05-11", "2026-05-12")]

    def test_a_date_of_today_or_before_that_its_source_no_longer_names_was_a_report_and_stays(
        self, database: Database
    ) -> None:
        store = EarningsRepository(database)
        made = [date(2026, 2, 10), date(2026, 5, 12)]
        ibm_reports(store, MONDAY, *made)
        ibm_reports(store, TUESDAY)
        assert dates(database, IBM) == made


class TestMovedDates:
    def test_a_moved_date_says_from_where_it_moved_last(self, database: Database) -> None:
        store = EarningsRepository(database)
        for number, day in enumerate((21, 28, 30)):
            ibm_reports(store, MONDAY + timedelta(days=number), date(2026, 7, day))
        moved = (expected(IBM, date(2026, 7, 30), moved_from=date(2026, 7, 28)),)
        assert value(store.scheduled(IBM, *WHOLE)) == moved
        assert value(store.calendar(*WHOLE)) == moved

    def test_a_date_that_went_and_came_back_moved_from_where_it_had_been(self, database: Database) -> None:
        store = EarningsRepository(database)
        for number, day in enumerate((22, 29, 22)):
            ibm_reports(store, MONDAY + timedelta(days=number), date(2026, 7, day))
        assert value(store.scheduled(IBM, *WHOLE)) == (expected(IBM, date(2026, 7, 22), moved_from=date(2026, 7, 29)),)

    def test_of_two_dates_named_at_once_the_one_that_remains_did_not_move(self, database: Database) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2026, 6, 4), date(2026, 6, 10))
        ibm_reports(store, TUESDAY, date(2026, 6, 10))
        assert value(store.scheduled(IBM, *WHOLE)) == (expected(IBM, date(2026, 6, 10)),)

    def test_a_date_given_up_and_replaced_later_moved_unless_it_is_another_quarters(self, database: Database) -> None:
        store = EarningsRepository(database)
        for number, days in enumerate(([date(2026, 7, 1)], [], [date(2026, 8, 15), date(2026, 11, 1)])):
            ibm_reports(store, MONDAY + timedelta(days=number), *days)
        found = value(store.scheduled(IBM, *WHOLE))
        assert isinstance(found, tuple)
        assert [report.moved_from for report in found] == [date(2026, 7, 1), None]

    def test_another_company_that_moved_has_nothing_to_do_with_it(self, database: Database) -> None:
        store = EarningsRepository(database)
        everybody(store, [expected(IBM, date(2026, 7, 22)), expected(MSFT, date(2026, 7, 28))], MONDAY)
        everybody(store, [expected(IBM, date(2026, 7, 23)), expected(MSFT, date(2026, 7, 28))], TUESDAY)
        assert value(store.calendar(*WHOLE)) == (
            expected(IBM, date(2026, 7, 23), moved_from=date(2026, 7, 22)),
            expected(MSFT, date(2026, 7, 28)),
        )


COMPANIES = [Ticker(f"{first}{second}") for first in "ABCD" for second in "EFGHI"]  # twenty of them


class TestWholeCalendar:
    def test_everybody_who_reports_in_some_days_is_given_by_date_and_then_by_ticker(self, database: Database) -> None:
        store = EarningsRepository(database)
        days = {"MSFT": 20, "IBM": 20, "AAPL": 19, "NKE": 21, "GE": 18}
        everybody(store, [expected(Ticker(name), date(2026, 5, day)) for name, day in days.items()], MONDAY)
        found = value(store.calendar(date(2026, 5, 19), date(2026, 5, 20)))
        assert isinstance(found, tuple)
        assert [report.ticker for report in found] == ["AAPL", "IBM", "MSFT"]

    def test_when_everybody_was_asked_for_last_is_kept_and_one_company_is_not_everybody(
        self, database: Database
    ) -> None:
        store = EarningsRepository(database)
        assert value(store.last_calendar(SOURCE)) is None
        ibm_reports(store, MONDAY, date(2026, 7, 22))
        assert value(store.last_calendar(SOURCE)) is None
        everybody(store, [expected(IBM, date(2026, 7, 22)), expected(MSFT, date(2026, 7, 22))], MONDAY)
        everybody(store, [expected(IBM, date(2026, 7, 22))], TUESDAY)
        assert value(store.last_calendar(SOURCE)) == CalendarListing(TUESDAY, 1, date(2026, 7, 22), date(2026, 7, 22))

    def test_a_calendar_reaches_from_the_first_to_the_last_date_kept_of_those_that_were_named_of_everybody(
        self, database: Database
    ) -> None:
        store = EarningsRepository(database)
        ibm_reports(store, MONDAY, date(2027, 4, 21))  # asked for one company, a source names a year
        days = [date(2026, 5, 19), date(2026, 7, 22), date(2026, 8, 12)]
        everybody(store, [expected(MSFT, day) for day in days], MONDAY)
        ibm_reports(store, TUESDAY, date(2026, 8, 20), date(2027, 4, 21))
        assert value(store.last_calendar(SOURCE)) == CalendarListing(MONDAY, 3, days[0], days[-1])

    def test_a_calendar_that_never_named_anybody_reaches_nowhere(self, database: Database) -> None:
        store = EarningsRepository(database)
        everybody(store, [], MONDAY)
        assert value(store.last_calendar(SOURCE)) == CalendarListing(MONDAY, 0, None, None)

    @pytest.mark.parametrize(("named", "standing", "kept"), [(15, 0, 15), (14, 6, 20), (1, 19, 20)])
    def test_up_to_a_quarter_of_all_dates_may_be_given_up_at_once_and_with_more_missing_all_stand(
        self, database: Database, named: int, standing: int, kept: int
    ) -> None:
        store = EarningsRepository(database)
        reports = [expected(ticker, date(2026, 5, 20)) for ticker in COMPANIES]
        everybody(store, reports, MONDAY)
        assert everybody(store, reports[:named], TUESDAY) == standing
        found = value(store.calendar(*WHOLE))
        assert isinstance(found, tuple)
        assert len(found) == kept

    def test_a_calendar_without_anybody_wipes_nothing(self, database: Database) -> None:
        store = EarningsRepository(database)
        everybody(store, [expected(IBM, date(2026, 7, 22))], MONDAY)
        assert everybody(store, [], TUESDAY) == 1
        assert dates(database, IBM) == [date(2026, 7, 22)]

    def test_what_lies_beyond_the_last_date_that_a_calendar_names_was_not_asked_for(self, database: Database) -> None:
        store = EarningsRepository(database)
        reports = [expected(ticker, date(2026, 5, 20)) for ticker in COMPANIES]
        beyond = expected(IBM, date(2026, 5, 21))
        everybody(store, [*reports, beyond], MONDAY)
        assert everybody(store, reports, TUESDAY) == 0
        assert dates(database, IBM) == [date(2026, 5, 21)]

    def test_what_an_incomplete_calendar_does_name_is_kept(self, database: Database) -> None:
        store = EarningsRepository(database)
        everybody(store, [expected(ticker, date(2026, 5, 20)) for ticker in COMPANIES], MONDAY)
        moved = [expected(COMPANIES[0], date(2026, 5, 27))]
        assert everybody(store, moved, TUESDAY) == 19
        assert dates(database, COMPANIES[0]) == [date(2026, 5, 27)]


class TestDividends:
    def test_dividends_are_replaced_by_what_the_provider_says_now(self, database: Database) -> None:
        store = EarningsRepository(database)
        store.save_dividends(IBM, [Dividend(date(2026, 2, 9), 1.67)], MONDAY)
        now = [Dividend(date(2026, 5, 8), 1.68), Dividend(date(2026, 5, 8), 0.5), Dividend(date(2026, 8, 10), 1.68)]
        store.save_dividends(IBM, now, TUESDAY)
        store.save_dividends(MSFT, [Dividend(date(2026, 5, 8), 0.91)], TUESDAY)
        assert value(store.dividends(IBM, date(2026, 1, 1), date(2026, 8, 9))) == tuple(now[:2])

    def test_forgotten_dividends_are_as_if_never_read_and_nobody_elses(self, database: Database) -> None:
        store, paid = (
            EarningsRepository(database),
            (Dividend(date(2026, 5, 8), 1.68), Dividend(date(2026, 8, 10), 1.68)),
        )
        assert value(store.forget_dividends(IBM)) == 0
        for ticker in (IBM, MSFT):
            store.save_dividends(ticker, paid, MONDAY)
        assert value(store.forget_dividends(IBM)) == 2
        year = date(2026, 1, 1), date(2026, 12, 31)
        assert (value(store.dividends(IBM, *year)), value(store.dividends_seen_at(IBM))) == ((), None)
        assert (value(store.dividends(MSFT, *year)), value(store.dividends_seen_at(MSFT))) == (paid, MONDAY)


def bar(day: date, close: float = 100.0) -> DailyBar:
    return DailyBar(day, close, close + 1, close - 1, close, 1_000)


MOVES = (
    HistoricalMove(
        date(2026, 1, 28), Timing.AMC, date(2026, 1, 29), 294.12, -5.1, -4.0, -1.1, -6.2, flags=("session_by_pattern",)
    ),
    HistoricalMove(date(2025, 10, 22), Timing.BMO, date(2025, 10, 22), 281.0, 0.1 + 0.2, 0.0, -0.0, 1e-12),
)
MISSING = (MissingMove(date(2025, 7, 23), Timing.UNKNOWN, "session unknown"),)


class TestPrices:
    def test_a_history_comes_back_as_it_was_measured_newest_first(self, database: Database) -> None:
        store = PricesRepository(database)
        bars = [bar(date(2026, 1, 28)), bar(date(2026, 1, 29), 94.9)]
        assert store.save_history(IBM, MOVES[::-1], MISSING, bars, through=FRIDAY, saved_at=MONDAY) == Ok(None)
        assert value(store.moves(IBM, date(2026, 5, 15))) == MOVES
        assert value(store.missing_moves(IBM, date(2026, 5, 15))) == MISSING
        assert value(store.bars(IBM, *WHOLE)) == tuple(bars)
        assert value(store.last_backfill(IBM)) == MONDAY
        assert value(store.moves(MSFT, date(2026, 5, 15))) == ()
        assert value(store.last_backfill(MSFT)) is None

    def test_a_move_is_known_the_day_after_its_reaction_session_and_not_on_it(self, database: Database) -> None:
        store = PricesRepository(database)
        store.save_history(IBM, MOVES, MISSING, [], through=FRIDAY, saved_at=MONDAY)
        assert value(store.moves(IBM, date(2026, 1, 29))) == MOVES[1:]
        assert value(store.moves(IBM, date(2026, 1, 30))) == MOVES
        assert value(store.missing_moves(IBM, date(2025, 7, 23))) == ()

    def test_a_history_as_of_earlier_or_shorter_leaves_what_lies_outside_it(self, database: Database) -> None:
        store = PricesRepository(database)
        old, new = date(2025, 10, 21), date(2026, 1, 29)
        store.save_history(IBM, MOVES, MISSING, [bar(old), bar(new)], through=FRIDAY, saved_at=MONDAY)
        corrected = dataclasses.replace(MOVES[1], gap_pct=2.0)
        store.save_history(IBM, [corrected], (), [bar(old, 7.0)], through=date(2025, 12, 31), saved_at=TUESDAY)
        assert value(store.moves(IBM, date(2026, 5, 15))) == (MOVES[0], corrected)
        assert value(store.missing_moves(IBM, date(2026, 5, 15))) == MISSING
        assert value(store.bars(IBM, *WHOLE)) == (bar(old, 7.0), bar(new))

    def test_a_history_of_the_evening_of_a_report_leaves_the_move_that_was_measured_later(
        self, database: Database
    ) -> None:
        store = PricesRepository(database)
        store.save_history(IBM, MOVES, MISSING, [], through=FRIDAY, saved_at=MONDAY)
        evening = date(2026, 1, 28)  # IBM reports after the close; the move is the next day's
        pending = MissingMove(evening, Timing.AMC, "no bar of 2026-01-29")
        store.save_history(IBM, MOVES[1:], (pending,), [], through=evening, saved_at=TUESDAY)
        assert value(store.moves(IBM, date(2026, 5, 15))) == MOVES

    def test_a_newer_history_replaces_the_older_one_from_its_first_report_on(self, database: Database) -> None:
        store = PricesRepository(database)
        store.save_history(IBM, MOVES, MISSING, [bar(date(2026, 1, 28))], through=FRIDAY, saved_at=MONDAY)
        store.save_history(MSFT, MOVES, (), [bar(date(2026, 1, 28))], through=FRIDAY, saved_at=MONDAY)
        again = (dataclasses.replace(MOVES[0], gap_pct=-4.5), MOVES[1])
        later = MissingMove(date(2025, 7, 23), Timing.AMC, "no bars")
        store.save_history(IBM, again, [later], [bar(date(2026, 1, 29))], through=FRIDAY, saved_at=TUESDAY)
        assert value(store.moves(IBM, date(2026, 5, 15))) == again
        assert value(store.missing_moves(IBM, date(2026, 5, 15))) == (later,)
        assert value(store.bars(IBM, *WHOLE)) == (bar(date(2026, 1, 29)),)
        assert value(store.last_backfill(IBM)) == TUESDAY
        assert value(store.moves(MSFT, date(2026, 5, 15))) == MOVES

    def test_bars_older_than_400_days_before_the_last_session_are_let_go(self, database: Database) -> None:
        newest = FRIDAY
        store = PricesRepository(database)
        store.save_history(
            IBM, (), (), [bar(newest - timedelta(days)) for days in (401, 400, 0)], through=FRIDAY, saved_at=MONDAY
        )
        assert value(store.bars(IBM, *WHOLE)) == (bar(newest - timedelta(400)), bar(newest))

    def test_bars_of_an_earlier_moment_are_kept_beside_those_of_today(self, database: Database) -> None:
        store = PricesRepository(database)
        store.save_history(IBM, (), (), [bar(FRIDAY)], through=FRIDAY, saved_at=None)
        long_ago = date(2024, 11, 15)
        store.save_history(IBM, (), (), [bar(long_ago)], through=long_ago, saved_at=None)
        assert value(store.bars(IBM, *WHOLE)) == (bar(long_ago), bar(FRIDAY))
        assert value(store.last_backfill(IBM)) is None

    def test_how_far_back_the_provider_goes_is_kept_until_it_says_otherwise(self, database: Database) -> None:
        store, oldest = PricesRepository(database), date(1999, 1, 21)
        assert value(store.oldest_report(IBM)) is None
        store.save_history(IBM, MOVES, (), [], through=FRIDAY, saved_at=MONDAY, oldest_report=oldest)
        store.save_history(IBM, MOVES, (), [], through=FRIDAY, saved_at=None)
        assert (value(store.oldest_report(IBM)), value(store.last_backfill(IBM))) == (oldest, MONDAY)

    def test_an_answer_without_reports_is_remembered_and_takes_nothing_away(self, database: Database) -> None:
        store = PricesRepository(database)
        store.save_history(IBM, MOVES, (), [bar(FRIDAY)], through=FRIDAY, saved_at=MONDAY, oldest_report=FRIDAY)
        for ticker in (IBM, MSFT):
            store.save_asked(ticker, TUESDAY)
            assert value(store.last_backfill(ticker)) == TUESDAY
        assert value(store.moves(IBM, date(2026, 5, 18))) == MOVES
        assert value(store.bars(IBM, *WHOLE)) == (bar(FRIDAY),)
        assert (value(store.oldest_report(IBM)), value(store.oldest_report(MSFT))) == (FRIDAY, None)

    def test_dividends_that_were_read_are_known_to_be_read_even_where_there_are_none(self, database: Database) -> None:
        store, prices = EarningsRepository(database), PricesRepository(database)
        assert value(store.dividends_seen_at(IBM)) is None
        store.save_dividends(IBM, (), MONDAY)
        assert value(store.dividends_seen_at(IBM)) == MONDAY
        assert value(prices.last_backfill(IBM)) is None
        store.save_dividends(IBM, (), TUESDAY)
        assert value(store.dividends_seen_at(IBM)) == TUESDAY

    def test_a_second_move_of_one_report_is_a_defect_and_leaves_the_old_history(self, database: Database) -> None:
        import sqlite3

        store = PricesRepository(database)
        store.save_history(IBM, MOVES, (), [], through=FRIDAY, saved_at=MONDAY)
        with pytest.raises(sqlite3.IntegrityError):
            store.save_history(IBM, (MOVES[0], MOVES[0]), (), [], through=FRIDAY, saved_at=TUESDAY)
        assert value(store.moves(IBM, date(2026, 5, 15))) == MOVES

    def test_a_move_without_all_its_numbers_cannot_be_stored(self, database: Database) -> None:
        import sqlite3

        with pytest.raises(sqlite3.IntegrityError):
            PricesRepository(database).save_history(
                IBM,
                (dataclasses.replace(MOVES[0], gap_pct=float("nan")),),
                (),
                [],
                through=FRIDAY,
                saved_at=MONDAY,
            )

    def test_a_closed_file_system_is_an_answer_and_not_a_crash(self, database: Database) -> None:
        spoiled = "INSERT INTO ticker_metadata (ticker, last_backfill) VALUES ('IBM', 'long ago')"
        database.write(lambda connection: connection.execute(spoiled))
        found = PricesRepository(database).last_backfill(IBM)
        assert isinstance(found, Err)
        assert found.error.code is ErrorCode.DBERROR


class TestAnalysisLog:
    def test_an_analysis_is_kept_whole_and_its_snapshot_comes_back(self, database: Database) -> None:
        store = AnalysisRepository(database)
        analysis = ibm_analysis()
        first = value(store.save_analysis(analysis, b'{"ticker": "IBM"}', "run-1", MONDAY))
        second = value(store.save_analysis(analysis, b"{}", "run-2", TUESDAY))
        assert (first, second) == (1, 2)
        found = store.snapshot(1)
        assert isinstance(found, Ok)
        assert encode_snapshot(found.value) == encode_snapshot(analysis.snapshot)
        sql = "SELECT run_id, ticker, report_date, as_of, saved_at, document FROM analysis_log WHERE number = 1"
        assert value(database.rows(sql, (), tuple)) == (
            (
                "run-1",
                "IBM",
                "2026-05-20",
                "2026-05-15T19:45:00.000000+00:00",
                "2026-05-11T13:30:00.000000+00:00",
                b'{"ticker": "IBM"}',
            ),
        )

    def test_an_unknown_number_is_no_data_and_a_spoiled_snapshot_a_storage_error(self, database: Database) -> None:
        store = AnalysisRepository(database)
        store.save_analysis(ibm_analysis(), b"{}", "run-1", MONDAY)
        database.write(lambda connection: connection.execute("UPDATE analysis_log SET snapshot = x'00ff'"))
        unknown, spoiled = store.snapshot(9), store.snapshot(1)
        assert isinstance(unknown, Err)
        assert unknown.error.code is ErrorCode.NODATA
        assert isinstance(spoiled, Err)
        assert spoiled.error.code is ErrorCode.DBERROR

    def test_a_closed_door_to_the_file_is_passed_on(self, database: Database) -> None:
        import sqlite3

        store = AnalysisRepository(database)
        other = sqlite3.connect(database.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        refused = store.save_analysis(ibm_analysis(), b"{}", "run-1", MONDAY)
        other.close()
        assert isinstance(refused, Err)
        assert refused.error.about("reason") == "locked"


class TestDailyQuota:
    def test_the_calls_left_are_counted_down_and_the_next_one_is_refused_with_its_time(
        self, database: Database
    ) -> None:
        quota = DailyQuota(database)
        assert [value(quota.take("alpha_vantage", 3, MONDAY)) for _ in range(3)] == [2, 1, 0]
        refused = quota.take("alpha_vantage", 3, MONDAY + timedelta(hours=5))
        assert isinstance(refused, Err)
        assert refused.error.code is ErrorCode.QUOTA
        assert refused.error.message == (
            "alpha_vantage: 3 of 3 calls of the last 24 hours are spent; next at 2026-05-12T09:31-04:00"
        )
        assert refused.error.about("free_at") == "2026-05-12T13:31:00.000000+00:00"
        assert value(quota.remaining("alpha_vantage", 3, MONDAY)) == 0
        assert value(quota.remaining("other", 3, MONDAY)) == 3

    def test_a_call_counts_for_24_hours_by_the_minute_rounded_up(self, database: Database) -> None:
        quota = DailyQuota(database)
        quota.take("alpha_vantage", 25, MONDAY.replace(second=59))
        assert value(quota.remaining("alpha_vantage", 25, TUESDAY.replace(second=59))) == 24
        assert value(quota.remaining("alpha_vantage", 25, TUESDAY + timedelta(minutes=1))) == 25

    def test_a_refusal_by_the_provider_holds_until_midnight_in_new_york(self, database: Database) -> None:
        quota = DailyQuota(database)
        quota.take("alpha_vantage", 25, MONDAY)
        assert quota.exhausted("alpha_vantage", 25, MONDAY + timedelta(seconds=10)) == Ok(None)
        refused = quota.take("alpha_vantage", 25, MONDAY + timedelta(hours=10))
        assert isinstance(refused, Err)
        assert refused.error.about("free_at") == "2026-05-12T04:00:00.000000+00:00"
        assert value(quota.remaining("alpha_vantage", 25, MONDAY + timedelta(hours=10))) == 0
        midnight = datetime(2026, 5, 12, tzinfo=NEW_YORK)
        assert value(quota.take("alpha_vantage", 25, midnight)) == 23

    def test_a_limit_raised_since_the_refusal_is_another_plan_and_opens_the_door(self, database: Database) -> None:
        quota = DailyQuota(database)
        quota.take("alpha_vantage", 25, MONDAY)
        quota.exhausted("alpha_vantage", 25, MONDAY)
        later = MONDAY + timedelta(hours=1)
        assert value(quota.remaining("alpha_vantage", 25, later)) == 0
        assert value(quota.remaining("alpha_vantage", 24, later)) == 0
        assert value(quota.take("alpha_vantage", 75, later)) == 73
        # The larger plan is spent too: now that is the limit which was refused.
        quota.exhausted("alpha_vantage", 75, later)
        assert value(quota.remaining("alpha_vantage", 75, later)) == 0

    def test_a_refused_key_is_told_until_an_answer_comes_and_is_neither_a_call_nor_a_spent_day(
        self, database: Database
    ) -> None:
        quota = DailyQuota(database)
        quota.key_refused("alpha_vantage", MONDAY - timedelta(days=3))
        quota.key_refused("alpha_vantage", MONDAY)
        state = value(quota.state("alpha_vantage", 25, TUESDAY))
        assert (state.key_refused_at, state.refused_at, state.left) == (MONDAY, None, 25)
        assert value(quota.state("other", 25, TUESDAY)).key_refused_at is None
        quota.key_accepted("alpha_vantage")
        assert value(quota.state("alpha_vantage", 25, TUESDAY)).key_refused_at is None

    def test_the_count_holds_across_processes(self, database: Database) -> None:
        opened = init_database(database.path)
        assert isinstance(opened, Ok)
        assert [
            value(DailyQuota(each).take("alpha_vantage", 25, MONDAY)) for each in (database, opened.value, database)
        ] == [24, 23, 22]
        opened.value.close()

    def test_calls_noted_by_a_clock_that_was_days_ahead_are_forgotten(self, database: Database) -> None:
        quota = DailyQuota(database)
        quota.take("alpha_vantage", 1, MONDAY + timedelta(days=300))
        quota.exhausted("alpha_vantage", 25, MONDAY + timedelta(days=300))
        assert value(quota.take("alpha_vantage", 1, MONDAY)) == 0
        count = value(database.rows("SELECT count(*) FROM rate_limits", (), lambda row: row[0]))
        assert count == (1,)

    def test_an_hour_back_on_the_clock_forgets_nothing(self, database: Database) -> None:
        quota = DailyQuota(database)
        quota.take("alpha_vantage", 2, MONDAY)
        assert value(quota.remaining("alpha_vantage", 2, MONDAY - timedelta(hours=1))) == 1

    def test_a_limit_of_none_gives_none(self, database: Database) -> None:
        refused = DailyQuota(database).take("alpha_vantage", 0, MONDAY)
        assert isinstance(refused, Err)
        assert refused.error.code is ErrorCode.QUOTA

    def test_the_oldest_calls_are_let_go_first_until_one_is_free(self, database: Database) -> None:
        quota = DailyQuota(database)
        for hour in range(3):
            quota.take("alpha_vantage", 9, MONDAY + timedelta(hours=hour))
        refused = quota.take("alpha_vantage", 2, MONDAY + timedelta(hours=3))
        assert isinstance(refused, Err)
        assert refused.error.about("free_at") == "2026-05-12T14:31:00.000000+00:00"


def test_a_moment_is_stored_in_utc_and_one_without_a_zone_is_a_defect() -> None:
    assert utc_text(MONDAY) == "2026-05-11T13:30:00.000000+00:00"
    assert utc_text(datetime(2026, 1, 1, tzinfo=UTC)) < utc_text(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="no zone"):
        utc_text(datetime(2026, 5, 11))  # noqa: DTZ001


def test_a_transport_spends_from_one_providers_allowance_until_it_is_told_to_stop(database: Database) -> None:
    quota = DailyQuota(database)
    allowance = ProviderAllowance(quota, "alpha_vantage", 2, now=lambda: MONDAY)
    assert allowance.spend() == Ok(None)
    assert value(quota.remaining("alpha_vantage", 2, MONDAY)) == 1
    allowance.exhausted()
    refused = allowance.spend()
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.QUOTA
