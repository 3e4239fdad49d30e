"""Faults strike what the rules say, the same at any concurrency, and look on the wire as they did in the field."""

import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from simulated_market import FaultRule, SimulatedMarket, Switches
from simulated_market.application import Application
from simulated_market.faults import CONDUCTS, FAULT_NAMES, FaultBook, whole_reply
from simulated_market.messages import Request
from tests.unit.simulated_market.conftest import Ask, rows_of


def with_faults(*rules: FaultRule, seed: int = 0) -> Switches:
    return Switches(seed=seed, faults=rules)


def book(*rules: FaultRule, seed: int = 0) -> FaultBook:
    return FaultBook.open(with_faults(*rules, seed=seed), now_s=100.0)


def request(symbol: str = "AAPL", path: str = "/v1/markets/options/chains") -> Request:
    return Request("GET", path, {"symbol": symbol})


def struck(one: FaultBook, what: Request, now_s: float = 100.0) -> bool:
    return bool(one.strikes(what, now_s))


def test_a_rule_strikes_its_path_its_function_and_its_symbol_only() -> None:
    assert struck(book(FaultRule("500", path="options/chains")), request())
    assert not struck(book(FaultRule("500", path="quotes")), request())
    assert struck(book(FaultRule("500", symbol="AAPL")), request())
    assert not struck(book(FaultRule("500", symbol="MSFT")), request())
    assert struck(book(FaultRule("premium", path="EARNINGS")), Request("GET", "/query", {"function": "EARNINGS"}))


def test_nth_and_every_count_the_requests_that_match() -> None:
    third, second = book(FaultRule("500", symbol="AAPL", nth=3)), book(FaultRule("500", every=2))
    assert [struck(third, request()) for _ in range(4)] == [False, False, True, False]
    assert [struck(third, request("MSFT")) for _ in range(2)] == [False, False]
    assert [struck(second, request()) for _ in range(4)] == [False, True, False, True]


def test_attempts_count_repetitions_of_the_same_question() -> None:
    first = book(FaultRule("500", attempts=(1,)))
    assert [struck(first, request(symbol)) for symbol in ("AAPL", "AAPL", "MSFT", "MSFT")] == [True, False, True, False]


def test_a_time_span_is_measured_from_when_the_switches_were_set() -> None:
    span = book(FaultRule("500", from_s=10.0, until_s=20.0))
    assert [struck(span, request(), at) for at in (109.0, 110.0, 119.9, 120.0)] == [False, True, True, False]


def test_a_probability_is_met_over_many_tickers_and_depends_on_seed_and_attempt_only() -> None:
    rule = FaultRule("500", probability=0.3)
    names = [f"T{number}" for number in range(400)]
    forward, backward = book(rule), book(rule)
    once = {name: struck(forward, request(name)) for name in names}
    again = {name: struck(backward, request(name)) for name in reversed(names)}
    assert once == again
    assert 90 <= sum(once.values()) <= 150
    other_seed = book(rule, seed=1)
    assert {name: struck(other_seed, request(name)) for name in names} != once


def test_the_same_tickers_fail_at_any_concurrency(market: SimulatedMarket, client: httpx.Client) -> None:
    def failures(workers: int) -> set[str]:
        market.set_switches(with_faults(FaultRule("502", probability=0.4)))
        names = market.world.tickers[:40]
        url = f"{market.tradier_base_url}/markets/quotes"
        with ThreadPoolExecutor(workers) as pool:
            replies = pool.map(lambda name: client.get(url, params={"symbols": name}), names)
        return {name for name, reply in zip(names, replies, strict=True) if reply.status_code == 502}

    assert failures(1) == failures(8) != set()


def test_an_unknown_fault_is_refused_and_the_known_ones_named(market: SimulatedMarket) -> None:
    with pytest.raises(ValueError, match=r"unknown fault 418; known: .*gzip_bomb"):
        market.set_switches(with_faults(FaultRule("418")))


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("401_expired", 401, "keymanagement.service.access_token_expired"),
        ("500", 500, "steps.servicecallout.ExecutionFailed"),
        ("500_too_big", 500, "protocol.http.TooBigBody"),
        ("502", 502, "502 Bad Gateway"),
        ("200_html", 200, "<title>Tradier API</title>"),
        ("200_errors", 200, '"errors"'),
        ("200_empty", 200, ""),
        ("404", 404, "Not Found"),
        ("429_far_expiry", 429, "4102444800000"),
        ("429_without_expiry", 429, "Quota Violation"),
        ("429_garbage_expiry", 429, "soon"),
        ("429_past_expiry", 429, "1000000000000"),
    ],
)
def test_each_error_row_looks_as_recorded(
    tradier: Ask, market: SimulatedMarket, fault: str, status: int, words: str
) -> None:
    market.set_switches(with_faults(FaultRule(fault, path="clock")))
    reply = tradier("clock")
    assert (reply.status_code, words in reply.text) == (status, True)
    assert tradier("calendar").status_code == 200


