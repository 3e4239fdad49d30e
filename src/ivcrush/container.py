"""Introduces everybody to everybody: the only file that imports all layers.

Builds each part once, when it is first asked for, and closes what it opened. No logic lives here; whoever wants to know
how the program fits together reads this file from top to bottom.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property

from ivcrush import __version__
from ivcrush.application.services.analyzer import MANY, ONE, Analyzer, AnalyzerSettings, Reach
from ivcrush.application.services.backfill_plan import Allowance
from ivcrush.application.services.backfill_planner import BackfillPlanner
from ivcrush.application.services.backfill_run import BackfillRun
from ivcrush.application.services.batch_analyzer import BatchAnalyzer
from ivcrush.application.services.calendar_refresh import CalendarRefresh
from ivcrush.application.services.company_history import CompanyHistory
from ivcrush.application.services.ground import Ground
from ivcrush.application.services.history_backfill import HistoryBackfill
from ivcrush.application.services.history_needs import HistoryNeeds, Standing
from ivcrush.application.services.request_planner import RequestPlanner
from ivcrush.application.services.scan import Scan
from ivcrush.config.settings import AppSettings
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK, MarketCalendar
from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.analysis_repository import AnalysisRepository
from ivcrush.infrastructure.database.repositories.batch_repository import BatchRepository
from ivcrush.infrastructure.database.repositories.companies_repository import CompaniesRepository
from ivcrush.infrastructure.database.repositories.earnings_repository import EarningsRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository
from ivcrush.infrastructure.run_lock import RunLock
from ivcrush.providers import Providers
from ivcrush.utils.timezone import Clock


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What one command line adds to the settings: `as_of` None means now."""

    as_of: datetime | None = None
    refresh: bool = False
    simulated: bool = False


