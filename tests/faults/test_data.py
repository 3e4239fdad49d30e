"""Faults 53 to 62: what stands in the replies. A number that cannot be is no number, and never a zero or a crash."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcrush.domain.types import Ticker
from ivcrush.infrastructure.api.option_chain_parse import parse_chain
from ivcrush.infrastructure.api.tradier_parse import parse_bars, parse_expirations, parse_quotes, parse_session_days
from simulated_market import FaultRule
from tests.faults.relay import relayed
from tests.faults.season import asked, asked_so_far, batch, cached, companies, document, outcomes, weather
from tests.faults.verdict import count, ends
from tests.integration.conftest import Desk, Finished

CHAINS = "options/chains"
ONE = ("analyze", "AAPL", "--format", "json", "--log-level", "ERROR")
AAPL, FRIDAY = Ticker("AAPL"), date(2026, 5, 22)


_GOOD: dict[int, Finished] = {}


def undisturbed(desk: Desk) -> Finished:
    """AAPL's report on a good day, from files of its own; the market is the same for all these tests."""
    port = desk.market.port
    if port not in _GOOD:
        _GOOD[port] = ends(desk.run(*ONE, CACHE_PATH="good.db", DB_PATH="good-own.db"), 0)
    return _GOOD[port]


def changed(desk: Desk, part: str, change: Callable[[bytes], bytes], *arguments: str) -> Finished:
    """A run to which the replies that hold `part` in their question come changed."""
    with relayed(desk, lambda path, body: change(body) if part in path else body) as addresses:
        return desk.run(*(arguments or ONE), **addresses)


# --- 53: none, one and many ---

ROW = {"symbol": "AAPL260522C00100000", "strike": 100.0, "option_type": "call", "bid": 1.0, "ask": 1.2}
PARSED: dict[str, tuple[tuple[str, ...], dict[str, object] | str, Callable[[bytes], object]]] = {
    "quotes": (("quotes", "quote"), {"symbol": "AAPL", "bid": 1.0, "ask": 2.0}, lambda b: parse_quotes(b, [AAPL])),
    "expirations": (("expirations", "date"), "2026-05-22", lambda body: parse_expirations(body, AAPL)),
    "bars": (
        ("history", "day"),
        {"date": "2026-05-15", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 3},
        lambda body: parse_bars(body, AAPL, date(2026, 5, 1), FRIDAY),
    ),
    "calendar": (("calendar", "days", "day"), {"date": "2026-05-25", "status": "closed"}, parse_session_days),
    "chain": (("options", "option"), ROW, lambda body: _told(parse_chain(body, AAPL, FRIDAY))),
}


def _told(result: object) -> str:
    """Arrays compare element by element; their text is the same where they are."""
    return repr(result)


def _wrapped(path: tuple[str, ...], inner: object) -> bytes:
    for name in reversed(path):
        inner = {name: inner}
    return json.dumps(inner).encode()


@pytest.mark.fault(53)
@pytest.mark.parametrize("kind", PARSED)
def test_a_list_of_one_and_that_one_are_the_same_at_every_list(kind: str) -> None:
    path, row, parse = PARSED[kind]
    assert parse(_wrapped(path, row)) == parse(_wrapped(path, [row]))


@pytest.mark.fault(53)
@pytest.mark.parametrize("kind", PARSED)
@settings(max_examples=60, deadline=None)
@given(depth=st.integers(0, 2), nothing=st.sampled_from((None, {}, "null", [], "")), space=st.sampled_from(("", " ")))
def test_every_way_to_say_none_is_the_same_at_every_list(kind: str, depth: int, nothing: object, space: str) -> None:
    path, _, parse = PARSED[kind]
    body = _wrapped(path[: min(depth + 1, len(path))], nothing)
    assert parse(space.encode() + body) == parse(_wrapped(path[:1], None))


@pytest.mark.fault(53)
def test_one_element_lists_that_stay_lists_change_no_report(desk: Desk) -> None:
    good = undisturbed(desk).out
    weather(desk, collapse_single=False)
    assert ends(desk.run(*ONE), 0).out == good


