"""The database as it lies there, for those who look at it without a run: one question, and it is closed again.

It may be missing, damaged, old or in use; nothing is made, migrated or repaired.
"""

from collections.abc import Callable
from typing import TypeVar

from ivcrush.config.settings import AppSettings, Provider
from ivcrush.domain.errors import Err, Result
from ivcrush.domain.health import QuotaState
from ivcrush.infrastructure.database.connection import Database, Interrupted
from ivcrush.infrastructure.database.inspection import open_for_reading
from ivcrush.infrastructure.database.repositories.rate_limit_repository import DailyQuota
from ivcrush.infrastructure.run_lock import RunLock
from ivcrush.utils.timezone import Clock

T = TypeVar("T")


class AtRest:
    """Asked by health checks and operations alike."""

    def __init__(self, settings: AppSettings, clock: Clock, interrupted: Interrupted | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._interrupted = interrupted

    def run_lock(self) -> RunLock:
        """The lock of long runs on this database."""
        return RunLock.beside(self._settings.storage.path)

    def run_holder(self) -> Result[str | None]:
        """Who holds that lock now, None for nobody. Errors: DBERROR."""
        return self.run_lock().holder()

    def quota(self) -> Result[QuotaState]:
        """The calls of Alpha Vantage's day. Errors: DBERROR, CONFIG."""
        allowed, now = self._settings.calls_a_day, self._clock.now()
        return self.read(lambda database: DailyQuota(database).state(Provider.ALPHA_VANTAGE, allowed, now))

    def read(self, ask: Callable[[Database], Result[T]]) -> Result[T]:
        """What a database of the current schema answers. Errors: those of `ask`; DBERROR, CONFIG for another file.

        Raises sqlite3.OperationalError once `interrupted` says so.
        """
        opened = open_for_reading(self._settings.storage.path, self._interrupted)
        if isinstance(opened, Err):
            return opened
        try:
            return ask(opened.value)
        finally:
            opened.value.close()
