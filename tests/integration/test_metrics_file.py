"""What monitoring reads after a run: a strict reader of Prometheus's format finds the figures, of failed runs too."""

import re
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ivcrush import __version__
from ivcrush.cli import session
from ivcrush.cli.arguments import command_parser
from ivcrush.cli.command import Outcome, Tally
from ivcrush.cli.exit_codes import Exit
from ivcrush.cli.metrics_file import RunFigures, metrics_lines
from ivcrush.config.settings import Provider
from ivcrush.providers import Spending
from ivcrush.utils.performance import OperationStatistics
from simulated_market import FaultRule, Switches
from tests.integration.conftest import Desk

HEADER = re.compile(r"# (HELP|TYPE) (ivcrush_[a-z_]+) (\S.*)")
SAMPLE = re.compile(r'(ivcrush_[a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} ([0-9.e+-]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
Labels = frozenset[tuple[str, str]]


def read(text: str) -> dict[str, dict[Labels, float]]:
    """Series by name; refuses what the exposition format 0.0.4 does, and series without their HELP and TYPE."""
    assert text.endswith("\n")
    types: dict[str, str] = {}
    helps: set[str] = set()
    found: dict[str, dict[Labels, float]] = {}
    for line in text.splitlines():
        header, sample = HEADER.fullmatch(line), SAMPLE.fullmatch(line)
        if header is not None and header[1] == "HELP":
            assert header[2] not in helps, f"a second HELP: {line}"
            helps.add(header[2])
        elif header is not None:
            assert header[2] in helps - types.keys(), f"TYPE stands once, after HELP: {line}"
            assert header[3] in {"gauge", "summary"}
            types[header[2]] = header[3]
        else:
            assert sample is not None, f"neither header nor sample: {line}"
            family = re.sub("_(sum|count)$", "", sample[1]) if sample[1] not in types else sample[1]
            assert list(types)[-1] == family, f"out of its group: {line}"
            labels = frozenset(LABEL.findall(sample[2]))
            series = found.setdefault(sample[1].removeprefix("ivcrush_"), {})
            assert labels not in series, f"twice: {line}"
            series[labels] = float(sample[3])
    return found


def labelled(command: str, **labels: str) -> Labels:
    return frozenset({"command": command, **labels}.items())


class StoppedClock:
    """Noon in UTC; each look at the stopwatch finds 2.5 s more."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 5, 15, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        self._elapsed_s += 2.5
        return self._elapsed_s


def test_the_file_of_a_run_in_full() -> None:
    figures = RunFigures("scan", StoppedClock())
    figures.tally = Tally((("analysed", 12), ("failed", 1)), tradeable=3)
    figures.spending = Spending(((Provider.TRADIER, 40, 2),), cache_hits=7, cache_misses=33, calls_left=24)
    took = OperationStatistics('a "slow"\\one', 4, 2.0, 0.1, 1.0, 0.25, 1.0, 1.0)
    assert (
        "\n".join(metrics_lines(figures, 3, [took]))
        == rf"""# HELP ivcrush_run_info Always 1; the version that ran.
# TYPE ivcrush_run_info gauge
ivcrush_run_info{{command="scan",version="{__version__}"}} 1.0
# HELP ivcrush_run_exit_code Exit code of the last run.
# TYPE ivcrush_run_exit_code gauge
ivcrush_run_exit_code{{command="scan"}} 3.0
# HELP ivcrush_run_success 1 if the last run ended with exit code 0, else 0.
# TYPE ivcrush_run_success gauge
ivcrush_run_success{{command="scan"}} 0.0
# HELP ivcrush_run_start_timestamp_seconds When it began.
# TYPE ivcrush_run_start_timestamp_seconds gauge
ivcrush_run_start_timestamp_seconds{{command="scan"}} 1778846400.0
# HELP ivcrush_run_end_timestamp_seconds When it ended.
# TYPE ivcrush_run_end_timestamp_seconds gauge
ivcrush_run_end_timestamp_seconds{{command="scan"}} 1778846400.0
# HELP ivcrush_run_duration_seconds How long it took.
# TYPE ivcrush_run_duration_seconds gauge
ivcrush_run_duration_seconds{{command="scan"}} 2.5
# HELP ivcrush_run_rows Companies or rows by what came of them.
# TYPE ivcrush_run_rows gauge
ivcrush_run_rows{{command="scan",result="analysed"}} 12.0
ivcrush_run_rows{{command="scan",result="failed"}} 1.0
# HELP ivcrush_run_tradeable Analyses that can be traded.
# TYPE ivcrush_run_tradeable gauge
ivcrush_run_tradeable{{command="scan"}} 3.0
# HELP ivcrush_run_requests Requests sent, repeats among them.
# TYPE ivcrush_run_requests gauge
ivcrush_run_requests{{command="scan",provider="tradier"}} 40.0
# HELP ivcrush_run_retries Requests that repeated one that had failed.
# TYPE ivcrush_run_retries gauge
ivcrush_run_retries{{command="scan",provider="tradier"}} 2.0
# HELP ivcrush_run_cache_hits Answers that the cache gave.
# TYPE ivcrush_run_cache_hits gauge
ivcrush_run_cache_hits{{command="scan"}} 7.0
# HELP ivcrush_run_cache_misses Questions the cache could not answer.
# TYPE ivcrush_run_cache_misses gauge
ivcrush_run_cache_misses{{command="scan"}} 33.0
# HELP ivcrush_quota_left Calls left of the day when the run ended.
# TYPE ivcrush_quota_left gauge
ivcrush_quota_left{{command="scan",provider="alpha_vantage"}} 24.0
# HELP ivcrush_run_operation_seconds How long each operation took; operations contain one another.
# TYPE ivcrush_run_operation_seconds summary
ivcrush_run_operation_seconds{{command="scan",operation="a \"slow\"\\one",quantile="0.5"}} 0.25
ivcrush_run_operation_seconds{{command="scan",operation="a \"slow\"\\one",quantile="0.95"}} 1.0
ivcrush_run_operation_seconds{{command="scan",operation="a \"slow\"\\one",quantile="0.99"}} 1.0
ivcrush_run_operation_seconds_sum{{command="scan",operation="a \"slow\"\\one"}} 2.0
ivcrush_run_operation_seconds_count{{command="scan",operation="a \"slow\"\\one"}} 4.0"""
    )


def test_an_analysis_tells_its_rows_requests_latencies_and_the_quota_that_is_left(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "analyze.prom"
    assert desk.run("analyze", "AAPL", "MSFT", "--metrics-file", str(path)).code in {0, 3}
    found = read(path.read_text())
    assert found["run_rows"] == {
        labelled("analyze", result="analysed"): 2,
        labelled("analyze", result="failed"): 0,
    }
    sent = found["run_requests"]
    assert sent[labelled("analyze", provider="tradier")] > 2
    calls = sent[labelled("analyze", provider="alpha_vantage")]
    assert found["quota_left"] == {labelled("analyze", provider="alpha_vantage"): 25 - calls}
    assert set(found["run_retries"].values()) == {0}
    wire = labelled("analyze", operation="request on the wire")
    assert found["run_operation_seconds_count"][wire] == sum(sent.values())
    assert path.stat().st_mode & 0o777 == 0o644


def test_repeats_are_counted_for_the_provider_that_failed(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "analyze.prom"
    desk.market.set_switches(Switches(faults=(FaultRule("500", path="/markets/quotes"),)))
    finished = desk.run("analyze", "AAPL", "--metrics-file", str(path))
    found = read(path.read_text())
    assert finished.code == 69
    assert found["run_exit_code"] == {labelled("analyze"): 69}
    assert found["run_retries"] == {  # RETRY_MAX_ATTEMPTS is 3
        labelled("analyze", provider="tradier"): 2,
        labelled("analyze", provider="alpha_vantage"): 0,
    }


@pytest.mark.parametrize(
    ("arguments", "settings", "code"),
    [
        (("analyze", "not a ticker"), {}, 2),
        (("analyze-batch", "--earnings-file", "missing.csv"), {}, 65),
        (("scan", "--days", "1"), {"VRP_GOOD": "nonsense"}, 78),
        (("backfill", "AAPL"), {"DB_PATH": "/proc/own.db"}, 74),
    ],
)
def test_a_run_that_failed_is_told_of_too(
    desk: Desk, tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], code: int
) -> None:
    path = tmp_path / "run.prom"
    path.write_text("of the run before")
    assert desk.run(*arguments, "--metrics-file", str(path), **settings).code == code
    found = read(path.read_text())
    assert found["run_exit_code"] == {labelled(arguments[0]): code}
    assert found["run_success"] == {labelled(arguments[0]): 0}


class Broken:
    """A command with a defect of ours."""

    def prepare(self, arguments: Namespace) -> None:
        raise RuntimeError("a wrong turn")


class TakingAway:
    """A command that goes well, and meanwhile the directory of its figures goes away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self, arguments: Namespace) -> None:
        self._directory.rmdir()

    def operate(self, prepared: None, operations: object, style: object) -> Outcome:
        return Outcome((), Exit.DONE)


