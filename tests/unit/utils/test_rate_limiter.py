"""What the limiter promises, held against a provider that counts by aligned windows and refuses what is too much."""

import asyncio
import heapq
import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from ivcrush.utils.rate_limiter import RateLimiter, Slot, Window, epoch_seconds

START = 1_750_000_000.0


class FakeTime:
    """A clock that stands still while anybody can run, and then jumps to the next sleeper."""

    def __init__(self, now: float = 5000.0) -> None:
        self.now = now
        self.origin = now
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._number = 0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return START + self.now - self.origin

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.Event()
        self._number += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._number, wake))
        await wake.wait()

    async def run(self, *work: asyncio.Task[None]) -> None:
        while not all(task.done() for task in work):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers and not all(task.done() for task in work):
                moment, _, wake = heapq.heappop(self._sleepers)
                self.now = max(self.now, moment)
                wake.set()
        await asyncio.gather(*work)


@dataclass
class Provider:
    """Counts by clock-aligned windows on its own clock, which is `skew_s` ahead of ours."""

    time: FakeTime
    limit: int
    period_s: float = 60.0
    latency_s: float = 0.1
    skew_s: float = 0.0
    headers: bool = True
    jitter: random.Random | None = None
    refused: int = 0
    refused_others: int = 0
    used: dict[float, int] = field(default_factory=dict)
    arrivals: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.time.wall() + self.skew_s

    def take(self, *, foreign: bool = False) -> tuple[int, int, float, float]:
        window = self.clock() // self.period_s
        self.used[window] = self.used.get(window, 0) + 1
        self.refused += self.used[window] > self.limit
        self.refused_others += foreign and self.used[window] > self.limit
        self.arrivals.append(self.time.now)
        left = max(0, self.limit - self.used[window])
        return self.limit, left, (window + 1) * self.period_s * 1000, float(int(self.clock()))

    def travel_s(self) -> float:
        """Half of the latency; with jitter up to three times as much, so that requests and replies overtake."""
        return self.latency_s / 2 * (1.0 if self.jitter is None else self.jitter.uniform(0.5, 3.0))

    async def serve(self, limiter: RateLimiter) -> None:
        async with limiter.slot() as slot:
            slot.sent = True
            await self.time.sleep(self.travel_s())
            allowed, left, expires_ms, now_s = self.take()
            await self.time.sleep(self.travel_s())
            if self.headers:
                limiter.observe(slot, allowed, left, expires_ms, now_s)


def limiter_of(time: FakeTime, *windows: Window) -> RateLimiter:
    return RateLimiter(windows, monotonic=time.monotonic, wall_clock=time.wall, sleep=time.sleep)


async def workers(time: FakeTime, provider: Provider, limiter: RateLimiter, requests: int, together: int) -> None:
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await provider.serve(limiter)

    await time.run(*(asyncio.create_task(work()) for _ in range(together)))


@pytest.mark.parametrize("limit", [20, 60, 120])
@pytest.mark.parametrize("phase_s", [0.0, 29.5, 59.9])
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "silent"])
async def test_200_requests_take_at_most_105_percent_of_their_rate_and_none_is_refused(
    limit: int, phase_s: float, headers: bool
) -> None:
    time = FakeTime()
    provider = Provider(time, limit, headers=headers, skew_s=phase_s - START % 60)
    began = time.now
    await workers(time, provider, limiter_of(time, Window(limit, 60.0)), 200, 10)
    assert provider.refused == 0
    assert time.now - began <= 1.05 * 200 / limit * 60


@pytest.mark.parametrize("phase_s", [0.0, 0.7, 2.1, 3.9])
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
async def test_the_length_of_the_providers_windows_is_learned_from_their_ends(phase_s: float, seed: int | None) -> None:
    time, jitter = FakeTime(), None if seed is None else random.Random(seed)
    provider = Provider(time, 200, period_s=4.0, latency_s=0.02, skew_s=phase_s - START % 4, jitter=jitter)
    began = time.now
    await workers(time, provider, limiter_of(time, Window(100_000, 60.0)), 797, 10)
    assert provider.refused == 0
    assert time.now - began <= 1.05 * 797 / 200 * 4


