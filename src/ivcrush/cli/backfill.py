"""`backfill [TICKER…]`: past moves, and what they are measured from, fetched and kept, one company after the other.

A company that fails does not stop the others, except where the day's calls are spent or a key is refused: then nothing
more can be fetched, and the rest is reported as skipped.
"""

import argparse
import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path

from ivcrush.application.documents import Document, failure_document, moment
from ivcrush.application.services.history_backfill import BackfillOutcome
from ivcrush.cli.analyze import unique_tickers
from ivcrush.cli.exit_codes import exit_of_run
from ivcrush.cli.render.documents import render_rows
from ivcrush.cli.session import Outcome, Style, UsageError
from ivcrush.cli.ticker_file import read_tickers
from ivcrush.config.settings import Provider
from ivcrush.container import Container
from ivcrush.domain.analysis import TickerFailure
from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok, Result, err
from ivcrush.domain.types import Ticker
from ivcrush.utils.tracing import correlation_id

BACKFILL_SCHEMA = "ivcrush.backfill/1"
PLAN_SCHEMA = "ivcrush.backfill-plan/1"
MOST_QUARTERS = 40
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
    if not 1 <= arguments.quarters <= MOST_QUARTERS:
        raise UsageError(f"--quarters {arguments.quarters}: 1 to {MOST_QUARTERS} is needed")
    if not (isfinite(arguments.timeout) and arguments.timeout > 0):
        raise UsageError(f"--timeout {arguments.timeout:g}: seconds above 0 are needed")
    return Plan(
        tickers, arguments.quarters, arguments.calendar, arguments.dividends, arguments.timeout, arguments.dry_run
    )


async def execute(plan: Plan, container: Container, style: Style) -> Outcome:
    """Print the plan, or take the run lock and fetch."""
    if plan.dry_run:
        return _planned(plan, container, style)
    with container.run_lock() as lock:
        held = lock.acquire(f"backfill, run {correlation_id()}, since {moment(container.clock.now())}")
        if isinstance(held, Err):
            return Outcome("", exit_of_run(0, 0, [held.error]), (held.error.message,))
        calendar = await container.backfill.refresh_calendar() if plan.calendar else Ok(0)
        results = await _fetch_all(plan, container)
    failures = [
        *([TickerFailure("*", calendar.error)] if isinstance(calendar, Err) else []),
        *(TickerFailure(t, r.error) for t, r in zip(plan.tickers, results, strict=True) if isinstance(r, Err)),
    ]
    outcomes = [result.value for result in results if isinstance(result, Ok)]
    document: Document = {
        "schema": BACKFILL_SCHEMA,
        "run_id": correlation_id(),
        "as_of": moment(container.as_of),
        "simulated": style.simulated,
        "summary": {
            "total": len(plan.tickers),
            "done": len(outcomes),
            "failed": len(plan.tickers) - len(outcomes),
            "calendar_rows": calendar.value if isinstance(calendar, Ok) else 0,
            "requests": container.usage.requests,
            "cache_hits": container.usage.cache_hits,
        },
        "tickers": [_outcome_document(outcome) for outcome in outcomes],
        "failures": [failure_document(failure) for failure in failures],
    }
    done = len(outcomes) + (plan.calendar and isinstance(calendar, Ok))
    return Outcome(
        text=render_rows(document, "tickers", style),
        code=exit_of_run(done, 0, [failure.error for failure in failures]),
        messages=tuple(f"{failure.ticker}: {failure.error}" for failure in failures),
    )


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
        return Outcome("", exit_of_run(0, 0, [left.error]), (left.error.message,))
    beyond = max(0, plan.alpha_vantage_calls - left.value)
    document: Document = {
        "schema": PLAN_SCHEMA,
        "tickers": len(plan.tickers),
        "alpha_vantage_calls": plan.alpha_vantage_calls,
        "tradier_calls": len(plan.tickers),
        "alpha_vantage_calls_left_today": left.value,
        "days": 1 + ceil(beyond / container.calls_a_day),
    }
    return Outcome(render_rows(document, None, style), exit_of_run(1, 0, []))


def _outcome_document(outcome: BackfillOutcome) -> Document:
    return {
        "ticker": outcome.ticker,
        "moves": len(outcome.moves),
        "missing": [
            {"earnings_date": report.report_date.isoformat(), "reason": report.reason} for report in outcome.missing
        ],
        "newest": _newest(outcome),
        "dividends": outcome.dividends,
    }


def _newest(outcome: BackfillOutcome) -> str | None:
    dates: Sequence[str] = [move.report_date.isoformat() for move in outcome.moves]
    return max(dates, default=None)
