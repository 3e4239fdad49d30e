"""From a chain's bytes to columns: what is kept, what is dropped and counted; an oddity costs its row and no more."""

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcrush.domain.enums import Right
from ivcrush.domain.errors import Err, ErrorCode, Ok
from ivcrush.domain.types import OptionChain, Ticker
from ivcrush.infrastructure.api.option_chain_parse import parse_chain

IBM = Ticker("IBM")
EXPIRATION = date(2026, 5, 22)


def row(strike: float, right: str, **changes: Any) -> dict[str, Any]:
    """A row as Tradier sends it, unused fields included."""
    sent = {
        "symbol": f"IBM260522{right[0].upper()}{int(strike * 1000):08d}",
        "last": None,
        "bid": 1.0,
        "ask": 1.2,
        "underlying": "IBM",
        "strike": strike,
        "greeks": {"delta": 0.5 if right == "call" else -0.5, "bid_iv": 0.30, "mid_iv": 0.31, "ask_iv": 0.32},
        "volume": 7,
        "bidsize": 11,
        "bid_date": 1779478200000,
        "asksize": 12,
        "ask_date": 1779478100000,
        "open_interest": 130,
        "contract_size": 100,
        "expiration_date": "2026-05-22",
        "expiration_type": "weeklys",
        "option_type": right,
        "root_symbol": "IBM",
    }
    return sent | changes


def body_of(rows: Any) -> bytes:
    return json.dumps({"options": {"option": rows}}).encode()


def parsed(rows: Any, ticker: Ticker = IBM) -> OptionChain:
    result = parse_chain(rows if isinstance(rows, bytes) else body_of(rows), ticker, EXPIRATION)
    assert isinstance(result, Ok), result
    return result.value


def columns_of(chain: OptionChain) -> list[Any]:
    sides = (chain.calls, chain.puts)
    return [chain.strikes.tolist()] + [getattr(side, name).tolist() for side in sides for name in side.__slots__]


def test_calls_and_puts_are_aligned_by_strike_whatever_the_order_of_the_rows() -> None:
    chain = parsed(
        [
            row(105, "put", bid=6, ask=7),
            row(100, "call", bid=4, ask=5),
            row(105, "call", bid=2, ask=2.5),
            row(95, "put"),
        ]
    )
    assert chain.strikes.tolist() == [95, 100, 105]
    assert chain.calls.present.tolist() == [False, True, True]
    assert chain.puts.present.tolist() == [True, False, True]
    assert chain.calls.bid.tolist() == [0, 4, 2]
    assert chain.puts.bid.tolist() == [1, 0, 6]


def test_every_column_holds_what_was_sent() -> None:
    chain = parsed([row(100, "call"), row(100, "put", bid=2, ask=3, volume=8, open_interest=9, bidsize=1, asksize=2)])
    call, put = chain.calls, chain.puts
    assert (call.bid[0], call.ask[0], call.iv[0]) == (1.0, 1.2, 0.31)
    assert (put.bid[0], put.ask[0]) == (2, 3)
    assert [int(c[0]) for c in (call.bid_size, call.ask_size, call.volume, call.open_interest)] == [11, 12, 7, 130]
    assert [int(c[0]) for c in (put.bid_size, put.ask_size, put.volume, put.open_interest)] == [1, 2, 8, 9]
    assert call.quoted_at[0] == 1779478100.0  # the older side, seconds
    assert call.open_interest.dtype == np.int64
    assert chain.expiration_type == "weeklys"
    assert chain.quote(Right.CALL, 0).iv_pct == pytest.approx(31)


@pytest.mark.parametrize(("sent", "read"), [(1e15, 10**15), (1.1e15, 0), (1e19, 0), (1e20, 0)])
def test_sizes_and_volumes_past_all_counts_are_none_given(sent: float, read: int) -> None:
    absurd = dict.fromkeys(["volume", "open_interest", "bidsize", "asksize"], sent)
    call = parsed([row(100, "call", **absurd), row(100, "put")]).calls
    counts = (call.bid_size, call.ask_size, call.volume, call.open_interest)
    assert [int(column[0]) for column in counts] == [read] * 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"root_symbol": "IBM1"}, "adjusted_root"),
        ({"root_symbol": None, "symbol": "IBM1260522C00100000"}, "adjusted_root"),
        ({"contract_size": 10}, "contract_size"),
        ({"bid": -0.5}, "bad_price"),
        ({"ask": "Infinity"}, "bad_price"),
        ({"bid": 1.3}, "crossed"),
        ({"ask": 0.0}, "crossed"),
        ({"strike": 0}, "unreadable"),
        ({"strike": "NaN"}, "unreadable"),
        ({"strike": None}, "unreadable"),
        ({"option_type": "straddle"}, "unreadable"),
        ({"bid": "-"}, "unreadable"),
        ({"bid": "1,234"}, "unreadable"),
        ({"bid": "１２"}, "unreadable"),
        ({"volume": [1]}, "unreadable"),
    ],
)
def test_a_bad_row_costs_that_row_and_is_counted_by_its_reason(change: dict[str, Any], reason: str) -> None:
    chain = parsed([row(100, "call") | change, row(105, "call"), row(105, "put")])
    assert chain.strikes.tolist() == [105]
    assert chain.dropped == ((reason, 1),)


