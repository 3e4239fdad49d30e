"""The commands from the outside: every exit code of the contract, every form of the result, what hostile input does."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from ivcrush.cli import session
from ivcrush.cli.arguments import command_parser
from ivcrush.cli.command import Outcome
from ivcrush.cli.main import script
from ivcrush.config.settings import Provider
from ivcrush.infrastructure.run_lock import RunLock
from simulated_market import Switches
from tests.conftest import PROJECT
from tests.integration.conftest import AS_OF, Desk, Finished

NUMBER, COUNT = (int, float), int
# The keys and types that other people's programs rely on, by hand from the published contract.
CONTRACT = {
    "schema": str, "ticker": str, "as_of": str, "simulated": bool,
    "earnings": {"date": str, "timing": str, "status": str, "source": str},
    "expiration": str, "spot": NUMBER, "forward": NUMBER,
    "implied_move": {
        "atm_strike": NUMBER, "straddle_cost": NUMBER, "straddle_pct": NUMBER, "jump_sigma_pct": NUMBER,
        "event_sigma_pct": NUMBER, "event_move_pct": NUMBER, "event_move_interval_90_pct": [NUMBER],
        "ambient_vol_pct": NUMBER, "lower": NUMBER, "upper": NUMBER, "method": str, "flags": [str],
    },
    "history": {
        "quarters": COUNT, "measure": str, "mean_abs_pct": NUMBER, "median_abs_pct": NUMBER, "max_abs_pct": NUMBER,
        "inside_implied": COUNT,
        "moves": [{
            "earnings_date": str, "timing": str, "close_to_close_pct": NUMBER, "gap_pct": NUMBER,
            "open_to_close_pct": NUMBER, "peak_pct": NUMBER,
        }],
    },
    "vrp": {
        "ratio": NUMBER, "straddle_ratio": NUMBER, "shrunk_ratio": NUMBER, "interval_90": [NUMBER],
        "probability_above_one": NUMBER, "inside_probability": NUMBER, "edge_score": NUMBER,
    },
    "consistency": {
        "score": NUMBER, "mad_pct": NUMBER, "weighted_mean_abs_pct": NUMBER, "trend_pct_per_quarter": NUMBER,
        "trend": str,
    },
    "skew": {
        "risk_reversal_25d_pct": NUMBER, "butterfly_25d_pct": NUMBER, "slope": NUMBER, "curvature": NUMBER,
        "direction": str, "concave": bool,
    },
    "term_structure": {
        "points": [{"expiration": str, "atm_iv_pct": NUMBER, "ex_earnings_iv_pct": (int, float, type(None))}],
        "slope": NUMBER, "backwardation": bool, "expected_iv_crush_pct": NUMBER,
    },
    "execution": {
        "tier": str, "straddle_spread_pct": NUMBER, "open_interest": COUNT, "volume": COUNT, "cost_pct": NUMBER,
        "quote_age_s": NUMBER,
    },
    "recommendation": str, "tradeable": bool, "reasons": [str], "flags": [str],
}  # fmt: skip
BATCH_SUMMARY = {
    "total": COUNT, "analysed": COUNT, "failed": COUNT, "skipped": COUNT, "tradeable": COUNT, "requests": COUNT,
    "cache_hits": COUNT, "elapsed_s": NUMBER,
}  # fmt: skip


def differences(found: object, wanted: object, where: str = "") -> list[str]:
    """Where a document lacks a key or holds another type; further keys are allowed."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{where}: no object"]
        missing = [f"{where}.{key}: missing" for key in wanted if key not in found]
        return missing + [
            each for key in wanted if key in found for each in differences(found[key], wanted[key], f"{where}.{key}")
        ]
    if isinstance(wanted, list):
        if not isinstance(found, list):
            return [f"{where}: no list"]
        return [each for item in found for each in differences(item, wanted[0], f"{where}[]")]
    right = isinstance(found, wanted) and (wanted is bool or not isinstance(found, bool))  # type: ignore[arg-type]
    return [] if right else [f"{where}: {found!r}"]


def one_line(finished: Finished) -> str:
    """The only line on stderr."""
    (line,) = finished.err.splitlines()
    assert "Traceback" not in line
    return line


