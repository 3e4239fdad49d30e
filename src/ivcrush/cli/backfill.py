"""`backfill [TICKER…]`: past moves, and what they are measured from, fetched and kept, one company after the other.

A company that fails does not stop the others, except where the day's calls are spent or a key is refused: then nothing
more can be fetched, and the rest is reported as skipped.
"""

import argparse
import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ivcrush.application.documents import Document, moment
from ivcrush.application.services.history_backfill import BackfillOutcome
from ivcrush.cli.analyze import unique_tickers
from ivcrush.cli.command import Outcome, Style, UsageError, parsed
from ivcrush.cli.exit_codes import exit_of_run
from ivcrush.cli.failures import EVERYBODY, labelled_failure, stderr_lines
from ivcrush.cli.locked import alone
from ivcrush.cli.render.documents import render_rows
from ivcrush.cli.ticker_file import read_tickers
from ivcrush.config import rules
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import CalendarListing, Ticker
from ivcrush.utils.tracing import correlation_id

BACKFILL_SCHEMA = "ivcrush.backfill/1"
PLAN_SCHEMA = "ivcrush.backfill-plan/1"
MOST_QUARTERS = 40
LONGEST_TIMEOUT_S = 86_400
_STOPS = (ErrorCode.QUOTA, ErrorCode.AUTH, ErrorCode.CONFIG, ErrorCode.DBERROR)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    tickers: tuple[Ticker, ...]
    quarters: int
    calendar: bool
    dividends: bool
    timeout_s: float
    dry_run: bool

    @property
    def alpha_vantage_calls(self) -> int:
        """Calls against the daily quota: report dates a ticker, dividends where asked for, one for the calendar."""
        return len(self.tickers) * (1 + self.dividends) + self.calendar


def prepare(arguments: argparse.Namespace) -> Plan:
    """The plan. Raises UsageError for arguments, InputError for a file, that cannot be used."""
    named = unique_tickers(arguments.tickers)
    filed = () if arguments.file is None else read_tickers(Path(arguments.file))
    tickers = tuple(dict.fromkeys((*named, *filed)))
    if not tickers and not arguments.calendar:
        raise UsageError("backfill: no ticker given; name some, or --file FILE, or --calendar")
    return Plan(
        tickers=tickers,
        quarters=parsed("--quarters", arguments.quarters, rules.whole(1, MOST_QUARTERS)),
        calendar=arguments.calendar,
        dividends=arguments.dividends,
        timeout_s=parsed("--timeout", arguments.timeout, rules.positive(LONGEST_TIMEOUT_S)),
        dry_run=arguments.dry_run,
    )


def needed_keys(plan: Plan) -> tuple[Provider, ...]:
    """Report dates come from one provider and bars from the other; a plan alone needs nobody."""
    return () if plan.dry_run else (Provider.TRADIER, Provider.ALPHA_VANTAGE)


async def execute(plan: Plan, container: Container, style: Style) -> Outcome:
    """Print the plan, or take the run lock and fetch."""
    if plan.dry_run:
        return _planned(plan, container, style)
    with alone(container, "backfill") as held:
        if isinstance(held, Err):
            return Outcome((), exit_of_run(0, 0, [held.error]), (held.error.message,))
        calendar: Result[CalendarListing | None] = Ok(None)
        if plan.calendar:
            calendar = await container.calendar_refresh.refresh()
        results = await _fetch_all(plan, container)
    told = calendar.error if isinstance(calendar, Err) else None
    failures = (
        *([] if told is None else [TickerFailure(EVERYBODY, told)]),
        *(TickerFailure(t, r.error) for t, r in zip(plan.tickers, results, strict=True) if isinstance(r, Err)),
    )
    outcomes = [result.value for result in results if isinstance(result, Ok)]
    calendar_rows = calendar.value.reports if isinstance(calendar, Ok) and calendar.value is not None else 0
    return Outcome(
        pieces=(render_rows(_document(outcomes, failures, calendar_rows, container, style), "tickers", style),),
        code=exit_of_run(len(outcomes) + (plan.calendar and told is None), 0, [each.error for each in failures]),
        messages=stderr_lines(failures),
    )


