"""What the market and the companies say, as values: quotes, chains, bars, reports, moves, snapshots.

Everything here is frozen and already valid: it was parsed at the border. Moments are aware, bare dates are New York
market dates, prices are dollars, `_pct` is percent. Nothing here reads a clock, a file or the network.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NewType

import numpy as np
import numpy.typing as npt

from ivcrush.domain.enums import DateStatus, MoveMeasure, ReportSource, Right, SessionState, Timing
from ivcrush.domain.errors import ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import MarketCalendar

Ticker = NewType("Ticker", str)
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Two dates of a company at most this far apart are spellings of one quarter's report: quarterly reports lie 60 days and
# more apart.
SAME_REPORT = timedelta(days=45)

_TICKER = re.compile(r"[A-Z]{1,6}(\.[A-Z]{1,3})?")


def same_report(one: date, other: date) -> bool:
    """Whether two dates of a company can only be one report's."""
    return abs(one - other) <= SAME_REPORT


def parse_ticker(text: str) -> Result[Ticker]:
    """The one canonical spelling of a ticker: upper case, share class after a dot (`brk-b`, `BRK/B` → `BRK.B`).

    Errors: INVALID for anything that is not letters with at most one class suffix.
    """
    canonical = text.strip().upper().replace("/", ".").replace("-", ".")
    if not text.isascii() or _TICKER.fullmatch(canonical) is None:
        shown = text if len(text) <= 20 else text[:20] + "…"
        return err(
            ErrorCode.INVALID, f"ticker {shown!r}: 1 to 6 letters with an optional class are needed (AAPL, BRK.B)"
        )
    return Ok(Ticker(canonical))


def money(amount: float) -> Decimal:
    """Dollars to the cent-hundredth, as a person reads them; the one place where a float price becomes a Decimal."""
    return Decimal(repr(round(amount, 4)))


@dataclass(frozen=True, slots=True)
class UnderlyingQuote:
    """The stock's market at a moment; `bid`/`ask` 0.0 means no market, `last` None means never traded.

    `quoted_at` is the later of the bid's and the ask's time, None when the provider gave none.
    """

    ticker: Ticker
    bid: float
    ask: float
    last: float | None
    previous_close: float | None
    quoted_at: datetime | None
    traded_at: datetime | None
    average_volume: int = 0
    description: str = ""

    def spot(self) -> Result[float]:
        """Dollars: the mid of a two-sided market at most 2 % wide, else the last trade; NODATA without either."""
        if self.bid > 0 and self.ask >= self.bid and self.ask - self.bid <= 0.02 * self.bid:
            return Ok((self.bid + self.ask) / 2)
        if self.last is not None and self.last > 0:
            return Ok(self.last)
        return err(
            ErrorCode.NODATA,
            f"{self.ticker}: no two-sided quote (bid {self.bid:g}, ask {self.ask:g}) and no last trade",
        )


