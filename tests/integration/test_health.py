"""The health check from the outside: real files, a simulated market, and what an operator's timer is told."""

import asyncio
import json
import os
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ivcrush.config.settings import Faults
from ivcrush.config.validation import load_settings
from ivcrush.domain.errors import Ok
from ivcrush.health_container import HealthContainer
from ivcrush.infrastructure.database.connection import connect
from ivcrush.infrastructure.database.init_schema import init_database
from ivcrush.infrastructure.database.migrations import MIGRATIONS, migrate
from ivcrush.infrastructure.run_lock import RunLock
from ivcrush.utils.timezone import SystemClock
from simulated_market import Switches
from tests.integration.conftest import KEY, TOKEN, Desk, Finished

NAMES = [
    "configuration", "tradier", "alpha_vantage", "clock", "database", "cache", "disk", "last_run", "history",
]  # fmt: skip
Details = dict[str, str]


def database(desk: Desk) -> Path:
    path = desk.directory / "data" / "ivcrush.db"
    opened = init_database(path)
    assert isinstance(opened, Ok)
    opened.value.close()
    return path


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def health(desk: Desk, *arguments: str, **settings: str) -> tuple[Finished, Details, Details]:
    """The run, and the details of what is well and of what is not."""
    finished = desk.run("health-check", "--format", "json", *arguments, **settings)
    document = json.loads(finished.out)
    assert document["schema"] == "ivcrush.health/1"
    checks = document["checks"]
    assert [check["name"] for check in checks] == NAMES
    assert all(isinstance(check["latency_ms"], float) and check["latency_ms"] >= 0 for check in checks)
    well = {check["name"]: check["detail"] for check in checks if check["healthy"]}
    ill = {check["name"]: check["detail"] for check in checks if not check["healthy"]}
    assert document["healthy"] is (not ill)
    assert finished.code == (1 if ill else 0)
    assert TOKEN not in finished.out + finished.err
    assert KEY not in finished.out + finished.err
    return finished, well, ill


def asked(desk: Desk) -> list[str]:
    return [entry.question for entry in desk.market.log()]


def moment(ago: timedelta = timedelta(0)) -> str:
    return (datetime.now(UTC) - ago).isoformat(timespec="microseconds")


# --- a good day ---


def test_a_good_day_is_healthy_for_one_request_and_no_call_of_the_day(desk: Desk) -> None:
    database(desk)
    before = len(asked(desk))
    finished, well, _ = health(desk)
    assert finished.code == 0
    (question,) = asked(desk)[before:]
    assert "/markets/clock" in question
    assert well["tradier"] == "answers, token accepted"
    assert well["alpha_vantage"] == "127.0.0.1 can be reached; 25 of 25 calls left of 24 hours"
    assert well["last_run"] == "there was no run yet"
    assert well["history"] == "no stored report in the coming 7 days"
    assert well["cache"].endswith("ivcrush-cache.db: empty, the next run makes it")
    assert not (desk.directory / "data" / "ivcrush-cache.db").exists()


def test_table_and_csv_show_the_same_checks(desk: Desk) -> None:
    database(desk)
    table, csv = desk.run("health-check"), desk.run("health-check", "--format", "csv")
    assert (table.code, csv.code) == (0, 0)
    rows = [line.split() for line in table.out.splitlines()]
    assert [row[1] for row in rows[1:10]] == NAMES
    assert {row[0] for row in rows[1:10]} == {"ok"}
    assert rows[-1] == ["healthy"]
    assert [line.split(",")[:2] for line in csv.out.splitlines()[1:]] == [[name, "true"] for name in NAMES]


def test_our_own_time_is_under_a_tenth_of_a_second(desk: Desk) -> None:
    path = database(desk)
    environ = desk.environment | {"DB_PATH": str(path)}
    settings = load_settings(environ, desk.directory, required_keys=(), read_env_file=False)
    taken_s = []
    for _ in range(5):
        begun = time.perf_counter()
        report = asyncio.run(HealthContainer(settings, Faults(), None, SystemClock()).examine())
        taken_s.append(time.perf_counter() - begun)
        assert report.healthy
    assert min(taken_s) < 0.1


