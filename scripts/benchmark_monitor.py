"""What `@track_performance` adds to a call, beside the same call undecorated: `python scripts/benchmark_monitor.py`.

Measures only; nothing depends on a speed.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence

from ivcrush.utils.performance import PerformanceMonitor, monitored, track_performance

_CALLS, _ROUNDS = 5_000, 25


def measured_overhead_us() -> tuple[float, float]:
    """Microseconds that being timed adds to a plain call and to an awaited one.

    The lowest of rounds taken in turns, as `timeit` advises: whatever takes longer is other processes' doing.
    """
    timed, timed_awaited = track_performance(_plain), track_performance(_awaited)
    rounds = range(_ROUNDS)
    with monitored(PerformanceMonitor()):
        called = [(_called_us(timed), _called_us(_plain)) for _ in rounds]
        awaited = [(asyncio.run(_awaited_us(timed_awaited)), asyncio.run(_awaited_us(_awaited))) for _ in rounds]
    return _added_us(called), _added_us(awaited)


def _added_us(pairs: Sequence[tuple[float, float]]) -> float:
    return min(timed_us for timed_us, _ in pairs) - min(bare_us for _, bare_us in pairs)


def _plain(number: int) -> int:
    return number


async def _awaited(number: int) -> int:
    return number


def _called_us(function: Callable[[int], int]) -> float:
    begun_s = time.perf_counter()
    for number in range(_CALLS):
        function(number)
    return (time.perf_counter() - begun_s) / _CALLS * 1e6


async def _awaited_us(function: Callable[[int], Coroutine[object, object, int]]) -> float:
    begun_s = time.perf_counter()
    for number in range(_CALLS):
        await function(number)
    return (time.perf_counter() - begun_s) / _CALLS * 1e6


if __name__ == "__main__":
    for kind, added_us in zip(("called", "awaited"), measured_overhead_us(), strict=True):
        print(f"{kind}: {added_us:.2f} µs")
