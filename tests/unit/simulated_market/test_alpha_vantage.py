"""The Alpha Vantage dialect on the wire: strings, CRLF, and errors that are 200."""

import csv
import io
from datetime import date, timedelta

import httpx
import pytest

from simulated_market import SimulatedMarket, Switches, World
from tests.unit.simulated_market.conftest import Ask

HEADER = "symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay"


def table(reply: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reply.text)))


def test_json_is_indented_by_four_with_its_length(alpha_vantage: Ask) -> None:
    reply = alpha_vantage("EARNINGS", symbol="AAPL")
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert reply.text.startswith('{\n    "symbol": "AAPL",\n    "annualEarnings": [\n        {')
    assert "x-ratelimit-used" not in reply.headers


def test_earnings_are_strings_newest_first_with_the_true_dates_and_session(alpha_vantage: Ask, world: World) -> None:
    rows = alpha_vantage("EARNINGS", symbol="JPM").json()["quarterlyEarnings"]
    expected = [move.earnings_date.isoformat() for move in world.truth("JPM").past_moves]
    assert [row["reportedDate"] for row in rows] == expected
    assert {row["reportTime"] for row in rows} == {"pre-market"}
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_the_newest_year_is_a_partial_one(alpha_vantage: Ask) -> None:
    body = alpha_vantage("EARNINGS", symbol="JPM").json()
    assert body["annualEarnings"][0]["fiscalDateEnding"] == body["quarterlyEarnings"][0]["fiscalDateEnding"]


def test_companies_that_report_in_market_hours_publish_no_session(alpha_vantage: Ask) -> None:
    assert all("reportTime" not in row for row in alpha_vantage("EARNINGS", symbol="T").json()["quarterlyEarnings"])


def test_dirty_earnings_have_a_coming_a_repeated_a_numberless_and_an_impossible_quarter(
    alpha_vantage: Ask, market: SimulatedMarket
) -> None:
    market.set_switches(Switches(dirty_earnings=True))
    rows = alpha_vantage("EARNINGS", symbol="AAPL").json()["quarterlyEarnings"]
    assert rows[0]["reportedDate"] == "2026-05-18"
    assert rows[0]["reportedEPS"] == "None"
    assert rows[2] == rows[3]
    assert (rows[5]["surprise"], rows[5]["surprisePercentage"]) == ("0", "None")
    assert rows[-1]["reportedDate"] == rows[-1]["fiscalDateEnding"]


def test_dirty_earnings_of_a_young_company_only_add_the_coming_quarter(
    alpha_vantage: Ask, market: SimulatedMarket
) -> None:
    young = next(t for t in market.world.tickers if 0 < market.world.listing(t).company.past_quarters < 4)
    market.set_switches(Switches(dirty_earnings=True))
    rows = alpha_vantage("EARNINGS", symbol=young).json()["quarterlyEarnings"]
    assert [row["reportedEPS"] == "None" for row in rows].count(True) == 1


@pytest.mark.parametrize("symbol", ["NOPE", "SPY"])
def test_earnings_of_unknown_companies_and_funds_are_an_empty_object(alpha_vantage: Ask, symbol: str) -> None:
    assert alpha_vantage("EARNINGS", symbol=symbol).json() == {}


def test_the_calendar_is_a_crlf_download(alpha_vantage: Ask) -> None:
    reply = alpha_vantage("EARNINGS_CALENDAR", symbol="AAPL")
    assert reply.headers["content-type"] == "application/x-download"
    assert reply.headers["content-disposition"] == "attachment; filename=earnings_calendar.csv"
    lines = reply.content.split(b"\r\n")
    assert lines[0] == HEADER.encode()
    assert lines[1].startswith(b"AAPL,")
    assert lines[2:] == [b""]


def test_the_calendar_lists_every_reporter_within_the_horizon_and_mostly_no_session(
    alpha_vantage: Ask, world: World
) -> None:
    rows = table(alpha_vantage("EARNINGS_CALENDAR"))
    listed = {row["symbol"] for row in rows}
    last = world.as_of.date() + timedelta(days=92)
    assert set(world.reporters(world.as_of.date(), last)) <= listed
    assert sum(row["timeOfTheDay"] == "" for row in rows) > 0.7 * len(rows)
    assert {row["symbol"]: row["timeOfTheDay"] for row in rows}["TSLA"] == "post-market"


