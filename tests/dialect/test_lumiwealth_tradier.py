"""lumiwealth-tradier reads our Tradier dialect, with its capital booleans and its stray parameters."""

from datetime import date
from typing import Any

import pytest

from simulated_market import World
from tests.dialect.conftest import client_module

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(root: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    base = client_module("lumiwealth_tradier.base")
    monkeypatch.setattr(base, "TRADIER_SANDBOX_URL", root)
    monkeypatch.setattr(base, "DEFAULT_RETRY_WAIT_SECONDS", 0)
    return client_module("lumiwealth_tradier.market").MarketData("ACCOUNT", "token", is_paper=True)


def test_reads_one_quote_and_several(client: Any, world: World) -> None:
    assert client.get_last_price("AAPL") == world.spot("AAPL")
    assert list(client.get_quotes(["AAPL", "BRK.B"], greeks=True).index) == ["AAPL", "BRK.B"]


def test_reads_the_listed_expirations(client: Any, world: World) -> None:
    table = client.get_option_expirations("AAPL")
    first = world.expirations("AAPL")[1].day
    assert str(first) in table.to_string()


def test_reads_a_chain_and_its_strikes(client: Any) -> None:
    chain = client.get_option_chains("AAPL", "2026-05-22", greeks=True)
    assert sorted(set(chain["strike"])) == client.get_option_strikes("AAPL", "2026-05-22")
    assert chain["greeks.mid_iv"].notna().all()
    assert (chain["ask"] >= chain["bid"]).all()


def test_finds_no_chain_where_nothing_expires(client: Any) -> None:
    with pytest.raises(LookupError):
        client.get_option_chains("AAPL", "2026-05-23")


def test_reads_history(client: Any) -> None:
    table = client.get_historical_quotes("AAPL", start_date=date(2026, 5, 11), end_date=date(2026, 5, 15))
    assert len(table) == 5


def test_reads_the_clock_and_the_calendar(client: Any) -> None:
    assert client.get_clock()["state"] == "open"
    month = client.get_calendar(11, 2026)
    assert month.loc[date(2026, 11, 26), "status"] == "closed"
    assert month.loc[date(2026, 11, 27), "open.end"] == "13:00"


def test_finds_a_company_by_name(client: Any) -> None:
    assert client.lookup_symbol("Coca-Cola")["symbol"].tolist() == ["KO"]
