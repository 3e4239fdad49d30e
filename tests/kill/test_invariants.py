"""The judges of `make kill` find what they are there to find."""

import json
import sqlite3
from pathlib import Path

import pytest

from ivcrush.domain.errors import Ok
from ivcrush.infrastructure.database.init_schema import init_database
from simulated_market import LogEntry, World
from tests.integration.conftest import AS_OF
from tests.kill import invariants
from tests.kill.scenarios import Scenario, backfill, batch, comparable

REPORT = {"schema": "ivcrush.batch/1", "run_id": "7", "summary": {"total": 1, "requests": 3}, "analyses": [{"a": 1}]}
ANALYSIS = "INSERT INTO analysis_log VALUES ({}, '{}', '{}', '2026-05-20', 't', 't', x'{}', x'00')"
RUN = "INSERT INTO batch_runs (run_id, command, conditions, started_at, complete) VALUES ('{}', 'c', 'c', 't', 0)"
ITEM = "INSERT INTO batch_items (run_id, position, question, analysis, ended_at) VALUES ('{}', {}, '{}', {}, 't')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    opened = init_database(tmp_path / "ivcrush.db")
    assert isinstance(opened, Ok)
    opened.value.close()
    return opened.value.path


@pytest.fixture
def scenario() -> Scenario:
    return batch(World(7, AS_OF, size=20), 3)


def fill(path: Path, *statements: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def flaws(path: Path, scenario: Scenario) -> list[str]:
    with invariants.copied(path) as connection:
        return scenario.flaws(connection)


def test_a_sound_database_is_sound_and_a_damaged_one_is_not(path: Path) -> None:
    with invariants.copied(path) as connection:
        assert invariants.unsound(connection) == []
        connection.execute("PRAGMA user_version = 1")
        connection.execute("DROP TABLE dividends")
        assert len(invariants.unsound(connection)) == 2


def test_looking_at_a_database_leaves_its_log_to_be_recovered(path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute(RUN.format("A"))
    log = path.with_name("ivcrush.db-wal").read_bytes()
    with invariants.copied(path) as connection:
        assert connection.execute("SELECT run_id FROM batch_runs").fetchall() == [("A",)]
    assert path.with_name("ivcrush.db-wal").read_bytes() == log != b""
    writer.close()


def test_a_run_that_kept_its_rows_once_has_no_flaw(path: Path, scenario: Scenario) -> None:
    fill(path, RUN.format("A"), ANALYSIS.format(1, "A", "IBM", "01"), ITEM.format("A", 0, "IBM", 1))
    assert flaws(path, scenario) == []


def test_an_analysis_twice_in_a_run_or_without_its_row_is_found(path: Path, scenario: Scenario) -> None:
    fill(path, RUN.format("A"), ANALYSIS.format(1, "A", "IBM", "01"), ITEM.format("A", 0, "IBM", 1))
    fill(path, ANALYSIS.format(2, "A", "IBM", "01"))
    assert flaws(path, scenario) == ["IBM: analysed twice in one run", "IBM: an analysis that is no row of a run"]


def test_a_cut_run_that_the_next_one_did_not_take_up_is_found(path: Path, scenario: Scenario) -> None:
    for number, run in enumerate("AB", 1):
        fill(path, RUN.format(run), ANALYSIS.format(number, run, "IBM", "01"), ITEM.format(run, 0, "IBM", number))
    assert flaws(path, scenario) == ["2 runs were cut and none was taken up"]


def test_half_a_history_is_found(path: Path) -> None:
    fill(path, "INSERT INTO daily_bars VALUES ('IBM', '2026-05-14', 1, 1, 1, 1, 1)")
    assert flaws(path, backfill(World(7, AS_OF, size=20), 3)) == ["IBM: half a history"]


def test_a_lost_row_and_another_than_the_undisturbed_one_are_found(path: Path, scenario: Scenario) -> None:
    wanted = {("analysis_log", "IBM"): ((b"\1", b"\0"),), ("analysis_log", "KO"): ((b"\1", b"\0"),)}
    fill(path, ANALYSIS.format(1, "A", "KO", "02"))
    with invariants.copied(path) as connection:
        found = scenario.kept(connection)
    assert invariants.unkept(scenario, found, wanted, {"IBM", "KO"}) == [
        "IBM: acknowledged and not in analysis_log",
        "KO: other rows in analysis_log",
    ]


def test_a_report_is_the_old_one_or_the_new_one_whole(tmp_path: Path) -> None:
    report, whole = tmp_path / "report.json", json.dumps(REPORT).encode()
    for content, problems in (
        (b"old", []),
        (whole, []),
        (whole[:40], ["report cut after 40 bytes"]),
        (b"", ["report cut after 0 bytes"]),
        (whole.replace(b'"a": 1', b'"a": 2'), ["report differs from that of an undisturbed run"]),
    ):
        report.write_bytes(content)
        assert invariants.torn(report, b"old", comparable(whole)) == problems


def test_reports_are_compared_without_what_tells_of_the_run_alone() -> None:
    other = REPORT | {"run_id": "8", "summary": {"total": 1, "requests": 0}}
    assert comparable(json.dumps(other).encode()) == comparable(json.dumps(REPORT).encode())
    other["summary"] = {"total": 2, "requests": 3}
    assert comparable(json.dumps(other).encode()) != comparable(json.dumps(REPORT).encode())


def asked(question: str, at_s: float) -> LogEntry:
    return LogEntry(at_s, "GET", question, 200, ())


def test_a_question_about_a_company_that_was_acknowledged_is_found() -> None:
    log = [
        asked("/v1/markets/options/chains?symbol=IBM&expiration=2026-05-22", 1.0),
        asked("/v1/markets/quotes?symbols=IBM,KO", 3.0),
        asked("/v1/markets/clock?", 3.0),
    ]
    assert invariants.asked_again(log, {"IBM": 2.0}) == [
        "IBM: acknowledged and asked for again: /v1/markets/quotes?symbols=IBM,KO"
    ]


def test_a_call_that_the_database_did_not_count_is_found(path: Path) -> None:
    log = [asked("/query?function=EARNINGS&symbol=IBM", 1.0)]
    with invariants.copied(path) as connection:
        assert invariants.undercounted(connection, log) == ["quota: 1 calls made, 0 counted"]
