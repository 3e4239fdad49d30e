"""Alpha Vantage's bodies into domain values: past and expected reports, dividends, splits, raw daily bars.

Pure functions of bytes. Every JSON value there is a string; a missing one is `"None"`, `""`, `"-"` or null. Dates that
cannot be right are kept and flagged, never silently corrected:

    duplicate_report_date    two quarters claimed this report date; the quarter that fits is kept
    duplicate_fiscal_period  this quarter had several report dates; the earliest that fits is kept
    implausible_report_date  not 10 to 120 days after the quarter's end
    report_on_closed_day     the exchange was, or will be, closed
    date_conflict            the same company is listed again with another date close by
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from math import isfinite

import msgspec

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import (
    DailyBar,
    Dividend,
    PastReport,
    ScheduledReport,
    Split,
    Ticker,
    parse_ticker,
    same_report,
)
from ivcrush.infrastructure.api.json_wire import BOM, count, decode, rows, top_level

_MISSING = frozenset({"", "-", "none", "null"})
_SOONEST, _LATEST = timedelta(10), timedelta(120)
_NEEDED_COLUMNS = ("symbol", "reportDate")
_TIMINGS = {
    "pre-market": Timing.BMO,
    "post-market": Timing.AMC,
    "during-market": Timing.DMH,
}


class _QuarterRow(msgspec.Struct, gc=False):
    fiscalDateEnding: str | None = None  # noqa: N815  the provider's spelling
    reportedDate: str | None = None  # noqa: N815
    reportedEPS: str | float | None = None  # noqa: N815
    reportTime: str | None = None  # noqa: N815


class _DividendRow(msgspec.Struct, gc=False):
    ex_dividend_date: str | None = None
    amount: str | float | None = None


class _SplitRow(msgspec.Struct, gc=False):
    effective_date: str | None = None
    split_factor: str | float | None = None


class _BarRow(msgspec.Struct, gc=False):
    open: float = msgspec.field(name="1. open")
    high: float = msgspec.field(name="2. high")
    low: float = msgspec.field(name="3. low")
    close: float = msgspec.field(name="4. close")
    volume: float = msgspec.field(name="5. volume", default=0.0)


def parse_past_reports(
    body: bytes, ticker: Ticker, *, today: date, calendar: MarketCalendar
) -> Result[tuple[PastReport, ...]]:
    """Reports made up to `today`, newest first, one a quarter and one a date.

    A quarter without reported earnings has not been reported. Errors: INVALID where the body is no JSON, NODATA where
    nothing is left.
    """
    read = rows(body, ("quarterlyEarnings",), _QuarterRow)
    if isinstance(read, Err):
        return _unusable(read, f"EARNINGS of {ticker}")
    made = [
        report
        for row in read.value.good
        if not _is_missing(row.reportedEPS)
        and (report := _past_report(row, calendar)) is not None
        and report.report_date <= today
    ]
    reports = _one_a_date(_one_a_quarter(made))
    if not reports:
        return err(ErrorCode.NODATA, f"{ticker}: Alpha Vantage knows no past report", ticker=ticker)
    return Ok(tuple(sorted(reports, key=lambda report: report.report_date, reverse=True)))


def parse_scheduled_reports(body: bytes, *, calendar: MarketCalendar) -> Result[tuple[ScheduledReport, ...]]:
    """Expected reports by date and ticker, from the CSV read by column name; rows without a usable date are left out.

    A date with a session beside it counts as confirmed, one without as estimated, one on a closed day as estimated
    whatever stands beside it. Errors: INVALID where the columns `symbol` and `reportDate` are missing.
    """
    text = body.removeprefix(BOM).decode("utf-8", "replace").replace("\0", "")
    table = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = table.fieldnames or ()
    missing = [name for name in _NEEDED_COLUMNS if name not in columns]
    if missing:
        return err(ErrorCode.INVALID, f"Alpha Vantage: EARNINGS_CALENDAR without column {', '.join(missing)}")
    try:
        expected = [report for row in table if (report := _scheduled_report(row, calendar)) is not None]
    except csv.Error as fault:
        return err(ErrorCode.INVALID, f"Alpha Vantage: EARNINGS_CALENDAR unreadable ({fault})")
    return Ok(tuple(sorted(_conflicts_flagged(expected), key=lambda report: (report.report_date, report.ticker))))


def parse_dividends(body: bytes, ticker: Ticker) -> Result[tuple[Dividend, ...]]:
    """Cash dividends, rising by ex-date; rows without a date or a positive amount are left out."""
    read = rows(body, ("data",), _DividendRow)
    if isinstance(read, Err):
        return _unusable(read, f"DIVIDENDS of {ticker}")
    paid = {
        (day, amount)
        for row in read.value.good
        if (day := _day(row.ex_dividend_date)) is not None and (amount := _positive(row.amount)) is not None
    }
    return Ok(tuple(Dividend(day, amount) for day, amount in sorted(paid)))


def parse_splits(body: bytes, ticker: Ticker) -> Result[tuple[Split, ...]]:
    """Splits, rising by date; rows without a date or a positive factor are left out."""
    read = rows(body, ("data",), _SplitRow)
    if isinstance(read, Err):
        return _unusable(read, f"SPLITS of {ticker}")
    made = {
        (day, factor)
        for row in read.value.good
        if (day := _day(row.effective_date)) is not None and (factor := _positive(row.split_factor)) is not None
    }
    return Ok(tuple(Split(day, factor) for day, factor in sorted(made)))


def parse_raw_daily_bars(body: bytes, ticker: Ticker) -> Result[tuple[DailyBar, ...]]:
    """Bars as traded, rising by session; one without four positive prices is left out.

    Errors: INVALID where the body is no JSON, NODATA where no bar is left.
    """
    members = top_level(body)
    if isinstance(members, Err):
        return _unusable(members, f"TIME_SERIES_DAILY of {ticker}")
    series = decode(members.value.get("Time Series (Daily)", msgspec.Raw(b"{}")), dict[str, msgspec.Raw])
    each = {} if isinstance(series, Err) else series.value
    bars = [bar for text, raw in each.items() if (bar := _bar(text, raw)) is not None]
    if not bars:
        return err(ErrorCode.NODATA, f"{ticker}: Alpha Vantage has no daily bars", ticker=ticker)
    return Ok(tuple(sorted(bars, key=lambda bar: bar.session)))


def _unusable(fault: Err, what: str) -> Err:
    return err(fault.error.code, f"Alpha Vantage: {what}: {fault.error.message}")


def _is_missing(value: str | float | None) -> bool:
    return value is None or str(value).strip().lower() in _MISSING


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "").strip()[:10])
    except ValueError:
        return None


def _positive(value: str | float | None) -> float | None:
    read = decode(msgspec.json.encode(value), float)
    return read.value if isinstance(read, Ok) and isfinite(read.value) and read.value > 0 else None


def _timing(text: str | None) -> Timing:
    return _TIMINGS.get((text or "").strip().lower(), Timing.UNKNOWN)


def _past_report(row: _QuarterRow, calendar: MarketCalendar) -> PastReport | None:
    reported = _day(row.reportedDate)
    if reported is None:
        return None
    quarter_end = _day(row.fiscalDateEnding)
    flags = []
    if quarter_end is not None and not _SOONEST <= reported - quarter_end <= _LATEST:
        flags.append("implausible_report_date")
    if not calendar.is_session(reported):
        flags.append("report_on_closed_day")
    return PastReport(reported, _timing(row.reportTime), quarter_end, tuple(flags))


def _is_plausible(report: PastReport) -> bool:
    return "implausible_report_date" not in report.flags


def _one_a_quarter(reports: Iterable[PastReport]) -> list[PastReport]:
    """The earliest plausible report of each quarter; reports of an unknown quarter all stay."""
    kept: list[PastReport] = []
    ordered = sorted(reports, key=lambda report: (report.fiscal_period_end or date.min, report.report_date))
    for quarter_end, group in groupby(ordered, key=lambda report: report.fiscal_period_end):
        same = list(group)
        if quarter_end is None or len({report.report_date for report in same}) == 1:
            kept += same
        else:
            chosen = min(same, key=lambda report: (not _is_plausible(report), report.report_date))
            kept.append(replace(chosen, flags=(*chosen.flags, "duplicate_fiscal_period")))
    return kept


def _one_a_date(reports: Iterable[PastReport]) -> list[PastReport]:
    """One report a date: that of the latest quarter that fits, its session unknown where the rows contradict."""
    kept: list[PastReport] = []
    for _, group in groupby(sorted(reports, key=lambda report: report.report_date), key=lambda r: r.report_date):
        same = list(group)
        if len(same) == 1:
            kept += same
            continue
        chosen = max(same, key=lambda report: (_is_plausible(report), report.fiscal_period_end or date.min))
        named = {report.timing for report in same} - {Timing.UNKNOWN}
        timing = named.pop() if len(named) == 1 else Timing.UNKNOWN
        kept.append(replace(chosen, timing=timing, flags=(*chosen.flags, "duplicate_report_date")))
    return kept


def _scheduled_report(row: dict[str, str | None], calendar: MarketCalendar) -> ScheduledReport | None:
    ticker, reported = parse_ticker(row["symbol"] or ""), _day(row["reportDate"])
    if isinstance(ticker, Err) or reported is None:
        return None
    timing = _timing(row.get("timeOfTheDay"))
    is_session = calendar.is_session(reported)
    return ScheduledReport(
        ticker=ticker.value,
        report_date=reported,
        timing=timing,
        status=DateStatus.CONFIRMED if is_session and timing is not Timing.UNKNOWN else DateStatus.ESTIMATED,
        source=ReportSource.ALPHA_VANTAGE,
        name=(row.get("name") or "").strip(),
        flags=() if is_session else ("report_on_closed_day",),
    )


def _conflicts_flagged(reports: Iterable[ScheduledReport]) -> list[ScheduledReport]:
    """One row a company and date; dates too near to be two quarters' are flagged on both."""
    result: list[ScheduledReport] = []
    for _, group in groupby(sorted(reports, key=lambda r: (r.ticker, r.report_date)), key=lambda report: report.ticker):
        each = [_one_session(list(same)) for _, same in groupby(group, key=lambda report: report.report_date)]
        for report in each:
            near = [r for r in each if r is not report and same_report(r.report_date, report.report_date)]
            result.append(replace(report, flags=(*report.flags, "date_conflict")) if near else report)
    return result


def _one_session(same: Sequence[ScheduledReport]) -> ScheduledReport:
    """The row of one date that names a session; rows that name different ones leave it unknown."""
    named = [report for report in same if report.timing is not Timing.UNKNOWN]
    if len({report.timing for report in named}) > 1:
        return replace(named[0], timing=Timing.UNKNOWN, status=DateStatus.ESTIMATED)
    return (named or same)[0]


def _bar(text: str, raw: msgspec.Raw) -> DailyBar | None:
    session, row = _day(text), decode(raw, _BarRow)
    if session is None or isinstance(row, Err):
        return None
    prices = (row.value.open, row.value.high, row.value.low, row.value.close)
    if not all(isfinite(price) and price > 0 for price in prices):
        return None
    return DailyBar(session, *prices, count(row.value.volume))
