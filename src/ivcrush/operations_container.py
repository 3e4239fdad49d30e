"""The parts of the operating commands, introduced to one another. A sibling of the container that reaches no provider.

Nothing is opened before it is asked for: these commands meet a database that may be missing, damaged, old or in use,
and only one of them may make or migrate it. `stop` may be called from another thread; what is under way then gives up
and leaves nothing half done.
"""

import os
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ivcrush.at_rest import AtRest
from ivcrush.config.settings import AppSettings
from ivcrush.domain.errors import Err, Ok, Result
from ivcrush.domain.health import QuotaState
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.operations import CacheCleaning, CacheFacts, CacheState, DatabaseFacts, RunRecord
from ivcrush.infrastructure.cache.maintenance import clean_cache, clear_cache, count_replies
from ivcrush.infrastructure.database.backup import Restored, back_up, restore
from ivcrush.infrastructure.database.examination import examine_database, require_sound
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.analysis_repository import AnalysisRepository
from ivcrush.infrastructure.database.repositories.earnings_repository import EarningsRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository
from ivcrush.infrastructure.database.repositories.runs_repository import RunsRepository
from ivcrush.infrastructure.run_lock import RunLock
from ivcrush.utils.timezone import Clock

if TYPE_CHECKING:
    from ivcrush.domain.score import Score, ScoreQuestion


class OperationsContainer:
    """Database, cache, quota, runs and kept analyses, as they stand."""

    def __init__(self, settings: AppSettings, clock: Clock) -> None:
        self.clock = clock
        self._settings = settings
        self._stopped = threading.Event()
        self._at_rest = AtRest(settings, clock, self._stopped.is_set)

    def stop(self) -> None:
        """Let what is under way give up."""
        self._stopped.set()

    @property
    def as_of(self) -> datetime:
        """The moment of the question, New York time."""
        return self.clock.now().astimezone(NEW_YORK)

    @property
    def database_path(self) -> Path:
        """Where the database is, or will be."""
        return self._settings.storage.path

    @property
    def cache_path(self) -> Path:
        """Where level 2 of the cache is, or will be."""
        return self._settings.cache.path

    @property
    def memory_cache_life_s(self) -> float:
        """How long a run keeps a reply in its memory."""
        return self._settings.cache.l1_ttl_s

    @property
    def rates_a_minute(self) -> tuple[int, int]:
        """Requests to Tradier and calls to Alpha Vantage that a minute permits."""
        return self._settings.rates_a_minute

    def run_lock(self) -> RunLock:
        """The lock of long runs on this database."""
        return self._at_rest.run_lock()

    def run_holder(self) -> Result[str | None]:
        """Who holds the run lock now, None for nobody. Errors: DBERROR."""
        return self._at_rest.run_holder()

    def init_database(self) -> Result[tuple[DatabaseFacts | None, DatabaseFacts]]:
        """Make or migrate the database; its facts before (None: there was none) and after. Errors: DBERROR, CONFIG."""
        before: DatabaseFacts | None = None
        if os.path.lexists(self.database_path):
            found = self.examine_database()
            if isinstance(found, Err):
                return found
            before = found.value
        opened = init_database(self.database_path, busy_timeout_s=self._settings.storage.timeout_s)
        if isinstance(opened, Err):
            return opened
        opened.value.close()
        after = self.examine_database()
        return after if isinstance(after, Err) else Ok((before, after.value))

    def examine_database(self) -> Result[DatabaseFacts]:
        """Everything about the database. Errors: DBERROR, CONFIG."""
        return examine_database(self.database_path, interrupted=self._stopped.is_set)

    def back_up(self, target: Path) -> Result[DatabaseFacts]:
        """A sound copy under a new name. Errors: DBERROR, CONFIG."""
        return back_up(self.database_path, target, interrupted=self._stopped.is_set)

    def verify_backup(self, backup: Path) -> Result[DatabaseFacts]:
        """What a file holds from which the database could be restored. Errors: DBERROR, CONFIG for a newer schema."""
        return require_sound(backup, interrupted=self._stopped.is_set)

    def restore(self, backup: Path) -> Result[Restored]:
        """The backup in the database's place, the former database beside it. Errors: DBERROR."""
        return restore(
            backup,
            self.database_path,
            suffix=f".before-restore-{self.clock.now():%Y%m%dT%H%M%S.%fZ}",
            busy_timeout_s=self._settings.storage.timeout_s,
            interrupted=self._stopped.is_set,
        )

    def count_replies(self) -> Result[CacheFacts]:
        """What level 2 of the cache holds. Errors: DBERROR."""
        counted = count_replies(self.cache_path, self.clock.now())
        if isinstance(counted, Err) or self._settings.cache.enabled:
            return counted
        return Ok(CacheFacts(CacheState.SWITCHED_OFF, counted.value.file_bytes, counted.value.kinds))

    def clear_cache(self) -> Result[CacheCleaning]:
        """Empty level 2. Errors: DBERROR."""
        return clear_cache(self.cache_path, interrupted=self._stopped.is_set)

    def clean_cache(self) -> Result[CacheCleaning]:
        """Drop what has expired from level 2. Errors: DBERROR."""
        return clean_cache(self.cache_path, self.clock.now(), interrupted=self._stopped.is_set)

    def quota(self) -> Result[QuotaState]:
        """The calls of Alpha Vantage's day. Errors: DBERROR."""
        return self._at_rest.quota()

    def last_runs(self, limit: int) -> Result[tuple[RunRecord, ...]]:
        """The last runs over many companies. Errors: DBERROR."""
        return self._at_rest.read(lambda database: RunsRepository(database).last(limit))

    def score(self, question: "ScoreQuestion", now: datetime) -> "Result[Score]":
        """Kept analyses against the moves measured by that moment. Errors: DBERROR."""
        from ivcrush.application.services.scoring import Scoring  # knows parts that no other command loads

        return self._at_rest.read(
            lambda database: Scoring(
                AnalysisRepository(database), PricesRepository(database), EarningsRepository(database)
            ).score(question, now)
        )
