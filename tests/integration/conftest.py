"""The program as its users meet it: the real entry points, against a simulated market, in an empty folder."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from ivcrush.cli.main import main
from ivcrush.domain.market_calendar import NEW_YORK
from simulated_market import FaultRule, SimulatedMarket, Switches, World
from tests.conftest import PROJECT

AS_OF = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
TOKEN, KEY = "canary-token-7f3a", "CANARYKEY9C41"
INHERITED = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run left."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def running() -> Iterator[SimulatedMarket]:
    with SimulatedMarket(World(7, AS_OF, size=60)) as market:
        yield market


@pytest.fixture
def market(running: SimulatedMarket) -> Iterator[SimulatedMarket]:
    """The running market with plain switches before and after."""
    running.set_switches(Switches())
    yield running
    running.set_switches(Switches())


@dataclass(frozen=True, slots=True)
class Desk:
    """A trader's folder and environment; `run` calls the program in this process, `process` starts a script."""

    directory: Path
    environment: dict[str, str]
    market: SimulatedMarket
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def run(self, *arguments: str, as_of: bool = True, **settings: str) -> Finished:
        """`ivcrush …` at the market's moment."""
        for name in set(os.environ) - set(INHERITED):
            self.patch.delenv(name)
        for name, value in (self.environment | settings).items():
            self.patch.setenv(name, value)
        self.patch.chdir(self.directory)
        self.capture.readouterr()
        try:
            code = main([*arguments, *(("--as-of", AS_OF.isoformat()) if as_of else ())])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = self.capture.readouterr()
        return Finished(code, captured.out, captured.err)

    def process(self, script: str, *arguments: str, **options: object) -> "subprocess.Popen[bytes]":
        """A script as a process of its own, its output in pipes unless `options` say otherwise."""
        command = [sys.executable, str(PROJECT / "scripts" / script), *arguments]
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        chosen = {"cwd": self.directory, "env": kept | self.environment, "stdout": subprocess.PIPE} | options
        return subprocess.Popen(command, stderr=subprocess.PIPE, **chosen)  # type: ignore[call-overload, no-any-return]

    def strike(self, fault: str, path: str | None = None, symbol: str | None = None, share: float = 1.0) -> None:
        """From now on the market has this fault."""
        self.market.set_switches(Switches(faults=(FaultRule(fault, path=path, symbol=symbol, share=share),)))

    def file(self, name: str, content: bytes) -> Path:
        """A file in the folder."""
        path = self.directory / name
        path.write_bytes(content)
        return path


@pytest.fixture
def desk(
    tmp_path: Path,
    market: SimulatedMarket,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    environment = {
        "TRADIER_API_KEY": TOKEN,
        "TRADIER_BASE_URL": market.tradier_base_url,
        "TRADIER_PER_MINUTE": "100000",
        "ALPHA_VANTAGE_KEY": KEY,
        "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
        "ALPHA_VANTAGE_PER_SECOND": "1000",
        "ALPHA_VANTAGE_PER_MINUTE": "1000",
        "RETRY_BACKOFF_BASE": "0.01",
        "RETRY_MAX_BACKOFF": "0.02",
        "REQUEST_TIMEOUT": "5",
    }
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Desk(tmp_path, environment, market, capsys, monkeypatch)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
