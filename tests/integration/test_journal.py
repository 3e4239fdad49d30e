"""What the system's journal receives of a run: one event a line, each with its priority and the run's number."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from simulated_market import FaultRule, Switches
from tests.integration.conftest import AS_OF, INHERITED, Desk

START = "import sys; from ivcrush.cli.main import main; sys.exit(main())"
EVENT = re.compile(r"<([2-7])>(2\d{3}-\S+) level=(\w+) logger=\S+ correlation_id=([0-9a-f]{12}) event=(\S.*)")
PRIORITY = {"DEBUG": "7", "INFO": "6", "WARNING": "4", "ERROR": "3", "CRITICAL": "2"}


def journalled(desk: Desk, path: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Exit code and stderr of a run whose stderr is what JOURNAL_STREAM names, as below systemd."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with path.open("w") as stream:
        found = os.fstat(stream.fileno())
        journal = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        command = [sys.executable, "-c", START, *arguments, "--as-of", AS_OF.isoformat()]
        environ = kept | desk.environment | journal | settings
        done = subprocess.run(
            command, check=False, cwd=desk.directory, env=environ, stdout=subprocess.DEVNULL, stderr=stream
        )
    return done.returncode, path.read_text()


def test_every_line_of_a_run_is_one_event_with_its_priority_and_the_same_number(desk: Desk, tmp_path: Path) -> None:
    code, text = journalled(desk, tmp_path / "journal", "analyze", "AAPL", "NOSUCH")
    events = [EVENT.fullmatch(line) for line in text.splitlines()]
    assert (code, None in events) == (3, False)
    assert {(event[1], event[3]) for event in events if event} <= {(PRIORITY[name], name) for name in PRIORITY}
    assert {event[3] for event in events if event} == {"INFO"}  # a company without data is nothing to be warned of
    assert len({event[4] for event in events if event}) == 1
    last = events[-1]
    assert last is not None
    assert last[5].startswith('"analyze ended" exit_code=3 duration_s=')


def test_what_ends_a_run_is_an_error_there_and_what_degrades_it_a_warning(desk: Desk, tmp_path: Path) -> None:
    code, text = journalled(desk, tmp_path / "journal", "analyze", "AAPL", TRADIER_API_KEY="")
    assert (code, text[:3]) == (78, "<3>")
    assert "TRADIER_API_KEY is not set" in text
    desk.market.set_switches(Switches(faults=(FaultRule("500", path="/markets/calendar"),)))
    code, text = journalled(desk, tmp_path / "journal", "analyze", "AAPL", CIRCUIT_BREAKER_FAILURE_THRESHOLD="100")
    assert code == 0, text
    assert re.search(r"(?m)^<4>.* level=WARNING .*the exchange's calendar is not to be had", text), text


def test_json_events_carry_the_same_priority_and_are_json_without_it(desk: Desk, tmp_path: Path) -> None:
    _, text = journalled(desk, tmp_path / "journal", "health-check", LOG_FORMAT="json")
    (ended,) = [json.loads(line[3:]) for line in text.splitlines() if line.startswith("<6>{")]
    assert (ended["event"], ended["level"], ended["exit_code"]) == ("health-check ended", "INFO", 1)


def test_a_program_that_inherits_the_variable_but_not_the_stream_speaks_to_people(desk: Desk) -> None:
    finished = desk.run("analyze", "NOSUCH", JOURNAL_STREAM="8:12345")
    assert finished.code == 1
    assert re.fullmatch(r"NOSUCH: NODATA: .*\n", finished.err)