@pytest.mark.parametrize(
    "sound",
    [
        {"bid": 0.0, "ask": 0.0},
        {"bid": 0.0, "ask": 0.05},
        {"bid": 0.05, "ask": 0.05},
        {"contract_size": None},
        {"contract_size": 0},
        {"root_symbol": None},
        {"root_symbol": None, "symbol": ""},
    ],
)
def test_what_is_merely_cheap_or_not_told_stays_beside_a_bad_row(sound: dict[str, Any]) -> None:
    chain = parsed([row(0.5, "call") | sound, row(105, "call", bid=1.3)])
    assert chain.strikes.tolist() == [0.5]
    assert chain.calls.present.tolist() == [True]
    assert chain.dropped == (("crossed", 1),)


@pytest.mark.parametrize("literal", ["1e999", "9" * 5000, "[" * 200 + "]" * 200, '"\\ud800x"'])
def test_a_number_that_is_none_costs_that_row(literal: str) -> None:
    text = json.dumps({"options": {"option": [row(100, "call", bid=77777), row(105, "put")]}}).replace("77777", literal)
    chain = parse_chain(text.encode(), IBM, EXPIRATION)
    if isinstance(chain, Err):  # a lone surrogate breaks the whole text
        assert chain.error.code is ErrorCode.INVALID
    else:
        assert chain.value.strikes.tolist() == [105]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "null", '"NaN"'])
def test_a_price_that_is_not_a_number_is_no_market(literal: str) -> None:
    text = json.dumps({"options": {"option": [row(100, "call", bid=77777), row(105, "put")]}}).replace("77777", literal)
    chain = parsed(text.encode())
    assert chain.calls.bid[0] == 0.0
    assert chain.calls.ask[0] == 1.2
    assert all(np.isfinite(column).all() for column in (chain.calls.bid, chain.calls.ask, chain.puts.iv))


def test_numbers_may_come_as_strings_and_integers() -> None:
    assert columns_of(parsed([row(100, "call", bid="1", ask="2.5")])) == columns_of(
        parsed([row(100.0, "call", bid=1, ask=2.5)])
    )


def test_the_first_of_two_rows_of_one_contract_stays() -> None:
    chain = parsed([row(100, "call", bid=0.9), row(100, "call", bid=0.1), row(100, "put")])
    assert chain.calls.bid.tolist() == [0.9]
    assert chain.dropped == (("duplicate", 1),)


def test_a_dropped_row_does_not_make_a_good_one_its_duplicate() -> None:
    chain = parsed([row(100, "call", root_symbol="IBM1"), row(100, "call", bid=0.1)])
    assert chain.calls.bid.tolist() == [0.1]
    assert chain.dropped == (("adjusted_root", 1),)


def test_a_class_share_has_its_root_without_the_dot() -> None:
    chain = parsed([row(455, "call", root_symbol="BRKB")], Ticker("BRK.B"))
    assert chain.dropped == ()


@pytest.mark.parametrize(
    "greeks",
    [
        {"bid_iv": 0.0, "mid_iv": 0.568797, "ask_iv": 0.568797},  # one-sided: the mid is the ask's
        {"bid_iv": 0.568797, "mid_iv": 0.568797, "ask_iv": 0.0},
        {"bid_iv": 0.3, "mid_iv": 6.3, "ask_iv": 9.0},
        {"bid_iv": 0.3, "mid_iv": None, "ask_iv": 0.4},
        {"bid_iv": "NaN", "mid_iv": 0.3, "ask_iv": 0.4},
        {},
        None,
    ],
)
def test_an_implied_volatility_of_one_side_is_none(greeks: dict[str, Any] | None) -> None:
    assert parsed([row(100, "call", greeks=greeks)]).calls.iv.tolist() == [0.0]


