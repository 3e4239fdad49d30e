"""What `--timings` shows of a real run, and where."""

import json
from argparse import Namespace

from ivcrush.cli import session
from ivcrush.cli.arguments import command_parser
from ivcrush.cli.command import Outcome
from ivcrush.cli.exit_codes import Exit
from ivcrush.config.settings import Provider
from ivcrush.utils.performance import track_performance
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
    assert counted["settings loading"] == counted["backfill: one company"] == counted["rendering and writing"] == 1
    assert counted["gathering: one company"] == counted["evaluation: one company"] == 1
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
    assert counted["backfill: one company"] == 1
    assert counted["settings loading"] == 1


def test_without_the_option_there_is_no_table(desk: Desk) -> None:
    assert desk.run("backfill", "AAPL").err == ""


class Slow:
    """A command whose one operation takes longer than it may."""

    def prepare(self, arguments: Namespace) -> None:
        return None

    def needed_keys(self, prepared: None) -> tuple[Provider, ...]:
        return ()

    @track_performance(name="long way", threshold_s=0.0)
    async def execute(self, prepared: object, container: object, style: object) -> Outcome:
        return Outcome(("done",), Exit.DONE)


def test_a_slow_operation_is_told_of_on_stderr_in_a_run_that_did_not_ask(desk: Desk) -> None:
    desk.run("backfill", "AAPL", "--dry-run")
    arguments = command_parser("analyze", "analyze").parse_args(["AAPL"])
    assert session.run("analyze", Slow(), arguments) == Exit.DONE
    captured = desk.capture.readouterr()
    assert captured.out == "done"
    (line,) = captured.err.splitlines()
    assert "level=WARNING" in line
    assert "slow: long way took" in line
