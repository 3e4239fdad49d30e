"""The plan of a backfill, made from what is stored: what each company lacks, in which order, and what it costs.

Asks no provider and writes nothing, so that a plan may be shown without a key, at any time and for nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ivcrush.application.services.backfill_plan import Allowance, BackfillPlan, in_order
from ivcrush.application.services.history_needs import HistoryNeeds, Standing
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import MarketCalendar
from ivcrush.domain.types import Ticker


@dataclass(frozen=True, slots=True)
class BackfillQuestion:
    """Whose past is wanted, how much of it, and at which moment; `refresh` wants all of it anew."""

    tickers: tuple[Ticker, ...]
    as_of: datetime
    quarters: int
    dividends: bool = False
    refresh: bool = False


class BackfillPlanner:
    """Reads what is stored; `allowance` tells what the providers permit now."""

    def __init__(
        self, needs: HistoryNeeds, calendar: MarketCalendar, *, allowance: Callable[[], Result[Allowance]]
    ) -> None:
        self._needs = needs
        self._calendar = calendar
        self._allowance = allowance

    def plan(self, question: BackfillQuestion, *, calendar_calls: int = 0) -> Result[BackfillPlan]:
        """What is lacking and what that costs, `calendar_calls` included. Errors: DBERROR."""
        standings = self._standings(question)
        if isinstance(standings, Err):
            return standings
        allowance = self._allowance()
        if isinstance(allowance, Err):
            return allowance
        ordered = in_order(standings.value, oldest_first=question.refresh)
        return Ok(BackfillPlan(ordered, calendar_calls, allowance.value))

    def _standings(self, question: BackfillQuestion) -> Result[Sequence[Standing]]:
        standings: list[Standing] = []
        for ticker in question.tickers:
            standing = self._needs.standing(
                ticker,
                question.as_of,
                self._calendar,
                quarters=question.quarters,
                with_dividends=question.dividends,
                refresh=question.refresh,
            )
            if isinstance(standing, Err):
                return standing
            standings.append(standing.value)
        return Ok(standings)