# --- what is typed ---


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["analyze", "AAP1"], "ticker 'AAP1': 1 to 6 letters with an optional class are needed (AAPL, BRK.B)"),
        (["analyze", "../../etc/x"], "ticker '../../etc/x': 1 to 6 letters with an optional class are needed"),
        (["analyze", "\x1b[31mA"], r"ticker '\x1b[31mA': 1 to 6 letters"),
        (["analyze", "AAPL", "--earnings-date", "2026-02-30"], "--earnings-date: date '2026-02-30': a calendar day"),
        (["analyze", "AAPL", "--expiration", ""], "--expiration: date '': a calendar day as YYYY-MM-DD is needed"),
        (["analyze", "AAPL", "--timing", "amc"], "ivcrush analyze: argument --timing: invalid choice: 'amc'"),
        (["analyze", "AAPL", "--as-of", "yesterday"], "--as-of: moment 'yesterday': YYYY-MM-DD or"),
        (["analyze", "AAPL", "--as-of", ""], "--as-of: moment '': YYYY-MM-DD or"),
        (["analyze", "AAPL", "--nope"], "ivcrush analyze: unrecognized arguments: --nope; see ivcrush analyze --help"),
        (["analyze", "AAPL", "--\x1b]0;x"], r"ivcrush analyze: unrecognized arguments: --\x1b]0;x; see"),
        (["analyze", "AAPL", "--forma", "json"], "ivcrush analyze: unrecognized arguments: --forma json"),
        (["analyze"], "ivcrush analyze: the following arguments are required: TICKER; see ivcrush analyze --help"),
        (
            ["analyze", "A", "B", "--timing", "BMO"],
            "--earnings-date, --timing and --expiration go with a single ticker",
        ),
        (
            ["analyze", "A", "--earnings-date", "2026-05-20", "--expiration", "2026-05-15"],
            "--expiration 2026-05-15: a date on or after the report of 2026-05-20 is needed",
        ),
        (["analyze", "A", "--output", ""], "--output: a file name is needed"),
        (["analyze", "A", "--output", "."], "--output .: a file name is needed, this is a directory"),
        (["analyze", "A", "--output", "no/where"], "--output no/where: no is no directory; an existing one is needed"),
        (["backfill"], "backfill: no ticker given; name some, or --file FILE, --reporting-days N, --calendar or --m"),
        (["backfill", "A", "--quarters", "x"], "--quarters x: a whole number from 1 to 40 is needed"),
        (["backfill", "A", "--quarters", "٣"], "--quarters ٣: a whole number from 1 to 40 is needed"),
        (["backfill", "A", "--quarters", "41"], "--quarters 41: a whole number from 1 to 40 is needed"),
        (["backfill", "A", "--timeout", "nan"], "--timeout nan: a number above 0, up to 86400 is needed"),
        (["backfill", "A", "--timeout", "0"], "--timeout 0: a number above 0, up to 86400 is needed"),
        (["nope"], "ivcrush: argument COMMAND: invalid choice: 'nope'"),
        ([], "ivcrush: the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_one_line_before_anything_is_asked(
    desk: Desk, arguments: list[str], line: str
) -> None:
    before = desk.market.stats()["requests"]
    finished = desk.run(*arguments, as_of=False)
    assert (finished.code, finished.out) == (2, "")
    assert one_line(finished).startswith(line)
    assert desk.market.stats()["requests"] == before
    assert list(desk.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"AAPL\0\n", "holds NUL bytes; a UTF-8 text file is needed"),
        ("AAPL\n".encode("utf-16"), "not UTF-8 at byte 0; a UTF-8 text file is needed"),
        (
            b"\nB4D\n",
            "no ticker in it; one a line is needed: tickers.txt, line 2: ticker 'B4D': 1 to 6 letters with an",
        ),
        (b"# nobody\n\n", "no ticker in it; one a line is needed"),
    ],
)
def test_a_file_that_holds_no_tickers_ends_with_65_and_says_where(desk: Desk, content: bytes, line: str) -> None:
    desk.file("tickers.txt", content)
    finished = desk.run("backfill", "--file", "tickers.txt")
    assert finished.code == 65
    assert one_line(finished).startswith(f"tickers.txt: {line}")


def test_a_file_that_is_missing_or_a_directory_ends_with_65(desk: Desk) -> None:
    missing, directory = desk.run("backfill", "--file", "missing"), desk.run("backfill", "--file", ".")
    assert (missing.code, one_line(missing)) == (65, "missing: cannot be read: No such file or directory")
    assert (directory.code, one_line(directory)) == (65, ".: no regular file")


# --- settings and keys ---


