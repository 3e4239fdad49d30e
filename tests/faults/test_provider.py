"""Faults 44 to 52: what the providers say of themselves: too fast, spent, refused, down, invented, changed."""

import json
import re

import pytest

from ivcrush.cli import analyze
from simulated_market import FaultRule
from tests.faults.patience import Patience, patiently
from tests.faults.relay import relayed
from tests.faults.season import asked, asked_so_far, batch, cached, companies, document, outcomes, weather
from tests.faults.verdict import ends
from tests.integration.conftest import TOKEN, Desk

CHAINS, EXPIRATIONS, QUOTES = "options/chains", "options/expirations", "markets/quotes"


@pytest.mark.fault(44)
@pytest.mark.parametrize(
    ("fault", "longest_s"),
    [
        ("429_past_expiry", 60.0),
        ("429_garbage_expiry", 60.0),
        ("429_without_expiry", 60.0),
        ("429_retry_after_zero", 60.0),
        ("429_far_expiry", 65.0),
        ("429_retry_after_hour", 65.0),
        ("429_retry_after_huge", 65.0),
        ("429_retry_after_date", 65.0),
    ],
)
async def test_a_refusal_for_haste_is_waited_out_as_told_but_never_longer_than_65_seconds(
    desk: Desk, fault: str, longest_s: float
) -> None:
    weather(desk, FaultRule(fault, path=EXPIRATIONS, attempts=(1,)))
    machine = Patience()
    since = asked_so_far(desk)
    outcome = await patiently(desk, machine, analyze, "analyze", "AAPL")
    assert outcome.code == 0
    assert 0 < max(machine.slept) <= longest_s
    assert list(asked(desk, EXPIRATIONS, since).values()) == [2]


@pytest.mark.fault(44)
@pytest.mark.parametrize("unit", ["ms", "s"])
def test_an_expiry_in_seconds_or_milliseconds_is_the_same_moment(desk: Desk, unit: str) -> None:
    weather(desk, FaultRule("429", path=EXPIRATIONS, attempts=(1,)), rate_window_s=1.0, rate_expiry_unit=unit)
    since = asked_so_far(desk)
    ends(desk.run("analyze", "AAPL"), 0)
    assert list(asked(desk, EXPIRATIONS, since).values()) == [2]


@pytest.mark.fault(44)
async def test_who_is_refused_for_haste_to_the_end_says_so(desk: Desk) -> None:
    weather(desk, FaultRule("429_retry_after_hour", path=EXPIRATIONS))
    machine = Patience()
    outcome = await patiently(desk, machine, analyze, "analyze", "AAPL")
    assert outcome.code == 69
    assert outcome.messages == ("AAPL: RATELIMIT: 127.0.0.1: Tradier refused for going too fast",)
    assert sum(machine.slept) <= 3 * 65.0


