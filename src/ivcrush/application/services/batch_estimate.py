"""What a batch will cost before it begins: requests, scarce calls, and the minutes that the permitted rates make.

What the cache still knows will cost nothing; a session that nobody knows may cost a chain more. Asks the database and
no provider.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from ivcrush.application.services.history_needs import Standing
from ivcrush.application.services.quote_board import QUOTES_AT_ONCE
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.types import Ticker

# The exchange's clock and two months of its calendar.
_REQUESTS_FOR_THE_DAY = 3


@dataclass(frozen=True, slots=True)
class BatchEstimate:
    """`companies` to ask for, `requests` for their markets, `histories` that lack reports: a scarce call each."""

    companies: int
    requests: int
    histories: int

    def minutes(self, requests_a_minute: int, histories_a_minute: int) -> float:
        """Minutes at the permitted rates, one provider after the other at worst."""
        return self.requests / requests_a_minute + self.histories / histories_a_minute


def estimate(
    tickers: Sequence[Ticker], depth: int, standing: Callable[[Ticker], Result[Standing]]
) -> Result[BatchEstimate]:
    """For these companies at that many expirations each; `standing` tells what is stored of a past. Errors: DBERROR."""
    histories = bars = 0
    for ticker in tickers:
        found = standing(ticker)
        if isinstance(found, Err):
            return found
        histories += found.value.scarce_calls
        bars += found.value.plentiful_calls
    companies = len(tickers)
    shared = (_REQUESTS_FOR_THE_DAY + ceil(companies / QUOTES_AT_ONCE)) if companies else 0
    return Ok(BatchEstimate(companies, companies * (1 + depth) + bars + shared, histories))
