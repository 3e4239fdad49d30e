"""Which report is meant: from a ticker, and whatever the trader named, to one `AnalysisRequest`.

Order of trust: argument, stored calendar, provider. The session follows the contract: argument, calendar, the company's
own last sessions where they all agree, else unknown. Never looks at a price.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from ivcrush.application.metrics.session_clock import latest_reaction, reaction_has_begun
from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import EarningsData, EarningsStore
from ivcrush.domain.types import SAME_REPORT, AnalysisRequest, ScheduledReport, Ticker, same_report

# How many of the company's own past sessions must agree before they stand in for an unknown one.
SESSIONS_THAT_AGREE = 8
# A stored date is asked for again when its source last named it longer ago than this.
STORED_DATE_LIFE = timedelta(days=7)
# The one provider that names coming reports.
CALENDAR_SOURCE: Final = ReportSource.ALPHA_VANTAGE
_HORIZON = timedelta(days=400)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """A ticker, and what the trader named of its coming report; None is to be found.

    `from_calendar`: the stored calendar named the date, not the trader.
    """

    ticker: Ticker
    report_date: date | None = None
    timing: Timing | None = None
    expiration: date | None = None
    from_calendar: bool = False


class RequestPlanner:
    """Finds the coming report of a company; `now` is the real clock, for how old a stored date is."""

    def __init__(
        self,
        provider: EarningsData,
        store: EarningsStore,
        *,
        now: Callable[[], datetime],
        refresh: bool = False,
    ) -> None:
        self._provider = provider
        self._store = store
        self._now = now
        self._refresh = refresh

    async def plan(
        self,
        question: ReportQuestion,
        as_of: datetime,
        past_sessions: Sequence[Timing],
        calendar: MarketCalendar,
        *,
        ask: bool = True,
    ) -> Result[AnalysisRequest]:
        """The report to analyse as seen at `as_of`; `past_sessions` are the company's own, newest first.

        Without `ask` the provider is left alone and stored rows are all there is, flagged where they are old: a list
        of companies has one calendar for all. Errors: NODATA where no coming report is known, DBERROR, and the
        provider's. Whether a named date is already over is not asked here.
        """
        named = question.report_date
        found = await self._expected(question, as_of, calendar, ask=ask)
        if isinstance(found, Err) and named is None:
            return found
        expected = () if isinstance(found, Err) else found.value
        report = _coming(expected, as_of, calendar) if named is None else _named(question, named, expected)
        if report is None:
            return err(
                ErrorCode.NODATA,
                f"{question.ticker}: no report known after {as_of:%Y-%m-%d}; name it with --earnings-date",
            )
        if question.timing is not None:
            report = _in_session(report, question.timing)
        report = _with_session(report, past_sessions, calendar)
        if any(_before(each, report) and not _over(each, as_of, calendar) for each in expected):
            report = replace(report, flags=(*report.flags, "earlier_report_inside"))
        return Ok(_request(report, question, expected))

    async def _expected(
        self, question: ReportQuestion, as_of: datetime, calendar: MarketCalendar, *, ask: bool
    ) -> Result[tuple[ScheduledReport, ...]]:
        """What is expected around and after a moment: stored where that is fresh and answers, else asked and stored.

        A trader who names date and session has asked nothing: then the stored rows are all there is.
        """
        ticker = question.ticker
        start = as_of.astimezone(NEW_YORK).date() - timedelta(7)
        stored = self._store.scheduled(ticker, start, start + _HORIZON)
        seen = self._store.calendar_seen_at(ticker)
        if isinstance(stored, Err):
            return stored
        if isinstance(seen, Err):
            return seen
        fresh = seen.value is not None and self._now() - seen.value <= STORED_DATE_LIFE
        answered = _answered(question, stored.value, as_of, calendar)
        nothing_asked = question.report_date is not None and question.timing is not None
        if nothing_asked or (answered and fresh and not self._refresh):
            return Ok(tuple(map(_from_store, stored.value)))
        if not ask:
            read = _from_store if fresh else _unrefreshed
            return Ok(tuple(map(read, stored.value)))
        told = await self._provider.scheduled_reports(ticker)
        if isinstance(told, Err):
            if not stored.value:
                return told
            _log.warning("%s: report date not refreshed: %s", ticker, told.error)
            return Ok(tuple(_unrefreshed(report) for report in stored.value))
        saved = self._store.save_scheduled(ticker, told.value, self._now(), source=CALENDAR_SOURCE)
        return saved if isinstance(saved, Err) else self._store.scheduled(ticker, start, start + _HORIZON)


def _answered(
    question: ReportQuestion, stored: Sequence[ScheduledReport], as_of: datetime, calendar: MarketCalendar
) -> bool:
    """Whether the stored rows name the report that is asked for: the named one, else one still to come."""
    if question.report_date is not None:
        return any(report.report_date == question.report_date for report in stored)
    return _coming(stored, as_of, calendar) is not None


def _from_store(report: ScheduledReport) -> ScheduledReport:
    return replace(report, source=ReportSource.STORED)


def _unrefreshed(report: ScheduledReport) -> ScheduledReport:
    return replace(_from_store(report), flags=(*report.flags, "calendar_not_refreshed"))


def _coming(expected: Sequence[ScheduledReport], as_of: datetime, calendar: MarketCalendar) -> ScheduledReport | None:
    """The first expected report that the stock does not trade on yet."""
    pending = (report for report in expected if not _over(report, as_of, calendar))
    return min(pending, key=lambda report: report.report_date, default=None)


def _over(report: ScheduledReport, as_of: datetime, calendar: MarketCalendar) -> bool:
    """An unknown session is over only when the later one is."""
    return reaction_has_begun(latest_reaction(report.report_date, report.timing, calendar), as_of, calendar)


def _before(other: ScheduledReport, report: ScheduledReport) -> bool:
    """Whether it is another report than that one, and an earlier one."""
    return other.report_date < report.report_date and not same_report(other.report_date, report.report_date)


def _named(question: ReportQuestion, report_date: date, expected: Sequence[ScheduledReport]) -> ScheduledReport:
    """The named date, with session and status of the calendar where it names the same one."""
    same = next((report for report in expected if report.report_date == report_date), None)
    if same is not None:
        return same if question.from_calendar else replace(same, source=ReportSource.ARGUMENT)
    near = any(same_report(report.report_date, report_date) for report in expected)
    flags = ("date_not_in_calendar",) if near else ()
    return ScheduledReport(
        question.ticker, report_date, Timing.UNKNOWN, DateStatus.UNKNOWN, ReportSource.ARGUMENT, flags=flags
    )


def _in_session(report: ScheduledReport, timing: Timing) -> ScheduledReport:
    """The trader's session; a date beside which the calendar names another one is expected, but not confirmed."""
    if report.timing in (Timing.UNKNOWN, timing):
        return replace(report, timing=timing)
    flags = (*report.flags, "session_not_in_calendar")
    return replace(report, timing=timing, status=DateStatus.ESTIMATED, flags=flags)


