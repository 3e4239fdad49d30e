"""The Tradier dialect on the wire: shapes, spellings, fields and headers as recorded from the service."""

import itertools
import json
import time
from datetime import date, datetime
from xml.etree import ElementTree as ET

import httpx
import pytest

from simulated_market import SimulatedMarket, Switches, World
from tests.unit.simulated_market.conftest import NEW_YORK, Ask, rows_of

EQUITY_FIELDS = [
    "symbol",
    "description",
    "exch",
    "type",
    "last",
    "change",
    "volume",
    "open",
    "high",
    "low",
    "close",
    "bid",
    "ask",
    "change_percentage",
    "average_volume",
    "last_volume",
    "trade_date",
    "prevclose",
    "week_52_high",
    "week_52_low",
    "bidsize",
    "bidexch",
    "bid_date",
    "asksize",
    "askexch",
    "ask_date",
    "root_symbols",
]
OPTION_FIELDS = [
    "symbol",
    "description",
    "exch",
    "type",
    "last",
    "change",
    "volume",
    "open",
    "high",
    "low",
    "close",
    "bid",
    "ask",
    "underlying",
    "strike",
    "greeks",
    "change_percentage",
    "average_volume",
    "last_volume",
    "trade_date",
    "prevclose",
    "week_52_high",
    "week_52_low",
    "bidsize",
    "bidexch",
    "bid_date",
    "asksize",
    "askexch",
    "ask_date",
    "open_interest",
    "contract_size",
    "expiration_date",
    "expiration_type",
    "option_type",
    "root_symbol",
]
GREEKS = ["delta", "gamma", "theta", "vega", "rho", "phi", "bid_iv", "mid_iv", "ask_iv", "smv_vol", "updated_at"]


def test_success_has_an_empty_reason_chunks_and_four_rate_headers(tradier: Ask) -> None:
    reply = tradier("clock")
    assert (reply.status_code, reply.extensions["reason_phrase"]) == (200, b"")
    assert reply.headers["content-type"] == "application/json;charset=UTF-8"
    assert reply.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in reply.headers
    allowed, used, available = (int(reply.headers[f"x-ratelimit-{name}"]) for name in ("allowed", "used", "available"))
    assert used + available == allowed


def test_rate_expiry_is_the_end_of_the_clock_minute_in_milliseconds(tradier: Ask) -> None:
    expiry_s = int(tradier("clock").headers["x-ratelimit-expiry"]) / 1000
    assert expiry_s % 60 == 0
    assert 0 <= expiry_s - time.time() <= 60