@pytest.mark.fault(44)
async def test_a_provider_that_refuses_everything_for_haste_is_waited_for_twice_and_every_wait_is_told(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    weather(desk, FaultRule("429_retry_after_hour"))
    machine = Patience()
    since = asked_so_far(desk)
    outcome = await patiently(desk, machine, analyze, "analyze", "AAPL")
    assert outcome.code == 69
    assert outcome.messages[0].startswith("AAPL: RATELIMIT: 127.0.0.1: refuses for going too fast, not asked until ")
    waits = [record.getMessage() for record in caplog.records if "waiting until" in record.getMessage()]
    assert [re.sub(r"\d\d:\d\d:\d\d", "hh:mm:ss", line) for line in waits] == [
        f"127.0.0.1: Tradier refused for going too fast: waiting until hh:mm:ss UTC, attempt {attempt} of 3"
        for attempt in (1, 2)
    ]
    # The two months of the calendar wait side by side for the same two windows; nothing is asked for after them.
    assert set(asked(desk, "/v1/", since)) == set(asked(desk, "markets/calendar", since))
    assert max(machine.slept) <= 65.0
    assert len([record for record in caplog.records if "calendar is not to be had" in record.getMessage()]) == 1


@pytest.mark.fault(45)
def test_a_window_that_runs_down_over_the_batch_is_paced_and_nobody_is_refused(desk: Desk) -> None:
    tickers = companies(desk)
    weather(desk, rate_limit=20, rate_window_s=0.7)
    since = asked_so_far(desk)
    ends(batch(desk, tickers), 0)
    assert {entry.status for entry in desk.market.log()[since:]} == {200}
    assert len(asked(desk, "/v1/", since)) > 20


@pytest.mark.fault(46)
def test_a_day_that_is_spent_half_way_stops_that_provider_and_the_next_run_does_not_ask(desk: Desk) -> None:
    tickers = companies(desk)
    weather(desk, *(FaultRule("daily_quota", path="EARNINGS", symbol=ticker) for ticker in tickers[2:]))
    since = asked_so_far(desk)
    run = batch(desk, tickers, "--max-concurrent", "1")
    ends(run, 3, "3 of 5 analyses lack their vrp: ", *tickers[2:])
    assert outcomes(run, tickers) == dict.fromkeys(tickers[:2], "done") | dict.fromkeys(tickers[2:], "no vrp")
    assert len(asked(desk, "function=EARNINGS&", since)) == 3
    weather(desk)
    since = asked_so_far(desk)
    spent = desk.run("backfill", tickers[3], "--log-level", "ERROR")
    ends(spent, 75, f"{tickers[3]}: QUOTA: ")
    assert asked(desk, "", since) == {}


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("fault", "code", "words", "requests"),
    [
        ("per_second", 69, "RATELIMIT: 127.0.0.1: Alpha Vantage refused for going faster than its limit a second", 3),
        ("burst", 69, "RATELIMIT: 127.0.0.1: Alpha Vantage refused for going faster than its limit a second", 3),
        ("premium", 69, "EXTERNAL: 127.0.0.1: Alpha Vantage's plan of this key does not include this (premium)", 1),
        ("demo_key", 78, "CONFIG: 127.0.0.1: Alpha Vantage's demo key answers its examples only", 1),
        ("invalid_key", 77, "AUTH: 127.0.0.1: Alpha Vantage refused the key (ALPHA_VANTAGE_KEY)", 1),
        ("daily_quota", 75, "QUOTA: 127.0.0.1: Alpha Vantage's requests of the day are spent", 1),
        ("invalid_call", 1, "NODATA: 127.0.0.1: Alpha Vantage knows no such symbol", 1),
    ],
)
def test_each_refusal_of_the_second_provider_is_known_by_its_words(
    desk: Desk, fault: str, code: int, words: str, requests: int
) -> None:
    desk.strike(fault, path="EARNINGS")
    since = asked_so_far(desk)
    ends(desk.run("backfill", "AAPL", "--log-level", "ERROR"), code, f"AAPL: {words}")
    assert sum(asked(desk, "function=EARNINGS&", since).values()) == requests
    assert cached(desk) == {}


@pytest.mark.fault(46)
async def test_the_old_limit_a_minute_is_waited_out_once(desk: Desk) -> None:
    weather(desk, FaultRule("minute_note", path="EARNINGS", attempts=(1,)))
    machine = Patience()
    outcome = await patiently(desk, machine, analyze, "analyze", "AAPL")
    assert outcome.code == 0
    assert 60.0 <= max(machine.slept) <= 65.0


@pytest.mark.fault(47)
def test_a_token_revoked_on_the_way_is_tried_twice_and_what_was_done_stays(desk: Desk) -> None:
    tickers = companies(desk)
    rules = [FaultRule("401", path=path, symbol=one) for one in tickers[2:] for path in (EXPIRATIONS, "history")]
    weather(desk, *rules)
    since = asked_so_far(desk)
    run = batch(desk, tickers, "--max-concurrent", "1")
    found = outcomes(run, tickers)
    assert run.code == 3
    assert [found[ticker] for ticker in tickers] == ["done", "done", "AUTH", "SKIPPED", "SKIPPED"]
    assert f"{tickers[2]}: AUTH: 127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid Access Token" in run.err
    assert [entry.status for entry in desk.market.log()[since:]].count(401) == 2
    weather(desk)
    assert outcomes(ends(batch(desk, tickers), 0), tickers) == dict.fromkeys(tickers, "done")


@pytest.mark.fault(47, 49)
@pytest.mark.parametrize("fault", ["401", "401_expired", "500_expired", "404", "404_html"])
def test_a_refusal_that_passes_is_survived(desk: Desk, fault: str) -> None:
    weather(desk, FaultRule(fault, path=EXPIRATIONS, attempts=(1,)))
    since = asked_so_far(desk)
    ends(desk.run("analyze", "AAPL"), 0)
    assert list(asked(desk, EXPIRATIONS, since).values()) == [2]


@pytest.mark.fault(48)
def test_no_right_to_fundamentals_is_missed_by_nobody_because_nobody_asks_for_them(desk: Desk) -> None:
    since = asked_so_far(desk)
    ends(batch(desk, companies(desk, 2)), 0)
    checks = json.loads(desk.run("health-check", "--format", "json").out)["checks"]
    assert [check["name"] for check in checks if not check["healthy"]] == []
    assert asked(desk, "/beta/", since) == {}
    desk.strike("401_no_product", path=CHAINS)
    refused = desk.run("analyze", "MSFT", "--refresh", "--log-level", "ERROR")
    ends(
        refused,
        77,
        "MSFT: AUTH: 127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid API call as no apiproduct match found",
    )


