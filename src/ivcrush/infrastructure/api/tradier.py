"""Tradier as `MarketData`: what to ask, how Tradier spells it, and which parser reads it.

Each question comes in two halves, so that a cache can stand between them: `fetch_*` returns the raw body of a reply
that was judged to be data, `parse_*` (in `tradier_parse` and `option_chain_parse`) turns bytes into values. The methods
of the protocol are one after the other. Keeps nothing and decides nothing about the market.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from urllib.parse import urlencode

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import SessionDay
from ivcrush.domain.types import DailyBar, MarketClock, OptionChain, Ticker, UnderlyingQuote
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from ivcrush.infrastructure.api.tradier_dialect import TradierDialect
from ivcrush.infrastructure.api.tradier_parse import (
    parse_bars,
    parse_clock,
    parse_expirations,
    parse_quotes,
    parse_session_days,
)
from ivcrush.infrastructure.api.transport import Resilience, Transport
from ivcrush.infrastructure.api.wire import Bounds, Endpoint, Pairs, Request
from ivcrush.utils.rate_limiter import Window

LONGEST_QUERY = 2_000  # characters; longer lists of symbols go by POST, as the documentation asks


def tradier_transport(
    base_url: str,
    token: str,
    *,
    windows: Sequence[Window],
    bounds: Bounds,
    resilience: Resilience,
    redact: Callable[[str], str],
) -> Transport:
    """The way to Tradier; nothing is opened before the first request."""
    endpoint = Endpoint(base_url, (("Authorization", f"Bearer {token}"), ("Accept", "application/json")))
    return resilience.transport(endpoint, TradierDialect(), windows=windows, bounds=bounds, redact=redact)


class TradierClient:
    """Asks Tradier's market data, `greeks` included; tickers are spelled with a slash there (`BRK/B`)."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def fetch_quotes(self, tickers: Sequence[Ticker]) -> Result[bytes]:
        """The quotes of all of them in one reply."""
        asked: Pairs = (("symbols", ",".join(map(_spelled, tickers))), ("greeks", "false"))
        if len(urlencode(asked)) > LONGEST_QUERY:
            return await self._ask(Request("/markets/quotes", form=asked))
        return await self._ask(Request("/markets/quotes", asked))

    async def fetch_expirations(self, ticker: Ticker) -> Result[bytes]:
        """The listed expirations; adjusted roots are not asked for."""
        return await self._ask(Request("/markets/options/expirations", (("symbol", _spelled(ticker)),)))

    async def fetch_chain(self, ticker: Ticker, expiration: date) -> Result[bytes]:
        """One expiration's options with greeks."""
        asked: Pairs = (("symbol", _spelled(ticker)), ("expiration", expiration.isoformat()), ("greeks", "true"))
        return await self._ask(Request("/markets/options/chains", asked))

    async def fetch_bars(self, ticker: Ticker, start: date, end: date) -> Result[bytes]:
        """Daily bars in [start, end]."""
        asked: Pairs = (
            ("symbol", _spelled(ticker)),
            ("interval", "daily"),
            ("start", start.isoformat()),
            ("end", end.isoformat()),
        )
        return await self._ask(Request("/markets/history", asked))

    async def fetch_clock(self) -> Result[bytes]:
        """The exchange's clock."""
        return await self._ask(Request("/markets/clock"))

    async def fetch_session_days(self, year: int, month: int) -> Result[bytes]:
        """The exchange's calendar of one month."""
        return await self._ask(Request("/markets/calendar", (("month", f"{month:02}"), ("year", f"{year}"))))

    async def quotes(self, tickers: Sequence[Ticker]) -> Result[Mapping[Ticker, UnderlyingQuote]]:
        """One request for all; tickers that Tradier does not know are absent from the mapping."""
        if not tickers:
            return Ok({})
        body = await self.fetch_quotes(tickers)
        return body if isinstance(body, Err) else parse_quotes(body.value, tickers)

    async def expirations(self, ticker: Ticker) -> Result[tuple[date, ...]]:
        """Listed expirations, rising; NODATA where there are none."""
        body = await self.fetch_expirations(ticker)
        return body if isinstance(body, Err) else parse_expirations(body.value, ticker)

    async def option_chain(self, ticker: Ticker, expiration: date) -> Result[OptionChain]:
        """One expiration's standard contracts; NODATA where no usable row is left."""
        body = await self.fetch_chain(ticker, expiration)
        return body if isinstance(body, Err) else parse_chain(body.value, ticker, expiration)

    async def daily_bars(self, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
        """Split-adjusted bars in [start, end], rising by session; NODATA where there are none."""
        body = await self.fetch_bars(ticker, start, end)
        return body if isinstance(body, Err) else parse_bars(body.value, ticker, start, end)

    async def clock(self) -> Result[MarketClock]:
        """What the exchange is doing now."""
        body = await self.fetch_clock()
        return body if isinstance(body, Err) else parse_clock(body.value)

    async def session_days(self, year: int, month: int) -> Result[tuple[SessionDay, ...]]:
        """The provider's calendar of one month."""
        body = await self.fetch_session_days(year, month)
        return body if isinstance(body, Err) else parse_session_days(body.value)

    async def _ask(self, request: Request) -> Result[bytes]:
        reply = await self._transport.send(request)
        return reply if isinstance(reply, Err) else Ok(reply.value.body)


def _spelled(ticker: Ticker) -> str:
    return ticker.replace(".", "/")
