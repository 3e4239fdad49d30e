"""Memory over disk over the provider: one answer a key, however many ask, and nothing kept that did not decode.

Level 1 holds what was decoded, level 2 the raw bytes it was decoded from; a row promoted from disk is decoded again,
and dropped and loaded anew where that fails. "There is none" (NODATA) in a sound reply is an answer and is kept like
one; what a provider refuses or garbles is never stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar, cast

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.cache.statistics import HybridStats

T = TypeVar("T")


@dataclass(slots=True)
class _Flight:
    """One load under way, and how many wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


class HybridCache:
    """`memory_ttl_s` bounds a value's life in memory; it never outlives its row on disk.

    `disk` None keeps nothing across runs. `enabled` False passes every question through, unshared.
    """

    def __init__(
        self, memory: MemoryCache[object], disk: SqliteCache | None, *, memory_ttl_s: float = 30.0, enabled: bool = True
    ) -> None:
        self._memory = memory
        self._disk = disk
        self._memory_ttl_s = memory_ttl_s
        self._enabled = enabled
        self._flights: dict[str, _Flight] = {}
        self._promotions = self._undecodable = self._loads = 0

    async def get_or_load(
        self,
        key: str,
        *,
        ttl_s: float,
        load: Callable[[], Awaitable[Result[bytes]]],
        decode: Callable[[bytes], Result[T]],
        nodata_ttl_s: float = inf,
        refresh: bool = False,
        aged: Callable[[T, float], T] | None = None,
    ) -> Result[T]:
        """The value of a key: kept, or loaded once for all who ask at the same time, for `ttl_s` seconds.

        A key has one `decode` for ever; its values must be immutable. Where it answers NODATA, that is kept, for
        `nodata_ttl_s` at most. `refresh` passes over what is kept and keeps what comes.
        `aged` is for a value that bears the moment of its reply: it makes, of one that was decoded just now, one of so
        many seconds ago.
        Errors: those of `load`, never kept, and of `decode`, NODATA alone being kept.
        """
        if not self._enabled:
            self._loads += 1
            body = await load()
            return body if isinstance(body, Err) else decode(body.value)
        if not refresh:
            kept = self._kept(key, decode, aged)
            if kept is not None:
                return kept
        return await self._joined(key, lambda: self._load_and_keep(key, ttl_s, nodata_ttl_s, load, decode))

    def stats(self) -> HybridStats:
        """What both levels counted since the start."""
        disk = None if self._disk is None else self._disk.stats()
        return HybridStats(self._memory.stats(), disk, self._promotions, self._undecodable, self._loads)

    def close(self) -> None:
        """Close the file of level 2."""
        if self._disk is not None:
            self._disk.close()

    def _kept(
        self, key: str, decode: Callable[[bytes], Result[T]], aged: Callable[[T, float], T] | None
    ) -> Result[T] | None:
        answer = self._memory.get(key)
        if answer is not None:
            return cast(Result[T], answer)  # what this key's `decode` made
        reply = None if self._disk is None else self._disk.get(key)
        if self._disk is None or reply is None:
            return None
        decoded = decode(reply.payload)
        if not _is_answer(decoded):
            self._undecodable += 1
            self._disk.drop(key)
            return None
        if aged is not None and isinstance(decoded, Ok):
            decoded = Ok(aged(decoded.value, reply.age_s))
        self._promotions += 1
        self._memory.set(key, decoded, min(self._memory_ttl_s, reply.remaining_s))
        return decoded

    async def _joined(self, key: str, start: Callable[[], Awaitable[Result[T]]]) -> Result[T]:
        """Wait for the key's load, begun by whoever came first. It goes on while anyone waits, and only then."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.ensure_future(start()))
        flight.waiting += 1
        try:
            return cast(Result[T], await asyncio.shield(flight.task))
        finally:
            flight.waiting -= 1
            if flight.task.done() or flight.waiting == 0:
                flight.task.cancel()  # does nothing to one that is done
                if self._flights.get(key) is flight:
                    del self._flights[key]

    async def _load_and_keep(
        self,
        key: str,
        ttl_s: float,
        nodata_ttl_s: float,
        load: Callable[[], Awaitable[Result[bytes]]],
        decode: Callable[[bytes], Result[T]],
    ) -> Result[T]:
        self._loads += 1
        body = await load()
        if isinstance(body, Err):
            return body
        decoded = decode(body.value)
        if _is_answer(decoded):
            life_s = ttl_s if isinstance(decoded, Ok) else min(ttl_s, nodata_ttl_s)
            if self._disk is not None:
                self._disk.set(key, body.value, life_s)
            self._memory.set(key, decoded, min(self._memory_ttl_s, life_s))
        return decoded


def _is_answer(decoded: Result[object]) -> bool:
    return isinstance(decoded, Ok) or decoded.error.code is ErrorCode.NODATA
