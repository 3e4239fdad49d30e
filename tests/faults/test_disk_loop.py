"""Each call to the disk that a batch of two companies makes × each way in which it can fail, one at a time.

After each: never a corrupt database, never a success claimed that is none, the old report or the new one whole, and the
next run finishes. strace makes the calls fail. DISK_FAULT_CALLS=all (`make faults-disk`) strikes every call, a number
so many of each kind; RUN_PRIVILEGED=1 alone (`make faults`) every call, but of the hundreds of page writes every
seventh; without either a seeded sample is struck. How many of how many is printed.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

import pytest

from tests.faults.processes import ended, started
from tests.faults.verdict import count, sound
from tests.integration.conftest import Desk, Finished

# Read here: a desk clears the environment.
ORDERED: Final = os.environ.get("DISK_FAULT_CALLS")
WHOLE: Final = os.environ.get("RUN_PRIVILEGED") == "1"
SAMPLE, SEED = 1, 15
YESTERDAYS, REPORT = b"yesterday's\n", "r.json"
COMMAND: Final = ("analyze-batch", "--tickers", "AAPL,KO", "--continue-on-error", "--format", "json")
RENAMES: Final = "rename,renameat,renameat2"
# One page write is much like the next, and there are hundreds.
PAGE_WRITES_APART: Final = 7
ERRORS: Final = {
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "pwrite64": ("EIO", "ENOSPC"),
    "write": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO", "ENOSPC"),
    RENAMES: ("EIO", "ENOSPC", "EACCES"),
    "link": ("EIO", "ENOSPC", "EACCES"),
    "openat": ("EIO", "EACCES", "EMFILE"),
}
MAY_TRACE: Final = (
    shutil.which("strace")
    and not subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], check=False, capture_output=True).returncode
)
_PATHS = re.compile(r'"([^"]*)"|[0-9]<([^>]*)>')  # as given, or of the descriptor


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a traced process: its place among those of its kind, from 1, and what was done to it."""

    place: int
    line: str

    @property
    def injected(self) -> bool:
        return self.line.endswith("(INJECTED)")


def traced(desk: Desk, calls: str, injection: str | None = None) -> tuple[Finished, list[Call]]:
    """The batch in a folder without data, and its calls of that kind in their order."""
    shutil.rmtree(desk.directory / "data", ignore_errors=True)
    desk.file(REPORT, YESTERDAYS)
    trace = desk.directory / "trace"
    before = ["strace", "-f", "-y", "-qq", "-o", str(trace), "-e", f"trace={calls}", "-e", "signal=none"]
    before += ["--seccomp-bpf"] if injection is None else ["--seccomp-bpf", "-e", f"inject={calls}:{injection}"]
    finished = ended(
        started(desk, *COMMAND, "--output", REPORT, before=before, PYTHONDONTWRITEBYTECODE="1", PYTHONSAFEPATH="1")
    )
    return finished, [Call(place, line) for place, line in enumerate(calls_of(trace.read_text()), start=1)]


def calls_of(trace: str) -> list[str]:
    """The calls in the order in which they began; what another thread's call cut in two is put together again."""
    lines: list[str] = []
    begun: dict[str, int] = {}  # by thread
    for line in trace.splitlines():
        thread, _, told = line.partition(" ")
        if " resumed>" in told:
            lines[begun.pop(thread)] += told.partition(" resumed>")[2]
        elif "+++" not in told:
            begun[thread] = len(lines)
            lines.append(line.removesuffix(" <unfinished ...>"))
    return lines


def ours(desk: Desk, call: Call) -> bool:
    """Whether a call is to a file of the program's user, not of Python, a library or a socket."""
    named = [first or second for first, second in _PATHS.findall(call.line)]
    return any(path.startswith((str(desk.directory), ".ivcrush-", REPORT)) or path == "." for path in named)