class Container:
    """Every part, made when it is first asked for; `open` before anything is spent, `aclose` at the end."""

    def __init__(self, settings: AppSettings, options: RunOptions, clock: Clock, database: Database) -> None:
        self.clock = clock
        self._settings = settings
        self._options = options
        self._database = database
        self.providers = Providers(settings, clock, database, today=self._today, refresh=options.refresh)
        self._held = ExitStack()

    @classmethod
    def open(cls, settings: AppSettings, options: RunOptions, clock: Clock) -> "Result[Container]":
        """A container over a database that is there, ours, sound and writable. Errors: DBERROR, CONFIG (newer)."""
        database = init_database(settings.storage.path, busy_timeout_s=settings.storage.timeout_s)
        return database if isinstance(database, Err) else Ok(cls(settings, options, clock, database.value))

    async def aclose(self) -> None:
        """Close connections, cache file and database, in that order, and let the next run begin."""
        await self.providers.aclose()
        self._database.close()
        self._held.close()

    @property
    def as_of(self) -> datetime:
        """The moment of the run, New York time."""
        return self._options.as_of or self.clock.now().astimezone(NEW_YORK)

    def run_lock(self) -> RunLock:
        """The lock of long runs on this database."""
        return RunLock.beside(self._settings.storage.path)

    def hold(self, holder: str) -> Result[None]:
        """Take that lock until the container is closed.

        Errors: DBERROR, with the reason `locked` where another run has it.
        """
        return self._held.enter_context(self.run_lock()).acquire(holder)

    @property
    def market_calendar(self) -> MarketCalendar:
        """The exchange's rules."""
        return MarketCalendar()

    @cached_property
    def earnings_store(self) -> EarningsRepository:
        """Report dates and dividends."""
        return EarningsRepository(self._database)

    @cached_property
    def prices(self) -> PricesRepository:
        """Past moves and recent bars."""
        return PricesRepository(self._database)

    @cached_property
    def companies(self) -> CompaniesRepository:
        """Market capitalisations."""
        return CompaniesRepository(self._database)

    @cached_property
    def analyses(self) -> AnalysisRepository:
        """The log of analyses."""
        return AnalysisRepository(self._database)

    @cached_property
    def planner(self) -> RequestPlanner:
        """Finds the coming report."""
        return RequestPlanner(
            self.providers.earnings, self.earnings_store, now=self.clock.now, refresh=self._options.refresh
        )

    @cached_property
    def calendar_refresh(self) -> CalendarRefresh:
        """Asks for everybody's coming reports, once a day."""
        return CalendarRefresh(
            self.providers.earnings, self.earnings_store, now=self.clock.now, force=self._options.refresh
        )

    @cached_property
    def backfill(self) -> HistoryBackfill:
        """Fetches and keeps past moves."""
        return HistoryBackfill(
            self.providers.market, self.providers.earnings, self.earnings_store, self.prices, now=self.clock.now
        )

    @cached_property
    def backfill_planner(self) -> BackfillPlanner:
        """Plans a backfill of many companies."""
        return BackfillPlanner(self.history_needs, self.market_calendar, allowance=self._allowance)

    @cached_property
    def backfill_run(self) -> BackfillRun:
        """Works that plan through."""
        return BackfillRun(self.backfill, self.market_calendar, allowance=self._allowance)

    @cached_property
    def history(self) -> CompanyHistory:
        """Gives the past of companies, whatever it takes."""
        return self._history(stand_in=True)

    def _history(self, *, stand_in: bool) -> CompanyHistory:
        quarters = self._settings.evaluation.max_quarters
        return CompanyHistory(self.backfill, self.history_needs, self.prices, quarters=quarters, stand_in=stand_in)

    def standing(self, ticker: Ticker) -> Result[Standing]:
        """What of a company's past is stored, and what an analysis would ask for. Errors: DBERROR."""
        quarters = self._settings.evaluation.max_quarters
        return self.history_needs.standing(ticker, self.as_of, self.market_calendar, quarters=quarters)

    @cached_property
    def history_needs(self) -> HistoryNeeds:
        """Knows what of a company's past is stored, and what has to be asked for."""
        return HistoryNeeds(self.prices, self.earnings_store, now=self.clock.now)

    @cached_property
    def analyzer(self) -> Analyzer:
        """Walks a few companies."""
        return self._analyzer(ONE)

    @cached_property
    def scan(self) -> Scan:
        """Selects the companies of a scan."""
        return Scan(
            self.calendar_refresh,
            self.earnings_store,
            self.companies,
            self._settings.scan,
            at_once=self.rows_at_once,
            ground=self._ground,
        )

    @cached_property
    def batch(self) -> BatchAnalyzer:
        """Walks many."""
        conditions = {
            "version": __version__,
            "as_of": None if self._options.as_of is None else self._options.as_of.isoformat(),
            "depth": self.batch_depth,
            "refresh": self._options.refresh,
            "market": "simulated" if self._options.simulated else self._settings.tradier.base_url,
            "evaluation": asdict(self._settings.evaluation),
        }
        return BatchAnalyzer(
            self._analyzer(MANY),
            BatchRepository(self._database),
            conditions=json.dumps(conditions, sort_keys=True),
            now=self.clock.now,
            sleep=self.clock.sleep,
        )

    @property
    def depth(self) -> int:
        """Expirations fetched for each of a few companies, from the event's on."""
        return self._reach(ONE).depth

    @property
    def batch_depth(self) -> int:
        """Expirations fetched for each company of many, from the event's on."""
        return self._reach(MANY).depth

    @property
    def rows_at_once(self) -> int:
        """Companies of a batch under way at once, where nobody says otherwise."""
        return self._settings.requests.max_concurrent

    @property
    def rates_a_minute(self) -> tuple[int, int]:
        """Requests to Tradier and calls to Alpha Vantage that a minute permits."""
        return self._settings.rates_a_minute

    async def _ground(self, tickers: Sequence[Ticker]) -> Result[Ground]:
        """Of a batch made only now: a scan that reads the stored calendar alone opens no cache."""
        return await self.batch.ground(tickers)

    def _allowance(self) -> Result[Allowance]:
        left = self.providers.calls_left_today
        plentiful, scarce = self.rates_a_minute
        a_day = self._settings.calls_a_day
        return left if isinstance(left, Err) else Ok(Allowance(left.value, a_day, scarce, plentiful))

    def _today(self) -> date:
        return self.as_of.astimezone(NEW_YORK).date()

    def _analyzer(self, reach: Reach) -> Analyzer:
        return Analyzer(
            market=self.providers.market,
            planner=self.planner,
            history=self.history if reach.spends_scarce_calls else self._history(stand_in=False),
            earnings_store=self.earnings_store,
            analyses=self.analyses,
            settings=AnalyzerSettings(
                evaluation=self._settings.evaluation,
                reach=self._reach(reach),
                as_of=self._options.as_of,
                quote_life=timedelta(seconds=self._settings.cache.l2_ttl_s),
                simulated=self._options.simulated,
            ),
            now=self.clock.now,
        )

    def _reach(self, reach: Reach) -> Reach:
        """A command's own reach, with the depth of the settings where they name one."""
        chosen = self._settings.term_structure_depth
        return reach if chosen is None else replace(reach, depth=chosen)
