"""Quotes, expirations, bars, clock and calendar out of Tradier's bytes, in every shape in which they have been sent."""

import json
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from ivcrush.domain.enums import SessionState
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.market_calendar import SessionDay
from ivcrush.domain.types import DailyBar, MarketClock, Ticker
from ivcrush.infrastructure.api.tradier_parse import (
    parse_bars,
    parse_clock,
    parse_expirations,
    parse_quotes,
    parse_session_days,
)

IBM, BRK = Ticker("IBM"), Ticker("BRK.B")
NOTHING: list[Any] = [None, {}, [], "null", ""]
IBM_QUOTE = {
    "symbol": "IBM",
    "description": "Intl Business Machines",
    "bid": 231.3,
    "ask": 231.5,
    "last": 231.4,
    "prevclose": 229,
    "bid_date": 1705072235000,
    "ask_date": 1705072245000,
    "trade_date": 1705072233914,
    "average_volume": 54243871,
}


def body(content: Any) -> bytes:
    return json.dumps(content).encode()


def quotes_of(*rows: Any, **more: Any) -> bytes:
    return body({"quotes": {"quote": rows[0] if len(rows) == 1 else list(rows), **more}})


def test_a_lone_quote_is_read_with_the_later_of_its_sides_moments() -> None:
    result = parse_quotes(quotes_of(IBM_QUOTE), [IBM])
    assert isinstance(result, Ok)
    quote = result.value[IBM]
    assert (quote.bid, quote.ask, quote.last, quote.previous_close) == (231.3, 231.5, 231.4, 229.0)
    assert quote.quoted_at == datetime(2024, 1, 12, 15, 10, 45, tzinfo=UTC)
    assert quote.traded_at == datetime(2024, 1, 12, 15, 10, 33, 914000, tzinfo=UTC)
    assert (quote.average_volume, quote.description) == (54243871, "Intl Business Machines")
    assert quote.ticker == IBM


@pytest.mark.parametrize(("bid_date", "ask_date"), [(1705072245000, 1705072235000), (1705072245000, None)])
def test_the_later_side_may_be_the_bid_or_the_only_one(bid_date: Any, ask_date: Any) -> None:
    result = parse_quotes(quotes_of(IBM_QUOTE | {"bid_date": bid_date, "ask_date": ask_date}), [IBM])
    assert isinstance(result, Ok)
    assert result.value[IBM].quoted_at == datetime(2024, 1, 12, 15, 10, 45, tzinfo=UTC)


def test_a_penny_stock_without_a_name_has_its_prices() -> None:
    sent = IBM_QUOTE | {"bid": 0.41, "ask": 0.43, "average_volume": 1, "description": None}
    result = parse_quotes(quotes_of(sent), [IBM])
    assert isinstance(result, Ok)
    quote = result.value[IBM]
    assert (quote.bid, quote.ask, quote.average_volume, quote.description) == (0.41, 0.43, 1, "")


def test_slashed_symbols_come_back_with_a_dot_and_what_was_not_asked_for_is_left_out() -> None:
    result = parse_quotes(
        quotes_of(IBM_QUOTE, {"symbol": "BRK/B", "bid": 1, "ask": 2}, {"symbol": "IBM260522C00100000"}), [BRK]
    )
    assert isinstance(result, Ok)
    assert list(result.value) == [BRK]


def test_unmatched_symbols_are_absent() -> None:
    only = body({"quotes": {"unmatched_symbols": {"symbol": "SEFDF"}}})
    assert parse_quotes(only, [Ticker("SEFDF")]) == Ok({})
    both = quotes_of(IBM_QUOTE, unmatched_symbols={"symbol": ["A", "B"]})
    assert isinstance(result := parse_quotes(both, [IBM, Ticker("A")]), Ok)
    assert list(result.value) == [IBM]


@pytest.mark.parametrize("bad", [None, "NaN", -3.0, "Infinity", 0])
def test_a_price_that_is_none_is_no_market_and_no_last_trade(bad: Any) -> None:
    sent = IBM_QUOTE | dict.fromkeys(["bid", "ask", "last", "prevclose", "average_volume"], bad)
    result = parse_quotes(quotes_of(sent), [IBM])
    assert isinstance(result, Ok)
    quote = result.value[IBM]
    assert (quote.bid, quote.ask, quote.last, quote.previous_close, quote.average_volume) == (0.0, 0.0, None, None, 0)