@pytest.mark.fault(53)
@pytest.mark.parametrize("words", ["null", "empty_object", "missing", "null_string", "empty_list"])
def test_a_company_without_options_is_told_alike_however_nothing_is_spelled(desk: Desk, words: str) -> None:
    weather(desk, FaultRule("missing_row", path="expirations"), nothing_found=words)
    ends(desk.run("analyze", "ZZZZ", "--log-level", "ERROR"), 1, "ZZZZ: NODATA: ")


# --- 54: numbers that are none ---


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    "fault", ["nan_numbers", "infinite_numbers", "string_nan", "string_none", "string_dash", "string_comma"]
)
def test_prices_that_are_no_numbers_leave_no_option_and_no_zero_in_its_place(desk: Desk, fault: str) -> None:
    desk.strike(fault, path=CHAINS)
    ends(desk.run(*ONE), 1, "AAPL: NODATA: no usable ", "2026-05-22")


@pytest.mark.fault(54)
@pytest.mark.parametrize("fault", ["nan_numbers", "string_none", "infinite_numbers"])
def test_a_tenth_of_such_prices_costs_those_rows_and_no_nan_gets_into_the_report(desk: Desk, fault: str) -> None:
    desk.strike(fault, share=0.1)
    finished = desk.run(*ONE)
    assert finished.code in {0, 3}
    assert document(finished)["implied_move"]["event_move_pct"] > 0


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    "text",
    [b"1e999", b"-1e999", b'"1,234"', '"１２"'.encode(), b'"1_000"', b"9" * 5000, b"[" * 200 + b"]" * 200, b'""',
     b'{"value":1}', b"true"],
    ids=["overflow", "underflow", "comma", "full width", "underscore", "5000 digits", "nested", "empty", "object",
         "bool"],
)  # fmt: skip
def test_a_strike_that_is_no_number_costs_its_rows(desk: Desk, text: bytes) -> None:
    def spoiled(body: bytes) -> bytes:
        return re.sub(rb'"strike":[0-9.]+', b'"strike":' + text, body, count=3)

    assert ends(changed(desk, CHAINS, spoiled), 0).out != ""


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"description":"', b'"description":"\\ud800'),
        (b'"description":"', b'"description":"earlier","description":"'),
        (b'{"symbol"', b'{"bid":1e400,"symbol"'),
    ],
    ids=["lone surrogate", "duplicate key", "overflow before the real one"],
)
def test_odd_json_in_a_quote_is_read_or_told_and_is_no_defect(desk: Desk, old: bytes, new: bytes) -> None:
    finished = changed(desk, "markets/quotes", lambda body: body.replace(old, new))
    assert finished.code in {0, 1, 3, 69}, finished.err
    assert "defect" not in finished.err


@pytest.mark.fault(54)
def test_a_hundred_thousand_brackets_are_no_json_and_no_stack(desk: Desk) -> None:
    desk.strike("200_deep", path=CHAINS)
    ends(desk.run(*ONE), 69, "AAPL: EXTERNAL: 127.0.0.1: ", "Tradier answered with broken JSON instead of JSON")


# --- 55 to 57: options that are no market ---


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("negative_numbers", "no usable option of 2026-05-22 (56 bad_price)"),
        ("crossed_quotes", "no usable option of 2026-05-22 (56 crossed)"),
        ("zero_quotes", "no usable quote in the expiration 2026-05-22"),
        ("null_quotes", "no usable quote in the expiration 2026-05-22"),
        ("one_sided_quotes", "no usable quote in the expiration 2026-05-22"),
    ],
)
def test_options_without_a_market_are_left_out_with_the_reason(desk: Desk, fault: str, words: str) -> None:
    desk.strike(fault, path=CHAINS)
    ends(desk.run(*ONE), 1, f"AAPL: NODATA: {words}")


@pytest.mark.fault(55)
def test_an_ask_of_zero_is_left_out_with_the_reason(desk: Desk) -> None:
    desk.strike("zero_ask", path=CHAINS)
    ends(desk.run(*ONE), 1, "AAPL: NODATA: no usable ", "2026-05-22")