@pytest.mark.fault(49)
@pytest.mark.parametrize(
    ("fault", "code", "words", "requests"),
    [
        ("500", 69, "EXTERNAL: 127.0.0.1: Tradier failed with status 500", 3),
        ("503", 69, "EXTERNAL: 127.0.0.1: Tradier failed with status 503", 3),
        ("404", 69, "EXTERNAL: 127.0.0.1: Tradier answered that there is no such page (404)", 3),
        ("500_too_big", 69, "EXTERNAL: 127.0.0.1: Tradier was asked for too much at once", 1),
        ("400", 1, "INVALID: 127.0.0.1: Tradier refused the request: Invalid parameter, symbol", 1),
        ("200_errors", 69, "EXTERNAL: 127.0.0.1: Tradier answered with an error: ", 1),
        ("200_error_list", 69, "EXTERNAL: 127.0.0.1: Tradier answered with an error: ", 1),
        ("200_bare_error_list", 69, "EXTERNAL: 127.0.0.1: Tradier answered with an error: ", 1),
        ("401", 77, "AUTH: 127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid Access Token", 2),
    ],
)
def test_each_error_of_the_first_provider_costs_what_it_deserves_and_is_never_cached(
    desk: Desk, fault: str, code: int, words: str, requests: int
) -> None:
    desk.strike(fault, path=EXPIRATIONS)
    since = asked_so_far(desk)
    ends(desk.run("analyze", "AAPL", "--log-level", "ERROR"), code, f"AAPL: {words}")
    assert list(asked(desk, EXPIRATIONS, since).values()) == [requests]
    assert [key for key in cached(desk) if "/expirations?" in key] == []


@pytest.mark.fault(49, 50)
def test_an_outage_of_an_hour_costs_a_batch_five_requests_of_that_provider(desk: Desk) -> None:
    tickers = companies(desk)
    weather(desk, *(FaultRule("500", path=path) for path in ("quotes", "calendar", "history", "expirations", "chains")))
    since = asked_so_far(desk)
    run = batch(desk, tickers, CIRCUIT_BREAKER_RECOVERY_TIMEOUT="60", MAX_CONCURRENT_REQUESTS="1")
    assert set(outcomes(run, tickers).values()) == {"EXTERNAL"}
    ends(run, 69, "EXTERNAL: 127.0.0.1: ", "500")
    assert sum(asked(desk, "/v1/", since).values()) == 5


def amplification(desk: Desk, since: int, words: str = "") -> float:
    """Requests made over questions asked."""
    questions = asked(desk, words, since)
    return sum(questions.values()) / len(questions)


@pytest.mark.fault(50)
def test_a_healthy_batch_asks_every_question_once(desk: Desk) -> None:
    tickers, since = companies(desk), asked_so_far(desk)
    run = ends(batch(desk, tickers), 0)
    assert amplification(desk, since) == 1.0  # at most 1.1 is allowed
    assert document(run)["summary"]["requests"] == asked_so_far(desk) - since
    since = asked_so_far(desk)
    ends(batch(desk, tickers), 0)
    assert asked_so_far(desk) - since == 0


@pytest.mark.fault(50)
@pytest.mark.parametrize("fault", ["503", "reset_before", "truncate_chunked", "200_html", "404"])
def test_a_question_that_nobody_ever_answers_is_asked_three_times(desk: Desk, fault: str) -> None:
    tickers, since = companies(desk), asked_so_far(desk)
    weather(desk, FaultRule(fault, path=EXPIRATIONS, symbol=tickers[0]))
    batch(desk, tickers)
    questions = asked(desk, "", since)
    struck = [question for question in questions if EXPIRATIONS in question and question.endswith(f"={tickers[0]}")]
    assert [questions.pop(question) for question in struck] == [3]
    assert set(questions.values()) == {1}


@pytest.mark.fault(50)
def test_when_one_provider_is_down_five_requests_find_out_and_the_other_is_asked_everything(desk: Desk) -> None:
    tickers, since = companies(desk), asked_so_far(desk)
    weather(desk, FaultRule("503", path="EARNINGS"), FaultRule("503", path="TIME_SERIES_DAILY"))
    run = batch(desk, tickers, CIRCUIT_BREAKER_RECOVERY_TIMEOUT="60", MAX_CONCURRENT_REQUESTS="1")
    assert outcomes(run, tickers) == dict.fromkeys(tickers, "no vrp")
    assert run.code == 3
    assert sum(asked(desk, "function=EARNINGS&", since).values()) == 5
    chains = asked(desk, CHAINS, since)
    assert (len(chains), set(chains.values())) == (15, {1})


