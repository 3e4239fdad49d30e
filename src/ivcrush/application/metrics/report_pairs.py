"""Which kept analysis answers for which report, and why the others answer for none. One company at a time.

A report's last analysis that could still be traded, before the close before its reaction session, is held against the
move over that session: from that close on the news may have been out. Two dates within `SAME_REPORT` are one report, so
an analysis of a date that moved is held against the move of the day it came.
Measures nothing, and reads no clock: now is given.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

from ivcrush.application.metrics.earnings_moves import may_yet_be_measured
from ivcrush.application.metrics.session_clock import entry_closes_at, reaction_has_begun, reaction_session
from ivcrush.domain.analysis import Statement
from ivcrush.domain.enums import Timing, Unscored
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.score import ScoredReport, UnscoredStatement
from ivcrush.domain.types import SAME_REPORT, HistoricalMove, MissingMove, ScheduledReport


class _Dated(Protocol):
    @property
    def report_date(self) -> date: ...


class _Announced(_Dated, Protocol):
    @property
    def timing(self) -> Timing: ...


D = TypeVar("D", bound=_Dated)


@dataclass(frozen=True, slots=True)
class CompanyRecord:
    """What is kept of a company's reports: the moves, the reports without one, the dates that are expected now."""

    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    expected: tuple[ScheduledReport, ...]


def pair_reports(
    statements: Sequence[Statement], record: CompanyRecord, now: datetime, calendar: MarketCalendar
) -> tuple[tuple[ScoredReport, ...], tuple[UnscoredStatement, ...]]:
    """One company's analyses, each in exactly one of the two; reports rising by date."""
    candidates: dict[HistoricalMove, list[Statement]] = defaultdict(list)
    unscored: list[UnscoredStatement] = []
    for statement in statements:
        move = _nearest(record.moves, statement.report_date)
        if move is None:
            unscored.append(_unmeasured(statement, record, now, calendar))
        elif (reason := _unfit(statement, move, calendar)) is not None:
            unscored.append(UnscoredStatement(statement, reason))
        else:
            candidates[move].append(statement)
    scored = []
    for move, of_report in sorted(candidates.items(), key=lambda item: item[0].report_date):
        *earlier, last = sorted(of_report, key=lambda each: (each.as_of, each.number))
        scored.append(ScoredReport(last, move))
        unscored += [UnscoredStatement(each, Unscored.REPLACED) for each in earlier]
    return tuple(scored), tuple(unscored)


def _unfit(statement: Statement, move: HistoricalMove, calendar: MarketCalendar) -> Unscored | None:
    """Why an analysis could not know of this move, or not of options that held it; None where it could."""
    if statement.as_of >= entry_closes_at(move.report_date, move.timing, calendar):
        return Unscored.AFTER_THE_FACT
    return Unscored.EXPIRED_BEFORE if statement.expiration < move.reaction_session else None


def _unmeasured(
    statement: Statement, record: CompanyRecord, now: datetime, calendar: MarketCalendar
) -> UnscoredStatement:
    """Why no move is kept of its report, by the date that is expected now where the calendar names another."""
    missing = _nearest(record.missing, statement.report_date)
    if missing is not None and not may_yet_be_measured(missing):
        return UnscoredStatement(statement, Unscored.NOT_MEASURABLE, missing.reason)
    report: _Announced = missing or _nearest(record.expected, statement.report_date) or statement
    timing = Timing.AMC if report.timing is Timing.UNKNOWN else report.timing  # the later of its two sessions
    reaction = reaction_session(report.report_date, timing, calendar)
    stage = _stage(statement, report, reaction, now, calendar)
    lacking = missing.reason if missing is not None and stage is Unscored.NOT_MEASURED else ""
    return UnscoredStatement(statement, stage, lacking)


def _stage(
    statement: Statement, report: _Announced, reaction: date, now: datetime, calendar: MarketCalendar
) -> Unscored:
    """How far the report has come. One of today, or tonight, may have been made: nobody says so."""
    if not reaction_has_begun(reaction, now, calendar) and now.astimezone(NEW_YORK).date() <= report.report_date:
        return Unscored.NOT_REPORTED
    if now < calendar.closes_at(reaction):
        return Unscored.REACTION_NOT_OVER
    late = statement.as_of >= entry_closes_at(report.report_date, report.timing, calendar)
    return Unscored.AFTER_THE_FACT if late else Unscored.NOT_MEASURED


def _nearest(reports: Sequence[D], day: date) -> D | None:
    """The one that can be the same report; of several the nearest date, of two equally near the earlier one."""
    near = [report for report in reports if abs(report.report_date - day) <= SAME_REPORT]
    return min(near, key=lambda report: (abs(report.report_date - day), report.report_date), default=None)