@pytest.mark.fault(55)
def test_quotes_three_days_old_are_labelled_and_not_traded_on(desk: Desk) -> None:
    desk.strike("stale_quotes")
    found = document(desk.run(*ONE))
    assert found["execution"]["quote_age_s"] > 2 * 86_400
    assert found["tradeable"] is False


@pytest.mark.fault(56)
@pytest.mark.parametrize("fault", ["duplicate_rows", "no_open_interest", "null_volume"])
def test_rows_twice_or_without_their_volume_change_no_move(desk: Desk, fault: str) -> None:
    good = json.loads(undisturbed(desk).out)
    desk.strike(fault, path=CHAINS)
    finished = desk.run(*ONE)
    assert document(finished)["implied_move"]["event_move_pct"] == good["implied_move"]["event_move_pct"]


@pytest.mark.fault(56)
def test_rows_in_any_order_are_the_same_chain(desk: Desk) -> None:
    good = json.loads(undisturbed(desk).out)

    def turned(body: bytes) -> bytes:
        chain = json.loads(body)
        chain["options"]["option"].reverse()
        return json.dumps(chain).encode()

    finished = ends(changed(desk, CHAINS, turned), 0)
    assert json.loads(finished.out)["implied_move"] == good["implied_move"]


@pytest.mark.fault(56)
def test_a_strike_missing_on_one_side_costs_that_strike_alone(desk: Desk) -> None:
    desk.strike("missing_row", path=CHAINS, share=0.2)
    finished = desk.run(*ONE)
    assert finished.code in {0, 3}
    assert document(finished)["implied_move"]["straddle_cost"] > 0


@pytest.mark.fault(56)
def test_contracts_of_ten_shares_or_of_another_root_are_left_out_with_the_count(desk: Desk) -> None:
    desk.strike("mini_contracts", path=CHAINS)
    ends(desk.run(*ONE), 1, "AAPL: NODATA: no usable option of 2026-05-22 (56 contract_size)")
    weather(desk, adjusted_root=("MSFT",))
    ends(desk.run("analyze", "MSFT", "--format", "json"), 0)


@pytest.mark.fault(57)
@pytest.mark.parametrize("fault", ["no_greeks", "null_greeks", "zero_greeks", "stale_greeks"])
def test_the_providers_greeks_are_not_needed_for_the_move(desk: Desk, fault: str) -> None:
    good = json.loads(undisturbed(desk).out)["implied_move"]
    desk.strike(fault, path=CHAINS)
    finished = desk.run(*ONE)
    assert finished.code in {0, 3}
    found = document(finished)["implied_move"]
    assert {name: found[name] for name in ("straddle_cost", "event_move_pct", "spot") if name in found} == {
        name: good[name] for name in ("straddle_cost", "event_move_pct", "spot") if name in good
    }


# --- 58 to 60: reports, splits, companies ---


@pytest.mark.fault(58)
def test_a_date_that_moved_since_yesterday_is_kept_as_history_and_the_new_one_used(desk: Desk) -> None:
    listed = ("backfill", "--calendar", "--log-level", "ERROR", "--refresh")

    def only(day: str) -> Callable[[bytes], bytes]:
        head = b"symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay\r\n"
        return lambda _: head + f"AAPL,APPLE,{day},2026-03-31,1.5,USD,post-market\r\n".encode()

    for day in ("2026-05-18", "2026-05-20"):
        ends(changed(desk, "EARNINGS_CALENDAR", only(day), *listed), 0)
    found = document(changed(desk, "EARNINGS_CALENDAR", only("2026-05-20"), *ONE))
    assert found["earnings"]["date"] == "2026-05-20"
    assert found["earnings"]["moved_from"] == "2026-05-18"
    assert "report_date_moved" in found["flags"]
    assert count(desk.directory / "data" / "ivcrush.db", "earnings_calendar") == 2


