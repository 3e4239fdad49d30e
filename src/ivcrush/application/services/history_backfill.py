"""A company's past moves, fetched and kept: report dates from one provider, daily bars from the other, then arithmetic.

Whenever bars come, every kept move is measured anew on them: all that is stored of a company stands on one reply, so
that a split between two runs cannot leave prices before it beside prices after it; dividends, told by the share, are
forgotten then. Bars come split-adjusted from the market data provider; where its history fails, the raw bars of the
earnings provider are adjusted by its list of splits, or refused. Never measures anything itself or guesses a date.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from ivcrush.application.metrics.earnings_moves import (
    adjust_for_splits,
    in_other_shares,
    may_yet_be_measured,
    measure_moves,
    reports_to_measure_again,
)
from ivcrush.application.metrics.session_clock import reaction_session
from ivcrush.application.services.history_needs import WITHOUT_REPORTS, Standing, stored_reports
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import EarningsData, EarningsStore, MarketData, PriceStore
from ivcrush.domain.types import DailyBar, HistoricalMove, MissingMove, PastReport, Ticker
from ivcrush.utils.performance import track_performance

# Bars before the oldest report, so that its previous close is among them whatever holidays lie between.
_DAYS_BEFORE_FIRST_REPORT = 10
# Bars kept at least, for the ordinary volatility of today.
_DAYS_OF_BARS = 400
_Dated = HistoricalMove | MissingMove | PastReport
R = TypeVar("R", HistoricalMove, MissingMove)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackfillOutcome:
    """What is kept of one company; `dividends` is None where they were not asked for.

    `complete` is False where the bars were those of the second source, which hold about a hundred sessions.
    """

    ticker: Ticker
    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    dividends: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class _Bars:
    bars: tuple[DailyBar, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class _Measured:
    ticker: Ticker
    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    bars: _Bars


@dataclass(frozen=True, slots=True)
class _Asked:
    """When reports were asked for, and the oldest that the provider has."""

    at: datetime
    oldest_report: date


class HistoryBackfill:
    """Fetches and keeps; `now` is the real clock, for when something was fetched."""

    def __init__(
        self,
        market: MarketData,
        earnings: EarningsData,
        earnings_store: EarningsStore,
        prices: PriceStore,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._market = market
        self._earnings = earnings
        self._earnings_store = earnings_store
        self._prices = prices
        self._now = now

    async def complete(
        self, standing: Standing, as_of: datetime, calendar: MarketCalendar, *, quarters: int, stand_in: bool
    ) -> Result[BackfillOutcome]:
        """Ask for what the company lacks and for nothing else.

        `stand_in` permits two scarce calls more for raw bars where the history of prices fails. Errors: those of
        `fetch`; NODATA, too, where the company had no reports and it is too early to ask again.
        """
        if standing.lacks_reports:
            done = await self._fetch(standing.ticker, as_of, calendar, quarters=quarters, stand_in=stand_in)
        elif standing.lacks_bars:
            done = await self.renew(standing.ticker, as_of, calendar)
        elif standing.asked_at is not None and not (standing.moves or standing.missing):
            asked_on = standing.asked_at.astimezone(NEW_YORK).date()
            return err(
                ErrorCode.NODATA,
                f"{standing.ticker}: the provider had no reports on {asked_on}; asked again when one was expected or "
                f"after {WITHOUT_REPORTS.days} days, at once with --refresh",
            )
        else:
            done = Ok(BackfillOutcome(standing.ticker, standing.moves, standing.missing, None, complete=True))
        return done if isinstance(done, Err) or not standing.lacks_dividends else await self._with_dividends(done.value)

    async def fetch(
        self,
        ticker: Ticker,
        as_of: datetime,
        calendar: MarketCalendar,
        *,
        quarters: int,
        with_dividends: bool,
        stand_in: bool = True,
    ) -> Result[BackfillOutcome]:
        """Measure and keep the newest `quarters` reports that the stock had answered by `as_of`, and all kept before.

        Where the history of prices fails, raw bars stand in if `stand_in`, at two scarce calls more. Errors: NODATA
        where the company has no reports, which is remembered; those of the providers, DBERROR; no move is kept then.
        """
        done = await self._fetch(ticker, as_of, calendar, quarters=quarters, stand_in=stand_in)
        return done if isinstance(done, Err) or not with_dividends else await self._with_dividends(done.value)

    async def renew(self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar) -> Result[BackfillOutcome]:
        """Fetch bars alone, and measure what is kept anew on them. Errors: the market data provider's, DBERROR."""
        through = calendar.last_finished_session(as_of)
        stored = stored_reports(self._prices, ticker, through)
        if isinstance(stored, Err):
            return stored
        bars = await self._market.daily_bars(ticker, _first_day(stored.value.all, through), through)
        if isinstance(bars, Err):
            return bars
        reports = reports_to_measure_again(stored.value.moves, stored.value.missing)
        moves, missing = measure_moves(reports, bars.value, calendar, through=through)
        hopeless = tuple(report for report in stored.value.missing if not may_yet_be_measured(report))
        measured = _Measured(ticker, moves, (*missing, *hopeless), _Bars(bars.value, complete=True))
        return self._keep(measured, stored.value.moves, through, asked=None)

    @track_performance(name="backfill: one company")
    async def _fetch(
        self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar, *, quarters: int, stand_in: bool
    ) -> Result[BackfillOutcome]:
        told = await self._earnings.past_reports(ticker)
        if isinstance(told, Err) and told.error.code is not ErrorCode.NODATA:
            return told
        asked_at = self._asked_at(ticker, as_of)
        if isinstance(asked_at, Err):
            return asked_at
        made = () if isinstance(told, Err) else told.value
        through = calendar.last_finished_session(as_of)
        answered = [report for report in made if _answered_on(report, calendar) <= through]
        if not answered:
            noted = self._prices.save_asked(ticker, asked_at.value)
            none = err(ErrorCode.NODATA, f"{ticker}: no reports made by {as_of.astimezone(NEW_YORK).date()}")
            return noted if isinstance(noted, Err) else told if isinstance(told, Err) else none
        stored = stored_reports(self._prices, ticker, through)
        if isinstance(stored, Err):
            return stored
        since = min((report.report_date for report in stored.value.all), default=date.max)
        wanted = [report for n, report in enumerate(answered) if n < quarters or report.report_date >= since]
        bars = await self._bars(ticker, wanted, through, stand_in=stand_in)
        if isinstance(bars, Err):
            return bars
        moves, missing = measure_moves(wanted, bars.value.bars, calendar, through=through)
        asked = _Asked(asked_at.value, min(report.report_date for report in made)) if bars.value.complete else None
        return self._keep(_Measured(ticker, moves, missing, bars.value), stored.value.moves, through, asked)

    def _asked_at(self, ticker: Ticker, as_of: datetime) -> Result[datetime]:
        """The moment of this question: that of the run, unless the provider was asked at a later one before."""
        last = self._prices.last_backfill(ticker)
        known_at = min(self._now(), as_of)
        return last if isinstance(last, Err) else Ok(known_at if last.value is None else max(known_at, last.value))

    async def _bars(
        self, ticker: Ticker, reports: Sequence[PastReport], through: date, *, stand_in: bool
    ) -> Result[_Bars]:
        bars = await self._market.daily_bars(ticker, _first_day(reports, through), through)
        if isinstance(bars, Ok):
            return Ok(_Bars(bars.value, complete=True))
        if not stand_in or bars.error.code in (ErrorCode.AUTH, ErrorCode.NODATA):
            return bars
        _log.warning("%s: daily bars failed, trying raw ones: %s", ticker, bars.error)
        raw = await self._earnings.raw_daily_bars(ticker)
        if isinstance(raw, Err):
            return bars  # the first source's reason is the one that can be mended
        splits = await self._earnings.splits(ticker)
        if isinstance(splits, Err):
            return splits
        adjusted = adjust_for_splits([bar for bar in raw.value if bar.session <= through], splits.value)
        return adjusted if isinstance(adjusted, Err) else Ok(_Bars(adjusted.value, complete=False))

    def _keep(
        self, measured: _Measured, stored: Sequence[HistoricalMove], through: date, asked: _Asked | None
    ) -> Result[BackfillOutcome]:
        """Replace what is stored in one transaction; a move measured once stays where it cannot be measured now."""
        lacking = {(report.report_date, report.timing) for report in measured.missing}
        kept = [move for move in stored if (move.report_date, move.timing) in lacking]
        dates = {move.report_date for move in kept}
        moves = _newest_first((*measured.moves, *kept))
        missing = _newest_first(report for report in measured.missing if report.report_date not in dates)
        if in_other_shares(stored, measured.moves):
            # Before the prices are kept: cut between the two, the next run would see no split.
            forgotten = self._forget_dividends(measured.ticker)
            if isinstance(forgotten, Err):
                return forgotten
        saved = self._prices.save_history(
            measured.ticker,
            moves,
            missing,
            [bar for bar in measured.bars.bars if bar.session <= through],
            through=through,
            saved_at=None if asked is None else asked.at,
            oldest_report=None if asked is None else asked.oldest_report,
        )
        if isinstance(saved, Err):
            return saved
        return Ok(BackfillOutcome(measured.ticker, moves, missing, None, measured.bars.complete))

    def _forget_dividends(self, ticker: Ticker) -> Result[None]:
        """None are known rather than some a share that is no more; they are lacking from then on."""
        forgotten = self._earnings_store.forget_dividends(ticker)
        if isinstance(forgotten, Ok) and forgotten.value:
            _log.warning("%s: split, its dividends are forgotten until backfill --dividends asks again", ticker)
        return forgotten if isinstance(forgotten, Err) else Ok(None)

    async def _with_dividends(self, done: BackfillOutcome) -> Result[BackfillOutcome]:
        told = await self._earnings.dividends(done.ticker)
        if isinstance(told, Err):
            return told
        saved = self._earnings_store.save_dividends(done.ticker, told.value, self._now())
        return saved if isinstance(saved, Err) else Ok(replace(done, dividends=len(told.value)))


def _answered_on(report: PastReport, calendar: MarketCalendar) -> date:
    """The session that answers a report; the report's own day where its session is unknown."""
    unknown = report.timing is Timing.UNKNOWN
    return report.report_date if unknown else reaction_session(report.report_date, report.timing, calendar)


def _first_day(reports: Sequence[_Dated], through: date) -> date:
    """The first day of bars that these reports and today's ordinary volatility ask for."""
    oldest = min((report.report_date for report in reports), default=through) - timedelta(_DAYS_BEFORE_FIRST_REPORT)
    return min(oldest, through - timedelta(_DAYS_OF_BARS))


def _newest_first(reports: Iterable[R]) -> tuple[R, ...]:
    return tuple(sorted(reports, key=lambda report: report.report_date, reverse=True))
