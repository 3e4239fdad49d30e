"""Faults 1 to 12: the process is killed, stopped, starved or meets another of its kind."""

import configparser
import os
import resource
import shutil
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from ivcrush.infrastructure.database.init_schema import init_database
from simulated_market import FaultRule, Switches
from tests.conftest import PROJECT
from tests.faults.processes import ended, started
from tests.faults.verdict import count, ends, sound
from tests.integration.conftest import Desk
from tests.kill.scenarios import backfill, batch
from tests.kill.series import killed_series, undisturbed

SEED = 20261121
SLOW = Switches(latency_ms=150.0)
LONGEST_FAREWELL_S = 5.0
MOST_MEMORY_KB = 200_000  # with a reply of 200 MB on its way


def database(desk: Desk) -> Path:
    return desk.directory / "data" / "ivcrush.db"


def companies(desk: Desk, how_many: int) -> str:
    return ",".join(desk.market.world.tickers[:how_many])


def amid(desk: Desk, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """A batch that has asked its first question and waits for the answer."""
    desk.market.set_switches(SLOW)
    before = desk.market.stats()["requests"]
    process = started(desk, "analyze-batch", "--tickers", companies(desk, 8), *arguments, **settings)
    deadline = time.monotonic() + 20
    while desk.market.stats()["requests"] == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


# --- killed ---


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("scenario", [backfill, batch], ids=["backfill", "batch"])
def test_killed_at_drawn_moments_a_run_loses_nothing_told_and_asks_nothing_twice(
    desk: Desk, scenario: "type[backfill]"
) -> None:
    (whole := desk.directory / "whole").mkdir()
    (cut := desk.directory / "cut").mkdir()
    bench = undisturbed(desk.market, scenario(desk.market.world, 3), whole)
    series = killed_series(bench, cut, Random(SEED), 3)
    assert series.problems == [], f"seed {SEED}"


@pytest.mark.fault(2)
@pytest.mark.privileged
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_killed_between_the_finished_report_and_its_name_the_old_report_stays_and_a_rerun_makes_the_new_one(
    desk: Desk,
) -> None:
    report = desk.file("report.json", b"yesterday's\n")
    command = ("analyze-batch", "--tickers", "AAPL,KO", "--format", "json", "--output", "report.json")
    kill = ("-e", "trace=rename,renameat", "-e", "inject=rename,renameat:signal=KILL:when=1")
    process = started(desk, *command, before=("strace", "-f", "-qq", "-o", "trace", *kill))
    assert ended(process).code != 0
    assert report.read_bytes() == b"yesterday's\n"
    before = desk.market.stats()["requests"]
    ends(desk.run(*command), 0, "goes on: 2 of 2 rows were done")
    assert desk.market.stats()["requests"] == before
    assert b'"analysed": 2' in report.read_bytes()


@pytest.mark.fault(3)
def test_a_commit_waits_for_the_disk_before_it_is_told(tmp_path: Path) -> None:
    # WAL with FULL is one of the two modes in which SQLite was measured to lose nothing in a power loss.
    opened = init_database(tmp_path / "ivcrush.db")
    with closing(opened.value) as kept:  # type: ignore[union-attr]
        assert kept.rows("PRAGMA synchronous", (), lambda row: row[0]).value == (2,)
        assert kept.rows("PRAGMA journal_mode", (), lambda row: row[0]).value == ("wal",)


# --- told to stop, or stopped ---


@pytest.mark.fault(4, 12)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_stop_a_batch_ends_within_five_seconds_and_the_next_one_finishes_it(
    desk: Desk, number: signal.Signals, code: int
) -> None:
    process = amid(desk)
    process.send_signal(number)
    told_s = time.monotonic()
    ends(ended(process), code, "interrupted; what was finished is kept")
    assert time.monotonic() - told_s < LONGEST_FAREWELL_S
    desk.market.set_switches(Switches())
    sound(database(desk))
    ends(desk.run("analyze-batch", "--tickers", companies(desk, 8)), 0)


@pytest.mark.fault(4)
def test_told_twice_it_ends_at_once_and_is_sound(desk: Desk) -> None:
    process = amid(desk)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    finished = ended(process)
    assert finished.code == 130
    assert "Traceback" not in finished.err
    sound(database(desk))


@pytest.mark.fault(5)
def test_asleep_for_longer_than_its_deadlines_it_asks_anew_without_a_burst(desk: Desk) -> None:
    process = amid(desk, REQUEST_TIMEOUT="1")
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    desk.market.set_switches(Switches())
    before = int(str(desk.market.stats()["requests"]))
    process.send_signal(signal.SIGCONT)
    ends(ended(process), 0)
    needed = 8 * 9  # reports, bars, expirations, chains and what is asked once for all
    assert int(str(desk.market.stats()["requests"])) - before <= needed


@pytest.mark.fault(6)
def test_a_reader_who_has_seen_enough_is_nobodys_error(desk: Desk) -> None:
    process = started(desk, "analyze", "AAPL")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    ends(ended(process), 0)
    assert count(database(desk), "analysis_log") == 1


# --- starved ---


@pytest.mark.fault(7)
def test_a_reply_of_200_mb_is_given_up_before_it_fills_the_memory(desk: Desk) -> None:
    desk.market.set_switches(Switches(faults=(FaultRule("gzip_bomb", path="chains", symbol="KO"),)))
    process = started(desk, "analyze", "AAPL", "KO", "--format", "json", RETRY_MAX_ATTEMPTS="1")
    _, status, usage = os.wait4(process.pid, 0) if _drained(process) else (0, 0, None)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 3
    assert usage is not None
    ours_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # which a child is told of until it has more
    assert usage.ru_maxrss <= max(MOST_MEMORY_KB, ours_kb)


def _drained(process: "subprocess.Popen[str]") -> bool:
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.read()
        stream.close()
    return True


@pytest.mark.fault(8)
def test_too_few_descriptors_end_with_74_saying_so(desk: Desk) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    ends(ended(started(desk, "analyze", "AAPL", first=few)), 74, "open files: 16 are allowed", "ulimit -n")


@pytest.mark.fault(8)
def test_no_temporary_folder_is_no_loss(desk: Desk) -> None:
    ends(ended(started(desk, "analyze", "AAPL", TMPDIR="/nowhere")), 0)


# --- two at once ---


@pytest.mark.fault(9, 10)
def test_a_second_batch_is_sent_away_with_the_holders_name_and_a_killed_one_holds_nobody_up(desk: Desk) -> None:
    process = amid(desk)
    begun_s = time.monotonic()
    second = desk.run("analyze-batch", "--tickers", "AAPL")
    ends(second, 75, "another run holds", f"analyze-batch, process {process.pid}", "since 20", "try later")
    assert time.monotonic() - begun_s < 1.0
    assert f"process {process.pid}" in desk.run("health-check", "--format", "csv").out
    ends(desk.run("runs", as_of=False), 0)
    process.kill()
    ended(process)
    desk.market.set_switches(Switches())
    ends(desk.run("analyze-batch", "--tickers", "AAPL"), 0)


# --- timers ---


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(PROJECT / "deploy" / name)
    return parsed


@pytest.mark.fault(11)
def test_a_machine_that_was_off_runs_once_when_it_is_on_and_for_that_day(desk: Desk) -> None:
    # systemd starts a Persistent= timer once for all that was missed; the day of a run is the clock's.
    assert unit("ivcrush.timer")["Timer"]["Persistent"] == "true"
    assert "--as-of" not in unit("ivcrush.service")["Service"]["ExecStart"]


@pytest.mark.fault(12)
def test_a_run_of_the_timer_has_a_longest_life_and_is_ended_by_sigterm() -> None:
    service = unit("ivcrush.service")["Service"]
    assert service["TimeoutStartSec"] not in {"0", "infinity"}
    assert service.get("KillSignal", "SIGTERM") == "SIGTERM"
