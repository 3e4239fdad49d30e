"""`python -m tests.power.writer FOLDER KIND NUMBER ROWS BYTES`: one session of the repositories' real writes.

It is run under strace. After every step it tells on its standard output, as one line, what the folder now holds: who
reads that line relies on it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import shake_128
from pathlib import Path
from typing import TypeVar

from ivcrush.domain.enums import Timing
from ivcrush.domain.errors import AppError, Err, ErrorCode, Result
from ivcrush.domain.types import BatchRun, DailyBar, HistoricalMove, MissingMove, Ticker
from ivcrush.infrastructure.database.backup import back_up, restore
from ivcrush.infrastructure.database.connection import Database
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.repositories.batch_repository import BatchRepository
from ivcrush.infrastructure.database.repositories.prices_repository import PricesRepository
from ivcrush.utils.files import write_whole
from tests.power.states import BACKUP, DATABASE, REPORT, state
from tests.unit.infrastructure.database.snapshots import ibm_analysis

T = TypeVar("T")
_STDOUT = 1
_MORNING = datetime(2026, 5, 15, 13, 45, tzinfo=UTC)
_TICKERS = (Ticker("IBM"), Ticker("KO"), Ticker("MSFT"))
_REPORTS, _BARS = 8, 40


def work(folder: Path, number: int, rows: int, document_bytes: int) -> Database:
    """A run over many companies; the database is still open at its end, as a killed process leaves it."""
    database = opened(folder)
    tell(folder, database)
    batches, prices, run = BatchRepository(database), PricesRepository(database), f"run {number}"
    questions = [f"company {position}" for position in range(rows)]
    done(batches.begin_run(BatchRun(run, "analyze-batch", f"session {number}", _MORNING), questions, {}))
    tell(folder, database)
    for position, question in enumerate(questions):
        ended_at = _MORNING + timedelta(minutes=position)
        if position % 5 == 4:
            error = AppError(ErrorCode.NODATA, f"{question}: no chain, one needed")
            done(batches.save_failed(run, question, error, ended_at=ended_at))
        else:
            document = shake_128(f"{number}/{position}".encode()).digest(document_bytes)
            done(batches.save_analysed(run, question, ibm_analysis(), document, ended_at=ended_at))
        tell(folder, database)
        if position % 3 == 0:
            save_history(prices, _TICKERS[position // 3 % len(_TICKERS)], version=100 * number + position)
            tell(folder, database)
    done(batches.end_run(run, complete=True, exit_code=0, ended_at=_MORNING + timedelta(hours=1)))
    tell(folder, database)
    done(write_whole(folder / REPORT, [f"report of {run}\n".encode(), b"-" * document_bytes]))
    tell(folder, database)
    return database


def finish(folder: Path, number: int, rows: int, document_bytes: int) -> None:
    """Work, and close the database."""
    work(folder, number, rows, document_bytes).close()


def die(folder: Path, number: int, rows: int, document_bytes: int) -> None:
    """Work, and end without closing anything: the write-ahead log stays."""
    work(folder, number, rows, document_bytes)
    os._exit(0)


def keep(folder: Path, number: int, rows: int, document_bytes: int) -> None:
    """Back the database up."""
    done(back_up(folder / DATABASE, folder / BACKUP, interrupted=lambda: False))
    database = opened(folder)
    tell(folder, database)
    database.close()


def bring_back(folder: Path, number: int, rows: int, document_bytes: int) -> None:
    """Put the backup into the database's place."""
    suffix = f".before-{number}"
    done(restore(folder / BACKUP, folder / DATABASE, suffix=suffix, busy_timeout_s=5.0, interrupted=lambda: False))
    database = opened(folder)
    tell(folder, database)
    database.close()


def save_history(prices: PricesRepository, ticker: Ticker, version: int) -> None:
    """A company's history, every number of which tells the version."""
    mark = 1.0 + version
    days = [date(2026, 4, 20) - timedelta(91 * quarter) for quarter in range(_REPORTS)]
    moves = [HistoricalMove(day, Timing.AMC, day + timedelta(1), mark, mark, mark, mark, mark) for day in days[1:]]
    bars = [DailyBar(date(2026, 5, 14) - timedelta(day), mark, mark, mark, mark, version) for day in range(_BARS)]
    missing = [MissingMove(days[0], Timing.UNKNOWN, f"no bars, version {version}")]
    saved_at = _MORNING + timedelta(seconds=version)
    done(prices.save_history(ticker, moves, missing, bars, through=date(2026, 5, 14), saved_at=saved_at))


def opened(folder: Path) -> Database:
    """The database, made where there is none."""
    return done(init_database(folder / DATABASE))


def done(result: Result[T]) -> T:
    """The value of a step that must not fail. Raises RuntimeError."""
    if isinstance(result, Err):
        raise RuntimeError(result.error.message)  # noqa: TRY004 — the world disappointed
    return result.value


def tell(folder: Path, database: Database) -> None:
    """Acknowledge all that was done so far."""
    os.write(_STDOUT, json.dumps(state(folder, database)).encode() + b"\n")


KINDS: Mapping[str, Callable[[Path, int, int, int], None]] = {
    "finish": finish,
    "die": die,
    "keep": keep,
    "bring_back": bring_back,
}

if __name__ == "__main__":
    KINDS[sys.argv[2]](Path(sys.argv[1]), *(int(word) for word in sys.argv[3:6]))
