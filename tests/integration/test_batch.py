"""A season's morning: a calendar file in, a ranked list out, every row accounted for, whatever happens in between."""

import csv
import io
import json
import re
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from simulated_market import Switches
from tests.integration.conftest import AS_OF, Desk, Finished

HEADER = "ticker,earnings_date,expiration_date\n"


def reporters(desk: Desk, count: int) -> list[tuple[str, str]]:
    """Companies with a past and the days of their coming reports, soonest first."""
    world = desk.market.world
    coming = [(ticker, world.upcoming(ticker)) for ticker in world.tickers if len(world.past_reports(ticker)) >= 8]
    days = sorted((report.day, ticker) for ticker, report in coming if report is not None)
    return [(ticker, day.isoformat()) for day, ticker in days[:count]]


def calendar(desk: Desk, count: int, *extra: str) -> Path:
    """A calendar file of so many companies, and further lines."""
    lines = [f"{ticker},{day},\n" for ticker, day in reporters(desk, count)]
    return desk.file("earnings.csv", (HEADER + "".join(lines) + "".join(f"{line}\n" for line in extra)).encode())


def batch(desk: Desk, count: int, *arguments: str, **settings: str) -> Finished:
    return desk.run(
        "analyze-batch", "--earnings-file", str(calendar(desk, count)), "--format", "json", *arguments, **settings
    )


def tickers(finished: Finished, name: str) -> list[str]:
    return [row["ticker"] for row in json.loads(finished.out)[name]]