@pytest.mark.parametrize("epoch", [0, None, -1, 9e18, "NaN"])
def test_a_moment_no_market_has_seen_is_none(epoch: Any) -> None:
    sent = IBM_QUOTE | {"bid_date": epoch, "ask_date": epoch, "trade_date": epoch}
    result = parse_quotes(quotes_of(sent), [IBM])
    assert isinstance(result, Ok)
    assert result.value[IBM].quoted_at is None
    assert result.value[IBM].traded_at is None


def test_one_unreadable_quote_costs_that_quote() -> None:
    result = parse_quotes(quotes_of(IBM_QUOTE, {"symbol": ["BRK/B"]}, {"bid": 1}), [IBM, BRK])
    assert isinstance(result, Ok)
    assert list(result.value) == [IBM]


@pytest.mark.parametrize(("tickers", "whose"), [([IBM], "IBM"), ([IBM, BRK], "2 companies")])
def test_quotes_of_which_none_can_be_read_are_no_word_on_who_is_known(tickers: list[Ticker], whose: str) -> None:
    result = parse_quotes(quotes_of(IBM_QUOTE | {"bid": "two hundred"}), tickers)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert result.error.message == f"Tradier: quotes of {whose}: reply not understood, none of its rows can be read"


@pytest.mark.parametrize(("parse", "said"), [
    (lambda raw: parse_quotes(raw, [IBM]), "Tradier: quotes: "),
    (lambda raw: parse_expirations(raw, IBM), "Tradier: expirations of IBM: "),
    (lambda raw: parse_bars(raw, IBM, date(2019, 1, 1), date(2019, 12, 31)), "Tradier: history of IBM: "),
    (parse_clock, "Tradier: clock without a known state and a moment"),
    (parse_session_days, "Tradier: calendar without a readable day"),
])  # fmt: skip
@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"quotes":', b"[1]"])
def test_what_is_no_json_object_is_invalid(parse: Any, said: str, raw: bytes) -> None:
    result = parse(raw)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert result.error.message.startswith(said)


def test_json_too_deep_to_be_read_is_told_as_such() -> None:
    result = parse_expirations(b'{"a":' * 100_000, IBM)
    assert isinstance(result, Err)
    assert result.error.message == "Tradier: expirations of IBM: unreadable JSON (nested too deeply)"


@pytest.mark.parametrize("content", [
    {"expirations": {"date": ["2026-06-18", "2026-05-22"]}},
    {"expirations": {"expiration": [
        {"date": "2026-06-18", "expiration_type": "standard", "strikes": {"strike": 9.0}}, {"date": "2026-05-22"},
    ]}},
    {"expirations": {"date": ["2026-05-22", "not a date", "2026-06-18", None]}},
])  # fmt: skip
def test_expirations_rise_in_both_shapes(content: Any) -> None:
    assert parse_expirations(body(content), IBM) == Ok((date(2026, 5, 22), date(2026, 6, 18)))


@pytest.mark.parametrize("key", ["date", "expiration"])
def test_a_lone_expiration_is_one(key: str) -> None:
    sent = "2026-05-22" if key == "date" else {"date": "2026-05-22"}
    assert parse_expirations(body({"expirations": {key: sent}}), IBM) == Ok((date(2026, 5, 22),))


@pytest.mark.parametrize("nothing", NOTHING)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_every_way_to_say_none_is_nodata(nothing: Any, depth: int) -> None:
    for outer, inner, parse in [
        ("expirations", "date", lambda raw: parse_expirations(raw, IBM)),
        ("history", "day", lambda raw: parse_bars(raw, IBM, date(2019, 1, 1), date(2019, 12, 31))),
    ]:
        content = [{}, {outer: nothing}, {outer: {inner: nothing}}][depth]
        result = parse(body(content))
        assert isinstance(result, Err)
        assert (result.error.code, result.error.about("ticker")) == (ErrorCode.NODATA, IBM)
        assert result.error.message.startswith(("IBM: Tradier lists no options", "IBM: Tradier has no daily bars"))