@pytest.mark.parametrize("seed", range(6))
async def test_requests_that_overtake_each_other_are_not_taken_for_somebody_elses(seed: int) -> None:
    time = FakeTime()
    provider = Provider(time, 120, jitter=random.Random(seed))
    began = time.now
    await workers(time, provider, limiter_of(time, Window(120, 60.0)), 600, 10)
    assert provider.refused == 0
    assert time.now - began <= 1.05 * 600 / 120 * 60


@pytest.mark.parametrize("period_s", [4.0, 60.0])
async def test_a_foreigner_who_took_everything_and_went_does_not_hold_us_for_ever(period_s: float) -> None:
    time = FakeTime()
    provider = Provider(time, 120, period_s=period_s, skew_s=-START % period_s)
    limiter = limiter_of(time, Window(120, 60.0))
    began = time.now
    await workers(time, provider, limiter, 3, 1)
    for _ in range(110):
        provider.take(foreign=True)
    await time.run(asyncio.create_task(time.sleep(2.5)))
    await workers(time, provider, limiter, 100, 10)
    assert provider.refused == 0
    assert time.now - began <= 3 * 60


async def test_no_stretch_of_a_minute_holds_more_than_the_limit_wherever_it_begins() -> None:
    time = FakeTime()
    provider = Provider(time, 50, headers=False)
    await workers(time, provider, limiter_of(time, Window(50, 60.0)), 160, 10)
    arrivals = sorted(provider.arrivals)
    assert all(later - earlier >= 60.0 for earlier, later in zip(arrivals, arrivals[50:], strict=False))


async def test_one_a_second_and_five_a_minute_hold_together() -> None:
    time = FakeTime()
    provider = Provider(time, 5, headers=False)
    await workers(time, provider, limiter_of(time, Window(1, 1.0), Window(5, 60.0)), 12, 4)
    arrivals = provider.arrivals
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(arrivals))
    assert all(later - earlier >= 60.0 for earlier, later in zip(arrivals, arrivals[5:], strict=False))


async def test_the_header_wins_where_it_allows_less_than_the_setting() -> None:
    time = FakeTime()
    provider = Provider(time, 60)
    await workers(time, provider, limiter_of(time, Window(120, 60.0)), 150, 10)
    assert provider.refused == 0


async def test_the_setting_wins_where_the_header_allows_more() -> None:
    time = FakeTime()
    provider = Provider(time, 200)
    await workers(time, provider, limiter_of(time, Window(60, 60.0)), 130, 10)
    assert max(provider.used.values()) <= 60


@pytest.mark.parametrize("interval_s", [0.75, 1.0, 6.0])
@pytest.mark.parametrize("latency_s", [0.1, 1.0])
async def test_with_a_foreign_consumer_of_the_same_token_we_are_never_refused(
    interval_s: float, latency_s: float
) -> None:
    time = FakeTime()
    provider = Provider(time, 120, latency_s=latency_s)
    limiter = limiter_of(time, Window(120, 60.0))
    busy = True

    async def foreigner() -> None:
        while busy:
            provider.take(foreign=True)
            await time.sleep(interval_s)

    other = asyncio.create_task(foreigner())
    await workers(time, provider, limiter, 150, 5)
    busy = False
    other.cancel()
    assert provider.refused - provider.refused_others == 0


async def test_a_steady_foreign_consumer_is_left_his_part() -> None:
    time = FakeTime()
    provider = Provider(time, 120)
    limiter = limiter_of(time, Window(120, 60.0))

    async def foreigner() -> None:
        while True:
            provider.take(foreign=True)
            await time.sleep(1.0)

    other = asyncio.create_task(foreigner())
    began = time.now
    await workers(time, provider, limiter, 150, 5)
    other.cancel()
    assert provider.refused == 0
    assert time.now - began > 60.0  # alone it would have taken 20: the rest of this minute and part of the next


