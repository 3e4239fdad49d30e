"""What a batch will cost before it begins: requests, scarce calls, and the minutes that the permitted rates make.

An upper bound: what the cache still knows will cost nothing. Asks the database and no provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ivcrush.application.services.quote_board import QUOTES_AT_ONCE
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.protocols import PriceStore
from ivcrush.domain.types import Ticker

# The exchange's clock and two months of its calendar.
_REQUESTS_FOR_THE_DAY = 3


@dataclass(frozen=True, slots=True)
class BatchEstimate:
    """`companies` to ask for, at most `requests` for their markets, `without_history` of them to be fetched first."""

    companies: int
    requests: int
    without_history: int

    def minutes(self, requests_a_minute: int, histories_a_minute: int) -> float:
        """Minutes at the permitted rates, one provider after the other at worst."""
        return self.requests / requests_a_minute + self.without_history / histories_a_minute


def estimate(tickers: Sequence[Ticker], depth: int, prices: PriceStore) -> Result[BatchEstimate]:
    """The bound for these companies at that many expirations each. Errors: DBERROR."""
    without_history = 0
    for ticker in tickers:
        last = prices.last_backfill(ticker)
        if isinstance(last, Err):
            return last
        without_history += last.value is None
    companies = len(tickers)
    shared = (_REQUESTS_FOR_THE_DAY + ceil(companies / QUOTES_AT_ONCE)) if companies else 0
    return Ok(BatchEstimate(companies, companies * (1 + depth) + without_history + shared, without_history))
