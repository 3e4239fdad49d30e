"""asynctradier 1.x reads our Tradier dialect."""

from typing import Any

import pytest

from simulated_market import World
from tests.dialect.conftest import client_module

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(root: str) -> Any:
    client = client_module("asynctradier.tradier").TradierClient("ACCOUNT", "token")
    client.session.base_url = root
    return client


async def test_reads_one_quote_that_comes_bare(client: Any, world: World) -> None:
    (quote,) = await client.get_quotes(["AAPL"])
    assert (quote.symbol, quote.last) == ("AAPL", world.spot("AAPL"))


async def test_reads_several_quotes_and_the_unmatched_symbol_beside_them(client: Any) -> None:
    quotes = await client.get_quotes(["AAPL", "BRK/B", "NOSUCH"])
    assert [quote.symbol for quote in quotes[:2]] == ["AAPL", "BRK/B"]


async def test_reads_the_same_expirations_with_and_without_flags(client: Any, world: World) -> None:
    listed = [one.day.isoformat() for one in world.expirations("AAPL")]
    plain = await client.get_option_expirations("AAPL")
    full = await client.get_option_expirations("AAPL", strikes=True, contract_size=True, expiration_type=True)
    assert [one.date for one in plain] == [one.date for one in full] == listed
    assert {one.contract_size for one in full} == {100}
    assert {one.expiration_type for one in full} == {"weeklys", "standard"}
    assert all(len(one.strikes) >= 9 for one in full)


async def test_reads_a_chain_with_greeks_of_both_sides_of_every_strike(client: Any) -> None:
    rows = await client.get_option_chains("AAPL", "2026-05-22", greeks=True)
    strikes = await client.get_option_strikes("AAPL", "2026-05-22")
    assert sorted({row.strike for row in rows}) == strikes
    assert len(rows) == 2 * len(strikes)
    assert all(0.0 <= row.greeks.delta <= 1.0 for row in rows if row.option_type.value == "call")


async def test_reads_no_chain_where_nothing_expires(client: Any) -> None:
    assert await client.get_option_chains("AAPL", "2026-05-23") == []


async def test_reads_history_the_clock_and_a_month_of_the_calendar(client: Any) -> None:
    days = await client.get_historical_quotes("AAPL", "daily", "2026-05-11", "2026-05-15")
    clock = await client.get_clock()
    month = await client.get_calendar("2026", "05")
    assert len(days) == 5
    assert (clock.state.value, clock.next_change) == ("open", "16:00")
    assert [day.status.value for day in month].count("open") == 20  # 21 weekdays less Memorial Day


async def test_reads_the_contracts_of_a_root(client: Any) -> None:
    assert "AAPL260522C00212500" in await client.option_lookup("AAPL")


async def test_is_told_that_a_token_was_refused(client: Any) -> None:
    client.session.token = ""
    with pytest.raises(client_module("asynctradier.exceptions").BadRequestException):
        await client.get_clock()
