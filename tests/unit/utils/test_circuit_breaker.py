"""When requests pass, when they do not, and who finds out whether the provider is back."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.utils.circuit_breaker import BreakerState, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Provider:
    """Answers with its own health; `asked` counts the requests that reached it."""

    def __init__(self, *, sick: bool | None) -> None:
        self.sick = sick
        self.asked = 0

    async def __call__(self) -> bool | None:
        self.asked += 1
        await asyncio.sleep(0)
        return self.sick


def breaker_at(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("api.example", failure_threshold=5, recovery_s=60.0, monotonic=clock)


def itself(outcome: bool | None) -> bool | None:
    return outcome


async def opened(clock: Clock) -> CircuitBreaker:
    breaker = breaker_at(clock)
    for _ in range(5):
        await breaker.call(Provider(sick=True), itself)
    return breaker


async def test_five_sick_outcomes_in_a_row_open_it_and_nothing_passes_for_60_seconds() -> None:
    clock, provider = Clock(), Provider(sick=True)
    breaker = breaker_at(clock)
    for _ in range(4):
        assert await breaker.call(provider, itself) == Ok(True)
    assert breaker.state is BreakerState.CLOSED
    await breaker.call(provider, itself)
    clock.now += 59.0
    refused = await breaker.call(provider, itself)
    assert isinstance(refused, Err)
    assert refused.error.code is ErrorCode.EXTERNAL
    assert refused.error.message == "api.example: down, not asked for another 1 s"
    assert provider.asked == 5


async def test_a_healthy_outcome_between_starts_the_count_again() -> None:
    breaker = breaker_at(Clock())
    for sick in [True] * 4 + [False] + [True] * 4:
        await breaker.call(Provider(sick=sick), itself)
    assert breaker.state is BreakerState.CLOSED


async def test_an_outcome_that_says_nothing_leaves_the_count_alone() -> None:
    breaker = breaker_at(Clock())
    for sick in [True] * 4 + [None, True]:
        await breaker.call(Provider(sick=sick), itself)
    assert breaker.state is BreakerState.OPEN


@pytest.mark.parametrize(("sick", "asked"), [(True, 1), (False, 1)])
async def test_of_fifty_requests_after_the_recovery_time_exactly_one_probes(sick: bool, asked: int) -> None:
    clock = Clock()
    breaker, provider = await opened(clock), Provider(sick=sick)
    clock.now += 60.0
    outcomes = await asyncio.gather(*(breaker.call(provider, itself) for _ in range(50)))
    assert provider.asked == asked
    assert sum(isinstance(outcome, Ok) for outcome in outcomes) == 1
    assert breaker.state is (BreakerState.OPEN if sick else BreakerState.CLOSED)


async def test_a_failed_probe_opens_for_another_recovery_time() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now += 60.0
    await breaker.call(Provider(sick=True), itself)
    clock.now += 59.0
    assert isinstance(await breaker.call(Provider(sick=False), itself), Err)
    clock.now += 1.0
    assert isinstance(await breaker.call(Provider(sick=False), itself), Ok)


async def test_whoever_asks_is_told_once_of_each_opening_and_of_the_closing() -> None:
    clock, told = Clock(), list[tuple[BreakerState, bool | None]]()
    breaker = breaker_at(clock)

    async def ask(*, sick: bool) -> None:
        await breaker.call(Provider(sick=sick), itself, lambda state, outcome: told.append((state, outcome)))

    for _ in range(8):  # the last three do not pass
        await ask(sick=True)
    assert told == [(BreakerState.OPEN, True)]
    for sick in (True, False):
        clock.now += 60.0
        await ask(sick=sick)
    await ask(sick=False)
    assert told[1:] == [(BreakerState.OPEN, True), (BreakerState.CLOSED, False)]


async def test_a_cancelled_probe_neither_opens_nor_wedges() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now += 60.0
    probe = asyncio.create_task(breaker.call(asyncio.Event().wait, lambda _: True))
    await asyncio.sleep(0)
    assert breaker.state is BreakerState.HALF_OPEN
    refused = await breaker.call(Provider(sick=False), itself)
    assert isinstance(refused, Err)
    assert "until its trial request is answered" in refused.error.message
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert await breaker.call(Provider(sick=False), itself) == Ok(False)
    assert breaker.state is BreakerState.CLOSED


async def test_a_probe_that_was_never_sent_gives_its_place_to_the_next() -> None:
    clock = Clock()
    breaker = await opened(clock)
    clock.now += 60.0
    await breaker.call(Provider(sick=None), itself)
    assert await breaker.call(Provider(sick=False), itself) == Ok(False)


async def test_twenty_cancellations_do_not_open_it() -> None:
    breaker = breaker_at(Clock())
    for _ in range(20):
        task = asyncio.create_task(breaker.call(asyncio.Event().wait, lambda _: True))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert breaker.state is BreakerState.CLOSED


async def test_a_defect_of_ours_passes_through_and_is_not_counted() -> None:
    breaker = breaker_at(Clock())

    async def defective() -> bool:
        raise TypeError("ours")

    for _ in range(5):
        with pytest.raises(TypeError, match="ours"):
            await breaker.call(defective, itself)
    assert breaker.state is BreakerState.CLOSED


async def test_a_healthy_answer_to_a_request_sent_before_it_opened_does_not_close_it() -> None:
    breaker, release = breaker_at(Clock()), asyncio.Event()

    async def slow() -> bool:
        await release.wait()
        return False

    early = asyncio.create_task(breaker.call(slow, itself))
    await asyncio.sleep(0)
    for _ in range(5):
        await breaker.call(Provider(sick=True), itself)
    release.set()
    assert await early == Ok(False)
    assert breaker.state is BreakerState.OPEN


def test_threads_share_one_probe() -> None:
    clock = Clock()
    breaker, provider = asyncio.run(opened(clock)), Provider(sick=True)
    clock.now += 60.0
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: asyncio.run(breaker.call(provider, itself)), range(40)))
    assert provider.asked == 1