def test_the_demonstration_says_what_to_do_first(desk: Desk) -> None:
    finished, _, ill = health(desk, "--demo")
    assert set(ill) == {"database", "last_run", "history"}
    assert ill["database"].endswith("demo.db: there is no database; backfill or ivcrush database init makes one")
    assert json.loads(finished.out)["simulated"] is True
    assert desk.run("health-check", "--demo").out.startswith("SIMULATED MARKET")


# --- configuration ---


def test_a_broken_configuration_lists_every_problem_and_stops_no_other_check(desk: Desk) -> None:
    database(desk)
    finished, well, ill = health(desk, DB_TIMEOUT="soon", VRP_GOOD="9", TRADIER_BASE_URL="http://elsewhere.example/")
    assert finished.code == 1
    assert all(name in ill["configuration"] for name in ("DB_TIMEOUT=soon", "VRP_GOOD=9", "TRADIER_BASE_URL"))
    assert ill["tradier"] == "not checked: TRADIER_BASE_URL cannot be told, see configuration"
    assert set(ill) == {"configuration", "tradier", "clock"}
    assert "sound" in well["database"]


def test_without_keys_both_providers_are_unhealthy_and_nobody_is_asked(desk: Desk) -> None:
    database(desk)
    before = len(asked(desk))
    _, _, ill = health(desk, TRADIER_API_KEY="", ALPHA_VANTAGE_KEY="")
    assert len(asked(desk)) == before
    assert ill["tradier"].startswith("TRADIER_API_KEY is not set")
    assert ill["alpha_vantage"].startswith("ALPHA_VANTAGE_KEY is not set")


def test_an_env_file_that_must_not_be_read_leaves_in_doubt_what_it_may_have_said(desk: Desk) -> None:
    desk.file(".env", b"DB_PATH=elsewhere.db\n").chmod(0o644)
    _, well, ill = health(desk)
    assert "chmod 600" in ill["configuration"]
    assert ill["database"] == "not checked: DB_PATH cannot be told, see configuration"
    assert "tradier" in well


def test_a_log_that_cannot_be_written_is_a_problem_of_the_configuration(desk: Desk) -> None:
    database(desk)
    (desk.directory / "own.log").symlink_to(desk.directory / "no" / "where")
    _, _, ill = health(desk, LOG_FILE="own.log")
    assert set(ill) == {"configuration"}
    assert "own.log" in ill["configuration"]


# --- providers and clock ---


def test_a_refused_token_is_told_after_one_request(desk: Desk) -> None:
    database(desk)
    desk.strike("401")
    before = len(asked(desk))
    _, _, ill = health(desk)
    assert set(ill) == {"tradier", "clock"}
    assert "token refused" in ill["tradier"]
    assert len(asked(desk)) == before + 1


def test_a_silent_provider_costs_its_timeout_and_no_more(desk: Desk) -> None:
    database(desk)
    desk.strike("silent")
    begun = time.monotonic()
    _, well, ill = health(desk, REQUEST_TIMEOUT="0.2")
    assert time.monotonic() - begun < 3
    assert ill == {"tradier": "no answer within 0.2 s", "clock": "no answer within 0.2 s"}
    assert "database" in well


def test_nobody_listening_is_told_by_host(desk: Desk) -> None:
    database(desk)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        _, _, ill = health(desk, TRADIER_BASE_URL=url, ALPHA_VANTAGE_BASE_URL=url)
    assert ill["tradier"] == "127.0.0.1: connection failed (ConnectError)"
    assert ill["alpha_vantage"] == "127.0.0.1: connection failed (ConnectionRefusedError)"


