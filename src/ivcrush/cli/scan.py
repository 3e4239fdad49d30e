"""`scan`: everybody who reports in some days, by the calendar, ranked; who is left out, and why.

The calendar of everybody costs one call a day; whom it is worth to ask for costs one request for all quotes. The run
itself is `batch_run`'s and the thinking the services'. A day on which nobody reports is no failure; one that the stored
calendar does not reach is: 1 where it knows of none of the asked days, else 3.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from ivcrush.application.scan_report import ScanFacts, left_out, rejected_for, scan_report
from ivcrush.application.services.batch_analyzer import Batch, BatchRow
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.application.services.scan import MOST_DAYS_AHEAD, Coverage, Selection, coverage, days_ahead
from ivcrush.application.sieve import Wish, sieved, sort_field
from ivcrush.cli.batch_run import Ran, alone_on_its_day, closing_lines, code_of, run_batch, tallied
from ivcrush.cli.command import Outcome, Style, UsageError, parsed, parsed_if_given, required
from ivcrush.cli.exit_codes import Exit
from ivcrush.cli.failures import labelled_failure, stderr_lines
from ivcrush.cli.render.documents import render_batch
from ivcrush.config import rules
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import CalendarListing, ScheduledReport
from ivcrush.utils.timezone import parse_date

COMMAND = "scan"
USUAL_DAYS = 5
MOST_SHOWN = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; `dates` None means the `days` sessions ahead."""

    days: int
    dates: tuple[date, date] | None
    wish: Wish
    skip_closed_days: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """Who was found worth asking for, and what came of it."""

    selection: Selection
    ran: Ran


def prepare(arguments: argparse.Namespace) -> Request:
    """The days and the wish. Raises UsageError for what cannot be meant."""
    return Request(
        days=USUAL_DAYS
        if arguments.days is None
        else parsed("--days", arguments.days, rules.whole(1, MOST_DAYS_AHEAD)),
        dates=_dates(arguments),
        wish=Wish(
            min_vrp=parsed_if_given("--min-vrp", arguments.min_vrp, rules.number(0, 100)),
            sort=parsed_if_given("--sort", arguments.sort, sort_field),
            top=parsed_if_given("--top", arguments.top, rules.whole(1, MOST_SHOWN)),
        ),
        skip_closed_days=arguments.skip_closed_days,
    )


def needed_keys(request: Request) -> tuple[Provider, ...]:  # noqa: ARG001
    """The market's alone: the calendar may be stored."""
    return (Provider.TRADIER,)


async def execute(request: Request, container: Container, style: Style) -> Outcome:
    """Find, screen and analyse under the lock; sort out and render what came of it."""
    return await alone_on_its_day(
        COMMAND, container, lambda: _sifted(request, container, style), skip_closed_days=request.skip_closed_days
    )


def _dates(arguments: argparse.Namespace) -> tuple[date, date] | None:
    if arguments.start is None and arguments.end is None:
        return None
    if arguments.days is not None:
        raise UsageError("--days: goes without --from and --to")
    if arguments.start is None or arguments.end is None:
        raise UsageError("--from and --to: the one goes with the other")
    start, end = required("--from", parse_date(arguments.start)), required("--to", parse_date(arguments.end))
    if end < start:
        raise UsageError(f"--to {end}: a date on or after --from {start} is needed")
    return start, end


async def _sifted(request: Request, container: Container, style: Style) -> Result[Outcome]:
    begun, as_of = container.clock.monotonic(), container.as_of
    start, end = request.dates or days_ahead(request.days, as_of, container.market_calendar)
    found = await _scanned(start, end, as_of, container, style)
    if isinstance(found, Err):
        return found
    known = found.value.selection.reporters.calendar
    reach = coverage(known.listing, start, end, container.market_calendar)
    facts = ScanFacts(start, end, request.wish, known, reach)
    return Ok(_told(found.value, facts, container.clock.monotonic() - begun, style))


async def _scanned(start: date, end: date, as_of: datetime, container: Container, style: Style) -> Result[Scanned]:
    found = await container.scan.selected(start, end, as_of, container.market_calendar)
    if isinstance(found, Err):
        return found
    batch = Batch(COMMAND, tuple(map(_row, found.value.fit)), container.rows_at_once, continue_on_error=True)
    ran = await run_batch(batch, container, style, ground=found.value.ground)
    return ran if isinstance(ran, Err) else Ok(Scanned(found.value, ran.value))


def _row(report: ScheduledReport) -> BatchRow:
    return BatchRow(report.ticker, Ok(ReportQuestion(report.ticker, report.report_date, from_calendar=True)))


def _told(scanned: Scanned, facts: ScanFacts, elapsed_s: float, style: Style) -> Outcome:
    ran = scanned.ran
    kept, sorted_out = sieved(ran.answers, facts.wish)
    reports = {str(report.ticker): report for report in scanned.selection.reporters.reports}
    failures = tuple(each for each in ran.failures if rejected_for(each, reports[each.ticker]) is None)
    rejected = (*scanned.selection.rejected, *left_out(ran.failures, sorted_out, reports))
    shown = replace(ran, answers=kept, failures=failures)
    reach = facts.coverage
    code = code_of(len(ran.answers), kept, failures, whole=reach.whole, empty=_quiet(reach))
    documents = [labelled_failure(failure, style) for failure in failures]
    report = scan_report(kept, documents, rejected, replace(ran.facts, elapsed_s=elapsed_s), facts)
    remarks = _remarks(facts, companies=len(kept) + len(failures) + len(rejected), left_out=len(rejected))
    return Outcome(
        pieces=render_batch(report, style),
        code=code,
        messages=(*remarks, *stderr_lines(failures), *closing_lines(shown, code)),
        delivered=lambda: ran.end(code),
        tally=tallied(kept, failures, rejected=len(rejected)),
    )


def _quiet(reach: Coverage) -> Exit:
    """The code where nobody is left: a quiet day, if that is known."""
    if reach.none:
        return Exit.NO_RESULT
    return Exit.DONE if reach.whole else Exit.PARTIAL


def _remarks(facts: ScanFacts, *, companies: int, left_out: int) -> Iterator[str]:
    """What a person is told whatever the form of the result."""
    known = facts.calendar
    if known.not_refreshed is not None:
        day = known.listing.refreshed_at.astimezone(NEW_YORK).date()
        yield f"the calendar is of {day} and could not be refreshed: {known.not_refreshed.message}"
    if not facts.coverage.whole:
        yield f"{_reach(known.listing)}: {_unknown(facts)} is not known"
    elif not companies:
        yield f"nobody in the calendar reports from {facts.start} to {facts.end}"
    if 0 < companies == left_out:
        yield f"{companies} reporting from {facts.start} to {facts.end}: all are left out"


def _reach(listing: CalendarListing) -> str:
    if listing.first is None:
        return "the stored calendar names no report"
    return f"the stored calendar reaches from {listing.first} to {listing.last}"


def _unknown(facts: ScanFacts) -> str:
    days = "" if facts.coverage.none else f" on {facts.coverage.unknown} of {facts.coverage.sessions} trading days"
    return f"who reports{days} from {facts.start} to {facts.end}"
