"""Storage across processes: killed writers, writers side by side, the cache across a restart."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ivcrush.domain.enums import DateStatus, ReportSource, Timing
from ivcrush.domain.errors import Ok, Result
from ivcrush.domain.types import DailyBar, HistoricalMove, MissingMove, ScheduledReport, Ticker
from ivcrush.infrastructure.cache.hybrid_cache import HybridCache
from ivcrush.infrastructure.cache.memory_cache import MemoryCache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.earnings_repository import EarningsRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository

NOW = datetime(2026, 5, 15, 19, 45, tzinfo=UTC)

# Saves one company's history after the other and says each name only when it is kept.
_WRITER = """
import sys
from datetime import date, datetime, UTC
from pathlib import Path
from ivcrush.domain.enums import Timing
from ivcrush.domain.types import DailyBar, MissingMove
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository
store = PricesRepository(init_database(Path(sys.argv[1])).value)
bars = [DailyBar(date.fromordinal(739_000 + n), 1.0, 2.0, 0.5, 1.5, n) for n in range(60)]
missing = [MissingMove(date(2025, 7, 23), Timing.UNKNOWN, "session unknown")]
for number in range(1_000_000):
    name = sys.argv[2] + str(number)
    now = datetime(2026, 5, 15, tzinfo=UTC)
    assert store.save_history(name, (), missing, bars, through=bars[-1].session, saved_at=now).value is None
    print(name, flush=True)
"""


def start_writer(path: Path, prefix: str) -> "subprocess.Popen[str]":
    source = Path(__file__).resolve().parents[2] / "src"
    command = [sys.executable, "-c", _WRITER, str(path), prefix]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def opened(path: Path) -> Database:
    result = init_database(path)
    assert isinstance(result, Ok), result
    return result.value


def whole_histories(database: Database) -> set[str]:
    """The companies kept; each must have all its bars and its one unmeasured report, or nothing."""
    sql = """SELECT ticker, (SELECT count(*) FROM daily_bars WHERE daily_bars.ticker = kept.ticker),
        (SELECT count(*) FROM historical_moves WHERE historical_moves.ticker = kept.ticker)
        FROM ticker_metadata AS kept"""
    found = database.rows(sql, (), lambda row: (str(row[0]), int(row[1]), int(row[2])))
    assert isinstance(found, Ok)
    assert {(bars, reports) for _, bars, reports in found.value} <= {(60, 1)}
    return {ticker for ticker, _, _ in found.value}


@pytest.mark.parametrize("kept_before_the_kill", [1, 7, 40])
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_said_was_kept(
    tmp_path: Path, kept_before_the_kill: int
) -> None:
    path = tmp_path / "ivcrush.db"
    for round_number in range(2):
        writer = start_writer(path, f"R{round_number}N")
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(kept_before_the_kill)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().split()
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        database = opened(path)
        assert database.check() == Ok(None)
        assert whole_histories(database) >= set(said)
        database.close()


def test_two_processes_that_write_at_once_both_keep_everything(tmp_path: Path) -> None:
    path = tmp_path / "ivcrush.db"
    writers = [start_writer(path, prefix) for prefix in ("A", "B")]
    said: set[str] = set()
    for writer in writers:
        assert writer.stdout is not None
        said |= {writer.stdout.readline().strip() for _ in range(30)}
    for writer in writers:
        writer.kill()
        assert writer.stdout is not None
        said |= set(writer.stdout.read().split())
        writer.stdout.close()
        writer.wait()
    database = opened(path)
    assert database.check() == Ok(None)
    assert whole_histories(database) >= said
    database.close()


def test_a_reader_sees_each_history_whole_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "ivcrush.db"
    writer = start_writer(path, "W")
    assert writer.stdout is not None
    writer.stdout.readline()
    reader = opened(path)
    seen = [len(whole_histories(reader)) for _ in range(20)]
    writer.kill()
    writer.stdout.close()
    writer.wait()
    assert seen == sorted(seen)
    assert seen[0] >= 1
    reader.close()


def test_what_one_run_learns_the_next_run_knows(tmp_path: Path) -> None:
    ibm, path = Ticker("IBM"), tmp_path / "data" / "ivcrush.db"
    move = HistoricalMove(date(2026, 1, 28), Timing.AMC, date(2026, 1, 29), 294.12, -5.1, -4.0, -1.1, -6.2)
    missing = MissingMove(date(2025, 7, 23), Timing.UNKNOWN, "session unknown")
    bar = DailyBar(date(2026, 1, 29), 282.4, 284.0, 275.9, 279.1, 9_000_000)
    report = ScheduledReport(
        ibm, date(2026, 5, 20), Timing.AMC, DateStatus.CONFIRMED, ReportSource.ALPHA_VANTAGE, "IBM"
    )
    first = opened(path)
    assert PricesRepository(first).save_history(ibm, [move], [missing], [bar], through=NOW.date(), saved_at=NOW) == Ok(
        None
    )
    kept = EarningsRepository(first).save_scheduled(ibm, [report], NOW, source=ReportSource.ALPHA_VANTAGE)
    assert kept == Ok(None)
    first.close()
    second = opened(path)
    prices, earnings = PricesRepository(second), EarningsRepository(second)
    assert prices.moves(ibm, NOW.date()) == Ok((move,))
    assert prices.missing_moves(ibm, NOW.date()) == Ok((missing,))
    assert prices.bars(ibm, date(2026, 1, 1), NOW.date()) == Ok((bar,))
    assert prices.last_backfill(ibm) == Ok(NOW)
    assert earnings.scheduled(ibm, NOW.date(), date(2026, 6, 30)) == Ok((report,))
    second.close()


def test_a_cache_killed_with_its_process_still_serves_or_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    child = os.fork()
    if child == 0:  # pragma: no cover - another process, ended by SIGKILL
        cache = SqliteCache(path)
        for number in range(50):
            cache.set(f"k{number}", bytes(60_000), 300.0)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    cache = SqliteCache(path)
    assert [cache.get(f"k{number}") is not None for number in range(50)] == [True] * 50
    cache.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_second_run_asks_nothing_that_the_first_one_kept(tmp_path: Path) -> None:
    asked = 0

    async def load() -> Result[bytes]:
        nonlocal asked
        asked += 1
        return Ok(b"body")

    for _ in range(2):
        cache = HybridCache(MemoryCache(), SqliteCache(tmp_path / "cache.db"))
        answer = asyncio.run(cache.get_or_load("k", ttl_s=300.0, load=load, decode=lambda body: Ok(body.decode())))
        assert answer == Ok("body")
        cache.close()
    assert asked == 1
