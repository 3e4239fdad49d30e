"""Who reports in some days, and which of them are worth asking for, by what costs nothing: before any chain is bought.

A company is left out with the reason, never silently; what is not known of it is no reason. Analyses nothing: what
remains is a batch like any other.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from ivcrush.application.metrics.session_clock import entry_closes_at
from ivcrush.application.services.calendar_refresh import CalendarRefresh, KnownCalendar
from ivcrush.application.services.ground import Ground
from ivcrush.application.services.together import together
from ivcrush.domain.enums import LeftOut
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import CompanyStore, EarningsStore
from ivcrush.domain.types import CalendarListing, ScanLimits, ScheduledReport, Ticker, UnderlyingQuote

MOST_DAYS_AHEAD = 90  # sessions: more than the calendar of everybody reaches
_MILLION = 1_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A company that reports and is not among the answers: `code` names the filter, `reasons` are for people.

    `ratio` is its VRP ratio where it was analysed. `near_miss` is whether little was lacking.
    """

    report: ScheduledReport
    code: LeftOut
    reasons: tuple[str, ...]
    near_miss: bool = False
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Reporters:
    """Who reports in the asked days, a report each, by date and ticker, and the calendar that says so."""

    reports: tuple[ScheduledReport, ...]
    rejected: tuple[Rejection, ...]
    calendar: KnownCalendar


@dataclass(frozen=True, slots=True)
class Screened:
    """Those whose chains are worth asking for, and the others."""

    fit: tuple[ScheduledReport, ...]
    rejected: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Who reports in the asked days, whom of them it is worth asking for, and everybody else with the reason.

    `ground` is what the analyses of all reporters share, None where nobody reports.
    """

    reporters: Reporters
    fit: tuple[ScheduledReport, ...]
    rejected: tuple[Rejection, ...]
    ground: Ground | None


class Scan:
    """Selects the companies of a scan; `ground` finds what their analyses will share.

    `at_once` bounds how many are looked at at the same time, where each has to be asked for alone.
    """

    def __init__(
        self,
        refresh: CalendarRefresh,
        store: EarningsStore,
        companies: CompanyStore,
        limits: ScanLimits,
        *,
        at_once: int,
        ground: Callable[[Sequence[Ticker]], Awaitable[Result[Ground]]],
    ) -> None:
        self._refresh = refresh
        self._store = store
        self._companies = companies
        self._limits = limits
        self._at_once = at_once
        self._ground = ground

    async def selected(self, start: date, end: date, as_of: datetime, calendar: MarketCalendar) -> Result[Selection]:
        """Everybody who reports in [start, end], by today's calendar, and whom the quotes leave of them.

        Errors: those of `reporters` and of the ground (AUTH, CONFIG for a clock that cannot date anything), DBERROR.
        """
        found = await self.reporters(start, end, as_of, calendar)
        if isinstance(found, Err):
            return found
        reports, rejected = found.value.reports, found.value.rejected
        if not reports:
            return Ok(Selection(found.value, (), rejected, None))
        ground = await self._ground([report.ticker for report in reports])
        if isinstance(ground, Err):
            return ground
        screened = await self.screened(reports, ground.value)
        if isinstance(screened, Err):
            return screened
        fit, unfit = screened.value.fit, screened.value.rejected
        return Ok(Selection(found.value, fit, (*rejected, *unfit), ground.value))

    async def coming(
        self, days: int, as_of: datetime, calendar: MarketCalendar, *, ask: bool
    ) -> Result[tuple[Ticker, ...]]:
        """Whose past will be needed soon: who reports from today through the `days`-th session after it, soonest first.

        With `ask`, those whom a scan of these days would analyse; else everybody in the calendar as it is stored.
        Errors: those of `selected`.
        """
        start, end = days_ahead(days, as_of, calendar)
        if not ask:
            stored = self.stored(start, end, as_of, calendar)
            return stored if isinstance(stored, Err) else Ok(tuple(report.ticker for report in stored.value[0]))
        found = await self.selected(start, end, as_of, calendar)
        if isinstance(found, Err):
            return found
        count, fit = len(found.value.reporters.reports), found.value.fit
        _log.info("%d report from %s to %s, %d worth a scan", count, start, end, len(fit))
        return Ok(tuple(report.ticker for report in fit))

    async def reporters(self, start: date, end: date, as_of: datetime, calendar: MarketCalendar) -> Result[Reporters]:
        """Everybody who reports in [start, end], after today's refresh of the calendar.

        Errors: those of the refresh where no calendar was ever kept, DBERROR.
        """
        known = await self._refresh.at_hand()
        if isinstance(known, Err):
            return known
        stored = self.stored(start, end, as_of, calendar)
        return stored if isinstance(stored, Err) else Ok(Reporters(*stored.value, known.value))

    def stored(
        self, start: date, end: date, as_of: datetime, calendar: MarketCalendar
    ) -> Result[tuple[tuple[ScheduledReport, ...], tuple[Rejection, ...]]]:
        """Who reports in [start, end], and who is too late, by the stored calendar; asks nobody. Errors: DBERROR."""
        listed = self._store.calendar(start, end)
        return listed if isinstance(listed, Err) else Ok(_one_each(listed.value, as_of, calendar))

    async def screened(self, reports: Sequence[ScheduledReport], ground: Ground) -> Result[Screened]:
        """Leave out what is known to be unfit, from the quotes that all analyses share. Errors: DBERROR.

        A quote that is not to be had speaks against nobody: the analysis will meet the same failure, and say so.
        """
        caps = self._companies.market_caps_millions()
        if isinstance(caps, Err):
            return caps
        places = asyncio.Semaphore(self._at_once)

        async def looked_at(report: ScheduledReport) -> Rejection | None:
            async with places:
                found = await ground.quotes.quote(report.ticker)
            return None if isinstance(found, Err) else _unfit(report, found.value, caps.value, self._limits)

        verdicts = await together(looked_at(report) for report in reports)
        fit = tuple(report for report, verdict in zip(reports, verdicts, strict=True) if verdict is None)
        return Ok(Screened(fit, tuple(verdict for verdict in verdicts if verdict is not None)))


def days_ahead(days: int, as_of: datetime, calendar: MarketCalendar) -> tuple[date, date]:
    """The dates of `--days`: from today through the `days`-th session after it."""
    today = end = as_of.astimezone(NEW_YORK).date()
    for _ in range(days):
        end = calendar.next_session(end)
    return today, end


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the asked days, how many are sessions, and of how many the stored calendar does not know who reports."""

    sessions: int
    unknown: int

    @property
    def whole(self) -> bool:
        """Whether it knows of every day; then nobody named is nobody who reports."""
        return self.unknown == 0

    @property
    def none(self) -> bool:
        """Whether it knows of no day."""
        return 0 < self.sessions == self.unknown


