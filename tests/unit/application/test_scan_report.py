"""The document of a scan: everybody once, near misses first, and every key and code explained."""

import re
from collections.abc import Iterator
from datetime import date

import msgspec

from ivcrush.application.documents import Json, RunFacts
from ivcrush.application.ranking import Answer, answer
from ivcrush.application.scan_report import ScanFacts, left_out, scan_report
from ivcrush.application.services.calendar_refresh import KnownCalendar
from ivcrush.application.services.scan import Coverage, Rejection
from ivcrush.application.sieve import SortedOut, Wish
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.enums import DateStatus, LeftOut, ReportSource, Timing
from ivcrush.domain.errors import AppError, ErrorCode
from ivcrush.domain.types import CalendarListing, ScheduledReport, Ticker
from tests.conftest import PROJECT
from tests.unit.metrics.option_market import AS_OF

TEXT = (PROJECT / "docs/metrics.md").read_text()
FRIDAY, MONDAY = date(2026, 5, 15), date(2026, 5, 18)
RUN = RunFacts("1", AS_OF, simulated=True, depth=3, requests=1, cache_hits=0, elapsed_s=0.1)
LISTING = CalendarListing(AS_OF, 1, FRIDAY, date(2026, 8, 14))
FACTS = ScanFacts(FRIDAY, MONDAY, Wish(min_vrp=1.5, top=3), KnownCalendar(LISTING), Coverage(2, 0))
STALE = ScanFacts(
    FRIDAY,
    MONDAY,
    Wish(),
    KnownCalendar(LISTING, not_refreshed=AppError(ErrorCode.QUOTA, "spent")),
    Coverage(2, 1),
)


def report(ticker: str, day: date = FRIDAY, moved_from: date | None = None) -> ScheduledReport:
    return ScheduledReport(
        Ticker(ticker),
        day,
        Timing.AMC,
        DateStatus.CONFIRMED,
        ReportSource.ALPHA_VANTAGE,
        flags=("date_conflict",),
        moved_from=moved_from,
    )


def analysed(ticker: str, *, tradeable: bool, recommendation: str) -> Answer:
    document = {"ticker": ticker, "tradeable": tradeable, "vrp": {}, "recommendation": recommendation}
    return answer(msgspec.json.encode(document))