def test_a_defect_of_ours_is_told_of_too(tmp_path: Path, desk: Desk) -> None:
    path = tmp_path / "run.prom"
    arguments = command_parser("health-check", "x").parse_args(["--metrics-file", str(path)])
    assert session.run("health-check", Broken(), arguments) == 70  # type: ignore[arg-type]
    assert read(path.read_text())["run_exit_code"] == {labelled("health-check"): 70}


def test_a_run_that_went_well_and_cannot_tell_so_is_a_storage_failure(tmp_path: Path, desk: Desk) -> None:
    desk.run("health-check")  # into the desk's folder
    directory = tmp_path / "metrics"
    directory.mkdir()
    path = directory / "run.prom"
    arguments = command_parser("health-check", "x").parse_args(["--metrics-file", str(path)])
    assert session.run("health-check", TakingAway(directory), arguments) == 74
    assert f"{path}: cannot be written: there is no directory {directory}\n" in desk.capture.readouterr().err


def test_a_scan_a_backfill_and_a_health_check_tell_what_came_of_them(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "run.prom"
    desk.run("backfill", "AAPL", "NOSUCH", "--metrics-file", str(path))
    assert read(path.read_text())["run_rows"] == {
        labelled("backfill", result="done"): 1,
        labelled("backfill", result="failed"): 1,
        labelled("backfill", result="skipped"): 0,
    }
    finished = desk.run("scan", "--days", "1", "--metrics-file", str(path), "--format", "json")
    results = {dict(labels)["result"] for labels in read(path.read_text())["run_rows"]}
    assert (finished.code in {0, 3}, results) == (True, {"analysed", "failed", "skipped", "rejected"})
    desk.run("health-check", "--metrics-file", str(path))
    checks = {dict(labels)["check"]: healthy for labels, healthy in read(path.read_text())["check_healthy"].items()}
    assert (checks["database"], checks["tradier"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "code"), [("", 2), (".", 2), ("missing/x.prom", 2), ("/dev/null", 74), ("link.prom", 74)]
)
def test_a_file_that_cannot_be_is_refused_before_anything_is_spent(desk: Desk, name: str, code: int) -> None:
    (desk.directory / "link.prom").symlink_to(desk.directory / "elsewhere.prom")
    before = desk.market.stats()["requests"]
    finished = desk.run("analyze", "AAPL", "--metrics-file", name)
    assert (finished.code, finished.out, desk.market.stats()["requests"]) == (code, "", before)
    assert finished.err.startswith("--metrics-file")


def test_result_and_figures_do_not_share_a_file(desk: Desk) -> None:
    finished = desk.run("analyze", "AAPL", "--output", "./same", "--metrics-file", "same")
    assert (finished.code, finished.err) == (2, "--metrics-file same: is the file of --output too\n")
    assert not (desk.directory / "same").exists()
