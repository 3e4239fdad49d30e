"""One simulated trading day after another, each with its seeded mishap, and what every one of them must leave.

The program is the real one, called in this process; its own moment is given by `--as-of`, its waits are those of the
real clock.
"""

import contextlib
import gc
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Final

from ivcrush.cli.main import main
from ivcrush.domain.errors import Err
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.infrastructure.database.examination import examine_database
from simulated_market import FaultRule, SimulatedMarket, Switches, World
from simulated_market.session_calendar import closing_moment, session_on_or_after, sessions_ahead
from tests.integration.conftest import KEY, TOKEN

# The first days after the clocks go back; a year from there has every holiday and both changes of the clock.
FIRST_DAY: Final = date(2025, 11, 3)
WORLD_SEED, COMPANIES = 7, 30
_INHERITED: Final = ("PATH", "HOME", "LANG")
_BEFORE_CLOSE: Final = time(15, 45)
_QUIET: Final = frozenset({0, 1, 3})  # 1: nobody reports in the days asked for, or no report has a usable price
_OUTAGE: Final = frozenset({0, 1, 3, 69})
_MISHAPS: Final[Mapping[str, tuple[frozenset[int], tuple[FaultRule, ...]]]] = {
    "fair": (_QUIET, ()),
    "slow and flapping": (_QUIET, (FaultRule("500", every=7),)),
    "every call fails": (_OUTAGE, (FaultRule("500"),)),
    "connections cut": (_OUTAGE, (FaultRule("reset_before", probability=0.5),)),
    "chains gone": (_OUTAGE, (FaultRule("500", path="/markets/options/chains"),)),
}
_WEIGHTS: Final = (70, 10, 5, 10, 5)


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


def trading_days(folder: Path, count: int, seed: int) -> Iterator[Day]:
    """So many sessions in a row, from `FIRST_DAY` on."""
    world = World(WORLD_SEED, _moment(FIRST_DAY), size=COMPANIES, anchor=FIRST_DAY)
    for number in range(count):
        day = session_on_or_after(FIRST_DAY) if number == 0 else sessions_ahead(FIRST_DAY, number)
        chance = Random(f"{seed}/{number}")
        mishap = chance.choices(tuple(_MISHAPS), _WEIGHTS)[0]
        with SimulatedMarket(world.at(_moment(day)), switches=Switches(seed=number, faults=_MISHAPS[mishap][1])) as one:
            yield _lived(folder, one, day, mishap, chance)


def _lived(folder: Path, market: SimulatedMarket, day: date, mishap: str, chance: Random) -> Day:
    tickers = chance.sample(market.world.tickers, 3)
    commands = (
        ("scan", "--days", "3", "--format", "json", "--refresh"),
        ("backfill", *tickers, "--calendar", "--dividends"),
    )
    codes, problems = [], []
    for command in commands:
        code, out, err = _run(folder, market, *command, "--as-of", _moment(day).isoformat())
        codes.append(code)
        if code not in _MISHAPS[mishap][0]:
            problems.append(f"{command[0]}: exit code {code}: {err.strip().splitlines()[:1]}")
        if code not in {0, 3} and not err.strip():
            problems.append(f"{command[0]}: exit code {code} and no word why")
        if "Traceback" in err:
            problems.append(f"{command[0]}: a traceback")
        problems += [f"{command[0]}: told a secret" for secret in (TOKEN, KEY) if secret in out + err]
    rows, found = _examined(folder / "data" / "ivcrush.db")
    gc.unfreeze()  # each run freezes what its process begins with; in this one that is the former run's remains
    gc.collect()
    size = sum(path.stat().st_size for path in (folder / "data").iterdir() if path.is_file())
    return Day(
        day, mishap, tuple(int(code) for code in codes), (*problems, *found), _resident_kb(), _descriptors(), size, rows
    )


def secrets_below(folder: Path) -> list[str]:
    """The files in which the token or the key stands."""
    holders = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in holders if any(secret.encode() in path.read_bytes() for secret in (TOKEN, KEY))]


def _moment(day: date) -> datetime:
    """A quarter of an hour before the close, on days that close early too."""
    usual = datetime.combine(day, _BEFORE_CLOSE, NEW_YORK)
    return min(usual, closing_moment(day).astimezone(NEW_YORK) - timedelta(minutes=15))


def _run(folder: Path, market: SimulatedMarket, *arguments: str) -> tuple[int, str, str]:
    out, err, former, place = io.StringIO(), io.StringIO(), dict(os.environ), Path.cwd()
    kept = {name: former[name] for name in _INHERITED if name in former}
    try:
        os.environ.clear()
        os.environ.update(kept | _settings(market))
        os.chdir(folder)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*arguments, "--log-level", "WARNING"])
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(former)
    return code, out.getvalue(), err.getvalue()


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
