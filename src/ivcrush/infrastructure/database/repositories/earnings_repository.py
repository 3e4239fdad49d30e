"""Expected reports and dividends in the database. A date that moves is history: it is superseded, never overwritten.

What a source says now is compared with what it said before (`calendar_change`). A source that is asked for one company
and leaves a coming date out has given it up. Asked for everybody it has too, up to the last date that it names, unless
so much is missing that the answer must be incomplete: then what it leaves out stands. A date of today or before is
never given up: the report was made. What the user typed as an argument is never stored.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import SAME_REPORT, CalendarListing, Dividend, ScheduledReport, Ticker
from ivcrush.infrastructure.database.calendar_change import CalendarChange, calendar_change, given_up
from ivcrush.infrastructure.database.connection import Database, Row, select
from ivcrush.infrastructure.database.flag_words import flags_text, parse_flags
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text

_COLUMNS = "ticker, report_date, timing, status, source, name, flags"
_CURRENT = f"""SELECT number, {_COLUMNS} FROM earnings_calendar
    WHERE superseded_at IS NULL AND source = ? AND report_date >= ?"""  # noqa: S608
_CURRENT_OF_ONE = f"""SELECT number, {_COLUMNS} FROM earnings_calendar
    WHERE superseded_at IS NULL AND source = ? AND ticker = ?"""  # noqa: S608
# A report moved if another date of it was given up no later than the present one was first named. With max(), SQLite
# takes the other columns from the row that holds the maximum: the date that it moved from last.
_EXPECTED = f"""SELECT now.ticker, now.report_date, now.timing, now.status, now.source, now.name, now.flags,
        before.report_date, max(before.superseded_at)
    FROM earnings_calendar AS now LEFT JOIN earnings_calendar AS before
        ON before.ticker = now.ticker AND before.source = now.source AND before.superseded_at <= now.first_seen
        AND before.superseded_at IS NOT NULL AND before.report_date <> now.report_date
        AND abs(julianday(before.report_date) - julianday(now.report_date)) <= {SAME_REPORT.days}
    WHERE now.superseded_at IS NULL AND now.report_date BETWEEN ? AND ?"""  # noqa: S608
_CALENDAR = f"{_EXPECTED} GROUP BY now.number ORDER BY now.report_date, now.ticker, now.number"
_SCHEDULED = f"{_EXPECTED} AND now.ticker = ? GROUP BY now.number ORDER BY now.report_date, now.number"
_INSERT = f"""INSERT INTO earnings_calendar ({_COLUMNS}, first_seen, last_seen)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""  # noqa: S608
_SEE_AGAIN = """UPDATE earnings_calendar SET status = ?, name = ?, flags = ?, last_seen = max(last_seen, ?)
    WHERE number = ?"""
_SUPERSEDE = "UPDATE earnings_calendar SET superseded_at = max(first_seen, ?) WHERE number = ?"
_SEEN_AT = "SELECT max(last_seen) FROM earnings_calendar WHERE ticker = ? AND superseded_at IS NULL"
_NOTE_REFRESH = """INSERT INTO calendar_refreshes (source, refreshed_at, reports) VALUES (?, ?, ?)
    ON CONFLICT (source) DO UPDATE SET refreshed_at = excluded.refreshed_at, reports = excluded.reports"""
# Asked for everybody, a source names three months. What was first named afterwards, or further ahead, was an answer to
# a question for one company: it says nothing of the others.
_LAST_CALENDAR = """SELECT refreshed_at, reports, min(report_date), max(report_date)
    FROM calendar_refreshes LEFT JOIN earnings_calendar
        ON earnings_calendar.source = calendar_refreshes.source AND superseded_at IS NULL
        AND first_seen <= refreshed_at AND report_date <= date(substr(refreshed_at, 1, 10), '+100 days')
    WHERE calendar_refreshes.source = ? GROUP BY calendar_refreshes.source"""
_INSERT_DIVIDEND = "INSERT INTO dividends (ticker, ex_date, amount, seen_at) VALUES (?, ?, ?, ?)"
_SAVE_DIVIDENDS_AT = """INSERT INTO ticker_metadata (ticker, dividends_at) VALUES (?, ?)
    ON CONFLICT (ticker) DO UPDATE SET dividends_at = excluded.dividends_at"""
