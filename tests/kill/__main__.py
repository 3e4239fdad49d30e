"""`python -m tests.kill`: kills the real commands at random moments and says whether anything came of it.

Every series has its own seed, printed with it; `--seed S --series N` draws the same moments again. Exit code 1 for any
violation, whose folder is then kept.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from pathlib import Path
from random import Random

from simulated_market import SimulatedMarket, Switches, World
from tests.kill.scenarios import Scenario, backfill, batch
from tests.kill.series import AS_OF, KILLS_A_SERIES, Bench, Series, killed_series, undisturbed

WORKERS = 3
# Slow enough that a row takes as long as a kill has room, quick enough that hundreds fit into minutes.
PACE = Switches(latency_ms=5, latency_jitter_ms=20)
WORLD_SEED = 7
COMPANIES = 8


class Tally:
    """The kills of all workers, and what came of them."""

    def __init__(self, numbers: Iterator[int], wanted: int) -> None:
        self._lock = threading.Lock()
        self._numbers = numbers
        self._wanted = wanted
        self.kills = 0
        self.kills_by_script: Counter[str] = Counter()
        self.series = self.hot = self.untold = self.violations = 0

    def next_series(self) -> int | None:
        """The number of the next series, None when there is none or enough was killed."""
        with self._lock:
            return next(self._numbers, None) if self.kills < self._wanted else None

    def add(self, bench: Bench, series: Series, title: str, folder: Path) -> None:
        """Counts a series and prints its line."""
        with self._lock:
            self.series += 1
            self.kills += series.kills
            self.kills_by_script[bench.scenario.script] += series.kills
            self.hot += series.hot
            self.untold += series.untold
            self.violations += len(series.problems)
            sys.stdout.write(f"{title}: {series.kills} kills, {len(series.problems)} violations\n")
            for problem in series.problems:
                sys.stdout.write(f"    {problem}\n")
            if series.problems:
                sys.stdout.write(f"    kept: {folder}\n")
            sys.stdout.flush()


def main() -> int:
    """The exit code: 0 where nothing was violated."""
    options = _parser().parse_args()
    began = time.monotonic()
    tally = Tally(count(1) if options.series is None else iter((options.series,)), options.kills)
    sys.stdout.write(f"seed {options.seed}\n")
    with ThreadPoolExecutor(WORKERS) as pool:
        workers = [pool.submit(_work, tally, options.seed) for _ in range(WORKERS)]
        for worker in workers:
            worker.result()
    sys.stdout.write(
        f"{tally.kills} kills in {tally.series} series ({_shares(tally)}): "
        f"{tally.hot} left a write-ahead log to recover, {tally.untold} fell between a commit and its line\n"
        f"{tally.violations} violations, {time.monotonic() - began:.0f} s, seed {options.seed}\n"
    )
    return 1 if tally.violations else 0


def _shares(tally: Tally) -> str:
    return ", ".join(f"{script} {kills}" for script, kills in sorted(tally.kills_by_script.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="how many at least (300)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="what the moments come from")
    parser.add_argument("--series", type=int, help="this one series alone")
    return parser


def _work(tally: Tally, seed: int) -> None:
    """Series after series against a market of its own."""
    world = World(WORLD_SEED, datetime.fromisoformat(AS_OF), size=60)
    with SimulatedMarket(world, switches=PACE) as market:
        benches = [_bench(market, scenario) for scenario in (backfill(world, COMPANIES), batch(world, COMPANIES))]
        while (number := tally.next_series()) is not None:
            bench = benches[number % 3 > 0]  # the batch, which does more, twice as often
            folder = Path(tempfile.mkdtemp(prefix=f"kill-{seed}-{number}-"))
            chance = Random(f"{seed}/{number}")
            series = killed_series(bench, folder, chance, chance.randint(*KILLS_A_SERIES))
            tally.add(bench, series, f"series {number} {bench.scenario.script}", folder)
            if not series.problems:
                shutil.rmtree(folder)


def _bench(market: SimulatedMarket, scenario: Scenario) -> Bench:
    with tempfile.TemporaryDirectory(prefix="kill-undisturbed-") as folder:
        return undisturbed(market, scenario, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
