"""What the services ask of the outside: providers (await: the network) and stores (plain calls: this machine).

Infrastructure implements these; nothing here knows how. Every method answers with a `Result` and never raises for what
the world does.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from ivcrush.domain.analysis import Statement, TickerAnalysis, UnreadableStatement
from ivcrush.domain.enums import ReportSource
from ivcrush.domain.errors import AppError, Result
from ivcrush.domain.market_calendar import SessionDay
from ivcrush.domain.types import (
    BatchRun,
    CalendarListing,
    DailyBar,
    Dividend,
    HistoricalMove,
    KeptRow,
    MarketClock,
    MarketSnapshot,
    MissingMove,
    OptionChain,
    PastReport,
    Quotes,
    ScheduledReport,
    Split,
    Ticker,
    UnfinishedRun,
)


class MarketData(Protocol):
    """Quotes, options and daily bars (Tradier)."""

    async def quotes(self, tickers: Sequence[Ticker]) -> Result[Quotes]:
        """One request for all; tickers the provider does not know are absent from them."""
        ...

    async def expirations(self, ticker: Ticker) -> Result[tuple[date, ...]]:
        """Listed expirations, rising; NODATA where there are none."""
        ...

    async def option_chain(self, ticker: Ticker, expiration: date) -> Result[OptionChain]:
        """One expiration's standard contracts; NODATA where no usable row is left."""
        ...

    async def daily_bars(self, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
        """Split-adjusted bars in [start, end], rising by session; NODATA where there are none."""
        ...

    async def clock(self) -> Result[MarketClock]:
        """What the exchange is doing now."""
        ...

    async def session_days(self, year: int, month: int) -> Result[tuple[SessionDay, ...]]:
        """The provider's calendar of one month."""
        ...


class EarningsData(Protocol):
    """Report dates, dividends and splits (Alpha Vantage)."""

    async def past_reports(self, ticker: Ticker) -> Result[tuple[PastReport, ...]]:
        """Reports made, newest first, deduplicated and flagged; NODATA where the company has none."""
        ...

    async def scheduled_reports(self, ticker: Ticker | None) -> Result[tuple[ScheduledReport, ...]]:
        """Expected reports by date, of one company or (None) of all; empty where nothing is scheduled."""
        ...

    async def dividends(self, ticker: Ticker) -> Result[tuple[Dividend, ...]]:
        """Cash dividends, announced ones included, rising by ex-date; empty where none."""
        ...

    async def splits(self, ticker: Ticker) -> Result[tuple[Split, ...]]:
        """Splits, rising by date; empty where none."""
        ...

    async def raw_daily_bars(self, ticker: Ticker) -> Result[tuple[DailyBar, ...]]:
        """The last hundred or so bars as traded, not adjusted for splits, rising by session."""
        ...


class EarningsStore(Protocol):
    """Report dates and dividends kept in the database."""

    def save_scheduled(
        self, ticker: Ticker, reports: Sequence[ScheduledReport], seen_at: datetime, *, source: ReportSource
    ) -> Result[None]:
        """Keep all that a source expects of one company; a date it names no longer is kept as history."""
        ...

    def save_calendar(
        self, reports: Sequence[ScheduledReport], seen_at: datetime, *, source: ReportSource
    ) -> Result[int]:
        """Keep all that a source expects of everybody; how many dates it left out that stand all the same."""
        ...

    def last_calendar(self, source: ReportSource) -> Result[CalendarListing | None]:
        """What was last kept of a source's calendar of everybody, None for never."""
        ...

    def calendar(self, start: date, end: date) -> Result[tuple[ScheduledReport, ...]]:
        """Everybody's current expected reports in [start, end], rising by date, then by ticker."""
        ...

    def scheduled(self, ticker: Ticker, start: date, end: date) -> Result[tuple[ScheduledReport, ...]]:
        """The current expectation of one company's reports in [start, end], rising by date."""
        ...

    def calendar_seen_at(self, ticker: Ticker) -> Result[datetime | None]:
        """When a source last named a coming report of the company, None for never."""
        ...

    def save_dividends(self, ticker: Ticker, dividends: Sequence[Dividend], seen_at: datetime) -> Result[None]:
        """Replace the company's dividends by what its provider says now."""
        ...

    def forget_dividends(self, ticker: Ticker) -> Result[int]:
        """As if the company's dividends had never been asked for; how many were kept."""
        ...

    def dividends_seen_at(self, ticker: Ticker) -> Result[datetime | None]:
        """When the company's dividends were last kept, none of them included, None for never."""
        ...

    def dividends(self, ticker: Ticker, start: date, end: date) -> Result[tuple[Dividend, ...]]:
        """Dividends going ex in [start, end], rising by date."""
        ...


class PriceStore(Protocol):
    """Past moves and the recent closes kept in the database."""

    def save_history(
        self,
        ticker: Ticker,
        moves: Sequence[HistoricalMove],
        missing: Sequence[MissingMove],
        bars: Sequence[DailyBar],
        *,
        through: date,
        saved_at: datetime | None,
        oldest_report: date | None = None,
    ) -> Result[None]:
        """Replace what is kept from the oldest of these reports through that session; one transaction.

        `oldest_report` is the oldest one that the provider has, kept or not.
        """
        ...

    def moves(self, ticker: Ticker, before: date) -> Result[tuple[HistoricalMove, ...]]:
        """Moves whose reaction session ended before that day, newest first; empty where none are kept."""
        ...

    def missing_moves(self, ticker: Ticker, before: date) -> Result[tuple[MissingMove, ...]]:
        """Reports before that day whose move could not be measured, newest first."""
        ...

    def bars(self, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
        """Kept daily bars in [start, end], rising."""
        ...

    def last_backfill(self, ticker: Ticker) -> Result[datetime | None]:
        """When the company's reports were last asked for, None for never."""
        ...

    def save_asked(self, ticker: Ticker, at: datetime) -> Result[None]:
        """Note that the company's reports were asked for, and nothing came of it."""
        ...

    def oldest_report(self, ticker: Ticker) -> Result[date | None]:
        """The oldest report that the provider has of the company, None where it never said."""
        ...


class CompanyStore(Protocol):
    """What is known of companies beside their reports."""

    def market_caps_millions(self) -> Result[Mapping[Ticker, float]]:
        """Market capitalisations in millions of dollars; an absent company's is unknown."""
        ...


class AnalysisStore(Protocol):
    """Every analysis made, whole, with the snapshot it was computed from."""

    def save_analysis(self, analysis: TickerAnalysis, document: bytes, run_id: str, saved_at: datetime) -> Result[int]:
        """Keep the JSON document and the snapshot; returns the analysis's number."""
        ...

    def snapshot(self, number: int) -> Result[MarketSnapshot]:
        """The snapshot of an analysis, for repeating it; NODATA for an unknown number."""
        ...

    def statements(
        self, tickers: Sequence[Ticker], since: date | None
    ) -> Result[tuple[Statement | UnreadableStatement, ...]]:
        """What analyses said of reports from that date on, of these companies, or of all; as they were kept."""
        ...


class BatchStore(Protocol):
    """Runs over many companies, row by row, so that a run that was cut goes on where it was."""

    def last_unfinished(self, command: str, conditions: str, since: datetime) -> Result[UnfinishedRun | None]:
        """The latest run under the same conditions that was cut or stopped, begun since then; None without one."""
        ...

    def begin_run(self, run: BatchRun, questions: Sequence[str], kept: Mapping[str, KeptRow]) -> Result[None]:
        """Note a run with its rows, or open it again with those of them that are kept; one transaction."""
        ...

    def save_analysed(
        self, run_id: str, question: str, analysis: TickerAnalysis, document: bytes, *, ended_at: datetime
    ) -> Result[None]:
        """Keep an analysis and that its row is done; one transaction."""
        ...

    def save_failed(self, run_id: str, question: str, error: AppError, *, ended_at: datetime) -> Result[None]:
        """Keep why a row has no analysis."""
        ...

    def document(self, analysis: int) -> Result[bytes]:
        """The JSON document of an analysis; NODATA for an unknown number."""
        ...

    def end_run(self, run_id: str, *, complete: bool, exit_code: int, ended_at: datetime) -> Result[None]:
        """Note how a run ended; `complete` where every row was reached."""
        ...