_DELETE_DIVIDENDS = "DELETE FROM dividends WHERE ticker = ?"
_FORGET_DIVIDENDS_AT = "UPDATE ticker_metadata SET dividends_at = NULL WHERE ticker = ?"
_DIVIDENDS_AT = "SELECT dividends_at FROM ticker_metadata WHERE ticker = ? AND dividends_at IS NOT NULL"
_DIVIDENDS = """SELECT ex_date, amount FROM dividends
    WHERE ticker = ? AND ex_date BETWEEN ? AND ? ORDER BY ex_date, number"""


class EarningsRepository:
    """`EarningsStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_scheduled(
        self, ticker: Ticker, reports: Sequence[ScheduledReport], seen_at: datetime, *, source: ReportSource
    ) -> Result[None]:
        """Keep all that a source expects of one company, in one transaction; rows of others are passed over.

        Errors: DBERROR.
        """
        told = [report for report in reports if report.source is source and report.ticker == ticker]

        def apply(connection: sqlite3.Connection) -> None:
            current = dict(select(connection, _CURRENT_OF_ONE, (source.value, ticker), _parse_numbered_report))
            change = calendar_change(current, told)
            coming = set(_coming(current, seen_at, until=date.max))
            _apply(connection, change, [number for number in change.unnamed if number in coming], seen_at)

        return self._database.write(apply)

    def save_calendar(
        self, reports: Sequence[ScheduledReport], seen_at: datetime, *, source: ReportSource
    ) -> Result[int]:
        """Keep all that a source expects of everybody, and when it said so, in one transaction.

        Returns how many coming dates it left out that stand all the same, because the answer is incomplete; 0
        ordinarily. Errors: DBERROR.
        """
        told = [report for report in reports if report.source is source]
        dates = [report.report_date for report in told]
        since = min((_day(seen_at), *dates)) - SAME_REPORT

        def apply(connection: sqlite3.Connection) -> int:
            window = (source.value, since.isoformat())
            current = dict(select(connection, _CURRENT, window, _parse_numbered_report))
            change = calendar_change(current, told)
            # An answer without any date says nothing of any day, and leaves out everything.
            coming = _coming(current, seen_at, until=max(dates, default=date.max))
            gone = given_up(change, coming)
            _apply(connection, change, gone, seen_at)
            connection.execute(_NOTE_REFRESH, (source.value, utc_text(seen_at), len(told)))
            return len(set(change.unnamed) & set(coming)) - len(gone)

        return self._database.write(apply)

    def last_calendar(self, source: ReportSource) -> Result[CalendarListing | None]:
        """When everybody's reports were last kept from a source (UTC), how many, and the dates that all kept ones span.

        None for never. Errors: DBERROR.
        """
        found = self._database.rows(_LAST_CALENDAR, (source.value,), _parse_listing)
        return found if isinstance(found, Err) else Ok(next(iter(found.value), None))

    def calendar(self, start: date, end: date) -> Result[tuple[ScheduledReport, ...]]:
        """Everybody's current expectation in [start, end], rising by date, then by ticker. Errors: DBERROR."""
        return self._database.rows(_CALENDAR, (start.isoformat(), end.isoformat()), _parse_expected)

    def scheduled(self, ticker: Ticker, start: date, end: date) -> Result[tuple[ScheduledReport, ...]]:
        """The current expectation in [start, end], rising by date, several where it is in doubt. Errors: DBERROR."""
        return self._database.rows(_SCHEDULED, (start.isoformat(), end.isoformat(), ticker), _parse_expected)

    def calendar_seen_at(self, ticker: Ticker) -> Result[datetime | None]:
        """When a source last named one of the company's current dates, None for never. Errors: DBERROR."""
        found = self._database.rows(_SEEN_AT, (ticker,), _parse_seen)
        return found if isinstance(found, Err) else Ok(found.value[0])

    def save_dividends(self, ticker: Ticker, dividends: Sequence[Dividend], seen_at: datetime) -> Result[None]:
        """Replace the company's dividends, in one transaction. Errors: DBERROR."""
        seen = utc_text(seen_at)

        def swap(connection: sqlite3.Connection) -> None:
            connection.execute(_DELETE_DIVIDENDS, (ticker,))
            rows = [(ticker, paid.ex_date.isoformat(), float(paid.amount), seen) for paid in dividends]
            connection.executemany(_INSERT_DIVIDEND, rows)
            connection.execute(_SAVE_DIVIDENDS_AT, (ticker, seen))

        return self._database.write(swap)

    def forget_dividends(self, ticker: Ticker) -> Result[int]:
        """Let go of the company's dividends and of having asked for them; how many were kept. Errors: DBERROR."""

        def forget(connection: sqlite3.Connection) -> int:
            connection.execute(_FORGET_DIVIDENDS_AT, (ticker,))
            return connection.execute(_DELETE_DIVIDENDS, (ticker,)).rowcount

        return self._database.write(forget)

    def dividends_seen_at(self, ticker: Ticker) -> Result[datetime | None]:
        """When the company's dividends were last kept, none of them included, None for never. Errors: DBERROR."""
        found = self._database.rows(_DIVIDENDS_AT, (ticker,), _parse_seen)
        return found if isinstance(found, Err) else Ok(next(iter(found.value), None))

    def dividends(self, ticker: Ticker, start: date, end: date) -> Result[tuple[Dividend, ...]]:
        """Dividends going ex in [start, end], rising by date. Errors: DBERROR."""
        return self._database.rows(_DIVIDENDS, (ticker, start.isoformat(), end.isoformat()), _parse_dividend)


