"""`python -m tests.trial`: a newcomer's first hour. Follows README and DEPLOYMENT to the letter, tells what came of it.

A clean copy of the checkout, an empty home, nothing in the environment but a path: there each line of the documents'
shell blocks is typed into bash, in their order, and its exit code told. The only liberties: the keys that a person
would paste into `.env` are those of a simulated market that follows this machine's clock, the calendar file that the
README speaks of is written, and lines that need root or a running systemd are told and left out (tests/deploy has
them). Exit code 1 where a line did not do what was written.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from simulated_market import SimulatedMarket, World
from simulated_market.session_calendar import EASTERN
from tests.conftest import PROJECT
from tests.documents.shell import fenced

DOCUMENTS = ("README.md", "DEPLOYMENT.md")
# How the machine reaches its package registry is the machine's affair, not the newcomer's.
KEPT = re.compile(r"PIP_\w+|https?_proxy|no_proxy", re.IGNORECASE)
# What belongs to a server: its services and tools, the places of an installation, an editor, a machine elsewhere.
OF_A_SERVER = re.compile(
    r"(sudo )?(systemctl|journalctl|systemd-\w+|apt-get|install|timedatectl|sudoedit|make \w*install-service|deploy/)|"
    r".*(/etc/|/var/|/opt/|/usr/|systemctl|systemd-run|\bssh\b|\brsync\b|\bgit\b)"
)
LONG = re.compile(r"make (test|check)\b")
# What a line may end with, beside 0: what the README says of data that is not there, or not all there.
PARTIAL = 3
# No usable result is the right answer for an example's day that no market lists, and unhealthy for a machine without
# a past: DEPLOYMENT says which checks are in alarm till then.
MAY_END_WITH_1 = re.compile(r"--earnings-date \d{4}|health-check")
LONGEST_S = 900


def main() -> int:
    """All lines; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.trial", description=__doc__)
    parser.add_argument("--whole", action="store_true", help="also what takes many minutes: make test, make check")
    whole = parser.parse_args().whole
    with tempfile.TemporaryDirectory(prefix="newcomer-") as name:
        print(f"a newcomer in {name} at {datetime.now(EASTERN):%Y-%m-%d %H:%M} New York time", flush=True)
        folder, home = Path(name) / "ivcrush", Path(name) / "home"
        home.mkdir()
        _copy(folder)
        with SimulatedMarket(World(7, datetime.now(EASTERN)), host_clock=True) as market:
            _write_calendar(folder, market.world)
            failed = sum(not _typed(line, folder, home, market, whole=whole) for line in _lines())
    print(f"{failed} lines did not do what is written" if failed else "every line did what is written")
    return 1 if failed else 0


def _lines() -> Iterator[str]:
    for name in DOCUMENTS:
        for number, line in fenced((PROJECT / name).read_text("utf-8"), "sh"):
            print(f"{name}:{number}: ", end="", flush=True)
            yield line.split(" #")[0].strip()


def _copy(folder: Path) -> None:
    """What git would check out, as the files are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)


def _write_calendar(folder: Path, world: World) -> None:
    coming = [(ticker, world.upcoming(ticker)) for ticker in ("AAPL", "MSFT", "IBM")]
    rows = [f"{ticker},{report.day}," for ticker, report in coming if report is not None]
    (folder / "earnings.csv").write_text("\n".join(["ticker,earnings_date,expiration_date", *rows, ""]))


def _typed(line: str, folder: Path, home: Path, market: SimulatedMarket, *, whole: bool) -> bool:
    """Whether it did what is written; the line and its exit code are told."""
    if OF_A_SERVER.match(line):
        print(f"[a server's] {line}")
        return True
    if LONG.match(line) and not whole:
        print(f"[--whole]    {line}")
        return True
    begun = time.monotonic()
    code, output = _run(line.replace("sudo ", ""), folder, home)
    if line.startswith("cp .env.example .env"):
        _fill_in_keys(folder / ".env", market)
    allowed = {0, PARTIAL} | ({1} if MAY_END_WITH_1.search(line) else set())
    print(f"[{code:3}] {time.monotonic() - begun:6.1f} s  {line}", flush=True)
    if code not in allowed:
        print("".join(f"    {each}\n" for each in output.splitlines()[-15:]), end="", flush=True)
    return code in allowed


def _run(line: str, folder: Path, home: Path) -> tuple[int, str]:
    """In bash, with the program on the path as installing would have put it, and nothing else of the environment."""
    command = home / "bin/ivcrush"
    if not command.is_symlink():
        command.parent.mkdir()
        command.symlink_to(folder / ".venv/bin/ivcrush")
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    interpreter = Path(sys.base_prefix) / "bin"
    path = f"{command.parent}:{interpreter}:/usr/local/bin:/usr/bin:/bin"
    environ = kept | {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", line],
        check=False,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
    )
    return done.returncode, done.stdout


def _fill_in_keys(path: Path, market: SimulatedMarket) -> None:
    """What a person would type into the file."""
    typed = {
        "TRADIER_API_KEY": "simulated",
        "TRADIER_BASE_URL": market.tradier_base_url,
        "ALPHA_VANTAGE_KEY": "simulated",
        "ALPHA_VANTAGE_BASE_URL": market.alpha_vantage_base_url,
        "ALPHA_VANTAGE_PER_MINUTE": "1000",  # a newcomer has the day, this has minutes
        "ALPHA_VANTAGE_PER_SECOND": "1000",
        "ALPHA_VANTAGE_PER_DAY": "1000",
        "TRADIER_PER_MINUTE": "100000",
    }
    text = path.read_text()
    for name, value in typed.items():
        text = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", text)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
