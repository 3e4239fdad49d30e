"""The providers with the cache in front: the same questions, asked of the network only when nothing fresh is kept.

How long an answer lives is decided here: until the New York day ends for what changes from day to day (expirations,
calendars, report dates, dividends, splits), an hour for bars that include today, the cache's own span for quotes and
chains, not at all for the clock. That there is none lives as long, but of Tradier's no longer than an hour, since it
costs no day's allowance to ask there again. Cache life runs on the real clock, whatever moment an analysis is made for.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeVar
from urllib.parse import urlencode

from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar, SessionDay
from ivcrush.domain.types import (
    DailyBar,
    Dividend,
    MarketClock,
    OptionChain,
    PastReport,
    Quotes,
    ScheduledReport,
    Split,
    Ticker,
)
from ivcrush.infrastructure.api.alpha_vantage import AlphaVantageClient
from ivcrush.infrastructure.api.alpha_vantage_parse import (
    parse_dividends,
    parse_past_reports,
    parse_raw_daily_bars,
    parse_scheduled_reports,
    parse_splits,
)
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from ivcrush.infrastructure.api.tradier import TradierClient
from ivcrush.infrastructure.api.tradier_parse import parse_bars, parse_expirations, parse_quotes, parse_session_days
from ivcrush.infrastructure.cache.hybrid_cache import HybridCache

T = TypeVar("T")

_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """`base_url` keeps two providers apart in one file; `quote_ttl_s` is the life of quotes and chains.

    `now` is the real clock. `refresh` passes over what is kept and keeps what comes.
    """

    base_url: str
    now: Callable[[], datetime]
    quote_ttl_s: float = 300.0
    refresh: bool = False

    def key(self, what: str, **parameters: str) -> str:
        """The key of a question; it holds no token and no API key."""
        return f"{self.base_url}/{what}?{urlencode(parameters)}"

    def today(self) -> date:
        """The date in New York."""
        return self.now().astimezone(NEW_YORK).date()

    def rest_of_day_s(self) -> float:
        """Seconds until midnight in New York."""
        now = self.now().astimezone(NEW_YORK)
        midnight = datetime.combine(now.date() + timedelta(1), datetime.min.time(), NEW_YORK)
        return midnight.timestamp() - now.timestamp()  # not the difference of wall times: clock changes count


def kind_of(key: str) -> str:
    """What kind of question a key is of: its `what`."""
    return key.partition("?")[0].rpartition("/")[2]


class CachedMarketData:
    """`MarketData`: Tradier behind the cache."""

    def __init__(self, client: TradierClient, cache: HybridCache, policy: CachePolicy) -> None:
        self._client = client
        self._cache = cache
        self._policy = policy

    async def quotes(self, tickers: Sequence[Ticker]) -> Result[Quotes]:
        """One request for all, kept as one answer to this set of tickers; dated by when it came, kept or not."""
        if not tickers:
            return Ok(Quotes({}, self._policy.now()))
        asked = sorted(set(tickers))

        def decode(body: bytes) -> Result[Quotes]:
            parsed = parse_quotes(body, asked)
            return parsed if isinstance(parsed, Err) else Ok(Quotes(MappingProxyType(parsed.value), self._policy.now()))

        def aged(quotes: Quotes, age_s: float) -> Quotes:
            return replace(quotes, received_at=quotes.received_at - timedelta(seconds=age_s))

        return await self._cache.get_or_load(
            self._policy.key("quotes", symbols=",".join(asked)),
            ttl_s=self._policy.quote_ttl_s,
            load=lambda: self._client.fetch_quotes(asked),
            decode=decode,
            refresh=self._policy.refresh,
            aged=aged,
        )

    async def expirations(self, ticker: Ticker) -> Result[tuple[date, ...]]:
        """Listed expirations, rising, kept until the New York day ends; NODATA where there are none."""
        return await self._cache.get_or_load(
            self._policy.key("expirations", symbol=ticker),
            ttl_s=self._policy.rest_of_day_s(),
            load=lambda: self._client.fetch_expirations(ticker),
            decode=lambda body: parse_expirations(body, ticker),
            nodata_ttl_s=_HOUR_S,
            refresh=self._policy.refresh,
        )

    async def option_chain(self, ticker: Ticker, expiration: date) -> Result[OptionChain]:
        """One expiration's standard contracts; NODATA where no usable row is left."""
        return await self._cache.get_or_load(
            self._policy.key("chain", symbol=ticker, expiration=expiration.isoformat()),
            ttl_s=self._policy.quote_ttl_s,
            load=lambda: self._client.fetch_chain(ticker, expiration),
            decode=lambda body: parse_chain(body, ticker, expiration),
            nodata_ttl_s=_HOUR_S,
            refresh=self._policy.refresh,
        )

    async def daily_bars(self, ticker: Ticker, start: date, end: date) -> Result[tuple[DailyBar, ...]]:
        """Split-adjusted bars in [start, end], kept for the day, or for an hour where today's bar is still growing."""
        rest_of_day_s = self._policy.rest_of_day_s()
        return await self._cache.get_or_load(
            self._policy.key("bars", symbol=ticker, start=start.isoformat(), end=end.isoformat()),
            ttl_s=rest_of_day_s if end < self._policy.today() else min(_HOUR_S, rest_of_day_s),
            load=lambda: self._client.fetch_bars(ticker, start, end),
            decode=lambda body: parse_bars(body, ticker, start, end),
            nodata_ttl_s=_HOUR_S,
            refresh=self._policy.refresh,
        )

    async def clock(self) -> Result[MarketClock]:
        """What the exchange is doing now; never kept."""
        return await self._client.clock()

    async def session_days(self, year: int, month: int) -> Result[tuple[SessionDay, ...]]:
        """The provider's calendar of one month, kept until the New York day ends."""
        return await self._cache.get_or_load(
            self._policy.key("calendar", year=str(year), month=str(month)),
            ttl_s=self._policy.rest_of_day_s(),
            load=lambda: self._client.fetch_session_days(year, month),
            decode=parse_session_days,
            refresh=self._policy.refresh,
        )