@pytest.mark.parametrize(
    ("off_s", "words"), [(-600, "analyses are flagged host_clock_off"), (200_000, "nothing can be dated")]
)
def test_a_clock_that_is_off_is_an_alarm(desk: Desk, off_s: float, words: str) -> None:
    database(desk)
    desk.market.set_switches(Switches(date_header_offset_s=off_s))
    _, well, ill = health(desk)
    assert set(ill) == {"clock"}
    assert words in ill["clock"]
    assert "tradier" in well


def test_a_spent_quota_is_told_and_healthy(desk: Desk) -> None:
    minute = datetime.now(UTC).replace(second=0, microsecond=0).isoformat(timespec="microseconds")
    write(database(desk), f"INSERT INTO rate_limits VALUES ('alpha_vantage', '{minute}', 25, NULL)")
    _, well, _ = health(desk)
    assert "; 0 of 25 calls left of 24 hours, the next at 20" in well["alpha_vantage"]


# --- storage ---


def test_a_missing_database_is_unhealthy_and_is_not_made(desk: Desk) -> None:
    _, _, ill = health(desk)
    assert set(ill) == {"database", "last_run", "history"}
    assert list(desk.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("breakage", "words"),
    [
        ("PRAGMA user_version = 99", "schema 99, this program knows"),
        ("PRAGMA application_id = 7", "another program's database"),
        ("DROP TABLE daily_bars", "table daily_bars is missing"),
    ],
)
def test_a_database_that_no_run_could_use_is_unhealthy(desk: Desk, breakage: str, words: str) -> None:
    write(database(desk), breakage)
    _, well, ill = health(desk)
    assert set(ill) == {"database", "last_run", "history"}
    assert words in ill["database"]
    assert "calls left not known" in well["alpha_vantage"]


def test_garbage_is_unhealthy_and_stays_as_it_is(desk: Desk) -> None:
    (desk.directory / "data").mkdir()
    path = desk.file("data/ivcrush.db", b"garbage" * 1000)
    _, _, ill = health(desk)
    assert "not a database" in ill["database"]
    assert path.read_bytes() == b"garbage" * 1000


def test_a_cache_is_healthy_when_switched_off_and_unhealthy_when_damaged(desk: Desk) -> None:
    database(desk)
    desk.file("data/ivcrush-cache.db", b"garbage" * 1000)
    assert set(health(desk)[2]) == {"cache"}
    assert health(desk, CACHE_ENABLED="false")[1]["cache"] == "switched off by CACHE_ENABLED"


# --- runs and history ---


def a_run(path: Path, ended_at: str | None, *, complete: int, exit_code: int | None) -> None:
    started = moment(timedelta(minutes=10))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        row = ("r", "analyze-batch", "", started, ended_at, complete, exit_code)
        connection.execute("INSERT INTO batch_runs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        items = [
            ("r", 0, "a", None, "NODATA", "none", started),
            ("r", 1, "b", None, None, None, None),
            ("r", 2, "c", None, None, None, None),
        ]
        connection.executemany("INSERT INTO batch_items VALUES (?, ?, ?, ?, ?, ?, ?)", items)


def test_a_run_in_progress_is_shown_with_its_holder_and_not_disturbed(desk: Desk) -> None:
    path = database(desk)
    a_run(path, None, complete=0, exit_code=None)
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire(f"analyze-batch, process {os.getpid()}, run r, since noon")
        finished, well, _ = health(desk)
        assert finished.code == 0
    assert well["last_run"] == (
        f"run in progress: analyze-batch, process {os.getpid()}, run r, since noon, 1 of 3 rows"
    )


def test_a_backfill_in_progress_is_not_taken_for_the_batch_that_was_cut(desk: Desk) -> None:
    path = database(desk)
    a_run(path, None, complete=0, exit_code=None)
    with RunLock(path.with_name(path.name + ".lock")) as lock:
        lock.acquire("backfill, process 1, run s, since noon")
        assert health(desk)[1]["last_run"] == "run in progress: backfill, process 1, run s, since noon"