def test_a_struck_429_names_the_window_s_end_and_may_carry_a_retry_after(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("429", nth=1), FaultRule("429_retry_after_hour", nth=2)))
    first, second = tradier("clock"), tradier("clock")
    assert first.text.split()[-1] == first.headers["x-ratelimit-expiry"]
    assert second.headers["retry-after"] == "3600"
    market.set_switches(with_faults(FaultRule("429_far_expiry", nth=1), FaultRule("429_without_expiry", nth=2)))
    far, bare = tradier("clock"), tradier("clock")
    assert far.headers["x-ratelimit-expiry"] == "4102444800000"
    assert "x-ratelimit-expiry" not in bare.headers


def test_a_redirect_names_another_host(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("302")))
    assert tradier("clock").headers["location"] == "http://redirected.invalid/v1/markets/clock"


def test_ten_megabytes_and_a_bomb_of_two_hundred(tradier: Ask, market: SimulatedMarket, client: httpx.Client) -> None:
    market.set_switches(with_faults(FaultRule("huge_body")))
    assert len(tradier("clock").content) > 9_900_000
    market.set_switches(with_faults(FaultRule("gzip_bomb")))
    with client.stream("GET", f"{market.tradier_base_url}/markets/clock") as reply:
        assert int(reply.headers["content-length"]) < 300_000
        bomb = b"".join(reply.iter_raw())
    unpacked = zlib.decompressobj(31)
    length = len(unpacked.decompress(bomb))
    assert (length, unpacked.eof) == (200_000_000, True)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("per_second", "1 request per second"),
        ("burst", "Burst pattern detected"),
        ("minute_note", "5 calls per minute"),
        ("premium", "premium endpoint"),
        ("demo_key", "**demo**"),
        ("invalid_key", "apikey is invalid or missing"),
        ("artificial_sample", "2099-99-99"),
        ("daily_quota", "API key as key"),
        ("symbol_only", '"symbol"'),
    ],
)
def test_each_alpha_vantage_error_is_a_200(alpha_vantage: Ask, market: SimulatedMarket, fault: str, words: str) -> None:
    market.set_switches(with_faults(FaultRule(fault, path="EARNINGS")))
    reply = alpha_vantage("EARNINGS", symbol="AAPL")
    assert (reply.status_code, words in reply.text) == (200, True)


@pytest.mark.parametrize(
    "fault",
    ["truncate_length", "truncate_chunked", "reset_before", "reset_in_headers", "reset_in_body", "empty_reply"],
)
def test_broken_connections_are_transport_errors(tradier: Ask, market: SimulatedMarket, fault: str) -> None:
    market.set_switches(with_faults(FaultRule(fault, nth=1)))
    with pytest.raises(httpx.TransportError):
        tradier("calendar")
    assert tradier("calendar").status_code == 200


def test_truncation_without_a_length_is_a_200_with_broken_json(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("truncate_without_length")))
    reply = tradier("calendar")
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()


@pytest.mark.parametrize("fault", ["drip", "drip_body", "silent"])
def test_slow_and_silent_replies_outlast_a_short_patience(
    client: httpx.Client, market: SimulatedMarket, fault: str
) -> None:
    market.set_switches(with_faults(FaultRule(fault)))
    with pytest.raises(httpx.ReadTimeout):
        client.get(f"{market.tradier_base_url}/markets/clock", timeout=0.1)


def test_endless_chunks_come_until_the_client_leaves(client: httpx.Client, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("endless_chunks")))
    read = 0
    with client.stream("GET", f"{market.tradier_base_url}/markets/clock") as reply:
        for piece in reply.iter_raw():
            read += len(piece)
            if read > 500_000:
                break
    assert read > 500_000


