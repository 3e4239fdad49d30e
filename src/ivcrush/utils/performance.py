"""How long the operations that matter take: counted and timed where they are declared, told of when one was slow.

    @track_performance(name="database write", threshold_s=1.0)
    def write(...): ...

    with monitored(PerformanceMonitor()) as monitor:
        ...
    monitor.summary()

Decorators run when modules are imported, long before anybody knows who measures. So a decorated function looks for its
monitor when it is called, in a context variable: whoever opens a scope gets the figures of what is called inside it,
tasks it starts included, and nothing else does. Outside of any scope nothing is timed. Nothing here is global state,
changes what a function returns or raises, or grows with the number of calls.

Count, total, lowest and highest are exact. Percentiles come from a histogram of logarithmic buckets (Masson, Rim and
Lee, "DDSketch", VLDB 2019): each within 1 % of the duration of the call it names, in some kB for each operation.
"""

import inspect
import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from itertools import accumulate
from math import ceil, exp, inf, log
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast, overload

from ivcrush.utils.logging import fields

P = ParamSpec("P")
T = TypeVar("T")

PERCENTILE_ERROR = 0.01  # relative
_SHORTEST_S = 1e-9  # anything shorter counts as this in the percentiles
# Bucket i holds the durations in (γⁱ⁻¹, γⁱ] seconds; its middle is off by 1 % at either end.
_LOG_GAMMA = log((1 + PERCENTILE_ERROR) / (1 - PERCENTILE_ERROR))
_BUCKETS_PER_E = 1 / _LOG_GAMMA
_LOWEST_BUCKET = ceil(log(_SHORTEST_S) * _BUCKETS_PER_E)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OperationStatistics:
    """What the calls of one operation took, in seconds; a percentile is the duration that so many did not exceed."""

    operation: str
    count: int
    total_s: float
    min_s: float
    max_s: float
    median_s: float
    p95_s: float
    p99_s: float

    @property
    def average_s(self) -> float:
        """Exact, like the total."""
        return self.total_s / self.count


class PerformanceMonitor:
    """Keeps the figures of one run; safe to use from several threads. `timer` gives seconds and never goes back."""

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self.timer = timer
        self._lock = Lock()
        self._operations: dict[str, _Durations] = {}

    def record(self, operation: str, duration_s: float, threshold_s: float = inf) -> None:
        """Count one call; one longer than the threshold is also told of, in one line of the log."""
        with self._lock:
            durations = self._operations.get(operation)
            if durations is None:
                durations = self._operations[operation] = _Durations()
            durations.add(duration_s)
        if duration_s > threshold_s:
            _log.warning(
                "slow: %s took %.3g s, at most %g s expected",
                operation,
                duration_s,
                threshold_s,
                extra=fields(operation=operation, duration_s=round(duration_s, 6), threshold_s=threshold_s),
            )

    def summary(self) -> tuple[OperationStatistics, ...]:
        """The figures of every operation that was called, the longest in total first."""
        with self._lock:
            told = [durations.told(operation) for operation, durations in self._operations.items()]
        return tuple(sorted(told, key=lambda one: (-one.total_s, one.operation)))

    def reset(self) -> None:
        """Forget what was counted; calls under way count from then on."""
        with self._lock:
            self._operations.clear()


_current: ContextVar[PerformanceMonitor | None] = ContextVar("performance_monitor", default=None)


@contextmanager
def monitored(monitor: PerformanceMonitor) -> Iterator[PerformanceMonitor]:
    """What is called inside is timed by this monitor; the outer one is back afterwards.

    Tasks and `asyncio.to_thread` carry it on; a thread started in another way needs a scope of its own.
    """
    token = _current.set(monitor)
    try:
        yield monitor
    finally:
        _current.reset(token)


@overload
def track_performance(function: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def track_performance(
    *, name: str | None = None, threshold_s: float = inf
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...


def track_performance(
    function: Callable[P, T] | None = None, /, *, name: str | None = None, threshold_s: float = inf
) -> Callable[P, T] | Callable[[Callable[P, T]], Callable[P, T]]:
    """Time every call, under `name` (the function's own where none is given), until it returns or raises.

    What is awaited is timed to its end. A call longer than `threshold_s` is logged as slow. Used with arguments or
    without. Raises TypeError for a generator, whose work is done after it has returned.
    """

    def decorated(tracked: Callable[P, T]) -> Callable[P, T]:
        operation = tracked.__qualname__ if name is None else name
        if inspect.isgeneratorfunction(tracked) or inspect.isasyncgenfunction(tracked):
            raise TypeError(f"{operation}: a generator cannot be timed; time what consumes it")
        if inspect.iscoroutinefunction(tracked):
            return cast("Callable[P, T]", _awaited(tracked, operation, threshold_s))
        return _called(tracked, operation, threshold_s)

    return decorated if function is None else decorated(function)


def _called(tracked: Callable[P, T], operation: str, threshold_s: float) -> Callable[P, T]:
    @wraps(tracked)
    def timed(*args: P.args, **kwargs: P.kwargs) -> T:
        monitor = _current.get()
        if monitor is None:
            return tracked(*args, **kwargs)
        begun_s = monitor.timer()
        try:
            return tracked(*args, **kwargs)
        finally:
            monitor.record(operation, monitor.timer() - begun_s, threshold_s)

    return timed


def _awaited(tracked: Callable[P, Any], operation: str, threshold_s: float) -> Callable[P, Any]:
    @wraps(tracked)
    async def timed(*args: P.args, **kwargs: P.kwargs) -> Any:
        monitor = _current.get()
        if monitor is None:
            return await tracked(*args, **kwargs)
        begun_s = monitor.timer()
        try:
            return await tracked(*args, **kwargs)
        finally:
            monitor.record(operation, monitor.timer() - begun_s, threshold_s)

    return timed


class _Durations:
    """The durations of one operation: sums, and how many fell into each bucket that any fell into."""

    __slots__ = ("_buckets", "_count", "_max_s", "_min_s", "_total_s")

    def __init__(self) -> None:
        self._count = 0
        self._total_s = 0.0
        self._min_s = inf
        self._max_s = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, duration_s: float) -> None:
        self._count += 1
        self._total_s += duration_s
        if duration_s < self._min_s:  # noqa: PLR1730  min() takes twice as long
            self._min_s = duration_s
        if duration_s > self._max_s:  # noqa: PLR1730
            self._max_s = duration_s
        bucket = ceil(log(duration_s) * _BUCKETS_PER_E) if duration_s > _SHORTEST_S else _LOWEST_BUCKET
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def told(self, operation: str) -> OperationStatistics:
        median_s, p95_s, p99_s = (self._percentile_s(share) for share in (50, 95, 99))
        return OperationStatistics(
            operation, self._count, self._total_s, self._min_s, self._max_s, median_s, p95_s, p99_s
        )

    def _percentile_s(self, percent: int) -> float:
        """By the nearest rank: the shortest duration that at least `percent` of the calls did not exceed."""
        wanted = -(-self._count * percent // 100)  # rounded up, in whole numbers
        buckets = sorted(self._buckets)
        reached = list(accumulate(self._buckets[bucket] for bucket in buckets))
        middle_s = exp(buckets[bisect_left(reached, wanted)] * _LOG_GAMMA) * (1 - PERCENTILE_ERROR)
        return min(max(middle_s, self._min_s), self._max_s)