def stored(desk: Desk, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(desk.directory / "data" / "ivcrush.db") as connection:
        return connection.execute(sql).fetchall()


def test_a_calendar_file_becomes_a_ranked_list(desk: Desk) -> None:
    finished = batch(desk, 8)
    document = json.loads(finished.out)
    assert (finished.code, finished.err) == (0, "")
    assert document["schema"] == "ivcrush.batch/1"
    assert sorted(tickers(finished, "analyses")) == sorted(ticker for ticker, _ in reporters(desk, 8))
    scores = [(not row["tradeable"], -row["vrp"]["edge_score"]) for row in document["analyses"]]
    assert scores == sorted(scores)
    summary = document["summary"]
    assert {name: summary[name] for name in ("total", "analysed", "failed", "skipped", "resumed")} == {
        "total": 8,
        "analysed": 8,
        "failed": 0,
        "skipped": 0,
        "resumed": 0,
    }
    assert document["term_structure_depth"] == 3
    assert all(len(row["expirations_used"]) == 3 for row in document["analyses"])


def test_every_row_of_the_input_is_in_exactly_one_of_the_two_lists(desk: Desk) -> None:
    (first, day), *_ = reporters(desk, 3)
    path = calendar(desk, 3, "AAPL,20/05/2026,", f"{first},{day},", "ZZZZ,2026-05-20,", "not a ticker,2026-05-20,")
    finished = desk.run("analyze-batch", "--earnings-file", str(path), "--continue-on-error", "--format", "json")
    document = json.loads(finished.out)
    assert finished.code == 3
    assert len(document["analyses"]) == 3
    failed = {(row["ticker"], row["error"]["code"]): row["error"]["message"] for row in document["failures"]}
    assert len(failed) == len(document["failures"]) == 4 == document["summary"]["failed"]
    assert "line 5" in failed["AAPL", "INVALID"]
    assert "line 6" in failed[first, "INVALID"]
    assert "line 2" in failed[first, "INVALID"]
    assert "does not know" in failed["ZZZZ", "NODATA"]
    assert any("line 8" in message for message in failed.values())
    assert all(failure in finished.err for failure in ("line 5", "line 6", "ZZZZ", "line 8"))


def test_without_continue_on_error_the_first_failure_ends_the_run_and_the_rest_is_skipped(desk: Desk) -> None:
    path = calendar(desk, 2, "ZZZZ,2026-05-20,", *(f"{ticker},{day}," for ticker, day in reporters(desk, 6)[2:]))
    finished = desk.run("analyze-batch", "--earnings-file", str(path), "--max-concurrent", "1", "--format", "json")
    document = json.loads(finished.out)
    assert finished.code == 3
    assert [row["error"]["code"] for row in document["failures"]] == ["NODATA"] + ["SKIPPED"] * 4
    assert document["summary"] | {"total": 7, "analysed": 2, "failed": 1, "skipped": 4} == document["summary"]
    assert "2 of 7 rows are done and kept; the same command goes on from there, once what failed" in finished.err


@pytest.mark.parametrize("chosen", [["--tickers", "KO, aapl"], ["--file", "chosen.txt"]], ids=["list", "file"])
def test_a_selection_takes_its_rows_from_the_calendar_file_and_names_who_is_not_there(
    desk: Desk, chosen: list[str]
) -> None:
    desk.file("chosen.txt", b"# mine\nKO\naapl\n")
    world = desk.market.world
    day = world.upcoming("AAPL").day  # type: ignore[union-attr]
    path = desk.file("earnings.csv", f"{HEADER}MSFT,2026-06-01,\nAAPL,{day},\n".encode())
    finished = desk.run(
        "analyze-batch", "--earnings-file", str(path), *chosen, "--continue-on-error", "--format", "json"
    )
    assert (finished.code, tickers(finished, "analyses"), tickers(finished, "failures")) == (3, ["AAPL"], ["KO"])
    assert "KO: NODATA: not in" in finished.err


def test_a_selection_leaves_out_the_bad_rows_of_others_and_keeps_its_own_and_those_of_nobody(desk: Desk) -> None:
    day = desk.market.world.upcoming("AAPL").day  # type: ignore[union-attr]
    lines = f"NVDA,20/05/2026,\nMSFT,2026-05-20\nAAPL,{day},\nKO,2026-13-01,\n?!,2026-05-20,\n"
    path = str(desk.file("earnings.csv", (HEADER + lines).encode()))
    alone = desk.run("analyze-batch", "--earnings-file", path, "--tickers", "AAPL,KO", "--format", "json")
    assert [row["ticker"] for row in json.loads(alone.out)["failures"]] == ["KO", "?!"]
    assert [row["error"]["code"] for row in json.loads(alone.out)["failures"]] == ["INVALID", "SKIPPED"]
    assert tickers(alone, "analyses") == ["AAPL"]
    assert "earnings.csv, line 5: " in alone.err
    desk.file("earnings.csv", (HEADER + lines.replace("?!,2026-05-20,\n", "")).encode())
    clean = desk.run("analyze-batch", "--earnings-file", path, "--tickers", "AAPL", "--fresh", "--format", "json")
    assert (clean.code, clean.err, tickers(clean, "analyses")) == (0, "", ["AAPL"])


def test_a_row_that_only_its_analysis_finds_bad_is_told_with_its_line(desk: Desk) -> None:
    path = desk.file(
        "earnings.csv", f"{HEADER}AMZN,2020-01-30,\nAAPL,2026-05-18,2026-05-23\nZZZZ,2026-05-20,\n".encode()
    )
    finished = desk.run("analyze-batch", "--earnings-file", str(path), "--continue-on-error", "--format", "json")
    failed = {row["ticker"]: row["error"]["message"] for row in json.loads(finished.out)["failures"]}
    assert failed["AMZN"].startswith("earnings.csv, line 2: the stock already trades")
    assert failed["AAPL"].startswith("earnings.csv, line 3: expiration 2026-05-23 is not listed")
    assert failed["ZZZZ"].startswith("earnings.csv, line 4: ")
    assert all(
        f"{ticker}: {code}: earnings.csv, line " in finished.err
        for ticker, code in (("AMZN", "INVALID"), ("ZZZZ", "NODATA"))
    )


def test_a_provider_that_fails_is_no_fault_of_a_line(desk: Desk) -> None:
    desk.strike("503")
    path = desk.file("earnings.csv", f"{HEADER}AAPL,2026-05-18,\n".encode())
    finished = desk.run("analyze-batch", "--earnings-file", str(path))
    assert (finished.code, "line" in finished.err) == (69, False)


def test_companies_alone_are_found_in_the_calendar(desk: Desk) -> None:
    finished = desk.run("analyze-batch", "--tickers", "AAPL,KO", "--format", "json")
    assert (finished.code, sorted(tickers(finished, "analyses"))) == (0, ["AAPL", "KO"])
    whole_calendar = [e.question for e in desk.market.log() if "EARNINGS_CALENDAR" in e.question]
    assert whole_calendar
    assert all("symbol" not in question for question in whole_calendar)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "analyze-batch: no rows given"),
        (["--tickers", ","], "--tickers: no ticker in it"),
        (["--tickers", "A,B!"], "--tickers: ticker 'B!'"),
        (["--tickers", "A", "--max-concurrent", "0"], "--max-concurrent 0: "),
        (["--tickers", "A", "--max-concurrent", "many"], "--max-concurrent many: "),
    ],
)
def test_what_cannot_be_meant_ends_with_2(desk: Desk, arguments: list[str], words: str) -> None:
    finished = desk.run("analyze-batch", *arguments)
    assert (finished.code, finished.out) == (2, "")
    assert words in finished.err