@dataclass(frozen=True, slots=True)
class Quotes:
    """The quotes of one reply, by company, and when it came, by the real clock: a kept reply is as old as it is."""

    by_ticker: Mapping[Ticker, UnderlyingQuote]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class OptionQuote:
    """One option as a person reads it; `iv_pct` is the provider's, None where it gave none."""

    right: Right
    strike: Decimal
    bid: Decimal
    ask: Decimal
    volume: int
    open_interest: int
    iv_pct: float | None

    @property
    def mid(self) -> Decimal:
        """Dollars, halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread_pct(self) -> float:
        """Ask minus bid in percent of the mid; 200 for a zero bid, 0 for an empty market."""
        return float((self.ask - self.bid) / self.mid * 100) if self.mid > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class OptionColumns:
    """All calls or all puts of a chain, one entry a strike of the chain: every array has shape (n,).

    `present` is False where the chain lists no such contract or its row was unusable; every number is 0 there.
    Prices in dollars, 0.0 = no market. `iv` is the provider's, a fraction a year, 0.0 = not given.
    `quoted_at` is epoch seconds of the older of bid and ask, 0.0 = not given.
    """

    present: BoolArray
    bid: FloatArray
    ask: FloatArray
    bid_size: IntArray
    ask_size: IntArray
    volume: IntArray
    open_interest: IntArray
    iv: FloatArray
    quoted_at: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class OptionChain:
    """One expiration's standard contracts (the underlier's root, 100 shares), by strike, calls and puts aligned.

    `strikes` has shape (n,), n >= 1, rising, dollars. `dropped` counts rows left out while parsing, by reason code.
    `greeks_at` is when the provider computed its IVs, None without them.
    """

    ticker: Ticker
    expiration: date
    strikes: FloatArray
    calls: OptionColumns
    puts: OptionColumns
    dropped: tuple[tuple[str, int], ...] = ()
    greeks_at: datetime | None = None
    expiration_type: str = ""

    def columns(self, right: Right) -> OptionColumns:
        """The calls or the puts."""
        return self.calls if right is Right.CALL else self.puts

    def quote(self, right: Right, index: int) -> OptionQuote:
        """The option at `strikes[index]`, made for a person to read."""
        side = self.columns(right)
        iv = float(side.iv[index])
        return OptionQuote(
            right=right,
            strike=money(float(self.strikes[index])),
            bid=money(float(side.bid[index])),
            ask=money(float(side.ask[index])),
            volume=int(side.volume[index]),
            open_interest=int(side.open_interest[index]),
            iv_pct=iv * 100 if iv > 0 else None,
        )

    def nearest_index(self, price: float) -> int:
        """The index of the strike nearest a price; the lower one of two equally near."""
        return int(np.argmin(np.abs(self.strikes - price)))


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One session of the stock, split-adjusted, not dividend-adjusted; dollars."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: int


@dataclass(frozen=True, slots=True)
class Dividend:
    """A cash dividend a share, in dollars."""

    ex_date: date
    amount: float


@dataclass(frozen=True, slots=True)
class Split:
    """`factor` new shares for each old one from that session on."""

    effective: date
    factor: float


@dataclass(frozen=True, slots=True)
class PastReport:
    """A report that a company made; `flags` name what is odd about its date."""

    report_date: date
    timing: Timing
    fiscal_period_end: date | None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduledReport:
    """A report that a company is expected to make, as one source spells it.

    `moved_from` is the date that the source named for it before, None where it never moved.
    """

    ticker: Ticker
    report_date: date
    timing: Timing
    status: DateStatus
    source: ReportSource
    name: str = ""
    flags: tuple[str, ...] = ()
    moved_from: date | None = None


@dataclass(frozen=True, slots=True)
class CalendarListing:
    """A source's calendar of everybody as it was last kept: when, and how many reports it named.

    `first` and `last` are the dates between which the stored calendar names reports, None where it names none.
    """

    refreshed_at: datetime
    reports: int
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class HistoricalMove:
    """What the stock did over the reaction session of one past report; signed, percent of the previous close.

    `gap_pct`: previous close → open. `open_to_close_pct`: open → close, in percent of the open. `peak_pct`: the larger
    in absolute value of high and low against the previous close.
    """

    report_date: date
    timing: Timing
    reaction_session: date
    previous_close: float
    close_to_close_pct: float
    gap_pct: float
    open_to_close_pct: float
    peak_pct: float
    flags: tuple[str, ...] = ()

    def measured(self, measure: MoveMeasure) -> float:
        """The signed move by one measure, percent."""
        if measure is MoveMeasure.GAP:
            return self.gap_pct
        return self.peak_pct if measure is MoveMeasure.PEAK else self.close_to_close_pct


@dataclass(frozen=True, slots=True)
class MissingMove:
    """A past report whose move cannot be measured, and why; it is reported, never invented."""

    report_date: date
    timing: Timing
    reason: str


@dataclass(frozen=True, slots=True)
class StoredReports:
    """A company's stored reports: those with a move and those without one, each newest first."""

    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]

    @property
    def all(self) -> tuple[HistoricalMove | MissingMove, ...]:
        """Both, those with a move first."""
        return (*self.moves, *self.missing)


@dataclass(frozen=True, slots=True)
class MarketClock:
    """What the provider says of now."""

    state: SessionState
    at: datetime


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """One report to analyse: everything the trader gave or the calendar knew, nothing left to find but the market.

    `timing` UNKNOWN means that both sessions are to be computed. `next_report_date` is the following quarter's
    expected report, so that expirations that hold two reports are recognised. `moved_from` is the date that
    the calendar named before.
    """

    ticker: Ticker
    report_date: date
    timing: Timing
    status: DateStatus
    source: ReportSource
    expiration: date | None = None
    next_report_date: date | None = None
    flags: tuple[str, ...] = ()
    moved_from: date | None = None


@dataclass(frozen=True, slots=True)
class RealisedVolatility:
    """Annualised (252 sessions) standard deviation of ordinary daily log returns, reaction sessions left out.

    `annual` is a fraction, `returns` how many went in, `through` the last session used. A return over a gap in the
    bars is no daily return.
    """

    annual: float
    returns: int
    through: date


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The thresholds and assumptions of an evaluation, in percent units where they end in `_pct`."""

    vrp_excellent: float = 2.0
    vrp_good: float = 1.5
    vrp_marginal: float = 1.2
    min_open_interest: int = 50
    max_spread_pct: float = 20.0
    min_quarters: int = 4
    max_quarters: int = 12
    risk_free_rate_pct: float = 4.0
    measure: MoveMeasure = MoveMeasure.CLOSE_TO_CLOSE


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """What a company must have to be looked at in a scan, in millions of dollars; 0 asks for nothing.

    `min_dollar_volume_millions` is of an average day: shares traded times price.
    """

    min_market_cap_millions: float = 0.0
    min_dollar_volume_millions: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class MarketSnapshot:
    """Everything one analysis is computed from; with it, the analysis can be repeated to the bit.

    `chains` are sorted by expiration, at least one, and may hold expirations before the event. `moves` and `missing`
    are newest first and hold nothing later than `as_of`. `expirations` is everything the provider listed.
    """

    request: AnalysisRequest
    as_of: datetime
    quote: UnderlyingQuote
    expirations: tuple[date, ...]
    chains: tuple[OptionChain, ...]
    moves: tuple[HistoricalMove, ...]
    missing: tuple[MissingMove, ...]
    dividends: tuple[Dividend, ...]
    realised: RealisedVolatility | None
    settings: EvaluationSettings
    calendar: MarketCalendar = field(default_factory=MarketCalendar)
    session_state: SessionState = SessionState.OPEN
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A run over many companies; `conditions` is whatever makes two runs of a command the same question."""

    run_id: str
    command: str
    conditions: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row of a run that is done: the number of its analysis, and when it was."""

    analysis: int
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run over many companies that was cut or stopped; its done rows by their question."""

    run_id: str
    done: Mapping[str, KeptRow]
