"""Which kept analysis answers for which report, and why the others answer for none. One company at a time.

A report's last analysis that could still be traded, before the close before its reaction session, is held against the
move over that session: from that close on the news may have been out. A date means the nearest report within
`SAME_REPORT`, so an analysis of a date that moved is held against the move of the day it came.
Measures nothing, and reads no clock: now is given.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from ivcrush.application.metrics.earnings_moves import may_yet_be_measured
from ivcrush.application.metrics.session_clock import entry_closes_at, latest_reaction, reaction_has_begun
from ivcrush.domain.analysis import Statement
from ivcrush.domain.enums import Unscored
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.score import ScoredReport, UnscoredStatement
from ivcrush.domain.types import HistoricalMove, MissingMove, ScheduledReport, StoredReports, same_report

# An expected date this near behind a report that was made, or before it, is that report's, named when it was to come.
_STILL_NAMED = timedelta(days=28)
_Report = HistoricalMove | MissingMove | ScheduledReport


def pair_reports(
    statements: Sequence[Statement],
    stored: StoredReports,
    expected: Sequence[ScheduledReport],
    now: datetime,
    calendar: MarketCalendar,
) -> tuple[tuple[ScoredReport, ...], tuple[UnscoredStatement, ...]]:
    """One company's analyses, each in exactly one of the two; reports rising by date. `expected` is so by now."""
    candidates: dict[HistoricalMove, list[Statement]] = defaultdict(list)
    unscored: list[UnscoredStatement] = []
    for statement in statements:
        report = _report_of(statement.report_date, stored, expected)
        if not isinstance(report, HistoricalMove):
            unscored.append(_unmeasured(statement, report, now, calendar))
        elif (reason := _unfit(statement, report, calendar)) is not None:
            unscored.append(UnscoredStatement(statement, reason))
        else:
            candidates[report].append(statement)
    scored = []
    for move, of_report in sorted(candidates.items(), key=lambda item: item[0].report_date):
        *earlier, last = sorted(of_report, key=lambda each: (each.as_of, each.number))
        scored.append(ScoredReport(last, move))
        unscored += [UnscoredStatement(each, Unscored.REPLACED) for each in earlier]
    return tuple(scored), tuple(unscored)


def _report_of(day: date, stored: StoredReports, expected: Sequence[ScheduledReport]) -> _Report | None:
    """The nearest report that a date can mean; of equally near ones a measured one, and then the earlier."""
    newest = max((report.report_date for report in stored.all), default=None)
    coming = [report for report in expected if newest is None or report.report_date - newest > _STILL_NAMED]
    known: tuple[_Report, ...] = (*stored.all, *coming)
    near = [report for report in known if same_report(report.report_date, day)]
    return min(
        near,
        key=lambda report: (abs(report.report_date - day), not isinstance(report, HistoricalMove), report.report_date),
        default=None,
    )


def _unfit(statement: Statement, move: HistoricalMove, calendar: MarketCalendar) -> Unscored | None:
    """Why an analysis could not know of this move, or not of options that held it; None where it could."""
    if statement.as_of >= entry_closes_at(move.report_date, move.timing, calendar):
        return Unscored.AFTER_THE_FACT
    return Unscored.EXPIRED_BEFORE if statement.expiration < move.reaction_session else None


def _unmeasured(
    statement: Statement, report: MissingMove | ScheduledReport | None, now: datetime, calendar: MarketCalendar
) -> UnscoredStatement:
    """Why no move is kept of its report; of one that nobody else names, by what the analysis said of it."""
    missing = report if isinstance(report, MissingMove) else None
    if missing is not None and not may_yet_be_measured(missing):
        return UnscoredStatement(statement, Unscored.NOT_MEASURABLE, missing.reason)
    stage = _stage(statement, report or statement, now, calendar)
    lacking = missing.reason if missing is not None and stage is Unscored.NOT_MEASURED else ""
    return UnscoredStatement(statement, stage, lacking)


def _stage(
    statement: Statement, report: MissingMove | ScheduledReport | Statement, now: datetime, calendar: MarketCalendar
) -> Unscored:
    """How far the report has come. One of today, or tonight, may have been made: nobody says so."""
    reaction = latest_reaction(report.report_date, report.timing, calendar)
    if not reaction_has_begun(reaction, now, calendar) and now.astimezone(NEW_YORK).date() <= report.report_date:
        return Unscored.NOT_REPORTED
    if now < calendar.closes_at(reaction):
        return Unscored.REACTION_NOT_OVER
    late = statement.as_of >= entry_closes_at(report.report_date, report.timing, calendar)
    return Unscored.AFTER_THE_FACT if late else Unscored.NOT_MEASURED