def test_a_run_that_was_cut_is_an_alarm(desk: Desk) -> None:
    a_run(database(desk), None, complete=0, exit_code=None)
    _, _, ill = health(desk)
    assert set(ill) == {"last_run"}
    assert ill["last_run"].endswith(" was cut after 1 of 3 rows; run it again")


def test_a_run_that_ended_well_is_healthy(desk: Desk) -> None:
    a_run(database(desk), moment(), complete=1, exit_code=3)
    assert health(desk)[1]["last_run"].endswith(" ended with exit code 3, 1 of 3 rows")


def test_a_batch_that_a_provider_failed_for_the_most_part_is_an_alarm_and_runs_says_of_which_rows(desk: Desk) -> None:
    path = database(desk)
    a_run(path, moment(), complete=1, exit_code=3)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE batch_items SET error_code = 'EXTERNAL', error_message = 'down', ended_at = ? WHERE position > 0",
            (moment(),),
        )
    finished, _, ill = health(desk)
    assert (finished.code, set(ill)) == (1, {"last_run"})
    assert ill["last_run"].endswith(": 2 of 3 rows failed for reasons of providers, 0 were analysed; run it again")
    (run,) = json.loads(desk.run("runs", "--format", "json", as_of=False).out)["runs"]
    assert (run["failed"], run["provider_failed"], run["left"]) == (3, 2, 0)


def test_coming_reporters_without_a_past_are_an_alarm(desk: Desk) -> None:
    path = database(desk)
    report = """INSERT INTO earnings_calendar (ticker, report_date, timing, status, source, name, flags, first_seen,
        last_seen) VALUES ('{}', '2026-05-20', 'AMC', 'confirmed', 'alpha_vantage', '', '[]', 'a', 'a')"""
    move = "INSERT INTO historical_moves VALUES ('{0}', '{1}', 'AMC', '{1}', 100, 1, 1, 1, 1, '[]', NULL)"
    write(path, *(report.format(ticker) for ticker in ("AAPL", "MSFT", "IBM")))
    _, _, ill = health(desk)
    assert set(ill) == {"history"}
    assert ill["history"] == (
        "0 of 3 reporters of the coming 7 days have the 4 past moves needed; lacking: AAPL, IBM, MSFT; "
        "ivcrush backfill --reporting-days 7 fetches them, the soonest first"
    )
    quarters = ("2025-05-01", "2025-08-01", "2025-11-03", "2026-02-02")
    write(path, *(move.format("AAPL", day) for day in quarters))
    _, well, ill = health(desk)
    assert ill == {}  # a calendar of everybody takes weeks to fill
    assert well["history"].startswith("1 of 3 reporters of the coming 7 days have the 4 past moves needed; lacking: ")
    write(path, *(move.format("IBM", day) for day in quarters))
    assert health(desk)[1]["history"] == "2 of 3 reporters of the coming 7 days have the 4 past moves needed"


def test_a_list_whose_past_a_provider_did_not_give_is_no_good_run(desk: Desk) -> None:
    desk.strike("premium", path="EARNINGS")
    listed = desk.run("scan", "--days", "3", "--format", "json")
    assert listed.code == 3
    analyses = json.loads(listed.out)["summary"]["analysed"]
    desk.market.set_switches(Switches())
    _, _, ill = health(desk)
    assert (
        f": {analyses} of {analyses} analyses lack the past moves, which a provider did not give; " in ill["last_run"]
    )


def test_an_older_schema_is_healthy_because_the_next_run_migrates_it(desk: Desk) -> None:
    path = desk.directory / "data" / "ivcrush.db"
    path.parent.mkdir()
    path.touch()
    with closing(connect(path, 1)) as connection:
        migrate(connection, MIGRATIONS[:1])
    finished, well, _ = health(desk)
    assert finished.code == 0
    assert "the next run migrates it" in well["database"]
    assert well["last_run"].startswith("not known: ")


def test_the_script_is_the_same_command(desk: Desk) -> None:
    database(desk)
    process = desk.process("health_check.py", "--format", "json")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["healthy"] is True