def _day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()


def _coming(current: Mapping[int, ScheduledReport], seen_at: datetime, *, until: date) -> tuple[int, ...]:
    """The rows of the days after that of `seen_at`: whether a report of today was made already, nobody says."""
    return tuple(number for number, report in current.items() if _day(seen_at) < report.report_date <= until)


def _apply(connection: sqlite3.Connection, change: CalendarChange, gone: Sequence[int], seen_at: datetime) -> None:
    seen = utc_text(seen_at)
    connection.executemany(_SUPERSEDE, [(seen, number) for number in (*change.superseded, *gone)])
    connection.executemany(_SEE_AGAIN, [_seen_row(number, report, seen) for number, report in change.seen_again])
    connection.executemany(_INSERT, [(*_report_row(report), seen, seen) for report in change.added])


def _report_row(report: ScheduledReport) -> tuple[str, ...]:
    return (
        report.ticker,
        report.report_date.isoformat(),
        report.timing.value,
        report.status.value,
        report.source.value,
        report.name,
        flags_text(report.flags),
    )


def _seen_row(number: int, report: ScheduledReport, seen: str) -> tuple[object, ...]:
    return report.status.value, report.name, flags_text(report.flags), seen, number


def _parse_report(row: Row) -> ScheduledReport:
    ticker, report_date, timing, status, source, name, flags = row
    return ScheduledReport(
        ticker=Ticker(ticker),
        report_date=date.fromisoformat(report_date),
        timing=Timing(timing),
        status=DateStatus(status),
        source=ReportSource(source),
        name=name,
        flags=parse_flags(flags),
    )


def _parse_expected(row: Row) -> ScheduledReport:
    return replace(_parse_report(row[:7]), moved_from=_maybe_date(row[7]))


def _parse_listing(row: Row) -> CalendarListing:
    refreshed_at, reports, first, last = row
    return CalendarListing(parse_utc_text(refreshed_at), reports, _maybe_date(first), _maybe_date(last))


def _maybe_date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _parse_seen(row: Row) -> datetime | None:
    return None if row[0] is None else parse_utc_text(row[0])


def _parse_numbered_report(row: Row) -> tuple[int, ScheduledReport]:
    return int(row[0]), _parse_report(row[1:])


def _parse_dividend(row: Row) -> Dividend:
    ex_date, amount = row
    return Dividend(date.fromisoformat(ex_date), amount)
