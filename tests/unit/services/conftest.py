"""The program's real parts at a simulated market's counter: real sockets, a real database, a clock that is set."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from ivcrush.application.services.request_planner import ReportQuestion
from ivcrush.config.validation import load_settings
from ivcrush.container import Container, RunOptions
from ivcrush.domain.analysis import TickerAnalysis
from ivcrush.domain.errors import AppError, Err, Ok
from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.domain.types import Ticker
from simulated_market import SimulatedMarket, Switches, World

FRIDAY_AFTERNOON = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)


@dataclass(slots=True)
class SetClock:
    """Stands where it is set; durations are real, so that nothing waits for it."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Desk:
    """One trader's machine: a database that stays, and as many runs over it as a test needs."""

    directory: Path
    worlds: ExitStack
    runs: AsyncExitStack
    market: SimulatedMarket = field(init=False)

    def serve(self, world: World, switches: Switches | None = None) -> SimulatedMarket:
        """Ask this world from now on."""
        self.market = self.worlds.enter_context(SimulatedMarket(world, switches=switches))
        return self.market

    def run(self, *, now: datetime | None = None, as_of: datetime | None = None, **chosen: str | bool) -> Container:
        """A new run of the program; `chosen` are settings by name, `refresh`, `simulated`."""
        flags = {name: bool(chosen.pop(name)) for name in ("refresh", "simulated") if name in chosen}
        prescribed = {
            "TRADIER_API_KEY": "token",
            "TRADIER_BASE_URL": self.market.tradier_base_url,
            "TRADIER_PER_MINUTE": "100000",
            "ALPHA_VANTAGE_KEY": "key",
            "ALPHA_VANTAGE_BASE_URL": self.market.alpha_vantage_base_url,
            "ALPHA_VANTAGE_PER_SECOND": "100000",
            "ALPHA_VANTAGE_PER_MINUTE": "100000",
            "ALPHA_VANTAGE_PER_DAY": "1000",
            "RETRY_MAX_ATTEMPTS": "1",
            "DB_PATH": "ivcrush.db",
        }
        settings = load_settings({}, self.directory, required_keys=(), overrides=prescribed | chosen)
        clock = SetClock(now or as_of or self.market.world.as_of)
        opened = Container.open(settings, RunOptions(as_of=as_of, **flags), clock)
        assert isinstance(opened, Ok)
        self.runs.push_async_callback(opened.value.aclose)
        return opened.value

    async def analysis(self, ticker: str, run: Container | None = None, **question: object) -> TickerAnalysis:
        """The answer, which there has to be."""
        (result,) = await (run or self.run()).analyzer.analyze([ReportQuestion(Ticker(ticker), **question)], "run-1")
        assert isinstance(result, Ok), result
        return result.value

    async def refusal(self, ticker: str, run: Container | None = None, **question: object) -> AppError:
        """The error, which there has to be."""
        (result,) = await (run or self.run()).analyzer.analyze([ReportQuestion(Ticker(ticker), **question)], "run-1")
        assert isinstance(result, Err), result
        return result.error

    def asked(self, words: str) -> int:
        """How many requests so far hold these words in path or parameters."""
        return sum(words in entry.question for entry in self.market.log())


@pytest.fixture(scope="package")
def world() -> World:
    return World(seed=7, as_of=FRIDAY_AFTERNOON, size=60)


@pytest.fixture
async def desk(tmp_path: Path, world: World) -> AsyncIterator[Desk]:
    """A desk at the world of that Friday afternoon."""
    with ExitStack() as worlds:
        async with AsyncExitStack() as runs:
            desk = Desk(tmp_path, worlds, runs)
            desk.serve(world)
            yield desk
