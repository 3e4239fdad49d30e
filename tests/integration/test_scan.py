"""A week's reporters from the calendar, ranked; whoever is not in the list is told, with the reason."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from simulated_market import FaultRule, SimulatedMarket, Switches, World
from tests.integration.conftest import AS_OF, Desk, Finished

HEAD = "symbol,name,reportDate,fiscalDateEnding,estimate,currency,timeOfTheDay"
MONDAY = "2026-05-18"
WEEK = ("--from", "2026-05-15", "--to", "2026-05-22")


@pytest.fixture
def running() -> Iterator[SimulatedMarket]:
    """A market of each test's own: what its calendar says and who asked it is nobody else's."""
    with SimulatedMarket(World(7, AS_OF, size=60)) as market:
        yield market


def listed(desk: Desk, *rows: str, reach: tuple[str, ...] = ("PAST 2026-05-14", "FAR 2026-08-14")) -> None:
    """Let the calendar of everybody hold these lines: ticker, date, session; `reach` are its first and its last."""
    lines = [
        f"{ticker},{ticker},{day},2026-03-31,1.1,USD,{session}"
        for ticker, day, session in (row.split() + [""] * (3 - len(row.split())) for row in (*rows, *reach))
    ]
    body = "\r\n".join((HEAD, *lines, "")).encode()
    asked = {"function": "EARNINGS_CALENDAR", "horizon": "3month"}
    desk.market.replay("/query", asked, body, content_type="application/x-download")


def scan(desk: Desk, *arguments: str, **settings: str) -> Finished:
    return desk.run("scan", *(arguments or WEEK), "--format", "json", **settings)


def document(finished: Finished) -> dict[str, Any]:
    found = json.loads(finished.out)
    assert isinstance(found, dict)
    return found


def names(finished: Finished, name: str) -> list[str]:
    rows = document(finished)[name]
    assert isinstance(rows, list)
    return [row["ticker"] for row in rows]


def reasons(finished: Finished) -> dict[str, Sequence[str]]:
    rows = document(finished)["rejected"]
    assert isinstance(rows, list)
    return {row["ticker"]: (row["code"], *row["reasons"]) for row in rows}


def requests(desk: Desk, words: str) -> int:
    return sum(words in entry.question for entry in desk.market.log())


def test_everybody_who_reports_in_the_asked_days_is_in_exactly_one_of_the_three_lists(desk: Desk) -> None:
    world = desk.market.world
    finished = scan(desk)
    found = document(finished)
    assert found["schema"] == "ivcrush.batch/1"
    every = [*names(finished, "analyses"), *names(finished, "failures"), *names(finished, "rejected")]
    assert len(every) == len(set(every))
    coming = {ticker: world.upcoming(ticker) for ticker in world.tickers}
    due = {str(t) for t, report in coming.items() if report and "2026-05-15" <= str(report.day) <= "2026-05-22"}
    assert due <= set(every)
    summary = found["summary"]
    assert isinstance(summary, dict)
    assert summary["total"] == len(every)
    assert summary["rejected"] == len(names(finished, "rejected"))


def test_the_list_is_ranked_and_dated_by_the_stored_calendar(desk: Desk) -> None:
    found = document(scan(desk))
    rows = found["analyses"]
    assert isinstance(rows, list)
    scores = [(not row["tradeable"], -row["vrp"]["edge_score"]) for row in rows if "error" not in row["vrp"]]
    assert scores == sorted(scores)
    assert {row["earnings"]["source"] for row in rows} == {"stored"}
    assert {"2026-05-15" <= row["earnings"]["date"] <= "2026-05-22" for row in rows} == {True}
    assert found["scan"] == {
        "from": "2026-05-15", "to": "2026-05-22", "min_vrp": None, "sort": None, "top": None,
        **{name: found["scan"][name] for name in ("calendar_refreshed_at", "calendar_from", "calendar_to")},
        "flags": [],
    }  # fmt: skip


def test_days_count_the_sessions_after_today_and_five_are_usual(desk: Desk) -> None:
    listed(desk, "AAPL 2026-05-15 post-market", "IBM 2026-05-18", "MSFT 2026-05-19", "NFLX 2026-05-22", "KO 2026-05-26")
    assert sorted(names(scan(desk, "--days", "1"), "analyses")) == ["AAPL", "IBM"]
    assert sorted(names(desk.run("scan", "--format", "json"), "analyses")) == ["AAPL", "IBM", "MSFT", "NFLX"]


def test_a_company_costs_what_it_costs_in_a_batch_and_the_calendar_one_call_a_day(desk: Desk) -> None:
    listed(desk, *(f"{ticker} {MONDAY} post-market" for ticker in ("AAPL", "IBM", "MSFT", "NFLX", "KO")))
    scan(desk)
    assert requests(desk, "EARNINGS_CALENDAR") == 1
    assert (requests(desk, "/quotes"), requests(desk, "/expirations"), requests(desk, "/chains")) == (1, 5, 15)
    scan(desk, CACHE_ENABLED="false")
    assert requests(desk, "EARNINGS_CALENDAR") == 1
    scan(desk, *WEEK, "--refresh")
    assert requests(desk, "EARNINGS_CALENDAR") == 2


def test_who_is_left_out_beforehand_costs_no_chain_and_is_told_why(desk: Desk) -> None:
    listed(
        desk,
        f"AAPL {MONDAY}",
        f"IBM {MONDAY}",
        f"JPM-PC {MONDAY}",
        "MSFT 2026-05-15 pre-market",
    )
    caps = desk.file("caps.csv", b"ticker,market_cap_millions\nIBM,10\n")
    assert desk.run("backfill", "--market-caps", str(caps)).code == 0
    finished = scan(desk, MIN_MARKET_CAP_MILLIONS="2000")
    told = reasons(finished)
    assert (finished.code, names(finished, "analyses"), names(finished, "failures")) == (0, ["AAPL"], [])
    assert told["JPM.PC"] == ("not_listed", "the market data provider does not know this ticker")
    assert told["IBM"] == ("market_cap", "market capitalisation 10 million dollars, 2,000 needed")
    assert told["MSFT"] == ("too_late", "its trade was to be entered by 2026-05-14 16:00")
    assert requests(desk, "/chains") == 3


def test_a_report_of_this_morning_by_the_companys_past_sessions_alone_is_too_late_and_no_failure(desk: Desk) -> None:
    early = next(ticker for ticker in desk.market.world.tickers if always_before_the_open(desk, ticker))
    listed(desk, f"{early} 2026-05-15", "AAPL 2026-05-15")  # AAPL: always after the close
    finished = scan(desk)
    assert (finished.code, names(finished, "analyses"), names(finished, "failures")) == (0, ["AAPL"], [])
    why = "its trade was to be entered by 2026-05-14 16:00, the report being BMO as before"
    assert reasons(finished) == {early: ("too_late", why)}


def always_before_the_open(desk: Desk, ticker: str) -> bool:
    past = desk.market.world.truth(ticker).past_moves
    return len(past) >= 8 and {each.timing for each in past} == {"BMO"}


def without_options(desk: Desk, ticker: str) -> None:
    asked = {"symbol": ticker}
    desk.market.replay("/v1/markets/options/expirations", asked, b'{"expirations": null}')


def test_a_company_without_options_is_left_out_and_no_failure(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", f"IBM {MONDAY} post-market")
    without_options(desk, "IBM")
    finished = scan(desk)
    assert (finished.code, names(finished, "analyses"), names(finished, "failures")) == (0, ["AAPL"], [])
    assert reasons(finished)["IBM"] == ("no_data", "Tradier lists no options")


def test_all_left_out_is_a_quiet_day_and_no_failure(desk: Desk) -> None:
    listed(desk, f"IBM {MONDAY} post-market")
    without_options(desk, "IBM")
    finished = scan(desk)
    assert (finished.code, names(finished, "analyses"), names(finished, "rejected")) == (0, [], ["IBM"])
    assert finished.err == "1 reporting from 2026-05-15 to 2026-05-22: all are left out\n"


def test_days_on_which_nobody_reports_are_told_and_no_failure(desk: Desk) -> None:
    listed(desk, "IBM 2026-06-10")
    finished = scan(desk)
    assert finished.code == 0
    assert finished.err == "nobody in the calendar reports from 2026-05-15 to 2026-05-22\n"
    assert [names(finished, name) for name in ("analyses", "failures", "rejected")] == [[], [], []]
    assert requests(desk, "/quotes") == 0
    assert desk.run("scan", *WEEK).out.count("0 total") == 1


def test_dates_that_the_calendar_does_not_reach_are_not_called_days_on_which_nobody_reports(desk: Desk) -> None:
    listed(desk, "IBM 2026-06-10", reach=("PAST 2026-05-14", "LAST 2026-06-12"))
    beyond = scan(desk, "--from", "2026-06-15", "--to", "2026-06-26")
    reach = "the stored calendar reaches from 2026-05-14 to 2026-06-12"
    assert beyond.code == 1
    assert beyond.err == f"{reach}: who reports from 2026-06-15 to 2026-06-26 is not known\n"
    told = document(beyond)["scan"]
    assert (told["calendar_from"], told["calendar_to"]) == ("2026-05-14", "2026-06-12")
    assert told["flags"] == ["outside_calendar"]
    partly = scan(desk, "--from", "2026-06-11", "--to", "2026-06-16")
    assert (partly.code, names(partly, "analyses")) == (3, [])
    assert partly.err.splitlines()[0] == (
        f"{reach}: who reports on 2 of 4 trading days from 2026-06-11 to 2026-06-16 is not known"
    )
    assert document(partly)["scan"]["flags"] == ["partly_outside_calendar"]
    assert "nobody" not in beyond.err + partly.err


def test_a_list_of_days_that_are_not_all_known_is_partial_though_every_company_of_it_was_analysed(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", reach=("PAST 2026-05-14",))
    finished = scan(desk)
    assert (finished.code, names(finished, "analyses")) == (3, ["AAPL"])
    assert "who reports on 4 of 6 trading days from 2026-05-15 to 2026-05-22 is not known" in finished.err


def test_a_calendar_that_names_nobody_knows_of_no_day(desk: Desk) -> None:
    listed(desk, reach=())
    finished = scan(desk)
    assert finished.code == 1
    assert finished.err == (
        "the stored calendar names no report: who reports from 2026-05-15 to 2026-05-22 is not known\n"
    )


def test_a_company_that_a_provider_fails_for_is_a_failure_and_the_run_goes_on(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", f"IBM {MONDAY} post-market")
    desk.strike("503", path="/chains", symbol="IBM")
    finished = scan(desk, CIRCUIT_BREAKER_FAILURE_THRESHOLD="100")  # one company's failures are no outage here
    assert (finished.code, names(finished, "analyses"), names(finished, "failures")) == (3, ["AAPL"], ["IBM"])
    assert "IBM: EXTERNAL" in finished.err


def test_a_provider_that_is_down_altogether_ends_in_69(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", f"IBM {MONDAY} post-market")
    paths = ("/clock", "/calendar", "/quotes", "/expirations", "/chains", "/history")
    desk.market.set_switches(Switches(faults=tuple(FaultRule("503", path=path) for path in paths)))
    finished = scan(desk)
    assert (finished.code, sorted(names(finished, "failures"))) == (69, ["AAPL", "IBM"])


def test_a_calendar_that_is_not_to_be_had_ends_the_scan_unless_one_is_stored(desk: Desk) -> None:
    desk.strike("503", path="EARNINGS_CALENDAR")
    refused = scan(desk)
    assert (refused.code, refused.out) == (69, "")
    desk.market.set_switches(Switches())
    listed(desk, f"AAPL {MONDAY} post-market")
    scan(desk)
    desk.strike("503", path="EARNINGS_CALENDAR")
    stale = scan(desk, *WEEK, "--refresh")
    assert (stale.code, names(stale, "analyses")) == (0, ["AAPL"])
    assert document(stale)["scan"]["flags"] == ["calendar_not_refreshed"]
    assert "and could not be refreshed" in stale.err


def five(desk: Desk) -> list[str]:
    """Companies as their options see it: on the days on which they do report."""
    world = desk.market.world
    coming = {ticker: world.upcoming(ticker) for ticker in ("AAPL", "IBM", "MSFT", "KO", "TSLA", "NVDA", "META", "HD")}
    due = [(str(t), str(r.day)) for t, r in coming.items() if r is not None and str(r.day) <= "2026-05-22"]
    return [f"{ticker} {day} post-market" for ticker, day in due[:5]]


def ratios(desk: Desk) -> dict[str, float]:
    rows = document(scan(desk))["analyses"]
    assert isinstance(rows, list)
    return {row["ticker"]: row["vrp"]["ratio"] for row in rows}


def test_a_least_ratio_a_field_and_a_count_choose_and_order_what_is_listed(desk: Desk) -> None:
    listed(desk, *five(desk))
    found = sorted(ratios(desk).items(), key=lambda each: -each[1])
    least = f"{found[3][1]:.4f}"
    finished = scan(desk, *WEEK, "--min-vrp", least, "--sort", "ratio", "--top", "2")
    assert finished.code == 0
    assert names(finished, "analyses") == [ticker for ticker, _ in found[:2]]
    told = reasons(finished)
    assert {ticker: told[ticker][0] for ticker in told} == {
        found[2][0]: "rank",
        found[3][0]: "rank",
        found[4][0]: "vrp_ratio",
    }
    summary = document(finished)["summary"]
    assert isinstance(summary, dict)
    assert (summary["total"], summary["analysed"], summary["rejected"]) == (5, 2, 3)


def test_the_table_marks_what_has_to_be_entered_before_todays_close_and_names_flags(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} pre-market", "IBM 2026-05-17 post-market", "MSFT 2026-05-19")
    lines = desk.run("scan", *WEEK).out.splitlines()
    rows = {line.split()[0]: line for line in lines if line[:4].strip() in {"AAPL", "IBM", "MSFT"}}
    assert f"{MONDAY} BMO  today 16:00  " in rows["AAPL"]
    assert "2026-05-17 AMC  today 16:00  " in rows["IBM"]
    assert "2026-05-19 AMC  2026-05-19   " in rows["MSFT"]
    flags = lines[lines.index("flags:") + 1 :]
    assert "  MSFT: session_from_history" in flags
    assert any(line.startswith("  IBM: in doubt: report_on_closed_day") for line in flags)


def test_near_misses_are_told_in_the_table_with_what_each_lacks(desk: Desk) -> None:
    listed(desk, *five(desk))
    best, ratio = max(ratios(desk).items(), key=lambda each: each[1])
    asked = f"{ratio * 1.05:.2f}"
    table = desk.run("scan", *WEEK, "--min-vrp", asked).out
    near = table.split("near misses:\n")[1]
    assert f"  {best}: VRP ratio {ratio:.2f}, {float(asked):g} needed\n" in near
    assert near.split("\nleft out:\n")[1].startswith(f"  5 with a ratio below {float(asked)}: ")


def test_whoever_is_left_out_is_named_in_the_table_with_the_reason_in_plain_words(desk: Desk) -> None:
    listed(desk, *five(desk), f"ZZZZ {MONDAY}", f"AAPL {MONDAY}")
    without_options(desk, "AAPL")
    every = ratios(desk)
    table = desk.run("scan", *WEEK, "--min-vrp", "1.0", "--top", "1").out
    told = dict(line.strip().split(": ") for line in table.split("\nleft out:\n")[1].splitlines())
    poor = {ticker for ticker, ratio in every.items() if ratio < 1}
    behind = len(every) - len(poor) - 1
    assert set(told[f"{len(poor)} with a ratio below 1.0"].split(", ")) == poor
    assert len(told[f"{behind} behind the first 1"].split(", ")) == behind
    assert told["1 that the market data provider does not know"] == "ZZZZ"
    assert told["1 without usable options or data"] == "AAPL"


def test_a_date_that_moved_is_shown_with_the_one_before(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market")
    scan(desk)
    listed(desk, "AAPL 2026-05-20 post-market")
    table = desk.run("scan", *WEEK, "--refresh").out
    assert "2026-05-20 AMC, moved from 2026-05-18" in table
    (row,) = document(scan(desk))["analyses"]
    assert (row["earnings"]["moved_from"], "report_date_moved" in row["flags"]) == (MONDAY, True)


def test_csv_has_a_row_each_with_the_reasons_of_those_left_out(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", f"IBM {MONDAY} post-market")
    without_options(desk, "IBM")
    rows = list(csv.DictReader(io.StringIO(desk.run("scan", *WEEK, "--format", "csv").out)))
    assert [(row["schema"], row["ticker"], row["why"]) for row in rows] == [
        ("ivcrush.analysis/1", "AAPL", ""),
        ("ivcrush.rejection/1", "IBM", "Tradier lists no options"),
    ]


def test_a_scan_that_was_cut_is_taken_up_and_asks_nobody_again(desk: Desk) -> None:
    listed(desk, *five(desk))
    in_order = [ticker for _, ticker in sorted((row.split()[1], row.split()[0]) for row in five(desk))]
    desk.strike("401", path="/chains", symbol=in_order[2])
    cut = scan(desk, MAX_CONCURRENT_REQUESTS="1")
    assert (cut.code, len(names(cut, "analyses"))) == (3, 2)
    desk.market.set_switches(Switches())
    whole = scan(desk)
    assert (whole.code, len(names(whole, "analyses"))) == (0, 5)
    assert document(whole)["summary"]["resumed"] == 2


@pytest.mark.parametrize(
    ("arguments", "need"),
    [
        (("--sort", "luck"), "--sort luck: one of spot, forward, "),
        (("--sort", "slope"), "--sort slope: one of skew.slope, term_structure.slope is needed"),
        (("--days", "0"), "--days 0: a whole number from 1 to 90 is needed"),
        (("--top", "0"), "--top 0: a whole number from 1 to "),
        (("--min-vrp", "nan"), "--min-vrp nan: a number from 0 to 100 is needed"),
        (("--days", "3", *WEEK), "--days: goes without --from and --to"),
        (("--from", MONDAY), "--from and --to: the one goes with the other"),
        (("--from", MONDAY, "--to", "2026-05-15"), "--to 2026-05-15: a date on or after --from 2026-05-18 is needed"),
        (("--from", "soon", "--to", MONDAY), "--from: "),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(
    desk: Desk, arguments: tuple[str, ...], need: str
) -> None:
    finished = desk.run("scan", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith(need)
    assert desk.market.log() == ()


def test_on_a_closed_day_nothing_is_done_where_that_was_asked_for(desk: Desk) -> None:
    saturday = ("--as-of", "2026-05-16T12:00:00-04:00")
    finished = desk.run("scan", "--skip-closed-days", *saturday, as_of=False)
    assert (finished.code, finished.out) == (0, "")
    assert "no trading day" in finished.err
    assert desk.market.log() == ()


def test_the_code_that_runs_shows_is_the_one_that_the_shell_was_told(desk: Desk) -> None:
    listed(desk, f"AAPL {MONDAY} post-market", f"IBM {MONDAY} post-market")
    desk.strike("500", path="EARNINGS", symbol="IBM")
    partial, sorted_out = scan(desk), scan(desk, *WEEK, "--min-vrp", "0.01")
    assert (partial.code, sorted_out.code) == (3, 0)  # sorted out for want of a ratio, IBM is no part of the list
    runs = json.loads(desk.run("runs", "--format", "json", as_of=False).out)["runs"]
    assert sorted(run["exit_code"] for run in runs) == [0, 3]
