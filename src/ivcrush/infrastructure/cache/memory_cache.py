"""Level 1: decoded values in this process, least recently used out first, each with its own time to live.

Thread-safe. Time is the monotonic timer it is given; values are handed out as they are, so they must be immutable.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TLRUCache

from ivcrush.infrastructure.cache.statistics import MemoryStats

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V
    ttl_s: float


class _CountingCache(TLRUCache[str, _Entry[V]]):
    """Counts what leaves, by reason."""

    evictions = 0
    expirations = 0

    def popitem(self) -> tuple[str, _Entry[V]]:
        self.evictions += 1
        return super().popitem()

    def expire(self, time: float | None = None) -> list[tuple[str, _Entry[V]]]:
        gone = list(super().expire(time))
        self.expirations += len(gone)
        return gone


class MemoryCache(Generic[V]):
    """At most `max_entries` values; `timer` counts seconds and never goes back."""

    def __init__(self, max_entries: int = 1000, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries: _CountingCache[V] = _CountingCache(max_entries, lambda _, entry, now: now + entry.ttl_s, timer)
        self._lock = threading.Lock()
        self._hits = self._misses = self._sets = 0

    def get(self, key: str) -> V | None:
        """The value, or None where there is none or its time is over."""
        with self._lock:
            try:
                entry = self._entries[key]
            except KeyError:
                self._misses += 1
                return None
            self._hits += 1
            return entry.value

    def set(self, key: str, value: V, ttl_s: float) -> None:
        """Keep a value for that many seconds; 0 or less forgets the key."""
        with self._lock:
            self._entries[key] = _Entry(value, ttl_s)
            self._sets += 1

    def stats(self) -> MemoryStats:
        """The counts since the start, and how many values live now."""
        with self._lock:
            living = len(self._entries)  # lets the dead ones go, so that they are counted below
            return MemoryStats(
                self._hits, self._misses, self._sets, self._entries.evictions, self._entries.expirations, living
            )
