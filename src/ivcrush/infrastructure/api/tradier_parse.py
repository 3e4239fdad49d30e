"""Tradier's bodies into domain values: quotes, expirations, daily bars, clock and calendar.

Pure functions of bytes; chains have `option_chain_parse` to themselves. Numbers that are null, not finite or negative
become "not given" here and nowhere later; a row that cannot be read costs that row. Epoch fields are milliseconds and
become aware UTC moments.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from math import isfinite
from typing import TypeVar

import msgspec

from ivcrush.domain.enums import SessionState
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import SessionDay
from ivcrush.domain.types import DailyBar, MarketClock, Ticker, UnderlyingQuote, parse_ticker
from ivcrush.infrastructure.api.json_wire import Rows, count, rows
from ivcrush.utils.rate_limiter import epoch_seconds

_PLAUSIBLE_EPOCH_S = (3e8, 7e9)  # 1979 to 2191
_SPEAKER = "Tradier"

T = TypeVar("T")


class _QuoteRow(msgspec.Struct, gc=False):
    symbol: str
    description: str | None = None
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    prevclose: float | None = None
    bid_date: float | None = None
    ask_date: float | None = None
    trade_date: float | None = None
    average_volume: float | None = None


class _DayRow(msgspec.Struct, gc=False):
    date: date
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


class _ExpirationRow(msgspec.Struct, gc=False):
    date: date


class _ClockRow(msgspec.Struct, gc=False):
    state: str
    timestamp: float


class _Span(msgspec.Struct, gc=False):
    end: str


class _CalendarRow(msgspec.Struct, gc=False):
    date: date
    status: str
    open: _Span | None = None


def parse_quotes(body: bytes, tickers: Sequence[Ticker]) -> Result[dict[Ticker, UnderlyingQuote]]:
    """The quotes of the tickers asked for, each by its canonical spelling; unmatched ones are absent.

    Errors: INVALID where the body is no JSON, or where it has rows and not one can be read: that is word of nobody.
    """
    read = rows(body, ("quotes", "quote"), _QuoteRow)
    if isinstance(read, Err):
        return _unusable(read, "quotes")
    if read.value.unreadable and not read.value.good:
        what = f"quotes of {tickers[0]}" if len(tickers) == 1 else f"quotes of {len(tickers)} companies"
        return err(ErrorCode.INVALID, f"{_SPEAKER}: {what}: reply not understood, none of its rows can be read")
    found: dict[Ticker, UnderlyingQuote] = {}
    for row in read.value.good:
        ticker = parse_ticker(row.symbol)
        if isinstance(ticker, Ok) and ticker.value in tickers:
            found.setdefault(ticker.value, _quote(ticker.value, row))
    return Ok(found)


def parse_expirations(body: bytes, ticker: Ticker) -> Result[tuple[date, ...]]:
    """Listed expirations, rising, from either shape (`date` or `expiration`).

    Errors: INVALID where the body is no JSON, NODATA where nothing is listed.
    """
    plain = rows(body, ("expirations", "date"), date)
    if isinstance(plain, Err):
        return _unusable(plain, f"expirations of {ticker}")
    detailed = rows(body, ("expirations", "expiration"), _ExpirationRow)
    days = {*plain.value.good, *(row.date for row in _good(detailed))}
    if not days:
        return err(ErrorCode.NODATA, f"{ticker}: {_SPEAKER} lists no options", ticker=ticker)
    return Ok(tuple(sorted(days)))


def parse_bars(body: bytes, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
    """Split-adjusted bars in [start, end], rising by session; a bar without four positive prices is left out.

    Errors: INVALID where the body is no JSON, NODATA where no bar is left.
    """
    read = rows(body, ("history", "day"), _DayRow)
    if isinstance(read, Err):
        return _unusable(read, f"history of {ticker}")
    bars = {
        row.date: DailyBar(row.date, row.open, row.high, row.low, row.close, count(row.volume))
        for row in read.value.good
        if start <= row.date <= end and all(isfinite(p) and p > 0 for p in (row.open, row.high, row.low, row.close))
    }
    if not bars:
        return err(ErrorCode.NODATA, f"{ticker}: {_SPEAKER} has no daily bars from {start} to {end}", ticker=ticker)
    return Ok(tuple(bars[day] for day in sorted(bars)))


def parse_clock(body: bytes) -> Result[MarketClock]:
    """What the exchange is doing. Errors: INVALID where state or moment are missing or unknown."""
    read = rows(body, ("clock",), _ClockRow)
    row = next(iter(_good(read)), None)
    at = None if row is None else _moment(row.timestamp)
    if row is None or at is None or row.state not in set(SessionState):
        return err(ErrorCode.INVALID, f"{_SPEAKER}: clock without a known state and a moment")
    return Ok(MarketClock(SessionState(row.state), at))


def parse_session_days(body: bytes) -> Result[tuple[SessionDay, ...]]:
    """The days of a month, rising; an open day without a readable closing time is left out.

    Everything comes from `open.end`, nothing from the description. Errors: INVALID where no day can be read.
    """
    read = rows(body, ("calendar", "days", "day"), _CalendarRow)
    days = [day for row in _good(read) if (day := _session_day(row)) is not None]
    if not days:
        return err(ErrorCode.INVALID, f"{_SPEAKER}: calendar without a readable day")
    return Ok(tuple(sorted(days, key=lambda day: day.day)))


def _unusable(fault: Err, what: str) -> Err:
    return err(fault.error.code, f"{_SPEAKER}: {what}: {fault.error.message}")


def _good(read: Result[Rows[T]]) -> list[T]:
    return [] if isinstance(read, Err) else read.value.good


def _quote(ticker: Ticker, row: _QuoteRow) -> UnderlyingQuote:
    moments = [moment for moment in (_moment(row.bid_date), _moment(row.ask_date)) if moment is not None]
    return UnderlyingQuote(
        ticker=ticker,
        bid=_at_least_zero(row.bid),
        ask=_at_least_zero(row.ask),
        last=_positive(row.last),
        previous_close=_positive(row.prevclose),
        quoted_at=max(moments, default=None),
        traded_at=_moment(row.trade_date),
        average_volume=count(row.average_volume),
        description=row.description or "",
    )


def _at_least_zero(number: float | None) -> float:
    return number if number is not None and isfinite(number) and number > 0 else 0.0


def _positive(number: float | None) -> float | None:
    return _at_least_zero(number) or None


def _moment(epoch: float | None) -> datetime | None:
    """An aware UTC moment from epoch milliseconds or seconds; None for 0 and for what no market has seen."""
    if epoch is None:
        return None
    seconds = epoch_seconds(epoch)
    earliest, latest = _PLAUSIBLE_EPOCH_S
    return datetime.fromtimestamp(seconds, UTC) if earliest < seconds < latest else None


def _session_day(row: _CalendarRow) -> SessionDay | None:
    if row.status == "closed":
        return SessionDay(row.date, None)
    try:
        return SessionDay(row.date, time.fromisoformat(row.open.end)) if row.open is not None else None
    except ValueError:
        return None
