"""What is known of a company's past at a moment: stored, local and free; fetched first where it is missing or old.

A failed fetch is no end: what is stored stands, and a flag says so. Nothing later than the moment is ever given.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeAlias

from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility
from ivcrush.application.metrics.session_clock import reaction_session
from ivcrush.application.services.history_backfill import HistoryBackfill
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import PriceStore
from ivcrush.domain.types import HistoricalMove, MissingMove, RealisedVolatility, Ticker

Report: TypeAlias = HistoricalMove | MissingMove

# After this long without a new report another quarter has gone by, and history is fetched again.
QUARTER = timedelta(days=100)
# Not more often than this, for a company that does not report.
REFETCH_AFTER = timedelta(days=1)
# Ordinary volatility is of recent sessions: bars further behind are fetched again.
OLDEST_BAR_SESSIONS = 10
_DAYS_OF_BARS = 250
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Past:
    """Past moves, the reports without one, and the volatility of ordinary days; moves and reports newest first."""

    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    realised: RealisedVolatility | None = None
    flags: tuple[str, ...] = ()

    @property
    def reports(self) -> list[Report]:
        """All of them, measured or not, newest first."""
        every: list[Report] = [*self.moves, *self.missing]
        return sorted(every, key=lambda report: report.report_date, reverse=True)

    @property
    def sessions(self) -> tuple[Timing, ...]:
        """When it reported, newest first."""
        return tuple(report.timing for report in self.reports)

    def newest(self, quarters: int) -> "Past":
        """The newest reports, measured or not."""
        if len(self.reports) <= quarters:
            return self
        oldest = self.reports[quarters - 1].report_date
        return replace(
            self,
            moves=tuple(move for move in self.moves if move.report_date >= oldest),
            missing=tuple(report for report in self.missing if report.report_date >= oldest),
        )


class CompanyHistory:
    """Gives the past of companies; `quarters` is how many reports an analysis wants, `now` the real clock."""

    def __init__(
        self, backfill: HistoryBackfill, prices: PriceStore, *, quarters: int, now: Callable[[], datetime]
    ) -> None:
        self._backfill = backfill
        self._prices = prices
        self._quarters = quarters
        self._now = now

    async def at(self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar) -> Result[Past]:
        """The past as it was known at `as_of`. Errors: DBERROR."""
        reports = await self._reports(ticker, as_of, calendar)
        return (
            reports if isinstance(reports, Err) else await self._with_volatility(ticker, reports.value, as_of, calendar)
        )

    async def _reports(self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar) -> Result[Past]:
        stored = self._stored(ticker, calendar.last_finished_session(as_of))
        if isinstance(stored, Err):
            return stored
        wanting = self._wanting(ticker, stored.value, as_of)
        if isinstance(wanting, Err):
            return wanting
        if not wanting.value:
            return stored
        fetched = await self._backfill.fetch(ticker, as_of, calendar, quarters=self._quarters, with_dividends=False)
        if isinstance(fetched, Ok):
            return self._stored(ticker, calendar.last_finished_session(as_of))
        if fetched.error.code is ErrorCode.DBERROR:
            return fetched
        _log.warning("%s: history not fetched: %s", ticker, fetched.error)
        return Ok(replace(stored.value, flags=("history_not_fetched",)))

    def _wanting(self, ticker: Ticker, stored: Past, as_of: datetime) -> Result[bool]:
        """Whether reports have to be fetched: none ever were, a quarter went by, or they were for a later moment."""
        last = self._prices.last_backfill(ticker)
        if isinstance(last, Err) or last.value is None:
            return last if isinstance(last, Err) else Ok(True)
        newest = stored.reports[0].report_date if stored.reports else date.min
        quarter_gone = as_of.astimezone(NEW_YORK).date() - newest > QUARTER
        if quarter_gone and self._now() - last.value > REFETCH_AFTER:
            return Ok(True)
        if len(stored.reports) >= self._quarters:
            return Ok(False)
        later = self._prices.moves(ticker, date.max)
        return later if isinstance(later, Err) else Ok(len(later.value) > len(stored.moves))

    def _stored(self, ticker: Ticker, through: date) -> Result[Past]:
        before = through + timedelta(1)
        moves = self._prices.moves(ticker, before)
        if isinstance(moves, Err):
            return moves
        missing = self._prices.missing_moves(ticker, before)
        return missing if isinstance(missing, Err) else Ok(Past(moves.value, missing.value))

    async def _with_volatility(
        self, ticker: Ticker, past: Past, as_of: datetime, calendar: MarketCalendar
    ) -> Result[Past]:
        """Ordinary volatility of the recent sessions, reaction sessions left out; the bars fetched again if old."""
        through = calendar.last_finished_session(as_of)
        realised = self._realised(ticker, past, calendar, through)
        if isinstance(realised, Err):
            return realised
        if realised.value is None or _is_recent(realised.value, through, calendar):
            return Ok(replace(past, realised=realised.value))
        refreshed = await self._backfill.refresh_bars(ticker, through)
        if isinstance(refreshed, Err):
            if refreshed.error.code is ErrorCode.DBERROR:
                return refreshed
            _log.warning("%s: daily bars are old and not to be had: %s", ticker, refreshed.error)
        else:
            realised = self._realised(ticker, past, calendar, through)
            if isinstance(realised, Err):
                return realised
        old = realised.value is not None and not _is_recent(realised.value, through, calendar)
        return Ok(
            replace(past, realised=realised.value, flags=(*past.flags, *(("ordinary_volatility_old",) if old else ())))
        )

    def _realised(
        self, ticker: Ticker, past: Past, calendar: MarketCalendar, through: date
    ) -> Result[RealisedVolatility | None]:
        bars = self._prices.bars(ticker, through - timedelta(_DAYS_OF_BARS), through)
        if isinstance(bars, Err):
            return bars
        reactions = {move.reaction_session for move in past.moves} | {
            reaction_session(report.report_date, timing, calendar)
            for report in past.missing
            for timing in ((Timing.BMO, Timing.AMC) if report.timing is Timing.UNKNOWN else (report.timing,))
        }
        return Ok(ex_earnings_volatility(bars.value, reactions, calendar, through=through))


def _is_recent(realised: RealisedVolatility, through: date, calendar: MarketCalendar) -> bool:
    return calendar.sessions_between(realised.through, through) <= OLDEST_BAR_SESSIONS