def test_dotted_tickers_are_listed_twice_with_different_dates(alpha_vantage: Ask) -> None:
    rows = {row["symbol"]: row["reportDate"] for row in table(alpha_vantage("EARNINGS_CALENDAR"))}
    assert rows["BF.B"] != rows["BF-B"]


def test_the_calendar_can_lose_its_session_column_its_crlf_and_gain_a_mark(
    alpha_vantage: Ask, market: SimulatedMarket
) -> None:
    market.set_switches(Switches(calendar_time_column=False, line_ending="lf", byte_order_mark=True))
    content = alpha_vantage("EARNINGS_CALENDAR", symbol="AAPL").content
    assert content.startswith(b"\xef\xbb\xbfsymbol,name,reportDate,fiscalDateEnding,estimate,currency\n")
    assert b"\r" not in content


def test_the_calendar_can_show_weekend_dates(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    days = [date.fromisoformat(row["reportDate"]) for row in table(alpha_vantage("EARNINGS_CALENDAR"))]
    assert all(day.weekday() < 5 for day in days)
    market.set_switches(Switches(calendar_weekend_dates=True))
    days = [date.fromisoformat(row["reportDate"]) for row in table(alpha_vantage("EARNINGS_CALENDAR"))]
    assert any(day.weekday() == 5 for day in days)


def test_names_can_be_hostile(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    market.set_switches(Switches(hostile_names=True))
    (row,) = table(alpha_vantage("EARNINGS_CALENDAR", symbol="AAPL"))
    assert row["name"].startswith("=HYPERLINK")


def test_a_calendar_with_nothing_in_it_is_its_header(alpha_vantage: Ask) -> None:
    assert alpha_vantage("EARNINGS_CALENDAR", symbol="NOPE").text == HEADER + "\r\n"


def test_a_day_of_bars_is_raw_and_a_hundred_rows_long(alpha_vantage: Ask, world: World) -> None:
    body = alpha_vantage("TIME_SERIES_DAILY", symbol="AAPL").json()
    series = body["Time Series (Daily)"]
    assert len(series) == 100
    assert next(iter(series)) == body["Meta Data"]["3. Last Refreshed"] == "2026-05-15"
    assert float(series["2026-05-15"]["4. close"]) == world.spot("AAPL")


def test_the_full_history_is_premium_and_raw_before_a_split(
    alpha_vantage: Ask, market: SimulatedMarket, world: World
) -> None:
    refused = alpha_vantage("TIME_SERIES_DAILY", symbol="NVDA", outputsize="full").json()
    assert "outputsize=full parameter value is a premium feature" in refused["Information"]
    market.set_switches(Switches(premium=True))
    series = alpha_vantage("TIME_SERIES_DAILY", symbol="NVDA", outputsize="full").json()["Time Series (Daily)"]
    bars = world.bars("NVDA")
    row = bars.index(date(2024, 6, 14))
    assert row is not None
    assert float(series["2024-06-14"]["4. close"]) == pytest.approx(10 * bars.close[row], abs=1e-3)
    assert float(series["2024-06-17"]["4. close"]) == pytest.approx(bars.close[row + 1], abs=1e-3)


def test_a_split_can_be_put_on_any_day(alpha_vantage: Ask, market: SimulatedMarket, world: World) -> None:
    market.set_switches(Switches(splits=(("KO", "2026-05-13", 4.0),)))
    assert alpha_vantage("SPLITS", symbol="KO").json()["data"][0] == {
        "effective_date": "2026-05-13",
        "split_factor": "4.0000",
    }
    series = alpha_vantage("TIME_SERIES_DAILY", symbol="KO").json()["Time Series (Daily)"]
    row = world.bars("KO").index(date(2026, 5, 12))
    assert row is not None
    assert float(series["2026-05-12"]["4. close"]) == pytest.approx(4 * world.bars("KO").close[row])


def test_adjusted_bars_are_premium_and_tell_dividends_and_splits(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    assert "premium endpoint" in alpha_vantage("TIME_SERIES_DAILY_ADJUSTED", symbol="KO").json()["Information"]
    market.set_switches(Switches(premium=True, splits=(("KO", "2026-05-13", 4.0),)))
    series = alpha_vantage("TIME_SERIES_DAILY_ADJUSTED", symbol="KO").json()["Time Series (Daily)"]
    assert series["2026-05-13"]["8. split coefficient"] == "4.0"
    assert sum(float(row["7. dividend amount"]) > 0 for row in series.values()) >= 1
    assert "Invalid API call" in alpha_vantage("TIME_SERIES_DAILY_ADJUSTED", symbol="NOPE").json()["Error Message"]


def test_bars_of_an_unknown_symbol_are_an_invalid_call(alpha_vantage: Ask) -> None:
    assert "Invalid API call" in alpha_vantage("TIME_SERIES_DAILY", symbol="NOPE").json()["Error Message"]


def test_dividends_are_newest_first_and_include_the_announced_one(alpha_vantage: Ask) -> None:
    rows = alpha_vantage("DIVIDENDS", symbol="AAPL").json()["data"]
    days = [row["ex_dividend_date"] for row in rows]
    assert days == sorted(days, reverse=True)
    assert days[0] > "2026-05-15" >= rows[0]["declaration_date"]
    assert rows[-1]["declaration_date"] == "None"
    assert alpha_vantage("DIVIDENDS", symbol="TSLA").json() == {"symbol": "TSLA", "data": []}


def test_a_global_quote_has_numbered_keys_a_percent_sign_and_a_csv_form(alpha_vantage: Ask) -> None:
    quote = alpha_vantage("GLOBAL_QUOTE", symbol="AAPL").json()["Global Quote"]
    assert next(iter(quote)) == "01. symbol"
    assert quote["10. change percent"].endswith("%")
    (row,) = table(alpha_vantage("GLOBAL_QUOTE", symbol="AAPL", datatype="csv"))
    assert row["price"] == quote["05. price"]
    assert alpha_vantage("GLOBAL_QUOTE", symbol="NOPE").json() == {"Global Quote": {}}
    assert table(alpha_vantage("GLOBAL_QUOTE", symbol="NOPE", datatype="csv")) == []


def test_the_option_table_is_premium_and_of_today(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    assert "premium endpoint" in alpha_vantage("HISTORICAL_OPTIONS", symbol="AAPL").json()["Information"]
    market.set_switches(Switches(premium=True))
    rows = alpha_vantage("HISTORICAL_OPTIONS", symbol="KO").json()["data"]
    assert all(isinstance(value, str) for value in rows[0].values())
    empty = {"endpoint": "Historical Options", "message": "success", "data": []}
    assert alpha_vantage("HISTORICAL_OPTIONS", symbol="KO", date="2026-05-16").json() == empty
    assert alpha_vantage("HISTORICAL_OPTIONS", symbol="NOPE").json() == empty


def test_unknown_functions_are_premium(alpha_vantage: Ask) -> None:
    assert "premium endpoint" in alpha_vantage("NEWS_SENTIMENT", symbol="AAPL").json()["Information"]


def test_missing_wrong_and_demo_keys_are_refused_with_200(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    missing = alpha_vantage("EARNINGS", symbol="AAPL", apikey="")
    assert missing.status_code == 200
    assert "apikey is invalid or missing" in missing.json()["Error Message"]
    assert "**demo**" in alpha_vantage("EARNINGS", symbol="AAPL", apikey="demo").json()["Information"]
    market.set_switches(Switches(valid_key="right"))
    assert "apikey is invalid" in alpha_vantage("EARNINGS", symbol="AAPL", apikey="wrong").json()["Error Message"]


def test_the_second_request_within_a_second_is_a_burst(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    market.set_switches(Switches(per_second=1))
    first, second = (alpha_vantage("SPLITS", symbol="NVDA").json() for _ in range(2))
    assert "data" in first
    assert "1 request per second" in second["Information"]
    assert "25 requests per day" in second["Information"]


def test_the_request_past_the_daily_quota_echoes_the_key(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    market.set_switches(Switches(per_day=2))
    texts = [alpha_vantage("SPLITS", symbol="NVDA", apikey="CANARY").text for _ in range(3)]
    assert ["API key as CANARY" in text for text in texts] == [False, False, True]