def coverage(listing: CalendarListing, start: date, end: date, calendar: MarketCalendar) -> Coverage:
    """How far the stored calendar reaches into [start, end].

    From the first date that it names, and in any case from the day on which it was told: all to come are named then.
    """

    def sessions(first: date, last: date) -> int:
        return calendar.sessions_between(first - timedelta(1), last)

    every = sessions(start, end)
    if listing.first is None or listing.last is None:
        return Coverage(every, every)
    begin = min(listing.first, listing.refreshed_at.astimezone(NEW_YORK).date())
    known = sessions(max(start, begin), min(end, listing.last))
    return Coverage(every, every - known)


def _one_each(
    listed: Sequence[ScheduledReport], as_of: datetime, calendar: MarketCalendar
) -> tuple[tuple[ScheduledReport, ...], tuple[Rejection, ...]]:
    """A company's first report that can still be traded; of one without any, its last, and why not."""
    reports: list[ScheduledReport] = []
    rejected: list[Rejection] = []
    for _, group in groupby(sorted(listed, key=lambda report: report.ticker), key=lambda report: report.ticker):
        every = list(group)
        pending = [report for report in every if as_of < _entered_by(report, calendar)]
        if pending:
            reports.append(pending[0])
        else:
            closed = _entered_by(every[-1], calendar)
            rejected.append(
                Rejection(every[-1], LeftOut.TOO_LATE, (f"its trade was to be entered by {closed:%Y-%m-%d %H:%M}",))
            )
    return tuple(sorted(reports, key=_by_date)), tuple(sorted(rejected, key=lambda each: _by_date(each.report)))


def _entered_by(report: ScheduledReport, calendar: MarketCalendar) -> datetime:
    return entry_closes_at(report.report_date, report.timing, calendar)


def _by_date(report: ScheduledReport) -> tuple[date, Ticker]:
    return report.report_date, report.ticker


def _unfit(
    report: ScheduledReport,
    quote: UnderlyingQuote | None,
    caps_millions: Mapping[Ticker, float],
    limits: ScanLimits,
) -> Rejection | None:
    """Why a company is left out, None where nothing speaks against it."""
    if quote is None:
        return Rejection(report, LeftOut.NOT_LISTED, ("the market data provider does not know this ticker",))
    reasons: dict[LeftOut, str] = {}
    cap = caps_millions.get(report.ticker)
    if cap is not None and cap < limits.min_market_cap_millions:
        reasons[LeftOut.MARKET_CAP] = (
            f"market capitalisation {cap:,.0f} million dollars, {limits.min_market_cap_millions:,g} needed"
        )
    traded = _dollar_volume_millions(quote)
    if traded is not None and traded < limits.min_dollar_volume_millions:
        reasons[LeftOut.DOLLAR_VOLUME] = (
            f"{traded:,.2f} million dollars traded on an average day, {limits.min_dollar_volume_millions:,g} needed"
        )
    return Rejection(report, next(iter(reasons)), tuple(reasons.values())) if reasons else None


def _dollar_volume_millions(quote: UnderlyingQuote) -> float | None:
    """Of an average day; None where volume or price is unknown."""
    price = quote.spot()
    if quote.average_volume <= 0 or isinstance(price, Err):
        return None
    return quote.average_volume * price.value / _MILLION