async def test_an_allowance_that_was_spent_before_we_came_costs_one_request_not_ten() -> None:
    time = FakeTime()
    provider = Provider(time, 120, skew_s=30.0 - START % 60)
    provider.used[provider.clock() // 60] = 119
    await workers(time, provider, limiter_of(time, Window(120, 60.0)), 20, 10)
    assert provider.refused == 0


async def test_a_pause_holds_everybody_for_65_seconds_at_most() -> None:
    time = FakeTime()
    provider, limiter = Provider(time, 100, headers=False), limiter_of(time, Window(100, 60.0))
    limiter.pause(1e9)
    await workers(time, provider, limiter, 3, 3)
    assert 65.0 <= provider.arrivals[0] - time.origin < 66.0


@pytest.mark.parametrize(
    ("allowed", "available", "expires"),
    [
        (120, 100, START * 1000 - 1),  # past
        (120, 100, (START + 3.2e9) * 1000),  # the year 2126
        (120, -1, (START + 30) * 1000),
        (0, 0, (START + 30) * 1000),
        (120, 121, (START + 30) * 1000),
        (float("nan"), 100, (START + 30) * 1000),
        (120, 100, float("nan")),
    ],
)
async def test_impossible_headers_are_not_believed(allowed: float, available: float, expires: float) -> None:
    slot = Slot(1)
    limiter_of(FakeTime(), Window(10, 60.0)).observe(slot, allowed, available, expires)
    assert not slot.counted


@pytest.mark.parametrize("expires", [START + 30, (START + 30) * 1000], ids=["seconds", "milliseconds"])
async def test_a_spent_window_is_waited_out(expires: float) -> None:
    time = FakeTime()
    limiter = limiter_of(time, Window(10, 60.0))
    limiter.observe(Slot(0), 10, 0, expires)
    await workers(time, provider := Provider(time, 10, headers=False), limiter, 1, 1)
    assert provider.arrivals[0] - time.origin == pytest.approx(30.05, abs=0.01)


async def test_a_corrected_earlier_end_replaces_a_wrong_late_one() -> None:
    time = FakeTime()
    limiter = limiter_of(time, Window(10, 60.0))
    limiter.observe(Slot(0), 10, 0, START + 64)
    limiter.observe(Slot(0), 10, 0, START + 5)
    await workers(time, provider := Provider(time, 10, headers=False), limiter, 1, 1)
    assert provider.arrivals[0] - time.origin == pytest.approx(5.05, abs=0.01)


async def test_waiters_are_served_in_order_and_a_cancelled_one_gives_its_place_back() -> None:
    time = FakeTime()
    limiter, served = limiter_of(time, Window(1, 10.0)), []

    async def work(name: str) -> None:
        async with limiter.slot() as slot:
            slot.sent = True
            served.append((name, time.now - time.origin))

    tasks = {name: asyncio.create_task(work(name)) for name in "abcd"}
    for _ in range(20):
        await asyncio.sleep(0)
    tasks["b"].cancel()
    tasks["c"].cancel()
    await asyncio.gather(tasks["b"], tasks["c"], return_exceptions=True)
    await time.run(tasks["a"], tasks["d"])
    assert [name for name, _ in served] == ["a", "d"]
    assert served[1][1] == pytest.approx(10.0, abs=0.01)


async def test_a_place_that_was_not_used_costs_nothing() -> None:
    time = FakeTime()
    limiter = limiter_of(time, Window(1, 10.0))
    limiter.observe(Slot(0), 10, 10, START + 30)
    async with limiter.slot():
        pass
    async with limiter.slot() as slot:
        slot.sent = True
    assert time.now == time.origin


async def test_a_request_without_a_word_from_the_provider_counts_as_used() -> None:
    time = FakeTime()
    limiter = limiter_of(time, Window(10, 60.0))
    limiter.observe(Slot(0), 10, 1, START + 30)
    provider = Provider(time, 10, headers=False)
    await workers(time, provider, limiter, 2, 1)
    assert provider.arrivals[1] - time.origin >= 30


def test_milliseconds_and_seconds_are_told_apart() -> None:
    assert epoch_seconds(1_719_590_820_000) == epoch_seconds(1_719_590_820) == 1_719_590_820


@pytest.mark.parametrize(("limit", "period_s"), [(0, 60.0), (5, 0.0)])
def test_a_window_without_room_is_a_defect(limit: int, period_s: float) -> None:
    with pytest.raises(ValueError, match="positive limit and period"):
        Window(limit, period_s)


def test_a_limiter_without_windows_is_a_defect() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        limiter_of(FakeTime())