def test_a_file_that_cannot_be_used_at_all_ends_with_65(desk: Desk) -> None:
    path = desk.file("earnings.csv", b"symbol;when\nAAPL;2026-05-20\n")
    finished = desk.run("analyze-batch", "--earnings-file", str(path))
    assert (finished.code, finished.out) == (65, "")
    assert str(path) in finished.err


def test_a_bad_line_of_a_ticker_file_is_a_failure_of_its_own_with_its_line(desk: Desk) -> None:
    path = desk.file("chosen.txt", b"AAPL\nnot a ticker\nKO\n")
    finished = desk.run("analyze-batch", "--file", str(path), "--format", "json")
    assert (finished.code, sorted(tickers(finished, "analyses"))) == (3, ["AAPL", "KO"])
    (failure,) = json.loads(finished.out)["failures"]
    assert failure["error"]["message"].startswith("chosen.txt, line 2: ticker ")
    assert "not a ticker: INVALID: chosen.txt, line 2: " in finished.err
    desk.file("chosen.txt", b"not a ticker\n")
    assert desk.run("analyze-batch", "--file", str(path)).code == 65


def test_when_nothing_could_be_done_the_shared_reason_decides(desk: Desk) -> None:
    desk.strike("503")
    assert batch(desk, 3, "--continue-on-error", RETRY_MAX_ATTEMPTS="1").code == 69
    desk.strike("401")
    refused = batch(desk, 3, "--continue-on-error")
    assert refused.code == 77
    desk.market.set_switches(Switches())
    unknown = desk.run("analyze-batch", "--tickers", "ZZZZ,YYYY", "--continue-on-error")
    assert unknown.code == 1


def test_a_row_that_cannot_be_read_hides_no_refused_token(desk: Desk) -> None:
    desk.strike("401")
    path = calendar(desk, 3, "AAPL,20/05/2026,")
    assert desk.run("analyze-batch", "--earnings-file", str(path), "--continue-on-error").code == 77


def test_a_killed_run_goes_on_where_it_was_and_asks_nothing_twice(desk: Desk) -> None:
    undisturbed = batch(desk, 8, "--fresh", DB_PATH="other.db", CACHE_PATH="other-cache.db")
    path = calendar(desk, 8)
    arguments = ("--earnings-file", str(path), "--as-of", AS_OF.isoformat(), "--max-concurrent", "1")
    desk.market.set_switches(Switches(latency_ms=15))
    first = desk.process("analyze_batch.py", *arguments)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        time.sleep(0.02)
        if (desk.directory / "data" / "ivcrush.db").exists() and _done(desk) >= 3:
            break
    first.kill()
    first.communicate()
    done = _done(desk)
    assert 3 <= done < 8
    desk.market.set_switches(Switches())
    before = len(desk.market.log())
    second = desk.run("analyze-batch", "--earnings-file", str(path), "--format", "json")
    document = json.loads(second.out)
    assert second.err == f"run {document['run_id']} goes on: {done} of 8 rows were done\n"
    assert (second.code, document["summary"]["resumed"], document["summary"]["analysed"]) == (0, done, 8)
    assert document["analyses"] == json.loads(undisturbed.out)["analyses"]
    asked = [entry.question for entry in desk.market.log()[before:] if "/options/expirations" in entry.question]
    assert len(asked) == len(set(asked)) <= 8 - done
    assert stored(desk, "SELECT count(*), count(DISTINCT ticker) FROM analysis_log") == [(8, 8)]
    assert stored(desk, "SELECT run_id, complete, exit_code FROM batch_runs") == [(document["run_id"], 1, 0)]
    assert _done(desk) == 8


