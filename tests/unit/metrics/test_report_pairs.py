"""Which analysis answers for which report: every one of them once, by a company's dates written down by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.application.metrics.report_pairs import pair_reports
from ivcrush.domain.analysis import Statement
from ivcrush.domain.enums import DateStatus, ReportSource, Timing, Unscored
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.score import ScoredReport, UnscoredStatement
from ivcrush.domain.types import HistoricalMove, MissingMove, ScheduledReport, StoredReports, Ticker
from tests.unit.metrics.statements import FRIDAY, IBM, THURSDAY, WEDNESDAY, move

LATER = datetime(2026, 8, 3, 12, 0, tzinfo=NEW_YORK)
Kept = tuple[StoredReports, tuple[ScheduledReport, ...]]


def kept(
    moves: tuple[HistoricalMove, ...] = (),
    missing: tuple[MissingMove, ...] = (),
    coming: tuple[ScheduledReport, ...] = (),
) -> Kept:
    return StoredReports(moves, missing), coming


NOTHING = kept()


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK)


def paired(
    *statements: Statement, record: Kept = NOTHING, now: datetime = LATER
) -> tuple[tuple[ScoredReport, ...], tuple[UnscoredStatement, ...]]:
    """The pairs, after a look at whether every analysis is there once."""
    scored, unscored = pair_reports(statements, *record, now, MarketCalendar())
    numbers = [each.statement.number for each in (*scored, *unscored)]
    assert sorted(numbers) == sorted(each.number for each in statements)
    return scored, unscored


def reason(statement: Statement, record: Kept = NOTHING, now: datetime = LATER) -> Unscored:
    """Why one analysis is not scored."""
    scored, unscored = paired(statement, record=record, now=now)
    assert scored == ()
    return unscored[0].reason


def measured(*moves: HistoricalMove) -> Kept:
    return kept(moves)


def expected(day: date, *moves: HistoricalMove, timing: Timing = Timing.AMC) -> Kept:
    report = ScheduledReport(Ticker("IBM"), day, timing, DateStatus.ESTIMATED, ReportSource.ALPHA_VANTAGE)
    return kept(moves, coming=(report,))


def calendar_next(day: date) -> date:
    return MarketCalendar().next_session(day)


def test_the_last_analysis_that_could_be_traded_counts_and_the_earlier_ones_are_replaced() -> None:
    first, second = replace(IBM, number=2, as_of=at(WEDNESDAY, 9, 35)), replace(IBM, number=3)
    last = replace(IBM, number=1, as_of=at(WEDNESDAY, 15, 59))
    late = replace(IBM, number=4, as_of=at(WEDNESDAY, 16))
    scored, unscored = paired(late, last, second, first, record=measured(move()))
    assert scored == (ScoredReport(last, move()),)
    assert {(each.statement.number, each.reason) for each in unscored} == {
        (2, Unscored.REPLACED),
        (3, Unscored.REPLACED),
        (4, Unscored.AFTER_THE_FACT),
    }


@pytest.mark.parametrize(
    ("came", "too_late"),
    [
        (move(), at(THURSDAY, 9, 29)),  # the quotes of before, and the news of last night
        (move(THURSDAY, Timing.BMO, THURSDAY), at(WEDNESDAY, 18)),
        (move(THURSDAY, Timing.DMH, THURSDAY), at(WEDNESDAY, 16)),
    ],
)
def test_an_analysis_after_the_close_before_the_reaction_does_not_replace_the_one_that_could_be_traded(
    came: HistoricalMove, too_late: datetime
) -> None:
    late = replace(IBM, number=2, as_of=too_late)
    scored, unscored = paired(IBM, late, record=measured(came))
    assert scored == (ScoredReport(IBM, came),)
    assert unscored == (UnscoredStatement(late, Unscored.AFTER_THE_FACT),)


def test_of_two_analyses_of_one_moment_the_later_kept_one_counts() -> None:
    scored, _ = paired(replace(IBM, number=8), replace(IBM, number=9), record=measured(move()))
    assert scored[0].statement.number == 9


def test_quarters_are_kept_apart_and_come_in_order() -> None:
    winter = move(date(2026, 2, 18), reaction=date(2026, 2, 19))
    before = replace(
        IBM, number=2, report_date=date(2026, 2, 18), as_of=at(date(2026, 2, 18), 15), expiration=date(2026, 2, 20)
    )
    scored, unscored = paired(IBM, before, record=measured(move(), winter))
    assert scored == (ScoredReport(before, winter), ScoredReport(IBM, move()))
    assert unscored == ()


_DAYS = st.dates(date(2026, 4, 1), date(2026, 7, 31))
_MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 9, 1), timezones=st.just(NEW_YORK))  # noqa: DTZ001


@given(
    made=st.lists(st.tuples(_DAYS, _MOMENTS, st.sampled_from(Timing)), max_size=12),
    moves=st.lists(_DAYS.filter(MarketCalendar().is_session), unique=True, max_size=4),
    missing=st.lists(_DAYS, max_size=2),
    now=_MOMENTS,
)
def test_whatever_is_kept_every_analysis_has_one_place_and_every_report_one_analysis(
    made: list[tuple[date, datetime, Timing]], moves: list[date], missing: list[date], now: datetime
) -> None:
    statements = [
        replace(IBM, number=number, report_date=day, as_of=at, timing=timing, expiration=day + timedelta(9))
        for number, (day, at, timing) in enumerate(made)
    ]
    record = kept(
        tuple(move(day, Timing.BMO, day) for day in moves),
        tuple(MissingMove(day, Timing.UNKNOWN, "session of the report unknown") for day in missing),
    )
    scored, _ = paired(*statements, record=record, now=now)
    answered = [each.move.report_date for each in scored]
    assert answered == sorted(set(answered))
    for each in scored:
        before = MarketCalendar().previous_session(each.move.reaction_session)
        assert each.statement.as_of < MarketCalendar().closes_at(before)
        assert each.statement.expiration >= each.move.reaction_session


class TestMovedReports:
    def test_an_analysis_of_a_date_that_moved_is_held_against_the_move_of_the_day_it_came(self) -> None:
        came = move(THURSDAY, Timing.AMC, FRIDAY)
        scored, _ = paired(IBM, record=measured(came))
        assert scored == (ScoredReport(IBM, came),)
        assert scored[0].moved

    def test_a_session_that_was_another_counts_as_moved_and_one_nobody_knew_does_not(self) -> None:
        came = move(THURSDAY, Timing.BMO, THURSDAY)
        said = replace(IBM, report_date=THURSDAY)
        assert ScoredReport(said, came).moved
        assert not ScoredReport(replace(said, timing=Timing.UNKNOWN), came).moved
        assert not ScoredReport(IBM, move()).moved

    def test_an_evening_report_that_came_that_morning_had_been_answered_at_a_quarter_to_four(self) -> None:
        assert reason(IBM, measured(move(WEDNESDAY, Timing.BMO, WEDNESDAY))) is Unscored.AFTER_THE_FACT

    def test_options_that_expired_before_the_report_came_knew_nothing_of_it(self) -> None:
        monday = FRIDAY + timedelta(4)  # Memorial Day lies between
        assert reason(IBM, measured(move(FRIDAY, Timing.AMC, monday))) is Unscored.EXPIRED_BEFORE

    @pytest.mark.parametrize(("days", "same"), [(45, True), (46, False)])
    def test_dates_more_than_45_days_apart_are_two_reports(self, days: int, same: bool) -> None:
        day = WEDNESDAY + timedelta(days)
        statement = replace(IBM, expiration=day + timedelta(30))
        scored, _ = paired(statement, record=measured(move(day, Timing.BMO, day)))
        assert bool(scored) is same

    def test_the_nearest_date_is_the_report_and_the_earlier_of_two_equally_near(self) -> None:
        far, near = (move(WEDNESDAY + timedelta(days), Timing.BMO, WEDNESDAY + timedelta(days)) for days in (-30, 1))
        tie = move(WEDNESDAY - timedelta(1), Timing.AMC, WEDNESDAY)
        said = replace(IBM, as_of=at(date(2026, 5, 12), 15))
        assert paired(said, record=measured(far, near))[0][0].move == near
        assert paired(said, record=measured(near, tie))[0][0].move == tie


class TestNearestReport:
    """A company may report twice in 45 days; its own row, of whatever kind, is the report."""

    april = date(2026, 4, 20)
    missing = MissingMove(WEDNESDAY, Timing.AMC, "no bars for 2026-05-21")

    @pytest.mark.parametrize("other", [april, date(2026, 6, 19)])
    def test_a_row_without_a_move_is_nearer_than_a_move_a_month_off(self, other: date) -> None:
        record = kept((move(other, Timing.BMO, other),), (self.missing,))
        assert reason(replace(IBM, expiration=date(2026, 7, 17)), record) is Unscored.NOT_MEASURED

    def test_an_expected_date_is_nearer_than_a_move_forty_days_before_it(self) -> None:
        early = date(2026, 4, 10)
        record = expected(WEDNESDAY, move(early, Timing.BMO, early))
        said = replace(IBM, as_of=at(date(2026, 4, 9), 15))
        assert reason(said, record) is Unscored.NOT_MEASURED
        assert reason(said, record, at(date(2026, 5, 12), 12)) is Unscored.NOT_REPORTED

    def test_of_a_move_and_a_row_without_one_that_are_equally_near_the_move_counts(self) -> None:
        came = move(THURSDAY, Timing.AMC, FRIDAY)
        record = kept((came,), (replace(self.missing, report_date=WEDNESDAY - timedelta(1)),))
        assert paired(IBM, record=record)[0] == (ScoredReport(IBM, came),)

    @pytest.mark.parametrize("days", [1, -1, 28])
    def test_a_date_that_is_still_expected_beside_the_day_it_came_is_no_other_report(self, days: int) -> None:
        came = move(WEDNESDAY - timedelta(days), Timing.AMC, calendar_next(WEDNESDAY - timedelta(days)))
        said = replace(IBM, as_of=at(date(2026, 4, 20), 15))
        assert paired(said, record=expected(WEDNESDAY, came))[0] == (ScoredReport(said, came),)


class TestWithoutAMove:
    @pytest.mark.parametrize(
        ("now", "why"),
        [
            (at(date(2026, 5, 19), 12), Unscored.NOT_REPORTED),
            (at(WEDNESDAY, 23), Unscored.NOT_REPORTED),
            (at(THURSDAY, 0, 5), Unscored.REACTION_NOT_OVER),
            (at(THURSDAY, 15, 59), Unscored.REACTION_NOT_OVER),
            (at(THURSDAY, 16), Unscored.NOT_MEASURED),
            (at(THURSDAY, 16).astimezone(UTC), Unscored.NOT_MEASURED),
        ],
    )
    def test_the_stage_of_an_evening_report_follows_the_clock(self, now: datetime, why: Unscored) -> None:
        assert reason(IBM, now=now) is why

    def test_a_morning_report_reacts_on_its_own_day(self) -> None:
        said = replace(IBM, timing=Timing.BMO, as_of=at(date(2026, 5, 19), 15))
        assert reason(said, now=at(WEDNESDAY, 9)) is Unscored.NOT_REPORTED
        assert reason(said, now=at(WEDNESDAY, 10)) is Unscored.REACTION_NOT_OVER
        assert reason(said, now=at(WEDNESDAY, 16)) is Unscored.NOT_MEASURED

    def test_a_session_that_nobody_knew_is_waited_for_to_the_later_one(self) -> None:
        said = replace(IBM, timing=Timing.UNKNOWN)
        assert reason(said, now=at(THURSDAY, 12)) is Unscored.REACTION_NOT_OVER

    @pytest.mark.parametrize("made", [at(THURSDAY, 11), at(WEDNESDAY, 16)])
    def test_an_analysis_that_came_too_late_for_a_trade_will_never_count(self, made: datetime) -> None:
        assert reason(replace(IBM, as_of=made)) is Unscored.AFTER_THE_FACT

    def test_a_date_that_the_calendar_has_moved_on_is_not_reported_yet(self) -> None:
        assert reason(IBM, expected(date(2026, 5, 27)), at(date(2026, 5, 26), 12)) is Unscored.NOT_REPORTED

    def test_a_report_whose_bars_were_not_there_yet_is_to_be_measured_again(self) -> None:
        record = kept(missing=(MissingMove(WEDNESDAY, Timing.AMC, "no bars for 2026-05-21"),))
        _, unscored = paired(IBM, record=record)
        assert unscored == (UnscoredStatement(IBM, Unscored.NOT_MEASURED, "no bars for 2026-05-21"),)
        assert reason(IBM, record, at(THURSDAY, 12)) is Unscored.REACTION_NOT_OVER
        assert reason(replace(IBM, as_of=at(WEDNESDAY, 17)), record) is Unscored.AFTER_THE_FACT

    def test_a_report_that_no_bars_can_measure_says_why(self) -> None:
        record = kept(missing=(MissingMove(WEDNESDAY, Timing.UNKNOWN, "session of the report unknown"),))
        _, unscored = paired(IBM, record=record)
        assert unscored == (UnscoredStatement(IBM, Unscored.NOT_MEASURABLE, "session of the report unknown"),)