def keys(value: Json, prefix: str) -> Iterator[str]:
    """The dotted names of all leaves below a name."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from keys(inner, f"{prefix}.{name}") if isinstance(inner, dict) else [f"{prefix}.{name}"]


def test_the_report_of_a_company_left_out_is_told_with_every_reason() -> None:
    rejection = Rejection(report("IBM", moved_from=MONDAY), LeftOut.RANK, ("a", "b"), near_miss=True, ratio=1.23456)
    scanned = scan_report([], [], [rejection], RUN, FACTS)
    assert scanned.rejected == (
        {
            "schema": "ivcrush.rejection/1",
            "ticker": "IBM",
            "earnings_date": "2026-05-15",
            "timing": "AMC",
            "moved_from": "2026-05-18",
            "code": "rank",
            "reasons": ["a", "b"],
            "near_miss": True,
            "vrp_ratio": 1.2346,
            "flags": ["date_conflict"],
            "simulated": True,
        },
    )


def test_near_misses_come_first_the_richest_of_them_first_and_the_others_by_date() -> None:
    rejections = [
        Rejection(report("D", MONDAY), LeftOut.RANK, ("x",), ratio=9.0),
        Rejection(report("C"), LeftOut.MARKET_CAP, ("x",)),
        Rejection(report("A", MONDAY), LeftOut.VRP_RATIO, ("x",), near_miss=True, ratio=1.4),
        Rejection(report("B", MONDAY), LeftOut.VRP_RATIO, ("x",), near_miss=True, ratio=1.45),
    ]
    scanned = scan_report([], [], rejections, RUN, FACTS)
    assert scanned.rejected is not None
    assert [each["ticker"] for each in scanned.rejected] == ["B", "A", "C", "D"]


def test_the_summary_counts_all_three_lists_and_the_near_misses_of_two() -> None:
    answers = [
        analysed("A", tradeable=True, recommendation="good"),
        analysed("B", tradeable=False, recommendation="good"),
        analysed("C", tradeable=False, recommendation="skip"),
    ]
    failures: list[dict[str, Json]] = [{"ticker": "D", "error": {"code": "EXTERNAL", "message": "x"}}]
    rejected = [
        Rejection(report("E"), LeftOut.VRP_RATIO, ("x",), near_miss=True, ratio=1.4),
        Rejection(report("F"), LeftOut.NO_DATA, ("x",)),
    ]
    summary = scan_report(answers, failures, rejected, RUN, FACTS).head["summary"]
    assert isinstance(summary, dict)
    assert {
        name: summary[name] for name in ("total", "analysed", "failed", "tradeable", "rejected", "near_misses")
    } == {
        "total": 6,
        "analysed": 3,
        "failed": 1,
        "tradeable": 1,
        "rejected": 2,
        "near_misses": 2,
    }


def test_what_was_asked_and_by_which_calendar_is_told() -> None:
    assert scan_report([], [], [], RUN, FACTS).head["scan"] == {
        "from": "2026-05-15",
        "to": "2026-05-18",
        "min_vrp": 1.5,
        "sort": None,
        "top": 3,
        "calendar_refreshed_at": AS_OF.isoformat(),
        "calendar_from": "2026-05-15",
        "calendar_to": "2026-08-14",
        "flags": [],
    }
    told = scan_report([], [], [], RUN, STALE).head["scan"]
    assert isinstance(told, dict)
    assert told["flags"] == ["calendar_not_refreshed", "partly_outside_calendar"]


def test_a_calendar_that_names_nothing_or_ends_before_the_asked_days_is_told_by_a_flag() -> None:
    empty = KnownCalendar(CalendarListing(AS_OF, 0, None, None))
    told = scan_report([], [], [], RUN, ScanFacts(FRIDAY, MONDAY, Wish(), empty, Coverage(2, 2))).head["scan"]
    assert isinstance(told, dict)
    assert (told["calendar_from"], told["calendar_to"], told["flags"]) == (None, None, ["outside_calendar"])


def test_a_market_without_an_answer_and_a_report_that_is_over_are_left_out_and_what_fails_is_not() -> None:
    over = (("entered_by", "2026-05-14 16:00"), ("session", "BMO"))
    failures = [
        TickerFailure("IBM", AppError(ErrorCode.NODATA, "IBM: Tradier lists no options")),
        TickerFailure("KO", AppError(ErrorCode.EXTERNAL, "KO: down")),
        TickerFailure("GE", AppError(ErrorCode.INVALID, "GE: over", over)),
        TickerFailure("T", AppError(ErrorCode.INVALID, "T: the stock is at 10, the strikes run from 100 to 200")),
    ]
    found = analysed("AAPL", tradeable=False, recommendation="skip")
    sorted_out = [SortedOut(found, LeftOut.VRP_RATIO, "VRP ratio 1.40, 1.5 needed", near_miss=True, ratio=1.4)]
    reports = {ticker: report(ticker) for ticker in ("IBM", "KO", "GE", "T", "AAPL")}
    late = "its trade was to be entered by 2026-05-14 16:00, the report being BMO as before"
    assert left_out(failures, sorted_out, reports) == (
        Rejection(report("IBM"), LeftOut.NO_DATA, ("Tradier lists no options",)),
        Rejection(report("GE"), LeftOut.TOO_LATE, (late,)),
        Rejection(report("AAPL"), LeftOut.VRP_RATIO, ("VRP ratio 1.40, 1.5 needed",), near_miss=True, ratio=1.4),
    )


def test_every_key_and_every_code_of_a_scan_is_explained() -> None:
    scanned = scan_report([], [], [Rejection(report("IBM"), LeftOut.RANK, ("x",))], RUN, FACTS)
    assert scanned.rejected is not None
    printed = {*keys(scanned.head["scan"], "scan"), *keys(scanned.head["summary"], "summary")}
    printed |= {*keys(scanned.rejected[0], "rejected[]")} - {"rejected[].schema"}
    assert {name for name in printed if f"`{name}`" not in TEXT} == set()
    section = TEXT.split("\n## A scan\n")[1].split("\n## ")[0]
    table = section.split("| `rejected[].code` |")[1].split("\n\n")[0]
    explained = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {code for cell in explained for code in re.findall(r"`([a-z_]+)`", cell)} == set(LeftOut)
