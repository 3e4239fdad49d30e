"""Everybody's coming reports, asked for once a New York day, whichever process asks and whatever a cache still keeps.

The database says when that was last done. It never asks for one company: that is `request_planner`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from ivcrush.application.services.request_planner import CALENDAR_SOURCE
from ivcrush.domain.errors import AppError, Err, Ok, Result
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.protocols import EarningsData, EarningsStore
from ivcrush.domain.types import CalendarListing

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownCalendar:
    """The stored calendar of everybody; `not_refreshed` is why it is not today's, None where it is."""

    listing: CalendarListing
    not_refreshed: AppError | None = None


class CalendarRefresh:
    """Keeps the stored calendar of everybody up to date; `now` is the real clock, `force` asks once more today."""

    def __init__(
        self, provider: EarningsData, store: EarningsStore, *, now: Callable[[], datetime], force: bool = False
    ) -> None:
        self._provider = provider
        self._store = store
        self._now = now
        self._force = force

    async def refresh(self) -> Result[CalendarListing]:
        """Today's calendar: as it is stored, else asked for by one call and kept. Errors: the provider's, DBERROR."""
        kept = self.todays()
        if isinstance(kept, Err):
            return kept
        if kept.value is not None:
            return Ok(kept.value)
        now = self._now()
        told = await self._provider.scheduled_reports(None)
        if isinstance(told, Err):
            return told
        standing = self._store.save_calendar(told.value, now, source=CALENDAR_SOURCE)
        if isinstance(standing, Err):
            return standing
        if standing.value > 0:
            _log.warning(
                "the calendar of %d reports is incomplete: %d expected ones are missing from it and were kept",
                len(told.value),
                standing.value,
            )
        kept = self._store.last_calendar(CALENDAR_SOURCE)
        if isinstance(kept, Err):
            return kept
        assert kept.value is not None, "it was kept just now"
        return Ok(kept.value)

    def todays(self) -> Result[CalendarListing | None]:
        """Today's calendar where it is kept and a refresh costs no call, else None. Errors: DBERROR."""
        last = self._store.last_calendar(CALENDAR_SOURCE)
        if isinstance(last, Err) or last.value is None or self._force:
            return last if isinstance(last, Err) else Ok(None)
        return Ok(last.value if _day(last.value.refreshed_at) == _day(self._now()) else None)

    def calls(self) -> Result[int]:
        """Calls that a refresh costs now, none or one. Errors: DBERROR."""
        today = self.todays()
        return today if isinstance(today, Err) else Ok(int(today.value is None))

    async def at_hand(self) -> Result[KnownCalendar]:
        """Today's calendar, else the last one that was kept and the reason. Errors: that reason where none was."""
        today = await self.refresh()
        if isinstance(today, Ok):
            return Ok(KnownCalendar(today.value))
        last = self._store.last_calendar(CALENDAR_SOURCE)
        if isinstance(last, Err) or last.value is None:
            return today
        _log.warning("the calendar of %s is used: %s", _day(last.value.refreshed_at), today.error)
        return Ok(KnownCalendar(last.value, not_refreshed=today.error))


def _day(moment: datetime) -> date:
    return moment.astimezone(NEW_YORK).date()
