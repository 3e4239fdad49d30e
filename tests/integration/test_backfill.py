"""A long backfill as a trader meets it: planned, cut anywhere, gone on with, and never paid for twice."""

import json
import os
import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ivcrush.cli import backfill
from ivcrush.cli.arguments import command_parser
from ivcrush.cli.command import Outcome, Style
from ivcrush.domain.errors import Ok
from ivcrush.domain.types import Ticker
from simulated_market import FaultRule, SimulatedMarket, Switches, World
from tests.integration.conftest import AS_OF, Desk
from tests.unit.services.conftest import Desk as Machine


def waited_for(path: Path, holder: str) -> str:
    """The text of a run lock once a run has taken it."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        text = path.read_text() if path.exists() else ""
        if text.startswith(holder):
            return text
        time.sleep(0.01)
    raise AssertionError(f"nobody took {path}")


def test_the_second_run_of_two_names_process_run_and_start_of_the_first(desk: Desk) -> None:
    desk.strike("silent", path="EARNINGS")
    first = desk.process("backfill.py", "AAPL", "--as-of", AS_OF.isoformat())
    try:
        told = waited_for(desk.directory / "data" / "ivcrush.db.lock", "backfill")
        second = desk.run("backfill", "MSFT")
    finally:
        first.kill()
        first.communicate()
    assert second.code == 75
    assert f"another run holds {desk.directory / 'data' / 'ivcrush.db.lock'}: {told}; try later" in second.err
    found = re.fullmatch(r"backfill, process (\d+), run [0-9a-f]+, since (\S+)", told)
    assert found is not None, told
    assert int(found[1]) == first.pid != os.getpid()


def reporters(world: World, count: int) -> list[str]:
    """Companies of that world that do report."""
    return [ticker for ticker in world.tickers if world.listing(ticker).company.reports][:count]


def just_reported(world: World, *, within_days: int) -> list[str]:
    """Companies whose latest report is so young that no other is due soon."""
    since = AS_OF.date() - timedelta(within_days)
    return [ticker for ticker in reporters(world, 200) if world.truth(ticker).past_moves[0].earnings_date > since]


def questions(market: SimulatedMarket, words: str, since: int = 0) -> Counter[str]:
    """How often each company was asked about from that request on, in questions that hold these words."""
    asked = [entry.question for entry in market.log()[since:] if words in entry.question]
    found = (re.search(r"symbol=([A-Z./-]+)", question) for question in asked)
    return Counter(re.sub("[-/]", ".", each[1]) for each in found if each is not None)


def moves_by_ticker(directory: Path) -> dict[str, int]:
    """How many moves the database holds of each company."""
    connection = sqlite3.connect(directory / "data" / "ivcrush.db")
    rows = connection.execute(
        "SELECT ticker, count(*) FROM historical_moves WHERE reason IS NULL GROUP BY ticker"
    ).fetchall()
    connection.close()
    return dict(rows)


# --- days, with a clock that is set ---


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine whose clock is set, in front of the market of that Friday."""
    with ExitStack() as worlds:
        async with AsyncExitStack() as runs:
            machine = Machine(tmp_path, worlds, runs)
            machine.serve(World(7, AS_OF, size=200))
            yield machine


async def run(
    machine: Machine, arguments: Sequence[str], *, now: datetime | None = None, **settings: str
) -> tuple[Outcome, dict[str, Any]]:
    """One `backfill` at that moment, with its outcome and its document."""
    container = machine.run(now=now, as_of=None, **settings)
    typed = command_parser("backfill", "backfill.py").parse_args([*arguments, "--format", "json"])
    outcome = await backfill.execute(backfill.prepare(typed), container, Style("json", color=False, simulated=False))
    return outcome, json.loads("".join(outcome.pieces)) if outcome.pieces else {}


