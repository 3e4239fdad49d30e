"""The program can work in what the units leave it: their own commands, as nobody, with one directory to write to."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulated_market import SimulatedMarket, World
from tests.deploy.confinement import NOBODY, confined
from tests.deploy.unit_files import DEPLOY, command, environment, sandbox, settings, systemd_analyze
from tests.integration.conftest import AS_OF, KEY, TOKEN


@pytest.fixture(scope="module")
def market() -> Iterator[SimulatedMarket]:
    with SimulatedMarket(World(7, AS_OF, size=40)) as running:
        yield running


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory as systemd makes it."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may become nobody")
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY, NOBODY)
    return directory


class Service:
    """A unit's own command lines, run one after the other in the sandbox."""

    def __init__(self, root: Path, state: Path, market: SimulatedMarket) -> None:
        self.root = root
        self.state = state
        self.addresses = {
            "TRADIER_BASE_URL": market.tradier_base_url,
            "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
            "ALPHA_VANTAGE_PER_SECOND": "1000",
            "ALPHA_VANTAGE_PER_MINUTE": "1000",
        }

    def run(self, name: str, key: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        """The command of that kind (ExecStart and so on) of a unit."""
        unit = DEPLOY / name
        (line,) = settings(unit)[key]
        variables = environment(unit) | changed
        words = command(line, variables)
        return confined(self.root, self.state, words, variables | self.addresses, token=TOKEN, key=KEY)


@pytest.fixture
def service(installed: Path, state: Path, market: SimulatedMarket) -> Service:
    return Service(installed, state, market)


def test_the_units_own_commands_make_the_list_with_keys_as_credentials_and_one_directory(service: Service) -> None:
    moment = f"--as-of {AS_OF.isoformat()}"
    filled = service.run(
        "ivcrush-backfill.service", "ExecStart", IVCRUSH_BACKFILL_COMMAND=f"backfill --reporting-days 2 {moment}"
    )
    assert filled.returncode in {0, 3}, filled.stderr
    changed = {"IVCRUSH_COMMAND": f"scan --days 1 --skip-closed-days {moment}", "IVCRUSH_FORMAT": "json"}
    assert service.run("ivcrush.service", "ExecStartPre", **changed).returncode == 0
    scanned = service.run("ivcrush.service", "ExecStart", **changed)
    assert scanned.returncode in {0, 3}, scanned.stderr
    assert service.run("ivcrush.service", "ExecStopPost", **changed).returncode == 0
    latest = service.state / "reports/latest.json"
    rows = json.loads(latest.read_text())["analyses"]
    assert rows
    assert [row for row in rows if "error" not in row["vrp"]]
    owned = {path.name: path.stat() for path in (service.state, *service.state.rglob("*"))}
    assert {found.st_uid for found in owned.values()} == {NOBODY}
    assert stat.S_IMODE(owned["reports"].st_mode) == 0o700
    assert stat.S_IMODE(owned["ivcrush.db"].st_mode) == 0o600
    assert TOKEN not in filled.stderr + scanned.stderr + latest.read_text()
    checked = service.run("ivcrush-health.service", "ExecStart")
    assert checked.returncode in {0, 1}  # the invented market's clock is half a year off
    assert re.search(r"database +ok|ok +database", checked.stdout), checked.stdout


def test_on_a_closed_day_nothing_is_asked_and_the_unit_succeeds(service: Service) -> None:
    thanksgiving = "--as-of 2026-11-26T09:30"
    before = service.run("ivcrush.service", "ExecStartPre")
    closed = service.run(
        "ivcrush.service", "ExecStart", IVCRUSH_COMMAND=f"scan --days 1 --skip-closed-days {thanksgiving}"
    )
    assert (before.returncode, closed.returncode) == (0, 0), closed.stderr
    assert service.run("ivcrush.service", "ExecStopPost").returncode == 0
    assert list((service.state / "reports").iterdir()) == []


def test_a_batch_file_of_the_user_is_run_by_setting(service: Service) -> None:
    rows = service.state / "earnings.csv"
    rows.write_text("ticker,earnings_date,expiration_date\nAAPL,2026-05-18,\n")
    rows.chmod(0o644)
    batch = (
        "analyze-batch --earnings-file /var/lib/ivcrush/earnings.csv --continue-on-error --skip-closed-days"
        f" --as-of {AS_OF.isoformat()}"
    )
    service.run("ivcrush.service", "ExecStartPre")
    ran = service.run("ivcrush.service", "ExecStart", IVCRUSH_COMMAND=batch)
    assert ran.returncode in {0, 3}, ran.stderr
    shown = service.run("ivcrush.service", "ExecStopPost")
    assert "AAPL" in shown.stdout


def test_the_sandbox_of_these_tests_does_confine(service: Service) -> None:
    attempts = {
        "open('/opt/ivcrush/x', 'w')": "Read-only file system",
        "open('/etc/ivcrush.x', 'w')": "Read-only file system",
        "os.listdir('/root')": "Permission denied",
        "os.chown('/var/lib/ivcrush', 0, 0)": "Operation not permitted",
        "socket.socket(socket.AF_UNIX)": "Address family not supported",
        "open('/proc/meminfo')": "No such file",
        "mmap.mmap(-1, 4096, prot=7)": "Permission denied",
    }
    code = "import mmap, os, socket, sys\n"
    for attempt in attempts:
        code += f"try:\n    {attempt}\n    print('done')\nexcept OSError as error:\n    print(error)\n"
    words = ["/opt/ivcrush/bin/python", "-I", "-c", code]
    finished = confined(service.root, service.state, words, {}, token=TOKEN, key=KEY)
    assert finished.returncode == 0, finished.stderr
    told = finished.stdout.splitlines()
    assert len(told) == len(attempts)
    for line, (attempt, need) in zip(told, attempts.items(), strict=True):
        assert need in line, attempt


def test_names_are_looked_up_without_the_sockets_that_are_refused(service: Service) -> None:
    code = "import socket; print(socket.getaddrinfo('localhost', 443, type=socket.SOCK_STREAM)[0][4][0])"
    words = ["/opt/ivcrush/bin/python", "-I", "-c", code]
    finished = confined(service.root, service.state, words, {}, token=TOKEN, key=KEY)
    assert finished.stdout.strip() in {"127.0.0.1", "::1"}, finished.stderr


def test_the_program_calls_only_what_the_filter_of_the_units_permits(tmp_path: Path) -> None:
    """fchown is SQLite's, of root alone; mbind a library's wish, whose refusal it does not mind."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace (package strace)")
    trace = tmp_path / "trace"
    program = [sys.executable, "-m", "ivcrush.cli.main", "scan", "--demo", "--format", "json"]
    traced = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace), *program]
    ran = subprocess.run(
        traced, env={"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": str(tmp_path)}, check=False, stdout=-3
    )
    if not trace.exists() or not trace.stat().st_size:
        pytest.skip("strace may not trace here")
    assert ran.returncode in {0, 3}
    used = set(re.findall(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed)", trace.read_text(), flags=re.MULTILINE))
    assert {"flock", "fsync", "openat"} <= used
    assert used - _permitted() <= {"fchown", "mbind"}


def _permitted() -> set[str]:
    """The calls of `SystemCallFilter=@system-service` less `~@privileged @resources`."""
    assert "\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n" in sandbox(
        DEPLOY / "ivcrush.service"
    )
    groups: dict[str, set[str]] = {}
    for line in systemd_analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = groups.setdefault(line.strip(), set())
        elif line.strip() and not line.strip().startswith("#"):
            members.add(line.strip())

    def calls(group: str) -> set[str]:
        return {call for name in groups[group] for call in (calls(name) if name.startswith("@") else {name})}

    return (calls("@system-service") | calls("@default")) - calls("@privileged") - calls("@resources")
