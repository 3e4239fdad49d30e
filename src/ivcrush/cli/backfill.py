"""`backfill [TICKER…]`: past moves, and what they are measured from, fetched and kept, one company after the other.

Only what is lacking is asked for, so that a run that was cut or met the end of the day's calls is simply started again.
Reads and renders; what is lacking, who comes first and when a run had better end is the services' to say.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ivcrush.application.services.backfill_plan import BackfillPlan
from ivcrush.application.services.backfill_planner import BackfillQuestion
from ivcrush.application.services.history_backfill import BackfillOutcome
from ivcrush.application.services.scan import MOST_DAYS_AHEAD
from ivcrush.cli.analyze import unique_tickers
from ivcrush.cli.backfill_report import BackfillReport, Row, plan_document, plan_line
from ivcrush.cli.command import Outcome, Style, Tally, UsageError, parsed, parsed_if_given
from ivcrush.cli.exit_codes import Exit, exit_of_run
from ivcrush.cli.failures import EVERYBODY, stderr_lines
from ivcrush.cli.locked import alone
from ivcrush.cli.market_caps import MarketCaps, read_market_caps
from ivcrush.cli.render.documents import render_rows
from ivcrush.cli.ticker_file import TickerFile, read_tickers
from ivcrush.config import rules
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result
from ivcrush.domain.types import CalendarListing, Ticker

MOST_QUARTERS = 40
LONGEST_TIMEOUT_S = 86_400
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; `unusable` is what a file holds that is no ticker."""

    tickers: tuple[Ticker, ...]
    unusable: tuple[TickerFailure, ...]
    reporting_days: int | None
    quarters: int
    calendar: bool
    dividends: bool
    timeout_s: float
    dry_run: bool
    refresh: bool
    market_caps: MarketCaps | None

    @property
    def asks_nobody(self) -> bool:
        """Whether no provider is needed: a plan, or what a file holds."""
        return self.dry_run or not (self.tickers or self.calendar or self.reporting_days is not None)


def prepare(arguments: argparse.Namespace) -> Wanted:
    """What is wanted. Raises UsageError for arguments, InputError for a file, that cannot be used."""
    named = unique_tickers(arguments.tickers)
    filed = TickerFile((), ()) if arguments.file is None else read_tickers(Path(arguments.file))
    tickers = tuple(dict.fromkeys((*named, *filed.tickers)))
    market_caps = None if arguments.market_caps is None else read_market_caps(Path(arguments.market_caps))
    days = arguments.reporting_days
    if not tickers and days is None and not arguments.calendar and market_caps is None:
        raise UsageError(
            "backfill: no ticker given; name some, or --file FILE, --reporting-days N, --calendar or --market-caps FILE"
        )
    return Wanted(
        tickers=tickers,
        unusable=filed.unusable,
        reporting_days=parsed_if_given("--reporting-days", days, rules.whole(1, MOST_DAYS_AHEAD)),
        quarters=parsed("--quarters", arguments.quarters, rules.whole(1, MOST_QUARTERS)),
        calendar=arguments.calendar,
        dividends=arguments.dividends,
        timeout_s=parsed("--timeout", arguments.timeout, rules.positive(LONGEST_TIMEOUT_S)),
        dry_run=arguments.dry_run,
        refresh=arguments.refresh,
        market_caps=market_caps,
    )


def needed_keys(wanted: Wanted) -> tuple[Provider, ...]:
    """Report dates come from one provider and bars from the other; a plan or a file alone needs nobody."""
    return () if wanted.asks_nobody else (Provider.TRADIER, Provider.ALPHA_VANTAGE)


async def execute(wanted: Wanted, container: Container, style: Style) -> Outcome:
    """Print the plan, or take the run lock and fetch."""
    as_of = container.as_of
    if wanted.dry_run:
        return await _planned(wanted, container, as_of, style)
    with alone(container, "backfill") as held:
        report = held if isinstance(held, Err) else await _filled(wanted, container, as_of)
    if isinstance(report, Err):
        return _refused(report.error)
    text = render_rows(report.value.document(container, style), "tickers", style)
    failures = report.value.failures
    return Outcome((text,), _code(report.value), stderr_lines(failures), tally=_tally(report.value))