async def test_104_companies_times_12_quarters_at_25_calls_a_day_take_five_days_and_not_one_call_more(
    machine: Machine,
) -> None:
    world = machine.market.world
    tickers = just_reported(world, within_days=90)[:104]
    assert len(tickers) == 104
    codes, reports, prices = [], Counter[str](), Counter[str]()
    plans = []
    for day in range(6):
        now = AS_OF + timedelta(days=day, minutes=2 * day)
        if day:
            machine.serve(world.at(now))
        plans.append((await run(machine, [*tickers, "--dry-run"], now=now, ALPHA_VANTAGE_PER_DAY="25"))[1])
        outcome, _ = await run(machine, tickers, now=now, ALPHA_VANTAGE_PER_DAY="25")
        codes.append(outcome.code)
        reports += questions(machine.market, "function=EARNINGS&")
        prices += questions(machine.market, "/markets/history")
    assert codes == [3, 3, 3, 3, 0, 0]
    assert [plan["alpha_vantage_calls"] for plan in plans] == [104, 79, 54, 29, 4, 0]
    assert [plan["already_complete"] for plan in plans] == [0, 25, 50, 75, 100, 104]
    assert [plan["days"] for plan in plans] == [5, 4, 3, 2, 1, 0]
    assert {plan["alpha_vantage_calls_left_today"] for plan in plans} == {25}
    assert reports == prices == Counter(tickers)
    container = machine.run(now=AS_OF)
    for ticker in tickers:
        stored = container.history_needs.standing(
            Ticker(ticker), AS_OF + timedelta(5), container.market_calendar, quarters=12
        )
        assert isinstance(stored, Ok)
        quarters = len(stored.value.moves) + len(stored.value.missing)
        assert quarters == min(12, len(world.truth(ticker).past_moves)), ticker  # some are young


async def test_when_the_days_calls_are_short_the_company_that_reports_soonest_comes_first(machine: Machine) -> None:
    world = machine.market.world
    coming = {ticker: report.day for ticker in reporters(world, 60) if (report := world.upcoming(ticker)) is not None}
    by_day = sorted(coming, key=lambda ticker: coming[ticker])
    outcome, document = await run(machine, [*reversed(by_day), "--calendar"], ALPHA_VANTAGE_PER_DAY="11")
    assert outcome.code == 3
    done = {row["ticker"] for row in document["tickers"]}
    assert len(done) == 10
    assert max(coming[ticker] for ticker in done) <= min(coming[ticker] for ticker in coming if ticker not in done)


async def test_what_is_read_anew_beyond_the_days_calls_goes_on_the_next_day_with_who_is_left(machine: Machine) -> None:
    tickers = just_reported(machine.market.world, within_days=60)[:5]
    await run(machine, tickers)
    renewed = []
    for day in (1, 2, 3):
        now = AS_OF + timedelta(days=day, minutes=2 * day)
        settings = {"ALPHA_VANTAGE_PER_DAY": "2"}
        _, document = await run(machine, [*tickers, "--refresh"], now=now, **settings)
        renewed.append([row["ticker"] for row in document["tickers"]])
    assert [sorted(each) for each in renewed] == [
        sorted(each) for each in (tickers[:2], tickers[2:4], [tickers[4], tickers[0]])
    ]


async def test_a_company_without_reports_is_not_asked_about_for_a_month(machine: Machine) -> None:
    asked = []
    for days in (0, 1, 29, 31):
        outcome, document = await run(machine, ["SPY"], now=AS_OF + timedelta(days))
        assert outcome.code == 1
        assert [row["error"]["code"] for row in document["failures"]] == ["NODATA"]
        asked.append(machine.asked("function=EARNINGS&"))
    assert asked == [1, 1, 1, 2]


async def test_a_new_quarter_costs_one_call_each_once_the_calendar_says_that_the_stock_has_closed_on_it(
    machine: Machine,
) -> None:
    world = machine.market.world
    coming = world.upcoming("AAPL")
    assert coming is not None
    assert coming.day == date(2026, 5, 18)  # after the close
    await run(machine, ["AAPL", "--calendar"])
    evening, after = AS_OF + timedelta(days=3, hours=3), AS_OF + timedelta(days=4, hours=3)
    for now, calls in ((evening, 0), (after, 1), (after + timedelta(hours=1), 0)):
        machine.serve(world.at(now))
        outcome, document = await run(machine, ["AAPL"], now=now)
        assert outcome.code == 0
        assert machine.asked("function=EARNINGS&") == machine.asked("/markets/history") == calls
    (row,) = document["tickers"]
    assert (row["newest"], row["moves"], row["fetched"]) == ("2026-05-18", 13, "nothing")