def day(text: str, **changes: Any) -> dict[str, Any]:
    return {"date": text, "open": 154.89, "high": 158.85, "low": 154.23, "close": 157.92, "volume": 37039737} | changes


def bars(*rows: Any) -> Any:
    content = {"history": {"day": rows[0] if len(rows) == 1 else list(rows)}}
    return parse_bars(body(content), IBM, date(2019, 1, 2), date(2019, 1, 4))


def test_bars_rise_and_stay_within_the_days_asked_for() -> None:
    result = bars(day("2019-01-04", low=0.9), day("2019-01-02", close=158), day("2019-01-01"), day("2019-01-07"))
    assert isinstance(result, Ok)
    assert [bar.session.day for bar in result.value] == [2, 4]
    assert result.value[0] == DailyBar(date(2019, 1, 2), 154.89, 158.85, 154.23, 158.0, 37039737)
    assert result.value[1].low == 0.9


@pytest.mark.parametrize("bad", [None, "NaN", 0, -1, "-", "Infinity"])
def test_a_bar_without_four_positive_prices_is_left_out(bad: Any) -> None:
    result = bars(day("2019-01-02", close=bad), day("2019-01-03"))
    assert isinstance(result, Ok)
    assert [bar.session.day for bar in result.value] == [3]


def test_a_lone_bar_without_volume_is_a_bar() -> None:
    result = bars(day("2019-01-02", volume=None))
    assert isinstance(result, Ok)
    assert result.value[0].volume == 0


@pytest.mark.parametrize(
    ("sent", "read"), [(1e15, 10**15), (1.1e15, 0), (1e19, 0), (1e20, 0), (10**30, 0), ("1e20", 0)]
)
def test_a_volume_past_all_counts_is_none_given(sent: Any, read: int) -> None:
    result = bars(day("2019-01-02", volume=sent))
    assert isinstance(result, Ok)
    assert result.value[0].volume == read
    quoted = parse_quotes(quotes_of(IBM_QUOTE | {"average_volume": sent}), [IBM])
    assert isinstance(quoted, Ok)
    assert quoted.value[IBM].average_volume == read


def test_no_bars_names_ticker_and_days() -> None:
    result = bars(day("2019-02-02"))
    assert isinstance(result, Err)
    assert result.error.message == "IBM: Tradier has no daily bars from 2019-01-02 to 2019-01-04"


def test_the_clock_gives_state_and_moment() -> None:
    sent = {"clock": {"date": "2019-05-06", "state": "open", "timestamp": 1557156988, "next_state": "postmarket"}}
    expected = MarketClock(SessionState.OPEN, datetime(2019, 5, 6, 15, 36, 28, tzinfo=UTC))
    assert parse_clock(body(sent)) == Ok(expected)


@pytest.mark.parametrize(
    "clock", [None, {}, {"state": "asleep", "timestamp": 1557156988}, {"state": "open", "timestamp": 0}]
)
def test_a_clock_without_a_known_state_and_moment_is_invalid(clock: Any) -> None:
    assert isinstance(parse_clock(body({"clock": clock})), Err)


def test_the_calendar_takes_the_closing_time_and_nothing_from_the_description() -> None:
    days = [
        {"date": "2025-11-28", "status": "open", "description": "Market is open", "open": {"end": "13:00"}},
        {"date": "2025-11-27", "status": "closed", "description": "Market is open"},
        {"date": "2025-11-26", "status": "open", "open": {"start": "09:30", "end": "16:00"}},
        {"date": "2025-11-25", "status": "open"},
        {"date": "2025-11-24", "status": "open", "open": {"end": "late"}},
        {"date": "2025-11-99", "status": "open", "open": {"end": "16:00"}},
    ]
    assert parse_session_days(body({"calendar": {"month": 11, "days": {"day": days}}})) == Ok(
        (
            SessionDay(date(2025, 11, 26), time(16, 0)),
            SessionDay(date(2025, 11, 27), None),
            SessionDay(date(2025, 11, 28), time(13, 0)),
        )
    )
