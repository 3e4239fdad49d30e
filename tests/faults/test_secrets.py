"""Faults 68 to 72: keys that nobody may see, files that somebody else wrote, and what the program is made of."""

import ast
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from simulated_market import Switches
from simulated_market.faults import FAULT_NAMES
from tests.conftest import PROJECT
from tests.faults.processes import ended, started
from tests.faults.verdict import CANARIES, canaries_below, ends
from tests.integration.conftest import KEY, TOKEN, Desk, Finished

# Each costs its whole timeout, hundreds of megabytes or the rest of a minute.
TOO_SLOW = ("drip", "endless", "gzip_bomb", "huge_body", "silent", "429", "per_second", "burst", "minute_note")
WHOLE_REPLIES = FAULT_NAMES[: FAULT_NAMES.index("nan_numbers")]  # what follows are wrong numbers in good replies
EVERYTHING_TOLD = {
    "LOG_FILE": "own.log", "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json", "RETRY_MAX_ATTEMPTS": "1",
    "REQUEST_TIMEOUT": "0.3", "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "100",
}  # fmt: skip
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "diskcache", "joblib"}
MOST_EXPOSURE = 15  # tenths, of systemd's 100
MOST_PACKAGES = 8


def silent_about_keys(finished: Finished) -> None:
    """Asserts that neither stream holds a canary."""
    assert not any(canary in (finished.out + finished.err).encode() for canary in CANARIES)


# --- 68 ---


@pytest.mark.fault(68)
@pytest.mark.parametrize("provider", ["tradier", "alpha_vantage"])
def test_no_fault_of_a_provider_brings_a_key_out_however_much_is_told(desk: Desk, provider: str) -> None:
    desk.environment.update(EVERYTHING_TOLD)
    command = ("analyze", "AAPL") if provider == "tradier" else ("backfill", "AAPL", "--calendar", "--dividends")
    told = ("--refresh", "--log-level", "DEBUG", "--timings", "--metrics-file", "m.prom", "--output", "out.txt")
    for fault in (each for each in WHOLE_REPLIES if not each.startswith(TOO_SLOW)):
        shutil.rmtree(desk.directory / "data", ignore_errors=True)
        desk.strike(fault)
        finished = desk.run(*command, *told)
        silent_about_keys(finished)
        assert finished.code != 70, (fault, finished.err)
        assert canaries_below(desk.directory) == [], fault


@pytest.mark.fault(68)
def test_a_whole_day_keeps_no_key_anywhere(desk: Desk) -> None:
    desk.environment.update(EVERYTHING_TOLD | {"REQUEST_TIMEOUT": "5"})
    told = ("--log-level", "DEBUG", "--timings", "--metrics-file", "m.prom")
    for command in (
        ("backfill", "AAPL", "KO", "--calendar"),
        ("analyze-batch", "--tickers", "AAPL,KO", "--format", "json", "--output", "batch.json"),
        ("scan", "--days", "2", "--format", "csv", "--output", "scan.csv"),
        ("health-check", "--format", "json", "--output", "health.json"),
    ):
        finished = desk.run(*command, *told)
        assert finished.code in {0, 1, 3}, finished.err
        silent_about_keys(finished)
    for command in (("runs",), ("quota",), ("cache", "stats"), ("database", "check"), ("database", "backup", "b.db")):
        silent_about_keys(ends(desk.run(*command, "--log-level", "DEBUG", as_of=False), 0))
    assert canaries_below(desk.directory) == []