async def _filled(wanted: Wanted, container: Container, as_of: datetime) -> Result[BackfillReport]:
    """Capitalisations, the calendar, then everybody's past."""
    if wanted.market_caps is not None:
        imported = container.companies.save_market_caps(wanted.market_caps.caps_millions, container.clock.now())
        if isinstance(imported, Err):
            return imported
    calendar: Result[CalendarListing | None] = Ok(None)
    if wanted.calendar:
        calendar = await container.calendar_refresh.refresh()
    question = await _question(wanted, container, as_of)
    if isinstance(question, Err):
        return question
    plan = container.backfill_planner.plan(question.value)
    if isinstance(plan, Err):
        return plan
    _log.info("backfill: %s", plan_line(plan.value))
    results: Mapping[Ticker, Result[BackfillOutcome]] = {}
    if plan.value.standings:  # a file or the calendar alone asks about nobody
        results = await container.backfill_run.complete(plan.value, question.value, timeout_s=wanted.timeout_s)
    report = _report(question.value.tickers, plan.value, results, calendar, wanted.market_caps)
    return Ok(replace(report, failures=(*wanted.unusable, *report.failures)))


async def _planned(wanted: Wanted, container: Container, as_of: datetime, style: Style) -> Outcome:
    question = await _question(wanted, container, as_of)
    if isinstance(question, Err):
        return _refused(question.error)
    reads_calendar = wanted.calendar or wanted.reporting_days is not None
    calls = container.calendar_refresh.calls() if reads_calendar else Ok(0)
    if isinstance(calls, Err):
        return _refused(calls.error)
    plan = container.backfill_planner.plan(question.value, calendar_calls=calls.value)
    if isinstance(plan, Err):
        return _refused(plan.error)
    code = exit_of_run(1, 0, [each.error for each in wanted.unusable])
    return Outcome((render_rows(plan_document(plan.value, style), None, style),), code, stderr_lines(wanted.unusable))


def _refused(error: AppError) -> Outcome:
    return Outcome((), exit_of_run(0, 0, [error]), (error.message,))


async def _question(wanted: Wanted, container: Container, as_of: datetime) -> Result[BackfillQuestion]:
    """With the companies of `--reporting-days` after those that were named."""
    tickers = wanted.tickers
    if wanted.reporting_days is not None:
        coming = await container.scan.coming(
            wanted.reporting_days, as_of, container.market_calendar, ask=not wanted.dry_run
        )
        if isinstance(coming, Err):
            return coming
        tickers = tuple(dict.fromkeys((*tickers, *coming.value)))
    return Ok(BackfillQuestion(tickers, as_of, wanted.quarters, wanted.dividends, wanted.refresh))


def _report(
    tickers: Sequence[Ticker],
    plan: BackfillPlan,
    results: Mapping[Ticker, Result[BackfillOutcome]],
    calendar: Result[CalendarListing | None],
    market_caps: MarketCaps | None,
) -> BackfillReport:
    """What came of all companies, in the order in which they were given."""
    standings = {standing.ticker: standing for standing in plan.standings}
    failures = [TickerFailure(EVERYBODY, calendar.error)] if isinstance(calendar, Err) else []
    failures += () if market_caps is None else market_caps.unusable
    rows: list[Row] = []
    for ticker in tickers:
        result = results[ticker]
        if isinstance(result, Err):
            failures.append(TickerFailure(ticker, result.error))
        else:
            rows.append(Row(standings[ticker], result.value))
    listed = None if isinstance(calendar, Err) or calendar.value is None else calendar.value.reports
    caps = 0 if market_caps is None else len(market_caps.caps_millions)
    return BackfillReport(tuple(rows), tuple(failures), listed, caps)


def _tally(report: BackfillReport) -> Tally:
    skipped = sum(failure.error.code is ErrorCode.SKIPPED for failure in report.failures)
    return Tally((("done", len(report.rows)), ("failed", len(report.failures) - skipped), ("skipped", skipped)))


def _code(report: BackfillReport) -> Exit:
    """The exit code; a run that the day's calls did not let begin is to be tried later, whatever was whole before."""
    errors = [failure.error for failure in report.failures]
    if not errors:  # nobody who reports in the asked days is no failure
        return Exit.DONE
    spent = [error for error in errors if error.code is ErrorCode.QUOTA]
    done = sum(row.standing.calls > 0 for row in report.rows) + (report.calendar_rows is not None) + report.market_caps
    if spent and not done:
        return exit_of_run(0, 0, spent)
    return exit_of_run(len(report.rows) + done, 0, errors)
