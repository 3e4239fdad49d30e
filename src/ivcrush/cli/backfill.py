"""`backfill [TICKER…]`: past moves, and what they are measured from, fetched and kept, one company after the other.

Only what is lacking is asked for, so that a run that was cut or met the end of the day's calls is simply started again.
A company that fails does not stop the others, except where nothing more can be had: the day's calls are spent, a key is
refused, or a provider fails one company after the other. The rest is then reported as skipped.
"""

import argparse
import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ivcrush.application.services.backfill_plan import Allowance, BackfillPlan, in_order
from ivcrush.application.services.history_backfill import BackfillOutcome
from ivcrush.application.services.history_needs import Standing
from ivcrush.cli.analyze import unique_tickers
from ivcrush.cli.backfill_report import BackfillReport, Row, plan_document, plan_line
from ivcrush.cli.coming_reporters import MOST_DAYS, coming_reporters
from ivcrush.cli.command import Outcome, Style, Tally, UsageError, parsed
from ivcrush.cli.exit_codes import Exit, exit_of_run
from ivcrush.cli.failures import EVERYBODY, stderr_lines
from ivcrush.cli.locked import alone
from ivcrush.cli.market_caps import MarketCaps, read_market_caps
from ivcrush.cli.render.documents import render_rows
from ivcrush.cli.ticker_file import read_tickers
from ivcrush.config import rules
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import CalendarListing, Ticker

