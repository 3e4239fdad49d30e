"""The quotes of everybody in a run, by one request, and again only where they have grown old meanwhile.

A run of hundreds of companies takes minutes, and a laptop may sleep in between: whoever comes late gets quotes as young
as whoever came first. Where the request for all fails, each company is asked for alone, so that one fault costs one.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.domain.protocols import MarketData
from ivcrush.domain.types import Quotes, Ticker, UnderlyingQuote

# Companies in one request: a longer list is asked for in parts, each when its first company is reached.
QUOTES_AT_ONCE = 500
_MAY_CONCERN_ONE_ALONE = (ErrorCode.EXTERNAL, ErrorCode.TIMEOUT, ErrorCode.INVALID)


class _Part:
    """One request's companies and what came of it."""

    def __init__(self, tickers: Sequence[Ticker]) -> None:
        self.tickers = tickers
        self.turn = asyncio.Lock()
        self.answer: Result[Quotes] | None = None


class QuoteBoard:
    """`life` is how long quotes count as of now; `now` is the real clock."""

    def __init__(
        self, market: MarketData, tickers: Sequence[Ticker], *, life: timedelta, now: Callable[[], datetime]
    ) -> None:
        self._market = market
        self._life = life
        self._now = now
        several = list(dict.fromkeys(tickers))
        parts = [_Part(several[begin : begin + QUOTES_AT_ONCE]) for begin in range(0, len(several), QUOTES_AT_ONCE)]
        self._parts = {ticker: part for part in parts for ticker in part.tickers}

    async def quote(self, ticker: Ticker) -> Result[UnderlyingQuote | None]:
        """The company's quote, None where the provider does not know it. Errors: those of the provider."""
        part = self._parts[ticker]
        async with part.turn:
            if part.answer is None or self._old(part):
                part.answer = await self._market.quotes(part.tickers)
            answer = part.answer
        if isinstance(answer, Err) and len(part.tickers) > 1 and answer.error.code in _MAY_CONCERN_ONE_ALONE:
            answer = await self._market.quotes([ticker])
        return answer if isinstance(answer, Err) else Ok(answer.value.by_ticker.get(ticker))

    def _old(self, part: _Part) -> bool:
        """Older than their life, counted from when they came; of a kept reply, long before this run asked.

        A failure is not asked for again: what comes after it would depend on who comes when.
        """
        if part.answer is None or isinstance(part.answer, Err):
            return False
        return (
            abs(self._now() - part.answer.value.received_at) > self._life
        )  # a clock that was set back makes their age unknown