def _done(desk: Desk) -> int:
    try:
        ((count,),) = stored(desk, "SELECT count(*) FROM batch_items WHERE analysis IS NOT NULL")
    except sqlite3.OperationalError:  # the schema is just being made
        return 0
    return int(str(count))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_rows_and_is_taken_up(desk: Desk, number: signal.Signals, code: int) -> None:
    path = calendar(desk, 8)
    desk.market.set_switches(Switches(latency_ms=15))
    first = desk.process(
        "analyze_batch.py", "--earnings-file", str(path), "--as-of", AS_OF.isoformat(), "--max-concurrent", "1",
        "--format", "json",
    )  # fmt: skip
    while first.poll() is None and not ((desk.directory / "data" / "ivcrush.db").exists() and _done(desk) >= 2):
        time.sleep(0.02)
    first.send_signal(number)
    out, err = first.communicate(timeout=10)
    assert first.returncode == code
    done = _done(desk)
    assert 2 <= done < 8
    told, skipped = err.decode().splitlines()
    assert told == f"interrupted; what was finished is kept: {done} of 8 rows; the same command goes on from there"
    assert skipped.startswith(f"{8 - done} not reached after that: ")
    shown = json.loads(out)
    assert (shown["summary"]["analysed"], shown["summary"]["skipped"]) == (done, 8 - done)
    assert {row["error"]["code"] for row in shown["failures"]} == {"SKIPPED"}
    desk.market.set_switches(Switches())
    second = desk.run("analyze-batch", "--earnings-file", str(path), "--format", "json")
    assert (second.code, json.loads(second.out)["summary"]["resumed"]) == (0, done)


def test_a_run_that_is_interrupted_before_its_first_row_shows_nothing(desk: Desk) -> None:
    desk.strike("silent", path="expirations")
    before = requests_of(desk, "expirations")
    first = desk.process("analyze_batch.py", "--tickers", "AAPL,KO", "--as-of", AS_OF.isoformat())
    while first.poll() is None and requests_of(desk, "expirations") == before:
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    assert first.communicate(timeout=10) == (b"", b"interrupted; what was finished is kept\n")
    assert first.returncode == 130


def requests_of(desk: Desk, words: str) -> int:
    return sum(words in entry.question for entry in desk.market.log())


def test_the_second_of_two_runs_ends_with_75_naming_the_first(desk: Desk) -> None:
    desk.strike("silent", path="expirations")
    path = calendar(desk, 2)
    first = desk.process("analyze_batch.py", "--earnings-file", str(path), "--as-of", AS_OF.isoformat())
    lock = desk.directory / "data" / "ivcrush.db.lock"
    while not (lock.exists() and lock.read_text().startswith("analyze-batch")):
        time.sleep(0.02)
    begun = time.monotonic()
    second = desk.run("analyze-batch", "--earnings-file", str(path))
    took_s = time.monotonic() - begun
    first.kill()
    first.communicate()
    assert (second.code, second.out) == (75, "")
    assert f"analyze-batch, process {first.pid}, run " in second.err
    assert took_s < 1


def test_a_closed_day_is_skipped_on_demand_and_said(desk: Desk) -> None:
    path = calendar(desk, 2)
    arguments = ("analyze-batch", "--earnings-file", str(path), "--as-of", "2026-05-25T09:30", "--skip-closed-days")
    finished = desk.run(*arguments, as_of=False)
    assert (finished.code, finished.out) == (0, "")
    assert finished.err == "Monday, 2026-05-25 is no trading day: nothing done\n"
    last = desk.file("list.json", b"the last list")
    assert desk.run(*arguments, "--output", str(last), as_of=False).code == 0
    assert last.read_bytes() == b"the last list"


