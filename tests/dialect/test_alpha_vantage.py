"""alpha_vantage and the vendor's own alphavantage-core read our Alpha Vantage dialect."""

import csv
import io
from typing import Any

import pytest

from simulated_market import SimulatedMarket, Switches, World
from tests.dialect.conftest import client_module

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def community(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> str:
    """The community client, pointed at us; gives the key to use."""
    base = client_module("alpha_vantage.alphavantage").AlphaVantage
    monkeypatch.setattr(base, "_ALPHA_VANTAGE_API_URL", market.alpha_vantage_base_url + "?")
    return "key"


@pytest.fixture
def vendor(market: SimulatedMarket, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The vendor's request function, pointed at us."""
    client = client_module("av_api.client")
    monkeypatch.setattr(client, "API_BASE_URL", market.alpha_vantage_base_url)
    client_module("av_api.context").set_api_key("key")
    return client._make_api_request


def test_community_client_reads_daily_bars(community: str, world: World) -> None:
    data, meta = client_module("alpha_vantage.timeseries").TimeSeries(key=community).get_daily("AAPL")
    assert len(data) == 100
    assert float(data["2026-05-15"]["4. close"]) == world.spot("AAPL")
    assert meta["2. Symbol"] == "AAPL"


def test_community_client_reads_a_quote_and_adjusted_bars(community: str, world: World) -> None:
    series = client_module("alpha_vantage.timeseries").TimeSeries(key=community)
    assert float(series.get_quote_endpoint("AAPL")[0]["05. price"]) == world.spot("AAPL")
    assert len(series.get_daily_adjusted("AAPL")[0]) == 100


def test_community_client_reads_twenty_quarters_of_earnings_into_a_table(community: str) -> None:
    source = client_module("alpha_vantage.fundamentaldata").FundamentalData(key=community, output_format="pandas")
    table, _ = source.get_earnings_quarterly("AAPL")
    assert len(table) == 20
    assert set(table["reportTime"]) == {"post-market"}


def test_community_client_calls_the_daily_quota_an_error(community: str, market: SimulatedMarket) -> None:
    market.set_switches(Switches(per_day=0))
    try:
        with pytest.raises(ValueError, match="25 requests per day"):
            client_module("alpha_vantage.timeseries").TimeSeries(key=community).get_daily("AAPL")
    finally:
        market.set_switches(Switches(premium=True))


def test_vendor_client_reads_earnings_and_the_calendar(vendor: Any, world: World) -> None:
    earnings = vendor("EARNINGS", {"symbol": "AAPL", "datatype": "json"})
    calendar = list(csv.DictReader(io.StringIO(vendor("EARNINGS_CALENDAR", {"symbol": "AAPL", "horizon": "3month"}))))
    assert len(earnings["quarterlyEarnings"]) == 20
    assert [row["reportDate"] for row in calendar] == [world.truth("AAPL").earnings_date.isoformat()]


def test_vendor_client_reads_dividends_splits_and_bars_as_csv(vendor: Any) -> None:
    bars = list(csv.DictReader(io.StringIO(vendor("TIME_SERIES_DAILY", {"symbol": "AAPL", "datatype": "csv"}))))
    dividends = list(csv.DictReader(io.StringIO(vendor("DIVIDENDS", {"symbol": "AAPL", "datatype": "csv"}))))
    splits = list(csv.DictReader(io.StringIO(vendor("SPLITS", {"symbol": "NVDA", "datatype": "csv"}))))
    assert len(bars) == 100
    assert dividends[0]["amount"] == "0.27"
    assert splits[0]["split_factor"] == "10.0000"


def test_vendor_client_reads_the_option_table(vendor: Any) -> None:
    table = vendor("HISTORICAL_OPTIONS", {"symbol": "AAPL", "datatype": "json"})
    assert table["message"] == "success"
    assert {row["type"] for row in table["data"]} == {"call", "put"}