MOST_QUARTERS = 40
LONGEST_TIMEOUT_S = 86_400
# Two calls more than a company's own: raw bars and splits, where the history of prices fails.
_STAND_IN_CALLS = 2
_PACE_S = 60.0
_STOPS = (ErrorCode.QUOTA, ErrorCode.AUTH, ErrorCode.CONFIG, ErrorCode.DBERROR)
# So many companies in a row that a provider fails for are an outage: further scarce calls would be wasted.
_OUTAGES = (ErrorCode.EXTERNAL, ErrorCode.TIMEOUT, ErrorCode.RATELIMIT)
_OUTAGE_AFTER = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    tickers: tuple[Ticker, ...]
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
    filed = () if arguments.file is None else read_tickers(Path(arguments.file))
    tickers = tuple(dict.fromkeys((*named, *filed)))
    market_caps = None if arguments.market_caps is None else read_market_caps(Path(arguments.market_caps))
    days = arguments.reporting_days
    if not tickers and days is None and not arguments.calendar and market_caps is None:
        raise UsageError(
            "backfill: no ticker given; name some, or --file FILE, --reporting-days N, --calendar or --market-caps FILE"
        )
    return Wanted(
        tickers=tickers,
        reporting_days=None if days is None else parsed("--reporting-days", days, rules.whole(1, MOST_DAYS)),
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
        named = await _with_reporters(wanted, container, as_of)
        plan = named if isinstance(named, Err) else _plan(named.value, container, as_of)
        if isinstance(plan, Err):
            return _refused(plan.error)
        return Outcome((render_rows(plan_document(plan.value, style), None, style),), exit_of_run(1, 0, []))
    with alone(container, "backfill") as held:
        if isinstance(held, Err):
            return _refused(held.error)
        if wanted.market_caps is not None:
            imported = container.companies.save_market_caps(wanted.market_caps.caps_millions, container.clock.now())
            if isinstance(imported, Err):
                return _refused(imported.error)
        calendar: Result[CalendarListing | None] = Ok(None)
        if wanted.calendar:
            calendar = await container.calendar_refresh.refresh()
        named = await _with_reporters(wanted, container, as_of)
        if isinstance(named, Err):
            return _refused(named.error)
        wanted = named.value
        plan = _plan(wanted, container, as_of)
        if isinstance(plan, Err):
            return _refused(plan.error)
        _log.info("backfill: %s", plan_line(plan.value))
        results = await _complete_all(plan.value, wanted, container, as_of)
    report = _report(wanted, plan.value, calendar, results)
    text = render_rows(report.document(container, style), "tickers", style)
    return Outcome((text,), _code(report), stderr_lines(report.failures), tally=_tally(report))


def _refused(error: AppError) -> Outcome:
    return Outcome((), exit_of_run(0, 0, [error]), (error.message,))


async def _with_reporters(wanted: Wanted, container: Container, as_of: datetime) -> Result[Wanted]:
    """With the companies of `--reporting-days` after those that were named."""
    if wanted.reporting_days is None:
        return Ok(wanted)
    coming = await coming_reporters(wanted.reporting_days, as_of, container, ask=not wanted.dry_run)
    if isinstance(coming, Err):
        return coming
    return Ok(replace(wanted, tickers=tuple(dict.fromkeys((*wanted.tickers, *coming.value)))))


def _plan(wanted: Wanted, container: Container, as_of: datetime) -> Result[BackfillPlan]:
    """What is lacking and what that costs; asks nobody. Errors: DBERROR."""
    standings: list[Standing] = []
    for ticker in wanted.tickers:
        standing = container.history_needs.standing(
            ticker,
            as_of,
            container.market_calendar,
            quarters=wanted.quarters,
            with_dividends=wanted.dividends,
            refresh=wanted.refresh,
        )
        if isinstance(standing, Err):
            return standing
        standings.append(standing.value)
    left = container.calls_left_today
    if isinstance(left, Err):
        return left
    reads_calendar = wanted.dry_run and (wanted.calendar or wanted.reporting_days is not None)
    known = container.calendar_refresh.todays() if reads_calendar else Ok(None)
    if isinstance(known, Err):
        return known
    plentiful, scarce = container.rates_a_minute
    return Ok(
        BackfillPlan(
            standings=in_order(standings, oldest_first=wanted.refresh),
            calendar_calls=int(reads_calendar and known.value is None),
            allowance=Allowance(left.value, container.calls_a_day, scarce, plentiful),
        )
    )


async def _complete_all(
    plan: BackfillPlan, wanted: Wanted, container: Container, as_of: datetime
) -> dict[Ticker, Result[BackfillOutcome]]:
    """One company after the other: the scarce provider's pace leaves time for the other, and what is done is done."""
    results: dict[Ticker, Result[BackfillOutcome]] = {}
    stopped: AppError | None = None
    failing = 0
    for position, standing in enumerate(plan.standings):
        ticker = standing.ticker
        if stopped is not None:
            results[ticker] = err(ErrorCode.SKIPPED, f"{ticker}: not reached after: {stopped.message}")
            continue
        result = results[ticker] = await _complete(position, plan, wanted, container, as_of)
        told = result.error if isinstance(result, Err) else f"{len(result.value.moves)} moves"
        _log.info("%d/%d %s: %s", position + 1, len(plan.standings), ticker, told)
        failing = failing + 1 if isinstance(result, Err) and result.error.code in _OUTAGES else 0
        if isinstance(result, Err) and (result.error.code in _STOPS or failing == _OUTAGE_AFTER):
            stopped = result.error
    return results


async def _complete(
    position: int, plan: BackfillPlan, wanted: Wanted, container: Container, as_of: datetime
) -> Result[BackfillOutcome]:
    """One company, within its time, to which waiting for the permitted pace is added.

    Raw bars may stand in for the history of prices only out of calls that nobody else of this run needs.
    """
    standing = plan.standings[position]
    left = container.calls_left_today
    if isinstance(left, Err):
        return left
    spare = left.value - standing.scarce_calls - plan.needed_after(position)
    paced = plan.scarce_calls > plan.allowance.scarce_a_minute
    try:
        async with asyncio.timeout(wanted.timeout_s + paced * standing.scarce_calls * _PACE_S):
            return await container.backfill.complete(
                standing,
                as_of,
                container.market_calendar,
                quarters=wanted.quarters,
                stand_in=spare >= _STAND_IN_CALLS,
            )
    except TimeoutError:
        return err(ErrorCode.TIMEOUT, f"{standing.ticker}: not done within --timeout {wanted.timeout_s:g} s")


def _report(
    wanted: Wanted,
    plan: BackfillPlan,
    calendar: Result[CalendarListing | None],
    results: Mapping[Ticker, Result[BackfillOutcome]],
) -> BackfillReport:
    """What came of all companies, in the order in which they were given."""
    standings = {standing.ticker: standing for standing in plan.standings}
    failures = [TickerFailure(EVERYBODY, calendar.error)] if isinstance(calendar, Err) else []
    failures += () if wanted.market_caps is None else wanted.market_caps.unusable
    rows: list[Row] = []
    for ticker in wanted.tickers:
        result = results[ticker]
        if isinstance(result, Err):
            failures.append(TickerFailure(ticker, result.error))
        else:
            rows.append(Row(standings[ticker], result.value))
    listed = None if isinstance(calendar, Err) or calendar.value is None else calendar.value.reports
    caps = 0 if wanted.market_caps is None else len(wanted.market_caps.caps_millions)
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
