"""One ticker, end to end, on a recorded afternoon: the real scripts as processes against a server that replays it.

Tesla on 28 January 2026, a second before the close, its report that evening.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LEAST_ENVIRONMENT = ("PATH", "HOME", "LANG", "SYSTEMROOT")


@pytest.fixture(scope="module")
def settings(shared_dir: Path) -> Iterator[dict[str, str]]:
    """What the replay server says of itself: base URLs and the recorded moment."""
    server = [sys.executable, str(shared_dir / "tools" / "replay_server.py")]
    cassette = str(shared_dir / "cassettes" / "tsla-2026-01-28.json.gz")
    with subprocess.Popen([*server, cassette], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(3)]
            yield dict(line.split("=", 1) for line in lines)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def desk(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory):
    """Runs a script in an empty directory of its own, which keeps its database."""
    directory = tmp_path_factory.mktemp("desk")
    environment = {name: os.environ[name] for name in LEAST_ENVIRONMENT if name in os.environ} | {
        "TRADIER_API_KEY": "recorded-token",
        "TRADIER_BASE_URL": settings["TRADIER_BASE_URL"],
        "ALPHA_VANTAGE_KEY": "recorded-key",
        "ALPHA_VANTAGE_BASE_URL": settings["ALPHA_VANTAGE_BASE_URL"],
        "ALPHA_VANTAGE_PER_SECOND": "100",
        "ALPHA_VANTAGE_PER_MINUTE": "100",
    }

    def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPTS / script), *arguments]
        return subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(scope="module")
def backfilled(desk):
    return desk("backfill.py", "TSLA")


@pytest.fixture(scope="module")
def analysed(desk, backfilled, settings):
    return desk("analyze.py", "TSLA", "--as-of", settings["AS_OF"], "--format", "json")


@pytest.fixture(scope="module")
def document(analysed):
    assert analysed.returncode == 0, analysed.stderr
    return json.loads(analysed.stdout)


def test_backfill_ends_well_and_says_what_it_kept(backfilled):
    assert backfilled.returncode == 0, backfilled.stderr
    assert "TSLA" in backfilled.stdout


def test_the_report_and_its_expiration_are_found_by_themselves(document):
    assert document["earnings"]["date"] == "2026-01-28"
    assert document["earnings"]["timing"] == "AMC"
    assert document["expiration"] == "2026-01-30"
    assert document["as_of"] == "2026-01-28T15:59:59-05:00"
    assert document["simulated"] is False


def test_straddle_and_event_move_are_those_of_the_recorded_quotes(document):
    implied = document["implied_move"]
    assert 5.4 <= implied["straddle_pct"] <= 5.8
    assert 5.1 <= implied["event_move_pct"] <= 5.6
    low, high = implied["event_move_interval_90_pct"]
    assert low < implied["event_move_pct"] < high


def test_past_moves_are_those_of_the_newspapers(document):
    moves = {move["earnings_date"]: move["close_to_close_pct"] for move in document["history"]["moves"]}
    assert moves["2024-10-23"] == pytest.approx(21.92, abs=0.01)
    assert moves["2024-07-23"] == pytest.approx(-12.33, abs=0.01)


def test_eight_of_the_last_twelve_quarters_have_bars_and_the_other_four_are_named(document):
    history = document["history"]
    assert history["quarters"] == 8
    assert len(history["missing"]) == 4
    assert all(missing["reason"].startswith("no bars for ") for missing in history["missing"])
    dates = [each["earnings_date"] for each in (*history["moves"], *history["missing"])]
    assert len(set(dates)) == 12


def test_the_ratio_is_the_event_move_over_the_mean_past_move(document):
    mean = sum(abs(move["close_to_close_pct"]) for move in document["history"]["moves"]) / 8
    assert document["vrp"]["ratio"] == pytest.approx(document["implied_move"]["event_move_pct"] / mean, rel=1e-3)
    straddle_ratio = document["implied_move"]["straddle_pct"] / mean
    assert document["vrp"]["straddle_ratio"] == pytest.approx(straddle_ratio, rel=1e-3)


def test_ordinary_volatility_does_not_leap_over_the_gap_in_the_bars(document):
    # Tesla's ordinary volatility that winter; a return over the missing months would more than double it.
    assert 30 <= document["implied_move"]["ambient_vol_pct"] <= 55


def test_a_second_run_says_the_same(desk, settings, document):
    again = desk("analyze.py", "TSLA", "--as-of", settings["AS_OF"], "--format", "json")
    repeated = json.loads(again.stdout)
    assert repeated["earnings"].pop("source") == "stored"
    assert repeated == document | {"earnings": {k: v for k, v in document["earnings"].items() if k != "source"}}


def test_nothing_that_was_written_holds_a_key(backfilled, analysed):
    for written in (backfilled.stdout, backfilled.stderr, analysed.stdout, analysed.stderr):
        assert "recorded-token" not in written
        assert "recorded-key" not in written


def test_quotes_later_than_the_moment_are_refused(desk):
    refused = desk("analyze.py", "TSLA", "--as-of", "2026-01-27T15:45:00-05:00", "--format", "json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "INVALID"
    assert "later than --as-of" in refused.stderr
