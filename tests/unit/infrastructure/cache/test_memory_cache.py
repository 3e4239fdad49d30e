"""Level 1 on a clock that the test moves."""

import threading

from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.statistics import MemoryStats


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_value_lives_exactly_as_long_as_it_was_given() -> None:
    clock = Clock()
    cache: MemoryCache[str] = MemoryCache(timer=clock)
    cache.set("short", "a", 10.0)
    cache.set("long", "b", 30.0)
    clock.now_s += 9.999
    assert (cache.get("short"), cache.get("long")) == ("a", "b")
    clock.now_s += 0.001
    assert (cache.get("short"), cache.get("long")) == (None, "b")
    assert cache.stats() == MemoryStats(hits=3, misses=1, sets=2, evictions=0, expirations=1, entries=1)


def test_the_least_recently_used_value_leaves_first() -> None:
    cache: MemoryCache[int] = MemoryCache(max_entries=3, timer=Clock())
    for number, key in enumerate("abc"):
        cache.set(key, number, 30.0)
    cache.get("a")
    cache.set("d", 3, 30.0)
    assert [cache.get(key) for key in "abcd"] == [0, None, 2, 3]
    assert cache.stats().evictions == 1


def test_a_thousand_values_are_kept_and_one_more_costs_one() -> None:
    cache: MemoryCache[int] = MemoryCache(timer=Clock())
    for number in range(1001):
        cache.set(str(number), number, 30.0)
    assert (cache.get("0"), cache.get("1"), cache.stats().entries) == (None, 1, 1000)


def test_setting_again_renews_the_life_and_a_life_of_nothing_forgets() -> None:
    clock = Clock()
    cache: MemoryCache[str] = MemoryCache(timer=clock)
    cache.set("k", "old", 10.0)
    clock.now_s += 9
    cache.set("k", "new", 10.0)
    clock.now_s += 9
    assert cache.get("k") == "new"
    cache.set("k", "newest", 0.0)
    assert cache.get("k") is None


def test_eight_threads_lose_no_count() -> None:
    cache: MemoryCache[int] = MemoryCache(max_entries=10)

    def work() -> None:
        for number in range(500):
            cache.set(str(number % 20), number, 30.0)
            cache.get(str(number % 20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert (stats.sets, stats.hits + stats.misses, stats.entries) == (4000, 4000, 10)
