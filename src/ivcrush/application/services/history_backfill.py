"""A company's past moves, fetched and kept: report dates from one provider, daily bars from the other, then arithmetic.

Bars come split-adjusted from the market data provider; where its history fails, the raw bars of the earnings provider
are adjusted by its list of splits, or refused. Never measures anything itself and never guesses a date.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ivcrush.application.metrics.earnings_moves import adjust_for_splits, measure_moves
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.protocols import EarningsData, EarningsStore, MarketData, PriceStore
from ivcrush.domain.types import DailyBar, Dividend, HistoricalMove, MissingMove, PastReport, Ticker
from ivcrush.utils.performance import track_performance

# Bars before the oldest report, so that its previous close is among them whatever holidays lie between.
_DAYS_BEFORE_FIRST_REPORT = 10
# Bars kept at least, for the ordinary volatility of today.
_DAYS_OF_BARS = 400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackfillOutcome:
    """What was kept of one company; `dividends` is None where they were not asked for.

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

    @track_performance(name="company backfill")
    async def fetch(
        self, ticker: Ticker, as_of: datetime, calendar: MarketCalendar, *, quarters: int, with_dividends: bool
    ) -> Result[BackfillOutcome]:
        """Measure and keep the newest `quarters` reports made by `as_of`.

        Errors: NODATA where the company has no reports, those of the providers, DBERROR; nothing is kept then.
        """
        reports = await self._earnings.past_reports(ticker)
        if isinstance(reports, Err):
            return reports
        today = as_of.astimezone(NEW_YORK).date()
        newest = [report for report in reports.value if report.report_date <= today][:quarters]
        if not newest:
            return err(ErrorCode.NODATA, f"{ticker}: no reports made by {today}")
        bars = await self._bars(ticker, newest, today)
        if isinstance(bars, Err):
            return bars
        through = calendar.last_finished_session(as_of)
        measured = self._not_forgetting(ticker, *measure_moves(newest, bars.value.bars, calendar, through=through))
        if isinstance(measured, Err):
            return measured
        moves, missing = measured.value
        finished = [bar for bar in bars.value.bars if bar.session <= through]
        saved_at = self._now() if bars.value.complete else None
        saved = self._prices.save_history(ticker, moves, missing, finished, through=through, saved_at=saved_at)
        if isinstance(saved, Err):
            return saved
        dividends = await self._dividends(ticker) if with_dividends else Ok(None)
        if isinstance(dividends, Err):
            return dividends
        return Ok(BackfillOutcome(ticker, moves, missing, dividends.value, bars.value.complete))

    async def refresh_bars(self, ticker: Ticker, through: date) -> Result[None]:
        """Fetch and keep the recent bars alone, through a finished session. Errors: the provider's, DBERROR."""
        bars = await self._market.daily_bars(ticker, through - timedelta(_DAYS_OF_BARS), through)
        return bars if isinstance(bars, Err) else self._prices.save_bars(ticker, bars.value, through=through)

    async def _bars(self, ticker: Ticker, reports: Sequence[PastReport], today: date) -> Result[_Bars]:
        oldest = min(report.report_date for report in reports) - timedelta(_DAYS_BEFORE_FIRST_REPORT)
        start = min(oldest, today - timedelta(_DAYS_OF_BARS))
        bars = await self._market.daily_bars(ticker, start, today)
        if isinstance(bars, Ok):
            return Ok(_Bars(bars.value, complete=True))
        if bars.error.code is ErrorCode.AUTH:
            return bars
        _log.warning("%s: daily bars failed, trying raw ones: %s", ticker, bars.error)
        raw = await self._earnings.raw_daily_bars(ticker)
        if isinstance(raw, Err):
            return bars  # the first source's reason is the one that can be mended
        splits = await self._earnings.splits(ticker)
        if isinstance(splits, Err):
            return splits
        adjusted = adjust_for_splits([bar for bar in raw.value if bar.session <= today], splits.value)
        return adjusted if isinstance(adjusted, Err) else Ok(_Bars(adjusted.value, complete=False))

    def _not_forgetting(
        self, ticker: Ticker, moves: tuple[HistoricalMove, ...], missing: tuple[MissingMove, ...]
    ) -> Result[tuple[tuple[HistoricalMove, ...], tuple[MissingMove, ...]]]:
        """What was measured once stays so where the same report cannot be measured now; both newest first."""
        stored = self._prices.moves(ticker, date.max)
        if isinstance(stored, Err):
            return stored
        lacking = {(report.report_date, report.timing) for report in missing}
        kept = [move for move in stored.value if (move.report_date, move.timing) in lacking]
        dates = {move.report_date for move in kept}
        every = sorted((*moves, *kept), key=lambda move: move.report_date, reverse=True)
        return Ok((tuple(every), tuple(report for report in missing if report.report_date not in dates)))

    async def _dividends(self, ticker: Ticker) -> Result[int]:
        told: Result[tuple[Dividend, ...]] = await self._earnings.dividends(ticker)
        if isinstance(told, Err):
            return told
        saved = self._earnings_store.save_dividends(ticker, told.value, self._now())
        return saved if isinstance(saved, Err) else Ok(len(told.value))
