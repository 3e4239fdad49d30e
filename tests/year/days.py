"""One simulated trading day after another, each with its mishap, and what every one of them must leave.

The program is the real one, called in this process without `--as-of`: its clock stands on the day that is lived.
"""

import asyncio
import contextlib
import gc
import io
import os
import time as machine
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final

from ivcrush.cli.main import main
from ivcrush.domain.errors import Err
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.infrastructure.database.examination import examine_database
from simulated_market import SimulatedMarket, World
from tests.integration.conftest import KEY, TOKEN
from tests.year.judgement import Evening, Judge, Run, sessions_scanned
from tests.year.plan import Plan, drawn_plan

WORLD_SEED, COMPANIES = 7, 45
_INHERITED: Final = ("PATH", "HOME", "LANG")
# A quarter of an hour before the close, and after it where the exchange closes early.
_MOMENT: Final = time(15, 45)


@dataclass(frozen=True, slots=True)
class Day:
    """What came of a trading day."""

    day: date
    mishap: str
    codes: tuple[int, ...]
    problems: tuple[str, ...]
    resident_kb: int
    descriptors: int
    files_bytes: int  # database, cache and their logs
    rows: int  # of all tables


class DayClock:
    """The machine's clock, put forward or back to one moment."""

    def __init__(self, moment: datetime) -> None:
        self._moment, self._begun_s = moment.astimezone(UTC), machine.monotonic()

    def now(self) -> datetime:
        return self._moment + timedelta(seconds=machine.monotonic() - self._begun_s)

    def monotonic(self) -> float:
        return machine.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Year:
    """These sessions lived in a folder; `met` counts what came about and was treated rightly."""

    def __init__(self, folder: Path, sessions: Sequence[date], seed: int) -> None:
        start = World(WORLD_SEED, _moment(sessions[0]), size=COMPANIES)
        self.plan: Plan = drawn_plan(start, sessions, seed)
        self._world = World(WORLD_SEED, start.as_of, size=COMPANIES, events=self.plan.events)
        self._folder, self._seed, self._judge = folder, seed, Judge()

    @property
    def met(self) -> Counter[str]:
        return self._judge.met

    def days(self) -> Iterator[Day]:
        """One after the other."""
        for number, day in enumerate(self.plan.sessions):
            switches = self.plan.switches(number, self._seed)
            with SimulatedMarket(self._world.at(_moment(day)), switches=switches) as market:
                yield self._lived(market, number)

    def _lived(self, market: SimulatedMarket, number: int) -> Day:
        day, clock = self.plan.sessions[number], DayClock(_moment(self.plan.sessions[number]))
        drawn = Random(f"{self._seed}/{day}").sample(market.world.tickers, 2)
        tickers = dict.fromkeys((*drawn, *self.plan.watched.get(day, ())))
        scan = self._run(market, clock, "scan", "--days", str(sessions_scanned(day)), "--format", "json")
        backfill = self._run(market, clock, "backfill", *tickers, "--calendar", "--dividends")
        database, calls = self._folder / "data" / "ivcrush.db", self.plan.switches(number, self._seed).per_day
        world = self._world.at(_moment(day))  # another one than the market's thread reads
        evening = Evening(number, self.plan, world, database, scan, backfill, calls)
        rows, damage = _examined(database)
        told = [secret for secret in (TOKEN, KEY) for run in (scan, backfill) if secret in run.out + run.err]
        problems = (*self._judge.problems(evening), *damage, *("told a secret" for _ in told))
        gc.unfreeze()  # each run freezes what its process begins with; in this one that is the former run's remains
        gc.collect()
        size = sum(path.stat().st_size for path in database.parent.iterdir() if path.is_file())
        codes = (scan.code, backfill.code)
        return Day(day, evening.mishap, codes, problems, _resident_kb(), _descriptors(), size, rows)

    def _run(self, market: SimulatedMarket, clock: DayClock, *arguments: str) -> Run:
        out, err, former, place = io.StringIO(), io.StringIO(), dict(os.environ), Path.cwd()
        kept = {name: former[name] for name in _INHERITED if name in former}
        before = len(market.log())
        try:
            os.environ.clear()
            os.environ.update(kept | _settings(market))
            os.chdir(self._folder)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main([*arguments, "--log-level", "WARNING"], clock)
        finally:
            os.chdir(place)
            os.environ.clear()
            os.environ.update(former)
        return Run(arguments[0], int(code), out.getvalue(), err.getvalue(), market.log()[before:])


def secrets_below(folder: Path) -> list[str]:
    """The files in which the token or the key stands."""
    holders = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in holders if any(secret.encode() in path.read_bytes() for secret in (TOKEN, KEY))]


def _moment(day: date) -> datetime:
    return datetime.combine(day, _MOMENT, NEW_YORK)


def _settings(market: SimulatedMarket) -> dict[str, str]:
    return {
        "TRADIER_API_KEY": TOKEN,
        "TRADIER_BASE_URL": market.tradier_base_url,
        "TRADIER_PER_MINUTE": "100000",
        "ALPHA_VANTAGE_KEY": KEY,
        "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
        "ALPHA_VANTAGE_PER_SECOND": "1000",
        "ALPHA_VANTAGE_PER_MINUTE": "1000",
        "ALPHA_VANTAGE_PER_DAY": "100000",
        "RETRY_BACKOFF_BASE": "0.01",
        "RETRY_MAX_BACKOFF": "0.02",
        "REQUEST_TIMEOUT": "5",
        "CIRCUIT_BREAKER_RECOVERY_TIMEOUT": "0.05",
    }


def _examined(path: Path) -> tuple[int, list[str]]:
    facts = examine_database(path, interrupted=lambda: False)
    if isinstance(facts, Err):
        return 0, [facts.error.message]
    return sum(count for _, count in facts.value.tables), list(facts.value.damage)


def _resident_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
