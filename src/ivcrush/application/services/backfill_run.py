"""A planned backfill worked through, one company after the other: within its time, out of calls that others can spare.

The scarce provider's pace leaves time for the other one, and what is done is done. A company that fails does not stop
the others, except where nothing more can be had: the day's calls are spent, a key is refused, or a provider fails one
company after the other. The rest is then SKIPPED.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from ivcrush.application.services.backfill_plan import Allowance, BackfillPlan
from ivcrush.application.services.backfill_planner import BackfillQuestion
from ivcrush.application.services.history_backfill import BackfillOutcome, HistoryBackfill
from ivcrush.domain.errors import PROVIDER_FAILURES, AppError, Err, ErrorCode, Result, err
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import Ticker

# Two calls more than a company's own: raw bars and splits, where the history of prices fails.
_STAND_IN_CALLS = 2
_PACE_S = 60.0
_STOPS = (ErrorCode.QUOTA, ErrorCode.AUTH, ErrorCode.CONFIG, ErrorCode.DBERROR)
# So many companies in a row that a provider fails for are an outage: further scarce calls would be wasted.
_OUTAGE_AFTER = 3
_log = logging.getLogger(__name__)


class BackfillRun:
    """Works plans through; `allowance` tells what the providers permit by now."""

    def __init__(
        self, backfill: HistoryBackfill, calendar: MarketCalendar, *, allowance: Callable[[], Result[Allowance]]
    ) -> None:
        self._backfill = backfill
        self._calendar = calendar
        self._allowance = allowance

    async def complete(
        self, plan: BackfillPlan, question: BackfillQuestion, *, timeout_s: float
    ) -> Mapping[Ticker, Result[BackfillOutcome]]:
        """What came of every company of the plan; `timeout_s` is that of one, without waits for the permitted pace.

        Errors: those of `HistoryBackfill.complete`; TIMEOUT; SKIPPED where the run had ended before.
        """
        results: dict[Ticker, Result[BackfillOutcome]] = {}
        stopped: AppError | None = None
        failing = 0
        for position, standing in enumerate(plan.standings):
            ticker = standing.ticker
            if stopped is not None:
                results[ticker] = err(ErrorCode.SKIPPED, f"{ticker}: not reached after: {stopped.message}")
                continue
            result = results[ticker] = await self._complete(position, plan, question, timeout_s)
            told = result.error if isinstance(result, Err) else f"{len(result.value.moves)} moves"
            _log.info("%d/%d %s: %s", position + 1, len(plan.standings), ticker, told)
            failing = failing + 1 if isinstance(result, Err) and result.error.code in PROVIDER_FAILURES else 0
            if isinstance(result, Err) and (result.error.code in _STOPS or failing == _OUTAGE_AFTER):
                stopped = result.error
        return results

    async def _complete(
        self, position: int, plan: BackfillPlan, question: BackfillQuestion, timeout_s: float
    ) -> Result[BackfillOutcome]:
        """One company, within its time, to which waiting for the permitted pace is added.

        Raw bars may stand in for the history of prices only out of calls that nobody else of this run needs.
        """
        standing = plan.standings[position]
        allowance = self._allowance()
        if isinstance(allowance, Err):
            return allowance
        spare = allowance.value.left_today - standing.scarce_calls - plan.needed_after(position)
        paced = plan.scarce_calls > plan.allowance.scarce_a_minute
        try:
            async with asyncio.timeout(timeout_s + paced * standing.scarce_calls * _PACE_S):
                return await self._backfill.complete(
                    standing,
                    question.as_of,
                    self._calendar,
                    quarters=question.quarters,
                    stand_in=spare >= _STAND_IN_CALLS,
                )
        except TimeoutError:
            return err(ErrorCode.TIMEOUT, f"{standing.ticker}: not done within --timeout {timeout_s:g} s")