def _document(
    outcomes: Sequence[BackfillOutcome],
    failures: Sequence[TickerFailure],
    calendar_rows: int,
    container: Container,
    style: Style,
) -> Document:
    failed = sum(each.ticker != EVERYBODY and each.error.code is not ErrorCode.SKIPPED for each in failures)
    skipped = sum(each.error.code is ErrorCode.SKIPPED for each in failures)
    return {
        "schema": BACKFILL_SCHEMA,
        "run_id": correlation_id(),
        "as_of": moment(container.as_of),
        "simulated": style.simulated,
        "summary": {
            "total": len(outcomes) + failed + skipped,
            "done": len(outcomes),
            "failed": failed,
            "skipped": skipped,
            "calendar_rows": calendar_rows,
            "requests": container.usage.requests,
            "cache_hits": container.usage.cache_hits,
        },
        "tickers": [_outcome_document(outcome, style) for outcome in outcomes],
        "failures": [labelled_failure(failure, style) for failure in failures],
    }


async def _fetch_all(plan: Plan, container: Container) -> list[Result[BackfillOutcome]]:
    """One company after the other: the scarce provider paces them anyway, and what is done is done."""
    results: list[Result[BackfillOutcome]] = []
    stopped: AppError | None = None
    for number, ticker in enumerate(plan.tickers, 1):
        if stopped is not None:
            results.append(err(ErrorCode.SKIPPED, f"{ticker}: not reached after: {stopped.message}"))
            continue
        result = await _fetch(ticker, plan, container)
        results.append(result)
        told = result.error if isinstance(result, Err) else f"{len(result.value.moves)} moves"
        _log.info("%d/%d %s: %s", number, len(plan.tickers), ticker, told)
        if isinstance(result, Err) and result.error.code in _STOPS:
            stopped = result.error
    return results


async def _fetch(ticker: Ticker, plan: Plan, container: Container) -> Result[BackfillOutcome]:
    try:
        async with asyncio.timeout(plan.timeout_s):
            return await container.backfill.fetch(
                ticker,
                container.as_of,
                container.market_calendar,
                quarters=plan.quarters,
                with_dividends=plan.dividends,
            )
    except TimeoutError:
        return err(ErrorCode.TIMEOUT, f"{ticker}: not done within --timeout {plan.timeout_s:g} s")


def _planned(plan: Plan, container: Container, style: Style) -> Outcome:
    """What the run would cost."""
    left = container.quota.remaining(Provider.ALPHA_VANTAGE, container.calls_a_day, container.clock.now())
    if isinstance(left, Err):
        return Outcome((), exit_of_run(0, 0, [left.error]), (left.error.message,))
    beyond = max(0, plan.alpha_vantage_calls - left.value)
    document: Document = {
        "schema": PLAN_SCHEMA,
        "simulated": style.simulated,
        "tickers": len(plan.tickers),
        "alpha_vantage_calls": plan.alpha_vantage_calls,
        "tradier_calls": len(plan.tickers),
        "alpha_vantage_calls_left_today": left.value,
        "days": 1 + ceil(beyond / container.calls_a_day),
    }
    return Outcome((render_rows(document, None, style),), exit_of_run(1, 0, []))


def _outcome_document(outcome: BackfillOutcome, style: Style) -> Document:
    return {
        "ticker": outcome.ticker,
        "simulated": style.simulated,
        "moves": len(outcome.moves),
        "missing": [
            {"earnings_date": report.report_date.isoformat(), "reason": report.reason} for report in outcome.missing
        ],
        "newest": _newest(outcome),
        "complete": outcome.complete,
        "dividends": outcome.dividends,
    }


def _newest(outcome: BackfillOutcome) -> str | None:
    dates: Sequence[str] = [move.report_date.isoformat() for move in outcome.moves]
    return max(dates, default=None)