def _with_session(
    report: ScheduledReport, past_sessions: Sequence[Timing], calendar: MarketCalendar
) -> ScheduledReport:
    """The session that the company always used where the calendar names none; flags for what is a guess."""
    flags = report.flags
    if not calendar.is_session(report.report_date) and "report_on_closed_day" not in flags:
        flags += ("report_on_closed_day",)
    recent = past_sessions[:SESSIONS_THAT_AGREE]
    if report.timing is not Timing.UNKNOWN:
        return replace(report, flags=flags)
    if len(recent) == SESSIONS_THAT_AGREE and len(set(recent)) == 1 and recent[0] is not Timing.UNKNOWN:
        guessed = (*flags, "session_from_history")
        return replace(report, timing=recent[0], status=DateStatus.ESTIMATED, flags=guessed)
    return replace(report, flags=flags)


def _request(report: ScheduledReport, question: ReportQuestion, expected: Sequence[ScheduledReport]) -> AnalysisRequest:
    after = report.report_date + SAME_REPORT
    flags = report.flags if report.moved_from is None else (*report.flags, "report_date_moved")
    return AnalysisRequest(
        ticker=question.ticker,
        report_date=report.report_date,
        timing=report.timing,
        status=report.status,
        source=report.source,
        expiration=question.expiration,
        next_report_date=min((each.report_date for each in expected if each.report_date > after), default=None),
        flags=flags,
        moved_from=report.moved_from,
    )