@pytest.mark.fault(51)
@pytest.mark.parametrize("path", ["EARNINGS", "DIVIDENDS"])
def test_an_invented_sample_is_no_data_and_never_kept(desk: Desk, path: str) -> None:
    desk.strike("artificial_sample", path=path)
    run = desk.run("backfill", "AAPL", "--dividends", "--log-level", "ERROR", "--format", "json")
    assert run.code in {3, 69}
    assert "Alpha Vantage sent its invented sample instead of data (premium)" in run.err
    assert not any(b"XXYYZZ" in body for body in cached(desk).values())


# --- changed shapes ---


def undisturbed(desk: Desk) -> str:
    """The report of AAPL on a good day, from files of its own."""
    run = desk.run("analyze", "AAPL", "--format", "json", CACHE_PATH="good.db", DB_PATH="good-own.db")
    return ends(run, 0).out


@pytest.mark.fault(52)
def test_a_new_field_in_every_row_is_ignored(desk: Desk) -> None:
    good = undisturbed(desk)
    weather(desk, FaultRule("new_field"))
    assert ends(desk.run("analyze", "AAPL", "--format", "json"), 0).out == good


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("fault", "path", "code", "words"),
    [
        ("missing_strike", CHAINS, 1, "no usable option of 2026-05-22 (56 unreadable)"),
        ("type_change", CHAINS, 1, "no usable option of 2026-05-22 (56 unreadable)"),
        ("missing_field", CHAINS, 1, "no usable quote in the expiration 2026-05-22"),
    ],
)
def test_a_needed_field_that_is_gone_or_of_another_type_is_told_with_the_count(
    desk: Desk, fault: str, path: str, code: int, words: str
) -> None:
    desk.strike(fault, path=path)
    ends(desk.run("analyze", "AAPL", "--log-level", "ERROR"), code, f"AAPL: NODATA: {words}")


@pytest.mark.fault(52)
@pytest.mark.parametrize("fault", ["missing_field", "type_change"])
def test_prices_of_the_past_in_another_shape_cost_the_ratio_and_are_not_taken_for_prices(
    desk: Desk, fault: str
) -> None:
    weather(desk, FaultRule(fault, path="history"), FaultRule(fault, path="TIME_SERIES_DAILY"))
    run = desk.run("analyze", "AAPL", "--format", "json", "--log-level", "ERROR")
    assert run.code == 3
    assert "error" in json.loads(run.out)["vrp"]


@pytest.mark.fault(52)
def test_columns_of_the_calendar_may_come_in_any_order_with_new_ones_among_them(desk: Desk) -> None:
    good = undisturbed(desk)

    def turned(path: str, body: bytes) -> bytes:
        if "EARNINGS_CALENDAR" not in path:
            return body
        rows = [line.split(",") for line in body.decode().splitlines()]
        return "\r\n".join(",".join([*reversed(row), "new"]) for row in rows).encode() + b"\r\n"

    with relayed(desk, turned) as addresses:
        assert ends(desk.run("analyze", "AAPL", "--format", "json", **addresses), 0).out == good


@pytest.mark.fault(52)
def test_a_calendar_without_its_date_column_is_told_by_the_column(desk: Desk) -> None:
    with relayed(desk, lambda _, body: body.replace(b"reportDate", b"whenReported")) as addresses:
        run = desk.run("backfill", "--calendar", "--log-level", "ERROR", **addresses)
    ends(run, 1, "INVALID: Alpha Vantage: EARNINGS_CALENDAR without column reportDate")


@pytest.mark.fault(52)
def test_words_never_seen_in_closed_lists_cost_nothing(desk: Desk) -> None:
    good = undisturbed(desk)

    def renamed(_: str, body: bytes) -> bytes:
        return re.sub(rb'"expiration_type":"[a-z]+"', b'"expiration_type":"fortnightlys"', body)

    with relayed(desk, renamed) as addresses:
        run = ends(desk.run("analyze", "AAPL", "--format", "json", **addresses), 0)
    assert json.loads(run.out)["implied_move"] == json.loads(good)["implied_move"]


@pytest.mark.fault(52)
def test_a_provider_that_changed_for_everybody_ends_the_batch_with_1_and_each_row_says_why(desk: Desk) -> None:
    tickers = companies(desk)
    desk.strike("missing_strike", path=CHAINS)
    run = batch(desk, tickers)
    ends(run, 1, "NODATA: ", "no usable option of ", "unreadable")
    assert set(outcomes(run, tickers).values()) == {"NODATA"}
    assert TOKEN not in run.err
