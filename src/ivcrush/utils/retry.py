"""The one place where anything is tried again: few attempts, jittered waits, a provider's own wait honoured.

Works on returned values: an operation that may be repeated says so by returning `Retryable`. Exceptions pass through
untouched and at once, cancellations and defects of ours alike.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ivcrush.domain.errors import AppError, Err, Ok, Result
from ivcrush.utils.rate_limiter import MAX_SERVER_WAIT_S

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retryable:
    """A disappointment that may pass: after `wait_s` where the provider named it, else after a backoff."""

    error: AppError
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `max_attempts` in all; before the n-th again half to the whole of min(`max_s`, `base_s` · 2ⁿ⁻¹)."""

    max_attempts: int = 3
    base_s: float = 2.0
    max_s: float = 60.0


class Retry:
    """Repeats operations by one policy."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._sleep = sleep
        self._uniform = uniform

    @property
    def max_attempts(self) -> int:
        """The attempts that one call may cost, the first one included."""
        return self._policy.max_attempts

    async def call(self, operation: Callable[[], Awaitable[Ok[T] | Err | Retryable]]) -> Result[T]:
        """The first outcome that is not `Retryable`, or the error of the last attempt."""
        from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt

        attempts = AsyncRetrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome, Retryable)),
            stop=stop_after_attempt(self._policy.max_attempts),
            wait=self._wait_s,
            sleep=self._sleep,
            retry_error_callback=_last_outcome,
        )

        async def attempt() -> Ok[T] | Err | Retryable:
            return await operation()  # tenacity awaits only what was declared with `async def`

        outcome: Ok[T] | Err | Retryable = await attempts(attempt)
        return Err(outcome.error) if isinstance(outcome, Retryable) else outcome

    def _wait_s(self, state: "RetryCallState") -> float:
        named_s = _retryable(state).wait_s
        if named_s is not None:
            return min(max(named_s, 0.0), MAX_SERVER_WAIT_S)
        ceiling_s = min(self._policy.max_s, self._policy.base_s * 2.0 ** (state.attempt_number - 1))
        return self._uniform(ceiling_s / 2, ceiling_s)


def _last_outcome(state: "RetryCallState") -> object:
    assert state.outcome is not None
    return state.outcome.result()


def _retryable(state: "RetryCallState") -> Retryable:
    outcome = _last_outcome(state)
    assert isinstance(outcome, Retryable)
    return outcome