@pytest.mark.fault(68)
def test_a_defect_that_has_the_keys_in_its_text_shows_them_to_nobody(desk: Desk) -> None:
    # A library, not a part of ours, is made to fail with what must not be shown.
    crash = """
import os, sys, msgspec
def fail(*_, **__):
    raise RuntimeError(os.environ["TRADIER_API_KEY"] + " and " + os.environ["ALPHA_VANTAGE_KEY"])
from ivcrush.cli.main import main
import ivcrush.container
msgspec.json.encode = fail
sys.exit(main(["analyze", "AAPL", "--as-of", "2026-05-15T15:45:00-04:00", "--log-level", "DEBUG"]))
"""
    process = subprocess.run(
        [sys.executable, "-c", crash],
        cwd=desk.directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT / "src")}
        | desk.environment
        | {"LOG_FILE": "own.log"},
        capture_output=True,
        text=True,
        check=False,
    )
    finished = Finished(process.returncode, process.stdout, process.stderr)
    assert finished.code == 70, finished.err
    assert "defect in ivcrush, report " in finished.err
    assert "RuntimeError" in finished.err
    silent_about_keys(finished)
    assert "RuntimeError" in (desk.directory / "own.log").read_text()


@pytest.mark.fault(68)
def test_a_key_is_never_on_a_command_line(desk: Desk) -> None:
    desk.market.set_switches(Switches(latency_ms=300.0))
    process = started(desk, "analyze", "AAPL")
    line = Path(f"/proc/{process.pid}/cmdline")
    if line.exists():
        assert not any(canary in line.read_bytes() for canary in CANARIES)
    ends(ended(process), 0)
    for command in ("analyze", "analyze-batch", "scan", "backfill", "health-check"):
        assert re.search(r"--[a-z-]*(key|token|secret|password)", desk.run(command, "--help", as_of=False).out) is None


# --- 69 ---


def env_file(desk: Desk, content: str, mode: int = 0o600) -> Path:
    for name in ("TRADIER_API_KEY", "ALPHA_VANTAGE_KEY"):
        desk.environment.pop(name, None)
    path = desk.file(".env", content.encode())
    path.chmod(mode)
    return path


@pytest.mark.fault(69)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_an_env_file_that_others_can_read_is_refused_with_what_to_type(desk: Desk, mode: int) -> None:
    path = env_file(desk, f"TRADIER_API_KEY={TOKEN}\nALPHA_VANTAGE_KEY={KEY}\n", mode)
    ends(desk.run("analyze", "AAPL"), 78, f"type: chmod 600 {path}")
    path.chmod(0o600)
    ends(desk.run("analyze", "AAPL"), 0)


@pytest.mark.fault(69)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_env_file_of_somebody_else_is_refused(desk: Desk) -> None:
    path = env_file(desk, f"TRADIER_API_KEY={TOKEN}\n")
    os.chown(path, 65534, 65534)
    ends(desk.run("analyze", "AAPL"), 78, str(path))


@pytest.mark.fault(69)
@pytest.mark.parametrize(
    "line",
    ["TRADIER_API_KEY={}\r\n", 'TRADIER_API_KEY="{}"\n', "TRADIER_API_KEY={}   \n", "export TRADIER_API_KEY={}\n"],
)
def test_a_token_is_taken_however_the_line_was_written(desk: Desk, line: str) -> None:
    desk.market.set_switches(Switches(valid_token=TOKEN))
    env_file(desk, line.format(TOKEN) + f"ALPHA_VANTAGE_KEY={KEY}\n")
    ends(desk.run("analyze", "AAPL"), 0)


@pytest.mark.fault(69)
@pytest.mark.parametrize(
    "token", [f"{TOKEN}\nX-Injected: 1", f"{TOKEN}\r\nX: 1", f"{TOKEN} two", f"{TOKEN}\x00"[:-1] + "\x7f"]
)
def test_a_token_that_would_be_another_header_is_refused(desk: Desk, token: str) -> None:
    before = desk.market.stats()["requests"]
    ends(desk.run("analyze", "AAPL", TRADIER_API_KEY=token), 78, "TRADIER_API_KEY (environment): ")
    assert desk.market.stats()["requests"] == before


@pytest.mark.fault(69)
def test_no_token_is_named_and_of_two_the_environments_is_taken(desk: Desk) -> None:
    env_file(desk, f"TRADIER_API_KEY=wrong\nALPHA_VANTAGE_KEY={KEY}\n")
    desk.market.set_switches(Switches(valid_token=TOKEN))
    ends(desk.run("analyze", "AAPL", TRADIER_API_KEY=""), 78, "TRADIER_API_KEY")
    ends(desk.run("analyze", "AAPL", TRADIER_API_KEY=TOKEN), 0)
    ends(desk.run("analyze", "AAPL", "--refresh"), 77)


