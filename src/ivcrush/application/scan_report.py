"""What a scan says: the report of a batch, and with it everybody who reports and is not in its list, with the reason.

Every company of the asked days stands in exactly one of the three lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec

from ivcrush.application.documents import BatchReport, Document, Json, RunFacts, batch_report, moment, number
from ivcrush.application.ranking import Answer
from ivcrush.application.services.calendar_refresh import KnownCalendar
from ivcrush.application.services.scan import Coverage, Rejection
from ivcrush.application.sieve import SortedOut, Wish
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.enums import LeftOut, Recommendation
from ivcrush.domain.errors import ErrorCode
from ivcrush.domain.types import ScheduledReport

REJECTION_SCHEMA = "ivcrush.rejection/1"


@dataclass(frozen=True, slots=True)
class ScanFacts:
    """What was asked for, and by which calendar it was answered."""

    start: date
    end: date
    wish: Wish
    calendar: KnownCalendar
    coverage: Coverage


def rejected_for(failure: TickerFailure, report: ScheduledReport) -> Rejection | None:
    """What an analysis that failed says against its company; None for a failure of the scan.

    A company without options, history or a usable market is none: the calendar lists thousands of them. Nor is a report
    of which only the company's history told that the stock trades on it already.
    """
    error = failure.error
    entered_by = error.about("entered_by")
    if entered_by is not None:
        why = f"its trade was to be entered by {entered_by}, the report being {error.about('session')} as before"
        return Rejection(report, LeftOut.TOO_LATE, (why,))
    if error.code is ErrorCode.NODATA:
        return Rejection(report, LeftOut.NO_DATA, (error.message.removeprefix(f"{failure.ticker}: "),))
    return None


def left_out(
    failures: Sequence[TickerFailure], sorted_out: Sequence[SortedOut], reports: Mapping[str, ScheduledReport]
) -> tuple[Rejection, ...]:
    """Those whose market was asked for in vain, and those that the wish sorted out; `reports` by ticker."""
    judged = (rejected_for(failure, reports[failure.ticker]) for failure in failures)
    return (
        *(rejection for rejection in judged if rejection is not None),
        *(
            Rejection(reports[each.answer.ticker], each.code, (each.reason,), each.near_miss, each.ratio)
            for each in sorted_out
        ),
    )


def scan_report(
    answers: Sequence[Answer],
    failures: Sequence[Document],
    rejections: Sequence[Rejection],
    run: RunFacts,
    scan: ScanFacts,
) -> BatchReport:
    """The report; `answers` come in their order. Near misses come first among the rejected, richest first.

    They are counted with the answers that are rich and cannot be traded: those lack little too.
    """
    report = batch_report(answers, failures, run)
    summary = report.head["summary"]
    assert isinstance(summary, dict)
    ordered = sorted(rejections, key=_place)
    counts: dict[str, Json] = {
        "rejected": len(ordered),
        "near_misses": sum(each.near_miss for each in ordered) + sum(map(_rich_not_tradeable, answers)),
    }
    total = len(answers) + len(failures) + len(ordered)
    head: Document = {**report.head, "scan": _scan_document(scan), "summary": {**summary, **counts, "total": total}}
    rejected = tuple(_rejection_document(each, simulated=run.simulated) for each in ordered)
    return replace(report, head=head, rejected=rejected)


class _Verdict(msgspec.Struct):
    recommendation: str


def _rich_not_tradeable(found: Answer) -> bool:
    recommended = msgspec.json.decode(found.document, type=_Verdict).recommendation
    return not found.tradeable and recommended != Recommendation.SKIP


def _place(rejection: Rejection) -> tuple[bool, float, date, str]:
    ratio = 0.0 if rejection.ratio is None or not rejection.near_miss else rejection.ratio
    return not rejection.near_miss, -ratio, rejection.report.report_date, rejection.report.ticker


def _scan_document(scan: ScanFacts) -> Document:
    listing = scan.calendar.listing
    return {
        "from": scan.start.isoformat(),
        "to": scan.end.isoformat(),
        "min_vrp": scan.wish.min_vrp,
        "sort": scan.wish.sort,
        "top": scan.wish.top,
        "calendar_refreshed_at": moment(listing.refreshed_at),
        "calendar_from": None if listing.first is None else listing.first.isoformat(),
        "calendar_to": None if listing.last is None else listing.last.isoformat(),
        "flags": list(_said_of_calendar(scan)),
    }


def _said_of_calendar(scan: ScanFacts) -> Iterator[str]:
    """The flags of a scan, which are about its calendar and about no company."""
    if scan.calendar.not_refreshed is not None:
        yield "calendar_not_refreshed"
    if not scan.coverage.whole:
        yield "outside_calendar" if scan.coverage.none else "partly_outside_calendar"


def _rejection_document(rejection: Rejection, *, simulated: bool) -> Document:
    report = rejection.report
    return {
        "schema": REJECTION_SCHEMA,
        "ticker": report.ticker,
        "earnings_date": report.report_date.isoformat(),
        "timing": report.timing,
        "moved_from": None if report.moved_from is None else report.moved_from.isoformat(),
        "code": rejection.code,
        "reasons": list(rejection.reasons),
        "near_miss": rejection.near_miss,
        "vrp_ratio": None if rejection.ratio is None else number(rejection.ratio),
        "flags": list(report.flags),
        "simulated": simulated,
    }
