"""Time at the border: the one clock of the program, and how people write moments and market dates.

Moments are kept in UTC or New York time and always aware; a bare date is a New York market date. Everything that
needs the time is given a `Clock`; nobody else asks the machine.
"""

import asyncio
import re
import time
from datetime import UTC, date, datetime
from typing import Protocol

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.market_calendar import CLOSE_TIME, NEW_YORK
from ivcrush.utils.text import printable

# Digits and letters of ASCII only: Python itself would take full-width and Arabic ones.
_DATE = re.compile(r"(19[7-9][0-9]|20[0-9]{2})-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DATE.pattern + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?")


class Clock(Protocol):
    """What time it is, how much of it passes, and waiting until it has."""

    def now(self) -> datetime:
        """The moment by the wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so long: for a provider's permission, or for what failed to pass."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    def now(self) -> datetime:
        """The moment by the wall clock, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine started or so."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait so long; others of this process go on meanwhile."""
        await asyncio.sleep(seconds)


def parse_date(text: str) -> Result[date]:
    """A market date, `YYYY-MM-DD` in ASCII, 1970 to 2099. Errors: INVALID."""
    if _DATE.fullmatch(text) is not None:
        try:
            return Ok(date.fromisoformat(text))
        except ValueError:
            pass  # 2026-02-30
    return err(ErrorCode.INVALID, f"date {printable(text, 40)!r}: a calendar day as YYYY-MM-DD is needed")


def parse_as_of(text: str) -> Result[datetime]:
    """A moment in New York time: ISO 8601, without an offset New York's, a bare date its regular close (16:00).

    Errors: INVALID for anything else.
    """
    if _MOMENT.fullmatch(text) is not None:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return _no_moment(text)
        return Ok(moment.replace(tzinfo=NEW_YORK) if moment.tzinfo is None else moment.astimezone(NEW_YORK))
    day = parse_date(text)
    return _no_moment(text) if isinstance(day, Err) else Ok(datetime.combine(day.value, CLOSE_TIME, NEW_YORK))


def _no_moment(text: str) -> Err:
    need = "YYYY-MM-DD or YYYY-MM-DDTHH:MM[:SS][offset] is needed (2026-05-15T15:45:00-04:00)"
    return err(ErrorCode.INVALID, f"moment {printable(text, 40)!r}: {need}")
