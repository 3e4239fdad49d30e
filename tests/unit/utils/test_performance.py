"""What is counted of tracked calls, what is told of slow ones, and that tracking changes nothing else."""

import asyncio
import inspect
import logging
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ivcrush.utils.performance import (
    PERCENTILE_ERROR,
    OperationStatistics,
    PerformanceMonitor,
    monitored,
    track_performance,
)

MODULE = "ivcrush.utils.performance"


class Stopwatch:
    """A clock that goes only when told to; `pass_s` is an operation that takes so long."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, duration_s: float) -> float:
        """Takes that long, and says so."""
        self.now_s += duration_s
        return duration_s


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def monitor(stopwatch: Stopwatch) -> Iterator[PerformanceMonitor]:
    with monitored(PerformanceMonitor(stopwatch)) as opened:
        yield opened


def only(monitor: PerformanceMonitor) -> OperationStatistics:
    """The figures of the one operation that was called."""
    (statistics,) = monitor.summary()
    return statistics


# --- figures ---


def test_count_total_average_lowest_and_highest_are_exact() -> None:
    monitor = PerformanceMonitor()
    for duration_s in (0.5, 0.125, 2.0, 0.375):
        monitor.record("a", duration_s)
    figures = only(monitor)
    assert (figures.operation, figures.count, figures.total_s) == ("a", 4, 3.0)
    assert (figures.average_s, figures.min_s, figures.max_s) == (0.75, 0.125, 2.0)


def test_percentiles_of_1_to_1000_ms_are_500_950_and_990_within_one_percent() -> None:
    monitor = PerformanceMonitor()
    for milliseconds in (*range(2, 1001, 2), *range(1, 1000, 2)):
        monitor.record("a", milliseconds / 1000)
    figures = only(monitor)
    assert PERCENTILE_ERROR == 0.01
    assert figures.median_s == pytest.approx(0.500, rel=0.01)
    assert figures.p95_s == pytest.approx(0.950, rel=0.01)
    assert figures.p99_s == pytest.approx(0.990, rel=0.01)


@pytest.mark.parametrize("duration_s", [2e-9, 3.7e-7, 0.0123, 1.0, 86_400.0])
def test_a_percentile_is_within_one_percent_over_thirteen_decades(duration_s: float) -> None:
    monitor = PerformanceMonitor()
    for other_s in (duration_s / 2, duration_s, duration_s * 2):
        monitor.record("a", other_s)
    assert only(monitor).median_s == pytest.approx(duration_s, rel=0.010001)  # 1 s ends a bucket: the last bit


def test_a_single_call_is_its_own_percentile_exactly() -> None:
    monitor = PerformanceMonitor()
    monitor.record("a", 0.0123)
    figures = only(monitor)
    assert (figures.median_s, figures.p95_s, figures.p99_s) == (0.0123, 0.0123, 0.0123)


def test_two_of_a_hundred_slow_calls_show_in_p99_and_not_in_p95() -> None:
    monitor = PerformanceMonitor()
    for duration_s in [0.001] * 98 + [5.0] * 2:
        monitor.record("a", duration_s)
    figures = only(monitor)
    assert figures.p95_s == pytest.approx(0.001, rel=0.01)
    assert figures.p99_s == pytest.approx(5.0, rel=0.01)


def test_calls_too_short_for_the_clock_count_as_nothing() -> None:
    monitor = PerformanceMonitor()
    monitor.record("a", 0.0)
    figures = only(monitor)
    assert (figures.count, figures.total_s, figures.median_s, figures.max_s) == (1, 0.0, 0.0, 0.0)


def test_the_summary_begins_with_the_longest_in_total() -> None:
    monitor = PerformanceMonitor()
    for operation, duration_s in (("short", 0.1), ("long", 1.0), ("often", 0.6), ("often", 0.6)):
        monitor.record(operation, duration_s)
    assert [figures.operation for figures in monitor.summary()] == ["often", "long", "short"]


def test_reset_forgets_everything_and_counts_on() -> None:
    monitor = PerformanceMonitor()
    monitor.record("a", 9.0)
    monitor.reset()
    assert monitor.summary() == ()
    monitor.record("a", 1.0)
    assert (only(monitor).count, only(monitor).max_s) == (1, 1.0)


def test_thirty_thousand_more_calls_take_no_more_memory() -> None:
    monitor = PerformanceMonitor()

    def season() -> None:
        for number in range(30_000):
            monitor.record("a", 1e-6 * (1 + number % 4_000))

    season()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        season()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert only(monitor).count == 60_000
    assert grown < 20_000  # counts that became larger numbers; kept durations would be ten times that and more


def test_eight_threads_lose_no_call() -> None:
    monitor = PerformanceMonitor()

    @track_performance(name="a")
    def operation() -> None: ...

    def work(_: int) -> None:
        with monitored(monitor):
            for _ in range(2_000):
                operation()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert only(monitor).count == 16_000


# --- the decorator ---


def test_a_call_is_timed_under_its_name_and_gives_what_it_gives(
    monitor: PerformanceMonitor, stopwatch: Stopwatch
) -> None:
    @track_performance(name="cache get")
    def operation(duration_s: float, *, factor: int) -> float:
        return stopwatch.pass_s(duration_s) * factor

    assert operation(0.25, factor=4) == 1.0
    assert (only(monitor).operation, only(monitor).total_s) == ("cache get", 0.25)


async def test_an_awaited_call_is_timed_to_its_end(monitor: PerformanceMonitor, stopwatch: Stopwatch) -> None:
    @track_performance(name="request")
    async def operation() -> str:
        stopwatch.pass_s(1.0)
        await asyncio.sleep(0)
        stopwatch.pass_s(2.0)
        return "answer"

    pending = operation()
    stopwatch.pass_s(100.0)  # nothing runs before it is awaited
    assert await pending == "answer"
    assert only(monitor).total_s == 3.0


def test_without_a_name_an_operation_has_the_functions_own(monitor: PerformanceMonitor) -> None:
    class Store:
        @track_performance
        def bare(self) -> None: ...

        @track_performance(threshold_s=1.0)
        def with_threshold(self) -> None: ...

    Store().bare()
    Store().with_threshold()
    assert {figures.operation.rsplit(">.")[-1] for figures in monitor.summary()} == {
        "Store.bare",
        "Store.with_threshold",
    }


async def test_a_failure_is_timed_and_raised_as_it_was(monitor: PerformanceMonitor, stopwatch: Stopwatch) -> None:
    error = ValueError("as it was")

    @track_performance(name="a")
    def called() -> None:
        stopwatch.pass_s(1.0)
        raise error

    @track_performance(name="a")
    async def awaited() -> None:
        stopwatch.pass_s(2.0)
        raise error

    with pytest.raises(ValueError, match="as it was") as first:
        called()
    with pytest.raises(ValueError, match="as it was") as second:
        await awaited()
    assert (first.value, second.value) == (error, error)
    assert (only(monitor).count, only(monitor).total_s) == (2, 3.0)


async def test_a_cancellation_passes_through_and_is_timed(monitor: PerformanceMonitor, stopwatch: Stopwatch) -> None:
    @track_performance(name="a")
    async def operation() -> None:
        stopwatch.pass_s(1.0)
        await asyncio.Event().wait()

    task = asyncio.create_task(operation())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert (only(monitor).count, only(monitor).total_s) == (1, 1.0)


def test_a_decorated_function_keeps_its_name_words_and_signature() -> None:
    def called(ticker: str, *, depth: int = 3) -> float:
        """Words."""
        return depth / len(ticker)

    async def awaited(ticker: str, *, depth: int = 3) -> float:
        """Words."""
        return depth / len(ticker)

    for function in (called, awaited):
        decorated = track_performance(name="another")(function)
        assert (decorated.__name__, decorated.__doc__) == (function.__name__, "Words.")
        assert inspect.signature(decorated) == inspect.signature(function)
        assert inspect.iscoroutinefunction(decorated) is (function is awaited)


def test_a_generator_is_refused_when_it_is_decorated() -> None:
    def rows() -> Iterator[int]:
        yield 1

    async def pages() -> AsyncIterator[int]:
        yield 1

    for generator in (rows, pages):
        with pytest.raises(TypeError, match=f"{generator.__name__}: a generator cannot be timed"):
            track_performance(generator)


# --- whose figures they are ---


async def test_a_scope_gets_what_is_called_inside_it_and_its_tasks_and_nothing_else(stopwatch: Stopwatch) -> None:
    outer, inner = PerformanceMonitor(stopwatch), PerformanceMonitor(stopwatch)

    @track_performance(name="called")
    def operation() -> None: ...

    @track_performance(name="awaited")
    async def task() -> None:
        await asyncio.to_thread(operation)

    operation()
    await task()
    with monitored(outer):
        operation()
        with monitored(inner):
            await asyncio.create_task(task())
        operation()
    assert {figures.operation: figures.count for figures in outer.summary()} == {"called": 2}
    assert {figures.operation: figures.count for figures in inner.summary()} == {"called": 1, "awaited": 1}


# --- slow calls ---


def test_each_call_over_the_threshold_is_one_warning_with_operation_duration_and_threshold(
    monitor: PerformanceMonitor, stopwatch: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    @track_performance(name="database write", threshold_s=0.5)
    def operation(duration_s: float) -> None:
        stopwatch.pass_s(duration_s)

    with caplog.at_level(logging.DEBUG, logger=MODULE):
        for duration_s in (0.25, 0.5, 0.75, 2.0):
            operation(duration_s)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "slow: database write took 0.75 s, at most 0.5 s expected"),
        ("WARNING", "slow: database write took 2 s, at most 0.5 s expected"),
    ]
    assert caplog.records[0].fields == {  # type: ignore[attr-defined]
        "operation": "database write",
        "duration_s": 0.75,
        "threshold_s": 0.5,
    }


async def test_thresholds_are_each_functions_own_and_none_means_never(
    monitor: PerformanceMonitor, stopwatch: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    @track_performance(name="patient", threshold_s=60.0)
    async def patient() -> None:
        stopwatch.pass_s(30.0)

    @track_performance(name="strict", threshold_s=10.0)
    async def strict() -> None:
        stopwatch.pass_s(30.0)

    @track_performance(name="waits")
    async def waits() -> None:
        stopwatch.pass_s(1e6)

    await patient()
    await strict()
    await waits()
    assert [record.getMessage() for record in caplog.records] == ["slow: strict took 30 s, at most 10 s expected"]