async def test_after_a_split_every_kept_price_is_read_anew_by_one_call_and_the_percentages_stay(
    machine: Machine,
) -> None:
    ticker = Ticker(just_reported(machine.market.world, within_days=60)[0])
    await run(machine, [ticker])
    prices = machine.run().prices
    before = prices.moves(ticker, date.max)
    assert isinstance(before, Ok)
    # What the program would have stored before a split of four for one.
    connection = sqlite3.connect(machine.directory / "ivcrush.db")
    with connection:
        connection.execute("UPDATE historical_moves SET previous_close = 4 * previous_close")
        connection.execute("UPDATE daily_bars SET open = 4*open, high = 4*high, low = 4*low, close = 4*close")
    connection.close()
    later = AS_OF + timedelta(days=20)
    world = machine.market.world
    machine.serve(world.at(later))
    outcome, document = await run(machine, [ticker], now=later)
    assert outcome.code == 0
    assert [row["fetched"] for row in document["tickers"]] == ["prices"]
    assert (machine.asked("/query"), machine.asked("/markets/history")) == (0, 1)
    after, bars = prices.moves(ticker, date.max), prices.bars(ticker, date(2024, 1, 1), date.max)
    assert isinstance(after, Ok)
    assert isinstance(bars, Ok)
    assert after.value == before.value
    true = world.at(later).bars(ticker)
    closes = dict(zip(true.days, true.close.tolist(), strict=True))
    assert len(bars.value) > 250
    assert all(bar.close == pytest.approx(closes[bar.session]) for bar in bars.value)


async def test_dividends_in_the_shares_before_a_split_are_forgotten_when_prices_show_it_and_asked_for_again(
    machine: Machine,
) -> None:
    world, days = machine.market.world, (AS_OF.date(), AS_OF.date() + timedelta(20))
    (ticker, *_) = [
        Ticker(name)
        for name in just_reported(world, within_days=60)
        if any(days[0] < paid.ex_date < days[1] for paid in world.listing(name).dividends)
    ]
    await run(machine, [ticker, "--dividends"])
    announced = machine.run().earnings_store.dividends(ticker, *days)
    assert isinstance(announced, Ok)
    assert announced.value
    # What the program would have stored before a split of four for one.
    connection = sqlite3.connect(machine.directory / "ivcrush.db")
    with connection:
        connection.execute("UPDATE historical_moves SET previous_close = 4 * previous_close")
        connection.execute("UPDATE dividends SET amount = 4 * amount")
    connection.close()
    later = AS_OF + timedelta(days=20)
    machine.serve(world.at(later))
    await run(machine, [ticker], now=later)
    assert machine.run().earnings_store.dividends(ticker, *days) == Ok(())
    await run(machine, [ticker, "--dividends"], now=later)
    assert machine.asked("function=DIVIDENDS") == 1
    assert machine.run().earnings_store.dividends(ticker, *days) == announced


async def test_more_quarters_than_before_are_asked_for_and_all_that_a_provider_has_is_enough(machine: Machine) -> None:
    calls = []
    for quarters in ("3", "3", "12", "8", "40", "40"):
        outcome, _ = await run(machine, ["IBM", "--quarters", quarters], CACHE_ENABLED="false")
        assert outcome.code == 0
        calls.append(machine.asked("function=EARNINGS&"))
    held = len(machine.market.world.truth("IBM").past_moves)
    assert 12 < held < 40
    assert calls == [1, 1, 2, 2, 3, 3]


async def test_an_outage_of_prices_ends_the_run_after_three_companies_and_no_call_is_spent_on_raw_bars(
    machine: Machine,
) -> None:
    machine.market.set_switches(Switches(faults=(FaultRule("503", path="/markets/history"),)))
    outcome, document = await run(machine, reporters(machine.market.world, 30), ALPHA_VANTAGE_PER_DAY="25")
    codes = Counter(row["error"]["code"] for row in document["failures"])
    assert (outcome.code, codes) == (69, {"EXTERNAL": 3, "SKIPPED": 27})
    assert machine.asked("/query") == 3
    assert machine.asked("TIME_SERIES_DAILY") == 0


