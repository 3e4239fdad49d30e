"""Stops asking a provider that is down, and finds out with one request whether it is back.

Closed: everything passes; a run of sick outcomes opens it. Open: nothing passes until the recovery time is over.
Half-open: exactly one probe passes; its outcome closes or opens. Outcomes are *returned* values, judged by the caller.
An exception (a cancellation, a defect of ours) says nothing of the provider, so it neither opens nor closes, and a
probe that ends so gives its place to the next. Never retries, never sleeps, never logs: whoever asked is told of the
outcome that opened or closed it, once, and knows what to call it.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from threading import Lock
from typing import TypeVar

from ivcrush.domain.errors import Err, ErrorCode, Ok, err

T = TypeVar("T")


class BreakerState(StrEnum):
    """Whether requests pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def _tells_nobody(state: BreakerState, outcome: object) -> None:
    """For who does not ask."""


class CircuitBreaker:
    """One for each provider, shared by all its requests; safe to use from several threads."""

    def __init__(self, name: str, *, failure_threshold: int, recovery_s: float, monotonic: Callable[[], float]) -> None:
        self._name = name
        self._failure_threshold = failure_threshold
        self._recovery_s = recovery_s
        self._monotonic = monotonic
        self._lock = Lock()
        self._state = BreakerState.CLOSED
        self._failures = 0
        self._opened_at = 0.0

    @property
    def recovery_s(self) -> float:
        """How long it stays open before it lets a probe through."""
        return self._recovery_s

    @property
    def state(self) -> BreakerState:
        """Half-open only while a probe is under way; an open breaker may be due for one."""
        return self._state

    async def call(
        self,
        operation: Callable[[], Awaitable[T]],
        is_sick: Callable[[T], bool | None],
        changed: Callable[[BreakerState, T], None] = _tells_nobody,
    ) -> Ok[T] | Err:
        """Runs the operation if requests pass, and learns from what it returns.

        `is_sick` is None for an outcome that says nothing of the provider. `changed` hears of the outcome that opened
        the breaker (one of a failed probe included) or closed it. `Ok` holds whatever the operation returned, errors
        included. Errors: EXTERNAL where the breaker let nothing pass (context `breaker`: its state, `wait_s`:
        seconds after which asking again makes sense).
        """
        probing = self._enter()
        if isinstance(probing, Err):
            return probing
        try:
            outcome = await operation()
        except BaseException:
            if probing:
                self._abandon_probe()
            raise
        sick = is_sick(outcome)
        if sick is not None:
            became = self._learn(sick=sick, probing=probing)
            if became is not None:
                changed(became, outcome)
        elif probing:
            self._abandon_probe()
        return Ok(outcome)

    def _enter(self) -> bool | Err:
        """Whether the request that may now pass is the probe."""
        with self._lock:
            if self._state is BreakerState.CLOSED:
                return False
            left_s = self._opened_at + self._recovery_s - self._monotonic()
            if self._state is BreakerState.OPEN and left_s <= 0:
                self._state = BreakerState.HALF_OPEN
                return True
            when = f"for another {left_s:.0f} s" if left_s > 0 else "until its trial request is answered"
            wait_s = f"{left_s if left_s > 0 else self._recovery_s:.3f}"
            return err(ErrorCode.EXTERNAL, f"{self._name}: down, not asked {when}", breaker=self._state, wait_s=wait_s)

    def _abandon_probe(self) -> None:
        with self._lock:
            self._state = BreakerState.OPEN  # the recovery time is over: the next request is the probe

    def _learn(self, *, sick: bool, probing: bool) -> BreakerState | None:
        """The state that the outcome led to, None where it changed nothing."""
        with self._lock:
            if probing:
                self._failures = 0
            elif self._state is not BreakerState.CLOSED:
                return None  # sent before the breaker opened: old news
            self._failures = self._failures + 1 if sick else 0
            if sick and (probing or self._failures >= self._failure_threshold):
                self._state = BreakerState.OPEN
                self._opened_at = self._monotonic()
                return BreakerState.OPEN
            self._state = BreakerState.CLOSED
            return BreakerState.CLOSED if probing else None
