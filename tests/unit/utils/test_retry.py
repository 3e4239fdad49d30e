"""What is tried again, how often, and after how long."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ivcrush.domain.errors import AppError, Err, ErrorCode, Ok
from ivcrush.utils.retry import Retry, Retryable, RetryPolicy

DOWN = AppError(ErrorCode.EXTERNAL, "down")


def retry_with(waits: list[float], policy: RetryPolicy, fraction: float = 0.0) -> Retry:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return Retry(policy, sleep=sleep, uniform=lambda low, high: low + fraction * (high - low))


def scripted(*outcomes: Ok[int] | Err | Retryable) -> Callable[[], Awaitable[Ok[int] | Err | Retryable]]:
    remaining = iter(outcomes)

    async def operation() -> Ok[int] | Err | Retryable:
        return next(remaining)

    return operation


async def test_three_attempts_are_made_and_the_last_error_is_returned() -> None:
    waits: list[float] = []
    last = AppError(ErrorCode.TIMEOUT, "third")
    outcome = await retry_with(waits, RetryPolicy(3)).call(scripted(Retryable(DOWN), Retryable(DOWN), Retryable(last)))
    assert outcome == Err(last)
    assert len(waits) == 2


async def test_a_value_after_one_failure_is_returned() -> None:
    waits: list[float] = []
    assert await retry_with(waits, RetryPolicy()).call(scripted(Retryable(DOWN), Ok(7))) == Ok(7)


async def test_an_err_is_final_at_once() -> None:
    waits: list[float] = []
    assert await retry_with(waits, RetryPolicy()).call(scripted(Err(DOWN))) == Err(DOWN)
    assert waits == []


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, [1.0, 2.0, 4.0, 5.0]), (1.0, [2.0, 4.0, 8.0, 10.0])], ids=["shortest", "longest"]
)
async def test_backoff_doubles_from_the_base_up_to_the_ceiling_and_is_jittered_by_half(
    fraction: float, expected: list[float]
) -> None:
    waits: list[float] = []
    policy = RetryPolicy(max_attempts=5, base_s=2.0, max_s=10.0)
    await retry_with(waits, policy, fraction).call(scripted(*[Retryable(DOWN)] * 5))
    assert waits == expected


@pytest.mark.parametrize(("named_s", "waited_s"), [(7.0, 7.0), (3600.0, 65.0), (-5.0, 0.0)])
async def test_the_providers_wait_is_honoured_up_to_65_seconds(named_s: float, waited_s: float) -> None:
    waits: list[float] = []
    await retry_with(waits, RetryPolicy(2)).call(scripted(Retryable(DOWN, wait_s=named_s), Ok(1)))
    assert waits == [waited_s]


@pytest.mark.parametrize("fault", [TypeError, asyncio.CancelledError, KeyboardInterrupt])
async def test_exceptions_pass_at_once(fault: type[BaseException]) -> None:
    calls = 0

    async def operation() -> Ok[int] | Err | Retryable:
        nonlocal calls
        calls += 1
        raise fault

    with pytest.raises(fault):
        await retry_with([], RetryPolicy()).call(operation)
    assert calls == 1