def test_a_result_without_its_ratio_is_partial(desk: Desk) -> None:
    desk.strike("empty_object", path="EARNINGS")
    finished = batch(desk, 2, "--continue-on-error")
    assert finished.code == 3
    assert "2 of 2 analyses lack their vrp: " in finished.err
    assert all("error" in row["vrp"] for row in json.loads(finished.out)["analyses"])


def test_csv_has_a_row_a_company_and_a_file_is_written_whole(desk: Desk) -> None:
    path = calendar(desk, 3, "ZZZZ,2026-05-20,")
    target = desk.directory / "out.csv"
    finished = desk.run(
        "analyze-batch",
        "--earnings-file",
        str(path),
        "--continue-on-error",
        "--format",
        "csv",
        "--output",
        str(target),
    )
    assert (finished.code, finished.out) == (3, "")
    rows = list(csv.DictReader(io.StringIO(target.read_bytes().decode(), newline="")))
    assert len(rows) == 4
    assert [row["error_code"] for row in rows] == ["", "", "", "NODATA"]


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (("--output", "list.JSON"), "{"),
        (("--output", "list.csv"), "schema,ticker,"),
        (("--output", "list.txt"), "as of "),
        (("--output", "list.csv", "--format", "table"), "as of "),
    ],
)
def test_a_file_holds_what_its_name_says_unless_another_form_is_asked_for(
    desk: Desk, arguments: tuple[str, ...], begins: str
) -> None:
    assert desk.run("analyze-batch", "--tickers", "AAPL", *arguments).code == 0
    assert (desk.directory / arguments[1]).read_text().startswith(begins)


def test_what_will_take_minutes_is_told_before_it_begins(desk: Desk) -> None:
    batch(desk, 8)
    again = batch(desk, 8, TRADIER_PER_MINUTE="30")  # the cache answers, so that it takes no minute after all
    assert (again.code, again.err) == (0, "8 companies, about 36 requests, up to 1:12\n")
    assert batch(desk, 8, TRADIER_PER_MINUTE="37").err == ""


def test_a_rerun_costs_next_to_nothing(desk: Desk) -> None:
    batch(desk, 10)
    again = json.loads(batch(desk, 10).out)["summary"]
    assert again["requests"] == 0
    assert again["cache_hits"] >= 10 * 4


def test_a_run_whose_report_could_not_be_delivered_is_taken_up_and_asks_nothing(desk: Desk) -> None:
    arguments = ("--earnings-file", str(calendar(desk, 5)), "--format", "json", "--as-of", AS_OF.isoformat())
    with Path("/dev/full").open("wb") as full:
        failed = desk.process("analyze_batch.py", *arguments, stdout=full)
        failed.communicate()
    assert failed.returncode == 74
    before = desk.market.stats()["requests"]
    taken_over = desk.run("analyze-batch", *arguments[:2]).out
    assert "5 analysed, 0 failed, 0 skipped" in taken_over
    assert "5 resumed" in taken_over
    header, *rows = taken_over.splitlines()[3:9]
    assert header.split()[-2:] == ["verdict", "age"]
    assert all(re.fullmatch(r"[0-9]+ (s|min)", " ".join(row.split()[-2:])) for row in rows)
    assert desk.market.stats()["requests"] == before
    assert stored(desk, "SELECT complete FROM batch_runs") == [(1,)]


def test_a_run_holds_its_lock_and_hears_a_signal_while_a_reader_stalls(desk: Desk) -> None:
    path = calendar(desk, 12)
    arguments = ("--earnings-file", str(path), "--format", "json", "--as-of", AS_OF.isoformat())
    first = desk.process("analyze_batch.py", *arguments)  # whose report is more than a pipe takes
    until = time.monotonic() + 60
    while not ((desk.directory / "data" / "ivcrush.db").exists() and _done(desk) == 12):
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.5)
    assert desk.run("analyze-batch", "--earnings-file", str(path)).code == 75
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=5) == 143
    first.communicate()
    again = json.loads(batch(desk, 12).out)["summary"]
    assert (again["resumed"], again["requests"]) == (12, 0)