class CachedEarningsData:
    """`EarningsData`: Alpha Vantage behind the cache, everything kept until the New York day ends.

    `today` and `calendar` are those that the client reads its answers with.
    """

    def __init__(
        self,
        client: AlphaVantageClient,
        cache: HybridCache,
        policy: CachePolicy,
        *,
        today: Callable[[], date],
        calendar: MarketCalendar | None = None,
    ) -> None:
        self._client = client
        self._cache = cache
        self._policy = policy
        self._today = today
        self._calendar = MarketCalendar() if calendar is None else calendar

    async def past_reports(self, ticker: Ticker) -> Result[tuple[PastReport, ...]]:
        """Reports made, newest first; NODATA where the company has none."""
        return await self._until_midnight(
            "EARNINGS",
            ticker,
            lambda: self._client.fetch_past_reports(ticker),
            lambda body: parse_past_reports(body, ticker, today=self._today(), calendar=self._calendar),
        )

    async def scheduled_reports(self, ticker: Ticker | None) -> Result[tuple[ScheduledReport, ...]]:
        """Expected reports by date, of one company or (None) of all."""
        return await self._until_midnight(
            "EARNINGS_CALENDAR",
            ticker,
            lambda: self._client.fetch_scheduled_reports(ticker),
            lambda body: parse_scheduled_reports(body, calendar=self._calendar),
        )

    async def dividends(self, ticker: Ticker) -> Result[tuple[Dividend, ...]]:
        """Cash dividends, announced ones included, rising by ex-date."""
        return await self._until_midnight(
            "DIVIDENDS",
            ticker,
            lambda: self._client.fetch_dividends(ticker),
            lambda body: parse_dividends(body, ticker),
        )

    async def splits(self, ticker: Ticker) -> Result[tuple[Split, ...]]:
        """Splits, rising by date."""
        return await self._until_midnight(
            "SPLITS",
            ticker,
            lambda: self._client.fetch_splits(ticker),
            lambda body: parse_splits(body, ticker),
        )

    async def raw_daily_bars(self, ticker: Ticker) -> Result[tuple[DailyBar, ...]]:
        """The last hundred or so bars as traded, rising by session."""
        return await self._until_midnight(
            "TIME_SERIES_DAILY",
            ticker,
            lambda: self._client.fetch_raw_daily_bars(ticker),
            lambda body: parse_raw_daily_bars(body, ticker),
        )

    async def _until_midnight(
        self,
        what: str,
        ticker: Ticker | None,
        load: Callable[[], Awaitable[Result[bytes]]],
        decode: Callable[[bytes], Result[T]],
    ) -> Result[T]:
        return await self._cache.get_or_load(
            self._policy.key(what, symbol=ticker or "*"),
            ttl_s=self._policy.rest_of_day_s(),
            load=load,
            decode=decode,
            refresh=self._policy.refresh,
        )
