"""The pieces of `make bench`: whether it measures what it says, never how fast anything is."""

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from ivcrush.cli.arguments import command_parser
from simulated_market import World

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import benchmark

        yield benchmark
    for name in [name for name in sys.modules if name.partition("_")[0] == "benchmark"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def world(benchmark):
    return World(benchmark.SEED, benchmark.AS_OF, size=30)


@pytest.fixture(scope="module")
def chain(benchmark, world):
    return benchmark.recorded(world, "AMZN", depth=1)


def test_one_chain_has_200_quotes_and_an_answer(chain):
    assert chain.quotes == 200
    assert len(chain.bodies) == 1
    assert chain.analyse().implied_move.expiration == chain.bodies[0][0]


def test_a_dividend_falls_within_most_of_the_eight_expirations_with_early_exercise(benchmark, world):
    deep = benchmark.recorded(world, benchmark.WITH_DIVIDENDS, depth=benchmark.DEPTH)
    days = [day for day, _ in deep.bodies]
    assert len(days) == 8
    assert sum(deep.rest.dividends[0].ex_date <= day for day in days) > 4


def test_the_argparse_only_script_prints_the_very_help_of_the_real_one(benchmark, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = command_parser("analyze", "analyze.py")
    script = tmp_path / "only.py"
    script.write_text(benchmark.argparse_only(parser) + "parser.parse_args()\n")
    shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True).stdout
    assert shown == parser.format_help()


def test_the_two_sides_of_a_ratio_take_turns(benchmark):
    calls = []
    benchmark.in_turns(lambda: calls.append("A"), lambda: calls.append("B"), rounds=3)
    turns = [name for name, _ in groupby(calls)]
    assert turns == ["A", "B"] * 4  # once to find out how often a sample calls, then three rounds


def test_an_aim_is_met_by_the_median_and_nothing_is_said_without_one(benchmark):
    spread = benchmark.Spread.of([5.0, 3.0, 4.0])
    assert (spread.median, spread.low, spread.high) == (4.0, 3.0, 5.0)
    assert benchmark.Line("a", spread, "x", aim=4.0).met == "yes"
    assert benchmark.Line("a", spread, "x", aim=3.9).met == "NO"
    assert benchmark.Line("a", spread, "x").met == ""


def test_the_table_is_aligned(benchmark):
    spread = benchmark.Spread(1.234, 1.0, 1234.0)
    headings, row = benchmark.table([benchmark.Line("parse", spread, "x", aim=4.0)])
    assert row.startswith("parse     1.23 x")
    assert headings.index("min") == row.index("1 .. 1,234")


def test_the_page_names_machine_and_versions_and_holds_every_row(benchmark):
    line = benchmark.Line("analysis", benchmark.Spread(3.5, 3.0, 4.0), "x", aim=4.0)
    page = benchmark.document([line], benchmark.QUICK)
    assert "| analysis | 3.5 x | 3 .. 4 | <= 4 x | yes |  |" in page
    assert "msgspec" in page
    assert "cores" in page


def test_a_rate_is_met_from_its_aim_upwards(benchmark):
    spread = benchmark.Spread.of([3_000.0])
    assert benchmark.Line("a", spread, "/s", aim=3_000.0).met == "yes"
    assert benchmark.Line("a", spread, "/s", aim=3_001.0).met == "NO"


def test_a_copied_company_gets_its_models_replies_under_its_own_name(benchmark):
    import benchmark_companies as many

    ticker = many.companies(101)[-1]
    served = many.ManyCompanies(many._WORLD, many.Switches())
    headers = {"authorization": "Bearer t", "accept": "application/json"}
    day = many._WORLD.expirations(many.model(ticker))[1].day.isoformat()

    def chain(symbol):
        asked = {"symbol": symbol, "expiration": day, "greeks": "true"}
        return served.handle(many.Request("GET", "/v1/markets/options/chains", asked, headers)).reply.body.decode()

    assert ticker in chain(ticker)
    assert many.model(ticker) not in chain(ticker)
    assert chain(ticker).replace(ticker, many.model(ticker)) == chain(many.model(ticker))
    quotes = {"symbols": f"{many.model(ticker)},{ticker}"}
    body = served.handle(many.Request("GET", "/v1/markets/quotes", quotes, headers)).reply.body
    one, other = json.loads(body)["quotes"]["quote"]
    assert (one["symbol"], other["symbol"]) == (many.model(ticker), ticker)
    assert one["bid"] == other["bid"]
