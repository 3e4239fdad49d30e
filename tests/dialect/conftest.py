"""A simulated market for clients that other people wrote: they judge whether our dialects are the providers'."""

from collections.abc import Iterator
from datetime import datetime
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from simulated_market import SimulatedMarket, Switches, World


@pytest.fixture(scope="session")
def world() -> World:
    return World(seed=7, as_of=datetime(2026, 5, 15, 15, 45, tzinfo=ZoneInfo("America/New_York")), size=40)


@pytest.fixture(scope="session")
def market(world: World) -> Iterator[SimulatedMarket]:
    with SimulatedMarket(world, switches=Switches(premium=True)) as market:
        yield market


@pytest.fixture
def root(market: SimulatedMarket) -> str:
    """The address without /v1, as clients take it that add the version themselves."""
    return market.tradier_base_url.removesuffix("/v1")


def client_module(name: str) -> ModuleType:
    """The third-party module, or a skip that says which extra brings it."""
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'ivcrush[dialect]'")
