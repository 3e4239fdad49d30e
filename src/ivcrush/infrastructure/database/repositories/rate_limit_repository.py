"""The day's calls to a provider, counted in the database so that the count holds across processes and restarts.

No provider publishes when its day begins: a rolling 24 hours are counted, by the minute and rounded up, and the
provider's own refusal closes the door until midnight in New York, or until the setting permits more calls than it did
then: a larger plan is another day. Beside the minutes, under names of their own, stand the limit at such a refusal and
a refusal of the key. It never waits and never makes a call.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.domain.health import QuotaState
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.infrastructure.database.connection import Database, Row, select
from ivcrush.infrastructure.database.moments import parse_utc_text, utc_text

_DAY: Final = timedelta(hours=24)
_MINUTE: Final = timedelta(minutes=1)

_TAKE = """INSERT INTO rate_limits (provider, minute, used) VALUES (?, ?, 1)
    ON CONFLICT (provider, minute) DO UPDATE SET used = used + 1"""
_REFUSE = """INSERT INTO rate_limits (provider, minute, used, refused_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (provider, minute) DO UPDATE SET refused_at = excluded.refused_at, used = max(used, excluded.used)"""
# A minute counts until it lies wholly outside the day. One from further ahead than a day was written by a wrong clock.
# The limit at a refusal stands in a row of the same minute; versions before this one wrote none.
_COUNTED = """SELECT minute, used, refused_at,
        (SELECT used FROM rate_limits AS noted
         WHERE noted.provider = counted.provider || ' limit' AND noted.minute = counted.minute)
    FROM rate_limits AS counted WHERE provider = ? AND minute > ? AND minute < ? ORDER BY minute"""
_FORGET = "DELETE FROM rate_limits WHERE provider = ? AND NOT (minute > ? AND minute < ?)"
_KEY_REFUSED = "SELECT max(refused_at) FROM rate_limits WHERE provider = ?"
_FORGET_ALL = "DELETE FROM rate_limits WHERE provider = ?"


@dataclass(frozen=True, slots=True)
class _Minute:
    start: datetime
    used: int
    refused_at: datetime | None
    limit_then: int | None


class DailyQuota:
    """Calls of the last 24 hours by provider."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, provider: str, limit: int, now: datetime) -> Result[int]:
        """Count one call, if one is left; the calls left after it.

        Errors: QUOTA with the moment of the next free call (context `free_at`), DBERROR.
        """

        def count(connection: sqlite3.Connection) -> Result[int]:
            window = _window(provider, now)
            minutes = select(connection, _COUNTED, window, _parse_minute)
            closed = _closed(provider, limit, minutes, now)
            if closed is not None:
                return closed
            connection.execute(_TAKE, (provider, _minute_text(now)))
            for name, *bounds in (window, (_limit_of(provider), *window[1:])):
                connection.execute(_FORGET, (name, *bounds))
            return Ok(_left(limit, minutes) - 1)

        taken = self._database.write(count)
        return taken if isinstance(taken, Err) else taken.value

    def exhausted(self, provider: str, limit: int, now: datetime) -> Result[None]:
        """Note the provider's own refusal: no call is given before the next midnight in New York.

        A limit above that one opens the door again. Errors: DBERROR.
        """

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(_REFUSE, (provider, _minute_text(now), 0, utc_text(now)))
            connection.execute(_REFUSE, (_limit_of(provider), _minute_text(now), limit, None))

        return self._database.write(note)

    def key_refused(self, provider: str, now: datetime) -> Result[None]:
        """Note that the provider refused the key; nothing of the key is kept. Errors: DBERROR."""

        def note(connection: sqlite3.Connection) -> None:
            connection.execute(_FORGET_ALL, (_key_of(provider),))
            connection.execute(_REFUSE, (_key_of(provider), _minute_text(now), 0, utc_text(now)))

        return self._database.write(note)

    def key_accepted(self, provider: str) -> Result[None]:
        """Forget such a refusal: an answer has come. Errors: DBERROR."""

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute(_FORGET_ALL, (_key_of(provider),))

        return self._database.write(forget)

    def remaining(self, provider: str, limit: int, now: datetime) -> Result[int]:
        """The calls left now, 0 after a refusal. Errors: DBERROR."""
        found = self.state(provider, limit, now)
        return found if isinstance(found, Err) else Ok(found.value.left)

    def state(self, provider: str, limit: int, now: datetime) -> Result[QuotaState]:
        """The calls left now and, where none is, when the next is free. Errors: DBERROR."""
        found = self._database.rows(_COUNTED, _window(provider, now), _parse_minute)
        if isinstance(found, Err):
            return found
        refusals = self._database.rows(_KEY_REFUSED, (_key_of(provider),), lambda row: _moment(row[0]))
        if isinstance(refusals, Err):
            return refusals
        minutes = found.value
        closed = _closed(provider, limit, minutes, now)
        free_at = None if closed is None else closed.error.about("free_at")
        return Ok(
            QuotaState(
                left=_left(limit, minutes) if free_at is None else 0,
                limit=limit,
                next_at=None if free_at is None else parse_utc_text(free_at),
                used=_used(minutes),
                refused_at=max((each for each, _ in _refusals(minutes)), default=None),
                key_refused_at=refusals.value[0],
            )
        )


class ProviderAllowance:
    """One provider's daily calls, as a transport asks for them; `now` is the real clock."""

    def __init__(self, quota: DailyQuota, provider: str, limit: int, now: Callable[[], datetime]) -> None:
        self._quota = quota
        self._provider = provider
        self._limit = limit
        self._now = now
        self._key_accepted = False

    def spend(self) -> Result[None]:
        """Count one call about to be made. Errors: QUOTA where none is left, DBERROR."""
        taken = self._quota.take(self._provider, self._limit, self._now())
        return taken if isinstance(taken, Err) else Ok(None)

    def exhausted(self) -> None:
        """Note the provider's refusal; where that cannot be kept, the next call meets the refusal again."""
        self._quota.exhausted(self._provider, self._limit, self._now())

    def key_refused(self) -> None:
        """Note it for the health check; where that cannot be kept, the next call meets it again."""
        self._key_accepted = False
        self._quota.key_refused(self._provider, self._now())

    def answered(self) -> None:
        """The key is good: once a process, whatever was noted of it is forgotten."""
        if not self._key_accepted:
            self._key_accepted = isinstance(self._quota.key_accepted(self._provider), Ok)


def _limit_of(provider: str) -> str:
    return f"{provider} limit"


def _key_of(provider: str) -> str:
    return f"{provider} key"


def _window(provider: str, now: datetime) -> tuple[str, str, str]:
    return provider, utc_text(now - _DAY - _MINUTE), utc_text(now + _DAY)


def _minute_text(now: datetime) -> str:
    return utc_text(now.replace(second=0, microsecond=0))


def _parse_minute(row: Row) -> _Minute:
    minute, used, refused_at, limit_then = row
    return _Minute(parse_utc_text(minute), used, _moment(refused_at), limit_then)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_utc_text(text)


def _used(minutes: Sequence[_Minute]) -> int:
    return sum(minute.used for minute in minutes)


def _left(limit: int, minutes: Sequence[_Minute]) -> int:
    return max(0, limit - _used(minutes))


def _refusals(minutes: Sequence[_Minute]) -> list[tuple[datetime, int | None]]:
    """The provider's refusals, each with the limit of that time."""
    return [(minute.refused_at, minute.limit_then) for minute in minutes if minute.refused_at is not None]


def _closed(provider: str, limit: int, minutes: Sequence[_Minute], now: datetime) -> Err | None:
    """Why no call is left, or None."""
    standing = (refusal for refusal, limit_then in _refusals(minutes) if limit_then is None or limit <= limit_then)
    reopens_at = max(map(_next_midnight, standing), default=now)
    if reopens_at > now:
        return _spent(f"{provider}: the provider says that the day's calls are spent", reopens_at)
    if _left(limit, minutes) > 0:
        return None
    return _spent(
        f"{provider}: {limit} of {limit} calls of the last 24 hours are spent", _frees_at(limit, minutes, now)
    )


def _next_midnight(moment: datetime) -> datetime:
    local = moment.astimezone(NEW_YORK)
    return datetime.combine(local.date() + timedelta(1), datetime.min.time(), NEW_YORK)


def _frees_at(limit: int, minutes: Sequence[_Minute], now: datetime) -> datetime:
    """When enough of the oldest minutes have left the day for one call."""
    used = _used(minutes)
    for minute in minutes:
        used -= minute.used
        if used < limit:
            return minute.start + _MINUTE + _DAY
    return now + _DAY  # a limit of 0


def _spent(what: str, free_at: datetime) -> Err:
    shown = free_at.astimezone(NEW_YORK).isoformat(timespec="minutes")
    return err(ErrorCode.QUOTA, f"{what}; next at {shown}", free_at=utc_text(free_at))