async def test_prices_that_fail_now_cost_their_companys_report_call_once_a_day(machine: Machine) -> None:
    machine.market.set_switches(Switches(faults=(FaultRule("503", path="/markets/history"),)))
    await run(machine, ["AAPL"], ALPHA_VANTAGE_PER_DAY="1")
    machine.market.set_switches(Switches())
    outcome, _ = await run(machine, ["AAPL"], ALPHA_VANTAGE_PER_DAY="1")
    assert (outcome.code, machine.asked("function=EARNINGS&")) == (0, 1)


async def test_dividends_are_asked_for_once_a_month_even_of_a_company_that_pays_none(machine: Machine) -> None:
    world = machine.market.world
    recent = just_reported(world, within_days=60)
    payer = next(ticker for ticker in recent if world.listing(ticker).dividends)
    none = next(ticker for ticker in recent if not world.listing(ticker).dividends)
    await run(machine, [payer, none])
    asked = []
    for days in (0, 1, 29, 31):
        now = AS_OF + timedelta(days)
        await run(machine, [payer, none, "--dividends"], now=now, CACHE_ENABLED="false")
        asked.append(machine.asked("function=DIVIDENDS"))
    assert asked == [2, 2, 2, 4]
    assert machine.asked("function=EARNINGS&") == 2


# --- the real program ---


def test_a_killed_backfill_goes_on_where_it_was_and_asks_for_nothing_twice_that_is_stored(desk: Desk) -> None:
    tickers = reporters(desk.market.world, 40)
    desk.market.set_switches(Switches(latency_ms=4, latency_jitter_ms=4))
    # Nothing but the database may know what was done.
    desk.environment.update(CACHE_ENABLED="false", ALPHA_VANTAGE_PER_DAY="1000")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(4):
        kept = set(moves_by_ticker(desk.directory)) if (desk.directory / "data" / "ivcrush.db").exists() else set()
        asked_before = len(desk.market.log())
        process = desk.process("backfill.py", *tickers, "--as-of", AS_OF.isoformat())
        wanted = asked_before + chance.randint(3, 18)
        while len(desk.market.log()) < wanted and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate()
        assert kept & set(questions(desk.market, "symbol=", asked_before)) == set()
        assert set(moves_by_ticker(desk.directory).values()) <= {12}
        assert kept <= set(moves_by_ticker(desk.directory))
    kept = set(moves_by_ticker(desk.directory))
    assert 4 <= len(kept) < 40
    finished = desk.run("backfill", *tickers, "--format", "json")
    assert finished.code == 0
    summary = json.loads(finished.out)["summary"]
    assert (summary["done"], summary["already_complete"]) == (40, len(kept))
    assert summary["requests"] == 2 * (40 - len(kept))


def test_a_backfill_that_the_days_calls_stop_says_when_to_go_on_and_does(desk: Desk) -> None:
    tickers, since = ("AAPL", "MSFT", "IBM", "KO"), len(desk.market.log())
    some = desk.run("backfill", *tickers, "--format", "json", ALPHA_VANTAGE_PER_DAY="2")
    none = desk.run("backfill", *tickers, ALPHA_VANTAGE_PER_DAY="2")
    rest = desk.run("backfill", *tickers, "--format", "json", ALPHA_VANTAGE_PER_DAY="4")
    assert (some.code, none.code, rest.code) == (3, 75, 0)
    assert [row["ticker"] for row in json.loads(some.out)["tickers"]] == ["AAPL", "MSFT"]
    assert re.search(r"2 of 2 calls of the last 24 hours are spent; next at \d{4}-\d\d-\d\dT\d\d:\d\d", none.err)
    assert [row["fetched"] for row in json.loads(rest.out)["tickers"]] == ["nothing", "nothing", "history", "history"]
    assert questions(desk.market, "function=EARNINGS&", since).total() == 4


def test_the_providers_word_that_the_day_is_spent_stops_the_run_and_the_next_one_asks_nobody(desk: Desk) -> None:
    desk.market.set_switches(Switches(per_day=2))
    some = desk.run("backfill", "AAPL", "MSFT", "IBM", "KO", "--format", "json")
    before = desk.market.stats()["requests"]
    none = desk.run("backfill", "AAPL", "MSFT", "IBM", "KO")
    document = json.loads(some.out)
    assert (some.code, none.code) == (3, 75)
    assert [row["ticker"] for row in document["tickers"]] == ["AAPL", "MSFT"]
    assert [row["error"]["code"] for row in document["failures"]] == ["QUOTA", "SKIPPED"]
    assert desk.market.stats()["requests"] == before
    assert "the provider says that the day's calls are spent; next at " in none.err


