"""Batches under load, over real sockets and in this process: how long they take at most, and that they leave nothing.

The market is a process of its own and has drawn what it is asked for; histories are stored, replies are not, and
everything is imported. Each time is tried for thrice; where it is missed because the machine has others to serve, the
test is skipped and says so, but never where the work itself takes as long.
"""

import asyncio
import gc
import os
import subprocess
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from ivcrush.application.services.batch_analyzer import Batch, BatchOutcome, BatchRow
from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.config.validation import load_settings
from ivcrush.container import Container, RunOptions
from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import Ticker
from ivcrush.utils.timezone import SystemClock
from simulated_market import World
from tests.integration.conftest import AS_OF

COMPANIES = 100
LISTED = 140
TRIES = 3
# The share of rows that may stay without an answer because the drawn options themselves give none.
WITHOUT_ANSWER = 0.1


@contextmanager
def untraced() -> Iterator[None]:
    """Without a tracer (coverage), whose time and memory are not what is measured."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


@dataclass(frozen=True, slots=True, order=True)
class Taken:
    """Time on the wall and of this process on a processor."""

    elapsed_s: float
    processor_s: float


@dataclass(frozen=True, slots=True)
class Load:
    """A market of many companies whose history is stored."""

    directory: Path
    environment: dict[str, str]
    rows: tuple[BatchRow, ...]

    @contextmanager
    def container(self) -> Iterator[Container]:
        """As a run has it; the cache file is whatever the run before left."""
        settings = load_settings(self.environment, self.directory, required_keys=(), read_env_file=False)
        opened = Container.open(settings, RunOptions(as_of=AS_OF), SystemClock())
        assert isinstance(opened, Ok)
        yield opened.value

    def batch(self, rows: tuple[BatchRow, ...], concurrency: int) -> tuple[BatchOutcome, int]:
        """One run, and the requests that it took."""

        async def run(container: Container) -> BatchOutcome:
            batch = Batch("load", rows, concurrency, continue_on_error=True, fresh=True)
            started = container.batch.start(batch, f"run-{time.monotonic_ns()}")
            assert isinstance(started, Ok)
            try:
                outcome = await container.batch.run(started.value, lambda _: None)
                assert isinstance(container.batch.end(outcome, 0), Ok)
                return outcome
            finally:
                await container.aclose()

        with self.container() as container:
            return asyncio.run(run(container)), container.providers.usage.requests

    def cold(self, *batches: tuple[BatchRow, ...], concurrency: int) -> "Taken":
        """What these batches take one after the other, with an empty cache and without a tracer's share."""
        for file in self.directory.glob("*cache*"):
            file.unlink()
        with untraced():
            begun, begun_processor = time.perf_counter(), time.process_time()
            outcomes = [self.batch(rows, concurrency)[0] for rows in batches]
            taken = Taken(time.perf_counter() - begun, time.process_time() - begun_processor)
        for outcome, rows in zip(outcomes, batches, strict=True):
            assert [row.label for row in outcome.rows] == [row.label for row in rows]
            unanswered = [row.answer.error for row in outcome.rows if isinstance(row.answer, Err)]
            assert {error.code for error in unanswered} <= {ErrorCode.NODATA}
            assert len(unanswered) <= WITHOUT_ANSWER * len(rows) + 1
        return taken

    def switches(self, values: str) -> None:
        """Gives the market other switches."""
        address = self.environment["TRADIER_BASE_URL"].removesuffix("/v1") + "/_switches"
        with urllib.request.urlopen(urllib.request.Request(address, data=values.encode(), method="POST")):
            pass


