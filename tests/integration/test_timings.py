"""What `--timings` shows of a real run, and where."""

import json

from tests.integration.conftest import Desk, Finished


def counts(finished: Finished) -> dict[str, int]:
    """How often each operation was called, by the table on stderr."""
    title, heading, *rows = finished.err.splitlines()
    assert title == "timings in ms; median, p95 and p99 within 1 %; operations contain one another"
    name_width = heading.index("count") - 2
    assert heading.split() == ["operation", "count", "total", "average", "min", "median", "p95", "p99", "max"]
    return {row[:name_width].rstrip(): int(row[name_width:].split()[0]) for row in rows}


def test_a_first_analysis_shows_each_kind_of_work_on_stderr_and_leaves_pure_json_on_stdout(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "--format", "json", "--timings")
    assert json.loads(finished.out)["ticker"] == "AAPL"
    counted = counts(finished)
    assert counted["settings loading"] == counted["company backfill"] == counted["rendering and writing"] == 1
    assert counted["request on the wire"] == counted["request with waits and repeats"] > 0
    assert counted["chain parsing"] >= 3
    assert {"cache file get", "cache file set", "database read", "database write"} <= counted.keys()


def test_each_repeat_of_a_request_is_on_the_wire_again(desk: Desk) -> None:
    desk.strike("500", path="markets/quotes")
    finished = desk.run("analyze", "AAPL", "--timings")
    assert finished.code == 69
    table = Finished(finished.code, finished.out, finished.err[finished.err.index("timings in ms") :])
    counted = counts(table)
    assert counted["request on the wire"] == counted["request with waits and repeats"] + 2


def test_a_second_run_in_the_same_process_counts_from_nothing(desk: Desk) -> None:
    desk.run("backfill", "AAPL", "--timings")
    counted = counts(desk.run("backfill", "MSFT", "--timings"))
    assert counted["company backfill"] == 1
    assert counted["settings loading"] == 1


def test_without_the_option_there_is_no_table(desk: Desk) -> None:
    assert desk.run("backfill", "AAPL").err == ""