def test_an_implied_volatility_of_500_percent_is_the_highest() -> None:
    high = {"bid_iv": 4.0, "mid_iv": 5.0, "ask_iv": 6.0}
    assert parsed([row(100, "call", greeks=high)]).calls.iv.tolist() == [5.0]


def test_an_expiration_whose_kind_is_not_told_has_none() -> None:
    assert parsed([row(100, "call", expiration_type=None)]).expiration_type == ""


def test_greeks_carry_the_latest_of_their_moments_as_utc() -> None:
    texts = ["2026-05-22 18:59:27", "2026-05-22 19:59:27", "sometime", None]
    rows = [row(100 + n, "call", greeks={"updated_at": text}) for n, text in enumerate(texts)]
    assert parsed(rows).greeks_at == datetime(2026, 5, 22, 19, 59, 27, tzinfo=UTC)
    assert parsed([row(100, "call", greeks=None)]).greeks_at is None


@pytest.mark.parametrize(
    ("bid_date", "ask_date", "expected"),
    [
        (1779478200000, 0, 1779478200.0),
        (None, 1779478100, 1779478100.0),
        (0, 0, 0.0),
        (-5, None, 0.0),
    ],
)
def test_a_side_without_a_moment_leaves_the_other_sides(bid_date: Any, ask_date: Any, expected: float) -> None:
    assert parsed([row(100, "call", bid_date=bid_date, ask_date=ask_date)]).calls.quoted_at.tolist() == [expected]


@pytest.mark.parametrize(
    "text",
    ['{"options":null}', '{"options":{}}', '{"options":[]}', '{"options":"null"}', "{}", '{"options":{"option":null}}',
     '{"options":{"option":[]}}', '{"options":{"option":"null"}}', '{"options":{"option":{}}}'],
)  # fmt: skip
def test_every_way_to_say_none_is_nodata(text: str) -> None:
    result = parse_chain(text.encode(), IBM, EXPIRATION)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.NODATA
    assert result.error.message == "IBM: no usable option of 2026-05-22 (none listed)"
    assert result.error.about("ticker") == IBM


def test_a_chain_of_bad_rows_only_is_nodata_with_the_reasons() -> None:
    result = parse_chain(body_of([row(100, "call", bid=-1), {"strike": "x"}]), IBM, EXPIRATION)
    assert isinstance(result, Err)
    assert result.error.message == "IBM: no usable option of 2026-05-22 (1 unreadable, 1 bad_price)"
    alone = parse_chain(body_of({"strike": "x"}), IBM, EXPIRATION)
    assert isinstance(alone, Err)
    assert "(1 unreadable)" in alone.error.message


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"options":', b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_invalid(text: bytes) -> None:
    result = parse_chain(text, IBM, EXPIRATION)
    assert isinstance(result, Err)
    assert result.error.code is ErrorCode.INVALID


def test_a_lone_object_and_a_list_of_one_are_the_same() -> None:
    assert columns_of(parsed(row(100, "call"))) == columns_of(parsed([row(100, "call")]))


def test_of_duplicate_keys_the_last_wins() -> None:
    text = json.dumps({"options": {"option": [row(100, "call")]}}).replace('"bid": 1.0', '"bid": 0.5, "bid": 1.1')
    assert parsed(text.encode()).calls.bid.tolist() == [1.1]


rows_of_one_chain = st.lists(
    st.builds(
        row,
        st.sampled_from([90, 95.5, 100, 105]),
        st.sampled_from(["call", "put"]),
        bid=st.sampled_from([0, 0.5, 1.1, None]),
        greeks=st.sampled_from([None, {"delta": 0.1, "bid_iv": 0.2, "mid_iv": 0.2, "ask_iv": 0.2}]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda sent: (sent["strike"], sent["option_type"]),
)


@given(rows_of_one_chain, st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(rows: list[dict[str, Any]], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert columns_of(parsed(rows)) == columns_of(parsed(shuffled))


@given(st.binary(max_size=60), st.integers(0, 900))
def test_no_damage_to_the_bytes_raises(noise: bytes, at: int) -> None:
    whole = body_of([row(100, "call"), row(100, "put")])
    result = parse_chain(whole[:at] + noise + whole[at + len(noise) :], IBM, EXPIRATION)
    assert isinstance(result, Ok) or result.error.code in {ErrorCode.INVALID, ErrorCode.NODATA}
