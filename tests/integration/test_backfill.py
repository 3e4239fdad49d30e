"""A long backfill as a trader meets it: planned, cut anywhere, gone on with, and never paid for twice."""

import os
import re
import time
from pathlib import Path

from tests.integration.conftest import AS_OF, Desk


def waited_for(path: Path, holder: str) -> str:
    """The text of a run lock once a run has taken it."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        text = path.read_text() if path.exists() else ""
        if text.startswith(holder):
            return text
        time.sleep(0.01)
    raise AssertionError(f"nobody took {path}")


def test_the_second_run_of_two_names_process_run_and_start_of_the_first(desk: Desk) -> None:
    desk.strike("silent", path="EARNINGS")
    first = desk.process("backfill.py", "AAPL", "--as-of", AS_OF.isoformat())
    try:
        told = waited_for(desk.directory / "data" / "ivcrush.db.lock", "backfill")
        second = desk.run("backfill", "MSFT")
    finally:
        first.kill()
        first.communicate()
    assert second.code == 75
    assert f"another run holds {desk.directory / 'data' / 'ivcrush.db.lock'}: {told}; try later" in second.err
    found = re.fullmatch(r"backfill, process (\d+), run [0-9a-f]+, since (\S+)", told)
    assert found is not None, told
    assert int(found[1]) == first.pid != os.getpid()
