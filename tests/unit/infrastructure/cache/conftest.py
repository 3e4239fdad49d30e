"""A wall clock that tests move, and a cache file on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache


class WallClock:
    """Epoch seconds; 2026-05-15 15:45 New York to begin with."""

    def __init__(self) -> None:
        self.now_s = 1_778_874_300.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def cache_path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def opened(cache_path: Path, clock: WallClock) -> Iterator[Callable[..., SqliteCache]]:
    """Opens caches on the one file; they are closed at the end."""
    caches: list[SqliteCache] = []

    def open_one(**options: int) -> SqliteCache:
        caches.append(SqliteCache(cache_path, busy_timeout_s=0.05, clock=clock, **options))
        return caches[-1]

    yield open_one
    for cache in caches:
        cache.close()
