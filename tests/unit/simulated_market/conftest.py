"""One small world and one running market for the whole folder, and a plain client that speaks to it."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from simulated_market import SimulatedMarket, Switches, World

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY_AFTERNOON = datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK)
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="package")
def world() -> World:
    return World(seed=7, as_of=FRIDAY_AFTERNOON, size=150)


@pytest.fixture(scope="package")
def running(world: World) -> Iterator[SimulatedMarket]:
    with SimulatedMarket(world) as market:
        yield market


@pytest.fixture
def market(running: SimulatedMarket) -> Iterator[SimulatedMarket]:
    """The running market with plain switches before and after each test."""
    running.set_switches(Switches())
    yield running
    running.set_switches(Switches())


@pytest.fixture
def client(market: SimulatedMarket) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer token", "Accept": "application/json"}
    with httpx.Client(headers=headers, timeout=5.0, trust_env=False) as client:
        yield client


@pytest.fixture
def tradier(client: httpx.Client, market: SimulatedMarket) -> Ask:
    """Asks Tradier: `tradier("options/chains", symbol="AAPL", …)`."""

    def ask(path: str, **parameters: str) -> httpx.Response:
        return client.get(f"{market.tradier_base_url}/markets/{path}", params=parameters)

    return ask


@pytest.fixture
def alpha_vantage(client: httpx.Client, market: SimulatedMarket) -> Ask:
    """Asks Alpha Vantage: `alpha_vantage("EARNINGS", symbol="AAPL")`."""

    def ask(function: str, **parameters: str) -> httpx.Response:
        parameters = {"apikey": "key"} | parameters
        return client.get(market.alpha_vantage_base_url, params={"function": function} | parameters)

    return ask


def rows_of(response: httpx.Response, outer: str, inner: str) -> list[dict[str, object]]:
    """The rows of a Tradier answer, one or many."""
    found = json.loads(response.content)[outer][inner]
    return found if isinstance(found, list) else [found]
