"""Memory over disk over a loader that counts how often it is asked."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok, Result, err
from ivcrush.infrastructure.cache.hybrid_cache import HybridCache
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from tests.unit.infrastructure.cache.conftest import WallClock

Open = Callable[..., SqliteCache]


def decode(body: bytes) -> Result[tuple[int, ...]]:
    try:
        values = tuple(json.loads(body))
    except ValueError:
        return err(ErrorCode.INVALID, "no JSON list")
    return Ok(values) if values else err(ErrorCode.NODATA, "an empty list")


class Provider:
    """Answers with what it was given last; counts the questions."""

    def __init__(self, answer: Result[bytes] | None = None) -> None:
        self.answer = Ok(b"[1, 2]") if answer is None else answer
        self.asked = 0

    async def __call__(self) -> Result[bytes]:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answer


def hybrid(disk: SqliteCache | None, clock: WallClock, *, enabled: bool = True) -> HybridCache:
    return HybridCache(MemoryCache(timer=clock), disk, memory_ttl_s=30.0, enabled=enabled)


async def ask(cache: HybridCache, provider: Provider, *, ttl_s: float = 300.0, refresh: bool = False) -> object:
    return await cache.get_or_load("key", ttl_s=ttl_s, load=provider, decode=decode, refresh=refresh)


async def test_the_first_question_loads_the_next_30_s_come_from_memory_the_next_5_min_from_disk(
    opened: Open, clock: WallClock
) -> None:
    provider, cache = Provider(), hybrid(opened(), clock)
    for moment_s in (0, 29, 31, 60, 299, 301):
        clock.now_s = 1_778_874_300.0 + moment_s
        assert await ask(cache, provider) == Ok((1, 2))
    stats = cache.stats()
    assert stats.disk is not None
    assert (provider.asked, stats.loads) == (2, 2)
    # 29 s from memory; 31 s promoted; 60 s from memory; 299 s promoted for the last second only; 301 s loaded
    assert (stats.memory.hits, stats.promotions, stats.hits, stats.disk.hits, stats.disk.sets) == (2, 2, 4, 2, 2)


async def test_a_restart_finds_the_reply_on_disk(opened: Open, clock: WallClock) -> None:
    provider = Provider()
    await ask(hybrid(opened(), clock), provider)
    assert await ask(hybrid(opened(), clock), provider) == Ok((1, 2))
    assert provider.asked == 1


async def test_fifty_askers_at_once_are_one_load(opened: Open, clock: WallClock) -> None:
    provider, cache = Provider(), hybrid(opened(), clock)
    answers = await asyncio.gather(*(ask(cache, provider) for _ in range(50)))
    assert answers == [Ok((1, 2))] * 50
    assert provider.asked == 1


async def test_the_first_asker_may_give_up_and_the_others_still_get_their_answer(
    opened: Open, clock: WallClock
) -> None:
    release = asyncio.Event()
    asked = 0

    async def load() -> Result[bytes]:
        nonlocal asked
        asked += 1
        await release.wait()
        return Ok(b"[7]")

    cache = hybrid(opened(), clock)
    tasks = [asyncio.create_task(cache.get_or_load("key", ttl_s=300, load=load, decode=decode)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*tasks[1:]) == [Ok((7,)), Ok((7,))]
    assert (asked, tasks[0].cancelled()) == (1, True)


async def test_a_load_that_nobody_waits_for_any_more_is_stopped_and_the_next_asker_begins_anew(
    opened: Open, clock: WallClock
) -> None:
    stopped = asyncio.Event()

    async def never() -> Result[bytes]:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    cache = hybrid(opened(), clock)
    task = asyncio.create_task(cache.get_or_load("key", ttl_s=300, load=never, decode=decode))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await ask(cache, Provider()) == Ok((1, 2))
    assert stopped.is_set()


async def test_a_defect_in_a_load_reaches_every_asker_and_is_not_kept(opened: Open, clock: WallClock) -> None:
    async def broken() -> Result[bytes]:
        raise ZeroDivisionError

    cache = hybrid(opened(), clock)
    questions = [cache.get_or_load("key", ttl_s=300, load=broken, decode=decode) for _ in range(2)]
    answers = await asyncio.gather(*questions, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ZeroDivisionError, ZeroDivisionError]
    assert await ask(cache, Provider()) == Ok((1, 2))


@pytest.mark.parametrize("answer", [err(ErrorCode.RATELIMIT, "too fast"), Ok(b"<html>")])
async def test_a_refusal_and_a_garbled_reply_are_never_kept(
    opened: Open, clock: WallClock, answer: Result[bytes]
) -> None:
    provider, disk = Provider(answer), opened()
    cache = hybrid(disk, clock)
    assert isinstance(await ask(cache, provider), Err)
    assert disk.stats().entries == 0
    provider.answer = Ok(b"[3]")
    assert await ask(cache, provider) == Ok((3,))


async def test_that_there_is_none_is_kept_on_both_levels_for_the_shorter_of_both_lives(
    opened: Open, clock: WallClock
) -> None:
    provider, disk = Provider(Ok(b"[]")), opened()
    cache = hybrid(disk, clock)

    async def none() -> Result[tuple[int, ...]]:
        return await cache.get_or_load("key", ttl_s=300.0, nodata_ttl_s=100.0, load=provider, decode=decode)

    for moment_s in (0, 29, 31, 99):  # loaded, from memory, promoted, promoted
        clock.now_s = 1_778_874_300.0 + moment_s
        assert await none() == err(ErrorCode.NODATA, "an empty list")
    assert (provider.asked, cache.stats().undecodable, cache.stats().hits) == (1, 0, 3)
    clock.now_s = 1_778_874_400.0
    provider.answer = Ok(b"[5]")
    assert await none() == Ok((5,))
    clock.now_s += 299
    assert await none() == Ok((5,))
    assert provider.asked == 2


async def test_a_restart_finds_on_disk_that_there_is_none_and_a_refresh_asks_again(
    opened: Open, clock: WallClock
) -> None:
    provider = Provider(Ok(b"[]"))
    await ask(hybrid(opened(), clock), provider)
    assert await ask(hybrid(opened(), clock), provider) == err(ErrorCode.NODATA, "an empty list")
    assert provider.asked == 1
    provider.answer = Ok(b"[4]")
    assert await ask(hybrid(opened(), clock), provider, refresh=True) == Ok((4,))


async def test_a_provider_that_refuses_with_nodata_is_not_kept(opened: Open, clock: WallClock) -> None:
    provider, disk = Provider(err(ErrorCode.NODATA, "no such symbol")), opened()
    cache = hybrid(disk, clock)
    assert [await ask(cache, provider), await ask(cache, provider)] == [provider.answer] * 2
    assert (provider.asked, disk.stats().entries) == (2, 0)


async def test_a_row_on_disk_that_does_not_decode_is_dropped_counted_and_loaded_again(
    opened: Open, clock: WallClock
) -> None:
    disk = opened()
    disk.set("key", b"sound bytes of an older dialect", 300.0)
    provider, cache = Provider(), hybrid(disk, clock)
    assert await ask(cache, provider) == Ok((1, 2))
    assert (provider.asked, cache.stats().undecodable, cache.stats().promotions) == (1, 1, 0)
    assert await ask(hybrid(disk, clock), provider) == Ok((1, 2))
    assert provider.asked == 1


async def test_a_refresh_asks_again_and_keeps_what_came(opened: Open, clock: WallClock) -> None:
    provider, cache = Provider(), hybrid(opened(), clock)
    await ask(cache, provider)
    provider.answer = Ok(b"[9]")
    assert await ask(cache, provider, refresh=True) == Ok((9,))
    assert await ask(cache, provider) == Ok((9,))
    assert provider.asked == 2


async def test_a_cache_switched_off_passes_every_question_through(opened: Open, clock: WallClock) -> None:
    provider, disk = Provider(), opened()
    cache = hybrid(disk, clock, enabled=False)
    assert [await ask(cache, provider), await ask(cache, provider)] == [Ok((1, 2))] * 2
    provider.answer = err(ErrorCode.TIMEOUT, "late")
    assert await ask(cache, provider) == provider.answer
    assert (provider.asked, cache.stats().loads, disk.stats().entries) == (3, 3, 0)


async def test_without_a_disk_memory_alone_answers(clock: WallClock) -> None:
    provider, cache = Provider(), hybrid(None, clock)
    assert [await ask(cache, provider), await ask(cache, provider)] == [Ok((1, 2))] * 2
    assert (provider.asked, cache.stats().disk) == (1, None)
    cache.close()


async def test_a_life_shorter_than_memorys_bounds_memory_too_and_none_is_not_kept(
    opened: Open, clock: WallClock
) -> None:
    provider, cache = Provider(), hybrid(opened(), clock)
    await ask(cache, provider, ttl_s=5.0)
    clock.now_s += 5
    await ask(cache, provider, ttl_s=0.0)
    await ask(cache, provider)
    assert provider.asked == 3


def test_a_damaged_cache_file_costs_a_load_and_nothing_else(cache_path: Path, opened: Open, clock: WallClock) -> None:
    cache_path.write_bytes(b"not a database, not at all" * 100)
    provider, cache = Provider(), hybrid(opened(), clock)
    assert asyncio.run(ask(cache, provider)) == Ok((1, 2))
    stats = cache.stats().disk
    assert stats is not None
    assert stats.rebuilds == 1