def rows_of(world: World) -> tuple[BatchRow, ...]:
    coming = {ticker: world.upcoming(ticker) for ticker in world.tickers if len(world.past_reports(ticker)) >= 12}
    questions = [
        ReportQuestion(Ticker(ticker), date.fromisoformat(report.day.isoformat()), Timing(report.timing.value))
        for ticker, report in coming.items()
        if report is not None
    ]
    return tuple(BatchRow(question.ticker, Ok(question)) for question in questions[:COMPANIES])


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    directory = tmp_path_factory.mktemp("load")
    command = [sys.executable, "-m", "simulated_market", "--tickers", str(LISTED), "--as-of", AS_OF.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        addresses = dict(process.stdout.readline().strip().split("=", 1) for _ in range(3))
        environment = {
            "TRADIER_API_KEY": "simulated",
            "TRADIER_BASE_URL": addresses["TRADIER_BASE_URL"],
            "TRADIER_PER_MINUTE": "1000000",
            "ALPHA_VANTAGE_KEY": "simulated",
            "ALPHA_VANTAGE_BASE_URL": addresses["ALPHA_VANTAGE_BASE_URL"],
            **{f"ALPHA_VANTAGE_PER_{span}": "100000" for span in ("SECOND", "MINUTE", "DAY")},
            "RETRY_BACKOFF_BASE": "0.01",
            "CACHE_L2_TTL": "3600",
            "DB_PATH": "load.db",
        }
        prepared = Load(directory, environment, rows_of(World(7, AS_OF, size=LISTED)))
        assert len(prepared.rows) == COMPANIES
        prepared.batch(prepared.rows, 10)  # stores the histories, and lets the market draw everything
        yield prepared
        process.terminate()


def check(load: Load, *batches: tuple[BatchRow, ...], concurrency: int, limit_s: float) -> None:
    """These batches take less than that, the fastest of a few tries."""
    tries: list[Taken] = []
    while len(tries) < TRIES and not any(each.elapsed_s < limit_s for each in tries):
        tries.append(load.cold(*batches, concurrency=concurrency))
    fastest = min(tries)
    others = os.getloadavg()[0] > (os.cpu_count() or 1)
    if fastest.elapsed_s >= limit_s > fastest.processor_s and others:
        pytest.skip(
            f"busy machine: {fastest.processor_s:.2f} s of work took {fastest.elapsed_s:.2f} s, not {limit_s} s"
        )
    assert fastest.elapsed_s < limit_s, fastest


@pytest.mark.parametrize(
    ("count", "concurrency", "limit_s"),
    [(10, 10, 0.5), (50, 50, 2.0), (100, 100, 4.0), (50, 10, 2.5)],
    ids=["10 in 0.5 s", "50 in 2 s", "100 in 4 s", "50, ten at once, in 2.5 s"],
)
def test_so_many_companies_take_less_than_that(load: Load, count: int, concurrency: int, limit_s: float) -> None:
    check(load, load.rows[:count], concurrency=concurrency, limit_s=limit_s)


def test_30_companies_in_batches_of_10_take_less_than_1_5_s(load: Load) -> None:
    batches = [load.rows[begin : begin + 10] for begin in (0, 10, 20)]
    check(load, *batches, concurrency=10, limit_s=1.5)


def test_a_company_among_100_costs_no_more_than_one_among_20(load: Load) -> None:
    def each_s(count: int) -> float:
        return min(load.cold(load.rows[:count], concurrency=10).processor_s for _ in range(2)) / count

    few, many = each_s(20), each_s(100)
    assert many < 1.3 * few


def test_of_100_companies_those_that_the_market_fails_are_explained_and_the_others_done(load: Load) -> None:
    broken = [row.label for row in load.rows[5::10]]
    rules = ", ".join(f'{{"fault": "200_garbage", "path": "expirations", "symbol": "{ticker}"}}' for ticker in broken)
    load.switches(f'{{"faults": [{rules}]}}')
    try:
        for file in load.directory.glob("*cache*"):
            file.unlink()
        outcome, requests = load.batch(load.rows, 100)
    finally:
        load.switches("{}")
    failed = {row.label: row.answer.error for row in outcome.rows if isinstance(row.answer, Err)}
    assert len(outcome.rows) == COMPANIES
    assert set(broken) <= set(failed)
    assert {failed[ticker].code for ticker in broken} == {ErrorCode.EXTERNAL}
    assert all("broken JSON" in failed[ticker].message for ticker in broken)
    assert {failed[ticker].code for ticker in set(failed) - set(broken)} <= {ErrorCode.NODATA}
    assert requests <= 3 + 4 * COMPANIES  # one for quotes, two months of the calendar; nothing is asked again in vain


def test_batch_after_batch_nothing_more_is_held_in_memory(load: Load) -> None:
    rows = load.rows[:5]
    load.batch(rows, 5)

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        with untraced():
            for _ in range(3):  # what is loaded or remembered once for all comes first
                load.batch(rows, 5)
            before = held()
            for _ in range(10):
                load.batch(rows, 5)
            grown = held() - before
    finally:
        tracemalloc.stop()
    assert grown < 10 * 4_000  # one analysis left behind in each would weigh more