def chosen(every: list[Call], calls: str, *, ordered: str | None, whole: bool) -> tuple[list[Call], int]:
    """The calls to strike in turn, until so many of them were hit.

    All, or as many as were ordered; without an order those of the suite, `whole` or not.
    """
    if ordered == "all":
        return every, len(every)
    apart = every[::PAGE_WRITES_APART] if calls == "pwrite64" and ordered is None else every
    if whole and ordered is None:
        return apart, len(apart)
    return Random(SEED).sample(apart, len(apart)), min(SAMPLE if ordered is None else int(ordered), len(apart))


def judged(desk: Desk, finished: Finished, struck: Call | None) -> str:
    """What came of it, once it is known to be right."""
    told = (finished.code, finished.err, struck)
    assert "Traceback" not in finished.err, told
    assert "defect" not in finished.err, told
    report = (desk.directory / REPORT).read_bytes()
    found = None if report == YESTERDAYS else json.loads(report)  # an old one or a new one, and that whole
    if finished.code == 0:
        assert count(desk.directory / "data" / "ivcrush.db", "analysis_log") == 2, told
        assert found is not None, told
        assert len(found["analyses"]) == 2, told
    else:
        assert finished.code == 74 or (finished.code == 78 and struck is not None and ".env" in struck.line), told
        assert finished.err.strip(), told
        assert found is None or len(found["analyses"]) + len(found["failures"]) == 2, told
    return f"exit {finished.code}"


@pytest.mark.fault(15)
@pytest.mark.skipif(not MAY_TRACE, reason="needs strace (Debian: apt-get install strace) and leave to trace")
@pytest.mark.parametrize(("calls", "error"), [(calls, error) for calls, errors in ERRORS.items() for error in errors])
def test_whichever_call_to_the_disk_fails_nothing_is_corrupt_and_no_success_is_claimed(
    desk: Desk, calls: str, error: str
) -> None:
    every = [call for call in traced(desk, calls)[1] if ours(desk, call)]
    assert every
    outcomes: Counter[str] = Counter()
    hit = 0
    turns, wanted = chosen(every, calls, ordered=ORDERED, whole=WHOLE)
    for call in turns:
        if hit == wanted:
            break
        finished, made = traced(desk, calls, f"error={error}:when={call.place}")
        struck = next((each for each in made if each.injected), None)
        database = desk.directory / "data" / "ivcrush.db"
        if struck is None:
            outcomes["not reached"] += 1
        elif not ours(desk, struck):  # threads came in another order
            outcomes["another file's"] += 1
        else:
            outcomes[judged(desk, finished, struck)] += 1
            hit += 1
        if database.exists():
            sound(database)
        again = desk.run("analyze-batch", "--tickers", "AAPL,KO")
        assert again.code == 0, (call, again)
    with desk.capture.disabled():
        shown = ", ".join(f"{outcome} {number}x" for outcome, number in sorted(outcomes.items()))
        print(f"{calls} {error}: {hit} of {len(every)} calls struck: {shown}", flush=True)
    assert hit >= wanted / 2  # of a whole loop, threads in another order may leave some out


@pytest.mark.parametrize(
    ("ordered", "whole", "struck"),
    [("all", False, 457), ("all", True, 457), ("30", True, 30), (None, True, 66), (None, False, 1)],
)
def test_of_457_page_writes_every_one_is_struck_by_order_and_every_seventh_by_the_suite(
    ordered: str | None, whole: bool, struck: int
) -> None:
    every = [Call(place, "pwrite64") for place in range(1, 458)]
    assert chosen(every, "pwrite64", ordered=ordered, whole=whole)[1] == struck


def test_a_call_that_another_thread_cut_in_two_is_one_and_its_fault_is_seen() -> None:
    whole, *others = calls_of(
        '71 pwrite64(5</d/ivcrush.db-wal>, "a", 1, 0 <unfinished ...>\n'
        "72 fsync(5</d/ivcrush.db>) = 0\n"
        "71 <... pwrite64 resumed>) = -1 EIO (Input/output error) (INJECTED)\n"
        "72 +++ exited with 0 +++\n"
    )
    assert others == ["72 fsync(5</d/ivcrush.db>) = 0"]
    assert Call(1, whole).injected
    assert "ivcrush.db-wal" in whole