def test_rate_expiry_can_be_seconds_and_headers_can_be_left_out(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(Switches(rate_expiry_unit="s"))
    assert int(tradier("clock").headers["x-ratelimit-expiry"]) < 1e11
    market.set_switches(Switches(rate_headers=False))
    assert "x-ratelimit-expiry" not in tradier("clock").headers


def test_requests_past_the_limit_get_429_whose_last_word_is_the_window_s_end(
    tradier: Ask, market: SimulatedMarket
) -> None:
    before = int(str(market.stats()["refused"]))
    market.set_switches(Switches(rate_limit=3, rate_window_s=3600.0))
    statuses = [tradier("clock").status_code for _ in range(3)]
    refused = tradier("clock")
    assert (statuses, refused.status_code) == ([200] * 3, 429)
    assert refused.text.startswith("Quota Violation")
    assert refused.text.split()[-1] == refused.headers["x-ratelimit-expiry"]
    assert market.stats()["refused"] == before + 1


def test_a_missing_or_wrong_token_gets_the_recorded_401(market: SimulatedMarket, client: httpx.Client) -> None:
    market.set_switches(Switches(valid_token="right"))
    url = f"{market.tradier_base_url}/markets/clock"
    for header in ("", "Basic right", "Bearer", "Bearer wrong"):
        refused = client.get(url, headers={"Authorization": header})
        assert (refused.status_code, refused.content) == (401, b"Invalid Access Token")
        assert refused.headers["content-type"] == "plain/text"
        assert refused.headers["content-length"] == "20"
        assert "x-ratelimit-used" not in refused.headers
    assert client.get(url, headers={"Authorization": "Bearer right"}).status_code == 200


def test_without_an_accept_of_json_the_answer_is_xml(market: SimulatedMarket, client: httpx.Client) -> None:
    reply = client.get(f"{market.tradier_base_url}/markets/quotes?symbols=AAPL,T", headers={"Accept": "*/*"})
    assert reply.headers["content-type"].startswith("application/xml")
    assert [found.text for found in ET.fromstring(reply.text).iter("symbol")] == ["AAPL", "T"]


def test_one_quote_comes_bare_with_the_fields_in_their_order(tradier: Ask, world: World) -> None:
    quote = tradier("quotes", symbols="AAPL").json()["quotes"]["quote"]
    assert list(quote) == EQUITY_FIELDS
    assert quote["last"] == world.spot("AAPL")
    assert quote["bid"] <= quote["last"] < quote["ask"]
    assert quote["description"] == "Apple Inc (simulated)"
    assert quote["close"] is None  # in session


def test_unknown_symbols_stand_beside_the_found_ones_and_alone_without_a_quote_key(tradier: Ask) -> None:
    mixed = tradier("quotes", symbols="AAPL,NOPE").json()["quotes"]
    assert mixed["quote"]["symbol"] == "AAPL"
    assert mixed["unmatched_symbols"] == {"symbol": "NOPE"}
    assert tradier("quotes", symbols="NOPE,NADA").json() == {
        "quotes": {"unmatched_symbols": {"symbol": ["NOPE", "NADA"]}}
    }


def test_posted_quotes_give_the_same_body(tradier: Ask, market: SimulatedMarket, client: httpx.Client) -> None:
    asked = tradier("quotes", symbols="AAPL,MSFT", greeks="false")
    posted = client.post(f"{market.tradier_base_url}/markets/quotes", data={"symbols": "AAPL,MSFT", "greeks": "false"})
    assert posted.content == asked.content


def test_booleans_come_in_any_case_and_stray_parameters_are_ignored(tradier: Ask) -> None:
    for word in ("true", "True", "TRUE"):
        row = rows_of(
            tradier("options/chains", symbol="AAPL", expiration="2026-05-22", greeks=word, True_="True"),
            "options",
            "option",
        )
        assert "greeks" in row[0]


def test_slash_tickers_are_quoted_with_the_slash_and_their_root_without(tradier: Ask) -> None:
    assert tradier("quotes", symbols="BRK/B").json()["quotes"]["quote"]["symbol"] == "BRK/B"
    assert "unmatched_symbols" in tradier("quotes", symbols="BRK.B").json()["quotes"]
    rows = rows_of(tradier("options/chains", symbol="BRK/B", expiration="2026-05-22"), "options", "option")
    assert str(rows[0]["symbol"]).startswith("BRKB260522")
    assert rows[0]["underlying"] == "BRK/B"
    contract = str(rows[0]["symbol"])
    assert tradier("quotes", symbols=contract).json()["quotes"]["quote"]["symbol"] == contract


def test_a_chain_row_has_the_fields_in_their_order_and_greeks_only_when_asked(tradier: Ask) -> None:
    asked = {"symbol": "AAPL", "expiration": "2026-05-22"}
    (row, *rest) = rows_of(tradier("options/chains", greeks="true", **asked), "options", "option")
    assert list(row) == OPTION_FIELDS
    assert list(row["greeks"]) == GREEKS  # type: ignore[call-overload]
    assert {each["contract_size"] for each in rest} == {100}
    plain = rows_of(tradier("options/chains", **asked), "options", "option")
    assert list(plain[0]) == [name for name in OPTION_FIELDS if name != "greeks"]


def test_calls_and_puts_of_a_strike_come_in_either_order(tradier: Ask) -> None:
    rows = rows_of(tradier("options/chains", symbol="AAPL", expiration="2026-05-22"), "options", "option")
    strikes = [row["strike"] for row in rows]
    assert strikes == sorted(strikes)
    assert {row["option_type"] for row in rows[::2]} == {"call", "put"}


def test_greeks_are_the_call_s_on_both_sides_and_an_hour_old_in_utc(tradier: Ask) -> None:
    rows = rows_of(
        tradier("options/chains", symbol="AAPL", expiration="2026-05-22", greeks="true"), "options", "option"
    )
    pair = [row["greeks"] for row in rows if row["strike"] == 212.5]
    for name in ("gamma", "theta", "vega", "rho", "phi"):
        assert pair[0][name] == pair[1][name]  # type: ignore[index]
    assert abs(pair[0]["delta"]) + abs(pair[1]["delta"]) == pytest.approx(1.0)  # type: ignore[index]
    assert {row["greeks"]["updated_at"] for row in rows} == {"2026-05-15 19:00:08"}  # type: ignore[index]


def test_expirations_are_dates_without_flags_and_only_the_asked_keys_with_them(tradier: Ask) -> None:
    plain = tradier("options/expirations", symbol="AAPL").json()["expirations"]["date"]
    assert plain[:3] == ["2026-05-15", "2026-05-22", "2026-05-29"]
    sized = tradier("options/expirations", symbol="AAPL", contractSize="true").json()["expirations"]["expiration"]
    assert sized[0] == {"date": "2026-05-15", "contract_size": 100}
    full = tradier("options/expirations", symbol="AAPL", strikes="true", expirationType="true").json()
    second = full["expirations"]["expiration"][1]
    strikes = tradier("options/strikes", symbol="AAPL", expiration="2026-05-22").json()["strikes"]["strike"]
    assert second == {"date": "2026-05-22", "expiration_type": "weeklys", "strikes": {"strike": strikes}}


@pytest.mark.parametrize(
    ("style", "body"),
    [
        ("null", {"options": None}),
        ("empty_object", {"options": {}}),
        ("missing", {}),
        ("null_string", {"options": "null"}),
        ("empty_list", {"options": []}),
    ],
)
def test_nothing_found_has_every_style_seen(tradier: Ask, market: SimulatedMarket, style: str, body: object) -> None:
    market.set_switches(Switches(nothing_found=style))
    assert tradier("options/chains", symbol="AAPL", expiration="2026-05-23").json() == body


@pytest.mark.parametrize(
    ("path", "asked", "outer"),
    [
        ("options/expirations", {"symbol": "NOPE"}, "expirations"),
        ("options/strikes", {"symbol": "NOPE", "expiration": "2026-05-22"}, "strikes"),
        ("options/chains", {"symbol": "NOPE", "expiration": "2026-05-22"}, "options"),
        ("options/lookup", {"underlying": "NOPE"}, "symbols"),
        ("history", {"symbol": "NOPE"}, "history"),
        ("history", {"symbol": "AAPL", "start": "2026-05-16"}, "history"),
        ("timesales", {"symbol": "NOPE"}, "series"),
        ("search", {"q": "ZZZZZZZ"}, "securities"),
    ],
)
def test_nothing_found_is_null_everywhere(tradier: Ask, path: str, asked: dict[str, str], outer: str) -> None:
    assert tradier(path, **asked).json() == {outer: None}


def test_one_element_lists_stay_lists_when_collapsing_is_off(tradier: Ask, market: SimulatedMarket) -> None:
    one_day = {"symbol": "AAPL", "start": "2026-05-15"}
    assert tradier("history", **one_day).json()["history"]["day"]["date"] == "2026-05-15"
    market.set_switches(Switches(collapse_single=False))
    assert [row["date"] for row in tradier("history", **one_day).json()["history"]["day"]] == ["2026-05-15"]


def test_adjusted_roots_show_in_the_quote_the_chain_and_the_lookup(tradier: Ask) -> None:
    assert tradier("quotes", symbols="GS").json()["quotes"]["quote"]["root_symbols"] == "GS,GS1"
    rows = rows_of(tradier("options/chains", symbol="GS", expiration="2026-05-22"), "options", "option")
    adjusted = [row for row in rows if row["root_symbol"] == "GS1"]
    assert adjusted
    assert {row["contract_size"] for row in adjusted} == {150}
    assert [root["rootSymbol"] for root in tradier("options/lookup", underlying="GS").json()["symbols"]] == [
        "GS",
        "GS1",
    ]


def test_history_defaults_to_this_year_and_ends_with_the_unfinished_bar(tradier: Ask, world: World) -> None:
    rows = rows_of(tradier("history", symbol="AAPL"), "history", "day")
    assert (rows[0]["date"], rows[-1]["date"]) == ("2026-01-02", "2026-05-15")
    assert rows[-1]["close"] == world.spot("AAPL")


def test_weekly_and_monthly_bars_join_their_days(tradier: Ask) -> None:
    span = {"symbol": "AAPL", "start": "2026-04-01", "end": "2026-05-15"}
    days = rows_of(tradier("history", **span), "history", "day")
    weeks = rows_of(tradier("history", interval="weekly", **span), "history", "day")
    months = rows_of(tradier("history", interval="monthly", **span), "history", "day")
    assert (len(weeks), len(months)) == (7, 2)
    april = [row for row in days if str(row["date"]) < "2026-05-01"]
    assert months[0]["open"] == april[0]["open"]
    assert months[0]["close"] == april[-1]["close"]
    assert months[0]["high"] == max(row["high"] for row in april)  # type: ignore[type-var]


def test_history_is_adjusted_for_the_split_that_alpha_vantage_shows_raw(tradier: Ask, alpha_vantage: Ask) -> None:
    rows = rows_of(tradier("history", symbol="NVDA", start="2024-06-10", end="2024-06-21"), "history", "day")
    closes = [float(str(row["close"])) for row in rows]
    assert max(abs(later / earlier - 1) for earlier, later in itertools.pairwise(closes)) < 0.2
    assert alpha_vantage("SPLITS", symbol="NVDA").json()["data"] == [
        {"effective_date": "2024-06-17", "split_factor": "10.0000"}
    ]


def test_the_clock_tells_state_and_next_change(tradier: Ask, market: SimulatedMarket) -> None:
    clock = tradier("clock").json()["clock"]
    assert (clock["state"], clock["next_change"], clock["next_state"]) == ("open", "16:00", "postmarket")
    assert clock["timestamp"] == int(datetime(2026, 5, 15, 15, 45, tzinfo=NEW_YORK).timestamp())
    market.set_switches(Switches(early_close_today=True))
    clock = tradier("clock").json()["clock"]
    assert (clock["state"], clock["next_state"]) == ("postmarket", "closed")
    market.set_switches(Switches(session_state="premarket"))
    assert tradier("clock").json()["clock"]["state"] == "premarket"


@pytest.mark.parametrize(
    ("moment", "state", "next_change"),
    [
        (datetime(2026, 5, 15, 6, 0, tzinfo=NEW_YORK), "closed", "07:00"),
        (datetime(2026, 5, 15, 8, 0, tzinfo=NEW_YORK), "premarket", "09:30"),
        (datetime(2026, 5, 15, 17, 0, tzinfo=NEW_YORK), "postmarket", "20:00"),
        (datetime(2026, 5, 15, 21, 0, tzinfo=NEW_YORK), "closed", "07:00"),
        (datetime(2026, 5, 16, 12, 0, tzinfo=NEW_YORK), "closed", "07:00"),
    ],
)
def test_the_clock_outside_the_session(moment: datetime, state: str, next_change: str) -> None:
    headers = {"Authorization": "Bearer token", "Accept": "application/json"}
    with SimulatedMarket(World(seed=7, as_of=moment, size=1)) as market:
        reply = httpx.get(f"{market.tradier_base_url}/markets/clock", headers=headers, trust_env=False)
        quote = httpx.get(f"{market.tradier_base_url}/markets/quotes?symbols=AAPL", headers=headers, trust_env=False)
        market.set_switches(Switches(empty_chains_after_hours=True))
        chain = httpx.get(
            f"{market.tradier_base_url}/markets/options/chains?symbol=AAPL&expiration=2026-05-22",
            headers=headers,
            trust_env=False,
        )
    clock = reply.json()["clock"]
    assert (clock["state"], clock["next_change"]) == (state, next_change)
    before_the_open = moment.hour < 9
    assert (quote.json()["quotes"]["quote"]["close"] is None) == before_the_open
    assert (quote.json()["quotes"]["quote"]["open"] is None) == before_the_open
    assert chain.json() == {"options": None}


def test_the_calendar_gives_half_days_by_their_hours_and_holidays_by_name(
    tradier: Ask, market: SimulatedMarket
) -> None:
    days = {day["date"]: day for day in tradier("calendar", month="11", year="2026").json()["calendar"]["days"]["day"]}
    assert days["2026-11-27"]["open"] == {"start": "09:30", "end": "13:00"}
    assert days["2026-11-26"] == {
        "date": "2026-11-26",
        "status": "closed",
        "description": "Market is closed for Thanksgiving Day",
    }
    assert "open" not in days["2026-11-28"]
    market.set_switches(Switches(early_close_today=True))
    may = tradier("calendar").json()["calendar"]
    assert (may["month"], may["year"]) == (5, 2026)
    assert may["days"]["day"][14]["open"]["end"] == "13:00"


def test_timesales_end_at_the_last_price(tradier: Ask, world: World) -> None:
    rows = rows_of(tradier("timesales", symbol="AAPL", interval="15min"), "series", "data")
    assert len(rows) == 25  # 09:30 to 15:45 by quarters of an hour
    assert rows[-1]["price"] == world.spot("AAPL")


def test_companies_are_found_by_ticker_and_by_name(tradier: Ask) -> None:
    assert tradier("search", q="coca").json()["securities"]["security"]["symbol"] == "KO"
    assert len(tradier("lookup", q="SMA").json()["securities"]["security"]) == 10
    assert len(tradier("etb").json()["securities"]["security"]) == 10


def test_corporate_calendars_need_a_product_and_then_are_unordered_lists(
    tradier: Ask, market: SimulatedMarket, client: httpx.Client
) -> None:
    url = market.tradier_base_url.removesuffix("/v1") + "/beta/markets/fundamentals/calendars"
    refused = client.get(url, params={"symbols": "AAPL"})
    assert (refused.status_code, refused.text) == (401, "Invalid API call as no apiproduct match found")
    market.set_switches(Switches(beta_calendars=True))
    found, fund, unknown = client.get(url, params={"symbols": "AAPL,SPY,NOPE"}).json()
    rows = found["results"][0]["tables"]["corporate_calendars"]
    dates = [row["begin_date_time"] for row in rows if row["event_type"] == 8]
    assert dates != sorted(dates)
    assert "2026-05-18" in dates
    assert fund["results"][0]["tables"]["corporate_calendars"] is None
    assert unknown["results"] == []


def test_sandbox_quotes_are_fifteen_minutes_old(tradier: Ask, market: SimulatedMarket) -> None:
    live = tradier("quotes", symbols="AAPL").json()["quotes"]["quote"]["bid_date"]
    market.set_switches(Switches(sandbox_delay_s=900))
    assert live - tradier("quotes", symbols="AAPL").json()["quotes"]["quote"]["bid_date"] == 900_000


def test_a_switch_makes_a_listed_symbol_unmatched(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(Switches(unmatched=("AAPL",)))
    assert tradier("quotes", symbols="AAPL").json() == {"quotes": {"unmatched_symbols": {"symbol": "AAPL"}}}


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        ("quotes", {"symbols": ""}, "Invalid parameter, symbols: must not be empty."),
        ("options/chains", {"symbol": "AAPL"}, "Invalid parameter, expiration: must not be empty."),
        (
            "options/chains",
            {"symbol": "AAPL", "expiration": "22 May"},
            "Invalid parameter, expiration: must be in the format",
        ),
        ("history", {}, "Invalid parameter, symbol: must not be empty."),
        ("calendar", {"month": "13"}, "Invalid parameter, month: must be between 1 and 12."),
        ("calendar", {"month": "May"}, "Invalid parameter, month: must be a number."),
    ],
)
def test_bad_parameters_are_refused_by_name(tradier: Ask, path: str, asked: dict[str, str], words: str) -> None:
    refused = tradier(path, **asked)
    assert refused.status_code == 400
    assert refused.text.startswith(words)


@pytest.mark.parametrize("symbol", ["AAPL260523C00212500", "AAPL269999C00212500", "NOPE260522C00212500", "not one"])
def test_contracts_that_do_not_exist_are_unmatched(tradier: Ask, symbol: str) -> None:
    assert "unmatched_symbols" in tradier("quotes", symbols=symbol).json()["quotes"]


def test_paths_that_do_not_exist_are_404(tradier: Ask) -> None:
    assert tradier("nonsense").status_code == 404


def test_json_numbers_have_the_recorded_types(tradier: Ask) -> None:
    row = rows_of(
        tradier("options/chains", symbol="AAPL", expiration="2026-05-22", greeks="true"), "options", "option"
    )[0]
    assert isinstance(row["strike"], float)
    assert isinstance(row["volume"], int)
    assert isinstance(row["trade_date"], int)
    assert date.fromisoformat(str(row["expiration_date"])) == date(2026, 5, 22)
    assert json.dumps(row)
