"""Tickers, quotes and chains as values."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.domain.enums import MoveMeasure, Right, Timing
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import (
    HistoricalMove,
    OptionChain,
    OptionColumns,
    OptionQuote,
    Ticker,
    UnderlyingQuote,
    money,
    parse_ticker,
)

IBM = Ticker("IBM")
QUOTE = UnderlyingQuote(IBM, bid=231.3, ask=231.5, last=230.0, previous_close=229.0, quoted_at=None, traded_at=None)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("AAPL", "AAPL"),
        (" aapl\n", "AAPL"),
        ("brk-b", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("BRK.B", "BRK.B"),
        ("BAC-PQ", "BAC.PQ"),
        ("F", "F"),
    ],
)
def test_a_ticker_has_one_canonical_spelling(text, canonical):
    assert parse_ticker(text) == Ok(canonical)


@pytest.mark.parametrize("text", ["", "TOOLONGX", "A1", "BRK.B.C", "BRK.", ".B", "AA PL", "AAPL;", "ΑAPL", "ſ", "../X"])
def test_what_is_no_ticker_is_refused_with_the_need(text):
    result = parse_ticker(text)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID
    assert repr(text) in result.error.message
    assert "1 to 6 letters" in result.error.message


def test_a_huge_text_is_cut_in_the_message():
    result = parse_ticker("x" * 10_000)
    assert isinstance(result, Err)
    assert len(result.error.message) < 120


@given(st.text(max_size=12))
def test_a_canonical_ticker_is_its_own_spelling(text):
    result = parse_ticker(text)
    if isinstance(result, Ok):
        assert parse_ticker(result.value) == result


@pytest.mark.parametrize(
    ("amount", "decimal"), [(0.1 + 0.2, "0.3"), (231.4, "231.4"), (0.00004, "0.0"), (1.00005, "1.0001"), (5.0, "5.0")]
)
def test_money_is_what_a_person_reads(amount, decimal):
    assert money(amount) == Decimal(decimal)


def test_spot_is_the_mid_of_a_market_at_most_two_per_cent_wide():
    assert QUOTE.spot() == Ok(231.4)
    assert replace(QUOTE, bid=100.0, ask=102.0).spot() == Ok(101.0)


@pytest.mark.parametrize(("bid", "ask"), [(100.0, 102.01), (0.0, 231.5), (0.0, 0.0), (231.5, 231.3)])
def test_spot_is_the_last_trade_without_a_sound_market(bid, ask):
    assert replace(QUOTE, bid=bid, ask=ask).spot() == Ok(230.0)


@pytest.mark.parametrize("last", [None, 0.0])
def test_there_is_no_spot_without_market_and_trade(last):
    result = replace(QUOTE, bid=0.0, ask=231.5, last=last).spot()
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA
    assert result.error.message == "IBM: no two-sided quote (bid 0, ask 231.5) and no last trade"


def option(bid, ask):
    return OptionQuote(Right.CALL, Decimal(230), Decimal(bid), Decimal(ask), 0, 0, None)


def test_mid_and_spread_of_an_option_by_hand():
    assert option("4.80", "5.20").mid == Decimal(5)
    assert option("4.80", "5.20").spread_pct == pytest.approx(8.0)
    assert option("0", "0.10").spread_pct == pytest.approx(200.0)
    assert option("0", "0").spread_pct == 0.0


def columns(first):
    floats, counts = np.array([first, 2.0]), np.array([3, 4])
    return OptionColumns(
        present=np.array([True, True]),
        bid=floats,
        ask=floats + 0.5,
        bid_size=counts,
        ask_size=counts,
        volume=counts,
        open_interest=counts * 10,
        iv=np.array([0.25, 0.0]),
        quoted_at=floats,
    )


CHAIN = OptionChain(IBM, date(2026, 5, 22), np.array([230.0, 232.5]), columns(6.1), columns(5.2))


def test_a_chain_gives_one_option_to_read():
    assert CHAIN.quote(Right.CALL, 0) == OptionQuote(
        Right.CALL, Decimal("230.0"), Decimal("6.1"), Decimal("6.6"), 3, 30, 25.0
    )
    assert CHAIN.quote(Right.PUT, 0).bid == Decimal("5.2")


def test_an_option_without_the_providers_volatility_says_none():
    assert CHAIN.quote(Right.PUT, 1).iv_pct is None


@pytest.mark.parametrize(("price", "index"), [(0.0, 0), (231.2, 0), (231.25, 0), (231.3, 1), (999.0, 1)])
def test_the_nearest_strike_is_the_lower_one_of_two_equally_near(price, index):
    assert CHAIN.nearest_index(price) == index


@pytest.mark.parametrize(
    ("measure", "pct"), [(MoveMeasure.CLOSE_TO_CLOSE, -5.1), (MoveMeasure.GAP, -4.0), (MoveMeasure.PEAK, -6.2)]
)
def test_a_past_move_is_measured_in_three_ways(measure, pct):
    move = HistoricalMove(date(2026, 1, 28), Timing.AMC, date(2026, 1, 29), 230.0, -5.1, -4.0, -1.1, -6.2)
    assert move.measured(measure) == pct
