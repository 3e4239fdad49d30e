"""What is known of a company's past at a moment: stored, local and free; fetched first where it is missing or old.

A failed fetch is no end: what is stored stands, and a flag says so. Nothing later than the moment is ever given.
"""

import logging
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeAlias

from ivcrush.application.metrics.earnings_moves import ex_earnings_volatility
from ivcrush.application.metrics.session_clock import reaction_session
from ivcrush.application.services.history_backfill import HistoryBackfill
from ivcrush.application.services.history_needs import OLDEST_BAR_SESSIONS, HistoryNeeds, Standing
from ivcrush.application.services.severity import severity
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.protocols import PriceStore
from ivcrush.domain.types import HistoricalMove, MissingMove, RealisedVolatility, Ticker

Report: TypeAlias = HistoricalMove | MissingMove

_DAYS_OF_BARS = 250
# A missing key, a refused one, a spent quota: said of one company, it holds for all of a run.
_FOR_EVERYBODY = (ErrorCode.CONFIG, ErrorCode.AUTH, ErrorCode.QUOTA)
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
    """Gives the past of companies; `quarters` is how many reports an analysis wants.

    `stand_in` permits two scarce calls more for a company whose history of prices fails.
    """

    def __init__(
        self, backfill: HistoryBackfill, needs: HistoryNeeds, prices: PriceStore, *, quarters: int, stand_in: bool
    ) -> None:
        self._backfill = backfill
        self._needs = needs
        self._prices = prices
        self._quarters = quarters
        self._stand_in = stand_in
        self._told_for_everybody: set[ErrorCode] = set()

    async def at(self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar) -> Result[Past]:
        """The past as it was known at `as_of`. Errors: DBERROR."""
        found = self._needs.standing(ticker, as_of, calendar, quarters=self._quarters)
        if isinstance(found, Err):
            return found
        flags: tuple[str, ...] = ()
        if found.value.lacks_reports or found.value.lacks_bars:
            asked = await self._ask(found.value, as_of, calendar)
            if isinstance(asked, Err):
                return asked
            flags = asked.value
            found = self._needs.standing(ticker, as_of, calendar, quarters=self._quarters)
            if isinstance(found, Err):
                return found
        return self._with_volatility(Past(found.value.moves, found.value.missing, None, flags), ticker, as_of, calendar)

    async def _ask(self, standing: Standing, as_of: datetime, calendar: MarketCalendar) -> Result[tuple[str, ...]]:
        """Fetch what is lacking; the flags of what was not to be had. Errors: DBERROR."""
        ticker, flags = standing.ticker, tuple[str, ...]()
        if standing.lacks_reports:
            fetched = await self._backfill.fetch(
                ticker, as_of, calendar, quarters=self._quarters, with_dividends=False, stand_in=self._stand_in
            )
            if isinstance(fetched, Ok) or fetched.error.code is ErrorCode.DBERROR:
                return fetched if isinstance(fetched, Err) else Ok(())
            self._tell_not_fetched(ticker, fetched.error)
            flags = ("history_not_fetched",)
        if standing.lacks_bars:
            renewed = await self._backfill.renew(ticker, as_of, calendar)
            if isinstance(renewed, Err):
                if renewed.error.code is ErrorCode.DBERROR:
                    return renewed
                _log.log(severity(renewed.error), "%s: daily bars are old and not to be had: %s", ticker, renewed.error)
        return Ok(flags)

    def _tell_not_fetched(self, ticker: Ticker, error: AppError) -> None:
        """A line a company; a single one for what keeps every history away."""
        if error.code not in _FOR_EVERYBODY:
            _log.log(severity(error), "%s: history not fetched: %s", ticker, error)
        elif error.code not in self._told_for_everybody:
            self._told_for_everybody.add(error.code)
            _log.warning("no history is fetched in this run: %s", error)

    def _with_volatility(self, past: Past, ticker: Ticker, as_of: datetime, calendar: MarketCalendar) -> Result[Past]:
        """Ordinary volatility of the recent sessions, reaction sessions left out."""
        through = calendar.last_finished_session(as_of)
        bars = self._prices.bars(ticker, through - timedelta(_DAYS_OF_BARS), through)
        if isinstance(bars, Err):
            return bars
        reactions = {move.reaction_session for move in past.moves} | {
            reaction_session(report.report_date, timing, calendar)
            for report in past.missing
            for timing in ((Timing.BMO, Timing.AMC) if report.timing is Timing.UNKNOWN else (report.timing,))
        }
        realised = ex_earnings_volatility(bars.value, reactions, calendar, through=through)
        flags = (*past.flags, *_bar_flags(realised, through, calendar), *_report_flags(past))
        return Ok(replace(past, realised=realised, flags=flags))


def _bar_flags(realised: RealisedVolatility | None, through: date, calendar: MarketCalendar) -> tuple[str, ...]:
    if realised is None:
        return ("no_recent_bars",)
    old = calendar.sessions_between(realised.through, through) > OLDEST_BAR_SESSIONS
    return ("ordinary_volatility_old",) if old else ()


def _report_flags(past: Past) -> tuple[str, ...]:
    """Whether the moves end before the newest report that is known."""
    newest_missing = max((report.report_date for report in past.missing), default=date.min)
    newest_measured = max((move.report_date for move in past.moves), default=date.max)
    return ("newest_report_not_measured",) if newest_missing > newest_measured else ()