def test_a_whole_history_needs_no_calls_left_and_ends_with_0(desk: Desk) -> None:
    desk.run("backfill", "AAPL", ALPHA_VANTAGE_PER_DAY="1")
    before = desk.market.stats()["requests"]
    again = desk.run("backfill", "AAPL", ALPHA_VANTAGE_PER_DAY="1")
    assert (again.code, desk.market.stats()["requests"]) == (0, before)


def test_the_plan_stands_in_the_log_before_the_work_begins(desk: Desk) -> None:
    desk.run("backfill", "AAPL", "MSFT", LOG_FILE="own.log", ALPHA_VANTAGE_PER_MINUTE="5")
    lines = (desk.directory / "own.log").read_text().splitlines()
    (number,) = [index for index, line in enumerate(lines) if "companies are complete" in line]
    assert (
        "0 of 2 companies are complete; 2 Alpha Vantage calls (25 left today) and 2 Tradier calls for the others: "
        "about 0 minutes today, 1 days in all"
    ) in lines[number]
    assert "1/2 AAPL: 12 moves" in lines[number + 1]


CAPS = b"ticker,market_cap_millions\nAAPL,3100000\nBRK-B,\nIBM,big\nBF-B,20000\n"


def test_capitalisations_are_imported_without_a_key_and_a_bad_line_is_named(desk: Desk) -> None:
    caps = desk.file("caps.csv", CAPS)
    finished = desk.run(
        "backfill", "--market-caps", str(caps), "--format", "json", TRADIER_API_KEY="", ALPHA_VANTAGE_KEY=""
    )
    document = json.loads(finished.out)
    assert (finished.code, document["summary"]["market_caps"]) == (3, 2)
    assert [row["ticker"] for row in document["failures"]] == ["line 4"]
    assert "line 4: INVALID: caps.csv, line 4: IBM: market_cap_millions 'big'" in finished.err
    with sqlite3.connect(desk.directory / "data" / "ivcrush.db") as database:
        kept = database.execute("SELECT ticker, market_cap_millions FROM ticker_metadata ORDER BY ticker").fetchall()
    database.close()
    assert kept == [("AAPL", 3_100_000.0), ("BF.B", 20_000.0)]


def test_capitalisations_come_with_a_backfill_and_leave_it_as_it_is(desk: Desk) -> None:
    caps = desk.file("caps.csv", b"ticker,market_cap_millions\nAAPL,3100000\n")
    finished = desk.run("backfill", "AAPL", "--market-caps", str(caps), "--format", "json")
    document = json.loads(finished.out)
    assert (finished.code, document["summary"]["market_caps"], document["summary"]["done"]) == (0, 1, 1)
    again = json.loads(desk.run("backfill", "AAPL", "--format", "json").out)
    assert (again["summary"]["already_complete"], again["summary"]["market_caps"]) == (1, 0)


def test_a_bad_line_of_a_ticker_file_is_a_failure_of_its_own_with_its_line(desk: Desk) -> None:
    path = str(desk.file("tickers.txt", b"AAPL\nnot a ticker\n"))
    line = "not a ticker: INVALID: tickers.txt, line 2: "
    planned = desk.run("backfill", "--file", path, "--dry-run")
    assert (planned.code, line in planned.err) == (3, True)
    finished = desk.run("backfill", "--file", path, "--format", "json")
    assert (finished.code, line in finished.err) == (3, True)
    document = json.loads(finished.out)
    assert [row["ticker"] for row in document["tickers"]] == ["AAPL"]
    assert [row["ticker"] for row in document["failures"]] == ["not a ticker"]
    desk.file("tickers.txt", b"not a ticker\n")
    assert desk.run("backfill", "--file", path).code == 65


def test_a_file_without_capitalisations_ends_with_65_before_anything_is_asked(desk: Desk) -> None:
    caps = desk.file("caps.csv", b"AAPL,3100000\n")
    before = desk.market.stats()["requests"]
    finished = desk.run("backfill", "AAPL", "--market-caps", str(caps))
    assert (finished.code, desk.market.stats()["requests"]) == (65, before)
    assert "the header ticker,market_cap_millions is needed" in finished.err
