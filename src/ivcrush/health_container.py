"""The parts of a health check, introduced to one another. The container's little sibling: it opens nothing.

The container is made over a database that works; here that is the question. Which settings a check hangs on is said
here, because only here settings and checks meet.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Final, TypeVar

from ivcrush.application.services.health import HealthReport, Look, examine
from ivcrush.application.services.health_checks import COMING_DAYS, HealthChecks, Patience, Probes
from ivcrush.at_rest import AtRest
from ivcrush.config.settings import AppSettings, Faults, Provider, ProviderSettings, missing_key
from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.health import HistoryCoverage
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.operations import RunRecord
from ivcrush.infrastructure.api.probes import TradierProbe, knock
from ivcrush.infrastructure.api.transport import Resilience
from ivcrush.infrastructure.api.wire import Bounds
from ivcrush.infrastructure.cache.inspection import inspect_cache
from ivcrush.infrastructure.database.inspection import inspect_database
from ivcrush.infrastructure.database.repositories.health_repository import HealthRepository
from ivcrush.infrastructure.database.repositories.runs_repository import RunsRepository
from ivcrush.infrastructure.disk import inspect_space
from ivcrush.providers import way_to_tradier
from ivcrush.utils.own_thread import in_own_thread
from ivcrush.utils.redaction import Redactor
from ivcrush.utils.retry import RetryPolicy
from ivcrush.utils.text import printable
from ivcrush.utils.timezone import Clock

T = TypeVar("T")

# A provider that takes longer is no use in the minutes before the close; REQUEST_TIMEOUT may ask for less.
LONGEST_WAIT_S: Final = 5.0
# A disk that takes longer to answer is as good as gone. Reading a large database through stops well before.
_MACHINE_S: Final = 5.0
_READ_DATABASE_FOR_S: Final = 2.0
_LONGEST_DETAIL: Final = 2_000
_SETTINGS_OF: Final = {
    Provider.TRADIER: ("TRADIER_API_KEY", "TRADIER_BASE_URL"),
    Provider.ALPHA_VANTAGE: ("ALPHA_VANTAGE_KEY", "ALPHA_VANTAGE_BASE_URL"),
}


class HealthContainer:
    """Everything that looks, and nothing that works; `as_of` None means now."""

    def __init__(self, settings: AppSettings, faults: Faults, as_of: datetime | None, clock: Clock) -> None:
        self.clock = clock
        self._settings = settings
        self._at_rest = AtRest(settings, clock)
        self._faults = faults
        self._as_of = as_of

    @property
    def as_of(self) -> datetime:
        """The moment of the examination, New York time."""
        return self._as_of or self.clock.now().astimezone(NEW_YORK)

    async def examine(self) -> HealthReport:
        """All checks at once. The one request that it takes is sent to Tradier; nothing is written."""
        bounds = Bounds(timeout_s=2 * self._patience.provider_s, max_concurrent=1)  # the check gives up first
        once = Resilience(self.clock.now, self.clock.monotonic, retry=RetryPolicy(max_attempts=1))
        transport = way_to_tradier(self._settings, bounds, once)
        tradier = TradierProbe(self._settings.tradier.base_url, transport)
        checks = HealthChecks(self._probes(tradier), calendar=MarketCalendar(), now=self.clock.now)
        try:
            return await examine(checks.all(self._patience), monotonic=self.clock.monotonic, told=self._told)
        finally:
            await tradier.aclose()
            await transport.aclose()

    def _probes(self, tradier: TradierProbe) -> Probes:
        settings, path = self._settings, self._settings.storage.path
        return Probes(
            configuration=self._configuration,
            tradier=self._asked(Provider.TRADIER, settings.tradier, tradier.served_at),
            alpha_vantage=self._asked(
                Provider.ALPHA_VANTAGE, settings.alpha_vantage, partial(knock, settings.alpha_vantage.base_url)
            ),
            quota=self._here(("DB_PATH", "ALPHA_VANTAGE_PER_DAY"), self._at_rest.quota),
            database=self._here(("DB_PATH",), partial(inspect_database, path, read_for_s=_READ_DATABASE_FOR_S)),
            cache=self._here(("DB_PATH", "CACHE_PATH"), self._cache),
            disk=self._here(("DB_PATH", "CACHE_PATH"), self._disk),
            last_run=self._here(("DB_PATH",), self._last_run),
            run_holder=self._here(("DB_PATH",), self._at_rest.run_holder),
            coverage=self._here(("DB_PATH", "MIN_HISTORICAL_QUARTERS"), self._coverage),
        )

    def _asked(self, provider: Provider, settings: ProviderSettings, look: Look[T]) -> Look[T]:
        """A look at a provider, unless there is no key to be let in with."""
        key, address = _SETTINGS_OF[provider]
        if settings.token is None and key not in self._faults.doubtful:
            return _answer(err(ErrorCode.CONFIG, missing_key(provider)))
        return self._certain((key, address), look)

    def _here(self, needs: tuple[str, ...], look: Callable[[], Result[T]]) -> Look[T]:
        """A look at this machine, in a thread of its own."""
        return self._certain(needs, partial(in_own_thread, look))

    def _certain(self, needs: tuple[str, ...], look: Look[T]) -> Look[T]:
        """A look, unless a setting that it hangs on is not what was meant: it would be at the wrong thing."""
        doubtful = [name for name in needs if name in self._faults.doubtful]
        if not doubtful:
            return look
        return _answer(err(ErrorCode.CONFIG, f"not checked: {', '.join(doubtful)} cannot be told, see configuration"))

    async def _configuration(self) -> Result[str]:
        if self._faults.problems:
            return err(ErrorCode.CONFIG, "; ".join(self._faults.problems))
        return Ok("; ".join(f"warning: {each}" for each in self._settings.warnings) or "valid")

    def _cache(self) -> Result[str]:
        chosen = self._settings.cache
        return inspect_cache(chosen.path) if chosen.enabled else Ok("switched off by CACHE_ENABLED")

    def _disk(self) -> Result[str]:
        return inspect_space((self._settings.storage.path, self._settings.cache.path))

    def _last_run(self) -> Result[RunRecord | None]:
        return self._at_rest.read(lambda database: RunsRepository(database).newest())

    def _coverage(self) -> Result[HistoryCoverage]:
        """The reporters from today on; a past move counts from the quarters that a VRP needs."""
        start = self.as_of.astimezone(NEW_YORK).date()
        end = start + timedelta(COMING_DAYS - 1)
        least = self._settings.evaluation.min_quarters
        return self._at_rest.read(lambda database: HealthRepository(database).coverage(start, end, least))

    @cached_property
    def _patience(self) -> Patience:
        return Patience(provider_s=min(LONGEST_WAIT_S, self._settings.requests.timeout_s), machine_s=_MACHINE_S)

    @cached_property
    def _redact(self) -> Redactor:
        return Redactor(self._settings.secrets)

    def _told(self, detail: str) -> str:
        return printable(self._redact(detail), _LONGEST_DETAIL)


def _answer(given: Err) -> Look[T]:
    """A look whose answer is known."""

    async def look() -> Result[T]:
        return given

    return look