@pytest.fixture
def chain(tradier: Ask, market: SimulatedMarket) -> Iterator[object]:
    """The rows of Apple's next weekly under one data fault."""

    def rows(fault: str, share: float = 1.0) -> list[dict[str, object]]:
        market.set_switches(with_faults(FaultRule(fault, path="options/chains", share=share)))
        return rows_of(
            tradier("options/chains", symbol="AAPL", expiration="2026-05-22", greeks="true"), "options", "option"
        )

    return rows  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("nan_numbers", lambda row: row["bid"] != row["bid"]),
        ("infinite_numbers", lambda row: row["ask"] == float("inf")),
        ("string_numbers", lambda row: isinstance(row["bid"], str)),
        ("string_nan", lambda row: row["ask"] == "NaN"),
        ("string_none", lambda row: row["ask"] == "None"),
        ("string_dash", lambda row: row["ask"] == "-"),
        ("string_comma", lambda row: row["ask"].startswith("1,")),
        ("hostile_text", lambda row: "\x1b" in row["description"]),
        ("negative_numbers", lambda row: row["ask"] < 0),
        ("null_quotes", lambda row: row["bid"] is row["ask"] is None),
        ("zero_quotes", lambda row: row["bid"] == row["ask"] == 0.0),
        ("one_sided_quotes", lambda row: row["bid"] == 0.0 < row["ask"]),
        ("zero_ask", lambda row: row["ask"] == 0.0),
        ("crossed_quotes", lambda row: row["bid"] > row["ask"]),
        ("stale_quotes", lambda row: row["bid_date"] == 1778874300000 - 3 * 86_400_000),
        ("null_volume", lambda row: row["volume"] is None),
        ("no_open_interest", lambda row: "open_interest" not in row),
        ("no_greeks", lambda row: "greeks" not in row),
        ("null_greeks", lambda row: row["greeks"] is None),
        ("zero_greeks", lambda row: row["greeks"]["delta"] == row["greeks"]["mid_iv"] == 0.0),
        ("stale_greeks", lambda row: row["greeks"]["updated_at"].startswith("2020")),
        ("new_field", lambda row: "simulated_new_field" in row),
        ("missing_field", lambda row: "bid" not in row),
        ("missing_strike", lambda row: "strike" not in row),
        ("type_change", lambda row: isinstance(row["strike"], dict)),
        ("mini_contracts", lambda row: row["contract_size"] == 10),
    ],
)
def test_each_data_fault_is_in_every_row(chain, fault, check) -> None:  # type: ignore[no-untyped-def]
    rows = chain(fault)
    assert len(rows) > 20
    assert all(check(row) for row in rows)


def test_rows_can_be_missing_or_come_twice(chain) -> None:  # type: ignore[no-untyped-def]
    whole = len(chain("new_field"))
    assert len(chain("duplicate_rows")) == 2 * whole
    assert 0 < len(chain("missing_row", share=0.5)) < whole


def test_a_share_touches_the_same_part_of_the_rows_every_time(chain) -> None:  # type: ignore[no-untyped-def]
    first, second = ([row["bid"] for row in chain("zero_quotes", share=0.3)] for _ in range(2))
    assert first == second
    assert 0 < sum(bid == 0.0 for bid in first) < 0.6 * len(first)


def test_a_lone_quote_and_an_answer_without_rows_survive_a_data_fault(tradier: Ask, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("string_numbers"), FaultRule("crossed_quotes")))
    assert isinstance(rows_of(tradier("quotes", symbols="AAPL"), "quotes", "quote")[0]["last"], str)
    assert tradier("clock").json()["clock"]["state"] == "open"
    assert isinstance(rows_of(tradier("history", symbol="AAPL"), "history", "day")[0]["close"], str)


def test_data_faults_reach_alpha_vantage_s_json_and_leave_its_csv(alpha_vantage: Ask, market: SimulatedMarket) -> None:
    market.set_switches(with_faults(FaultRule("string_nan")))
    series = alpha_vantage("TIME_SERIES_DAILY", symbol="AAPL").json()["Time Series (Daily)"]
    assert {row["4. close"] for row in series.values()} == {"NaN"}
    assert alpha_vantage("DIVIDENDS", symbol="AAPL").json()["data"][0]["amount"] == "NaN"
    assert alpha_vantage("EARNINGS_CALENDAR").text.startswith("symbol,")
    market.set_switches(with_faults(FaultRule("negative_numbers"), FaultRule("type_change", path="EARNINGS")))
    assert alpha_vantage("DIVIDENDS", symbol="AAPL").json()["data"][0]["amount"].startswith("-")
    assert isinstance(alpha_vantage("EARNINGS", symbol="AAPL").json()["quarterlyEarnings"][0]["reportedEPS"], dict)


def test_every_fault_has_a_whole_reply_a_conduct_or_a_change_of_rows() -> None:
    silent = [name for name in FAULT_NAMES if whole_reply(name, key="k", expiry="1") is None]
    assert set(CONDUCTS) < set(silent)
    assert len(FAULT_NAMES) == len(set(FAULT_NAMES)) > 70


def test_the_fault_loop_fails_each_request_in_turn(market: SimulatedMarket) -> None:
    application = Application(market.world, with_faults(FaultRule("500", nth=2)))
    headers = {"authorization": "Bearer t", "accept": "application/json"}
    clock = Request("GET", "/v1/markets/clock", {}, headers)
    assert [application.handle(clock).reply.status for _ in range(3)] == [200, 500, 200]
    assert [entry.faults for entry in application.log] == [(), ("500",), ()]
