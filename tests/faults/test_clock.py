"""Faults 26 to 32: the machine's clock, its zone, and the days on which the exchange keeps other hours."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ivcrush.domain.market_calendar import NEW_YORK
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache
from simulated_market import Switches
from tests.conftest import PROJECT
from tests.faults.processes import ended, started
from tests.faults.verdict import count, ends, sound
from tests.integration.conftest import AS_OF, INHERITED, Desk

HOUR_S, DAY_S = 3_600.0, 86_400.0
SATURDAY, MEMORIAL_DAY = "2026-05-16T12:00:00-04:00", "2026-05-25T12:00:00-04:00"
DAY_AFTER_THANKSGIVING = "2026-11-27"  # closes at 13:00


def analysed(desk: Desk, moment: str, *arguments: str, **settings: str) -> Mapping[str, Any]:
    """AAPL on the embedded market of that moment."""
    command = ("analyze", "AAPL", "--demo", "--as-of", moment, "--format", "json", *arguments)
    finished = ends(desk.run(*command, as_of=False, **settings), 0)
    return json.loads(finished.out)  # type: ignore[no-any-return]


# --- the machine's clock ---


@pytest.mark.fault(26)
def test_a_clock_that_goes_back_an_hour_or_on_a_day_makes_no_reply_live_longer(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    cache = SqliteCache(tmp_path / "cache.db", clock=lambda: now[0])
    cache.set("k", b"body", 300.0)
    now[0] -= HOUR_S
    assert cache.get("k") is None  # its age is not known
    cache.set("k", b"body", 300.0)
    now[0] += 299.0
    kept = cache.get("k")
    assert kept is not None
    assert 0 < kept.remaining_s <= 300.0
    now[0] += DAY_S
    assert cache.get("k") is None
    cache.close()


@pytest.mark.fault(26)
@pytest.mark.privileged
@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime")
@pytest.mark.parametrize("jump", ["-1h", "+1d"])
def test_a_clock_that_jumps_amid_a_batch_costs_nothing(desk: Desk, jump: str) -> None:
    clock = desk.file("clock", b"+0\n")
    desk.market.set_switches(Switches(latency_ms=100.0))
    library = next(Path("/usr/lib").rglob("libfaketimeMT.so.1"))
    process = started(
        desk, "analyze-batch", "--tickers", ",".join(desk.market.world.tickers[:6]), "--format", "json",
        LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    before = desk.market.stats()["requests"]
    deadline = time.monotonic() + 20
    while desk.market.stats()["requests"] == before and time.monotonic() < deadline:
        time.sleep(0.01)
    clock.write_text(f"{jump}\n")
    finished = ends(ended(process), 0)
    assert 0 < json.loads(finished.out)["summary"]["elapsed_s"] < 60
    desk.market.set_switches(Switches())
    sound(desk.directory / "data" / "ivcrush.db")
    ends(desk.run("analyze-batch", "--tickers", "AAPL"), 0)


@pytest.mark.fault(27)
@pytest.mark.parametrize(
    "moment", ["2026-03-09T10:00:00-04:00", "2026-11-02T10:00:00-05:00"], ids=["after March's", "after November's"]
)
def test_the_report_is_the_same_wherever_the_machine_stands(desk: Desk, moment: str) -> None:
    reports = []
    for zone in ("Asia/Tokyo", "Australia/Sydney", None):
        shutil.rmtree(desk.directory / "data", ignore_errors=True)
        named = {} if zone is None else {"TZ": zone}
        command = ("analyze", "AAPL", "--demo", "--format", "json")
        reports.append(ends(ended(started(desk, *command, moment=moment, **named)), 0).out)
    assert json.loads(reports[0])["as_of"] == moment
    assert len(set(reports)) == 1


@pytest.mark.fault(27)
def test_without_time_zones_a_run_ends_with_78_naming_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['tzdata'] = None; from ivcrush.cli.main import main; sys.exit(main(['quota']))"
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    finished = subprocess.run(
        [sys.executable, "-c", hidden],
        cwd=tmp_path,
        env=environment | {"PYTHONTZPATH": "/nowhere", "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 78
    assert "tzdata" in finished.stderr.splitlines()[0]
    assert "Traceback" not in finished.stderr


# --- days and hours ---


@pytest.mark.fault(28)
@pytest.mark.parametrize("moment", [SATURDAY, MEMORIAL_DAY], ids=["weekend", "holiday"])
def test_on_a_closed_day_the_analysis_says_so_and_is_never_tradeable(desk: Desk, moment: str) -> None:
    found = analysed(desk, moment)
    assert "quotes_off_hours" in found["flags"]
    assert any("the exchange is not open (closed)" in reason for reason in found["reasons"])
    assert found["tradeable"] is False


@pytest.mark.fault(28)
def test_on_a_closed_day_a_run_of_the_timer_asks_nobody_and_is_well(desk: Desk) -> None:
    before = desk.market.stats()["requests"]
    command = ("analyze-batch", "--tickers", "AAPL", "--skip-closed-days", "--as-of", SATURDAY)
    finished = ends(desk.run(*command, as_of=False), 0)
    assert "Saturday, 2026-05-16 is no trading day: nothing done" in finished.out + finished.err
    assert desk.market.stats()["requests"] == before


@pytest.mark.fault(29)
def test_on_a_day_that_closes_at_13_quotes_of_12_30_are_of_the_session_and_those_of_13_30_are_not(desk: Desk) -> None:
    before = analysed(desk, f"{DAY_AFTER_THANKSGIVING}T12:30:00-05:00")
    after = analysed(desk, f"{DAY_AFTER_THANKSGIVING}T13:30:00-05:00")
    assert "quotes_off_hours" not in before["flags"]
    assert any("the exchange is not open (postmarket)" in reason for reason in after["reasons"])
    assert after["tradeable"] is False


@pytest.mark.fault(30)
@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ("2026-05-15T15:59:59-04:00", "2026-05-15T16:00:01-04:00", 0),
        ("2026-05-15T23:59:59-04:00", "2026-05-16T00:00:01-04:00", 1),
        ("2026-12-31T23:59:59-05:00", "2027-01-01T00:00:01-05:00", 1),
    ],
    ids=["the close", "midnight", "the year's end"],
)
def test_on_both_sides_of_a_boundary_a_batch_has_one_moment(desk: Desk, before: str, after: str, days: int) -> None:
    moments = []
    for moment in (before, after):
        command = ("analyze-batch", "--tickers", "AAPL,KO,MSFT", "--demo", "--format", "json", "--as-of", moment)
        document = json.loads(ends(desk.run(*command, as_of=False), 0).out)
        assert {row["as_of"] for row in document["analyses"]} == {document["as_of"]} == {moment}
        moments.append(datetime.fromisoformat(moment).astimezone(NEW_YORK).date())
    assert moments[1] - moments[0] == timedelta(days)


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("ticker", "timing", "expiration"), [("BA", "BMO", "2026-05-22"), ("GOOGL", "AMC", "2026-05-29")]
)
def test_a_report_on_an_expiration_day_is_in_it_before_the_open_and_not_after_the_close(
    desk: Desk, ticker: str, timing: str, expiration: str
) -> None:
    found = json.loads(ends(desk.run("analyze", ticker, "--format", "json"), 0).out)
    assert (found["earnings"]["date"], found["earnings"]["timing"]) == ("2026-05-22", timing)
    assert found["expiration"] == expiration


@pytest.mark.fault(31)
@pytest.mark.parametrize("timing", ["BMO", "AMC"])
def test_an_expiration_that_ends_today_is_a_number_or_a_reason(desk: Desk, timing: str) -> None:
    today = AS_OF.date().isoformat()
    named = ("--earnings-date", today, "--timing", timing, "--expiration", today, "--format", "json")
    finished = desk.run("analyze", "AAPL", *named)
    assert finished.code in {0, 1, 3}, finished.err
    assert "Traceback" not in finished.err
    if finished.code == 1:
        assert finished.err.startswith("AAPL: ")


@pytest.mark.fault(31)
def test_a_leap_day_is_a_day(desk: Desk) -> None:
    found = analysed(desk, "2028-02-29T15:00:00-05:00")
    assert found["as_of"] == "2028-02-29T15:00:00-05:00"
    assert date.fromisoformat(found["expiration"]) > date(2028, 2, 29)


# --- a clock that nobody set ---


@pytest.mark.fault(32)
def test_a_clock_that_is_more_than_a_day_off_ends_with_78_before_anything_is_dated(desk: Desk) -> None:
    # The simulated exchange stands in May 2026; for a program without --as-of this machine is that far off.
    finished = desk.run("analyze", "AAPL", as_of=False)
    ends(finished, 78, "this machine's clock says", "the exchange's 2026-05-15 15:45", "--as-of")
    assert count(desk.directory / "data" / "ivcrush.db", "analysis_log") == 0


@pytest.mark.fault(32)
def test_a_clock_that_is_ten_minutes_off_is_an_alarm_of_the_health_check(desk: Desk) -> None:
    desk.market.set_switches(Switches(date_header_offset_s=600.0))
    finished = desk.run("health-check", "--format", "csv")
    assert "analyses are flagged host_clock_off" in finished.out
