"""The two providers as a run meets them: each behind its transport, its allowance and the cache, and what they cost.

Made by the container. Neither a connection nor the cache file is opened before somebody is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from ivcrush.config.settings import AppSettings, Provider, missing_key
from ivcrush.domain.errors import Err, ErrorCode, Result, err
from ivcrush.domain.protocols import EarningsData, MarketData
from ivcrush.infrastructure.api.alpha_vantage import AlphaVantageClient, alpha_vantage_transport
from ivcrush.infrastructure.api.tradier import TradierClient, tradier_transport
from ivcrush.infrastructure.api.transport import Resilience, Transport
from ivcrush.infrastructure.api.unconfigured import UnconfiguredEarningsData
from ivcrush.infrastructure.api.wire import Bounds
from ivcrush.infrastructure.cache.cached_provider import CachedEarningsData, CachedMarketData, CachePolicy
from ivcrush.infrastructure.cache.hybrid_cache import HybridCache
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.repositories.rate_limit_repository import DailyQuota, ProviderAllowance
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.timezone import Clock


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run cost so far."""

    requests: int
    cache_hits: int


@dataclass(frozen=True, slots=True)
class Spending:
    """The same in detail: by provider the requests sent and the repeats among them, and the cache's part.

    A miss led to a request. `calls_left` of Alpha Vantage's day is None where the database did not tell.
    """

    requests: tuple[tuple[Provider, int, int], ...]
    cache_hits: int
    cache_misses: int
    calls_left: int | None


def way_to_tradier(settings: AppSettings, bounds: Bounds, resilience: Resilience) -> Transport:
    """The transport to Tradier that the settings mean; nothing is opened before the first request."""
    return tradier_transport(
        settings.tradier.base_url,
        settings.tradier.token or "",
        windows=settings.tradier.windows,
        bounds=bounds,
        resilience=resilience,
        redact=Redactor(settings.secrets),
    )


class Providers:
    """Each made when it is first asked for. `today` is the New York date of the run; `refresh` distrusts the cache."""

    def __init__(
        self, settings: AppSettings, clock: Clock, database: Database, *, today: Callable[[], date], refresh: bool
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._quota = DailyQuota(database)
        self._today = today
        self._refresh = refresh
        self._transports: dict[Provider, Transport] = {}

    async def aclose(self) -> None:
        """Close connections, then the cache file; a run that asked nobody makes none."""
        for transport in self._transports.values():
            await transport.aclose()
        if "_cache" in self.__dict__:
            self._cache.close()

    @cached_property
    def market(self) -> MarketData:
        """Tradier behind the cache."""
        transport = way_to_tradier(self._settings, self._bounds, self._resilience)
        self._transports[Provider.TRADIER] = transport
        return CachedMarketData(TradierClient(transport), self._cache, self._policy(self._settings.tradier.base_url))

    @cached_property
    def earnings(self) -> EarningsData:
        """Alpha Vantage behind the cache and the day's allowance; without a key, the word that it is missing."""
        provider = self._settings.alpha_vantage
        if provider.token is None:
            return UnconfiguredEarningsData(err(ErrorCode.CONFIG, missing_key(Provider.ALPHA_VANTAGE)))
        allowed = self._settings.calls_a_day
        transport = alpha_vantage_transport(
            provider.base_url,
            windows=provider.windows,
            bounds=self._bounds,
            resilience=self._resilience,
            redact=Redactor(self._settings.secrets),
            allowance=ProviderAllowance(self._quota, Provider.ALPHA_VANTAGE, allowed, self._clock.now),
        )
        self._transports[Provider.ALPHA_VANTAGE] = transport
        client = AlphaVantageClient(transport, provider.token, today=self._today)
        return CachedEarningsData(client, self._cache, self._policy(provider.base_url), today=self._today)

    @property
    def calls_left_today(self) -> Result[int]:
        """Calls to Alpha Vantage that are left of the day's. Errors: DBERROR."""
        return self._quota.remaining(Provider.ALPHA_VANTAGE, self._settings.calls_a_day, self._clock.now())

    @property
    def usage(self) -> Usage:
        """Requests sent and replies that the cache gave instead."""
        return Usage(sum(transport.counts.sent for transport in self._transports.values()), self._cache.stats().hits)

    @property
    def spending(self) -> Spending:
        """What that was made of, and what it leaves of the day's calls."""
        cached = self._cache.stats() if "_cache" in self.__dict__ else None
        left = self.calls_left_today
        return Spending(
            requests=tuple((name, each.counts.sent, each.counts.repeated) for name, each in self._transports.items()),
            cache_hits=0 if cached is None else cached.hits,
            cache_misses=0 if cached is None else cached.loads,
            calls_left=None if isinstance(left, Err) else left.value,
        )

    @cached_property
    def _cache(self) -> HybridCache:
        """Replies in memory over replies on disk."""
        chosen = self._settings.cache
        memory: MemoryCache[object] = MemoryCache(max_entries=chosen.l1_max_size, timer=self._clock.monotonic)
        disk = SqliteCache(chosen.path, clock=lambda: self._clock.now().timestamp()) if chosen.enabled else None
        return HybridCache(memory, disk, memory_ttl_s=chosen.l1_ttl_s, enabled=chosen.enabled)

    @cached_property
    def _bounds(self) -> Bounds:
        requests = self._settings.requests
        return Bounds(timeout_s=requests.timeout_s, max_concurrent=requests.max_concurrent)

    @cached_property
    def _resilience(self) -> Resilience:
        return Resilience(
            utc_now=self._clock.now,
            monotonic=self._clock.monotonic,
            sleep=self._clock.sleep,
            retry=self._settings.retry,
            failure_threshold=self._settings.breaker.failure_threshold,
            recovery_s=self._settings.breaker.recovery_s,
        )

    def _policy(self, base_url: str) -> CachePolicy:
        quote_ttl_s = self._settings.cache.l2_ttl_s
        return CachePolicy(base_url, self._clock.now, quote_ttl_s=quote_ttl_s, refresh=self._refresh)
