"""The commands as processes of their own: for faults that would strike the test's own process as well."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from tests.conftest import PROJECT
from tests.integration.conftest import AS_OF, INHERITED, Desk, Finished

LONGEST_LIFE_S = 60.0


def started(
    desk: Desk,
    *arguments: str,
    before: Sequence[str] = (),
    first: Callable[[], None] | None = None,
    stdout: int = subprocess.PIPE,
    moment: str = AS_OF.isoformat(),
    **settings: str,
) -> "subprocess.Popen[str]":
    """`ivcrush …` at `moment`; `before` is what it is started by, `first` runs in it before the program."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.Popen(
        [*before, sys.executable, "-m", "ivcrush.cli.main", *arguments, "--as-of", moment],
        cwd=desk.directory,
        env=kept | {"PYTHONPATH": str(PROJECT / "src")} | desk.environment | settings,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=first,  # noqa: PLW1509 — the test's other threads hold no lock that it could need
    )


def ended(process: "subprocess.Popen[str]") -> Finished:
    """What it left, once it is over; one that does not end is killed and fails the test."""
    try:
        out, err = process.communicate(timeout=LONGEST_LIFE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Finished(process.returncode, out or "", err)
