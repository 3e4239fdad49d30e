"""What a new list of expected reports does to the current one: a pure decision, for the repository to carry out.

What a source repeats is seen again; a date whose place another one took is superseded; two dates that it names at the
same time are both kept, with their flags. What it names no longer, with nothing in its place, is told apart: whether a
silence means anything depends on what was asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ivcrush.domain.enums import ReportSource, Timing
from ivcrush.domain.types import ScheduledReport, Ticker, same_report

# Estimates are given up one by one. A calendar without more than this share of what it named before was cut short.
MOST_GIVEN_UP: Final = 0.25


@dataclass(frozen=True, slots=True)
class CalendarChange:
    """What becomes of the current rows (by number), and which reports are new; `unnamed` rows have no successor."""

    seen_again: tuple[tuple[int, ScheduledReport], ...]
    superseded: tuple[int, ...]
    unnamed: tuple[int, ...]
    added: tuple[ScheduledReport, ...]


def calendar_change(current: Mapping[int, ScheduledReport], reports: Sequence[ScheduledReport]) -> CalendarChange:
    """Compare the current rows of one source with what it says now.

    A row is superseded where the source now names another date or session within `SAME_REPORT` instead.
    """
    told = {_identity(report): report for report in reports}  # the same line twice is one line
    numbers = {_identity(report): number for number, report in current.items()}
    dates: dict[Ticker, list[date]] = {}
    for report in told.values():
        dates.setdefault(report.ticker, []).append(report.report_date)
    gone = {number: report for number, report in current.items() if _identity(report) not in told}
    succeeded = {number for number, old in gone.items() if _has_successor(old, dates.get(old.ticker, []))}
    return CalendarChange(
        seen_again=tuple((numbers[key], report) for key, report in told.items() if key in numbers),
        superseded=tuple(number for number in gone if number in succeeded),
        unnamed=tuple(number for number in gone if number not in succeeded),
        added=tuple(report for key, report in told.items() if key not in numbers),
    )


def given_up(change: CalendarChange, coming: Sequence[int]) -> tuple[int, ...]:
    """The coming rows that a whole calendar gave up; none where so many are missing that it must be incomplete.

    `coming` are the numbers of the current rows between today and the last date that the calendar names.
    """
    missing = set(change.unnamed) & set(coming)
    return tuple(sorted(missing)) if len(missing) <= MOST_GIVEN_UP * len(coming) else ()


def _identity(report: ScheduledReport) -> tuple[Ticker, ReportSource, date, Timing]:
    return report.ticker, report.source, report.report_date, report.timing


def _has_successor(old: ScheduledReport, dates: Sequence[date]) -> bool:
    return any(same_report(told, old.report_date) for told in dates)
