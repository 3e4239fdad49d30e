"""Near the provider's limit without being refused: a batch against rate windows of a second instead of a minute."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from simulated_market import LogEntry, SimulatedMarket, Switches, World
from tests.integration.conftest import AS_OF, TOKEN, Desk

COMPANIES = 200
PERMITTED = 50  # requests a window, which lasts a second
WINDOWS = Switches(rate_limit=PERMITTED, rate_window_s=1.0)
FOREIGN_A_SECOND = 12
FOREIGN = "/v1/markets/lookup"


@pytest.fixture(scope="module")
def crowd() -> Iterator[SimulatedMarket]:
    """A market of 200 companies that report soon, its chains priced beforehand: the limit is to be what holds us up."""
    world = World(7, AS_OF, size=COMPANIES + 10)
    with SimulatedMarket(world) as market:
        market.prepare(world.tickers, expirations=4)
        yield market


@pytest.fixture
def paced(desk: Desk, crowd: SimulatedMarket) -> Desk:
    """A desk at that market. Without the second key no history is asked for: four requests a company."""
    crowd.set_switches(WINDOWS)
    return replace(
        desk,
        market=crowd,
        environment=desk.environment | {"TRADIER_BASE_URL": crowd.tradier_base_url, "ALPHA_VANTAGE_KEY": ""},
    )


def batch(desk: Desk, companies: int) -> tuple[dict[str, Any], list[LogEntry]]:
    """The report of a run in a process of its own, and what the market was asked meanwhile."""
    world = desk.market.world
    coming = [(ticker, world.upcoming(ticker)) for ticker in world.tickers]
    lines = [f"{ticker},{report.day.isoformat()},,{report.timing.value}\n" for ticker, report in coming if report]
    desk.file("earnings.csv", ("ticker,earnings_date,expiration_date,timing\n" + "".join(lines[:companies])).encode())
    before = len(desk.market.log())
    arguments = ("--earnings-file", "earnings.csv", "--continue-on-error", "--format", "json", "--as-of")
    out, _ = desk.process("analyze_batch.py", *arguments, AS_OF.isoformat()).communicate()
    log = list(desk.market.log())[before:]
    return json.loads(out), log


def test_two_hundred_companies_take_as_long_as_the_permitted_rate_and_none_is_refused(paced: Desk) -> None:
    report, log = batch(paced, COMPANIES)
    took_s = log[-1].at_s - log[0].at_s
    assert report["summary"]["total"] == COMPANIES
    assert len(log) > 3.9 * COMPANIES
    assert {entry.status for entry in log} == {200}
    assert took_s <= 1.05 * len(log) / PERMITTED


def test_somebody_else_on_the_same_token_slows_us_and_breaks_nothing(paced: Desk) -> None:
    with somebody_else(paced.market):
        report, log = batch(paced, COMPANIES // 2)
    ours = [entry for entry in log if FOREIGN not in entry.question]
    took_s = ours[-1].at_s - ours[0].at_s
    refused = [entry for entry in ours if entry.status == 429]
    assert {row["error"]["code"] for row in report["failures"]} <= {"NODATA"}  # what the options say, not the provider
    assert len(refused) <= len(ours) / 50  # he may come between a reply and the next request
    assert 1.05 * len(ours) / PERMITTED < took_s < 1.5 * len(ours) / (PERMITTED - FOREIGN_A_SECOND)


@contextmanager
def somebody_else(market: SimulatedMarket) -> Iterator[None]:
    """Another program with our token, which asks at its own steady pace whatever it is told."""
    ended = threading.Event()

    def ask() -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
            while not ended.wait(1 / FOREIGN_A_SECOND):
                client.get(f"http://127.0.0.1:{market.port}{FOREIGN}?q=A")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