def test_who_begins_is_told_of_both_keys_by_the_first_analysis(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", TRADIER_API_KEY="", ALPHA_VANTAGE_KEY="")
    assert finished.code == 78
    assert [line.split(" is not set")[0] for line in finished.err.splitlines()] == [
        "TRADIER_API_KEY",
        "ALPHA_VANTAGE_KEY",
    ]
    assert list(desk.directory.iterdir()) == []


def test_no_token_ends_with_78_and_every_problem_is_listed_at_once(desk: Desk) -> None:
    finished = desk.run("backfill", "AAPL", TRADIER_API_KEY="", ALPHA_VANTAGE_KEY="", VRP_GOOD="x", DB_TIMEOUT="-1")
    lines = finished.err.splitlines()
    assert finished.code == 78
    assert [line.split(" ")[0] for line in lines] == [
        "DB_TIMEOUT=-1",
        "VRP_GOOD=x",
        "TRADIER_API_KEY",
        "ALPHA_VANTAGE_KEY",
    ]


def test_an_analysis_without_the_second_key_says_which_one_is_missing(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", ALPHA_VANTAGE_KEY="")
    assert finished.code == 78
    assert finished.err.splitlines()[-1].startswith("AAPL: CONFIG: ALPHA_VANTAGE_KEY is not set: a key from")


def test_an_env_file_that_the_group_can_read_ends_with_78_naming_chmod(desk: Desk) -> None:
    path = desk.file(".env", b"TRADIER_API_KEY=canary\n")
    path.chmod(0o640)
    finished = desk.run("analyze", "AAPL")
    assert finished.code == 78
    assert one_line(finished).endswith(f"type: chmod 600 {path}")


def test_a_refused_token_ends_with_77(desk: Desk) -> None:
    desk.market.set_switches(Switches(valid_token="another"))
    finished = desk.run("analyze", "AAPL")
    assert finished.code == 77
    assert (
        finished.err.splitlines()[-1]
        == "AAPL: AUTH: 127.0.0.1: Tradier token refused (TRADIER_API_KEY): Invalid Access Token"
    )


def test_a_refused_key_ends_a_backfill_with_77_and_the_rest_is_not_asked(desk: Desk) -> None:
    desk.market.set_switches(Switches(valid_key="another"))
    finished = desk.run("backfill", "AAPL", "MSFT", "IBM", "--format", "json")
    assert finished.code == 77
    assert [row["error"]["code"] for row in json.loads(finished.out)["failures"]] == ["AUTH", "SKIPPED", "SKIPPED"]
    assert finished.err.splitlines()[-1] == "2 not reached after that: MSFT, IBM"


# --- providers ---


@pytest.mark.parametrize("fault", ["500", "200_html", "200_empty", "truncate_chunked", "reset_before", "302", "404"])
def test_a_provider_that_is_down_ends_with_69(desk: Desk, fault: str) -> None:
    desk.strike(fault)
    finished = desk.run("analyze", "AAPL")
    assert finished.code == 69
    assert finished.err.splitlines()[-1].startswith("AAPL: EXTERNAL: 127.0.0.1: ")
    assert "Traceback" not in finished.err


def test_nobody_listening_ends_with_69(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", TRADIER_BASE_URL="http://127.0.0.1:9/v1")
    assert finished.code == 69


def test_a_spent_day_ends_with_75_where_nothing_could_be_done_and_with_3_where_some_was(desk: Desk) -> None:
    some = desk.run("backfill", "AAPL", "MSFT", "IBM", "--format", "json", ALPHA_VANTAGE_PER_DAY="1")
    none = desk.run("backfill", "MSFT", "IBM", ALPHA_VANTAGE_PER_DAY="1")
    assert (some.code, none.code) == (3, 75)
    document = json.loads(some.out)
    assert [row["ticker"] for row in document["tickers"]] == ["AAPL"]
    assert [row["error"]["code"] for row in document["failures"]] == ["QUOTA", "SKIPPED"]
    assert document["summary"] | {"requests": 0} == {
        "total": 3, "done": 1, "failed": 1, "skipped": 1, "already_complete": 0, "calendar_rows": 0, "market_caps": 0,
        "requests": 0,
        "cache_hits": 0,
    }  # fmt: skip
    assert none.err.startswith("MSFT: QUOTA: alpha_vantage: 1 of 1 calls of the last 24 hours are spent")


def test_the_providers_word_that_the_day_is_spent_is_remembered_by_the_next_run(desk: Desk) -> None:
    desk.strike("daily_quota")
    desk.strike("daily_quota", path="EARNINGS")
    assert desk.run("backfill", "AAPL").code == 75
    before = desk.market.stats()["requests"]
    assert desk.run("backfill", "MSFT").code == 75
    assert desk.market.stats()["requests"] == before


# --- replies ---


@pytest.mark.parametrize(
    ("fault", "path", "message"),
    [
        ("crossed_quotes", "options/chains", "no usable option of 2026-05-22 (56 crossed)"),
        ("zero_quotes", "options/chains", "no usable quote in the expiration 2026-05-22 that holds the report"),
        ("nan_numbers", "options/chains", "no usable quote in the expiration 2026-05-22 that holds the report"),
        ("missing_row", "options/chains", "no usable option of 2026-05-22 (none listed)"),
        ("empty_object", "options/chains", "no usable option of 2026-05-22 (none listed)"),
        ("mini_contracts", "options/chains", "no usable option of 2026-05-22 (56 contract_size)"),
        ("missing_row", "markets/quotes", "the market data provider does not know this ticker"),
    ],
)
def test_a_useless_reply_ends_with_1_and_says_what_was_wrong(desk: Desk, fault: str, path: str, message: str) -> None:
    desk.strike(fault, path=path)
    finished = desk.run("analyze", "AAPL", "--format", "json")
    assert finished.code == 1
    assert json.loads(finished.out) == {
        "schema": "ivcrush.failure/1",
        "ticker": "AAPL",
        "error": {"code": "NODATA", "message": f"AAPL: {message}"},
        "simulated": False,
    }
    assert finished.err.splitlines()[-1] == f"AAPL: NODATA: {message}"


def test_quotes_that_cannot_be_read_are_not_called_an_unknown_ticker(desk: Desk) -> None:
    # a company of this test alone: the market is shared
    garbled = b'{"quotes": {"quote": {"symbol": "QZZZ", "bid": "two hundred"}}}'
    desk.market.replay("/v1/markets/quotes", {"symbols": "QZZZ", "greeks": "false"}, garbled)
    finished = desk.run("analyze", "QZZZ", "--format", "json")
    message = "Tradier: quotes of QZZZ: reply not understood, none of its rows can be read"
    assert finished.code == 1
    assert json.loads(finished.out)["error"] == {"code": "INVALID", "message": message}


def test_a_bad_row_costs_that_row_and_not_the_chain(desk: Desk) -> None:
    desk.strike("type_change", path="options/chains", share=0.1)
    finished = desk.run("analyze", "AAPL", "--format", "json")
    assert finished.code == 0
    assert json.loads(finished.out)["implied_move"]["event_move_pct"] == pytest.approx(3.59, abs=0.15)


@pytest.mark.parametrize("words", ["null", "empty_object", "missing", "null_string", "empty_list"])
def test_a_company_without_options_is_no_data_however_the_provider_spells_nothing(desk: Desk, words: str) -> None:
    desk.market.set_switches(Switches(nothing_found=words))
    assert desk.run("analyze", "ZZZZ").code == 1


def test_an_unmatched_symbol_fails_alone(desk: Desk) -> None:
    desk.market.set_switches(Switches(unmatched=("MSFT",)))
    finished = desk.run("analyze", "AAPL", "MSFT", "--format", "json")
    document = json.loads(finished.out)
    assert finished.code == 3
    assert [row["ticker"] for row in document["analyses"]] == ["AAPL"]
    assert [row["ticker"] for row in document["failures"]] == ["MSFT"]
    assert one_line(finished) == "MSFT: NODATA: the market data provider does not know this ticker"


@pytest.mark.parametrize("fault", ["missing_row", "premium", "artificial_sample", "500", "empty_object"])
def test_an_analysis_without_history_keeps_its_implied_move_and_ends_with_3(desk: Desk, fault: str) -> None:
    desk.strike(fault, path="EARNINGS")
    finished = desk.run("analyze", "AAPL", "--format", "json")
    document = json.loads(finished.out)
    assert finished.code == 3
    assert document["implied_move"]["event_move_pct"] > 0
    why = "AAPL: 0 past moves, 4 needed: none could be fetched; backfill AAPL asks again"
    assert document["vrp"] == {"error": {"code": "NODATA", "message": why}}


def test_raw_bars_and_splits_stand_in_where_the_history_fails(desk: Desk) -> None:
    desk.strike("200_html", path="markets/history")
    finished = desk.run("backfill", "AAPL", "--quarters", "1", "--format", "json")
    assert finished.code == 0
    assert json.loads(finished.out)["tickers"][0]["newest"] == "2026-02-09"


# --- storage ---


def directory(path: Path) -> None:
    path.mkdir()


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE somebody (else_ INTEGER)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (directory, "is a directory; a file name is needed"),
        (garbage, "not a database"),
        (nothing, "the file is empty; restore a backup, or remove it to begin anew"),
        (foreign, "another program's database; name another path"),
    ],
)
@pytest.mark.parametrize("command", ["analyze", "backfill"])
def test_a_database_that_cannot_be_ours_ends_with_74_untouched(
    desk: Desk, command: str, make: Callable[[Path], None], words: str
) -> None:
    path = desk.directory / "own.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    requests = desk.market.stats()["requests"]
    finished = desk.run(command, "AAPL", DB_PATH="own.db")
    assert finished.code == 74
    assert str(path) in one_line(finished)
    assert words in one_line(finished)
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert desk.market.stats()["requests"] == requests


def test_a_database_in_a_place_that_takes_no_files_ends_with_74(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", DB_PATH="/proc/own.db")
    assert finished.code == 74
    assert one_line(finished).startswith("/proc/own.db: ")


def test_a_log_file_that_cannot_be_written_ends_with_74(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", LOG_FILE="/proc/own.log")
    assert (finished.code, one_line(finished).split(": ")[0]) == (74, "LOG_FILE /proc/own.log")


def test_a_newer_schema_ends_with_78_asking_for_an_upgrade(desk: Desk) -> None:
    assert desk.run("backfill", "AAPL", "--dry-run").code == 0
    connection = sqlite3.connect(desk.directory / "data" / "ivcrush.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    finished = desk.run("analyze", "AAPL")
    assert finished.code == 78
    assert one_line(finished).endswith("upgrade ivcrush")


def test_a_damaged_cache_is_begun_anew_and_the_analysis_done(desk: Desk) -> None:
    garbage(desk.directory / "cache.db")
    finished = desk.run("analyze", "AAPL", CACHE_PATH="cache.db")
    assert finished.code == 0
    assert "begun anew" in one_line(finished)


def test_a_second_backfill_ends_with_75_within_a_second_naming_the_first(desk: Desk) -> None:
    assert desk.run("backfill", "AAPL", "--dry-run").code == 0
    begun = time.monotonic()
    with RunLock(desk.directory / "data" / "ivcrush.db.lock") as lock:
        lock.acquire("backfill, run 0123456789ab, since 2026-05-15T15:45:00-04:00")
        finished = desk.run("backfill", "AAPL")
    assert time.monotonic() - begun < 1
    assert finished.code == 75
    assert "backfill, run 0123456789ab, since 2026-05-15T15:45:00-04:00; try later" in one_line(finished)


def test_an_analysis_needs_no_lock(desk: Desk) -> None:
    assert desk.run("backfill", "AAPL").code == 0
    with RunLock(desk.directory / "data" / "ivcrush.db.lock") as lock:
        lock.acquire("somebody")
        assert desk.run("analyze", "AAPL").code == 0


# --- output ---


def test_a_result_file_is_whole_and_stdout_empty(desk: Desk) -> None:
    old = desk.file("result.json", b"old")
    finished = desk.run("analyze", "AAPL", "--format", "json", "--output", "result.json")
    assert (finished.code, finished.out, finished.err) == (0, "", "")
    assert json.loads(old.read_bytes())["ticker"] == "AAPL"
    assert {path.name for path in desk.directory.iterdir()} == {"data", "result.json"}


@pytest.mark.parametrize("target", ["/proc/result", "/dev/full", "link"])
def test_a_result_file_that_cannot_be_written_ends_with_74_before_anything_is_asked(desk: Desk, target: str) -> None:
    old = desk.file("old", b"old")
    (desk.directory / "link").symlink_to(old)
    before = desk.market.stats()["requests"]
    finished = desk.run("analyze", "AAPL", "--output", target)
    assert finished.code == 74
    assert one_line(finished).startswith((f"--output {target}: ", f"{target}: cannot be written"))
    assert old.read_bytes() == b"old"
    assert target == "/proc/result" or desk.market.stats()["requests"] == before


def test_a_full_stdout_ends_with_74(desk: Desk) -> None:
    with Path("/dev/full").open("wb") as full:
        process = desk.process("analyze.py", "AAPL", "--as-of", AS_OF.isoformat(), stdout=full)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 74
    assert errors == b"stdout: cannot be written: the disk is full; what was fetched is kept in the database\n"


def test_a_reader_who_has_seen_enough_is_no_error(desk: Desk) -> None:
    process = desk.process("analyze.py", "AAPL", "--as-of", AS_OF.isoformat(), "--format", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(30)) == (b"", 0)
    process.stderr.close()


def test_help_into_a_full_disk_ends_with_74_and_into_a_closed_pipe_quietly(desk: Desk) -> None:
    with Path("/dev/full").open("wb") as full:
        process = desk.process("analyze.py", "--help", stdout=full)
        assert process.communicate(timeout=10)[1] == b"stdout: cannot be written: the disk is full\n"
    assert process.returncode == 74


# --- signals and defects ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_backfill_keeps_what_it_has_committed(desk: Desk, number: int, code: int) -> None:
    desk.strike("silent", path="EARNINGS", symbol="MSFT")
    process = desk.process("backfill.py", "AAPL", "MSFT", "--as-of", AS_OF.isoformat())
    asked, deadline = desk.market.stats()["requests"], time.monotonic() + 20
    while desk.market.stats()["requests"] < asked + 3 and time.monotonic() < deadline:  # two for AAPL, one for MSFT
        time.sleep(0.02)
    process.send_signal(number)
    out, errors = process.communicate(timeout=10)
    assert (process.returncode, out) == (code, b"")
    assert errors == b"interrupted; what was finished is kept\n"
    connection = sqlite3.connect(desk.directory / "data" / "ivcrush.db")
    kept = connection.execute("SELECT ticker, count(*) FROM historical_moves GROUP BY ticker").fetchall()
    connection.close()
    assert kept == [("AAPL", 12)]


class Broken:
    """A command with a defect of ours."""

    def prepare(self, arguments: Namespace) -> None:
        return None

    def needed_keys(self, prepared: None) -> tuple[Provider, ...]:
        return ()

    async def execute(self, prepared: object, container: object, style: object) -> Outcome:
        raise RuntimeError("a wrong turn with canary-token-7f3a")


class BrokenEarly(Broken):
    def prepare(self, arguments: Namespace) -> None:
        raise RuntimeError("a wrong turn with canary-token-7f3a")


@pytest.mark.parametrize("broken", [Broken(), BrokenEarly()])
@pytest.mark.parametrize("level", ["WARNING", "DEBUG"])
def test_a_defect_of_ours_ends_with_70_a_report_number_and_a_traceback_only_on_demand(
    desk: Desk, broken: Broken, level: str
) -> None:
    desk.run("backfill", "AAPL", "--dry-run", LOG_FILE="own.log")
    arguments = command_parser("analyze", "analyze").parse_args(["AAPL", "--log-level", level])
    code = session.run("analyze", broken, arguments)  # type: ignore[arg-type]
    errors = desk.capture.readouterr().err
    assert code == 70
    told = [line for line in errors.splitlines() if " event=" not in line]
    assert "defect in ivcrush, report " in told[-1]
    assert ("Traceback" in errors) is (level == "DEBUG")
    assert "canary" not in errors
    log = (desk.directory / "own.log").read_text()
    assert "canary" not in log
    assert ("a wrong turn with ***" in log) is (type(broken) is Broken)


# --- forms ---


def test_the_json_of_an_analysis_has_every_key_and_type_of_the_contract(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "--format", "json")
    document = json.loads(finished.out)
    assert (finished.code, finished.err) == (0, "")
    assert differences(document, CONTRACT) == []
    assert document["schema"] == "ivcrush.analysis/1"
    assert document["as_of"] == "2026-05-15T15:45:00-04:00"
    dates = [move["earnings_date"] for move in document["history"]["moves"]]
    assert dates == sorted(dates, reverse=True)


def test_several_tickers_are_a_ranked_batch_with_every_ticker_in_one_list(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "aapl", "MSFT", "ZZZZ", "IBM", "--format", "json")
    document = json.loads(finished.out)
    assert finished.code == 3
    assert document["schema"] == "ivcrush.batch/1"
    assert differences(document["summary"], BATCH_SUMMARY) == []
    assert [each for analysis in document["analyses"] for each in differences(analysis, CONTRACT)] == []
    scores = [(analysis["tradeable"], analysis["vrp"]["edge_score"]) for analysis in document["analyses"]]
    assert scores == sorted(scores, reverse=True)
    named = [row["ticker"] for row in [*document["analyses"], *document["failures"]]]
    assert sorted(named) == ["AAPL", "IBM", "MSFT", "ZZZZ"]
    assert document["summary"]["total"] == 4


def test_csv_has_a_row_an_analysis_and_numbers_stay_numbers(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "ZZZZ", "--format", "csv")
    first, second = csv.DictReader(io.StringIO(finished.out))
    assert finished.code == 3
    assert (first["ticker"], first["history_moves"], first["simulated"]) == ("AAPL", "12", "false")
    assert float(first["implied_move_event_move_pct"]) > 0
    assert float(first["skew_risk_reversal_25d_pct"]) < 0
    assert (second["ticker"], second["error_code"], second["spot"]) == ("ZZZZ", "NODATA", "")


def test_the_table_fits_a_wide_terminal_and_names_what_counts(desk: Desk) -> None:
    single, several = desk.run("analyze", "AAPL"), desk.run("analyze", "AAPL", "MSFT", "ZZZZ")
    assert max(map(len, (single.out + several.out).splitlines())) <= 120
    assert "\x1b" not in single.out
    assert [line.split("  ")[0] for line in single.out.splitlines()[3:9]] == [
        "event move", "", "straddle", "", "", "ordinary volatility",
    ]  # fmt: skip
    assert single.out.splitlines()[0].startswith("AAPL  reports 2026-05-18 AMC (confirmed), as of 2026-05-15T15:45")
    assert several.out.splitlines()[-2].startswith("3 total, 2 analysed, 1 failed, 0 skipped, ")


# --- flags ---


def test_a_dry_run_plans_and_asks_nobody(desk: Desk) -> None:
    before = desk.market.stats()["requests"]
    finished = desk.run(
        "backfill", "AAPL", "MSFT", "--calendar", "--dividends", "--dry-run", "--format", "json",
        ALPHA_VANTAGE_PER_DAY="2", TRADIER_API_KEY="", ALPHA_VANTAGE_KEY="",
    )  # fmt: skip
    assert finished.code == 0
    assert json.loads(finished.out) == {
        "schema": "ivcrush.backfill-plan/1",
        "simulated": False,
        "tickers": 2,
        "already_complete": 0,
        "to_fetch": 2,
        "alpha_vantage_calls": 5,
        "tradier_calls": 2,
        "alpha_vantage_calls_left_today": 2,
        "days": 3,
        "minutes_today": 0.0,
    }
    assert desk.market.stats()["requests"] == before
    assert [path.name for path in (desk.directory / "data").iterdir() if "cache" in path.name] == []


def test_the_calendar_flag_fetches_everybodys_dates_and_says_how_many(desk: Desk) -> None:
    finished = desk.run("backfill", "--calendar")
    assert finished.code == 0
    assert finished.out.startswith("0 total, 0 done, 0 failed, 0 skipped, ")
    connection = sqlite3.connect(desk.directory / "data" / "ivcrush.db")
    rows = connection.execute("SELECT count(*) FROM earnings_calendar").fetchone()[0]
    connection.close()
    assert f", {rows} calendar rows, 0 market caps, 1 requests" in finished.out
    assert rows > 40
    assert desk.run("backfill", "--calendar", "--format", "csv").out == ""


def test_a_calendar_that_fails_ends_alone_with_the_providers_reason(desk: Desk) -> None:
    desk.strike("500", path="EARNINGS_CALENDAR")
    finished = desk.run("backfill", "AAPL", "--calendar", "--format", "json")
    assert finished.code == 3
    assert [row["ticker"] for row in json.loads(finished.out)["failures"]] == ["*"]


def test_quarters_and_dividends_do_what_they_say(desk: Desk) -> None:
    finished = desk.run("backfill", "IBM", "--quarters", "3", "--dividends", "--format", "json")
    (row,) = json.loads(finished.out)["tickers"]
    assert (row["moves"], row["dividends"] is not None) == (3, True)
    assert desk.run("backfill", "IBM", "--quarters", "3").out.splitlines()[1].split()[-1] == "-"


def test_a_ticker_out_of_time_fails_alone(desk: Desk) -> None:
    desk.strike("silent", path="EARNINGS", symbol="AAPL")
    finished = desk.run("backfill", "AAPL", "MSFT", "--timeout", "0.3", "--format", "json")
    assert finished.code == 3
    assert one_line(finished) == "AAPL: TIMEOUT: not done within --timeout 0.3 s"
    assert [row["ticker"] for row in json.loads(finished.out)["tickers"]] == ["MSFT"]


def test_a_file_and_arguments_together_name_each_ticker_once(desk: Desk) -> None:
    desk.file("tickers.txt", b"\xef\xbb\xbfaapl, MSFT # two\r\nAAPL\r\n")
    finished = desk.run("backfill", "MSFT", "--file", "tickers.txt", "--format", "csv")
    assert [row["ticker"] for row in csv.DictReader(io.StringIO(finished.out))] == ["MSFT", "AAPL"]


def test_refresh_asks_again_and_a_second_run_does_not(desk: Desk) -> None:
    desk.run("backfill", "AAPL")
    again = json.loads(desk.run("backfill", "AAPL", "--format", "json").out)["summary"]
    fresh = json.loads(desk.run("backfill", "AAPL", "--refresh", "--format", "json").out)["summary"]
    assert (again["requests"], fresh["cache_hits"]) == (0, 0)
    assert fresh["requests"] == 2


def test_named_date_session_and_expiration_are_used(desk: Desk) -> None:
    finished = desk.run(
        "analyze", "AAPL", "--earnings-date", "2026-05-20", "--timing", "BMO", "--expiration", "2026-05-29",
        "--format", "json",
    )  # fmt: skip
    document = json.loads(finished.out)
    assert document["earnings"] | {"status": ""} == {
        "date": "2026-05-20", "timing": "BMO", "status": "", "source": "argument", "moved_from": None,
        "enter_by": "2026-05-19T16:00:00-04:00",
    }  # fmt: skip
    assert document["expiration"] == "2026-05-29"


# --- demonstration ---


@pytest.mark.parametrize("form", ["table", "json", "csv"])
@pytest.mark.parametrize(
    "arguments", [["analyze", "AAPL"], ["analyze", "AAPL", "ZZZZ"], ["analyze", "ZZZZ"], ["backfill", "AAPL"]]
)
def test_a_demonstration_is_labelled_simulated_in_every_form(desk: Desk, arguments: list[str], form: str) -> None:
    finished = desk.run(*arguments, "--demo", "--format", form, as_of=False)
    if form == "json":
        assert json.loads(finished.out)["simulated"] is True
    elif form == "csv":
        assert {row["simulated"] for row in csv.DictReader(io.StringIO(finished.out))} == {"true"}
    else:
        assert finished.out.startswith("SIMULATED MARKET: every number below is invented\n")


def test_a_demonstration_needs_nothing_reads_no_env_file_and_can_be_repeated(desk: Desk) -> None:
    desk.file(".env", b"TRADIER_API_KEY=real\nVRP_GOOD=nonsense\n").chmod(0o644)
    desk.environment.clear()
    assert desk.run("backfill", "AAPL", "--demo", as_of=False).code == 0
    first = desk.run("analyze", "AAPL", "--demo", "--format", "json", as_of=False)
    second = desk.run("analyze", "AAPL", "--demo", "--format", "json", as_of=False)
    assert (first.code, second.code) == (0, 0)
    assert first.out.replace('"alpha_vantage"', '"stored"') == second.out  # the report date is kept by then
    kept = {path.name for path in (desk.directory / "data").glob("*.db")}
    assert kept == {"demo.db", "demo-cache.db"}


@pytest.mark.parametrize(
    ("arguments", "heading", "note"),
    [
        (
            ("--earnings-date", "2026-05-19"),
            "AAPL  reports 2026-05-19 AMC (estimated; date: yours), ",
            "note: report date as named, session of the report taken from the company's past ones",
        ),
        (
            ("--timing", "BMO"),
            "AAPL  reports 2026-05-18 BMO (estimated; session: yours), ",
            "note: session as named, the calendar names another one beside the same date",
        ),
        (
            ("--earnings-date", "2026-05-19", "--timing", "AMC"),
            "AAPL  reports 2026-05-19 AMC (unknown; date: yours), ",
            "note: report date as named, not confirmed by the calendar",
        ),
    ],
)
def test_the_heading_says_what_of_a_report_is_the_traders_own_word(
    desk: Desk, arguments: tuple[str, ...], heading: str, note: str
) -> None:
    text = desk.run("analyze", "AAPL", "--demo", *arguments, as_of=False).out
    assert text.splitlines()[1].startswith(heading)
    assert note in text


def test_a_report_behind_the_next_one_is_never_tradeable_and_says_why(desk: Desk) -> None:
    text = desk.run("analyze", "AAPL", "--demo", "--earnings-date", "2026-08-20", "--format", "json", as_of=False).out
    document = json.loads(text)
    assert "earlier_report_inside" in document["flags"]
    assert "against: the calendar names an earlier report, which the straddle holds too" in document["reasons"]
    assert document["tradeable"] is False


def test_on_a_monday_before_the_open_the_quotes_are_of_fridays_close(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "--demo", "--as-of", "2026-05-18T08:30:00", "--format", "json", as_of=False)
    document = json.loads(finished.out)
    # From Friday 16:00 to Monday 08:30: two days and 16.5 hours.
    assert document["execution"]["quote_age_s"] == 232_200
    assert "against: the exchange is not open (premarket): quotes are of 2026-05-15 16:00" in document["reasons"]


def test_a_demonstration_of_another_day_keeps_its_own_past(desk: Desk) -> None:
    desk.run("backfill", "AAPL", "--demo", as_of=False)
    finished = desk.run("analyze", "AAPL", "--demo", "--as-of", "2026-03-20", "--format", "json", as_of=False)
    assert finished.code == 0
    assert (desk.directory / "data" / "demo-2026-03-20.db").is_file()


# --- starting ---


def imported(*arguments: str) -> tuple[int, set[str]]:
    """The exit code of the command and what was imported by then, in a process of its own."""
    code = (
        "import sys\n"
        "from ivcrush.cli.main import main, script\n"
        "door, *rest = sys.argv[1:]\n"
        "try:\n    main(rest) if door == 'ivcrush' else script(door, rest)\n"
        "except SystemExit as leaving:\n    code = leaving.code\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\nsys.exit(code)\n"
    )
    process = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return process.returncode, set(process.stderr.split("\n"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ivcrush", "--help"], 0),
        (["analyze", "--help"], 0),
        (["backfill", "--version"], 0),
        (["analyze", "--nope"], 2),
        (["ivcrush", "nope"], 2),
    ],
)
def test_help_and_usage_errors_load_nothing_heavy(arguments: list[str], code: int) -> None:
    returned, modules = imported(*arguments)
    assert returned == code
    heavy = {"numpy", "asyncio", "httpx", "pydantic", "ivcrush.domain", "sqlite3", "logging", "msgspec"}
    assert heavy & modules == set()


@pytest.mark.parametrize("command", ["analyze", "backfill"])
def test_each_script_is_a_door_to_the_same_program(desk: Desk, command: str) -> None:
    process = desk.process(f"{command}.py", "--version")
    assert process.communicate(timeout=10)[0] == b"ivcrush " + version().encode() + b"\n"
    with pytest.raises(SystemExit) as leaving:
        script(command, ["--version"])
    assert leaving.value.code == 0


def version() -> str:
    text = (PROJECT / "src" / "ivcrush" / "__init__.py").read_text()
    return text.split('__version__ = "')[1].split('"')[0]


def test_closed_streams_are_nobodys_error(desk: Desk) -> None:
    line = f"exec {sys.executable} {PROJECT}/scripts/analyze.py AAPL --as-of {AS_OF.isoformat()} >&- 2>&-"
    environment = desk.environment | {"PATH": os.environ["PATH"]}
    assert subprocess.run(["sh", "-c", line], cwd=desk.directory, env=environment, check=False).returncode == 0