@pytest.mark.fault(58)
def test_two_spellings_of_one_company_with_two_dates_are_a_conflict_that_is_shown(desk: Desk) -> None:
    body = (
        b"symbol,name,reportDate,fiscalDateEnding,estimate,currency\r\n"
        b"BF.B,BF.B,2026-06-04,2026-04-30,,USD\r\nBF-B,BF-B,2026-06-10,2026-04-30,,USD\r\n"
        b"AAPL,AAPL,2026-05-18,2026-03-31,,USD\r\nAAPL,AAPL,2026-05-21,2026-03-31,,USD\r\n"
    )
    found = document(changed(desk, "EARNINGS_CALENDAR", lambda _: body, *ONE))
    assert "date_conflict" in found["flags"]
    assert found["tradeable"] is False


@pytest.mark.fault(58)
def test_a_report_on_a_closed_day_is_estimated_and_flagged(desk: Desk) -> None:
    head = b"symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay\r\n"
    body = head + b"AAPL,A,2026-05-25,2026-03-31,,USD,post-market\r\n"
    listed = ("backfill", "--calendar", "--log-level", "ERROR")
    ends(changed(desk, "EARNINGS_CALENDAR", lambda _: body, *listed), 0)
    with closing(sqlite3.connect(desk.directory / "data" / "ivcrush.db")) as connection:
        rows = connection.execute("SELECT report_date, status, flags FROM earnings_calendar").fetchall()
    assert rows == [("2026-05-25", "estimated", '["report_on_closed_day"]')]


@pytest.mark.fault(58)
def test_reports_with_none_doubled_and_future_rows_measure_the_same_moves(desk: Desk) -> None:
    good = json.loads(undisturbed(desk).out)["history"]
    weather(desk, dirty_earnings=True)
    found = document(desk.run(*ONE))["history"]
    by_date = {move["earnings_date"]: move for move in good["moves"]}
    same = [move for move in found["moves"] if by_date.get(move["earnings_date"]) == move]
    assert len(same) >= len(found["moves"]) - 2
    assert len(found["moves"]) >= 4


@pytest.mark.fault(59)
def test_a_split_in_raw_prices_is_no_earnings_move(desk: Desk) -> None:
    weather(desk, FaultRule("503", path="history"), splits=(("AAPL", "2026-02-10", 10.0),))
    backfilled = desk.run("backfill", "AAPL", "--quarters", "2", "--log-level", "ERROR")
    assert backfilled.code in {0, 3}
    found = document(desk.run(*ONE, RETRY_MAX_ATTEMPTS="1"))
    moves = found["history"].get("moves", [])
    assert all(abs(move["close_to_close_pct"]) < 50 for move in moves)


@pytest.mark.fault(60)
def test_each_company_without_an_answer_has_its_own_reason_and_the_rest_is_unaffected(desk: Desk) -> None:
    tickers = companies(desk, 4)
    weather(
        desk,
        FaultRule("missing_row", path="history", symbol=tickers[2]),
        FaultRule("empty_object", path="expirations", symbol=tickers[1]),
        unmatched=(tickers[0],),
    )
    run = batch(desk, tickers)
    ends(run, 3, f"{tickers[0]}: NODATA: ", "line 2: the market data provider does not know this ticker")
    found = outcomes(run, tickers)
    assert (found[tickers[0]], found[tickers[1]], found[tickers[3]]) == ("NODATA", "NODATA", "done")
    assert re.search(f"{tickers[1]}: NODATA: .*, line 3: Tradier lists no options", run.err)


@pytest.mark.fault(60)
def test_a_fund_is_told_to_report_nothing(desk: Desk) -> None:
    fund = next(ticker for ticker in desk.market.world.tickers if not desk.market.world.listing(ticker).company.reports)
    ends(desk.run("analyze", fund, "--log-level", "ERROR"), 1, f"{fund}: NODATA: ")


