"""Expected reports and dividends in the database. A date that moves is history: it is superseded, never overwritten.

One source's expectations of one company are compared with what it says now. What it repeats is seen again; a date
whose place another one took is superseded; two dates that it names at the same time are both kept, with their flags.
What the user typed as an argument is never stored.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.types import Dividend, ScheduledReport, Ticker
from ivcrush.infrastructure.database.connection import Database, Row, select
from ivcrush.infrastructure.database.flag_words import flags_text, parse_flags
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text

# Two dates closer than this are spellings of one quarter's report: quarterly reports lie 60 days and more apart.
SAME_REPORT_DAYS: Final = 45

_COLUMNS = "ticker, report_date, timing, status, source, name, flags"
_CURRENT = f"""SELECT number, {_COLUMNS} FROM earnings_calendar
    WHERE superseded_at IS NULL AND report_date >= ?"""  # noqa: S608
_SCHEDULED = f"""SELECT {_COLUMNS} FROM earnings_calendar
    WHERE superseded_at IS NULL AND ticker = ? AND report_date BETWEEN ? AND ? ORDER BY report_date, number"""  # noqa: S608
_INSERT = f"""INSERT INTO earnings_calendar ({_COLUMNS}, first_seen, last_seen)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""  # noqa: S608
_SEE_AGAIN = """UPDATE earnings_calendar SET status = ?, name = ?, flags = ?, last_seen = max(last_seen, ?)
    WHERE number = ?"""
_SUPERSEDE = "UPDATE earnings_calendar SET superseded_at = max(first_seen, ?) WHERE number = ?"
_SEEN_AT = "SELECT max(last_seen) FROM earnings_calendar WHERE ticker = ? AND superseded_at IS NULL"
_INSERT_DIVIDEND = "INSERT INTO dividends (ticker, ex_date, amount, seen_at) VALUES (?, ?, ?, ?)"
_DIVIDENDS = """SELECT ex_date, amount FROM dividends
    WHERE ticker = ? AND ex_date BETWEEN ? AND ? ORDER BY ex_date, number"""


@dataclass(frozen=True, slots=True)
class CalendarChange:
    """What a new list of expected reports does to the current rows (by number)."""

    seen_again: tuple[tuple[int, ScheduledReport], ...]
    superseded: tuple[int, ...]
    added: tuple[ScheduledReport, ...]


def calendar_change(current: Mapping[int, ScheduledReport], reports: Sequence[ScheduledReport]) -> CalendarChange:
    """Compare the current rows with what their sources say now; a pure decision.

    A row is superseded where its source now names another date or session within `SAME_REPORT_DAYS` days instead.
    """
    told = {_identity(report): report for report in reports}  # the same line twice is one line
    numbers = {_identity(report): number for number, report in current.items()}
    dates: dict[tuple[Ticker, ReportSource], list[date]] = {}
    for report in told.values():
        dates.setdefault((report.ticker, report.source), []).append(report.report_date)
    return CalendarChange(
        seen_again=tuple((numbers[key], report) for key, report in told.items() if key in numbers),
        superseded=tuple(
            number
            for number, old in current.items()
            if _identity(old) not in told and _has_successor(old, dates.get((old.ticker, old.source), []))
        ),
        added=tuple(report for key, report in told.items() if key not in numbers),
    )


class EarningsRepository:
    """`EarningsStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_scheduled(self, reports: Sequence[ScheduledReport], seen_at: datetime) -> Result[None]:
        """Keep what the sources expect now, in one transaction; see the charter of this file. Errors: DBERROR."""
        told = [report for report in reports if report.source not in {ReportSource.ARGUMENT, ReportSource.STORED}]
        if not told:
            return Ok(None)
        seen = utc_text(seen_at)
        since = min(report.report_date for report in told) - timedelta(SAME_REPORT_DAYS)

        def apply(connection: sqlite3.Connection) -> None:
            current = select(connection, _CURRENT, (since.isoformat(),), _parse_numbered_report)
            change = calendar_change(dict(current), told)
            connection.executemany(_SUPERSEDE, [(seen, number) for number in change.superseded])
            connection.executemany(
                _SEE_AGAIN, [_seen_row(number, report, seen) for number, report in change.seen_again]
            )
            connection.executemany(_INSERT, [(*_report_row(report), seen, seen) for report in change.added])

        return self._database.write(apply)

    def scheduled(self, ticker: Ticker, start: date, end: date) -> Result[tuple[ScheduledReport, ...]]:
        """The current expectation in [start, end], rising by date, several where it is in doubt. Errors: DBERROR."""
        return self._database.rows(_SCHEDULED, (ticker, start.isoformat(), end.isoformat()), _parse_report)

    def calendar_seen_at(self, ticker: Ticker) -> Result[datetime | None]:
        """When a source last named one of the company's current dates, None for never. Errors: DBERROR."""
        found = self._database.rows(_SEEN_AT, (ticker,), _parse_seen)
        return found if isinstance(found, Err) else Ok(found.value[0])

    def save_dividends(self, ticker: Ticker, dividends: Sequence[Dividend], seen_at: datetime) -> Result[None]:
        """Replace the company's dividends, in one transaction. Errors: DBERROR."""
        seen = utc_text(seen_at)

        def replace(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM dividends WHERE ticker = ?", (ticker,))
            rows = [(ticker, paid.ex_date.isoformat(), float(paid.amount), seen) for paid in dividends]
            connection.executemany(_INSERT_DIVIDEND, rows)

        return self._database.write(replace)

    def dividends(self, ticker: Ticker, start: date, end: date) -> Result[tuple[Dividend, ...]]:
        """Dividends going ex in [start, end], rising by date. Errors: DBERROR."""
        return self._database.rows(_DIVIDENDS, (ticker, start.isoformat(), end.isoformat()), _parse_dividend)


def _identity(report: ScheduledReport) -> tuple[Ticker, ReportSource, date, Timing]:
    return report.ticker, report.source, report.report_date, report.timing


def _has_successor(old: ScheduledReport, dates: Sequence[date]) -> bool:
    return any(abs(told - old.report_date) <= timedelta(SAME_REPORT_DAYS) for told in dates)


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


def _parse_seen(row: Row) -> datetime | None:
    return None if row[0] is None else parse_utc_text(row[0])


def _parse_numbered_report(row: Row) -> tuple[int, ScheduledReport]:
    return int(row[0]), _parse_report(row[1:])


def _parse_dividend(row: Row) -> Dividend:
    ex_date, amount = row
    return Dividend(date.fromisoformat(ex_date), amount)