@pytest.mark.fault(69)
def test_credentials_of_the_service_manager_are_taken_before_the_env_file(desk: Desk) -> None:
    env_file(desk, f"TRADIER_API_KEY=wrong\nALPHA_VANTAGE_KEY={KEY}\n")
    desk.market.set_switches(Switches(valid_token=TOKEN))
    credentials = desk.directory / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "tradier_api_key").write_text(f"{TOKEN}\n")
    (credentials / "tradier_api_key").chmod(0o400)
    ends(desk.run("analyze", "AAPL", CREDENTIALS_DIRECTORY=str(credentials)), 0)


# --- 70 ---


@pytest.mark.fault(70)
def test_no_statement_hides_in_a_ticker_or_a_path(desk: Desk) -> None:
    ends(desk.run("analyze", "AAPL"), 0)
    ends(desk.run("analyze", "'; DROP TABLE analysis_log; --"), 2, "ticker ")
    named = "x' ; ATTACH 'y.db' AS y; --?mode=memory&vfs=none#.db"
    ends(desk.run("analyze", "AAPL", DB_PATH=named), 0)
    with closing(sqlite3.connect(desk.directory / named)) as connection:
        assert connection.execute("SELECT count(*) FROM analysis_log").fetchone() == (1,)
    assert not (desk.directory / "y.db").exists()


@pytest.mark.fault(70)
def test_nothing_in_the_source_turns_stored_bytes_into_code() -> None:
    found = []
    for path in (PROJECT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = [node.func.id] if node.func.id in FORBIDDEN_CALLS else []
            elif isinstance(node, ast.Import):
                names = [each.name for each in node.names if each.name.split(".")[0] in FORBIDDEN_MODULES]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
                names = [node.module or ""]
            found += [f"{path.name}: {name}" for name in names]
    assert found == []


# --- 71 ---


@pytest.mark.fault(71)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", ["ivcrush.service", "ivcrush-backfill.service", "ivcrush-health.service"])
def test_a_unit_is_exposed_as_little_as_its_work_allows(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager"]
    judged = subprocess.run([*command, str(PROJECT / "deploy" / unit)], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-200:] + judged.stderr


# --- 72 ---


@pytest.mark.fault(72)
@pytest.mark.parametrize("lock", sorted((PROJECT / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_each_package_is_locked_by_version_and_hash_and_no_index_is_named(lock: Path) -> None:
    text = re.sub(r"\\\n", " ", lock.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert lines
    assert [
        line for line in lines if not re.match(r"[a-zA-Z0-9._-]+(\[[a-z,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ] == []
    assert re.search(r"https?://|--index-url|--extra-index-url|--find-links|--trusted-host", text) is None


@pytest.mark.fault(72)
def test_the_program_stands_on_eight_packages_at_most() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= MOST_PACKAGES


@pytest.mark.fault(72)
def test_every_module_is_imported_and_help_is_given_without_a_connection(tmp_path: Path) -> None:
    program = """
import sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        raise RuntimeError(f"the network was asked: {event}")
sys.addaudithook(refuse)
import importlib, pkgutil, ivcrush, simulated_market
for package in (ivcrush, simulated_market):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
from ivcrush.cli.main import main
main(["--help"])
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(PROJECT / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.fault(72)
@pytest.mark.privileged
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_in_a_machine_without_any_network_a_run_says_that_it_has_none(desk: Desk) -> None:
    alone = ("unshare", "-n")
    ends(ended(started(desk, "analyze", "AAPL", before=alone)), 69, "127.0.0.1: connection failed")
    version = subprocess.run(
        [*alone, sys.executable, "-m", "ivcrush.cli.main", "--version"],
        env={"PYTHONPATH": str(PROJECT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert version.returncode == 0