@pytest.mark.fault(60)
def test_the_word_that_there_are_no_options_is_kept_for_an_hour_at_most(desk: Desk) -> None:
    weather(desk, FaultRule("empty_object", path="expirations"))
    ends(desk.run(*ONE), 1, "AAPL: NODATA: Tradier lists no options")
    assert len([key for key in cached(desk) if "/expirations?" in key]) == 1
    weather(desk)
    ends(desk.run(*ONE, "--refresh"), 0)


# --- 61 and 62: what is asked for ---


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("typed", "meant"), [("brk.b", "BRK.B"), ("BRK/B", "BRK.B"), ("Brk-b", "BRK.B"), (" aapl ", "AAPL"), ("A", "A")]
)
def test_every_spelling_of_a_ticker_is_one_ticker(desk: Desk, typed: str, meant: str) -> None:
    weather(desk, nothing_found="null")
    finished = desk.run("analyze", typed, "--format", "json", "--log-level", "ERROR")
    assert json.loads(finished.out)["ticker"] == meant


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    "typed", ["AA PL", "😀", "AAPL1", "TOOLONGNAME", "../etc", "ＡＡＰＬ", "-", "A'; DROP TABLE x"]
)
def test_what_is_no_ticker_is_refused_in_the_file_by_its_line(desk: Desk, typed: str) -> None:
    desk.file("tickers.txt", f"AAPL\n{typed}\n".encode())
    finished = ends(desk.run("backfill", "--file", "tickers.txt"), 3, ": INVALID: tickers.txt, line 2: ticker ")
    assert "1 done, 1 failed" in finished.out  # and costs nobody else


@pytest.mark.fault(61)
def test_names_that_look_like_values_stay_names(desk: Desk) -> None:
    desk.file(
        "earnings.csv", b"ticker,earnings_date\nTRUE,2026-05-18\nNAN,2026-05-18\nNULL,2026-05-18\nON,2026-05-18\n"
    )
    finished = desk.run("analyze-batch", "--earnings-file", "earnings.csv", "--continue-on-error", "--format", "json")
    assert [row["ticker"] for row in document(finished)["failures"]] == ["TRUE", "NAN", "NULL", "ON"]
    assert finished.code == 1


@pytest.mark.fault(62)
def test_one_ticker_none_and_the_same_one_five_hundred_times(desk: Desk) -> None:
    assert outcomes(ends(batch(desk, companies(desk, 1)), 0), companies(desk, 1)) == {companies(desk, 1)[0]: "done"}
    desk.file("none.txt", b"# nobody\n")
    ends(desk.run("analyze-batch", "--file", "none.txt"), 65, "none.txt: no ticker in it; one a line is needed")
    desk.file("same.txt", b"AAPL\n" * 500)
    since = asked_so_far(desk)
    finished = ends(desk.run("analyze-batch", "--file", "same.txt", "--format", "json"), 0)
    assert document(finished)["summary"]["total"] == 1
    assert set(asked(desk, "symbol=AAPL", since).values()) == {1}


def names(count: int) -> list[str]:
    """Distinct names that are tickers and no company's."""
    letters = "BCDFGHJKLM"
    return ["Z" + "".join(letters[int(digit)] for digit in f"{number:05}") for number in range(count)]


@pytest.mark.fault(62)
def test_ten_thousand_names_are_estimated_before_anything_is_asked_and_all_accounted_for(desk: Desk) -> None:
    asked_for = names(10_000)
    Path(desk.directory, "many.txt").write_text("\n".join(asked_for))
    planned = ends(desk.run("backfill", "--file", "many.txt", "--dry-run"), 0)
    assert re.search(r"10,?000", planned.out + planned.err) is not None
    rows = "".join(f"{name},2026-05-18,\n" for name in asked_for[:300])
    desk.file("earnings.csv", ("ticker,earnings_date,expiration_date\n" + rows).encode())
    arguments = ("analyze-batch", "--earnings-file", "earnings.csv", "--continue-on-error", "--format", "json")
    finished = desk.run(*arguments, TRADIER_PER_MINUTE="120")
    assert finished.err.startswith("300 companies, about ")
    assert finished.code == 1
    assert len(document(finished)["failures"]) == 300
